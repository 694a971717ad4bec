//! The whole head around a face: hair, ears and chin.

use super::fuse::{Head, angle_rad};
use crate::types::geometry::{Margins, Point, Quad, Size};

/// Growth of a face whose size is a tenth of the picture's longer side, as shares of its box: head-sized labels reach
/// this far beyond the boxes of the networks.
const GROWTH: Margins = Margins { left: 0.35, top: 0.45, right: 0.35, bottom: 0.3 };
/// Never less: hair and ears have to be hidden even where boxes are exact.
const LEAST_GROWTH: f32 = 0.3;
/// Least height of a usual face box in widths. Boxes of faces under bandages and caps are lower, for they begin below
/// those. Brought to this height they cover, of 366 faces with a strip over the forehead, 317 instead of 311, of 784 plain
/// ones 770 instead of 768, for 6.4 % instead of 6.2 % of area beside faces.
const USUAL_ASPECT: f32 = 1.2;
/// More of a face is not taken for hidden, in heights of the box.
const MOST_HIDDEN: f32 = 0.2;
/// Where the evidence is weaker, or the face smaller (as [`USUAL_SIZE`]), the box tells too little of its shape.
const HIDDEN_SCORE: f32 = 0.5;
const HIDDEN_SIZE: f32 = 0.06;
/// Size, as a share of the longer side, at which [`GROWTH`] holds; smaller faces have less exact boxes.
const USUAL_SIZE: f32 = 0.1;
const SIZE_EXPONENT: f32 = 0.8;
const SIZE_RANGE: (f32, f32) = (0.5, 2.0);
/// Widths of the box by which the back of the head reaches further for each width that the nose is off the middle.
const BACK_OF_HEAD: f32 = 2.0;
/// Noses of frontal faces are off the middle by this much.
const FRONTAL: f32 = 0.02;
const MOST_YAW: f32 = 0.35;

/// The quad whose inscribed superellipse ([`crate::types::plan::Shape::Head`]) hides the head. Picture space, not
/// clipped; `picture` is the size of the picture.
pub fn head_quad(head: &Head, picture: Size) -> Quad {
    let face = Quad::rotated_rect(head.center, head.width, head.height, angle_rad(head.heading));
    let longest = picture.width.max(picture.height).max(1) as f32;
    let relative = (head.width * head.height).sqrt() / longest;
    let by_size = (USUAL_SIZE / relative).powf(SIZE_EXPONENT).clamp(SIZE_RANGE.0, SIZE_RANGE.1);
    let grow = |share: f32| (share * by_size).max(LEAST_GROWTH);
    let is_sure = head.score >= HIDDEN_SCORE && relative >= HIDDEN_SIZE;
    let hidden = if is_sure { (USUAL_ASPECT * head.width / head.height - 1.0).clamp(0.0, MOST_HIDDEN) } else { 0.0 };
    let yaw = head.landmarks.map_or(0.0, |landmarks| nose_offset(landmarks, head));
    let back = BACK_OF_HEAD * (yaw.abs() - FRONTAL).max(0.0);
    face.grown(Margins {
        // The back of the head lies where the nose points away from.
        left: grow(GROWTH.left) + if yaw > 0.0 { back } else { 0.0 },
        top: grow(GROWTH.top) + hidden,
        right: grow(GROWTH.right) + if yaw < 0.0 { back } else { 0.0 },
        bottom: grow(GROWTH.bottom),
    })
}

/// How far the nose lies right of the middle of eyes and mouth, along the head's own top edge, in widths of the box.
fn nose_offset(landmarks: [Point; 5], head: &Head) -> f32 {
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = landmarks;
    let middle = right_eye.lerp(left_eye, 0.5).lerp(right_mouth.lerp(left_mouth, 0.5), 0.5);
    let (s, c) = angle_rad(head.heading).sin_cos();
    let offset = ((nose.x - middle.x) * c + (nose.y - middle.y) * s) / head.width;
    if offset.is_finite() { offset.clamp(-MOST_YAW, MOST_YAW) } else { 0.0 }
}
