//! What may stand in the samples and the decoder configuration of a video track: coded pictures and parameter sets,
//! nothing that speaks to people. Facts from ITU-T H.264, H.265, the AV1 and VP9 bitstream specifications and
//! ISO/IEC 14496-15.

use super::bits::{BitReader, unescape};
use super::bytes::Cursor;
use super::sei::{self, Coding};
use super::{Findings, damaged, fourcc};
use crate::error::Result;
use crate::types::finding::Rule;
use crate::types::geometry::Size;

/// Coding of a video track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// Bytes of a NAL unit's length field.
    H264(usize),
    H265(usize),
    Vp9,
    Av1,
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
            Ok(Codec::Vp9)
        }
        b"av1C" => {
            let mut c = Cursor::new(data, "the av1C box");
            c.take(4)?;
            check_obus(c.rest(), &[1], "the av1C box", found)?;
            Ok(Codec::Av1)
        }
        other => Err(damaged(format!("unknown decoder configuration {}", fourcc(other)))),
    }
}

fn read_avcc(data: &[u8], shown: Size, found: &mut Findings) -> Result<Codec> {
    let mut c = Cursor::new(data, "the avcC box");
    let head = c.take(5)?;
    let (profile, length_bytes) = (head[1], usize::from(head[4] & 3) + 1);
    let sps_count = c.u8()? & 31;
    for _ in 0..sps_count {
        let len = c.u16()?;
        let nal = c.take(len.into())?;
        expect_type(nal, 7, "the avcC box", found);
        check_window(h264_window(nal)?, shown, found);
    }
    for _ in 0..c.u8()? {
        let len = c.u16()?;
        expect_type(c.take(len.into())?, 8, "the avcC box", found);
    }
    // High profiles add chroma format, two depths and a count of sequence parameter set extensions.
    let tail = c.rest();
    let tail_ok = tail.is_empty() || (!matches!(profile, 66 | 77 | 88) && tail.len() == 4 && tail[3] == 0);
    if !tail_ok {
        found.residue(format!("{} bytes behind the parameter sets of the avcC box", tail.len()));
    }
    Ok(Codec::H264(length_bytes))
}

fn expect_type(nal: &[u8], kind: u8, place: &str, found: &mut Findings) {
    if nal.first().is_none_or(|b| b & 0x9f != kind) {
        found.residue(format!("{place} holds something else than parameter sets"));
    }
}

fn read_hvcc(data: &[u8], shown: Size, found: &mut Findings) -> Result<Codec> {
    let mut c = Cursor::new(data, "the hvcC box");
    let length_bytes = usize::from(c.take(22)?[21] & 3) + 1;
    for _ in 0..c.u8()? {
        let kind = c.u8()? & 63;
        for _ in 0..c.u16()? {
            let len = c.u16()?;
            let nal = c.take(len.into())?;
            let real = nal.first().map(|b| b >> 1 & 63);
            if !nal.is_empty() && is_sei(nal, Coding::H265) {
                sei::tell(nal, Coding::H265, true, "the hvcC box", found);
            } else if real != Some(kind) || !(32..=34).contains(&kind) {
                found.residue(format!("the hvcC box holds a NAL unit of type {}", real.unwrap_or(kind)));
            } else if kind == 33 {
                check_window(h265_window(nal)?, shown, found);
            }
        }
    }
    if !c.is_empty() {
        found.residue(format!("{} bytes behind the parameter sets of the hvcC box", c.len()));
    }
    Ok(Codec::H265(length_bytes))
}

/// Coded size, the cropping inside it and the block size that sizes round up to; luma samples.
struct Window {
    coded: (u64, u64),
    left: u64,
    right: u64,
    top: u64,
    bottom: u64,
    block: (u64, u64),
}

/// Cropping may only undo the rounding up to whole blocks: anything more hides picture that a player can show.
fn check_window(w: Window, shown: Size, found: &mut Findings) {
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
    let window = if coding == Coding::H264 { h264_window(nal) } else { h265_window(nal) };
    if let Ok(window) = window {
        check_window(window, shown, found);
    }
}

/// ITU-T H.264, section 7.3.2.1.1.
fn h264_window(nal: &[u8]) -> Result<Window> {
    let data = unescape(nal.get(1..).unwrap_or_default());
    let mut b = BitReader::new(&data);
    let profile = b.bits(8)?;
    b.skip(16)?;
    b.ue()?;
    let mut chroma = 1;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = b.ue()?;
        if chroma == 3 {
            b.skip(1)?;
        }
        b.ue()?;
        b.ue()?;
        b.skip(1)?;
        if b.bit()? {
            skip_scaling_lists(&mut b, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    b.ue()?;
    skip_order_count(&mut b)?;
    b.ue()?;
    b.skip(1)?;
    let width = (u64::from(b.ue()?) + 1) * 16;
    let map_height = (u64::from(b.ue()?) + 1) * 16;
    let frames_only = b.bit()?;
    if !frames_only {
        b.skip(1)?;
    }
    b.skip(1)?;
    let fields = if frames_only { 1 } else { 2 };
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma == 1 { 2 } else { 1 } * fields;
    let crop = if b.bit()? { [b.ue()?, b.ue()?, b.ue()?, b.ue()?] } else { [0; 4] }.map(u64::from);
    Ok(Window {
        coded: (width, map_height * fields),
        left: crop[0] * unit_x,
        right: crop[1] * unit_x,
        top: crop[2] * unit_y,
        bottom: crop[3] * unit_y,
        block: (16, 16 * fields),
    })
}

fn skip_scaling_lists(b: &mut BitReader<'_>, lists: usize) -> Result<()> {
    for i in 0..lists {
        if !b.bit()? {
            continue;
        }
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..if i < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + b.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

fn skip_order_count(b: &mut BitReader<'_>) -> Result<()> {
    match b.ue()? {
        0 => b.ue().map(drop),
        1 => {
            b.skip(1)?;
            b.se()?;
            b.se()?;
            let cycle = b.ue()?;
            (0..cycle).try_for_each(|_| b.se().map(drop))
        }
        _ => Ok(()),
    }
}

/// ITU-T H.265, section 7.3.2.2.
fn h265_window(nal: &[u8]) -> Result<Window> {
    let data = unescape(nal.get(2..).unwrap_or_default());
    let mut b = BitReader::new(&data);
    b.skip(4)?;
    let sub_layers = b.bits(3)?;
    b.skip(1)?;
    // General profile, tier and level; then which of them each sub-layer repeats.
    b.skip(96)?;
    let present: Vec<(bool, bool)> = (0..sub_layers).map(|_| Ok((b.bit()?, b.bit()?))).collect::<Result<_>>()?;
    if sub_layers > 0 {
        b.skip(2 * (8 - sub_layers.min(8)))?;
    }
    for (profile, level) in present {
        b.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    b.ue()?;
    let chroma = b.ue()?;
    if chroma == 3 {
        b.skip(1)?;
    }
    let coded = (u64::from(b.ue()?), u64::from(b.ue()?));
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma == 1 { 2 } else { 1 };
    let crop = if b.bit()? { [b.ue()?, b.ue()?, b.ue()?, b.ue()?] } else { [0; 4] }.map(u64::from);
    b.ue()?;
    b.ue()?;
    b.ue()?;
    for _ in if b.bit()? { 0 } else { sub_layers }..=sub_layers {
        b.ue()?;
        b.ue()?;
        b.ue()?;
    }
    let log2_block = b.ue()?.saturating_add(3).min(6);
    Ok(Window {
        coded,
        left: crop[0] * unit_x,
        right: crop[1] * unit_x,
        top: crop[2] * unit_y,
        bottom: crop[3] * unit_y,
        block: (1 << log2_block, 1 << log2_block),
    })
}

/// Checks one video sample; every byte of it must belong to a coded picture. `sample` is its number, for messages.
pub(super) fn check_sample(codec: Codec, data: &[u8], sample: usize, found: &mut Findings) -> Result<()> {
    match codec {
        Codec::H264(n) => check_nals(data, n, Coding::H264, sample, found),
        Codec::H265(n) => check_nals(data, n, Coding::H265, sample, found),
        Codec::Av1 => check_obus(data, &[1, 3, 4, 6, 7], &format!("sample {sample}"), found),
        // A frame's own length is only known by decoding it.
        Codec::Vp9 if data.is_empty() => Err(damaged(format!("sample {sample} is empty"))),
        Codec::Vp9 => Ok(()),
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

fn check_nals(data: &[u8], length_bytes: usize, coding: Coding, sample: usize, found: &mut Findings) -> Result<()> {
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
            if nal.last() == Some(&0) {
                found.residue(format!("sample {sample} has zero bytes behind a slice"));
            }
        }
    }
    if pictures == 0 {
        found.frame_table(format!("sample {sample} holds no picture"));
    }
    Ok(())
}

/// AV1 open bitstream units: only types of `allowed`, AV1 specification section 5.3.
fn check_obus(data: &[u8], allowed: &[u8], place: &str, found: &mut Findings) -> Result<()> {
    let mut c = Cursor::new(data, "an AV1 unit");
    while !c.is_empty() {
        let head = c.u8()?;
        if head & 4 != 0 && c.u8()? != 0 {
            found.residue(format!("{place} holds a second AV1 layer"));
        }
        let len = if head & 2 != 0 { leb128(&mut c)? } else { c.len() };
        c.take(len)?;
        let kind = head >> 3 & 15;
        if !allowed.contains(&kind) {
            found.push(
                Rule::StreamData,
                format!("{place} holds an AV1 unit of type {kind} (metadata, padding or unknown)"),
            );
        }
    }
    Ok(())
}

fn leb128(c: &mut Cursor<'_>) -> Result<usize> {
    let mut value = 0u64;
    for i in 0..8 {
        let byte = c.u8()?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| damaged("an AV1 unit is too long"));
        }
    }
    Err(damaged("an AV1 unit has a length that does not end"))
}

/// Strings that encoders leave inside audio frames.
pub(super) fn names_encoder(audio: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"Lavc", b"Lavf", b"LAME", b"libopus", b"libfaac"];
    NAMES.iter().any(|name| audio.windows(name.len()).any(|w| w == *name))
}
