//! Decoding, encoding and muxing: the only place that names FFmpeg or an image codec.
