//! Sound: resampling to interleaved floats and back into frames for an encoder.

use std::ffi::c_int;
use std::ptr;

use ffmpeg_next::ffi as sys;
use ffmpeg_next::frame::Audio;

use super::error;
use crate::error::{Error, ErrorKind, Result, Stage};

/// Converts decoded frames of one kind into interleaved floats.
pub struct Resampler {
    context: *mut sys::SwrContext,
    channels: usize,
    from: Kind,
}

/// What a decoder may change in the middle of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    format: c_int,
    rate: c_int,
    channels: c_int,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for Resampler {}

/// Samples per second and channels of a frame.
pub fn rate_and_channels(frame: &Audio) -> (u32, u32) {
    let kind = kind_of(frame);
    (kind.rate.max(0) as u32, kind.channels.max(0) as u32)
}

/// Samples per channel of a frame.
pub fn samples_of(frame: &Audio) -> usize {
    frame.samples()
}

fn kind_of(frame: &Audio) -> Kind {
    // SAFETY: the frame is valid while borrowed.
    unsafe {
        let raw = &*frame.as_ptr();
        Kind { format: raw.format, rate: raw.sample_rate, channels: raw.ch_layout.nb_channels }
    }
}

impl Resampler {
    /// For frames like `frame`.
    pub fn new(frame: &Audio, rate: u32, channels: u32) -> Result<Self> {
        let from = kind_of(frame);
        let mut context = ptr::null_mut();
        // SAFETY: layouts are initialised before use and released after; the sample format was set by the library whose
        // headers the bindings were made from, and its range is checked; on error swr_free takes null too.
        unsafe {
            let formats = 0..sys::AVSampleFormat::AV_SAMPLE_FMT_NB as c_int;
            if !formats.contains(&from.format) {
                return Err(Error::new(
                    Stage::Encode,
                    ErrorKind::Unsupported,
                    "the sound's sample format is not known",
                ));
            }
            let format = std::mem::transmute::<c_int, sys::AVSampleFormat>(from.format);
            let mut target: sys::AVChannelLayout = std::mem::zeroed();
            sys::av_channel_layout_default(&mut target, channels as c_int);
            let mut source: sys::AVChannelLayout = std::mem::zeroed();
            if (*frame.as_ptr()).ch_layout.order == sys::AVChannelOrder::AV_CHANNEL_ORDER_UNSPEC {
                sys::av_channel_layout_default(&mut source, from.channels);
            } else {
                sys::av_channel_layout_copy(&mut source, &(*frame.as_ptr()).ch_layout);
            }
            let flt = sys::AVSampleFormat::AV_SAMPLE_FMT_FLT;
            let mut code = sys::swr_alloc_set_opts2(
                &mut context,
                &mut target,
                flt,
                rate as c_int,
                &mut source,
                format,
                from.rate,
                0,
                ptr::null_mut(),
            );
            sys::av_channel_layout_uninit(&mut source);
            sys::av_channel_layout_uninit(&mut target);
            if code >= 0 {
                code = sys::swr_init(context);
            }
            if code < 0 {
                sys::swr_free(&mut context);
                return Err(error(Stage::Encode, ErrorKind::Unsupported, "the sound cannot be resampled", code));
            }
        }
        Ok(Self { context, channels: channels as usize, from })
    }

    /// Whether the frame is of the kind that this resampler was made for.
    pub fn fits(&self, frame: &Audio) -> bool {
        kind_of(frame) == self.from
    }

    /// Interleaved samples that are ready after this frame; `None` gives the rest.
    pub fn convert(&mut self, frame: Option<&Audio>) -> Result<Vec<f32>> {
        assert!(frame.is_none_or(|f| self.fits(f)), "a frame of another kind");
        // SAFETY: the context is initialised for such frames; the output holds as many samples as it is told, and the
        // input pointers are the frame's own.
        unsafe {
            let (input, count) = match frame {
                Some(frame) => ((*frame.as_ptr()).extended_data.cast(), (*frame.as_ptr()).nb_samples),
                None => (ptr::null_mut(), 0),
            };
            let room = sys::swr_get_out_samples(self.context, count).max(0) as usize;
            let mut samples = vec![0f32; room * self.channels];
            let mut output = samples.as_mut_ptr().cast::<u8>();
            let made =
                sys::swr_convert(self.context, (&mut output as *mut *mut u8).cast(), room as c_int, input, count);
            if made < 0 {
                return Err(error(Stage::Encode, ErrorKind::Internal, "the sound cannot be resampled", made));
            }
            samples.truncate(made as usize * self.channels);
            Ok(samples)
        }
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: the context is ours.
        unsafe { sys::swr_free(&mut self.context) };
    }
}

/// A frame of planar floats out of interleaved samples; `pts` in samples.
pub fn planar_frame(interleaved: &[f32], channels: usize, rate: u32, pts: i64) -> Result<Audio> {
    let samples = interleaved.len() / channels;
    let mut frame = Audio::empty();
    // SAFETY: the frame is blank and ours; after a successful call each of its planes holds `samples` floats.
    unsafe {
        let raw = frame.as_mut_ptr();
        (*raw).format = sys::AVSampleFormat::AV_SAMPLE_FMT_FLTP as c_int;
        (*raw).nb_samples = samples as c_int;
        (*raw).sample_rate = rate as c_int;
        (*raw).pts = pts;
        sys::av_channel_layout_default(&mut (*raw).ch_layout, channels as c_int);
        let code = sys::av_frame_get_buffer(raw, 0);
        if code < 0 {
            return Err(error(Stage::Encode, ErrorKind::Io, "no memory for sound", code));
        }
        for channel in 0..channels {
            let plane = (*(*raw).extended_data.add(channel)).cast::<f32>();
            let plane = std::slice::from_raw_parts_mut(plane, samples);
            for (to, from) in plane.iter_mut().zip(interleaved[channel..].iter().step_by(channels)) {
                *to = *from;
            }
        }
    }
    Ok(frame)
}
