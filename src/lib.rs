//! `withhold` hides who people are in photos and video before publication, and proves that it did.
//!
//! ```text
//! path -> SourceInfo -> Frame -> FrameDetections -> Track -> RedactionPlan == on disk, reviewed, edited ==
//! RedactionPlan + Frame -> masked Frame -> temp file -> verify -> rename -> RunReport
//! ```
//!
//! Stages import [`types`] and never each other ([`detect`] alone uses [`infer`]); [`pipeline`] knows them all.

pub mod detect;
pub mod error;
pub mod infer;
pub mod media;
pub mod pipeline;
pub mod plan;
pub mod render;
pub mod track;
pub mod types;
pub mod verify;

pub use error::{Error, ErrorKind, Result, Stage};
