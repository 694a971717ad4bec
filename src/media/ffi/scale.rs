//! Pixel format conversion and scaling.

use std::ffi::c_int;
use std::ptr;

use ffmpeg_next::ffi as sys;
use ffmpeg_next::frame::Video;
use ffmpeg_next::software::scaling::flag::Flags;

use super::error;
use super::frame::{PixelFormat, format_of};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::geometry::Size;

/// One side of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    pub format: PixelFormat,
    pub size: Size,
    /// Matrix number of H.273; 2 (unspecified) counts as BT.601.
    pub matrix: u8,
    pub full_range: bool,
}

/// How pixels are filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Same size: each pixel by itself, exact; chroma resampled with full precision.
    Exact,
    /// Smaller pictures for analysis.
    Fast,
}

/// A conversion between two fixed kinds of picture.
pub struct Scaler {
    context: *mut sys::SwsContext,
    from: Side,
    to: Side,
}

// SAFETY: the context is owned by this value alone and not bound to a thread.
unsafe impl Send for Scaler {}

impl Scaler {
    pub fn new(from: Side, to: Side, filter: Filter) -> Result<Self> {
        let flags = match filter {
            Filter::Exact => Flags::BICUBIC | Flags::ACCURATE_RND | Flags::FULL_CHR_H_INT | Flags::FULL_CHR_H_INP,
            // AREA averages when it shrinks much, where FAST_BILINEAR would alias.
            Filter::Fast if to.size.width * 2 < from.size.width => Flags::AREA,
            Filter::Fast => Flags::FAST_BILINEAR,
        };
        // SAFETY: formats are valid values, sizes are checked by the call, null filters mean none.
        let context = unsafe {
            sys::sws_getContext(
                from.size.width as c_int,
                from.size.height as c_int,
                from.format,
                to.size.width as c_int,
                to.size.height as c_int,
                to.format,
                (flags | Flags::BITEXACT).bits() as _,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        if context.is_null() {
            let message = format!("no conversion from {:?} to {:?}", from.format, to.format);
            return Err(Error::new(Stage::Decode, ErrorKind::Unsupported, message));
        }
        let scaler = Self { context, from, to };
        // SAFETY: the context is fresh; the tables are static. Formats without such settings (palettes) refuse them,
        // which is fine.
        unsafe {
            let table = |matrix| sys::sws_getCoefficients(coefficients(matrix));
            let one = 1 << 16;
            sys::sws_setColorspaceDetails(
                context,
                table(from.matrix),
                from.full_range.into(),
                table(to.matrix),
                to.full_range.into(),
                0,
                one,
                one,
            );
        }
        Ok(scaler)
    }

    pub fn from(&self) -> Side {
        self.from
    }

    pub fn to(&self) -> Side {
        self.to
    }

    /// Converts a picture into another, which must be of the kinds that the scaler was made for.
    pub fn run(&mut self, from: &Video, to: &mut Video) -> Result<()> {
        self.run_rows(from, to, 0, 1)
    }

    /// Converts the rows `first`, `first + step`, ... of both pictures, as if they were pictures of their own: the fields
    /// of interlaced video. The scaler must be made for that number of rows.
    pub fn run_rows(&mut self, from: &Video, to: &mut Video, first: usize, step: usize) -> Result<()> {
        self.check(from, self.from, step)?;
        self.check(to, self.to, step)?;
        // SAFETY: both pictures were checked to have the format and at least the rows and columns that the context
        // expects; a field's rows lie within its picture.
        let code = unsafe {
            let (from, to) = (&*from.as_ptr(), &*to.as_mut_ptr());
            let (from_data, from_stride) = rows(from, first, step);
            let (to_data, to_stride) = rows(to, first, step);
            sys::sws_scale(
                self.context,
                from_data.as_ptr().cast(),
                from_stride.as_ptr(),
                0,
                self.from.size.height as c_int,
                to_data.as_ptr(),
                to_stride.as_ptr(),
            )
        };
        if code < 0 {
            return Err(error(Stage::Decode, ErrorKind::Internal, "cannot convert a picture", code));
        }
        Ok(())
    }

    fn check(&self, frame: &Video, side: Side, step: usize) -> Result<()> {
        let rows = side.size.height as usize * step;
        let fits = format_of(frame) == side.format
            && frame.width() == side.size.width
            && (frame.height() as usize == rows || (step > 1 && frame.height() as usize >= rows));
        let message = "a picture is not of the kind that its conversion was made for";
        if fits { Ok(()) } else { Err(Error::new(Stage::Decode, ErrorKind::Internal, message)) }
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: the context is ours.
        unsafe { sys::sws_freeContext(self.context) };
    }
}

/// Pointers and strides of every `step`-th row from `first` on; palettes (plane 1 of stride 4 or 0) keep theirs.
fn rows(frame: &sys::AVFrame, first: usize, step: usize) -> ([*mut u8; 8], [c_int; 8]) {
    let (mut data, mut stride) = (frame.data, frame.linesize);
    if step > 1 {
        for (data, stride) in data.iter_mut().zip(&mut stride) {
            if !data.is_null() && *stride != 0 {
                *data = data.wrapping_offset(*stride as isize * first as isize);
                *stride *= step as c_int;
            }
        }
    }
    (data, stride)
}

/// FFmpeg's number of a matrix's coefficients.
fn coefficients(matrix: u8) -> c_int {
    match matrix {
        1 => sys::SWS_CS_ITU709 as c_int,
        4 => sys::SWS_CS_FCC as c_int,
        7 => sys::SWS_CS_SMPTE240M as c_int,
        9 | 10 => sys::SWS_CS_BT2020 as c_int,
        _ => sys::SWS_CS_ITU601 as c_int,
    }
}
