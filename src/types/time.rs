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

/// When each frame of a clip is shown: pts by frame number, ascending.
#[derive(Clone, Copy, Debug)]
pub struct FrameTimes<'a> {
    pub pts: &'a [i64],
    pub time_base: TimeBase,
}

impl FrameTimes<'_> {
    pub fn count(&self) -> u64 {
        self.pts.len() as u64
    }

    /// Ticks of a frame; the nearest frame's for a number outside of the table, 0 for an empty one.
    pub fn pts(&self, frame: FrameIndex) -> i64 {
        let last = self.pts.len().saturating_sub(1);
        self.pts.get((frame as usize).min(last)).copied().unwrap_or(0)
    }

    /// Seconds at which a frame is shown, counted as the source counts.
    pub fn secs(&self, frame: FrameIndex) -> f64 {
        self.time_base.secs(self.pts(frame))
    }

    /// Seconds since the first frame: what players show, and what findings and flags speak of.
    pub fn elapsed_secs(&self, frame: FrameIndex) -> f64 {
        self.gap_secs(0, frame)
    }

    /// Seconds from one frame to a later one; counted in ticks, so that equal times compare equal.
    pub fn gap_secs(&self, from: FrameIndex, to: FrameIndex) -> f64 {
        self.time_base.secs(self.pts(to) - self.pts(from))
    }

    /// First frame shown at or after `elapsed_secs`; the count when there is none.
    pub fn first_at(&self, elapsed_secs: f64) -> FrameIndex {
        let zero = self.pts(0);
        self.pts.partition_point(|&p| self.time_base.secs(p - zero) < elapsed_secs) as u64
    }

    /// The frame that is on the screen at `elapsed_secs`; `None` behind the clip, whose last frame lasts as long as the
    /// one before it.
    pub fn shown_at(&self, elapsed_secs: f64) -> Option<FrameIndex> {
        let zero = self.pts(0);
        let begun = self.pts.partition_point(|&p| self.time_base.secs(p - zero) <= elapsed_secs) as u64;
        let last = self.count().checked_sub(1)?;
        let end = self.elapsed_secs(last) + self.gap_secs(last.saturating_sub(1), last);
        (begun <= last || elapsed_secs < end).then(|| begun.saturating_sub(1))
    }
}

/// Of a millisecond: seconds made of ticks may lie as much below a whole one.
const ROUNDING_MS: f64 = 1e-3;

/// `h:mm:ss.mmm`, as players show it. Never later than `secs`: where it is typed back, the frame is on the screen.
pub fn timecode(secs: f64) -> String {
    let ms = (secs.max(0.0) * 1000.0 + ROUNDING_MS).floor() as u64;
    format!("{}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}
