use std::io::{Cursor, Write};

use image::codecs::gif::GifEncoder;
use image::{ImageFormat, Rgb, Rgba, RgbaImage};

use super::*;
use crate::media::sniff::sniff;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open_bytes(bytes: &[u8], limits: &Limits) -> Result<Box<dyn Source>> {
    let file = file_of(bytes);
    let sniffed = sniff(&file)?;
    if !sniffed.is_animated_picture() {
        return Err(damaged("not recognised as an animation"));
    }
    open(file, sniffed, limits)
}

/// Colour of the middle pixel, pts and duration of every frame.
type Shown = Vec<([u8; 3], i64, i64)>;

fn play(bytes: &[u8]) -> Result<Shown> {
    let mut source = open_bytes(bytes, &Limits::default())?;
    let mut shown = Vec::new();
    while let Some(frame) = source.next_frame()? {
        assert_eq!(frame.index, shown.len() as u64);
        assert_eq!(frame.size, source.info().coded);
        let at = frame.buffer.stride(0) * (frame.size.height / 2) as usize + (frame.size.width / 2) as usize * 3;
        shown.push((frame.buffer.plane(0)[at..at + 3].try_into().unwrap(), frame.pts, frame.duration));
    }
    assert!(source.next_frame()?.is_none());
    Ok(shown)
}

const SIDE: u32 = 24;
const COLORS: [[u8; 3]; 3] = [[200, 10, 10], [10, 200, 10], [10, 10, 200]];

/// A frame of one colour with a noisy border, so that its data has some length.
fn picture(color: [u8; 3]) -> RgbaImage {
    RgbaImage::from_fn(SIDE, SIDE, |x, y| {
        let inner = (8..16).contains(&x) && (8..16).contains(&y);
        let v = (x * 37 + y * 101) as u8 & 0xF0;
        if inner { Rgba([color[0], color[1], color[2], 255]) } else { Rgba([v, v, v, 255]) }
    })
}

fn gif(delays_ms: [u32; 3]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new(&mut out);
    for (color, delay) in COLORS.into_iter().zip(delays_ms) {
        let frame = image::Frame::from_parts(picture(color), 0, 0, Delay::from_numer_denom_ms(delay, 1));
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    out
}

fn crc32(parts: [&[u8]; 2]) -> u32 {
    !parts.concat().iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

fn png_chunk(out: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(data);
    out.extend_from_slice(&crc32([name, data]).to_be_bytes());
}

fn still(color: [u8; 3], format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture(color).write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// Data of all chunks of that name.
fn png_data(png: &[u8], name: &[u8; 4]) -> Vec<u8> {
    let (mut at, mut data) = (8, Vec::new());
    while at < png.len() {
        let len = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        if &png[at + 4..at + 8] == name {
            data.extend_from_slice(&png[at + 8..at + 8 + len]);
        }
        at += 12 + len;
    }
    data
}

/// An APNG of the three colours, each shown for a thirtieth of a second; `announced` frames in its header.
fn apng(announced: u32) -> Vec<u8> {
    let first = still(COLORS[0], ImageFormat::Png);
    let mut out = first[..8].to_vec();
    png_chunk(&mut out, b"IHDR", &png_data(&first, b"IHDR"));
    png_chunk(&mut out, b"acTL", &[announced.to_be_bytes(), 0u32.to_be_bytes()].concat());
    let mut sequence = 0u32;
    for (n, color) in COLORS.into_iter().enumerate() {
        let control = [sequence, SIDE, SIDE, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(&mut out, b"fcTL", &[&control[..], &[0, 1, 0, 30, 0, 0]].concat());
        sequence += 1;
        let data = png_data(&still(color, ImageFormat::Png), b"IDAT");
        if n == 0 {
            png_chunk(&mut out, b"IDAT", &data);
        } else {
            png_chunk(&mut out, b"fdAT", &[&sequence.to_be_bytes()[..], &data].concat());
            sequence += 1;
        }
    }
    png_chunk(&mut out, b"IEND", &[]);
    out
}

fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn webp() -> Vec<u8> {
    let side = SIDE - 1;
    let mut body = b"WEBP".to_vec();
    body.extend(riff_chunk(b"VP8X", &[0x12, 0, 0, 0, side as u8, 0, 0, side as u8, 0, 0]));
    body.extend(riff_chunk(b"ANIM", &[0; 6]));
    for color in COLORS {
        let mut frame = vec![0, 0, 0, 0, 0, 0, side as u8, 0, 0, side as u8, 0, 0, 70, 0, 0, 2];
        frame.extend_from_slice(&still(color, ImageFormat::WebP)[12..]);
        body.extend(riff_chunk(b"ANMF", &frame));
    }
    riff_chunk(b"RIFF", &body)
}

#[test]
fn frames_and_times() {
    let expected = |pts: [i64; 4]| -> Shown { (0..3).map(|n| (COLORS[n], pts[n], pts[n + 1] - pts[n])).collect() };
    assert_eq!(play(&gif([50, 0, 200])).unwrap(), expected([0, 50, 150, 350]), "a delay of 0 is shown as 100 ms");
    assert_eq!(play(&gif([10, 20, 30])).unwrap(), expected([0, 100, 120, 150]), "and so is one of 10 ms");
    assert_eq!(play(&apng(3)).unwrap(), expected([0, 33, 67, 100]), "thirtieths do not add up rounding errors");
    assert_eq!(play(&webp()).unwrap(), expected([0, 70, 140, 210]));
}

#[test]
fn source_is_described() {
    let source = open_bytes(&gif([50; 3]), &Limits::default()).unwrap();
    let info = source.info();
    assert_eq!((info.kind, info.format.as_str(), info.frames_estimate), (MediaKind::Clip, "gif", Some(3)));
    assert_eq!((info.coded, info.time_base), (Size::new(SIDE, SIDE), TIME_BASE));
}

#[test]
fn transparent_pixels_are_white() {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new(&mut out);
    for _ in 0..2 {
        let clear = RgbaImage::from_pixel(SIDE, SIDE, Rgba([9, 9, 9, 0]));
        encoder.encode_frame(image::Frame::new(clear)).unwrap();
    }
    drop(encoder);
    assert!(play(&out).unwrap().iter().all(|(color, ..)| *color == [255; 3]));
}

#[test]
fn a_partial_frame_is_laid_over_the_one_before() {
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new(&mut out);
    encoder.encode_frame(image::Frame::new(picture(COLORS[0]))).unwrap();
    let dot = RgbaImage::from_pixel(4, 4, Rgba([1, 2, 3, 255]));
    encoder.encode_frame(image::Frame::from_parts(dot, 0, 0, Delay::from_numer_denom_ms(50, 1))).unwrap();
    drop(encoder);
    // The encoder asks for each frame to be cleared after it was shown; here it is to be kept.
    let control = out.windows(3).position(|w| w == [0x21, 0xF9, 4]).unwrap();
    out[control + 3] = out[control + 3] & !0x1C | 0x04;
    let mut source = open_bytes(&out, &Limits::default()).unwrap();
    source.next_frame().unwrap().unwrap();
    let second = source.next_frame().unwrap().unwrap();
    let pixels = RgbImage::from_raw(SIDE, SIDE, second.buffer.plane(0).to_vec()).unwrap();
    assert_eq!(pixels.get_pixel(1, 1), &Rgb([1, 2, 3]));
    assert_eq!(pixels.get_pixel(12, 12), &Rgb(COLORS[0]));
}

#[test]
fn cut_off_animations_are_errors() {
    for (name, bytes) in [("gif", gif([50; 3])), ("apng", apng(3)), ("webp", webp())] {
        for len in (1..30).map(|n| bytes.len() * n / 30).chain([bytes.len() - 1]) {
            assert!(play(&bytes[..len]).is_err(), "{name} cut to {len} of {}", bytes.len());
        }
    }
}

#[test]
fn fewer_frames_than_announced_are_an_error_that_stays() {
    let mut source = open_bytes(&apng(4), &Limits::default()).unwrap();
    for _ in 0..3 {
        source.next_frame().unwrap().unwrap();
    }
    for _ in 0..2 {
        assert_eq!(source.next_frame().err().unwrap().kind(), ErrorKind::Damaged);
    }
}

#[test]
fn limits_hold() {
    let table = [
        ("frames", Limits { frames: 2, ..Limits::default() }),
        ("pixels", Limits { pixels: 100, ..Limits::default() }),
    ];
    for (name, limits) in table {
        assert_eq!(open_bytes(&gif([50; 3]), &limits).err().expect(name).kind(), ErrorKind::Limit, "{name}");
    }
    let limits = Limits { duration_secs: 0.12, ..Limits::default() };
    let mut source = open_bytes(&gif([50; 3]), &limits).unwrap();
    source.next_frame().unwrap().unwrap();
    source.next_frame().unwrap().unwrap();
    assert_eq!(source.next_frame().err().unwrap().kind(), ErrorKind::Limit);
}

#[test]
fn may_be_dropped_early() {
    let mut source = open_bytes(&gif([50; 3]), &Limits::default()).unwrap();
    source.next_frame().unwrap().unwrap();
    drop(source);
}
