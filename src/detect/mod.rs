//! Detectors: faces, text, documents, codes.

pub mod code;
pub mod code_shape;
pub mod face;
pub mod nms;
pub mod text;
pub mod text_db;
pub mod tiles;
