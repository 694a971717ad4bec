//! Encoders and the filter that strips what they write beside the picture.

use std::ffi::{CStr, CString, c_int};
use std::ptr;

use ffmpeg_next::ffi as sys;
use ffmpeg_next::packet::{Mut, Ref};
use ffmpeg_next::{Packet, Rational};

use super::decode::Received;
use super::frame::PixelFormat;
use super::{Options, error, init, string};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::ColorInfo;
use crate::types::geometry::Size;

/// What a video encoder has to know.
#[derive(Clone, Debug)]
pub struct VideoSettings<'a> {
    pub encoder: &'a str,
    pub size: Size,
    pub format: PixelFormat,
    pub time_base: Rational,
    /// For rate control; 0/1 when not known.
    pub frame_rate: Rational,
    pub sample_aspect: Rational,
    pub color: ColorInfo,
    pub interlaced: bool,
    pub threads: usize,
    /// The encoder's own options; unknown ones are errors.
    pub options: Vec<(&'a str, String)>,
}

/// An open encoder.
pub struct Encoder {
    context: *mut sys::AVCodecContext,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for Encoder {}

/// Whether the linked FFmpeg has an encoder of that name.
pub fn has_encoder(name: &str) -> bool {
    CString::new(name).is_ok_and(|name| {
        // SAFETY: the name is terminated; the result is null or static.
        unsafe { !sys::avcodec_find_encoder_by_name(name.as_ptr()).is_null() }
    })
}

/// From here on the heap fills every block on allocation and release.
///
/// x264's macroblock tree reads memory that it never wrote, so its output depends on what lay on the heap, which can be
/// pixels under a mask. Not before the first encoder: for the networks' large blocks it took 4 % of a run.
fn fill_heap_blocks() {
    // SAFETY: the call sets a number that the allocator reads; it locks itself.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::mallopt(libc::M_PERTURB, 165);
    }
}

impl Encoder {
    pub fn video(settings: &VideoSettings) -> Result<Self> {
        fill_heap_blocks();
        let encoder = Self::new(settings.encoder)?;
        // SAFETY: the context is ours; colour numbers are stored as numbers, and the library accepts any.
        unsafe {
            let context = &mut *encoder.context;
            context.width = settings.size.width as c_int;
            context.height = settings.size.height as c_int;
            context.pix_fmt = settings.format;
            context.time_base = settings.time_base.into();
            context.framerate = settings.frame_rate.into();
            context.sample_aspect_ratio = settings.sample_aspect.into();
            context.thread_count = settings.threads as c_int;
            let color = settings.color;
            let store = |place: *mut u32, number: u8| place.write(number.into());
            store(ptr::addr_of_mut!(context.color_primaries).cast(), color.primaries);
            store(ptr::addr_of_mut!(context.color_trc).cast(), color.transfer);
            store(ptr::addr_of_mut!(context.colorspace).cast(), color.matrix);
            store(ptr::addr_of_mut!(context.color_range).cast(), if color.full_range { 2 } else { 1 });
            store(ptr::addr_of_mut!(context.chroma_sample_location).cast(), color.chroma_location);
            let mut flags = sys::AV_CODEC_FLAG_CLOSED_GOP as u32;
            if settings.interlaced {
                flags |= sys::AV_CODEC_FLAG_INTERLACED_DCT as u32 | sys::AV_CODEC_FLAG_INTERLACED_ME as u32;
            }
            context.flags |= flags as c_int;
        }
        encoder.open(settings.encoder, &settings.options)
    }

    /// AAC for planar floats.
    pub fn aac(rate: u32, channels: u32, bit_rate: u32) -> Result<Self> {
        let encoder = Self::new("aac")?;
        // SAFETY: the context is ours.
        unsafe {
            let context = &mut *encoder.context;
            context.sample_rate = rate as c_int;
            context.sample_fmt = sys::AVSampleFormat::AV_SAMPLE_FMT_FLTP;
            context.bit_rate = bit_rate.into();
            context.time_base = sys::AVRational { num: 1, den: rate as c_int };
            context.thread_count = 1;
            sys::av_channel_layout_default(&mut context.ch_layout, channels as c_int);
        }
        encoder.open("aac", &[])
    }

    fn new(name: &str) -> Result<Self> {
        init();
        let missing =
            || Error::new(Stage::Encode, ErrorKind::Unsupported, format!("the linked FFmpeg has no encoder {name}"));
        let c_name = CString::new(name).map_err(|_| missing())?;
        // SAFETY: the name is terminated; codecs are static; the context is checked and freed by Drop.
        unsafe {
            let codec = sys::avcodec_find_encoder_by_name(c_name.as_ptr());
            if codec.is_null() {
                return Err(missing());
            }
            let context = sys::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(Error::new(Stage::Encode, ErrorKind::Io, "out of memory"));
            }
            (*context).flags |= (sys::AV_CODEC_FLAG_GLOBAL_HEADER as u32 | sys::AV_CODEC_FLAG_BITEXACT as u32) as c_int;
            Ok(Self { context })
        }
    }

    fn open(self, name: &str, options: &[(&str, String)]) -> Result<Self> {
        super::log::take();
        let mut options = Options::new(options);
        // SAFETY: the context is set up and not open yet; the options are ours.
        let code = unsafe { sys::avcodec_open2(self.context, ptr::null(), &mut options.0) };
        if code < 0 {
            let what = format!("encoder {name} refuses its settings");
            return Err(error(Stage::Encode, ErrorKind::Unsupported, &what, code));
        }
        let unused = options.unused();
        if !unused.is_empty() {
            let message = format!("encoder {name} does not know: {}", unused.join(", "));
            return Err(Error::new(Stage::Encode, ErrorKind::Unsupported, message));
        }
        Ok(self)
    }

    /// Samples that the encoder wants in each frame but the last; audio only.
    pub fn frame_size(&self) -> usize {
        // SAFETY: the context is open.
        unsafe { (*self.context).frame_size.max(1) as usize }
    }

    pub fn time_base(&self) -> Rational {
        // SAFETY: the context is open.
        unsafe { (*self.context).time_base }.into()
    }

    /// Hands over a frame, or with `None` the end. After each, all packets must be received.
    pub fn send(&mut self, frame: Option<&ffmpeg_next::Frame>) -> Result<()> {
        // SAFETY: the encoder is open, the frame valid or null, which means the end.
        let code = unsafe { sys::avcodec_send_frame(self.context, frame.map_or(ptr::null(), |f| f.as_ptr())) };
        if code < 0 {
            Err(error(Stage::Encode, ErrorKind::Internal, "a frame cannot be encoded", code))
        } else {
            Ok(())
        }
    }

    pub fn receive(&mut self, packet: &mut Packet) -> Result<Received> {
        // SAFETY: the encoder is open, the packet valid; the call blanks it first.
        let code = unsafe { sys::avcodec_receive_packet(self.context, packet.as_mut_ptr()) };
        match code {
            0.. => Ok(Received::Frame),
            code if code == sys::AVERROR(ffmpeg_next::util::error::EAGAIN) => Ok(Received::Again),
            sys::AVERROR_EOF => Ok(Received::End),
            code => Err(error(Stage::Encode, ErrorKind::Internal, "a frame cannot be encoded", code)),
        }
    }

    pub(super) fn write_parameters(&self, parameters: *mut sys::AVCodecParameters) -> c_int {
        // SAFETY: the context is open; callers pass parameters of a stream or filter of theirs.
        unsafe { sys::avcodec_parameters_from_context(parameters, self.context) }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the context is ours.
        unsafe { sys::avcodec_free_context(&mut self.context) };
    }
}

/// A bitstream filter on an encoder's packets.
pub struct PacketFilter {
    context: *mut sys::AVBSFContext,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for PacketFilter {}

impl PacketFilter {
    /// `description` as on FFmpeg's command line: `filter_units=remove_types=6`.
    pub fn new(description: &CStr, encoder: &Encoder) -> Result<Self> {
        let fail = |code| error(Stage::Encode, ErrorKind::Unsupported, "the linked FFmpeg lacks a packet filter", code);
        let mut context = ptr::null_mut();
        // SAFETY: the description is terminated; on success the context is ours, and its input parameters are writable
        // until it is initialised.
        unsafe {
            let code = sys::av_bsf_list_parse_str(description.as_ptr(), &mut context);
            if code < 0 {
                return Err(fail(code));
            }
            let filter = Self { context };
            let code = encoder.write_parameters((*context).par_in);
            if code < 0 {
                return Err(fail(code));
            }
            (*context).time_base_in = encoder.time_base().into();
            let code = sys::av_bsf_init(context);
            if code < 0 { Err(fail(code)) } else { Ok(filter) }
        }
    }

    /// Filters one packet in place; `false` when nothing of it is left.
    pub fn apply(&mut self, packet: &mut Packet) -> Result<bool> {
        let fail = |code| error(Stage::Encode, ErrorKind::Internal, "a packet cannot be filtered", code);
        // SAFETY: filter and packet are valid; sending moves the packet's content, receiving brings it back.
        unsafe {
            let code = sys::av_bsf_send_packet(self.context, packet.as_mut_ptr());
            if code < 0 {
                return Err(fail(code));
            }
            match sys::av_bsf_receive_packet(self.context, packet.as_mut_ptr()) {
                0.. => Ok(true),
                code if code == sys::AVERROR(ffmpeg_next::util::error::EAGAIN) => Ok(false),
                code => Err(fail(code)),
            }
        }
    }

    pub(super) fn write_parameters(&self, parameters: *mut sys::AVCodecParameters) -> c_int {
        // SAFETY: the filter is initialised; callers pass parameters of a stream of theirs.
        unsafe { sys::avcodec_parameters_copy(parameters, (*self.context).par_out) }
    }
}

impl Drop for PacketFilter {
    fn drop(&mut self) {
        // SAFETY: the context is ours.
        unsafe { sys::av_bsf_free(&mut self.context) };
    }
}

/// Removes side data from a packet.
pub fn strip_packet(packet: &mut Packet) {
    // SAFETY: the packet is valid and ours.
    unsafe { sys::av_packet_free_side_data(packet.as_mut_ptr()) };
}

/// Content of a packet.
pub fn packet_bytes(packet: &Packet) -> &[u8] {
    // SAFETY: data and size belong together and live as long as the packet.
    unsafe {
        let raw = &*packet.as_ptr();
        if raw.data.is_null() { &[] } else { std::slice::from_raw_parts(raw.data, raw.size.max(0) as usize) }
    }
}

/// Names of the video encoders of the linked FFmpeg that the codec ids `wanted` have, in FFmpeg's order.
pub fn encoder_names(wanted: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut state = ptr::null_mut();
    loop {
        // SAFETY: the iterator's state is ours; codecs are static.
        unsafe {
            let codec = sys::av_codec_iterate(&mut state);
            if codec.is_null() {
                return names;
            }
            let id = string(sys::avcodec_get_name((*codec).id));
            if sys::av_codec_is_encoder(codec) != 0 && wanted.contains(&id.as_str()) {
                names.push(string((*codec).name));
            }
        }
    }
}
