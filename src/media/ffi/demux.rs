//! Containers in: opening, streams, packets.

use std::ffi::c_int;
use std::fs::File;
use std::{io, ptr};

use ffmpeg_next::ffi as sys;
use ffmpeg_next::packet::{Mut, Ref};
use ffmpeg_next::{Packet, Rational};

use super::io::Io;
use super::{Options, error, init, string};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::limits::Limits;

/// An open container.
pub struct Demuxer {
    pub(super) context: *mut sys::AVFormatContext,
    // Freed after the context, which uses it: see Drop.
    io: Io,
    format: String,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for Demuxer {}

/// What kind of stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    Video,
    /// Cover art and the like: one picture as a video stream.
    Picture,
    Audio,
    Other,
}

/// What the container says of a stream.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    pub kind: StreamKind,
    pub codec: String,
    pub has_decoder: bool,
    pub encrypted: bool,
    pub time_base: Rational,
    /// Frames per second, 0/1 when not known.
    pub frame_rate: Rational,
    pub frames: u64,
    /// In ticks; 0 when not known.
    pub duration: i64,
    pub sample_aspect: Rational,
    pub width: u32,
    pub height: u32,
    /// Fields are coded, as far as the container or parser tells.
    pub interlaced: bool,
    /// Nine 16.16 (2.30 in the last column) numbers, row by row.
    pub display_matrix: Option<[i32; 9]>,
}

/// What reading gave.
pub enum Read {
    Packet(Packet),
    End,
    /// Content that cannot be read; a further read may succeed.
    Error(Error),
}

impl Demuxer {
    /// Opens a container by content. Errors: `NotMedia` when it is none, `Unsupported` for formats that `allowed` refuses
    /// (it gets the format's name), `Damaged` when its head can't be read, `Io`, `Limit`.
    pub fn open(file: File, limits: &Limits, allowed: impl Fn(&str) -> Result<()>) -> Result<Self> {
        init();
        super::log::take();
        let mut io = Io::reader(file)?;
        let input = probe(&mut io)?;
        // SAFETY: the probed format is a static object of FFmpeg.
        let format = unsafe { string((*input).name) };
        allowed(&format)?;
        // SAFETY: the context is fresh and null-checked; the stream outlives it (see Drop); on error
        // avformat_open_input frees the context itself and nulls the pointer.
        let context = unsafe {
            let mut context = sys::avformat_alloc_context();
            if context.is_null() {
                return Err(Error::new(Stage::Open, ErrorKind::Io, "out of memory"));
            }
            (*context).pb = io.as_ptr();
            (*context).flags |= sys::AVFMT_FLAG_CUSTOM_IO;
            (*context).io_open = Some(super::io::deny);
            (*context).max_streams = limits.streams.min(i32::MAX as u32) as c_int;
            let mut options = Options::new(&[("enable_drefs", "0".into())]);
            let code = sys::avformat_open_input(&mut context, c"".as_ptr(), input, &mut options.0);
            if code < 0 {
                return Err(open_error(&mut io, code, limits));
            }
            context
        };
        let mut demuxer = Self { context, io, format };
        demuxer.find_streams(limits)?;
        Ok(demuxer)
    }

    /// Reads ahead until the streams are known; each probing decoder gets the limits too.
    fn find_streams(&mut self, limits: &Limits) -> Result<()> {
        let pixels = ("max_pixels", limits.pixels.to_string());
        let count = self.stream_count();
        let mut options: Vec<Options> =
            (0..count).map(|_| Options::new(&[pixels.clone(), ("threads", "1".into())])).collect();
        let mut raw: Vec<*mut sys::AVDictionary> = options.iter().map(|o| o.0).collect();
        // SAFETY: the context is open; one dictionary for each of its streams is passed, and each may be replaced.
        let code = unsafe { sys::avformat_find_stream_info(self.context, raw.as_mut_ptr()) };
        for (option, raw) in options.iter_mut().zip(raw) {
            option.0 = raw;
        }
        if code < 0 {
            return Err(open_error(&mut self.io, code, limits));
        }
        if self.stream_count() > limits.streams as usize {
            return Err(too_many_streams(limits));
        }
        Ok(())
    }

    /// Short names of the format, comma-separated.
    pub fn format(&self) -> &str {
        &self.format
    }

    fn stream_count(&self) -> usize {
        // SAFETY: the context lives as long as this value.
        unsafe { (*self.context).nb_streams as usize }
    }

    pub(super) fn stream(&self, index: usize) -> *mut sys::AVStream {
        assert!(index < self.stream_count(), "stream index out of range");
        // SAFETY: the index was checked against the array's length.
        unsafe { *(*self.context).streams.add(index) }
    }

    pub fn streams(&self) -> Vec<StreamInfo> {
        (0..self.stream_count()).map(|index| self.stream_info(index)).collect()
    }

    fn stream_info(&self, index: usize) -> StreamInfo {
        let stream = self.stream(index);
        // SAFETY: the stream and its parameters live as long as the context; `codec_type` and `codec_id` are set by the
        // library whose headers the bindings were made from, so they are valid values of their enums.
        unsafe {
            let parameters = (*stream).codecpar;
            let picture =
                (*stream).disposition & (sys::AV_DISPOSITION_ATTACHED_PIC | sys::AV_DISPOSITION_TIMED_THUMBNAILS);
            let kind = match (*parameters).codec_type {
                sys::AVMediaType::AVMEDIA_TYPE_VIDEO if picture != 0 => StreamKind::Picture,
                sys::AVMediaType::AVMEDIA_TYPE_VIDEO => StreamKind::Video,
                sys::AVMediaType::AVMEDIA_TYPE_AUDIO => StreamKind::Audio,
                _ => StreamKind::Other,
            };
            let order = ptr::addr_of!((*parameters).field_order).cast::<u32>().read();
            StreamInfo {
                kind,
                codec: codec_name(parameters),
                has_decoder: !sys::avcodec_find_decoder((*parameters).codec_id).is_null(),
                encrypted: is_encrypted(stream),
                time_base: (*stream).time_base.into(),
                frame_rate: sys::av_guess_frame_rate(self.context, stream, ptr::null_mut()).into(),
                frames: u64::try_from((*stream).nb_frames).unwrap_or(0),
                duration: if (*stream).duration > 0 { (*stream).duration } else { 0 },
                sample_aspect: sys::av_guess_sample_aspect_ratio(self.context, stream, ptr::null_mut()).into(),
                width: (*parameters).width.max(0) as u32,
                height: (*parameters).height.max(0) as u32,
                interlaced: order >= sys::AVFieldOrder::AV_FIELD_TT as u32,
                display_matrix: display_matrix(stream),
            }
        }
    }

    /// The video stream that players show: not a cover picture; `None` when there is none.
    pub fn best_video(&self) -> Option<usize> {
        let best = self.best(sys::AVMediaType::AVMEDIA_TYPE_VIDEO);
        let streams = self.streams();
        let is_clip = |i: &usize| streams[*i].kind == StreamKind::Video;
        best.filter(is_clip).or_else(|| (0..streams.len()).find(is_clip))
    }

    pub fn best_audio(&self) -> Option<usize> {
        self.best(sys::AVMediaType::AVMEDIA_TYPE_AUDIO)
    }

    fn best(&self, kind: sys::AVMediaType) -> Option<usize> {
        // SAFETY: the context is open; a null decoder pointer means that none is wanted.
        let index = unsafe { sys::av_find_best_stream(self.context, kind, -1, -1, ptr::null_mut(), 0) };
        usize::try_from(index).ok()
    }

    /// Lets the demuxer skip every other stream.
    pub fn select(&mut self, index: usize) {
        for other in 0..self.stream_count() {
            let discard =
                if other == index { sys::AVDiscard::AVDISCARD_DEFAULT } else { sys::AVDiscard::AVDISCARD_ALL };
            // SAFETY: the stream lives as long as the context.
            unsafe { (*self.stream(other)).discard = discard };
        }
    }

    /// Duration in seconds, for estimates.
    pub fn duration_secs(&self) -> Option<f64> {
        // SAFETY: the context lives as long as this value.
        let duration = unsafe { (*self.context).duration };
        (duration > 0).then(|| duration as f64 / f64::from(sys::AV_TIME_BASE))
    }

    /// The next packet of any stream.
    pub fn read(&mut self) -> Read {
        let mut packet = Packet::empty();
        // SAFETY: the context is open, the packet is blank.
        let code = unsafe { sys::av_read_frame(self.context, packet.as_mut_ptr()) };
        if code >= 0 {
            return Read::Packet(packet);
        }
        if let Some(error) = self.io.take_error() {
            return Read::Error(Error::new(Stage::Decode, ErrorKind::Io, "cannot read the file").because(error));
        }
        let latched = self.io.latched();
        if code == sys::AVERROR_EOF && (latched >= 0 || latched == sys::AVERROR_EOF) {
            return Read::End;
        }
        Read::Error(error(Stage::Decode, ErrorKind::Damaged, "the container cannot be read on", code))
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        // SAFETY: the context is ours; with AVFMT_FLAG_CUSTOM_IO it leaves the stream alone, which is dropped next.
        unsafe { sys::avformat_close_input(&mut self.context) };
    }
}

/// Which format the content has.
fn probe(io: &mut Io) -> Result<*const sys::AVInputFormat> {
    let mut input: *const sys::AVInputFormat = ptr::null();
    // SAFETY: the stream is open; no name is given, so only content counts.
    let code = unsafe {
        sys::av_probe_input_buffer2(io.as_ptr(), ptr::addr_of_mut!(input).cast(), c"".as_ptr(), ptr::null_mut(), 0, 0)
    };
    if code < 0 || input.is_null() {
        return match io.take_error() {
            Some(error) => Err(cannot_read(error)),
            None => Err(Error::new(Stage::Open, ErrorKind::NotMedia, "is neither a photo nor a clip")),
        };
    }
    // Streams of JPEG pictures are read by the demuxer made for them; by content alone FFmpeg takes them for lists of photos.
    // SAFETY: the probed format and the one that is looked up by a terminated name are static objects of FFmpeg.
    unsafe {
        let stream = sys::av_find_input_format(c"mjpeg".as_ptr());
        if string((*input).name) == "jpeg_pipe" && !stream.is_null() {
            input = stream;
        }
    }
    Ok(input)
}

fn cannot_read(error: io::Error) -> Error {
    Error::new(Stage::Open, ErrorKind::Io, "cannot read the file").because(error)
}

fn open_error(io: &mut Io, code: c_int, limits: &Limits) -> Error {
    if let Some(error) = io.take_error() {
        return cannot_read(error);
    }
    let error = error(Stage::Open, ErrorKind::Damaged, "the head of the container cannot be read", code);
    // Demuxers give up at the stream that is one too many; why is in the log alone, by the option's name.
    if error.message().contains("max_streams") { too_many_streams(limits) } else { error }
}

fn too_many_streams(limits: &Limits) -> Error {
    let message = format!("has more than {} streams: --max-streams allows more", limits.streams);
    Error::new(Stage::Open, ErrorKind::Limit, message)
}

/// Name of the codec; its four-character code where FFmpeg does not know it.
///
/// # Safety
/// `parameters` must be those of a stream of an open context.
unsafe fn codec_name(parameters: *const sys::AVCodecParameters) -> String {
    // SAFETY: as the caller promises; names are static strings.
    unsafe {
        let tag = (*parameters).codec_tag.to_le_bytes();
        if (*parameters).codec_id == sys::AVCodecID::AV_CODEC_ID_NONE && tag != [0; 4] {
            return tag.escape_ascii().to_string();
        }
        string(sys::avcodec_get_name((*parameters).codec_id))
    }
}

/// Whether the stream's samples are encrypted: Common Encryption, or the encodings of Matroska.
///
/// # Safety
/// `stream` must be a stream of an open context.
unsafe fn is_encrypted(stream: *mut sys::AVStream) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let tag = (*(*stream).codecpar).codec_tag.to_le_bytes();
        let scheme = sys::AVPacketSideDataType::AV_PKT_DATA_ENCRYPTION_INIT_INFO;
        // FFmpeg's Matroska demuxer hands encrypted samples on as they are, and leaves the key's name as a tag.
        let key_id = sys::av_dict_get((*stream).metadata, c"enc_key_id".as_ptr(), ptr::null(), 0);
        matches!(&tag, b"encv" | b"enca") || side_data(stream, scheme).is_some() || !key_id.is_null()
    }
}

/// # Safety
/// `stream` must be a stream of an open context.
unsafe fn display_matrix(stream: *mut sys::AVStream) -> Option<[i32; 9]> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { side_data(stream, sys::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX) }?;
    matrix_of(&bytes)
}

/// The nine numbers of a display matrix in native byte order.
pub(super) fn matrix_of(bytes: &[u8]) -> Option<[i32; 9]> {
    let (words, _) = bytes.as_chunks::<4>();
    words.get(..9).map(|words| std::array::from_fn(|i| i32::from_ne_bytes(words[i])))
}

/// A copy of side data that the container attached to a stream.
///
/// # Safety
/// `stream` must be a stream of an open context.
unsafe fn side_data(stream: *mut sys::AVStream, kind: sys::AVPacketSideDataType) -> Option<Vec<u8>> {
    // SAFETY: as the caller promises; data and size belong together and outlive the copy.
    unsafe {
        #[cfg(ffmpeg_6_1)]
        let (data, size) = {
            let parameters = (*stream).codecpar;
            let found =
                sys::av_packet_side_data_get((*parameters).coded_side_data, (*parameters).nb_coded_side_data, kind);
            if found.is_null() { (ptr::null_mut(), 0) } else { ((*found).data, (*found).size) }
        };
        #[cfg(not(ffmpeg_6_1))]
        let (data, size) = {
            let mut size = 0;
            (sys::av_stream_get_side_data(stream, kind, &mut size), size)
        };
        (!data.is_null()).then(|| std::slice::from_raw_parts(data, size as usize).to_vec())
    }
}

/// Whether an edit list hides the packet's frame.
pub fn is_discarded(packet: &Packet) -> bool {
    // SAFETY: the packet is a valid AVPacket as long as the reference lives.
    unsafe { (*packet.as_ptr()).flags & sys::AV_PKT_FLAG_DISCARD != 0 }
}
