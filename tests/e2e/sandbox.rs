//! Workers are locked in, and say so when they are not.

use serde_json::Value;

use crate::common::{Run, Scratch, fixture};

/// What the program sees that is told to enter the sandbox and get out again.
fn probe(scratch: &Scratch, mode: &str) -> Run {
    for place in ["box/inside", "box/outside"] {
        std::fs::create_dir_all(scratch.path(place)).unwrap();
    }
    scratch.file("box/outside/file", b"outside");
    scratch.withhold(["sandbox-probe", mode, "box"])
}

#[test]
fn every_way_out_is_refused() {
    let scratch = Scratch::new();
    let run = probe(&scratch, "require").ends_with(0);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    for (what, expected) in
        [("missing", Value::Null), ("hindered", Value::from(vec![""; 0])), ("escapes", vec![""; 0].into())]
    {
        assert_eq!(told[what], expected, "{told}");
    }
    let refused = told["refused"].as_array().unwrap();
    for words in ["read a file elsewhere", "write a file elsewhere", "network", "start a process", "run a program"] {
        assert!(refused.iter().any(|r| r.as_str().unwrap().contains(words)), "{words}: {told}");
    }
    assert_eq!(std::fs::read(scratch.path("box/outside/file")).unwrap(), b"outside");
}

#[test]
fn without_the_sandbox_the_program_that_tries_gets_out() {
    let scratch = Scratch::new();
    let run = probe(&scratch, "off").ends_with(0);
    // Its last attempt is to run another program, which speaks instead of it.
    assert!(run.stdout.starts_with("withhold "), "{}", run.stdout);
    assert!(!scratch.path("box/outside/file").exists());
}

#[test]
fn doctor_tells_that_it_holds() {
    let scratch = Scratch::new();
    let run = scratch.withhold(["doctor"]).ends_with(0);
    let line = run.stdout.lines().find(|l| l.contains("sandbox")).unwrap();
    assert!(line.starts_with("ok") && line.contains("seccomp") && line.contains("refused"), "{line}");
}

#[test]
fn a_run_that_required_it_went_without_a_note_and_one_without_it_says_so() {
    let scratch = Scratch::new();
    scratch.photo("photo.png");
    for (mode, loosened) in [("require", false), ("auto", false), ("off", true)] {
        let run = scratch.redact_region("photo.png", mode, &format!("--sandbox {mode} --format json")).ends_with(0);
        let told = run.stdout.contains("without the whole sandbox");
        assert_eq!(told, loosened, "{mode}: {}", run.stdout);
        let check = scratch.withhold(["check", "--sandbox", mode, "--format", "json", mode]).ends_with(0);
        assert_eq!(check.stdout.contains("without the whole sandbox"), loosened, "{mode}: {}", check.stdout);
    }
}

/// Encoders ask for calls that they go on without: what comes out must be the same.
#[test]
fn outputs_do_not_depend_on_it() {
    let scratch = Scratch::new();
    let clip = fixture("clips/turning.mp4");
    let sound = fixture("demo/interview.mp4").display().to_string();
    for more in ["--codec h264", "--codec h265", "--codec vp9", "--codec av1", &format!("--audio {sound}")] {
        let outputs = ["off", "require"].map(|mode| {
            let out = format!("{mode} {more}");
            scratch.redact_region(&clip, &out, &format!("{more} --sandbox {mode}")).ends_with(0);
            std::fs::read(scratch.path(out).join("turning.mp4")).unwrap()
        });
        assert!(outputs[0] == outputs[1], "{more}");
    }
}
