//! Decoders, set to report damage instead of hiding it.

use std::ffi::{CStr, c_int};

use ffmpeg_next::Packet;
use ffmpeg_next::ffi as sys;
use ffmpeg_next::packet::Ref;

use super::demux::Demuxer;
use super::error;
use crate::error::{Error, ErrorKind, Result, Stage};

/// An open decoder.
pub struct Decoder {
    context: *mut sys::AVCodecContext,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for Decoder {}

/// What a decoder gave.
pub enum Received {
    Frame,
    /// It wants another packet first.
    Again,
    End,
}

/// Checks that are made; with `AV_EF_EXPLODE` a failed one is an error.
const CHECKS: c_int = sys::AV_EF_CRCCHECK | sys::AV_EF_BITSTREAM | sys::AV_EF_BUFFER;

impl Decoder {
    /// Opens the decoder of a stream. One thread: frame threads hide some errors on older versions, and several files are
    /// worked on at once anyway. `strict` makes it report every broken bit rather than conceal it.
    pub fn open(demuxer: &Demuxer, index: usize, max_pixels: u64, strict: bool) -> Result<Self> {
        // SAFETY: the stream lives as long as the demuxer; decoders are static objects of FFmpeg.
        let codec = unsafe { sys::avcodec_find_decoder((*(*demuxer.stream(index)).codecpar).codec_id) };
        if codec.is_null() {
            return Err(Error::new(Stage::Open, ErrorKind::Unsupported, "the linked FFmpeg has no decoder for it"));
        }
        Self::open_codec(codec, demuxer, index, max_pixels, strict)
    }

    /// The same with the decoder of a name; `None` when the linked FFmpeg has none of it.
    pub fn open_named(name: &CStr, demuxer: &Demuxer, index: usize, max_pixels: u64) -> Result<Option<Self>> {
        // SAFETY: the name is terminated; decoders are static objects of FFmpeg.
        let codec = unsafe { sys::avcodec_find_decoder_by_name(name.as_ptr()) };
        if codec.is_null() { Ok(None) } else { Self::open_codec(codec, demuxer, index, max_pixels, true).map(Some) }
    }

    fn open_codec(
        codec: *const sys::AVCodec,
        demuxer: &Demuxer,
        index: usize,
        max_pixels: u64,
        strict: bool,
    ) -> Result<Self> {
        let fail = |code: c_int| error(Stage::Open, ErrorKind::Damaged, "the decoder does not open", code);
        let stream = demuxer.stream(index);
        // SAFETY: the stream lives as long as the demuxer, the codec for ever; the context is fresh, null-checked and
        // freed by Drop.
        unsafe {
            let parameters = (*stream).codecpar;
            let context = sys::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(Error::new(Stage::Open, ErrorKind::Io, "out of memory"));
            }
            let decoder = Self { context };
            let code = sys::avcodec_parameters_to_context(context, parameters);
            if code < 0 {
                return Err(fail(code));
            }
            (*context).pkt_timebase = (*stream).time_base;
            (*context).thread_count = 1;
            (*context).max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
            if strict {
                (*context).err_recognition = CHECKS | sys::AV_EF_EXPLODE;
                (*context).flags |= sys::AV_CODEC_FLAG_OUTPUT_CORRUPT as c_int;
            }
            let code = sys::avcodec_open2(context, codec, std::ptr::null_mut());
            if code < 0 {
                return Err(fail(code));
            }
            Ok(decoder)
        }
    }

    /// Hands a packet to the decoder, or with `None` the end of the stream. After each packet all frames must be received.
    pub fn send(&mut self, packet: Option<&Packet>) -> Result<()> {
        super::log::take();
        let raw = packet.map_or(std::ptr::null(), |p| p.as_ptr());
        // SAFETY: the decoder is open, the packet valid or null, which means the end.
        let code = unsafe { sys::avcodec_send_packet(self.context, raw) };
        if code < 0 { Err(error(Stage::Decode, ErrorKind::Damaged, "a frame cannot be decoded", code)) } else { Ok(()) }
    }

    /// Whether a failed check is an error, or only flags the frame.
    pub fn set_strict(&mut self, strict: bool) {
        let explode = if strict { sys::AV_EF_EXPLODE } else { 0 };
        // SAFETY: the context is open; with one thread, decoders read the field anew for each packet.
        unsafe { (*self.context).err_recognition = CHECKS | explode };
    }

    /// Frames that the decoder holds back to put them in order.
    pub fn reorder_depth(&self) -> u64 {
        // SAFETY: the context is open.
        unsafe { (*self.context).has_b_frames.max(0) as u64 }
    }

    /// Takes the next frame out of the decoder.
    pub fn receive(&mut self, frame: &mut ffmpeg_next::Frame) -> Result<Received> {
        // SAFETY: the decoder is open, the frame valid; the call blanks it first.
        let code = unsafe { sys::avcodec_receive_frame(self.context, frame.as_mut_ptr()) };
        match code {
            0.. => Ok(Received::Frame),
            code if code == sys::AVERROR(ffmpeg_next::util::error::EAGAIN) => Ok(Received::Again),
            sys::AVERROR_EOF => Ok(Received::End),
            code => Err(error(Stage::Decode, ErrorKind::Damaged, "a frame cannot be decoded", code)),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the context is ours.
        unsafe { sys::avcodec_free_context(&mut self.context) };
    }
}
