//! A worker process: started by the supervisor alone, see `withhold::pipeline::worker`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use withhold::pipeline::work;

pub fn run(orders: Option<OsString>) -> ExitCode {
    let Some(orders) = orders.map(PathBuf::from) else {
        eprintln!("withhold: error: workers are started by the program itself");
        return ExitCode::from(2);
    };
    match work::main(&orders) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Reaches the supervisor through the worker's log.
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
