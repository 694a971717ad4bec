//! How long work tells where it is, and how it is told to stop.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timing::Spent;

/// A phase of the work on one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Analyze,
    Render,
    Verify,
}

/// Answer of an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    Yes,
    Cancel,
}

/// Is told of progress; the library never draws.
pub trait Observer: Sync {
    /// `step` of `total` frames (`None`: not known) of `phase` are done.
    fn progress(&self, phase: Phase, step: u64, total: Option<u64>) -> Continue;

    /// A part of the work took so long.
    fn spent(&self, _: Spent) {}
}

/// An observer that lets everything pass.
pub struct Silent;

impl Observer for Silent {
    fn progress(&self, _: Phase, _: u64, _: Option<u64>) -> Continue {
        Continue::Yes
    }
}

/// Parts of the work on a frame that this process has finished.
static BEATS: AtomicU64 = AtomicU64::new(0);

/// A part of the work on a frame is done (one run of a network, one view that was searched): frames may take minutes.
pub fn beat() {
    BEATS.fetch_add(1, Ordering::Relaxed);
}

/// How many parts are done: while it grows, the process is not stuck.
pub fn beats() -> u64 {
    BEATS.load(Ordering::Relaxed)
}
