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

/// Place of the end mark of a JPEG file's primary picture; `None` when there is none. What follows (a second picture, a
/// video) is not looked at.
pub fn jpeg_end(data: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // Fill bytes and stray bytes between segments are skipped as decoders do.
        while *data.get(at)? != 0xFF || matches!(data.get(at + 1)?, 0x00 | 0xFF) {
            at += 1;
        }
        let marker = data[at + 1];
        at += 2;
        match marker {
            0xD9 => return Some(at - 2),
            0x01 | 0xD0..=0xD8 => {}
            // A scan's data follows its header; the search for the next marker passes over it.
            _ => at += usize::from(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?])).max(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn jpeg_ends_at_the_first_end_mark() {
        let table: [(&str, &[u8], Option<usize>); 5] = [
            ("plain", &[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2, 0xFF, 0xD9, 9, 9], Some(8)),
            ("stuffed byte and restart", &[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 0xFF, 0, 0xFF, 0xD1, 0xFF, 0xD9], Some(10)),
            ("end mark inside a segment", &[0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9, 0xFF, 0xD9], Some(8)),
            ("no end mark", &[0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2, 3], None),
            ("cut in a length", &[0xFF, 0xD8, 0xFF, 0xE1, 0], None),
        ];
        for (name, data, expected) in table {
            assert_eq!(jpeg_end(data), expected, "{name}");
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
