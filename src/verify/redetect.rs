//! Searching the finished picture again: in which frames, and what a hit means.
//!
//! Pure logic: the pipeline decodes, lets detectors look that redaction did not use, hands their hits in and acts on the
//! verdicts. All coordinates are display space.

use crate::types::detection::{Class, Detection};
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad, Size};
use crate::types::time::{FrameIndex, FrameSpan};

/// Points per side at which a hit's area is probed.
const PROBES: usize = 12;
/// Share of a hit that must be masked, or of one colour, to be a shadow of a mask.
const MASKED_SHARE: f32 = 0.85;
/// Share of a hit inside of a kept region that makes it the kept object.
const KEPT_SHARE: f32 = 0.5;
/// Levels by which samples of a constant fill differ after lossy coding.
const FLAT_LEVELS: u8 = 6;
/// Two hits are one object from here on.
const SAME_IOU: f32 = 0.4;
/// Share of a hit that was filled in from around a mask from which it leans on that.
const FILLED_SHARE: f32 = 0.1;
/// Share of a hit on which a second network must see text, too.
const SECONDED_SHARE: f32 = 0.25;

/// What is known of a clip before it is searched.
#[derive(Clone, Debug, Default)]
pub struct Timeline<'a> {
    /// Frames in the clip.
    pub count: u64,
    pub key_frames: &'a [FrameIndex],
    pub cuts: &'a [FrameIndex],
    /// Spans in which masks stand.
    pub masks: &'a [FrameSpan],
}

/// Frames to search again, ascending: the first and last, cuts, starts and ends of masks with a frame to either side,
/// key frames, and every `stride`-th frame.
///
/// No more than `max_share` of all frames (at least 10). When there are too many, the kinds named first win, and within
/// a kind frames are left out evenly.
pub fn frames_to_search(timeline: &Timeline<'_>, stride: u64, max_share: f64) -> Vec<FrameIndex> {
    let count = timeline.count;
    let budget = ((count as f64 * max_share.clamp(0.0, 1.0)).ceil() as usize).max(10);
    let around = |f: FrameIndex| [f.saturating_sub(1), f, f.saturating_add(1)];
    let ends = timeline.masks.iter().filter(|s| !s.is_empty()).flat_map(|s| [s.start, s.end - 1]).flat_map(around);
    let kinds: [Vec<FrameIndex>; 4] = [
        [0, count.saturating_sub(1)].into_iter().chain(timeline.cuts.iter().copied()).collect(),
        ends.collect(),
        timeline.key_frames.to_vec(),
        (0..count).step_by(stride.max(1) as usize).collect(),
    ];
    let mut chosen = std::collections::BTreeSet::new();
    for mut kind in kinds {
        kind.retain(|f| *f < count && !chosen.contains(f));
        kind.sort_unstable();
        kind.dedup();
        let room = budget.saturating_sub(chosen.len());
        if kind.len() <= room {
            chosen.extend(kind);
        } else {
            chosen.extend((0..room).map(|i| kind[i * kind.len() / room]));
        }
    }
    chosen.into_iter().collect()
}

/// Scores that decide about hits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// From here on a hit is masked and the file rendered again.
    pub mask_face: f32,
    pub mask_text: f32,
    /// Below it a hit is noise and not even told.
    pub look: f32,
}

impl Thresholds {
    fn mask(&self, class: Class) -> f32 {
        if class == Class::Text { self.mask_text } else { self.mask_face }
    }

    /// Whether a hit is confident: such are masked.
    pub fn is_sure(&self, hit: &Detection) -> bool {
        hit.score >= self.mask(hit.class)
    }
}

/// What the plan says about one frame; display space.
#[derive(Clone, Debug, Default)]
pub struct FrameContext<'a> {
    pub frame: FrameIndex,
    pub time_secs: f64,
    /// Masks that stand here.
    pub masks: &'a [Quad],
    /// Regions that the operator spared: id, class, place.
    pub keeps: &'a [(String, Class, Quad)],
}

/// What came of one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub frame: FrameIndex,
    /// Hits of all detectors, the same object counted once, shadows of masks and noise left out.
    pub hits: u64,
    /// Confident hits: to be masked.
    pub add: Vec<Detection>,
    /// Weaker hits to look at, and notes about kept regions that were seen.
    pub findings: Vec<Finding>,
}

/// Judges the hits of all detectors on a finished picture.
pub fn judge(picture: &Picture, hits: &[Detection], context: &FrameContext<'_>, thresholds: &Thresholds) -> Verdict {
    let mut verdict = Verdict { frame: context.frame, ..Verdict::default() };
    let mut seen: Vec<&Detection> = Vec::new();
    let mut hits: Vec<&Detection> = hits.iter().collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    for hit in hits {
        // A score that is no number is as bad as a sure one.
        let score = if hit.score.is_nan() { 1.0 } else { hit.score };
        if score < thresholds.look || !hit.quad.is_finite() || seen.iter().any(|s| same_object(s, hit)) {
            continue;
        }
        if is_masked(picture, &hit.quad, context.masks) {
            continue;
        }
        seen.push(hit);
        verdict.hits += 1;
        if let Some((id, ..)) = context.keeps.iter().find(|k| is_kept(hit, k)) {
            verdict.findings.push(
                told(hit, Severity::Note, "a region that was kept on request is visible", context, picture)
                    .of_region(id),
            );
        } else if score >= thresholds.mask(hit.class) {
            verdict.add.push(hit.clone());
        } else {
            let message = format!("perhaps still visible (score {score:.2})");
            verdict.findings.push(told(hit, Severity::Warning, &message, context, picture));
        }
    }
    verdict
}

/// Whether a confident hit is partly made of what was filled in from around masks: skin from beside a mask above a hand
/// makes a face that nobody sees, a lamp that fades into a mask makes a letter. `bare` is `shown` without its masks.
pub fn leans_on_filling(hit: &Detection, bare: &Picture, shown: &Picture, thresholds: &Thresholds) -> bool {
    let is_filled = |p| color_at(bare, p) != color_at(shown, p);
    thresholds.is_sure(hit) && share(&hit.quad, is_filled) >= FILLED_SHARE
}

/// Whether a confident hit on text is that of one network alone: among `second`, the hits of another one, is nothing,
/// however weak, in a part of the same place.
pub fn is_lone_text(hit: &Detection, second: &[Detection], thresholds: &Thresholds) -> bool {
    let is_seconded = |p| second.iter().any(|s| s.class == Class::Text && s.quad.contains(p));
    hit.class == Class::Text && thresholds.is_sure(hit) && share(&hit.quad, is_seconded) < SECONDED_SHARE
}

/// Makes hits that lean on filling a reason to look, no more, unless they are confident hits among `seen`, those in the
/// picture as it is shown.
pub fn doubt_filling(
    hits: &mut [Detection],
    seen: &[Detection],
    bare: &Picture,
    shown: &Picture,
    thresholds: &Thresholds,
) {
    let is_seen = |hit: &Detection| seen.iter().any(|s| thresholds.is_sure(s) && same_object(s, hit));
    for hit in hits.iter_mut().filter(|h| leans_on_filling(h, bare, shown, thresholds)) {
        if !is_seen(hit) {
            hit.score = thresholds.mask(hit.class).next_down();
        }
    }
}

fn display_size(picture: &Picture) -> Size {
    let display = |side: u32| (side as f32 * picture.display_from_picture).round() as u32;
    Size::new(display(picture.size.width), display(picture.size.height))
}

/// The finding that a hit on `picture` is. `message` goes on after "a face is " or "text is ".
pub fn told(
    hit: &Detection,
    severity: Severity,
    message: &str,
    context: &FrameContext<'_>,
    picture: &Picture,
) -> Finding {
    let (rule, what) = match hit.class {
        _ if severity == Severity::Note => (Rule::Kept, ""),
        Class::Face => (Rule::VisibleFace, "a face is "),
        _ => (Rule::VisibleText, "text is "),
    };
    // Boxes of heads at the edge reach beyond the picture.
    let bounds = hit.quad.bounds();
    Finding::new(rule, severity, format!("{what}{message}"))
        .at(context.frame, context.time_secs)
        .within(bounds.clipped(display_size(picture)).unwrap_or(bounds))
}

fn same_object(a: &Detection, b: &Detection) -> bool {
    a.class == b.class && a.quad.bounds().iou(b.quad.bounds()) >= SAME_IOU
}

fn share(quad: &Quad, inside: impl Fn(Point) -> bool) -> f32 {
    quad.share(PROBES, PROBES, inside)
}

fn is_kept(hit: &Detection, (_, class, quad): &(String, Class, Quad)) -> bool {
    (*class == hit.class || *class == Class::Region) && share(&hit.quad, |p| quad.contains(p)) >= KEPT_SHARE
}

/// Whether a hit is but the shadow of a mask: under one that is known, or an area of a single colour.
fn is_masked(picture: &Picture, quad: &Quad, masks: &[Quad]) -> bool {
    share(quad, |p| masks.iter().any(|m| m.contains(p))) >= MASKED_SHARE || is_flat(picture, quad)
}

/// Whether nearly all of the area has one colour: no face and no text does.
fn is_flat(picture: &Picture, quad: &Quad) -> bool {
    let colors: Vec<[u8; 3]> = quad.points(PROBES, PROBES).filter_map(|p| color_at(picture, p)).collect();
    if colors.is_empty() {
        return true;
    }
    let median: [u8; 3] = std::array::from_fn(|c| {
        let mut values: Vec<u8> = colors.iter().map(|color| color[c]).collect();
        values.sort_unstable();
        values[values.len() / 2]
    });
    let near = |color: &&[u8; 3]| (0..3).all(|c| color[c].abs_diff(median[c]) <= FLAT_LEVELS);
    // Twelve probes a side may step over the strokes of thin text, so here nearly every one must agree.
    colors.iter().filter(near).count() as f32 >= 0.98 * colors.len() as f32
}

/// Colour at a point of display space; `None` outside the picture.
fn color_at(picture: &Picture, p: Point) -> Option<[u8; 3]> {
    let (x, y) = (p.x / picture.display_from_picture, p.y / picture.display_from_picture);
    if x < 0.0 || y < 0.0 || x >= picture.size.width as f32 || y >= picture.size.height as f32 {
        return None;
    }
    let at = (y as usize * picture.size.width as usize + x as usize) * 3;
    picture.data.get(at..at + 3)?.try_into().ok()
}

/// A mask to add: one object through the frames in which it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedMask {
    pub class: Class,
    /// From the frame behind the last search that missed it to the frame before the next such, within its scene.
    pub span: FrameSpan,
    /// The hits, ascending by frame; the quads are as found, not grown.
    pub points: Vec<(FrameIndex, Quad, f32)>,
}

/// Joins the confident hits of all searched frames to masks through time.
///
/// `verdicts` has one entry for every frame that was searched, ascending. A hit belongs to a mask when the search before
/// found the same object in about the same place and no cut lies between.
pub fn masks_to_add(verdicts: &[Verdict], cuts: &[FrameIndex], count: u64) -> Vec<AddedMask> {
    let mut done = Vec::new();
    let mut open: Vec<AddedMask> = Vec::new();
    for (i, verdict) in verdicts.iter().enumerate() {
        let frame = verdict.frame;
        let scene_start = cuts.iter().copied().filter(|c| *c <= frame).max().unwrap_or(0);
        let before = i.checked_sub(1).map(|p| verdicts[p].frame);
        let start = before.map_or(0, |b| b + 1).max(scene_start);
        let scene_end = cuts.iter().copied().filter(|c| *c > frame).min().unwrap_or(count);
        let end = verdicts.get(i + 1).map_or(count, |n| n.frame).min(scene_end);
        let mut next = Vec::new();
        for hit in &verdict.add {
            let point = (frame, hit.quad, hit.score);
            let joins = |m: &AddedMask| {
                let last = m.points.last();
                m.class == hit.class
                    && m.span.end > scene_start
                    && last.is_some_and(|l| Some(l.0) == before && l.1.bounds().iou(hit.quad.bounds()) > 0.1)
            };
            match open.iter().position(joins) {
                Some(at) => {
                    let mut mask = open.swap_remove(at);
                    mask.points.push(point);
                    mask.span.end = end;
                    next.push(mask);
                }
                None => {
                    next.push(AddedMask { class: hit.class, span: FrameSpan::new(start, end), points: vec![point] })
                }
            }
        }
        done.append(&mut open);
        open = next;
    }
    done.append(&mut open);
    done.sort_by_key(|m| (m.span.start, m.span.end));
    done
}

#[cfg(test)]
#[path = "redetect_tests.rs"]
mod tests;
