//! A second decoder for codings whose usual one does not mind bytes that it has no use for. Where the coded bits of a frame
//! end is only known by decoding them, and FFmpeg's own decoder of VP9 and dav1d stop there without a word.

use std::ffi::CStr;
use std::fs::File;

use super::clip::check_container;
use super::ffi::decode::{Decoder, Received};
use super::ffi::demux::{Demuxer, Read, StreamKind};
use crate::error::Result;
use crate::types::limits::Limits;

/// A frame that the second decoder refuses.
#[derive(Debug, PartialEq)]
pub struct Refused {
    /// Number of the sample, from 0.
    pub sample: u64,
    pub decoder: &'static str,
    pub why: String,
}

/// By FFmpeg's names of coding and decoder. Each refuses a frame with other bytes than zeros behind its last coded bit:
/// libaom behind every tile, libvpx behind the last one.
fn stricter(codec: &str) -> Option<&'static CStr> {
    match codec {
        "av1" => Some(c"libaom-av1"),
        "vp9" => Some(c"libvpx-vp9"),
        _ => None,
    }
}

/// Decodes the video of a clip with the second decoder, up to the first frame that it refuses; `step` is called before
/// each and may end it by an error. `None` also where the linked FFmpeg has no such decoder.
///
/// # Errors
/// As [`super::clip::open`], and that of `step`.
pub fn refused(file: File, limits: &Limits, mut step: impl FnMut() -> Result<()>) -> Result<Option<Refused>> {
    let mut demuxer = Demuxer::open(file, limits, check_container)?;
    let streams = demuxer.streams();
    let Some(index) = streams.iter().position(|s| s.kind == StreamKind::Video) else { return Ok(None) };
    let Some(name) = stricter(&streams[index].codec) else { return Ok(None) };
    let Some(mut decoder) = Decoder::open_named(name, &demuxer, index, limits.pixels)? else { return Ok(None) };
    demuxer.select(index);
    let mut sample = 0;
    while let Read::Packet(packet) = demuxer.read() {
        if packet.stream() != index {
            continue;
        }
        step()?;
        if let Err(e) = decoder.send(Some(&packet)).and_then(|()| drain(&mut decoder)) {
            let decoder = name.to_str().unwrap_or_default();
            return Ok(Some(Refused { sample, decoder, why: e.message().to_string() }));
        }
        sample += 1;
    }
    Ok(None)
}

/// Takes the frames that a packet gave.
fn drain(decoder: &mut Decoder) -> Result<()> {
    let mut frame = ffmpeg_next::frame::Video::empty();
    while let Received::Frame = decoder.receive(&mut frame)? {}
    Ok(())
}
