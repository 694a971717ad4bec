//! What may stand in the samples and the decoder configuration of a video track: coded pictures and parameter sets,
//! nothing that speaks to people. Facts from ITU-T H.264, H.265, the AV1 and VP9 bitstream specifications and
//! ISO/IEC 14496-15.

use super::bits::has_start_code;
use super::bytes::Cursor;
use super::sei::{self, Coding};
use super::{Findings, av1, damaged, fourcc, h264, h265, h265_sets, vp9};
use crate::error::Result;
use crate::types::finding::Rule;
use crate::types::geometry::Size;

/// What is wrong with a part of a sample.
pub(super) type Flaw = (Rule, &'static str);

/// Coding of a video track, and what is known of its pictures.
pub(super) enum Codec {
    /// Bytes of a NAL unit's length field.
    H264(usize, h264::Sets),
    H265(usize, h265::Sets),
    Vp9(vp9::Stream),
    Av1(av1::Stream),
}

impl Codec {
    /// Bytes of a NAL unit's length field, for codings that have some.
    pub(super) fn length_bytes(&self) -> Option<usize> {
        match self {
            Codec::H264(n, _) | Codec::H265(n, _) => Some(*n),
            Codec::Vp9(_) | Codec::Av1(_) => None,
        }
    }

    /// Checks one video sample; every byte of it must belong to a coded picture. `sample` is its number, for messages.
    pub(super) fn check_sample(&mut self, data: &[u8], sample: usize, found: &mut Findings) -> Result<()> {
        match self {
            Codec::H264(n, sets) => {
                sets.begin_sample();
                check_nals(data, *n, Coding::H264, sample, &mut |nal| sets.slice(nal), found)
            }
            Codec::H265(n, sets) => {
                sets.begin_sample();
                check_nals(data, *n, Coding::H265, sample, &mut |nal| sets.slice(nal), found)
            }
            Codec::Vp9(stream) => stream.sample(data, sample, found),
            Codec::Av1(stream) => stream.sample(data, sample, found),
        }
    }

    /// What only all samples together tell.
    pub(super) fn finish(&self, found: &mut Findings) {
        let unused = match self {
            Codec::H264(_, sets) => sets.unused(),
            Codec::H265(_, sets) => sets.unused(),
            Codec::Vp9(stream) => return stream.finish(found),
            Codec::Av1(stream) => return stream.finish(found),
        };
        if unused > 0 {
            found.push(Rule::UnusedData, format!("parameter sets that no picture uses: {unused}"));
        }
    }
}

/// Reads `avcC`, `hvcC`, `vpcC` or `av1C`.
pub(super) fn read_config(kind: &[u8], data: &[u8], shown: Size, found: &mut Findings) -> Result<Codec> {
    match kind {
        b"avcC" => read_avcc(data, shown, found),
        b"hvcC" => read_hvcc(data, shown, found),
        b"vpcC" => {
            let mut c = Cursor::new(data, "the vpcC box");
            let head = c.take(12)?;
            if head[10..12] != [0, 0] || !c.is_empty() {
                found.residue("the vpcC box carries initialization data");
            }
            Ok(Codec::Vp9(vp9::Stream::new(shown)))
        }
        b"av1C" => {
            let mut c = Cursor::new(data, "the av1C box");
            c.take(4)?;
            let mut stream = av1::Stream::default();
            stream.configure(c.rest(), found)?;
            Ok(Codec::Av1(stream))
        }
        other => Err(damaged(format!("unknown decoder configuration {}", fourcc(other)))),
    }
}

fn read_avcc(data: &[u8], shown: Size, found: &mut Findings) -> Result<Codec> {
    const PLACE: &str = "the avcC box";
    let mut c = Cursor::new(data, PLACE);
    let head = c.take(5)?;
    let (profile, length_bytes) = (head[1], usize::from(head[4] & 3) + 1);
    let mut sets = h264::Sets::default();
    let mut tails = Vec::new();
    let sps_count = c.u8()?;
    for _ in 0..sps_count & 31 {
        let len = c.u16()?;
        let nal = c.take(len.into())?;
        expect_type(nal, 7, PLACE, found);
        let sequence = h264::sequence(nal)?;
        check_window(&sequence.window, shown, found);
        if head[1..4] != sequence.head {
            found.residue("the avcC box gives another profile or level than its parameter sets");
        }
        // High profiles add chroma format, two depths and a count of sequence parameter set extensions.
        let [luma, chroma] = sequence.depths;
        tails.push([0xfc | sequence.chroma, 0xf8 | luma, 0xf8 | chroma, 0].map(|n| n as u8));
        tell_set(sets.add_sequence(sequence), PLACE, found);
    }
    for _ in 0..c.u8()? {
        let len = c.u16()?;
        let nal = c.take(len.into())?;
        expect_type(nal, 8, PLACE, found);
        tell_set(sets.add_picture(nal)?, PLACE, found);
    }
    let tail = c.rest();
    let is_high = !matches!(profile, 66 | 77 | 88);
    let is_tail_known = tail.is_empty() || is_high && tails.iter().all(|t| t == tail);
    if !is_tail_known {
        found.residue(format!("{} bytes behind the parameter sets of the avcC box", tail.len()));
    }
    if head[4] >> 2 != 0x3f || sps_count >> 5 != 7 {
        found.residue("reserved bits of the avcC box are used");
    }
    Ok(Codec::H264(length_bytes, sets))
}

fn tell_set(flaw: Option<&str>, place: &str, found: &mut Findings) {
    if let Some(flaw) = flaw {
        found.residue(format!("{place} holds {flaw}"));
    }
}

fn expect_type(nal: &[u8], kind: u8, place: &str, found: &mut Findings) {
    if nal.first().is_none_or(|b| b & 0x9f != kind) {
        found.residue(format!("{place} holds something else than parameter sets"));
    }
}

fn read_hvcc(data: &[u8], shown: Size, found: &mut Findings) -> Result<Codec> {
    const PLACE: &str = "the hvcC box";
    let mut c = Cursor::new(data, PLACE);
    let head = c.take(22)?;
    let length_bytes = usize::from(head[21] & 3) + 1;
    let mut sets = h265::Sets::default();
    for _ in 0..c.u8()? {
        let kind = c.u8()? & 63;
        for _ in 0..c.u16()? {
            let len = c.u16()?;
            let nal = c.take(len.into())?;
            let real = nal.first().map(|b| b >> 1 & 63);
            if !nal.is_empty() && is_sei(nal, Coding::H265) {
                sei::tell(nal, Coding::H265, true, PLACE, found);
                continue;
            }
            if real != Some(kind) || !(32..=34).contains(&kind) {
                found.residue(format!("the hvcC box holds a NAL unit of type {}", real.unwrap_or(kind)));
                continue;
            }
            let flaw = match kind {
                32 => sets.add_video(nal)?,
                33 => {
                    let sequence = h265_sets::sequence(nal)?;
                    check_window(&sequence.window, shown, found);
                    let [luma, chroma] = sequence.depths;
                    let format = [0xfc | sequence.chroma, 0xf8 | luma, 0xf8 | chroma].map(|n| n as u8);
                    // Android's muxer leaves the chroma format out.
                    let is_format = head[17..19] == format[1..] && (head[16] == format[0] || head[16] == 0xfc);
                    if head[1..13] != sequence.level || !is_format {
                        found.residue("the hvcC box gives another profile, level or format than its parameter sets");
                    }
                    sets.add_sequence(sequence)
                }
                _ => sets.add_picture(nal)?,
            };
            tell_set(flaw, PLACE, found);
        }
    }
    if !c.is_empty() {
        found.residue(format!("{} bytes behind the parameter sets of the hvcC box", c.len()));
    }
    if head[13] >> 4 != 15 || head[15] >> 2 != 0x3f {
        found.residue("reserved bits of the hvcC box are used");
    }
    Ok(Codec::H265(length_bytes, sets))
}

/// Coded size, the cropping inside it and the block size that sizes round up to; luma samples.
pub(super) struct Window {
    pub coded: (u64, u64),
    pub left: u64,
    pub right: u64,
    pub top: u64,
    pub bottom: u64,
    pub block: (u64, u64),
}

/// Cropping may only undo the rounding up to whole blocks: anything more hides picture that a player can show.
fn check_window(w: &Window, shown: Size, found: &mut Findings) {
    if w.left > 0 || w.top > 0 || w.right >= w.block.0 || w.bottom >= w.block.1 {
        found.push(Rule::CroppedPicture, "the video is cropped: its stream holds more picture than is shown");
    }
    let visible = (w.coded.0.checked_sub(w.left + w.right), w.coded.1.checked_sub(w.top + w.bottom));
    if visible != (Some(shown.width.into()), Some(shown.height.into())) {
        found.push(Rule::CroppedPicture, "the size in the video's parameter sets is not the size in the container");
    }
}

/// Checks the cropping of a sequence parameter set; one that cannot be read is left to the decoder.
pub(super) fn check_sequence(nal: &[u8], coding: Coding, shown: Size, found: &mut Findings) {
    let window = match coding {
        Coding::H264 => h264::sequence(nal).map(|s| s.window),
        Coding::H265 => h265_sets::sequence(nal).map(|s| s.window),
    };
    if let Ok(window) = window {
        check_window(&window, shown, found);
    }
}

fn h264_fault(nal: &[u8]) -> Option<&'static str> {
    match nal[0] & 31 {
        1 | 5 => None,
        7 | 8 | 13 | 15 => Some("a parameter set outside of the avcC box"),
        9 => Some("an access unit delimiter"),
        12 => Some("filler data"),
        _ => Some("a NAL unit of unknown purpose"),
    }
}

fn h265_fault(nal: &[u8]) -> Option<&'static str> {
    let layer = u16::from(nal[0] & 1) << 5 | nal.get(1).map_or(63, |b| u16::from(b >> 3));
    match nal[0] >> 1 & 63 {
        0..=9 | 16..=21 if layer == 0 => None,
        0..=31 if layer != 0 => Some("a second layer"),
        32..=34 => Some("a parameter set outside of the hvcC box"),
        35 => Some("an access unit delimiter"),
        38 => Some("filler data"),
        _ => Some("a NAL unit of unknown purpose"),
    }
}

fn is_sei(nal: &[u8], coding: Coding) -> bool {
    match coding {
        Coding::H264 => nal[0] & 31 == 6,
        Coding::H265 => matches!(nal[0] >> 1 & 63, 39 | 40),
    }
}

fn check_nals(
    data: &[u8],
    length_bytes: usize,
    coding: Coding,
    sample: usize,
    slice: &mut dyn FnMut(&[u8]) -> Option<Flaw>,
    found: &mut Findings,
) -> Result<()> {
    let fault = if coding == Coding::H264 { h264_fault } else { h265_fault };
    let mut c = Cursor::new(data, "a video sample");
    let mut pictures = 0;
    while !c.is_empty() {
        let len = c.take(length_bytes)?.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        let nal = c.take(len)?;
        if nal.is_empty() {
            found.residue(format!("sample {sample} holds an empty NAL unit"));
        } else if is_sei(nal, coding) {
            sei::tell(nal, coding, true, &format!("sample {sample}"), found);
        } else if let Some(what) = fault(nal) {
            found.residue(format!("sample {sample} holds {what}"));
        } else {
            pictures += 1;
            if let Some((rule, what)) = slice(nal) {
                found.push(rule, format!("sample {sample} holds {what}, {len} bytes"));
            }
            if nal.ends_with(&[0]) || nal.ends_with(&[0, 0, 3]) {
                found.residue(format!("sample {sample} has zero bytes behind a slice"));
            }
            // Some encoders fill up to whole words with zeros, which the line above tells.
            let end = nal.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            if has_start_code(&nal[..end]) {
                found
                    .push(Rule::UnusedData, format!("sample {sample} has bytes behind a slice that no slice can hold"));
            }
        }
    }
    if pictures == 0 {
        found.frame_table(format!("sample {sample} holds no picture"));
    }
    Ok(())
}

/// Strings that encoders leave inside audio frames.
pub(super) fn names_encoder(audio: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"Lavc", b"Lavf", b"LAME", b"libopus", b"libfaac"];
    NAMES.iter().any(|name| audio.windows(name.len()).any(|w| w == *name))
}
