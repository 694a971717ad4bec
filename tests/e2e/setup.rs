//! What the program needs: told by `doctor`, and missed loudly.

use std::fs;
use std::path::Path;

use crate::common::{Run, Scratch};

fn models() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// A copy of the models with one file changed by `change`.
fn broken_models(scratch: &Scratch, change: impl Fn(&Path)) {
    for entry in walkdir::WalkDir::new(models()).into_iter().flatten().filter(|e| e.file_type().is_file()) {
        let relative = entry.path().strip_prefix(models()).unwrap();
        scratch.file(Path::new("models").join(relative), &fs::read(entry.path()).unwrap());
    }
    change(&scratch.path("models/yunet/yunet_dynamic.onnx"));
}

#[test]
fn a_missing_engine_or_network_stops_the_run() {
    let scratch = Scratch::new();
    let photo = scratch.photo("a.png");
    scratch.file("library.so", b"no library");
    fs::create_dir(scratch.path("empty")).unwrap();
    let weights = Scratch::new();
    broken_models(&weights, |path| {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    });
    let gone = Scratch::new();
    broken_models(&gone, |path| fs::remove_file(path).unwrap());
    let (runtime, models) = ("WITHHOLD_ONNXRUNTIME", "WITHHOLD_MODELS");
    let table = [
        (runtime, scratch.path("missing.so"), vec!["missing.so"]),
        (runtime, scratch.path("library.so"), vec!["library.so"]),
        (models, scratch.path("missing"), vec!["missing", "weights"]),
        (models, scratch.path("empty"), vec!["yunet", "restore"]),
        (models, weights.path("models"), vec!["yunet", "sha256"]),
        (models, gone.path("models"), vec!["yunet", "restore"]),
    ];
    for (variable, value, words) in table {
        let mut command = scratch.command();
        command.arg("redact").arg(&photo).args(["-o", "out"]).env(variable, &value);
        let run = Run::of(command.output().unwrap()).ends_with(3);
        run.tells(&[&["error"][..], &words].concat());
        assert_eq!(scratch.files("out"), Vec::<String>::new());
        let doctor = Run::of(scratch.command().arg("doctor").env(variable, &value).output().unwrap()).ends_with(3);
        assert!(doctor.stdout.lines().any(|l| l.starts_with("MISSING")), "{}", doctor.stdout);
    }
}

#[test]
fn doctor_is_content_here() {
    let scratch = Scratch::new();
    let run = scratch.withhold(["doctor"]).ends_with(0);
    for word in ["withhold", "onnx runtime", "1.23.2", "libx264", "libavcodec", "yunet", "sha256", "threads"] {
        assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
    }
    let json = scratch.withhold(["doctor", "--json"]).ends_with(0).reports();
    assert_eq!((json.len(), &json[0]["ok"]), (1, &true.into()));
}

#[test]
fn help_and_generated_texts() {
    let scratch = Scratch::new();
    for command in ["redact", "analyze", "apply", "check", "doctor", "generate"] {
        let help = scratch.withhold([command, "--help"]).ends_with(0);
        assert!(help.stdout.contains("Usage:"), "{command}");
    }
    let help = scratch.withhold(["redact", "--help"]).ends_with(0);
    for words in ["a voice identifies", "--keep-region", "Exit codes", "130", "never sees the picture"] {
        assert!(help.stdout.contains(words), "{words}");
    }
    let man = scratch.withhold(["generate", "man"]).ends_with(0).stdout;
    for word in [".TH withhold", "redact", "keep\\-region", "EXIT"] {
        assert!(man.to_lowercase().contains(&word.to_lowercase()), "the man page does not tell {word}");
    }
    for (what, word) in
        [("bash", "_withhold"), ("zsh", "#compdef"), ("fish", "complete"), ("report-schema", "RunReport")]
    {
        let text = scratch.withhold(["generate", what]).ends_with(0).stdout;
        assert!(text.contains(word), "{what}");
    }
    scratch.withhold(["--version"]).ends_with(0);
    scratch.withhold(["redact"]).ends_with(2);
    scratch.withhold(["worker"]).ends_with(2);
}
