//! Strict readers of the containers that withhold writes: every byte must have a known purpose.
//!
//! Two outcomes besides a clean one: a **finding** names something that does not belong into the file (the reader goes
//! on behind it), an **error** of kind [`ErrorKind::Damaged`] or [`ErrorKind::Limit`] says that the file cannot be
//! accounted for at all. Neither may be published.
//!
//! Handled: MP4 (H.264, H.265, VP9, AV1; AAC, Opus; each sample one picture, parameter sets down to their last bit), JPEG
//! (baseline, down to the entropy-coded bits, each table used), PNG (down to the zlib stream), WebP and TIFF (down to
//! chunks and strips). Not handled: where the coded bits of a slice, a VP8, VP8L, VP9 or AV1 frame or a compressed TIFF
//! strip end. Decoders tell it of AV1, WebP and the last tile of VP9 (`pipeline::spare`); of H.264, H.265 and other tiles
//! of VP9 nothing does.

mod av1;
mod bits;
mod bmff;
mod bytes;
mod exif;
mod h264;
mod h265;
mod h265_sets;
mod heif;
mod hidden;
mod iptc;
pub mod jpeg;
mod jpeg_scan;
mod loose;
pub mod mp4;
mod mp4_boxes;
mod mp4_codec;
mod mp4_table;
mod mp4_tags;
mod parts;
pub mod png;
mod sei;
pub mod stream;
pub mod tags;
pub mod tiff;
mod vp9;
pub mod webp;
mod xmp;

pub use bytes::ReadAt;
pub use loose::inventory;
pub use mp4::Mp4Facts;

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::geometry::Size;
use crate::types::limits::Limits;

/// Findings of one rule that are kept of one file; more are only counted.
const MAX_PER_RULE: u64 = 8;

/// A container that has a strict reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Mp4,
    Jpeg,
    Png,
    Webp,
    Tiff,
}

impl Format {
    /// By the first bytes of the file; `None` for anything that has no strict reader.
    pub fn sniff(head: &[u8]) -> Option<Format> {
        match head {
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Format::Png),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
            // HEIC and AVIF have the same boxes, but hold pictures.
            _ if head.get(4..8) == Some(b"ftyp") => {
                let brand = head.get(8..12).unwrap_or_default();
                let is_picture = [&b"heic"[..], b"heix", b"mif1", b"msf1", b"avif", b"avis"].contains(&brand);
                (!is_picture).then_some(Format::Mp4)
            }
            _ if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") => Some(Format::Webp),
            _ => None,
        }
    }
}

/// What the caller knows of the file.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// One audio track is there on purpose.
    pub audio: bool,
    pub limits: Limits,
}

/// What a photo's strict reader saw.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoFacts {
    pub size: Size,
    pub findings: Vec<Finding>,
}

/// What a strict reader saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    Clip(Mp4Facts),
    Photo(PhotoFacts),
}

impl Facts {
    pub fn findings(&self) -> &[Finding] {
        match self {
            Facts::Clip(facts) => &facts.findings,
            Facts::Photo(facts) => &facts.findings,
        }
    }
}

/// Reads the whole file, by content.
///
/// # Errors
/// `Unsupported` for a container without strict reader, `Damaged` and `Limit` for one that cannot be accounted for,
/// `Io` when a read fails.
pub fn inspect(file: &dyn ReadAt, expect: &Expect) -> Result<Facts> {
    let size = bytes::size_of(file)?;
    let head = bytes::read_vec(file, 0, size.min(16), 16)?;
    let photo = match Format::sniff(&head) {
        Some(Format::Mp4) => return Ok(Facts::Clip(mp4::inspect(file, expect)?)),
        Some(Format::Jpeg) => jpeg::inspect(file, expect)?,
        Some(Format::Png) => png::inspect(file, expect)?,
        Some(Format::Webp) => webp::inspect(file, expect)?,
        Some(Format::Tiff) => tiff::inspect(file, expect)?,
        None => return Err(Error::new(Stage::Verify, ErrorKind::Unsupported, "no strict reader for this container")),
    };
    Ok(Facts::Photo(photo))
}

fn damaged(message: impl Into<String>) -> Error {
    Error::new(Stage::Verify, ErrorKind::Damaged, message)
}

fn over_limit(message: impl Into<String>) -> Error {
    Error::new(Stage::Verify, ErrorKind::Limit, message)
}

fn checked_size(width: u32, height: u32, limits: &Limits) -> Result<Size> {
    let size = Size::new(width, height);
    match size.pixels() {
        0 => Err(damaged("the picture has no pixels")),
        n if n > limits.pixels => Err(over_limit(format!("{width}x{height} is more than {} pixels", limits.pixels))),
        _ => Ok(size),
    }
}

/// Collects findings of one file.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
    told: BTreeMap<Rule, u64>,
}

impl Findings {
    fn push(&mut self, rule: Rule, message: impl Into<String>) {
        let told = self.told.entry(rule).or_default();
        *told += 1;
        if *told <= MAX_PER_RULE {
            self.list.push(Finding::new(rule, Severity::Error, message));
        }
    }

    fn residue(&mut self, message: impl Into<String>) {
        self.push(Rule::Residue, message);
    }

    fn metadata(&mut self, message: impl Into<String>) {
        self.push(Rule::Metadata, message);
    }

    fn frame_table(&mut self, message: impl Into<String>) {
        self.push(Rule::FrameTable, message);
    }

    fn into_vec(mut self) -> Vec<Finding> {
        for (rule, told) in self.told {
            if let Some(more) = told.checked_sub(MAX_PER_RULE).filter(|more| *more > 0) {
                self.list.push(Finding::new(rule, Severity::Error, format!("{more} more of this kind")));
            }
        }
        self.list
    }
}

/// A four-letter code for messages: unprintable bytes show as dots.
fn fourcc(code: &[u8]) -> String {
    code.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect()
}
