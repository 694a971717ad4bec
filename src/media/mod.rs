//! Decoding, encoding and muxing: the only place that names FFmpeg or an image codec.

// clips
pub mod clip;
pub mod ffi;
mod pixels;
mod strict;

pub use ffi::versions;
