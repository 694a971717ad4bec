//! Making sources with `ffmpeg`, sending them through, reading results back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use withhold::media::clip::{self, ClipSource, DecodeOptions};
use withhold::media::encode::{ClipSink, EncodeSettings};
use withhold::media::normalize::Normalizer;
use withhold::types::frame::SourceInfo;
use withhold::types::stage::{Sink, Source};

/// Runs `ffmpeg` with a space-separated argument list; the last one is the output's name in `dir`.
pub fn ffmpeg(dir: &Path, arguments: &str) -> PathBuf {
    let words: Vec<&str> = arguments.split(' ').filter(|w| !w.is_empty()).collect();
    let status = Command::new("ffmpeg").current_dir(dir).args(["-v", "error", "-y", "-nostdin"]).args(&words).status();
    assert!(status.expect("the ffmpeg command is needed").success(), "ffmpeg {arguments}");
    dir.join(words.last().expect("an output"))
}

pub fn ffprobe(path: &Path, entries: &str) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_entries", entries])
        .arg(path)
        .output()
        .expect("the ffprobe command is needed");
    assert!(output.stderr.is_empty(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Timestamps of the video's frames in microseconds.
pub fn frame_times(path: &Path) -> Vec<i64> {
    let probed = ffprobe(path, "frame=media_type,best_effort_timestamp_time");
    let video = probed["frames"].as_array().expect("frames").iter().filter(|f| f["media_type"] == "video");
    let micros = |f: &Value| f["best_effort_timestamp_time"].as_str().and_then(|t| t.parse::<f64>().ok());
    let mut times: Vec<i64> = Vec::new();
    for frame in video {
        // Containers without timestamps leave the last frames without one: they follow at the same distance.
        let next = match times[..] {
            [.., a, b] => 2 * b - a,
            _ => 0,
        };
        times.push(micros(frame).map_or(next, |secs| (secs * 1e6).round() as i64));
    }
    times
}

/// First frame as upright RGB, by the `ffmpeg` command.
pub fn first_picture(path: &Path) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-frames:v", "1", "-sws_flags", "bilinear+accurate_rnd+full_chroma_int", "-pix_fmt", "rgb24"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .expect("the ffmpeg command is needed");
    assert!(output.status.success());
    output.stdout
}

pub fn open(path: &Path) -> withhold::Result<ClipSource> {
    clip::open(File::open(path).expect("opens"), path, &DecodeOptions::default())
}

/// Decodes, normalizes and encodes a whole clip; returns what was known of the source, and the number of frames.
pub fn transcode(
    source: &Path,
    target: &Path,
    keep_depth: bool,
    settings: EncodeSettings,
) -> withhold::Result<(SourceInfo, u64)> {
    let mut source = open(source)?;
    let mut normalizer = Normalizer::new(source.info(), keep_depth);
    let (mut sink, mut settings, mut count) = (None, Some(settings), 0);
    while let Some(frame) = source.next_frame()? {
        let frame = normalizer.apply(frame)?;
        if let Some(settings) = settings.take() {
            sink = Some(Box::new(ClipSink::create(target, normalizer.output_info(), settings)?));
        }
        sink.as_mut().expect("a sink").write(frame)?;
        count += 1;
    }
    sink.expect("a sink").finish()?;
    Ok((source.info().clone(), count))
}

pub fn fast() -> EncodeSettings {
    EncodeSettings { preset: Some("ultrafast".into()), crf: Some(12), ..EncodeSettings::default() }
}

/// Nothing in the file but structure: no tag, no side data, no encoder's name.
pub fn assert_untagged(path: &Path) {
    let probed = ffprobe(path, "stream_tags:format_tags:stream_side_data:chapter");
    let structural = ["language", "vendor_id", "major_brand", "minor_version", "compatible_brands"];
    let streams = probed["streams"].as_array().cloned().unwrap_or_default();
    for part in streams.iter().chain([&probed["format"]]) {
        let tags = part["tags"].as_object().cloned().unwrap_or_default();
        assert!(tags.keys().all(|k| structural.contains(&k.as_str())), "{tags:?}");
        assert!(part["side_data_list"].is_null(), "{part}");
    }
    let bytes = fs::read(path).expect("reads");
    for name in ["x264", "x265", "Lavc", "Lavf", "SVT", "AOM", "Handler"] {
        assert!(!bytes.windows(name.len()).any(|w| w == name.as_bytes()), "{name} in {}", path.display());
    }
}

/// Mean difference of two RGB pictures of the given widths over the part that they share.
pub fn difference(a: (&[u8], usize), b: (&[u8], usize)) -> f64 {
    let width = a.1.min(b.1) * 3;
    let rows = a.0.chunks(a.1 * 3).zip(b.0.chunks(b.1 * 3));
    let (mut sum, mut count) = (0u64, 0u64);
    for (x, y) in rows {
        for (p, q) in x[..width].iter().zip(&y[..width]) {
            sum += u64::from(p.abs_diff(*q));
            count += 1;
        }
    }
    sum as f64 / count as f64
}
