//! The command line: flags, bars, exit codes. The library below knows none of them.

mod args;
mod commands;
mod exit;
mod formats;
mod settings;
mod table;
mod ui;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::Parser;
use withhold::pipeline::sandbox_probe::PROBE_ARG;
use withhold::pipeline::supervise::WORKER_ARG;

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    // Workers are started by this program alone and speak a protocol of their own, so they are no part of the help.
    let mut words = std::env::args_os().skip(1);
    match words.next().as_deref() {
        Some(word) if word == OsStr::new(WORKER_ARG) => return commands::worker::run(words.next()),
        Some(word) if word == OsStr::new(PROBE_ARG) => return commands::worker::run_probe(words.next(), words.next()),
        _ => {}
    }
    let args = args::Args::parse();
    let outcome = match args.command {
        args::Command::Redact(ref redact) => commands::redact::run(redact),
        args::Command::Analyze(ref analyze) => commands::analyze::run(analyze),
        args::Command::Apply(ref apply) => commands::apply::run(apply),
        args::Command::Check(ref check) => commands::check::run_check(check),
        args::Command::Doctor(ref doctor) => commands::doctor::run(doctor),
        args::Command::Generate(ref generate) => commands::generate::run(generate),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            ui::error_line(&error);
            exit::Exit::of_error(error.kind()).into()
        }
    }
}
