//! `withhold analyze`: the plan alone.

use withhold::Result;
use withhold::pipeline::batch::{Gathering, Product, collect};
use withhold::pipeline::run::Task;

use crate::cli::args::Analyze;
use crate::cli::exit::Exit;
use crate::cli::settings;

pub fn run(args: &Analyze) -> Result<Exit> {
    let settings = settings::of_analysis(&args.out, &args.detection, &args.look, None)?;
    let accept_existing = args.out.overwrite;
    let gathering = Gathering { product: Product::Plan, accept_existing, ..Gathering::default() };
    let entries = collect(&args.inputs, &args.out.output, &gathering)?;
    super::run_batch(Task::Analyze, entries, &args.out, settings, None)
}
