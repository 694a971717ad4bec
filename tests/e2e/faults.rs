//! Runs that are killed or run out of space, at random moments: nothing that is not whole carries a final name, nothing
//! is lost, and the next run finishes the work. A few here; many in the test that is ignored otherwise, see
//! `scripts/faults.sh`.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{REGION_ONLY, Run, Scratch};

/// A generator of small random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

/// Two clips and two photos, and what comes out of them when nothing goes wrong.
struct Case {
    scratch: Scratch,
    expected: Vec<(String, Vec<u8>)>,
    takes: Duration,
}

impl Case {
    fn new() -> Self {
        let scratch = Scratch::new();
        for name in ["clips/turning.mp4", "clips/yuv422.mp4", "demo/portrait.jpg", "formats/photo.webp"] {
            scratch.copy(name, &format!("in/{}", name.rsplit('/').next().unwrap()));
        }
        let began = Instant::now();
        scratch.redact_region("in", "whole", "").ends_with(0);
        let takes = began.elapsed();
        let read = |n: String| (n.clone(), fs::read(scratch.path("whole").join(n)).unwrap());
        let expected: Vec<_> = scratch.files("whole").into_iter().map(read).collect();
        assert_eq!(expected.len(), 4);
        Self { scratch, expected, takes }
    }

    /// Whatever has a final name is whole; gives how many have one.
    #[track_caller]
    fn only_whole_files(&self, out: &str) -> usize {
        let names: Vec<String> = self.scratch.files(out);
        // Files in the making have names that no one takes for a result; none is left here, because work and output
        // folder lie on one file system.
        for name in &names {
            let whole = self.expected.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name} came out"));
            assert!(fs::read(self.scratch.path(out).join(name)).unwrap() == whole.1, "{name} is not whole");
        }
        names.len()
    }

    /// The next run finishes the work and leaves nothing of the others.
    #[track_caller]
    fn finishes(&self, out: &str) {
        self.scratch.redact_region("in", out, "--resume").ends_with(0);
        assert_eq!(self.only_whole_files(out), 4);
        self.scratch.staging_is_empty(out);
    }

    fn start(&self, out: &str) -> Command {
        let mut command = self.scratch.command();
        command.args(["redact", "in", "-o", out, "--resume"]).args(REGION_ONLY);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Until so many runs were killed before they had ended.
    fn kills(&self, count: u64, seed: u64) {
        let mut random = Random(seed);
        let (mut killed, mut runs, mut done, mut takes) = (0, 0, 0, self.takes);
        while killed < count {
            assert!(runs < 10 * count, "of {runs} runs {killed} had not ended before they were killed");
            let out = format!("killed-{}", runs / 5);
            let mut run = self.start(&out).spawn().unwrap();
            sleep(Duration::from_micros(random.below(takes.as_micros() as u64)));
            if run.try_wait().unwrap().is_none() {
                killed += 1;
            } else {
                // Other tests slowed the one that was measured, or little was left to do.
                takes = takes * 3 / 4;
            }
            run.kill().unwrap();
            run.wait().unwrap();
            done += self.only_whole_files(&out);
            runs += 1;
            // Every fifth time the work is finished, and started from nothing.
            if runs % 5 == 0 || killed == count {
                self.finishes(&out);
            }
        }
        println!("{killed} of {runs} runs killed before they had ended; {done} finished files found, all whole");
    }

    /// Every write beyond a random size of a file fails, in supervisor and workers.
    fn short_files(&self, count: u64, seed: u64) {
        let mut random = Random(seed);
        let largest = self.expected.iter().map(|(_, bytes)| bytes.len() as u64).max().unwrap();
        let mut failed = 0;
        for n in 0..count {
            let out = format!("short-{n}");
            let blocks = random.below(largest / 512 + 8) + 1;
            let mut run = Command::new("sh");
            run.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]);
            run.arg(env!("CARGO_BIN_EXE_withhold")).args(["redact", "in", "-o", &out, "--resume"]).args(REGION_ONLY);
            run.current_dir(self.scratch.path("")).stdin(Stdio::null());
            let run = Run::of(run.output().unwrap());
            let whole = self.only_whole_files(&out);
            let complete = whole == 4 && run.code == Some(0);
            assert!(complete || run.code == Some(3), "{blocks} blocks: {run:?}");
            assert!(!run.stderr.contains("panicked"), "{run:?}");
            failed += u64::from(!complete);
            self.finishes(&out);
        }
        println!("{count} sizes, {failed} of them too small for something; nothing else came out");
        assert!(failed > 0);
    }
}

#[test]
fn a_few_kills_and_full_disks() {
    let case = Case::new();
    case.kills(4, 0x5EED);
    case.short_files(2, 0xF00D);
}

#[test]
#[ignore = "takes minutes; scripts/faults.sh runs it"]
fn many_kills_and_full_disks() {
    let case = Case::new();
    case.kills(50, 0x0DD5);
    case.short_files(20, 0xD15C);
}

/// Networks that vanish while a batch runs: what needs them fails and says so, the rest is whole.
#[test]
fn a_network_that_vanishes_in_mid_batch_fails_what_needs_it() {
    let scratch = Scratch::new();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for entry in walkdir::WalkDir::new(&models).into_iter().flatten().filter(|e| e.file_type().is_file()) {
        let relative = entry.path().strip_prefix(&models).unwrap();
        scratch.file(std::path::Path::new("models").join(relative), &fs::read(entry.path()).unwrap());
    }
    for n in 0..4 {
        scratch.copy("demo/portrait.jpg", &format!("in/{n}.jpg"));
    }
    let mut command = scratch.command();
    command.args(["redact", "in", "-o", "out", "--jobs", "1"]).env("WITHHOLD_MODELS", scratch.path("models"));
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A run that ends without any file is told below.
    while scratch.files("out").is_empty() && run.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(5));
    }
    fs::remove_file(scratch.path("models/yunet/yunet_dynamic.onnx")).unwrap();
    let ended = Run::of(run.wait_with_output().unwrap()).ends_with(3);
    ended.tells(&["error", "yunet", "restore"]);
    let whole = fs::read(scratch.path("out/0.jpg")).unwrap();
    let out = scratch.files("out");
    assert!(!out.is_empty() && out.len() < 4, "{out:?}");
    assert!(out.iter().all(|name| fs::read(scratch.path("out").join(name)).unwrap() == whole), "{out:?}");
    scratch.staging_is_empty("out");
}
