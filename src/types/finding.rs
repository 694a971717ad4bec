//! What a human should know or look at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::geometry::Rect;
use super::time::FrameIndex;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Recorded, nothing to do.
    Note,
    /// Look here.
    Warning,
    /// Must not be published.
    Error,
}

/// What was found, as a stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    VisibleFace,
    VisibleText,
    /// Nothing at all was found in the source: look whether that is right.
    NothingFound,
    /// A region that the operator spared.
    Kept,
    /// A detection of low confidence that was masked.
    WeakTrack,
    /// A track that begins or ends in the middle of the picture, without a cut: the object may be there still.
    LostTrack,
    /// Frames that decoding reported as damaged; masked whole.
    DamagedFrames,
    /// A mask is missing or thinner than the plan says.
    MaskMissing,
    /// The picture outside the masks is not what was handed to the encoder.
    PictureChanged,
    /// Frames are missing, doubled or at other times than the source's.
    FrameTable,
    /// Streams, tags or bytes that do not belong into a finished file.
    Residue,
    Metadata,
    AudioPresent,
    /// A file in a folder that no reader here knows.
    UnknownFile,
    /// Something was loosened on request: audio kept, detector off, ...
    Loosened,
    /// The timeline was moved to begin at zero.
    Rebased,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub rule: Rule,
    pub severity: Severity,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<FrameIndex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_secs: Option<f64>,
    /// Display space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Rect>,
    /// Id of the plan's region concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Findings of one rule that are told of one file; a broken one has one for every frame.
const MAX_PER_RULE: usize = 50;

/// The findings of one file.
#[derive(Clone, Debug, Default)]
pub struct FindingList {
    pub list: Vec<Finding>,
    told: BTreeMap<Rule, usize>,
}

impl FindingList {
    /// Adds a finding unless enough of its rule came this way.
    pub fn tell(&mut self, finding: Finding) {
        let told = self.told.entry(finding.rule).or_default();
        *told += 1;
        if *told <= MAX_PER_RULE {
            self.list.push(finding);
        }
    }
}

impl Finding {
    pub fn new(rule: Rule, severity: Severity, message: impl Into<String>) -> Self {
        Self { rule, severity, message: message.into(), frame: None, time_secs: None, bounds: None, region: None }
    }

    pub fn at(mut self, frame: FrameIndex, time_secs: f64) -> Self {
        self.frame = Some(frame);
        self.time_secs = Some(time_secs);
        self
    }

    pub fn within(mut self, bounds: Rect) -> Self {
        self.bounds = Some(bounds);
        self
    }

    pub fn of_region(mut self, id: impl Into<String>) -> Self {
        self.region = Some(id.into());
        self
    }
}
