//! One object through time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detection::Class;
use super::geometry::Quad;
use super::time::{FrameIndex, FrameSpan};

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

/// Why a track begins or ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrackEdge {
    /// The scene (or the clip) begins or ends there.
    Cut,
    /// The object comes in or goes out over the edge of the picture.
    Exit,
    /// Another track of the class has it from here on.
    Joined,
    /// In the middle of the picture, for no known reason: it may still be there.
    Lost,
    /// The rest of the object's life is another track: a scene that is long is handed out in parts.
    Divided,
}

/// What the looks of the whole ensemble, each of which could have seen the object, made of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looks {
    /// Looks in frames in which the track stands.
    pub count: u32,
    /// Best score, 0 when none saw it.
    pub best: f32,
    /// Sum of the scores; a look that did not see it adds nothing.
    pub sum: f32,
}

impl Looks {
    /// One more look, with the score of what it saw.
    pub fn add(&mut self, score: f32) {
        self.count += 1;
        self.best = self.best.max(score);
        self.sum += score;
    }

    /// Mean score, 0 without looks.
    pub fn mean(&self) -> f32 {
        self.sum / self.count.max(1) as f32
    }
}

/// One object: points of consecutive frames without gaps, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    pub class: Class,
    pub points: Vec<TrackPoint>,
    /// Evidence of the thorough looks; glances are in the points alone.
    pub looks: Looks,
    /// The scene that it lies in; it never leaves it.
    pub scene: FrameSpan,
    pub start: TrackEdge,
    pub end: TrackEdge,
}

impl Track {
    /// Frames from its first to behind its last point; empty without points.
    pub fn span(&self) -> FrameSpan {
        match (self.points.first(), self.points.last()) {
            (Some(a), Some(b)) => FrameSpan::new(a.frame, b.frame + 1),
            _ => FrameSpan::new(self.scene.start, self.scene.start),
        }
    }

    /// Whether it is one part of an object's life in its scene, so that its evidence is not all that there is.
    pub fn is_part(&self) -> bool {
        self.start == TrackEdge::Divided || self.end == TrackEdge::Divided
    }

    /// Points that a detector found.
    pub fn detected(&self) -> impl DoubleEndedIterator<Item = &TrackPoint> {
        self.points.iter().filter(|p| p.origin == Origin::Detected)
    }

    /// Place at `frame`, if it has one there.
    pub fn at(&self, frame: FrameIndex) -> Option<&TrackPoint> {
        let first = self.points.first()?.frame;
        self.points.get(usize::try_from(frame.checked_sub(first)?).ok()?)
    }
}
