//! From whatever samples a decoder gives to upright, opaque sRGB with 8 bits.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{ColorInfo, Frame, PixelLayout, PlainBuffer};
use crate::types::geometry::Size;

/// sRGB primaries and transfer, no matrix, full range.
pub const SRGB: ColorInfo = ColorInfo { primaries: 1, transfer: 13, matrix: 0, full_range: true, chroma_location: 0 };

/// A decoded picture that becomes a frame.
pub fn frame(image: RgbImage, index: u64, pts: i64, duration: i64) -> Frame {
    let size = Size::new(image.width(), image.height());
    let stride = size.width as usize * 3;
    Frame {
        index,
        pts,
        duration,
        size,
        layout: PixelLayout::rgb8(),
        damaged: false,
        key: index == 0,
        buffer: Box::new(PlainBuffer { planes: vec![(image.into_raw(), stride)] }),
    }
}

/// Turns a picture upright.
pub fn upright(image: RgbImage, orientation: Orientation) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// Orientation out of an EXIF block; some writers of PNG and WebP leave JPEG's `Exif\0\0` before it.
pub fn exif_orientation(exif: Option<&[u8]>) -> Orientation {
    exif.map(|e| e.strip_prefix(b"Exif\0\0").unwrap_or(e))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

/// Opaque sRGB with 8 bits: embedded profile applied, 16 bits reduced, alpha laid over white.
///
/// Bytes that no reader would take for a profile (too short, wrong signature) count as no profile, as every viewer does:
/// the picture looks in the output as it looked before. A profile that is one, but that can't be applied, is an error,
/// since the colours would come out wrong and nobody would notice.
///
/// # Errors
/// `Unsupported` for a profile that can't be applied and for samples of more than 16 bits.
pub fn to_srgb8(image: DynamicImage, icc: Option<&[u8]>) -> Result<RgbImage> {
    if matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) {
        return Err(unsupported("pictures with floating-point samples are not supported; export it with 8 or 16 bits"));
    }
    let alpha = image.color().has_alpha();
    let Some(icc) = icc.filter(|icc| looks_like_profile(icc)) else {
        return Ok(if alpha { over_white(&image.into_rgba8()) } else { image.into_rgb8() });
    };
    let profile = ColorProfile::new_from_slice(icc).map_err(unusable_profile)?;
    let gray = !image.color().has_color();
    match profile.color_space {
        DataColorSpace::Rgb => rgb_profile(image, &profile),
        DataColorSpace::Gray if gray => gray_profile(image, &profile),
        other => Err(unsupported(format!(
            "the embedded colour profile ({other:?}) does not fit the picture; export it as sRGB"
        ))),
    }
}

fn looks_like_profile(icc: &[u8]) -> bool {
    icc.len() >= 132 && &icc[36..40] == b"acsp"
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(Stage::Decode, ErrorKind::Unsupported, message)
}

fn unusable_profile(e: impl std::fmt::Display) -> Error {
    unsupported(format!("the embedded colour profile can't be applied ({e}); export the picture as sRGB"))
}

/// Gray samples under an RGB profile are taken as equal red, green and blue.
fn rgb_profile(image: DynamicImage, profile: &ColorProfile) -> Result<RgbImage> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let size = (image.width(), image.height());
    let deep = matches!(image.color().bytes_per_pixel() / image.color().channel_count(), 2);
    match (deep, image.color().has_alpha()) {
        (false, false) => {
            let t =
                profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options).map_err(unusable_profile)?;
            by_rows(image.into_rgb8().as_raw(), 3, size, 3, &*t, |v| v)
        }
        (false, true) => {
            let t =
                profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, options).map_err(unusable_profile)?;
            by_rows(image.into_rgba8().as_raw(), 4, size, 4, &*t, |v| v)
        }
        (true, false) => {
            let t =
                profile.create_transform_16bit(Layout::Rgb, &srgb, Layout::Rgb, options).map_err(unusable_profile)?;
            by_rows(image.into_rgb16().as_raw(), 3, size, 3, &*t, to_8_bits)
        }
        (true, true) => {
            let t =
                profile.create_transform_16bit(Layout::Rgba, &srgb, Layout::Rgba, options).map_err(unusable_profile)?;
            by_rows(image.into_rgba16().as_raw(), 4, size, 4, &*t, to_8_bits)
        }
    }
}

fn gray_profile(image: DynamicImage, profile: &ColorProfile) -> Result<RgbImage> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let size = (image.width(), image.height());
    if image.color().has_alpha() {
        let samples = image.into_luma_alpha16();
        let t = profile
            .create_transform_16bit(Layout::GrayAlpha, &srgb, Layout::Rgba, options)
            .map_err(unusable_profile)?;
        by_rows(samples.as_raw(), 2, size, 4, &*t, to_8_bits)
    } else {
        let t = profile.create_transform_16bit(Layout::Gray, &srgb, Layout::Rgb, options).map_err(unusable_profile)?;
        by_rows(image.into_luma16().as_raw(), 1, size, 3, &*t, to_8_bits)
    }
}

fn to_8_bits(v: u16) -> u8 {
    ((u32::from(v) * 255 + 32767) / 65535) as u8
}

/// Applies a transform row by row, so that no second copy of the whole picture in source depth is held.
fn by_rows<V: Copy + Default>(
    samples: &[V],
    channels: usize,
    (width, height): (u32, u32),
    out_channels: usize,
    transform: &(dyn TransformExecutor<V> + Send + Sync),
    to_8: impl Fn(V) -> u8,
) -> Result<RgbImage> {
    let mut out = RgbImage::new(width, height);
    let mut row = vec![V::default(); width as usize * out_channels];
    let rows = samples.chunks_exact(width as usize * channels).zip(out.chunks_exact_mut(width as usize * 3));
    for (source, target) in rows {
        transform.transform(source, &mut row).map_err(unusable_profile)?;
        for (pixel, rgb) in row.chunks_exact(out_channels).zip(target.chunks_exact_mut(3)) {
            let alpha = pixel.get(3).map_or(255, |a| to_8(*a));
            for (channel, value) in rgb.iter_mut().zip(pixel) {
                *channel = blend_white(to_8(*value), alpha);
            }
        }
    }
    Ok(out)
}

/// Lays a picture with straight alpha over white: what alpha hides is gone, not just hidden.
pub fn over_white(image: &image::RgbaImage) -> RgbImage {
    let mut out = RgbImage::new(image.width(), image.height());
    for (pixel, rgb) in image.chunks_exact(4).zip(out.chunks_exact_mut(3)) {
        for (channel, value) in rgb.iter_mut().zip(pixel) {
            *channel = blend_white(*value, pixel[3]);
        }
    }
    out
}

fn blend_white(value: u8, alpha: u8) -> u8 {
    let (v, a) = (u32::from(value), u32::from(alpha));
    ((v * a + 255 * (255 - a) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, ImageBuffer, Luma, Rgb, Rgba, RgbaImage};

    #[test]
    fn alpha_zero_is_white_whatever_it_hides() {
        let image = RgbaImage::from_fn(256, 1, |x, _| Rgba([x as u8, 255 - x as u8, 77, 0]));
        assert!(to_srgb8(image.into(), None).unwrap().iter().all(|v| *v == 255));
        let deep = ImageBuffer::from_pixel(2, 2, Rgba([123u16, 4567, 65535, 0]));
        assert!(to_srgb8(DynamicImage::ImageRgba16(deep), None).unwrap().iter().all(|v| *v == 255));
    }

    #[test]
    fn profile_over_alpha_zero_is_white_too() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let image = RgbaImage::from_pixel(3, 2, Rgba([10, 20, 30, 0]));
        assert!(to_srgb8(image.into(), Some(&icc)).unwrap().iter().all(|v| *v == 255));
    }

    #[test]
    fn depths_and_gray() {
        let gray = GrayImage::from_pixel(2, 2, Luma([90]));
        assert_eq!(to_srgb8(gray.into(), None).unwrap().get_pixel(1, 1), &Rgb([90; 3]));
        let deep = ImageBuffer::from_pixel(2, 2, Rgb([0u16, 257 * 100, 65535]));
        assert_eq!(to_srgb8(DynamicImage::ImageRgb16(deep), None).unwrap().get_pixel(0, 0), &Rgb([0, 100, 255]));
        let float = ImageBuffer::from_pixel(1, 1, Rgb([0.5f32; 3]));
        let error = to_srgb8(DynamicImage::ImageRgb32F(float), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn display_p3_becomes_srgb() {
        let icc = ColorProfile::new_display_p3().encode().unwrap();
        let image = RgbImage::from_pixel(4, 4, Rgb([200, 100, 100]));
        let out = to_srgb8(image.into(), Some(&icc)).unwrap();
        // P3 (200, 100, 100) is sRGB (213, 94, 96), by the matrices of both spaces and the sRGB curve.
        let Rgb([r, g, b]) = *out.get_pixel(2, 2);
        assert!(r.abs_diff(213) <= 2 && g.abs_diff(94) <= 2 && b.abs_diff(96) <= 2, "{r} {g} {b}");
    }

    #[test]
    fn gray_profile_on_gray_works_and_on_rgb_is_refused() {
        let icc = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let gray = GrayImage::from_pixel(4, 4, Luma([55]));
        let Rgb([r, g, b]) = *to_srgb8(gray.into(), Some(&icc)).unwrap().get_pixel(0, 0);
        // Linear 55/255 is 128 on the sRGB curve.
        assert!(r.abs_diff(128) <= 2 && r == g && g == b, "{r} {g} {b}");
        let rgb = RgbImage::from_pixel(4, 4, Rgb([1, 2, 3]));
        assert_eq!(to_srgb8(rgb.into(), Some(&icc)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn broken_profiles() {
        let image = || DynamicImage::from(RgbImage::from_pixel(2, 2, Rgb([9, 8, 7])));
        assert_eq!(to_srgb8(image(), Some(b"not a profile")).unwrap().get_pixel(0, 0), &Rgb([9, 8, 7]));
        let mut icc = ColorProfile::new_display_p3().encode().unwrap();
        icc.truncate(200);
        assert_eq!(to_srgb8(image(), Some(&icc)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn exif_prefix_is_passed_over() {
        let tiff = b"II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let prefixed: Vec<u8> = b"Exif\0\0".iter().chain(tiff).copied().collect();
        assert_eq!(exif_orientation(Some(tiff)), Orientation::Rotate90);
        assert_eq!(exif_orientation(Some(&prefixed)), Orientation::Rotate90);
        assert_eq!(exif_orientation(Some(b"junk")), Orientation::NoTransforms);
    }
}
