//! Faces for redaction: networks that fail apart, over rotations, their boxes joined.

use super::{FaceNetwork, RawFace};
use crate::detect::nms;
use crate::error::Result;
use crate::infer::prep::{Affine, Turn, scaled_down, turned};
use crate::types::detection::{Class, Detection, Effort};
use crate::types::frame::Picture;
use crate::types::geometry::{Quad, Rect};
use crate::types::stage::Detector;

/// A network with the score from which its boxes count.
pub struct Member {
    pub network: Box<dyn FaceNetwork>,
    pub threshold: f32,
}

/// Looks through several networks and takes the union of what they find.
pub struct FaceDetector {
    name: String,
    members: Vec<Member>,
    /// Longest side that the networks see, pixels; for `Effort::Fast` and `Effort::Thorough`.
    pub long_side: (u32, u32),
}

impl FaceDetector {
    pub fn new(members: Vec<Member>) -> Self {
        let name = members.iter().map(|m| m.network.name()).collect::<Vec<_>>().join("+");
        Self { name, members, long_side: (960, 1600) }
    }
}

impl Detector for FaceDetector {
    fn name(&self) -> &str {
        &self.name
    }

    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>> {
        let (turns, long_side) = match effort {
            Effort::Fast => (&Turn::ALL[..1], self.long_side.0),
            Effort::Thorough => (&Turn::ALL[..], self.long_side.1),
        };
        let work = scaled_down(picture, long_side)?;
        let mut found = Vec::new();
        for &turn in turns {
            let view = turned(&work.picture, turn);
            let picture_from_view = work.source_from_derived.after(&view.source_from_derived);
            for member in &mut self.members {
                let faces = member.network.candidates(&view.picture, member.threshold)?;
                found.extend(faces.iter().map(|face| Found::new(face, &picture_from_view)));
            }
        }
        let groups = nms::grouped(found, |f| f.face.rect, |f| f.face.score, 0.4, 0.7);
        Ok(groups.iter().map(|group| joined(group).scaled_to_display(picture.display_from_picture)).collect())
    }
}

/// A box in the space of the picture, with the turn of the head.
struct Found {
    face: RawFace,
    roll_rad: f32,
}

impl Found {
    fn new(face: &RawFace, map: &Affine) -> Self {
        let mapped = face.mapped(map);
        let roll_rad = mapped.roll_rad().unwrap_or_else(|| face.quad(map).angle_rad());
        Self { face: mapped, roll_rad }
    }
}

impl Detection {
    fn scaled_to_display(mut self, factor: f32) -> Self {
        self.quad = self.quad.scaled(factor);
        for point in self.landmarks.iter_mut().flatten() {
            point.x *= factor;
            point.y *= factor;
        }
        self
    }
}

/// One face from the boxes of a group, best first: their mean by score, turned like the best one.
fn joined(group: &[Found]) -> Detection {
    let best = &group[0];
    let total: f32 = group.iter().map(|f| f.face.score).sum::<f32>().max(f32::MIN_POSITIVE);
    let mean = |value: fn(&Rect) -> f32| group.iter().map(|f| value(&f.face.rect) * f.face.score).sum::<f32>() / total;
    let rect = Rect::new(mean(|r| r.x), mean(|r| r.y), mean(|r| r.width), mean(|r| r.height));
    // Width along the head's own top edge: the sides of the box swap for a head that lies on its side.
    let lies = best.roll_rad.sin().abs() > best.roll_rad.cos().abs();
    let (w, h) = if lies { (rect.height, rect.width) } else { (rect.width, rect.height) };
    Detection {
        class: Class::Face,
        quad: Quad::rotated_rect(rect.center(), w, h, best.roll_rad),
        score: best.face.score,
        landmarks: best.face.landmarks,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::black;
    use super::*;
    use crate::types::geometry::Point;

    /// Sees one face, of the given box, in views of the given width.
    struct SeesAtWidth(u32, Rect);

    impl FaceNetwork for SeesAtWidth {
        fn name(&self) -> &str {
            "fake"
        }

        fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>> {
            let face = RawFace { rect: self.1, score: 0.6, landmarks: None };
            Ok(if picture.size.width == self.0 && threshold <= 0.6 { vec![face] } else { Vec::new() })
        }
    }

    fn detector(width: u32, rect: Rect) -> FaceDetector {
        FaceDetector::new(vec![Member { network: Box::new(SeesAtWidth(width, rect)), threshold: 0.5 }])
    }

    #[test]
    fn a_face_seen_in_a_turned_view_lies_on_its_side_in_the_picture() {
        // Views of 60 px width are the two quarter turns of the 100x60 picture.
        let mut detector = detector(60, Rect::new(10.0, 20.0, 12.0, 18.0));
        let mut picture = black(100, 60);
        picture.display_from_picture = 2.0;
        let found = detector.detect(&picture, Effort::Thorough).unwrap();
        assert_eq!(found.len(), 2);
        for face in &found {
            assert!((face.quad.angle_rad().sin().abs() - 1.0).abs() < 1e-4);
            assert!((face.quad.width() - 24.0).abs() < 1e-3 && (face.quad.height() - 36.0).abs() < 1e-3);
        }
        // Quarter turn: x = y', y = 60 - x'.
        let centers: Vec<Point> = found.iter().map(|f| f.quad.center()).collect();
        assert!(centers.iter().any(|c| c.distance(Point::new(58.0, 88.0)) < 1e-3), "{centers:?}");
        assert!(detector.detect(&picture, Effort::Fast).unwrap().is_empty());
    }

    #[test]
    fn what_all_views_agree_on_is_one_face() {
        // Centred in a square picture, so that every turn shows it at the same place.
        let mut detector = detector(80, Rect::new(30.0, 30.0, 20.0, 20.0));
        let found = detector.detect(&black(80, 80), Effort::Thorough).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].quad.bounds().iou(Rect::new(30.0, 30.0, 20.0, 20.0)) > 0.99);
    }
}
