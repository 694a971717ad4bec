//! Captions that the operator wants to keep: text in a band at the top or bottom of a clip that stays at one place for
//! its whole life.

use super::by_time::ByTime;
use super::policy::{Clip, MaskTrack};
use crate::types::detection::Class;
use crate::types::geometry::Point;
use crate::types::plan::Decision;
use crate::types::track::Origin;

/// Height of the bands, shares of the picture's.
const TOP_BAND: f32 = 0.2;
const BOTTOM_BAND: f32 = 0.28;
/// Least life, seconds: what flashes by is no caption.
const LEAST_SECS: f64 = 1.0;
/// Largest way, as a share of the text's height, and largest slope, radians.
const MOST_WAY: f32 = 0.25;
const MOST_SLOPE: f32 = 0.05;

/// Marks captions among the masks as kept. Text on a document is never one.
pub fn spare_captions(masks: &mut [MaskTrack], clip: &Clip) {
    let documents: Vec<MaskTrack> = masks.iter().filter(|m| m.class == Class::Document).cloned().collect();
    let documents = ByTime::new(documents.iter().map(|d| (d.span(), d)));
    for mask in masks.iter_mut().filter(|m| m.class == Class::Text && m.decision.is_redact()) {
        if is_caption(mask, clip) && !documents.during(mask.span()).into_iter().any(|d| holds(d, mask)) {
            let reason = "caption that stays in its place (--keep-captions)".into();
            mask.decision = Decision::Keep { reason, automatic: false };
        }
    }
}

fn is_caption(mask: &MaskTrack, clip: &Clip) -> bool {
    // Where it is held, its place is a guess.
    let known = || mask.frames.iter().enumerate().filter(|(_, f)| f.origin != Origin::Extended);
    let Some(((first, start), (last, _))) = known().next().zip(known().next_back()) else { return false };
    let height = clip.display.height as f32;
    let bounds = start.quad.bounds();
    let in_band = bounds.y + bounds.height <= TOP_BAND * height || bounds.y >= (1.0 - BOTTOM_BAND) * height;
    let way = (MOST_WAY * start.quad.height()).max(2.0);
    let is_near = |p: &Point, q: &Point| p.distance(*q) <= way;
    // Corners, not centres: what grows comes nearer.
    let stays = known().all(|(_, f)| f.quad.corners.iter().zip(&start.quad.corners).all(|(p, q)| is_near(p, q)));
    let secs = clip.times.gap_secs(mask.start + first as u64, mask.start + last as u64);
    in_band && stays && start.quad.angle_rad().abs() <= MOST_SLOPE && secs >= LEAST_SECS
}

/// Whether a document's mask holds the text at some time.
fn holds(document: &MaskTrack, text: &MaskTrack) -> bool {
    let at = |(i, f): (usize, &super::policy::MaskFrame)| {
        document.at(text.start + i as u64).is_some_and(|d| d.quad.contains(f.quad.center()))
    };
    text.frames.iter().enumerate().any(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::policy::MaskFrame;
    use crate::types::geometry::{Quad, Rect, Size};
    use crate::types::plan::Shape;
    use crate::types::time::{FrameTimes, TimeBase};

    fn mask(class: Class, count: usize, place: impl Fn(f32) -> Rect) -> MaskTrack {
        let frame = |i: usize| MaskFrame { quad: place(i as f32).into(), origin: Origin::Detected, score: 0.9 };
        MaskTrack {
            class,
            decision: Decision::Redact,
            shape: Shape::Quad,
            start: 0,
            frames: (0..count).map(frame).collect(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_is_a_caption() {
        let pts: Vec<i64> = (0..100).collect();
        let times = FrameTimes { pts: &pts, time_base: TimeBase { num: 1, den: 25 } };
        let clip = Clip { display: Size::new(640, 360), times };
        let low = Rect::new(100.0, 300.0, 300.0, 24.0);
        let table = [
            ("stays below", mask(Class::Text, 50, |_| low), true),
            ("stays above", mask(Class::Text, 50, |_| Rect { y: 10.0, ..low }), true),
            ("in the middle", mask(Class::Text, 50, |_| Rect { y: 170.0, ..low }), false),
            ("creeps away", mask(Class::Text, 50, |t| Rect { x: 100.0 + t, ..low }), false),
            ("grows", mask(Class::Text, 50, |t| Rect { width: 300.0 + t, ..low }), false),
            ("flashes by", mask(Class::Text, 20, |_| low), false),
            ("a code", mask(Class::Code, 50, |_| low), false),
        ];
        for (name, caption, kept) in table {
            let mut masks = vec![caption.clone()];
            spare_captions(&mut masks, &clip);
            assert_eq!(masks[0].decision.is_kept_on_purpose(), kept, "{name}");
            let mut masks = vec![caption, mask(Class::Document, 50, |_| Rect::new(50.0, 0.0, 500.0, 360.0))];
            spare_captions(&mut masks, &clip);
            assert!(masks[0].decision.is_redact(), "{name} on a document");
        }
        let tilted = Quad::rotated_rect(Point::new(300.0, 320.0), 200.0, 20.0, 0.2);
        let mut masks = vec![mask(Class::Text, 50, |_| low)];
        masks[0].frames.iter_mut().for_each(|f| f.quad = tilted);
        spare_captions(&mut masks, &clip);
        assert!(masks[0].decision.is_redact(), "tilted");
    }
}
