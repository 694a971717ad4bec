//! Animated GIF, APNG and WebP as clips: composited frames, one at a time.
//!
//! The decoders' frame iterators can't move between threads, so each lives in a thread of its own, which stays at most one
//! frame ahead of the reader.

use std::fs::File;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{AnimationDecoder, Delay, Frames, ImageDecoder, RgbImage};

use super::photo::{format_name, picture_info};
use super::photo_decode::{check_pixels, damaged, image_limits, refused, whole, without_panic};
use super::photo_structure::{self as structure, PositionedReader, Structure};
use super::rgb;
use super::sniff::Sniffed;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{Frame, MediaKind, SourceInfo};
use crate::types::geometry::Size;
use crate::types::limits::Limits;
use crate::types::stage::Source;
use crate::types::time::TimeBase;

/// Ticks are milliseconds.
const TIME_BASE: TimeBase = TimeBase { num: 1, den: 1000 };

/// Delays up to this are shown as [`DEFAULT_DELAY_US`] by all browsers, so that is what people see.
const SHORTEST_DELAY_US: u64 = 10_000;
const DEFAULT_DELAY_US: u64 = 100_000;

/// Opens an animated picture: frames as they are shown (composited, upright, alpha laid over white, sRGB), RGB8.
///
/// # Errors
/// As [`super::photo::open`]; while reading also `Damaged` when there are fewer frames than the file announces.
pub fn open(file: File, sniffed: Sniffed, limits: &Limits) -> Result<Box<dyn Source>> {
    let found = whole(walk(&file, sniffed)?)?;
    if found.frames == 0 {
        return Err(damaged("the animation holds no frame"));
    }
    if found.frames > limits.frames {
        return Err(over_limit(format!("{} frames are more than the limit of {}", found.frames, limits.frames)));
    }
    if found.hdr {
        let message = "HDR PNG (PQ or HLG) is not supported; export it as sRGB";
        return Err(Error::new(Stage::Open, ErrorKind::Unsupported, message));
    }
    let setup = without_panic(|| Setup::read(&file, sniffed, limits))?;
    let mut info = picture_info(MediaKind::Clip, format_name(sniffed), setup.upright);
    info.time_base = TIME_BASE;
    info.frames_estimate = Some(found.frames);
    let (sender, receiver) = sync_channel(1);
    let job = Job { file, sniffed, limits: *limits, setup, frames: found.frames };
    let thread = Builder::new()
        .name("animation".to_owned())
        .spawn(move || job.run(&sender))
        .map_err(|e| Error::new(Stage::Open, ErrorKind::Io, "no thread for decoding").because(e))?;
    let duration_limit_us = (limits.duration_secs * 1e6) as u64;
    let state = State::Running(receiver);
    Ok(Box::new(Animation { info, state, thread: Some(thread), index: 0, time_us: 0, duration_limit_us }))
}

fn over_limit(message: String) -> Error {
    Error::new(Stage::Decode, ErrorKind::Limit, message)
}

fn walk(file: &File, sniffed: Sniffed) -> Result<Structure> {
    let mut reader = PositionedReader::buffered(file);
    let found = match sniffed {
        Sniffed::Gif { .. } => structure::gif(&mut reader, u64::MAX),
        Sniffed::Png { .. } => structure::png(&mut reader, true),
        Sniffed::WebP { .. } => file.metadata().and_then(|m| structure::webp(&mut reader, m.len())),
        _ => return Err(Error::new(Stage::Open, ErrorKind::Internal, "not an animated picture")),
    };
    found.map_err(|e| Error::new(Stage::Open, ErrorKind::Io, "the file can't be read").because(e))
}

/// What holds for all frames of an animation.
struct Setup {
    orientation: Orientation,
    icc: Option<Vec<u8>>,
    upright: Size,
}

impl Setup {
    fn read(file: &File, sniffed: Sniffed, limits: &Limits) -> Result<Self> {
        let reader = PositionedReader::buffered(file);
        match sniffed {
            Sniffed::Gif { .. } => Self::of(GifDecoder::new(reader).map_err(refused)?, limits),
            Sniffed::Png { .. } => {
                Self::of(PngDecoder::with_limits(reader, image_limits(limits)).map_err(refused)?, limits)
            }
            _ => Self::of(WebPDecoder::new(reader).map_err(refused)?, limits),
        }
    }

    fn of(mut decoder: impl ImageDecoder, limits: &Limits) -> Result<Self> {
        let (width, height) = decoder.dimensions();
        let size = Size::new(width, height);
        check_pixels(size, limits)?;
        let orientation = rgb::exif_orientation(decoder.exif_metadata().map_err(refused)?.as_deref());
        let icc = decoder.icc_profile().map_err(refused)?;
        let swaps = matches!(
            orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        );
        Ok(Self { orientation, icc, upright: if swaps { size.transposed() } else { size } })
    }
}

/// From the decoding thread to the source.
enum Message {
    Frame { image: RgbImage, delay_us: u64 },
    Failed(Error),
    End,
}

/// What the decoding thread works on.
struct Job {
    file: File,
    sniffed: Sniffed,
    limits: Limits,
    setup: Setup,
    frames: u64,
}

impl Job {
    fn run(self, sender: &SyncSender<Message>) {
        let last = match without_panic(|| self.decode(sender)) {
            Ok(()) => Message::End,
            Err(e) => Message::Failed(e),
        };
        // Nobody listens any more when the source was dropped early; then nothing is lost.
        let _ = sender.send(last);
    }

    fn decode(&self, sender: &SyncSender<Message>) -> Result<()> {
        let mut count = 0;
        for frame in self.iterate()? {
            let frame = frame.map_err(refused)?;
            let delay_us = delay_us(frame.delay());
            let image = rgb::to_srgb8(frame.into_buffer().into(), self.setup.icc.as_deref())?;
            let image = rgb::upright(image, self.setup.orientation);
            count += 1;
            if sender.send(Message::Frame { image, delay_us }).is_err() {
                return Ok(());
            }
        }
        if count != self.frames {
            return Err(damaged(format!("the animation is damaged: {} frames announced, {count} found", self.frames)));
        }
        Ok(())
    }

    fn iterate(&self) -> Result<Frames<'_>> {
        let reader = PositionedReader::buffered(&self.file);
        let bounds = image_limits(&self.limits);
        Ok(match self.sniffed {
            Sniffed::Gif { .. } => {
                let mut decoder = GifDecoder::new(reader).map_err(refused)?;
                decoder.set_limits(bounds).map_err(refused)?;
                decoder.into_frames()
            }
            Sniffed::Png { .. } => {
                PngDecoder::with_limits(reader, bounds).and_then(PngDecoder::apng).map_err(refused)?.into_frames()
            }
            _ => WebPDecoder::new(reader).map_err(refused)?.into_frames(),
        })
    }
}

fn delay_us(delay: Delay) -> u64 {
    let (ms_num, den) = delay.numer_denom_ms();
    match u64::from(ms_num) * 1000 / u64::from(den.max(1)) {
        us if us <= SHORTEST_DELAY_US => DEFAULT_DELAY_US,
        us => us,
    }
}

/// How far the reader is.
enum State {
    Running(Receiver<Message>),
    Ended,
    /// An error was told: from then on every call is one, so that it can't be taken for the end.
    Failed,
}

struct Animation {
    info: SourceInfo,
    state: State,
    thread: Option<JoinHandle<()>>,
    index: u64,
    time_us: u64,
    duration_limit_us: u64,
}

impl Animation {
    fn frame(&mut self, image: RgbImage, delay_us: u64) -> Result<Frame> {
        let end_us = self.time_us + delay_us;
        if end_us > self.duration_limit_us {
            return Err(over_limit("the animation is longer than the limit".to_owned()));
        }
        let (pts, end) = (Self::ticks(self.time_us), Self::ticks(end_us));
        let frame = rgb::frame(image, self.index, pts, end - pts);
        self.index += 1;
        self.time_us = end_us;
        Ok(frame)
    }

    fn ticks(time_us: u64) -> i64 {
        ((time_us + 500) / 1000) as i64
    }
}

impl Source for Animation {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let State::Running(receiver) = &self.state else {
            let ended = matches!(self.state, State::Ended);
            return if ended { Ok(None) } else { Err(damaged("decoding of the animation failed before")) };
        };
        let received = receiver.recv();
        let told = match received {
            Ok(Message::Frame { image, delay_us }) => self.frame(image, delay_us).map(Some),
            Ok(Message::End) => Ok(None),
            Ok(Message::Failed(e)) => Err(e),
            Err(_) => Err(damaged("the decoder of the animation stopped")),
        };
        match &told {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Ended,
            Err(_) => self.state = State::Failed,
        }
        told
    }
}

impl Drop for Animation {
    fn drop(&mut self) {
        // The thread ends at its next send.
        self.state = State::Ended;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "anim_tests.rs"]
mod tests;
