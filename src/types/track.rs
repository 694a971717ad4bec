//! One object through time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detection::Class;
use super::geometry::Quad;
use super::time::FrameIndex;

/// How the place of an object in a frame is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A detector found it in this frame.
    Detected,
    /// Between two frames in which it was found.
    Interpolated,
    /// Before the first or after the last frame in which it was found.
    Extended,
    /// Given by the operator.
    Manual,
}

/// Place of an object in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackPoint {
    pub frame: FrameIndex,
    pub pts: i64,
    /// As found, not grown; display space.
    pub quad: Quad,
    pub origin: Origin,
    /// Confidence of the detection, 0 for points that were not detected.
    pub score: f32,
}

/// One object: points of consecutive frames without gaps, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    pub class: Class,
    pub points: Vec<TrackPoint>,
}
