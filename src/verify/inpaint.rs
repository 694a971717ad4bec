//! Masks taken out of a picture before it is searched again.
//!
//! A network that was trained on signs takes a plain box for one: masks would be found as text, masked again, and
//! grow until they hide the picture. So what lies under a mask is filled smoothly from around it; pixels beside masks
//! stay as they are. Push-pull interpolation after Gortler et al., "The Lumigraph" (1996).

use crate::types::frame::Picture;
use crate::types::geometry::Size;
use crate::types::mask::Coverage;

/// Pixels around a mask that lossy coding blends with it.
const RIM: f32 = 2.0;

/// The picture without its masks; `coverages` are in display space.
pub fn without_masks<'a>(picture: &Picture, coverages: impl IntoIterator<Item = &'a Coverage>) -> Picture {
    let mut known = vec![true; picture.size.pixels() as usize];
    for coverage in coverages {
        mark(picture, coverage, &mut known);
    }
    let mut filled = picture.clone();
    if known.iter().all(|k| *k) {
        return filled;
    }
    let colors = pull(push(base(picture, &known)));
    for (at, _) in known.iter().enumerate().filter(|(_, known)| !**known) {
        let color = colors.texels[at];
        filled.data[at * 3..at * 3 + 3].copy_from_slice(&[0, 1, 2].map(|c| color[c].round().clamp(0.0, 255.0) as u8));
    }
    filled
}

/// Marks the pixels of the picture that a coverage and its rim touch as unknown.
fn mark(picture: &Picture, coverage: &Coverage, known: &mut [bool]) {
    let Size { width, height } = picture.size;
    let scale = picture.display_from_picture;
    let first = |v: u32| ((v as f32 - RIM) / scale).floor().max(0.0) as u32;
    let end = |v: u32, most: u32| (((v as f32 + RIM) / scale).ceil() as u32).min(most);
    for span in &coverage.spans {
        for y in first(span.y)..end(span.y + 1, height) {
            let row = y as usize * width as usize;
            let (x0, x1) = (first(span.x0).min(width), end(span.x1, width));
            if x0 < x1 {
                known[row + x0 as usize..row + x1 as usize].fill(false);
            }
        }
    }
}

/// One level of the pyramid: colours, and how much of each is known (0 to 1).
struct Level {
    size: Size,
    /// R, G, B, weight.
    texels: Vec<[f32; 4]>,
}

fn base(picture: &Picture, known: &[bool]) -> Level {
    let texel = |(rgb, known): (&[u8], &bool)| {
        if *known { [f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2]), 1.0] } else { [0.0; 4] }
    };
    Level { size: picture.size, texels: picture.data.chunks_exact(3).zip(known).map(texel).collect() }
}

/// Halves the picture until one texel is left; unknown texels do not count in the means.
fn push(base: Level) -> Vec<Level> {
    let mut levels = vec![base];
    while let Some(last) = levels.last().filter(|l| l.size.width > 1 || l.size.height > 1) {
        let size = Size::new(last.size.width.div_ceil(2), last.size.height.div_ceil(2));
        let mut texels = vec![[0.0f32; 4]; size.pixels() as usize];
        for y in 0..last.size.height {
            for x in 0..last.size.width {
                let [r, g, b, w] = last.texels[(y * last.size.width + x) as usize];
                let sum = &mut texels[(y / 2 * size.width + x / 2) as usize];
                *sum = [sum[0] + r * w, sum[1] + g * w, sum[2] + b * w, sum[3] + w];
            }
        }
        for t in texels.iter_mut().filter(|t| t[3] > 0.0) {
            *t = [t[0] / t[3], t[1] / t[3], t[2] / t[3], t[3].min(1.0)];
        }
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
                    let below = coarse.as_ref().map_or([128.0; 3], |c| between(c, x, y));
                    let w = texel[3];
                    *texel = [0, 1, 2, 3].map(|c| if c < 3 { texel[c] * w + below[c] * (1.0 - w) } else { 1.0 });
                }
            }
        }
        coarse = Some(level);
    }
    coarse.unwrap_or(Level { size: Size::new(0, 0), texels: vec![] })
}

/// Colour of a coarser level at the finer texel (x, y), bilinear.
fn between(level: &Level, x: u32, y: u32) -> [f32; 3] {
    let axis = |v: u32, side: u32| {
        let at = ((v as f32 + 0.5) / 2.0 - 0.5).clamp(0.0, (side - 1) as f32);
        (at as u32, (at as u32 + 1).min(side - 1), at.fract())
    };
    let ((x0, x1, u), (y0, y1, v)) = (axis(x, level.size.width), axis(y, level.size.height));
    let at = |x: u32, y: u32| level.texels[(y * level.size.width + x) as usize];
    let (a, b, c, d) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    [0, 1, 2].map(|i| (a[i] * (1.0 - u) + b[i] * u) * (1.0 - v) + (c[i] * (1.0 - u) + d[i] * u) * v)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_mask_vanishes_into_what_surrounds_it() {
        for scale in [1.0, 1.5] {
            let at = |v: u32| (v as f32 * scale) as u32;
            let mask = block(at(30), at(60), at(20), at(40));
            let picture = sloped(Size::new(100, 50), &mask, scale);
            let filled = without_masks(&picture, [&mask]);
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
        let filled = without_masks(&picture, [&mask]);
        let changed = |x: usize, y: usize| filled.data[(y * 100 + x) * 3] != picture.data[(y * 100 + x) * 3];
        assert!(changed(30, 20) && changed(59, 39));
        let rim = RIM as usize;
        for x in [30 - rim - 1, 60 + rim] {
            assert!((0..50).all(|y| !changed(x, y)), "column {x}");
        }
        assert_eq!(without_masks(&picture, []), picture);
    }

    #[test]
    fn a_picture_masked_whole_becomes_plain() {
        let size = Size::new(7, 5);
        let picture = Picture::new(size, vec![3; 105], 1.0);
        assert!(without_masks(&picture, [&Coverage::whole(size)]).data.iter().all(|v| *v == 128));
    }
}
