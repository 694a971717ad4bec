//! Decoding, encoding and muxing: the only place that names FFmpeg or an image codec.

// clips
pub mod clip;
pub mod ffi;
mod pixels;
mod strict;

pub use ffi::versions;

// photos
pub mod anim;
mod heic;
pub mod photo;
mod photo_decode;
mod photo_encode;
mod photo_structure;
mod rgb;
pub mod sniff;
