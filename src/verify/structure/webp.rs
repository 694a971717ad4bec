//! WebP (RFC 9649) as withhold writes it: one VP8L or VP8 chunk in a RIFF container.

use super::bytes::{ReadAt, read_vec, size_of};
use super::jpeg::MAX_PHOTO_BYTES;
use super::{Expect, Findings, PhotoFacts, checked_size, damaged, parts};
use crate::error::Result;
use crate::types::finding::Rule;
use crate::types::geometry::Size;

/// Accounts for every byte of a WebP file outside of its coded picture.
///
/// # Errors
/// `Damaged` when it contradicts itself, `Limit`, `Io`.
pub fn inspect(file: &dyn ReadAt, expect: &Expect) -> Result<PhotoFacts> {
    let data = read_vec(file, 0, size_of(file)?, MAX_PHOTO_BYTES)?;
    let mut found = Findings::default();
    let cut = || damaged("the WebP file is cut off");
    let (head, rest) = data.split_at_checked(12).ok_or_else(cut)?;
    if !head.starts_with(b"RIFF") || &head[8..] != b"WEBP" {
        return Err(damaged("the file does not begin like a WebP"));
    }
    let riff = (le32(&head[4..8]) as usize).checked_sub(4).ok_or_else(cut)?;
    let (mut chunks, behind) = rest.split_at_checked(riff).ok_or_else(cut)?;
    parts::trailer(behind, &mut found);
    let mut size = None;
    while !chunks.is_empty() {
        let (head, rest) = chunks.split_at_checked(8).ok_or_else(cut)?;
        let len = le32(&head[4..]) as usize;
        let (body, rest) = rest.split_at_checked(len).ok_or_else(cut)?;
        // Chunks have even length; the pad byte is zero.
        let (pad, rest) = rest.split_at_checked(len % 2).ok_or_else(cut)?;
        if pad.iter().any(|b| *b != 0) {
            found.residue("a WebP chunk is padded with something else than zero");
        }
        match &head[..4] {
            b"VP8L" if size.is_none() => size = Some(lossless_size(body, expect, &mut found)?),
            b"VP8 " if size.is_none() => size = Some(lossy_size(body, expect, &mut found)?),
            kind => parts::webp_chunk(kind, body, &mut found),
        }
        chunks = rest;
    }
    let size = size.ok_or_else(|| damaged("the WebP holds no picture"))?;
    Ok(PhotoFacts { size, findings: found.into_vec() })
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |n, b| n << 8 | u32::from(*b))
}

fn lossless_size(body: &[u8], expect: &Expect, found: &mut Findings) -> Result<Size> {
    let [0x2f, head @ ..] = body else { return Err(damaged("the VP8L chunk has no signature")) };
    let bits = head.get(..4).map(le32).ok_or_else(|| damaged("the VP8L chunk is cut off"))?;
    if bits >> 29 != 0 {
        return Err(damaged("the VP8L chunk has an unknown version"));
    }
    if bits >> 28 & 1 == 1 {
        found.push(Rule::HiddenPixels, "the picture has an alpha channel: hidden pixels keep their colour");
    }
    checked_size((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, &expect.limits)
}

/// RFC 6386, section 9.1.
fn lossy_size(body: &[u8], expect: &Expect, found: &mut Findings) -> Result<Size> {
    let head = body.get(..10).ok_or_else(|| damaged("the VP8 chunk is cut off"))?;
    let tag = le32(&head[..3]);
    if tag & 1 != 0 || head[3..6] != [0x9d, 1, 0x2a] {
        return Err(damaged("the VP8 chunk is no key frame"));
    }
    if (tag >> 5) as usize + 10 > body.len() {
        return Err(damaged("the VP8 chunk is cut off"));
    }
    let side = |i: usize| le32(&head[i..i + 2]);
    if side(6) >> 14 != 0 || side(8) >> 14 != 0 {
        found.residue("the VP8 chunk asks for scaling");
    }
    checked_size(side(6) & 0x3fff, side(8) & 0x3fff, &expect.limits)
}
