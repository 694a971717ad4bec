//! What a human should know or look at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::geometry::Rect;
pub use super::rule::{Group, Rule};
use super::time::FrameIndex;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Recorded, nothing to do.
    Note,
    /// Look here.
    Warning,
    /// Must not be published.
    Error,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub rule: Rule,
    pub severity: Severity,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<FrameIndex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_secs: Option<f64>,
    /// Display space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Rect>,
    /// Id of the plan's region concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Of a check: stays the same from run to run as long as the file's content does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Findings of one rule and severity that are told of one file; a broken one has one for every frame. Apart by severity,
/// so that many a doubt never hides what must not be published.
const MAX_PER_RULE: usize = 50;

/// The findings of one file.
#[derive(Clone, Debug, Default)]
pub struct FindingList {
    pub list: Vec<Finding>,
    told: BTreeMap<(Rule, Severity), usize>,
}

impl FindingList {
    /// Adds a finding unless enough of its rule and severity came this way.
    pub fn tell(&mut self, finding: Finding) {
        let told = self.told.entry((finding.rule, finding.severity)).or_default();
        *told += 1;
        if *told <= MAX_PER_RULE {
            self.list.push(finding);
        }
    }
}

impl Finding {
    pub fn new(rule: Rule, severity: Severity, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { rule, severity, message, frame: None, time_secs: None, bounds: None, region: None, fingerprint: None }
    }

    pub fn at(mut self, frame: FrameIndex, time_secs: f64) -> Self {
        self.frame = Some(frame);
        self.time_secs = Some(time_secs);
        self
    }

    pub fn within(mut self, bounds: Rect) -> Self {
        self.bounds = Some(bounds);
        self
    }

    pub fn of_region(mut self, id: impl Into<String>) -> Self {
        self.region = Some(id.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_warnings_do_not_hide_an_error() {
        let mut findings = FindingList::default();
        for severity in [Severity::Warning, Severity::Error] {
            for _ in 0..3 * MAX_PER_RULE {
                findings.tell(Finding::new(Rule::VisibleFace, severity, "a face"));
            }
        }
        let count = |severity| findings.list.iter().filter(|f| f.severity == severity).count();
        assert_eq!((count(Severity::Warning), count(Severity::Error)), (MAX_PER_RULE, MAX_PER_RULE));
    }
}
