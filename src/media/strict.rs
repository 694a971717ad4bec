//! Packets to frames in display order, where nothing goes missing quietly.
//!
//! Every symptom of damage is an error, or, when damage is allowed, marks the frames up to the next clean key frame:
//! errors of reading, sending and receiving, packets and frames flagged corrupt, timestamps out of order, packets that
//! gave no frame, an end before the one that the container's head promises. Ordinary oddities are none: a stream that
//! starts inside a group of pictures (skipped and counted up to its first clean key frame), invisible reference frames,
//! fields in packets of their own, frames that an edit list hides, missing timestamps.

use std::collections::BTreeMap;

use ffmpeg_next::Packet;
use ffmpeg_next::frame::Video;

use super::ffi::decode::{Decoder, Received};
use super::ffi::demux::{Demuxer, Read, StreamInfo, is_discarded};
use super::ffi::encode::packet_bytes;
use super::ffi::frame::best_timestamp;
use super::ffi::log;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::limits::Limits;
use crate::types::time::TimeBase;

/// Read errors in a row after which a damaged container counts as ended.
const READ_RETRIES: u32 = 16;
/// Packets remembered for matching frames with them; more than any codec reorders, times a margin.
const REMEMBERED: usize = 256;

/// What was wrong or odd, for the report.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// Frames handed out as damaged.
    pub frames: u64,
    /// First few messages.
    pub messages: Vec<String>,
    /// Packets before the first key frame, and frames that needed them: never shown by a player either.
    pub lead_in: u64,
}

/// A frame as decoded.
pub struct Decoded {
    pub frame: Video,
    pub pts: i64,
    /// Ticks, 0 when the container does not tell.
    pub duration: i64,
    pub key: bool,
    pub damaged: bool,
}

/// Reads one video stream.
pub struct FrameReader {
    demuxer: Demuxer,
    decoder: Decoder,
    stream: usize,
    info: StreamInfo,
    allow_damaged: bool,
    damage: Damage,
    /// Number of the last packet sent, from 1; 0 before the first.
    sent: u64,
    /// Packets whose frame is not out yet: timestamp to number and size.
    waiting: BTreeMap<i64, (u64, usize)>,
    /// Packets that were dropped from `waiting` because no frame came for so long.
    forgotten: u64,
    /// Frames out whose fields may have come in packets of their own.
    interlaced_out: u64,
    /// Where the container ends by its own head, when the file is shorter.
    promised_end: Option<u64>,
    /// Timestamp of the first key packet; `None` before it.
    first_key: Option<i64>,
    /// Timestamp of the packet sent last.
    current: Option<i64>,
    /// What FFmpeg logged last while it took a packet, and the packet's number: the frame comes out later.
    logged: Option<(u64, String)>,
    /// Number of the packet at which damage was seen and no clean key frame since.
    suspect_since: Option<u64>,
    clean_seen: bool,
    out: u64,
    last_pts: Option<i64>,
    /// The last timestamp that the container told.
    last_told: Option<i64>,
    draining: bool,
    ended: bool,
    read_errors: u32,
}

impl FrameReader {
    /// `promised_end` is where the container ends by its own head, when the file is shorter.
    pub fn open(
        mut demuxer: Demuxer,
        stream: usize,
        promised_end: Option<u64>,
        limits: &Limits,
        allow_damaged: bool,
    ) -> Result<Self> {
        let info = demuxer.streams().swap_remove(stream);
        let decoder = Decoder::open(&demuxer, stream, limits.pixels, true)?;
        demuxer.select(stream);
        Ok(Self {
            demuxer,
            decoder,
            stream,
            info,
            allow_damaged,
            damage: Damage::default(),
            sent: 0,
            waiting: BTreeMap::new(),
            forgotten: 0,
            interlaced_out: 0,
            promised_end,
            first_key: None,
            current: None,
            logged: None,
            suspect_since: None,
            clean_seen: false,
            out: 0,
            last_pts: None,
            last_told: None,
            draining: false,
            ended: false,
            read_errors: 0,
        })
    }

    pub fn demuxer(&self) -> &Demuxer {
        &self.demuxer
    }

    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    pub fn time_base(&self) -> TimeBase {
        TimeBase { num: self.info.time_base.numerator(), den: self.info.time_base.denominator() }
    }

    /// The next displayed frame; `None` after the last.
    pub fn next(&mut self) -> Result<Option<Decoded>> {
        while !self.ended {
            let mut frame = Video::empty();
            match self.decoder.receive(&mut frame) {
                Ok(Received::Frame) => {
                    if let Some(decoded) = self.accept(frame)? {
                        return Ok(Some(decoded));
                    }
                }
                Ok(Received::Again) => self.feed()?,
                Ok(Received::End) => self.end()?,
                Err(error) => {
                    self.symptom(error)?;
                    if self.draining { self.end()? } else { self.feed()? }
                }
            }
        }
        Ok(None)
    }

    /// Sends the next packet of the stream, or its end.
    fn feed(&mut self) -> Result<()> {
        loop {
            match self.demuxer.read() {
                Read::Packet(packet) if packet.stream() != self.stream => {}
                Read::Packet(packet) => {
                    self.read_errors = 0;
                    if self.send(&packet)? {
                        return Ok(());
                    }
                }
                Read::End => return self.drain(),
                Read::Error(error) => {
                    self.symptom(error)?;
                    self.read_errors += 1;
                    if self.read_errors >= READ_RETRIES {
                        return self.drain();
                    }
                }
            }
        }
    }

    fn drain(&mut self) -> Result<()> {
        self.draining = true;
        match self.decoder.send(None) {
            Ok(()) => Ok(()),
            Err(error) => self.symptom(error),
        }
    }

    /// Whether the packet went to the decoder; packets before the first key frame do not.
    fn send(&mut self, packet: &Packet) -> Result<bool> {
        if self.sent == 0 && !packet.is_key() {
            self.damage.lead_in += 1;
            return Ok(false);
        }
        self.sent += 1;
        let pts = packet.pts();
        self.current = pts;
        if self.sent == 1 {
            self.first_key = pts;
            // References across an open group's start are missing here, and to say so is no error; what is damaged is
            // still flagged on the frame. From the second key frame on everything is there.
            self.decoder.set_strict(self.info.codec != "h264" || has_idr(packet_bytes(packet)));
        } else if packet.is_key() {
            self.decoder.set_strict(true);
        }
        if let Some(pts) = pts.filter(|_| !is_discarded(packet) && packet.size() > 0) {
            self.waiting.insert(pts, (self.sent, packet.size()));
            if self.waiting.len() > REMEMBERED {
                self.waiting.pop_first();
                self.forgotten += 1;
            }
        }
        if packet.is_corrupt() {
            self.symptom(damaged("the container marks a packet as corrupt"))?;
        }
        match self.decoder.send(Some(packet)) {
            Err(error) => self.symptom(error)?,
            Ok(()) => {
                let text = log::take();
                if !text.is_empty() {
                    self.logged = Some((self.sent, text));
                }
            }
        }
        Ok(true)
    }

    /// Damage: an error, or from here on frames are suspect. What the first key frame's leading pictures lack is none:
    /// they refer to frames before the stream's start, and no player shows them.
    fn symptom(&mut self, error: Error) -> Result<()> {
        let leading = matches!((self.current, self.first_key), (Some(pts), Some(key)) if pts < key) && !self.draining;
        if leading && error.kind() == ErrorKind::Damaged {
            self.damage.lead_in += 1;
            return Ok(());
        }
        if !self.allow_damaged || error.kind() != ErrorKind::Damaged {
            return Err(error);
        }
        if self.damage.messages.len() < 8 {
            self.damage.messages.push(error.message());
        }
        self.suspect_since = Some(self.sent);
        Ok(())
    }

    /// Judges a frame; `None` when it is not to be shown.
    fn accept(&mut self, frame: Video) -> Result<Option<Decoded>> {
        let packet = frame.pts().and_then(|pts| self.waiting.remove(&pts)).map(|(number, _)| number);
        // Without timestamps: the oldest packet that the decoder may still have held back, fields counted singly.
        let held_back = 2 * (self.decoder.reorder_depth() + 1);
        let packet = packet.unwrap_or_else(|| self.sent.saturating_sub(held_back));
        self.interlaced_out += u64::from(frame.is_interlaced());
        let broken = frame.has_decode_errors();
        let corrupt = frame.is_corrupt() || broken;
        if corrupt && !broken && !self.clean_seen {
            self.damage.lead_in += 1;
            return Ok(None);
        }
        let Some(pts) = self.timestamp(&frame)? else { return Ok(None) };
        if corrupt {
            let said = self.logged_since(packet).map(|text| format!(" ({text})")).unwrap_or_default();
            self.symptom(damaged(&format!("the frame at {:.3} s is damaged{said}", self.time_base().secs(pts))))?;
        }
        let key = frame.is_key();
        if key && !corrupt && self.suspect_since.is_some_and(|since| packet > since) {
            self.suspect_since = None;
        }
        self.clean_seen |= !corrupt;
        self.out += 1;
        let is_damaged = corrupt || self.suspect_since.is_some();
        self.damage.frames += u64::from(is_damaged);
        let duration = frame.packet().duration.max(0);
        self.last_pts = Some(pts);
        self.last_told = best_timestamp(&frame).or(self.last_told);
        Ok(Some(Decoded { frame, pts, duration, key, damaged: is_damaged }))
    }

    /// What FFmpeg logged at this packet or a later one.
    fn logged_since(&self, packet: u64) -> Option<&str> {
        self.logged.as_ref().filter(|(number, _)| *number >= packet).map(|(_, text)| text.as_str())
    }

    /// The frame's timestamp, derived from its neighbour's where it has none; `None` drops the frame (damage allowed).
    fn timestamp(&mut self, frame: &Video) -> Result<Option<i64>> {
        let told = best_timestamp(frame);
        let Some(last) = self.last_pts else { return Ok(Some(told.unwrap_or(0))) };
        match told {
            Some(pts) if pts > last => Ok(Some(pts)),
            // Frames of the same time are still in order: each a tick after the other.
            Some(pts) if self.last_told.is_some_and(|told| pts >= told) => Ok(Some(last + 1)),
            None => Ok(Some(last + self.nominal_duration())),
            Some(pts) => {
                let secs = |t| self.time_base().secs(t);
                let message = format!(
                    "timestamps go back from {:.3} s to {:.3} s: frames cannot be put in order",
                    secs(last),
                    secs(pts)
                );
                self.symptom(damaged(&message))?;
                Ok(Some(last + 1))
            }
        }
    }

    /// Ticks of a frame at the stream's frame rate, at least 1.
    pub fn nominal_duration(&self) -> i64 {
        let (rate, base) = (self.info.frame_rate, self.info.time_base);
        if rate.numerator() <= 0 || rate.denominator() <= 0 {
            return 1;
        }
        let ticks = f64::from(rate.denominator()) / f64::from(rate.numerator()) / f64::from(base);
        (ticks.round() as i64).max(1)
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        if self.out == 0 {
            let what = if self.sent == 0 { "holds no key frame" } else { "no frame can be decoded" };
            return Err(damaged(what));
        }
        let missing = self.unanswered();
        if missing > 0 {
            self.symptom(damaged(&format!("{missing} coded frames gave no picture")))?;
        }
        if let Some(end) = self.promised_end {
            let message = format!("the file is cut off: its container goes on to byte {end}");
            self.symptom(damaged(&message))?;
        }
        Ok(())
    }

    /// Packets that should have given a picture and did not. Codecs with invisible frames can't be judged, and neither
    /// can leading pictures of the first key frame, placeholders of a few bytes, or second fields in packets of their own.
    fn unanswered(&self) -> u64 {
        const PLACEHOLDER: usize = 24;
        const JUDGED: &[&str] =
            &["h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "prores", "dnxhd", "h263"];
        if !JUDGED.contains(&self.info.codec.as_str()) {
            return 0;
        }
        let first = self.first_key.unwrap_or(i64::MIN);
        let waiting = self.waiting.range(first..).filter(|(_, (_, size))| *size > PLACEHOLDER).count() as u64;
        (waiting + self.forgotten).saturating_sub(self.interlaced_out)
    }
}

/// Whether an H.264 access unit begins with an instantaneous refresh, in either way of packing NAL units.
fn has_idr(data: &[u8]) -> bool {
    const IDR: u8 = 5;
    let is_idr = |header: &u8| header & 0x1f == IDR;
    // Lengths first: one of 256 to 511 bytes looks like a start code, but start codes do not add up as lengths.
    let (mut rest, mut found) = (data, false);
    while let Some((length, units)) = rest.split_first_chunk::<4>() {
        found |= units.first().is_some_and(is_idr);
        match units.get(u32::from_be_bytes(*length) as usize..) {
            Some(next) => rest = next,
            None => return data.windows(4).any(|w| w[..3] == [0, 0, 1] && is_idr(&w[3])),
        }
    }
    found
}

fn damaged(message: &str) -> Error {
    Error::new(Stage::Decode, ErrorKind::Damaged, message)
}
