//! What is refused, and what is left behind: damage, limits, memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::common::*;
use tempfile::TempDir;
use withhold::ErrorKind;
use withhold::media::clip::{self, DecodeOptions};
use withhold::media::encode::{AudioMode, EncodeSettings};
use withhold::types::limits::Limits;
use withhold::types::stage::Source;

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
