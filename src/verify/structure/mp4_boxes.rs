//! Boxes of an MP4 file (ISO/IEC 14496-12): walking them, and the fixed ones that must have fixed content.

use super::bytes::Cursor;
use super::{Findings, damaged, fourcc};
use crate::error::Result;
use crate::types::finding::Rule;

/// Unity matrix of movie and track headers; anything else turns or moves the picture.
const UNITY: [u8; 36] =
    [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0];
/// Packed ISO 639-2 code `und`.
const UNDETERMINED: u16 = 0x55c4;
/// What FFmpeg's muxer writes as user data of a file without any tag: an empty list of items.
pub(super) const EMPTY_USER_DATA: &[u8] =
    b"\0\0\0\x35meta\0\0\0\0\0\0\0\x21hdlr\0\0\0\0\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0\0\0\0\x08ilst";
/// Brands that say which specification the file follows.
const BRANDS: [&[u8]; 16] = [
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41", b"mp42", b"avc1",
    b"av01", b"hvc1", b"hev1", b"vp09",
];

/// Minor versions of the first brand that muxers write; FFmpeg's is 512, Android's the same with its bytes turned round.
const MINOR_VERSIONS: [u32; 4] = [0, 1, 512, 512 << 8];

/// One box of a parent that lies in memory.
pub(super) struct Child<'a> {
    pub kind: &'a [u8],
    /// Without its header.
    pub data: &'a [u8],
}

/// Splits a parent's content into boxes that fill it exactly.
pub(super) fn children<'a>(data: &'a [u8], what: &'static str) -> Result<Vec<Child<'a>>> {
    let mut c = Cursor::new(data, what);
    let mut out = Vec::new();
    while !c.is_empty() {
        let size = c.u32()? as usize;
        let kind = c.take(4)?;
        let len = size.checked_sub(8).ok_or_else(|| damaged(format!("{what} holds a box without a size")))?;
        out.push(Child { kind, data: c.take(len)? });
    }
    Ok(out)
}

/// Version (0 or 1) and flags of a full box, and a cursor behind them.
pub(super) fn full_box<'a>(data: &'a [u8], what: &'static str) -> Result<(bool, u32, Cursor<'a>)> {
    let mut c = Cursor::new(data, what);
    let word = c.u32()?;
    match word >> 24 {
        v @ 0..=1 => Ok((v == 1, word & 0xff_ffff, c)),
        v => Err(damaged(format!("{what} has the unknown version {v}"))),
    }
}

pub(super) fn read_ftyp(data: &[u8], found: &mut Findings) -> Result<()> {
    let mut c = Cursor::new(data, "the ftyp box");
    let major = c.take(4)?;
    if !MINOR_VERSIONS.contains(&c.u32()?) {
        found.residue("the ftyp box gives a version that says nothing");
    }
    let mut brands = vec![major];
    while !c.is_empty() {
        brands.push(c.take(4)?);
    }
    for brand in brands.iter().filter(|b| !BRANDS.contains(b)) {
        found.residue(format!("unknown brand {} in the ftyp box", fourcc(brand)));
    }
    if brands.len() > BRANDS.len() {
        found.residue("the ftyp box repeats brands");
    }
    Ok(())
}

/// Movie header; gives the movie's timescale.
pub(super) fn read_mvhd(data: &[u8], found: &mut Findings) -> Result<u32> {
    let (long, flags, mut c) = full_box(data, "the mvhd box")?;
    let times = c.word(long)? | c.word(long)?;
    let timescale = c.u32()?;
    c.word(long)?;
    let fixed = c.take(16)? == [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        && c.take(36)? == UNITY
        && c.take(24)? == [0; 24];
    c.u32()?;
    if times != 0 {
        found.push(Rule::MetadataTime, "the movie header tells when the file was made");
    }
    if flags != 0 || !fixed || !c.is_empty() {
        found.residue("the movie header holds more than times");
    }
    if timescale == 0 { Err(damaged("the movie has no timescale")) } else { Ok(timescale) }
}

/// Track header; gives shown width and height in 1/65536 pixels.
pub(super) fn read_tkhd(data: &[u8], found: &mut Findings) -> Result<(u32, u32)> {
    let (long, flags, mut c) = full_box(data, "a tkhd box")?;
    let times = c.word(long)? | c.word(long)?;
    c.u32()?;
    let reserved = c.u32()?;
    c.word(long)?;
    let gap = c.u64()?;
    let layer = c.u16()?;
    // Alternate group and volume say nothing.
    c.u32()?;
    let tail = c.u16()?;
    let matrix = c.take(36)? == UNITY;
    let size = (c.u32()?, c.u32()?);
    if times != 0 {
        found.push(Rule::MetadataTime, "a track header tells when the track was made");
    }
    if flags & 3 != 3 || flags & !7 != 0 {
        found.push(Rule::ExtraTrack, "a track is disabled");
    }
    if reserved != 0 || gap != 0 || layer != 0 || tail != 0 || !c.is_empty() {
        found.residue("a track header holds bytes that mean nothing");
    }
    if !matrix {
        found.push(Rule::Orientation, "a track is turned or moved by a matrix");
    }
    Ok(size)
}

/// Media header; gives the track's timescale.
pub(super) fn read_mdhd(data: &[u8], found: &mut Findings) -> Result<u32> {
    let (long, flags, mut c) = full_box(data, "an mdhd box")?;
    let times = c.word(long)? | c.word(long)?;
    let timescale = c.u32()?;
    c.word(long)?;
    let language = c.u16()?;
    let quality = c.u16()?;
    if times != 0 {
        found.push(Rule::MetadataTime, "a media header tells when the track was made");
    }
    if language != UNDETERMINED {
        found.metadata("a track names a language");
    }
    if flags != 0 || quality != 0 || !c.is_empty() {
        found.residue("a media header holds bytes that mean nothing");
    }
    if timescale == 0 { Err(damaged("a track has no timescale")) } else { Ok(timescale) }
}

/// Handler box; gives the kind of the track (`vide`, `soun`, ...).
pub(super) fn read_hdlr<'a>(data: &'a [u8], found: &mut Findings) -> Result<&'a [u8]> {
    let (_, flags, mut c) = full_box(data, "an hdlr box")?;
    let before = c.u32()?;
    let kind = c.take(4)?;
    let reserved = c.take(12)?;
    let name = c.rest();
    if name.iter().any(|b| *b != 0) || name.len() > 1 {
        found.push(Rule::HandlerName, "a track has a handler name");
    }
    if flags != 0 || before != 0 || reserved != [0; 12] {
        found.residue("a handler box holds bytes that mean nothing");
    }
    Ok(kind)
}

/// Bit rates of a track: those that its samples have. Encoders give no average for a varying rate, and as the highest
/// rate and the size of the buffer what they were set to.
pub(super) fn check_btrt(data: &[u8], average: f64, found: &mut Findings) -> Result<()> {
    /// Share of the real average by which muxers miss it, for want of the last sample's length.
    const SLACK: f64 = 0.1;
    /// Bits a second of the highest levels of the codings.
    const MOST: u32 = 1_600_000_000;
    let mut c = Cursor::new(data, "a btrt box");
    let (buffer, highest, told) = (c.u32()?, c.u32()?, c.u32()?);
    let is_near = told == 0 || (f64::from(told) - average).abs() <= SLACK * average + 8.0;
    let is_plausible = highest <= MOST && u64::from(buffer) * 8 <= u64::from(MOST) && (highest > 0 || buffer == 0);
    if !is_near || !is_plausible {
        found.residue("a btrt box gives bit rates that the track does not have");
    }
    Ok(())
}

/// Data reference: samples must lie in this very file.
pub(super) fn check_dinf(data: &[u8], found: &mut Findings) {
    let own_file = b"\0\0\0\x1cdref\0\0\0\0\0\0\0\x01\0\0\0\x0curl \0\0\0\x01";
    if data != own_file {
        found.residue("a track refers to data outside of the file");
    }
}

/// Shift of a track's timeline as its edit list gives it.
#[derive(Clone, Copy, Default)]
pub(super) struct Edit {
    /// Empty time in front, ticks of the movie's timescale.
    pub lead_in: u64,
    /// First composition time that is shown and for how long (movie ticks); `None` without an edit.
    pub shown: Option<(i64, u64)>,
}

/// `edts`: at most one empty edit, then one at normal speed.
pub(super) fn read_edts(data: &[u8], found: &mut Findings) -> Result<Edit> {
    let boxes = children(data, "an edts box")?;
    let [Child { kind: b"elst", data }] = boxes.as_slice() else {
        found.residue("an edts box holds something else than an edit list");
        return Ok(Edit::default());
    };
    let (long, flags, mut c) = full_box(data, "an edit list")?;
    let mut edits = Vec::new();
    for _ in 0..c.u32()?.min(16) {
        let duration = c.word(long)?;
        let start = if long { c.u64()? as i64 } else { i64::from(c.u32()? as i32) };
        edits.push((duration, start, c.u32()?));
    }
    let plain = flags == 0 && c.is_empty() && edits.iter().all(|e| e.2 == 0x1_0000);
    let edit = match edits.as_slice() {
        [(duration, start, _)] if *start >= 0 => Edit { lead_in: 0, shown: Some((*start, *duration)) },
        [(lead_in, -1, _), (duration, start, _)] if *start >= 0 => {
            Edit { lead_in: *lead_in, shown: Some((*start, *duration)) }
        }
        _ => {
            found.push(Rule::HiddenFrames, "an edit list cuts or repeats parts of a track");
            return Ok(Edit::default());
        }
    };
    if !plain {
        found.frame_table("an edit list changes the speed of a track");
    }
    Ok(edit)
}
