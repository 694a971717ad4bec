//! Lenient readers of photo formats that others wrote: what is in there besides the picture, as far as it can be told.
//! That not all of such a file is accounted for is a finding of its own, which is why nothing here is an error.

use super::bytes::{ReadAt, read_vec, size_of};
use super::jpeg::MAX_PHOTO_BYTES;
use super::{Expect, Findings, bmff, exif, parts};
use crate::types::finding::{Finding, Rule};

/// What a file of any origin holds besides its picture, in so far as the readers here know its format.
pub fn inventory(file: &dyn ReadAt, expect: &Expect) -> Vec<Finding> {
    let mut found = Findings::default();
    let size = size_of(file).unwrap_or(0);
    let head = read_vec(file, 0, size.min(16), 16).unwrap_or_default();
    if bmff::is_one(&head) {
        bmff::tell(file, expect, &mut found);
        return found.into_vec();
    }
    let Ok(data) = read_vec(file, 0, size, MAX_PHOTO_BYTES) else { return found.into_vec() };
    match head.as_slice() {
        [0xff, 0xd8, 0xff, ..] => jpeg(&data, &mut found),
        [0x89, b'P', b'N', b'G', ..] => png(&data, &mut found),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => {
            exif::tell(&data, "the TIFF", exif::Whole::File, &mut found);
        }
        [b'G', b'I', b'F', b'8', ..] => gif(&data, &mut found),
        [b'B', b'M', ..] => bmp(&data, &mut found),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(&data, &mut found),
        _ => {}
    }
    found.into_vec()
}

fn jpeg(data: &[u8], found: &mut Findings) {
    let mut at = 2;
    while let Some(skip) = data.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0xff)) {
        at += skip;
        let Some(&marker) = data.get(at + 1) else { return };
        at += 1;
        match marker {
            // Fill, a stuffed byte of a scan, restart marks.
            0xff => continue,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
            0xd9 => return parts::trailer(&data[at + 1..], found),
            _ => {
                let Some(len) = data.get(at + 1..at + 3).map(|l| usize::from(u16::from_be_bytes([l[0], l[1]]))) else {
                    return;
                };
                let body = data.get(at + 3..at + 1 + len).unwrap_or_default();
                match marker {
                    0xe0..=0xef | 0xfe => parts::jpeg_segment(marker, body, found),
                    0xc0..=0xcf | 0xda..=0xdf => {}
                    other => found.push(Rule::UnknownPart, format!("the JPEG holds a segment of kind {other:02x}")),
                }
                at += 1 + len.max(2);
            }
        }
    }
}

fn png(data: &[u8], found: &mut Findings) {
    let mut rest = data.get(8..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((body, behind)) = behind.split_at_checked(len) else { return };
        let kind = [head[4], head[5], head[6], head[7]];
        rest = behind.get(4..).unwrap_or_default();
        match &kind {
            b"IHDR" if body.get(9).is_some_and(|c| matches!(c, 4 | 6)) => {
                found.push(Rule::HiddenPixels, "the picture has an alpha channel: hidden pixels keep their colour");
            }
            b"IHDR" | b"PLTE" | b"IDAT" => {}
            b"IEND" => return parts::trailer(rest, found),
            _ => parts::png_chunk(&kind, body, found),
        }
    }
}

fn webp(data: &[u8], found: &mut Findings) {
    let le = |b: &[u8]| b.iter().take(4).rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let end = data.get(4..8).map_or(0, le).saturating_add(8).min(data.len());
    let mut rest = data.get(12..end).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let len = le(&head[4..]);
        let body = &behind[..len.min(behind.len())];
        match &head[..4] {
            // Lossless pictures have their alpha inside.
            b"VP8L" if body.get(4).is_some_and(|b| b >> 4 & 1 == 1) => {
                found.push(Rule::HiddenPixels, "the picture has an alpha channel: hidden pixels keep their colour");
            }
            b"VP8 " | b"VP8L" | b"VP8X" => {}
            kind => parts::webp_chunk(kind, body, found),
        }
        rest = behind.get(len + len % 2..).unwrap_or_default();
    }
    parts::trailer(&data[end..], found);
}

/// Graphics Interchange Format, version 89a.
fn gif(data: &[u8], found: &mut Findings) {
    let table = |flags: u8| if flags & 0x80 != 0 { 3usize << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + data.get(10).map_or(0, |flags| table(*flags));
    let mut frames = 0;
    while let Some(&kind) = data.get(at) {
        match kind {
            0x2c => {
                frames += 1;
                at += 11 + data.get(at + 9).map_or(0, |flags| table(*flags));
                at = sub_blocks(data, at).1;
            }
            0x21 => {
                let label = data.get(at + 1).copied().unwrap_or(0);
                let (text, end) = sub_blocks(data, at + 2);
                match label {
                    0xf9 => {}
                    0xfe => found.push(Rule::MetadataComment, "the GIF holds a comment"),
                    0xff if text.starts_with(b"NETSCAPE2.0") || text.starts_with(b"ANIMEXTS1.0") => {}
                    0xff if text.starts_with(b"XMP Data") => super::xmp::tell(&data[at..end.min(data.len())], found),
                    0xff if text.starts_with(b"ICCRGBG1") => {
                        found.push(Rule::Metadata, "the GIF holds a colour profile")
                    }
                    _ => found.push(Rule::UnknownPart, format!("GIF extension {label:02x} of {} bytes", text.len())),
                }
                at = end;
            }
            0x3b => {
                parts::trailer(&data[at + 1..], found);
                break;
            }
            _ => break,
        }
    }
    if frames > 1 {
        found.push(Rule::ExtraPicture, format!("the GIF holds {frames} frames"));
    }
}

/// The content of a run of sub-blocks and where it ends.
fn sub_blocks(data: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut text = Vec::new();
    while let Some(&len) = data.get(at) {
        at += 1;
        if len == 0 {
            break;
        }
        text.extend_from_slice(data.get(at..(at + usize::from(len)).min(data.len())).unwrap_or_default());
        at += usize::from(len);
    }
    (text, at)
}

fn bmp(data: &[u8], found: &mut Findings) {
    let le =
        |at: usize| data.get(at..at + 4).map_or(0, |b| b.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b)));
    let (promised, pixels, header) = (le(2), le(10), le(14));
    if promised >= pixels && promised < data.len() {
        parts::trailer(&data[promised..], found);
    }
    // Colours of a palette have four bytes each, three masks twelve in all.
    if pixels > 14 + header + 4 * 256 + 12 {
        found.push(Rule::UnusedData, format!("{} bytes before the pixels of the BMP", pixels - 14 - header));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(data: &[u8]) -> Vec<Rule> {
        inventory(&data.to_vec(), &Expect::default()).iter().map(|f| f.rule).collect()
    }

    #[test]
    fn a_progressive_jpeg_with_two_scans_and_a_trailer() {
        let scan = [0xff, 0xda, 0, 2, 1, 0xff, 0, 2, 0xff, 0xd3, 4];
        let comment = [&[0xff, 0xfe, 0, 4][..], b"hi"].concat();
        let data = [&[0xff, 0xd8, 0xff, 0xc2, 0, 2][..], &scan, &comment, &scan, &[0xff, 0xd9], b"tail"].concat();
        assert_eq!(rules(&data), [Rule::MetadataComment, Rule::TrailingBytes]);
        for len in 0..data.len() {
            rules(&data[..len]);
        }
    }

    #[test]
    fn gif_comments_frames_and_trailers() {
        let image = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
        let head = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\0\0\0\xFF\xFF\xFF";
        let data = [&head[..], image, b"\x21\xfe\x02hi\0", image, b"\x3bPK\x03\x04"].concat();
        assert_eq!(rules(&data), [Rule::MetadataComment, Rule::EmbeddedFile, Rule::ExtraPicture]);
        assert_eq!(rules(&[&head[..], image, b"\x3b"].concat()), []);
    }

    #[test]
    fn png_and_webp_chunks() {
        let chunk = |kind: &[u8], body: &[u8]| [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat();
        let png = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0]),
            chunk(b"tRNS", &[0]),
            chunk(b"tEXt", b"Author\0Kim"),
            chunk(b"IEND", b""),
        ];
        assert_eq!(rules(&png.concat()), [Rule::HiddenPixels, Rule::MetadataPerson]);
        let webp = [b"RIFF\x1a\0\0\0WEBPVP8 \x01\0\0\0x\0EXIF\x04\0\0\0abcd".to_vec(), b"!".to_vec()].concat();
        assert_eq!(rules(&webp), [Rule::Metadata, Rule::TrailingBytes]);
    }
}
