//! ISO base media files (MP4, QuickTime, 3GP, HEIC, AVIF) of any origin, read leniently.

use super::bytes::{Cursor, ReadAt, read_vec, size_of};
use super::mp4_boxes::{Child, EMPTY_USER_DATA, read_edts, read_hdlr, read_mdhd, read_mvhd, read_tkhd};
use super::mp4_codec::read_config;
use super::mp4_tags::{self, boxes};
use super::{Expect, Findings, heif, parts};
use crate::types::finding::Rule;
use crate::types::geometry::Size;

/// Bytes of an index or of a box of tags that are read.
const MAX_BOX_BYTES: u64 = 512 << 20;

/// Whether the first bytes of a file are those of a box that stands at the top.
pub(super) fn is_one(head: &[u8]) -> bool {
    const FIRST: [&[u8]; 10] =
        [b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"wide", b"free", b"skip", b"pnot", b"sidx"];
    head.get(4..8).is_some_and(|kind| FIRST.contains(&kind))
}

/// Tells what is in there.
pub(super) fn tell(file: &dyn ReadAt, expect: &Expect, found: &mut Findings) {
    let total = size_of(file).unwrap_or(0);
    let mut at = 0;
    let mut tracks = Tracks::default();
    while at < total {
        let head = read_vec(file, at, (total - at).min(16), 16).unwrap_or_default();
        let Some((kind, start, end)) = header(&head, at, total) else {
            let tail = read_vec(file, at, (total - at).min(1 << 20), 1 << 20).unwrap_or_default();
            parts::trailer(&tail, found);
            break;
        };
        let content = || read_vec(file, start, end - start, MAX_BOX_BYTES).unwrap_or_default();
        match &kind {
            b"ftyp" | b"styp" | b"mdat" | b"moof" | b"mfra" | b"sidx" | b"ssix" | b"pdin" | b"wide" => {}
            b"free" | b"skip" if start == end => {}
            b"moov" => moov(&content(), expect, &mut tracks, found),
            b"meta" => heif::tell(file, &content(), found),
            other => mp4_tags::unexpected(other, &content(), end - at, "beside the index", found),
        }
        at = end;
    }
}

/// As the strict reader's, but a box may reach to the end of the file.
fn header(head: &[u8], at: u64, total: u64) -> Option<([u8; 4], u64, u64)> {
    let mut c = Cursor::new(head, "a box header");
    let short = u64::from(c.u32().ok()?);
    let kind: [u8; 4] = c.take(4).ok()?.try_into().ok()?;
    let (header, size) = match short {
        0 => (8, total - at),
        1 => (16, c.u64().ok()?),
        n => (8, n),
    };
    let printable = kind.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | 0xa9));
    let end = at.checked_add(size)?;
    (printable && size >= header && end <= total).then_some((kind, at + header, end))
}

#[derive(Default)]
struct Tracks {
    video: usize,
    sound: usize,
}

fn moov(data: &[u8], expect: &Expect, tracks: &mut Tracks, found: &mut Findings) {
    for b in boxes(data) {
        match b.kind {
            // What cannot be read of fixed boxes, the decoder complains about.
            b"mvhd" => drop(read_mvhd(b.data, found)),
            b"trak" => trak(b.data, expect, tracks, found),
            b"mvex" | b"iods" => {}
            b"udta" if b.data == EMPTY_USER_DATA => {}
            b"pssh" => found.push(Rule::Metadata, "box pssh names a key system"),
            _ => mp4_tags::unexpected(b.kind, b.data, b.data.len() as u64 + 8, "in the index", found),
        }
    }
}

fn trak(data: &[u8], expect: &Expect, tracks: &mut Tracks, found: &mut Findings) {
    let (mut handler, mut coding) = (Vec::new(), Vec::new());
    walk(
        data,
        &mut |b, found| {
            match b.kind {
                b"tkhd" => drop(read_tkhd(b.data, found)),
                b"mdhd" => drop(read_mdhd(b.data, found)),
                b"edts" => drop(read_edts(b.data, found)),
                // Data handlers stand inside of `minf`; the first one is the media's.
                b"hdlr" if handler.is_empty() => {
                    handler = read_hdlr(b.data, found).unwrap_or_default().to_vec();
                }
                b"stsd" => coding = entry(b.data, found),
                b"udta" | b"meta" | b"uuid" | b"free" | b"skip" => {
                    mp4_tags::unexpected(b.kind, b.data, b.data.len() as u64 + 8, "in a track", found);
                }
                _ => {}
            }
        },
        found,
    );
    match handler.as_slice() {
        b"vide" => {
            tracks.video += 1;
            if tracks.video > 1 {
                found.push(Rule::ExtraTrack, "a second video track");
            }
        }
        b"soun" => {
            tracks.sound += 1;
            match tracks.sound {
                1 if expect.audio => {}
                1 => found.push(Rule::AudioPresent, "the file has an audio track"),
                _ => found.push(Rule::AudioPresent, "a second audio track"),
            }
        }
        other => mp4_tags::track(other, &coding, found),
    }
}

/// Visits the boxes of a track, and those inside of the ones that only hold others.
fn walk(data: &[u8], visit: &mut dyn FnMut(&Child<'_>, &mut Findings), found: &mut Findings) {
    for b in boxes(data) {
        match b.kind {
            b"mdia" | b"minf" | b"stbl" => walk(b.data, visit, found),
            _ => visit(&b, found),
        }
    }
}

/// Code of the first sample entry; tells what stands beside a picture's.
fn entry(stsd: &[u8], found: &mut Findings) -> Vec<u8> {
    let entries = boxes(stsd.get(8..).unwrap_or_default());
    let Some(first) = entries.first() else { return Vec::new() };
    if first.data.len() >= 78 && is_visual(first.kind) {
        let side = |at: usize| u32::from(u16::from_be_bytes([first.data[at], first.data[at + 1]]));
        let size = Size::new(side(24), side(26));
        if first.data[42..74].iter().any(|b| *b != 0) {
            found.push(Rule::EncoderString, "the video track names its encoder");
        }
        for b in boxes(&first.data[78..]) {
            match b.kind {
                b"avcC" | b"hvcC" => drop(read_config(b.kind, b.data, size, found)),
                b"clap" => found.push(Rule::CroppedPicture, "a clean aperture hides part of the picture"),
                b"uuid" => mp4_tags::uuid(b.data, found),
                _ => {}
            }
        }
    }
    first.kind.to_vec()
}

fn is_visual(coding: &[u8]) -> bool {
    matches!(
        coding,
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" | b"av01" | b"vp09" | b"vp08" | b"mp4v" | b"s263"
    ) || coding.starts_with(b"ap")
        || matches!(coding, b"jpeg" | b"mjp2" | b"encv")
}
