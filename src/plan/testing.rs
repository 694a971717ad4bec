//! Plans and tracks for tests.

use std::collections::BTreeMap;

use super::file::{PLAN_KIND, frame_table};
use crate::types::detection::Class;
use crate::types::frame::{ColorInfo, MediaKind, SourceInfo};
use crate::types::geometry::{Orientation, Quad, Size};
use crate::types::plan::{MaskStyle, PLAN_VERSION, PlanHeader};
use crate::types::time::{FrameIndex, FrameSpan, FrameTimes, TimeBase};
use crate::types::track::{Looks, Origin, Track, TrackEdge, TrackPoint};

pub const DISPLAY: Size = Size::new(1280, 720);
/// 25 frames a second in thousandths.
pub const TIME_BASE: TimeBase = TimeBase { num: 1, den: 1000 };

/// Pts of a clip that does not begin at zero.
pub fn pts(count: u64) -> Vec<i64> {
    (0..count as i64).map(|k| 3000 + 40 * k).collect()
}

pub fn times(pts: &[i64]) -> FrameTimes<'_> {
    FrameTimes { pts, time_base: TIME_BASE }
}

pub fn header(pts: &[i64]) -> PlanHeader {
    PlanHeader {
        kind: PLAN_KIND.into(),
        version: PLAN_VERSION,
        program: "0.1.0".into(),
        source_sha256: "ab".repeat(32),
        source_path: None,
        source: SourceInfo {
            kind: MediaKind::Clip,
            format: "mov".into(),
            codec: "h264".into(),
            coded: DISPLAY,
            orientation: Orientation::Upright,
            sample_aspect: (1, 1),
            time_base: TIME_BASE,
            frame_rate: 25.0,
            frames_estimate: Some(pts.len() as u64),
            color: ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 1 },
            depth: 8,
            interlaced: false,
            has_audio: false,
        },
        frames: frame_table(pts, DISPLAY),
        models: Vec::new(),
        settings: BTreeMap::new(),
        style: MaskStyle::Fill,
        fill_color: [128, 128, 128],
        damaged: Vec::new(),
        scene_cuts: vec![0],
        review: Vec::new(),
    }
}

/// A track with the given quads from `start` on, all detected.
pub fn track(class: Class, start: FrameIndex, quads: &[Quad], score: f32, scene: FrameSpan) -> Track {
    let point = |(i, quad): (usize, &Quad)| TrackPoint {
        frame: start + i as u64,
        pts: 3000 + 40 * (start as i64 + i as i64),
        quad: *quad,
        origin: Origin::Detected,
        score,
    };
    let points: Vec<TrackPoint> = quads.iter().enumerate().map(point).collect();
    let edge = |at_cut: bool| if at_cut { TrackEdge::Cut } else { TrackEdge::Lost };
    let end = start + quads.len() as u64;
    let mut looks = Looks::default();
    points.iter().for_each(|p| looks.add(p.score));
    Track { class, points, looks, scene, start: edge(start == scene.start), end: edge(end == scene.end) }
}
