//! The looks of masks: drawn, verified, and without a trace of what lies below.

use std::path::Path;

use crate::common::{Pixels, Scratch};

const REGION: [usize; 4] = [40, 30, 80, 60];

fn spread(pixels: &Pixels, frame: usize) -> (u8, u8) {
    let [x, y, w, h] = REGION;
    let inside = (y + 8..y + h - 8).flat_map(|y| (x + 8..x + w - 8).map(move |x| (x, y)));
    let values: Vec<u8> = inside.map(|(x, y)| pixels.at(frame, x, y)[0]).collect();
    (*values.iter().min().unwrap(), *values.iter().max().unwrap())
}

fn redact(scratch: &Scratch, source: &Path, style: &str) -> Pixels {
    let words = format!("redact {} -o out --overwrite --targets none --region 40,30,80,60 {style}", source.display());
    scratch.withhold(words.split_whitespace()).ends_with(0);
    Pixels::rgb(&scratch.path("out").join(source.file_name().unwrap()))
}

#[test]
fn styles_look_as_they_are_called() {
    let scratch = Scratch::new();
    let photo = scratch.photo("photo.png");
    let clip = scratch.clip(8, "-c:v libx264", "clip.mp4");
    for source in [&photo, &clip] {
        let original = Pixels::rgb(source);
        let fill = redact(&scratch, source, "--style fill");
        let blur = redact(&scratch, source, "--style blur");
        let mosaic = redact(&scratch, source, "--style mosaic");
        for frame in 0..original.frames() {
            // The pattern below is colourful; nothing of its contrast is left.
            let (low, high) = spread(&original, frame);
            assert!(high - low > 200);
            let (low, high) = spread(&fill, frame);
            assert!(high - low <= 6, "fill is not even: {low} to {high}");
            for (name, look) in [("blur", &blur), ("mosaic", &mosaic)] {
                let (low, high) = spread(look, frame);
                assert!((8..120).contains(&(high - low)), "{name} has levels from {low} to {high}");
            }
        }
    }
}

#[test]
fn the_fill_has_the_colour_that_was_asked_for() {
    let scratch = Scratch::new();
    let photo = scratch.photo("photo.png");
    let clip = scratch.clip(4, "-c:v libx264", "clip.mp4");
    for (color, expected) in [("black", [0, 0, 0]), ("white", [255, 255, 255]), ("c02040", [0xc0, 0x20, 0x40])] {
        for source in [&photo, &clip] {
            let pixels = redact(&scratch, source, &format!("--fill-color {color}"));
            let seen = pixels.at(0, 80, 60);
            let off = seen.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            let allowed = if source == &photo { 0 } else { 12 };
            assert!(off <= allowed, "{}: {color} is {seen:?}", source.display());
        }
    }
    let wrong = ["redact", "photo.png", "-o", "no", "--fill-color", "plaid"];
    scratch.withhold(wrong).ends_with(2).tells(&["plaid"]);
}

#[test]
fn soft_masks_may_overlap() {
    let scratch = Scratch::new();
    let source = scratch.clip(8, "-c:v libx264", "clip.mp4");
    for style in ["blur", "mosaic"] {
        redact(&scratch, &source, &format!("--style {style} --region 10.5,10.5,61,51 --region 60,21,50,30"));
    }
    // Faces and text have tones of their own.
    let interview = crate::common::fixture("demo/interview.mp4");
    let part = format!("-i {} -an -frames:v 10 -c:v libx264 -crf 12", interview.display());
    let part = scratch.ffmpeg(&part, "part.mp4");
    for style in ["blur", "mosaic"] {
        let args = ["redact", part.to_str().unwrap(), "-o", "out", "--overwrite", "--style", style];
        scratch.withhold(args).ends_with(0);
    }
}

#[test]
fn faces_in_soft_looks_verify() {
    let scratch = Scratch::new();
    scratch.copy("demo/portrait.jpg", "portrait.jpg");
    for style in ["blur", "mosaic"] {
        let run = scratch.withhold([
            "redact",
            "portrait.jpg",
            "-o",
            "out",
            "--overwrite",
            "--style",
            style,
            "--format",
            "json",
        ]);
        let report = &run.ends_with(0).reports()[0];
        assert!(report["regions"]["face"].as_u64() >= Some(1), "{report}");
    }
}
