//! Plans on disk.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::edit::apply_edits;
use crate::plan::file::{read_from, write_to};
use crate::plan::{Edits, PlanReader};
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::plan::{Decision, PlanHeader, RedactionPlan};
use crate::types::time::FrameTimes;

fn unreadable(path: &Path, e: std::io::Error) -> Error {
    Error::new(Stage::Plan, ErrorKind::Usage, "the plan can't be opened").because(e).at(path)
}

/// Reads and checks a whole plan, its keyframes against its own frame table.
pub fn read(path: &Path) -> Result<RedactionPlan> {
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    read_from(BufReader::new(file), None).map_err(|e| e.at(path))
}

/// Reads the first line alone.
pub fn read_header(path: &Path) -> Result<PlanHeader> {
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    Ok(PlanReader::new(BufReader::new(file)).map_err(|e| e.at(path))?.header().clone())
}

pub fn write(plan: &RedactionPlan, path: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::new(Stage::Plan, ErrorKind::Io, "the plan can't be written").because(e);
    let file = File::create(path).map_err(failed)?;
    write_to(plan, BufWriter::new(file)).map_err(|e| e.at(path))
}

/// Applies a reviewer's edits.
pub fn edit(plan: &mut RedactionPlan, edits: &Edits) -> Result<()> {
    let pts = pts(plan)?;
    let time_base = plan.header.source.time_base;
    apply_edits(plan, edits, FrameTimes { pts: &pts, time_base }).map(drop)
}

/// What a reader of the plan should know: what a human left visible and why, what is damaged, what to look at.
pub fn findings(plan: &RedactionPlan) -> Result<Vec<Finding>> {
    let pts = pts(plan)?;
    let times = FrameTimes { pts: &pts, time_base: plan.header.source.time_base };
    let kept = plan.regions.iter().filter_map(|region| {
        let Decision::Keep { reason, automatic: false } = &region.decision else { return None };
        let finding = Finding::new(Rule::Kept, Severity::Note, format!("left visible, {reason}"));
        let at = region.span.start;
        Some(finding.at(at, times.elapsed_secs(at)).of_region(region.id.clone()))
    });
    let damaged = plan.header.damaged.iter().map(|span| {
        let message = format!("{} damaged frames are masked whole", span.end - span.start);
        let finding = Finding::new(Rule::DamagedFrames, Severity::Warning, message);
        finding.at(span.start, times.elapsed_secs(span.start))
    });
    Ok(kept.chain(damaged).chain(plan.header.review.iter().cloned()).collect())
}

fn pts(plan: &RedactionPlan) -> Result<Vec<i64>> {
    let wrong = || Error::new(Stage::Plan, ErrorKind::Plan, "the frame table's times do not add up");
    plan.header.frames.pts().ok_or_else(wrong)
}
