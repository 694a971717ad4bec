//! TIFF 6.0 as withhold writes it: a header, one directory of baseline tags, their values and the strips.

use super::bytes::{ReadAt, read_vec, size_of};
use super::jpeg::MAX_PHOTO_BYTES;
use super::{Expect, Findings, PhotoFacts, checked_size, damaged, exif, over_limit};
use crate::error::Result;
use crate::types::finding::Rule;

/// Values of one tag at most: more strips than any picture has rows.
const MAX_VALUES: u64 = 1 << 20;

/// A file in memory and its byte order.
pub(super) struct Reader<'a> {
    pub(super) data: &'a [u8],
    pub(super) little: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn bytes(&self, at: u64, len: u64) -> Result<&'a [u8]> {
        let cut = || damaged("the TIFF refers to bytes behind its end");
        let start = usize::try_from(at).map_err(|_| cut())?;
        let end = at.checked_add(len).and_then(|e| usize::try_from(e).ok()).ok_or_else(cut)?;
        self.data.get(start..end).ok_or_else(cut)
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let join = |n: u64, b: &u8| n << 8 | u64::from(*b);
        if self.little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
    }

    pub(super) fn at(&self, at: u64, len: u64) -> Result<u64> {
        Ok(self.number(self.bytes(at, len)?))
    }
}

/// One entry of the directory.
struct Entry {
    tag: u64,
    values: Vec<u64>,
    /// Where its values lie, if not inside the entry.
    outside: Option<(u64, u64)>,
}

/// Accounts for every byte of a TIFF file outside of compressed strips.
///
/// # Errors
/// `Damaged` when it contradicts itself, `Limit`, `Io`.
pub fn inspect(file: &dyn ReadAt, expect: &Expect) -> Result<PhotoFacts> {
    let data = read_vec(file, 0, size_of(file)?, MAX_PHOTO_BYTES)?;
    let mut found = Findings::default();
    let little = match data.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return Err(damaged("the file does not begin like a TIFF")),
    };
    let reader = Reader { data: &data, little };
    let directory = reader.at(4, 4)?;
    let count = reader.at(directory, 2)?;
    let after = directory + 2 + count * 12;
    if reader.at(after, 4)? != 0 {
        found.push(Rule::ExtraPicture, "the TIFF holds further pages");
    }
    let mut used = vec![(0, 8), (directory, 2 + count * 12 + 4)];
    let entries: Vec<Entry> = (0..count).map(|i| read_entry(&reader, directory + 2 + i * 12)).collect::<Result<_>>()?;
    if entries.windows(2).any(|w| w[0].tag >= w[1].tag) {
        found.residue("the TIFF repeats a tag or has them out of order");
    }
    for entry in &entries {
        used.extend(entry.outside);
        check_tag(entry, &mut found);
    }
    exif::tell(&data, "the TIFF", exif::Whole::File, &mut found);
    let values = |tag: u64| entries.iter().find(|e| e.tag == tag).map_or(&[][..], |e| e.values.as_slice());
    let first = |tag: u64, what: &str| {
        let value = values(tag).first().and_then(|v| u32::try_from(*v).ok());
        value.ok_or_else(|| damaged(format!("the TIFF has no {what}")))
    };
    let size = checked_size(first(256, "width")?, first(257, "height")?, &expect.limits)?;
    let (offsets, lengths) = (values(273), values(279));
    if offsets.is_empty() || offsets.len() != lengths.len() {
        return Err(damaged("the TIFF's strips have no place or no length"));
    }
    used.extend(offsets.iter().copied().zip(lengths.iter().copied()));
    let colors = if first(262, "colour model")? == 2 { 3 } else { 1 };
    if values(277).first().is_some_and(|samples| *samples > colors) {
        found.push(
            Rule::HiddenPixels,
            "the picture has more channels than its colours: hidden pixels keep their colour",
        );
    }
    let bits: u64 = values(258).iter().sum();
    let plain = values(259).first().is_none_or(|c| *c == 1);
    let picture = (u64::from(size.width) * bits).div_ceil(8) * u64::from(size.height);
    if plain && lengths.iter().try_fold(0u64, |a, l| a.checked_add(*l)) != Some(picture) {
        found.residue("the TIFF's strips do not have the length of the picture");
    }
    check_tiling(&reader, &mut used, &mut found)?;
    Ok(PhotoFacts { size, findings: found.into_vec() })
}

fn read_entry(reader: &Reader<'_>, at: u64) -> Result<Entry> {
    let (tag, kind, count) = (reader.at(at, 2)?, reader.at(at + 2, 2)?, reader.at(at + 4, 4)?);
    let width = match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 => 4,
        5 | 10 | 12 => 8,
        _ => return Err(damaged(format!("TIFF tag {tag} has an unknown type"))),
    };
    if count > MAX_VALUES {
        return Err(over_limit(format!("TIFF tag {tag} has {count} values")));
    }
    let len = count * width;
    let outside = if len > 4 { Some((reader.at(at + 8, 4)?, len)) } else { None };
    let data = reader.bytes(outside.map_or(at + 8, |o| o.0), len)?;
    let values = data.chunks_exact(width as usize).map(|v| reader.number(v)).collect();
    Ok(Entry { tag, values, outside })
}

fn check_tag(entry: &Entry, found: &mut Findings) {
    match entry.tag {
        // Size, depth, compression, photometric, strips, samples, planes, resolution unit, predictor, sample format.
        254 | 256..=259 | 262 | 273 | 277..=279 | 282..=284 | 296 | 317 | 339 => {}
        // What tells of a program, device, person or time is told by class.
        269..=272 | 285 | 305 | 306 | 315 | 316 | 33432 | 700 | 33723 | 34377 | 34665 | 34675 | 34853 | 40965 => {}
        338 => {
            found.push(Rule::HiddenPixels, "the picture has an alpha channel: hidden pixels keep their colour");
        }
        330 => found.push(Rule::ExtraPicture, "the TIFF holds further pictures"),
        tag => found.push(Rule::UnknownPart, format!("TIFF tag {tag} is not one that withhold writes")),
    }
    // 72 or 300 dots per inch tell which device made a picture.
    if matches!(entry.tag, 296) && entry.values != [1] {
        found.metadata("the TIFF tells a resolution");
    }
}

/// Used ranges must cover the file; one zero byte may pad to an even place.
fn check_tiling(reader: &Reader<'_>, used: &mut Vec<(u64, u64)>, found: &mut Findings) -> Result<()> {
    used.retain(|u| u.1 > 0);
    used.sort_unstable();
    used.push((reader.data.len() as u64, 0));
    let mut at = 0;
    for &(start, len) in used.iter() {
        if start < at {
            found.residue(format!("parts of the TIFF share bytes at {start}"));
        } else if start > at {
            let gap = reader.bytes(at, start - at)?;
            if gap.len() > 1 || start % 2 != 0 || gap.iter().any(|b| *b != 0) {
                found.push(Rule::UnusedData, format!("{} bytes at {at} belong to no part of the TIFF", gap.len()));
            }
        }
        let end = start.checked_add(len).ok_or_else(|| damaged("the TIFF's places overflow"))?;
        reader.bytes(start, len)?;
        at = at.max(end);
    }
    Ok(())
}
