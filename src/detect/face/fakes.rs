//! A network for unit tests: gives fixed outputs for one input shape.

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::infer::{Network, Tensor};
use crate::types::frame::Picture;
use crate::types::geometry::Size;

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

pub fn black(width: u32, height: u32) -> Picture {
    Picture::new(Size::new(width, height), vec![0; (width * height * 3) as usize], 1.0)
}
