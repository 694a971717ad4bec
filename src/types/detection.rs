//! What detectors find.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::geometry::{Point, Quad};
use super::time::FrameIndex;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Face,
    Text,
    Document,
    Code,
    /// A region that the operator named.
    Region,
}

impl Class {
    /// First letter of region ids.
    pub fn letter(self) -> char {
        match self {
            Class::Face => 'f',
            Class::Text => 't',
            Class::Document => 'd',
            Class::Code => 'c',
            Class::Region => 'r',
        }
    }
}

/// One finding in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    pub class: Class,
    /// The object as found (a face box, a text line), not yet grown; display space. For a face that lies on its side
    /// edge 0-1 is the forehead's.
    pub quad: Quad,
    /// Calibrated confidence, 0 to 1.
    pub score: f32,
    /// Right eye, left eye, nose, right and left mouth corner of the person; display space.
    pub landmarks: Option<[Point; 5]>,
}

/// All detections of one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameDetections {
    pub frame: FrameIndex,
    /// Ticks of the source's time base.
    pub pts: i64,
    pub detections: Vec<Detection>,
    /// The picture changed so much since the last frame that a new scene begins here.
    pub scene_cut: bool,
    /// Whether the thorough ensemble ran on this frame.
    pub thorough: bool,
}

/// How much work a detector may spend on one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Every frame of a clip.
    Fast,
    /// Photos and key frames: all networks, rotations, scales and tiles.
    Thorough,
}
