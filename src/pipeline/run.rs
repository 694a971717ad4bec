//! The supervisor's side: one file from source to published output, and many files side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use super::batch::{Entry, Item, LeftOut, open_source};
use super::check::CheckOrders;
use super::commit::{Staging, exists, make_work_dir, publish, set_aside, sweep, sweep_parts, write_private};
use super::gate::Gate;
use super::journal::Journal;
use super::sandbox::SandboxMode;
use super::select::Shard;
use super::settings::{AudioChoice, Settings, Targets};
use super::source::hash;
use super::supervise::{self, Watch};
use super::threads::guarded;
use super::worker::{Job, Outcome, Step, VerifyOrders};
use super::{detectors, plans, sandbox_probe};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::Edits;
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::plan::Region;
use crate::types::progress::Observer;
use crate::types::report::{CHECK_KIND, ErrorReport, REPORT_KIND, REPORT_VERSION, RunReport, Status};
use crate::types::timing::{self, Spent};

/// Times a file may be rendered again because verification found something to add.
const MAX_EXTRA_ROUNDS: u32 = 2;

/// What a batch makes of each file.
#[derive(Clone, Debug)]
pub enum Task {
    /// Analyse, render, verify.
    Redact,
    /// Write the plan alone.
    Analyze,
    /// Render plans: item inputs are sources, with their plans in the same order as the entries.
    Apply { plans: Vec<PathBuf>, edits: Edits },
    /// Say whether files may be published; writes none.
    Check { orders: CheckOrders, gate: Gate },
}

/// A batch with all that was settled about it.
pub struct Batch<'a> {
    pub task: Task,
    pub entries: Vec<Entry>,
    pub out_dir: PathBuf,
    /// Plans, contact sheets and staging folders; never inside the output folder.
    pub work_dir: PathBuf,
    pub overwrite: bool,
    /// Of what was verified; `redact` alone has one.
    pub journal: Option<Journal>,
    /// The share of the work that the entries are.
    pub shard: Option<Shard>,
    /// Put input paths into reports.
    pub show_paths: bool,
    /// Put into reports where the time went.
    pub show_timings: bool,
    pub settings: Settings,
    /// Files (photos) or inference threads (clips) at work at once.
    pub jobs: usize,
    pub cancel: &'a AtomicBool,
}

/// Is told of a batch's progress.
pub trait BatchObserver: Sync {
    /// An observer for one file, at the start of its work.
    fn started(&self, item: usize, input: &Path) -> Box<dyn Observer + '_>;
    /// Reports come in the order of the batch.
    fn finished(&self, input: &Path, report: &RunReport);
}

/// Runs the batch; returns the reports in order.
///
/// # Errors
/// Only what keeps the whole batch from starting: runtime or weights are missing, the work folder can't be made.
pub fn run(batch: &Batch, observer: &dyn BatchObserver) -> Result<Vec<RunReport>> {
    detectors::check(&batch.settings)?;
    if batch.settings.sandbox == SandboxMode::Require {
        sandbox_probe::probe(SandboxMode::Require)?;
    }
    make_work_dir(&batch.work_dir)?;
    batch.sweep();
    let slots = Slots { free: Mutex::new(batch.jobs.max(1)), changed: Condvar::new() };
    let queue = Mutex::new(0..batch.entries.len());
    let done = InOrder { state: Mutex::new((0, BTreeMap::new())), batch, observer };
    let work = &|| {
        loop {
            // Slots are taken under the queue's lock, so that a clip that waits for all of them is not overtaken for ever.
            let mut queue = queue.lock().unwrap_or_else(|e| e.into_inner());
            let Some(index) = queue.next() else { break };
            let taken = slots.take(batch.slots_for(index));
            drop(queue);
            let report = batch.report_entry(index, observer);
            slots.give(taken);
            done.add(index, report);
        }
    };
    std::thread::scope(|scope| {
        for number in 1..batch.jobs {
            // A thread that can't be started leaves its share to the others.
            let _ = std::thread::Builder::new().name(format!("supervisor-{number}")).spawn_scoped(scope, work);
        }
        work();
    });
    let (_, reports) = done.state.into_inner().unwrap_or_else(|e| e.into_inner());
    Ok(reports.into_values().collect())
}

/// Counting semaphore.
struct Slots {
    free: Mutex<usize>,
    changed: Condvar,
}

impl Slots {
    fn take(&self, wanted: usize) -> usize {
        let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        while *free < wanted {
            free = self.changed.wait(free).unwrap_or_else(|e| e.into_inner());
        }
        *free -= wanted;
        wanted
    }

    fn give(&self, count: usize) {
        *self.free.lock().unwrap_or_else(|e| e.into_inner()) += count;
        self.changed.notify_all();
    }
}

/// Hands reports on in the order of the batch, whatever order they come in.
struct InOrder<'a> {
    /// Next to hand on, and all reports so far.
    state: Mutex<(usize, BTreeMap<usize, RunReport>)>,
    batch: &'a Batch<'a>,
    observer: &'a dyn BatchObserver,
}

impl InOrder<'_> {
    fn add(&self, index: usize, report: RunReport) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        state.1.insert(index, report);
        while let Some(report) = state.1.get(&state.0) {
            self.observer.finished(self.batch.entries[state.0].input(), report);
            state.0 += 1;
        }
    }
}

impl Entry {
    pub fn input(&self) -> &Path {
        match self {
            Entry::Work(item) => &item.input,
            Entry::Skipped { input, .. } | Entry::Failed { input, .. } => input,
        }
    }
}

impl Batch<'_> {
    /// A clip uses all cores by itself; photos go side by side.
    fn slots_for(&self, index: usize) -> usize {
        match &self.entries[index] {
            Entry::Work(item) if item.is_clip => self.jobs.max(1),
            _ => 1,
        }
    }

    /// Removes what killed runs left in the folders that this one writes to.
    fn sweep(&self) {
        sweep(&self.work_dir);
        let works = self.entries.iter().filter_map(|e| if let Entry::Work(item) = e { Some(item) } else { None });
        let folders: BTreeSet<&Path> = works.filter_map(|item| item.output.parent()).collect();
        for root in [self.out_dir.clone(), self.work_dir.join("plans"), self.work_dir.join("sheets")] {
            folders.iter().for_each(|folder| sweep_parts(&root.join(folder)));
        }
    }

    fn report_entry(&self, index: usize, observer: &dyn BatchObserver) -> RunReport {
        let mut report = RunReport {
            kind: if matches!(self.task, Task::Check { .. }) { CHECK_KIND } else { REPORT_KIND }.into(),
            version: REPORT_VERSION,
            status: Status::Withheld,
            item: index,
            input: self.show_paths.then(|| self.entries[index].input().display().to_string()),
            output: None,
            resumed: false,
            frames: 0,
            regions: BTreeMap::new(),
            rounds: 0,
            verify: None,
            findings: vec![],
            error: None,
            timings: vec![],
            sheet: None,
        };
        match &self.entries[index] {
            Entry::Skipped { input, reason } => {
                report.status = Status::Skipped;
                report.findings = self.left_out(input, *reason);
            }
            Entry::Failed { input, error } => report.error = Some(ErrorReport::of(error, input)),
            Entry::Work(_) if self.cancel.load(Ordering::SeqCst) => report.status = Status::Interrupted,
            Entry::Work(item) => {
                let watcher = observer.started(index, &item.input);
                let work = || self.work(index, item, &*watcher, &mut report);
                // Its share of the threads has to come back.
                match guarded(Stage::Worker, "the supervisor", work) {
                    Ok(()) => report.status = Status::Done,
                    Err(error) => {
                        if error.kind() == ErrorKind::Cancelled {
                            report.status = Status::Interrupted;
                        }
                        (report.output, report.sheet) = (None, None);
                        report.error = Some(ErrorReport::of(&error, &item.input));
                    }
                }
            }
        }
        report
    }

    /// What is told of something in a folder that is not worked on: to the gate it is one thing more that would go out.
    fn left_out(&self, input: &Path, reason: LeftOut) -> Vec<Finding> {
        let Task::Check { gate, .. } = &self.task else {
            return vec![Finding::new(Rule::UnknownFile, Severity::Note, reason.about())];
        };
        let told = match reason {
            LeftOut::NotMedia => beside(input),
            LeftOut::NotRegular => Finding::new(Rule::UnknownFile, Severity::Error, reason.about()),
        };
        let sha256 = open_source(input).and_then(|file| hash(&file)).unwrap_or_default();
        gate.all_judged(vec![told], &sha256)
    }

    fn work(&self, index: usize, item: &Item, observer: &dyn Observer, report: &mut RunReport) -> Result<()> {
        let source = open_source(&item.input)?;
        let target = self.out_dir.join(&item.output);
        let mut key = None;
        if let Some(journal) = &self.journal {
            let wanted = journal.key(&source, &item.output).map_err(|e| e.at(&item.input))?;
            if let Some(done) = journal.done(&wanted, &target)? {
                *report = RunReport { item: index, input: report.input.take(), resumed: true, ..done };
                return Ok(());
            }
            key = Some(wanted);
        }
        if key.is_some() && !self.overwrite && target.symlink_metadata().is_ok() {
            return Err(exists(&target).because("it is not what an earlier run verified of this source and settings"));
        }
        let mut file = FileRun {
            batch: self,
            targets: self.settings.targets,
            item,
            source,
            key,
            began: Instant::now(),
            staging: Staging::create(&self.work_dir)?,
            observer,
            unsandboxed: None,
            timings: vec![],
        };
        let done = self.steps(&mut file, index, &target, report);
        if self.show_timings {
            report.timings = std::mem::take(&mut file.timings);
        }
        done
    }

    fn steps(&self, file: &mut FileRun<'_>, index: usize, target: &Path, report: &mut RunReport) -> Result<()> {
        let plan_path = file.staging.path("plan.json");
        match &self.task {
            Task::Analyze => {
                let outcome = file.worker(vec![Step::Analyze { plan: plan_path.clone() }])?;
                report.frames = outcome.frames;
                let plan = plans::read(&plan_path)?;
                report.regions = count_regions(&plan.regions);
                report.findings = plans::findings(&plan)?;
                report.output = Some(file.item.output.display().to_string());
                publish(&plan_path, target, self.overwrite)?;
            }
            Task::Check { orders, gate } => {
                let sha256 = hash(&file.source)?;
                let outcome = file.worker(vec![Step::Check(orders.clone())])?;
                report.frames = outcome.frames;
                report.verify = outcome.verify;
                // A preview beside a clip is a picture as well.
                let sidecar = Some(beside(&file.item.input)).filter(|f| f.rule == Rule::Sidecar);
                let findings = outcome.findings.into_iter().chain(sidecar).collect();
                report.findings = gate.all_judged(findings, &sha256);
                file.note_unsandboxed(report);
                return outcome.error.map_or(Ok(()), |e| Err(e.into()));
            }
            Task::Redact => return file.redact(false, &plan_path, target, report),
            Task::Apply { plans: given, edits } => {
                let mut plan = plans::read(&given[index])?;
                file.targets = Targets::of_plan(&plan.header.settings);
                plans::edit(&mut plan, edits).map_err(|e| e.at(&given[index]))?;
                plans::write(&plan, &plan_path)?;
                return file.redact(true, &plan_path, target, report);
            }
        }
        file.note_unsandboxed(report);
        Ok(())
    }
}

/// The finding that a file is which is no media.
fn beside(input: &Path) -> Finding {
    let extension = input.extension().map(|e| e.to_string_lossy().to_lowercase());
    let (rule, message) = match extension.as_deref() {
        Some("xmp" | "aae" | "json" | "xml" | "exif" | "mie" | "dop" | "pp3") => {
            (Rule::Sidecar, "a sidecar with tags or edits of a photo or clip")
        }
        Some("srt" | "vtt" | "ass" | "ssa" | "sub" | "idx" | "sbv" | "ttml" | "lrc") => {
            (Rule::Sidecar, "a sidecar with subtitles")
        }
        Some("gpx" | "kml" | "kmz" | "nmea" | "fit") => (Rule::Sidecar, "a sidecar that tells where"),
        Some("thm" | "lrv" | "ithmb") => (Rule::Sidecar, "a sidecar with a preview"),
        _ => (Rule::UnknownFile, "neither a photo nor a clip: nothing is known of what it holds"),
    };
    Finding::new(rule, Severity::Error, message)
}

/// The error because of a finding, with what the operator can do where the encoder may have lost too much.
fn withheld(bad: &Finding, is_clip: bool) -> Error {
    let error = Error::new(Stage::Verify, ErrorKind::Unverified, format!("withheld: {}", bad.message));
    let advice = match bad.rule {
        Rule::PictureChanged | Rule::MaskMissing if is_clip => "where the encoder lost too much, a lower --crf helps",
        Rule::PictureChanged | Rule::MaskMissing => "where the encoder lost too much, a higher --quality helps",
        _ => return error,
    };
    error.advise(advice)
}

/// One file's run.
struct FileRun<'a> {
    batch: &'a Batch<'a>,
    /// What is looked for: as asked, or as the plan was made.
    targets: Targets,
    item: &'a Item,
    source: File,
    /// Under which the journal notes the output.
    key: Option<String>,
    began: Instant,
    staging: Staging,
    observer: &'a dyn Observer,
    /// What of the sandbox a worker did not get.
    unsandboxed: Option<String>,
    /// Where the workers' time went.
    timings: Vec<Spent>,
}

impl FileRun<'_> {
    fn worker(&mut self, steps: Vec<Step>) -> Result<Outcome> {
        let mut settings = self.batch.settings.clone();
        settings.targets = self.targets;
        settings.inference_threads = if self.item.is_clip { self.batch.jobs.max(1) } else { 1 };
        let job = Job { label: self.item.input.clone(), settings, steps };
        let watch = Watch { cancel: self.batch.cancel, observer: self.observer, began: self.began };
        let outcome = supervise::run(&job, &self.source, &self.staging, &watch)?;
        self.unsandboxed = outcome.unsandboxed.clone().or(self.unsandboxed.take());
        outcome.timings.iter().for_each(|spent| timing::add(&mut self.timings, *spent));
        Ok(outcome)
    }

    /// Renders and verifies until nothing more is found, then publishes. The plan is kept in the work folder either way.
    fn redact(&mut self, has_plan: bool, plan: &Path, target: &Path, report: &mut RunReport) -> Result<()> {
        let result = self.rounds(has_plan, plan, report);
        let kept = self.private_path("plans", "plan.json");
        // A plan that was cut off in the middle of writing replaces no whole one.
        if plans::read(plan).is_ok() {
            let bytes = fs::read(plan)
                .map_err(|e| Error::new(Stage::Plan, ErrorKind::Io, "the plan can't be read back").because(e))?;
            // Somebody may have edited the one that is there.
            if fs::read(&kept).is_ok_and(|old| old != bytes) {
                set_aside(&kept)?;
            }
            write_private(&kept, &bytes)?;
        }
        result.map_err(|e| match e.kind() {
            ErrorKind::Unverified => e.because(format!("the plan is kept as {}", kept.display())),
            _ => e,
        })?;
        self.note_loosened(report);
        self.note_unsandboxed(report);
        let sheet = self.staging.path("sheet.html");
        let bytes = fs::read(&sheet)
            .map_err(|e| Error::new(Stage::Verify, ErrorKind::Io, "the contact sheet can't be read").because(e))?;
        write_private(&self.private_path("sheets", "html"), &bytes)?;
        let staged = self.staging.path("staged");
        report.sheet = Some(format!("sheets/{}.html", self.item.output.display()));
        report.output = Some(self.item.output.display().to_string());
        if let (Some(journal), Some(key)) = (&self.batch.journal, self.key.take()) {
            // As it is told once the file has its name; the input's path is for each run to tell.
            journal.note(
                key,
                &staged,
                &RunReport { status: Status::Done, input: None, timings: vec![], ..report.clone() },
            )?;
        }
        publish(&staged, target, self.batch.overwrite)
    }

    fn private_path(&self, folder: &str, extension: &str) -> PathBuf {
        let mut name = self.item.output.clone().into_os_string();
        name.push(".");
        name.push(extension);
        self.batch.work_dir.join(folder).join(name)
    }

    fn rounds(&mut self, has_plan: bool, plan_path: &Path, report: &mut RunReport) -> Result<()> {
        let staged = self.staging.path("staged");
        let digest = self.staging.path("digest");
        let render = Step::Render { plan: plan_path.into(), staged: staged.clone(), digest: digest.clone() };
        let mut steps = vec![render.clone()];
        if !has_plan {
            steps.insert(0, Step::Analyze { plan: plan_path.into() });
        }
        for round in 0..=MAX_EXTRA_ROUNDS {
            let rendered = self.worker(std::mem::replace(&mut steps, vec![render.clone()]))?;
            let orders = VerifyOrders {
                plan: plan_path.into(),
                staged: staged.clone(),
                digest: digest.clone(),
                sheet: self.staging.path("sheet.html"),
                title: self.item.output.display().to_string(),
                frames_searched_source: rendered.verify.as_ref().map_or(0, |v| v.frames_searched_source),
                hits_source: rendered.verify.as_ref().map_or(0, |v| v.hits_source),
            };
            let seen = self.worker(vec![Step::Verify(orders)])?;
            report.rounds = round + 1;
            report.frames = seen.frames;
            report.verify = seen.verify;
            let mut plan = plans::read(plan_path)?;
            // Verification sees what is visible on purpose; the plan knows the reason.
            let seen_findings = seen.findings.into_iter().filter(|f| f.rule != Rule::Kept);
            report.findings = plans::findings(&plan)?;
            report.findings.extend(rendered.findings.into_iter().chain(seen_findings));
            report.regions = count_regions(&plan.regions);
            if let Some(bad) = report.obstacle() {
                return Err(withheld(bad, self.item.is_clip));
            }
            if seen.additions.is_empty() {
                return Ok(());
            }
            plan.regions.extend(seen.additions);
            plans::write(&plan, plan_path)?;
        }
        let message = format!(
            "withheld: verification still found something to hide after {} rounds; name it with --region, or look at \
             the plan and apply it again",
            MAX_EXTRA_ROUNDS + 1
        );
        Err(Error::new(Stage::Verify, ErrorKind::Unverified, message))
    }

    fn note_unsandboxed(&self, report: &mut RunReport) {
        if let Some(why) = &self.unsandboxed {
            let message = format!("the source was parsed without the whole sandbox: {why}");
            report.findings.push(Finding::new(Rule::Loosened, Severity::Note, message));
        }
    }

    /// Everything that was loosened on request shows in the report.
    fn note_loosened(&self, report: &mut RunReport) {
        let settings = &self.batch.settings;
        let mut note = |what: String| report.findings.push(Finding::new(Rule::Loosened, Severity::Note, what));
        if self.item.is_clip {
            match settings.encoding.audio {
                AudioChoice::None => {}
                AudioChoice::Keep => note("the source's sound was kept: a voice identifies".into()),
                AudioChoice::File(_) => note("a given sound track was added".into()),
            }
        }
        let Targets { faces, text, codes, .. } = self.targets;
        for (on, what) in [(faces, "faces were"), (text, "text was"), (codes, "codes were")] {
            if !on {
                note(format!("{what} not looked for"));
            }
        }
        for keep in &settings.keep_regions {
            note(format!("nothing was masked within {}: {}", keep.region, keep.reason));
        }
        if settings.allow_damaged {
            note("damaged frames were allowed; they are masked whole".into());
        }
    }
}

pub fn count_regions(regions: &[Region]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for region in regions.iter().filter(|r| r.decision.is_redact()) {
        *counts.entry(format!("{:?}", region.class).to_lowercase()).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
