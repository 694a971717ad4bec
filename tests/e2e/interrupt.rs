//! Runs that are ended from outside leave nothing that could be taken for a result.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::common::{REGION_ONLY, Run, Scratch, fixture};

const LOOK_EVERY: Duration = Duration::from_millis(5);

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// State letter and parent of a process; `None` when it is gone.
fn state(process: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn workers_of(parent: &Child) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let parent = i32::try_from(parent.id()).unwrap();
    numbers.filter(|n| state(*n).is_some_and(|(s, p)| p == parent && s != 'Z')).collect()
}

/// Waits until a worker is at its job: it reads its orders once it is the program itself.
fn wait_for_worker(run: &mut Child) -> i32 {
    loop {
        let is_worker = |n: &i32| fs::read(format!("/proc/{n}/cmdline")).is_ok_and(|c| c.ends_with(b"job.json\0"));
        if let Some(worker) = workers_of(run).into_iter().find(is_worker) {
            return worker;
        }
        assert_eq!(run.try_wait().unwrap(), None, "the run ended before it was interrupted");
        sleep(LOOK_EVERY);
    }
}

/// Starts a run that takes seconds.
fn start(scratch: &Scratch) -> Child {
    let program = scratch.command();
    // Whoever runs the tests may have the signal of a closed terminal ignored, as `nohup` does.
    let mut command = std::process::Command::new("env");
    command.arg("--default-signal=HUP").arg(program.get_program());
    command.args(["redact", fixture("demo/interview.mp4").to_str().unwrap(), "-o", "out"]);
    command.current_dir(scratch.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).spawn().unwrap()
}

#[test]
fn an_interrupted_run_exits_130_and_leaves_nothing() {
    // Ctrl-C and a closed terminal reach the whole group, `kill` the supervisor alone.
    let table =
        [(Signal::INT, true), (Signal::INT, false), (Signal::TERM, false), (Signal::HUP, true), (Signal::HUP, false)];
    for (signal, whole_group) in table {
        let scratch = Scratch::new();
        let mut run = start(&scratch);
        let worker = wait_for_worker(&mut run);
        if whole_group {
            kill_process_group(pid(&run), signal).unwrap();
        } else {
            kill_process(pid(&run), signal).unwrap();
        }
        let ended = Run::of(run.wait_with_output().unwrap()).ends_with(130);
        ended.tells(&["interview.mp4", "interrupted"]);
        assert!(state(worker).is_none_or(|(s, _)| s == 'Z'));
        assert_eq!(scratch.files("out"), Vec::<String>::new());
        scratch.staging_is_empty("out");
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let scratch = Scratch::new();
    let program = scratch.command();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(program.get_program());
    command.arg("redact").arg(fixture("demo/interview.mp4")).args(["-o", "out"]).args(REGION_ONLY);
    command.current_dir(scratch.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.process_group(0).spawn().unwrap();
    wait_for_worker(&mut run);
    kill_process_group(pid(&run), Signal::HUP).unwrap();
    Run::of(run.wait_with_output().unwrap()).ends_with(0);
    assert_eq!(scratch.files("out"), ["interview.mp4"]);
}

#[test]
fn a_killed_run_takes_its_workers_along_and_the_next_one_cleans_up() {
    let scratch = Scratch::new();
    let mut run = start(&scratch);
    let worker = wait_for_worker(&mut run);
    run.kill().unwrap();
    run.wait().unwrap();
    while state(worker).is_some_and(|(s, _)| s != 'Z') {
        sleep(LOOK_EVERY);
    }
    assert_eq!(scratch.files("out"), Vec::<String>::new());
    assert_ne!(scratch.files("out.withhold/staging"), Vec::<String>::new());
    let clip = fixture("clips/yuv422.mp4");
    scratch.redact_region(&clip, "out", "").ends_with(0);
    assert_eq!(scratch.files("out"), ["yuv422.mp4"]);
    scratch.staging_is_empty("out");
}

#[test]
fn a_killed_worker_ends_its_file_alone() {
    let scratch = Scratch::new();
    scratch.photo("small.png");
    let mut command = scratch.command();
    command.args(["redact", fixture("demo/interview.mp4").to_str().unwrap(), "small.png", "-o", "out", "--jobs", "1"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let worker = wait_for_worker(&mut run);
    kill_process(Pid::from_raw(worker).unwrap(), Signal::KILL).unwrap();
    let ended = Run::of(run.wait_with_output().unwrap()).ends_with(3);
    ended.tells(&["error", "interview.mp4", "worker", "signal 9"]);
    assert_eq!(scratch.files("out"), ["small.png"]);
    scratch.staging_is_empty("out");
}

#[test]
fn a_worker_that_hangs_is_ended() {
    let scratch = Scratch::new();
    scratch.photo("small.png");
    let mut command = scratch.command();
    let words = ["-o", "out", "--jobs", "1", "--stall-timeout", "5"];
    command.args(["redact", fixture("demo/interview.mp4").to_str().unwrap(), "small.png"]).args(words);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let worker = wait_for_worker(&mut run);
    kill_process(Pid::from_raw(worker).unwrap(), Signal::STOP).unwrap();
    let ended = Run::of(run.wait_with_output().unwrap()).ends_with(3);
    ended.tells(&["error", "interview.mp4", "no progress for 5 s", "--stall-timeout"]);
    assert!(state(worker).is_none_or(|(s, _)| s == 'Z'));
    assert_eq!(scratch.files("out"), ["small.png"]);
    scratch.staging_is_empty("out");
}

#[test]
fn two_runs_share_a_work_folder() {
    let scratch = Scratch::new();
    let source = fixture("clips/turning.mp4");
    let words = |out: &'static str| {
        let mut command = scratch.command();
        command.arg("redact").arg(&source).args(["-o", out, "--work-dir", "work"]).args(REGION_ONLY);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs = [words("one"), words("two"), words("three")];
    for run in runs {
        Run::of(run.wait_with_output().unwrap()).ends_with(0);
    }
    for out in ["one", "two", "three"] {
        assert_eq!(scratch.files(out), ["turning.mp4"]);
    }
}
