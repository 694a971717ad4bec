//! One leak at a time, planted into a clean output: the gate tells it by its rule. `eval/planted.py` has many more.

use std::fs;

use crate::common::{REGION_ONLY, Run, Scratch};

/// Rules that fail, of the only file.
fn rules(scratch: &Scratch, file: &str) -> (Option<i32>, Vec<String>) {
    let run = scratch.withhold(["check", file, "--targets", "faces", "--format", "json"]);
    let report = &run.reports()[0];
    let findings = report["findings"].as_array().expect("findings").iter();
    let bad = findings.filter(|f| f["severity"] == "error").map(|f| f["rule"].as_str().unwrap().to_owned());
    (run.code, bad.collect())
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat()
}

fn chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(&[kind, body].concat());
    [&(body.len() as u32).to_be_bytes()[..], kind, body, &crc.to_be_bytes()].concat()
}

fn boxed(kind: &[u8], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

/// A TIFF block with one directory of one entry.
fn exif(tag: u16, kind: u16, value: u32) -> Vec<u8> {
    let head = b"Exif\0\0II*\0\x08\0\0\0\x01\0";
    [&head[..], &tag.to_le_bytes(), &kind.to_le_bytes(), &[1, 0, 0, 0], &value.to_le_bytes(), &[0; 4]].concat()
}

/// Inside the only chunk of a WebP file, behind the bits of its picture.
fn behind_picture(webp: &[u8], more: &[u8]) -> Vec<u8> {
    let size = u32::from_le_bytes(webp[16..20].try_into().unwrap()) as usize;
    let mut body = [&webp[20..20 + size], more].concat();
    body.resize(body.len().next_multiple_of(2), 0);
    let sizes = [body.len() as u32 + 12, body.len() as u32].map(u32::to_le_bytes);
    [&webp[..4], &sizes[0], &webp[8..16], &sizes[1], &body].concat()
}

/// Inside the last frame of a clip whose samples stand at its end.
fn behind_last_sample(clip: &[u8], more: &[u8]) -> Vec<u8> {
    let mut data = [clip, more].concat();
    let place = |kind: &[u8]| clip.windows(4).position(|w| w == kind).expect("the box is there");
    let (table, samples) = (place(b"stsz"), place(b"mdat"));
    assert!(table < samples, "the index stands in front");
    let mut add = |at: usize| {
        let size = u32::from_be_bytes(data[at..at + 4].try_into().unwrap()) + more.len() as u32;
        data[at..at + 4].copy_from_slice(&size.to_be_bytes());
    };
    add(samples - 4);
    let count = u32::from_be_bytes(clip[table + 12..table + 16].try_into().unwrap()) as usize;
    add(table + 12 + 4 * count);
    data
}

#[test]
fn each_planted_leak_is_told_by_its_rule() {
    let scratch = Scratch::new();
    scratch.photo("in/a.jpg");
    scratch.photo("in/b.png");
    scratch.clip(8, "-c:v libx264 -pix_fmt yuv420p", "in/c.mp4");
    scratch.ffmpeg("-f lavfi -i testsrc2=s=160x120 -frames:v 1", "in/d.webp");
    scratch.clip(8, "-c:v libx264 -pix_fmt yuv420p", "vp9/e.mp4");
    scratch.withhold([&["redact", "in", "-o", "out", "-q"][..], &REGION_ONLY].concat()).ends_with(0);
    scratch.withhold([&["redact", "vp9", "-o", "out", "-q", "--codec", "vp9"][..], &REGION_ONLY].concat()).ends_with(0);
    let read = |name: &str| fs::read(scratch.path(format!("out/{name}"))).unwrap();
    let (jpg, png, mp4, webp, vp9) = (read("a.jpg"), read("b.png"), read("c.mp4"), read("d.webp"), read("e.mp4"));
    let in_jpg = |more: Vec<u8>| [&jpg[..2], &more, &jpg[2..]].concat();
    let in_png = |more: Vec<u8>| [&png[..png.len() - 12], &more, &png[png.len() - 12..]].concat();
    let behind = |data: &[u8], more: &[u8]| [data, more].concat();
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><photoshop:City>x</photoshop:City></x:xmpmeta>";
    let table = [
        ("a.jpg", jpg.clone(), None),
        ("b.png", png.clone(), None),
        ("c.mp4", mp4.clone(), None),
        ("d.webp", webp.clone(), None),
        ("e.mp4", vp9.clone(), None),
        ("a.jpg", in_jpg(segment(0xe1, &exif(34853, 4, 8))), Some("metadata-location")),
        ("a.jpg", in_jpg(segment(0xe1, &exif(272, 2, 0))), Some("metadata-device")),
        ("a.jpg", in_jpg(segment(0xe1, &exif(36867, 2, 0))), Some("metadata-time")),
        ("a.jpg", in_jpg(segment(0xe1, &exif(274, 3, 6))), Some("orientation")),
        ("a.jpg", in_jpg(segment(0xe1, xmp)), Some("metadata-location")),
        ("a.jpg", in_jpg(segment(0xfe, b"x")), Some("metadata-comment")),
        ("a.jpg", in_jpg(segment(0xe2, b"MPF\0II*\0")), Some("extra-picture")),
        ("a.jpg", behind(&jpg, &mp4), Some("motion-photo")),
        ("a.jpg", behind(&jpg, b"PK\x03\x04"), Some("embedded-file")),
        ("a.jpg", behind(&jpg, b"x"), Some("trailing-bytes")),
        ("b.png", in_png(chunk(b"tEXt", b"Author\0x")), Some("metadata-person")),
        ("b.png", in_png(chunk(b"tIME", &[0; 7])), Some("metadata-time")),
        ("b.png", in_png(chunk(b"prVt", b"x")), Some("unknown-part")),
        ("b.png", in_png(chunk(b"IDAT", b"x")), Some("unused-data")),
        ("b.png", behind(&png, b"x"), Some("trailing-bytes")),
        ("c.mp4", behind(&mp4, &boxed(b"free", b"x")), Some("unknown-part")),
        ("c.mp4", behind(&mp4, &boxed(b"uuid", &[7; 20])), Some("unknown-part")),
        ("c.mp4", behind(&mp4, &boxed(b"mdat", b"x")), Some("unused-data")),
        ("c.mp4", behind(&mp4, &boxed(b"meta", b"x")), Some("metadata")),
        ("c.mp4", behind(&mp4, b"x"), Some("trailing-bytes")),
        ("a.jpg", in_jpg(segment(0xdb, &[&[3][..], &[7; 64]].concat())), Some("unused-data")),
        ("d.webp", behind_picture(&webp, b"hidden"), Some("unused-data")),
        ("e.mp4", behind_last_sample(&vp9, b"hidden"), Some("unused-data")),
    ];
    for (name, data, rule) in table {
        let file = format!("planted-{name}");
        scratch.file(&file, &data);
        let (code, told) = rules(&scratch, &file);
        match rule {
            None => assert_eq!((code, told.len()), (Some(0), 0), "clean {name}: {told:?}"),
            Some(rule) => {
                assert!(code == Some(1) && told.iter().any(|r| r == rule), "{name}, {rule}: {code:?} {told:?}")
            }
        }
    }
}

#[test]
fn streams_that_others_add_are_told() {
    let scratch = Scratch::new();
    scratch.file("s.srt", b"1\n00:00:00,000 --> 00:00:01,000\nname\n");
    scratch.file("c.txt", b";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=x\n");
    scratch.photo("cover.jpg");
    let video = "-f lavfi -i testsrc2=s=160x120:r=25:d=0.3";
    for (line, file, rules_wanted) in [
        ("-i s.srt -map 0 -map 1 -c:s srt", "a.mkv", &["subtitles", "encoder-string", "unaccounted"][..]),
        ("-f lavfi -i sine=d=0.3 -map 0 -map 1 -metadata artist=x", "b.mkv", &["audio-present", "metadata-person"]),
        ("-attach cover.jpg -metadata:s:t mimetype=image/jpeg", "c.mkv", &["metadata-preview"]),
        ("-i c.txt -map 0 -map_chapters 1", "d.mkv", &["chapters"]),
        ("-metadata location=+37.5+127/ -metadata date=2025", "e.mov", &["metadata-location", "metadata-time"]),
        ("-f lavfi -i sine=d=0.3 -map 0 -map 1", "f.avi", &["audio-present", "metadata-software"]),
    ] {
        scratch.ffmpeg(&format!("{video} {line} -c:v libx264 -pix_fmt yuv420p"), file);
        let (code, told) = rules(&scratch, file);
        for rule in rules_wanted {
            assert!(code == Some(1) && told.iter().any(|r| r == rule), "{file}, {rule}: {code:?} {told:?}");
        }
    }
}

#[test]
fn policies_baselines_and_severities_decide() {
    let scratch = Scratch::new();
    scratch.photo("in/a.png");
    scratch.withhold([&["redact", "in", "-o", "out", "-q"][..], &REGION_ONLY].concat()).ends_with(0);
    let mut bytes = fs::read(scratch.path("out/a.png")).unwrap();
    bytes.extend(b"x");
    let path = scratch.file("out/a.png", &bytes);
    let check = |more: &str| -> Run {
        scratch.withhold(format!("check out --targets faces {more}").split_whitespace().collect::<Vec<_>>())
    };
    check("").ends_with(1).tells(&["must not be published"]);
    check("--allow trailing-bytes").ends_with(0);
    check("--allow trailing-tapes").ends_with(2).tells(&["trailing-tapes"]);
    scratch.file("policy.json", br#"{"version": 1, "allow": ["residue"]}"#);
    check("--policy policy.json").ends_with(0);
    scratch.file("policy.json", br#"{"version": 1, "alow": ["residue"]}"#);
    check("--policy policy.json").ends_with(2);
    check("--policy nowhere.json").ends_with(2);
    let sum = std::process::Command::new("sha256sum").arg(path).output().expect("sha256sum is installed").stdout;
    let sum = String::from_utf8_lossy(&sum[..64]).into_owned();
    let baseline = |sum: &str, expires: &str| {
        let entry =
            serde_json::json!({"sha256": sum, "rules": ["trailing-bytes"], "reason": "looked at", "expires": expires});
        scratch.file("baseline.json", serde_json::json!({"version": 1, "entries": [entry]}).to_string().as_bytes());
    };
    baseline(&sum, "9999-12-31");
    check("--baseline baseline.json -v").ends_with(0).tells(&["looked at"]);
    baseline(&sum, "2020-02-02");
    check("--baseline baseline.json").ends_with(1).tells(&["accepted until 2020-02-02"]);
    baseline(&"0".repeat(64), "9999-12-31");
    check("--baseline baseline.json").ends_with(1);
}

#[test]
fn each_format_says_the_same() {
    let scratch = Scratch::new();
    scratch.photo("in/a.png");
    scratch.file("in/cut.png", b"\x89PNG\r\n\x1a\n");
    scratch.file("in/notes.xmp", b"x");
    let check =
        |format: &str| scratch.withhold(["check", "in", "--targets", "faces", "--format", format]).ends_with(3).stdout;
    let sarif: serde_json::Value = serde_json::from_str(&check("sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|r| r["ruleId"] == "sidecar"), "{results:?}");
    assert!(results.iter().all(|r| r["partialFingerprints"].is_object()), "{results:?}");
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
    let again: serde_json::Value = serde_json::from_str(&check("sarif")).unwrap();
    assert_eq!(sarif, again, "the same from run to run");
    let (junit, github) = (check("junit"), check("github"));
    assert!(junit.contains("name=\"sidecar\"") && junit.contains("<error"), "{junit}");
    assert!(github.lines().any(|l| l.starts_with("::error title=withhold sidecar::")), "{github}");
    for text in [sarif.to_string(), junit, github] {
        assert!(!text.contains("notes") && !text.contains("in/"), "no path unless it is asked for: {text}");
    }
}
