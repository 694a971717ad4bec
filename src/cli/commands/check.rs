//! `withhold check`: the gate.

use std::path::Path;

use serde::de::DeserializeOwned;
use withhold::pipeline::batch::collect_checked;
use withhold::pipeline::check::CheckOrders;
use withhold::pipeline::gate::{Baseline, Gate, Policy};
use withhold::pipeline::run::{Batch, Task, run};
use withhold::types::finding::Severity;
use withhold::{Error, ErrorKind, Result, Stage};

use crate::cli::args::{Check, FailOn};
use crate::cli::exit::Exit;
use crate::cli::{formats, settings, ui};

pub fn run_check(args: &Check) -> Result<Exit> {
    let cancel = super::interruption()?;
    // Nothing is written but the orders of workers.
    let scratch = tempfile::Builder::new()
        .prefix("withhold-check-")
        .tempdir()
        .map_err(|e| Error::new(Stage::Setup, ErrorKind::Io, "no folder for temporary files can be made").because(e))?;
    let gate = gate(args)?;
    let batch = Batch {
        task: Task::Check { orders: CheckOrders { every: args.every }, gate: gate.clone() },
        entries: collect_checked(&args.paths)?,
        out_dir: scratch.path().to_owned(),
        work_dir: scratch.path().to_owned(),
        overwrite: false,
        journal: None,
        shard: None,
        show_paths: args.run.show_paths,
        show_timings: args.run.timings,
        settings: settings::of_check(args, &gate)?,
        jobs: settings::jobs(&args.run)?,
        cancel: &cancel,
    };
    let ui = ui::Ui::new(&args.run, &cancel);
    let reports = run(&batch, &ui)?;
    ui.all_told().and_then(|()| formats::write(args.run.format, &reports, gate.fail_on))?;
    Ok(reports.iter().map(|r| Exit::of_check(r, &gate)).max().unwrap_or(Exit::Success))
}

/// What passes and what fails, from flags and files.
fn gate(args: &Check) -> Result<Gate> {
    let policy = args.policy.as_deref().map(read_json::<Policy>).transpose()?;
    let baseline = args.baseline.as_deref().map(read_json::<Baseline>).transpose()?;
    let mut gate = Gate::new(args.allow.concat(), policy.as_ref(), baseline.as_ref())?;
    match args.fail_on {
        Some(FailOn::Error) => gate.fail_on = Severity::Error,
        Some(FailOn::Warning) => gate.fail_on = Severity::Warning,
        None => {}
    }
    Ok(gate)
}

/// A file that the operator named; what it says wrong is wrong use.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let usage = |message: &str| Error::new(Stage::Setup, ErrorKind::Usage, message).at(path);
    let text = std::fs::read(path).map_err(|e| usage("cannot be read").because(e))?;
    serde_json::from_slice(&text).map_err(|e| usage("does not say what it should").because(e))
}
