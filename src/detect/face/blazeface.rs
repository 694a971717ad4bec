//! BlazeFace, full-range model (Bazarevsky et al.: "BlazeFace: sub-millisecond neural face detection on mobile GPUs",
//! 2019; weights of MediaPipe). Reserved for verification.

use super::{FaceNetwork, RawFace, finished, is_empty};
use crate::error::Result;
use crate::infer::Network;
use crate::infer::engine::{checked, expect_shape};
use crate::infer::prep::{Affine, Channels, InputSpec, Layout, resize_rgb};
use crate::types::frame::Picture;
use crate::types::geometry::{Rect, Size};

/// Side of the square input.
pub const SIDE: u32 = 192;

/// Anchors along a side; one at the centre of each cell.
const ANCHORS: usize = 48;

const INPUT: InputSpec =
    InputSpec { channels: Channels::Rgb, layout: Layout::Nhwc, mean: [127.5; 3], scale: [1.0 / 127.5; 3] };

/// Finds faces from about a twentieth of the picture's longer side: large pictures are to be tiled.
pub struct BlazeFace {
    network: Box<dyn Network>,
}

impl BlazeFace {
    /// `network`: input `[1, 192, 192, 3]`; outputs `[1, 2304, 16]` (box, six points) and `[1, 2304, 1]` (logit).
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network }
    }
}

impl FaceNetwork for BlazeFace {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn input_side(&self) -> Option<u32> {
        Some(SIDE)
    }

    fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>> {
        if is_empty(picture) {
            return Ok(Vec::new());
        }
        let scale = SIDE as f32 / picture.size.width.max(picture.size.height) as f32;
        let side = |v: u32| ((v as f32 * scale).round() as u32).clamp(1, SIDE);
        let size = Size::new(side(picture.size.width), side(picture.size.height));
        let data = resize_rgb(&picture.data, picture.size, size)?;
        let name = self.network.name().to_owned();
        let input = INPUT.tensor(&data, size, Size::new(SIDE, SIDE));
        let outputs = checked(&name, self.network.run(input)?, 2)?;
        let anchors = ANCHORS * ANCHORS;
        expect_shape(&name, &outputs[0], &[1, anchors, 16])?;
        expect_shape(&name, &outputs[1], &[1, anchors, 1])?;
        let picture_from_model = Affine::scale_shift(
            picture.size.width as f32 / size.width as f32,
            picture.size.height as f32 / size.height as f32,
            0.0,
            0.0,
        );
        let faces = outputs[0].data.chunks_exact(16).zip(&outputs[1].data).enumerate().filter_map(|(i, (r, logit))| {
            let score = 1.0 / (1.0 + (-logit).exp());
            (score >= threshold).then(|| decoded(i, r, score).mapped(&picture_from_model))
        });
        Ok(finished(faces.collect()))
    }
}

/// Face of one anchor in pixels of the input. Its points (eyes, nose, mouth, ears) are not the five of other networks.
fn decoded(anchor: usize, r: &[f32], score: f32) -> RawFace {
    let cell = SIDE as f32 / ANCHORS as f32;
    let cx = r[0] + ((anchor % ANCHORS) as f32 + 0.5) * cell;
    let cy = r[1] + ((anchor / ANCHORS) as f32 + 0.5) * cell;
    RawFace { rect: Rect::new(cx - r[2] / 2.0, cy - r[3] / 2.0, r[2], r[3]), score, landmarks: None }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{FakeNetwork, black};
    use super::*;
    use crate::infer::Tensor;

    #[test]
    fn an_anchor_decodes_to_its_box() {
        let mut boxes = vec![0.0; 2304 * 16];
        let mut logits = vec![-9.0; 2304];
        let anchor = 10 * 48 + 20;
        boxes[anchor * 16..anchor * 16 + 4].copy_from_slice(&[2.0, -2.0, 24.0, 36.0]);
        logits[anchor] = 0.0;
        let outputs = vec![Tensor::new(vec![1, 2304, 16], boxes), Tensor::new(vec![1, 2304, 1], logits)];
        let mut network = BlazeFace::new(FakeNetwork::boxed(vec![1, 192, 192, 3], outputs));
        let faces = network.candidates(&black(384, 192), 0.4).unwrap();
        assert_eq!(faces.len(), 1);
        assert!((faces[0].score - 0.5).abs() < 1e-6);
        // Centre (84, 40) in the input, which is half the picture.
        assert!(faces[0].rect.iou(Rect::new(144.0, 44.0, 48.0, 72.0)) > 0.999, "{:?}", faces[0].rect);
        assert!(network.candidates(&black(384, 192), 0.6).unwrap().is_empty());
    }
}
