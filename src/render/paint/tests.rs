use std::collections::BTreeMap;

use super::*;
use crate::types::detection::Class;
use crate::types::frame::{ColorModel, MediaKind, PlainBuffer, SourceInfo};
use crate::types::plan::{Decision, FrameTable, Keyframe, MaskStyle, Shape};
use crate::types::time::{FrameSpan, TimeBase};
use crate::types::track::Origin;

const COLOR: ColorInfo = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };

fn header(style: MaskStyle, damaged: Vec<FrameSpan>) -> PlanHeader {
    let size = Size::new(21, 17);
    PlanHeader {
        kind: "withhold-plan".into(),
        version: 1,
        program: "test".into(),
        source_sha256: String::new(),
        source_path: None,
        source: SourceInfo {
            kind: MediaKind::Clip,
            format: "test".into(),
            codec: "test".into(),
            coded: size,
            orientation: Orientation::Upright,
            sample_aspect: (1, 1),
            time_base: TimeBase::ONE,
            frame_rate: 25.0,
            frames_estimate: None,
            color: COLOR,
            depth: 8,
            interlaced: false,
            has_audio: false,
        },
        frames: FrameTable { count: 4, sha256: String::new(), display: size, first_pts: 0, steps: vec![] },
        models: vec![],
        settings: BTreeMap::new(),
        style,
        fill_color: [128, 128, 128],
        damaged,
        scene_cuts: vec![],
        review: vec![],
    }
}

fn region(quad: Quad) -> Region {
    let key = Keyframe { frame: 0, pts: 0, quad, origin: Origin::Manual, score: 1.0 };
    Region {
        id: "r1".into(),
        class: Class::Region,
        decision: Decision::Redact,
        shape: Shape::Quad,
        tone: 5,
        span: FrameSpan::new(0, 2),
        keyframes: vec![key],
    }
}

/// Layouts that decoders hand out: planar, semi-planar, packed, more than 8 bits, odd sizes.
fn layouts() -> Vec<(&'static str, PixelLayout)> {
    let c = |plane, step, offset, shift, depth, log2_sub| Component { plane, step, offset, shift, depth, log2_sub };
    let yuv = |components| PixelLayout { model: ColorModel::Yuv, components, has_alpha: false };
    vec![
        ("420", yuv(vec![c(0, 1, 0, 0, 8, (0, 0)), c(1, 1, 0, 0, 8, (1, 1)), c(2, 1, 0, 0, 8, (1, 1))])),
        ("422", yuv(vec![c(0, 1, 0, 0, 8, (0, 0)), c(1, 1, 0, 0, 8, (1, 0)), c(2, 1, 0, 0, 8, (1, 0))])),
        ("444p10", yuv(vec![c(0, 2, 0, 0, 10, (0, 0)), c(1, 2, 0, 0, 10, (0, 0)), c(2, 2, 0, 0, 10, (0, 0))])),
        ("nv12", yuv(vec![c(0, 1, 0, 0, 8, (0, 0)), c(1, 2, 0, 0, 8, (1, 1)), c(1, 2, 1, 0, 8, (1, 1))])),
        ("p010", yuv(vec![c(0, 2, 0, 6, 10, (0, 0)), c(1, 4, 0, 6, 10, (1, 1)), c(1, 4, 2, 6, 10, (1, 1))])),
        ("yuyv", yuv(vec![c(0, 2, 0, 0, 8, (0, 0)), c(0, 4, 1, 0, 8, (1, 0)), c(0, 4, 3, 0, 8, (1, 0))])),
        ("rgb24", PixelLayout::rgb8()),
        ("gray", PixelLayout { model: ColorModel::Gray, components: vec![c(0, 1, 0, 0, 8, (0, 0))], has_alpha: false }),
    ]
}

/// A frame of noise; `seed` decides the noise.
fn noise_frame(layout: &PixelLayout, size: Size, seed: u32) -> Frame {
    let count = layout.components.iter().map(|c| c.plane).max().unwrap_or(0) + 1;
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let planes = (0..count)
        .map(|plane| {
            let parts = layout.components.iter().filter(|c| c.plane == plane);
            let (mut stride, mut rows) = (0, 0);
            for c in parts {
                let s = c.plane_size(size);
                stride = stride.max(s.width as usize * c.step);
                rows = rows.max(s.height as usize);
            }
            stride += 5;
            let data = (0..stride * rows)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            (data, stride)
        })
        .collect();
    Frame {
        index: 0,
        pts: 0,
        duration: 1,
        size,
        layout: layout.clone(),
        damaged: false,
        key: true,
        buffer: Box::new(PlainBuffer { planes }),
    }
}

fn bytes(frame: &Frame) -> Vec<Vec<u8>> {
    let count = frame.layout.components.iter().map(|c| c.plane).max().unwrap_or(0) + 1;
    (0..count).map(|p| frame.buffer.plane(p).to_vec()).collect()
}

/// Two frames that differ only under the mask are the same bytes afterwards; pixels outside do not change.
#[test]
fn masks_hide_all_components_in_every_layout_and_orientation() {
    let size = Size::new(21, 17);
    for (name, layout) in layouts() {
        for orientation in [Orientation::Upright, Orientation::Rotate90, Orientation::Transverse] {
            for style in [MaskStyle::Fill, MaskStyle::Blur, MaskStyle::Mosaic] {
                let canvas = Canvas::new(size, orientation, &layout, false);
                let quad = Quad::rotated_rect(Point::new(9.0, 8.0), 7.0, 6.0, 0.4);
                let masks = FrameMasks::of_frame(&header(style, vec![]), [&region(quad)], 1, &canvas, &layout, COLOR);
                let mut a = noise_frame(&layout, size, 1);
                let before = bytes(&a);
                let mut b = noise_frame(&layout, size, 1);
                // Scribble over the masked samples of the second frame by painting them with another colour first.
                let mut other = header(MaskStyle::Fill, vec![]);
                other.fill_color = [250, 10, 90];
                FrameMasks::of_frame(&other, [&region(quad)], 1, &canvas, &layout, COLOR).paint(&mut b).unwrap();
                assert_ne!(before, bytes(&b), "{name}: the scribble must show");
                masks.paint(&mut a).unwrap();
                masks.paint(&mut b).unwrap();
                assert_eq!(bytes(&a), bytes(&b), "{name} {orientation:?} {style:?}");
                assert_outside_is_untouched(&before, &a, &masks, name);
            }
        }
    }
}

fn assert_outside_is_untouched(before: &[Vec<u8>], frame: &Frame, masks: &FrameMasks, name: &str) {
    let after = bytes(frame);
    for c in &frame.layout.components {
        let plane = c.plane_size(frame.size);
        for y in 0..plane.height {
            for x in 0..plane.width {
                let hidden = masks.masks.iter().flat_map(|m| &m.coverage.spans).any(|s| {
                    s.y >> c.log2_sub.1 == y && s.x0 >> c.log2_sub.0 <= x && x < s.x1.div_ceil(1 << c.log2_sub.0)
                });
                let at = y as usize * frame.buffer.stride(c.plane) + c.offset + x as usize * c.step;
                if !hidden {
                    assert_eq!(before[c.plane][at], after[c.plane][at], "{name}: ({x}, {y}) changed");
                }
            }
        }
    }
}

#[test]
fn regions_stand_only_in_their_span_and_when_not_kept() {
    let (size, layout) = (Size::new(21, 17), PixelLayout::rgb8());
    let canvas = Canvas::new(size, Orientation::Upright, &layout, false);
    let shown = region(Rect::new(2.0, 2.0, 5.0, 5.0).into());
    let mut kept = shown.clone();
    kept.decision = Decision::Keep { reason: "logo".into(), automatic: false };
    let at = |r: &Region, frame| {
        FrameMasks::of_frame(&header(MaskStyle::Fill, vec![]), [r], frame, &canvas, &layout, COLOR).masks.len()
    };
    assert_eq!((at(&shown, 0), at(&shown, 1), at(&shown, 2), at(&kept, 0)), (1, 1, 0, 0));
}

#[test]
fn damaged_frames_are_hidden_whole() {
    let (size, layout) = (Size::new(21, 17), PixelLayout::rgb8());
    let canvas = Canvas::new(size, Orientation::Upright, &layout, false);
    let header = header(MaskStyle::Fill, vec![FrameSpan::new(1, 2)]);
    let mut frame = noise_frame(&layout, size, 3);
    FrameMasks::of_frame(&header, [], 1, &canvas, &layout, COLOR).paint(&mut frame).unwrap();
    for y in 0..17 {
        let row = &frame.buffer.plane(0)[y * frame.buffer.stride(0)..][..63];
        assert!(row.iter().all(|v| *v == 128), "row {y} shows");
    }
}
