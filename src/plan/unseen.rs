//! People whose faces no mask covers.

use super::by_time::ByTime;
use crate::types::detection::Person;
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::plan::Region;
use crate::types::progress::beat;
use crate::types::time::{FrameIndex, FrameTimes};

/// Inner part of a head, as a share of its sides, that a mask has to cover, and how much of it.
const CORE: f32 = 0.6;
const COVERED: f32 = 0.5;
/// Points across and down at which that is asked.
const GRID: usize = 8;
/// Most findings: they shall not push all else off the review list.
const MOST: usize = 50;

/// A finding for each person whose head is neither masked nor spared on purpose in the frame where the person was seen.
pub fn unseen_faces(people: &[(FrameIndex, Person)], regions: &[Region], times: &FrameTimes) -> Vec<Finding> {
    let decided = regions.iter().filter(|r| r.decision.is_redact() || r.decision.is_kept_on_purpose());
    let decided = ByTime::new(decided.map(|r| (r.span, r)));
    let is_open = |frame: FrameIndex, person: &Person| {
        beat();
        let quads: Vec<_> = decided.at(frame).filter_map(|r| r.quad_at(frame)).collect();
        person.head.core(CORE).share(GRID, GRID, |p| quads.iter().any(|q| q.contains(p))) < COVERED
    };
    let open = people.iter().filter(|(frame, person)| is_open(*frame, person));
    open.take(MOST)
        .map(|(frame, person)| {
            let message = format!(
                "a person without a found face (pose score {:.2}): look whether the face can be seen; --region or \
                 --unseen head masks it",
                person.score
            );
            Finding::new(Rule::UnseenFace, Severity::Warning, message)
                .at(*frame, times.elapsed_secs(*frame))
                .within(person.head.bounds())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::detection::Class;
    use crate::types::geometry::{Quad, Rect};
    use crate::types::plan::{Decision, Keyframe, Shape};
    use crate::types::time::{FrameSpan, TimeBase};
    use crate::types::track::Origin;

    fn region(rect: Rect, span: FrameSpan, decision: Decision) -> Region {
        let keyframe =
            Keyframe { frame: span.start, pts: 0, quad: Quad::from(rect), origin: Origin::Detected, score: 0.9 };
        let (class, shape) = (Class::Face, Shape::Quad);
        Region { id: "f1".into(), class, decision, shape, tone: 0, span, keyframes: vec![keyframe] }
    }

    #[test]
    fn only_heads_that_are_neither_masked_nor_spared_on_purpose_are_told() {
        let head = Rect::new(100.0, 50.0, 40.0, 50.0);
        let kept = |automatic| Decision::Keep { reason: "a statue".into(), automatic };
        let beside = Rect::new(160.0, 50.0, 40.0, 50.0);
        let upper = Rect::new(100.0, 50.0, 40.0, 22.0);
        // Mask, its frames, decision; whether the head in frame 5 is told of.
        let table = [
            ("masked", head, 0..9, Decision::Redact, false),
            ("masked later", head, 6..9, Decision::Redact, true),
            ("masked beside", beside, 0..9, Decision::Redact, true),
            ("its hair is masked", upper, 0..9, Decision::Redact, true),
            ("spared by the operator", head, 0..9, kept(false), false),
            ("left out as weak", head, 0..9, kept(true), true),
        ];
        let pts: Vec<i64> = (0..10).collect();
        let times = FrameTimes { pts: &pts, time_base: TimeBase { num: 1, den: 10 } };
        let people = [(5, Person { head: Quad::from(head), score: 0.4 })];
        for (name, rect, frames, decision, is_told) in table {
            let region = region(rect, FrameSpan::new(frames.start, frames.end), decision);
            let findings = unseen_faces(&people, &[region], &times);
            assert_eq!(!findings.is_empty(), is_told, "{name}");
            assert!(findings.iter().all(|f| f.frame == Some(5) && f.time_secs == Some(0.5)), "{name}");
        }
    }
}
