//! Where the reserved networks look in the finished file, and how much of that they see in the source, where it stands
//! beside: a verifier that sees nothing anywhere proves nothing.

use std::collections::BTreeMap;

use super::detectors::{Ask, Detectors, zoo};
use super::settings::{Settings, VerifyLevel};
use super::source::{CLIP_PICTURE_SIDE, Pictures};
use crate::error::Result;
use crate::types::detection::{Class, Detection, Effort, Headings};
use crate::types::frame::{Frame, MediaKind, Picture, SourceInfo};
use crate::types::plan::RedactionPlan;
use crate::types::report::VerifyReport;
use crate::types::time::{FrameIndex, FrameSpan};
use crate::verify::redetect::{Thresholds, Timeline, doubt_filling, frames_to_search, leans_on_filling};

/// Scores of the reserved networks that count.
pub const THRESHOLDS: Thresholds = Thresholds { mask_face: 0.75, mask_text: 0.8, look: 0.55 };
/// Sampled search: every so many frames beside cuts and ends of tracks, and at most this share of all frames.
const STRIDE: u64 = 25;
const MAX_SHARE: f64 = 0.05;
/// In every so many of these frames text is searched for, too: it stands longer than faces hold still.
const TEXT_SHARE: usize = 2;
/// Of the frames that are searched in the output, every so many are in the source too: enough to know that it sees.
const SOURCE_SHARE: usize = 8;

/// The cheapest look.
pub(super) const GLANCE: Effort = Effort::Fast(Headings::UPRIGHT);

/// The frames of the finished file in which the reserved networks look, and what for.
pub fn due_frames(plan: &RedactionPlan, settings: &Settings) -> BTreeMap<FrameIndex, Ask> {
    let header = &plan.header;
    let all = Ask::all_of(header.source.kind);
    if settings.verify == VerifyLevel::Full {
        return (0..header.frames.count).map(|frame| (frame, all)).collect();
    }
    let spans: Vec<FrameSpan> = plan.regions.iter().filter(|r| r.decision.is_redact()).map(|r| r.span).collect();
    let timeline = Timeline { count: header.frames.count, key_frames: &[], cuts: &header.scene_cuts, masks: &spans };
    // The network for text is not a reserved one: its cheap form does for a sample.
    let ask = |number: usize| match header.source.kind {
        MediaKind::Photo => all,
        MediaKind::Clip => Ask { text: number.is_multiple_of(TEXT_SHARE).then_some(GLANCE), ..all },
    };
    let frames = frames_to_search(&timeline, STRIDE, MAX_SHARE);
    frames.into_iter().enumerate().map(|(number, frame)| (frame, ask(number))).collect()
}

/// What is found in a finished picture, display space. The networks look at `bare`, the picture without its masks, which
/// they would take for signs; what this may have made up is looked for in the picture itself, too.
pub fn hits_beside_masks(
    detectors: &mut Detectors,
    ask: Ask,
    shown: &Picture,
    bare: &Picture,
) -> Result<Vec<Detection>> {
    let mut hits = detectors.detect(bare, ask)?;
    let leans = |class| hits.iter().any(|h| h.class == class && leans_on_filling(h, bare, shown, &THRESHOLDS));
    let doubted =
        Ask { faces: ask.faces.filter(|_| leans(Class::Face)), text: ask.text.filter(|_| leans(Class::Text)) };
    if doubted != Ask::default() {
        let seen = detectors.detect(shown, doubted)?;
        doubt_filling(&mut hits, &seen, bare, shown, &THRESHOLDS);
    }
    Ok(hits)
}

/// The frames of the source in which the reserved networks look before it is masked.
pub struct SourceSample {
    frames: BTreeMap<FrameIndex, Ask>,
    pictures: Pictures,
}

impl SourceSample {
    pub fn new(plan: &RedactionPlan, settings: &Settings, info: &SourceInfo) -> Self {
        let mut frames = due_frames(plan, settings);
        match (settings.verify, info.kind) {
            (VerifyLevel::Full, _) => {}
            (VerifyLevel::Sampled, MediaKind::Clip) => frames = frames.into_iter().step_by(SOURCE_SHARE).collect(),
            // A photo is one frame: there the sample is of views. All of them cost a quarter of a large photo's time.
            (VerifyLevel::Sampled, MediaKind::Photo) => {
                frames.values_mut().for_each(|ask| *ask = Ask { faces: Some(GLANCE), text: Some(GLANCE) });
            }
        }
        Self { frames, pictures: Pictures::new(info, CLIP_PICTURE_SIDE) }
    }

    /// What to look at in a frame, and for what; `None` where nobody looks.
    pub fn due(&mut self, frame: &Frame) -> Result<Option<(Picture, Ask)>> {
        let Some(&ask) = self.frames.get(&frame.index) else { return Ok(None) };
        Ok(Some((self.pictures.picture(frame)?, ask)))
    }
}

/// Counts what the reserved networks see in the source.
pub struct SourceSearch {
    detectors: Detectors,
    looks: u64,
    hits: u64,
}

impl SourceSearch {
    pub fn new(settings: &Settings) -> Result<Self> {
        Ok(Self { detectors: Detectors::for_verification(settings, &zoo(settings)?)?, looks: 0, hits: 0 })
    }

    /// Looks at a picture that is not masked yet.
    pub fn look(&mut self, picture: &Picture, ask: Ask) -> Result<()> {
        let hits = self.detectors.detect(picture, ask)?;
        self.looks += 1;
        self.hits += hits.iter().filter(|h| h.score >= THRESHOLDS.look).count() as u64;
        Ok(())
    }

    /// The source's part of the verification report.
    pub fn report(&self) -> VerifyReport {
        VerifyReport { frames_searched_source: self.looks, hits_source: self.hits, ..VerifyReport::default() }
    }
}
