//! `withhold redact`: the main job.

use withhold::Result;
use withhold::pipeline::batch::{Naming, Product, collect};
use withhold::pipeline::run::Task;

use crate::cli::args::{Names, Redact};
use crate::cli::exit::Exit;
use crate::cli::settings;

pub fn run(args: &Redact) -> Result<Exit> {
    let settings = settings::of_analysis(&args.out, &args.detection, &args.look, Some(&args.encoding))?;
    let naming = match args.names {
        Names::Stem => Naming::Stem,
        Names::Serial => Naming::Serial,
    };
    let entries = collect(&args.inputs, &args.out.output, naming, Product::Media, args.out.overwrite)?;
    super::run_batch(Task::Redact, entries, &args.out, settings)
}
