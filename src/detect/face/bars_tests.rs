use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ImageDecoder, RgbImage};
use imageproc::filter::median_filter;
use proptest::prelude::*;

use super::*;
use crate::types::geometry::{Rect, Size};

/// Skin, hair and cloth: smooth waves with a little grain.
fn photo() -> RgbImage {
    RgbImage::from_fn(240, 180, |x, y| {
        let wave = |a: u32, b: u32| ((x * a + y * b) as f32 / 90.0).sin() * 40.0 + 120.0;
        let grain = ((x * 73 + y * 151 + x * y * 7) % 11) as f32;
        image::Rgb([wave(7, 3), wave(3, 8), wave(5, 5)].map(|v| (v + grain) as u8))
    })
}

fn with_bar(quad: &Quad, color: [u8; 3]) -> RgbImage {
    let mut photo = photo();
    for (x, y, pixel) in photo.enumerate_pixels_mut() {
        if quad.contains(Point::new(x as f32 + 0.5, y as f32 + 0.5)) {
            pixel.0 = color;
        }
    }
    photo
}

fn as_jpeg(photo: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    photo.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    let decoder = JpegDecoder::new(Cursor::new(bytes)).unwrap();
    assert_eq!(decoder.dimensions(), (240, 180));
    DynamicImage::from_decoder(decoder).unwrap().into_rgb8()
}

fn found(photo: RgbImage) -> Vec<Bar> {
    let size = Size::new(photo.width(), photo.height());
    bars(&Picture::new(size, photo.into_raw(), 1.0)).unwrap()
}

fn turned(angle_deg: f32) -> Quad {
    Quad::rotated_rect(Point::new(120.0, 90.0), 60.0, 28.0, angle_deg.to_radians())
}

#[test]
fn drawn_bars_are_found_whatever_their_colour_and_turn() {
    for color in [[0; 3], [255; 3], [225, 228, 230], [128; 3]] {
        for angle in [0.0, 20.0, 45.0, 90.0, 160.0] {
            let found = found(with_bar(&turned(angle), color));
            assert_eq!(found.len(), 1, "{color:?} {angle}");
            assert!(found[0].is_exact && found[0].quad.iou(&turned(angle)) > 0.85, "{color:?} {angle} {:?}", found[0]);
            assert!(found[0].quad.angle_rad().cos() > -1e-3, "upside down");
        }
    }
}

#[test]
fn bars_are_found_behind_jpeg_too_but_not_beyond_doubt() {
    for quality in [90, 75] {
        let found = found(as_jpeg(&with_bar(&turned(10.0), [200; 3]), quality));
        assert_eq!(found.len(), 1, "{quality}");
        assert!(!found[0].is_exact && found[0].quad.iou(&turned(10.0)) > 0.75, "{quality} {:?}", found[0]);
    }
}

#[test]
fn what_no_one_drew_over_a_face_is_none() {
    let upright = |width, height| Quad::from(Rect::new(90.0, 60.0, width, height));
    let mut soft = with_bar(&turned(0.0), [0; 3]);
    soft = image::imageops::blur(&soft, 8.0);
    let ramp = RgbImage::from_fn(240, 180, |x, _| image::Rgb([(x / 2) as u8; 3]));
    let table = [
        ("a photo", photo()),
        ("a ramp", ramp),
        ("all black", RgbImage::new(240, 180)),
        ("a square", with_bar(&upright(30.0, 30.0), [0; 3])),
        ("a line", with_bar(&upright(80.0, 8.0), [0; 3])),
        ("a speck", with_bar(&upright(8.0, 4.0), [0; 3])),
        ("a wall", with_bar(&upright(130.0, 90.0), [0; 3])),
        ("a border", with_bar(&Rect::new(0.0, 0.0, 32.0, 180.0).into(), [0; 3])),
        ("a shadow", soft),
        ("one pixel", RgbImage::new(1, 1)),
        ("one column", RgbImage::new(1, 50)),
        ("one row", RgbImage::new(50, 1)),
    ];
    for (name, photo) in table {
        assert_eq!(found(photo), [], "{name}");
    }
}

#[test]
fn the_head_around_a_bar_holds_the_face_whichever_part_is_hidden() {
    let face = Rect::new(100.0, 60.0, 48.0, 60.0);
    for (part, top) in [("forehead", 0.0), ("eyes", 0.2), ("mouth", 0.6)] {
        let bar = Quad::from(Rect::new(face.x, face.y + face.height * top, face.width, face.height * 0.4));
        let found = found(with_bar(&bar, [20; 3]));
        assert_eq!(found.len(), 1, "{part}");
        let head = found[0].head_quad().superellipse_outline(3.0);
        let head = Quad::from(face).share(40, 40, |p| {
            let (dx, dy) = ((p.x - face.center().x) / face.width, (p.y - face.center().y) / face.height);
            dx.hypot(dy) > 0.5 || inside(&head, p)
        });
        assert!(head > 0.95, "{part}: {head}");
    }
}

/// Whether a point lies in a convex polygon.
fn inside(polygon: &[Point], p: Point) -> bool {
    let sides = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let cross = sides.map(|(a, b)| (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x));
    let (mut left, mut right) = (false, false);
    cross.for_each(|c| if c > 0.0 { left = true } else { right |= c < 0.0 });
    !(left && right)
}

proptest! {
    #[test]
    fn medians_are_those_of_another_implementation(w in 1u32..9, levels in prop::collection::vec(0u8..255, 1..80)) {
        let h = (levels.len() as u32).div_ceil(w);
        let picture = GrayImage::from_fn(w, h, |x, y| image::Luma([levels[(y * w + x) as usize % levels.len()]]));
        let expected = median_filter(&picture, 1, 1).into_raw();
        prop_assert_eq!(median(picture.as_raw(), w as usize), expected);
    }
}
