//! Analysis and rendering meet in the plan: the same bytes on both ways, edits honoured, foreign and broken plans refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{Pixels, Run, Scratch, fixture};

fn lines(plan: &Path) -> Vec<Value> {
    fs::read_to_string(plan).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The schema that the program prints, ready to validate with.
pub fn schema(what: &str) -> jsonschema::Validator {
    let printed = Scratch::new().withhold(["generate", what]).ends_with(0);
    jsonschema::validator_for(&serde_json::from_str(&printed.stdout).unwrap()).unwrap()
}

/// A part of the interview, small and short, that has a face, a cut and text.
fn short_interview(scratch: &Scratch) -> String {
    let source = fixture("demo/interview.mp4");
    let cut = format!("-ss 2.2 -i {} -an -frames:v 14 -vf scale=320:180 -c:v libx264 -crf 12", source.display());
    scratch.ffmpeg(&cut, "short.mp4");
    "short.mp4".into()
}

fn run(scratch: &Scratch, words: &str) -> Run {
    scratch.withhold(words.split_whitespace())
}

#[test]
fn analyze_and_apply_are_redact() {
    let scratch = Scratch::new();
    short_interview(&scratch);
    scratch.copy("demo/portrait.jpg", "portrait.jpg");
    run(&scratch, "redact short.mp4 portrait.jpg -o whole").ends_with(0);
    run(&scratch, "analyze short.mp4 portrait.jpg -o plans").ends_with(0);
    assert_eq!(scratch.files("plans"), ["portrait.jpg.plan.json", "short.mp4.plan.json"]);
    run(&scratch, "apply plans/short.mp4.plan.json plans/portrait.jpg.plan.json -o parts").ends_with(0);
    for name in ["short.mp4", "portrait.jpg"] {
        let read = |folder: &str| fs::read(scratch.path(folder).join(name)).unwrap();
        assert!(read("whole") == read("parts"), "{name}");
    }
    let plan_schema = schema("plan-schema");
    for plan in scratch.files("plans") {
        for (i, line) in lines(&scratch.path("plans").join(&plan)).iter().enumerate() {
            let errors: Vec<String> = plan_schema.iter_errors(line).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{plan} line {}: {errors:?}", i + 1);
        }
    }
    assert!(!plan_schema.is_valid(&serde_json::json!({ "kind": "withhold-plan", "version": 1 })));
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    let scratch = Scratch::new();
    short_interview(&scratch);
    let made = |jobs: &str| {
        let out = format!("out{jobs}");
        run(&scratch, &format!("redact short.mp4 -o {out} --jobs {jobs}")).ends_with(0);
        let plan = fs::read(scratch.path(format!("{out}.withhold/plans/short.mp4.plan.json"))).unwrap();
        (plan, fs::read(scratch.path(out).join("short.mp4")).unwrap())
    };
    let one = made("1");
    for jobs in ["2", "5"] {
        assert!(made(jobs) == one, "--jobs {jobs} changes plan or output");
    }
}

/// Redacts the group photo's faces and gives its plan.
fn group_plan(scratch: &Scratch) -> Vec<Value> {
    scratch.copy("demo/group.jpg", "group.jpg");
    run(scratch, "analyze group.jpg -o plans --targets faces").ends_with(0);
    lines(&scratch.path("plans/group.jpg.plan.json"))
}

/// The middle of a region's first keyframe.
fn place(region: &Value) -> (usize, usize) {
    let corners = region["keyframes"][0]["quad"].as_array().unwrap();
    let mean = |axis: &str| corners.iter().map(|c| c[axis].as_f64().unwrap()).sum::<f64>() / 4.0;
    (mean("x") as usize, mean("y") as usize)
}

#[test]
fn edits_on_the_command_line_are_honoured() {
    let scratch = Scratch::new();
    let plan = group_plan(&scratch);
    let masked: Vec<&Value> = plan.iter().filter(|l| l["decision"]["action"] == "redact").collect();
    assert!(masked.len() >= 3, "{plan:?}");
    let ids: Vec<&str> = masked.iter().map(|r| r["id"].as_str().unwrap()).collect();
    let places: Vec<(usize, usize)> = masked.iter().map(|r| place(r)).collect();
    let apply = "apply plans/group.jpg.plan.json --format json --overwrite";
    let edited = format!("{apply} -o out --drop {}=statue --keep {}=consent --region 20,30,50,40", ids[0], ids[1]);
    let reports = run(&scratch, &edited).ends_with(0).reports();
    let pixels = Pixels::rgb(&scratch.path("out/group.jpg"));
    let is_masked = |i: usize| pixels.masked_share(0, [places[i].0 - 4, places[i].1 - 4, 8, 8]) > 0.9;
    assert_eq!([is_masked(0), is_masked(1), is_masked(2)], [false, false, true]);
    assert!(pixels.masked_share(0, [22, 32, 46, 36]) > 0.98, "the added region shows");
    let findings = reports[0]["findings"].as_array().unwrap();
    for (id, reason) in [(ids[0], "not an object: statue"), (ids[1], "on purpose: consent")] {
        let kept = |f: &&Value| f["rule"] == "kept" && f["region"] == id;
        let told = findings.iter().find(kept).unwrap_or_else(|| panic!("{id}: {findings:?}"));
        assert!(told["message"].as_str().unwrap().contains(reason), "{told}");
    }
    // The edited plan is kept, and what it keeps can be masked again.
    let kept_plan = "out.withhold/plans/group.jpg.plan.json";
    run(&scratch, &format!("apply {kept_plan} -o again --mask {} --mask {}", ids[0], ids[1])).ends_with(0);
    let pixels = Pixels::rgb(&scratch.path("again/group.jpg"));
    for (x, y) in &places[..3] {
        assert!(pixels.is_masked(0, *x, *y), "{x},{y}");
    }
}

#[test]
fn an_edited_file_is_honoured() {
    let scratch = Scratch::new();
    let mut plan = group_plan(&scratch);
    let first = plan.iter_mut().find(|l| l["decision"]["action"] == "redact").unwrap();
    first["decision"] = serde_json::json!({ "action": "keep", "reason": "agreed in writing" });
    let (x, y) = place(first);
    let text: String = plan.iter().map(|l| format!("{l}\n")).collect();
    scratch.file("plans/group.jpg.plan.json", text.as_bytes());
    run(&scratch, "apply plans/group.jpg.plan.json -o out").ends_with(0);
    assert!(Pixels::rgb(&scratch.path("out/group.jpg")).masked_share(0, [x - 4, y - 4, 8, 8]) < 0.5);
}

#[test]
fn foreign_and_broken_plans_are_refused() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    scratch.ffmpeg("-f lavfi -i testsrc=s=160x120 -frames:v 1", "b.png");
    run(&scratch, "analyze a.png -o plans --targets none --region 16,16,48,32 --region 80,16,20,20").ends_with(0);
    let good = fs::read_to_string(scratch.path("plans/a.png.plan.json")).unwrap();
    let line: Vec<&str> = good.lines().collect();
    assert_eq!(line.len(), 4);
    let with = |at: usize, text: &str| {
        let mut all = line.clone();
        all[at] = text;
        all.join("\n") + "\n"
    };
    let table: [(String, &str); 9] = [
        (String::new(), "line 1"),
        ("words\n".into(), "line 1"),
        (line[..3].join("\n") + "\n", "cut off"),
        (good[..good.len() / 2].to_owned(), "line 1"),
        (with(1, "{"), "line 2"),
        (with(1, &line[1].replacen("\"id\"", "\"colour\":1,\"id\"", 1)), "line 2"),
        (with(2, line[1]), "line 3"),
        (with(3, &line[3].replace('2', "3")), "line 4"),
        (with(0, &line[0].replacen("\"version\":1", "\"version\":9", 1)), "line 1"),
    ];
    for (text, word) in table {
        assert_ne!(text, good, "{word}");
        scratch.file("bad.plan.json", text.as_bytes());
        run(&scratch, "apply bad.plan.json -o out").ends_with(2).tells(&["error", "bad.plan.json", word]);
        assert_eq!(scratch.files("out"), Vec::<String>::new());
    }
    let plan = "plans/a.png.plan.json";
    let calls = [
        (format!("apply {plan} -o out --source b.png"), "its hash differs"),
        (format!("apply {plan} -o out --source missing.png"), "missing.png"),
        (format!("apply {plan} -o out --drop r9=wrong"), "no region 'r9'"),
        (format!("apply {plan} -o out --drop r1"), "no reason"),
        (format!("apply {plan} -o out --region 500,500,10,10"), "outside"),
        (format!("apply {plan} -o out --region 1,2,3"), "four numbers"),
        ("apply missing.plan.json -o out".into(), "missing.plan.json"),
        ("apply a.png -o out".into(), "a.png"),
    ];
    for (call, word) in calls {
        run(&scratch, &call).ends_with(2).tells(&["error", word]);
        assert_eq!(scratch.files("out"), Vec::<String>::new());
    }
    // A source that moved is found by name below a folder.
    fs::create_dir(scratch.path("moved")).unwrap();
    fs::rename(scratch.path("a.png"), scratch.path("moved/a.png")).unwrap();
    run(&scratch, &format!("apply {plan} -o out")).ends_with(2).tells(&["--source"]);
    run(&scratch, &format!("apply {plan} -o out --source moved")).ends_with(0);
    assert_eq!(scratch.files("out"), ["a.png"]);
}

#[test]
fn spared_regions_are_recorded() {
    let scratch = Scratch::new();
    scratch.copy("demo/group.jpg", "group.jpg");
    // The head at the upper left.
    let call = "redact group.jpg -o out --targets faces --format json --keep-region 300,180,240,240=consent";
    let reports = run(&scratch, call).ends_with(0).reports();
    let findings = reports[0]["findings"].as_array().unwrap();
    let kept = |f: &&Value| f["rule"] == "kept" && f["message"].as_str().unwrap().contains("consent");
    assert!(findings.iter().any(|f| kept(&f)), "{findings:?}");
    assert!(Pixels::rgb(&scratch.path("out/group.jpg")).masked_share(0, [400, 290, 30, 30]) < 0.5);
}

#[test]
fn regions_have_a_time() {
    let scratch = Scratch::new();
    scratch.clip(20, "-c:v libx264", "clip.mp4");
    run(&scratch, "redact clip.mp4 -o out --targets none --region 16,16,48,32@0.2-0.5").ends_with(0);
    let pixels = Pixels::gray(&scratch.path("out/clip.mp4"));
    for frame in 0..20 {
        // 25 frames a second: from 0.2 s on, before 0.5 s.
        let masked = pixels.masked_share(frame, [20, 20, 40, 24]) > 0.98;
        assert_eq!(masked, (5..13).contains(&frame), "frame {frame}");
    }
}

#[test]
fn a_lost_head_keeps_its_place_or_the_whole_picture_masked() {
    let scratch = Scratch::new();
    scratch.copy("demo/portrait.jpg", "portrait.jpg");
    let make = "-loop 1 -t 1.2 -i portrait.jpg -vf pad=1280:960:300:200:gray,\
        drawbox=x=380:y=200:w=380:h=460:color=brown:t=fill:enable='gt(t,0.6)' -r 25 -c:v libx264 -pix_fmt yuv420p";
    scratch.ffmpeg(make, "clip.mp4");
    for (choice, corner) in [("hold", false), ("blank", true)] {
        let call =
            format!("redact clip.mp4 -o {choice} --targets faces --fill-color black --format json --on-lost {choice}");
        let report = run(&scratch, &call).ends_with(0).reports();
        let findings = report[0]["findings"].as_array().unwrap();
        assert!(findings.iter().any(|f| f["rule"] == "lost-track" && f["time_secs"].is_number()), "{findings:?}");
        let pixels = Pixels::rgb(&scratch.path(choice).join("clip.mp4"));
        let is_black = |x, y| pixels.at(29, x, y).iter().all(|v| *v < 16);
        assert!(is_black(560, 420), "{choice}: the place of the head is visible");
        assert_eq!(is_black(1200, 900), corner, "{choice}");
    }
}

#[test]
fn the_head_of_a_person_without_a_found_face_is_masked_or_on_the_review_list() {
    let scratch = Scratch::new();
    scratch.copy("demo/group.jpg", "group.jpg");
    // Faces too small for this detector.
    scratch.ffmpeg("-i group.jpg -vf scale=160:-1", "small.png");
    let table = [("head", false), ("report", true), ("off", false)];
    let mut masked = Vec::new();
    for (choice, is_told) in table {
        let call = format!(
            "redact small.png -o {choice} --targets faces --face-detectors seeta --unseen {choice} --format json"
        );
        let report = run(&scratch, &call).ends_with(0).reports();
        let findings = report[0]["findings"].as_array().unwrap();
        let told: Vec<_> = findings.iter().filter(|f| f["rule"] == "unseen-face").collect();
        assert_eq!(!told.is_empty(), is_told, "{choice}: {findings:?}");
        assert!(told.iter().all(|f| f["bounds"]["width"].as_f64().unwrap() > 5.0 && f["severity"] == "warning"));
        masked.push(report[0]["regions"]["face"].as_u64().unwrap());
    }
    assert!(masked[0] > masked[1] && masked[1] == masked[2], "{masked:?}");
}
