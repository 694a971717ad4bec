//! Where the reserved networks look, alike in the source and in the finished file, so that what they see in the one can
//! stand beside what they see in the other: a verifier that sees nothing anywhere proves nothing.

use std::collections::BTreeSet;

use super::detectors::{Ask, Detectors, zoo};
use super::settings::{Settings, VerifyLevel};
use super::source::Pictures;
use crate::error::Result;
use crate::types::detection::Detection;
use crate::types::frame::{Frame, Picture, SourceInfo};
use crate::types::plan::RedactionPlan;
use crate::types::time::{FrameIndex, FrameSpan};
use crate::verify::redetect::{Thresholds, Timeline, frames_to_search};

/// Scores of the reserved networks that count.
pub const THRESHOLDS: Thresholds = Thresholds { mask_face: 0.75, mask_text: 0.8, look: 0.55 };
/// Sampled search: every so many frames beside cuts and ends of tracks, and at most this share of all frames.
const STRIDE: u64 = 25;
const MAX_SHARE: f64 = 0.15;

/// The reserved networks and the frames in which they look.
pub struct Search {
    detectors: Detectors,
    frames: BTreeSet<FrameIndex>,
    ask: Ask,
}

impl Search {
    pub fn new(plan: &RedactionPlan, settings: &Settings) -> Result<Self> {
        let header = &plan.header;
        let spans: Vec<FrameSpan> = plan.regions.iter().filter(|r| r.decision.is_redact()).map(|r| r.span).collect();
        let timeline =
            Timeline { count: header.frames.count, key_frames: &[], cuts: &header.scene_cuts, masks: &spans };
        let frames = match settings.verify {
            VerifyLevel::Full => (0..header.frames.count).collect(),
            VerifyLevel::Sampled => frames_to_search(&timeline, STRIDE, MAX_SHARE).into_iter().collect(),
        };
        let detectors = Detectors::for_verification(settings, &zoo(settings)?)?;
        Ok(Self { detectors, frames, ask: Ask::all_of(header.source.kind) })
    }

    pub fn is_due(&self, frame: FrameIndex) -> bool {
        self.frames.contains(&frame)
    }

    /// What the reserved networks find in a picture, display space.
    pub fn hits(&mut self, picture: &Picture) -> Result<Vec<Detection>> {
        self.detectors.detect(picture, self.ask)
    }
}

/// Counts hits in the frames of the source, before they are masked.
pub struct SourceSearch {
    search: Search,
    pictures: Pictures,
    pub hits: u64,
}

impl SourceSearch {
    pub fn new(plan: &RedactionPlan, settings: &Settings, info: &SourceInfo) -> Result<Self> {
        Ok(Self { search: Search::new(plan, settings)?, pictures: Pictures::new(info), hits: 0 })
    }

    /// Looks at a frame that is not masked yet, if it is one of those to look at.
    pub fn look(&mut self, frame: &Frame) -> Result<()> {
        if self.search.is_due(frame.index) {
            let hits = self.search.hits(&self.pictures.picture(frame)?)?;
            self.hits += hits.iter().filter(|h| h.score >= THRESHOLDS.look).count() as u64;
        }
        Ok(())
    }
}
