//! From the plan to hidden pixels.
//!
//! [`raster`] turns the outline of a region into the pixels that it hides, [`style`] says what stands there instead, and
//! [`paint`] writes it into a frame, in the frame's own pixel format and before any scaling or conversion, so that no
//! hidden sample can reach a neighbour.

pub mod paint;
pub mod raster;
pub mod style;

pub use paint::{FrameMasks, RegionMask};
