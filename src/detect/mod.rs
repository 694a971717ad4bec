//! Detectors: faces, text, documents, codes.

pub mod face;
pub mod nms;
pub mod text;
pub mod text_db;
pub mod tiles;
