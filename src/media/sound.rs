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
    queue: Queue,
    /// Samples per channel sent to the encoder.
    encoded: i64,
    /// Where the next sample of the input belongs if it follows without a gap; `None` before the first.
    expected: Option<i64>,
    done: bool,
}

/// Samples on their way to the encoder, interleaved. A timestamp may be years ahead: silence is counted, not held.
struct Queue {
    channels: usize,
    samples: Vec<f32>,
    /// Samples per channel of silence behind them.
    silence: u64,
    behind: Vec<f32>,
}

impl Queue {
    fn new(channels: usize) -> Self {
        Self { channels, samples: Vec::new(), silence: 0, behind: Vec::new() }
    }

    /// Samples per channel that can be taken.
    fn ready(&self) -> usize {
        self.samples.len() / self.channels
    }

    fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.silence == 0 && self.behind.is_empty()
    }

    /// Adds samples after `silence`. All silence that was added before must be revealed.
    fn push(&mut self, silence: u64, samples: &[f32]) {
        debug_assert!(self.silence == 0 && self.behind.is_empty(), "silence waits already");
        self.silence = silence;
        if silence == 0 { &mut self.samples } else { &mut self.behind }.extend_from_slice(samples);
    }

    /// Turns waiting silence into samples until `wanted` are ready; whether all of it is.
    fn reveal(&mut self, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.ready());
        let count = usize::try_from(self.silence).unwrap_or(usize::MAX).min(missing);
        self.samples.resize(self.samples.len() + count * self.channels, 0.0);
        self.silence -= count as u64;
        if self.silence == 0 {
            self.samples.append(&mut self.behind);
        }
        self.silence == 0
    }

    /// Removes the first samples of each channel.
    fn drop_front(&mut self, count: usize) {
        self.samples.drain(..count * self.channels);
    }
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
            queue: Queue::new(channels as usize),
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
        let frame = self.encoder.frame_size();
        while self.encoded + frame as i64 <= until && self.fill(start_secs, frame)? == frame {
            self.encode(muxer, frame)?;
        }
        Ok(())
    }

    /// Writes the rest up to the picture's end.
    pub fn finish(&mut self, muxer: &mut Muxer, start_secs: f64, end_secs: f64) -> Result<()> {
        let end = (end_secs * f64::from(self.rate)).round() as i64;
        loop {
            let left = usize::try_from(end - self.encoded).unwrap_or(0);
            match self.fill(start_secs, self.encoder.frame_size().min(left))? {
                0 => break,
                samples => self.encode(muxer, samples)?,
            }
        }
        self.encoder.send(None)?;
        self.collect(muxer)
    }

    /// Decodes until so many samples can be encoded or the input ends; tells how many of them can be.
    fn fill(&mut self, start_secs: f64, wanted: usize) -> Result<usize> {
        while self.queue.reveal(wanted) && self.queue.ready() < wanted && !self.done {
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
        Ok(self.queue.ready().min(wanted))
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
        let jitter = (JITTER_SECS * f64::from(self.rate)) as u64;
        // The first sample goes exactly where it belongs; later only real gaps and overlaps count.
        let is_first = expected == 0 && self.encoded == 0 && self.queue.is_empty();
        let offset = place.map_or(0, |p| p.saturating_sub(expected));
        let offset = if is_first || offset.unsigned_abs() > jitter { offset } else { 0 };
        let samples = match self.resampler.as_mut() {
            Some(resampler) => resampler.convert(Some(frame))?,
            None => Vec::new(),
        };
        let cut = usize::try_from(offset.min(0).unsigned_abs()).unwrap_or(usize::MAX);
        let cut = cut.saturating_mul(self.channels).min(samples.len());
        self.queue.push(offset.max(0).unsigned_abs(), &samples[cut..]);
        let length = (samples_of(frame) as f64 * f64::from(self.rate) / f64::from(rate)).round() as i64;
        self.expected = Some(expected.saturating_add(offset.max(-length)).saturating_add(length));
        Ok(())
    }

    fn flush_resampler(&mut self) -> Result<()> {
        if let Some(mut resampler) = self.resampler.take() {
            self.queue.push(0, &resampler.convert(None)?);
        }
        Ok(())
    }

    fn encode(&mut self, muxer: &mut Muxer, samples: usize) -> Result<()> {
        let count = samples * self.channels;
        let frame = planar_frame(&self.queue.samples[..count], self.channels, self.rate, self.encoded)?;
        self.queue.drop_front(samples);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_any_length_takes_no_memory() {
        let mut queue = Queue::new(2);
        queue.push(0, &[1.0; 6]);
        // Fifty years.
        queue.push(1 << 46, &[2.0; 4]);
        for _ in 0..1000 {
            assert!(!queue.reveal(1024));
            assert_eq!(queue.ready(), 1024);
            queue.drop_front(1024);
        }
        assert!(queue.samples.capacity() < 1 << 16);
    }

    #[test]
    fn what_follows_silence_comes_behind_it() {
        let mut queue = Queue::new(1);
        queue.push(3, &[1.0, 2.0]);
        assert!(!queue.reveal(2));
        assert_eq!(queue.samples, [0.0, 0.0]);
        assert!(queue.reveal(4));
        assert_eq!(queue.samples, [0.0, 0.0, 0.0, 1.0, 2.0]);
        queue.drop_front(5);
        assert!(queue.is_empty() && queue.reveal(1) && queue.ready() == 0);
    }
}
