//! `withhold generate`: man page, shell completions, schemas.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;
use withhold::pipeline::gate::{Baseline, Policy};
use withhold::types::finding::{Group, Rule};
use withhold::types::report::RunReport;
use withhold::{Error, ErrorKind, Result, Stage};

use crate::cli::args::{Args, Generate, Generated};
use crate::cli::exit::Exit;

pub fn run(args: &Generate) -> Result<Exit> {
    let mut command = Args::command();
    let mut text = Vec::new();
    let shell = match args.what {
        Generated::Bash => Some(Shell::Bash),
        Generated::Zsh => Some(Shell::Zsh),
        Generated::Fish => Some(Shell::Fish),
        _ => None,
    };
    let failed = |e: std::io::Error| Error::new(Stage::Setup, ErrorKind::Io, "cannot be printed").because(e);
    let json = |schema: &serde_json::Value| serde_json::to_string_pretty(schema).unwrap_or_default().into_bytes();
    match (args.what, shell) {
        (_, Some(shell)) => clap_complete::generate(shell, &mut command, "withhold", &mut text),
        (Generated::PlanSchema, _) => text = json(&withhold::plan::file::schema()),
        (Generated::ReportSchema, _) => text = json(schemars::schema_for!(RunReport).as_value()),
        (Generated::PolicySchema, _) => text = json(schemars::schema_for!(Policy).as_value()),
        (Generated::BaselineSchema, _) => text = json(schemars::schema_for!(Baseline).as_value()),
        (Generated::Rules, _) => text = rules().into_bytes(),
        _ => man(command, &mut text).map_err(failed)?,
    }
    text.push(b'\n');
    std::io::stdout().lock().write_all(&text).map_err(failed)?;
    Ok(Exit::Success)
}

/// A line for each rule that `check` may tell.
fn rules() -> String {
    let told = Rule::ALL.iter().filter(|r| r.group() != Group::Redaction);
    told.map(|r| format!("{:<20} {:<14} {}\n", r.id(), r.group().id(), r.about())).collect()
}

/// One page: the program, then usage and options of each command.
fn man(command: clap::Command, out: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(out)?;
    for sub in command.get_subcommands() {
        let page = clap_mangen::Man::new(sub.clone().bin_name(format!("withhold {}", sub.get_name())));
        let mut part = Vec::new();
        page.render_synopsis_section(&mut part)?;
        page.render_options_section(&mut part)?;
        writeln!(out, ".SH \"WITHHOLD {}\"", sub.get_name().to_uppercase())?;
        // Its sections become subsections here.
        out.extend(String::from_utf8_lossy(&part).replace(".SH ", ".SS ").bytes());
    }
    Ok(())
}
