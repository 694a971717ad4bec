//! Clips out: MP4 with one video stream, perhaps one of sound, and not a byte that tells where it came from.
//!
//! Every frame keeps its exact timestamp: encoder and track count in the source's ticks. Nothing is tagged: no encoder
//! string, no user data, no handler names; what encoders write beside the picture (SEI, metadata OBUs) is filtered out
//! before muxing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use ffmpeg_next::{Packet, Rational};

use super::ffi::decode::Received;
use super::ffi::encode::{Encoder, PacketFilter, VideoSettings, encoder_names, has_encoder, strip_packet};
use super::ffi::frame::{AvBuffer, PixelFormat, foreign_buffer, format_of, layout_of, set_times, strip};
use super::ffi::mux::Muxer;
use super::sound::SoundTrack;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{Frame, SourceInfo};
use crate::types::geometry::Size;
use crate::types::stage::Sink;

/// A codec to encode to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    H264,
    H265,
    Vp9,
    Av1,
}

impl VideoCodec {
    pub const ALL: [VideoCodec; 4] = [VideoCodec::H264, VideoCodec::H265, VideoCodec::Vp9, VideoCodec::Av1];

    /// FFmpeg's name of the codec.
    pub fn name(self) -> &'static str {
        match self {
            VideoCodec::H264 => "h264",
            VideoCodec::H265 => "hevc",
            VideoCodec::Vp9 => "vp9",
            VideoCodec::Av1 => "av1",
        }
    }

    /// Constant quality that is used unless another is asked for.
    pub fn default_crf(self) -> u8 {
        match self {
            VideoCodec::H264 => 18,
            VideoCodec::H265 => 22,
            VideoCodec::Vp9 => 28,
            VideoCodec::Av1 => 30,
        }
    }

    /// Encoders that are used for it, best first.
    fn encoders(self) -> &'static [&'static str] {
        match self {
            VideoCodec::H264 => &["libx264"],
            VideoCodec::H265 => &["libx265"],
            VideoCodec::Vp9 => &["libvpx-vp9"],
            VideoCodec::Av1 => &["libsvtav1", "libaom-av1"],
        }
    }
}

/// Which sound the clip gets.
#[derive(Debug, Default)]
pub enum AudioMode {
    #[default]
    None,
    /// That of the source, at its own times.
    Keep(File),
    /// That of another file, from the clip's first frame on; the path is for messages.
    Replace(File, PathBuf),
}

/// How to encode.
#[derive(Debug)]
pub struct EncodeSettings {
    pub codec: VideoCodec,
    /// Constant quality; the lower the better. `None`: [`VideoCodec::default_crf`].
    pub crf: Option<u8>,
    /// The encoder's own name for its speed. `None`: `veryfast` for H.264 and H.265, 5 for VP9, 8 for AV1.
    pub preset: Option<String>,
    /// Threads of the encoder; the bytes of the result depend on it.
    pub threads: usize,
    pub audio: AudioMode,
    /// Ticks that the caller took off every timestamp of the source; kept sound is moved along.
    pub rebased_by: i64,
}

impl Default for EncodeSettings {
    fn default() -> Self {
        Self { codec: VideoCodec::H264, crf: None, preset: None, threads: 2, audio: AudioMode::None, rebased_by: 0 }
    }
}

/// Video encoders of the linked FFmpeg for the codecs above: `(codec, encoder)`.
pub fn encoders() -> Vec<(String, String)> {
    let names =
        |codec: VideoCodec| encoder_names(&[codec.name()]).into_iter().map(move |n| (codec.name().to_owned(), n));
    VideoCodec::ALL.into_iter().flat_map(names).collect()
}

/// An MP4 file being written. Dropped without [`Sink::finish`], it leaves a file that cannot be played.
pub struct ClipSink {
    path: PathBuf,
    info: SourceInfo,
    plan: Plan,
    sound: Option<SoundTrack>,
    /// Until the first frame tells the pixel format.
    file: Option<File>,
    open: Option<Open>,
}

/// Encoder and its options, resolved.
struct Plan {
    encoder: &'static str,
    codec: VideoCodec,
    options: Vec<(&'static str, String)>,
    threads: usize,
}

impl ClipSink {
    /// Creates or empties the file at `path`. `info` is what frames are: upright, see
    /// [`super::normalize::Normalizer::output_info`]. Frames must come with rising timestamps, none below zero.
    ///
    /// Errors: `Unsupported` for encoders that the linked FFmpeg lacks, `NotMedia` for sound to be used from a file
    /// without any, `Io`.
    pub fn create(path: &Path, info: &SourceInfo, settings: EncodeSettings) -> Result<Self> {
        let rate = Rational::from(info.frame_rate);
        let plan = Plan::new(&settings, rate).map_err(|e| e.at(path))?;
        let sound_path = match &settings.audio {
            AudioMode::Replace(_, named) => named.clone(),
            AudioMode::None | AudioMode::Keep(_) => path.to_owned(),
        };
        let sound = SoundTrack::open(settings.audio, info.time_base.secs(settings.rebased_by))
            .map_err(|e| e.at(&sound_path))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|e| Error::new(Stage::Encode, ErrorKind::Io, "cannot be created").because(e).at(path))?;
        Ok(Self { path: path.to_owned(), info: info.clone(), plan, sound, file: Some(file), open: None })
    }

    fn write_unlabelled(&mut self, frame: Frame) -> Result<()> {
        let buffer = frame.buffer.into_any().downcast::<AvBuffer>().map_err(|_| foreign_buffer())?;
        if let Some(file) = self.file.take() {
            self.open = Some(Open::new(file, &self.info, &self.plan, self.sound.as_mut(), &buffer)?);
        }
        let open = self.open.as_mut().ok_or_else(|| internal("the encoder is not open"))?;
        open.encode(buffer.into_frame(), frame.pts, frame.duration)?;
        open.collect(self.sound.as_mut())
    }

    fn finish_unlabelled(&mut self) -> Result<()> {
        let mut open = self.open.take().ok_or_else(|| internal("no frame was written"))?;
        open.encoder.send(None)?;
        open.collect(self.sound.as_mut())?;
        if !open.durations.is_empty() {
            return Err(internal("the encoder kept frames back"));
        }
        if let Some(sound) = self.sound.as_mut() {
            let end_secs = self.info.time_base.secs(open.end);
            let start_secs = self.info.time_base.secs(open.start);
            sound.finish(&mut open.muxer, start_secs, end_secs)?;
        }
        open.muxer.finish()
    }
}

impl Sink for ClipSink {
    fn write(&mut self, frame: Frame) -> Result<()> {
        self.write_unlabelled(frame).map_err(|e| e.at(&self.path))
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.finish_unlabelled().map_err(|e| e.at(&self.path))
    }
}

impl Plan {
    fn new(settings: &EncodeSettings, rate: Rational) -> Result<Self> {
        let codec = settings.codec;
        let Some(encoder) = codec.encoders().iter().find(|name| has_encoder(name)).copied() else {
            let there: Vec<String> = encoders().into_iter().map(|(_, name)| name).collect();
            let message = format!(
                "the linked FFmpeg lacks {} for {}; it has: {}",
                codec.encoders().join(" or "),
                codec.name(),
                there.join(", ")
            );
            return Err(Error::new(Stage::Encode, ErrorKind::Unsupported, message));
        };
        let preset = |default: &str| settings.preset.clone().unwrap_or_else(|| default.to_owned());
        let crf = settings.crf.unwrap_or(settings.codec.default_crf()).to_string();
        let options = match encoder {
            // Captions of the source would else be written into user data.
            "libx264" => vec![("preset", preset("veryfast")), ("crf", crf), ("a53cc", "0".into())],
            "libx265" => {
                // Without a rate the encoder takes the ticks for frames, and spends bits accordingly.
                let fps = if rate.numerator() > 0 { rate } else { Rational(25, 1) };
                // Frames in flight change the bits, and would follow the processors that it sees.
                let threads = "pools=4:frame-threads=2";
                let fps = format!("fps={}/{}", fps.numerator(), fps.denominator());
                let params = format!("info=0:log-level=error:{threads}:{fps}");
                vec![("preset", preset("veryfast")), ("crf", crf), ("x265-params", params)]
            }
            "libvpx-vp9" => {
                vec![("cpu-used", preset("5")), ("crf", crf), ("b", "0".into()), ("row-mt", "1".into())]
            }
            "libsvtav1" => vec![("preset", preset("8")), ("crf", crf)],
            _ => vec![("cpu-used", preset("6")), ("crf", crf), ("b", "0".into()), ("row-mt", "1".into())],
        };
        Ok(Self { encoder, codec, options, threads: settings.threads })
    }

    /// What takes out everything that is no picture: SEI, metadata OBUs.
    fn filter(&self) -> Option<&'static std::ffi::CStr> {
        match self.codec {
            VideoCodec::H264 => Some(c"filter_units=remove_types=6"),
            VideoCodec::H265 => Some(c"filter_units=remove_types=39-40"),
            VideoCodec::Av1 => Some(c"filter_units=remove_types=5"),
            VideoCodec::Vp9 => None,
        }
    }
}

/// Encoder and muxer at work.
struct Open {
    encoder: Encoder,
    filter: Option<PacketFilter>,
    muxer: Muxer,
    stream: usize,
    time_base: Rational,
    secs_per_tick: f64,
    /// Durations of the frames inside the encoder, by timestamp.
    durations: HashMap<i64, i64>,
    last_pts: Option<i64>,
    start: i64,
    end: i64,
}

impl Open {
    fn new(
        file: File,
        info: &SourceInfo,
        plan: &Plan,
        sound: Option<&mut SoundTrack>,
        first: &AvBuffer,
    ) -> Result<Self> {
        let time_base = Rational(info.time_base.num, info.time_base.den);
        let interlaced = info.interlaced && plan.codec == VideoCodec::H264;
        let format = format_of(first.frame());
        let mut options = plan.options.clone();
        if plan.encoder == "libx264" && is_full_chroma(format) {
            // x264 takes colour of full resolution for worth half the quality, which saturated pictures show.
            options.push(("chromaoffset", "-6".into()));
        }
        let (num, den) = info.sample_aspect;
        let encoder = Encoder::video(&VideoSettings {
            encoder: plan.encoder,
            size: Size::new(first.frame().width(), first.frame().height()),
            format,
            time_base,
            frame_rate: Rational::from(info.frame_rate),
            sample_aspect: Rational(num.try_into().unwrap_or(0), den.try_into().unwrap_or(1)),
            color: info.color,
            interlaced,
            threads: plan.threads,
            options,
        })?;
        let filter = plan.filter().map(|f| PacketFilter::new(f, &encoder)).transpose()?;
        let mut muxer = Muxer::mp4(file)?;
        let tag = (plan.codec == VideoCodec::H265).then_some(b"hvc1");
        let stream = muxer.add(&encoder, filter.as_ref(), tag)?;
        if let Some(sound) = sound {
            sound.add_to(&mut muxer)?;
        }
        let timescale = timescale(info.time_base.den);
        muxer.write_header(&[
            ("movflags", "+faststart".into()),
            ("empty_hdlr_name", "1".into()),
            // The muxer would else round edit lists, and with them every timestamp, to milliseconds.
            ("movie_timescale", timescale.to_string()),
            ("video_track_timescale", timescale.to_string()),
        ])?;
        Ok(Self {
            encoder,
            filter,
            muxer,
            stream,
            time_base,
            secs_per_tick: f64::from(time_base),
            durations: HashMap::new(),
            last_pts: None,
            start: 0,
            end: 0,
        })
    }

    fn encode(&mut self, mut frame: ffmpeg_next::frame::Video, pts: i64, duration: i64) -> Result<()> {
        if pts < 0 || self.last_pts.is_some_and(|last| pts <= last) {
            return Err(internal("timestamps must rise and not be below zero"));
        }
        if self.last_pts.is_none() {
            self.start = pts;
        }
        let duration = duration.max(1);
        self.last_pts = Some(pts);
        self.end = pts + duration;
        strip(&mut frame);
        set_times(&mut frame, pts, duration);
        self.durations.insert(pts, duration);
        self.encoder.send(Some(&frame))
    }

    /// Takes all packets that are ready, each after the sound before it.
    fn collect(&mut self, mut sound: Option<&mut SoundTrack>) -> Result<()> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive(&mut packet)? {
                Received::Again | Received::End => return Ok(()),
                Received::Frame => {}
            }
            let duration = packet.pts().and_then(|pts| self.durations.remove(&pts));
            let duration = duration.ok_or_else(|| internal("the encoder changed a timestamp"))?;
            strip_packet(&mut packet);
            if let Some(filter) = self.filter.as_mut()
                && !filter.apply(&mut packet)?
            {
                return Err(internal("nothing is left of a packet"));
            }
            packet.set_duration(duration);
            if let Some(sound) = sound.as_deref_mut() {
                let until_secs = packet.dts().unwrap_or(0) as f64 * self.secs_per_tick;
                sound.pump(&mut self.muxer, self.start as f64 * self.secs_per_tick, until_secs)?;
            }
            self.muxer.write(packet, self.stream, self.time_base)?;
        }
    }
}

/// Whether colour has the resolution of brightness (4:4:4).
fn is_full_chroma(format: PixelFormat) -> bool {
    layout_of(format).is_some_and(|layout| layout.log2_grid() == (0, 0))
}

/// Ticks per second of the track: a multiple of the source's, so that every timestamp stays exact, and fine enough for
/// players that round.
fn timescale(den: i32) -> i32 {
    let mut scale = den.max(1);
    while scale < 10_000 {
        scale *= 2;
    }
    scale
}

fn internal(message: &str) -> Error {
    Error::new(Stage::Encode, ErrorKind::Internal, message)
}
