use std::io::{Cursor, Write};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, Rgba, RgbaImage};
use proptest::prelude::*;
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

use super::*;
use crate::media::sniff::sniff;
use crate::types::geometry::Point;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn decode_with(bytes: &[u8], limits: &Limits) -> Result<RgbImage> {
    let file = file_of(bytes);
    let sniffed = sniff(&file)?;
    let mut source = open(file, sniffed, limits)?;
    let frame = source.next_frame()?.expect("a photo has one frame");
    assert!(source.next_frame()?.is_none());
    assert_eq!(source.info().display(), frame.size);
    let data = packed_rgb(&frame)?.into_owned();
    Ok(RgbImage::from_raw(frame.size.width, frame.size.height, data).unwrap())
}

fn decode(bytes: &[u8]) -> Result<RgbImage> {
    decode_with(bytes, &Limits::default())
}

fn kind_of(bytes: &[u8]) -> ErrorKind {
    match decode(bytes) {
        Ok(image) => panic!("{:?} pixels came out of what must be refused", image.dimensions()),
        Err(e) => e.kind(),
    }
}

/// Four quarters of different colours, wider than high.
fn quarters() -> RgbImage {
    RgbImage::from_fn(64, 32, |x, y| match (x < 32, y < 16) {
        (true, true) => Rgb([230, 20, 20]),
        (false, true) => Rgb([20, 200, 20]),
        (true, false) => Rgb([20, 20, 220]),
        (false, false) => Rgb([220, 220, 30]),
    })
}

/// Content that does not compress to nothing, so that cutting a file always cuts picture data.
fn noise() -> RgbImage {
    let mut state = 1u32;
    RgbImage::from_fn(61, 43, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn frame_of(image: &RgbImage) -> Frame {
    rgb::frame(image.clone(), 0, 0, 1)
}

fn written(image: &RgbImage, format: PhotoFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    encode(&frame_of(image), format, DEFAULT_JPEG_QUALITY, &mut out).unwrap();
    out.into_inner()
}

fn heic_of(image: &RgbImage) -> Vec<u8> {
    heifer::encode_rgb8(image.width(), image.height(), image.as_raw(), &heifer::EncodeOptions::default()).unwrap()
}

fn assert_close(a: &RgbImage, b: &RgbImage, tolerance: u8, name: &str) {
    assert_eq!(a.dimensions(), b.dimensions(), "{name}");
    let worst = a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(worst <= tolerance, "{name}: samples differ by up to {worst}");
}

const LOSSLESS: [ImageFormat; 5] =
    [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Gif];

#[test]
fn every_format_decodes() {
    for format in LOSSLESS {
        assert_close(&decode(&encoded(quarters(), format)).unwrap(), &quarters(), 0, &format!("{format:?}"));
    }
    assert_close(&decode(&encoded(quarters(), ImageFormat::Jpeg)).unwrap(), &quarters(), 8, "jpeg");
    // Chroma of HEIC is subsampled: soft colours show whether planes, matrix and range are right.
    let soft = RgbImage::from_fn(64, 64, |x, y| Rgb([60 + x as u8 * 2, 60 + y as u8 * 2, 180 - x as u8]));
    assert_close(&decode(&heic_of(&soft)).unwrap(), &soft, 12, "heic");
}

#[test]
fn deep_gray_and_alpha_become_rgb8() {
    let deep = DynamicImage::from(quarters()).into_rgb16();
    let gray = DynamicImage::from(quarters()).into_luma8();
    let gray_rgb = DynamicImage::from(gray.clone()).into_rgb8();
    let hidden = RgbaImage::from_fn(64, 32, |x, _| if x < 32 { Rgba([1, 2, 3, 255]) } else { Rgba([200, 0, 0, 0]) });
    let shown = RgbImage::from_fn(64, 32, |x, _| if x < 32 { Rgb([1, 2, 3]) } else { Rgb([255, 255, 255]) });
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = encoded(DynamicImage::ImageRgb16(deep.clone()), format);
        assert_close(&decode(&bytes).unwrap(), &quarters(), 0, "16 bits");
    }
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Jpeg] {
        assert_close(&decode(&encoded(gray.clone(), format)).unwrap(), &gray_rgb, 4, "gray");
    }
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Gif] {
        assert_close(&decode(&encoded(hidden.clone(), format)).unwrap(), &shown, 0, &format!("alpha in {format:?}"));
    }
}

/// The smallest EXIF block that carries an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

fn oriented(mut encoder: impl ImageEncoder, orientation: u8) {
    let image = quarters();
    encoder.set_exif_metadata(exif(orientation)).unwrap();
    encoder.write_image(&image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
}

fn oriented_tiff(orientation: u8) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out).unwrap();
    let mut page = encoder.new_image::<colortype::RGB8>(64, 32).unwrap();
    page.encoder().write_tag(Tag::Orientation, u16::from(orientation)).unwrap();
    page.write_data(quarters().as_raw()).unwrap();
    out.into_inner()
}

#[test]
fn all_orientations_are_applied() {
    use Orientation::*;
    let cases = [Upright, FlipHorizontal, Rotate180, FlipVertical, Transpose, Rotate90, Transverse, Rotate270];
    let coded = quarters();
    let coded_size = Size::new(coded.width(), coded.height());
    for (code, orientation) in (1u8..).zip(cases) {
        let size = orientation.display_size(coded_size);
        let expected = RgbImage::from_fn(size.width, size.height, |x, y| {
            let p = orientation.coded_from_display(Point::new(x as f32 + 0.5, y as f32 + 0.5), coded_size);
            *coded.get_pixel(p.x as u32, p.y as u32)
        });
        let (mut jpeg, mut png, mut webp) = (Vec::new(), Vec::new(), Vec::new());
        oriented(JpegEncoder::new_with_quality(&mut jpeg, 100), code);
        oriented(PngEncoder::new(&mut png), code);
        oriented(WebPEncoder::new_lossless(&mut webp), code);
        for (name, bytes, tolerance) in
            [("jpeg", jpeg, 4), ("png", png, 0), ("webp", webp, 0), ("tiff", oriented_tiff(code), 0)]
        {
            assert_close(&decode(&bytes).unwrap(), &expected, tolerance, &format!("{name} {code}"));
        }
    }
    assert_close(&decode(&oriented_tiff(9)).unwrap(), &coded, 0, "a value that does not exist");
}

#[test]
fn embedded_profiles_are_applied() {
    let icc = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let image = RgbImage::from_pixel(16, 16, Rgb([200, 100, 100]));
    let (mut jpeg, mut png, mut webp) = (Vec::new(), Vec::new(), Vec::new());
    fn write(mut encoder: impl ImageEncoder, icc: &[u8], image: &RgbImage) {
        encoder.set_icc_profile(icc.to_vec()).unwrap();
        encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    }
    write(JpegEncoder::new_with_quality(&mut jpeg, 100), &icc, &image);
    write(PngEncoder::new(&mut png), &icc, &image);
    write(WebPEncoder::new_lossless(&mut webp), &icc, &image);
    for (name, bytes) in [("jpeg", jpeg), ("png", png), ("webp", webp)] {
        let expected = RgbImage::from_pixel(16, 16, Rgb([213, 94, 96]));
        assert_close(&decode(&bytes).unwrap(), &expected, 3, name);
    }
}

#[test]
fn cut_off_files_are_refused() {
    let mut whole: Vec<(String, Vec<u8>)> = LOSSLESS.iter().map(|f| (format!("{f:?}"), encoded(noise(), *f))).collect();
    whole.push(("Jpeg".to_owned(), encoded(noise(), ImageFormat::Jpeg)));
    whole.push(("Heic".to_owned(), heic_of(&noise())));
    whole.push(("deflated Tiff".to_owned(), written(&noise(), PhotoFormat::Tiff)));
    for (name, bytes) in whole {
        assert!(decode(&bytes).is_ok(), "{name}");
        let cuts = (1..40).map(|n| bytes.len() * n / 40).chain([bytes.len() - 4, bytes.len() - 1]);
        for len in cuts {
            let result = decode(&bytes[..len]);
            assert!(result.is_err(), "{name} cut to {len} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn jpeg_whose_middle_is_missing_is_refused() {
    let bytes = encoded(noise(), ImageFormat::Jpeg);
    for twentieths in 6..20 {
        let mut gap = bytes[..bytes.len() * twentieths / 20].to_vec();
        gap.extend_from_slice(&[0xFF, 0xD9]);
        assert_eq!(kind_of(&gap), ErrorKind::Damaged, "{twentieths}/20");
    }
}

#[test]
fn bytes_behind_the_primary_jpeg_are_not_read() {
    let bytes = encoded(quarters(), ImageFormat::Jpeg);
    let mut longer = bytes.clone();
    longer.extend_from_slice(b"\0\0\0\x18ftypmp42 a motion photo's video");
    longer.extend_from_slice(&encoded(noise(), ImageFormat::Jpeg));
    assert_eq!(decode(&longer).unwrap(), decode(&bytes).unwrap());
}

#[test]
fn limits_hold_before_decoding() {
    let limits = Limits { pixels: 64 * 32 - 1, ..Limits::default() };
    let mut all: Vec<Vec<u8>> = LOSSLESS.iter().map(|f| encoded(quarters(), *f)).collect();
    all.push(encoded(quarters(), ImageFormat::Jpeg));
    all.push(heic_of(&quarters()));
    for bytes in all {
        let error = decode_with(&bytes, &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    }
    // A JPEG that claims 65535 x 65535 pixels.
    let mut bytes = encoded(quarters(), ImageFormat::Jpeg);
    let frame_header = bytes.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    bytes[frame_header + 5..frame_header + 9].fill(0xFF);
    assert_eq!(kind_of(&bytes), ErrorKind::Limit);
    bytes[frame_header + 5..frame_header + 9].fill(0);
    assert_eq!(kind_of(&bytes), ErrorKind::Damaged);
}

fn tiff_pages(kinds: &[u32]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out).unwrap();
    for kind in kinds {
        let mut page = encoder.new_image::<colortype::RGB8>(64, 32).unwrap();
        page.encoder().write_tag(Tag::NewSubfileType, *kind).unwrap();
        page.write_data(quarters().as_raw()).unwrap();
    }
    out.into_inner()
}

fn tiff_of<C: colortype::ColorType>(samples: &[C::Inner]) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut out = Cursor::new(Vec::new());
    TiffEncoder::new(&mut out).unwrap().write_image::<C>(2, 2, samples).unwrap();
    out.into_inner()
}

/// Headers of a JPEG with four components.
fn cmyk_jpeg() -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    bytes.extend_from_slice(&[1; 64]);
    bytes.extend_from_slice(&[0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4]);
    (1..=4).for_each(|id| bytes.extend_from_slice(&[id, 0x11, 0]));
    bytes.extend_from_slice(&[0xFF, 0xDA, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0, 0x55, 0xFF, 0xD9]);
    bytes
}

#[test]
fn refused_by_name() {
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cmyk jpeg", cmyk_jpeg(), "CMYK"),
        ("cmyk tiff", tiff_of::<colortype::CMYK8>(&[9; 16]), "CMYK"),
        ("float tiff", tiff_of::<colortype::RGB32Float>(&[0.5; 12]), "floating-point"),
        ("two pages", tiff_pages(&[0, 0]), "several pages"),
        ("a page behind a thumbnail", tiff_pages(&[0, 1, 2]), "several pages"),
        ("raw with a preview in front", tiff_pages(&[1, 0]), "raw"),
        ("avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif".to_vec(), "AVIF"),
        ("jpeg xl", b"\xFF\x0A\0\0\0\0".to_vec(), "JPEG XL"),
    ];
    for (name, bytes, word) in table {
        let error = decode(&bytes).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
        assert!(error.to_string().contains(word), "{name}: {error}");
    }
    assert_eq!(decode(&tiff_pages(&[0, 1])).unwrap(), quarters(), "a reduced copy is no page");
    assert_eq!(kind_of(b"plain text"), ErrorKind::NotMedia);
    assert_eq!(kind_of(b""), ErrorKind::NotMedia);
}

#[test]
fn written_files_decode_to_the_same_picture() {
    for format in [PhotoFormat::Png, PhotoFormat::WebP, PhotoFormat::Tiff] {
        assert_close(&decode(&written(&noise(), format)).unwrap(), &noise(), 0, &format!("{format:?}"));
    }
    assert_close(&decode(&written(&quarters(), PhotoFormat::Jpeg)).unwrap(), &quarters(), 6, "jpeg");
}

#[test]
fn written_files_hold_structure_only() {
    let jpeg = written(&noise(), PhotoFormat::Jpeg);
    let mut at = 2;
    let mut markers = Vec::new();
    while jpeg[at + 1] != 0xDA {
        markers.push(jpeg[at + 1]);
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    // JFIF, quantisation, frame and Huffman tables; no other application segment and no comment.
    assert!(markers.iter().all(|m| matches!(m, 0xE0 | 0xDB | 0xC0 | 0xC4)), "{markers:X?}");
    assert_eq!(&jpeg[jpeg.len() - 2..], [0xFF, 0xD9]);

    let png = written(&noise(), PhotoFormat::Png);
    let mut at = 8;
    while at < png.len() {
        let name = &png[at + 4..at + 8];
        assert!([&b"IHDR"[..], b"IDAT", b"IEND"].contains(&name), "{name:?}");
        at += 12 + u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    }

    let webp = written(&noise(), PhotoFormat::WebP);
    assert_eq!(&webp[12..16], b"VP8L");
    assert_eq!(u32::from_le_bytes(webp[16..20].try_into().unwrap()).next_multiple_of(2) as usize + 20, webp.len());

    let bytes = written(&noise(), PhotoFormat::Tiff);
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(&bytes)).unwrap();
    let tags: Vec<u16> = decoder.tag_iter().map(|entry| entry.unwrap().0.to_u16()).collect();
    let structural = [256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283, 284, 296, 317, 339];
    assert!(tags.iter().all(|tag| structural.contains(tag)), "{tags:?}");
    assert!(!decoder.more_images());
}

#[test]
fn padded_rows_are_packed() {
    let mut frame = frame_of(&quarters());
    let rows: Vec<u8> = quarters().chunks(64 * 3).flat_map(|row| row.iter().copied().chain([0xEE; 5])).collect();
    frame.buffer = Box::new(crate::types::frame::PlainBuffer { planes: vec![(rows, 64 * 3 + 5)] });
    assert_eq!(packed_rgb(&frame).unwrap().as_ref(), quarters().as_raw().as_slice());
}

#[test]
fn picture_scales() {
    let frame = frame_of(&quarters());
    let table = [(0, (64, 32), 1.0), (64, (64, 32), 1.0), (100, (64, 32), 1.0), (16, (16, 8), 4.0), (1, (1, 1), 64.0)];
    for (max_side, (width, height), factor) in table {
        let picture = to_picture(&frame, max_side).unwrap();
        assert_eq!((picture.size, picture.display_from_picture), (Size::new(width, height), factor), "{max_side}");
    }
    let small = to_picture(&frame, 16).unwrap();
    let pixel = |x: usize, y: usize| &small.data[(y * 16 + x) * 3..][..3];
    for (x, y, expected) in
        [(2, 2, [230, 20, 20]), (13, 2, [20, 200, 20]), (2, 6, [20, 20, 220]), (13, 6, [220, 220, 30])]
    {
        assert!(pixel(x, y).iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2), "{:?} {expected:?}", pixel(x, y));
    }
}

proptest! {
    #[test]
    fn png_with_a_flipped_bit_is_refused_or_the_same(at in 0.0f64..1.0, bit in 0u8..8) {
        let mut bytes = encoded(noise(), ImageFormat::Png);
        let index = (bytes.len() as f64 * at) as usize;
        bytes[index] ^= 1 << bit;
        if let Ok(image) = decode(&bytes) {
            prop_assert_eq!(image, noise());
        }
    }

    #[test]
    fn flipped_bits_never_panic(format in 0usize..7, at in 0.0f64..1.0, bit in 0u8..8) {
        let mut bytes = match format {
            5 => encoded(noise(), ImageFormat::Jpeg),
            6 => heic_of(&quarters()),
            n => encoded(noise(), LOSSLESS[n]),
        };
        let index = (bytes.len() as f64 * at) as usize;
        bytes[index] ^= 1 << bit;
        let limits = Limits { pixels: 1 << 20, memory_bytes: 256 << 20, ..Limits::default() };
        if let Ok(image) = decode_with(&bytes, &limits) {
            prop_assert!(image.width() > 0 && image.height() > 0);
        }
    }
}
