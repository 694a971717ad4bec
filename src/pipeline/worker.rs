//! What a supervisor and its worker processes say to each other.
//!
//! A worker handles the bytes of one file: the source is its standard input (an open descriptor, never a path), the job
//! is a file in the staging folder, events go to standard output as JSON Lines. It never touches a final name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::types::finding::Finding;
use crate::types::plan::Region;
use crate::types::progress::Phase;
use crate::types::report::{ErrorReport, VerifyReport};

/// One thing to do; the steps of a job run in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Source to plan.
    Analyze { plan: PathBuf },
    /// Source and plan to a staged file, with the digest of every frame that was handed to the encoder.
    Render { plan: PathBuf, staged: PathBuf, digest: PathBuf },
    /// Staged file against plan and digest, and a fresh look for what must not show; writes the contact sheet.
    Verify(VerifyOrders),
}

/// What the verification of a staged file needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyOrders {
    pub plan: PathBuf,
    pub staged: PathBuf,
    pub digest: PathBuf,
    /// Where the contact sheet goes, and its title.
    pub sheet: PathBuf,
    pub title: String,
}

/// A worker's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Name of the source for messages.
    pub label: PathBuf,
    pub settings: Settings,
    pub steps: Vec<Step>,
}

/// What a step found out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub frames: u64,
    pub findings: Vec<Finding>,
    /// Regions to add to the plan before the file is rendered again.
    pub additions: Vec<Region>,
    pub verify: Option<VerifyReport>,
}

/// A line from a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    Progress {
        phase: Phase,
        step: u64,
        total: Option<u64>,
    },
    /// The whole job is done.
    Done(Outcome),
    Failed(ErrorReport),
}
