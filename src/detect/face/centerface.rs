//! CenterFace (Xu, Yan, Sun, Yang, Luo: "CenterFace: joint face detection and alignment using face as point", 2019).

use super::{FaceNetwork, RawFace, finished, is_empty};
use crate::error::Result;
use crate::infer::Network;
use crate::infer::engine::{checked, expect_shape};
use crate::infer::prep::{Channels, InputSpec, Layout, raised_to_multiple};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Rect};

/// Pixels of the input for each cell of the outputs.
const STRIDE: usize = 4;

/// No face's side has a logarithm outside of it: an exponent that overflows would lose the box.
const LOG_RANGE: (f32, f32) = (-2.0, 7.0);

const INPUT: InputSpec = InputSpec { channels: Channels::Rgb, layout: Layout::Nchw, mean: [0.0; 3], scale: [1.0; 3] };

/// Finds faces from about 8 pixels, also dark and partly hidden ones; several times the cost of YuNet.
pub struct CenterFace {
    network: Box<dyn Network>,
}

impl CenterFace {
    /// `network`: input `[1, 3, h, w]` with sides a multiple of 32; outputs at a quarter of that: heat map (1 channel),
    /// logarithms of height and width (2), offsets down and right (2), landmarks as (down, right) pairs (10).
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network }
    }
}

impl FaceNetwork for CenterFace {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>> {
        if is_empty(picture) {
            return Ok(Vec::new());
        }
        let canvas = raised_to_multiple(picture.size, 32);
        let name = self.network.name().to_owned();
        let outputs = checked(&name, self.network.run(INPUT.tensor(&picture.data, picture.size, canvas))?, 4)?;
        let (columns, rows) = (canvas.width as usize / STRIDE, canvas.height as usize / STRIDE);
        for (tensor, channels) in outputs.iter().zip([1, 2, 2, 10]) {
            expect_shape(&name, tensor, &[1, channels, rows, columns])?;
        }
        let faces =
            outputs[0].data.iter().enumerate().filter(|(_, score)| **score >= threshold).map(|(cell, &score)| {
                let value = |output: usize, channel: usize| outputs[output].data[channel * rows * columns + cell];
                decoded(cell % columns, cell / columns, score, value)
            });
        Ok(finished(faces.collect()))
    }
}

/// Face of one cell in pixels of the input; `value(output, channel)` reads that cell.
fn decoded(column: usize, row: usize, score: f32, value: impl Fn(usize, usize) -> f32) -> RawFace {
    let stride = STRIDE as f32;
    let side = |channel| value(1, channel).clamp(LOG_RANGE.0, LOG_RANGE.1).exp() * stride;
    let (h, w) = (side(0), side(1));
    let cx = (column as f32 + value(2, 1) + 0.5) * stride;
    let cy = (row as f32 + value(2, 0) + 0.5) * stride;
    let (x0, y0) = (cx - w / 2.0, cy - h / 2.0);
    let landmarks = std::array::from_fn(|j| Point::new(value(3, 2 * j + 1) * w + x0, value(3, 2 * j) * h + y0));
    RawFace { rect: Rect::new(x0, y0, w, h), score: score.min(1.0), landmarks: Some(landmarks) }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{FakeNetwork, black};
    use super::*;
    use crate::infer::Tensor;

    #[test]
    fn a_cell_decodes_to_its_box_and_landmarks() {
        // The picture is padded to a canvas of 64x32, outputs are 16x8.
        let mut outputs: Vec<Tensor> =
            [1, 2, 2, 10].iter().map(|&c| Tensor::new(vec![1, c, 8, 16], vec![0.0; c * 128])).collect();
        let cell = 5 * 16 + 6;
        outputs[0].data[cell] = 0.7;
        outputs[1].data[cell] = 4f32.ln();
        outputs[1].data[128 + cell] = 2f32.ln();
        outputs[2].data[cell] = 0.25;
        outputs[2].data[128 + cell] = -0.5;
        outputs[3].data[cell] = 0.5;
        outputs[3].data[128 + cell] = 0.25;
        let mut network = CenterFace::new(FakeNetwork::boxed(vec![1, 3, 32, 64], outputs));
        let faces = network.candidates(&black(48, 16), 0.5).unwrap();
        assert_eq!(faces.len(), 1);
        let expected = Rect::new(20.0, 15.0, 8.0, 16.0);
        assert!(faces[0].rect.iou(expected) > 0.999, "{:?}", faces[0].rect);
        let eye = faces[0].landmarks.unwrap()[0];
        assert!(eye.distance(Point::new(22.0, 23.0)) < 1e-3, "{eye:?}");
        assert!(network.candidates(&black(48, 16), 0.8).unwrap().is_empty());
    }
}
