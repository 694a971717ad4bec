//! Tracks that claim what a surer track has: they mask much and hide nobody.
//!
//! Networks see a face on the scale of a whole person now and then: a giant head around a true one, found weakly. And a
//! head that turns can be found again as another track, while the old one is still followed by its looks beside it.

use std::borrow::Cow;

use super::by_time::ByTime;
use super::policy::Clip;
use crate::types::detection::Class;
use crate::types::time::FrameIndex;
use crate::types::track::{Origin, Track, TrackEdge, TrackPoint};

/// Mean score of its looks from which a track is sure, and how much weaker one around it must be to be doubted.
const SURE: f32 = 0.5;
const WEAKER_BY: f32 = 0.25;
/// Times the area of the surer head that the doubted one has at least: smaller ones are two people, one before the other.
const LARGER: f32 = 2.0;
/// Share of its sides within which the surer head's centre lies.
const CORE: f32 = 0.75;
/// Share of the frames in which it is followed or found that this must hold for.
const MOST: f32 = 0.7;
/// A track that is first found not later than this behind a detection of another one, not farther from there than so many
/// sides (and so many more a second), and not larger or smaller than by this factor, has the same head.
const SOON_SECS: f64 = 1.0;
const NEAR: f32 = 0.5;
const FARTHER_PER_SEC: f32 = 0.5;
const ALIKE: f32 = 2.0;

/// Whether a weak track stands around the head of a surer one most of its time.
pub fn is_around_a_surer_one(track: &Track, all: &ByTime<Track>) -> bool {
    if track.class != Class::Face {
        return false;
    }
    let mean = track.looks.mean();
    let is_surer = |other: &&Track| {
        other.class == Class::Face && other.looks.mean() >= SURE && other.looks.mean() >= mean + WEAKER_BY
    };
    let surer: Vec<&Track> = all.during(track.span()).into_iter().filter(is_surer).collect();
    let has_one_inside = |point: &&TrackPoint| {
        let core = point.quad.core(CORE);
        let inside = |p: &TrackPoint| core.contains(p.quad.center()) && point.quad.area() >= LARGER * p.quad.area();
        surer.iter().any(|other| other.at(point.frame).is_some_and(inside))
    };
    track.points.iter().filter(has_one_inside).count() as f32 >= MOST * track.points.len() as f32
}

/// The tracks without what they were followed to behind their last detection once another, masked track, that was not
/// there before, has been found near that place. `masked` tells for each track whether it is.
pub fn without_what_was_taken_over<'a>(tracks: &'a [Track], masked: &[bool], clip: &Clip) -> Vec<Cow<'a, Track>> {
    let takers = Takers::new(tracks.iter().zip(masked).filter(|(_, masked)| **masked).map(|t| t.0));
    let settled = |track: &'a Track| match takers.frame_of_taking(track, clip) {
        None => Cow::Borrowed(track),
        Some(frame) => {
            let points = track.points.iter().filter(|p| p.frame <= frame).cloned().collect();
            Cow::Owned(Track { points, end: TrackEdge::Joined, ..*track })
        }
    };
    tracks.iter().map(settled).collect()
}

/// Longest time that a masked track is followed back along another one; as long as the tracker follows one by its looks.
const BACK_SECS: f64 = 2.0;
/// Overlap of the places at which one track ends to be followed back and another one has it.
const SAME_PLACE: f32 = 0.3;

/// The points before those of a masked track, where the tracker stopped to follow it back because another track was there
/// already, but none of these is masked: without them its head would be bare there. `told`: all tracks, and whether each is
/// masked.
pub fn points_before(track: &Track, told: &ByTime<(&Track, bool)>, clip: &Clip) -> Vec<TrackPoint> {
    let Some(first) = track.points.first().filter(|_| track.start == TrackEdge::Joined) else { return vec![] };
    let Some(before) = first.frame.checked_sub(1) else { return vec![] };
    let overlap = |t: &Track| t.at(before).map_or(0.0, |p| p.quad.iou(&first.quad));
    let of_class = told.at(before).filter(|(t, _)| t.class == track.class);
    let there: Vec<(&Track, bool, f32)> =
        of_class.map(|(t, masked)| (*t, *masked, overlap(t))).filter(|there| there.2 >= SAME_PLACE).collect();
    let best = there.iter().max_by(|a, b| a.2.total_cmp(&b.2));
    let Some((other, ..)) = best.filter(|_| there.iter().all(|(_, masked, _)| !masked)) else { return vec![] };
    let is_before = |p: &&TrackPoint| p.frame < first.frame && clip.times.gap_secs(p.frame, first.frame) <= BACK_SECS;
    // What was found there was not found to be this head.
    let followed = |p: &TrackPoint| TrackPoint { origin: Origin::Extended, ..p.clone() };
    other.points.iter().filter(is_before).map(followed).collect()
}

/// Where masked heads were first found, by frame.
struct Takers<'a>(Vec<&'a TrackPoint>);

impl<'a> Takers<'a> {
    fn new(masked: impl Iterator<Item = &'a Track>) -> Self {
        let heads = masked.filter(|t| t.class == Class::Face);
        let mut firsts: Vec<&TrackPoint> = heads.filter_map(|t| t.detected().next()).collect();
        firsts.sort_by_key(|p| p.frame);
        Self(firsts)
    }

    /// The frame from which on another track has the head of this one: first found there soon after this one was found
    /// near by, while this one was found once more at most.
    fn frame_of_taking(&self, track: &Track, clip: &Clip) -> Option<FrameIndex> {
        // Of what goes on in another part nobody knows how often it is found there.
        if track.class != Class::Face || track.end == TrackEdge::Divided {
            return None;
        }
        let found: Vec<&TrackPoint> = track.detected().collect();
        let last = found.last()?.frame;
        let once_before = found[found.len().saturating_sub(2)].frame;
        let secs = |p: &TrackPoint, to: FrameIndex| clip.times.gap_secs(p.frame, to);
        let takes = |first: &&&TrackPoint| {
            let is_near = |p: &TrackPoint| {
                let (side, other_side) = (p.quad.area().sqrt(), first.quad.area().sqrt());
                let is_alike = other_side <= side * ALIKE && side <= other_side * ALIKE;
                let reach = side * (NEAR + FARTHER_PER_SEC * secs(p, first.frame) as f32);
                is_alike && p.quad.center().distance(first.quad.center()) <= reach
            };
            let before = found.partition_point(|p| p.frame < first.frame);
            found[..before].iter().rev().take_while(|p| secs(p, first.frame) <= SOON_SECS).any(|p| is_near(p))
        };
        let from = self.0.partition_point(|first| first.frame <= once_before);
        let soon = self.0[from..].iter().take_while(|first| clip.times.gap_secs(last, first.frame) <= SOON_SECS);
        soon.filter(takes).map(|first| first.frame.max(last)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{DISPLAY, pts, times, track};
    use crate::types::geometry::{Quad, Rect};
    use crate::types::time::FrameSpan;
    use crate::types::track::Looks;

    const SCENE: FrameSpan = FrameSpan::new(0, 200);

    fn head(start: FrameIndex, frames: usize, place: Rect, mean: f32) -> Track {
        let looks = Looks { count: 4, best: mean, sum: 4.0 * mean };
        Track { looks, ..track(Class::Face, start, &vec![Quad::from(place); frames], mean, SCENE) }
    }

    #[test]
    fn weak_giants_around_surer_heads() {
        let sure = head(0, 20, Rect::new(400.0, 300.0, 100.0, 130.0), 0.9);
        let giant = Rect::new(250.0, 150.0, 400.0, 450.0);
        // Name, the doubted one, the other, whether it is a rival.
        for (name, doubted, other, expected) in [
            ("weak and around", head(0, 20, giant, 0.3), &sure, true),
            ("nearly as sure", head(0, 20, giant, 0.7), &sure, false),
            (
                "the other is weak too",
                head(0, 20, giant, 0.1),
                &head(0, 20, Rect::new(400.0, 300.0, 100.0, 130.0), 0.4),
                false,
            ),
            ("hardly larger", head(0, 20, Rect::new(390.0, 290.0, 120.0, 150.0), 0.3), &sure, false),
            ("the other at its rim", head(0, 20, Rect::new(0.0, 150.0, 450.0, 450.0), 0.3), &sure, false),
            ("mostly at another time", head(15, 40, giant, 0.3), &sure, false),
        ] {
            let all = [doubted, other.clone()];
            let by_time = ByTime::new(all.iter().map(|t| (t.span(), t)));
            assert_eq!(is_around_a_surer_one(&all[0], &by_time), expected, "{name}");
        }
    }

    #[test]
    fn a_head_that_is_found_again_ends_the_old_track() {
        let pts = pts(200);
        let clip = Clip { display: DISPLAY, times: times(&pts) };
        let place = Rect::new(400.0, 300.0, 100.0, 130.0);
        // Found in frames 0 to 19, followed for thirty more.
        let mut old = head(0, 50, place, 0.9);
        old.points[20..].iter_mut().for_each(|p| p.origin = Origin::Extended);
        let beside = Rect::new(420.0, 310.0, 110.0, 140.0);
        let part = Track { end: TrackEdge::Divided, ..old.clone() };
        let tracks = [part, head(24, 40, beside, 0.9)];
        let settled = without_what_was_taken_over(&tracks, &[true, true], &clip);
        assert_eq!(settled[0].points.len(), 50, "it goes on, and may be found there");
        // Name, first frame and place of the other track, whether it is masked, frames that are left.
        for (name, start, other, is_masked, left) in [
            ("found there again", 24, beside, true, 25),
            ("far away", 24, Rect::new(620.0, 310.0, 110.0, 140.0), true, 50),
            ("of another size", 24, Rect::new(300.0, 200.0, 300.0, 330.0), true, 50),
            ("there all the time", 0, beside, true, 50),
            ("too late", 46, place, true, 50),
            ("not masked itself", 24, beside, false, 50),
        ] {
            let tracks = [old.clone(), head(start, 40, other, 0.9)];
            let settled = without_what_was_taken_over(&tracks, &[true, is_masked], &clip);
            assert_eq!(settled[0].points.len(), left, "{name}");
            assert_eq!(settled[0].end == TrackEdge::Joined, left < 50, "{name}");
        }
    }

    fn points_of(track: &Track, tracks: &[Track], masked: &[bool], clip: &Clip) -> Vec<TrackPoint> {
        let told: Vec<(&Track, bool)> = tracks.iter().zip(masked.iter().copied()).collect();
        points_before(track, &ByTime::new(told.iter().map(|told| (told.0.span(), told))), clip)
    }

    #[test]
    fn a_track_that_joined_one_that_is_not_masked_has_its_frames_too() {
        let pts = pts(200);
        let clip = Clip { display: DISPLAY, times: times(&pts) };
        let place = Rect::new(400.0, 300.0, 100.0, 130.0);
        let beside = Rect::new(420.0, 310.0, 110.0, 140.0);
        let joined = Track { start: TrackEdge::Joined, ..head(60, 40, place, 0.9) };
        // Name, the masked track, first frame and place of the one that was there, whether it is masked, frames.
        for (name, track, start, other, is_masked, frames) in [
            ("nobody hides it there", &joined, 40, beside, false, 40..60),
            ("not for ever", &joined, 0, beside, false, 10..60),
            ("hidden there", &joined, 40, beside, true, 0..0),
            ("elsewhere", &joined, 40, Rect::new(620.0, 310.0, 110.0, 140.0), false, 0..0),
            ("not followed to another one", &head(60, 40, place, 0.9), 40, beside, false, 0..0),
        ] {
            let tracks = [track.clone(), head(start, 80, other, 0.2)];
            let before = points_of(track, &tracks, &[true, is_masked], &clip);
            assert!(before.iter().map(|p| p.frame).eq(frames), "{name}");
            assert!(before.iter().all(|p| p.origin == Origin::Extended), "{name}");
        }
        // Of two that are there it is enough that one is masked.
        let tracks = [joined.clone(), head(40, 50, beside, 0.2), head(40, 50, place, 0.9)];
        assert!(points_of(&joined, &tracks, &[true, false, true], &clip).is_empty());
    }
}
