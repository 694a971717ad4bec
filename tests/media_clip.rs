//! Clips through decoding, normalization and encoding, judged by the `ffmpeg` and `ffprobe` commands.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use withhold::ErrorKind;
use withhold::media::clip::{self, ClipSource, DecodeOptions};
use withhold::media::encode::{AudioMode, ClipSink, EncodeSettings, VideoCodec, encoders};
use withhold::media::normalize::Normalizer;
use withhold::media::picture::AnalysisScaler;
use withhold::types::frame::{ColorModel, SourceInfo};
use withhold::types::geometry::{Orientation, Size};
use withhold::types::limits::Limits;
use withhold::types::stage::{Sink, Source};

/// Runs `ffmpeg` with a space-separated argument list; the last one is the output's name in `dir`.
fn ffmpeg(dir: &Path, arguments: &str) -> PathBuf {
    let words: Vec<&str> = arguments.split(' ').filter(|w| !w.is_empty()).collect();
    let status = Command::new("ffmpeg").current_dir(dir).args(["-v", "error", "-y", "-nostdin"]).args(&words).status();
    assert!(status.expect("the ffmpeg command is needed").success(), "ffmpeg {arguments}");
    dir.join(words.last().expect("an output"))
}

fn ffprobe(path: &Path, entries: &str) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_entries", entries])
        .arg(path)
        .output()
        .expect("the ffprobe command is needed");
    assert!(output.stderr.is_empty(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Timestamps of the video's frames in microseconds.
fn frame_times(path: &Path) -> Vec<i64> {
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
fn first_picture(path: &Path) -> Vec<u8> {
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

fn open(path: &Path) -> withhold::Result<ClipSource> {
    clip::open(File::open(path).expect("opens"), path, &DecodeOptions::default())
}

/// Decodes, normalizes and encodes a whole clip; returns what was known of the source, and the number of frames.
fn transcode(
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

fn fast() -> EncodeSettings {
    EncodeSettings { preset: Some("ultrafast".into()), crf: Some(12), ..EncodeSettings::default() }
}

/// Nothing in the file but structure: no tag, no side data, no encoder's name.
fn assert_untagged(path: &Path) {
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
fn difference(a: (&[u8], usize), b: (&[u8], usize)) -> f64 {
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

struct Case {
    name: &'static str,
    /// Arguments of `ffmpeg` that make the source.
    make: &'static str,
    keep_depth: bool,
    /// Of the source.
    interlaced: bool,
    size: Size,
    format: &'static str,
}

const fn case(name: &'static str, make: &'static str, width: u32, height: u32) -> Case {
    Case { name, make, keep_depth: false, interlaced: false, size: Size::new(width, height), format: "yuv420p" }
}

fn cases() -> Vec<Case> {
    vec![
        case(
            "b-frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libx264 -bf 3 -pix_fmt yuv420p a.mp4",
            128,
            96,
        ),
        case(
            "open gop",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libx264 -bf 2 -g 12 -flags -cgop -pix_fmt yuv420p -x264-params open-gop=1 a.mkv",
            128,
            96,
        ),
        case(
            "variable rate",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=3,gblur=sigma=2 -vf select='not(mod(n,7))+not(mod(n,5))' -vsync vfr -c:v libx264 -pix_fmt yuv420p a.mp4",
            128,
            96,
        ),
        case(
            "ntsc ticks",
            "-f lavfi -i testsrc2=s=128x96:r=30000/1001:d=1,gblur=sigma=2 -c:v mpeg4 -bf 2 a.mkv",
            128,
            96,
        ),
        case(
            "late start",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -vf setpts=PTS+3.37/TB -c:v libx264 -pix_fmt yuv420p a.mkv",
            128,
            96,
        ),
        case(
            "odd size",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2,format=yuv444p,crop=127:95 -c:v libx264 -pix_fmt yuv444p a.mp4",
            128,
            96,
        ),
        case(
            "odd size ffv1",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2,format=yuv444p,crop=127:95 -c:v ffv1 -pix_fmt yuv420p a.mkv",
            128,
            96,
        ),
        Case {
            keep_depth: true,
            format: "yuv444p",
            ..case(
                "kept 4:4:4 odd",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2,format=yuv444p,crop=127:95 -c:v libx264 -pix_fmt yuv444p a.mp4",
                127,
                95,
            )
        },
        Case {
            keep_depth: true,
            format: "yuv422p10le",
            ..case(
                "kept 4:2:2 10 bit",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv422p10 a.mp4",
                128,
                96,
            )
        },
        Case {
            keep_depth: true,
            format: "yuv420p10le",
            ..case(
                "kept 10 bit",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10 a.mp4",
                128,
                96,
            )
        },
        case(
            "4:2:2",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv422p a.mp4",
            128,
            96,
        ),
        case(
            "10 bit",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv420p10 a.mp4",
            128,
            96,
        ),
        case(
            "full range",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v mjpeg -q:v 2 -pix_fmt yuvj422p a.avi",
            128,
            96,
        ),
        case(
            "tagged",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx264 -pix_fmt yuv420p -color_range pc -colorspace bt709 -color_trc bt709 -color_primaries bt709 a.mp4",
            128,
            96,
        ),
        Case {
            format: "yuv420p10le",
            ..case(
                "hdr",
                "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10 -colorspace bt2020nc -color_trc smpte2084 -color_primaries bt2020 a.mp4",
                128,
                96,
            )
        },
        case("gray", "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v ffv1 -pix_fmt gray a.mkv", 128, 96),
        case(
            "gray 16 big-endian",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -c:v png -pix_fmt gray16be a.mov",
            128,
            96,
        ),
        case("gif", "-f lavfi -i testsrc2=s=128x96:r=10:d=1,gblur=sigma=2 a.gif", 128, 96),
        case(
            "palette in mov",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=1,gblur=sigma=2 -c:v png -pix_fmt pal8 a.mov",
            128,
            96,
        ),
        case(
            "palette qtrle",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=1,gblur=sigma=2 -c:v qtrle -pix_fmt rgb24 a.mov",
            128,
            96,
        ),
        case(
            "rgb 16",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt rgb565le a.nut",
            128,
            96,
        ),
        case(
            "monochrome bits",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt monow a.nut",
            128,
            96,
        ),
        case(
            "yuyv",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt yuyv422 a.avi",
            128,
            96,
        ),
        case(
            "nv12",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt nv12 a.nut",
            128,
            96,
        ),
        case(
            "uyvy",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt uyvy422 a.avi",
            128,
            96,
        ),
        case(
            "bottom up",
            "-f lavfi -i testsrc2=s=128x96:r=10:d=0.5,gblur=sigma=2 -c:v rawvideo -pix_fmt bgr24 a.avi",
            128,
            96,
        ),
        case(
            "wide pixels",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=0.4,gblur=sigma=2 -vf setsar=16/11 -c:v libx264 -pix_fmt yuv420p a.mp4",
            128,
            96,
        ),
        Case {
            interlaced: true,
            ..case(
                "interlaced",
                "-f lavfi -i testsrc2=s=128x96:r=50:d=1,gblur=sigma=2 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -q:v 2 -flags +ildct+ilme -bf 2 a.ts",
                128,
                96,
            )
        },
        Case {
            interlaced: true,
            ..case(
                "interlaced 4:2:2",
                "-f lavfi -i testsrc2=s=128x96:r=50:d=1,gblur=sigma=2 -vf tinterlace=interleave_top,setfield=tff -c:v mpeg2video -pix_fmt yuv422p -q:v 2 -flags +ildct+ilme a.ts",
                128,
                96,
            )
        },
        case(
            "vp8 with hidden frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libvpx -auto-alt-ref 1 -lag-in-frames 10 -b:v 300k a.webm",
            128,
            96,
        ),
        case(
            "vp9 with hidden frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=2,gblur=sigma=2 -c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 10 -b:v 300k a.webm",
            128,
            96,
        ),
        case("flv", "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -c:v flv1 -q:v 2 a.flv", 128, 96),
        case(
            "packed b-frames",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -c:v mpeg4 -q:v 2 -bf 2 a.avi",
            128,
            96,
        ),
        case(
            "program stream",
            "-f lavfi -i testsrc2=s=128x96:r=25:d=1,gblur=sigma=2 -c:v mpeg1video -q:v 2 -bf 2 a.mpg",
            128,
            96,
        ),
    ]
}

#[test]
fn every_kind_of_source_keeps_its_frames_times_and_picture() {
    for case in cases() {
        let dir = TempDir::new().expect("a folder");
        let source = ffmpeg(dir.path(), case.make);
        let target = dir.path().join("out.mp4");
        let (info, count) =
            transcode(&source, &target, case.keep_depth, fast()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let times = frame_times(&target);
        assert_eq!(times.len() as u64, count, "{}", case.name);
        assert_eq!(times, frame_times(&source), "{}", case.name);
        let entries =
            "stream=width,height,pix_fmt,sample_aspect_ratio,color_range,color_space,color_transfer,color_primaries";
        let (from, to) = (&ffprobe(&source, entries)["streams"][0], &ffprobe(&target, entries)["streams"][0]);
        assert_eq!(
            (to["width"].as_u64(), to["height"].as_u64()),
            (Some(case.size.width.into()), Some(case.size.height.into())),
            "{}",
            case.name
        );
        assert_eq!(
            to["pix_fmt"].as_str().map(|f| f.replace("yuvj", "yuv")).as_deref(),
            Some(case.format),
            "{}",
            case.name
        );
        let ratio = |v: &Value| v["sample_aspect_ratio"].as_str().filter(|r| *r != "1:1").map(str::to_owned);
        assert_eq!(ratio(to), ratio(from), "{}", case.name);
        let is_yuv =
            from["pix_fmt"].as_str().is_some_and(|f| ["yuv", "yuyv", "nv12", "uyvy"].iter().any(|y| f.starts_with(y)));
        // Some codecs tell colours in each frame only.
        let keys = "frame=color_range,color_space,color_transfer,color_primaries";
        let frame = ffprobe(&source, keys)["frames"][0].clone();
        let told = |v: &Value| v.as_str().filter(|t| *t != "unknown" && *t != "tv").map(str::to_owned);
        for key in ["color_range", "color_space", "color_transfer", "color_primaries"] {
            if is_yuv {
                assert_eq!(told(&to[key]), told(&frame[key]), "{} {key}", case.name);
            }
        }
        if !is_yuv {
            assert_eq!(to["color_space"], "bt709", "{}", case.name);
        }
        assert_eq!(info.interlaced, case.interlaced, "{}", case.name);
        let flag = ffprobe(&target, "frame=interlaced_frame")["frames"][0]["interlaced_frame"].as_u64();
        assert_eq!(flag, Some(case.interlaced.into()), "{}", case.name);
        assert_untagged(&target);
        let (a, b) = (first_picture(&source), first_picture(&target));
        let display = info.display();
        let off = difference((&a, display.width as usize), (&b, case.size.width as usize));
        // Dithered palettes are noise that chroma subsampling averages.
        let limit = if case.name == "gif" || case.name.starts_with("palette in") { 16.0 } else { 6.0 };
        assert!(off < limit, "{}: the picture differs by {off:.1} levels", case.name);
    }
}

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

/// Reads a clip to its end; the number of frames, and of damaged ones.
fn read_all(path: &Path, allow_damaged: bool) -> withhold::Result<(usize, usize)> {
    let options = DecodeOptions { allow_damaged, ..DecodeOptions::default() };
    let mut source = clip::open(File::open(path).expect("opens"), path, &options)?;
    let (mut frames, mut damaged) = (0, 0);
    while let Some(frame) = source.next_frame()? {
        frames += 1;
        damaged += usize::from(frame.damaged);
    }
    assert_eq!(source.damage().frames as usize, damaged);
    Ok((frames, damaged))
}

#[test]
fn cut_and_broken_clips_are_errors() {
    let dir = TempDir::new().expect("a folder");
    let input = "-f lavfi -i testsrc2=s=320x240:r=25:d=4 -c:v libx264 -g 25 -bf 2 -pix_fmt yuv420p";
    for (name, extra) in
        [("a.mkv", ""), ("a.mp4", "-movflags +faststart"), ("b.mp4", ""), ("a.mov", "-movflags +frag_keyframe")]
    {
        let path = ffmpeg(dir.path(), &format!("{input} {extra} {name}"));
        let whole = fs::read(&path).expect("reads");
        assert_eq!(read_all(&path, false).expect("intact"), (100, 0));
        for percent in [5, 40, 70, 95] {
            fs::write(&path, &whole[..whole.len() * percent / 100]).expect("writes");
            let error = read_all(&path, false).expect_err("cut off");
            assert_eq!(error.kind(), ErrorKind::Damaged, "{name} cut to {percent} %: {error}");
            assert_eq!(error.path(), Some(path.as_path()));
        }
        for percent in [30, 50, 65, 80] {
            let mut bytes = whole.clone();
            let at = bytes.len() * percent / 100;
            // A lost sector. Fewer bytes can decode to a wrong picture without any contradiction: H.264 has no checksum.
            bytes[at..at + 4096].fill(0);
            fs::write(&path, &bytes).expect("writes");
            let error = read_all(&path, false).err().unwrap_or_else(|| panic!("{name} broken at {percent} % was read"));
            assert_eq!(error.kind(), ErrorKind::Damaged, "{name} broken at {percent} %: {error}");
        }
    }
}

#[test]
fn damage_that_is_allowed_ends_at_the_next_clean_key_frame() {
    let dir = TempDir::new().expect("a folder");
    let make =
        "-f lavfi -i testsrc2=s=320x240:r=25:d=4 -c:v libx264 -g 25 -sc_threshold 0 -bf 2 -pix_fmt yuv420p a.mkv";
    let path = ffmpeg(dir.path(), make);
    let mut bytes = fs::read(&path).expect("reads");
    let at = bytes.len() * 30 / 100;
    bytes[at..at + 4096].fill(0);
    fs::write(&path, &bytes).expect("writes");
    let (frames, damaged) = read_all(&path, true).expect("allowed");
    assert!((75..=100).contains(&frames), "{frames} frames");
    assert!((1..=30).contains(&damaged), "{damaged} damaged frames");
}

#[test]
fn a_stream_that_starts_inside_a_gop_is_not_damaged() {
    let dir = TempDir::new().expect("a folder");
    for (codec, open_gop) in [("libx264", "-x264-params open-gop=1"), ("mpeg2video", "-flags -cgop")] {
        let make = format!(
            "-f lavfi -i testsrc2=s=320x240:r=25:d=4 -c:v {codec} -g 25 -bf 2 {open_gop} -pix_fmt yuv420p a.ts"
        );
        let path = ffmpeg(dir.path(), &make);
        let whole = fs::read(&path).expect("reads");
        // Transport packets are 188 bytes.
        let cut = whole.len() / 188 * 3 / 10 * 188;
        fs::write(&path, &whole[cut..]).expect("writes");
        let mut source = open(&path).expect("opens");
        let mut frames = 0;
        while let Some(frame) = source.next_frame().unwrap_or_else(|e| panic!("{codec}: {e}")) {
            assert!(!frame.damaged);
            frames += 1;
        }
        assert!((50..=75).contains(&frames), "{codec}: {frames} frames");
        assert!(source.damage().lead_in > 0, "{codec}");
    }
}

#[test]
fn what_is_no_clip_is_refused_by_name() {
    let dir = TempDir::new().expect("a folder");
    let real = ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=64x64:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p real.mp4");
    let sound = ffmpeg(dir.path(), "-f lavfi -i sine=d=1 -c:a aac sound.m4a");
    let write = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        File::create(&path).and_then(|mut f| f.write_all(content)).expect("writes");
        path
    };
    let list = format!("ffconcat version 1.0\nfile '{}'\n", real.display());
    let hls = format!(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{}\n#EXT-X-ENDLIST\n",
        real.display()
    );
    let table = [
        (write("empty.mp4", b""), ErrorKind::NotMedia, ""),
        (write("text.mp4", b"this is no clip, only a few words of text\n"), ErrorKind::NotMedia, ""),
        (write("zeros.mp4", &[0; 100_000]), ErrorKind::NotMedia, ""),
        (sound, ErrorKind::NotMedia, "audio alone (aac"),
        (write("list.mp4", list.as_bytes()), ErrorKind::Unsupported, "concat"),
        (write("hls.mp4", hls.as_bytes()), ErrorKind::Unsupported, "hls"),
    ];
    for (path, kind, part) in table {
        let error = open(&path).err().unwrap_or_else(|| panic!("{} opened", path.display()));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn limits_are_errors_of_their_own() {
    let dir = TempDir::new().expect("a folder");
    let path = ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=128x96:r=25:d=2 -c:v libx264 -pix_fmt yuv420p a.mp4");
    let limits = Limits::default();
    let table = [
        (Limits { pixels: 1000, ..limits }, "pixels"),
        (Limits { frames: 10, ..limits }, "10 frames"),
        (Limits { duration_secs: 1.0, ..limits }, "1 s"),
    ];
    for (limits, part) in table {
        let options = DecodeOptions { limits, allow_damaged: false };
        let read = || -> withhold::Result<()> {
            let mut source = clip::open(File::open(&path).expect("opens"), &path, &options)?;
            while source.next_frame()?.is_some() {}
            Ok(())
        };
        let error = read().expect_err("over the limit");
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_picture_that_changes_its_size_is_refused() {
    let dir = TempDir::new().expect("a folder");
    for size in ["128x96", "160x120"] {
        let make = format!("-f lavfi -i testsrc2=s={size}:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p {size}.h264");
        ffmpeg(dir.path(), &make);
    }
    let mut joined = fs::read(dir.path().join("128x96.h264")).expect("reads");
    joined.extend(fs::read(dir.path().join("160x120.h264")).expect("reads"));
    let path = dir.path().join("joined.h264");
    fs::write(&path, joined).expect("writes");
    let error = read_all(&path, false).expect_err("changes");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("changes from 128x96"), "{error}");
}

#[test]
fn unknown_settings_and_full_disks_are_errors() {
    let dir = TempDir::new().expect("a folder");
    let path = ffmpeg(dir.path(), "-f lavfi -i testsrc2=s=640x480:r=25:d=2 -c:v libx264 -pix_fmt yuv420p a.mp4");
    let settings = EncodeSettings { preset: Some("no-such-preset".into()), ..EncodeSettings::default() };
    let error = transcode(&path, &dir.path().join("out.mp4"), false, settings).expect_err("no such preset");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let error = transcode(&path, Path::new("/dev/full"), false, fast()).expect_err("a full disk");
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/statm").expect("reads");
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

#[test]
fn nothing_leaks() {
    let dir = TempDir::new().expect("a folder");
    let make =
        "-f lavfi -i testsrc2=s=640x480:r=25:d=0.4 -f lavfi -i sine=d=0.4 -c:v libx264 -bf 2 -pix_fmt yuv422p a.mkv";
    let path = ffmpeg(dir.path(), make);
    let target = dir.path().join("out.mp4");
    let round = || {
        let settings =
            EncodeSettings { audio: AudioMode::Keep(File::open(&path).expect("opens")), threads: 1, ..fast() };
        transcode(&path, &target, false, settings).expect("transcodes");
    };
    (0..5).for_each(|_| round());
    let before = resident();
    (0..30).for_each(|_| round());
    let grown = resident().saturating_sub(before);
    // A leaked frame is 600 kB, and each round has ten.
    assert!(grown < 24 << 20, "memory grew by {grown} bytes");
}
