//! PNG (W3C recommendation, third edition) as withhold writes it: header, image data, end.

use flate2::{Decompress, FlushDecompress, Status};

use super::bytes::{Cursor, ReadAt, read_vec, size_of};
use super::jpeg::MAX_PHOTO_BYTES;
use super::{Expect, Findings, PhotoFacts, checked_size, damaged, fourcc, parts};
use crate::error::Result;
use crate::types::finding::Rule;
use crate::types::geometry::Size;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 13, 10, 26, 10];

/// Follows the zlib stream through all IDAT chunks and counts what it unpacks to.
struct ImageData {
    inflate: Decompress,
    /// Unpacked bytes a row, with the filter byte; position in the row; rows seen.
    row_bytes: u64,
    unpacked: u64,
    /// Bytes that follow the zlib stream's end.
    behind: u64,
    ended: bool,
    bad_filter: bool,
}

impl ImageData {
    fn feed(&mut self, mut data: &[u8]) -> Result<()> {
        let mut out = [0; 16384];
        loop {
            if self.ended {
                self.behind += data.len() as u64;
                return Ok(());
            }
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(data, &mut out, FlushDecompress::None)
                .map_err(|e| damaged("the PNG's image data cannot be unpacked").because(e))?;
            let got = (self.inflate.total_out() - written) as usize;
            let took = (self.inflate.total_in() - read) as usize;
            data = data.get(took..).unwrap_or_default();
            self.check_filters(out.get(..got).unwrap_or_default());
            self.unpacked += got as u64;
            match status {
                Status::StreamEnd => self.ended = true,
                _ if data.is_empty() && got < out.len() => return Ok(()),
                _ if took == 0 && got == 0 => return Err(damaged("the PNG's image data cannot be unpacked")),
                _ => {}
            }
        }
    }

    /// The first byte of each row names its filter, 0 to 4.
    fn check_filters(&mut self, data: &[u8]) {
        let first = (self.row_bytes - self.unpacked % self.row_bytes) % self.row_bytes;
        let step = usize::try_from(self.row_bytes).unwrap_or(usize::MAX);
        self.bad_filter |= data.iter().skip(first as usize).step_by(step).any(|b| *b > 4);
    }
}

/// Accounts for every byte of a PNG file, down to the end of its zlib stream.
///
/// # Errors
/// `Damaged` when it contradicts itself, `Limit`, `Io`.
pub fn inspect(file: &dyn ReadAt, expect: &Expect) -> Result<PhotoFacts> {
    let data = read_vec(file, 0, size_of(file)?, MAX_PHOTO_BYTES)?;
    let mut found = Findings::default();
    let mut c = Cursor::new(&data, "the PNG file");
    if c.take(8)? != SIGNATURE {
        return Err(damaged("the file does not begin like a PNG"));
    }
    let (kind, body) = read_chunk(&mut c)?;
    if kind != b"IHDR" {
        return Err(damaged("the PNG does not begin with its header"));
    }
    let (size, row_bytes) = read_header(body, expect, &mut found)?;
    let mut image = ImageData {
        inflate: Decompress::new(true),
        row_bytes,
        unpacked: 0,
        behind: 0,
        ended: false,
        bad_filter: false,
    };
    loop {
        match read_chunk(&mut c)? {
            (b"IDAT", body) => image.feed(body)?,
            (b"IEND", body) => {
                if !body.is_empty() {
                    found.residue("the end chunk of the PNG is not empty");
                }
                break;
            }
            (kind, body) => other_chunk(kind, body, &mut found),
        }
    }
    parts::trailer(c.rest(), &mut found);
    if !image.ended || image.unpacked < row_bytes * u64::from(size.height) {
        return Err(damaged("the PNG's image data ends early"));
    }
    if image.unpacked > row_bytes * u64::from(size.height) || image.behind > 0 || image.bad_filter {
        found.push(Rule::UnusedData, "the PNG's image data holds more than the picture");
    }
    Ok(PhotoFacts { size, findings: found.into_vec() })
}

fn read_chunk<'a>(c: &mut Cursor<'a>) -> Result<(&'a [u8; 4], &'a [u8])> {
    let len = c.u32()? as usize;
    let kind: &[u8; 4] = c.take(4)?.try_into().map_err(|_| damaged("a PNG chunk is too short"))?;
    let body = c.take(len)?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(kind);
    crc.update(body);
    if c.u32()? != crc.finalize() {
        return Err(damaged(format!("the checksum of PNG chunk {} is wrong", fourcc(kind))));
    }
    Ok((kind, body))
}

fn read_header(body: &[u8], expect: &Expect, found: &mut Findings) -> Result<(Size, u64)> {
    let mut c = Cursor::new(body, "the PNG header");
    let size = checked_size(c.u32()?, c.u32()?, &expect.limits)?;
    let (depth, color) = (c.u8()?, c.u8()?);
    if c.take(3)? != [0, 0, 0] || !c.is_empty() {
        return Err(damaged("the PNG is interlaced or of an unknown method; withhold writes neither"));
    }
    let samples = match (color, depth) {
        (0, 8 | 16) => 1,
        (2, 8 | 16) => 3,
        (4 | 6, 8 | 16) => {
            found.push(Rule::HiddenPixels, "the picture has an alpha channel: hidden pixels keep their colour");
            if color == 4 { 2 } else { 4 }
        }
        _ => return Err(damaged("the PNG is not RGB or grey of 8 or 16 bits; withhold writes no other")),
    };
    Ok((size, 1 + u64::from(size.width) * samples * u64::from(depth / 8)))
}

fn other_chunk(kind: &[u8; 4], body: &[u8], found: &mut Findings) {
    // One byte of rendering intent.
    if !(kind == b"sRGB" && body.len() == 1) {
        parts::png_chunk(kind, body, found);
    }
}
