//! JPEG (ITU-T T.81) as withhold writes it: JFIF header, tables, one baseline scan, nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Cursor, ReadAt, read_vec, size_of};
use super::jpeg_scan::{Huffman, ScanComponent, scan_end};
use super::{Expect, Findings, PhotoFacts, checked_size, damaged, parts};
use crate::error::Result;
use crate::types::finding::Rule;
use crate::types::geometry::Size;

/// A photo file at most.
pub(super) const MAX_PHOTO_BYTES: u64 = 1 << 30;

/// JFIF segment without density and thumbnail.
const JFIF: [&[u8]; 2] = [b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0", b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"];

/// One component of the frame header.
#[derive(Clone, Copy)]
struct Component {
    id: u8,
    horizontal: u32,
    vertical: u32,
    /// Number of its quantization table.
    quantization: u8,
}

/// Class (quantization, or the two of Huffman tables) and number of a table.
type TableName = (u8, u8);
const QUANTIZATION: u8 = 2;

#[derive(Default)]
struct Tables {
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: Option<u32>,
    frame: Option<(Size, Vec<Component>)>,
    /// As they were given last.
    defined: BTreeMap<TableName, Vec<u8>>,
}

impl Tables {
    /// A table may be given once, or again as it was: decoders take the last one, so that the others could hold anything.
    fn define(&mut self, name: TableName, content: &[u8], found: &mut Findings) {
        if self.defined.insert(name, content.to_vec()).is_some_and(|before| before != content) {
            found.push(Rule::UnusedData, "the JPEG replaces a table that nothing has used");
        }
    }

    fn tell_unused(&self, scan: &[ScanComponent<'_>], found: &mut Findings) {
        let of_frame = self.frame.iter().flat_map(|(_, components)| components);
        let mut used: BTreeSet<TableName> = of_frame.map(|c| (QUANTIZATION, c.quantization)).collect();
        used.extend(scan.iter().flat_map(|c| [(0, c.tables.0), (1, c.tables.1)]));
        let contents = |class: u8| used.iter().filter(move |u| u.0 == class).filter_map(|u| self.defined.get(u));
        // Cameras give the second colour's table twice; a copy of what is used says nothing.
        let is_spare = |name: &TableName, content: &Vec<u8>| {
            !used.contains(name) && !contents(name.0).any(|other| other == content)
        };
        let count = self.defined.iter().filter(|(name, content)| is_spare(name, content)).count();
        if count > 0 {
            found.push(Rule::UnusedData, format!("tables that the JPEG's picture does not use: {count}"));
        }
    }
}

/// Accounts for every byte of a JPEG file, down to the last entropy-coded bit.
///
/// # Errors
/// `Damaged` when it contradicts itself or is not baseline, `Limit`, `Io`.
pub fn inspect(file: &dyn ReadAt, expect: &Expect) -> Result<PhotoFacts> {
    let data = read_vec(file, 0, size_of(file)?, MAX_PHOTO_BYTES)?;
    let mut found = Findings::default();
    let mut tables = Tables::default();
    let mut c = Cursor::new(&data, "the JPEG file");
    if c.take(2)? != [0xff, 0xd8] {
        return Err(damaged("the file does not begin like a JPEG"));
    }
    loop {
        let marker = read_marker(&mut c)?;
        let len = usize::from(c.u16()?).checked_sub(2).ok_or_else(|| damaged("a JPEG segment has no length"))?;
        let body = c.take(len)?;
        if marker == 0xda {
            let components = read_scan_header(body, &tables)?;
            let rest = c.rest();
            let (size, all) =
                tables.frame.as_ref().ok_or_else(|| damaged("a JPEG scan comes before the frame header"))?;
            if components.len() != all.len() {
                return Err(damaged("the JPEG has several scans; withhold writes one"));
            }
            let end = scan_end(rest, *size, &components, tables.restart_interval.unwrap_or(0))?;
            tables.tell_unused(&components, &mut found);
            finish(&rest[end..], &mut found)?;
            return Ok(PhotoFacts { size: *size, findings: found.into_vec() });
        }
        read_segment(marker, body, expect, &mut tables, &mut found)?;
    }
}

fn read_marker(c: &mut Cursor<'_>) -> Result<u8> {
    if c.u8()? != 0xff {
        return Err(damaged("a JPEG marker is missing"));
    }
    match c.u8()? {
        marker @ 0xc0..=0xfe if !matches!(marker, 0xd0..=0xd9) => Ok(marker),
        marker => Err(damaged(format!("unexpected JPEG marker {marker:02x}"))),
    }
}

/// What follows the scan: the end marker, and nothing behind it.
fn finish(rest: &[u8], found: &mut Findings) -> Result<()> {
    match rest {
        [0xff, 0xd9] => {}
        [0xff, 0xd9, tail @ ..] => parts::trailer(tail, found),
        _ => match rest.windows(2).position(|w| w == [0xff, 0xd9]) {
            Some(gap) => {
                let len = gap.max(rest.len() - gap - 2);
                found.push(Rule::TrailingBytes, format!("{len} bytes between the picture and its end marker"));
            }
            None => return Err(damaged("the JPEG has no end marker")),
        },
    }
    Ok(())
}

fn read_segment(marker: u8, body: &[u8], expect: &Expect, tables: &mut Tables, found: &mut Findings) -> Result<()> {
    match marker {
        0xe0 if JFIF.contains(&body) => {}
        0xe0..=0xef | 0xfe => parts::jpeg_segment(marker, body, found),
        0xdb => read_quantization(body, tables, found)?,
        0xc4 => read_huffman(body, tables, found)?,
        0xc0 | 0xc1 => read_frame(body, expect, tables)?,
        0xdd => {
            let mut c = Cursor::new(body, "the restart interval");
            let is_second = tables.restart_interval.replace(c.u16()?.into()).is_some();
            if is_second {
                found.push(Rule::UnusedData, "the JPEG gives its restart interval twice");
            }
            if !c.is_empty() {
                found.residue("the restart interval has bytes behind it");
            }
        }
        0xc2..=0xcf => return Err(damaged("the JPEG is not baseline; withhold writes no other")),
        other => found.push(Rule::UnknownPart, format!("the JPEG holds a segment of kind {other:02x}")),
    }
    Ok(())
}

fn read_quantization(body: &[u8], tables: &mut Tables, found: &mut Findings) -> Result<()> {
    let mut c = Cursor::new(body, "a quantization table");
    while !c.is_empty() {
        let head = c.u8()?;
        let content = match (head >> 4, head & 15) {
            (0, 0..=3) => c.take(64)?,
            (1, 0..=3) => c.take(128)?,
            _ => return Err(damaged("a quantization table has an unknown number")),
        };
        tables.define((QUANTIZATION, head & 15), content, found);
    }
    Ok(())
}

fn read_huffman(body: &[u8], tables: &mut Tables, found: &mut Findings) -> Result<()> {
    let mut c = Cursor::new(body, "a Huffman table");
    while !c.is_empty() {
        let head = c.u8()?;
        let counts = c.take(16)?;
        let total: usize = counts.iter().map(|n| usize::from(*n)).sum();
        let symbols = c.take(total)?;
        let table = Huffman::new(counts, symbols)?;
        let set = match head >> 4 {
            0 => &mut tables.dc,
            1 => &mut tables.ac,
            _ => return Err(damaged("a Huffman table has an unknown class")),
        };
        *set.get_mut(usize::from(head & 15)).ok_or_else(|| damaged("a Huffman table has an unknown number"))? =
            Some(table);
        tables.define((head >> 4, head & 15), &[counts, symbols].concat(), found);
    }
    Ok(())
}

fn read_frame(body: &[u8], expect: &Expect, tables: &mut Tables) -> Result<()> {
    let mut c = Cursor::new(body, "the frame header");
    if c.u8()? != 8 || tables.frame.is_some() {
        return Err(damaged("the JPEG is not one picture of 8 bits"));
    }
    let (height, width) = (c.u16()?, c.u16()?);
    let size = checked_size(width.into(), height.into(), &expect.limits)?;
    let mut components = Vec::new();
    for _ in 0..c.u8()? {
        let (id, sampling, quantization) = (c.u8()?, c.u8()?, c.u8()?);
        let (horizontal, vertical) = (u32::from(sampling >> 4), u32::from(sampling & 15));
        if !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) {
            return Err(damaged("a JPEG component has an impossible sampling"));
        }
        components.push(Component { id, horizontal, vertical, quantization });
    }
    if !c.is_empty() || !matches!(components.len(), 1 | 3) {
        return Err(damaged("the JPEG does not have one or three components"));
    }
    tables.frame = Some((size, components));
    Ok(())
}

fn read_scan_header<'a>(body: &[u8], tables: &'a Tables) -> Result<Vec<ScanComponent<'a>>> {
    let (_, frame) = tables.frame.as_ref().ok_or_else(|| damaged("a JPEG scan comes before the frame header"))?;
    let mut c = Cursor::new(body, "the scan header");
    let mut out = Vec::new();
    for _ in 0..c.u8()? {
        let (id, select) = (c.u8()?, c.u8()?);
        let component =
            frame.iter().find(|f| f.id == id).ok_or_else(|| damaged("a scan names an unknown component"))?;
        let table = |set: &'a [Option<Huffman>; 4], i: u8| {
            set.get(usize::from(i))
                .and_then(Option::as_ref)
                .ok_or_else(|| damaged("a scan names a missing Huffman table"))
        };
        out.push(ScanComponent {
            horizontal: component.horizontal,
            vertical: component.vertical,
            dc: table(&tables.dc, select >> 4)?,
            ac: table(&tables.ac, select & 15)?,
            tables: (select >> 4, select & 15),
        });
    }
    if c.take(3)? != [0, 63, 0] || !c.is_empty() {
        return Err(damaged("the JPEG is not sequential"));
    }
    Ok(out)
}
