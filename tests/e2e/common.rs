//! Helpers: a scratch folder, the program, and other tools that judge what it wrote.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Arguments that mask a named region and nothing else: no network has to look.
pub const REGION_ONLY: [&str; 4] = ["--targets", "none", "--region", "16,16,48,32"];
/// `fill` as it is by default.
pub const GREY: u8 = 128;

/// A fixture by its path below `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A run that ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("messages are UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Panics with everything that was told unless the exit code is `code`.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Panics unless a line of standard error names all of `words`.
    #[track_caller]
    pub fn tells(self, words: &[&str]) -> Self {
        let told = self.stderr.lines().any(|line| words.iter().all(|w| line.contains(w)));
        assert!(told, "no line tells {words:?}:\n{}", self.stderr);
        self
    }

    /// Standard output as JSON Lines.
    #[track_caller]
    pub fn reports(&self) -> Vec<Value> {
        self.stdout.lines().map(|l| serde_json::from_str(l).expect("standard output has JSON lines alone")).collect()
    }
}

/// A folder of its own for each test; programs run inside it.
pub struct Scratch {
    dir: TempDir,
}

impl Scratch {
    pub fn new() -> Self {
        Self { dir: TempDir::new().expect("a scratch folder") }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and the folders above it.
    pub fn file(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn copy(&self, from: &str, to: &str) -> PathBuf {
        self.file(to, &fs::read(fixture(from)).unwrap())
    }

    /// Makes `to` with ffmpeg; `args` are split at blanks.
    pub fn ffmpeg(&self, args: &str, to: &str) -> PathBuf {
        let path = self.path(to);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-y"]).args(args.split_whitespace()).arg(&path);
        let output = command.current_dir(self.dir.path()).output().expect("ffmpeg is installed");
        assert!(output.status.success(), "ffmpeg {args}: {}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// A small test picture.
    pub fn photo(&self, to: &str) -> PathBuf {
        self.ffmpeg("-f lavfi -i testsrc2=s=160x120 -frames:v 1", to)
    }

    /// A small test clip of `frames` frames.
    pub fn clip(&self, frames: u32, encoder: &str, to: &str) -> PathBuf {
        self.ffmpeg(&format!("-f lavfi -i testsrc2=s=160x120:r=25 -frames:v {frames} {encoder}"), to)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_withhold"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_remove("WITHHOLD_MODELS").env_remove("WITHHOLD_ONNXRUNTIME");
        command
    }

    /// Runs the program.
    pub fn withhold<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command().args(args).output().expect("the program starts"))
    }

    /// `redact INPUT -o out` with a region alone; `more` are split at blanks.
    pub fn redact_region(&self, input: impl AsRef<OsStr>, out: &str, more: &str) -> Run {
        let mut args: Vec<&OsStr> = vec![OsStr::new("redact"), input.as_ref()];
        args.extend(["-o", out].map(OsStr::new));
        args.extend(REGION_ONLY.map(OsStr::new));
        args.extend(more.split_whitespace().map(OsStr::new));
        self.withhold(args)
    }

    /// All files below a folder, relative, sorted; empty when there is none.
    pub fn files(&self, folder: &str) -> Vec<String> {
        files_below(&self.path(folder))
    }

    /// No staging folder is left behind for the output folder `out`.
    #[track_caller]
    pub fn staging_is_empty(&self, out: &str) {
        assert_eq!(self.files(&format!("{out}.withhold/staging")), Vec::<String>::new());
    }
}

pub fn files_below(folder: &Path) -> Vec<String> {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|e| !e.file_type().is_dir());
    let mut names: Vec<String> =
        files.map(|e| e.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn tool(program: &str, args: &[&str], path: &Path) -> Vec<u8> {
    let output = Command::new(program).args(args).arg(path).output().expect("the tool is installed");
    assert!(output.status.success(), "{program} {}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Streams and format as ffprobe tells them.
pub fn probe(path: &Path) -> Value {
    let args = ["-v", "error", "-show_streams", "-show_format", "-show_chapters", "-of", "json"];
    serde_json::from_slice(&tool("ffprobe", &args, path)).unwrap()
}

/// A field of the first video stream, as text; absent ones are `unknown`.
pub fn video_field(path: &Path, field: &str) -> String {
    let streams = probe(path)["streams"].as_array().unwrap().clone();
    let video = streams.iter().find(|s| s["codec_type"] == "video").expect("a video stream").clone();
    match &video[field] {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".into(),
        other => other.to_string(),
    }
}

/// Types of all streams, in order.
pub fn stream_types(path: &Path) -> Vec<String> {
    probe(path)["streams"].as_array().unwrap().iter().map(|s| s["codec_type"].as_str().unwrap().into()).collect()
}

/// Times in seconds at which the frames of the first video stream are shown.
pub fn frame_times(path: &Path) -> Vec<f64> {
    let entries = ["-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time"];
    let args = [&["-v", "error"][..], &entries, &["-of", "json"]].concat();
    let told: Value = serde_json::from_slice(&tool("ffprobe", &args, path)).unwrap();
    let time = |f: &Value| f["best_effort_timestamp_time"].as_str().unwrap().parse().unwrap();
    told["frames"].as_array().unwrap().iter().map(time).collect()
}

/// Every tag that exiftool sees, as `Group:Tag`.
pub fn tags(path: &Path) -> Vec<String> {
    let told: Value = serde_json::from_slice(&tool("exiftool", &["-j", "-G1", "-a", "-ee"], path)).unwrap();
    told[0].as_object().unwrap().keys().cloned().collect()
}

/// The frames of a file, decoded by ffmpeg without turning or timing, in an 8-bit format.
pub struct Pixels {
    pub width: usize,
    pub height: usize,
    channels: usize,
    data: Vec<u8>,
}

impl Pixels {
    pub fn rgb(path: &Path) -> Self {
        Self::decode(path, "rgb24", 3)
    }

    /// Luma as it is stored.
    pub fn gray(path: &Path) -> Self {
        Self::decode(path, "gray", 1)
    }

    fn decode(path: &Path, format: &str, channels: usize) -> Self {
        let number = |field| video_field(path, field).parse::<usize>().unwrap();
        let (width, height) = (number("width"), number("height"));
        let command = ["-v", "error", "-nostdin", "-noautorotate", "-i"];
        let rest = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", format, "-"];
        let output = Command::new("ffmpeg").args(command).arg(path).args(rest).output().expect("ffmpeg is installed");
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.len() % (width * height * channels), 0, "{}", path.display());
        Self { width, height, channels, data: output.stdout }
    }

    pub fn frames(&self) -> usize {
        self.data.len() / (self.width * self.height * self.channels)
    }

    pub fn at(&self, frame: usize, x: usize, y: usize) -> &[u8] {
        assert!(x < self.width && y < self.height, "{x},{y} of {}x{}", self.width, self.height);
        let start = ((frame * self.height + y) * self.width + x) * self.channels;
        &self.data[start..start + self.channels]
    }

    /// Whether a pixel is the default fill colour, as far as lossy coding keeps it.
    pub fn is_masked(&self, frame: usize, x: usize, y: usize) -> bool {
        self.at(frame, x, y).iter().all(|v| v.abs_diff(GREY) <= 12)
    }

    /// Share of the pixels of a rectangle that have the fill colour.
    pub fn masked_share(&self, frame: usize, [x, y, w, h]: [usize; 4]) -> f64 {
        let masked = (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y)));
        masked.filter(|(x, y)| self.is_masked(frame, *x, *y)).count() as f64 / (w * h) as f64
    }

    /// Mean absolute difference to another decoded file of the same form.
    pub fn mean_difference(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height, self.data.len()), (other.width, other.height, other.data.len()));
        let sum: u64 = self.data.iter().zip(&other.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / self.data.len() as f64
    }
}
