//! Decoders of photos, made strict: nothing is decoded before its size is known to be within the limits, and a file that
//! was cut off or is corrupt is an error, never a picture with a grey rest.

use std::fs::File;
use std::io::{Cursor, ErrorKind as IoKind, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, RgbImage};
use tiff::tags::Tag;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::photo_structure::{self as structure, PositionedReader, Structure};
use super::sniff::Sniffed;
use super::{heic, rgb};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::geometry::Size;
use crate::types::limits::Limits;

/// Decodes the one picture of a photo: upright, opaque, sRGB, 8 bits.
pub fn decode(file: &File, sniffed: Sniffed, limits: &Limits) -> Result<RgbImage> {
    without_panic(|| match sniffed {
        Sniffed::Jpeg => jpeg(read_whole(file, limits)?, limits),
        Sniffed::Png { animated: false } => png(file, limits),
        Sniffed::WebP { animated: false } => webp(file, limits),
        Sniffed::Gif { animated: false } => gif(file, limits),
        Sniffed::Tiff => tiff(file, limits),
        Sniffed::Bmp => {
            let decoder = BmpDecoder::new(PositionedReader::buffered(file)).map_err(refused)?;
            to_rgb(decoder, limits)
        }
        Sniffed::Heic => heic::decode(&read_whole(file, limits)?, limits),
        Sniffed::Avif => Err(unsupported("AVIF is not supported; export it as JPEG or PNG")),
        Sniffed::OtherPhoto(name) => {
            Err(unsupported(format!("{name} is not supported; export it as JPEG, PNG or TIFF")))
        }
        Sniffed::NotMedia => Err(Error::new(Stage::Open, ErrorKind::NotMedia, "not a photo and not a clip")),
        _ => Err(Error::new(Stage::Open, ErrorKind::Internal, "a clip was opened as a photo")),
    })
}

/// Turns a decoder's panic into an error: the file that made it stumble is not to be trusted.
pub fn without_panic<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged("the file is damaged: its decoder gave up in an unforeseen way")))
}

pub fn damaged(message: impl Into<String>) -> Error {
    Error::new(Stage::Decode, ErrorKind::Damaged, message)
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(Stage::Decode, ErrorKind::Unsupported, message)
}

/// # Errors
/// `Damaged` for an empty picture, `Limit` for one with too many pixels.
pub fn check_pixels(size: Size, limits: &Limits) -> Result<()> {
    if size.pixels() == 0 {
        return Err(damaged("the picture has no pixels"));
    }
    if size.pixels() > limits.pixels {
        let message = format!(
            "{}x{} pixels are more than the limit of {}; --max-pixels allows more",
            size.width, size.height, limits.pixels
        );
        return Err(Error::new(Stage::Decode, ErrorKind::Limit, message));
    }
    Ok(())
}

/// Maps an error of the `image` crate to ours.
pub fn refused(e: ImageError) -> Error {
    let (kind, message) = match &e {
        ImageError::Unsupported(_) => (ErrorKind::Unsupported, "this kind of picture is not supported; export it anew"),
        ImageError::Limits(_) => (ErrorKind::Limit, "decoding needs more memory than the limit"),
        // Only the operating system's own refusals carry its error number.
        ImageError::IoError(io) if io.raw_os_error().is_some() => (ErrorKind::Io, "the file can't be read"),
        ImageError::IoError(io) if io.kind() == IoKind::UnexpectedEof => (ErrorKind::Damaged, "the file is cut off"),
        _ => (ErrorKind::Damaged, "the file is damaged"),
    };
    Error::new(Stage::Decode, kind, message).because(e)
}

fn io_refused(e: std::io::Error) -> Error {
    refused(ImageError::IoError(e))
}

/// The `image` crate's bounds that follow from ours.
pub fn image_limits(limits: &Limits) -> image::Limits {
    let mut bounds = image::Limits::no_limits();
    bounds.max_alloc = Some(limits.memory_bytes);
    bounds
}

/// The whole file, for decoders that want it in memory; bounded by a part of the memory limit.
pub fn read_whole(file: &File, limits: &Limits) -> Result<Vec<u8>> {
    let most = limits.memory_bytes / 4;
    let mut data = Vec::new();
    PositionedReader::new(file).take(most + 1).read_to_end(&mut data).map_err(io_refused)?;
    if data.len() as u64 > most {
        let message = format!("the file has more than {most} bytes, too much for a photo");
        return Err(Error::new(Stage::Open, ErrorKind::Limit, message));
    }
    Ok(data)
}

fn to_rgb(mut decoder: impl ImageDecoder, limits: &Limits) -> Result<RgbImage> {
    let (width, height) = decoder.dimensions();
    check_pixels(Size::new(width, height), limits)?;
    decoder.set_limits(image_limits(limits)).map_err(refused)?;
    let orientation = match decoder.exif_metadata().map_err(refused)? {
        Some(exif) => rgb::exif_orientation(Some(&exif)),
        None => decoder.orientation().map_err(refused)?,
    };
    let icc = decoder.icc_profile().map_err(refused)?;
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    Ok(rgb::upright(rgb::to_srgb8(image, icc.as_deref())?, orientation))
}

/// # Errors
/// `Damaged` when the walk over the file did not come to its end mark.
pub fn whole(found: Structure) -> Result<Structure> {
    if found.complete { Ok(found) } else { Err(damaged("the file is cut off or damaged: its end mark is missing")) }
}

fn png(file: &File, limits: &Limits) -> Result<RgbImage> {
    let found = structure::png(&mut PositionedReader::buffered(file), true).map_err(io_refused)?;
    if whole(found)?.hdr {
        return Err(unsupported("HDR PNG (PQ or HLG) is not supported; export it as sRGB"));
    }
    to_rgb(PngDecoder::with_limits(PositionedReader::buffered(file), image_limits(limits)).map_err(refused)?, limits)
}

fn webp(file: &File, limits: &Limits) -> Result<RgbImage> {
    let len = file.metadata().map_err(io_refused)?.len();
    whole(structure::webp(&mut PositionedReader::buffered(file), len).map_err(io_refused)?)?;
    to_rgb(WebPDecoder::new(PositionedReader::buffered(file)).map_err(refused)?, limits)
}

fn gif(file: &File, limits: &Limits) -> Result<RgbImage> {
    let found = structure::gif(&mut PositionedReader::buffered(file), u64::MAX).map_err(io_refused)?;
    if whole(found)?.frames != 1 {
        return Err(damaged("the GIF holds no picture"));
    }
    to_rgb(GifDecoder::new(PositionedReader::buffered(file)).map_err(refused)?, limits)
}

fn tiff(file: &File, limits: &Limits) -> Result<RgbImage> {
    check_tiff_pages(PositionedReader::buffered(file))?;
    let decoder = TiffDecoder::new(PositionedReader::buffered(file)).map_err(refused)?;
    if matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        return Err(unsupported("CMYK TIFF is not supported; export it as sRGB"));
    }
    to_rgb(decoder, limits)
}

/// Only the first picture is read, so there must be no other: pages would be lost without notice. Reduced copies and
/// masks of the first are no pages. Camera raws pose as TIFF with a reduced picture in front.
fn check_tiff_pages(reader: impl Read + Seek) -> Result<()> {
    const REDUCED: u32 = 1;
    const MASK: u32 = 4;
    let broken = |e: tiff::TiffError| match e {
        tiff::TiffError::UnsupportedError(_) => unsupported("this kind of TIFF is not supported").because(e),
        e => damaged("the TIFF is damaged or cut off").because(e),
    };
    let mut decoder = tiff::decoder::Decoder::new(reader).map_err(broken)?;
    let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).map_err(broken)?.unwrap_or(0);
    let dng = decoder.find_tag(Tag::Unknown(50706)).map_err(broken)?.is_some();
    if dng || kind & REDUCED != 0 {
        return Err(unsupported("camera raw files are not supported; export it as JPEG or TIFF"));
    }
    while decoder.more_images() {
        decoder.next_image().map_err(broken)?;
        let kind = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).map_err(broken)?.unwrap_or(0);
        if kind & (REDUCED | MASK) == 0 {
            return Err(unsupported("TIFF with several pages is not supported; export each page as a file"));
        }
    }
    Ok(())
}

/// Leaves the primary picture of a JPEG alone (other pictures and a motion photo's video behind it are out of the
/// decoder's sight) and puts one bits before its end mark. A decoder pads data that ended too early with zero bits, which
/// mean something; no Huffman code is all ones, so that a scan that lacks data now runs into an invalid code.
fn isolate_jpeg(mut data: Vec<u8>) -> Result<Vec<u8>> {
    let end = structure::jpeg(&mut Cursor::new(&data)).ok().and_then(|picture| picture.end);
    let end = end.ok_or_else(|| damaged("the JPEG is cut off: its end mark is missing"))?;
    data.truncate(end as usize);
    for _ in 0..16 {
        data.extend_from_slice(&[0xFF, 0x00]);
    }
    data.extend_from_slice(&[0xFF, 0xD9]);
    Ok(data)
}

fn jpeg(data: Vec<u8>, limits: &Limits) -> Result<RgbImage> {
    let broken = |e: zune_jpeg::errors::DecodeErrors| match e {
        zune_jpeg::errors::DecodeErrors::Unsupported(_) => unsupported("this kind of JPEG is not supported").because(e),
        e => damaged("the JPEG is damaged or cut off").because(e),
    };
    let data = isolate_jpeg(data)?;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data.as_slice()), options);
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or_else(|| damaged("the JPEG has no frame header"))?;
    let size = Size::new(u32::from(info.width), u32::from(info.height));
    check_pixels(size, limits)?;
    let space = decoder.input_colorspace();
    let target = match space {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        Some(ColorSpace::YCbCr | ColorSpace::RGB) => ColorSpace::RGB,
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => {
            return Err(unsupported("CMYK JPEG is not supported; export it as sRGB"));
        }
        _ => return Err(unsupported("this JPEG's colour components are not supported; export it as sRGB")),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(target));
    let icc = decoder.icc_profile();
    let orientation: Orientation = rgb::exif_orientation(decoder.exif().map(Vec::as_slice));
    let pixels = decoder.decode().map_err(broken)?;
    let image = if target == ColorSpace::Luma {
        image::GrayImage::from_raw(size.width, size.height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(size.width, size.height, pixels).map(DynamicImage::from)
    };
    let image = image.ok_or_else(|| damaged("the JPEG gave fewer samples than its size asks for"))?;
    Ok(rgb::upright(rgb::to_srgb8(image, icc.as_deref())?, orientation))
}
