//! Sound: none by default; encoded anew when it is kept; in step with the picture.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{Run, Scratch, fixture, frame_times, probe, stream_types};
use crate::formats::{assert_bare, assert_same_frames};

fn audio_stream(path: &Path) -> Value {
    let streams = probe(path)["streams"].as_array().unwrap().clone();
    streams.into_iter().find(|s| s["codec_type"] == "audio").expect("an audio stream")
}

fn secs(stream: &Value, field: &str) -> f64 {
    stream[field].as_str().unwrap().parse().unwrap()
}

/// Time at which the sound first gets loud, on the clip's own clock.
fn onset_secs(path: &Path) -> f64 {
    let args = ["-v", "error", "-nostdin", "-copyts", "-i"];
    let filter =
        ["-map", "0:a:0", "-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"];
    let output = Command::new("ffmpeg").args(args).arg(path).args(filter).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let samples = output.stdout.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]));
    samples.into_iter().position(|s| s.unsigned_abs() > 3000).expect("a loud sample") as f64 / 8000.0
}

fn redact(scratch: &Scratch, source: &Path, more: &str) -> Run {
    scratch.redact_region(source, "out", more).ends_with(0)
}

#[test]
fn a_kept_sound_is_encoded_anew() {
    let scratch = Scratch::new();
    for name in ["demo/interview.mp4", "clips/leaky.mkv"] {
        let source = fixture(name);
        redact(&scratch, &source, "--audio keep").tells(&["voice identifies"]);
        let output = scratch.path("out").join(Path::new(name).with_extension("mp4").file_name().unwrap());
        assert_eq!(stream_types(&output), ["video", "audio"], "{name}");
        assert_same_frames(&source, &output);
        assert_bare(&output);
        let sound = audio_stream(&output);
        assert_eq!(sound["codec_name"], "aac", "{name}");
        let last = *frame_times(&source).last().unwrap();
        assert!((secs(&sound, "start_time")).abs() < 0.1, "{name}: {sound}");
        assert!((secs(&sound, "duration") - last).abs() < 0.25, "{name}: {sound}");
    }
}

#[test]
fn a_kept_sound_stays_in_step() {
    let scratch = Scratch::new();
    // A tone that starts at 0.6 s of its own clock; what containers do to that clock differs.
    let tone = "-f lavfi -i sine=f=500:r=44100:d=1.2,volume='if(lt(t,0.6),0,8)':eval=frame";
    let picture = "-f lavfi -i testsrc2=s=160x120:r=25:d=1.2";
    let table = [
        ("plain.mp4", format!("{picture} {tone} -c:v libx264 -c:a aac")),
        ("late.mkv", format!("{picture} -itsoffset 0.3 {tone} -c:v libx264 -c:a flac")),
        ("early.mkv", format!("-itsoffset 0.2 {picture} {tone} -c:v libx264 -c:a libopus")),
        ("stream.ts", format!("{picture} {tone} -c:v libx264 -c:a mp2")),
        ("pcm.mov", format!("{picture} {tone} -c:v libx264 -bf 2 -c:a pcm_s16le")),
        ("low.avi", format!("{picture} {tone} -c:v mpeg4 -c:a pcm_s16le -ar 11025")),
    ];
    for (name, args) in table {
        let source = scratch.ffmpeg(&args, name);
        redact(&scratch, &source, "--audio keep");
        let output = scratch.path("out").join(Path::new(name).with_extension("mp4"));
        assert_same_frames(&source, &output);
        let (expected, got) = (onset_secs(&source), onset_secs(&output));
        assert!((expected - got).abs() < 0.05, "{name}: the tone starts at {got} instead of {expected}");
    }
}

#[test]
fn a_gap_of_days_in_a_kept_sound_ends_with_the_picture() {
    let scratch = Scratch::new();
    let both = "-f lavfi -i testsrc2=s=160x120:r=25:d=1.2 -f lavfi -i sine=f=500:r=44100:d=1.2";
    let plain = scratch.ffmpeg(&format!("{both} -c:v libx264 -c:a flac"), "plain.mkv");
    let jump = format!("-i {} -c copy -bsf:a setts=ts='if(lt(N,5),TS,TS+400000/TB)'", plain.display());
    let source = scratch.ffmpeg(&jump, "jump.mkv");
    redact(&scratch, &source, "--audio keep");
    let sound = audio_stream(&scratch.path("out/jump.mp4"));
    assert!((secs(&sound, "duration") - 1.2).abs() < 0.1, "{sound}");
}

#[test]
fn a_given_sound_replaces_the_source_s() {
    let scratch = Scratch::new();
    let voice =
        scratch.ffmpeg("-f lavfi -i sine=f=300:d=0.5 -metadata title=Speaker -metadata artist=Someone", "v.mp3");
    for source in ["clips/turning.mp4", "demo/interview.mp4"] {
        redact(&scratch, &fixture(source), &format!("--audio {}", voice.display()));
        let output = scratch.path("out").join(Path::new(source).file_name().unwrap());
        assert_eq!(stream_types(&output), ["video", "audio"]);
        assert_bare(&output);
        let bytes = fs::read(&output).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"Speaker" || w == b"Someone"));
        assert!((secs(&audio_stream(&output), "duration") - 0.5).abs() < 0.2);
    }
    // A sound that can't be read ends the file, and says which.
    let broken = scratch.file("broken.wav", b"RIFF but no sound at all");
    let more = format!("--audio {} --overwrite", broken.display());
    let before = fs::read(scratch.path("out/turning.mp4")).unwrap();
    scratch.redact_region(fixture("clips/turning.mp4"), "out", &more).ends_with(2).tells(&["error", "broken.wav"]);
    assert_eq!(fs::read(scratch.path("out/turning.mp4")).unwrap(), before);
}

#[test]
fn side_streams_never_cross() {
    let scratch = Scratch::new();
    let source = fixture("clips/leaky.mkv");
    let told = probe(&source);
    // The fixture has what is to be dropped.
    assert!(told["streams"].as_array().unwrap().len() >= 5 && !told["chapters"].as_array().unwrap().is_empty());
    for more in ["", "--audio keep --overwrite"] {
        redact(&scratch, &source, more);
        let told = probe(&scratch.path("out/leaky.mp4"));
        assert_eq!(told["chapters"].as_array().unwrap().len(), 0);
        assert!(
            told["format"]["tags"]
                .as_object()
                .unwrap()
                .keys()
                .all(|k| { ["major_brand", "minor_version", "compatible_brands"].contains(&k.as_str()) }),
            "{told}"
        );
    }
}
