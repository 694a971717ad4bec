//! Opening a source by its content, and the identity of its frames.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::clip::DecodeOptions;
use crate::media::picture::AnalysisScaler;
use crate::media::sniff::{Sniffed, sniff};
use crate::media::{anim, clip, photo};
use crate::types::frame::{Frame, MediaKind, Picture, SourceInfo};
use crate::types::limits::Limits;
use crate::types::stage::Source;

/// Longest side of the pictures in which small things are looked for in clips, pixels.
pub const CLIP_PICTURE_SIDE: u32 = 1280;
/// Longest side of the pictures that every frame of a clip is followed in: a face of 28 pixels in 1280 still has 14.
pub const CLIP_GLANCE_SIDE: u32 = 640;

/// A source with its kind.
pub struct Opened {
    pub sniffed: Sniffed,
    pub source: Box<dyn Source>,
}

/// Opens a photo, an animated picture or a clip. The descriptor is read by position and may be shared.
pub fn open(file: &File, label: &Path, limits: &Limits, allow_damaged: bool) -> Result<Opened> {
    let sniffed = sniff(file).map_err(|e| e.at(label))?;
    let own = file
        .try_clone()
        .map_err(|e| Error::new(Stage::Open, ErrorKind::Io, "cannot be opened again").because(e).at(label))?;
    let source: Result<Box<dyn Source>> = if sniffed.is_animated_picture() {
        anim::open(own, sniffed, limits)
    } else if sniffed.is_clip() {
        let options = DecodeOptions { limits: *limits, allow_damaged };
        clip::open(own, label, &options).map(|source| Box::new(source) as Box<dyn Source>)
    } else {
        photo::open(own, sniffed, limits)
    };
    Ok(Opened { sniffed, source: source.map_err(|e| e.at(label))? })
}

/// SHA-256 of a whole file, hex, read by position.
pub fn hash(file: &File) -> Result<String> {
    let failed = |e: io::Error| Error::new(Stage::Open, ErrorKind::Io, "cannot be read to its end").because(e);
    let mut hasher = Sha256::new();
    let mut reader = PositionReader { file, position: 0 };
    let mut block = vec![0; 1 << 20];
    loop {
        match reader.read(&mut block).map_err(failed)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&block[..n]),
        }
    }
}

struct PositionReader<'a> {
    file: &'a File,
    position: u64,
}

impl Read for PositionReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Upright analysis pictures: photos at full size, clips scaled down to a longest side.
pub enum Pictures {
    Photo,
    Clip(Box<AnalysisScaler>),
}

impl Pictures {
    pub fn new(info: &SourceInfo, clip_side: u32) -> Self {
        match info.kind {
            MediaKind::Photo => Pictures::Photo,
            MediaKind::Clip => Pictures::Clip(Box::new(AnalysisScaler::new(info, clip_side))),
        }
    }

    pub fn picture(&mut self, frame: &Frame) -> Result<Picture> {
        match self {
            Pictures::Photo => photo::to_picture(frame, 0),
            Pictures::Clip(scaler) => scaler.picture(frame),
        }
    }
}
