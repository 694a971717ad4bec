//! What a supervisor and its worker processes say to each other.
//!
//! A worker handles the bytes of one file: the source is its standard input (an open descriptor, never a path), the job
//! is a file in the staging folder, events go to standard output as JSON Lines. It never touches a final name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::CheckOrders;
use super::settings::Settings;
use crate::types::finding::Finding;
use crate::types::plan::Region;
use crate::types::progress::Phase;
use crate::types::report::{ErrorReport, VerifyReport};
use crate::types::timing::Spent;

/// What to do when a worker can't get what it needs: most often its own limit is in the way.
pub const MORE_MEMORY: &str = "--memory-limit allows more";

/// One thing to do; the steps of a job run in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Source to plan.
    Analyze {
        #[serde(with = "any_path")]
        plan: PathBuf,
    },
    /// Source and plan to a staged file, with the digest of every frame that was handed to the encoder.
    Render {
        #[serde(with = "any_path")]
        plan: PathBuf,
        #[serde(with = "any_path")]
        staged: PathBuf,
        #[serde(with = "any_path")]
        digest: PathBuf,
    },
    /// Staged file against plan and digest, and a fresh look for what must not show; writes the contact sheet.
    Verify(VerifyOrders),
    /// A file of any origin: may it be published?
    Check(CheckOrders),
}

/// What the verification of a staged file needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyOrders {
    #[serde(with = "any_path")]
    pub plan: PathBuf,
    #[serde(with = "any_path")]
    pub staged: PathBuf,
    #[serde(with = "any_path")]
    pub digest: PathBuf,
    /// Where the contact sheet goes, and its title.
    #[serde(with = "any_path")]
    pub sheet: PathBuf,
    pub title: String,
    /// In how many frames of the source the reserved networks looked, and what they saw.
    pub frames_searched_source: u64,
    pub hits_source: u64,
}

/// A worker's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Name of the source for messages.
    #[serde(with = "any_path")]
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
    /// Why a check is incomplete; what was found until then stands all the same.
    #[serde(default)]
    pub error: Option<ErrorReport>,
    /// Where the time went.
    #[serde(default)]
    pub timings: Vec<Spent>,
    /// What of the sandbox was not enforced.
    pub unsandboxed: Option<String>,
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
    /// Parts of a frame were done since the last line.
    Alive,
    /// The whole job is done.
    Done(Outcome),
    Failed(ErrorReport),
}

/// Paths as their bytes, because they need not be text.
pub mod any_path {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(Vec::deserialize(deserializer)?).into())
    }

    /// The same for paths that may be missing.
    pub mod option {
        use super::*;

        pub fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
            path.as_ref().map(|p| p.as_os_str().as_bytes()).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
            Ok(Option::<Vec<u8>>::deserialize(deserializer)?.map(|bytes| OsString::from_vec(bytes).into()))
        }
    }
}
