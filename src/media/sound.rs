//! The sound of a finished clip: decoded, resampled and encoded again, so that no tag or encoder string crosses.
//!
//! Times are kept: the track starts at zero, gaps are filled with silence, overlaps are cut, and it ends with the
//! picture. An undecodable piece of sound becomes silence; it can hide nothing but itself.

use ffmpeg_next::Packet;
use ffmpeg_next::frame::Audio;

use super::encode::AudioMode;
use super::ffi::audio::{Resampler, planar_frame, rate_and_channels, samples_of};
use super::ffi::decode::{Decoder, Received};
use super::ffi::demux::{Demuxer, Read};
use super::ffi::encode::{Encoder, strip_packet};
use super::ffi::mux::Muxer;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::limits::Limits;

/// Rates that AAC knows and that are kept; others become 48 kHz.
const RATES: &[u32] = &[16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Bits per second and channel.
const BIT_RATE: u32 = 80_000;
/// Differences between timestamps and samples up to this are clock jitter, not gaps.
const JITTER_SECS: f64 = 0.05;

/// Sound on its way into a clip.
pub struct SoundTrack {
    input: Input,
    /// Seconds to take off the input's times; `None`: it starts with the picture.
    shift_secs: Option<f64>,
    rate: u32,
    channels: usize,
    encoder: Encoder,
    stream: usize,
    /// First frame of the input, decoded to learn its kind.
    first: Option<Audio>,
    resampler: Option<Resampler>,
    /// Interleaved samples not encoded yet.
    queue: Vec<f32>,
    /// Samples per channel sent to the encoder.
    encoded: i64,
    /// Where the next sample of the input belongs if it follows without a gap; `None` before the first.
    expected: Option<i64>,
    done: bool,
}

/// Decoder of the input.
struct Input {
    demuxer: Demuxer,
    decoder: Decoder,
    stream: usize,
    secs_per_tick: f64,
    draining: bool,
}

impl SoundTrack {
    /// `None` when no sound is wanted, or kept sound is not there. `rebased_secs` was taken off the picture's times.
    pub fn open(mode: AudioMode, rebased_secs: f64) -> Result<Option<Self>> {
        let (file, shift_secs) = match mode {
            AudioMode::None => return Ok(None),
            AudioMode::Keep(file) => (file, Some(rebased_secs)),
            AudioMode::Replace(file, _) => (file, None),
        };
        let demuxer = Demuxer::open(file, &Limits::default(), |_| Ok(()))?;
        let Some(stream) = demuxer.best_audio() else {
            let message = "the file given for sound holds none";
            return if shift_secs.is_some() {
                Ok(None)
            } else {
                Err(Error::new(Stage::Open, ErrorKind::NotMedia, message))
            };
        };
        let mut input = Input::open(demuxer, stream)?;
        let Some(first) = input.next()? else {
            return Err(Error::new(Stage::Decode, ErrorKind::Damaged, "its sound cannot be decoded"));
        };
        let (rate, channels) = rate_and_channels(&first);
        let rate = if RATES.contains(&rate) { rate } else { 48_000 };
        let channels = channels.clamp(1, 2);
        let encoder = Encoder::aac(rate, channels, BIT_RATE * channels)?;
        Ok(Some(Self {
            input,
            shift_secs,
            rate,
            channels: channels as usize,
            encoder,
            stream: 0,
            first: Some(first),
            resampler: None,
            queue: Vec::new(),
            encoded: 0,
            expected: None,
            done: false,
        }))
    }

    pub fn add_to(&mut self, muxer: &mut Muxer) -> Result<()> {
        self.stream = muxer.add(&self.encoder, None, None)?;
        Ok(())
    }

    /// Writes all sound that ends before `until_secs`; the picture starts at `start_secs`.
    pub fn pump(&mut self, muxer: &mut Muxer, start_secs: f64, until_secs: f64) -> Result<()> {
        let until = (until_secs * f64::from(self.rate)) as i64;
        self.fill(start_secs, until)?;
        let frame = self.encoder.frame_size();
        while self.encoded + frame as i64 <= until && self.queue.len() >= frame * self.channels {
            self.encode(muxer, frame)?;
        }
        Ok(())
    }

    /// Writes the rest up to the picture's end.
    pub fn finish(&mut self, muxer: &mut Muxer, start_secs: f64, end_secs: f64) -> Result<()> {
        let end = (end_secs * f64::from(self.rate)).round() as i64;
        self.fill(start_secs, end)?;
        let left = usize::try_from(end - self.encoded).unwrap_or(0);
        self.queue.truncate(left * self.channels);
        let frame = self.encoder.frame_size();
        while !self.queue.is_empty() {
            self.encode(muxer, frame.min(self.queue.len() / self.channels))?;
        }
        self.encoder.send(None)?;
        self.collect(muxer)
    }

    /// Decodes until the queue reaches `until` (in samples of the track) or the input ends.
    fn fill(&mut self, start_secs: f64, until: i64) -> Result<()> {
        while !self.done && self.encoded + ((self.queue.len() / self.channels) as i64) < until {
            let frame = match self.first.take() {
                Some(first) => Some(first),
                None => self.input.next()?,
            };
            match frame {
                Some(frame) => self.push(&frame, start_secs)?,
                None => {
                    self.flush_resampler()?;
                    self.done = true;
                }
            }
        }
        Ok(())
    }

    /// Puts a decoded frame where its timestamp says.
    fn push(&mut self, frame: &Audio, start_secs: f64) -> Result<()> {
        let (rate, _) = rate_and_channels(frame);
        if rate == 0 {
            return Ok(());
        }
        if self.resampler.as_ref().is_none_or(|r| !r.fits(frame)) {
            self.flush_resampler()?;
            self.resampler = Some(Resampler::new(frame, self.rate, self.channels as u32)?);
        }
        let told = frame.timestamp().map(|pts| pts as f64 * self.input.secs_per_tick);
        let shift = *self.shift_secs.get_or_insert(told.unwrap_or(0.0) - start_secs);
        let place = told.map(|secs| ((secs - shift) * f64::from(self.rate)).round() as i64);
        let expected = *self.expected.get_or_insert(0);
        let jitter = (JITTER_SECS * f64::from(self.rate)) as i64;
        // The first sample goes exactly where it belongs; later only real gaps and overlaps count.
        let is_first = expected == 0 && self.encoded == 0 && self.queue.is_empty();
        let offset = place.map_or(0, |p| p - expected);
        let offset = if is_first || offset.abs() > jitter { offset } else { 0 };
        let mut samples = match self.resampler.as_mut() {
            Some(resampler) => resampler.convert(Some(frame))?,
            None => Vec::new(),
        };
        if offset > 0 {
            self.queue.resize(self.queue.len() + offset as usize * self.channels, 0.0);
        } else {
            let cut = (offset.unsigned_abs() as usize * self.channels).min(samples.len());
            samples.drain(..cut);
        }
        self.queue.extend_from_slice(&samples);
        let length = (samples_of(frame) as f64 * f64::from(self.rate) / f64::from(rate)).round() as i64;
        self.expected = Some(expected + offset.max(-length) + length);
        Ok(())
    }

    fn flush_resampler(&mut self) -> Result<()> {
        if let Some(mut resampler) = self.resampler.take() {
            self.queue.extend(resampler.convert(None)?);
        }
        Ok(())
    }

    fn encode(&mut self, muxer: &mut Muxer, samples: usize) -> Result<()> {
        let count = samples * self.channels;
        let frame = planar_frame(&self.queue[..count], self.channels, self.rate, self.encoded)?;
        self.queue.drain(..count);
        self.encoded += samples as i64;
        self.encoder.send(Some(&frame))?;
        self.collect(muxer)
    }

    fn collect(&mut self, muxer: &mut Muxer) -> Result<()> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive(&mut packet)? {
                Received::Again | Received::End => return Ok(()),
                Received::Frame => {}
            }
            strip_packet(&mut packet);
            muxer.write(packet, self.stream, self.encoder.time_base())?;
        }
    }
}

impl Input {
    fn open(mut demuxer: Demuxer, stream: usize) -> Result<Self> {
        let info = demuxer.streams().swap_remove(stream);
        let decoder = Decoder::open(&demuxer, stream, Limits::default().pixels, false)?;
        demuxer.select(stream);
        Ok(Self { demuxer, decoder, stream, secs_per_tick: f64::from(info.time_base), draining: false })
    }

    /// The next frame with sound in it; what cannot be decoded is passed over.
    fn next(&mut self) -> Result<Option<Audio>> {
        loop {
            let mut frame = Audio::empty();
            match self.decoder.receive(&mut frame) {
                Ok(Received::Frame) if samples_of(&frame) > 0 => return Ok(Some(frame)),
                Ok(Received::Frame) => {}
                Ok(Received::End) => return Ok(None),
                Err(_) if self.draining => return Ok(None),
                Ok(Received::Again) | Err(_) => self.feed()?,
            }
        }
    }

    fn feed(&mut self) -> Result<()> {
        loop {
            match self.demuxer.read() {
                Read::Packet(packet) if packet.stream() == self.stream => {
                    // An error here is the packet's own; the next may be fine.
                    let _ = self.decoder.send(Some(&packet));
                    return Ok(());
                }
                Read::Packet(_) => {}
                Read::Error(error) if error.kind() == ErrorKind::Io => return Err(error),
                Read::End | Read::Error(_) => {
                    self.draining = true;
                    let _ = self.decoder.send(None);
                    return Ok(());
                }
            }
        }
    }
}
