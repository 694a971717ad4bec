//! Which moments of a finished clip go onto its contact sheet.

use std::collections::BTreeMap;

use crate::types::finding::{Finding, Severity};
use crate::types::plan::RedactionPlan;
use crate::types::time::FrameIndex;
use crate::types::track::Origin;

/// A frame to show and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    pub frame: FrameIndex,
    /// Reasons, joined by commas.
    pub label: String,
    /// Ids of the regions that stand in this frame, in the plan's order.
    pub regions: Vec<String>,
}

/// A reason to show a frame.
struct Cue {
    frame: FrameIndex,
    label: String,
}

impl Cue {
    fn new(frame: FrameIndex, label: impl Into<String>) -> Self {
        Self { frame, label: label.into() }
    }
}

/// At most `limit` moments, ascending by frame: first and last frame, findings, least certain moments, cuts, starts and
/// ends of tracks.
///
/// `findings` are those of verification; the plan's own review list is looked at too. The kinds take turns, so that a
/// clip with a thousand cuts still shows its weak tracks; within a kind the worst or the most evenly spread come first.
/// Reasons for one frame, or for frames next to each other, share a picture.
pub fn select_moments(plan: &RedactionPlan, findings: &[Finding], limit: usize) -> Vec<Pick> {
    let count = plan.header.frames.count;
    let mut kinds = [
        first_and_last(count),
        cues_of_findings(plan.header.review.iter().chain(findings)),
        least_certain(plan),
        spread(plan.header.scene_cuts.iter().map(|f| Cue::new(*f, "cut")).collect()),
        spread(track_ends(plan)),
    ]
    .map(|mut kind| {
        kind.retain(|c| c.frame < count);
        kind.into_iter()
    });
    let mut picks: BTreeMap<FrameIndex, Vec<String>> = BTreeMap::new();
    loop {
        let mut went_on = false;
        for kind in &mut kinds {
            if let Some(cue) = kind.next() {
                went_on = true;
                add(&mut picks, cue, limit);
            }
        }
        if !went_on {
            break;
        }
    }
    picks
        .into_iter()
        .map(|(frame, labels)| Pick { frame, label: labels.join(", "), regions: standing(plan, frame) })
        .collect()
}

/// Most reasons told below one picture.
const MAX_LABELS: usize = 6;

fn add(picks: &mut BTreeMap<FrameIndex, Vec<String>>, cue: Cue, limit: usize) {
    let near = picks.range(cue.frame.saturating_sub(1)..=cue.frame.saturating_add(1)).next().map(|(f, _)| *f);
    let frame = match near {
        Some(frame) => frame,
        None if picks.len() < limit => cue.frame,
        None => return,
    };
    let labels = picks.entry(frame).or_default();
    if labels.len() < MAX_LABELS && !labels.contains(&cue.label) {
        labels.push(cue.label);
    }
}

fn standing(plan: &RedactionPlan, frame: FrameIndex) -> Vec<String> {
    plan.regions.iter().filter(|r| r.span.contains(frame)).map(|r| r.id.clone()).collect()
}

fn first_and_last(count: u64) -> Vec<Cue> {
    vec![Cue::new(0, "first frame"), Cue::new(count.saturating_sub(1), "last frame")]
}

fn cues_of_findings<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Cue> {
    let mut findings: Vec<&Finding> =
        findings.filter(|f| f.severity >= Severity::Warning && f.frame.is_some()).collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    findings.iter().map(|f| Cue::new(f.frame.unwrap_or(0), f.message.clone())).collect()
}

/// The weakest detection of every region, the weakest region first.
fn least_certain(plan: &RedactionPlan) -> Vec<Cue> {
    let mut weakest: Vec<(f32, Cue)> = plan
        .regions
        .iter()
        .filter_map(|r| {
            let detected = r.keyframes.iter().filter(|k| k.origin == Origin::Detected);
            let k = detected.min_by(|a, b| a.score.total_cmp(&b.score))?;
            Some((k.score, Cue::new(k.frame, format!("{} at its weakest ({:.2})", r.id, k.score))))
        })
        .collect();
    weakest.sort_by(|a, b| a.0.total_cmp(&b.0));
    weakest.into_iter().map(|w| w.1).collect()
}

fn track_ends(plan: &RedactionPlan) -> Vec<Cue> {
    let ends = plan.regions.iter().filter(|r| !r.span.is_empty());
    let mut cues: Vec<Cue> = ends
        .flat_map(|r| {
            [Cue::new(r.span.start, format!("{} begins", r.id)), Cue::new(r.span.end - 1, format!("{} ends", r.id))]
        })
        .collect();
    cues.sort_by_key(|c| c.frame);
    cues
}

/// Reorders so that every prefix is spread evenly over the whole: by the bit-reversed position (van der Corput).
fn spread(cues: Vec<Cue>) -> Vec<Cue> {
    let mut numbered: Vec<(u64, Cue)> = cues.into_iter().zip(0u64..).map(|(c, i)| (i.reverse_bits(), c)).collect();
    numbered.sort_by_key(|n| n.0);
    numbered.into_iter().map(|n| n.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::detection::Class;
    use crate::types::finding::Rule;
    use crate::types::frame::{ColorInfo, MediaKind, SourceInfo};
    use crate::types::geometry::{Orientation, Rect, Size};
    use crate::types::plan::{Decision, FrameTable, Keyframe, MaskStyle, PLAN_VERSION, PlanHeader, Region, Shape};
    use crate::types::time::{FrameSpan, TimeBase};

    fn region(id: &str, start: u64, end: u64, weak_at: u64, score: f32) -> Region {
        let keyframe =
            |frame, score, origin| Keyframe { frame, pts: frame as i64, quad: Rect::default().into(), origin, score };
        Region {
            id: id.into(),
            class: Class::Face,
            decision: Decision::Redact,
            shape: Shape::Quad,
            tone: 0,
            span: FrameSpan::new(start, end),
            keyframes: vec![keyframe(start, 0.0, Origin::Extended), keyframe(weak_at, score, Origin::Detected)],
        }
    }

    fn plan(count: u64, cuts: Vec<u64>, regions: Vec<Region>) -> RedactionPlan {
        let color = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
        let size = Size::new(64, 48);
        let source = SourceInfo {
            kind: MediaKind::Clip,
            format: String::new(),
            codec: String::new(),
            coded: size,
            orientation: Orientation::Upright,
            sample_aspect: (1, 1),
            time_base: TimeBase::ONE,
            frame_rate: 25.0,
            frames_estimate: None,
            color,
            depth: 8,
            interlaced: false,
            has_audio: false,
        };
        let header = PlanHeader {
            kind: "withhold-plan".into(),
            version: PLAN_VERSION,
            program: String::new(),
            source_sha256: String::new(),
            source_path: None,
            source,
            frames: FrameTable { count, sha256: String::new(), display: size, first_pts: 0, steps: vec![] },
            models: vec![],
            settings: BTreeMap::new(),
            style: MaskStyle::Fill,
            fill_color: [0; 3],
            damaged: vec![],
            scene_cuts: cuts,
            review: vec![],
        };
        RedactionPlan { header, regions }
    }

    #[test]
    fn all_kinds_are_shown_and_neighbours_share_a_picture() {
        let plan = plan(200, vec![80], vec![region("f1", 10, 81, 40, 0.4), region("t1", 0, 200, 120, 0.9)]);
        let seen = Finding::new(Rule::VisibleFace, Severity::Warning, "perhaps a face").at(150, 6.0);
        let note = Finding::new(Rule::Kept, Severity::Note, "kept").at(160, 6.4);
        let picks = select_moments(&plan, &[seen, note], 40);
        let brief: Vec<_> = picks.iter().map(|p| (p.frame, p.label.as_str(), p.regions.join(" "))).collect();
        let want = [
            (0, "first frame, t1 begins", "t1"),
            (10, "f1 begins", "f1 t1"),
            (40, "f1 at its weakest (0.40)", "f1 t1"),
            (80, "cut, f1 ends", "f1 t1"),
            (120, "t1 at its weakest (0.90)", "t1"),
            (150, "perhaps a face", "t1"),
            (199, "last frame, t1 ends", "t1"),
        ];
        assert_eq!(brief, want.map(|w| (w.0, w.1, w.2.to_string())));
    }

    #[test]
    fn the_limit_holds_and_no_kind_pushes_the_others_out() {
        let cuts: Vec<u64> = (1..1000).map(|i| i * 20).collect();
        let regions =
            (0..300).map(|i| region(&format!("f{i}"), i * 60, i * 60 + 50, i * 60 + 25, i as f32 / 300.0)).collect();
        let picks = select_moments(&plan(20_000, cuts, regions), &[], 40);
        assert_eq!(picks.len(), 40);
        let having = |word: &str| picks.iter().filter(|p| p.label.contains(word)).count();
        assert!(having("cut") >= 10 && having("weakest") >= 10 && having("begins") + having("ends") >= 10);
        assert_eq!(having("first frame") + having("last frame"), 2);
        assert!(picks.iter().any(|p| p.label.contains("f0 at its weakest")));
        let cuts: Vec<u64> = picks.iter().filter(|p| p.label.contains("cut")).map(|p| p.frame).collect();
        assert!(cuts.iter().any(|f| *f > 15_000) && cuts.windows(2).all(|w| w[1] - w[0] < 6_000), "{cuts:?}");
        assert!(picks.windows(2).all(|w| w[0].frame + 1 < w[1].frame));
    }

    #[test]
    fn a_photo_has_one_moment() {
        let picks = select_moments(&plan(1, vec![], vec![region("f1", 0, 1, 0, 0.8)]), &[], 40);
        assert_eq!(picks.len(), 1);
        assert_eq!(picks[0].regions, ["f1"]);
    }
}
