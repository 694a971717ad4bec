//! The inference engine and the networks it runs. Only this module names the engine.

mod arena;
pub mod engine;
pub mod prep;
mod turns;
pub mod zoo;

pub use engine::{Engine, Network, Tensor};
pub use zoo::{Model, Zoo};
