//! YuNet (Wu, Peng, Yu: "YuNet: a tiny millisecond-level face detector", 2023; weights of the OpenCV Zoo).

use super::{FaceNetwork, RawFace, finished, is_empty};
use crate::error::Result;
use crate::infer::engine::{checked, expect_shape};
use crate::infer::prep::{Channels, InputSpec, Layout, raised_to_multiple};
use crate::infer::{Network, Tensor};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Rect};

const STRIDES: [u32; 3] = [8, 16, 32];

/// No face's side has a logarithm beyond it: an exponent that overflows would lose the box.
const MAX_LOG: f32 = 6.0;

const INPUT: InputSpec = InputSpec { channels: Channels::Bgr, layout: Layout::Nchw, mean: [0.0; 3], scale: [1.0; 3] };

/// Finds faces from about 10 pixels; fast, weak under noise.
pub struct YuNet {
    network: Box<dyn Network>,
}

impl YuNet {
    /// `network`: input `[1, 3, h, w]` with sides a multiple of 32; twelve outputs: class, object, box and landmarks
    /// for the strides 8, 16 and 32 each.
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network }
    }
}

impl FaceNetwork for YuNet {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>> {
        if is_empty(picture) {
            return Ok(Vec::new());
        }
        let canvas = raised_to_multiple(picture.size, 32);
        let outputs = self.network.run(INPUT.tensor(&picture.data, picture.size, canvas))?;
        let outputs = checked(self.network.name(), outputs, 12)?;
        let mut faces = Vec::new();
        for (i, stride) in STRIDES.into_iter().enumerate() {
            let columns = (canvas.width / stride) as usize;
            let cells = columns * (canvas.height / stride) as usize;
            let [class, object, boxes, points] = [0, 3, 6, 9].map(|kind| &outputs[kind + i]);
            for (tensor, width) in [(class, 1), (object, 1), (boxes, 4), (points, 10)] {
                expect_shape(self.network.name(), tensor, &[1, cells, width])?;
            }
            let head = Head { class, object, boxes, points };
            faces.extend((0..cells).filter_map(|cell| head.face(cell, columns, stride as f32, threshold)));
        }
        Ok(finished(faces))
    }
}

/// The four outputs of one stride.
struct Head<'a> {
    class: &'a Tensor,
    object: &'a Tensor,
    boxes: &'a Tensor,
    points: &'a Tensor,
}

impl Head<'_> {
    fn face(&self, cell: usize, columns: usize, stride: f32, threshold: f32) -> Option<RawFace> {
        let score = (self.class.data[cell].clamp(0.0, 1.0) * self.object.data[cell].clamp(0.0, 1.0)).sqrt();
        if score < threshold {
            return None;
        }
        let (column, row) = ((cell % columns) as f32, (cell / columns) as f32);
        let b = &self.boxes.data[cell * 4..cell * 4 + 4];
        let (cx, cy) = ((column + b[0]) * stride, (row + b[1]) * stride);
        let (w, h) = (b[2].clamp(-MAX_LOG, MAX_LOG).exp() * stride, b[3].clamp(-MAX_LOG, MAX_LOG).exp() * stride);
        let k = &self.points.data[cell * 10..cell * 10 + 10];
        let landmarks =
            std::array::from_fn(|j| Point::new((k[2 * j] + column) * stride, (k[2 * j + 1] + row) * stride));
        Some(RawFace { rect: Rect::new(cx - w / 2.0, cy - h / 2.0, w, h), score, landmarks: Some(landmarks) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{FakeNetwork, black};
    use super::*;

    /// Outputs for a 64x32 canvas with one face at stride 8, column 3, row 2.
    fn outputs(shift: f32) -> Vec<Tensor> {
        let cells = [32, 8, 2];
        let mut tensors: Vec<Tensor> = [1, 1, 4, 10]
            .into_iter()
            .flat_map(|width| cells.map(|n| Tensor::new(vec![1, n, width], vec![0.0; n * width])))
            .collect();
        let cell = 2 * 8 + 3;
        tensors[0].data[cell] = 0.81;
        tensors[3].data[cell] = 1.5;
        tensors[6].data[cell * 4..cell * 4 + 4].copy_from_slice(&[0.5, shift, 2f32.ln(), 3f32.ln()]);
        tensors[9].data[cell * 10] = 1.0;
        tensors
    }

    #[test]
    fn a_cell_decodes_to_its_box_and_landmarks() {
        let mut network = YuNet::new(FakeNetwork::boxed(vec![1, 3, 32, 64], outputs(0.5)));
        let faces = network.candidates(&black(40, 30), 0.5).unwrap();
        assert_eq!(faces.len(), 1);
        let face = &faces[0];
        assert!((face.score - 0.9).abs() < 1e-6);
        let expected = Rect::new(28.0 - 8.0, 20.0 - 12.0, 16.0, 24.0);
        assert!(face.rect.iou(expected) > 0.999, "{:?}", face.rect);
        let landmarks = face.landmarks.unwrap();
        assert_eq!((landmarks[0], landmarks[1]), (Point::new(32.0, 16.0), Point::new(24.0, 16.0)));
    }

    #[test]
    fn a_threshold_an_odd_shape_and_a_bad_number_are_told_apart() {
        let mut network = YuNet::new(FakeNetwork::boxed(vec![1, 3, 32, 64], outputs(0.5)));
        assert!(network.candidates(&black(40, 30), 0.95).unwrap().is_empty());
        let mut bad = YuNet::new(FakeNetwork::boxed(vec![1, 3, 32, 64], outputs(f32::NAN)));
        assert!(bad.candidates(&black(40, 30), 0.5).is_err());
        let mut odd = YuNet::new(FakeNetwork::boxed(vec![1, 3, 64, 64], outputs(0.5)));
        assert!(odd.candidates(&black(40, 40), 0.5).is_err());
    }
}
