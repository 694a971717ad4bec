//! From pictures to tensors: scaling, cutting, turning, normalising, and the way back for coordinates.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::engine::Tensor;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Rect, Size};

/// A linear map of the plane with a shift: `x' = xx*x + xy*y + x0`, `y' = yx*x + yy*y + y0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    pub xx: f32,
    pub xy: f32,
    pub x0: f32,
    pub yx: f32,
    pub yy: f32,
    pub y0: f32,
}

impl Affine {
    pub const IDENTITY: Affine = Affine { xx: 1.0, xy: 0.0, x0: 0.0, yx: 0.0, yy: 1.0, y0: 0.0 };

    /// Scales about the origin, then shifts.
    pub const fn scale_shift(sx: f32, sy: f32, x0: f32, y0: f32) -> Affine {
        Affine { xx: sx, xy: 0.0, x0, yx: 0.0, yy: sy, y0 }
    }

    pub fn apply(&self, p: Point) -> Point {
        Point::new(self.xx * p.x + self.xy * p.y + self.x0, self.yx * p.x + self.yy * p.y + self.y0)
    }

    /// First `first`, then this one.
    pub fn after(&self, first: &Affine) -> Affine {
        let origin = self.apply(Point::new(first.x0, first.y0));
        Affine {
            xx: self.xx * first.xx + self.xy * first.yx,
            xy: self.xx * first.xy + self.xy * first.yy,
            x0: origin.x,
            yx: self.yx * first.xx + self.yy * first.yx,
            yy: self.yx * first.xy + self.yy * first.yy,
            y0: origin.y,
        }
    }
}

/// A picture made from another one, with the map of its points back to that one.
#[derive(Clone, Debug)]
pub struct Derived {
    pub picture: Picture,
    pub source_from_derived: Affine,
}

/// Clockwise quarter turns of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    Upright,
    Quarter,
    Half,
    ThreeQuarter,
}

impl Turn {
    pub const ALL: [Turn; 4] = [Turn::Upright, Turn::Quarter, Turn::Half, Turn::ThreeQuarter];

    /// Map from points of the turned picture to points of the upright one, whose size is `upright`.
    pub fn upright_from_turned(self, upright: Size) -> Affine {
        let (w, h) = (upright.width as f32, upright.height as f32);
        let (xx, xy, x0, yx, yy, y0) = match self {
            Turn::Upright => return Affine::IDENTITY,
            Turn::Quarter => (0.0, 1.0, 0.0, -1.0, 0.0, h),
            Turn::Half => (-1.0, 0.0, w, 0.0, -1.0, h),
            Turn::ThreeQuarter => (0.0, -1.0, w, 1.0, 0.0, 0.0),
        };
        Affine { xx, xy, x0, yx, yy, y0 }
    }
}

/// The picture turned clockwise, pixel by pixel.
pub fn turned(picture: &Picture, turn: Turn) -> Derived {
    let source_from_derived = turn.upright_from_turned(picture.size);
    if turn == Turn::Upright {
        return Derived { picture: picture.clone(), source_from_derived };
    }
    let (w, h) = (picture.size.width as isize, picture.size.height as isize);
    let size = if turn == Turn::Half { picture.size } else { picture.size.transposed() };
    // Source pixel of the result's first one, and the steps there from row to row and from pixel to pixel.
    let (first, row_step, step) = match turn {
        Turn::Upright => (0, w, 1),
        Turn::Quarter => ((h - 1) * w, 1, -w),
        Turn::Half => (h * w - 1, -w, -1),
        Turn::ThreeQuarter => (w - 1, -1, w),
    };
    let mut data = vec![0; picture.data.len()];
    for (y, row) in data.chunks_exact_mut((size.width as usize * 3).max(1)).enumerate() {
        let mut at = first + y as isize * row_step;
        for pixel in row.chunks_exact_mut(3) {
            pixel.copy_from_slice(&picture.data[at as usize * 3..at as usize * 3 + 3]);
            at += step;
        }
    }
    Derived { picture: Picture::new(size, data, picture.display_from_picture), source_from_derived }
}

/// The picture mirrored left to right.
pub fn mirrored(picture: &Picture) -> Derived {
    let width = picture.size.width as usize;
    let mut data = Vec::with_capacity(picture.data.len());
    for row in picture.data.chunks_exact((width * 3).max(1)) {
        data.extend(row.chunks_exact(3).rev().flatten());
    }
    Derived {
        picture: Picture::new(picture.size, data, picture.display_from_picture),
        source_from_derived: Affine::scale_shift(-1.0, 1.0, width as f32, 0.0),
    }
}

/// The picture turned clockwise by any angle on a canvas that holds all of it; bilinear, black outside.
pub fn rotated(picture: &Picture, angle_rad: f32) -> Derived {
    let (w, h) = (picture.size.width as f32, picture.size.height as f32);
    let (s, c) = angle_rad.sin_cos();
    let extent = |a: f32, b: f32| (a.abs() + b.abs()).ceil().max(1.0);
    let (cw, ch) = (extent(w * c, h * s), extent(w * s, h * c));
    // A point of the canvas turns back by the angle about the common centre.
    let map = Affine {
        xx: c,
        xy: s,
        x0: w / 2.0 - c * cw / 2.0 - s * ch / 2.0,
        yx: -s,
        yy: c,
        y0: h / 2.0 + s * cw / 2.0 - c * ch / 2.0,
    };
    let size = Size::new(cw as u32, ch as u32);
    let mut data = vec![0; size.pixels() as usize * 3];
    for (y, row) in data.chunks_exact_mut(size.width as usize * 3).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let p = map.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
            if let Some(value) = bilinear(picture, p.x - 0.5, p.y - 0.5) {
                pixel.copy_from_slice(&value);
            }
        }
    }
    Derived { picture: Picture::new(size, data, picture.display_from_picture), source_from_derived: map }
}

/// Value between pixel centres; `None` outside the picture.
fn bilinear(picture: &Picture, x: f32, y: f32) -> Option<[u8; 3]> {
    let (w, h) = (picture.size.width as i64, picture.size.height as i64);
    if x < -0.5 || y < -0.5 || x > w as f32 - 0.5 || y > h as f32 - 0.5 {
        return None;
    }
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let at = |dx: i64, dy: i64| {
        let (px, py) = ((x0 as i64 + dx).clamp(0, w - 1), (y0 as i64 + dy).clamp(0, h - 1));
        (py * w + px) as usize * 3
    };
    let corners = [at(0, 0), at(1, 0), at(0, 1), at(1, 1)];
    Some(std::array::from_fn(|i| {
        let [a, b, c, d] = corners.map(|k| f32::from(picture.data[k + i]));
        let (top, bottom) = (a + (b - a) * fx, c + (d - c) * fx);
        (top + (bottom - top) * fy).round() as u8
    }))
}

/// Packed RGB bytes in another size: area-weighted when smaller, linear when larger; sides may scale differently.
pub fn resize_rgb(data: &[u8], from: Size, to: Size) -> Result<Vec<u8>> {
    if from == to {
        return Ok(data.to_vec());
    }
    let failed = |e: String| {
        let message = format!("a picture of {}x{} cannot be scaled", from.width, from.height);
        Error::new(Stage::Infer, ErrorKind::Internal, message).because(e)
    };
    let source = ImageRef::new(from.width, from.height, data, PixelType::U8x3).map_err(|e| failed(e.to_string()))?;
    let mut result = Image::new(to.width, to.height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut result, &options).map_err(|e| failed(e.to_string()))?;
    Ok(result.into_vec())
}

/// The picture scaled by one factor to a size of at least one pixel a side. The map has the exact factor of each side.
pub fn scaled(picture: &Picture, factor: f32) -> Result<Derived> {
    let side = |v: u32| ((v as f32 * factor).round() as u32).max(1);
    let size = Size::new(side(picture.size.width), side(picture.size.height));
    let data = resize_rgb(&picture.data, picture.size, size)?;
    let sx = picture.size.width as f32 / size.width as f32;
    let sy = picture.size.height as f32 / size.height as f32;
    let larger = if size.width >= size.height { sx } else { sy };
    Ok(Derived {
        picture: Picture::new(size, data, picture.display_from_picture * larger),
        source_from_derived: Affine::scale_shift(sx, sy, 0.0, 0.0),
    })
}

/// The picture scaled so that its longer side has at most `long_side` pixels; never enlarged.
pub fn scaled_down(picture: &Picture, long_side: u32) -> Result<Derived> {
    let longest = picture.size.width.max(picture.size.height).max(1);
    if longest <= long_side {
        return Ok(Derived { picture: picture.clone(), source_from_derived: Affine::IDENTITY });
    }
    scaled(picture, long_side as f32 / longest as f32)
}

/// The part of the picture inside `area`, which is rounded outward and clipped; at least one pixel.
pub fn cropped(picture: &Picture, area: Rect) -> Derived {
    let (w, h) = (picture.size.width, picture.size.height);
    let x0 = (area.x.floor().max(0.0) as u32).min(w.saturating_sub(1));
    let y0 = (area.y.floor().max(0.0) as u32).min(h.saturating_sub(1));
    let x1 = ((area.x + area.width).ceil().max(0.0) as u32).clamp(x0 + 1, w.max(x0 + 1));
    let y1 = ((area.y + area.height).ceil().max(0.0) as u32).clamp(y0 + 1, h.max(y0 + 1));
    let size = Size::new(x1 - x0, y1 - y0);
    let mut data = Vec::with_capacity(size.pixels() as usize * 3);
    for y in y0..y1 {
        let row = (y as usize * w as usize + x0 as usize) * 3;
        data.extend_from_slice(&picture.data[row..row + size.width as usize * 3]);
    }
    Derived {
        picture: Picture::new(size, data, picture.display_from_picture),
        source_from_derived: Affine::scale_shift(1.0, 1.0, x0 as f32, y0 as f32),
    }
}

/// The same with the map of its points, and without a copy where `area` is all of the picture.
pub fn part(picture: &Picture, area: Rect) -> (Cow<'_, Picture>, Affine) {
    if area == Rect::new(0.0, 0.0, picture.size.width as f32, picture.size.height as f32) {
        return (Cow::Borrowed(picture), Affine::IDENTITY);
    }
    let crop = cropped(picture, area);
    (Cow::Owned(crop.picture), crop.source_from_derived)
}

/// Order of the channels that a network was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    Rgb,
    Bgr,
}

/// Axis order of an input tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[1, 3, height, width]`
    Nchw,
    /// `[1, height, width, 3]`
    Nhwc,
}

/// What a network wants: `(byte - mean) * scale` for each channel in the network's order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputSpec {
    pub channels: Channels,
    pub layout: Layout,
    /// Of bytes, 0 to 255.
    pub mean: [f32; 3],
    pub scale: [f32; 3],
}

impl InputSpec {
    /// Tensor of packed RGB bytes of `size`, laid at the top left of a canvas of `canvas`, black elsewhere.
    pub fn tensor(&self, data: &[u8], size: Size, canvas: Size) -> Tensor {
        let (w, h) = (size.width as usize, size.height as usize);
        let (cw, ch) = (canvas.width as usize, canvas.height as usize);
        assert!(w <= cw && h <= ch && data.len() == w * h * 3, "the picture must lie inside its canvas");
        let table: [[f32; 256]; 3] =
            std::array::from_fn(|c| std::array::from_fn(|v| (v as f32 - self.mean[c]) * self.scale[c]));
        let source: [usize; 3] = if self.channels == Channels::Rgb { [0, 1, 2] } else { [2, 1, 0] };
        let mut values = Vec::with_capacity(cw * ch * 3);
        match self.layout {
            Layout::Nchw => {
                table.iter().enumerate().for_each(|(c, table)| values.resize((c + 1) * cw * ch, table[0]));
                let (first, others) = values.split_at_mut(cw * ch);
                let (second, third) = others.split_at_mut(cw * ch);
                let rows = first.chunks_exact_mut(cw).zip(second.chunks_exact_mut(cw)).zip(third.chunks_exact_mut(cw));
                for (((first, second), third), bytes) in rows.zip(data.chunks_exact((w * 3).max(1))) {
                    let places = first.iter_mut().zip(second).zip(third);
                    for (((first, second), third), pixel) in places.zip(bytes.chunks_exact(3)) {
                        *first = table[0][usize::from(pixel[source[0]])];
                        *second = table[1][usize::from(pixel[source[1]])];
                        *third = table[2][usize::from(pixel[source[2]])];
                    }
                }
                Tensor::new(vec![1, 3, ch, cw], values)
            }
            Layout::Nhwc => {
                let black = [table[0][0], table[1][0], table[2][0]];
                (0..cw * ch).for_each(|_| values.extend_from_slice(&black));
                for (row, bytes) in values.chunks_exact_mut(cw * 3).zip(data.chunks_exact((w * 3).max(1))) {
                    for (value, pixel) in row.chunks_exact_mut(3).zip(bytes.chunks_exact(3)) {
                        for c in 0..3 {
                            value[c] = table[c][usize::from(pixel[source[c]])];
                        }
                    }
                }
                Tensor::new(vec![1, ch, cw, 3], values)
            }
        }
    }
}

/// The size with both sides raised to a multiple of `step`.
pub fn raised_to_multiple(size: Size, step: u32) -> Size {
    Size::new(size.width.max(1).next_multiple_of(step), size.height.max(1).next_multiple_of(step))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(width: u32, height: u32) -> Picture {
        let data = (0..width * height).flat_map(|i| [i as u8, (i >> 8) as u8, 7]).collect();
        Picture::new(Size::new(width, height), data, 1.0)
    }

    fn pixel(p: &Picture, x: u32, y: u32) -> &[u8] {
        let at = (y * p.size.width + x) as usize * 3;
        &p.data[at..at + 3]
    }

    proptest! {
        #[test]
        fn every_pixel_of_a_turned_picture_comes_from_where_its_map_says(w in 1u32..9, h in 1u32..9, k in 0usize..4) {
            let picture = numbered(w, h);
            let turned = turned(&picture, Turn::ALL[k]);
            for y in 0..turned.picture.size.height {
                for x in 0..turned.picture.size.width {
                    let p = turned.source_from_derived.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
                    prop_assert_eq!(pixel(&turned.picture, x, y), pixel(&picture, p.x as u32, p.y as u32));
                }
            }
        }

        #[test]
        fn a_composed_map_applies_both(a in -2f32..2.0, b in -2f32..2.0, x in -9f32..9.0, y in -9f32..9.0) {
            let first = Affine { xx: a, xy: b, x0: 1.0, yx: -b, yy: a, y0: -2.0 };
            let second = Affine::scale_shift(b, a, 3.0, 4.0);
            let p = Point::new(x, y);
            let (one, two) = (second.after(&first).apply(p), second.apply(first.apply(p)));
            prop_assert!(one.distance(two) < 1e-3);
        }

        #[test]
        fn a_rotated_picture_shows_its_pixels_where_its_map_says(angle in -4f32..4.0, x in 2u32..14, y in 2u32..10) {
            let (w, h) = (16, 12);
            // A smooth ramp, so that interpolation is exact up to rounding.
            let data = (0..w * h).flat_map(|i| [(i % w * 8) as u8, (i / w * 8) as u8, 90]).collect();
            let rotated = rotated(&Picture::new(Size::new(w, h), data, 1.0), angle);
            let map = rotated.source_from_derived;
            let (dx, dy) = (x as f32 + 0.5 - map.x0, y as f32 + 0.5 - map.y0);
            // The inverse of a rotation is its transpose.
            let p = Point::new(map.xx * dx + map.yx * dy, map.xy * dx + map.yy * dy);
            let seen = pixel(&rotated.picture, p.x as u32, p.y as u32);
            prop_assert!((f32::from(seen[0]) - x as f32 * 8.0).abs() <= 9.0, "{:?}", seen);
            prop_assert!((f32::from(seen[1]) - y as f32 * 8.0).abs() <= 9.0, "{:?}", seen);
        }
    }

    #[test]
    fn every_pixel_of_a_mirrored_picture_comes_from_where_its_map_says() {
        let picture = numbered(5, 3);
        let mirror = mirrored(&picture);
        for (x, y) in [(0, 0), (4, 2), (1, 1)] {
            let p = mirror.source_from_derived.apply(Point::new(x as f32 + 0.5, y as f32 + 0.5));
            assert_eq!(pixel(&mirror.picture, x, y), pixel(&picture, p.x as u32, p.y as u32));
        }
    }

    #[test]
    fn a_crop_is_rounded_outward_and_clipped() {
        let picture = numbered(6, 5);
        let crop = cropped(&picture, Rect::new(1.5, 2.0, 9.0, 1.5));
        assert_eq!(crop.picture.size, Size::new(5, 2));
        assert_eq!(pixel(&crop.picture, 0, 0), pixel(&picture, 1, 2));
        assert_eq!(crop.source_from_derived.apply(Point::new(0.0, 0.0)), Point::new(1.0, 2.0));
    }

    #[test]
    fn tensors_have_the_order_and_padding_that_a_network_wants() {
        let data = [10, 20, 30, 40, 50, 60];
        let spec = InputSpec { channels: Channels::Bgr, layout: Layout::Nchw, mean: [10.0, 0.0, 0.0], scale: [1.0; 3] };
        let tensor = spec.tensor(&data, Size::new(2, 1), Size::new(3, 2));
        assert_eq!(tensor.shape, [1, 3, 2, 3]);
        let rows = [20., 50., -10., -10., -10., -10., 20., 50., 0., 0., 0., 0., 10., 40., 0., 0., 0., 0.];
        assert_eq!(tensor.data, rows);
        let nhwc = InputSpec { channels: Channels::Rgb, layout: Layout::Nhwc, mean: [0.0; 3], scale: [0.5; 3] };
        let tensor = nhwc.tensor(&data, Size::new(1, 2), Size::new(2, 2));
        assert_eq!(tensor.shape, [1, 2, 2, 3]);
        assert_eq!(tensor.data, [5., 10., 15., 0., 0., 0., 20., 25., 30., 0., 0., 0.]);
    }

    #[test]
    fn a_part_is_a_copy_only_where_it_is_smaller() {
        let picture = numbered(9, 5);
        let (whole, map) = part(&picture, Rect::new(0.0, 0.0, 9.0, 5.0));
        assert!(matches!(whole, Cow::Borrowed(_)) && map == Affine::IDENTITY);
        let area = Rect::new(2.0, 1.0, 7.0, 4.0);
        let (smaller, map) = part(&picture, area);
        assert_eq!((&*smaller, map), (&cropped(&picture, area).picture, Affine::scale_shift(1.0, 1.0, 2.0, 1.0)));
    }

    #[test]
    fn scaling_maps_the_far_corner_onto_itself() {
        let picture = numbered(100, 33);
        for side in [1, 7, 50] {
            let small = scaled_down(&picture, side).unwrap();
            let corner = Point::new(small.picture.size.width as f32, small.picture.size.height as f32);
            assert!(small.source_from_derived.apply(corner).distance(Point::new(100.0, 33.0)) < 1e-3);
        }
        assert_eq!(scaled_down(&picture, 200).unwrap().picture, picture);
    }
}
