//! What is told of a run: one typed, versioned JSON line per file. Holds no crop, no text and no hash of the source.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Severity};
use super::timing::Spent;
use crate::error::{ErrorKind, Stage};

/// Version of the report's schema.
pub const REPORT_VERSION: u32 = 1;
/// What reports call themselves: of a file that was worked on, and of one that was checked.
pub const REPORT_KIND: &str = "withhold-report";
pub const CHECK_KIND: &str = "withhold-check";

/// How the work on one file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Done and verified; the output carries its final name.
    Done,
    /// No output: see `error` and `findings`.
    Withheld,
    /// Not media; listed, never copied.
    Skipped,
    /// The batch was interrupted before or during this file.
    Interrupted,
}

/// An error as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReport {
    pub stage: Stage,
    pub kind: ErrorKind,
    /// Without the path of the input; other files concerned are named.
    pub message: String,
}

impl ErrorReport {
    /// The error of the file `input`, which is not named: reports get passed on.
    pub fn of(e: &crate::Error, input: &Path) -> Self {
        let message = match e.path() {
            Some(other) if other != input => format!("{}: {}", other.display(), e.message()),
            _ => e.message(),
        };
        Self { stage: e.stage(), kind: e.kind(), message }
    }
}

impl From<ErrorReport> for crate::Error {
    fn from(e: ErrorReport) -> Self {
        crate::Error::new(e.stage, e.kind, e.message)
    }
}

/// What verification saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// Frames of the finished file that were decoded and compared.
    pub frames: u64,
    /// Masked pixels that were compared with the mask's colour.
    pub masked_pixels: u64,
    /// Frames in which the reserved networks looked again.
    pub frames_searched: u64,
    /// What they found there.
    pub hits_output: u64,
    /// Frames of the original in which they looked (for clips a sample of the same frames), and what they found there:
    /// a verifier that sees nothing anywhere proves nothing.
    pub frames_searched_source: u64,
    pub hits_source: u64,
}

/// The work on one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// `withhold-report`, or `withhold-check`.
    pub kind: String,
    pub version: u32,
    pub status: Status,
    /// Number of the file in the batch, from 0; reports come in this order.
    pub item: usize,
    /// Input path, only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Output path relative to the output folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The output is that of an earlier run, unchanged; nothing was done anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    pub frames: u64,
    /// Redacted regions by class name.
    pub regions: BTreeMap<String, u64>,
    /// Times the file was rendered: more than one when verification found something to add.
    pub rounds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyReport>,
    pub findings: Vec<Finding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// Where the time went, only when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timings: Vec<Spent>,
    /// Contact sheet, relative to the work folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
}

impl RunReport {
    /// The first finding because of which the file must not be published.
    pub fn obstacle(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.severity == Severity::Error)
    }
}
