//! The gate: what may be published, what must not, and what could not be looked at.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::common::{REGION_ONLY, Run, Scratch};

fn check(scratch: &Scratch, words: &str) -> Run {
    scratch.withhold(format!("check {words} --format json").split(' ').collect::<Vec<_>>())
}

/// Rules of the findings that stand in the way.
fn rules(report: &Value) -> BTreeSet<String> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let bad = findings.filter(|f| f["severity"] == "error");
    bad.map(|f| f["rule"].as_str().expect("a rule").to_owned()).collect()
}

#[test]
fn an_original_is_stopped_and_its_redacted_twin_passes() {
    let scratch = Scratch::new();
    scratch.copy("demo/portrait.jpg", "in/portrait.jpg");
    let before = check(&scratch, "in").ends_with(1).reports();
    assert_eq!((before.len(), before[0]["kind"].as_str()), (1, Some("withhold-check")));
    for rule in ["visible-face", "metadata"] {
        assert!(rules(&before[0]).contains(rule), "{rule}: {before:?}");
    }
    scratch.withhold(["redact", "in", "-o", "out"]).ends_with(0);
    let after = check(&scratch, "out").ends_with(0).reports();
    assert_eq!(rules(&after[0]), BTreeSet::new());
    assert!(after[0]["input"].is_null(), "no path unless it is asked for: {after:?}");
    let allowed = "in --allow faces,text,metadata,residue --show-paths";
    let allowed = check(&scratch, allowed).ends_with(0).reports();
    assert!(allowed[0]["findings"].as_array().unwrap().len() > 3, "what is allowed is told all the same");
    assert_eq!(allowed[0]["input"], "in/portrait.jpg");
}

#[test]
fn sound_is_a_finding_unless_it_is_allowed() {
    let scratch = Scratch::new();
    let make = "-f lavfi -i testsrc2=s=160x120:r=25:d=0.4,gblur=sigma=9 -f lavfi -i sine=d=0.4 -c:v libx264";
    scratch.ffmpeg(make, "clip.mp4");
    let call = [&["redact", "clip.mp4", "-o", "out", "--audio", "keep"][..], &REGION_ONLY].concat();
    scratch.withhold(call).ends_with(0);
    let report = check(&scratch, "out/clip.mp4 --targets faces").ends_with(1).reports();
    assert_eq!(rules(&report[0]), BTreeSet::from(["audio-present".to_owned()]));
    let report = check(&scratch, "out/clip.mp4 --targets faces --allow audio").ends_with(0).reports();
    assert_eq!((&report[0]["frames"], &report[0]["verify"]["frames_searched"]), (&10.into(), &10.into()));
    let report = check(&scratch, "out/clip.mp4 --targets faces --allow audio --every 4").ends_with(0).reports();
    assert_eq!(report[0]["verify"]["frames_searched"], 3);
}

#[test]
fn what_could_not_be_looked_at_is_worse_than_a_finding() {
    let scratch = Scratch::new();
    scratch.photo("in/a.png");
    scratch.file("in/notes.txt", b"names and places");
    let report = check(&scratch, "in --targets faces --allow residue,metadata").ends_with(1).reports();
    let unknown: Vec<&Value> = report.iter().filter(|r| rules(r).contains("unknown-file")).collect();
    assert_eq!((report.len(), unknown.len()), (2, 1));
    check(&scratch, "in --targets faces --allow residue,metadata,unknown-files").ends_with(0);
    let whole = fs::read(scratch.path("in/a.png")).unwrap();
    scratch.file("in/cut.png", &whole[..whole.len() / 2]);
    check(&scratch, "in --targets faces").ends_with(3).tells(&["cut.png", "unchecked"]);
    check(&scratch, "in/notes.txt").ends_with(3);
    check(&scratch, "nowhere").ends_with(2);
    fs::create_dir(scratch.path("empty")).unwrap();
    check(&scratch, "empty").ends_with(2);
    let mut command = scratch.command();
    command.args(["check", "in/a.png"]).env("WITHHOLD_MODELS", scratch.path("empty"));
    Run::of(command.output().unwrap()).ends_with(3).tells(&["error", "weights"]);
}

#[test]
fn what_was_found_before_a_clip_broke_off_is_told() {
    let scratch = Scratch::new();
    let portrait = crate::common::fixture("demo/portrait.jpg");
    let still = format!("-loop 1 -noautorotate -i {} -vf scale=320:-2", portrait.display());
    scratch.ffmpeg(&format!("{still} -t 2 -r 10 -g 5 -movflags +faststart"), "whole.mp4");
    let whole = fs::read(scratch.path("whole.mp4")).unwrap();
    scratch.file("cut.mp4", &whole[..whole.len() * 3 / 4]);
    let report = check(&scratch, "cut.mp4 --targets faces").ends_with(3).reports();
    assert!(rules(&report[0]).contains("visible-face"), "{report:?}");
}

#[test]
fn bytes_behind_the_end_are_found() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    scratch.withhold([&["redact", "a.png", "-o", "out"][..], &REGION_ONLY].concat()).ends_with(0);
    check(&scratch, "out --targets faces").ends_with(0);
    let mut bytes = fs::read(scratch.path("out/a.png")).unwrap();
    bytes.extend(b"PK\x03\x04 a trailer");
    scratch.file("out/a.png", &bytes);
    let report = check(&scratch, "out --targets faces").ends_with(1).reports();
    assert_eq!(rules(&report[0]), BTreeSet::from(["embedded-file".to_owned()]));
}

/// The portrait with its face hidden by a filter of FFmpeg's on the area x, y, width, height.
fn masked_by(scratch: &Scratch, filter: &str, name: &str) {
    let graph = format!("split[a][b];[b]crop=204:204:130:146,{filter}[c];[a][c]overlay=130:146");
    let portrait = crate::common::fixture("demo/portrait.jpg");
    scratch.ffmpeg(&format!("-noautorotate -i {} -filter_complex {graph} -frames:v 1", portrait.display()), name);
}

/// Warnings about masks that may be undone.
fn reversible(report: &Value) -> usize {
    report["findings"].as_array().unwrap().iter().filter(|f| f["rule"] == "reversible-mask").count()
}

#[test]
fn masks_that_may_be_undone_are_a_warning_and_drawn_ones_are_none() {
    let scratch = Scratch::new();
    let allow = "--targets faces --allow visible-face,metadata,residue";
    for (filter, name) in [("scale=12:12,scale=204:204:flags=neighbor", "mosaic.png"), ("gblur=sigma=20", "blur.png")] {
        masked_by(&scratch, filter, name);
        let report = &check(&scratch, &format!("{name} {allow}")).ends_with(0).reports()[0];
        assert_eq!(reversible(report), 1, "{name}: {report}");
        check(&scratch, &format!("{name} {allow} --fail-on warning")).ends_with(1);
        // Not that nothing was found: somebody is to look.
        let words = format!("check {name} {allow} --allow unaccounted");
        scratch.withhold(words.split(' ')).ends_with(0).tells(&["weak signs in 1 frame"]);
    }
    let plain = crate::common::fixture("demo/portrait.jpg");
    let report = &check(&scratch, &format!("{} {allow}", plain.display())).reports()[0];
    assert_eq!(reversible(report), 0, "{report}");
    scratch.copy("demo/portrait.jpg", "portrait.jpg");
    for style in ["mosaic", "blur"] {
        let words = format!("redact portrait.jpg -o {style} --style {style} --targets none --region 130,146,204,206");
        scratch.withhold(words.split(' ')).ends_with(0);
        let report = &check(&scratch, &format!("{style}/portrait.jpg --targets faces")).reports()[0];
        assert_eq!(reversible(report), 0, "{style}: {report}");
    }
}

#[test]
fn a_preview_beside_a_clip_is_a_sidecar_whatever_it_shows() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    scratch.withhold([&["redact", "a.png", "-o", "out"][..], &REGION_ONLY].concat()).ends_with(0);
    fs::rename(scratch.path("out/a.png"), scratch.path("out/a.thm")).unwrap();
    let report = check(&scratch, "out --targets none").ends_with(1).reports();
    assert_eq!(rules(&report[0]), BTreeSet::from(["sidecar".to_owned()]));
}
