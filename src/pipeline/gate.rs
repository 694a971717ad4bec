//! What the gate lets pass on purpose: rules that are allowed in general (flags, a policy file) and findings in single
//! files that somebody looked at (a baseline, keyed by the file's content, with a reason and a last day).

use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::finding::{Finding, Group, Rule, Severity};

/// Version of both files.
const VERSION: u32 = 1;

/// `--policy`: what an operator allows, kept in a file so that every run allows the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub version: u32,
    /// Rules and groups of rules, as `--allow` takes them.
    #[serde(default)]
    pub allow: Vec<String>,
    /// From which severity on a finding fails the check.
    #[serde(default = "error_severity")]
    pub fail_on: Severity,
}

fn error_severity() -> Severity {
    Severity::Error
}

/// `--baseline`: findings that were looked at and are to pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub version: u32,
    pub entries: Vec<BaselineEntry>,
}

/// One file that may pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineEntry {
    /// SHA-256 of the file, as `sha256sum` prints it.
    pub sha256: String,
    /// Rules and groups that may stand in it.
    pub rules: Vec<String>,
    /// Why; told with the finding.
    pub reason: String,
    /// Last day on which the entry counts, as YYYY-MM-DD (UTC).
    pub expires: String,
}

/// What passes and what fails.
#[derive(Clone, Debug)]
pub struct Gate {
    pub allowed: Vec<Rule>,
    pub fail_on: Severity,
    entries: Vec<Accepted>,
    today: String,
}

#[derive(Clone, Debug)]
struct Accepted {
    sha256: String,
    rules: Vec<Rule>,
    reason: String,
    expires: String,
}

impl Gate {
    /// # Errors
    /// `Usage` for a file of another version, a rule that does not exist, a hash or day of another form, no reason.
    pub fn new(allowed: Vec<Rule>, policy: Option<&Policy>, baseline: Option<&Baseline>) -> Result<Self> {
        let mut gate = Self { allowed, fail_on: Severity::Error, entries: vec![], today: today() };
        if let Some(policy) = policy {
            check_version(policy.version)?;
            for name in &policy.allow {
                gate.allowed.extend(rules(name)?);
            }
            gate.fail_on = policy.fail_on;
        }
        for entry in baseline.map_or(&[][..], |b| &b.entries) {
            gate.entries.push(Accepted::new(entry)?);
        }
        if let Some(baseline) = baseline {
            check_version(baseline.version)?;
        }
        Ok(gate)
    }

    /// The findings of a file as they count, with names that stay.
    pub fn all_judged(&self, findings: Vec<Finding>, sha256: &str) -> Vec<Finding> {
        let mut findings: Vec<Finding> = findings.into_iter().map(|f| self.judged(f, sha256)).collect();
        name_findings(&mut findings, sha256);
        findings
    }

    /// A finding as it counts in the file with this hash: what is allowed or accepted is told, but no reason to stop.
    fn judged(&self, mut finding: Finding, sha256: &str) -> Finding {
        if self.allowed.contains(&finding.rule) {
            finding.severity = Severity::Note;
            finding.message.push_str(" (allowed)");
            return finding;
        }
        let about = |a: &&Accepted| a.sha256.eq_ignore_ascii_case(sha256) && a.rules.contains(&finding.rule);
        // Days of this form sort as text.
        match self.entries.iter().filter(about).max_by(|a, b| a.expires.cmp(&b.expires)) {
            Some(entry) if entry.expires >= self.today => {
                finding.severity = Severity::Note;
                finding.message.push_str(&format!(" (accepted: {})", entry.reason));
            }
            Some(entry) => {
                finding.message.push_str(&format!(" (was accepted until {}: {})", entry.expires, entry.reason));
            }
            None => {}
        }
        finding
    }

    /// Whether any of the findings fails the check.
    pub fn fails(&self, findings: &[Finding]) -> bool {
        findings.iter().any(|f| f.severity >= self.fail_on)
    }
}

impl Accepted {
    fn new(entry: &BaselineEntry) -> Result<Self> {
        if entry.sha256.len() != 64 || !entry.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong("an entry's sha256 is not 64 hexadecimal digits"));
        }
        if entry.reason.trim().is_empty() {
            return Err(wrong("an entry of the baseline has no reason"));
        }
        if !is_day(&entry.expires) {
            return Err(wrong(format!("{:?} is not a day as YYYY-MM-DD", entry.expires)));
        }
        let mut named = Vec::new();
        for name in &entry.rules {
            named.extend(rules(name)?);
        }
        if named.is_empty() {
            return Err(wrong("an entry of the baseline names no rule"));
        }
        let BaselineEntry { sha256, reason, expires, .. } = entry.clone();
        Ok(Self { sha256, rules: named, reason, expires })
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Stage::Setup, ErrorKind::Usage, message)
}

fn check_version(version: u32) -> Result<()> {
    match version {
        VERSION => Ok(()),
        other => Err(wrong(format!("version {other} is not known here; this is version {VERSION}"))),
    }
}

/// The rules of `check` that a name stands for.
///
/// # Errors
/// `Usage` for a name that is none, or one of what only redaction tells.
pub fn rules(name: &str) -> Result<Vec<Rule>> {
    let rules = Rule::named(name);
    if rules.iter().any(|r| r.group() == Group::Redaction) || rules.is_empty() {
        return Err(wrong(format!("{name:?} is no rule and no group of rules; `withhold generate rules` lists them")));
    }
    Ok(rules)
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |i: usize, digits: usize| {
        parts.get(i).filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit())).and_then(|p| p.parse().ok())
    };
    let (year, month, day): (Option<u32>, Option<u32>, Option<u32>) = (number(0, 4), number(1, 2), number(2, 2));
    parts.len() == 3
        && year.is_some()
        && month.is_some_and(|m| (1..=12).contains(&m))
        && day.is_some_and(|d| (1..=31).contains(&d))
}

fn today() -> String {
    // A clock before 1970 makes nothing expire; a check that fails for its clock would be no better.
    let secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    day_of(secs / 86_400)
}

/// The day that is so many days after 1970-01-01. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn day_of(days: u64) -> String {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Marks each finding with a name that stays the same from run to run, whatever the file is called: drawn from the
/// file's content, the rule and the number of the finding among those of its rule.
fn name_findings(findings: &mut [Finding], sha256: &str) {
    let mut counts = std::collections::BTreeMap::new();
    for finding in findings {
        let nth = counts.entry(finding.rule).or_insert(0u32);
        let digest = Sha256::digest(format!("withhold-finding-1\0{sha256}\0{}\0{nth}", finding.rule.id()));
        finding.fingerprint = Some(digest.iter().take(16).map(|b| format!("{b:02x}")).collect());
        *nth += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(expires: &str) -> BaselineEntry {
        BaselineEntry {
            sha256: "ab".repeat(32),
            rules: vec!["visible-face".into(), "metadata".into()],
            reason: "the minister".into(),
            expires: expires.into(),
        }
    }

    fn gate(expires: &str) -> Gate {
        Gate::new(vec![Rule::Chapters], None, Some(&Baseline { version: 1, entries: vec![entry(expires)] })).unwrap()
    }

    fn severity(gate: &Gate, rule: Rule, sha256: &str) -> Severity {
        gate.judged(Finding::new(rule, Severity::Error, "x"), sha256).severity
    }

    #[test]
    fn only_what_is_allowed_or_accepted_in_this_file_passes() {
        let (this, other) = ("AB".repeat(32), "cd".repeat(32));
        for (expires, rule, hash, want) in [
            ("9999-12-31", Rule::Chapters, &other, Severity::Note),
            ("9999-12-31", Rule::VisibleFace, &this, Severity::Note),
            ("9999-12-31", Rule::MetadataTime, &this, Severity::Note),
            ("9999-12-31", Rule::VisibleFace, &other, Severity::Error),
            ("9999-12-31", Rule::VisibleText, &this, Severity::Error),
            ("2020-01-01", Rule::VisibleFace, &this, Severity::Error),
        ] {
            assert_eq!(severity(&gate(expires), rule, hash), want, "{expires} {rule:?} {hash}");
        }
    }

    #[test]
    fn files_that_say_something_else_are_refused() {
        let with = |change: &dyn Fn(&mut BaselineEntry)| {
            let mut e = entry("2030-01-01");
            change(&mut e);
            Gate::new(vec![], None, Some(&Baseline { version: 1, entries: vec![e] })).is_err()
        };
        assert!(!with(&|_| {}));
        assert!(with(&|e| e.reason = " ".into()));
        assert!(with(&|e| e.expires = "never".into()));
        assert!(with(&|e| e.expires = "2030-13-01".into()));
        assert!(with(&|e| e.rules = vec!["visible-feces".into()]));
        assert!(with(&|e| e.rules = vec![]));
        assert!(with(&|e| e.sha256 = "abc".into()));
        assert!(
            Gate::new(vec![], Some(&Policy { version: 2, allow: vec![], fail_on: Severity::Error }), None).is_err()
        );
    }

    #[test]
    fn a_policy_may_be_stricter() {
        let policy: Policy = serde_json::from_str(r#"{"version":1,"allow":["audio"],"fail_on":"warning"}"#).unwrap();
        let gate = Gate::new(vec![], Some(&policy), None).unwrap();
        assert!(gate.fails(&[Finding::new(Rule::VisibleFace, Severity::Warning, "perhaps")]));
        assert_eq!(gate.allowed, [Rule::AudioPresent]);
        assert!(serde_json::from_str::<Policy>(r#"{"version":1,"alow":[]}"#).is_err());
    }

    #[test]
    fn days() {
        for (days, want) in [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_782, "2026-11-25")] {
            assert_eq!(day_of(days), want);
        }
    }

    #[test]
    fn names_of_findings_are_stable_and_differ() {
        let two = || {
            vec![Finding::new(Rule::Chapters, Severity::Error, "a"), Finding::new(Rule::Chapters, Severity::Error, "b")]
        };
        let (mut one, mut again, mut other) = (two(), two(), two());
        name_findings(&mut one, "aa");
        name_findings(&mut again, "aa");
        name_findings(&mut other, "bb");
        assert_eq!(one, again);
        assert_ne!(one[0].fingerprint, one[1].fingerprint);
        assert_ne!(one[0].fingerprint, other[0].fingerprint);
    }
}
