//! From the tracks of scene after scene to the regions of the plan and its review list.

use std::collections::BTreeMap;

use super::captions::spare_captions;
use super::edit::{KeepRegion, OperatorRegion};
use super::file::brought_near;
use super::join::join_text;
use super::policy::{Clip, MaskFrame, MaskTrack, Note, PolicySettings, grown, mask_tracks};
use super::simplify::{Slack, simplify};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::detection::Class;
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::geometry::{Margins, Quad, Rect, Size};
use crate::types::plan::{Decision, Keyframe, RedactionPlan, Region, Shape};
use crate::types::progress::beat;
use crate::types::time::{FrameIndex, FrameSpan, FrameTimes, timecode};
use crate::types::track::{Origin, Track};

/// Share of a region's area inside a kept rectangle from which it is spared.
const KEPT_SHARE: f32 = 0.6;
/// Growth of a face as verification boxes it, from the brows to the mouth, to a head with room to move: it was seen in
/// few frames.
const SEEN_HEAD: Margins = Margins { left: 0.5, top: 0.7, right: 0.5, bottom: 0.5 };
/// Most entries of the review list.
const MAX_REVIEW: usize = 200;

/// A region without its final id, with what a reviewer should know of it.
struct Draft {
    region: Region,
    notes: Vec<(Note, f64)>,
}

/// Makes regions out of tracks; holds few keyframes a track, not its points.
pub struct RegionBuilder {
    settings: PolicySettings,
    display: Size,
    keeps: Vec<KeepRegion>,
    drafts: Vec<Draft>,
}

/// What was built.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// In the order of their first frames, with their ids.
    pub regions: Vec<Region>,
    /// What a reviewer should look at, worst first.
    pub review: Vec<Finding>,
}

impl RegionBuilder {
    /// `keeps`: a region is spared in a kept rectangle's time when its centre and 60 % of its area lie inside the
    /// rectangle in every frame of that time; before and after it is masked. What lies in it only partly stays masked.
    pub fn new(settings: PolicySettings, display: Size, keeps: Vec<KeepRegion>) -> Self {
        Self { settings, display, keeps, drafts: Vec::new() }
    }

    /// Adds the tracks of a scene, or of a part of one. `times` must reach to the scene's end, and to a frame behind it if
    /// there is one. `tone` is asked for the tone of each region.
    pub fn add_scene(&mut self, tracks: &[Track], times: FrameTimes, tone: impl Fn(&Region) -> u8) {
        let clip = Clip { display: self.display, times };
        let mut masks = mask_tracks(tracks, &clip, &self.settings);
        if self.settings.keep_captions {
            spare_captions(&mut masks, &clip);
        }
        let masks: Vec<MaskTrack> = masks.into_iter().flat_map(|m| self.spare(m, &times)).collect();
        for mask in join_text(masks, &self.settings) {
            beat();
            let mut draft = draft(near_picture(mask, self.display), &times);
            draft.region.tone = tone(&draft.region);
            self.drafts.push(draft);
        }
    }

    /// Adds a region that the operator named, in a tone.
    pub fn add_operator_region(&mut self, named: &OperatorRegion, tone: u8, times: FrameTimes) -> Result<()> {
        let region = Region { tone, ..operator_region(named, String::new(), self.display, times)? };
        self.drafts.push(Draft { region, notes: Vec::new() });
        Ok(())
    }

    /// Gives the ids (class letter and number, by first frame, then by place) and sorts the review list.
    pub fn finish(mut self) -> Built {
        // Whole pixels: rows are rows though rounding moves them a little.
        let place =
            |r: &Region| r.keyframes.first().map_or((0, 0), |k| (k.quad.center().y as i64, k.quad.center().x as i64));
        self.drafts.sort_by(|a, b| {
            let (p, q) = (place(&a.region), place(&b.region));
            let when = |r: &Region| (r.span.start, r.class, r.span.end);
            when(&a.region).cmp(&when(&b.region)).then(p.cmp(&q))
        });
        let mut counts: BTreeMap<Class, u64> = BTreeMap::new();
        let mut regions = Vec::with_capacity(self.drafts.len());
        let mut notes = Vec::new();
        for mut draft in self.drafts {
            let count = counts.entry(draft.region.class).or_default();
            *count += 1;
            draft.region.id = format!("{}{count}", draft.region.class.letter());
            notes.extend(draft.notes.into_iter().map(|(n, secs)| (n, secs, draft.region.id.clone())));
            regions.push(draft.region);
        }
        notes.sort_by(|a, b| b.0.risk.total_cmp(&a.0.risk).then(a.0.frame.cmp(&b.0.frame)).then(a.2.cmp(&b.2)));
        let review = notes.into_iter().take(MAX_REVIEW).map(|(n, secs, id)| finding(n, secs, id)).collect();
        Built { regions, review }
    }

    /// Splits a mask at the times of the kept rectangles that it lies in.
    fn spare(&self, mask: MaskTrack, times: &FrameTimes) -> Vec<MaskTrack> {
        let mut pieces = vec![mask];
        for keep in &self.keeps {
            let span = keep.region.span_within(times);
            pieces = pieces.into_iter().flat_map(|m| spare_in(m, keep, span)).collect();
        }
        pieces
    }
}

fn spare_in(mask: MaskTrack, keep: &KeepRegion, span: FrameSpan) -> Vec<MaskTrack> {
    let own = mask.span();
    let shared = FrameSpan::new(own.start.max(span.start), own.end.min(span.end));
    let rect = Quad::from(keep.region.rect);
    let inside = |f: FrameIndex| {
        mask.at(f).is_some_and(|m| {
            rect.contains(m.quad.center()) && rect.intersection_area(&m.quad) >= KEPT_SHARE * m.quad.area()
        })
    };
    if !mask.decision.is_redact() || shared.is_empty() || !(shared.start..shared.end).all(inside) {
        return vec![mask];
    }
    let piece = |from: FrameIndex, to: FrameIndex, decision: &Decision| {
        let frames = mask.frames[(from - own.start) as usize..(to - own.start) as usize].to_vec();
        let within = FrameSpan::new(from, to);
        let notes = mask.notes.iter().filter(|n| within.contains(n.frame)).cloned().collect();
        MaskTrack { start: from, frames, notes, decision: decision.clone(), ..mask.clone() }
    };
    let kept = Decision::Keep { reason: keep.reason.clone(), automatic: false };
    [
        piece(own.start, shared.start, &Decision::Redact),
        piece(shared.start, shared.end, &kept),
        piece(shared.end, own.end, &Decision::Redact),
    ]
    .into_iter()
    .filter(|m| !m.frames.is_empty())
    .collect()
}

/// The mask with places that plans can hold. Rectangles that stand for round shapes must not be drawn round.
fn near_picture(mut mask: MaskTrack, display: Size) -> MaskTrack {
    for frame in &mut mask.frames {
        let near = brought_near(&frame.quad, display);
        if near != frame.quad {
            (frame.quad, mask.shape) = (near, Shape::Quad);
        }
    }
    mask
}

/// Keyframes where the mask's way bends, and where knowledge of the object begins and ends.
fn draft(mask: MaskTrack, times: &FrameTimes) -> Draft {
    let quads: Vec<Quad> = mask.frames.iter().map(|f| f.quad).collect();
    let extended = |i: usize| mask.frames[i].origin == Origin::Extended;
    let forced: Vec<usize> = (0..quads.len()).filter(|&i| i == 0 || extended(i) != extended(i - 1)).collect();
    let keyframes = simplify(&quads, &forced, mask.shape, Slack::default())
        .into_iter()
        .map(|(i, quad)| {
            let frame = mask.start + i as u64;
            let MaskFrame { origin, score, .. } = mask.frames[i];
            Keyframe { frame, pts: times.pts(frame), quad, origin, score: score.clamp(0.0, 1.0) }
        })
        .collect();
    let notes = mask.notes.iter().map(|n| (n.clone(), times.elapsed_secs(n.frame))).collect();
    let span = mask.span();
    let region = Region {
        id: String::new(),
        class: mask.class,
        decision: mask.decision,
        shape: mask.shape,
        tone: 0,
        span,
        keyframes,
    };
    Draft { region, notes }
}

/// A region that stands still in a rectangle for its time.
pub fn operator_region(named: &OperatorRegion, id: String, display: Size, times: FrameTimes) -> Result<Region> {
    let usage = |message: String| Error::new(Stage::Plan, ErrorKind::Usage, message);
    let Some(rect) = named.rect.clipped(display) else {
        let Size { width, height } = display;
        return Err(usage(format!("region {named} lies outside of the picture, which is {width}x{height}")));
    };
    let span = named.span(&times);
    if span.is_empty() {
        let end = timecode(times.elapsed_secs(times.count().saturating_sub(1)));
        return Err(usage(format!("region {named} has no frame in its time; the last frame is at {end}")));
    }
    let keyframe = Keyframe {
        frame: span.start,
        pts: times.pts(span.start),
        quad: rect.into(),
        origin: Origin::Manual,
        score: 1.0,
    };
    Ok(Region {
        id,
        class: Class::Region,
        decision: Decision::Redact,
        shape: Shape::Quad,
        tone: 0,
        span,
        keyframes: vec![keyframe],
    })
}

/// A region for an object that verification saw in the finished file: `points` are its places as found, ascending by
/// frame. `number` tells regions apart that are added at once.
pub fn added_region(
    plan: &RedactionPlan,
    number: usize,
    class: Class,
    span: FrameSpan,
    points: &[(FrameIndex, Quad, f32)],
) -> Region {
    // Asked for when the plan was made, whoever applies it.
    let margin = plan.header.settings.get("margin").and_then(|m| m.parse::<f32>().ok());
    // Plans are edited by hand: nothing in them may shrink a mask.
    let margin = margin.filter(|m| m.is_finite()).unwrap_or(0.0).clamp(0.0, 10.0);
    let settings = PolicySettings { margin, ..PolicySettings::default() };
    let letter = class.letter();
    let used = plan.regions.iter().filter_map(|r| r.id.strip_prefix(letter)?.parse::<usize>().ok()).max().unwrap_or(0);
    let pts = plan.header.frames.pts().unwrap_or_default();
    let hidden = |quad: &Quad| match class {
        // The same head is found in this turn here and in that one there: bounds hold it in all.
        Class::Face => Quad::from(quad.grown(SEEN_HEAD).grown(Margins::even(margin)).bounds()),
        // Seen in few frames only, so it may move unseen: grown twice.
        _ => grown(class, &grown(class, quad, &settings), &settings),
    };
    let mut keyframes: Vec<Keyframe> = Vec::with_capacity(points.len());
    for (frame, quad, score) in points {
        let quad = brought_near(&hidden(quad), plan.header.frames.display);
        keyframes.push(Keyframe {
            frame: *frame,
            pts: pts.get(*frame as usize).copied().unwrap_or(0),
            // Corners of places between are interpolated one by one.
            quad: keyframes.last().map_or(quad, |before| quad.aligned_to(&before.quad)),
            origin: Origin::Detected,
            score: score.clamp(0.0, 1.0),
        });
    }
    Region {
        id: format!("{letter}{}", used.saturating_add(1 + number)),
        class,
        decision: Decision::Redact,
        shape: Shape::Quad,
        tone: 0,
        span,
        keyframes,
    }
}

fn finding(note: Note, secs: f64, id: String) -> Finding {
    let severity = match note.rule {
        Rule::WeakTrack | Rule::LostTrack => Severity::Warning,
        _ => Severity::Note,
    };
    let Rect { x, y, width, height } = note.bounds;
    let round = |v: f32| v.round();
    let bounds = Rect::new(round(x), round(y), round(width), round(height));
    Finding::new(note.rule, severity, note.message).at(note.frame, secs).within(bounds).of_region(id)
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
