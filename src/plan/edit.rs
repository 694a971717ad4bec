//! Edits of a plan from the command line: regions to drop, keep, mask or add.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::build::operator_region;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::geometry::Rect;
use crate::types::plan::{Decision, RedactionPlan};
use crate::types::time::{FrameSpan, FrameTimes, timecode};

fn usage(message: String) -> Error {
    Error::new(Stage::Setup, ErrorKind::Usage, message)
}

/// A rectangle of display space with an optional time: `x,y,w,h[@t0-t1]`. Times are seconds or `h:mm:ss.mmm` since the
/// first frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorRegion {
    pub rect: Rect,
    pub times_secs: Option<(f64, f64)>,
}

impl OperatorRegion {
    /// Frames of which anything is shown from `t0` on and before `t1`: all that is to be masked. The whole clip without
    /// times.
    pub fn span(&self, times: &FrameTimes) -> FrameSpan {
        match self.times_secs {
            Some((t0, t1)) => FrameSpan::new(times.shown_at(t0).unwrap_or(times.count()), times.first_at(t1)),
            None => FrameSpan::new(0, times.count()),
        }
    }

    /// Frames that are first shown in that time: no more may be spared.
    pub fn span_within(&self, times: &FrameTimes) -> FrameSpan {
        match self.times_secs {
            Some((t0, t1)) => FrameSpan::new(times.first_at(t0), times.first_at(t1)),
            None => FrameSpan::new(0, times.count()),
        }
    }
}

impl fmt::Display for OperatorRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rect { x, y, width, height } = self.rect;
        write!(f, "{x},{y},{width},{height}")?;
        match self.times_secs {
            Some((t0, t1)) => write!(f, "@{}-{}", timecode(t0), timecode(t1)),
            None => Ok(()),
        }
    }
}

impl FromStr for OperatorRegion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| usage(format!("'{text}' is no region: {why}; write x,y,w,h or x,y,w,h@t0-t1"));
        let (place, time) = text.split_once('@').map_or((text, None), |(p, t)| (p, Some(t)));
        let numbers: Vec<f32> = place
            .split(',')
            .map(|v| v.trim().parse::<f32>().ok().filter(|v| v.is_finite() && v.abs() <= 1e6))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong("its place must be numbers of pixels"))?;
        let [x, y, width, height] = numbers[..] else { return Err(wrong("its place must be four numbers")) };
        if width <= 0.0 || height <= 0.0 {
            return Err(wrong("width and height must be above 0"));
        }
        let times_secs = match time {
            None => None,
            Some(time) => {
                let (a, b) = time.split_once('-').ok_or_else(|| wrong("its time must be t0-t1"))?;
                let read = |t: &str| parse_time(t).ok_or_else(|| wrong("times are seconds or h:mm:ss.mmm"));
                let (a, b) = (read(a)?, read(b)?);
                if b <= a {
                    return Err(wrong("t1 must be after t0"));
                }
                Some((a, b))
            }
        };
        Ok(Self { rect: Rect::new(x, y, width, height), times_secs })
    }
}

/// Seconds (`12.5`), `mm:ss` or `h:mm:ss`, the last part with decimals.
fn parse_time(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.trim().split(':').collect();
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (last, whole) = parts.split_last()?;
    let plain = last.split_once('.').map_or_else(|| digits(last), |(a, b)| digits(a) && digits(b));
    if whole.len() > 2 || !plain || !whole.iter().all(|p| digits(p)) {
        return None;
    }
    let mut secs: f64 = last.parse().ok()?;
    if !whole.is_empty() && secs >= 60.0 {
        return None;
    }
    for (i, part) in whole.iter().rev().enumerate() {
        let value: f64 = part.parse().ok()?;
        // Minutes below hours stay below 60.
        if i == 0 && whole.len() == 2 && value >= 60.0 {
            return None;
        }
        secs += value * [60.0, 3600.0][i];
    }
    (secs <= 1e7).then_some(secs)
}

/// Splits off the reason, which every decision to leave something visible must have.
fn split_reason<'a>(text: &'a str, form: &str) -> Result<(&'a str, String)> {
    match text.split_once('=') {
        Some((what, reason)) if !what.trim().is_empty() && !reason.trim().is_empty() => {
            Ok((what.trim(), reason.trim().to_owned()))
        }
        _ => Err(usage(format!("'{text}' gives no reason; write {form}=reason"))),
    }
}

/// A rectangle in which nothing is masked, and why: `x,y,w,h[@t0-t1]=reason`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeepRegion {
    pub region: OperatorRegion,
    pub reason: String,
}

impl FromStr for KeepRegion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (region, reason) = split_reason(text, "x,y,w,h[@t0-t1]")?;
        Ok(Self { region: region.parse()?, reason })
    }
}

/// The id of a region and why it is left visible: `ID=reason`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasoned {
    pub id: String,
    pub reason: String,
}

impl FromStr for Reasoned {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (id, reason) = split_reason(text, "ID")?;
        Ok(Self { id: id.to_owned(), reason })
    }
}

/// What a reviewer wants changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// False detections: there is nothing to hide. They stay in the plan as kept, `not an object: reason`.
    pub drops: Vec<Reasoned>,
    /// Objects that stay visible on purpose, `on purpose: reason`.
    pub keeps: Vec<Reasoned>,
    /// Ids of regions to mask that the plan keeps (weak ones, earlier drops).
    pub redacts: Vec<String>,
    /// Regions to add.
    pub regions: Vec<OperatorRegion>,
}

/// Applies edits to a plan; `times` is the source's frame table. Gives a finding for each region left visible. The plan
/// is unchanged on an error: an unknown id, an id named twice, a region outside of picture or time.
pub fn apply_edits(plan: &mut RedactionPlan, edits: &Edits, times: FrameTimes) -> Result<Vec<Finding>> {
    let index: HashMap<&str, usize> = plan.regions.iter().enumerate().map(|(i, r)| (r.id.as_str(), i)).collect();
    let keep = |what: &str, reason: &str| Decision::Keep { reason: format!("{what}: {reason}"), automatic: false };
    let drops = edits.drops.iter().map(|e| (e.id.as_str(), keep("not an object", &e.reason)));
    let keeps = edits.keeps.iter().map(|e| (e.id.as_str(), keep("on purpose", &e.reason)));
    let redacts = edits.redacts.iter().map(|id| (id.as_str(), Decision::Redact));
    let mut decisions: Vec<(usize, Decision)> = Vec::new();
    for (id, decision) in drops.chain(keeps).chain(redacts) {
        let Some(&i) = index.get(id) else {
            return Err(usage(format!("the plan has no region '{id}'; its ids are on the contact sheet")));
        };
        if decisions.iter().any(|d| d.0 == i) {
            return Err(usage(format!("region '{id}' is named by more than one edit")));
        }
        decisions.push((i, decision));
    }
    let added = edits
        .regions
        .iter()
        .zip(free_numbers(plan))
        .map(|(named, n)| operator_region(named, format!("r{n}"), plan.header.frames.display, times))
        .collect::<Result<Vec<_>>>()?;
    let mut findings = Vec::new();
    for (i, decision) in decisions {
        let region = &mut plan.regions[i];
        if let Decision::Keep { reason, .. } = &decision {
            let finding = Finding::new(Rule::Kept, Severity::Note, format!("left visible, {reason}"));
            let at = region.span.start;
            findings.push(finding.at(at, times.elapsed_secs(at)).of_region(region.id.clone()));
        }
        region.decision = decision;
    }
    plan.regions.extend(added);
    Ok(findings)
}

/// Numbers of operator regions that the plan does not use yet.
fn free_numbers(plan: &RedactionPlan) -> impl Iterator<Item = u64> + use<> {
    let used = plan.regions.iter().filter_map(|r| r.id.strip_prefix('r')?.parse::<u64>().ok()).max().unwrap_or(0);
    used + 1..
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
