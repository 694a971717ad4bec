//! Bars that somebody drew over faces: over the eyes, the mouth, the forehead. They take away what networks know a face
//! by and leave enough to know the person by. A camera sees nothing that plain with an outline that sharp, so the bars
//! themselves are looked for.

use image::GrayImage;
use imageproc::point::Point as PixelPoint;

use super::fuse::{Head, angle_rad};
use crate::detect::code::gray;
use crate::detect::components::{Connectivity, Run, regions};
use crate::detect::text_db::{grown_by, min_area_rect, read_forward};
use crate::error::Result;
use crate::infer::prep::scaled_down;
use crate::types::frame::Picture;
use crate::types::geometry::{Margins, Point, Quad};

/// Longest side at which bars are looked for.
const LONGEST_SIDE: u32 = 1600;
/// Longer side in shorter ones.
const ASPECT: std::ops::RangeInclusive<f32> = 1.25..=6.0;
/// Larger plain areas, as a share of the picture, are walls, skies and borders.
const MOST_SHARE: f32 = 0.2;
/// Sides that have to lie in the picture: borders beside a narrow picture have one.
const FEWEST_SIDES: usize = 3;
/// Part of a side of the bar beside which contrast is measured: corners are rounded by scaling.
const SIDE_PART: f32 = 0.8;
/// What a bar may leave of a face, in its longer sides: beyond each of its long sides and at each end.
const BESIDE: f32 = 0.75;
const BEYOND: f32 = 0.18;

/// How plain a bar has to be, and how sharp its outline.
struct Kind {
    /// Levels between a pixel's neighbours.
    tolerance: u8,
    /// Standard deviation, levels.
    deviation: f32,
    /// Share of its rectangle that is plain.
    filled: f32,
    /// Levels by which what lies one pixel outside differs, and along how much of each side.
    contrast: u8,
    outlined: f32,
    /// Shorter side, pixels.
    least_side: f32,
}

/// As drawn, and kept without loss.
const EXACT: Kind = Kind { tolerance: 2, deviation: 2.0, filled: 0.88, contrast: 8, outlined: 0.5, least_side: 5.0 };
/// After JPEG: brightness alone, with the ringing of blocks taken out. Windows and signs look like this, too.
const LOSSY: Kind = Kind { tolerance: 5, deviation: 3.0, filled: 0.85, contrast: 10, outlined: 0.6, least_side: 7.0 };

/// A plain rectangle; picture space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Edge 0-1 is a longer side, never upside down.
    pub quad: Quad,
    /// So plain that it must have been drawn.
    pub is_exact: bool,
}

impl Bar {
    /// The head of which it hides a part, whichever part that is.
    pub fn head_quad(&self) -> Quad {
        let beside = BESIDE * self.quad.width() / self.quad.height().max(1.0);
        self.quad.grown(Margins { left: BEYOND, right: BEYOND, top: beside, bottom: beside })
    }

    /// Whether it lies on this head as a bar over a part of its face would.
    pub fn is_on(&self, head: &Head) -> bool {
        let ratio = self.quad.width() / head.width.max(1.0);
        let turn = self.quad.angle_rad() - angle_rad(head.heading);
        self.head_quad().contains(head.center) && (0.6..1.6).contains(&ratio) && turn.sin().abs() < 0.6
    }
}

/// All bars of a picture.
pub fn bars(picture: &Picture) -> Result<Vec<Bar>> {
    let small = scaled_down(picture, LONGEST_SIDE)?;
    let (size, data) = (small.picture.size, &small.picture.data);
    let plane = |c: usize| data.iter().skip(c).step_by(3).copied().collect::<Vec<u8>>();
    let (w, h) = (size.width as usize, size.height as usize);
    let exact = Levels::new((0..3).map(plane).collect(), w, h);
    let lossy = Levels::new(vec![median(&gray(&small.picture), w)], w, h);
    let mut found: Vec<Bar> = Vec::new();
    for (levels, kind, is_exact) in [(exact, EXACT, true), (lossy, LOSSY, false)] {
        for quad in rectangles(&levels, &kind) {
            let quad = quad.map(|p| small.source_from_derived.apply(p));
            if !found.iter().any(|bar| bar.quad.contains(quad.center())) {
                found.push(Bar { quad, is_exact });
            }
        }
    }
    Ok(found)
}

/// The median of each pixel and its eight neighbours takes out the ringing of blocks; the edge goes on beyond the picture.
/// Columns are sorted first, so that whole rows go through few steps (Smith: "Implementing median filters in XC4000E
/// FPGAs", 1996).
fn median(levels: &[u8], w: usize) -> Vec<u8> {
    let rows: Vec<&[u8]> = levels.chunks_exact(w).collect();
    let mut medians = Vec::with_capacity(levels.len());
    let (mut low, mut middle, mut high) = (vec![0; w + 2], vec![0; w + 2], vec![0; w + 2]);
    for (y, row) in rows.iter().enumerate() {
        let (above, below) = (rows[y.saturating_sub(1)], rows[(y + 1).min(rows.len() - 1)]);
        for (x, ((&a, &b), &c)) in above.iter().zip(*row).zip(below).enumerate() {
            (low[x + 1], middle[x + 1], high[x + 1]) = (a.min(b).min(c), median_of_3(a, b, c), a.max(b).max(c));
        }
        for sorted in [&mut low, &mut middle, &mut high] {
            (sorted[0], sorted[w + 1]) = (sorted[1], sorted[w]);
        }
        let windows = low.windows(3).zip(middle.windows(3)).zip(high.windows(3));
        medians.extend(windows.map(|((low, middle), high)| {
            let (greatest, least) = (low[0].max(low[1]).max(low[2]), high[0].min(high[1]).min(high[2]));
            median_of_3(greatest, median_of_3(middle[0], middle[1], middle[2]), least)
        }));
    }
    medians
}

fn median_of_3(a: u8, b: u8, c: u8) -> u8 {
    a.min(b).max(a.max(b).min(c))
}

/// Planes of one picture, with the least and the greatest level around each pixel.
struct Levels {
    planes: Vec<Plane>,
    w: usize,
    h: usize,
}

struct Plane {
    levels: Vec<u8>,
    least: Vec<u8>,
    greatest: Vec<u8>,
}

impl Levels {
    fn new(planes: Vec<Vec<u8>>, w: usize, h: usize) -> Self {
        let plane = |levels: Vec<u8>| Plane {
            least: around(&levels, w, u8::min),
            greatest: around(&levels, w, u8::max),
            levels,
        };
        Self { planes: planes.into_iter().map(plane).collect(), w, h }
    }

    fn at(&self, i: usize) -> [u8; 3] {
        std::array::from_fn(|c| self.planes.get(c).map_or(0, |plane| plane.levels[i]))
    }

    /// White where a pixel and its neighbours differ by no more than so many levels.
    fn plain(&self, tolerance: u8) -> GrayImage {
        let mut white = vec![u8::MAX; self.w * self.h];
        for plane in &self.planes {
            for ((white, least), greatest) in white.iter_mut().zip(&plane.least).zip(&plane.greatest) {
                *white = if greatest - least <= tolerance { *white } else { 0 };
            }
        }
        GrayImage::from_raw(self.w as u32, self.h as u32, white).unwrap_or_default()
    }
}

/// The least or greatest of each pixel and its eight neighbours.
fn around(levels: &[u8], w: usize, pick: impl Fn(u8, u8) -> u8) -> Vec<u8> {
    let mut of_rows = levels.to_vec();
    for (row, out) in levels.chunks_exact(w).zip(of_rows.chunks_exact_mut(w)) {
        for (pair, out) in row.windows(2).zip(&mut out[1..]) {
            *out = pick(pair[0], pair[1]);
        }
        for (out, &next) in out.iter_mut().zip(&row[1..]) {
            *out = pick(*out, next);
        }
    }
    let mut all = of_rows.clone();
    let beyond = of_rows.len().saturating_sub(w);
    for (out, &above) in all[levels.len() - beyond..].iter_mut().zip(&of_rows) {
        *out = pick(*out, above);
    }
    for (out, &below) in all.iter_mut().zip(&of_rows[of_rows.len() - beyond..]) {
        *out = pick(*out, below);
    }
    all
}

fn off(a: [u8; 3], b: [u8; 3]) -> u8 {
    a.into_iter().zip(b).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
}

/// Plain rectangles with a sharp outline, pixels of the levels.
fn rectangles(levels: &Levels, kind: &Kind) -> Vec<Quad> {
    let most = MOST_SHARE * (levels.w * levels.h) as f32;
    let regions = regions(&levels.plain(kind.tolerance), Connectivity::Four);
    let likely = regions.iter().filter(|region| is_likely(region, kind, most));
    likely.filter_map(|region| rectangle(region, levels, kind)).collect()
}

/// Pixels of a region.
fn count(region: &[Run]) -> usize {
    region.iter().map(|run| run.right - run.left).sum()
}

/// Whether a region has the size of a bar, and a rectangle at some angle could have its bounds.
fn is_likely(region: &[Run], kind: &Kind, most: f32) -> bool {
    let (Some(first), Some(last)) = (region.first(), region.last()) else { return false };
    let (left, right) = region.iter().fold((first.left, 0), |(l, r), run| (l.min(run.left), r.max(run.right)));
    let (count, bounds) = (count(region) as f32, (right - left) * (last.y + 1 - first.y));
    let least = kind.filled * (kind.least_side - 2.0) * (ASPECT.start() * kind.least_side - 2.0);
    (least..=most).contains(&count) && 4.0 * count >= bounds as f32
}

/// The rectangle that a region fills, if it is a bar.
fn rectangle(region: &[Run], levels: &Levels, kind: &Kind) -> Option<Quad> {
    let middles = min_area_rect(row_ends(region))?.map(|p| Point::new(p.x + 0.5, p.y + 0.5));
    let inner = grown_by(&middles, 0.5);
    // Its outermost pixels have others beside them.
    let quad = read_forward(&grown_by(&inner, 1.0));
    let is_bar = ASPECT.contains(&(quad.width() / quad.height()))
        && quad.height() >= kind.least_side
        && count(region) as f32 >= kind.filled * inner.width() * inner.height();
    (is_bar && is_outlined(region, &quad, levels, kind)).then_some(quad)
}

/// First and last pixel of each row of a region: its hull has no others.
fn row_ends(region: &[Run]) -> Vec<PixelPoint<i32>> {
    let rows = region.chunk_by(|a, b| a.y == b.y);
    let ends = rows.flat_map(|row| [(row[0].left, row[0].y), (row[row.len() - 1].right - 1, row[0].y)]);
    ends.map(|(x, y)| PixelPoint::new(x as i32, y as i32)).collect()
}

/// Even inside, and another colour all around; sides beyond the picture's edge are not asked.
fn is_outlined(region: &[Run], quad: &Quad, levels: &Levels, kind: &Kind) -> bool {
    let count = count(region) as f32;
    let mean_of = |value: &dyn Fn(f32) -> f32, c: usize| {
        let pixels = region.iter().flat_map(|run| run.pixels()).map(|(x, y)| levels.at(y * levels.w + x)[c]);
        pixels.map(|v| value(f32::from(v))).sum::<f32>() / count
    };
    let mean: [f32; 3] = std::array::from_fn(|c| mean_of(&|v| v, c));
    if (0..3).any(|c| mean_of(&|v| (v - mean[c]).powi(2), c).sqrt() > kind.deviation) {
        return false;
    }
    let mean = mean.map(|m| m.round() as u8);
    let outline = grown_by(quad, 1.0);
    let sides =
        (0..4).filter_map(|side| differing(outline.corners[side], outline.corners[(side + 1) % 4], mean, levels, kind));
    let sides: Vec<f32> = sides.collect();
    sides.len() >= FEWEST_SIDES && sides.iter().all(|share| *share >= kind.outlined)
}

/// Share of the pixels along a side that have another colour; `None` for a side beyond the picture's edge.
fn differing(a: Point, b: Point, color: [u8; 3], levels: &Levels, kind: &Kind) -> Option<f32> {
    let steps = (2.0 * a.distance(b)).max(3.0) as usize;
    let at = |step: usize| a.lerp(b, 0.5 + SIDE_PART * (step as f32 / steps as f32 - 0.5));
    let is_inside = |p: &Point| p.x >= 0.0 && p.y >= 0.0 && p.x < levels.w as f32 && p.y < levels.h as f32;
    let differs = |p: Point| off(levels.at(p.y as usize * levels.w + p.x as usize), color) >= kind.contrast;
    let seen: Vec<bool> = (0..=steps).map(at).filter(is_inside).map(differs).collect();
    (!seen.is_empty()).then(|| seen.iter().filter(|differs| **differs).count() as f32 / seen.len() as f32)
}

#[cfg(test)]
#[path = "bars_tests.rs"]
mod tests;
