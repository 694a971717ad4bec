//! The file of frame digests that rendering leaves for verification.
//!
//! Little-endian. Header: magic `WHDIGST1`, width, height, cell, columns, rows, components (u32 each), CRC-32. Then one
//! record a frame: pts (i64), means (u16 each), CRC-32 of both (u32).

use std::io::{ErrorKind as IoKind, Read, Write};

use super::coverage::{FrameDigest, Grid};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::geometry::Size;

const MAGIC: &[u8; 8] = b"WHDIGST1";
const HEAD_BYTES: usize = 36;

fn io_error(e: std::io::Error) -> Error {
    Error::new(Stage::Verify, ErrorKind::Io, "cannot access the file of frame digests").because(e)
}

fn damaged(message: &str) -> Error {
    Error::new(Stage::Verify, ErrorKind::Damaged, message)
}

/// Writes digests as they come; wrap the file in a `BufWriter`.
pub struct DigestWriter<W: Write> {
    out: W,
    grid: Option<Grid>,
    record: Vec<u8>,
}

impl<W: Write> DigestWriter<W> {
    pub fn new(out: W) -> Self {
        Self { out, grid: None, record: Vec::new() }
    }

    /// Appends one digest.
    ///
    /// # Errors
    /// `Internal` when its grid is not that of the first, `Io`.
    pub fn write(&mut self, digest: &FrameDigest) -> Result<()> {
        match &self.grid {
            None => {
                let g = digest.grid;
                let fields = [g.size.width, g.size.height, g.cell, g.columns, g.rows, g.components];
                let mut head = MAGIC.to_vec();
                head.extend(fields.iter().flat_map(|f| f.to_le_bytes()));
                head.extend(crc32fast::hash(&head).to_le_bytes());
                self.out.write_all(&head).map_err(io_error)?;
                self.grid = Some(g);
            }
            Some(grid) if *grid == digest.grid => {}
            Some(_) => {
                return Err(Error::new(Stage::Verify, ErrorKind::Internal, "the frame size changed while rendering"));
            }
        }
        self.record.clear();
        self.record.extend_from_slice(&digest.pts.to_le_bytes());
        self.record.extend(digest.means.iter().flat_map(|m| m.to_le_bytes()));
        let crc = crc32fast::hash(&self.record);
        self.record.extend_from_slice(&crc.to_le_bytes());
        self.out.write_all(&self.record).map_err(io_error)
    }

    /// Flushes and gives the writer back.
    pub fn finish(mut self) -> Result<W> {
        self.out.flush().map_err(io_error)?;
        Ok(self.out)
    }
}

/// Reads digests back in order; wrap the file in a `BufReader`.
pub struct DigestReader<R: Read> {
    input: R,
    grid: Grid,
    record: Vec<u8>,
}

impl<R: Read> DigestReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Damaged` when it is not one, `Io`.
    pub fn new(mut input: R) -> Result<Self> {
        let mut head = [0u8; HEAD_BYTES];
        input.read_exact(&mut head).map_err(|e| match e.kind() {
            IoKind::UnexpectedEof => damaged("the file of frame digests is cut off"),
            _ => io_error(e),
        })?;
        let field = |i: usize| head[8 + 4 * i..12 + 4 * i].iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
        let grid = Grid::of(Size::new(field(0), field(1)), field(5).min(4) as usize);
        let same = [grid.cell, grid.columns, grid.rows, grid.components] == [field(2), field(3), field(4), field(5)];
        if &head[..8] != MAGIC || !same || head[32..] != crc32fast::hash(&head[..32]).to_le_bytes() {
            return Err(damaged("the file of frame digests has an unknown header"));
        }
        Ok(Self { input, grid, record: vec![0; 8 + grid.values() * 2 + 4] })
    }

    /// The next digest; `None` at the end.
    ///
    /// # Errors
    /// `Damaged` for a record that is cut off or has a wrong checksum, `Io`.
    pub fn next_digest(&mut self) -> Result<Option<FrameDigest>> {
        let mut filled = 0;
        while filled < self.record.len() {
            match self.input.read(&mut self.record[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(damaged("the file of frame digests is cut off")),
                Ok(n) => filled += n,
                Err(e) if e.kind() == IoKind::Interrupted => {}
                Err(e) => return Err(io_error(e)),
            }
        }
        let (body, crc) = self.record.split_at(self.record.len() - 4);
        if crc != crc32fast::hash(body).to_le_bytes() {
            return Err(damaged("a frame digest has a wrong checksum"));
        }
        let (pts, means) = body.split_at(8);
        let pts = pts.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b)) as i64;
        let means = means.chunks_exact(2).map(|m| u16::from_le_bytes([m[0], m[1]])).collect();
        Ok(Some(FrameDigest { grid: self.grid, pts, means }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(pts: i64) -> FrameDigest {
        let grid = Grid::of(Size::new(100, 50), 3);
        FrameDigest { grid, pts, means: (0..grid.values()).map(|i| (i * 997) as u16 ^ pts as u16).collect() }
    }

    fn written() -> Vec<u8> {
        let mut writer = DigestWriter::new(Vec::new());
        for pts in [-5, 0, 1 << 40] {
            writer.write(&digest(pts)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn digests_come_back_as_written() {
        let data = written();
        let mut reader = DigestReader::new(data.as_slice()).unwrap();
        for pts in [-5, 0, 1 << 40] {
            assert_eq!(reader.next_digest().unwrap(), Some(digest(pts)));
        }
        assert_eq!(reader.next_digest().unwrap(), None);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let data = written();
        let all = |data: &[u8]| -> Result<Vec<FrameDigest>> {
            let mut reader = DigestReader::new(data)?;
            let mut out = Vec::new();
            while let Some(d) = reader.next_digest()? {
                out.push(d);
            }
            Ok(out)
        };
        let record = (data.len() - HEAD_BYTES) / 3;
        for i in 0..data.len() {
            let mut bad = data.clone();
            bad[i] ^= 1;
            assert!(all(&bad).is_err(), "flip at {i}");
            let whole_records = i >= HEAD_BYTES && (i - HEAD_BYTES).is_multiple_of(record);
            assert_eq!(all(&data[..i]).is_ok(), whole_records, "cut at {i}");
        }
    }

    #[test]
    fn another_grid_is_refused() {
        let mut writer = DigestWriter::new(Vec::new());
        writer.write(&digest(0)).unwrap();
        let grid = Grid::of(Size::new(200, 50), 3);
        assert!(writer.write(&FrameDigest { grid, pts: 1, means: vec![0; grid.values()] }).is_err());
    }
}
