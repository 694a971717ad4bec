//! The redaction plan: what analysis found and what rendering shall do. Written as JSON Lines, a header and then one
//! region a line; see `plan::file` for reading and writing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detection::Class;
use super::finding::Finding;
use super::frame::SourceInfo;
use super::geometry::{Point, Quad, Size};
use super::limits::Limits;
use super::time::{FrameIndex, FrameSpan};
use super::track::Origin;

/// Version of the plan's schema; readers refuse others.
pub const PLAN_VERSION: u32 = 1;

/// Look of a mask. None of them carries pixels of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MaskStyle {
    /// One opaque colour.
    #[default]
    Fill,
    /// Soft cloud of one tone, drawn by a generator that never sees the source.
    Blur,
    /// Blocks around one tone, drawn by a generator that never sees the source.
    Mosaic,
}

/// Outline of a mask inside its quad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    #[default]
    Quad,
    /// The ellipse inscribed in the quad.
    Ellipse,
    /// The superellipse |x|^3 + |y|^3 = 1 inscribed in the quad: a head with its hair and ears, fuller than an ellipse.
    Head,
}

impl Shape {
    /// Exponent of the superellipse; `None` for a quad.
    pub fn exponent(self) -> Option<f32> {
        match self {
            Shape::Quad => None,
            Shape::Ellipse => Some(2.0),
            Shape::Head => Some(3.0),
        }
    }

    /// A polygon around the shape that is inscribed in the quad.
    pub fn outline(self, quad: &Quad) -> Vec<Point> {
        match self.exponent() {
            None => quad.corners.to_vec(),
            Some(exponent) => quad.superellipse_outline(exponent),
        }
    }
}

/// What shall be done with a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "action", deny_unknown_fields)]
pub enum Decision {
    /// Hide it.
    Redact,
    /// Leave it visible, for a recorded reason.
    Keep {
        reason: String,
        /// Decided by the program (too weak to be masked unasked), not by a human: verification may overrule it.
        #[serde(default)]
        automatic: bool,
    },
}

impl Decision {
    pub fn is_redact(&self) -> bool {
        matches!(self, Decision::Redact)
    }

    /// A human wants it visible.
    pub fn is_kept_on_purpose(&self) -> bool {
        matches!(self, Decision::Keep { automatic: false, .. })
    }
}

/// Place of a region at one frame; linear in between. Display space, already grown to the mask's full size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keyframe {
    pub frame: FrameIndex,
    /// Ticks of the source's time base; must agree with the frame number.
    pub pts: i64,
    pub quad: Quad,
    pub origin: Origin,
    /// Confidence, 0 to 1.
    pub score: f32,
}

/// One region through time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Unique in the plan: `f1`, `t2`, ...
    pub id: String,
    pub class: Class,
    pub decision: Decision,
    #[serde(default)]
    pub shape: Shape,
    /// Tone of soft styles: one of 16.
    #[serde(default)]
    #[schemars(range(min = 0, max = 15))]
    pub tone: u8,
    /// Frames in which the mask stands.
    pub span: FrameSpan,
    /// At least one, ascending, inside the span. Before the first and after the last the nearest holds.
    pub keyframes: Vec<Keyframe>,
}

impl Region {
    /// Place at `frame`: interpolated between keyframes, held outside of them; `None` outside the span.
    pub fn quad_at(&self, frame: FrameIndex) -> Option<Quad> {
        if !self.span.contains(frame) {
            return None;
        }
        let after = self.keyframes.partition_point(|k| k.frame < frame);
        let next = self.keyframes.get(after);
        let previous = after.checked_sub(1).and_then(|i| self.keyframes.get(i));
        match (previous, next) {
            (Some(a), Some(b)) => {
                let t = (frame - a.frame) as f32 / (b.frame - a.frame) as f32;
                Some(a.quad.lerp(&b.quad, t))
            }
            (Some(k), None) | (None, Some(k)) => Some(k.quad),
            (None, None) => None,
        }
    }
}

/// A network that took part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelUsed {
    pub name: String,
    pub sha256: String,
}

/// Identity of the frames that the plan speaks of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameTable {
    pub count: u64,
    /// SHA-256 over all pts (little-endian i64, in order) and the display size (two little-endian u32), hex.
    pub sha256: String,
    pub display: Size,
    /// Ticks of the first frame.
    pub first_pts: i64,
    /// Ticks from each frame to the next, run-length coded: one entry for a constant frame rate.
    pub steps: Vec<FrameSteps>,
}

/// So many frames follow their predecessor at the same distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameSteps {
    pub frames: u64,
    pub ticks: i64,
}

impl FrameTable {
    /// Ticks of every frame. `None` when the steps do not add up to the count.
    pub fn pts(&self) -> Option<Vec<i64>> {
        let listed = self.steps.iter().try_fold(1u64, |sum, s| sum.checked_add(s.frames))?;
        // The bound keeps a forged plan from asking for memory.
        if listed != self.count || self.count > Limits::default().frames {
            return None;
        }
        let mut pts = vec![self.first_pts];
        for step in &self.steps {
            for _ in 0..step.frames {
                pts.push(pts.last()?.checked_add(step.ticks)?);
            }
        }
        Some(pts)
    }
}

/// First line of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanHeader {
    /// Always `withhold-plan`.
    pub kind: String,
    pub version: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// SHA-256 of the source file, hex.
    pub source_sha256: String,
    /// Where the source lay when the plan was made; plans are private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_path: Option<String>,
    pub source: SourceInfo,
    pub frames: FrameTable,
    pub models: Vec<ModelUsed>,
    /// Settings of the analysis, by flag name. Verification looks for the same `targets`; the others are recorded alone.
    pub settings: BTreeMap<String, String>,
    pub style: MaskStyle,
    /// sRGB colour of `fill`.
    pub fill_color: [u8; 3],
    /// Frames that decoding reported as damaged: masked whole.
    #[serde(default)]
    pub damaged: Vec<FrameSpan>,
    /// Frames at which a new scene begins.
    #[serde(default)]
    pub scene_cuts: Vec<FrameIndex>,
    /// What a reviewer should look at, worst first.
    #[serde(default)]
    pub review: Vec<Finding>,
}

/// The whole plan.
#[derive(Clone, Debug, PartialEq)]
pub struct RedactionPlan {
    pub header: PlanHeader,
    pub regions: Vec<Region>,
}
