//! What a human sees: bars on a terminal, periodic lines elsewhere, one line per finished file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use withhold::pipeline::run::BatchObserver;
use withhold::types::finding::{Finding, Rule, Severity};
use withhold::types::progress::{Continue, Observer, Phase};
use withhold::types::report::{CHECK_KIND, RunReport, Status};
use withhold::types::time::timecode;
use withhold::types::timing::{Part, Spent};
use withhold::{Error, Result};

use super::args::{Format, Run};
use super::formats;

/// Time between plain progress lines of one file.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Findings that are told per file unless `-v` is given.
const FINDINGS_SHOWN: usize = 5;

/// One line on standard error.
pub fn error_line(error: &Error) {
    tell(format_args!("withhold: error: {error}"));
}

/// A reader of standard error that went away, or a full disk behind it, must not stop the batch.
fn tell(line: std::fmt::Arguments) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(&line.to_string()));
}

/// With control characters, and those that turn the direction of writing, spelled out: names of files are not ours, and
/// must not draw lines, colours or commands of their own.
fn printable(text: &str) -> String {
    let spelled = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => c.escape_unicode().to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(spelled).collect()
}

/// Draws the progress of a batch.
pub struct Ui<'a> {
    bars: MultiProgress,
    on_terminal: bool,
    quiet: bool,
    verbose: bool,
    format: Format,
    cancel: &'a AtomicBool,
    live: Mutex<HashMap<usize, ProgressBar>>,
    /// What kept reports from standard output.
    unwritten: Mutex<Vec<Error>>,
}

impl<'a> Ui<'a> {
    pub fn new(run: &Run, cancel: &'a AtomicBool) -> Self {
        let Run { quiet, verbose, format, .. } = *run;
        let on_terminal = std::io::stderr().is_terminal();
        let target = if on_terminal && !quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            bars: MultiProgress::with_draw_target(target),
            on_terminal,
            quiet,
            verbose,
            format,
            cancel,
            live: Mutex::default(),
            unwritten: Mutex::default(),
        }
    }

    /// # Errors
    /// `Io` when a report did not reach standard output: who reads them must not take the batch for all of it.
    pub fn all_told(&self) -> Result<()> {
        self.unwritten.lock().unwrap_or_else(|e| e.into_inner()).drain(..).next().map_or(Ok(()), Err)
    }

    fn line(&self, text: &str) {
        if self.on_terminal && !self.quiet {
            // Above the bars; a terminal that went away is no reason to stop.
            let _ = self.bars.println(printable(text));
        } else {
            tell(format_args!("{text}"));
        }
    }

    fn bar(&self, item: usize) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(spinner_style());
        self.live.lock().unwrap_or_else(|e| e.into_inner()).insert(item, bar.clone());
        bar
    }
}

fn spinner_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:.bold} {msg:9} {spinner} {pos} frames")
        .unwrap_or(ProgressStyle::default_bar())
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:.bold} {msg:9} {bar:30} {pos}/{len} frames, {eta} left")
        .unwrap_or(ProgressStyle::default_bar())
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Analyze => "analysing",
        Phase::Render => "redacting",
        Phase::Verify => "verifying",
    }
}

/// Watches one file.
struct FileProgress<'a> {
    ui: &'a Ui<'a>,
    name: String,
    bar: ProgressBar,
    state: Mutex<(Option<Phase>, Instant)>,
}

impl Observer for FileProgress<'_> {
    fn progress(&self, phase: Phase, step: u64, total: Option<u64>) -> Continue {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        if state.0 != Some(phase) {
            state.0 = Some(phase);
            self.bar.reset();
            self.bar.set_message(phase_name(phase));
        }
        if let Some(total) = total.filter(|t| *t > 0) {
            self.bar.set_style(bar_style());
            self.bar.set_length(total.max(step));
        } else {
            self.bar.set_style(spinner_style());
        }
        self.bar.set_position(step);
        if !self.ui.on_terminal && !self.ui.quiet && state.1.elapsed() >= LINE_EVERY {
            state.1 = Instant::now();
            let of = total.map_or(String::new(), |t| format!(" of {t}"));
            tell(format_args!("{}: {}, frame {step}{of}", self.name, phase_name(phase)));
        }
        if self.ui.cancel.load(Ordering::SeqCst) { Continue::Cancel } else { Continue::Yes }
    }
}

impl BatchObserver for Ui<'_> {
    fn started(&self, item: usize, input: &Path) -> Box<dyn Observer + '_> {
        let name = input.file_name().unwrap_or(input.as_os_str()).to_string_lossy().into_owned();
        let bar = self.bar(item);
        bar.set_prefix(printable(&name));
        Box::new(FileProgress { ui: self, name, bar, state: Mutex::new((None, Instant::now())) })
    }

    fn finished(&self, input: &Path, report: &RunReport) {
        if let Some(bar) = self.live.lock().unwrap_or_else(|e| e.into_inner()).remove(&report.item) {
            bar.finish_and_clear();
        }
        if self.format == Format::Json
            && let Ok(line) = serde_json::to_string(report)
        {
            let written = formats::on_stdout(&format!("{line}\n"));
            self.unwritten.lock().unwrap_or_else(|e| e.into_inner()).extend(written.err());
        }
        timing_lines(&report.timings).iter().for_each(|line| self.line(line));
        if report.kind == CHECK_KIND {
            check_lines(input, report, self.quiet, self.verbose).iter().for_each(|line| self.line(line));
            return;
        }
        for line in report_lines(input, report, self.quiet, self.verbose) {
            self.line(&line);
        }
    }
}

/// The lines about a finished file.
fn report_lines(input: &Path, report: &RunReport, quiet: bool, verbose: bool) -> Vec<String> {
    let name = input.display();
    match report.status {
        Status::Skipped if quiet => vec![],
        Status::Skipped => {
            let why = report.findings.first().map_or(String::new(), |f| format!(", {}", f.message));
            vec![format!("{name}: left out{why}")]
        }
        Status::Interrupted => vec![format!("{name}: interrupted, no output")],
        Status::Withheld => {
            let why = report.error.as_ref().map_or("no reason given", |e| e.message.as_str());
            let mut lines = vec![format!("withhold: error: {name}: {why}")];
            lines.extend(finding_lines(&report.findings, verbose));
            lines
        }
        Status::Done if quiet => vec![],
        Status::Done => {
            let output = report.output.as_deref().unwrap_or("");
            let mut line = format!("{name} -> {output}: {}", counts(report));
            if report.resumed {
                line.push_str(" by an earlier run, unchanged");
            }
            if let Some(verify) = &report.verify {
                line.push_str(&format!(
                    ", verified on {} frame{} (other networks see {} in {} of them, {} in {} of the source)",
                    verify.frames,
                    plural(verify.frames),
                    verify.hits_output,
                    verify.frames_searched,
                    verify.hits_source,
                    verify.frames_searched_source
                ));
            }
            let mut lines = vec![line];
            lines.extend(finding_lines(&report.findings, verbose));
            lines
        }
    }
}

/// The lines about a file that was checked.
fn check_lines(input: &Path, report: &RunReport, quiet: bool, verbose: bool) -> Vec<String> {
    let name = input.display();
    if let Some(error) = &report.error {
        let mut lines = vec![format!("withhold: error: {name}: unchecked, {}", error.message)];
        lines.extend(rule_lines(&report.findings, verbose));
        return lines;
    }
    let is_bad = report.obstacle().is_some();
    let mut lines = Vec::new();
    if is_bad {
        lines.push(format!("{name}: must not be published"));
    } else if !quiet && report.status == Status::Done {
        let searched = report.verify.as_ref().map_or(0, |v| v.frames_searched);
        let (frames, s) = (report.frames, plural(report.frames));
        let is_doubted = report.findings.iter().any(|f| f.severity == Severity::Warning);
        let what = if is_doubted { "weak signs" } else { "nothing found" };
        lines.push(format!("{name}: {what} in {frames} frame{s}, {searched} searched"));
    }
    if !quiet || is_bad {
        lines.extend(rule_lines(&report.findings, verbose));
    }
    lines
}

/// A line for each rule with its first finding, or for each finding; rules by the name that `--allow` takes.
fn rule_lines(findings: &[Finding], verbose: bool) -> Vec<String> {
    let mut by_rule: BTreeMap<(Reverse<Severity>, Rule), Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|f| verbose || f.severity > Severity::Note) {
        by_rule.entry((Reverse(finding.severity), finding.rule)).or_default().push(finding);
    }
    let mut lines = Vec::new();
    for ((Reverse(severity), rule), list) in by_rule {
        let shown = if verbose { list.len() } else { 1 };
        for finding in &list[..shown] {
            let when = finding.time_secs.map_or(String::new(), |t| format!(" at {}", timecode(t)));
            let look = match severity {
                Severity::Error => "",
                Severity::Warning => "look whether ",
                Severity::Note => "note, ",
            };
            lines.push(format!("  {}: {look}{}{when}", rule.id(), finding.message));
        }
        if let (Some(last), true) = (lines.last_mut(), shown < list.len()) {
            last.push_str(&format!(", and {} more (-v shows them)", list.len() - shown));
        }
    }
    lines
}

/// A line for each phase: the whole, then its parts, the dearest first.
fn timing_lines(timings: &[Spent]) -> Vec<String> {
    let line = |whole: &Spent| {
        let mut parts: Vec<&Spent> =
            timings.iter().filter(|s| s.phase == whole.phase && s.part != Part::Whole).collect();
        parts.sort_by(|a, b| b.cpu_secs.total_cmp(&a.cpu_secs));
        let others = whole.cpu_secs - parts.iter().map(|s| s.cpu_secs).sum::<f64>();
        let parts: Vec<String> =
            parts.iter().map(|s| format!("{:?} {:.2} ({}x)", s.part, s.cpu_secs, s.calls).to_lowercase()).collect();
        let (name, wall, cpu) = (phase_name(whole.phase), whole.wall_secs, whole.cpu_secs);
        let list = parts.join(", ");
        format!("  {name}: {wall:.2} s, processor {cpu:.2} s: {list}, other threads and start {others:.2}")
    };
    timings.iter().filter(|s| s.part == Part::Whole).map(line).collect()
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn counts(report: &RunReport) -> String {
    if report.regions.is_empty() {
        return "nothing to mask".into();
    }
    let parts = report.regions.iter().map(|(class, n)| match class.as_str() {
        "face" => format!("{n} face track{}", plural(*n)),
        "text" => format!("{n} text region{}", plural(*n)),
        "code" => format!("{n} code{}", plural(*n)),
        "region" => format!("{n} named region{}", plural(*n)),
        other => format!("{n} {other}"),
    });
    format!("masked {}", parts.collect::<Vec<_>>().join(", "))
}

fn finding_lines(findings: &[Finding], verbose: bool) -> Vec<String> {
    let told: Vec<&Finding> =
        findings.iter().filter(|f| verbose || f.severity > Severity::Note || f.rule == Rule::Loosened).collect();
    let shown = if verbose { told.len() } else { told.len().min(FINDINGS_SHOWN) };
    let mut lines: Vec<String> = told[..shown]
        .iter()
        .map(|f| {
            let when = f.time_secs.map_or(String::new(), |t| format!(" at {}", timecode(t)));
            let id = f.region.as_ref().map_or(String::new(), |r| format!(" [{r}]"));
            let look = if f.severity == Severity::Note { "note" } else { "look here" };
            format!("  {look}{when}{id}: {}", f.message)
        })
        .collect();
    if shown < told.len() {
        lines.push(format!("  and {} more; -v shows them all", told.len() - shown));
    }
    lines
}

/// The last lines of a batch.
pub fn summary(reports: &[RunReport], out_dir: &Path, work_dir: &Path, table: &Path, quiet: bool) {
    let count = |status| reports.iter().filter(|r| r.status == status).count();
    if quiet {
        return;
    }
    let mut parts = vec![format!("{} done", count(Status::Done))];
    let resumed = reports.iter().filter(|r| r.resumed).count();
    if resumed > 0 {
        parts.push(format!("{resumed} of them by an earlier run"));
    }
    for (status, word) in
        [(Status::Withheld, "withheld"), (Status::Skipped, "left out"), (Status::Interrupted, "interrupted")]
    {
        if count(status) > 0 {
            parts.push(format!("{} {word}", count(status)));
        }
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for error in reports.iter().filter_map(|r| r.error.as_ref()) {
        *kinds.entry(format!("{:?}", error.kind).to_lowercase()).or_default() += 1;
    }
    if !kinds.is_empty() {
        let listed: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        parts.push(format!("because of errors of these kinds: {}", listed.join(", ")));
    }
    tell(format_args!("{}: results in {}", parts.join(", "), out_dir.display()));
    if reports.len() > 1 {
        tell(format_args!("a table of all files: {}", table.display()));
    }
    if reports.iter().any(|r| r.sheet.is_some()) {
        tell(format_args!("look at the contact sheets before you publish: {}", work_dir.join("sheets").display()));
    }
}
