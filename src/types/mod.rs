//! Plain data and traits that the stages hand to each other: no I/O, no threads.

pub mod convex;
pub mod detection;
pub mod finding;
pub mod frame;
pub mod geometry;
pub mod groups;
pub mod limits;
pub mod mask;
pub mod plan;
pub mod progress;
pub mod report;
pub mod rule;
pub mod stage;
pub mod time;
pub mod timing;
pub mod track;
