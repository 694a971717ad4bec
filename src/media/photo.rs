//! Photos: opened as a source of one upright frame, scaled for analysis, written without metadata.
//!
//! Handled: JPEG (baseline and progressive), PNG, WebP, TIFF with one page, BMP, still GIF, HEIC. Refused by name: CMYK,
//! multi-page and floating-point TIFF, HDR PNG, AVIF, JPEG XL, JPEG 2000, camera raws and what else [`super::sniff`] knows.

use std::fs::File;
use std::io::{Seek, Write};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use super::photo_encode::packed_rgb;
pub use super::photo_encode::{DEFAULT_JPEG_QUALITY, PhotoFormat, encode};
use super::sniff::Sniffed;
use super::{photo_decode, rgb};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{Frame, MediaKind, Picture, SourceInfo};
use crate::types::geometry::{Orientation, Size};
use crate::types::limits::Limits;
use crate::types::stage::Source;
use crate::types::time::TimeBase;

/// Decodes a photo: one packed RGB8 frame, upright, opaque (alpha laid over white), sRGB.
///
/// # Errors
/// `Damaged` for what is cut off or corrupt, `Unsupported` for what is refused by name, `Limit`, `Io`.
pub fn open(file: File, sniffed: Sniffed, limits: &Limits) -> Result<Box<dyn Source>> {
    let image = photo_decode::decode(&file, sniffed, limits)?;
    let info = picture_info(MediaKind::Photo, format_name(sniffed), Size::new(image.width(), image.height()));
    Ok(Box::new(Still { info, image: Some(image) }))
}

/// What is known of a picture source after decoding: its orientation is applied already.
pub(super) fn picture_info(kind: MediaKind, format: &str, upright: Size) -> SourceInfo {
    SourceInfo {
        kind,
        format: format.to_owned(),
        codec: format.to_owned(),
        coded: upright,
        orientation: Orientation::Upright,
        sample_aspect: (1, 1),
        time_base: TimeBase::ONE,
        frame_rate: 0.0,
        frames_estimate: Some(1),
        color: rgb::SRGB,
        depth: 8,
        interlaced: false,
        has_audio: false,
    }
}

pub(super) fn format_name(sniffed: Sniffed) -> &'static str {
    match sniffed {
        Sniffed::Jpeg => "jpeg",
        Sniffed::Png { animated: false } => "png",
        Sniffed::Png { animated: true } => "apng",
        Sniffed::WebP { .. } => "webp",
        Sniffed::Tiff => "tiff",
        Sniffed::Bmp => "bmp",
        Sniffed::Gif { .. } => "gif",
        Sniffed::Heic => "heic",
        Sniffed::Avif => "avif",
        Sniffed::OtherPhoto(name) => name,
        Sniffed::MaybeClip | Sniffed::NotMedia => "unknown",
    }
}

struct Still {
    info: SourceInfo,
    image: Option<RgbImage>,
}

impl Source for Still {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>> {
        Ok(self.image.take().map(|image| rgb::frame(image, 0, 0, 1)))
    }
}

/// An analysis picture of an upright RGB8 frame, whose longer side has at most `max_side` pixels (0: as large as the
/// frame; never enlarged). Scaled with an antialiasing filter (Hamming window, two lobes).
///
/// # Errors
/// `Internal` for a frame of another layout.
pub fn to_picture(frame: &Frame, max_side: u32) -> Result<Picture> {
    let pixels = packed_rgb(frame)?;
    if max_side == 0 || frame.size.width.max(frame.size.height) <= max_side {
        return Ok(Picture::new(frame.size, pixels.into_owned(), 1.0));
    }
    shrunk(&pixels, frame.size, max_side)
}

/// Writes a small JPEG of an analysis picture, whose longer side has at most `max_side` pixels.
///
/// # Errors
/// `Io` when writing fails.
pub fn encode_thumbnail(picture: &Picture, max_side: u32, quality: u8, out: &mut (impl Write + Seek)) -> Result<()> {
    let scaled;
    let small = if picture.size.width.max(picture.size.height) > max_side {
        scaled = shrunk(&picture.data, picture.size, max_side)?;
        &scaled
    } else {
        picture
    };
    let image = RgbImage::from_raw(small.size.width, small.size.height, small.data.clone())
        .ok_or_else(|| Error::new(Stage::Encode, ErrorKind::Internal, "a picture has too few bytes"))?;
    encode(&rgb::frame(image, 0, 0, 1), PhotoFormat::Jpeg, quality, out)
}

/// Scales packed RGB down so that its longer side has `max_side` pixels.
fn shrunk(pixels: &[u8], full: Size, max_side: u32) -> Result<Picture> {
    let longer = full.width.max(full.height);
    let display_from_picture = longer as f32 / max_side as f32;
    let scaled = |side: u32| ((f64::from(side) * f64::from(max_side) / f64::from(longer)).round() as u32).max(1);
    let size = Size::new(scaled(full.width), scaled(full.height));
    let failed = |e: String| Error::new(Stage::Detect, ErrorKind::Internal, format!("scaling failed: {e}"));
    let source = ImageRef::new(full.width, full.height, pixels, PixelType::U8x3).map_err(|e| failed(e.to_string()))?;
    let mut target = Image::new(size.width, size.height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Hamming));
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(e.to_string()))?;
    Ok(Picture::new(size, target.into_vec(), display_from_picture))
}

#[cfg(test)]
#[path = "photo_tests.rs"]
mod tests;
