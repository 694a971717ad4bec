//! Bounded reads of a file and of a slice. Nothing here can panic on hostile input.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::{damaged, over_limit};
use crate::error::{Error, ErrorKind, Result, Stage};

/// Random access to a file that does not change.
pub trait ReadAt {
    /// Bytes in all.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset` or fails.
    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn io_error(e: io::Error) -> Error {
    if e.kind() == io::ErrorKind::UnexpectedEof {
        return damaged("the file ends before its structure does");
    }
    Error::new(Stage::Verify, ErrorKind::Io, "cannot read the finished file").because(e)
}

pub(super) fn size_of(file: &dyn ReadAt) -> Result<u64> {
    file.size().map_err(io_error)
}

/// `len` bytes from `offset`. Memory is taken only for bytes that exist.
pub(super) fn read_vec(file: &dyn ReadAt, offset: u64, len: u64, limit: u64) -> Result<Vec<u8>> {
    if len > limit {
        return Err(over_limit(format!("a part of {len} bytes is larger than the {limit} that are read at once")));
    }
    let end = offset.checked_add(len).ok_or_else(|| damaged("an offset overflows"))?;
    if end > size_of(file)? {
        return Err(damaged("the file ends before its structure does"));
    }
    let mut buffer = vec![0; usize::try_from(len).map_err(|_| over_limit("a part does not fit into memory"))?];
    file.fill_at(&mut buffer, offset).map_err(io_error)?;
    Ok(buffer)
}

/// Reads big-endian fields off a slice.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// For messages: what is being read.
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(data: &'a [u8], what: &'static str) -> Self {
        Self { rest: data, what }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| damaged(format!("{} is too short", self.what)))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// 32 or 64 bits, as the version of an MP4 box says.
    pub(super) fn word(&mut self, long: bool) -> Result<u64> {
        if long { self.u64() } else { Ok(u64::from(self.u32()?)) }
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}
