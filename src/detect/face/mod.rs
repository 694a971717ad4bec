//! Face networks and what is made of their boxes.

mod again;
mod bars;
pub mod blazeface;
pub mod centerface;
pub mod ensemble;
mod fuse;
mod gather;
mod head;
mod passes;
mod quality;
pub mod seeta;
pub mod verify;
mod weights;
pub mod yunet;

#[cfg(test)]
pub mod fakes;

use crate::detect::nms;
use crate::error::Result;
use crate::infer::prep::Affine;
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad, Rect};

/// A box as a network gives it, in pixels of the picture that it was given.
#[derive(Clone, Debug, PartialEq)]
pub struct RawFace {
    pub rect: Rect,
    /// 0 to 1, not calibrated between networks.
    pub score: f32,
    /// Right eye, left eye, nose, right and left mouth corner of the person.
    pub landmarks: Option<[Point; 5]>,
}

/// A network that finds faces which stand about upright.
pub trait FaceNetwork: Send {
    /// For messages and plans.
    fn name(&self) -> &str;
    /// Boxes with a score of at least `threshold`, best first, suppressed against each other.
    fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>>;
    /// Longer side to which every larger picture is scaled down: whoever shows turns of one picture may do it before.
    fn input_side(&self) -> Option<u32> {
        None
    }
}

impl RawFace {
    /// The box in the space that `map` leads to. Edge 0-1 stays the forehead's when the map turns.
    pub fn quad(&self, map: &Affine) -> Quad {
        Quad::from(self.rect).map(|p| map.apply(p))
    }

    /// The face in the space that `map` leads to, with an axis-parallel box around the mapped one.
    pub fn mapped(&self, map: &Affine) -> RawFace {
        RawFace {
            rect: self.quad(map).bounds(),
            score: self.score,
            landmarks: self.landmarks.map(|points| points.map(|p| map.apply(p))),
        }
    }

    /// Clockwise turn of the head as seen, from its eyes and mouth corners; `None` without landmarks.
    pub fn roll_rad(&self) -> Option<f32> {
        let [right_eye, left_eye, _, right_mouth, left_mouth] = self.landmarks?;
        let dx = left_eye.x - right_eye.x + left_mouth.x - right_mouth.x;
        let dy = left_eye.y - right_eye.y + left_mouth.y - right_mouth.y;
        (dx.hypot(dy) > 1e-3).then(|| dy.atan2(dx))
    }
}

/// Overlap above which the weaker of two boxes of one network is dropped. The networks' authors take 0.3; heads in a
/// crowd overlap by more, and the ensemble joins what is left of doubles.
const MAX_IOU: f32 = 0.45;

/// Drops boxes that are no boxes, then suppresses.
fn finished(mut faces: Vec<RawFace>) -> Vec<RawFace> {
    faces.retain(|f| f.rect.width > 0.0 && f.rect.height > 0.0 && Quad::from(f.rect).is_finite());
    nms::suppress(faces, |f| f.rect, |f| f.score, MAX_IOU)
}

fn is_empty(picture: &Picture) -> bool {
    picture.size.pixels() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::prep::Turn;
    use crate::types::geometry::Size;

    fn upright_face() -> RawFace {
        let at = |x, y| Point::new(x, y);
        let landmarks = [at(12.0, 14.0), at(18.0, 14.0), at(15.0, 17.0), at(13.0, 20.0), at(17.0, 20.0)];
        RawFace { rect: Rect::new(10.0, 10.0, 10.0, 14.0), score: 0.5, landmarks: Some(landmarks) }
    }

    #[test]
    fn roll_follows_the_turn_of_the_picture() {
        use std::f32::consts::PI;
        // A face that stands upright in a picture turned clockwise lies turned the other way in the upright one.
        let rolls =
            [(Turn::Upright, 0.0), (Turn::Quarter, -PI / 2.0), (Turn::Half, PI), (Turn::ThreeQuarter, PI / 2.0)];
        for (turn, roll) in rolls {
            let map = turn.upright_from_turned(Size::new(100, 60));
            let face = upright_face().mapped(&map);
            let difference = (face.roll_rad().unwrap() - roll).sin().abs();
            assert!(difference < 1e-4, "{turn:?}");
            assert!((upright_face().quad(&map).angle_rad() - roll).sin().abs() < 1e-4, "{turn:?}");
        }
    }

    #[test]
    fn boxes_that_are_none_are_dropped() {
        let bad = |rect| RawFace { rect, score: 1.0, landmarks: None };
        let faces = vec![bad(Rect::new(0.0, 0.0, 0.0, 5.0)), bad(Rect::new(f32::NAN, 0.0, 4.0, 5.0)), upright_face()];
        assert_eq!(finished(faces), [upright_face()]);
    }
}
