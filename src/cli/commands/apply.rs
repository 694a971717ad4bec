//! `withhold apply`: rendering of plans, perhaps edited.

use withhold::Result;
use withhold::pipeline::batch::collect_plans;
use withhold::pipeline::run::Task;
use withhold::plan::Edits;

use crate::cli::args::Apply;
use crate::cli::exit::Exit;
use crate::cli::settings;

pub fn run(args: &Apply) -> Result<Exit> {
    let settings = settings::of_rendering(&args.out, Some(&args.encoding), args.allow_damaged)?;
    let entries = collect_plans(&args.plans, args.source.as_deref(), &args.out.output, args.out.overwrite)?;
    let edits = Edits {
        drops: args.drop.clone(),
        keeps: args.keep.clone(),
        redacts: args.mask.clone(),
        regions: args.region.clone(),
    };
    super::run_batch(Task::Apply { plans: args.plans.clone(), edits }, entries, &args.out, settings, None)
}
