//! Detectors: faces, text, documents, codes.

pub mod face;
pub mod nms;
pub mod tiles;
