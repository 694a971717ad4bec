//! Which pixels of one frame are hidden.

use super::geometry::Size;

/// A run of pixels of one row: `x0 <= x < x1`, coded space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub y: u32,
    pub x0: u32,
    pub x1: u32,
}

/// The pixels that one region hides in one frame, coded space. Spans are sorted by row and never touch within a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub spans: Vec<Span>,
}

impl Coverage {
    /// The whole picture.
    pub fn whole(size: Size) -> Self {
        Self { spans: (0..size.height).map(|y| Span { y, x0: 0, x1: size.width }).collect() }
    }

    pub fn pixels(&self) -> u64 {
        self.spans.iter().map(|s| u64::from(s.x1 - s.x0)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}
