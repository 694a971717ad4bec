//! Parts of one line (and, where asked for, lines of one block) under one mask, so that its width tells little.

use super::policy::{MaskFrame, MaskTrack, PolicySettings};
use crate::types::detection::Class;
use crate::types::geometry::{Point, Quad, Rect};
use crate::types::groups::Groups;
use crate::types::time::{FrameIndex, FrameSpan};
use crate::types::track::Origin;

/// Largest angle between parts that belong together, radians.
const MAX_TURN: f32 = 0.2;
/// Largest ratio of the heights of parts that belong together.
const MAX_HEIGHT_RATIO: f32 = 1.8;

/// Joins the masked text among `masks`; all else passes as it is.
pub fn join_text(masks: Vec<MaskTrack>, settings: &PolicySettings) -> Vec<MaskTrack> {
    if settings.line_gap <= 0.0 && settings.block_gap.is_none() {
        return masks;
    }
    let (mut text, mut out): (Vec<MaskTrack>, Vec<MaskTrack>) =
        masks.into_iter().partition(|m| m.class == Class::Text && m.decision.is_redact());
    text.sort_by_key(|m| (m.start, m.frames.len()));
    let reaches: Vec<Rect> = text.iter().map(|m| reach(m, settings)).collect();
    let mut groups = Groups::new(text.len());
    let mut open: Vec<usize> = Vec::new();
    for i in 0..text.len() {
        open.retain(|&j| text[j].span().end > text[i].start);
        for &j in &open {
            // First what costs nearly nothing: a page of a thousand lines has half a million pairs.
            let are_near = reaches[i].intersection(reaches[j]).is_some();
            if are_near && groups.root(i) != groups.root(j) && belong_together(&text[i], &text[j], settings) {
                groups.join(i, j);
            }
        }
        open.push(i);
    }
    let mut members: std::collections::BTreeMap<usize, Vec<MaskTrack>> = Default::default();
    for (i, mask) in text.into_iter().enumerate() {
        members.entry(groups.root(i)).or_default().push(mask);
    }
    out.extend(members.into_values().map(merged));
    out
}

/// Around a mask in all frames, with the gap over which it is joined to others.
fn reach(mask: &MaskTrack, settings: &PolicySettings) -> Rect {
    let far = settings.line_gap.max(settings.block_gap.unwrap_or(0.0));
    let (mut low, mut high) = (Point::new(f32::MAX, f32::MAX), Point::new(f32::MIN, f32::MIN));
    for frame in &mask.frames {
        let (bounds, gap) = (frame.quad.bounds(), far * frame.quad.height().max(1.0));
        low = Point::new(low.x.min(bounds.x - gap), low.y.min(bounds.y - gap));
        high = Point::new(high.x.max(bounds.x + bounds.width + gap), high.y.max(bounds.y + bounds.height + gap));
    }
    Rect::new(low.x, low.y, high.x - low.x, high.y - low.y)
}

/// Whether two masks are neighbours at the start, the middle and the end of the time that they share.
fn belong_together(a: &MaskTrack, b: &MaskTrack, settings: &PolicySettings) -> bool {
    let (s, t) = (a.span(), b.span());
    let shared = FrameSpan::new(s.start.max(t.start), s.end.min(t.end));
    if shared.is_empty() {
        return false;
    }
    let at = |m: &MaskTrack, f: FrameIndex| m.at(f).map(|m| m.quad);
    [shared.start, shared.start + shared.len() / 2, shared.end - 1]
        .into_iter()
        .all(|f| at(a, f).zip(at(b, f)).is_some_and(|(p, q)| are_neighbours(&p, &q, settings)))
}

/// Whether two padded quads are parts of one line or lines of one block.
fn are_neighbours(a: &Quad, b: &Quad, settings: &PolicySettings) -> bool {
    let (ha, hb) = (a.height().max(1.0), b.height().max(1.0));
    let height = ha.min(hb);
    let far = settings.line_gap.max(settings.block_gap.unwrap_or(0.0)) * height;
    let (p, q) = (a.bounds(), b.bounds());
    let apart = (q.x - p.x - p.width).max(p.x - q.x - q.width).max(q.y - p.y - p.height).max(p.y - q.y - q.height);
    if apart > far || ha.max(hb) / height > MAX_HEIGHT_RATIO {
        return false;
    }
    if a.turn_between(b) > MAX_TURN {
        return false;
    }
    let [(al, ar), (at, ab)] = a.extents(a.angle_rad());
    let [(bl, br), (bt, bb)] = b.extents(a.angle_rad());
    let overlap = |a0: f32, a1: f32, b0: f32, b1: f32| a1.min(b1) - a0.max(b0);
    let (across, down) = (overlap(al, ar, bl, br), overlap(at, ab, bt, bb));
    let one_line = down >= 0.5 * height && -across <= settings.line_gap * height;
    let aligned = (al - bl).abs() <= height || ((al + ar) - (bl + br)).abs() / 2.0 <= height;
    let one_block = settings
        .block_gap
        .is_some_and(|gap| aligned && -down <= gap * height && across >= 0.5 * (ar - al).min(br - bl));
    one_line || one_block
}

/// One mask around all of a group in every frame.
fn merged(mut group: Vec<MaskTrack>) -> MaskTrack {
    if group.len() == 1 {
        return group.remove(0);
    }
    let start = group.iter().map(|m| m.start).min().unwrap_or(0);
    let end = group.iter().map(|m| m.span().end).max().unwrap_or(start);
    // The widest part has the surest angle.
    let longest = |m: &&MaskTrack| m.frames.iter().map(|f| f.quad.width()).fold(0.0, f32::max);
    group.sort_by(|a, b| longest(&b).total_cmp(&longest(&a)));
    let mut frames = Vec::with_capacity((end - start) as usize);
    for f in start..end {
        let present: Vec<&MaskFrame> = group.iter().filter_map(|m| m.at(f)).collect();
        let Some(widest) = present.first() else { continue };
        let corners: Vec<Point> = present.iter().flat_map(|p| p.quad.corners).collect();
        let origin = [Origin::Manual, Origin::Detected, Origin::Interpolated]
            .into_iter()
            .find(|o| present.iter().any(|p| p.origin == *o))
            .unwrap_or(Origin::Extended);
        let score = present.iter().map(|p| p.score).fold(0.0, f32::max);
        frames.push(MaskFrame { quad: Quad::around(&corners, widest.quad.angle_rad()), origin, score });
    }
    let notes = group.iter_mut().flat_map(|m| std::mem::take(&mut m.notes)).collect();
    let first = group.swap_remove(0);
    MaskTrack { start, frames, notes, ..first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::plan::{Decision, Shape};

    fn part(quad: Quad, start: FrameIndex, count: usize) -> MaskTrack {
        let frame = MaskFrame { quad, origin: Origin::Detected, score: 0.8 };
        MaskTrack {
            class: Class::Text,
            decision: Decision::Redact,
            shape: Shape::Quad,
            start,
            frames: vec![frame; count],
            notes: Vec::new(),
        }
    }

    fn word(x: f32, y: f32, w: f32, h: f32) -> Quad {
        Rect::new(x, y, w, h).into()
    }

    #[test]
    fn what_is_joined() {
        let turned = |q: Quad| {
            let (s, c) = 0.8f32.sin_cos();
            q.map(|p| Point::new(p.x * c - p.y * s, p.x * s + p.y * c))
        };
        // Name, quads, masks after joining lines, after joining blocks too.
        let table = [
            (
                "words of a line",
                vec![word(0.0, 0.0, 80.0, 20.0), word(90.0, 1.0, 60.0, 20.0), word(158.0, 0.0, 40.0, 19.0)],
                1,
                1,
            ),
            ("far apart", vec![word(0.0, 0.0, 80.0, 20.0), word(200.0, 0.0, 60.0, 20.0)], 2, 2),
            ("two lines of a field", vec![word(0.0, 0.0, 80.0, 20.0), word(2.0, 26.0, 90.0, 20.0)], 2, 1),
            ("heading and small print", vec![word(0.0, 0.0, 200.0, 60.0), word(0.0, 66.0, 200.0, 14.0)], 2, 2),
            ("a line and what crosses it", vec![word(0.0, 0.0, 80.0, 20.0), word(85.0, -40.0, 20.0, 100.0)], 2, 2),
        ];
        let lines = PolicySettings { line_gap: 0.8, block_gap: None, ..PolicySettings::default() };
        let blocks = PolicySettings { block_gap: Some(0.6), ..lines };
        for (name, quads, by_line, by_block) in table {
            for (settings, count) in [(&lines, by_line), (&blocks, by_block)] {
                for turn in [false, true] {
                    let place = |q: &Quad| if turn { turned(*q) } else { *q };
                    let masks: Vec<MaskTrack> = quads.iter().map(|q| part(place(q), 0, 1)).collect();
                    let joined = join_text(masks, settings);
                    assert_eq!(joined.len(), count, "{name}, turned: {turn}");
                    for q in &quads {
                        let hidden = joined.iter().any(|m| m.frames[0].quad.inflated(0.1).contains_quad(&place(q)));
                        assert!(hidden, "{name}: a part stands open");
                    }
                }
            }
        }
    }

    #[test]
    fn parts_that_share_no_time_stay_apart_and_times_are_united() {
        let settings = PolicySettings::default();
        let apart = vec![part(word(0.0, 0.0, 80.0, 20.0), 0, 5), part(word(85.0, 0.0, 60.0, 20.0), 5, 5)];
        assert_eq!(join_text(apart, &settings).len(), 2);
        let shared = vec![part(word(0.0, 0.0, 80.0, 20.0), 0, 5), part(word(85.0, 0.0, 60.0, 20.0), 4, 5)];
        let joined = join_text(shared, &settings);
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0].span(), FrameSpan::new(0, 9));
        let kept = Decision::Keep { reason: "logo".into(), automatic: false };
        let mixed = vec![
            part(word(0.0, 0.0, 80.0, 20.0), 0, 5),
            MaskTrack { decision: kept, ..part(word(85.0, 0.0, 60.0, 20.0), 0, 5) },
        ];
        assert_eq!(join_text(mixed, &settings).len(), 2, "what is kept is never joined to what is masked");
    }
}
