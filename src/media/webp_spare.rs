//! Bytes of a WebP picture that decoding does not need. Where the coded bits end is only known by decoding them; the decoder
//! fails when they run out, so a picture that decodes without its last bytes has too many.

use std::fs::File;
use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;

use super::photo_decode::{damaged, image_limits, read_whole, without_panic};
use crate::error::Result;
use crate::types::limits::Limits;

/// Bytes that are taken away. Lossless pictures have no spare one; the arithmetic coder of lossy ones flushes up to three
/// behind each partition, and a chunk of odd length is padded inside.
const LOSSLESS_CUT: usize = 1;
const LOSSY_CUT: usize = 8;

/// Bytes of a lossy picture's frame header, in front of its first partition.
const FRAME_HEADER: usize = 10;

/// Whether the picture in a WebP file, the first if there are several, decodes as well without the last bytes of any of
/// its parts.
///
/// # Errors
/// `Damaged` when the sizes of its parts do not fit, `Io`, `Limit`.
pub fn has_spare_bytes(file: &File, limits: &Limits) -> Result<bool> {
    spare_in(&read_whole(file, limits)?, limits)
}

fn spare_in(data: &[u8], limits: &Limits) -> Result<bool> {
    let cut_off = || damaged("the WebP file is cut off");
    let mut chunks = data.get(12..).ok_or_else(cut_off)?;
    while let Some((head, rest)) = chunks.split_first_chunk::<8>() {
        let [kind @ .., _, _, _, _] = head;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let body = rest.get(..len).ok_or_else(cut_off)?;
        let shorter = match kind {
            b"VP8L" => body.len().checked_sub(LOSSLESS_CUT).map(|len| body[..len].to_vec()).into_iter().collect(),
            b"VP8 " => lossy_cuts(body).ok_or_else(cut_off)?,
            _ => {
                chunks = rest.get(len + len % 2..).unwrap_or_default();
                continue;
            }
        };
        return Ok(shorter.iter().any(|body| decodes(kind, body, limits)));
    }
    Ok(false)
}

/// The frame without the end of each of its partitions that is long enough; RFC 6386, sections 9.1 and 9.5.
fn lossy_cuts(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut cuts = Vec::new();
    let tag = le24(body.get(..3)?);
    let first = (tag >> 5) as usize;
    if let Some(rest) = first.checked_sub(LOSSY_CUT) {
        let mut cut = without(body, FRAME_HEADER + first)?;
        cut[..3].copy_from_slice(&(tag & 31 | (rest as u32) << 5).to_le_bytes()[..3]);
        cuts.push(cut);
    }
    cuts.extend(without(body, body.len()));
    let table = FRAME_HEADER + first;
    let others = 3 * (further_partitions(body.get(FRAME_HEADER..table)?) - 1);
    let mut end = table + others;
    for entry in (table..table + others).step_by(3) {
        let size = le24(body.get(entry..entry + 3)?);
        end += size as usize;
        let mut cut = without(body, end)?;
        if let Some(rest) = size.checked_sub(LOSSY_CUT as u32) {
            cut[entry..entry + 3].copy_from_slice(&rest.to_le_bytes()[..3]);
            cuts.push(cut);
        }
    }
    Some(cuts)
}

/// How many partitions follow the first; RFC 6386, section 9.2 to 9.6.
fn further_partitions(first: &[u8]) -> usize {
    let mut bits = EvenBits { value: 0, range: 255, shifts: 0, data: first };
    bits.value = u32::from(bits.byte()) << 8 | u32::from(bits.byte());
    bits.skip(2);
    if bits.bit() {
        let (map, values) = (bits.bit(), bits.bit());
        if values {
            bits.skip(1);
            (0..4).for_each(|_| bits.optional(8));
            (0..4).for_each(|_| bits.optional(7));
        }
        if map {
            (0..3).for_each(|_| bits.optional(8));
        }
    }
    bits.skip(10);
    if bits.bit() && bits.bit() {
        (0..8).for_each(|_| bits.optional(7));
    }
    1 << (usize::from(bits.bit()) << 1 | usize::from(bits.bit()))
}

/// The arithmetic decoder for bits that are as likely one as zero; RFC 6386, section 7.3.
struct EvenBits<'a> {
    value: u32,
    range: u32,
    shifts: u32,
    data: &'a [u8],
}

impl EvenBits<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.data.split_first().map_or((0, self.data), |(b, rest)| (*b, rest));
        self.data = rest;
        first
    }

    fn bit(&mut self) -> bool {
        let split = 1 + (self.range - 1) / 2;
        let is_one = self.value >= split << 8;
        if is_one {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range <<= 1;
            self.value <<= 1;
            self.shifts += 1;
            if self.shifts == 8 {
                self.shifts = 0;
                self.value |= u32::from(self.byte());
            }
        }
        is_one
    }

    fn skip(&mut self, count: u32) {
        for _ in 0..count {
            self.bit();
        }
    }

    /// A number of `count` bits behind a bit that says whether it is there.
    fn optional(&mut self, count: u32) {
        if self.bit() {
            self.skip(count);
        }
    }
}

fn le24(bytes: &[u8]) -> u32 {
    bytes.iter().take(3).rev().fold(0, |n, b| n << 8 | u32::from(*b))
}

/// `body` without the bytes in front of `end`.
fn without(body: &[u8], end: usize) -> Option<Vec<u8>> {
    let start = end.checked_sub(LOSSY_CUT)?;
    Some([body.get(..start)?, body.get(end..)?].concat())
}

fn decodes(kind: &[u8; 4], body: &[u8], limits: &Limits) -> bool {
    let padded = body.len() + body.len() % 2;
    let mut file = [&b"RIFF"[..], &(padded as u32 + 12).to_le_bytes(), b"WEBP", kind].concat();
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file.resize(20 + padded, 0);
    let work = || {
        let refused = |_| damaged("the picture is cut off");
        let mut decoder = WebPDecoder::new(Cursor::new(&file)).map_err(refused)?;
        decoder.set_limits(image_limits(limits)).map_err(refused)?;
        let mut pixels = vec![0; usize::try_from(decoder.total_bytes()).map_err(|_| damaged("too large"))?];
        decoder.read_image(&mut pixels).map_err(refused)
    };
    without_panic(work).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/photo.webp")).unwrap()
    }

    fn of_body(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let head = [&b"RIFF"[..], &(body.len() as u32 + 12).to_le_bytes(), b"WEBP", kind].concat();
        [&head[..], &(body.len() as u32).to_le_bytes(), body].concat()
    }

    fn lossless() -> Vec<u8> {
        let pixel = |x: u32, y: u32| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y / 3) as u8]);
        let mut out = Cursor::new(Vec::new());
        image::RgbImage::from_fn(61, 47, pixel).write_to(&mut out, image::ImageFormat::WebP).unwrap();
        out.into_inner()
    }

    /// Bytes behind the first partition, which is made larger.
    fn behind_first(body: &[u8], tail: &[u8]) -> Vec<u8> {
        let tag = le24(&body[..3]);
        let first = (tag >> 5) as usize;
        let mut out = body.to_vec();
        out[..3].copy_from_slice(&(tag & 31 | ((first + tail.len()) as u32) << 5).to_le_bytes()[..3]);
        out.splice(FRAME_HEADER + first..FRAME_HEADER + first, tail.iter().copied());
        out
    }

    #[test]
    fn bytes_behind_the_coded_bits_are_found() {
        let (lossy, lossless) = (fixture(), lossless());
        assert_eq!((&lossy[12..16], &lossless[12..16]), (&b"VP8 "[..], &b"VP8L"[..]));
        let (lossy, lossless) = (&lossy[20..], &lossless[20..]);
        let extended = [&of_body(b"VP8X", &[0; 10])[12..], &of_body(b"VP8 ", lossy)[12..]].concat();
        let extended = [&b"RIFF\0\0\0\0WEBP"[..], &extended].concat();
        assert!(!spare_in(&extended, &Limits::default()).unwrap(), "the picture is not the first chunk");
        for (name, kind, body, expected) in [
            ("lossy", b"VP8 ", lossy.to_vec(), false),
            ("lossy with a tail", b"VP8 ", [lossy, b"hidden bytes"].concat(), true),
            ("lossy with a tail of zeros", b"VP8 ", [lossy, &[0; 12]].concat(), true),
            ("lossy with a tail inside", b"VP8 ", behind_first(lossy, b"hidden bytes"), true),
            ("lossless", b"VP8L", lossless.to_vec(), false),
            ("lossless with a byte", b"VP8L", [lossless, b"x"].concat(), true),
            ("lossless with a tail", b"VP8L", [lossless, b"hidden"].concat(), true),
        ] {
            assert_eq!(spare_in(&of_body(kind, &body), &Limits::default()).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn hostile_sizes_are_answered() {
        let lossy = fixture();
        for at in 12..64 {
            for value in [0, 0xff] {
                let mut data = lossy.clone();
                data[at] = value;
                let _ = spare_in(&data, &Limits::default());
            }
            let _ = spare_in(&lossy[..at], &Limits::default());
        }
    }
}
