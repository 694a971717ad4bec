//! One file a command.

pub mod analyze;
pub mod apply;
pub mod check;
pub mod doctor;
pub mod generate;
pub mod redact;
pub mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use withhold::pipeline::batch::Entry;
use withhold::pipeline::journal::Journal;
use withhold::pipeline::run::{Batch, Task, run};
use withhold::pipeline::settings::Settings;
use withhold::types::finding::Severity;
use withhold::{Error, ErrorKind, Result, Stage};

use super::args::Output;
use super::exit::Exit;
use super::{formats, settings, table, ui};

/// A flag that Ctrl-C, SIGTERM and a terminal that is closed set; a second one of the first two ends the program at once.
fn interruption() -> Result<Arc<AtomicBool>> {
    let failed = |e| Error::new(Stage::Setup, ErrorKind::Internal, "signals can't be handled").because(e);
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag)).map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(failed)?;
    }
    // The kernel and the shell both tell that the terminal is closed, so that a second one means no more than the first.
    if !is_ignored(SIGHUP) {
        signal_hook::flag::register(SIGHUP, Arc::clone(&flag)).map_err(failed)?;
    }
    Ok(flag)
}

/// Whether whoever started the program had the signal ignored, as `nohup` does: it then stays so. Where the kernel does
/// not tell, it counts as not ignored.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (signal - 1) != 0
}

/// Runs a batch with bars and reports; the same for `redact`, `analyze` and `apply`.
fn run_batch(
    task: Task,
    entries: Vec<Entry>,
    out: &Output,
    settings: Settings,
    journal: Option<Journal>,
) -> Result<Exit> {
    let cancel = interruption()?;
    let batch = Batch {
        task,
        entries,
        out_dir: out.output.clone(),
        work_dir: settings::work_dir(out)?,
        overwrite: out.overwrite,
        shard: journal.as_ref().and_then(Journal::shard),
        journal,
        show_paths: out.run.show_paths,
        show_timings: out.run.timings,
        settings,
        jobs: settings::jobs(&out.run)?,
        cancel: &cancel,
    };
    let ui = ui::Ui::new(&out.run, &cancel);
    let reports = run(&batch, &ui)?;
    let table = table::write(&batch, &reports)?;
    ui.all_told().and_then(|()| formats::write(out.run.format, &reports, Severity::Error))?;
    ui::summary(&reports, &batch.out_dir, &batch.work_dir, &table, out.run.quiet);
    Ok(reports.iter().map(|r| Exit::of_report(r, out.strict)).max().unwrap_or(Exit::Success))
}
