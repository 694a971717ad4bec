//! Running one worker process: memory limit, watchdog, interruption.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::commit::{Staging, write_private};
use super::worker::{Event, Job, Outcome};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::infer::engine::NO_TELEMETRY;
use crate::types::progress::{Continue, Observer};

/// Argument that makes the program a worker.
pub const WORKER_ARG: &str = "worker";

/// How often the supervisor looks at the clock and at the interruption flag.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of a worker's standard error that are kept for its message.
const STDERR_TAIL: u64 = 2048;

/// What a worker is watched for.
pub struct Watch<'a> {
    pub cancel: &'a AtomicBool,
    pub observer: &'a dyn Observer,
    /// When the work on the file began, all its workers.
    pub began: Instant,
}

/// Starts a worker on the source and waits for its outcome.
///
/// # Errors
/// The worker's own error; `Worker` when it crashed, hung or broke the protocol; `Limit` when the file takes too long;
/// `Cancelled` when interrupted.
pub fn run(job: &Job, source: &File, staging: &Staging, watch: &Watch<'_>) -> Result<Outcome> {
    let orders = staging.path("job.json");
    let bytes = serde_json::to_vec(job)
        .map_err(|e| Error::new(Stage::Worker, ErrorKind::Internal, "the job can't be written").because(e))?;
    write_private(&orders, &bytes)?;
    let stderr_path = staging.path("stderr.log");
    let mut child = spawn(&orders, source, &stderr_path)?;
    let events = listen(&mut child);
    let ended = follow(&events, &mut child, job, watch);
    // Whatever happened, no worker outlives this function.
    let _ = child.kill();
    let status = child.wait().map_err(|e| failure("the worker process can't be waited for").because(e))?;
    match ended? {
        Some(Event::Done(outcome)) if status.success() => Ok(outcome),
        Some(Event::Failed(report)) => Err(Error::from(report).at(&job.label)),
        _ => Err(crashed(status, &stderr_path).at(&job.label)),
    }
}

/// glibc would give the memory of every picture and tensor back to the kernel and have it cleared again for the next: a
/// twentieth of a clip's or photo's processor time, for no lower peak. Pieces of more than 256 MiB still go back at once.
const KEEP_MEMORY: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=268435456:glibc.malloc.trim_threshold=536870912");

fn failure(message: &str) -> Error {
    Error::new(Stage::Worker, ErrorKind::Worker, message)
}

fn spawn(orders: &Path, source: &File, stderr_path: &Path) -> Result<Child> {
    let broken = |e: std::io::Error| failure("the worker process can't be started").because(e);
    let program = std::env::current_exe().map_err(broken)?;
    Command::new(program)
        .arg(WORKER_ARG)
        .arg(orders)
        .stdin(source.try_clone().map_err(broken)?)
        .stdout(Stdio::piped())
        .stderr(File::create(stderr_path).map_err(broken)?)
        .env(NO_TELEMETRY.0, NO_TELEMETRY.1)
        // SVT-AV1 prints a banner otherwise, which would stand in the log before the cause of a failure.
        .env("SVT_LOG", "1")
        // glibc gives threads heaps of their own, of which each keeps the most it ever held: a sixth of the memory for
        // 1080p, and no time is won by them.
        .env("MALLOC_ARENA_MAX", "1")
        .env(KEEP_MEMORY.0, KEEP_MEMORY.1)
        .spawn()
        .map_err(broken)
}

/// A thread that turns the worker's lines into events. Ends with the pipe.
fn listen(child: &mut Child) -> Receiver<Event> {
    let (send, receive) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        let reading = move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                // A line that is no event is a broken protocol; the missing outcome will tell.
                let Ok(event) = serde_json::from_str(&line) else { break };
                if send.send(event).is_err() {
                    break;
                }
            }
        };
        // Without the thread no event arrives, which reads as a crash.
        let _ = std::thread::Builder::new().name("worker-events".into()).spawn(reading);
    }
    receive
}

/// Follows the events to the last one; `None` when the worker ended without one.
fn follow(events: &Receiver<Event>, child: &mut Child, job: &Job, watch: &Watch<'_>) -> Result<Option<Event>> {
    let limits = &job.settings.limits;
    let stall = Duration::from_secs_f64(limits.stall_secs);
    let Watch { cancel, observer, began } = watch;
    let mut moved = Instant::now();
    let interrupted = || Error::new(Stage::Worker, ErrorKind::Cancelled, "interrupted").at(&job.label);
    loop {
        if cancel.load(Ordering::SeqCst) {
            return Err(interrupted());
        }
        if let Some(most) = limits.time_secs.filter(|most| began.elapsed().as_secs_f64() > *most) {
            let message = format!("took longer than {most} s: --max-time allows more");
            return Err(Error::new(Stage::Worker, ErrorKind::Limit, message).at(&job.label));
        }
        match events.recv_timeout(TICK) {
            Ok(Event::Progress { phase, step, total }) => {
                moved = Instant::now();
                if observer.progress(phase, step, total) == Continue::Cancel {
                    return Err(interrupted());
                }
            }
            Ok(Event::Alive) => moved = Instant::now(),
            Ok(last) => {
                // Let it end by itself; the caller ends it otherwise.
                let patience = Instant::now();
                while patience.elapsed() < Duration::from_secs(5) && matches!(child.try_wait(), Ok(None)) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                return Ok(Some(last));
            }
            Err(RecvTimeoutError::Disconnected) => {
                // A worker that got the terminal's Ctrl-C may be gone before this process noticed its own.
                std::thread::sleep(TICK);
                return if cancel.load(Ordering::SeqCst) { Err(interrupted()) } else { Ok(None) };
            }
            Err(RecvTimeoutError::Timeout) if moved.elapsed() > stall => {
                let message = format!(
                    "no progress for {:.0} s, so the worker was ended; --stall-timeout allows more",
                    stall.as_secs_f64()
                );
                return Err(failure(&message).at(&job.label));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The error for a worker that ended without an outcome.
fn crashed(status: ExitStatus, stderr_path: &Path) -> Error {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("the worker process was ended by signal {signal}"),
        (None, Some(code)) => format!("the worker process ended early with code {code}"),
        (None, None) => "the worker process ended early".into(),
    };
    let tail = stderr_tail(stderr_path);
    let why = if tail.contains("memory allocation") || tail.contains("bad_alloc") {
        " (out of memory: --memory-limit allows more)"
    } else {
        ""
    };
    let last_line = tail.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("").trim().to_owned();
    let error = failure(&format!("{how}{why}"));
    if last_line.is_empty() || !why.is_empty() { error } else { error.because(last_line) }
}

fn stderr_tail(path: &Path) -> String {
    use std::io::{Seek, SeekFrom};
    let mut tail = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let length = file.metadata().map_or(0, |m| m.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(STDERR_TAIL)));
        let _ = file.take(STDERR_TAIL).read_to_end(&mut tail);
    }
    String::from_utf8_lossy(&tail).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::testing::settings;
    use crate::types::progress::Silent;

    /// How following a worker ends that is this script, and after how long.
    fn followed(script: &str) -> (Result<Option<Event>>, Duration) {
        let mut settings = settings();
        settings.limits.stall_secs = 1.5;
        let job = Job { label: "page.png".into(), settings, steps: vec![] };
        let mut child =
            Command::new("sh").args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let events = listen(&mut child);
        let watch = Watch { cancel: &AtomicBool::new(false), observer: &Silent, began: Instant::now() };
        let ended = follow(&events, &mut child, &job, &watch);
        let _ = child.kill();
        let _ = child.wait();
        (ended, watch.began.elapsed())
    }

    #[test]
    fn a_frame_that_takes_long_is_no_stall_while_its_parts_get_done() {
        let alive = r#"for i in 1 2 3 4 5 6 7; do sleep 0.4; echo '"alive"'; done"#;
        let (ended, took) =
            followed(&format!(r#"{alive}; echo '{{"done":{{"frames":1,"findings":[],"additions":[]}}}}'"#));
        assert!(matches!(ended, Ok(Some(Event::Done(_)))), "{ended:?}");
        assert!(took > Duration::from_millis(2500), "longer than what is a stall");
        let (ended, took) = followed(&format!("{alive}; exec sleep 60"));
        assert!(ended.is_err_and(|e| e.to_string().contains("no progress")));
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
}
