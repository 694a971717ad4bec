//! The strict MP4 reader against files of the FFmpeg command, clean ones and ones with planted residue.

mod common;
mod samples;

use proptest::prelude::*;
use withhold::types::finding::Rule;
use withhold::types::geometry::Size;
use withhold::verify::structure::{Expect, inspect};

use common::{BOTH, H264, MUX, NO_SEI, VIDEO, boxed, clip, ffmpeg, find, grow, patch, plain, read};

#[test]
fn clean_clips_have_no_findings() {
    let cases = [
        ("h264", format!("{H264} {NO_SEI}"), "-movflags +faststart", "avc1"),
        ("h264, no b-frames", format!("{H264} -bf 0 {NO_SEI}"), "-movflags +faststart", "avc1"),
        ("h264, several key frames", format!("{H264} -g 7 {NO_SEI}"), "", "avc1"),
        ("h264 4:4:4 10 bit", format!("-pix_fmt yuv444p10le {H264} {NO_SEI}"), "", "avc1"),
        ("h264 interlaced", format!("{H264} -flags +ilme+ildct {NO_SEI}"), "", "avc1"),
        ("h264 sar", format!("-vf setsar=4/3 {H264} {NO_SEI}"), "-movflags +faststart", "avc1"),
        (
            "h265",
            "-c:v libx265 -x265-params log-level=none:info=0 -bsf:v filter_units=remove_types=39-40".into(),
            "-tag:v hvc1",
            "hvc1",
        ),
        ("vp9", "-c:v libvpx-vp9 -cpu-used 8".into(), "", "vp09"),
        ("av1", "-c:v libaom-av1 -cpu-used 8".into(), "", "av01"),
    ];
    for (name, encode, mux, codec) in cases {
        let facts = read(&clip(&encode, mux), false).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(facts.findings, [], "{name}");
        assert_eq!((facts.codec.as_str(), facts.size, facts.sample_count), (codec, Size::new(322, 184), 25), "{name}");
        let step = i64::from(facts.timescale) / 25;
        assert_eq!(facts.pts, (0..25).map(|i| i * step).collect::<Vec<_>>(), "{name}");
        assert_eq!((facts.end, facts.has_audio), (25 * step, false), "{name}");
    }
}

#[test]
fn audio_is_a_finding_unless_it_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for codec in ["aac", "libopus -ac 2"] {
        let line = format!("{BOTH} {H264} {NO_SEI} -c:a {codec} -fflags +bitexact -flags +bitexact -flags:a +bitexact");
        ffmpeg(folder.path(), &line, "both.nut");
        let data = ffmpeg(folder.path(), &format!("-i both.nut -c copy {MUX}"), "out.mp4");
        let facts = read(&data, true).unwrap();
        assert_eq!(facts.findings, [], "{codec}");
        assert!(facts.has_audio);
        let rules: Vec<Rule> = read(&data, false).unwrap().findings.iter().map(|f| f.rule).collect();
        assert_eq!(rules, [Rule::AudioPresent], "{codec}");
    }
}

#[test]
fn an_aac_encoder_that_names_itself_is_found() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), &format!("{BOTH} {H264} {NO_SEI} -c:a aac"), "both.nut");
    let data = ffmpeg(folder.path(), &format!("-i both.nut -c copy {MUX}"), "out.mp4");
    let rules: Vec<Rule> = read(&data, true).unwrap().findings.iter().map(|f| f.rule).collect();
    assert_eq!(rules, [Rule::EncoderString]);
}

const STSD: [&str; 6] = ["moov", "trak", "mdia", "minf", "stbl", "stsd"];

/// Each residue in a file of its own.
#[test]
fn planted_residue_in_boxes_is_found() {
    let base = plain();
    assert_eq!(read(&base, false).unwrap().findings, []);
    let append = |more: &[u8]| [base.as_slice(), more].concat();
    let trak = ["moov", "trak"];
    let stbl = ["moov", "trak", "mdia", "minf", "stbl"];
    let elst_start = 8 + 4 + 4;
    let stsd = &base[find(&base, &STSD)];
    // Offsets of content, behind the header of `stsd`.
    let of_stsd = |kind: &[u8]| stsd.windows(4).position(|w| w == kind).expect("the box is there") - 4;
    let (config, rates) = (of_stsd(b"avcC"), of_stsd(b"btrt"));
    let config_end = config - 8 + usize::from(stsd[config + 3]);
    let cases = [
        ("user data", grow(base.clone(), &["moov"], &boxed("udta", b"hello")), Rule::Metadata),
        ("a tag", grow(base.clone(), &["moov", "udta", "meta"], &boxed("free", b"x")), Rule::UnknownPart),
        ("meta in a track", grow(base.clone(), &trak, &boxed("meta", b"hello")), Rule::Metadata),
        ("free with content", append(&boxed("free", b"secret")), Rule::UnknownPart),
        ("two empty free", append(&[boxed("free", b""), boxed("free", b"")].concat()), Rule::UnknownPart),
        ("free in the index", grow(base.clone(), &["moov"], &boxed("free", b"")), Rule::UnknownPart),
        ("uuid", append(&boxed("uuid", &[7; 32])), Rule::UnknownPart),
        ("unknown box", append(&boxed("xyzw", b"")), Rule::UnknownPart),
        ("second mdat", append(&boxed("mdat", b"old")), Rule::UnusedData),
        ("unknown table", grow(base.clone(), &stbl, &boxed("xtbl", b"abcd")), Rule::UnknownPart),
        ("three bytes behind", append(b"abc"), Rule::TrailingBytes),
        ("a JPEG behind", append(&[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F']), Rule::TrailingBytes),
        ("samples that no chunk names", grow(base.clone(), &["mdat"], b"left over"), Rule::UnusedData),
        ("creation time", patch(base.clone(), &["moov", "mvhd"], 7, 9), Rule::MetadataTime),
        ("track time", patch(base.clone(), &["moov", "trak", "tkhd"], 7, 9), Rule::MetadataTime),
        ("media time", patch(base.clone(), &["moov", "trak", "mdia", "mdhd"], 7, 9), Rule::MetadataTime),
        ("language", patch(base.clone(), &["moov", "trak", "mdia", "mdhd"], 20, 0x15), Rule::Metadata),
        ("disabled track", patch(base.clone(), &["moov", "trak", "tkhd"], 3, 2), Rule::ExtraTrack),
        ("rotation", patch(base.clone(), &["moov", "trak", "tkhd"], 41, 0), Rule::Orientation),
        ("cut by size", patch(base.clone(), &["moov", "trak", "tkhd"], 77, 0x22), Rule::CroppedPicture),
        (
            "edit list",
            patch(base.clone(), &["moov", "trak", "edts", "elst"], elst_start - 4 + 2, 0x20),
            Rule::HiddenFrames,
        ),
        (
            "short edit",
            patch(base.clone(), &["moov", "trak", "edts", "elst"], elst_start - 8 + 2, 1),
            Rule::HiddenFrames,
        ),
        ("speed", patch(base.clone(), &["moov", "trak", "edts", "elst"], elst_start + 1, 2), Rule::FrameTable),
        ("outside data", patch(base.clone(), &["moov", "trak", "mdia", "minf", "dinf"], 27, 0), Rule::Residue),
        ("handler reserved", patch(base.clone(), &["moov", "trak", "mdia", "hdlr"], 12, b'x'), Rule::Residue),
        (
            "encoder name",
            patch(base.clone(), &["moov", "trak", "mdia", "minf", "stbl", "stsd"], 8 + 8 + 43, b'L'),
            Rule::EncoderString,
        ),
        ("brand", patch(base.clone(), &["ftyp"], 1, b'z'), Rule::Residue),
        ("minor version", patch(base.clone(), &["ftyp"], 5, b'S'), Rule::Residue),
        ("level", patch(base.clone(), &STSD, config + 3, 0x77), Rule::Residue),
        ("format", patch(base.clone(), &STSD, config_end - 4, 0xfe), Rule::Residue),
        ("reserved bits", patch(base.clone(), &STSD, config + 4, 3), Rule::Residue),
        ("buffer", patch(base.clone(), &STSD, rates, b'S'), Rule::Residue),
        ("highest bit rate", patch(base.clone(), &STSD, rates + 4, 0xf0), Rule::Residue),
        ("bit rate", patch(base.clone(), &STSD, rates + 9, 0x7f), Rule::Residue),
    ];
    for (name, data, rule) in cases {
        let facts = read(&data, false).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(facts.findings.iter().any(|f| f.rule == rule), "{name}: {:?}", facts.findings);
    }
}

#[test]
fn planted_residue_in_streams_is_found() {
    let x264 = |extra: &str| clip(&format!("{H264} {extra}"), "");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.srt"), "1\n00:00:00,000 --> 00:00:01,000\nname\n").unwrap();
    std::fs::write(
        folder.path().join("c.txt"),
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=x\n",
    )
    .unwrap();
    let full = |inputs: &str, options: &str| {
        ffmpeg(folder.path(), &format!("{VIDEO} {H264} {NO_SEI}"), "v.nut");
        ffmpeg(
            folder.path(),
            &format!("-i v.nut {inputs} -c:v copy {options} -fflags +bitexact -flags +bitexact"),
            "o.mp4",
        )
    };
    let quiet = "-map_metadata -1 -empty_hdlr_name 1";
    let h265 = "-c:v libx265 -x265-params log-level=none";
    let cases = [
        ("settings SEI", x264(""), Rule::EncoderString),
        ("delimiters", x264("-bsf:v filter_units=remove_types=6,h264_metadata=aud=insert"), Rule::Residue),
        ("repeated parameter sets", x264("-bsf:v filter_units=remove_types=6,dump_extra"), Rule::Residue),
        (
            "own SEI",
            x264(
                "-bsf:v filter_units=remove_types=6,h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+hi",
            ),
            Rule::StreamData,
        ),
        ("cropped", x264("-bsf:v filter_units=remove_types=6,h264_metadata=crop_right=100"), Rule::CroppedPicture),
        ("cropped left", x264("-bsf:v filter_units=remove_types=6,h264_metadata=crop_left=2"), Rule::CroppedPicture),
        (
            "filler",
            x264(
                "-b:v 900k -minrate 900k -maxrate 900k -bufsize 900k -x264-params nal-hrd=cbr:filler=1 -bsf:v filter_units=remove_types=6",
            ),
            Rule::Residue,
        ),
        ("h265 SEI", clip(h265, "-tag:v hvc1"), Rule::EncoderString),
        (
            "h265 SEI beside the parameter sets",
            clip(&format!("{h265} -bsf:v filter_units=remove_types=39-40"), "-tag:v hvc1"),
            Rule::EncoderString,
        ),
        (
            "h265 cropped",
            clip(
                &format!("{h265}:info=0 -bsf:v filter_units=remove_types=39-40,hevc_metadata=crop_right=64"),
                "-tag:v hvc1",
            ),
            Rule::CroppedPicture,
        ),
        ("mpeg-4 part 2", clip("-c:v mpeg4", ""), Rule::Residue),
        ("handler name", full("", "-map_metadata -1"), Rule::HandlerName),
        ("title", full("", "-metadata title=x -empty_hdlr_name 1"), Rule::MetadataComment),
        ("language", full("", &format!("{quiet} -metadata:s:v language=kor")), Rule::Metadata),
        ("chapters", full("-i c.txt", &format!("{quiet} -map_chapters 1")), Rule::Chapters),
        ("subtitles", full("-i s.srt", &format!("{quiet} -c:s mov_text")), Rule::Subtitles),
        ("timecode", full("", &format!("{quiet} -timecode 01:02:03:04")), Rule::Timecode),
        ("second video", full("-i v.nut", &format!("{quiet} -map 0:v -map 1:v")), Rule::ExtraTrack),
        ("rotation", full("", "-metadata:s:v rotate=90 -empty_hdlr_name 1"), Rule::Orientation),
    ];
    for (name, data, rule) in cases {
        let facts = read(&data, false).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(facts.findings.iter().any(|f| f.rule == rule), "{name}: {:?}", facts.findings);
    }
}

#[test]
fn a_cut_that_hides_frames_by_an_edit_list_is_found() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(folder.path(), &format!("{VIDEO} {H264} {NO_SEI}"), "v.mp4");
    // Copying from the middle of a group keeps the frames before and hides them.
    let data = ffmpeg(folder.path(), &format!("-ss 0.5 -i v.mp4 -c copy {MUX}"), "cut.mp4");
    let facts = read(&data, false).unwrap();
    assert!(
        facts.findings.iter().any(|f| f.rule == Rule::HiddenFrames && f.message.contains("hides")),
        "{:?}",
        facts.findings
    );
}

#[test]
fn irregular_times_are_told_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "{VIDEO} -vf select='not(mod(n\\,3))+eq(n\\,4)' -vsync vfr {H264} {NO_SEI} -video_track_timescale 12800"
    );
    let data = ffmpeg(folder.path(), &line, "vfr.mp4");
    let frames: Vec<i64> = (0..25).filter(|n| n % 3 == 0 || *n == 4).map(|n| n * 512).collect();
    let facts = read(&data, false).unwrap();
    assert_eq!((facts.timescale, facts.pts), (12800, frames));
}

#[test]
fn cut_off_files_are_errors_or_findings() {
    let data = clip(&format!("{H264} {NO_SEI}"), "-movflags +faststart");
    for len in (0..data.len()).step_by(37) {
        assert!(read(&data[..len], false).is_err(), "cut at {len}");
    }
}

/// An entry for no sample may hold anything.
#[test]
fn tables_with_empty_entries_are_errors() {
    let base = plain();
    for (name, entry) in [("stts", [0u32, 0x5345_4352]), ("ctts", [0, 0x5345_4352])] {
        let path = ["moov", "trak", "mdia", "minf", "stbl", name];
        let bytes: Vec<u8> = entry.iter().flat_map(|n| n.to_be_bytes()).collect();
        let mut data = grow(base.clone(), &path, &bytes);
        let count = find(&data, &path).start + 12;
        data[count + 3] += 1;
        let told = read(&data, false).expect_err(name).to_string();
        assert!(told.contains("an entry for no sample"), "{name}: {told}");
    }
}

fn clean() -> &'static [u8] {
    static DATA: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    DATA.get_or_init(|| clip(&format!("{H264} {NO_SEI}"), "-movflags +faststart"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever is done to the index, the reader answers.
    #[test]
    fn damaged_files_never_panic(edits in proptest::collection::vec((0usize..1200, any::<u8>()), 1..6)) {
        let mut data = clean().to_vec();
        for (at, value) in edits {
            data[at] = value;
        }
        let _ = inspect(&data, &Expect::default());
    }

    #[test]
    fn noise_behind_a_box_header_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..1100) {
        let mut data = clean()[..cut].to_vec();
        data.extend(noise);
        let _ = inspect(&data, &Expect::default());
    }
}
