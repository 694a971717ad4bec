//! The strict photo readers against files of the encoders that withhold uses, clean ones and ones with planted residue.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;
use withhold::types::finding::Rule;
use withhold::types::geometry::Size;
use withhold::verify::structure::{Expect, Facts, PhotoFacts, inspect};

fn picture(width: u32, height: u32) -> DynamicImage {
    let pixel = |x: u32, y: u32| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y / 3) as u8]);
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn read(data: &[u8]) -> withhold::Result<PhotoFacts> {
    match inspect(&data.to_vec(), &Expect::default())? {
        Facts::Photo(facts) => Ok(facts),
        Facts::Clip(_) => panic!("a photo was read as a clip"),
    }
}

const FORMATS: [ImageFormat; 4] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff];

/// `data` with `more` at byte `at`.
fn with(data: &[u8], at: usize, more: &[u8]) -> Vec<u8> {
    [&data[..at], more, &data[at..]].concat()
}

fn expect_rule(name: &str, data: &[u8], rule: Rule) {
    let facts = read(data).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(facts.findings.iter().any(|f| f.rule == rule), "{name}: {:?}", facts.findings);
}

#[test]
fn photos_of_all_sizes_are_clean() {
    for format in FORMATS {
        for (width, height) in [(1, 1), (8, 8), (17, 33), (250, 131), (640, 480)] {
            let facts = read(&encode(&picture(width, height), format)).unwrap_or_else(|e| panic!("{format:?}: {e}"));
            assert_eq!(facts, PhotoFacts { size: Size::new(width, height), findings: vec![] }, "{format:?}");
        }
    }
}

#[test]
fn gray_and_sixteen_bit_photos_are_clean() {
    let gray = DynamicImage::ImageLuma8(picture(37, 21).to_luma8());
    let deep = DynamicImage::ImageRgb16(picture(37, 21).to_rgb16());
    for (picture, format) in [
        (&gray, ImageFormat::Jpeg),
        (&gray, ImageFormat::Png),
        (&gray, ImageFormat::Tiff),
        (&deep, ImageFormat::Png),
        (&deep, ImageFormat::Tiff),
    ] {
        assert_eq!(read(&encode(picture, format)).unwrap().findings, [], "{format:?}");
    }
}

#[test]
fn bytes_behind_the_end_are_found_in_every_format() {
    for format in FORMATS {
        let data = encode(&picture(64, 48), format);
        // The parts of a TIFF may stand anywhere, so nothing in it is behind the end.
        let rule = if format == ImageFormat::Tiff { Rule::UnusedData } else { Rule::TrailingBytes };
        for more in [&b"x"[..], b"\0\0\0\0", b"a whole trailer"] {
            expect_rule(&format!("{format:?}"), &with(&data, data.len(), more), rule);
        }
    }
}

#[test]
fn hidden_colour_under_alpha_is_found() {
    let clear = DynamicImage::ImageRgba8(picture(20, 20).to_rgba8());
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        expect_rule(&format!("{format:?}"), &encode(&clear, format), Rule::HiddenPixels);
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff, marker];
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(body);
    out
}

#[test]
fn jpeg_residue_is_found() {
    let data = encode(&picture(64, 48), ImageFormat::Jpeg);
    let end = data.len() - 2;
    let first = 20;
    assert_eq!(data[first], 0xff, "the JFIF segment ends here");
    for (name, segment, rule) in [
        ("EXIF", segment(0xe1, b"Exif\0\0II*\0"), Rule::Metadata),
        ("XMP", segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), Rule::Metadata),
        ("profile", segment(0xe2, b"ICC_PROFILE\0\x01\x01"), Rule::Metadata),
        ("MPF", segment(0xe2, b"MPF\0II*\0"), Rule::ExtraPicture),
        ("IPTC", segment(0xed, b"Photoshop 3.0\0"), Rule::Metadata),
        ("comment", segment(0xfe, b"taken at home"), Rule::MetadataComment),
        (
            "second JFIF with a thumbnail",
            segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01abc"),
            Rule::MetadataPreview,
        ),
        ("unknown segment", segment(0xf3, b"abc"), Rule::UnknownPart),
    ] {
        expect_rule(name, &with(&data, first, &segment), rule);
    }
    expect_rule("behind the last block", &with(&data, end, b"hidden"), Rule::TrailingBytes);
    expect_rule("one byte behind the last block", &with(&data, end, &[0x5a]), Rule::TrailingBytes);
    let second = encode(&picture(16, 16), ImageFormat::Jpeg);
    expect_rule("second picture", &with(&data, data.len(), &second), Rule::ExtraPicture);
    assert!(read(&data[..end]).is_err(), "no end marker");
    assert!(read(&data[..end - 20]).is_err(), "cut off");
}

/// Tables take hundreds of bytes each, and decoders keep the last of a number.
#[test]
fn jpeg_tables_that_nothing_uses_are_found() {
    let data = encode(&picture(64, 48), ImageFormat::Jpeg);
    let scan = data.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    let quantization = |number: u8| segment(0xdb, &[&[number][..], &[7; 64]].concat());
    let huffman = |number: u8| segment(0xc4, &[&[number][..], &[0; 15], &[2], &[1, 2]].concat());
    for (name, more, rule) in [
        ("quantization of a number that no component has", quantization(3), Rule::UnusedData),
        ("quantization of two bytes a step", segment(0xdb, &[&[0x13][..], &[7; 128]].concat()), Rule::UnusedData),
        ("quantization that replaces another", quantization(0), Rule::UnusedData),
        ("codes of a number that no component has", huffman(0x13), Rule::UnusedData),
        ("codes that replace others", huffman(0x00), Rule::UnusedData),
        ("restart intervals", segment(0xdd, &[0, 0]).repeat(2), Rule::UnusedData),
    ] {
        expect_rule(name, &with(&data, 20, &more), rule);
    }
    // Some cameras give a table again under a number of its own.
    let first = data.windows(2).position(|w| w == [0xff, 0xdb]).unwrap() + 5;
    let copy = segment(0xdb, &[&[3][..], &data[first..first + 64]].concat());
    for (name, more) in [("one restart interval", segment(0xdd, &[0, 0])), ("a copy of a table", copy.repeat(2))] {
        assert_eq!(read(&with(&data, scan, &more)).unwrap().findings, [], "{name}");
    }
}

/// Subsampled chroma and restart markers, as other encoders write them.
#[test]
fn the_scan_is_walked_whatever_its_sampling_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("420", "-pix_fmt yuvj420p"),
        ("422", "-pix_fmt yuvj422p"),
        ("444", "-pix_fmt yuvj444p"),
        ("slices", "-pix_fmt yuvj420p -threads 4 -slices 4"),
    ] {
        let path = folder.path().join(format!("{name}.jpg"));
        let done = std::process::Command::new("ffmpeg")
            .args("-loglevel error -nostdin -f lavfi -i testsrc=s=333x171 -frames:v 1 -flags +bitexact".split(' '))
            .args(options.split(' '))
            .arg(&path)
            .status()
            .unwrap();
        assert!(done.success(), "{name}");
        let data = std::fs::read(&path).unwrap();
        let facts = read(&data).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(facts, PhotoFacts { size: Size::new(333, 171), findings: vec![] }, "{name}");
        expect_rule(name, &with(&data, data.len() - 2, b"hidden"), Rule::TrailingBytes);
    }
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    out.extend(crc32fast::hash(&out[4..]).to_be_bytes());
    out
}

#[test]
fn png_residue_is_found() {
    let data = encode(&picture(64, 48), ImageFormat::Png);
    let (first, end) = (33, data.len() - 12);
    assert_eq!(&data[end + 4..end + 8], b"IEND");
    for (name, body, rule) in [
        ("text", chunk(b"tEXt", b"Author\0x"), Rule::MetadataPerson),
        ("EXIF", chunk(b"eXIf", b"II*\0"), Rule::Metadata),
        ("time", chunk(b"tIME", &[7; 7]), Rule::MetadataTime),
        ("profile", chunk(b"iCCP", b"x\0\0"), Rule::Metadata),
        ("animation", chunk(b"acTL", &[0; 8]), Rule::ExtraPicture),
        ("private chunk", chunk(b"prVt", b"abc"), Rule::UnknownPart),
    ] {
        expect_rule(name, &with(&data, first, &body), rule);
        expect_rule(name, &with(&data, end, &body), rule);
    }
    expect_rule("data behind the zlib stream", &with(&data, end, &chunk(b"IDAT", b"hidden")), Rule::UnusedData);
    expect_rule("second end", &with(&data, data.len(), &chunk(b"IEND", b"")), Rule::TrailingBytes);
    assert_eq!(read(&with(&data, first, &chunk(b"sRGB", &[0]))).unwrap().findings, []);
    let mut wrong = data.clone();
    wrong[40] ^= 1;
    assert!(read(&wrong).is_err(), "a wrong checksum");
}

#[test]
fn png_rows_behind_the_picture_are_found() {
    // A header that says one row less than the data has.
    let data = encode(&picture(16, 16), ImageFormat::Png);
    let mut header = data[16..29].to_vec();
    header[7] = 15;
    let shorter = [&data[..8], &chunk(b"IHDR", &header), &data[33..]].concat();
    expect_rule("one row more", &shorter, Rule::UnusedData);
    header[7] = 17;
    let longer = [&data[..8], &chunk(b"IHDR", &header), &data[33..]].concat();
    assert!(read(&longer).is_err());
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let size = (chunks.len() as u32 + 4).to_le_bytes();
    [b"RIFF", size.as_slice(), b"WEBP", chunks].concat()
}

fn webp_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let pad = vec![0; body.len() % 2];
    [kind.as_slice(), &(body.len() as u32).to_le_bytes(), body, &pad].concat()
}

#[test]
fn webp_residue_is_found() {
    let data = encode(&picture(64, 48), ImageFormat::WebP);
    let chunks = &data[12..];
    for (kind, rule) in [
        (b"EXIF", Rule::Metadata),
        (b"XMP ", Rule::Metadata),
        (b"ICCP", Rule::Metadata),
        (b"ANMF", Rule::ExtraPicture),
        (b"ALPH", Rule::HiddenPixels),
        (b"VP8X", Rule::UnknownPart),
        (b"VP8L", Rule::UnknownPart),
        (b"abcd", Rule::UnknownPart),
    ] {
        let more = webp_chunk(kind, b"secret!");
        expect_rule(&String::from_utf8_lossy(kind), &riff(&[chunks, &more].concat()), rule);
    }
    assert!(read(&data[..data.len() - 3]).is_err(), "cut off");
}

#[test]
fn tiff_residue_is_found() {
    let data = encode(&picture(64, 48), ImageFormat::Tiff);
    let word = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap()) as usize;
    let directory = word(4);
    let count = usize::from(u16::from_le_bytes([data[directory], data[directory + 1]]));
    // The last tag becomes another, larger one: the order stays.
    let last = directory + 2 + (count - 1) * 12;
    for (tag, rule) in
        [(700u16, Rule::Metadata), (34665, Rule::Metadata), (34853, Rule::MetadataLocation), (50000, Rule::UnknownPart)]
    {
        let mut bad = data.clone();
        bad[last..last + 2].copy_from_slice(&tag.to_le_bytes());
        expect_rule(&format!("tag {tag}"), &bad, rule);
    }
    // Resolution unit (296): neighbours of its number say who made the picture and when.
    let unit = (0..count).map(|i| directory + 2 + i * 12).find(|at| data[*at..at + 2] == 296u16.to_le_bytes()).unwrap();
    for (tag, rule) in [
        (305u16, Rule::MetadataSoftware),
        (306, Rule::MetadataTime),
        (315, Rule::MetadataPerson),
        (330, Rule::ExtraPicture),
    ] {
        let mut bad = data.clone();
        bad[unit..unit + 2].copy_from_slice(&tag.to_le_bytes());
        expect_rule(&format!("tag {tag}"), &bad, rule);
    }
    let mut pages = data.clone();
    pages[directory + 2 + count * 12] = 8;
    expect_rule("second page", &pages, Rule::ExtraPicture);
}

#[test]
fn cut_off_photos_are_errors() {
    for format in FORMATS {
        let data = encode(&picture(40, 30), format);
        for len in (0..data.len()).step_by(11) {
            assert!(read(&data[..len]).is_err(), "{format:?} cut at {len}");
        }
    }
}

fn samples() -> &'static [Vec<u8>] {
    static DATA: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    DATA.get_or_init(|| FORMATS.iter().map(|f| encode(&picture(40, 30), *f)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever is done to a photo, its reader answers.
    #[test]
    fn damaged_photos_never_panic(
        which in 0usize..4,
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut data = samples()[which].clone();
        for (at, value) in edits {
            let at = at.index(data.len());
            data[at] = value;
        }
        if cuts {
            data.truncate(cut.index(data.len()));
        }
        let _ = inspect(&data, &Expect::default());
    }
}
