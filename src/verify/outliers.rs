//! Text that is sure in one frame of a clip and doubtful otherwise: a lamp or a tuft of grass that once looks like letters.
//! Print that stays is sure in most of the frames in which it is seen at all; print that shows in a single one is seen by
//! a second network, too, where one was asked.

use std::collections::BTreeMap;

use crate::types::finding::{Finding, Rule, Severity};
use crate::types::geometry::Rect;
use crate::types::time::FrameIndex;

/// Boxes that overlap by this much show the same place.
const SAME_PLACE_IOU: f32 = 0.3;
/// Fewer sights of a place tell nothing of what it is on the whole.
const LEAST_SIGHTS: usize = 4;

/// Something seen in a frame.
#[derive(Clone, Debug)]
pub struct Sight {
    pub finding: Finding,
    /// A second network was asked and sees nothing there.
    pub is_lone: bool,
}

impl From<Finding> for Sight {
    fn from(finding: Finding) -> Self {
        Self { finding, is_lone: false }
    }
}

/// Makes visible text a reason to look, no more, when the same place was seen within `reach` frames and fewer than half of
/// these sights are sure, or this one alone is, and that to one network only. Frames in which nothing was seen there have
/// no say.
pub fn doubt_outliers(seen: &mut [Sight], reach: u64) {
    let mut sights: BTreeMap<FrameIndex, Vec<(Rect, Severity)>> = BTreeMap::new();
    for finding in seen.iter().map(|s| &s.finding).filter(|f| f.rule == Rule::VisibleText) {
        if let (Some(frame), Some(bounds)) = (finding.frame, finding.bounds) {
            sights.entry(frame).or_default().push((bounds, finding.severity));
        }
    }
    for Sight { finding, is_lone } in seen.iter_mut() {
        if finding.rule != Rule::VisibleText || finding.severity != Severity::Error {
            continue;
        }
        let (Some(frame), Some(bounds)) = (finding.frame, finding.bounds) else { continue };
        let near = sights.range(frame.saturating_sub(reach)..=frame.saturating_add(reach));
        let of_place = near.filter_map(|(_, sights)| {
            let same = sights.iter().filter(|(other, _)| other.iou(bounds) >= SAME_PLACE_IOU);
            same.map(|(_, severity)| *severity).max()
        });
        let (seen, sure) =
            of_place.fold((0, 0), |(seen, sure), severity| (seen + 1, sure + usize::from(severity == Severity::Error)));
        let doubt = if seen >= LEAST_SIGHTS && 2 * sure < seen {
            format!(", but only in {sure} of {seen} frames in which something is seen there")
        } else if *is_lone && sure == 1 {
            ", but in one frame only and by one network only".to_owned()
        } else {
            continue;
        };
        finding.severity = Severity::Warning;
        finding.message.push_str(&doubt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: FrameIndex, x: f32, severity: Severity) -> Sight {
        let bounds = Rect::new(x, 40.0, 50.0, 20.0);
        Finding::new(Rule::VisibleText, severity, "text").at(frame, 0.0).within(bounds).into()
    }

    fn sure(seen: &[Sight]) -> usize {
        seen.iter().filter(|s| s.finding.severity == Severity::Error).count()
    }

    #[test]
    fn a_sure_sight_among_many_doubts_is_a_doubt() {
        let (yes, doubt) = (Severity::Error, Severity::Warning);
        // Name, severities of one place in frames from 10 on, of another place in the same frames, what stays sure.
        let table: [(&str, &[Severity], &[Severity], usize); 6] = [
            ("a lamp", &[doubt, doubt, yes, doubt, doubt], &[], 0),
            ("print", &[doubt, yes, yes, doubt, yes], &[], 3),
            ("print in two frames of four", &[yes, doubt, doubt, yes], &[], 2),
            ("print in a single frame", &[yes], &[], 1),
            ("too few to tell", &[doubt, yes, doubt], &[], 1),
            ("print beside a lamp", &[yes], &[doubt, doubt, doubt, doubt], 1),
        ];
        for (name, place, other, expected) in table {
            let row = |x: f32, severities: &[Severity]| -> Vec<Sight> {
                (10..).zip(severities).map(|(frame, severity)| text(frame, x, *severity)).collect()
            };
            let mut seen = [row(100.0, place), row(300.0, other)].concat();
            doubt_outliers(&mut seen, 6);
            assert_eq!(sure(&seen), expected, "{name}");
        }
    }

    #[test]
    fn what_one_network_sees_counts_when_it_is_seen_twice() {
        for (frames, expected) in [(&[10][..], 0), (&[10, 16], 2), (&[10, 17], 0)] {
            let lone = |&frame: &FrameIndex| Sight { is_lone: true, ..text(frame, 0.0, Severity::Error) };
            let mut seen: Vec<Sight> = frames.iter().map(lone).collect();
            doubt_outliers(&mut seen, 6);
            assert_eq!(sure(&seen), expected, "{frames:?}");
        }
    }

    #[test]
    fn what_is_seen_far_away_in_time_and_faces_have_no_say() {
        let mut seen: Vec<Sight> = (0..9).map(|frame| text(frame, 0.0, Severity::Warning)).collect();
        seen.push(text(30, 0.0, Severity::Error));
        let mut face = text(4, 0.0, Severity::Error);
        face.finding.rule = Rule::VisibleFace;
        seen.push(Sight { is_lone: true, ..face });
        doubt_outliers(&mut seen, 6);
        assert_eq!(sure(&seen), 2);
    }
}
