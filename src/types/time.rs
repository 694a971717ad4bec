//! Frame numbers and timestamps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number of a displayed frame in display order; the first is 0.
pub type FrameIndex = u64;

/// Seconds per tick as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeBase {
    pub num: i32,
    pub den: i32,
}

impl TimeBase {
    /// One tick a frame: what a photo has.
    pub const ONE: TimeBase = TimeBase { num: 1, den: 1 };

    pub fn secs(self, pts: i64) -> f64 {
        pts as f64 * f64::from(self.num) / f64::from(self.den)
    }

    /// Nearest tick at or before `secs`.
    pub fn ticks(self, secs: f64) -> i64 {
        (secs * f64::from(self.den) / f64::from(self.num)).floor() as i64
    }
}

/// Half-open span of frames: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrameSpan {
    pub start: FrameIndex,
    pub end: FrameIndex,
}

impl FrameSpan {
    pub const fn new(start: FrameIndex, end: FrameIndex) -> Self {
        Self { start, end }
    }

    pub const fn contains(self, frame: FrameIndex) -> bool {
        frame >= self.start && frame < self.end
    }

    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub const fn overlaps(self, other: FrameSpan) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// `h:mm:ss.mmm`, as players show it.
pub fn timecode(secs: f64) -> String {
    let ms = (secs.max(0.0) * 1000.0).round() as u64;
    format!("{}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}
