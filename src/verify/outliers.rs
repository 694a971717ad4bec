//! Text that is sure in one frame of a clip and doubtful in those about it: a lamp or a grille whose light once looks like
//! letters. Print that stays is sure in most of the frames in which it is seen at all; print that shows in a single one
//! is seen there alone.

use std::collections::BTreeMap;

use crate::types::finding::{Finding, Rule, Severity};
use crate::types::geometry::Rect;
use crate::types::time::FrameIndex;

/// Boxes that overlap by this much show the same place.
const SAME_PLACE_IOU: f32 = 0.3;
/// Fewer sights of a place tell nothing of what it is on the whole.
const LEAST_SIGHTS: usize = 4;

/// Makes visible text a reason to look, no more, when the same place was seen within `reach` frames and fewer than half of
/// these sights are sure. Frames in which nothing was seen there have no say.
pub fn doubt_outliers(findings: &mut [Finding], reach: u64) {
    let mut sights: BTreeMap<FrameIndex, Vec<(Rect, Severity)>> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.rule == Rule::VisibleText) {
        if let (Some(frame), Some(bounds)) = (finding.frame, finding.bounds) {
            sights.entry(frame).or_default().push((bounds, finding.severity));
        }
    }
    for finding in findings.iter_mut().filter(|f| f.rule == Rule::VisibleText && f.severity == Severity::Error) {
        let (Some(frame), Some(bounds)) = (finding.frame, finding.bounds) else { continue };
        let near = sights.range(frame.saturating_sub(reach)..=frame.saturating_add(reach));
        let of_place = near.filter_map(|(_, sights)| {
            let same = sights.iter().filter(|(other, _)| other.iou(bounds) >= SAME_PLACE_IOU);
            same.map(|(_, severity)| *severity).max()
        });
        let (seen, sure) =
            of_place.fold((0, 0), |(seen, sure), severity| (seen + 1, sure + usize::from(severity == Severity::Error)));
        if seen >= LEAST_SIGHTS && 2 * sure < seen {
            finding.severity = Severity::Warning;
            finding
                .message
                .push_str(&format!(", but only in {sure} of {seen} frames in which something is seen there"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: FrameIndex, x: f32, severity: Severity) -> Finding {
        Finding::new(Rule::VisibleText, severity, "text").at(frame, 0.0).within(Rect::new(x, 40.0, 50.0, 20.0))
    }

    #[test]
    fn a_sure_sight_among_many_doubts_is_a_doubt() {
        let (sure, doubt) = (Severity::Error, Severity::Warning);
        // Name, severities of one place in frames from 10 on, of another place in the same frames, what stays sure.
        let table: [(&str, &[Severity], &[Severity], usize); 6] = [
            ("a lamp", &[doubt, doubt, sure, doubt, doubt], &[], 0),
            ("print", &[doubt, sure, sure, doubt, sure], &[], 3),
            ("print in two frames of four", &[sure, doubt, doubt, sure], &[], 2),
            ("print in a single frame", &[sure], &[], 1),
            ("too few to tell", &[doubt, sure, doubt], &[], 1),
            ("print beside a lamp", &[sure], &[doubt, doubt, doubt, doubt], 1),
        ];
        for (name, place, other, expected) in table {
            let row = |x: f32, severities: &[Severity]| -> Vec<Finding> {
                (10..).zip(severities).map(|(frame, severity)| text(frame, x, *severity)).collect()
            };
            let mut findings = [row(100.0, place), row(300.0, other)].concat();
            doubt_outliers(&mut findings, 6);
            let count = findings.iter().filter(|f| f.severity == sure).count();
            assert_eq!(count, expected, "{name}");
        }
    }

    #[test]
    fn what_is_seen_far_away_in_time_and_faces_have_no_say() {
        let mut findings: Vec<Finding> = (0..9).map(|frame| text(frame, 0.0, Severity::Warning)).collect();
        findings.push(text(30, 0.0, Severity::Error));
        findings.push(Finding { rule: Rule::VisibleFace, ..text(4, 0.0, Severity::Error) });
        doubt_outliers(&mut findings, 6);
        assert_eq!(findings.iter().filter(|f| f.severity == Severity::Error).count(), 2);
    }
}
