//! A worker process from the inside: reads its orders, does the steps, tells its outcome.

use std::fs::File;
use std::io::{Write, stdout};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};

use super::clock::timed;
use super::settings::AudioChoice;
use super::threads::{guarded, no_thread};
use super::worker::{Event, Job, Outcome, Step};
use super::{analyze, check, detectors, render, sandbox, verify};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::progress::{Continue, Observer, Phase, beats};
use crate::types::report::ErrorReport;
use crate::types::timing::{self, Part, Spent};

/// Least time between two progress lines of a phase.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Time between two looks at whether a frame's parts get done.
const PULSE_EVERY: Duration = Duration::from_secs(1);

/// Runs the job in the file `orders` on the source at standard input.
///
/// # Errors
/// Only when not even the outcome could be told; an error of the job itself is told as [`Event::Failed`].
pub fn main(orders: &Path) -> Result<()> {
    // A supervisor that is killed must not leave workers behind.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| broken("cannot watch the supervisor").because(e))?;
    let event = match prepare(orders) {
        Ok((job, source)) => match lock_in(&job, orders).and_then(|rest| Ok((watched(&job, &source)?, rest))) {
            Ok((outcome, unsandboxed)) => Event::Done(Outcome { unsandboxed, ..outcome }),
            Err(error) => {
                // Nobody knows the staging folder's files: the input's name says more.
                let staged = error.path().filter(|p| orders.parent().is_some_and(|staging| p.starts_with(staging)));
                Event::Failed(ErrorReport::of(&error, staged.unwrap_or(&job.label)))
            }
        },
        Err(error) => Event::Failed(ErrorReport::of(&error, orders)),
    };
    tell(&event).map_err(|e| broken("the outcome can't be told").because(e))
}

fn broken(message: &str) -> Error {
    Error::new(Stage::Worker, ErrorKind::Internal, message)
}

fn tell(event: &Event) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(event)?)?;
    out.flush()
}

fn prepare(orders: &Path) -> Result<(Job, File)> {
    let bytes = std::fs::read(orders).map_err(|e| broken("the orders can't be read").because(e))?;
    let job: Job = serde_json::from_slice(&bytes).map_err(|e| broken("the orders can't be understood").because(e))?;
    let memory = Rlimit { current: Some(job.settings.limits.memory_bytes), ..getrlimit(Resource::Data) };
    setrlimit(Resource::Data, memory).map_err(|e| broken("the memory limit can't be set").because(e))?;
    let source = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| broken("there is no source").because(e))?;
    Ok((job, File::from(source)))
}

/// Opens and loads what the job needs, then enters the sandbox; gives what of it is not enforced. Nothing that others
/// made has been read by then.
fn lock_in(job: &Job, orders: &Path) -> Result<Option<String>> {
    detectors::load(&job.settings, &job.steps)?;
    let staging = orders.parent().ok_or_else(|| broken("the orders lie in no folder"))?;
    let sound = match &job.settings.encoding.audio {
        AudioChoice::File(path) => vec![path.as_path()],
        AudioChoice::None | AudioChoice::Keep => vec![],
    };
    Ok(sandbox::enter(job.settings.sandbox, staging, &sound)?.missing)
}

/// Runs the job and tells the supervisor all the while that it is not stuck.
fn watched(job: &Job, source: &File) -> Result<Outcome> {
    let (running, ended) = channel();
    std::thread::scope(|scope| {
        let pulse = move || pulse(&ended, PULSE_EVERY, || tell(&Event::Alive).is_ok());
        let spawned = std::thread::Builder::new().name("pulse".into()).spawn_scoped(scope, pulse);
        spawned.map_err(|e| no_thread(Stage::Worker, e))?;
        let outcome = run(job, source);
        drop(running);
        outcome
    })
}

/// Says so whenever parts of the work got done in a while; until the job ends or nobody listens.
fn pulse(ended: &Receiver<()>, every: Duration, mut tell: impl FnMut() -> bool) {
    let mut known = beats();
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let now = beats();
        if now != known && !tell() {
            break;
        }
        known = now;
    }
}

fn run(job: &Job, source: &File) -> Result<Outcome> {
    let observer = Teller { told: Mutex::new(None), spent: Mutex::new(Vec::new()) };
    let mut outcome = Outcome::default();
    for step in &job.steps {
        let phase = match step {
            Step::Analyze { .. } => Phase::Analyze,
            Step::Render { .. } => Phase::Render,
            Step::Verify(_) | Step::Check(_) => Phase::Verify,
        };
        let work = || match step {
            Step::Analyze { plan } => analyze::analyze(source, job, plan, &observer),
            Step::Render { plan, staged, digest } => render::render(source, job, plan, staged, digest, &observer),
            Step::Verify(orders) => verify::verify(job, orders, &observer),
            Step::Check(orders) => check::check(source, job, orders, &observer),
        };
        let done = timed(&observer, phase, Part::Whole, || guarded(Stage::Worker, "the worker", work))?;
        outcome.frames = done.frames;
        outcome.findings.extend(done.findings);
        outcome.additions.extend(done.additions);
        outcome.verify = done.verify.or(outcome.verify);
        outcome.error = done.error.or(outcome.error);
    }
    outcome.timings = observer.spent.into_inner().unwrap_or_else(|e| e.into_inner());
    Ok(outcome)
}

/// Tells progress to the supervisor, not more often than anyone looks.
struct Teller {
    told: Mutex<Option<(Phase, Instant)>>,
    spent: Mutex<Vec<Spent>>,
}

impl Observer for Teller {
    fn progress(&self, phase: Phase, step: u64, total: Option<u64>) -> Continue {
        let mut told = self.told.lock().unwrap_or_else(|e| e.into_inner());
        let due = told.is_none_or(|(last, at)| last != phase || at.elapsed() >= TELL_EVERY);
        if due {
            *told = Some((phase, Instant::now()));
            // Nobody listens any more: the supervisor is gone.
            if tell(&Event::Progress { phase, step, total }).is_err() {
                return Continue::Cancel;
            }
        }
        Continue::Yes
    }

    fn spent(&self, spent: Spent) {
        timing::add(&mut self.spent.lock().unwrap_or_else(|e| e.into_inner()), spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::progress::beat;

    #[test]
    fn the_pulse_is_told_while_parts_get_done() {
        let (running, ended) = channel();
        let (told_out, told_in) = channel();
        std::thread::scope(|scope| {
            let every = Duration::from_millis(5);
            let told = move || told_out.send(()).is_ok();
            scope.spawn(move || pulse(&ended, every, told));
            let patience = Duration::from_secs(20);
            let started = Instant::now();
            for _ in 0..3 {
                // The first may be done before anyone looks.
                while told_in.recv_timeout(Duration::from_millis(20)).is_err() {
                    beat();
                    assert!(started.elapsed() < patience, "parts got done, and nobody was told");
                }
            }
            drop(running);
            assert_eq!(told_in.recv_timeout(patience), Err(RecvTimeoutError::Disconnected), "it ends with the job");
        });
    }
}
