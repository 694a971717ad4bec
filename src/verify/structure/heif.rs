//! Items of HEIC and AVIF files (ISO/IEC 23008-12): EXIF, XMP, thumbnails, auxiliary and further pictures.

use std::collections::BTreeMap;

use super::bytes::{Cursor, ReadAt, read_vec};
use super::mp4_tags::boxes;
use super::{Findings, exif, xmp};
use crate::error::Result;
use crate::types::finding::Rule;

/// Bytes of one item of tags.
const MAX_ITEM_BYTES: u64 = 64 << 20;

struct Item {
    kind: Vec<u8>,
    /// `mime` items: content type.
    content: Vec<u8>,
}

#[derive(Default)]
struct Items {
    primary: u64,
    items: BTreeMap<u64, Item>,
    /// Item, kind of reference, items referred to.
    references: Vec<(u64, Vec<u8>, Vec<u64>)>,
    /// Absolute places of items that lie in the file.
    places: BTreeMap<u64, Vec<(u64, u64)>>,
}

/// Tells what the items of a `meta` box are.
pub(super) fn tell(file: &dyn ReadAt, meta: &[u8], found: &mut Findings) {
    let mut all = Items::default();
    for b in boxes(meta.get(4..).unwrap_or_default()) {
        // Half a table tells half of the items.
        let _ = match b.kind {
            b"pitm" => primary(b.data).map(|id| all.primary = id),
            b"iinf" => item_infos(b.data, &mut all),
            b"iref" => item_references(b.data, &mut all),
            b"iloc" => item_places(b.data, &mut all),
            _ => Ok(()),
        };
    }
    let refers = |id: u64, kind: &[u8]| all.references.iter().any(|(from, k, _)| *from == id && k == kind);
    let is_tile = |id: u64| all.references.iter().any(|(_, k, to)| k == b"dimg" && to.contains(&id));
    for (&id, item) in &all.items {
        match item.kind.as_slice() {
            b"Exif" => {
                let data = content(file, &all, id);
                // The first word says how far the TIFF header is away.
                let skip = data.first_chunk::<4>().map_or(0, |w| u32::from_be_bytes(*w) as usize).saturating_add(4);
                exif::tell(data.get(skip..).unwrap_or_default(), "EXIF", exif::Whole::Block, found);
            }
            b"mime" if item.content.starts_with(b"application/rdf+xml") => xmp::tell(&content(file, &all, id), found),
            b"mime" | b"uri " => found.push(Rule::Metadata, "an item of another kind than a picture"),
            _ if id == all.primary || is_tile(id) => {}
            _ if refers(id, b"thmb") => found.push(Rule::MetadataPreview, "the file holds a thumbnail"),
            _ if refers(id, b"auxl") => {
                found.push(Rule::ExtraPicture, "an auxiliary picture: depth, transparency or a gain map");
            }
            _ => found.push(Rule::ExtraPicture, "a further picture"),
        }
    }
}

fn content(file: &dyn ReadAt, all: &Items, id: u64) -> Vec<u8> {
    let places = all.places.get(&id).map_or(&[][..], Vec::as_slice);
    places.iter().flat_map(|(at, len)| read_vec(file, *at, *len, MAX_ITEM_BYTES).unwrap_or_default()).collect()
}

fn primary(data: &[u8]) -> Result<u64> {
    let mut c = Cursor::new(data, "the pitm box");
    let version = c.u32()? >> 24;
    if version == 0 { Ok(c.u16()?.into()) } else { Ok(c.u32()?.into()) }
}

fn item_infos(data: &[u8], all: &mut Items) -> Result<()> {
    let mut c = Cursor::new(data, "the iinf box");
    if c.u32()? >> 24 == 0 {
        c.u16()?;
    } else {
        c.u32()?;
    }
    for b in boxes(c.rest()) {
        let mut c = Cursor::new(b.data, "an infe box");
        let version = c.u32()? >> 24;
        let id = if version < 3 { c.u16()?.into() } else { u64::from(c.u32()?) };
        c.u16()?;
        let kind = if version < 2 { Vec::new() } else { c.take(4)?.to_vec() };
        let content = c.rest().split(|b| *b == 0).nth(1).unwrap_or_default().to_vec();
        all.items.insert(id, Item { kind, content });
    }
    Ok(())
}

fn item_references(data: &[u8], all: &mut Items) -> Result<()> {
    let long = data.first().is_some_and(|version| *version > 0);
    for b in boxes(data.get(4..).unwrap_or_default()) {
        let mut c = Cursor::new(b.data, "an iref box");
        let id = |c: &mut Cursor<'_>| -> Result<u64> { if long { Ok(c.u32()?.into()) } else { Ok(c.u16()?.into()) } };
        let from = id(&mut c)?;
        let count = c.u16()?;
        let to = (0..count).map(|_| id(&mut c)).collect::<Result<_>>()?;
        all.references.push((from, b.kind.to_vec(), to));
    }
    Ok(())
}

fn item_places(data: &[u8], all: &mut Items) -> Result<()> {
    let mut c = Cursor::new(data, "the iloc box");
    let version = c.u32()? >> 24;
    let sizes = c.u16()?;
    let width = |shift: u16| usize::from(sizes >> shift & 15);
    let number = |c: &mut Cursor<'_>, len: usize| -> Result<u64> {
        Ok(c.take(len)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let count = if version < 2 { c.u16()?.into() } else { c.u32()? };
    for _ in 0..count {
        let id = if version < 2 { c.u16()?.into() } else { u64::from(c.u32()?) };
        let method = if version == 0 { 0 } else { c.u16()? & 15 };
        c.u16()?;
        let base = number(&mut c, width(4))?;
        let extents = c.u16()?;
        let mut places = Vec::new();
        for _ in 0..extents {
            if version > 0 {
                number(&mut c, width(0))?;
            }
            let (offset, len) = (number(&mut c, width(12))?, number(&mut c, width(8))?);
            places.push((base.saturating_add(offset), len));
        }
        // 1 and 2: inside of the box, or of another item.
        if method == 0 {
            all.places.insert(id, places);
        }
    }
    Ok(())
}
