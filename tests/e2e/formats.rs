//! Every fixture comes out whole: frames, times and sizes of the source, and nothing else of it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{Pixels, Run, Scratch, fixture, frame_times, stream_types, tags, video_field};

/// Groups whose tags describe the structure of a file and say nothing about its origin.
const STRUCTURAL_GROUPS: [&str; 6] = ["ExifTool", "System", "File", "Composite", "PNG", "RIFF"];

/// Structural tags of the other groups.
const STRUCTURAL_TAGS: &[&str] = &[
    // JFIF, TIFF
    "JFIFVersion",
    "ResolutionUnit",
    "XResolution",
    "YResolution",
    "ImageWidth",
    "ImageHeight",
    "BitsPerSample",
    "Compression",
    "PhotometricInterpretation",
    "StripOffsets",
    "SamplesPerPixel",
    "RowsPerStrip",
    "StripByteCounts",
    "PlanarConfiguration",
    "Predictor",
    "SampleFormat",
    // MP4
    "MajorBrand",
    "MinorVersion",
    "CompatibleBrands",
    "MovieHeaderVersion",
    "CreateDate",
    "ModifyDate",
    "TimeScale",
    "Duration",
    "PreferredRate",
    "PreferredVolume",
    "MatrixStructure",
    "PreviewTime",
    "PreviewDuration",
    "PosterTime",
    "SelectionTime",
    "SelectionDuration",
    "CurrentTime",
    "NextTrackID",
    "HandlerType",
    "HandlerVendorID",
    "MediaDataSize",
    "MediaDataOffset",
    "TrackHeaderVersion",
    "TrackCreateDate",
    "TrackModifyDate",
    "TrackID",
    "TrackDuration",
    "TrackLayer",
    "TrackVolume",
    "MediaHeaderVersion",
    "MediaCreateDate",
    "MediaModifyDate",
    "MediaTimeScale",
    "MediaDuration",
    "MediaLanguageCode",
    "GraphicsMode",
    "OpColor",
    "CompressorID",
    "SourceImageWidth",
    "SourceImageHeight",
    "BitDepth",
    "BufferSize",
    "MaxBitrate",
    "AverageBitrate",
    "VideoFrameRate",
    "Free",
    "PixelAspectRatio",
    "ColorRepresentation",
    "ColorProfiles",
    "ColorPrimaries",
    "TransferCharacteristics",
    "MatrixCoefficients",
    "VideoFullRangeFlag",
    "VideoFieldOrder",
    "CleanApertureDimensions",
    "Balance",
    "AudioFormat",
    "AudioChannels",
    "AudioBitsPerSample",
    "AudioSampleRate",
];

/// What tells of encoders, devices and places.
const FORBIDDEN: &[&[u8]] = &[
    b"x264",
    b"x265",
    b"Lavf",
    b"Lavc",
    b"LAME",
    b"Exif\0",
    b"<x:xmpmeta",
    b"http://ns.adobe.com",
    b"Photoshop 3.0",
    b"ICC_PROFILE",
    b"GPSLatitude",
    b"ftypqt",
];

/// Asserts that a finished file carries nothing but pictures (and sound, when wanted).
#[track_caller]
pub fn assert_bare(path: &Path) {
    for tag in tags(path) {
        let (group, name) = tag.split_once(':').unwrap_or(("System", &tag));
        let known = STRUCTURAL_GROUPS.contains(&group) || STRUCTURAL_TAGS.contains(&name);
        assert!(known, "{}: tag {tag}", path.display());
    }
    let bytes = fs::read(path).unwrap();
    for word in FORBIDDEN {
        let found = bytes.windows(word.len()).any(|w| w == *word);
        assert!(!found, "{}: holds {:?}", path.display(), String::from_utf8_lossy(word));
    }
}

/// Asserts that a finished clip has the source's frames at the source's times, and its picture alone.
#[track_caller]
pub fn assert_same_frames(source: &Path, output: &Path) {
    let (expected, got) = (frame_times(source), frame_times(output));
    assert_eq!(expected.len(), got.len(), "{}: number of frames", output.display());
    for (i, (a, b)) in expected.iter().zip(&got).enumerate() {
        // ffprobe prints six digits.
        assert!((a - b).abs() < 2e-6, "{}: frame {i} is shown at {b}, not {a}", output.display());
    }
}

fn truth(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(fixture(name)).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// The middle of a box [x, y, w, h].
fn middle_of_box(b: &Value) -> (f64, f64) {
    (number(&b[0]) + number(&b[2]) / 2.0, number(&b[1]) + number(&b[3]) / 2.0)
}

/// The middle of a polygon.
fn middle(quad: &Value) -> (f64, f64) {
    let corners = quad.as_array().unwrap();
    let mean = |i: usize| corners.iter().map(|c| number(&c[i])).sum::<f64>() / corners.len() as f64;
    (mean(0), mean(1))
}

#[test]
fn the_demonstration_hides_every_face_and_every_line() {
    let scratch = Scratch::new();
    let run: Run = scratch.withhold(["redact", fixture("demo").to_str().unwrap(), "-o", "out", "--format", "json"]);
    let reports = run.ends_with(0).reports();
    assert_eq!(reports.len(), 4);
    let names = ["group.jpg", "id-card.jpg", "interview.mp4", "portrait.jpg"];
    assert_eq!(scratch.files("out"), names);
    for (report, name) in reports.iter().zip(names) {
        assert_eq!((&report["status"], &report["output"]), (&"done".into(), &name.into()));
        assert!(report["regions"]["face"].as_u64() >= Some(1), "{report}");
        assert_bare(&scratch.path("out").join(name));
    }
    for row in truth("face.jsonl") {
        let name = row["image"].as_str().unwrap();
        let output = scratch.path("out").join(name.strip_prefix("demo/").unwrap());
        let pixels = Pixels::rgb(&output);
        let stored = (row["w"].as_u64().unwrap() as usize, row["h"].as_u64().unwrap() as usize);
        let turned = name == "demo/portrait.jpg";
        assert_eq!((pixels.width, pixels.height), if turned { (stored.1, stored.0) } else { stored }, "{name}");
        for face in row["boxes"].as_array().unwrap() {
            let (x, y) = middle_of_box(face);
            // EXIF orientation 6: stored sideways, shown after a quarter turn clockwise.
            let (x, y) = if turned { (stored.1 as f64 - 1.0 - y, x) } else { (x, y) };
            assert!(pixels.is_masked(0, x as usize, y as usize), "{name}: a face shows at {x},{y}");
        }
    }
    let interview = scratch.path("out/interview.mp4");
    assert_same_frames(&fixture("demo/interview.mp4"), &interview);
    assert_eq!(stream_types(&interview), ["video"]);
    let pixels = Pixels::gray(&interview);
    for row in truth("motion/interview.gt.jsonl") {
        let frame = row["frame"].as_u64().unwrap() as usize;
        for quad in row["faces"].as_array().unwrap().iter().chain(row["texts"].as_array().unwrap()) {
            let (x, y) = middle(quad);
            let (x, y) = (x.clamp(0.0, 639.0) as usize, y.clamp(0.0, 359.0) as usize);
            assert!(pixels.is_masked(frame, x, y), "frame {frame} shows what is at {x},{y}");
        }
    }
}

#[test]
fn every_photo_format_comes_out_upright_and_bare() {
    // Source, name of the output. Each in a folder of its own: the tree is mirrored, equal stems do not collide.
    let kept = [
        "grey-16bit.png",
        "hidden-under-alpha.png",
        "motion-photo.jpg",
        "palette.png",
        "photo.tiff",
        "photo.webp",
        "orientation-2.jpg",
        "orientation-3.jpg",
        "orientation-4.jpg",
        "orientation-5.jpg",
        "orientation-6.jpg",
        "orientation-7.jpg",
        "orientation-8.jpg",
    ];
    let renamed = [
        ("photo.bmp", "photo.png"),
        ("photo.heic", "photo.jpg"),
        ("animated.gif", "animated.mp4"),
        ("animated.png", "animated.mp4"),
        ("animated.webp", "animated.mp4"),
    ];
    let refused = [("cmyk.jpg", "CMYK"), ("two-pages.tiff", "page"), ("photo.avif", "AVIF")];
    let scratch = Scratch::new();
    let named = kept.iter().map(|n| (*n, *n)).chain(renamed);
    let mut expected: Vec<String> = Vec::new();
    for (source, output) in named {
        scratch.copy(&format!("formats/{source}"), &format!("in/{source}.d/{source}"));
        expected.push(format!("{source}.d/{output}"));
    }
    for (source, _) in refused {
        scratch.copy(&format!("formats/{source}"), &format!("in/{source}"));
    }
    let mut run = scratch.redact_region("in", "out", "").ends_with(3);
    for (source, why) in refused {
        run = run.tells(&[source, why]);
    }
    expected.sort();
    assert_eq!(scratch.files("out"), expected);
    for output in &expected {
        let path = scratch.path("out").join(output);
        assert_bare(&path);
        let pixels = Pixels::rgb(&path);
        assert!(pixels.masked_share(0, [20, 20, 40, 24]) > 0.98, "{output}: the named region shows");
        if output.ends_with(".mp4") {
            assert!(pixels.frames() > 1, "{output}");
            assert_eq!(stream_types(&path), ["video"], "{output}");
        }
    }
    // All orientations show one upright picture.
    let upright = |n: u32| Pixels::rgb(&scratch.path(format!("out/orientation-{n}.jpg.d/orientation-{n}.jpg")));
    let first = upright(2);
    for n in 3..=8 {
        assert!(first.mean_difference(&upright(n)) < 8.0, "orientation {n}");
    }
    scratch.staging_is_empty("out");
}

#[test]
fn every_fixture_clip_keeps_its_frames_and_times() {
    let scratch = Scratch::new();
    let run = scratch.redact_region(fixture("clips"), "out", "--format json").ends_with(0);
    // Source, size of the upright output.
    let table = [
        ("edit-list.mp4", (320, 240)),
        ("interlaced.ts", (320, 240)),
        ("leaky.mkv", (320, 240)),
        ("odd-size.webm", (216, 162)),
        ("rotated.mp4", (320, 240)),
        ("ten-bit.mp4", (320, 240)),
        ("turning.mp4", (320, 240)),
        ("vfr-bframes.mp4", (320, 240)),
        ("yuv422.mp4", (320, 240)),
    ];
    assert_eq!(run.reports().len(), table.len());
    for (name, size) in table {
        let source = fixture("clips").join(name);
        let output = scratch.path("out").join(Path::new(name).with_extension("mp4"));
        assert_same_frames(&source, &output);
        assert_eq!(stream_types(&output), ["video"], "{name}");
        assert_bare(&output);
        assert_eq!(video_field(&output, "codec_name"), "h264");
        assert_eq!(video_field(&output, "pix_fmt"), "yuv420p", "{name}");
        let pixels = Pixels::gray(&output);
        assert_eq!((pixels.width, pixels.height), size, "{name}");
        for frame in 0..pixels.frames() {
            assert!(pixels.masked_share(frame, [20, 20, 40, 24]) > 0.98, "{name}: frame {frame} shows the region");
        }
    }
}

#[test]
fn a_stream_of_jpeg_pictures_is_a_clip_and_a_photo_with_more_behind_it_none() {
    let scratch = Scratch::new();
    scratch.clip(12, "-c:v mjpeg -q:v 4", "raw.mjpeg");
    let large = fs::read(scratch.photo("large.jpg")).unwrap();
    let small = fs::read(scratch.ffmpeg("-f lavfi -i testsrc2=s=80x60 -frames:v 1", "small.jpg")).unwrap();
    scratch.file("joined.jpg", &large.repeat(3));
    scratch.file("preview.jpg", &[large, small].concat());
    for (name, output, frames) in [("raw.mjpeg", "raw.mp4", 12), ("joined.jpg", "joined.mp4", 3)] {
        scratch.redact_region(name, "out", "").ends_with(0);
        let pixels = Pixels::gray(&scratch.path("out").join(output));
        assert_eq!(pixels.frames(), frames, "{name}");
        assert!((0..frames).all(|f| pixels.masked_share(f, [18, 18, 44, 28]) > 0.99), "{name}");
    }
    scratch.redact_region("preview.jpg", "out", "").ends_with(0);
    assert_eq!(scratch.files("out"), ["joined.mp4", "preview.jpg", "raw.mp4"]);
    // A picture of a stream that is cut off is no trailer to be left away.
    let bytes = fs::read(scratch.path("raw.mjpeg")).unwrap();
    scratch.file("cut.mjpeg", &bytes[..bytes.len() - 600]);
    scratch.redact_region("cut.mjpeg", "out", "").ends_with(3).tells(&["cut.mjpeg", "--allow-damaged"]);
}

#[test]
fn saturated_colours_of_full_resolution_are_kept() {
    let scratch = Scratch::new();
    scratch.ffmpeg("-f lavfi -i testsrc2=s=160x120:r=25:d=3 -c:v ffv1 -pix_fmt gbrp", "rgb.mkv");
    scratch.redact_region("rgb.mkv", "out", "--keep-depth").ends_with(0);
}
