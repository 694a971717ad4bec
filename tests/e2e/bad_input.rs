//! Input that is broken, hostile or in the way: one line that names the file, the right code, nothing left behind, and
//! the rest of the batch goes on.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::common::{Pixels, REGION_ONLY, Run, Scratch, fixture, video_field};

/// A PNG whose header claims a size that no one could decode.
fn huge_png() -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc32fast::hash(&body).to_be_bytes()].concat()
    };
    let side = 60_000u32.to_be_bytes();
    let header = [&side[..], &side, &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &[0x78, 0x9c]), chunk(b"IEND", b"")]
        .concat()
}

/// `bytes` with a stretch in the middle overwritten.
fn corrupt_in_the_middle(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    for (i, byte) in bytes[middle..middle + 400].iter_mut().enumerate() {
        *byte = (i * 89 + 7) as u8;
    }
    bytes
}

fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

/// Runs `bad` beside a good photo and asserts: the code, the line, and that the good one alone came out.
#[track_caller]
fn refuse(scratch: &Scratch, bad: &str, code: i32, words: &[&str]) {
    scratch.photo("good.png");
    let args = ["redact", bad, "good.png", "-o", "out"].into_iter().chain(REGION_ONLY);
    scratch.withhold(args).ends_with(code).tells(&[&["error", bad], words].concat());
    assert_eq!(scratch.files("out"), ["good.png"], "{bad}");
    scratch.staging_is_empty("out");
}

#[test]
fn a_bad_file_is_refused_by_name_and_the_others_come_out() {
    let jpeg = fs::read(fixture("demo/group.jpg")).unwrap();
    let heic = fs::read(fixture("formats/photo.heic")).unwrap();
    let clip = fs::read(fixture("clips/turning.mp4")).unwrap();
    let webm = fs::read(fixture("clips/odd-size.webm")).unwrap();
    let sound = Scratch::new();
    let sound = fs::read(sound.ffmpeg("-f lavfi -i sine=d=1", "a.m4a")).unwrap();
    let table: [(&str, Vec<u8>, i32, &[&str]); 13] = [
        ("empty.jpg", vec![], 2, &["is empty"]),
        ("empty.mp4", vec![], 2, &["is empty"]),
        ("cut.jpg", half(&jpeg), 3, &[]),
        ("cut.heic", half(&heic), 3, &[]),
        ("cut.mp4", half(&clip), 3, &[]),
        ("cut.webm", half(&webm), 3, &[]),
        ("middle.mp4", corrupt_in_the_middle(clip.clone()), 3, &[]),
        ("garbage.jpg", vec![0x5a; 5000], 2, &["neither a photo nor a clip"]),
        ("garbage.mp4", vec![0x5a; 5000], 2, &["neither a photo nor a clip"]),
        ("notes.txt", b"Only words.\n".repeat(200), 2, &["neither a photo nor a clip"]),
        ("header.jpg", jpeg[..20].to_vec(), 3, &[]),
        ("huge.png", huge_png(), 3, &["60000x60000", "--max-pixels"]),
        ("sound.m4a", sound, 2, &["audio"]),
    ];
    for (name, bytes, code, words) in table {
        let scratch = Scratch::new();
        scratch.file(name, &bytes);
        refuse(&scratch, name, code, words);
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let scratch = Scratch::new();
    refuse(&scratch, "missing.jpg", 2, &["No such file"]);

    let scratch = Scratch::new();
    scratch.photo("real.png");
    symlink("real.png", scratch.path("link.png")).unwrap();
    refuse(&scratch, "link.png", 2, &["symbolic link"]);

    let scratch = Scratch::new();
    let made = Command::new("mkfifo").arg(scratch.path("pipe.png")).status().unwrap();
    assert!(made.success());
    refuse(&scratch, "pipe.png", 2, &["no regular file"]);

    let scratch = Scratch::new();
    refuse(&scratch, "/dev/zero", 2, &["no regular file"]);
}

#[test]
fn a_name_that_leaves_no_room_for_that_of_the_plan_is_refused_at_once() {
    let scratch = Scratch::new();
    let (longest, longer) = (format!("in/{}.png", "n".repeat(236)), format!("in/{}.png", "m".repeat(237)));
    scratch.photo(&longest);
    scratch.photo(&longer);
    scratch.redact_region("in", "out", "").ends_with(2).tells(&["241 bytes", "--names serial"]);
    assert_eq!(scratch.files("out"), [&longest[3..]]);
    scratch.redact_region("in", "numbered", "--names serial").ends_with(0);
}

#[test]
fn a_folder_is_searched_and_what_is_no_media_is_listed() {
    let scratch = Scratch::new();
    scratch.photo("in/a/photo.png");
    scratch.clip(3, "-c:v libx264", "in/b/clip.mov");
    scratch.file("in/notes.txt", b"words");
    scratch.file("in/broken.jpg", b"not a jpeg at all");
    symlink("a/photo.png", scratch.path("in/link.png")).unwrap();
    assert!(Command::new("mkfifo").arg(scratch.path("in/pipe.mp4")).status().unwrap().success());
    let run = scratch.redact_region("in", "out", "").ends_with(3);
    run.tells(&["notes.txt", "left out, neither a photo nor a clip"])
        .tells(&["error", "broken.jpg"])
        .tells(&["link.png", "left out, a link, pipe or device"]);
    assert_eq!(scratch.files("out"), ["a/photo.png", "b/clip.mp4"]);
}

#[test]
fn wrong_calls_stop_before_any_work() {
    let scratch = Scratch::new();
    scratch.photo("photos/a.png");
    scratch.photo("photos/a.bmp");
    scratch.photo("single/a.png");
    scratch.file("words/a.txt", b"words");
    fs::create_dir(scratch.path("nothing")).unwrap();
    scratch.file("blocked", b"a file where the folder should be");
    let table: [(&[&str], &[&str]); 13] = [
        (&["redact", "photos", "-o", "out"], &["same output", "--names serial"]),
        (&["redact", "single/a.png", "photos/a.png", "-o", "out"], &["same output"]),
        (&["redact", "words", "-o", "out"], &["words", "no photo or clip"]),
        (&["redact", "nothing", "-o", "out"], &["nothing", "no photo or clip"]),
        (&["redact", "single", "-o", "single/out"], &["inside an input folder", "-o"]),
        (&["redact", "single", "-o", "single"], &["inside an input folder", "-o"]),
        (&["redact", "single", "-o", "blocked"], &["blocked", "no folder"]),
        (&["redact", "single", "-o", "blocked/below"], &["blocked"]),
        (&["redact", "single", "-o", "out", "--work-dir", "out/work"], &["inside the output folder"]),
        (&["redact", "single", "-o", "x/../out", "--work-dir", "out/work"], &["inside the output folder"]),
        (&["redact", "single", "-o", "out", "--jobs", "0"], &["--jobs"]),
        (&["redact", "single", "-o", "out", "--stall-timeout=-1"], &["--stall-timeout"]),
        (&["redact", "single", "-o", "out", "--audio", "missing.wav"], &["missing.wav", "no such file"]),
    ];
    for (args, words) in table {
        scratch.withhold(args.iter().chain(&REGION_ONLY)).ends_with(2).tells(&[&["error"], words].concat());
        assert!(!scratch.path("out").exists(), "{args:?}");
        assert_eq!(scratch.files("single"), ["a.png"], "{args:?}");
    }
    assert_eq!(fs::read(scratch.path("blocked")).unwrap(), b"a file where the folder should be");
}

#[test]
fn an_existing_output_is_replaced_only_when_asked() {
    let scratch = Scratch::new();
    scratch.photo("a.png");
    scratch.photo("b.png");
    scratch.file("out/a.png", b"older");
    let both = ["redact", "a.png", "b.png", "-o", "out"].iter().chain(&REGION_ONLY);
    scratch.withhold(both.clone()).ends_with(2).tells(&["a.png", "exists already", "--overwrite"]);
    assert_eq!(fs::read(scratch.path("out/a.png")).unwrap(), b"older");
    assert!(scratch.path("out/b.png").exists());
    scratch.withhold(both.chain(&["--overwrite"])).ends_with(0);
    assert_eq!(video_field(&scratch.path("out/a.png"), "width"), "160");
}

#[test]
fn a_source_is_never_replaced() {
    let scratch = Scratch::new();
    let first = fs::read(scratch.photo("x/b.png")).unwrap();
    let second = fs::read(scratch.photo("x/0001.png")).unwrap();
    let table: [&[&str]; 2] =
        // The output of b.png would be the second source.
        [&["x/b.png", "-o", "x"], &["x/b.png", "x/0001.png", "-o", "x", "--names", "serial"]];
    for args in table {
        let run = scratch.withhold(["redact"].iter().chain(args).chain(&REGION_ONLY).chain(&["--overwrite"]));
        run.ends_with(2).tells(&["source"]);
        assert_eq!(fs::read(scratch.path("x/b.png")).unwrap(), first);
        assert_eq!(fs::read(scratch.path("x/0001.png")).unwrap(), second);
    }
}

#[test]
fn a_source_is_not_replaced_through_a_link_or_because_this_run_leaves_it_out() {
    let scratch = Scratch::new();
    let source = scratch.photo("in/a/x.png");
    let bytes = fs::read(&source).unwrap();
    fs::create_dir(scratch.path("out")).unwrap();
    std::os::unix::fs::symlink(scratch.path("in/a"), scratch.path("out/a")).unwrap();
    scratch.redact_region("in", "out", "--overwrite").ends_with(2).tells(&["source"]);
    assert_eq!(fs::read(&source).unwrap(), bytes);
    // y.bmp becomes more/y.png, which is a source that this run does not take.
    scratch.photo("more/y.png");
    scratch.photo("both/more/y.bmp");
    let kept = fs::read(scratch.path("more/y.png")).unwrap();
    fs::create_dir(scratch.path("other")).unwrap();
    std::os::unix::fs::symlink(scratch.path("more"), scratch.path("other/more")).unwrap();
    let args = ["redact", "both", "more/y.png", "-o", "other", "--overwrite", "--include", "*.bmp"];
    scratch.withhold(args.iter().chain(&REGION_ONLY)).ends_with(2).tells(&["source"]);
    assert_eq!(fs::read(scratch.path("more/y.png")).unwrap(), kept);
}

/// Runs with a limit on the size of written files, as a full disk would: signalled, or told as an error.
fn with_little_room(scratch: &Scratch, ignore_signal: bool) -> Run {
    let trap = if ignore_signal { "trap '' XFSZ; " } else { "" };
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{trap}ulimit -f 40; exec \"$@\""), "bash", env!("CARGO_BIN_EXE_withhold")]);
    command.args(["redact", "clip.mkv", "small.png", "noise.png", "-o", "out"]).args(REGION_ONLY);
    Run::of(command.current_dir(scratch.path("")).output().unwrap())
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_half_written() {
    for ignore_signal in [false, true] {
        let scratch = Scratch::new();
        let noise = "-f lavfi -i nullsrc=s=320x240:r=25,noise=alls=100:allf=t+u";
        scratch.ffmpeg(&format!("{noise} -frames:v 30 -c:v ffv1"), "clip.mkv");
        scratch.ffmpeg(&format!("{noise} -frames:v 1"), "noise.png");
        scratch.photo("small.png");
        let run = with_little_room(&scratch, ignore_signal).ends_with(3);
        run.tells(&["error", "clip.mkv"]).tells(&["error", "noise.png"]);
        assert_eq!(scratch.files("out"), ["small.png"]);
        scratch.staging_is_empty("out");
    }
}

#[test]
fn content_decides_and_not_the_name() {
    let scratch = Scratch::new();
    for (from, to) in [
        ("formats/photo.webp", "in/photo.xyz"),
        ("formats/orientation-6.jpg", "in/no-extension"),
        ("clips/yuv422.mp4", "in/clip.dat"),
        ("formats/photo.tiff", "in/really-tiff.jpg"),
    ] {
        scratch.copy(from, to);
    }
    scratch.redact_region("in", "out", "").ends_with(0);
    assert_eq!(scratch.files("out"), ["clip.mp4", "no-extension.jpg", "photo.webp", "really-tiff.tif"]);
}

#[test]
fn names_need_not_be_utf8() {
    let scratch = Scratch::new();
    let folder = OsStr::from_bytes(b"f\xfflder");
    let photo = scratch.photo("photo.png");
    let clip = scratch.clip(3, "-c:v libx264", "clip.mp4");
    fs::create_dir(scratch.path(folder)).unwrap();
    for (from, name) in [(&photo, &b"caf\xe9.png"[..]), (&photo, b"caf\xe8.png"), (&clip, b"cl\xeep.mp4")] {
        fs::copy(from, scratch.path(folder).join(OsStr::from_bytes(name))).unwrap();
    }
    let out = OsStr::from_bytes(b"\xffut");
    let args = [OsStr::new("redact"), folder, OsStr::new("-o"), out];
    scratch.withhold(args.into_iter().chain(REGION_ONLY.map(OsStr::new))).ends_with(0);
    for name in [&b"caf\xe9.png"[..], b"caf\xe8.png", b"cl\xeep.mp4"] {
        let copy = scratch.path("copy").with_extension(if name.ends_with(b"png") { "png" } else { "mp4" });
        fs::copy(scratch.path(out).join(OsStr::from_bytes(name)), &copy).unwrap();
        assert!(Pixels::gray(&copy).masked_share(0, [20, 20, 40, 24]) > 0.98);
    }
}

#[test]
fn limits_have_their_own_words() {
    let table = [
        ("--max-pixels 1000", "photo.png", "--max-pixels"),
        ("--max-pixels 1000", "clip.mp4", "--max-pixels"),
        ("--max-duration 0.5", "clip.mp4", "--max-duration"),
    ];
    let scratch = Scratch::new();
    scratch.photo("photo.png");
    scratch.clip(25, "-c:v libx264", "clip.mp4");
    for (flag, input, word) in table {
        scratch.redact_region(input, "out", flag).ends_with(3).tells(&["error", input, word]);
        assert_eq!(scratch.files("out"), Vec::<String>::new());
    }
    scratch.redact_region("photo.png", "out", "--memory-limit 200").ends_with(2).tells(&["error", "--memory-limit"]);
    // Pages cost nothing until they are used: a limit beyond all memory is no limit, and no crash either.
    scratch.redact_region("photo.png", "out", "--memory-limit 18446744073709551615").ends_with(0);
}
