//! Files that end before their container does, where FFmpeg would end quietly.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Where the Matroska segment ends by its own head (RFC 8794, RFC 9559), when that lies behind the end of the file.
pub(super) fn promised_end(file: &File) -> Option<u64> {
    const EBML: u64 = 0x1A45_DFA3;
    const SEGMENT: u64 = 0x1853_8067;
    let length = file.metadata().ok()?.len();
    let (header, header_end) = element(file, 0)?;
    let (segment, segment_start) = element(file, header_end.filter(|_| header == EBML)?)?;
    let end = segment_start.filter(|_| segment == SEGMENT)?;
    (end > length).then_some(end)
}

/// Id of the element at `at`, and where it ends; `None` there when its size is not told (live recordings).
fn element(file: &File, at: u64) -> Option<(u64, Option<u64>)> {
    let mut head = [0u8; 12];
    file.read_exact_at(&mut head, at).ok()?;
    let (id, id_bytes) = number(&head, true)?;
    let (size, size_bytes) = number(&head[id_bytes..], false)?;
    let unknown = size == (1 << (7 * size_bytes)) - 1;
    let end = (at + (id_bytes + size_bytes) as u64).checked_add(size);
    Some((id, end.filter(|_| !unknown)))
}

/// A variable-length number and its bytes; ids keep their length marker.
fn number(bytes: &[u8], keep_marker: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let count = first.leading_zeros() as usize + 1;
    let value = bytes.get(..count).filter(|_| count <= 8)?.iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
    let marker = 1u64 << (7 * count);
    Some((if keep_marker { value } else { value & (marker - 1) }, count))
}
