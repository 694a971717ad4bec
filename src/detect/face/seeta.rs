//! SeetaFace's frontal detector through `rustface` (Wu, Kan, He, Shan, Chen: "Funnel-structured cascade for multi-view
//! face detection with alignment-awareness", 2016).

use rustface::{ImageData, Model};

use super::{FaceNetwork, RawFace, finished, is_empty};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::infer::prep::scaled;
use crate::types::frame::Picture;
use crate::types::geometry::Rect;

/// Side of the cascade's window: the smallest face that it sees.
const WINDOW: f32 = 40.0;

/// Score of the cascade that counts as 0.5; its own default threshold is of this size.
const EVEN_SCORE: f64 = 4.0;

/// Finds upright frontal faces; slow, without a network.
pub struct Seeta {
    model: Model,
    smallest_face: f32,
}

impl Seeta {
    /// `bytes`: the model file. `smallest_face`: pixels; time grows with the square of 1/`smallest_face`.
    pub fn new(bytes: &[u8], smallest_face: f32) -> Result<Self> {
        let model = rustface::read_model(bytes).map_err(|e| {
            Error::new(Stage::Infer, ErrorKind::Model, "the Seeta model cannot be read; restore the file").because(e)
        })?;
        Ok(Self { model, smallest_face })
    }
}

impl FaceNetwork for Seeta {
    fn name(&self) -> &str {
        "seeta"
    }

    /// The cascade's score s is unbounded: it is told as s/(s+4).
    fn candidates(&mut self, picture: &Picture, threshold: f32) -> Result<Vec<RawFace>> {
        if is_empty(picture) {
            return Ok(Vec::new());
        }
        let shorter = picture.size.width.min(picture.size.height) as f32;
        // The cascade slides a window of its own size: a smaller picture has to be enlarged to be looked at at all.
        let factor = (WINDOW / self.smallest_face).max((WINDOW + 1.0) / shorter);
        if picture.size.width.max(picture.size.height) as f32 * factor > 8192.0 {
            return Err(Error::new(Stage::Detect, ErrorKind::Limit, "the picture is too large for Seeta: tile it"));
        }
        let work = scaled(picture, factor)?;
        let grey: Vec<u8> = work.picture.data.chunks_exact(3).map(luma).collect();
        let mut detector = rustface::create_detector_with_model(self.model.clone());
        detector.set_min_face_size(WINDOW as u32);
        detector.set_pyramid_scale_factor(0.8);
        let share = f64::from(threshold.clamp(0.01, 0.99));
        detector.set_score_thresh(EVEN_SCORE * share / (1.0 - share));
        let found = detector.detect(&ImageData::new(&grey, work.picture.size.width, work.picture.size.height));
        let faces = found.iter().map(|face| {
            let b = face.bbox();
            let rect = Rect::new(b.x() as f32, b.y() as f32, b.width() as f32, b.height() as f32);
            let score = (face.score() / (face.score() + EVEN_SCORE)) as f32;
            RawFace { rect, score, landmarks: None }.mapped(&work.source_from_derived)
        });
        Ok(finished(faces.collect()))
    }
}

/// Luma of Rec. 601, which the cascade was trained on.
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_model_are_refused() {
        assert_eq!(Seeta::new(b"not a model", 40.0).err().unwrap().kind(), ErrorKind::Model);
    }

    #[test]
    fn luma_of_white_and_black() {
        assert_eq!((luma(&[255; 3]), luma(&[0; 3]), luma(&[0, 255, 0])), (255, 0, 150));
    }
}
