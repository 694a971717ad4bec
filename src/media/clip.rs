//! Clips in: any container and codec that FFmpeg decodes, as frames in display order with their exact timestamps.
//!
//! Read: the video stream that players show. Refused by name: playlists and other formats that point at further files,
//! encrypted streams, audio alone, streams whose picture changes its size or format. Everything but pixels and
//! timestamps (side data, captions, other streams) is dropped here.

use std::fs::File;
use std::path::Path;

use super::cut_off::promised_end;
use super::ffi;
use super::ffi::demux::{Demuxer, StreamInfo, StreamKind};
use super::ffi::frame::{color_of, display_matrix, format_of, sample_aspect};
use super::pixels::Maskable;
use super::strict::{Damage, Decoded, FrameReader};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{ColorModel, Frame, MediaKind, SourceInfo};
use crate::types::geometry::{Orientation, Size};
use crate::types::limits::Limits;
use crate::types::stage::Source;

/// Containers that are read, by FFmpeg's names: those that hold their own streams and name no other file.
pub(super) const CONTAINERS: &[&str] = &[
    "aiff",
    "amv",
    "apng",
    "asf",
    "asf_o",
    "av1",
    "avi",
    "avs2",
    "avs3",
    "c93",
    "cavsvideo",
    "dirac",
    "dnxhd",
    "dv",
    "dxa",
    "flic",
    "flv",
    "gif",
    "gxf",
    "h261",
    "h263",
    "h264",
    "hevc",
    "ingenient",
    "ivf",
    "ivr",
    "live_flv",
    "lvf",
    "lxf",
    "m4v",
    "matroska,webm",
    "mjpeg",
    "mjpeg_2000",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "mpeg",
    "mpegts",
    "mpegtsraw",
    "mpegvideo",
    "mtv",
    "mv",
    "mxf",
    "mxg",
    "nsv",
    "nut",
    "nuv",
    "obu",
    "ogg",
    "pmp",
    "pva",
    "r3d",
    "rm",
    "roq",
    "smjpeg",
    "swf",
    "vc1",
    "vc1test",
    "vmd",
    "vvc",
    "wtv",
    "yuv4mpegpipe",
];

/// How to decode.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecodeOptions {
    pub limits: Limits,
    /// Hand out frames behind an error as damaged instead of failing.
    pub allow_damaged: bool,
}

/// An open clip.
pub struct ClipSource {
    info: SourceInfo,
    reader: FrameReader,
    maskable: Maskable,
    limits: Limits,
    label: std::path::PathBuf,
    /// The frame to hand out next; it waits for the next one's timestamp, which gives its duration.
    held: Option<Frame>,
    next_index: u64,
    first_pts: i64,
}

/// Opens a clip from its descriptor; `label` is only used in messages. The descriptor's own position is neither used nor
/// moved. Decodes up to the first frame, so that what [`Source::info`] tells is what frames are.
///
/// Errors: `NotMedia` when the content is no container with video, `Unsupported`, `Damaged`, `Limit`, `Io`.
pub fn open(file: File, label: &Path, options: &DecodeOptions) -> Result<ClipSource> {
    open_unlabelled(file, label, options).map_err(|e| e.at(label))
}

fn open_unlabelled(file: File, label: &Path, options: &DecodeOptions) -> Result<ClipSource> {
    ffi::init();
    let limits = options.limits;
    let promised_end = promised_end(&file);
    let demuxer = Demuxer::open(file, &limits, check_container)?;
    let streams = demuxer.streams();
    let stream = pick_stream(&demuxer, &streams)?;
    check_stream(&streams[stream], &limits)?;
    let has_audio = streams.iter().any(|s| s.kind == StreamKind::Audio);
    let mut reader = FrameReader::open(demuxer, stream, promised_end, &limits, options.allow_damaged)?;
    let Some(first) = reader.next()? else {
        return Err(Error::new(Stage::Decode, ErrorKind::Damaged, "holds no frame that is shown"));
    };
    let (info, maskable) = describe(&reader, &first, has_audio)?;
    let first_pts = first.pts;
    let label = label.to_owned();
    let mut source = ClipSource { info, reader, maskable, limits, label, held: None, next_index: 0, first_pts };
    source.held = Some(source.finish_frame(first)?);
    Ok(source)
}

impl ClipSource {
    /// What was damaged or skipped so far.
    pub fn damage(&self) -> &Damage {
        self.reader.damage()
    }

    fn next_unlabelled(&mut self) -> Result<Option<Frame>> {
        let Some(mut frame) = self.held.take() else { return Ok(None) };
        match self.reader.next()? {
            Some(decoded) => {
                frame.duration = decoded.pts - frame.pts;
                self.held = Some(self.finish_frame(decoded)?);
            }
            None if frame.duration == 0 => frame.duration = self.reader.nominal_duration(),
            None => {}
        }
        Ok(Some(frame))
    }

    /// A decoded frame in the form that all stages work on.
    fn finish_frame(&mut self, decoded: Decoded) -> Result<Frame> {
        let size = Size::new(decoded.frame.width(), decoded.frame.height());
        let format = format_of(&decoded.frame);
        if size != self.info.coded || format != self.maskable.source() {
            let message = format!(
                "the picture changes from {}x{} {:?} to {}x{} {format:?} at {:.3} s: split the clip there first",
                self.info.coded.width,
                self.info.coded.height,
                self.maskable.source(),
                size.width,
                size.height,
                self.info.time_base.secs(decoded.pts),
            );
            return Err(Error::new(Stage::Decode, ErrorKind::Unsupported, message));
        }
        self.check_limits(decoded.pts)?;
        let buffer = self.maskable.convert(decoded.frame)?;
        let index = self.next_index;
        self.next_index += 1;
        Ok(Frame {
            index,
            pts: decoded.pts,
            duration: decoded.duration,
            size,
            layout: self.maskable.layout().clone(),
            damaged: decoded.damaged,
            key: decoded.key,
            buffer: Box::new(buffer),
        })
    }

    fn check_limits(&self, pts: i64) -> Result<()> {
        let message = if self.next_index >= self.limits.frames {
            format!("has more than {} frames: --max-frames allows more", self.limits.frames)
        } else if self.info.time_base.secs(pts.saturating_sub(self.first_pts)) > self.limits.duration_secs {
            format!("is longer than {} s: --max-duration allows more", self.limits.duration_secs)
        } else {
            return Ok(());
        };
        Err(Error::new(Stage::Decode, ErrorKind::Limit, message))
    }
}

impl Source for ClipSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        self.next_unlabelled().map_err(|e| e.at(&self.label))
    }

    fn frames_left_out(&self) -> u64 {
        self.reader.damage().lead_in
    }
}

pub(super) fn check_container(name: &str) -> Result<()> {
    if CONTAINERS.contains(&name) {
        return Ok(());
    }
    let nested = ["hls", "concat", "dash", "imf", "sdp", "rtsp", "image2", "webm_dash_manifest", "ffmetadata"];
    let (kind, message) = if nested.contains(&name) {
        (ErrorKind::Unsupported, format!("is a {name} list that names other files: give those files themselves"))
    } else if name.ends_with("_pipe") {
        (ErrorKind::Unsupported, format!("holds a picture of a kind that is not read here ({name})"))
    } else {
        (ErrorKind::NotMedia, format!("holds no video ({name})"))
    };
    Err(Error::new(Stage::Open, kind, message))
}

fn pick_stream(demuxer: &Demuxer, streams: &[StreamInfo]) -> Result<usize> {
    if let Some(index) = demuxer.best_video() {
        return Ok(index);
    }
    let audio = streams.iter().find(|s| s.kind == StreamKind::Audio);
    let message = match audio {
        Some(audio) => format!("holds audio alone ({} in {})", audio.codec, demuxer.format()),
        None => format!("holds no video stream ({})", demuxer.format()),
    };
    Err(Error::new(Stage::Open, ErrorKind::NotMedia, message))
}

fn check_stream(stream: &StreamInfo, limits: &Limits) -> Result<()> {
    let (kind, message) = if stream.encrypted {
        (ErrorKind::Unsupported, "is encrypted: decrypt it first".to_owned())
    } else if !stream.has_decoder {
        (ErrorKind::Unsupported, format!("the linked FFmpeg has no decoder for its video codec ({})", stream.codec))
    } else if u64::from(stream.width) * u64::from(stream.height) > limits.pixels {
        let message = format!(
            "pictures of {}x{} are over the limit of {} pixels: --max-pixels allows more",
            stream.width, stream.height, limits.pixels
        );
        (ErrorKind::Limit, message)
    } else {
        return Ok(());
    };
    Err(Error::new(Stage::Open, kind, message))
}

/// What is known once the first frame is decoded.
fn describe(reader: &FrameReader, first: &Decoded, has_audio: bool) -> Result<(SourceInfo, Maskable)> {
    let stream = reader.info();
    let frame = &first.frame;
    let coded = Size::new(frame.width(), frame.height());
    let format = ffi::frame::format_info(format_of(frame));
    let (mut color, range_told) = color_of(frame);
    let name = format.as_ref().map_or("", |f| f.name.as_str());
    // The j formats are full range by definition; grey that is no TV codec's is full range by custom.
    color.full_range |= name.starts_with("yuvj");
    let broadcast =
        matches!(stream.codec.as_str(), "h264" | "hevc" | "vp9" | "av1" | "mpeg2video" | "prores" | "dnxhd");
    let is_gray = format.as_ref().is_some_and(|f| !f.rgb && f.components.len() <= 2);
    color.full_range |= is_gray && !range_told && !broadcast;
    let maskable = Maskable::new(frame, color, &stream.codec)?;
    color.full_range |= maskable.layout().model == ColorModel::Rgb;
    // As players do: the container's ratio counts before the codec's.
    let aspect = match (stream.sample_aspect.numerator(), stream.sample_aspect.denominator()) {
        (0, _) => sample_aspect(frame),
        told => told,
    };
    let rate = f64::from(stream.frame_rate);
    let matrix = stream.display_matrix.or_else(|| display_matrix(frame));
    let info = SourceInfo {
        kind: MediaKind::Clip,
        format: reader.demuxer().format().to_owned(),
        codec: stream.codec.clone(),
        coded,
        orientation: matrix.map_or(Orientation::Upright, orientation_of),
        sample_aspect: (u32::try_from(aspect.0).unwrap_or(0), u32::try_from(aspect.1).unwrap_or(1).max(1)),
        time_base: reader.time_base(),
        frame_rate: if rate.is_finite() && rate > 0.0 { rate } else { 0.0 },
        frames_estimate: frames_estimate(reader, rate),
        color,
        depth: format.and_then(|f| f.components.first().map(|c| c.depth)).unwrap_or(8),
        interlaced: stream.interlaced || frame.is_interlaced(),
        has_audio,
    };
    Ok((info, maskable))
}

fn frames_estimate(reader: &FrameReader, rate: f64) -> Option<u64> {
    let stream = reader.info();
    if stream.frames > 0 {
        return Some(stream.frames);
    }
    let of_stream = (stream.duration > 0).then(|| reader.time_base().secs(stream.duration));
    let secs = of_stream.or_else(|| reader.demuxer().duration_secs())?;
    (rate.is_finite() && rate > 0.0).then(|| (secs * rate).round() as u64).filter(|n| *n > 0)
}

/// The right-angled orientation nearest to a display matrix: it maps coded (x, y) to (a x + c y, b x + d y), y down.
fn orientation_of(matrix: [i32; 9]) -> Orientation {
    let [a, b, _, c, d, ..] = matrix;
    if a.unsigned_abs() >= b.unsigned_abs() {
        match (a < 0, d < 0) {
            (false, false) => Orientation::Upright,
            (true, false) => Orientation::FlipHorizontal,
            (true, true) => Orientation::Rotate180,
            (false, true) => Orientation::FlipVertical,
        }
    } else {
        match (b < 0, c < 0) {
            (false, false) => Orientation::Transpose,
            (false, true) => Orientation::Rotate90,
            (true, false) => Orientation::Rotate270,
            (true, true) => Orientation::Transverse,
        }
    }
}
