//! From detections to tracks: association, camera motion, following by looks in both directions, filling, smoothing.

pub mod appearance;
pub mod associate;
pub mod budget;
pub mod fill;
pub mod flash;
pub mod fresh;
pub mod luma;
pub mod motion;
pub mod predict;
pub mod scene_cut;
#[cfg(test)]
pub mod testing;
pub mod tracker;

pub use flash::Flashes;
pub use fresh::FreshEdges;
pub use luma::Luma;
pub use motion::{GlobalMotion, MotionEstimator};
pub use scene_cut::SceneCutDetector;
pub use tracker::{TrackSettings, Tracker};
