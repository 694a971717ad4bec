//! The traits between stages.

use super::detection::{Detection, Effort};
use super::frame::{Frame, Picture, SourceInfo};
use crate::error::Result;

/// Hands out the frames of a photo (one) or clip in display order.
pub trait Source: Send {
    fn info(&self) -> &SourceInfo;
    /// The next frame; `None` after the last. Any decode error is an error here, never a quiet end.
    fn next_frame(&mut self) -> Result<Option<Frame>>;
    /// Coded frames at the start that nothing can be decoded of, because what they refer to lies before the stream's
    /// start: no player shows them, and they are not handed out. Known for sure behind the last frame.
    fn frames_left_out(&self) -> u64 {
        0
    }
}

/// Takes finished frames in order and writes a file.
pub trait Sink: Send {
    fn write(&mut self, frame: Frame) -> Result<()>;
    /// Flushes and closes; without it nothing may be published.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Finds objects in an upright picture.
pub trait Detector: Send {
    /// For reports: `yunet+centerface`, ...
    fn name(&self) -> &str;
    /// Detections in display space, best first.
    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>>;
}
