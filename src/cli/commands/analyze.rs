//! `withhold analyze`: the plan alone.

use withhold::Result;
use withhold::pipeline::batch::{Naming, Product, collect};
use withhold::pipeline::run::Task;

use crate::cli::args::Analyze;
use crate::cli::exit::Exit;
use crate::cli::settings;

pub fn run(args: &Analyze) -> Result<Exit> {
    let settings = settings::of_analysis(&args.out, &args.detection, &args.look, None)?;
    let entries = collect(&args.inputs, &args.out.output, Naming::Stem, Product::Plan, args.out.overwrite)?;
    super::run_batch(Task::Analyze, entries, &args.out, settings)
}
