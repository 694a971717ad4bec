//! Networks for unit tests.

use super::{FaceNetwork, RawFace};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::infer::{Network, Tensor};
use crate::types::frame::Picture;
use crate::types::geometry::Size;

/// Gives fixed outputs for one input shape.
pub struct FakeNetwork {
    shape: Vec<usize>,
    outputs: Vec<Tensor>,
}

impl FakeNetwork {
    pub fn boxed(shape: Vec<usize>, outputs: Vec<Tensor>) -> Box<dyn Network> {
        Box::new(Self { shape, outputs })
    }
}

impl Network for FakeNetwork {
    fn name(&self) -> &str {
        "fake"
    }

    fn run(&mut self, input: Tensor) -> Result<Vec<Tensor>> {
        if input.shape != self.shape {
            let message = format!("input of shape {:?} instead of {:?}", input.shape, self.shape);
            return Err(Error::new(Stage::Infer, ErrorKind::Internal, message));
        }
        Ok(self.outputs.clone())
    }
}

/// Sees the faces that a function gives for the size of a view.
pub struct Sees<F>(pub &'static str, pub F);

impl<F: FnMut(Size) -> Vec<RawFace> + Send> FaceNetwork for Sees<F> {
    fn name(&self) -> &str {
        self.0
    }

    fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>> {
        let mut faces = (self.1)(picture.size);
        faces.retain(|f| f.score >= threshold);
        Ok(faces)
    }
}

pub fn black(width: u32, height: u32) -> Picture {
    Picture::new(Size::new(width, height), vec![0; (width * height * 3) as usize], 1.0)
}
