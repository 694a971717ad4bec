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
    /// Display space. Text and the like as found, not yet grown. For a face the whole head: hair, ears and chin, at
    /// least 30 % beyond the face on every side, so that nothing has to be added; edge 0-1 is the top of the head.
    pub quad: Quad,
    /// Calibrated confidence, 0 to 1.
    pub score: f32,
    /// Right eye, left eye, nose, right and left mouth corner of the person; display space.
    pub landmarks: Option<[Point; 5]>,
}

/// Someone in one picture, known by the pose, not by the face.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Where the whole head is or should be; display space, edge 0-1 is its top.
    pub head: Quad,
    /// Confidence, 0 to 1.
    pub score: f32,
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
    /// How hard faces were looked for.
    pub face_look: FaceLook,
    /// It was looked at because of what it alone shows: faces found in it begin tracks, but neither continue nor doubt any.
    pub new_faces_only: bool,
    /// Whether anything but faces was looked for.
    pub text_looked: bool,
}

impl FrameDetections {
    /// Whether objects of the class were looked for in this frame at all.
    pub fn was_looked_for(&self, class: Class) -> bool {
        if class == Class::Face { self.face_look != FaceLook::None } else { self.text_looked }
    }
}

/// How hard faces were looked for in a frame of a clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaceLook {
    #[default]
    None,
    /// By one network, in known headings.
    Glance,
    /// By the ensemble.
    Thorough,
}

/// How much work a detector may spend on one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Every frame of a clip: the cheapest network, looking for heads that stand in the given headings.
    Fast(Headings),
    /// Key frames of a clip: all networks, the costly ones only for heads that stand in the given headings.
    Key(Headings),
    /// Photos: all networks, turns, scales and tiles.
    Thorough,
}

impl Effort {
    pub fn is_fast(self) -> bool {
        matches!(self, Effort::Fast(_))
    }
}

/// Which ways up heads may stand: a set of quarter turns that is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Headings(u8);

impl Headings {
    pub const UPRIGHT: Headings = Headings(1);
    pub const ALL: Headings = Headings(0b1111);

    /// Heads turned clockwise by this many quarters.
    pub const fn of_quarter(quarter: u32) -> Headings {
        Headings(1 << (quarter % 4))
    }

    /// The quarter turn next to an angle, radians, clockwise as seen; upright when it is no number.
    pub fn of_angle_rad(angle_rad: f32) -> Headings {
        let quarters = (angle_rad / std::f32::consts::FRAC_PI_2).round();
        Headings::of_quarter(if quarters.is_finite() { quarters.rem_euclid(4.0) as u32 } else { 0 })
    }

    /// Both sets together.
    pub const fn with(self, other: Headings) -> Headings {
        Headings(self.0 | other.0)
    }

    /// Whether all of the other set are in this one.
    pub const fn contains(self, other: Headings) -> bool {
        self.0 & other.0 == other.0
    }

    /// Clockwise quarter turns, ascending.
    pub fn quarters(self) -> impl Iterator<Item = u32> {
        (0..4).filter(move |&k| self.contains(Headings::of_quarter(k)))
    }
}

impl Default for Headings {
    fn default() -> Self {
        Headings::UPRIGHT
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::PI;

    use super::*;

    #[test]
    fn angles_fall_to_the_next_quarter_turn() {
        let table = [(0.1, 0), (PI / 2.0 + 0.7, 1), (PI, 2), (-PI, 2), (-PI / 2.0, 3), (7.0 * PI, 2), (f32::NAN, 0)];
        for (angle, quarter) in table {
            assert_eq!(Headings::of_angle_rad(angle).quarters().collect::<Vec<_>>(), [quarter], "{angle}");
        }
    }

    #[test]
    fn sets_join_and_tell_their_members() {
        let set = Headings::of_quarter(3).with(Headings::UPRIGHT);
        assert_eq!(set.quarters().collect::<Vec<_>>(), [0, 3]);
        assert!(Headings::ALL.contains(set) && !set.contains(Headings::ALL));
    }
}
