//! HEIC: the primary picture. Thumbnails, depth and gain maps, further pictures and a motion photo's video are not read.

use image::{RgbImage, RgbaImage};

use super::photo_decode::check_pixels;
use super::rgb;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::geometry::Size;
use crate::types::limits::Limits;

/// Decodes the primary picture: `clap`, `irot` and `imir` applied (EXIF's orientation repeats them and is not looked at,
/// as the format demands), converted to sRGB by its ICC profile or `nclx` code.
///
/// # Errors
/// `Damaged`, `Limit`; `Unsupported` for other codecs, HDR transfers and profiles that can't be applied.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage> {
    let file = heifer::heifer_isobmff::HeifFile::parse(bytes).map_err(heifer::Error::from).map_err(refused)?;
    let declared = file.image_size(file.primary_id).map_err(heifer::Error::from).map_err(refused)?;
    if let Some((width, height)) = declared {
        check_pixels(Size::new(width, height), limits)?;
    }
    let options = heifer::Options { max_threads: 0, max_pixels: limits.pixels };
    let image = heifer::decode_srgb_rgba8(bytes, &options).map_err(refused)?;
    let size = Size::new(image.width, image.height);
    check_pixels(size, limits)?;
    let rgba = RgbaImage::from_raw(size.width, size.height, image.data)
        .ok_or_else(|| Error::new(Stage::Decode, ErrorKind::Internal, "the HEIC decoder gave too few samples"))?;
    Ok(rgb::over_white(&rgba))
}

fn refused(e: heifer::Error) -> Error {
    let unsupported = matches!(&e, heifer::Error::Unsupported(_));
    let (kind, message) = if unsupported {
        (ErrorKind::Unsupported, "this kind of HEIC is not supported; export it as JPEG")
    } else {
        (ErrorKind::Damaged, "the HEIC file is damaged or cut off")
    };
    Error::new(Stage::Decode, kind, message).because(e)
}
