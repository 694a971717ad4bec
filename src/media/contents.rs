//! A look into a container of any kind for what it holds besides its picture, by FFmpeg's demuxers: a second reader
//! beside the strict ones of `verify::structure`, and the only one for containers that have none there.

use std::fs::File;

use super::clip::CONTAINERS;
pub use super::ffi::contents::{ContentKind, ContentStream};
use super::ffi::demux::{Demuxer, Read, is_discarded};
use super::ffi::encode::packet_bytes;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::limits::Limits;

/// Containers of sound and subtitles, which hold no picture.
const WITHOUT_PICTURE: &[&str] = &[
    "aac", "ac3", "ac4", "adts", "aiff", "amr", "amrnb", "amrwb", "ape", "ass", "au", "caf", "dts", "dtshd", "eac3",
    "flac", "loas", "mlp", "mp3", "oma", "srt", "truehd", "tta", "voc", "w64", "wav", "webvtt", "wv",
];

/// What a container holds.
pub struct Contents {
    demuxer: Demuxer,
    pub streams: Vec<ContentStream>,
    /// Names of the tags of the whole, its chapters and programs.
    pub tags: Vec<String>,
    pub chapters: usize,
}

/// A packet that passes by.
pub struct Passing<'a> {
    pub stream: usize,
    pub data: &'a [u8],
    /// An edit list hides its frame.
    pub hidden: bool,
}

/// Opens a container.
///
/// # Errors
/// As the demuxer's: `NotMedia`, `Unsupported`, `Damaged`, `Io`, `Limit`.
pub fn open(file: File, limits: &Limits) -> Result<Contents> {
    let known = |name: &str| {
        if CONTAINERS.contains(&name) || WITHOUT_PICTURE.contains(&name) {
            return Ok(());
        }
        Err(Error::new(Stage::Open, ErrorKind::Unsupported, format!("{name} is not a container that is read here")))
    };
    let demuxer = Demuxer::open(file, limits, known)?;
    let (streams, tags, chapters) = (demuxer.content_streams(), demuxer.tag_names(), demuxer.chapter_count());
    Ok(Contents { demuxer, streams, tags, chapters })
}

impl Contents {
    /// Shows every packet up to the end or to the first error, which decoding tells of.
    pub fn packets(&mut self, mut see: impl FnMut(&Passing<'_>)) {
        while let Read::Packet(packet) = self.demuxer.read() {
            let hidden = is_discarded(&packet);
            see(&Passing { stream: packet.stream(), data: packet_bytes(&packet), hidden });
        }
    }
}
