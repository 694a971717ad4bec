//! What comes out: upright, untagged, with or without sound.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::common::*;
use serde_json::Value;
use tempfile::TempDir;
use withhold::ErrorKind;
use withhold::media::clip::{self, ClipSource, DecodeOptions};
use withhold::media::encode::{AudioMode, EncodeSettings, VideoCodec, encoders};
use withhold::media::picture::AnalysisScaler;
use withhold::types::frame::ColorModel;
use withhold::types::geometry::Orientation;
use withhold::types::stage::Source;

/// Writes a display matrix into the first track header of an MP4.
fn set_display_matrix(path: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = fs::read(path).expect("reads");
    let at = bytes.windows(4).position(|w| w == b"tkhd").expect("a track header") + 44;
    let one = 1 << 16;
    for (i, value) in [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30].iter().enumerate() {
        bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&value.to_be_bytes());
    }
    fs::write(path, bytes).expect("writes");
}

#[test]
fn all_orientations_become_upright() {
    let dir = TempDir::new().expect("a folder");
    let plain =
        "-f lavfi -i testsrc2=s=128x96:r=25:d=0.2,gblur=sigma=2 -vf setsar=4/3 -c:v libx264 -pix_fmt yuv420p even.mp4";
    let odd = "-f lavfi -i testsrc2=s=128x96:r=25:d=0.2,gblur=sigma=2,format=yuv444p,crop=125:93 -c:v libx264 -pix_fmt yuv444p odd.mp4";
    let sources = [ffmpeg(dir.path(), plain), ffmpeg(dir.path(), odd)];
    let table = [
        ([1, 0, 0, 1], Orientation::Upright),
        ([-1, 0, 0, 1], Orientation::FlipHorizontal),
        ([-1, 0, 0, -1], Orientation::Rotate180),
        ([1, 0, 0, -1], Orientation::FlipVertical),
        ([0, 1, -1, 0], Orientation::Rotate90),
        ([0, -1, 1, 0], Orientation::Rotate270),
        ([0, 1, 1, 0], Orientation::Transpose),
        ([0, -1, -1, 0], Orientation::Transverse),
    ];
    for source in &sources {
        let upright = first_picture(source);
        for (matrix, orientation) in table {
            set_display_matrix(source, matrix);
            let target = dir.path().join("out.mp4");
            let (info, _) = transcode(source, &target, false, fast()).expect("transcodes");
            assert_eq!(info.orientation, orientation);
            let display = info.display();
            let grid = |side: u32| side.div_ceil(2) * 2;
            let expected: Vec<u8> = (0..display.height)
                .flat_map(|y| (0..display.width).map(move |x| (x, y)))
                .flat_map(|(x, y)| {
                    let center = withhold::types::geometry::Point::new(x as f32 + 0.5, y as f32 + 0.5);
                    let from = orientation.coded_from_display(center, info.coded);
                    let at = (from.y as usize * info.coded.width as usize + from.x as usize) * 3;
                    [upright[at], upright[at + 1], upright[at + 2]]
                })
                .collect();
            let got = first_picture(&target);
            let off = difference((&expected, display.width as usize), (&got, grid(display.width) as usize));
            assert!(off < 6.0, "{orientation:?} {:?}: differs by {off:.1} levels", info.coded);

            let mut decoded = open(source).expect("opens");
            let frame = decoded.next_frame().expect("decodes").expect("a frame");
            let picture = AnalysisScaler::new(&info, 4096).picture(&frame).expect("a picture");
            assert_eq!((picture.size, picture.display_from_picture), (display, 1.0));
            let off = difference((&expected, display.width as usize), (&picture.data, display.width as usize));
            // Chroma is not interpolated there: only a gross difference is a fault.
            assert!(off < 12.0, "analysis, {orientation:?}: differs by {off:.1} levels");
            let small = AnalysisScaler::new(&info, 40).picture(&frame).expect("a picture");
            assert_eq!(small.size.width.max(small.size.height), 40);
            assert_eq!(small.size.width > small.size.height, display.width > display.height);

            if source == &sources[0] {
                let ratio = if orientation.swaps_sides() { "3:4" } else { "4:3" };
                assert_eq!(ffprobe(&target, "stream=sample_aspect_ratio")["streams"][0]["sample_aspect_ratio"], ratio);
            }
        }
        set_display_matrix(source, [1, 0, 0, 1]);
    }
}

#[test]
fn every_codec_keeps_times_and_tells_nothing() {
    let dir = TempDir::new().expect("a folder");
    let source =
        ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=128x96:r=30000/1001:d=1 -c:v libx264 -pix_fmt yuv420p a.mkv");
    let available = encoders();
    for codec in VideoCodec::ALL {
        let target = dir.path().join("out.mp4");
        let settings = EncodeSettings { codec, ..EncodeSettings::default() };
        assert!(available.iter().any(|(name, _)| name == codec.name()), "no encoder for {}", codec.name());
        transcode(&source, &target, false, settings).unwrap_or_else(|e| panic!("{}: {e}", codec.name()));
        assert_eq!(ffprobe(&target, "stream=codec_name")["streams"][0]["codec_name"], codec.name());
        assert_eq!(frame_times(&target), frame_times(&source), "{}", codec.name());
        assert_untagged(&target);
    }
}

#[test]
fn sound_is_kept_replaced_or_left_out() {
    let dir = TempDir::new().expect("a folder");
    let make = "-f lavfi -i testsrc2=s=128x96:r=25:d=2 -f lavfi -i sine=f=440:d=3 -c:v libx264 -pix_fmt yuv420p -c:a libmp3lame -metadata title=secret a.mkv";
    let source = ffmpeg(dir.path(), make);
    let voice = ffmpeg(dir.path(), "-f lavfi -i sine=f=880:r=22050:d=1 -metadata artist=secret voice.wav");
    let target = dir.path().join("out.mp4");
    let streams = |path: &Path| ffprobe(path, "stream=codec_type,codec_name,duration,start_time,sample_rate");
    let audio = |mode| EncodeSettings { audio: mode, ..fast() };
    let file = |path: &Path| File::open(path).expect("opens");

    transcode(&source, &target, false, audio(AudioMode::None)).expect("transcodes");
    assert_eq!(streams(&target)["streams"].as_array().map(Vec::len), Some(1));

    transcode(&source, &target, false, audio(AudioMode::Keep(file(&source)))).expect("transcodes");
    let kept = &streams(&target)["streams"][1];
    assert_eq!((kept["codec_name"].as_str(), kept["sample_rate"].as_str()), (Some("aac"), Some("44100")));
    let secs = |v: &Value| v.as_str().and_then(|t| t.parse::<f64>().ok()).expect("seconds");
    assert!((secs(&kept["duration"]) - 2.0).abs() < 0.03, "{kept}: cut to the picture's length");
    assert_eq!(frame_times(&target), frame_times(&source));
    assert_untagged(&target);
    assert!(fs::read(&target).expect("reads").windows(6).all(|w| w != b"secret" && w != b"LAME3."));

    transcode(&source, &target, false, audio(AudioMode::Replace(file(&voice), voice.clone()))).expect("transcodes");
    let replaced = &streams(&target)["streams"][1];
    assert_eq!(replaced["sample_rate"], "22050");
    assert!((secs(&replaced["duration"]) - 1.0).abs() < 0.05, "{replaced}");
    assert_untagged(&target);

    let silent = ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=64x64:r=25:d=0.2 -c:v libx264 silent.mp4");
    let error = transcode(&source, &target, false, audio(AudioMode::Replace(file(&silent), silent.clone())))
        .expect_err("no sound");
    assert_eq!(error.kind(), ErrorKind::NotMedia);
    transcode(&silent, &target, false, audio(AudioMode::Keep(file(&silent)))).expect("nothing to keep");
    assert_eq!(streams(&target)["streams"].as_array().map(Vec::len), Some(1));
}

/// Loudness of the sound in `path` between two times, in decibels of the mean, by the `ffmpeg` command.
fn loudness(path: &Path, from_secs: f64, to_secs: f64) -> f64 {
    let filter = format!("atrim={from_secs}:{to_secs},volumedetect");
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-i"]).arg(path).args(["-af", &filter, "-f", "null", "-"]).output();
    let text = String::from_utf8_lossy(&output.expect("the ffmpeg command is needed").stderr).into_owned();
    let mean = text.split("mean_volume: ").nth(1).and_then(|t| t.split(' ').next()).expect("a mean");
    mean.parse().expect("a number")
}

#[test]
fn kept_sound_stays_where_it_was() {
    let dir = TempDir::new().expect("a folder");
    let make = "-f lavfi -i testsrc2=s=128x96:r=25:d=3 -itsoffset 1 -f lavfi -i sine=f=440:d=1 -c:v libx264 -pix_fmt yuv420p -c:a pcm_s16le a.mkv";
    let source = ffmpeg(dir.path(), make);
    let target = dir.path().join("out.mp4");
    let settings = EncodeSettings { audio: AudioMode::Keep(File::open(&source).expect("opens")), ..fast() };
    transcode(&source, &target, false, settings).expect("transcodes");
    assert!(loudness(&target, 0.1, 0.9) < -80.0);
    assert!(loudness(&target, 1.05, 1.95) > -30.0);
}

#[test]
fn opens_of_one_descriptor_do_not_disturb_each_other() {
    let dir = TempDir::new().expect("a folder");
    let path = ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=128x96:r=25:d=2 -c:v libx264 -g 10 -pix_fmt yuv420p a.mp4");
    let file = File::open(&path).expect("opens");
    let options = DecodeOptions::default();
    let mut sources: Vec<ClipSource> =
        (0..3).map(|_| clip::open(file.try_clone().expect("clones"), &path, &options).expect("opens")).collect();
    for _ in 0..50 {
        let pts: Vec<i64> =
            sources.iter_mut().map(|s| s.next_frame().expect("decodes").expect("a frame").pts).collect();
        assert!(pts.windows(2).all(|w| w[0] == w[1]));
    }
    assert!(sources.iter_mut().all(|s| s.next_frame().expect("decodes").is_none()));
}

#[test]
fn writing_into_a_frame_does_not_reach_others() {
    let dir = TempDir::new().expect("a folder");
    let path = ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=128x96:r=25:d=1 -c:v libx264 -bf 2 -pix_fmt yuv420p a.mp4");
    let read = |paint: bool| -> Vec<u64> {
        let mut source = open(&path).expect("opens");
        let mut sums = Vec::new();
        while let Some(mut frame) = source.next_frame().expect("decodes") {
            sums.push(
                frame
                    .buffer
                    .plane(0)
                    .chunks(frame.buffer.stride(0))
                    .flat_map(|r| &r[..128])
                    .map(|b| u64::from(*b))
                    .sum(),
            );
            if paint {
                for (plane, _) in frame.buffer.planes_mut().expect("writable") {
                    plane.fill(0);
                }
            }
        }
        sums
    };
    assert_eq!(read(true), read(false));
}

#[test]
fn transparency_is_flattened_onto_black() {
    let dir = TempDir::new().expect("a folder");
    let make =
        "-f lavfi -i color=red:s=64x64:r=10:d=0.3,format=rgba,geq=r=255:g=0:b=0:a='if(lt(X,32),0,255)' -c:v png a.mov";
    let path = ffmpeg(dir.path(), make);
    let mut source = open(&path).expect("opens");
    let frame = source.next_frame().expect("decodes").expect("a frame");
    assert_eq!(frame.layout.model, ColorModel::Rgb);
    let picture = AnalysisScaler::new(source.info(), 64).picture(&frame).expect("a picture");
    assert_eq!(picture.data[..3], [0, 0, 0]);
    assert_eq!(picture.data[63 * 3..64 * 3], [255, 0, 0]);
}
