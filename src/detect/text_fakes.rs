//! A network for tests of what looks for text.

use super::text::TILE;
use crate::error::Result;
use crate::infer::{Network, Tensor};

/// Says "text" with certainty where the input is bright.
#[derive(Default)]
pub struct SeesBright {
    pub runs: usize,
}

impl Network for SeesBright {
    fn name(&self) -> &str {
        "bright"
    }

    fn run(&mut self, input: Tensor) -> Result<Vec<Tensor>> {
        self.runs += 1;
        let (h, w) = (input.shape[2], input.shape[3]);
        assert!(h % 32 == 0 && w % 32 == 0 && h.max(w) <= TILE as usize);
        let data = input.data[..h * w].iter().map(|v| if *v > 0.0 { 1.0 } else { 0.0 }).collect();
        Ok(vec![Tensor::new(vec![1, 1, h, w], data)])
    }
}
