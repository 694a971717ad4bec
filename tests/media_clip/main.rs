//! Clips through decoding, normalization and encoding, judged by the `ffmpeg` and `ffprobe` commands.

mod common;
mod kinds;
mod outputs;
mod refused;
