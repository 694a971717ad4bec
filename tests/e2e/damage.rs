//! Damage in the middle of a clip: fatal, unless allowed; then masked whole and recorded.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{Pixels, Scratch};

/// Place and size of each video packet in the file.
fn packets(path: &Path) -> Vec<(usize, usize)> {
    let args = ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pos,size", "-of", "json"];
    let output = Command::new("ffprobe").args(args).arg(path).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |p: &Value, field: &str| p[field].as_str().unwrap().parse().unwrap();
    told["packets"].as_array().unwrap().iter().map(|p| (number(p, "pos"), number(p, "size"))).collect()
}

/// A clip of 30 frames with a key frame every 10, whose packet 13 is overwritten.
fn damaged(scratch: &Scratch, encoder: &str, name: &str) {
    let path = scratch.clip(30, encoder, name);
    let (at, size) = packets(&path)[13];
    let mut bytes = fs::read(&path).unwrap();
    for (i, byte) in bytes[at + size / 3..at + size].iter_mut().enumerate() {
        *byte = (i * 151 + 43) as u8;
    }
    fs::write(&path, bytes).unwrap();
}

const CLIPS: [(&str, &str); 3] = [
    ("-c:v libx264 -g 10 -bf 0 -sc_threshold 0", "damaged.mp4"),
    ("-c:v libx264 -g 10 -bf 0 -sc_threshold 0", "damaged.mkv"),
    ("-c:v mpeg4 -g 10 -bf 0", "damaged.mp4"),
];

#[test]
fn damage_is_fatal_by_default() {
    for (encoder, name) in CLIPS {
        let scratch = Scratch::new();
        damaged(&scratch, encoder, name);
        let run = scratch.redact_region(name, "out", "").ends_with(3).tells(&["error", name, "--allow-damaged"]);
        // What FFmpeg logged stands in brackets behind what it means.
        assert!(run.stderr.lines().any(|l| l.contains(" (") && l.contains(')')), "{encoder}: {}", run.stderr);
        assert_eq!(scratch.files("out"), Vec::<String>::new());
        scratch.staging_is_empty("out");
    }
}

#[test]
fn allowed_damage_is_masked_whole_and_recorded() {
    for (encoder, name) in CLIPS {
        let scratch = Scratch::new();
        damaged(&scratch, encoder, name);
        let run = scratch.redact_region(name, "out", "--allow-damaged --format json").ends_with(0);
        let report = &run.reports()[0];
        let findings = report["findings"].as_array().unwrap();
        assert!(findings.iter().any(|f| f["rule"] == "damaged-frames"), "{name}: {findings:?}");
        assert!(findings.iter().any(|f| f["rule"] == "loosened"), "{name}: {findings:?}");
        let pixels = Pixels::gray(&scratch.path("out/damaged.mp4"));
        assert!((28..=30).contains(&pixels.frames()), "{name}: {} frames", pixels.frames());
        let last = pixels.frames() - 1;
        let whole: Vec<usize> = (0..=last).filter(|f| pixels.masked_share(*f, [2, 2, 156, 116]) > 0.99).collect();
        // From the error to the next key frame at the latest.
        assert!(!whole.is_empty() && whole.iter().all(|f| (12..20).contains(f)), "{name}: {whole:?}");
        assert!(whole.contains(&(19 + last - 29)), "{name}: {whole:?}");
        let plan = fs::read_to_string(scratch.path("out.withhold/plans/damaged.mp4.plan.json")).unwrap();
        let header: Value = serde_json::from_str(plan.lines().next().unwrap()).unwrap();
        assert!(!header["damaged"].as_array().unwrap().is_empty(), "{name}");
        // The plan applies to the same damaged source.
        let apply = "apply out.withhold/plans/damaged.mp4.plan.json -o again --allow-damaged";
        scratch.withhold(apply.split_whitespace()).ends_with(0);
        let same = |out: &str| fs::read(scratch.path(out).join("damaged.mp4")).unwrap();
        assert!(same("out") == same("again"), "{name}");
    }
}

#[test]
fn damage_that_the_plan_does_not_tell_is_refused() {
    let scratch = Scratch::new();
    let (encoder, name) = CLIPS[0];
    damaged(&scratch, encoder, name);
    scratch.redact_region(name, "out", "--allow-damaged").ends_with(0);
    let text = fs::read_to_string(scratch.path("out.withhold/plans/damaged.mp4.plan.json")).unwrap();
    let (head, rest) = text.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(head).unwrap();
    header["damaged"] = Value::Array(vec![]);
    scratch.file("edited.plan.json", format!("{header}\n{rest}").as_bytes());
    let run = scratch.withhold("apply edited.plan.json -o again --allow-damaged".split(' ')).ends_with(2);
    run.tells(&["error", "is damaged", "analyse it again"]);
    assert_eq!(scratch.files("again"), Vec::<String>::new());
}

#[test]
fn a_recording_that_begins_in_mid_group_says_so() {
    let scratch = Scratch::new();
    let whole = fs::read(scratch.clip(60, "-c:v libx264 -g 25 -sc_threshold 0 -bf 2", "whole.ts")).unwrap();
    let packets = whole.len() / 188;
    scratch.file("switched-on.ts", &whole[packets / 6 * 188..]);
    let says = |report: &Value, rule: &str| report["findings"].as_array().unwrap().iter().any(|f| f["rule"] == rule);
    let report = &scratch.redact_region("switched-on.ts", "out", "--format json").ends_with(0).reports()[0];
    assert!(says(report, "lead-in"), "{report}");
    assert!(Pixels::gray(&scratch.path("out/switched-on.mp4")).frames() < 60);
    let report = &scratch.redact_region("whole.ts", "out", "--format json").ends_with(0).reports()[0];
    assert!(!says(report, "lead-in"), "{report}");
    // For the gate they are frames that nobody looked at.
    for (name, hidden) in [("switched-on.ts", true), ("whole.ts", false)] {
        let report = &scratch.withhold(["check", name, "--format", "json"]).ends_with(1).reports()[0];
        assert_eq!(says(report, "hidden-frames"), hidden, "{name}: {report}");
    }
}

#[test]
fn an_intact_clip_needs_no_allowance() {
    let scratch = Scratch::new();
    scratch.clip(10, "-c:v libx264", "fine.mp4");
    let run = scratch.redact_region("fine.mp4", "out", "--allow-damaged --format json").ends_with(0);
    let findings = run.reports()[0]["findings"].as_array().unwrap().clone();
    assert!(findings.iter().all(|f| f["rule"] != "damaged-frames"), "{findings:?}");
}
