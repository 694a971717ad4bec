//! From a track to the mask that hides it: margins, holds, what to do with weak and with lost tracks.

use serde::{Deserialize, Serialize};

use super::by_time::ByTime;
use super::rivals::{is_around_a_surer_one, points_before, without_what_was_taken_over};
use crate::types::detection::Class;
use crate::types::finding::Rule;
use crate::types::geometry::{Margins, Point, Quad, Rect, Size};
use crate::types::plan::{Decision, Shape};
use crate::types::progress::beat;
use crate::types::time::{FrameIndex, FrameSpan, FrameTimes};
use crate::types::track::{Origin, Track, TrackEdge, TrackPoint};

/// What happens when a track ends in the middle of the picture without a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLost {
    /// The area where it may be stays masked and grows.
    #[default]
    Hold,
    /// The whole picture is masked.
    Blank,
}

/// When a track is masked without being asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceptance {
    /// A track with a detection of this score is masked, however short.
    pub lone_score: f32,
    /// A track with this many detections is masked, however weak.
    pub min_detections: usize,
    /// Faces: the best score of a thorough look, or the mean of all of them. True faces that are seen weakly are seen
    /// again and again; false ones come and go.
    pub face_best: f32,
    pub face_mean: f32,
    /// Least best score of a face that looks and glances found in so many frames: one at the edge of the picture, say.
    pub face_often: f32,
    pub often: usize,
    /// Score of a face that was gone before a thorough look could see it.
    pub face_glance: f32,
    /// The same as `face_best` and `face_often` for heads that the picture's edge cuts: half a face is seen weakly, but
    /// known by whoever knows it.
    pub cut_best: f32,
    pub cut_often: f32,
}

/// Settings of the policy. Shares are of the object's own sides, times are seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicySettings {
    /// Growth of heads as found.
    pub face_margins: Margins,
    /// Further growth on all sides of heads that no thorough look was sure of (less for the surer ones), whose places
    /// are less exact, and of heads that fill half of the picture's longer side, whose boxes are the tightest.
    pub doubt_margin: f32,
    pub large_margin: f32,
    pub face_shape: Shape,
    /// Padding of text on all sides, as a share of the line's height, and at least in pixels.
    pub text_pad: f32,
    pub text_pad_px: f32,
    /// Further growth of every mask on all sides, as a share of its sides.
    pub margin: f32,
    /// Documents, codes: padding of all sides as a share of the shorter side, of each side.
    pub other_margin: f32,
    /// Largest gap between parts of one line that are joined, in heights of the padded line; 0 joins none.
    pub line_gap: f32,
    /// Largest gap between lines of one block that are joined, in heights; `None` joins no lines.
    pub block_gap: Option<f32>,
    pub hold_before_secs: f64,
    pub hold_after_secs: f64,
    /// All but faces: frames around the detections of an object in which it is masked at least. What comes or goes
    /// between two frames in which it is looked for may be there all the time between, even where it can't be followed.
    pub hold_frames: u64,
    /// Growth of a held mask per second on each side.
    pub hold_growth_per_sec: f32,
    pub on_lost: OnLost,
    /// Captions are spared, see [`super::captions`].
    pub keep_captions: bool,
    /// How long a lost, established track is held or blanked; `None`: until it is found again or the scene ends, as far
    /// as it is known.
    pub lost_secs: Option<f64>,
    pub acceptance: Acceptance,
    /// Tracks whose best score is lower go on the review list.
    pub review_score: f32,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            // Quads of faces hold the whole head already; places between detections are less sure than detections.
            face_margins: Margins::even(0.03),
            doubt_margin: 0.09,
            large_margin: 0.05,
            face_shape: Shape::Head,
            text_pad: 0.15,
            text_pad_px: 2.0,
            margin: 0.0,
            other_margin: 0.08,
            line_gap: 0.8,
            block_gap: None,
            hold_before_secs: 0.5,
            hold_after_secs: 0.5,
            hold_frames: 0,
            hold_growth_per_sec: 0.6,
            on_lost: OnLost::Hold,
            keep_captions: false,
            lost_secs: Some(1.0),
            acceptance: Acceptance {
                lone_score: 0.4,
                min_detections: 3,
                face_best: 0.4,
                face_mean: 0.25,
                face_often: 0.4,
                often: 5,
                face_glance: 0.3,
                cut_best: 0.2,
                cut_often: 0.3,
            },
            review_score: 0.6,
        }
    }
}

/// What the plan needs to know of the clip.
#[derive(Clone, Copy, Debug)]
pub struct Clip<'a> {
    pub display: Size,
    pub times: FrameTimes<'a>,
}

/// Mask of one object in one frame; display space, grown to its full size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskFrame {
    pub quad: Quad,
    pub origin: Origin,
    pub score: f32,
}

/// Something that a reviewer should look at, before the region has its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub rule: Rule,
    pub frame: FrameIndex,
    pub message: String,
    pub bounds: Rect,
    /// Higher is looked at first.
    pub risk: f32,
}

/// Mask of one object through time: one entry a frame from `start` on.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskTrack {
    pub class: Class,
    pub decision: Decision,
    pub shape: Shape,
    pub start: FrameIndex,
    pub frames: Vec<MaskFrame>,
    pub notes: Vec<Note>,
}

impl MaskTrack {
    pub fn span(&self) -> FrameSpan {
        FrameSpan::new(self.start, self.start + self.frames.len() as u64)
    }

    pub fn at(&self, frame: FrameIndex) -> Option<&MaskFrame> {
        self.frames.get(usize::try_from(frame.checked_sub(self.start)?).ok()?)
    }
}

/// The mask's full size for an object as found.
pub fn grown(class: Class, quad: &Quad, settings: &PolicySettings) -> Quad {
    let own = match class {
        Class::Face => quad.grown(settings.face_margins),
        Class::Text => quad.inflated((settings.text_pad * quad.height().min(quad.width())).max(settings.text_pad_px)),
        // What is hidden on a document is often long and low.
        Class::Document => quad.inflated(settings.other_margin * quad.height().min(quad.width())),
        Class::Code => quad.grown(Margins::even(settings.other_margin)),
        Class::Region => *quad,
    };
    if settings.margin > 0.0 { own.grown(Margins::even(settings.margin)) } else { own }
}

/// Sizes of heads, as shares of the picture's longer side, between which [`PolicySettings::large_margin`] sets in.
const LARGE: (f32, f32) = (0.3, 0.5);

/// The settings for one track of a clip: how far its heads grow.
fn settings_for(track: &Track, clip: &Clip, settings: &PolicySettings) -> PolicySettings {
    if track.class != Class::Face || clip.times.count() == 1 {
        return *settings;
    }
    let largest = track.points.iter().map(|p| p.quad.area()).fold(0.0, f32::max).sqrt();
    let size = largest / clip.display.long_side().max(1) as f32;
    let large = ((size - LARGE.0) / (LARGE.1 - LARGE.0)).clamp(0.0, 1.0) * settings.large_margin;
    let more = large + settings.doubt_margin * (1.0 - track.looks.mean()).clamp(0.0, 1.0);
    let Margins { left, top, right, bottom } = settings.face_margins;
    let face_margins = Margins { left: left + more, top: top + more, right: right + more, bottom: bottom + more };
    PolicySettings { face_margins, ..*settings }
}

/// Best score and number of a track's detections.
fn evidence(track: &Track) -> (f32, usize) {
    track.detected().fold((0.0, 0), |(best, n), p| (p.score.max(best), n + 1))
}

/// Whether a track of a clip is masked without being asked about. A photo has no second look, so there all is masked.
fn is_established(track: &Track, clip: &Clip, acceptance: &Acceptance) -> bool {
    let (best, count) = evidence(track);
    if track.class != Class::Face {
        return best >= acceptance.lone_score || count >= acceptance.min_detections;
    }
    let looks = track.looks;
    let (least_best, least_often) = if is_cut(track, clip) {
        (acceptance.cut_best, acceptance.cut_often)
    } else {
        (acceptance.face_best, acceptance.face_often)
    };
    let is_steady = looks.count >= 2 && looks.mean() >= acceptance.face_mean;
    let is_sure = weighed(looks.best, track, clip, DEAR) >= least_best;
    let is_frequent = count >= acceptance.often && weighed(best, track, clip, DEAR_IF_FREQUENT) >= least_often;
    is_sure || is_steady || is_frequent || looks.count == 0 && best >= acceptance.face_glance
}

/// Whether the picture's edge cuts a head in half of the frames in which it was found, or in more.
fn is_cut(track: &Track, clip: &Clip) -> bool {
    let (width, height) = (clip.display.width as f32, clip.display.height as f32);
    let reaches_out = |p: &&TrackPoint| {
        let b = p.quad.bounds();
        b.x < 0.0 || b.y < 0.0 || b.x + b.width > width || b.y + b.height > height
    };
    2 * track.detected().filter(reaches_out).count() >= track.detected().count().max(1)
}

/// What masks cost: a head that takes more than this share of the picture has to be surer, by so many log odds for each
/// factor e, and one that takes less may be less sure.
#[derive(Clone, Copy)]
struct Dearness {
    share: f32,
    above: f32,
    below: f32,
}

/// A head that one look was sure of, and others were not. Below this share the looks themselves ask for more evidence the
/// larger a head is.
const DEAR: Dearness = Dearness { share: 0.027, above: 0.6, below: 0.0 };
/// A head that was found again and again. On 84 clips made of annotated photos (27245 face-frames), without the allowance
/// for small heads 460 face-frames leak and 15.7 % of the area beside faces is masked, with it 303 and 16.6 %.
const DEAR_IF_FREQUENT: Dearness = Dearness { share: 0.07, above: 0.3, below: 0.4 };
/// Heads smaller than this share need no less evidence for it.
const LEAST_SHARE: f32 = 0.005;

/// A score, weighed against what a mask would hide if several looks could have seen the head.
fn weighed(score: f32, track: &Track, clip: &Clip, dear: Dearness) -> f32 {
    let middle = track.points.get(track.points.len() / 2);
    let share = middle.map_or(0.0, |p| p.quad.area() / clip.display.pixels().max(1) as f32);
    let slope = if share > dear.share { dear.above } else { dear.below };
    if track.looks.count < 2 || score <= 0.0 || slope == 0.0 {
        return score;
    }
    let odds = score / (1.0 - score).max(1e-3) * (share.max(LEAST_SHARE) / dear.share).powf(-slope);
    odds / (1.0 + odds)
}

/// Masks of the tracks of one scene: one for each, and one of the whole picture for each span that is blanked.
pub fn mask_tracks(tracks: &[Track], clip: &Clip, settings: &PolicySettings) -> Vec<MaskTrack> {
    let is_photo = clip.times.count() == 1;
    let all = by_time(tracks.iter());
    let is_accepted = |track: &Track| {
        beat();
        let is_convincing = || is_established(track, clip, &settings.acceptance) && !is_around_a_surer_one(track, &all);
        // Its other parts may be what makes it sure.
        is_photo || track.is_part() || is_convincing()
    };
    let accepted: Vec<bool> = tracks.iter().map(is_accepted).collect();
    let told: Vec<(&Track, bool)> = tracks.iter().zip(accepted.iter().copied()).collect();
    let told = ByTime::new(told.iter().map(|told| (told.0.span(), told)));
    let mut tracks = without_what_was_taken_over(tracks, &accepted, clip);
    for (track, _) in tracks.iter_mut().zip(&accepted).filter(|(_, accepted)| **accepted) {
        let before = points_before(track, &told, clip);
        if !before.is_empty() {
            track.to_mut().points.splice(0..0, before);
        }
    }
    // What is not masked takes nothing over.
    let tracks: Vec<&Track> = tracks.iter().map(AsRef::as_ref).collect();
    let masked = by_time(tracks.iter().zip(&accepted).filter(|(_, accepted)| **accepted).map(|t| *t.0));
    let mut masks = Vec::with_capacity(tracks.len());
    for (&track, &accepted) in tracks.iter().zip(&accepted).filter(|(t, _)| !t.points.is_empty()) {
        beat();
        let settings = &settings_for(track, clip, settings);
        let (best, count) = evidence(track);
        let mut mask = MaskTrack {
            class: track.class,
            decision: Decision::Redact,
            shape: if track.class == Class::Face { settings.face_shape } else { Shape::Quad },
            start: track.span().start,
            frames: track
                .points
                .iter()
                .map(|p| MaskFrame { quad: grown(track.class, &p.quad, settings), origin: p.origin, score: p.score })
                .collect(),
            notes: Vec::new(),
        };
        if !accepted {
            let is_rival = is_established(track, clip, &settings.acceptance);
            let around = if is_rival { ", around a surer head" } else { "" };
            let frames = if count == 1 { "frame" } else { "frames" };
            let reason = format!("weak: best score {best:.2}, found in {count} {frames}{around}");
            mask.notes.push(note(Rule::WeakTrack, &mask, mask.start, format!("not masked, {reason}"), 1.0 - best));
            mask.decision = Decision::Keep { reason, automatic: true };
            masks.push(mask);
            continue;
        }
        if best < settings.review_score && !track.is_part() {
            let message = format!("masked on weak evidence: best score {best:.2}, found in {count} frames");
            mask.notes.push(note(Rule::WeakTrack, &mask, mask.start, message, 0.5 * (1.0 - best)));
        }
        let lost = lose(track, &masked, clip, settings, &mut mask);
        hold(track, lost, clip, settings, &mut mask);
        if settings.on_lost == OnLost::Blank {
            masks.extend(lost.and_then(|end| blank(track, end, clip, settings)));
        }
        masks.push(mask);
    }
    masks
}

fn by_time<'a>(tracks: impl Iterator<Item = &'a Track>) -> ByTime<'a, Track> {
    ByTime::new(tracks.map(|track| (track.span(), track)))
}

fn note(rule: Rule, mask: &MaskTrack, frame: FrameIndex, message: String, risk: f32) -> Note {
    let bounds = mask.at(frame).or(mask.frames.last()).map_or(Rect::default(), |f| f.quad.bounds());
    Note { rule, frame, message, bounds, risk }
}

/// Notes where a masked track appears or ends in the middle of the picture, and tells until which frame a lost one may be
/// there unseen; `None` when it is not lost.
fn lose(
    track: &Track,
    masked: &ByTime<Track>,
    clip: &Clip,
    settings: &PolicySettings,
    mask: &mut MaskTrack,
) -> Option<FrameIndex> {
    let span = track.span();
    let (_, detections) = evidence(track);
    // Text does not turn away.
    if track.class != Class::Face {
        return None;
    }
    let risk = 1.0 + (detections.max(1) as f32).ln();
    let is_elsewhere = |frame| is_seen_elsewhere(track, masked, frame);
    if track.start == TrackEdge::Lost && !is_elsewhere(span.start.checked_sub(1)) {
        mask.notes.push(note(Rule::LostTrack, mask, span.start, "appears in mid-picture without a cut".into(), risk));
    }
    if track.end != TrackEdge::Lost || is_elsewhere(Some(span.end)) {
        return None;
    }
    let until = |f: FrameIndex| settings.lost_secs.is_none_or(|s| clip.times.gap_secs(span.end - 1, f) <= s);
    let mut end = span.end;
    while end < track.scene.end && until(end) && !is_elsewhere(Some(end)) {
        end += 1;
    }
    mask.notes.push(note(Rule::LostTrack, mask, span.end - 1, "lost in mid-picture without a cut".into(), risk));
    Some(end)
}

/// Whether another masked track of the class takes over at `frame`, near where this one begins or ends. A neighbour that is
/// there at the same time as this one is somebody else.
fn is_seen_elsewhere(track: &Track, masked: &ByTime<Track>, frame: Option<FrameIndex>) -> bool {
    let Some(frame) = frame else { return false };
    let Some((first, last)) = track.points.first().zip(track.points.last()) else { return false };
    let near = if frame < first.frame { first } else { last };
    let area = near.quad.grown(Margins::even(0.5));
    masked.at(frame).any(|t| {
        t.class == track.class
            && !std::ptr::eq(t, track)
            && t.at(frame).is_some_and(|p| area.contains(p.quad.center()))
            && t.at(near.frame).is_none_or(|p| p.quad.iou(&near.quad) > 0.3)
    })
}

/// Lengthens the mask to both sides, growing; `lost` is the end (not in it) of a longer hold.
fn hold(track: &Track, lost: Option<FrameIndex>, clip: &Clip, settings: &PolicySettings, mask: &mut MaskTrack) {
    let (first, last) = (track.points[0].frame, track.span().end - 1);
    let least = if track.class == Class::Face { 0 } else { settings.hold_frames };
    let seen = |p: Option<&TrackPoint>| p.map(|p| p.frame);
    let first_seen = seen(track.detected().next()).unwrap_or(first);
    let last_seen = seen(track.detected().next_back()).unwrap_or(last);
    // Where another masked track takes over, that one's mask is there.
    let hold_after_secs = if track.end == TrackEdge::Joined { 0.0 } else { settings.hold_after_secs };
    let mut before = Vec::new();
    for f in (track.scene.start..first).rev() {
        let away = clip.times.gap_secs(f, first);
        if away > settings.hold_before_secs && first_seen - f > least {
            break;
        }
        before.push(held(track, away, true, clip, settings));
    }
    mask.start = first - before.len() as u64;
    before.reverse();
    mask.frames.splice(0..0, before);
    for f in last + 1..track.scene.end {
        let away = clip.times.gap_secs(last, f);
        if away > hold_after_secs && f - last_seen > least && lost.is_none_or(|end| f >= end) {
            break;
        }
        mask.frames.push(held(track, away, false, clip, settings));
    }
}

/// Growth of a held mask on each side at most: one and a half times its size.
const MOST_HOLD_GROWTH: f32 = 0.25;

/// Mask `away` seconds before the first or after the last point: it grows, and covers where the object gets to if it
/// keeps its motion.
fn held(track: &Track, away: f64, before: bool, clip: &Clip, settings: &PolicySettings) -> MaskFrame {
    let points = &track.points;
    let near = points.len().min(5) - 1;
    let (edge, inner) = if before {
        (&points[0], &points[near])
    } else {
        (&points[points.len() - 1], &points[points.len() - 1 - near])
    };
    let gap = clip.times.gap_secs(inner.frame, edge.frame).abs();
    let (a, b) = (edge.quad.center(), inner.quad.center());
    let rate = if gap > 0.0 { (away / gap) as f32 } else { 0.0 };
    // Never further than its own size: beyond, the motion is a guess.
    let way = a.distance(b) * rate;
    let side = edge.quad.area().sqrt();
    let rate = if way > side { rate * side / way } else { rate };
    let (dx, dy) = ((a.x - b.x) * rate, (a.y - b.y) * rate);
    // Growth has an end: the whole picture is `blank`'s work.
    let growth = (settings.hold_growth_per_sec * away as f32).min(MOST_HOLD_GROWTH);
    let stays = grown(track.class, &edge.quad.grown(Margins::even(growth)), settings);
    let goes = stays.map(|p| Point::new(p.x + dx, p.y + dy));
    let corners: Vec<Point> = stays.corners.iter().chain(&goes.corners).copied().collect();
    MaskFrame { quad: Quad::around(&corners, stays.angle_rad()), origin: Origin::Extended, score: 0.0 }
}

/// The whole picture, from the end of the ordinary hold on to `end`.
fn blank(track: &Track, end: FrameIndex, clip: &Clip, settings: &PolicySettings) -> Option<MaskTrack> {
    let last = track.span().end - 1;
    let start = (last + 1..end).find(|&f| clip.times.gap_secs(last, f) > settings.hold_after_secs)?;
    let quad = Quad::from(Rect::new(0.0, 0.0, clip.display.width as f32, clip.display.height as f32));
    let frame = MaskFrame { quad, origin: Origin::Extended, score: 0.0 };
    let frames = vec![frame; (end - start) as usize];
    let decision = Decision::Redact;
    Some(MaskTrack { class: track.class, decision, shape: Shape::Quad, start, frames, notes: Vec::new() })
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
