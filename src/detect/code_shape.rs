//! Places that look like a bar code or matrix code, whether or not anything can read them: dense, hard, two-toned edges
//! that fill a rectangle. The idea of measuring gradients block by block is that of Katona and Nyúl, "A novel method for
//! accurate and efficient barcode detection with morphological operations", 2012.

use std::collections::HashSet;

use image::{GrayImage, Luma};
use imageproc::point::Point as PixelPoint;

use super::components::{Connectivity, components};
use super::text_db::{grown_by, min_area_rect};
use crate::types::geometry::{Point, Quad, Size};

/// Side of a cell, pixels.
const CELL: usize = 8;
/// Least range of brightness around a cell.
const LEAST_CONTRAST: f32 = 50.0;
/// Sum of brightness steps to the right and down per pixel, as a share of the contrast: about one over the module's side.
const DENSE: f32 = 0.11;
/// Modules of one or two pixels leave no pixel of pure tone, but edges everywhere.
const VERY_DENSE: f32 = 0.24;
/// Share of a cell's pixels that are near the darkest or the brightest tone around it.
const TWO_TONED: f32 = 0.55;
/// Share of the range that counts as near.
const NEAR: f32 = 0.3;
/// The same for a whole code, as a mean of its cells: in photos of people a quarter of all busy places have less than
/// 0.15 and nine of ten less than 0.22, codes 0.17 to 0.41. Each is seen at several scales, of which one is enough.
const DENSE_ALL_OVER: f32 = 0.22;
/// Least cells, and least along the shorter side.
const LEAST_CELLS: usize = 16;
const LEAST_SIDE: f32 = 3.0;
/// Share of its rectangle that a code fills; foliage and crowds are ragged.
const FILLED: f32 = 0.66;
/// Share of dark pixels.
const DARK: std::ops::RangeInclusive<f32> = 0.22..=0.78;
/// From here on all edges run one way, as in linear codes; stacked ones lie between.
const LINEAR_COHERENCE: f32 = 0.6;
const STACKED_COHERENCE: f32 = 0.35;
/// Range of brightness of the quiet zone around a code, as a share of the code's contrast, and share of its border that
/// has one: 0.73 and more around all but one in fifty codes, less around busy places of photos.
const CALM: f32 = 0.35;
const QUIET: f32 = 0.65;
/// Largest ratio of sides of matrix codes, which are square but seen from the side up to 60 degrees, and of all others.
const MATRIX_ASPECT: f32 = 2.0;
const LINEAR_ASPECT: f32 = 12.0;

/// A place that looks like a code, in pixels of the picture that was searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodeShape {
    pub quad: Quad,
    /// Share of its rectangle that is filled.
    pub filled: f32,
    /// Edges run one way only: lines of text never do.
    pub is_linear: bool,
}

/// What is measured in a cell, or summed over cells.
#[derive(Clone, Copy, Default)]
struct Cell {
    low: f32,
    high: f32,
    pixels: f32,
    steps: f32,
    /// Structure tensor.
    xx: f32,
    xy: f32,
    yy: f32,
    two_toned: f32,
    dark: f32,
    /// Sum of the densities of cells.
    density: f32,
    /// Range of brightness in the cell alone.
    own_range: f32,
}

struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

/// Searches one grey picture; codes with modules of one and a half to five pixels are found.
pub fn code_shapes(gray: &[u8], size: Size) -> Vec<CodeShape> {
    let grid = measured(gray, size);
    let mut busy = GrayImage::new(grid.columns as u32, grid.rows as u32);
    for (i, cell) in grid.cells.iter().enumerate() {
        if cell.is_code_like() {
            busy.put_pixel((i % grid.columns) as u32, (i / grid.columns) as u32, Luma([255]));
        }
    }
    let members = components(&closed(&busy), Connectivity::Four);
    members.iter().filter_map(|cells| shape_of(cells, &grid)).collect()
}

impl Cell {
    fn contrast(&self) -> f32 {
        self.high - self.low
    }

    fn density(&self) -> f32 {
        self.steps / (self.pixels * self.contrast()).max(1.0)
    }

    /// Adds a row of the cell's pixels, with those to the right of them and those below: as many of each.
    fn add_row(&mut self, here: &[u8], right: &[u8], below: &[u8]) {
        let (mut low, mut high) = (u8::MAX, 0);
        let (mut steps, mut xx, mut xy, mut yy) = (0, 0, 0, 0);
        for ((own, right), below) in here.iter().zip(right).zip(below) {
            (low, high) = (low.min(*own), high.max(*own));
            let (dx, dy) = (i32::from(*right) - i32::from(*own), i32::from(*below) - i32::from(*own));
            steps += dx.abs() + dy.abs();
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        self.low = self.low.min(f32::from(low));
        self.high = self.high.max(f32::from(high));
        self.pixels += here.len() as f32;
        for (total, sum) in [(&mut self.steps, steps), (&mut self.xx, xx), (&mut self.xy, xy), (&mut self.yy, yy)] {
            *total += sum as f32;
        }
    }

    /// Counts the pixels of a row that are near an end of the range, and the dark ones.
    fn add_tones(&mut self, pixels: &[u8]) {
        let at = |share: f32| self.low + share * self.contrast().max(1.0);
        // Of whole numbers, those below a bound are below the next whole number, too.
        let (low, middle, high) = (at(NEAR).ceil() as u8, at(0.5).ceil() as u8, at(1.0 - NEAR).floor() as u8);
        let (mut ends, mut dark) = (0u8, 0u8);
        for &p in pixels {
            ends += u8::from(p < low) | u8::from(p > high);
            dark += u8::from(p < middle);
        }
        self.two_toned += f32::from(ends);
        self.dark += f32::from(dark);
    }

    fn is_code_like(&self) -> bool {
        let density = self.density();
        let two_toned = self.two_toned >= TWO_TONED * self.pixels;
        self.contrast() >= LEAST_CONTRAST && (density >= VERY_DENSE || density >= DENSE && two_toned)
    }

    /// 0: edges of all directions; 1: of one.
    fn coherence(&self) -> f32 {
        let spread = ((self.xx - self.yy).powi(2) + 4.0 * self.xy * self.xy).sqrt();
        spread / (self.xx + self.yy).max(1.0)
    }
}

/// Measures all cells. Tones are judged against the range of the cell and its neighbours.
fn measured(gray: &[u8], size: Size) -> Grid {
    let (w, h) = (size.width as usize, size.height as usize);
    let (columns, rows) = (w.div_ceil(CELL), h.div_ceil(CELL));
    let mut cells = vec![Cell { low: 255.0, ..Cell::default() }; columns * rows];
    let line = |y: usize| &gray[y.min(h - 1) * w..][..w];
    // A column more, like the last one: every pixel has one to the right.
    let mut right = vec![0; w];
    for y in 0..h {
        let (here, below) = (line(y), line(y + 1));
        right[..w - 1].copy_from_slice(&here[1..]);
        right[w - 1] = here[w - 1];
        let rows = here.chunks(CELL).zip(right.chunks(CELL)).zip(below.chunks(CELL));
        for (((here, right), below), cell) in rows.zip(&mut cells[y / CELL * columns..]) {
            cell.add_row(here, right, below);
        }
    }
    let own: Vec<(f32, f32)> = cells.iter().map(|c| (c.low, c.high)).collect();
    for (i, cell) in cells.iter_mut().enumerate() {
        cell.own_range = cell.contrast();
        for (x, y) in around(i % columns, i / columns, columns, rows) {
            let (low, high) = own[y * columns + x];
            cell.low = cell.low.min(low);
            cell.high = cell.high.max(high);
        }
    }
    for y in 0..h {
        for (pixels, cell) in line(y).chunks(CELL).zip(&mut cells[y / CELL * columns..]) {
            cell.add_tones(pixels);
        }
    }
    Grid { columns, rows, cells }
}

/// A cell and its neighbours.
fn around(x: usize, y: usize, columns: usize, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let (xs, ys) = (x.saturating_sub(1)..(x + 2).min(columns), y.saturating_sub(1)..(y + 2).min(rows));
    ys.flat_map(move |y| xs.clone().map(move |x| (x, y)))
}

/// Adds cells that most neighbours surround: solid parts of a code have no edges. A quiet zone is not bridged.
fn closed(busy: &GrayImage) -> GrayImage {
    let (columns, rows) = (busy.width() as usize, busy.height() as usize);
    GrayImage::from_fn(busy.width(), busy.height(), |x, y| {
        let near = around(x as usize, y as usize, columns, rows);
        let set = near.filter(|&(x, y)| busy.get_pixel(x as u32, y as u32).0[0] > 0).count();
        Luma([if busy.get_pixel(x, y).0[0] > 0 || set >= 6 { 255 } else { 0 }])
    })
}

fn shape_of(members: &[(usize, usize)], grid: &Grid) -> Option<CodeShape> {
    let mut sum = Cell::default();
    let mut corners = Vec::with_capacity(members.len() * 4);
    for &(x, y) in members {
        let cell = &grid.cells[y * grid.columns + x];
        for (total, value) in [
            (&mut sum.pixels, cell.pixels),
            (&mut sum.xx, cell.xx),
            (&mut sum.xy, cell.xy),
            (&mut sum.yy, cell.yy),
            (&mut sum.dark, cell.dark),
            (&mut sum.density, cell.density()),
        ] {
            *total += value;
        }
        let (x, y) = (x as i32, y as i32);
        corners.extend([(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| PixelPoint::new(x, y)));
    }
    let rect = min_area_rect(corners)?;
    let (long, short) = (rect.width().max(rect.height()), rect.width().min(rect.height()));
    let filled = members.len() as f32 / rect.area().max(1.0);
    let coherence = sum.coherence();
    let aspect = long / short.max(0.1);
    let most = if coherence >= STACKED_COHERENCE { LINEAR_ASPECT } else { MATRIX_ASPECT };
    let fits = members.len() >= LEAST_CELLS
        && short >= LEAST_SIDE
        && aspect <= most
        && filled >= FILLED
        && sum.density >= DENSE_ALL_OVER * members.len() as f32
        && DARK.contains(&(sum.dark / sum.pixels.max(1.0)))
        && quiet(members, grid) >= QUIET;
    let quad = grown_by(&rect, 1.0).map(|p| Point::new(p.x * CELL as f32, p.y * CELL as f32));
    fits.then_some(CodeShape { quad, filled, is_linear: coherence >= LINEAR_COHERENCE })
}

/// Share of a shape's border beside which it is calm, one or two cells outside: the nearest cell may hold a part of the
/// code. Beyond the picture it is calm.
fn quiet(members: &[(usize, usize)], grid: &Grid) -> f32 {
    let cell = |(x, y): (usize, usize)| &grid.cells[y * grid.columns + x];
    let contrast = members.iter().map(|&at| cell(at).contrast()).sum::<f32>() / members.len().max(1) as f32;
    let inside: HashSet<(usize, usize)> = members.iter().copied().collect();
    let sides = [(1, 0), (-1, 0), (0, 1), (0, -1)];
    let (mut border, mut calm) = (0usize, 0usize);
    for (&(x, y), (dx, dy)) in members.iter().flat_map(|at| sides.map(|side| (at, side))) {
        let outside = |steps: isize| -> Option<(usize, usize)> {
            let (x, y) = (x.checked_add_signed(steps * dx)?, y.checked_add_signed(steps * dy)?);
            (x < grid.columns && y < grid.rows).then_some((x, y))
        };
        if outside(1).is_some_and(|at| inside.contains(&at)) {
            continue;
        }
        let is_calm = |steps: isize| outside(steps).is_none_or(|at| cell(at).own_range <= CALM * contrast);
        border += 1;
        calm += usize::from(is_calm(1) || is_calm(2));
    }
    calm as f32 / border.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(320, 240);

    /// A sheet of middle grey with `paint` at x 80..200, y 60..180.
    fn sheet(paint: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        let (w, h) = (SIZE.width as usize, SIZE.height as usize);
        let inside = |x: usize, y: usize| (80..200).contains(&x) && (60..180).contains(&y);
        (0..w * h).map(|i| if inside(i % w, i / w) { paint(i % w - 80, i / w - 60) } else { 200 }).collect()
    }

    /// Without a pattern: the finalizer of MurmurHash3.
    fn bit(a: usize, b: usize) -> bool {
        let mut h = (a * 251 + b + 1) as u32;
        for factor in [0x85eb_ca6b_u32, 0xc2b2_ae35] {
            h = (h ^ (h >> 15)).wrapping_mul(factor);
        }
        (h >> 16) & 1 > 0
    }

    /// Brightness at a place of the sheet.
    type Paint = Box<dyn Fn(usize, usize) -> u8>;

    #[test]
    fn a_picture_of_one_cell_has_no_code() {
        let busy: Vec<u8> = (0..64).map(|i| if bit(i % 8 / 3, i / 24) { 20 } else { 235 }).collect();
        let size = Size::new(8, 8);
        assert!(measured(&busy, size).cells[0].is_code_like());
        assert_eq!(code_shapes(&busy, size), []);
    }

    #[test]
    fn matrix_and_linear_codes_are_found_where_they_are() {
        let cases: [(&str, Paint, bool); 3] = [
            ("matrix", Box::new(|x, y| if bit(x / 4, y / 4) { 20 } else { 235 }), false),
            ("linear", Box::new(|x, _| if bit(x / 2, 1) { 20 } else { 235 }), true),
            ("faint matrix", Box::new(|x, y| if bit(x / 3, y / 3) { 110 } else { 180 }), false),
        ];
        for (name, paint, is_linear) in cases {
            let found = code_shapes(&sheet(paint), SIZE);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert_eq!(found[0].is_linear, is_linear, "{name}");
            for corner in [(80.0, 60.0), (200.0, 60.0), (200.0, 180.0), (80.0, 180.0)] {
                assert!(found[0].quad.contains(Point::new(corner.0, corner.1)), "{name}: {found:?}");
            }
            assert!(found[0].quad.area() < 1.7 * 120.0 * 120.0, "{name}");
        }
    }

    #[test]
    fn a_matrix_code_may_be_half_as_wide_as_high() {
        let code = |width: usize, height: usize| {
            sheet(move |x, y| if x >= width || y >= height { 200 } else { 20 + 215 * u8::from(bit(x / 3, y / 3)) })
        };
        let found = code_shapes(&code(32, 60), SIZE);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].quad.contains(Point::new(81.0, 61.0)) && found[0].quad.contains(Point::new(111.0, 119.0)));
        assert_eq!(code_shapes(&code(32, 96), SIZE), [], "no square does");
    }

    #[test]
    fn plain_soft_and_gradual_places_are_no_codes() {
        let cases: [(&str, Paint); 4] = [
            ("one tone", Box::new(|_, _| 30)),
            ("gradient", Box::new(|x, y| (x + y) as u8)),
            ("soft waves", Box::new(|x, y| (128.0 + 90.0 * (x as f32 / 9.0).sin() * (y as f32 / 9.0).cos()) as u8)),
            ("faint noise", Box::new(|x, y| if bit(x, y) { 180 } else { 205 })),
        ];
        for (name, paint) in cases {
            assert_eq!(code_shapes(&sheet(paint), SIZE), [], "{name}");
        }
    }

    #[test]
    fn a_code_stands_on_calm_ground() {
        let code = |x: usize, y: usize| if bit(x / 4, y / 4) { 20 } else { 235 };
        let bare = sheet(code);
        assert_eq!(code_shapes(&bare, SIZE).len(), 1);
        // Blobs with soft edges all around, as in a crowd.
        let w = SIZE.width as usize;
        let blob = |x: usize, y: usize| 128.0 + 100.0 * (x as f32 / 5.0).sin() * (y as f32 / 6.0).sin();
        let crowded: Vec<u8> = (0..bare.len())
            .map(|i| {
                let (x, y) = (i % w, i / w);
                let is_code = (80..200).contains(&x) && (60..180).contains(&y);
                if is_code { bare[i] } else { blob(x, y) as u8 }
            })
            .collect();
        assert_eq!(code_shapes(&crowded, SIZE), []);
    }

    #[test]
    fn tiny_pictures_are_survived() {
        for (w, h) in [(1, 1), (1, 300), (300, 1), (9, 9)] {
            let size = Size::new(w, h);
            assert_eq!(code_shapes(&vec![7; size.pixels() as usize], size), []);
        }
    }
}
