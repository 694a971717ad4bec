//! `withhold check`: the gate.

use withhold::pipeline::batch::collect_checked;
use withhold::pipeline::check::CheckOrders;
use withhold::pipeline::run::{Batch, Task, run};
use withhold::types::finding::Rule;
use withhold::{Error, ErrorKind, Result, Stage};

use crate::cli::args::{Allowed, Check};
use crate::cli::exit::Exit;
use crate::cli::{settings, ui};

pub fn run_check(args: &Check) -> Result<Exit> {
    let cancel = super::interruption()?;
    // Nothing is written but the orders of workers.
    let scratch = tempfile::Builder::new()
        .prefix("withhold-check-")
        .tempdir()
        .map_err(|e| Error::new(Stage::Setup, ErrorKind::Io, "no folder for temporary files can be made").because(e))?;
    let batch = Batch {
        task: Task::Check { orders: CheckOrders { every: args.every }, allowed: rules(&args.allow) },
        entries: collect_checked(&args.paths)?,
        out_dir: scratch.path().to_owned(),
        work_dir: scratch.path().to_owned(),
        overwrite: false,
        journal: None,
        shard: None,
        show_paths: args.run.show_paths,
        settings: settings::of_check(args)?,
        jobs: settings::jobs(&args.run)?,
        cancel: &cancel,
    };
    let reports = run(&batch, &ui::Ui::new(&args.run, &cancel))?;
    Ok(reports.iter().map(Exit::of_check).max().unwrap_or(Exit::Success))
}

fn rules(allowed: &[Allowed]) -> Vec<Rule> {
    let rule = |allowed: &Allowed| match allowed {
        Allowed::Audio => Rule::AudioPresent,
        Allowed::Faces => Rule::VisibleFace,
        Allowed::Text => Rule::VisibleText,
        Allowed::Metadata => Rule::Metadata,
        Allowed::Residue => Rule::Residue,
        Allowed::UnknownFiles => Rule::UnknownFile,
    };
    allowed.iter().map(rule).collect()
}
