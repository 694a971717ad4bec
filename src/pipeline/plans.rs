//! Plans on disk.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::edit::apply_edits;
use crate::plan::file::{read_from, write_to};
use crate::plan::{Edits, PlanReader};
use crate::types::finding::Finding;
use crate::types::plan::{PlanHeader, RedactionPlan};
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

/// Applies a reviewer's edits; gives a finding for everything that is left visible.
pub fn edit(plan: &mut RedactionPlan, edits: &Edits) -> Result<Vec<Finding>> {
    let pts = plan
        .header
        .frames
        .pts()
        .ok_or_else(|| Error::new(Stage::Plan, ErrorKind::Plan, "the frame table's times do not add up"))?;
    let time_base = plan.header.source.time_base;
    apply_edits(plan, edits, FrameTimes { pts: &pts, time_base })
}
