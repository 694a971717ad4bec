//! EXIF (CIPA DC-008) and the tags of TIFF files, read leniently: what cannot be read is passed over, because the
//! carrier is a finding either way.

use std::collections::BTreeSet;

use super::tags::Carrier;
use super::tiff::Reader;
use super::{Findings, iptc, xmp};
use crate::types::finding::Rule;

/// Directories and entries that are followed in one block.
const MAX_DIRECTORIES: usize = 64;
const MAX_ENTRIES: u64 = 4096;

/// Which directory is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Of the picture itself.
    First,
    /// A thumbnail in EXIF, a further page in a TIFF file.
    Next,
    Exif,
    Gps,
    /// Further pictures, in raw files previews.
    Sub,
}

/// Where a TIFF structure stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Inside of another file; its second directory is a thumbnail.
    Block,
    /// A file; its second directory is a page.
    File,
}

struct Walk<'a> {
    reader: Reader<'a>,
    whole: Whole,
    seen: BTreeSet<u64>,
    carrier: Carrier,
    /// XMP, IPTC and the like inside: kind of carrier and its bytes.
    inner: Vec<(u64, &'a [u8])>,
}

/// Tells what a block that begins with a TIFF header holds.
pub(super) fn tell(data: &[u8], name: &str, whole: Whole, found: &mut Findings) {
    let little = match data.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => {
            found.push(Rule::Metadata, format!("{name} is there and cannot be read"));
            return;
        }
    };
    let reader = Reader { data, little };
    let mut walk = Walk { reader, whole, seen: BTreeSet::new(), carrier: Carrier::new(name), inner: vec![] };
    let mut next = walk.reader.at(4, 4).unwrap_or(0);
    let mut place = Place::First;
    while next != 0 && walk.seen.len() < MAX_DIRECTORIES {
        next = walk.directory(next, place);
        place = Place::Next;
    }
    let Walk { carrier, inner, .. } = walk;
    if whole == Whole::Block {
        carrier.finish(found);
    } else {
        carrier.finish_if_any(found);
    }
    for (tag, bytes) in inner {
        match tag {
            700 => xmp::tell(bytes, found),
            33723 => iptc::tell(bytes, found),
            _ => iptc::tell_photoshop(bytes, found),
        }
    }
}

impl Walk<'_> {
    /// Reads a directory; gives the place of the next one, 0 when there is none.
    fn directory(&mut self, at: u64, place: Place) -> u64 {
        if !self.seen.insert(at) || self.seen.len() > MAX_DIRECTORIES {
            return 0;
        }
        let Ok(count) = self.reader.at(at, 2) else { return 0 };
        match place {
            Place::Next if self.whole == Whole::Block => self.carrier.tell(Rule::MetadataPreview, "thumbnail"),
            Place::Next => self.carrier.tell(Rule::ExtraPicture, "a further page"),
            _ => {}
        }
        for i in 0..count.min(MAX_ENTRIES) {
            self.entry(at + 2 + i * 12, place);
        }
        self.reader.at(at + 2 + count * 12, 4).unwrap_or(0)
    }

    fn entry(&mut self, at: u64, place: Place) {
        let field = |from, len| self.reader.at(at + from, len).unwrap_or(0);
        let (tag, kind, count, value) = (field(0, 2), field(2, 2), field(4, 4), field(8, 4));
        match (place, tag) {
            (Place::First | Place::Next, 34665) => {
                if self.whole == Whole::File {
                    self.carrier.tell(Rule::Metadata, "EXIF directory");
                }
                self.directory(value, Place::Exif);
            }
            (Place::First | Place::Next, 34853) => {
                self.carrier.tell(Rule::MetadataLocation, "GPS directory");
                self.directory(value, Place::Gps);
            }
            (Place::Exif, 40965) => {}
            (Place::First | Place::Next, 330) => {
                self.carrier.tell(
                    if self.whole == Whole::Block { Rule::MetadataPreview } else { Rule::ExtraPicture },
                    "further pictures",
                );
                let first = if count > 1 { self.reader.at(value, 4).unwrap_or(0) } else { value };
                self.directory(first, Place::Sub);
            }
            (_, 700 | 33723 | 34377) => {
                if let Ok(bytes) = self.reader.bytes(value, count.saturating_mul(if kind == 4 { 4 } else { 1 })) {
                    self.inner.push((tag, bytes));
                } else {
                    self.carrier.tell(Rule::Metadata, "XMP or IPTC that cannot be read");
                }
            }
            (Place::First, 274) => {
                let turn = field(8, 2);
                if turn > 1 {
                    self.carrier.tell(Rule::Orientation, "Orientation");
                }
            }
            (Place::Next | Place::Sub, 274) => {}
            (Place::Next | Place::Sub, 513 | 514) => self.carrier.tell(Rule::MetadataPreview, "JPEG preview"),
            (Place::Gps, _) => self.gps(tag),
            _ => self.plain(tag, place),
        }
    }

    fn gps(&mut self, tag: u64) {
        match tag {
            1..=4 => self.carrier.tell(Rule::MetadataLocation, if tag < 3 { "GPSLatitude" } else { "GPSLongitude" }),
            7 | 29 => self.carrier.tell(Rule::MetadataTime, "GPS time"),
            27 | 28 => self.carrier.tell(Rule::MetadataLocation, "GPS area"),
            _ => {}
        }
    }

    fn plain(&mut self, tag: u64, place: Place) {
        match TAGS.iter().find(|t| t.0 == tag) {
            Some((_, rule, name)) => self.carrier.tell(*rule, *name),
            // What describes the coding of a TIFF file's own picture is no tag that tells anything.
            None if place != Place::Exif && CODING.contains(&tag) => {}
            None => self.carrier.other(),
        }
    }
}

/// Baseline tags on how the samples of a directory are stored.
const CODING: [u64; 33] = [
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 277, 278, 279, 282, 283, 284, 296, 301, 317, 318, 319, 320, 322,
    323, 324, 325, 338, 339, 347, 529, 530, 531, 532,
];

const TAGS: [(u64, Rule, &str); 64] = [
    (11, Rule::MetadataSoftware, "ProcessingSoftware"),
    (269, Rule::MetadataComment, "DocumentName"),
    (270, Rule::MetadataComment, "ImageDescription"),
    (271, Rule::MetadataDevice, "Make"),
    (272, Rule::MetadataDevice, "Model"),
    (285, Rule::MetadataComment, "PageName"),
    (305, Rule::MetadataSoftware, "Software"),
    (306, Rule::MetadataTime, "DateTime"),
    (315, Rule::MetadataPerson, "Artist"),
    (316, Rule::MetadataDevice, "HostComputer"),
    (18246, Rule::MetadataComment, "Rating"),
    (33432, Rule::MetadataPerson, "Copyright"),
    (34675, Rule::Metadata, "colour profile"),
    (34852, Rule::Metadata, "SpectralSensitivity"),
    (34858, Rule::MetadataTime, "TimeZoneOffset"),
    (36867, Rule::MetadataTime, "DateTimeOriginal"),
    (36868, Rule::MetadataTime, "DateTimeDigitized"),
    (36880, Rule::MetadataTime, "OffsetTime"),
    (36881, Rule::MetadataTime, "OffsetTimeOriginal"),
    (36882, Rule::MetadataTime, "OffsetTimeDigitized"),
    (37500, Rule::MetadataDevice, "MakerNote"),
    (37510, Rule::MetadataComment, "UserComment"),
    (37520, Rule::MetadataTime, "SubSecTime"),
    (37521, Rule::MetadataTime, "SubSecTimeOriginal"),
    (37522, Rule::MetadataTime, "SubSecTimeDigitized"),
    (40091, Rule::MetadataComment, "XPTitle"),
    (40092, Rule::MetadataComment, "XPComment"),
    (40093, Rule::MetadataPerson, "XPAuthor"),
    (40094, Rule::MetadataComment, "XPKeywords"),
    (40095, Rule::MetadataComment, "XPSubject"),
    (40964, Rule::EmbeddedFile, "RelatedSoundFile"),
    (41495, Rule::Metadata, "SensingMethod"),
    (41728, Rule::Metadata, "FileSource"),
    (41729, Rule::Metadata, "SceneType"),
    (41996, Rule::Metadata, "SubjectDistanceRange"),
    (37396, Rule::Metadata, "SubjectArea"),
    (42016, Rule::MetadataDevice, "ImageUniqueID"),
    (42032, Rule::MetadataPerson, "CameraOwnerName"),
    (42033, Rule::MetadataDevice, "BodySerialNumber"),
    (42034, Rule::MetadataDevice, "LensSpecification"),
    (42035, Rule::MetadataDevice, "LensMake"),
    (42036, Rule::MetadataDevice, "LensModel"),
    (42037, Rule::MetadataDevice, "LensSerialNumber"),
    (42038, Rule::MetadataComment, "ImageTitle"),
    (42039, Rule::MetadataPerson, "Photographer"),
    (42040, Rule::MetadataPerson, "ImageEditor"),
    (42041, Rule::MetadataSoftware, "CameraFirmware"),
    (42042, Rule::MetadataSoftware, "RAWDevelopingSoftware"),
    (42043, Rule::MetadataSoftware, "ImageEditingSoftware"),
    (42044, Rule::MetadataSoftware, "MetadataEditingSoftware"),
    (42080, Rule::ExtraPicture, "CompositeImage"),
    (50341, Rule::Metadata, "PrintImageMatching"),
    (50706, Rule::Metadata, "DNGVersion"),
    (50708, Rule::MetadataDevice, "UniqueCameraModel"),
    (50735, Rule::MetadataDevice, "CameraSerialNumber"),
    (50827, Rule::EmbeddedFile, "OriginalRawFileName"),
    (50828, Rule::EmbeddedFile, "OriginalRawFileData"),
    (50966, Rule::MetadataSoftware, "PreviewApplicationName"),
    (50971, Rule::MetadataTime, "PreviewDateTime"),
    (33550, Rule::MetadataLocation, "ModelPixelScale"),
    (33922, Rule::MetadataLocation, "ModelTiepoint"),
    (34264, Rule::MetadataLocation, "ModelTransformation"),
    (34735, Rule::MetadataLocation, "GeoKeyDirectory"),
    (37724, Rule::EmbeddedFile, "ImageSourceData"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tag: u16, kind: u16, count: u32, value: u32) -> Vec<u8> {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    }

    fn directory(entries: &[Vec<u8>], next: u32) -> Vec<u8> {
        [&(entries.len() as u16).to_le_bytes()[..], &entries.concat(), &next.to_le_bytes()].concat()
    }

    fn rules(data: &[u8]) -> Vec<Rule> {
        let mut found = Findings::default();
        tell(data, "EXIF", Whole::Block, &mut found);
        found.into_vec().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn directories_are_followed_and_classed() {
        let first = directory(&[entry(271, 2, 4, 0), entry(274, 3, 1, 6), entry(34853, 4, 1, 60)], 80);
        let mut data = [b"II*\0\x08\0\0\0".to_vec(), first].concat();
        data.resize(60, 0);
        data.extend(directory(&[entry(2, 5, 3, 0)], 0));
        data.resize(80, 0);
        data.extend(directory(&[entry(513, 4, 1, 0)], 0));
        assert_eq!(
            rules(&data),
            [Rule::MetadataLocation, Rule::MetadataDevice, Rule::MetadataPreview, Rule::Orientation]
        );
    }

    #[test]
    fn circles_and_cut_blocks_end() {
        let circle = [b"II*\0\x08\0\0\0".to_vec(), directory(&[entry(330, 4, 1, 8)], 8)].concat();
        assert_eq!(rules(&circle), [Rule::MetadataPreview]);
        for len in 0..circle.len() {
            rules(&circle[..len]);
        }
    }
}
