//! What is told, to whom, and what is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sha2::{Digest, Sha256};
use withhold::types::report::{RunReport, Status};

use crate::common::{REGION_ONLY, Scratch, fixture, frame_times};
use crate::plans::schema;

#[test]
fn json_reports_are_typed_and_alone_on_standard_output() {
    let scratch = Scratch::new();
    scratch.photo("in/photo.png");
    scratch.clip(4, "-c:v libx264", "in/clip.mp4");
    scratch.file("in/notes.txt", b"words");
    scratch.file("in/broken.jpg", b"not a jpeg at all");
    let run = scratch.redact_region("in", "out", "--format json").ends_with(3);
    let report_schema = schema("report-schema");
    let mut told = Vec::new();
    for line in run.stdout.lines() {
        let report: RunReport = serde_json::from_str(line).unwrap();
        assert!(report_schema.is_valid(&serde_json::from_str(line).unwrap()), "{line}");
        assert_eq!((report.kind.as_str(), report.version, report.input), ("withhold-report", 1, None));
        told.push((report.item, report.status, report.output));
    }
    let done = |n, name: &str| (n, Status::Done, Some(name.to_owned()));
    let expected = [(0, Status::Withheld, None), done(1, "clip.mp4"), (2, Status::Skipped, None), done(3, "photo.png")];
    assert_eq!(told, expected);
    assert!(!report_schema.is_valid(&serde_json::json!({ "kind": "withhold-report" })));
    let plain = scratch.redact_region("in", "plain", "").ends_with(3);
    assert_eq!(plain.stdout, "");
    let paths = scratch.redact_region("in", "paths", "--format json --show-paths").ends_with(3);
    assert_eq!(paths.reports()[1]["input"], "in/clip.mp4");
}

#[test]
fn quiet_runs_tell_errors_alone() {
    let scratch = Scratch::new();
    scratch.photo("photo.png");
    let run = scratch.redact_region("photo.png", "out", "-q").ends_with(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let run = scratch.redact_region("photo.png", "out", "-q").ends_with(2);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    run.tells(&["error", "photo.png", "--overwrite"]);
}

#[test]
fn the_worst_of_a_batch_is_the_exit_code() {
    let scratch = Scratch::new();
    scratch.photo("fine.png");
    scratch.file("words.txt", b"words");
    scratch.file("cut.jpg", &fs::read(fixture("demo/group.jpg")).unwrap()[..9000]);
    let table: [(&[&str], i32); 5] = [
        (&["fine.png"], 0),
        (&["fine.png", "words.txt"], 2),
        (&["fine.png", "cut.jpg"], 3),
        (&["words.txt", "cut.jpg", "fine.png"], 3),
        (&["cut.jpg", "words.txt"], 3),
    ];
    for (inputs, code) in table {
        let args = ["redact"].iter().chain(inputs).chain(&["-o", "out", "--overwrite"]).chain(&REGION_ONLY);
        scratch.withhold(args).ends_with(code);
    }
    scratch.photo("folder/fine.png");
    scratch.file("folder/words.txt", b"words");
    scratch.redact_region("folder", "lax", "").ends_with(0);
    scratch.redact_region("folder", "strict", "--strict").ends_with(2).tells(&["words.txt"]);
    assert_eq!(scratch.files("strict"), ["fine.png"]);
}

#[test]
fn serial_names_tell_nothing() {
    let scratch = Scratch::new();
    scratch.photo("in/anna/meeting-with-anna.png");
    scratch.photo("in/ben/meeting-with-anna.bmp");
    scratch.clip(4, "-c:v libx264", "in/meeting-with-ben.mov");
    scratch.redact_region("in", "out", "--names serial").ends_with(0);
    let names = scratch.files("out");
    assert_eq!(names.len(), 3);
    let stems: Vec<&str> = names.iter().map(|n| n.rsplit('/').next().unwrap()).collect();
    assert_eq!(stems.iter().filter(|n| n.starts_with("000")).count(), 3, "{names:?}");
    assert!(names.iter().all(|n| !n.contains("anna") && !n.contains("ben")), "{names:?}");
}

#[test]
fn private_things_stay_private() {
    let scratch = Scratch::new();
    let secret = "source-of-anna";
    let photo = scratch.photo(&format!("{secret}/a.png"));
    scratch.clip(6, "-c:v libx264", &format!("{secret}/b.mp4"));
    let run = scratch.redact_region(secret, "out", "--format json").ends_with(0);
    let hash: String = Sha256::digest(fs::read(photo).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
    let mut told = vec![("report".to_owned(), run.stdout)];
    for sheet in scratch.files("out.withhold/sheets") {
        let page = fs::read_to_string(scratch.path("out.withhold/sheets").join(&sheet)).unwrap();
        // One file: pictures inside, nothing is fetched.
        assert!(page.contains("data:image/jpeg;base64,"), "{sheet}");
        for reference in ["http:", "https:", "file:", "<script", "<link", "url("] {
            assert!(!page.contains(reference), "{sheet} has {reference}");
        }
        for source in page.split("src=\"").skip(1) {
            assert!(source.starts_with("data:"), "{sheet}");
        }
        told.push((sheet, page));
    }
    assert_eq!(told.len(), 3);
    for (name, text) in told {
        assert!(!text.contains(secret) && !text.contains(&hash), "{name} names the source");
    }
    assert_eq!(scratch.files("out"), ["a.png", "b.mp4"]);
    let work = scratch.path("out.withhold");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&work), 0o700);
    for name in scratch.files("out.withhold") {
        assert_eq!(mode(&work.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn reports_that_cannot_be_written_are_told_and_messages_that_cannot_be_stop_nothing() {
    let scratch = Scratch::new();
    scratch.photo("in/a.png");
    scratch.photo("in/b.png");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (n, format) in ["json", "sarif", "junit"].iter().enumerate() {
        let out = format!("out{n}");
        let mut command = scratch.command();
        command.args(["redact", "in", "-o", &out, "--format", format]).args(REGION_ONLY);
        let run = command.stdout(full()).output().unwrap();
        assert_eq!(run.status.code(), Some(3), "{format}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("report"), "{format}");
    }
    let mut command = scratch.command();
    command.args(["redact", "in", "-o", "out"]).args(REGION_ONLY);
    assert_eq!(command.stderr(full()).output().unwrap().status.code(), Some(0));
    assert_eq!(scratch.files("out").len(), 2);
}

#[test]
fn names_of_files_draw_no_lines_and_colours_of_their_own() {
    let scratch = Scratch::new();
    scratch.file("in/a\n::error::forged\u{1b}[31m\u{202e}.png", &fs::read(scratch.photo("good.png")).unwrap()[..40]);
    for args in [&["redact", "in", "-o", "out"][..], &["check", "in", "--show-paths", "--format", "github"]] {
        let run = scratch.withhold(args.iter().chain(if args[0] == "redact" { &REGION_ONLY[..] } else { &[] }));
        let text = run.ends_with(3).stderr;
        assert!(text.contains(r"a\n::error::forged\u{1b}[31m\u{202e}.png"), "{text}");
        assert!(text.lines().all(|l| !l.trim_start().starts_with("::error")), "{text}");
    }
}

#[test]
fn an_edited_plan_is_set_aside_not_lost() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    scratch.redact_region("a.png", "out", "").ends_with(0);
    let plan = scratch.path("out.withhold/plans/a.png.plan.json");
    let edited = fs::read_to_string(&plan).unwrap().replace("redact", "edited");
    fs::write(&plan, &edited).unwrap();
    scratch.redact_region("a.png", "out", "--overwrite").ends_with(0);
    assert_eq!(fs::read_to_string(scratch.path("out.withhold/plans/a.png.plan.1.json")).unwrap(), edited);
}

#[test]
fn sheets_count_time_from_the_first_frame_as_flags_do() {
    let scratch = Scratch::new();
    scratch.clip(6, "-c:v libx264 -f mpegts", "late.ts");
    // Transport streams begin at 1.4 seconds, and outputs keep that.
    scratch.redact_region("late.ts", "out", "").ends_with(0);
    let output = scratch.files("out").remove(0);
    assert!(frame_times(&scratch.path("out").join(output))[0] > 1.0);
    let sheet = scratch.files("out.withhold/sheets").remove(0);
    let page = fs::read_to_string(scratch.path("out.withhold/sheets").join(sheet)).unwrap();
    assert!(page.contains("0:00:00.000 · frame 0") && !page.contains("0:00:01."), "{page}");
}

#[test]
fn only_the_work_folder_is_closed_to_others() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    scratch.redact_region("a.png", "new/out", "").ends_with(0);
    let mode = |name: &str| fs::metadata(scratch.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("new/out.withhold"), 0o700);
    // As the umask has it, here and below.
    fs::create_dir(scratch.path("plain")).unwrap();
    assert_eq!((mode("new"), mode("new/out")), (mode("plain"), mode("plain")));
    fs::write(scratch.path("plain.png"), b"").unwrap();
    assert_eq!(mode("new/out/a.png"), mode("plain.png"));
}

#[test]
fn nothing_found_is_something_to_look_at() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    let run = scratch.withhold(["redact", "a.png", "-o", "out", "--targets", "none", "--format", "json"]).ends_with(0);
    let findings = run.reports()[0]["findings"].as_array().unwrap().clone();
    assert!(findings.iter().any(|f| f["rule"] == "nothing-found" && f["severity"] == "warning"), "{findings:?}");
    run.tells(&["look here", "nothing was found"]);
}
