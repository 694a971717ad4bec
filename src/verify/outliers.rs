//! Text that is sure in one frame of a clip and doubtful otherwise: a lamp or a tuft of grass that once looks like letters.
//! Print that stays is sure in most of the frames in which it is seen at all; print that shows in a single one is seen by
//! a second network, too, where one was asked.

use std::collections::{BTreeMap, VecDeque};

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
/// no say. Holds what was seen within twice that reach.
pub struct Outliers {
    reach: u64,
    /// Places of visible text, as sure as they were seen.
    places: BTreeMap<FrameIndex, Vec<(Rect, Severity)>>,
    /// What is not settled, by frame.
    waiting: VecDeque<(FrameIndex, Sight)>,
}

impl Outliers {
    pub fn new(reach: u64) -> Self {
        Self { reach, places: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// Takes what was seen in a frame, which lies behind those that came before; gives what is settled by then.
    pub fn push(&mut self, frame: FrameIndex, sights: Vec<Sight>) -> Vec<Finding> {
        let settled = self.settle(|waiting, reach| waiting.saturating_add(reach) < frame);
        for sight in sights {
            if let (Rule::VisibleText, Some(bounds)) = (sight.finding.rule, sight.finding.bounds) {
                self.places.entry(frame).or_default().push((bounds, sight.finding.severity));
            }
            self.waiting.push_back((frame, sight));
        }
        settled
    }

    /// What is left when no more frames come.
    pub fn finish(mut self) -> Vec<Finding> {
        self.settle(|_, _| true)
    }

    fn settle(&mut self, is_due: impl Fn(FrameIndex, u64) -> bool) -> Vec<Finding> {
        let mut settled = Vec::new();
        while let Some((frame, sight)) = self.waiting.pop_front_if(|(frame, _)| is_due(*frame, self.reach)) {
            let doubt = self.doubt(frame, &sight);
            let mut finding = sight.finding;
            if let Some(doubt) = doubt {
                finding.severity = Severity::Warning;
                finding.message.push_str(&doubt);
            }
            settled.push(finding);
            // Whoever waits has no say further back than its reach.
            self.places = self.places.split_off(&frame.saturating_sub(self.reach));
        }
        settled
    }

    /// Why a sight is to be doubted.
    fn doubt(&self, frame: FrameIndex, sight: &Sight) -> Option<String> {
        let finding = &sight.finding;
        let bounds =
            finding.bounds.filter(|_| finding.rule == Rule::VisibleText && finding.severity == Severity::Error)?;
        let near = self.places.range(frame.saturating_sub(self.reach)..=frame.saturating_add(self.reach));
        let of_place = near.filter_map(|(_, sights)| {
            let same = sights.iter().filter(|(other, _)| other.iou(bounds) >= SAME_PLACE_IOU);
            same.map(|(_, severity)| *severity).max()
        });
        let (seen, sure) =
            of_place.fold((0, 0), |(seen, sure), severity| (seen + 1, sure + usize::from(severity == Severity::Error)));
        if seen >= LEAST_SIGHTS && 2 * sure < seen {
            Some(format!(", but only in {sure} of {seen} frames in which something is seen there"))
        } else if sight.is_lone && sure == 1 {
            Some(", but in one frame only and by one network only".to_owned())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: FrameIndex, x: f32, severity: Severity) -> Sight {
        let bounds = Rect::new(x, 40.0, 50.0, 20.0);
        Finding::new(Rule::VisibleText, severity, "text").at(frame, 0.0).within(bounds).into()
    }

    /// How many of these stay sure; none may get lost.
    fn sure(mut seen: Vec<Sight>, reach: u64) -> usize {
        let count = seen.len();
        seen.sort_by_key(|s| s.finding.frame);
        let mut outliers = Outliers::new(reach);
        let frames = seen.chunk_by(|a, b| a.finding.frame == b.finding.frame);
        let mut told: Vec<Finding> =
            frames.flat_map(|sights| outliers.push(sights[0].finding.frame.unwrap(), sights.to_vec())).collect();
        told.extend(outliers.finish());
        assert_eq!(told.len(), count);
        assert!(told.is_sorted_by_key(|f| f.frame));
        told.iter().filter(|f| f.severity == Severity::Error).count()
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut outliers = Outliers::new(6);
        for frame in 0..1000 {
            let told = outliers.push(frame, vec![text(frame, 0.0, Severity::Warning); 3]);
            assert_eq!(told.len(), if frame > 6 { 3 } else { 0 }, "frame {frame}");
            assert!(outliers.waiting.len() <= 7 * 3 && outliers.places.len() <= 14);
        }
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
            let seen = [row(100.0, place), row(300.0, other)].concat();
            assert_eq!(sure(seen, 6), expected, "{name}");
        }
    }

    #[test]
    fn what_one_network_sees_counts_when_it_is_seen_twice() {
        for (frames, expected) in [(&[10][..], 0), (&[10, 16], 2), (&[10, 17], 0)] {
            let lone = |&frame: &FrameIndex| Sight { is_lone: true, ..text(frame, 0.0, Severity::Error) };
            assert_eq!(sure(frames.iter().map(lone).collect(), 6), expected, "{frames:?}");
        }
    }

    #[test]
    fn what_is_seen_far_away_in_time_and_faces_have_no_say() {
        let mut seen: Vec<Sight> = (0..9).map(|frame| text(frame, 0.0, Severity::Warning)).collect();
        seen.push(text(30, 0.0, Severity::Error));
        let mut face = text(4, 0.0, Severity::Error);
        face.finding.rule = Rule::VisibleFace;
        seen.push(Sight { is_lone: true, ..face });
        assert_eq!(sure(seen, 6), 2);
    }
}
