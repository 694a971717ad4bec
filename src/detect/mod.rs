//! Detectors: faces, text, documents, codes.

pub mod code;
pub mod code_shape;
mod components;
pub mod document;
pub mod document_edges;
pub mod document_fields;
pub mod document_groups;
pub mod document_marks;
pub mod face;
pub mod nms;
pub mod person;
pub mod text;
mod text_beside;
pub mod text_db;
#[cfg(test)]
mod text_fakes;
pub mod tiles;
