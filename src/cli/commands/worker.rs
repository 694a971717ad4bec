//! Processes that the program starts by itself, see `withhold::pipeline::{worker, sandbox_probe}`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use withhold::pipeline::{sandbox_probe, work};

pub fn run(orders: Option<OsString>) -> ExitCode {
    match orders {
        Some(orders) => exit(work::main(&PathBuf::from(orders))),
        None => started_by_hand(),
    }
}

/// Tries the sandbox from inside.
pub fn run_probe(mode: Option<OsString>, folder: Option<OsString>) -> ExitCode {
    match (mode, folder) {
        (Some(mode), Some(folder)) => exit(sandbox_probe::main(&mode.to_string_lossy(), &PathBuf::from(folder))),
        _ => started_by_hand(),
    }
}

fn started_by_hand() -> ExitCode {
    eprintln!("withhold: error: workers are started by the program itself");
    ExitCode::from(2)
}

fn exit(ended: withhold::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Reaches the one who started it through the log.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
