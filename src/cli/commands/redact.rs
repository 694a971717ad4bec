//! `withhold redact`: the main job.

use withhold::Result;
use withhold::pipeline::batch::{Gathering, Naming, Product, collect};
use withhold::pipeline::journal::Journal;
use withhold::pipeline::run::Task;
use withhold::pipeline::select::Selection;

use crate::cli::args::{Archive, Names, Redact};
use crate::cli::exit::Exit;
use crate::cli::settings::{self, work_dir};

pub fn run(args: &Redact) -> Result<Exit> {
    let settings = settings::of_analysis(&args.out, &args.detection, &args.look, Some(&args.encoding))?;
    let naming = match args.names {
        Names::Stem => Naming::Stem,
        Names::Serial => Naming::Serial,
    };
    let Archive { resume, shard, since, include, exclude } = &args.archive;
    let selection = Selection::new(include, exclude, *since, *shard)?;
    let accept_existing = args.out.overwrite || *resume;
    let gathering = Gathering { naming, product: Product::Media, accept_existing, selection };
    let entries = collect(&args.inputs, &args.out.output, &gathering)?;
    let journal = Journal::open(&work_dir(&args.out)?, *shard, &settings, *resume)?;
    super::run_batch(Task::Redact, entries, &args.out, settings, Some(journal))
}
