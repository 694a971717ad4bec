use proptest::prelude::*;

use super::*;
use crate::types::frame::{ColorModel, PixelLayout, PlainBuffer};

/// A planar 4:2:0 frame; `value` gives the sample of a component at a place of its plane.
fn yuv420(size: Size, value: impl Fn(usize, u32, u32) -> u8) -> Frame {
    let component = |plane, sub| Component { plane, step: 1, offset: 0, shift: 0, depth: 8, log2_sub: (sub, sub) };
    let components = vec![component(0, 0), component(1, 1), component(2, 1)];
    let planes = components
        .iter()
        .enumerate()
        .map(|(i, c)| {
            let s = c.plane_size(size);
            // A padded stride, so that strides are really used.
            let stride = s.width as usize + 7;
            let mut data = vec![0xEE; stride * s.height as usize];
            for y in 0..s.height {
                for x in 0..s.width {
                    data[y as usize * stride + x as usize] = value(i, x, y);
                }
            }
            (data, stride)
        })
        .collect();
    Frame {
        index: 0,
        pts: 0,
        duration: 1,
        size,
        layout: PixelLayout { model: ColorModel::Yuv, components, has_alpha: false },
        damaged: false,
        key: true,
        buffer: Box::new(PlainBuffer { planes }),
    }
}

/// Moving texture with coding noise of the given strength.
fn scene(step: u32, noise: u32, seed: u32) -> FrameDigest {
    let size = Size::new(200, 120);
    FrameDigest::of(&yuv420(size, |c, x, y| {
        let wave = ((x + 3 * step) as f32 / 17.0).sin() * 60.0 + (y as f32 / 11.0 + c as f32).cos() * 40.0;
        let n = (x.wrapping_mul(2654435761) ^ y.wrapping_mul(40503) ^ seed.wrapping_mul(97)) >> 7;
        (128.0 + wave + (n % (noise + 1)) as f32 - noise as f32 / 2.0) as u8
    }))
}

#[test]
fn grids_have_at_most_48_cells_of_whole_macroblocks() {
    for (w, h, cell, columns, rows) in [
        (1920, 1080, 48, 40, 23),
        (1080, 1920, 48, 23, 40),
        (1280, 720, 32, 40, 23),
        (640, 480, 16, 40, 30),
        (1, 1, 16, 1, 1),
        (3840, 2160, 80, 48, 27),
    ] {
        let g = Grid::of(Size::new(w, h), 3);
        assert_eq!((g.cell, g.columns, g.rows), (cell, columns, rows), "{w}x{h}");
    }
}

#[test]
fn means_are_those_of_the_cells_also_at_cut_edges() {
    let d = FrameDigest::of(&yuv420(Size::new(21, 17), |c, x, y| match c {
        0 if y == 16 => 200,
        0 => u8::from(x >= 16) * 100,
        _ => 50 + c as u8,
    }));
    let level = |v: f32| (v * 256.0) as u16;
    assert_eq!(d.means[..4], [level(0.0), level(100.0), level(200.0), level(200.0)]);
    assert!(d.means[4..8].iter().all(|m| *m == level(51.0)));
    assert!(d.means[8..].iter().all(|m| *m == level(52.0)));
}

#[test]
fn ten_bit_frames_in_high_bits_have_the_same_levels() {
    let size = Size::new(16, 16);
    let component = Component { plane: 0, step: 2, offset: 0, shift: 6, depth: 10, log2_sub: (0, 0) };
    let word = (1023u16 << 6).to_le_bytes();
    let data: Vec<u8> = (0..256).flat_map(|_| word).collect();
    let layout = PixelLayout { model: ColorModel::Gray, components: vec![component], has_alpha: false };
    let buffer = Box::new(PlainBuffer { planes: vec![(data, 32)] });
    let frame = Frame { index: 0, pts: 0, duration: 0, size, layout, damaged: false, key: true, buffer };
    assert_eq!(FrameDigest::of(&frame).means, [255 * 256]);
}

#[test]
fn coding_noise_passes_garbage_and_other_frames_do_not() {
    let tolerance = Tolerance::of_rate_factor(18.0);
    assert_eq!(compare(&scene(0, 0, 0), &scene(0, 9, 1), tolerance), None);
    assert!(compare(&scene(0, 0, 0), &scene(3, 9, 1), tolerance).is_some());
    let mut garbage = scene(0, 9, 1);
    garbage.means[30] = garbage.means[30].wrapping_add(20 * 256);
    let finding = compare(&scene(0, 0, 0), &garbage, tolerance).unwrap();
    assert_eq!(finding.rule, Rule::PictureChanged);
    // 13 columns of 16 pixels: value 30 is column 4 of row 2.
    assert_eq!(finding.bounds, Some(Rect::new(64.0, 32.0, 16.0, 16.0)));
}

#[test]
fn tolerance_grows_with_the_rate_factor_and_stays_above_what_was_measured() {
    for (crf, luma, chroma) in [(18.0, 2.6, 2.2), (28.0, 9.3, 4.2), (40.0, 26.4, 6.4)] {
        let t = Tolerance::of_rate_factor(crf);
        assert!(t.luma > 1.5 * luma && t.chroma > 1.5 * chroma, "{crf}: {t:?}");
        assert!(t.luma < 2.5 * luma, "{crf}: {t:?}");
    }
}

#[test]
fn mask_tolerance_is_above_what_was_measured() {
    for (crf, worst) in [(18.0, 10), (28.0, 33), (40.0, 49)] {
        let t = Tolerance::of_rate_factor(crf).of_masks(1.0, 255);
        assert!(t > worst && t <= 2 * worst, "{crf}: {t}");
        assert!(Tolerance::of_rate_factor(crf).of_masks(1.0, 1023).abs_diff(t * 4) <= 4, "{crf}");
    }
}

/// Findings of a run in which frame `i` shows the picture of `shown(i)`.
fn order_findings(shown: impl Fn(u32) -> u32, speed: u32) -> usize {
    let mut check = OrderCheck::default();
    (1..40).filter(|i| check.push(&scene(i * speed, 0, 0), &scene(shown(*i) * speed, 6, *i)).is_some()).count()
}

#[test]
fn order_is_checked() {
    for (name, shown, wrong) in [
        ("in order", (|i| i) as fn(u32) -> u32, false),
        ("late", |i| i - 1, true),
        ("early", |i| i + 1, true),
        ("one doubled", |i| if i == 20 { 19 } else { i }, true),
        (
            "two swapped",
            |i| {
                if i == 20 {
                    21
                } else if i == 21 {
                    20
                } else {
                    i
                }
            },
            true,
        ),
    ] {
        assert_eq!(order_findings(shown, 1) > 0, wrong, "{name}");
    }
    // Nothing moves: nothing to tell, and no false alarm.
    assert_eq!(order_findings(|i| i, 0), 0);
    assert_eq!(order_findings(|i| i - 1, 0), 0);
}

fn rect_coverage(x0: u32, y0: u32, x1: u32, y1: u32) -> Coverage {
    Coverage { spans: (y0..y1).map(|y| Span { y, x0, x1 }).collect() }
}

#[test]
fn masks_are_checked_in_every_component() {
    let flat = |c: usize| [90, 120, 130][c];
    let each = |c: usize, _: u32, _: u32| [90, 120, 130][c];
    for expected in [Expected::Flat(&flat), Expected::Each(&each)] {
        masks_checked(&expected);
    }
}

fn masks_checked(expected: &Expected<'_>) {
    let size = Size::new(41, 31);
    let area = rect_coverage(10, 8, 41, 31);
    let inside = |sub: u32, x: u32, y: u32| x << sub >= 10 && y << sub >= 8;
    let good = yuv420(size, |c, x, y| if inside(u32::from(c > 0), x, y) { [92, 119, 130][c] } else { 7 });
    let check = check_mask(&good, &area, expected, 2);
    assert_eq!(check, MaskCheck { pixels: 31 * 23, worst: 2, failing: 0 });
    assert_eq!(check_mask(&good, &area, expected, 1).failing, 31 * 23);
    // One leaking sample per component, the chroma ones at the odd right and bottom edge.
    for c in 0..3 {
        let (px, py) = if c == 0 { (40, 30) } else { (20, 15) };
        let leak = yuv420(size, |i, x, y| if (i, x, y) == (c, px, py) { 200 } else { [90, 120, 130][i] });
        assert_eq!(check_mask(&leak, &area, expected, 2).failing, 1, "component {c}");
    }
    // A chroma sample that is only half covered does not count.
    let odd = rect_coverage(11, 9, 20, 20);
    let leak = yuv420(size, |i, x, y| if i > 0 && (x, y) == (5, 4) { 200 } else { [90, 120, 130][i] });
    assert_eq!(check_mask(&leak, &odd, expected, 2).failing, 0);
}

#[test]
fn a_mask_is_drawn_unless_more_than_ringing_is_off() {
    // Pixels, worst, failing; a tolerance of 14 levels.
    for (pixels, worst, failing, is_drawn) in [
        (0, 0, 0, true),
        (1000, 200, 10, true),
        (1000, 20, 11, false),
        (29, 20, 1, true),
        (29, 28, 2, true),
        (29, 29, 1, false),
        (29, 20, 3, false),
        (9, 20, 1, false),
    ] {
        let check = MaskCheck { pixels, worst, failing };
        assert_eq!(check.is_drawn(14), is_drawn, "{check:?}");
    }
}

#[test]
fn shrinking_keeps_to_the_border() {
    let size = Size::new(20, 10);
    let cases = [
        (rect_coverage(5, 3, 15, 9), 2, rect_coverage(7, 5, 13, 7)),
        (rect_coverage(0, 0, 15, 9), 2, rect_coverage(0, 0, 13, 7)),
        (Coverage::whole(size), 3, Coverage::whole(size)),
        (rect_coverage(5, 3, 8, 9), 2, Coverage::default()),
        (rect_coverage(5, 3, 8, 9), 0, rect_coverage(5, 3, 8, 9)),
    ];
    for (coverage, pixels, want) in cases {
        assert_eq!(shrink(&coverage, pixels, size), want);
    }
}

proptest! {
    /// A pixel stays exactly when every pixel of the window around it that lies in the picture is covered.
    #[test]
    fn shrinking_is_erosion(bits in proptest::collection::vec(any::<bool>(), 12 * 9), wide in 0u32..3) {
        let size = Size::new(12, 9);
        // Larger patches are likely.
        let on: Vec<bool> = bits.iter().enumerate().map(|(i, b)| *b || i % 5 != 0).collect();
        let at = |on: &[bool], x: u32, y: u32| on[(y * 12 + x) as usize];
        let mut spans = Vec::new();
        for y in 0..9 {
            let mut x = 0;
            while x < 12 {
                if at(&on, x, y) {
                    let x0 = x;
                    while x < 12 && at(&on, x, y) { x += 1; }
                    spans.push(Span { y, x0, x1: x });
                } else { x += 1; }
            }
        }
        let got = shrink(&Coverage { spans }, wide, size);
        for y in 0..9u32 {
            for x in 0..12u32 {
                let want = (y.saturating_sub(wide)..=(y + wide).min(8))
                    .all(|v| (x.saturating_sub(wide)..=(x + wide).min(11)).all(|u| at(&on, u, v)));
                let have = got.spans.iter().any(|s| s.y == y && s.x0 <= x && x < s.x1);
                prop_assert_eq!(have, want, "at {},{}", x, y);
            }
        }
    }
}
