//! What is planted into the samples of a clip: pictures that are not shown, and bytes beside the coded ones.

use std::io::Write;

use withhold::media::second::refused;
use withhold::types::finding::Rule;
use withhold::types::limits::Limits;

use super::common::{H264, NO_SEI, clip, find, plain, read};

/// The clip with its samples changed. Its index stands at the end and all samples in one chunk, as the helpers write it.
fn with_samples(data: &[u8], change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let table = |data: &[u8]| find(data, &["moov", "trak", "mdia", "minf", "stbl", "stsz"]);
    let mdat = find(data, &["mdat"]);
    assert!(mdat.end <= table(data).start, "the index stands at the end");
    let sizes = &data[table(data)][20..];
    let mut rest = &data[mdat.clone()][8..];
    let mut samples = Vec::new();
    for size in sizes.chunks(4) {
        let (sample, behind) = rest.split_at(u32::from_be_bytes(size.try_into().unwrap()) as usize);
        samples.push(sample.to_vec());
        rest = behind;
    }
    assert!(rest.is_empty(), "samples follow each other");
    let count = samples.len();
    change(&mut samples);
    assert_eq!(samples.len(), count);
    let content = samples.concat();
    let mut out = data[..mdat.start].to_vec();
    out.extend((content.len() as u32 + 8).to_be_bytes());
    out.extend(b"mdat");
    out.extend(content);
    out.extend(&data[mdat.end..]);
    let sizes = table(&out).start + 20;
    for (i, sample) in samples.iter().enumerate() {
        out[sizes + 4 * i..sizes + 4 * i + 4].copy_from_slice(&(sample.len() as u32).to_be_bytes());
    }
    out
}

/// A NAL unit with its length.
fn unit(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], content].concat()
}

/// Frames of VP9 with an index of two.
fn superframe(first: &[u8], second: &[u8]) -> Vec<u8> {
    let marker = [0b1101_1001];
    let sizes = [first, second].map(|f| (f.len() as u32).to_le_bytes()).concat();
    [first, second, &marker, &sizes, &marker].concat()
}

/// Units of AV1 (one byte of header, then the length) as header and content.
fn units(mut sample: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut out = Vec::new();
    while let [head, rest @ ..] = sample {
        let len_bytes = rest.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
        let len = rest[..len_bytes].iter().rev().fold(0usize, |n, b| n << 7 | usize::from(b & 0x7f));
        out.push((*head, rest[len_bytes..len_bytes + len].to_vec()));
        sample = &rest[len_bytes + len..];
    }
    out
}

fn of_units(units: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let one = |(head, content): &(u8, Vec<u8>)| {
        let mut out = vec![*head];
        let mut len = content.len();
        while len > 0x7f {
            out.push(len as u8 & 0x7f | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        [out, content.clone()].concat()
    };
    units.iter().flat_map(one).collect()
}

type Plant = fn(&mut Vec<Vec<u8>>);

#[track_caller]
fn expect_rules(base: &[u8], cases: &[(&str, Plant, Rule)]) {
    assert_eq!(read(base, false).unwrap().findings, []);
    assert_eq!(with_samples(base, |_| ()), base, "nothing is lost on the way");
    for (name, plant, rule) in cases {
        let facts = read(&with_samples(base, plant), false).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(facts.findings.iter().any(|f| f.rule == *rule), "{name}: {:?}", facts.findings);
    }
}

#[test]
fn planted_h264_slices_are_found() {
    expect_rules(
        &plain(),
        &[
            (
                "a picture at which decoding can start, behind",
                |s| s[24] = [&s[24][..], &s[0]].concat(),
                Rule::ExtraPicture,
            ),
            ("the same in front", |s| s[24] = [&s[0][..], &s[24]].concat(), Rule::ExtraPicture),
            ("the next picture", |s| s[3] = [&s[3][..], &s[4]].concat(), Rule::ExtraPicture),
            ("a slice twice", |s| s[24] = [&s[24][..], &s[24]].concat(), Rule::UnusedData),
            ("a key frame twice", |s| s[0] = [&s[0][..], &s[0]].concat(), Rule::UnusedData),
            (
                "a slice of nothing",
                |s| s[24].extend(unit(&[&[0x41, 0xf5][..], &[0x41; 40]].concat())),
                Rule::ExtraPicture,
            ),
            (
                "a key slice of nothing",
                |s| s[24].extend(unit(&[&[0x65, 0xf5][..], &[0x41; 40]].concat())),
                Rule::ExtraPicture,
            ),
            ("a slice without parameter set", |s| s[24].extend(unit(&[0x41, 0xd0, 0x10, 0x80])), Rule::UnusedData),
            ("zeros up to a whole word", |s| with_tail(&mut s[24], &[0; 6]), Rule::Residue),
            ("zero words behind a slice", |s| with_tail(&mut s[24], &[0, 0, 3, 0, 0, 3]), Rule::Residue),
            ("a start code behind a slice", |s| with_tail(&mut s[24], &[0, 0, 1, 0x65, 0x88]), Rule::UnusedData),
        ],
    );
}

/// Bytes behind the content of a sample's only unit.
fn with_tail(sample: &mut Vec<u8>, tail: &[u8]) {
    *sample = unit(&[&sample[4..], tail].concat());
}

#[test]
fn a_picture_of_several_slices_or_fields_is_one() {
    for (name, options) in [
        ("slices", "-x264-params slices=3"),
        ("small slices", "-x264-params slice-max-mbs=5"),
        ("interlaced slices", "-x264-params tff=1:slices=3"),
        ("arithmetic coder off", "-coder 0"),
        ("order by differences", "-profile:v baseline"),
        ("many references", "-bf 8 -x264-params b-pyramid=strict:weightp=2:open-gop=1:keyint=10"),
    ] {
        let facts = read(&clip(&format!("{H264} {options} {NO_SEI}"), ""), false).unwrap();
        assert_eq!(facts.findings, [], "{name}");
    }
    let base = clip(&format!("{H264} -x264-params slices=3 {NO_SEI}"), "");
    expect_rules(
        &base,
        &[
            ("the first slice is gone", |s| s[24] = split(&s[24])[1..].concat(), Rule::FrameTable),
            ("slices in another order", |s| s[24] = [&s[24][..], &split(&s[24])[1]].concat(), Rule::UnusedData),
            ("a slice of the next picture", |s| s[3] = [&s[3][..], &split(&s[4])[2]].concat(), Rule::ExtraPicture),
        ],
    );
}

/// Units of a sample, each with its length.
fn split(sample: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = sample;
    let mut out = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let (slice, behind) = behind.split_at(u32::from_be_bytes(*len) as usize);
        out.push(unit(slice));
        rest = behind;
    }
    out
}

#[test]
fn planted_h265_slices_are_found() {
    let options = "-c:v libx265 -x265-params log-level=none:info=0:slices=2 -bsf:v filter_units=remove_types=39-40";
    expect_rules(
        &clip(options, "-tag:v hvc1"),
        &[
            ("a second picture", |s| s[24] = [&s[24][..], &s[0]].concat(), Rule::ExtraPicture),
            ("the same in front", |s| s[24] = [&s[0][..], &s[24]].concat(), Rule::ExtraPicture),
            ("a picture twice", |s| s[24] = [&s[24][..], &s[24]].concat(), Rule::ExtraPicture),
            ("a slice twice", |s| s[24] = [&s[24][..], &split(&s[24])[1]].concat(), Rule::UnusedData),
            ("the first slice is gone", |s| s[24] = split(&s[24])[1..].concat(), Rule::FrameTable),
            ("a slice without parameter set", |s| s[24].extend(unit(&[2, 1, 0x10, 0x80, 0x80])), Rule::UnusedData),
        ],
    );
}

#[test]
fn planted_vp9_frames_are_found() {
    let base = clip("-c:v libvpx-vp9 -cpu-used 8 -lag-in-frames 0", "");
    expect_rules(
        &base,
        &[
            ("two shown frames", |s| s[24] = superframe(&s[0], &s[24]), Rule::ExtraPicture),
            ("a hidden frame that nothing uses", |s| s[0] = superframe(&hidden_key(&s[0]), &s[0]), Rule::HiddenFrames),
            ("no shown frame", |s| s[0] = hidden_key(&s[0]), Rule::FrameTable),
            ("a key frame that no index names", |s| s[24] = [&s[24][..], &s[0]].concat(), Rule::ExtraPicture),
            ("bytes behind a repeated frame", |s| s[24] = b"\x88hidden".to_vec(), Rule::UnusedData),
        ],
    );
    for (name, plant) in [
        ("no frame", (|s| s[24] = superframe(&s[24], b"hidden")) as Plant),
        ("bytes that the index does not name", |s| {
            let mut data = superframe(&s[0], &s[24]);
            data.splice(4..4, *b"hidden");
            s[24] = data;
        }),
    ] {
        assert!(read(&with_samples(&base, plant), false).is_err(), "{name}");
    }
}

/// A key frame that is not shown.
fn hidden_key(frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[0], 0x82, "profile 0, key, shown");
    [&[0x80], &frame[1..]].concat()
}

#[test]
fn planted_av1_units_are_found() {
    const SEQUENCE: u8 = 1;
    expect_rules(
        &clip("-c:v libaom-av1 -cpu-used 8 -lag-in-frames 0", ""),
        &[
            ("two shown frames", |s| s[24] = [&s[24][..], &s[0]].concat(), Rule::ExtraPicture),
            (
                "bytes behind the sequence header",
                |s| {
                    let mut all = units(&s[0]);
                    all.iter_mut().filter(|u| u.0 >> 3 == SEQUENCE).for_each(|u| u.1.extend(b"hidden"));
                    s[0] = of_units(&all);
                },
                Rule::Residue,
            ),
            (
                "a second sequence header",
                |s| {
                    let mut all = units(&s[0]);
                    let mut other = all.iter().find(|u| u.0 >> 3 == SEQUENCE).unwrap().clone();
                    // Another level.
                    other.1[1] ^= 1;
                    all.insert(1, other);
                    s[0] = of_units(&all);
                },
                Rule::Residue,
            ),
            (
                "bytes behind a repeated frame",
                |s| s[24] = of_units(&[(0x1a, b"\x88hidden".to_vec())]),
                Rule::UnusedData,
            ),
            (
                "a repeated header of another frame",
                |s| s[24].extend(of_units(&[(0x3a, b"hidden".to_vec())])),
                Rule::StreamData,
            ),
            ("padding", |s| s[24].extend(of_units(&[(0x7a, b"hidden".to_vec())])), Rule::StreamData),
        ],
    );
}

/// What only decoding tells.
#[test]
fn bytes_behind_the_last_tile_are_refused_by_the_second_decoder() {
    let sample = |data: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(data).unwrap();
        refused(file, &Limits::default(), || Ok(())).unwrap().map(|r| r.sample)
    };
    let (vp9, av1) =
        (clip("-c:v libvpx-vp9 -cpu-used 8 -lag-in-frames 0", ""), clip("-c:v libaom-av1 -cpu-used 8", ""));
    let in_last_unit: Plant = |s| {
        let mut all = units(&s[0]);
        all.last_mut().unwrap().1.extend(b"hidden");
        s[0] = of_units(&all);
    };
    let cases: [(&str, &[u8], Plant, Option<u64>); 6] = [
        ("VP9", &vp9, |_| (), None),
        ("VP9 with a tail", &vp9, |s| s[7].extend(b"hidden"), Some(7)),
        ("VP9 with a frame in front", &vp9, |s| s[7] = [&s[0][..], &s[7]].concat(), Some(7)),
        ("AV1", &av1, |_| (), None),
        ("AV1 with a tail", &av1, in_last_unit, Some(0)),
        ("another coding", &plain(), |_| (), None),
    ];
    for (name, base, plant, expected) in cases {
        assert_eq!(sample(&with_samples(base, plant)), expected, "{name}");
    }
}
