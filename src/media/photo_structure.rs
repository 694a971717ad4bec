//! Walks over the blocks of photo formats without decoding them: how many frames there are, and whether the file goes on
//! to its end mark. Image decoders forgive a missing end; a file that was cut off must not pass for a whole one.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// Reads a file by position, so that the descriptor's own offset (shared with whoever else holds it) never moves.
pub struct PositionedReader<F> {
    file: F,
    position: u64,
}

impl<F: Borrow<File>> PositionedReader<F> {
    pub fn new(file: F) -> Self {
        Self { file, position: 0 }
    }

    pub fn buffered(file: F) -> BufReader<Self> {
        BufReader::with_capacity(64 << 10, Self::new(file))
    }
}

impl<F: Borrow<File>> Read for PositionedReader<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.borrow().read_at(buf, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl<F: Borrow<File>> Seek for PositionedReader<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::Current(d) => self.position.checked_add_signed(d),
            SeekFrom::End(d) => self.file.borrow().metadata()?.len().checked_add_signed(d),
        };
        self.position = target.ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// What a walk found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// Frames of the animation; 1 for a still picture.
    pub frames: u64,
    /// The format's own flag says that it is an animation.
    pub animated: bool,
    /// The walk reached the end mark.
    pub complete: bool,
    /// The samples are PQ or HLG coded (PNG's `cICP`).
    pub hdr: bool,
}

/// Ends a walk at the end of the file with what is known so far; other errors stay errors.
fn end_of_file(walk: io::Result<()>) -> io::Result<()> {
    match walk {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(()),
        other => other,
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut buf = [0; N];
    reader.read_exact(&mut buf)?;
    Ok(buf)
}

fn skip(reader: &mut (impl BufRead + Seek), count: u64) -> io::Result<()> {
    reader.seek_relative(count as i64)
}

/// Walks a GIF's blocks until `max_frames` image descriptors were seen or the trailer is reached.
pub fn gif(reader: &mut (impl BufRead + Seek), max_frames: u64) -> io::Result<Structure> {
    let mut found = Structure::default();
    end_of_file(gif_blocks(reader, max_frames, &mut found))?;
    found.animated = found.frames > 1;
    Ok(found)
}

fn gif_blocks(reader: &mut (impl BufRead + Seek), max_frames: u64, found: &mut Structure) -> io::Result<()> {
    let color_table = |flags: u8| if flags & 0x80 != 0 { 3u64 << ((flags & 7) + 1) } else { 0 };
    let header: [u8; 13] = bytes(reader)?;
    skip(reader, color_table(header[10]))?;
    while found.frames < max_frames {
        match bytes::<1>(reader)?[0] {
            0x2C => {
                let descriptor: [u8; 9] = bytes(reader)?;
                skip(reader, color_table(descriptor[8]) + 1)?;
                gif_sub_blocks(reader)?;
                found.frames += 1;
            }
            0x21 => {
                skip(reader, 1)?;
                gif_sub_blocks(reader)?;
            }
            0x3B => {
                found.complete = true;
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn gif_sub_blocks(reader: &mut (impl BufRead + Seek)) -> io::Result<()> {
    loop {
        match bytes::<1>(reader)?[0] {
            0 => return Ok(()),
            n => skip(reader, u64::from(n))?,
        }
    }
}

/// Walks a PNG's chunks to `IEND`, or only to the first `IDAT` (where it is known whether it is animated).
pub fn png(reader: &mut (impl BufRead + Seek), to_end: bool) -> io::Result<Structure> {
    let mut found = Structure { frames: 1, ..Structure::default() };
    end_of_file(png_chunks(reader, to_end, &mut found))?;
    Ok(found)
}

fn png_chunks(reader: &mut (impl BufRead + Seek), to_end: bool, found: &mut Structure) -> io::Result<()> {
    skip(reader, 8)?;
    let mut seen_data = false;
    loop {
        let head: [u8; 8] = bytes(reader)?;
        let mut rest = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])) + 4;
        match &head[4..] {
            b"IEND" => {
                // The four bytes of its checksum must be there too.
                bytes::<4>(reader)?;
                found.complete = true;
                return Ok(());
            }
            b"IDAT" if !to_end => return Ok(()),
            b"IDAT" => seen_data = true,
            b"acTL" if !seen_data && rest >= 12 => {
                found.animated = true;
                found.frames = u64::from(u32::from_be_bytes(bytes(reader)?));
                rest -= 4;
            }
            b"cICP" if rest >= 8 => {
                let code: [u8; 4] = bytes(reader)?;
                found.hdr = matches!(code[1], 16 | 18);
                rest -= 4;
            }
            _ => {}
        }
        skip(reader, rest)?;
    }
}

/// Walks a WebP's chunks.
pub fn webp(reader: &mut (impl BufRead + Seek), file_len: u64) -> io::Result<Structure> {
    let mut found = Structure::default();
    end_of_file(webp_chunks(reader, file_len, &mut found))?;
    if !found.animated {
        found.frames = 1;
    }
    Ok(found)
}

fn webp_chunks(reader: &mut (impl BufRead + Seek), file_len: u64, found: &mut Structure) -> io::Result<()> {
    let head: [u8; 12] = bytes(reader)?;
    let end = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8;
    let mut position = 12;
    while position + 8 <= end {
        let chunk: [u8; 8] = bytes(reader)?;
        let size = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        let padded = size + (size & 1);
        position += 8 + padded;
        match &chunk[..4] {
            b"VP8X" if size >= 1 => {
                found.animated = bytes::<1>(reader)?[0] & 2 != 0;
                skip(reader, padded - 1)?;
            }
            b"ANMF" => {
                found.frames += 1;
                skip(reader, padded)?;
            }
            _ => skip(reader, padded)?,
        }
    }
    // Some writers leave out the last padding byte.
    found.complete = end <= file_len && position <= file_len + 1;
    Ok(())
}

/// What a walk over a JPEG file's primary picture found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JpegPicture {
    /// Place of its end mark; `None` when there is none.
    pub end: Option<u64>,
    /// Height and width, as its frame header has them.
    size: Option<[u8; 4]>,
    /// It says itself that pictures or a video follow it: they belong to the photo.
    lists_followers: bool,
}

/// Walks a JPEG file's primary picture from its start mark on. What follows (a second picture, a video) is not looked at.
pub fn jpeg(reader: &mut (impl BufRead + Seek)) -> io::Result<JpegPicture> {
    let mut found = JpegPicture::default();
    skip(reader, 2)?;
    end_of_file(jpeg_markers(reader, &mut found, false))?;
    Ok(found)
}

/// Whether a JPEG file is a stream of pictures (motion JPEG) and no photo: another picture of the same size follows the
/// first at once, and the first does not list it as a part of itself, as photos with previews or depth do.
pub fn is_jpeg_stream(reader: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let first = jpeg(reader)?;
    if first.end.is_none() || first.size.is_none() || first.lists_followers {
        return Ok(false);
    }
    let mut second = JpegPicture::default();
    end_of_file(next_jpeg(reader, &mut second))?;
    Ok(second.size == first.size)
}

/// Cameras pad pictures of a stream with zeros.
fn next_jpeg(reader: &mut (impl BufRead + Seek), found: &mut JpegPicture) -> io::Result<()> {
    loop {
        match bytes::<1>(reader)?[0] {
            0 => {}
            0xFF if bytes::<1>(reader)?[0] == 0xD8 => return jpeg_markers(reader, found, true),
            _ => return Ok(()),
        }
    }
}

/// From behind the start mark to the end mark, or with `head_only` to the frame header.
fn jpeg_markers(reader: &mut (impl BufRead + Seek), found: &mut JpegPicture, head_only: bool) -> io::Result<()> {
    loop {
        match jpeg_marker(reader)? {
            0xD9 => {
                found.end = Some(reader.stream_position()? - 2);
                return Ok(());
            }
            0x01 | 0xD0..=0xD8 => {}
            // A scan's data follows its header; the search for the next marker passes over it.
            marker => {
                let rest = u16::from_be_bytes(bytes(reader)?).saturating_sub(2);
                jpeg_segment(reader, marker, rest, found)?;
            }
        }
        if head_only && found.size.is_some() {
            return Ok(());
        }
    }
}

/// The next marker; fill bytes and stray bytes between segments are skipped as decoders do.
fn jpeg_marker(reader: &mut impl BufRead) -> io::Result<u8> {
    loop {
        let buffer = reader.fill_buf()?;
        let Some(at) = buffer.iter().position(|b| *b == 0xFF) else {
            let length = buffer.len();
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            reader.consume(length);
            continue;
        };
        reader.consume(at + 1);
        let mut marker = 0xFF;
        while marker == 0xFF {
            [marker] = bytes(reader)?;
        }
        if marker != 0 {
            return Ok(marker);
        }
    }
}

fn jpeg_segment(reader: &mut (impl BufRead + Seek), marker: u8, rest: u16, found: &mut JpegPicture) -> io::Result<()> {
    let is_frame_header = matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
    match marker {
        _ if is_frame_header && rest >= 5 => {
            let head: [u8; 5] = bytes(reader)?;
            found.size.get_or_insert([head[1], head[2], head[3], head[4]]);
            skip(reader, u64::from(rest - 5))
        }
        0xE1 | 0xE2 => {
            let mut content = vec![0; usize::from(rest)];
            reader.read_exact(&mut content)?;
            // The index of several pictures, and the name space of the lists that phones write.
            let list = b"ns.google.com/photos/";
            found.lists_followers |= content.starts_with(b"MPF\0") || content.windows(list.len()).any(|w| w == list);
            Ok(())
        }
        _ => skip(reader, u64::from(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn jpeg_ends_at_the_first_end_mark() {
        let table: [(&str, &[u8], Option<u64>); 5] = [
            ("plain", &[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0xD9, 9, 9], Some(8)),
            ("stuffed byte and restart", &[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 0xFF, 0, 0xFF, 0xD1, 0xFF, 0xD9], Some(10)),
            ("end mark inside a segment", &[0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9, 0xFF, 0xD9], Some(8)),
            ("no end mark", &[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2, 3], None),
            ("cut in a length", &[0xFF, 0xD8, 0xFF, 0xE1, 0], None),
        ];
        for (name, data, expected) in table {
            assert_eq!(jpeg(&mut Cursor::new(data)).unwrap().end, expected, "{name}");
        }
    }

    #[test]
    fn a_stream_of_jpegs_is_known_by_its_second_picture() {
        let picture = |head: &[u8], height: u8| {
            let frame = [0xFF, 0xC0, 0, 11, 8, 0, height, 0, 64, 1, 1, 0x11, 0];
            [&[0xFF, 0xD8][..], head, &frame, &[0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0, 3, 0xFF, 0xD9]].concat()
        };
        let segment = |marker: u8, content: &[u8]| [&[0xFF, marker, 0, content.len() as u8 + 2][..], content].concat();
        let plain = picture(&[], 48);
        let index = segment(0xE2, b"MPF\0II*\0");
        let list = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0http://ns.google.com/photos/1.0/container/");
        let exif = segment(0xE1, b"Exif\0\0MM");
        let table = [
            ("one picture", plain.clone(), false),
            ("two of a size", [plain.clone(), plain.clone()].concat(), true),
            ("the second is cut off", [&plain[..], &plain[..20]].concat(), true),
            ("the second is cut off in its head", [&plain[..], &plain[..5]].concat(), false),
            ("zeros between them", [&plain[..], &[0; 9], &plain].concat(), true),
            ("each with tags of its own", [picture(&exif, 48), picture(&exif, 48)].concat(), true),
            ("a smaller preview behind", [plain.clone(), picture(&[], 24)].concat(), false),
            ("a preview inside", picture(&segment(0xE1, &plain), 48), false),
            ("the first lists the second", [picture(&index, 48), plain.clone()].concat(), false),
            ("a phone's list", [picture(&list, 48), plain.clone()].concat(), false),
            ("a trailer that is none", [&plain[..], b"SEFH", &plain].concat(), false),
        ];
        for (name, data, expected) in table {
            assert_eq!(is_jpeg_stream(&mut Cursor::new(data)).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn gif_walk_counts_frames_and_needs_the_trailer() {
        let mut data = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\0\0\0\xFF\xFF\xFF".to_vec();
        let image = b"\x2C\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
        data.extend_from_slice(image);
        data.extend_from_slice(b"\x21\xFE\x01x\0");
        data.extend_from_slice(image);
        let open = gif(&mut Cursor::new(&data), u64::MAX).unwrap();
        assert_eq!((open.frames, open.animated, open.complete), (2, true, false));
        data.push(0x3B);
        assert!(gif(&mut Cursor::new(&data), u64::MAX).unwrap().complete);
        assert_eq!(gif(&mut Cursor::new(&data), 1).unwrap().frames, 1);
    }
}
