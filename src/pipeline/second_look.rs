//! Searching finished frames while others are compared: the networks take longer than all else of verification.

use super::clock::timed;
use super::detectors::{Ask, Detectors};
use super::search::{THRESHOLDS, hits_beside_masks};
use super::threads::SharedQueue;
use super::verify::{MAX_MOMENTS, moment};
use crate::error::Result;
use crate::render::FrameMasks;
use crate::types::detection::Class;
use crate::types::frame::Picture;
use crate::types::geometry::Quad;
use crate::types::plan::Region;
use crate::types::progress::{Observer, Phase};
use crate::types::time::FrameIndex;
use crate::types::timing::Part;
use crate::verify::inpaint::without_masks;
use crate::verify::redetect::{FrameContext, Verdict, judge};
use crate::verify::sheet::Moment;

/// A finished frame to search.
pub struct Look<'a> {
    pub ask: Ask,
    pub picture: Picture,
    /// As they are drawn in it, display space.
    pub masks: FrameMasks,
    pub frame: FrameIndex,
    pub time_secs: f64,
    pub regions: Vec<&'a Region>,
    /// It is on the contact sheet anyway.
    pub is_shown: bool,
}

/// What a search came to.
#[derive(Default)]
pub struct Seen {
    pub verdicts: Vec<Verdict>,
    pub moments: Vec<Moment>,
}

impl Seen {
    /// What several threads saw that took turns with looks in the order of their frames.
    pub fn joined(parts: Vec<Seen>) -> Seen {
        let mut seen = Seen::default();
        for part in parts {
            seen.verdicts.extend(part.verdicts);
            seen.moments.extend(part.moments);
        }
        // Alike however the threads took turns.
        seen.verdicts.sort_by_key(|v| v.frame);
        seen.moments.sort_by_key(|m| m.frame);
        seen.moments.truncate(MAX_MOMENTS);
        seen
    }
}

/// Searches until no more looks come; several threads may share them.
pub fn search_all(detectors: &mut Detectors, looks: &SharedQueue<Look<'_>>, observer: &dyn Observer) -> Result<Seen> {
    let mut seen = Seen::default();
    while let Some(look) = looks.next() {
        let verdict = timed(observer, Phase::Verify, Part::Search, || judged(detectors, &look))?;
        if !verdict.findings.is_empty() && !look.is_shown && seen.moments.len() < MAX_MOMENTS {
            let label = "found again".into();
            seen.moments.push(moment(&look.picture, look.frame, look.time_secs, label, &look.regions)?);
        }
        seen.verdicts.push(verdict);
    }
    Ok(seen)
}

/// Networks see the picture without its masks; hits are judged on the picture.
fn judged(detectors: &mut Detectors, look: &Look<'_>) -> Result<Verdict> {
    let coverages = look.masks.masks.iter().map(|m| &m.coverage);
    let bare = without_masks(&look.picture, look.picture.display_from_picture, coverages);
    let hits = hits_beside_masks(detectors, look.ask, &look.picture, &bare)?;
    let place = |r: &&&Region| r.quad_at(look.frame);
    let redacted = look.regions.iter().filter(|r| r.decision.is_redact());
    let masks: Vec<Quad> = redacted.filter_map(|r| place(&r)).collect();
    let kept = look.regions.iter().filter(|r| r.decision.is_kept_on_purpose());
    let keeps: Vec<(String, Class, Quad)> = kept.filter_map(|r| Some((r.id.clone(), r.class, place(&r)?))).collect();
    let context = FrameContext { frame: look.frame, time_secs: look.time_secs, masks: &masks, keeps: &keeps };
    Ok(judge(&look.picture, &hits, &context, &THRESHOLDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_saw_is_put_in_order() {
        let part = |frames: &[FrameIndex]| Seen {
            verdicts: frames.iter().map(|&frame| Verdict { frame, ..Verdict::default() }).collect(),
            moments: vec![],
        };
        let seen = Seen::joined(vec![part(&[3, 10, 11]), part(&[0, 4]), part(&[])]);
        assert_eq!(seen.verdicts.iter().map(|v| v.frame).collect::<Vec<_>>(), [0, 3, 4, 10, 11]);
    }
}
