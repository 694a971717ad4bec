//! Decoding, encoding and muxing: the only place that names FFmpeg or an image codec.

// clips
pub mod clip;
pub mod contents;
mod cut_off;
pub mod encode;
pub mod ffi;
pub mod normalize;
pub mod picture;
mod pixels;
pub mod second;
mod sound;
mod strict;

pub use encode::encoders;
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
pub mod webp_spare;
