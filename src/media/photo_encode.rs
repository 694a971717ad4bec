//! Encoders of finished photos: pixels and the structure that the format demands, nothing else.

use std::borrow::Cow;
use std::io::{Seek, Write};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use tiff::encoder::colortype::RGB8;
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{Compression, Predictor, TiffEncoder};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{Frame, PixelLayout};

/// Format of a finished photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhotoFormat {
    Jpeg,
    Png,
    /// Lossless.
    WebP,
    /// One page, RGB, Deflate.
    Tiff,
}

/// JPEG quality that keeps what is outside the masks as it looks.
pub const DEFAULT_JPEG_QUALITY: u8 = 92;

/// Rows of an RGB8 frame without padding: `width * height * 3` bytes.
///
/// # Errors
/// `Internal` for a frame of another layout.
pub fn packed_rgb(frame: &Frame) -> Result<Cow<'_, [u8]>> {
    let wrong = || Error::new(Stage::Encode, ErrorKind::Internal, "a photo's frame is not packed RGB with 8 bits");
    if frame.layout != PixelLayout::rgb8() {
        return Err(wrong());
    }
    let (data, stride) = (frame.buffer.plane(0), frame.buffer.stride(0));
    let (row, height) = (frame.size.width as usize * 3, frame.size.height as usize);
    if row == 0 || height == 0 || stride < row || data.len() < stride * (height - 1) + row {
        return Err(wrong());
    }
    if stride == row {
        return Ok(Cow::Borrowed(&data[..row * height]));
    }
    Ok(Cow::Owned(data.chunks(stride).take(height).flat_map(|line| &line[..row]).copied().collect()))
}

/// Writes an RGB8 frame as a photo without any metadata. `quality` (1 to 100) is JPEG's; the other formats are lossless.
///
/// # Errors
/// `Io` when writing fails, `Unsupported` when the format has no room for the picture's size.
pub fn encode(frame: &Frame, format: PhotoFormat, quality: u8, out: &mut (impl Write + Seek)) -> Result<()> {
    let pixels = packed_rgb(frame)?;
    let (width, height) = (frame.size.width, frame.size.height);
    let color = ExtendedColorType::Rgb8;
    match format {
        PhotoFormat::Jpeg => JpegEncoder::new_with_quality(&mut *out, quality.clamp(1, 100))
            .write_image(&pixels, width, height, color)
            .map_err(failed)?,
        PhotoFormat::Png => PngEncoder::new_with_quality(&mut *out, CompressionType::Default, FilterType::Adaptive)
            .write_image(&pixels, width, height, color)
            .map_err(failed)?,
        PhotoFormat::WebP => {
            WebPEncoder::new_lossless(&mut *out).write_image(&pixels, width, height, color).map_err(failed)?;
        }
        PhotoFormat::Tiff => TiffEncoder::new(&mut *out)
            .map(|e| e.with_compression(Compression::Deflate(DeflateLevel::Balanced)))
            .and_then(|e| e.with_predictor(Predictor::Horizontal).write_image::<RGB8>(width, height, &pixels))
            .map_err(tiff_failed)?,
    }
    out.flush().map_err(|e| failed(ImageError::IoError(e)))
}

fn tiff_failed(e: tiff::TiffError) -> Error {
    match e {
        tiff::TiffError::IoError(e) => failed(ImageError::IoError(e)),
        e => Error::new(Stage::Encode, ErrorKind::Unsupported, "the picture can't be written as TIFF").because(e),
    }
}

fn failed(e: ImageError) -> Error {
    let (kind, message) = match &e {
        ImageError::IoError(_) => (ErrorKind::Io, "the photo can't be written"),
        _ => (ErrorKind::Unsupported, "the picture does not fit its format; convert the source to PNG"),
    };
    Error::new(Stage::Encode, kind, message).because(e)
}
