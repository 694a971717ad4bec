//! Masks taken out of a picture before it is searched again.
//!
//! A network that was trained on signs takes a plain box for one: masks would be found as text, masked again, and
//! grow until they hide the picture. So what lies under a mask is filled smoothly from around it; pixels beside masks
//! stay as they are. Push-pull interpolation after Gortler et al., "The Lumigraph" (1996).
//!
//! Of a pyramid of floating-point texels the two finest levels would hold fifteen parts of sixteen, seven times the bytes
//! of the picture. They are computed from the picture where they are asked for: under masks.

use std::borrow::Cow;

use crate::types::frame::Picture;
use crate::types::geometry::Size;
use crate::types::mask::Coverage;

/// Pixels around a mask that lossy coding blends with it.
const RIM: f32 = 2.0;

/// The picture without its masks. `coverages` are in a space of `scale` of its pixels for each pixel of the picture.
pub fn without_masks<'p, 'c>(
    picture: &'p Picture,
    scale: f32,
    coverages: impl IntoIterator<Item = &'c Coverage>,
) -> Cow<'p, Picture> {
    let mut hidden = Hidden::none(picture.size);
    for coverage in coverages {
        hidden.add(coverage, scale);
    }
    if hidden.is_empty() {
        return Cow::Borrowed(picture);
    }
    let finest = Finest { picture, hidden: &hidden };
    let quarter = pull(push(finest.quarter()));
    let mut filled = picture.clone();
    for (x, y) in hidden.pixels() {
        let color = between(halved(picture.size), |x, y| finest.half_filled(x, y, &quarter), x, y);
        let at = (y as usize * picture.size.width as usize + x as usize) * 3;
        filled.data[at..at + 3].copy_from_slice(&color.map(|c| c.round().clamp(0.0, 255.0) as u8));
    }
    Cow::Owned(filled)
}

/// The pixels of a picture that are hidden: a bit each.
struct Hidden {
    size: Size,
    /// Words of a row.
    stride: usize,
    words: Vec<u64>,
}

impl Hidden {
    fn none(size: Size) -> Self {
        let stride = size.width.div_ceil(u64::BITS) as usize;
        Self { size, stride, words: vec![0; stride * size.height as usize] }
    }

    /// Adds the pixels that a coverage and its rim touch.
    fn add(&mut self, coverage: &Coverage, scale: f32) {
        let Size { width, height } = self.size;
        let first = |v: u32| ((v as f32 - RIM) / scale).floor().max(0.0) as u32;
        let end = |v: u32, most: u32| (((v as f32 + RIM) / scale).ceil() as u32).min(most);
        for span in &coverage.spans {
            for y in first(span.y)..end(span.y + 1, height) {
                self.add_run(y, first(span.x0).min(width), end(span.x1, width));
            }
        }
    }

    fn add_run(&mut self, y: u32, x0: u32, x1: u32) {
        let row = y as usize * self.stride;
        let mut x = x0;
        while x < x1 {
            let stop = x1.min((x / u64::BITS + 1) * u64::BITS);
            let run = u64::MAX >> (u64::BITS - (stop - x));
            self.words[row + (x / u64::BITS) as usize] |= run << (x % u64::BITS);
            x = stop;
        }
    }

    fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    fn contains(&self, x: u32, y: u32) -> bool {
        let word = self.words[y as usize * self.stride + (x / u64::BITS) as usize];
        word >> (x % u64::BITS) & 1 != 0
    }

    /// Row by row.
    fn pixels(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let of_word = |(at, word): (usize, &u64)| {
            let (word, x0, y) = (*word, (at % self.stride) as u32 * u64::BITS, (at / self.stride) as u32);
            (0..u64::BITS).filter(move |bit| word >> bit & 1 != 0).map(move |bit| (x0 + bit, y))
        };
        self.words.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(of_word)
    }
}

/// One level of the pyramid: colours, and how much of each is known (0 to 1).
struct Level {
    size: Size,
    /// R, G, B, weight.
    texels: Vec<[f32; 4]>,
}

fn halved(size: Size) -> Size {
    Size::new(size.width.div_ceil(2), size.height.div_ceil(2))
}

/// Adds a texel of a finer level; those that are not known do not count.
fn add(sum: &mut [f32; 4], [r, g, b, w]: [f32; 4]) {
    *sum = [sum[0] + r * w, sum[1] + g * w, sum[2] + b * w, sum[3] + w];
}

/// The mean of what was added.
fn mean(sum: [f32; 4]) -> [f32; 4] {
    if sum[3] > 0.0 { [sum[0] / sum[3], sum[1] / sum[3], sum[2] / sum[3], sum[3].min(1.0)] } else { sum }
}

/// The two levels of the pyramid that are not kept: the picture, and the one of half its size.
struct Finest<'a> {
    picture: &'a Picture,
    hidden: &'a Hidden,
}

impl Finest<'_> {
    /// A texel of the level of half the size before it is filled: its weight is 0 or 1.
    fn half(&self, x: u32, y: u32) -> [f32; 4] {
        let Size { width, height } = self.picture.size;
        let mut sum = [0.0; 4];
        for y in 2 * y..(2 * y + 2).min(height) {
            for x in (2 * x..(2 * x + 2).min(width)).filter(|x| !self.hidden.contains(*x, y)) {
                let at = (y as usize * width as usize + x as usize) * 3;
                let [r, g, b] = [0, 1, 2].map(|c| f32::from(self.picture.data[at + c]));
                add(&mut sum, [r, g, b, 1.0]);
            }
        }
        mean(sum)
    }

    /// The same, filled from the level below it.
    fn half_filled(&self, x: u32, y: u32, quarter: &Level) -> [f32; 3] {
        let [r, g, b, weight] = self.half(x, y);
        if weight > 0.0 { [r, g, b] } else { quarter.between(x, y) }
    }

    /// The level of a quarter of the size.
    fn quarter(&self) -> Level {
        let half = halved(self.picture.size);
        let size = halved(half);
        let mut texels = vec![[0.0; 4]; size.pixels() as usize];
        for y in 0..half.height {
            let row = &mut texels[(y / 2 * size.width) as usize..];
            for x in 0..half.width {
                add(&mut row[(x / 2) as usize], self.half(x, y));
            }
        }
        texels.iter_mut().for_each(|texel| *texel = mean(*texel));
        Level { size, texels }
    }
}

/// Halves the level until one texel is left.
fn push(finest: Level) -> Vec<Level> {
    let mut levels = vec![finest];
    while let Some(last) = levels.last().filter(|l| l.size.width > 1 || l.size.height > 1) {
        let size = halved(last.size);
        let mut texels = vec![[0.0; 4]; size.pixels() as usize];
        for y in 0..last.size.height {
            for x in 0..last.size.width {
                let texel = last.texels[(y * last.size.width + x) as usize];
                add(&mut texels[(y / 2 * size.width + x / 2) as usize], texel);
            }
        }
        texels.iter_mut().for_each(|texel| *texel = mean(*texel));
        levels.push(Level { size, texels });
    }
    levels
}

/// Fills what is unknown from the next coarser level, coarsest first.
fn pull(levels: Vec<Level>) -> Level {
    let mut coarse: Option<Level> = None;
    for mut level in levels.into_iter().rev() {
        let Size { width, height } = level.size;
        for y in 0..height {
            for x in 0..width {
                let texel = &mut level.texels[(y * width + x) as usize];
                if texel[3] < 1.0 {
                    // Nothing is known of a picture that is masked whole: grey.
                    let below = coarse.as_ref().map_or([128.0; 3], |c| c.between(x, y));
                    let w = texel[3];
                    *texel = [0, 1, 2, 3].map(|c| if c < 3 { texel[c] * w + below[c] * (1.0 - w) } else { 1.0 });
                }
            }
        }
        coarse = Some(level);
    }
    coarse.unwrap_or(Level { size: Size::new(0, 0), texels: vec![] })
}

impl Level {
    /// Its colour at the finer texel (x, y).
    fn between(&self, x: u32, y: u32) -> [f32; 3] {
        let at = |x: u32, y: u32| {
            let [r, g, b, _] = self.texels[(y * self.size.width + x) as usize];
            [r, g, b]
        };
        between(self.size, at, x, y)
    }
}

/// Colour of a coarser level, of which `at` tells the texels, at the finer texel (x, y); bilinear.
fn between(size: Size, at: impl Fn(u32, u32) -> [f32; 3], x: u32, y: u32) -> [f32; 3] {
    let axis = |v: u32, side: u32| {
        let at = ((v as f32 + 0.5) / 2.0 - 0.5).clamp(0.0, (side - 1) as f32);
        (at as u32, (at as u32 + 1).min(side - 1), at.fract())
    };
    let ((x0, x1, u), (y0, y1, v)) = (axis(x, size.width), axis(y, size.height));
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    [0, 1, 2].map(|i| (a[i] * (1.0 - u) + b[i] * u) * (1.0 - v) + (c[i] * (1.0 - u) + d[i] * u) * v)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::mask::Span;

    fn block(x0: u32, x1: u32, y0: u32, y1: u32) -> Coverage {
        Coverage { spans: (y0..y1).map(|y| Span { y, x0, x1 }).collect() }
    }

    /// A slope of brightness with a grey box where the mask is.
    fn sloped(size: Size, mask: &Coverage, scale: f32) -> Picture {
        let mut data: Vec<u8> =
            (0..size.height).flat_map(|y| (0..size.width).flat_map(move |x| [(x * 2 + y) as u8; 3])).collect();
        for s in &mask.spans {
            for x in s.x0..s.x1 {
                let at = ((s.y as f32 / scale) as u32 * size.width + (x as f32 / scale) as u32) as usize * 3;
                data[at..at + 3].fill(10);
            }
        }
        Picture::new(size, data, scale)
    }

    /// The picture from a pyramid of which all levels are kept.
    fn of_whole_pyramid(picture: &Picture, coverage: &Coverage) -> Vec<u8> {
        let mut hidden = Hidden::none(picture.size);
        hidden.add(coverage, 1.0);
        let width = picture.size.width as usize;
        let texel = |(i, rgb): (usize, &[u8])| {
            let is_hidden = hidden.contains((i % width) as u32, (i / width) as u32);
            let [r, g, b] = [0, 1, 2].map(|c| f32::from(rgb[c]));
            if is_hidden { [0.0; 4] } else { [r, g, b, 1.0] }
        };
        let texels = picture.data.chunks_exact(3).enumerate().map(texel).collect();
        let filled = pull(push(Level { size: picture.size, texels }));
        filled.texels.iter().flat_map(|t| [t[0], t[1], t[2]]).map(|v| v.round() as u8).collect()
    }

    proptest! {
        #[test]
        fn levels_that_are_not_kept_make_no_difference(
            w in 1u32..140, h in 1u32..40, masks in prop::collection::vec((0u32..140, 0u32..40, 1u32..90, 1u32..30), 1..5)
        ) {
            let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
            let picture = Picture::new(Size::new(w, h), (0..w * h * 3).map(noise).collect(), 1.0);
            let spans = masks.iter().flat_map(|&(x, y, w, h)| block(x, x + w, y, y + h).spans).collect();
            let coverage = Coverage { spans };
            let filled = without_masks(&picture, 1.0, [&coverage]);
            prop_assert_eq!(&filled.data, &of_whole_pyramid(&picture, &coverage));
        }

        #[test]
        fn hidden_pixels_are_those_of_the_runs(runs in prop::collection::vec((0u32..3, 0u32..200, 0u32..200), 0..6)) {
            let mut hidden = Hidden::none(Size::new(200, 3));
            runs.iter().for_each(|&(y, x0, x1)| hidden.add_run(y, x0, x1));
            let is_in_run = |x: u32, y: u32| runs.iter().any(|r| r.0 == y && r.1 <= x && x < r.2);
            let expected: Vec<(u32, u32)> =
                (0..3).flat_map(|y| (0..200).map(move |x| (x, y))).filter(|&(x, y)| is_in_run(x, y)).collect();
            prop_assert_eq!(hidden.pixels().collect::<Vec<_>>(), expected.clone());
            prop_assert!(expected.iter().all(|&(x, y)| hidden.contains(x, y)));
            prop_assert_eq!(hidden.is_empty(), expected.is_empty());
        }
    }

    #[test]
    fn a_mask_vanishes_into_what_surrounds_it() {
        for scale in [1.0, 1.5] {
            let at = |v: u32| (v as f32 * scale) as u32;
            let mask = block(at(30), at(60), at(20), at(40));
            let picture = sloped(Size::new(100, 50), &mask, scale);
            let filled = without_masks(&picture, scale, [&mask]);
            for y in 0..50 {
                for x in 0..100 {
                    let i = (y * 100 + x) * 3;
                    let near = (26..65).contains(&x) && (16..45).contains(&y);
                    if near {
                        let off = filled.data[i].abs_diff((x * 2 + y) as u8);
                        assert!(off < 40, "{x},{y} at scale {scale}: off by {off}");
                    } else {
                        assert_eq!(filled.data[i], picture.data[i], "{x},{y} at scale {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn pixels_beside_a_mask_stay() {
        let mask = block(30, 60, 20, 40);
        let picture = sloped(Size::new(100, 50), &mask, 1.0);
        let filled = without_masks(&picture, 1.0, [&mask]);
        let changed = |x: usize, y: usize| filled.data[(y * 100 + x) * 3] != picture.data[(y * 100 + x) * 3];
        assert!(changed(30, 20) && changed(59, 39));
        let rim = RIM as usize;
        for x in [30 - rim - 1, 60 + rim] {
            assert!((0..50).all(|y| !changed(x, y)), "column {x}");
        }
        assert!(matches!(without_masks(&picture, 1.0, []), Cow::Borrowed(_)), "nothing is copied for nothing");
    }

    #[test]
    fn a_picture_masked_whole_becomes_plain() {
        let size = Size::new(7, 5);
        let picture = Picture::new(size, vec![3; 105], 1.0);
        assert!(without_masks(&picture, 1.0, [&Coverage::whole(size)]).data.iter().all(|v| *v == 128));
    }
}
