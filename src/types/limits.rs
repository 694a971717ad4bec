//! Bounds on what a single file may cost.

use serde::{Deserialize, Serialize};

/// Limits per file; each has its own error message.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Width times height.
    pub pixels: u64,
    pub frames: u64,
    pub duration_secs: f64,
    pub streams: u32,
    /// Memory of a worker process, bytes.
    pub memory_bytes: u64,
    /// Decoded frames between two stages, bytes.
    pub in_flight_bytes: usize,
    /// Seconds without progress after which a worker is ended.
    pub stall_secs: f64,
    /// Seconds that the work on a file may take.
    pub time_secs: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels: 512 << 20,
            frames: 4_000_000,
            duration_secs: 48.0 * 3600.0,
            streams: 64,
            memory_bytes: 6 << 30,
            in_flight_bytes: 96 << 20,
            stall_secs: 120.0,
            time_secs: None,
        }
    }
}
