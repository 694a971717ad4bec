//! From detections to tracks.
