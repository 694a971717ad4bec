//! Containers out.

use std::ffi::c_int;
use std::fs::File;
use std::ptr;

use ffmpeg_next::ffi as sys;
use ffmpeg_next::packet::Mut;
use ffmpeg_next::{Packet, Rational};

use super::encode::{Encoder, PacketFilter};
use super::io::{self, Io};
use super::{Options, error, init};
use crate::error::{Error, ErrorKind, Result, Stage};

/// An MP4 file being written.
pub struct Muxer {
    context: *mut sys::AVFormatContext,
    // Freed after the context, which uses it: see Drop.
    io: Io,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for Muxer {}

impl Muxer {
    /// `file` must be open for reading and writing, and empty.
    pub fn mp4(file: File) -> Result<Self> {
        init();
        let io = Io::writer(file)?;
        let mut context = ptr::null_mut();
        // SAFETY: on success the context is ours; stream and callbacks outlive it (see Drop).
        unsafe {
            let code = sys::avformat_alloc_output_context2(&mut context, ptr::null(), c"mp4".as_ptr(), ptr::null());
            if code < 0 {
                return Err(error(Stage::Encode, ErrorKind::Unsupported, "the linked FFmpeg cannot write MP4", code));
            }
            (*context).pb = io.as_ptr();
            (*context).opaque = io.opaque();
            (*context).io_open = Some(io::reopen);
            (*context).io_close2 = Some(io::close);
            (*context).flags |= sys::AVFMT_FLAG_CUSTOM_IO | sys::AVFMT_FLAG_BITEXACT;
        }
        Ok(Self { context, io })
    }

    /// Adds the stream of an encoder; returns its number.
    pub fn add(&mut self, encoder: &Encoder, filter: Option<&PacketFilter>, tag: Option<&[u8; 4]>) -> Result<usize> {
        // SAFETY: the context is ours; the new stream and its parameters belong to it.
        unsafe {
            let stream = sys::avformat_new_stream(self.context, ptr::null());
            if stream.is_null() {
                return Err(Error::new(Stage::Encode, ErrorKind::Io, "out of memory"));
            }
            let parameters = (*stream).codecpar;
            let code = match filter {
                Some(filter) => filter.write_parameters(parameters),
                None => encoder.write_parameters(parameters),
            };
            if code < 0 {
                return Err(error(Stage::Encode, ErrorKind::Internal, "the muxer refuses a stream", code));
            }
            let known =
                sys::avformat_query_codec((*self.context).oformat, (*parameters).codec_id, sys::FF_COMPLIANCE_NORMAL);
            if known != 1 {
                return Err(Error::new(Stage::Encode, ErrorKind::Unsupported, "MP4 does not hold this codec"));
            }
            (*parameters).codec_tag = tag.map_or(0, |tag| u32::from_le_bytes(*tag));
            (*stream).time_base = encoder.time_base().into();
            (*stream).sample_aspect_ratio = (*parameters).sample_aspect_ratio;
            Ok((*stream).index as usize)
        }
    }

    /// Writes the head; all streams must have been added.
    pub fn write_header(&mut self, options: &[(&str, String)]) -> Result<()> {
        let mut options = Options::new(options);
        // SAFETY: the context is ours and complete.
        let code = unsafe { sys::avformat_write_header(self.context, &mut options.0) };
        self.check(code)?;
        let unused = options.unused();
        if unused.is_empty() {
            return Ok(());
        }
        let message = format!("the linked FFmpeg's MP4 muxer does not know: {}", unused.join(", "));
        Err(Error::new(Stage::Encode, ErrorKind::Unsupported, message))
    }

    /// Writes a packet whose times are in ticks of `time_base`.
    pub fn write(&mut self, mut packet: Packet, stream: usize, time_base: Rational) -> Result<()> {
        // SAFETY: context and packet are ours, the stream's number came from `add`; the call takes the packet's content.
        let code = unsafe {
            assert!(stream < (*self.context).nb_streams as usize, "stream index out of range");
            let raw = packet.as_mut_ptr();
            (*raw).stream_index = stream as c_int;
            (*raw).pos = -1;
            let target = (**(*self.context).streams.add(stream)).time_base;
            sys::av_packet_rescale_ts(raw, time_base.into(), target);
            sys::av_interleaved_write_frame(self.context, raw)
        };
        self.check(code)
    }

    /// Writes the rest, and everything to the disk.
    pub fn finish(mut self) -> Result<()> {
        // SAFETY: the head was written, or the call fails.
        let code = unsafe { sys::av_write_trailer(self.context) };
        self.check(code)?;
        self.io.sync().map_err(disk)?;
        let latched = self.io.latched();
        self.check(latched)
    }

    /// An error for a code, or one of the disk that FFmpeg has not noticed yet.
    fn check(&mut self, code: c_int) -> Result<()> {
        if let Some(error) = self.io.take_error() {
            return Err(disk(error));
        }
        if code < 0 {
            Err(error(Stage::Encode, ErrorKind::Internal, "the MP4 cannot be written", code))
        } else {
            Ok(())
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // SAFETY: the context is ours; it leaves its stream alone, which is dropped next.
        unsafe { sys::avformat_free_context(self.context) };
    }
}

fn disk(error: std::io::Error) -> Error {
    Error::new(Stage::Encode, ErrorKind::Io, "cannot write: free space or choose another place").because(error)
}
