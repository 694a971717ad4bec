//! Many files: runs that go on where others ended, and runs that share the work.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::common::{Run, Scratch, fixture};

/// Six small photos in two folders.
fn archive(scratch: &Scratch) {
    let photo = scratch.photo("photo.png");
    for (n, name) in ["a/1", "a/2", "a/3", "b/1", "b/2", "b/raw/3"].into_iter().enumerate() {
        scratch.ffmpeg(&format!("-i {} -vf hue=h={}", photo.display(), n * 40), &format!("in/{name}.png"));
    }
}

/// Output to bytes, of all files below a folder.
fn contents(scratch: &Scratch, folder: &str) -> BTreeMap<String, Vec<u8>> {
    scratch.files(folder).into_iter().map(|n| (n.clone(), fs::read(scratch.path(folder).join(&n)).unwrap())).collect()
}

/// Outputs of the reports that were made anew, and those of an earlier run.
fn made(run: &Run) -> (Vec<String>, Vec<String>) {
    let output = |r: &Value| r["output"].as_str().map(str::to_owned);
    let (resumed, anew): (Vec<Value>, Vec<Value>) = run.reports().into_iter().partition(|r| r["resumed"] == true);
    (anew.iter().filter_map(output).collect(), resumed.iter().filter_map(output).collect())
}

#[test]
fn a_run_goes_on_where_another_ended() {
    let scratch = Scratch::new();
    archive(&scratch);
    let good = fs::read(scratch.path("in/b/1.png")).unwrap();
    scratch.file("in/b/1.png", &good[..good.len() / 2]);
    let first = scratch.redact_region("in", "out", "--resume --format json").ends_with(3);
    assert_eq!(made(&first).0, ["a/1.png", "a/2.png", "a/3.png", "b/2.png", "b/raw/3.png"]);
    let before = contents(&scratch, "out");

    // The broken file is whole now, one output is gone, another one was touched by somebody.
    scratch.file("in/b/1.png", &good);
    fs::remove_file(scratch.path("out/a/1.png")).unwrap();
    fs::write(scratch.path("out/a/2.png"), b"changed").unwrap();
    let second = scratch.redact_region("in", "out", "--resume --format json").ends_with(2);
    assert_eq!(
        made(&second),
        (vec!["a/1.png".into(), "b/1.png".into()], vec!["a/3.png".into(), "b/2.png".into(), "b/raw/3.png".into()])
    );
    second.tells(&["error", "a/2.png", "--overwrite", "not what an earlier run verified"]);
    assert_eq!(fs::read(scratch.path("out/a/2.png")).unwrap(), b"changed");

    let third = scratch.redact_region("in", "out", "--resume --overwrite --format json").ends_with(0);
    assert_eq!(made(&third).0, ["a/2.png"]);
    let after = contents(&scratch, "out");
    assert_eq!(after.len(), 6);
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));

    let last = scratch.redact_region("in", "out", "--resume").ends_with(0);
    last.tells(&["6 done", "6 of them by an earlier run"]);
    let other = scratch.redact_region("in", "out", "--resume --margin 0.1 --format json").ends_with(2);
    assert_eq!(made(&other), (vec![], vec![]), "other settings, other outputs");
}

#[test]
fn shares_make_the_same_files_as_one_run() {
    let scratch = Scratch::new();
    archive(&scratch);
    scratch.redact_region("in", "whole", "--names serial").ends_with(0);
    let mut shares = Vec::new();
    for index in 1..=3 {
        let run = scratch.redact_region("in", "shared", &format!("--names serial --shard {index}/3 --format json"));
        shares.push(made(&run.ends_with(0)).0);
    }
    assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), 6, "{shares:?}");
    assert!(shares.iter().filter(|s| !s.is_empty()).count() > 1, "{shares:?}");
    assert_eq!(contents(&scratch, "whole"), contents(&scratch, "shared"));
    let again = scratch.redact_region("in", "shared", "--names serial --resume --format json").ends_with(0);
    assert_eq!(made(&again).0, Vec::<String>::new(), "the journals of the shares count for a run without");
    for wrong in ["0/3", "4/3", "1"] {
        scratch.redact_region("in", "wrong", &format!("--shard {wrong}")).ends_with(2).tells(&["--shard"]);
    }
}

#[test]
fn files_are_picked_by_name_and_age() {
    let scratch = Scratch::new();
    archive(&scratch);
    let old = fs::File::options().write(true).open(scratch.path("in/a/1.png")).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
    let table = [
        ("--include a/*.png --since 2001-12-31", vec!["a/2.png", "a/3.png"]),
        ("--include a/*.png --since 2001-01-01", vec!["a/1.png", "a/2.png", "a/3.png"]),
        ("--exclude raw/** --exclude 2.*  --exclude 1.png", vec!["a/3.png", "b/raw/3.png"]),
        ("--exclude b/** --since 1h", vec!["a/2.png", "a/3.png"]),
        // Nothing is new since then: that is no mistake.
        ("--include a/*.png --since 2101-01-01", vec![]),
    ];
    for (n, (words, outputs)) in table.into_iter().enumerate() {
        let out = format!("out-{n}");
        scratch.redact_region("in", &out, words).ends_with(0);
        assert_eq!(scratch.files(&out), outputs, "{words}");
    }
    scratch.redact_region("in", "wrong", "--since yesterday").ends_with(2).tells(&["--since"]);
    for wrong in ["[", "nothing.*"] {
        scratch.redact_region("in", "wrong", &format!("--include {wrong}")).ends_with(2).tells(&["--include"]);
    }
}

#[test]
fn a_table_tells_of_every_file() {
    let scratch = Scratch::new();
    scratch.photo("in/a,b.png");
    scratch.file("in/broken.jpg", b"not a jpeg at all");
    scratch.file("in/notes.txt", b"words");
    let run = scratch.redact_region("in", "out", "").ends_with(3);
    run.tells(&["1 done", "1 withheld", "1 left out", "1 damaged"]).tells(&["table", "summary.csv"]);
    let table = fs::read_to_string(scratch.path("out.withhold/summary.csv")).unwrap();
    let starts: Vec<&str> = table.lines().map(|l| l.split(',').nth(1).unwrap()).collect();
    assert_eq!(starts, ["status", "done", "withheld", "skipped"]);
    assert!(table.contains("\"in/a,b.png\""), "{table}");
    assert_eq!(scratch.files("out"), ["a,b.png"], "it lies in the private folder");
}

#[test]
fn plan_and_bytes_do_not_depend_on_the_number_of_jobs() {
    let scratch = Scratch::new();
    let inputs = [fixture("clips/turning.mp4"), fixture("demo/portrait.jpg")];
    let outputs = ["1", "2", "5"].map(|jobs| {
        let out = format!("out-{jobs}");
        let inputs = inputs.iter().map(|p| p.to_str().unwrap());
        scratch.withhold(["redact"].into_iter().chain(inputs).chain(["-o", &out, "--jobs", jobs])).ends_with(0);
        let files = contents(&scratch, &out);
        assert_eq!(files.len(), 2);
        (files, contents(&scratch, &format!("{out}.withhold/plans")))
    });
    assert!(outputs[0].1.len() == 2 && outputs[0].1.keys().all(|name| name.ends_with(".plan.json")));
    assert!(outputs[0] == outputs[1] && outputs[0] == outputs[2]);
}

#[test]
fn a_file_that_takes_too_long_is_ended() {
    let scratch = Scratch::new();
    let clip = fixture("demo/interview.mp4");
    let clip = clip.to_str().unwrap();
    scratch
        .withhold(["redact", clip, "-o", "out", "--max-time", "0.3"])
        .ends_with(3)
        .tells(&["interview.mp4", "--max-time"]);
    assert_eq!(scratch.files("out"), Vec::<String>::new());
    scratch.staging_is_empty("out");
    let table = [
        (["--max-frames", "10"], "--max-frames"),
        (["--max-streams", "1"], "--max-streams"),
        (["--max-duration", "0.5"], "--max-duration"),
        (["--max-pixels", "1000"], "--max-pixels"),
    ];
    for (words, told) in table {
        let run = scratch
            .withhold(["redact", clip, "-o", "out", "--targets", "none", "--region", "0,0,9,9"].iter().chain(&words));
        run.ends_with(3).tells(&["error", "interview.mp4", told]);
    }
}
