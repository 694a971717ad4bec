//! Where the reserved networks look in the finished file, and how much of that they see in the source, where it stands
//! beside: a verifier that sees nothing anywhere proves nothing.

use std::collections::BTreeSet;

use super::detectors::{Ask, Detectors, zoo};
use super::settings::{Settings, VerifyLevel};
use super::source::{CLIP_PICTURE_SIDE, Pictures};
use crate::error::Result;
use crate::types::detection::{Class, Detection, Effort, Headings};
use crate::types::frame::{Frame, MediaKind, Picture, SourceInfo};
use crate::types::plan::RedactionPlan;
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

/// The frames of the finished file in which the reserved networks look.
pub fn due_frames(plan: &RedactionPlan, settings: &Settings) -> BTreeSet<FrameIndex> {
    let header = &plan.header;
    let spans: Vec<FrameSpan> = plan.regions.iter().filter(|r| r.decision.is_redact()).map(|r| r.span).collect();
    let timeline = Timeline { count: header.frames.count, key_frames: &[], cuts: &header.scene_cuts, masks: &spans };
    match settings.verify {
        VerifyLevel::Full => (0..header.frames.count).collect(),
        VerifyLevel::Sampled => frames_to_search(&timeline, STRIDE, MAX_SHARE).into_iter().collect(),
    }
}

/// The reserved networks of one thread.
pub struct Search {
    detectors: Detectors,
    ask: Ask,
}

impl Search {
    fn new(detectors: Detectors, plan: &RedactionPlan, settings: &Settings) -> Self {
        let kind = plan.header.source.kind;
        let mut ask = Ask::all_of(kind);
        if settings.verify == VerifyLevel::Sampled && kind == MediaKind::Clip {
            // The network for text is not a reserved one: its cheap form does for a sample.
            ask.text = Some(GLANCE);
        }
        Self { detectors, ask }
    }

    /// One for each thread.
    pub fn for_threads(plan: &RedactionPlan, settings: &Settings, threads: usize) -> Result<Vec<Self>> {
        let detectors = Detectors::for_verification_threads(settings, &zoo(settings)?, threads)?;
        Ok(detectors.into_iter().map(|detectors| Self::new(detectors, plan, settings)).collect())
    }

    /// What the reserved networks find in a finished picture, display space; see [`hits_beside_masks`]. `number`: of the
    /// frame among those that are searched.
    pub fn hits_beside_masks(&mut self, number: usize, shown: &Picture, bare: &Picture) -> Result<Vec<Detection>> {
        let is_glance = self.ask.text == Some(GLANCE);
        let text = self.ask.text.filter(|_| !is_glance || number.is_multiple_of(TEXT_SHARE));
        hits_beside_masks(&mut self.detectors, Ask { text, ..self.ask }, shown, bare)
    }

    /// What the reserved networks find in a picture, display space.
    fn hits(&mut self, picture: &Picture) -> Result<Vec<Detection>> {
        self.detectors.detect(picture, self.ask)
    }
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

/// Counts hits in the frames of the source, before they are masked.
pub struct SourceSearch {
    search: Search,
    frames: BTreeSet<FrameIndex>,
    pictures: Pictures,
    /// Frames that were looked at, and hits in them.
    pub looks: u64,
    pub hits: u64,
}

impl SourceSearch {
    pub fn new(plan: &RedactionPlan, settings: &Settings, info: &SourceInfo) -> Result<Self> {
        let mut search = Search::new(Detectors::for_verification(settings, &zoo(settings)?)?, plan, settings);
        let mut frames = due_frames(plan, settings);
        match (settings.verify, info.kind) {
            (VerifyLevel::Full, _) => {}
            (VerifyLevel::Sampled, MediaKind::Clip) => frames = frames.into_iter().step_by(SOURCE_SHARE).collect(),
            // A photo is one frame: there the sample is of views. All of them cost a quarter of a large photo's time.
            (VerifyLevel::Sampled, MediaKind::Photo) => search.ask = Ask { faces: Some(GLANCE), text: Some(GLANCE) },
        }
        Ok(Self { search, frames, pictures: Pictures::new(info, CLIP_PICTURE_SIDE), looks: 0, hits: 0 })
    }

    pub fn is_due(&self, frame: &Frame) -> bool {
        self.frames.contains(&frame.index)
    }

    /// Looks at a frame that is not masked yet.
    pub fn look(&mut self, frame: &Frame) -> Result<()> {
        let hits = self.search.hits(&self.pictures.picture(frame)?)?;
        self.looks += 1;
        self.hits += hits.iter().filter(|h| h.score >= THRESHOLDS.look).count() as u64;
        Ok(())
    }
}
