//! What lies under a mask has no influence on a single byte of the output: two lossless inputs that differ only under a
//! named region give the same file.

use std::fs;

use crate::common::Scratch;

/// A planar raw format: bytes of a sample, and the shift of each plane's width and height.
struct Format {
    name: &'static str,
    sample_bytes: usize,
    planes: &'static [(u32, u32)],
}

const fn format(name: &'static str, sample_bytes: usize, planes: &'static [(u32, u32)]) -> Format {
    Format { name, sample_bytes, planes }
}

const FORMATS: [Format; 11] = [
    format("yuv420p", 1, &[(0, 0), (1, 1), (1, 1)]),
    format("yuv422p", 1, &[(0, 0), (1, 0), (1, 0)]),
    format("yuv444p", 1, &[(0, 0), (0, 0), (0, 0)]),
    format("yuv440p", 1, &[(0, 0), (0, 1), (0, 1)]),
    format("yuv411p", 1, &[(0, 0), (2, 0), (2, 0)]),
    format("yuv410p", 1, &[(0, 0), (2, 2), (2, 2)]),
    format("yuv420p10le", 2, &[(0, 0), (1, 1), (1, 1)]),
    format("yuv422p10le", 2, &[(0, 0), (1, 0), (1, 0)]),
    format("gbrp", 1, &[(0, 0), (0, 0), (0, 0)]),
    format("gray", 1, &[(0, 0)]),
    format("gray10le", 2, &[(0, 0)]),
];

/// Interleaved RGB is one plane of three bytes a pixel.
const RGB24: Format = format("rgb24", 3, &[(0, 0)]);

/// x, y, width, height in pixels.
type Rect = [usize; 4];

fn noise(seed: u64, i: usize) -> u64 {
    let mixed = (seed << 32 ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
}

/// Raw frames of a moving pattern, with noise of `seed` in all samples that touch `hidden`.
fn raw(format: &Format, (width, height): (usize, usize), frames: usize, hidden: Rect, seed: u64) -> Vec<u8> {
    let [hx, hy, hw, hh] = hidden;
    let bits = if format.name.contains("10le") { 10 } else { 8 };
    let mut out = Vec::new();
    for frame in 0..frames {
        for (plane, (shift_x, shift_y)) in format.planes.iter().enumerate() {
            let (step_x, step_y) = (1 << shift_x, 1 << shift_y);
            for y in 0..height.div_ceil(step_y) {
                for x in 0..width.div_ceil(step_x) {
                    let (px, py) = (x * step_x, y * step_y);
                    let inside = px + step_x > hx && px < hx + hw && py + step_y > hy && py < hy + hh;
                    let pattern = (px * 3 + py * 2 + frame * 5 + plane * 40) % 220 + 16;
                    for byte in 0..if bits == 10 { 1 } else { format.sample_bytes } {
                        let at = ((frame * 7 + plane) * height + y) * width * 3 + x * 3 + byte;
                        let value = if inside { noise(seed, at) as usize % (1 << bits) } else { pattern << (bits - 8) };
                        if bits == 10 {
                            out.extend((value as u16).to_le_bytes());
                        } else {
                            out.push(value as u8);
                        }
                    }
                }
            }
        }
    }
    out
}

/// One way to store a clip without loss.
struct Case<'a> {
    format: &'a Format,
    size: (usize, usize),
    /// Place of the noise in the stored picture.
    hidden: Rect,
    /// The same place in the upright picture, and further arguments.
    args: String,
    encode: &'a str,
    name: &'a str,
    /// Display matrix of the container.
    rotate: Option<u32>,
}

const FRAMES: usize = 6;

/// Redacts the case with noise of `seed`; gives the bytes of the output.
fn output(case: &Case, seed: u64, hidden: Rect) -> Vec<u8> {
    let scratch = Scratch::new();
    let (width, height) = case.size;
    let frames = if case.name.ends_with("png") { 1 } else { FRAMES };
    scratch.file("frames.raw", &raw(case.format, case.size, frames, hidden, seed));
    let read = format!("-f rawvideo -pix_fmt {} -s {width}x{height} -r 25 -i frames.raw", case.format.name);
    let mut source = scratch.ffmpeg(&format!("{read} {}", case.encode), case.name);
    if let Some(degrees) = case.rotate {
        // ffmpeg takes over this tag when it copies alone.
        let copy = format!("-i {} -c copy -metadata:s:v rotate={degrees}", case.name);
        source = scratch.ffmpeg(&copy, &format!("turned-{}", case.name));
    }
    let words = format!("redact {} -o out --targets none -q {}", source.display(), case.args);
    scratch.withhold(words.split_whitespace()).ends_with(0);
    let files = scratch.files("out");
    assert_eq!(files.len(), 1);
    fs::read(scratch.path("out").join(&files[0])).unwrap()
}

#[track_caller]
fn assert_hidden(what: &str, case: &Case) {
    let first = output(case, 1, case.hidden);
    assert!(first == output(case, 2, case.hidden), "{what}: the output depends on what was hidden");
    // The test can fail: noise that reaches out of the region shows.
    let [x, y, w, h] = case.hidden;
    assert!(first != output(case, 2, [x, y, w + 12, h + 12]), "{what}: noise beside the region changes nothing");
}

#[test]
fn clips_of_every_pixel_format() {
    for size in [(96, 64), (75, 53)] {
        for format in FORMATS.iter().chain([&RGB24]) {
            let region = [17, 11, 33, 21];
            let encode = if format.name == "rgb24" { "-c:v rawvideo" } else { "-c:v ffv1" };
            let name = if format.name == "rgb24" { "clip.nut" } else { "clip.mkv" };
            let args = "--region 17,11,33,21".to_owned();
            let what = format!("{} {size:?}", format.name);
            assert_hidden(&what, &Case { format, size, hidden: region, args, encode, name, rotate: None });
        }
    }
}

#[test]
fn depth_and_chroma_that_are_kept() {
    for format in [&FORMATS[1], &FORMATS[2], &FORMATS[6], &FORMATS[7], &FORMATS[8]] {
        let args = "--region 17,11,33,21 --keep-depth".to_owned();
        let case = Case {
            format,
            size: (75, 53),
            hidden: [17, 11, 33, 21],
            args,
            encode: "-c:v ffv1",
            name: "clip.mkv",
            rotate: None,
        };
        assert_hidden(format.name, &case);
    }
}

#[test]
fn turned_and_interlaced_clips() {
    let (width, height, [x, y, w, h]) = (96, 64, [17, 11, 33, 21]);
    let lossless = "-c:v libx264 -qp 0 -preset ultrafast";
    // Where the stored rectangle is shown.
    let table = [
        (None, "", [x, y, w, h]),
        (Some(90), "", [y, width - x - w, h, w]),
        (Some(180), "", [width - x - w, height - y - h, w, h]),
        (Some(270), "", [height - y - h, x, h, w]),
        (None, "-flags +ildct+ilme -x264-params tff=1", [x, y, w, h]),
    ];
    for format in [&FORMATS[0], &FORMATS[2]] {
        for (rotate, how, [x, y, w, h]) in table {
            let (args, encode) = (format!("--region {x},{y},{w},{h}"), format!("{lossless} {how}"));
            let hidden = [17, 11, 33, 21];
            let case = Case { format, size: (width, height), hidden, args, encode: &encode, name: "clip.mp4", rotate };
            assert_hidden(&format!("{} {rotate:?} {how}", format.name), &case);
        }
    }
}

#[test]
fn photos_and_soft_looks() {
    let photo = ("photo.png", "");
    let clip = ("clip.mkv", "-c:v ffv1");
    for (name, encode) in [photo, clip] {
        for look in ["--style fill --fill-color black", "--style blur", "--style mosaic"] {
            let format = if name == "photo.png" { &RGB24 } else { &FORMATS[0] };
            let args = format!("--region 17,11,33,21 {look}");
            assert_hidden(
                &format!("{name} {look}"),
                &Case { format, size: (75, 53), hidden: [17, 11, 33, 21], args, encode, name, rotate: None },
            );
        }
    }
}
