//! What stands out from the paper of a document and its guilloche, cell by cell: portraits, stamps, strokes. Straight
//! edges and printed rules do, too, and belong to the blank form.

use image::{GrayImage, Luma};

use super::components::{Connectivity, components};
use crate::types::geometry::{Point, Quad, Rect, Size};

/// Side of a cell, pixels of the flat view.
pub const CELL: usize = 12;
/// A cell stands out when its range of tones is this many times that of the paper, and at least so many levels.
const OVER_PAPER: f32 = 2.2;
const LEAST_RANGE: f32 = 28.0;
/// Share of the cells, from the calmest on, that are paper for sure.
const PAPER_QUANTILE: f32 = 0.35;
/// A mask larger than this share of the document of which less than the second share stands out is cut in two, unless
/// that spares less than the third.
const LARGE: f32 = 0.02;
const FILLED: f32 = 0.75;
const LEAST_SPARED: f32 = 0.1;
/// Rules and edges are at least so many cells long, at most so many thick, and lean by one cell in so many.
const RULE_LENGTH: usize = 9;
const RULE_THICKNESS: usize = 2;
const RULE_LEAN: usize = 8;
/// Share of the squared steps of brightness along a rule, at most: strokes have many times that.
const RULE_STEPS: f32 = 0.2;
/// Glare: nearly white cells without any texture, from this share on. It fades into the paper, so that many of the cells
/// at its border have no steps between pixels; white paper ends at print (there a fifth is calm), white labels at edges.
const GLARE_LEVEL: f32 = 248.0;
const GLARE_SHARE: f32 = 0.02;
const GLARE_CALM: u8 = 8;
const GLARE_CALM_SHARE: f32 = 0.33;

/// The tones of a cell.
#[derive(Clone, Copy)]
struct Cell {
    range: f32,
    mean: f32,
    /// Sums of squared steps of brightness along x and y.
    xx: f32,
    yy: f32,
    /// Step between neighbouring pixels that one in twenty exceeds.
    steep: u8,
    /// Hidden by other masks, or at the very edge.
    is_taken: bool,
}

/// The cells of a document seen from straight above.
pub struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

/// Cells that stand out.
pub struct Marks {
    columns: usize,
    rows: usize,
    set: Vec<bool>,
}

/// First and last column and row of cells: left, top, right, bottom.
type Extent = (usize, usize, usize, usize);

impl Grid {
    /// The cells of a grey picture; those in `taken` are no marks.
    pub fn new(gray: &[u8], size: Size, taken: &[Quad]) -> Grid {
        let (columns, rows) = (size.width as usize / CELL, size.height as usize / CELL);
        let width = size.width as usize;
        let cell = |i: usize| {
            let (column, row) = (i % columns, i / columns);
            let start = row * CELL * width + column * CELL;
            let middle = Point::new(((column * CELL) + CELL / 2) as f32, ((row * CELL) + CELL / 2) as f32);
            // Where the outline lies a little beside the edge, the desk is seen.
            let is_edge = column == 0 || row == 0 || column + 1 == columns || row + 1 == rows;
            let is_taken = is_edge || taken.iter().any(|l| l.contains(middle));
            Cell { is_taken, ..measured(&gray[start..], width) }
        };
        Grid { columns, rows, cells: (0..columns * rows).map(cell).collect() }
    }

    fn free(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|c| !c.is_taken)
    }

    /// Whether light hides what may be there.
    pub fn has_glare(&self) -> bool {
        let is_white = |i: usize| self.cells[i].mean >= GLARE_LEVEL && self.cells[i].range <= 6.0;
        let white: Vec<usize> = (0..self.cells.len()).filter(|&i| is_white(i)).collect();
        if (white.len() as f32) < GLARE_SHARE * self.cells.len() as f32 {
            return false;
        }
        let (mut border, mut calm) = (0usize, 0usize);
        for &i in &white {
            for n in neighbours(i, self.columns, self.rows).filter(|&n| !is_white(n)) {
                border += 1;
                calm += usize::from(self.cells[n].steep <= GLARE_CALM);
            }
        }
        border > 0 && calm as f32 >= GLARE_CALM_SHARE * border as f32
    }

    /// The cells that stand out, less rules and edges.
    pub fn marks(&self) -> Marks {
        let paper = quantile(self.free().map(|c| c.range), PAPER_QUANTILE);
        let least = (OVER_PAPER * paper).max(LEAST_RANGE);
        let set = self.cells.iter().map(|c| !c.is_taken && c.range >= least).collect();
        let mut marks = Marks { columns: self.columns, rows: self.rows, set };
        for i in marks.rules(true, self).into_iter().chain(marks.rules(false, self)) {
            marks.set[i] = false;
        }
        marks
    }
}

/// One cell, of which `gray` begins with the first pixel.
fn measured(gray: &[u8], width: usize) -> Cell {
    let mut tones = [0u8; CELL * CELL];
    for (y, part) in tones.chunks_exact_mut(CELL).enumerate() {
        part.copy_from_slice(&gray[y * width..y * width + CELL]);
    }
    let at = |x: usize, y: usize| tones[y * CELL + x];
    let (mut across, mut down) = (Vec::with_capacity(CELL * CELL), Vec::with_capacity(CELL * CELL));
    for (x, y) in (0..CELL - 1).flat_map(|y| (0..CELL - 1).map(move |x| (x, y))) {
        across.push(at(x + 1, y).abs_diff(at(x, y)));
        down.push(at(x, y + 1).abs_diff(at(x, y)));
    }
    let squares = |steps: &[u8]| steps.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>();
    let (xx, yy) = (squares(&across), squares(&down));
    let steep = |mut steps: Vec<u8>| {
        steps.sort_unstable();
        steps[steps.len() * 19 / 20]
    };
    let steep = steep(across).max(steep(down));
    let mean = tones.iter().map(|t| f32::from(*t)).sum::<f32>() / tones.len() as f32;
    tones.sort_unstable();
    // Noise lives in the extremes.
    let range = f32::from(tones[tones.len() - 5]) - f32::from(tones[4]);
    Cell { range, mean, xx, yy, steep, is_taken: false }
}

/// Cells that share a side with one.
fn neighbours(i: usize, columns: usize, rows: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (i % columns, i / columns);
    let left = (x > 0).then(|| i - 1);
    let right = (x + 1 < columns).then_some(i + 1);
    let above = (y > 0).then(|| i - columns);
    let below = (y + 1 < rows).then_some(i + columns);
    [left, right, above, below].into_iter().flatten()
}

pub(super) fn quantile(values: impl Iterator<Item = f32>, share: f32) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    sorted.get((sorted.len() as f32 * share) as usize).copied().unwrap_or(0.0)
}

impl Marks {
    /// Places of thin straight lines: level ones or upright ones.
    fn rules(&self, is_level: bool, grid: &Grid) -> Vec<usize> {
        let (long, across) = if is_level { (self.columns, self.rows) } else { (self.rows, self.columns) };
        let place = |u: usize, v: usize| if is_level { v * self.columns + u } else { u * self.columns + v };
        let is_straight = |i: usize| {
            let c = &grid.cells[i];
            let along = if is_level { c.xx } else { c.yy };
            along <= RULE_STEPS * (c.xx + c.yy)
        };
        let mut map = GrayImage::new(long as u32, across as u32);
        for u in 0..long {
            let column: Vec<bool> = (0..across).map(|v| self.set[place(u, v)]).collect();
            let mut start = 0;
            for run in column.chunk_by(|a, b| a == b) {
                if run[0] && run.len() <= RULE_THICKNESS {
                    for v in (start..start + run.len()).filter(|&v| is_straight(place(u, v))) {
                        map.put_pixel(u as u32, v as u32, Luma([255]));
                    }
                }
                start += run.len();
            }
        }
        let is_rule = |cells: &Vec<(usize, usize)>| {
            extent(cells).is_some_and(|(u0, v0, u1, v1)| {
                let length = u1 - u0 + 1;
                length >= RULE_LENGTH && v1 - v0 < RULE_THICKNESS + length.div_ceil(RULE_LEAN)
            })
        };
        components(&map, Connectivity::Eight).into_iter().filter(is_rule).flatten().map(|(u, v)| place(u, v)).collect()
    }

    /// The rectangle around what is connected to marks in `from` without leaving `limit`.
    pub fn around(&self, from: Rect, limit: Rect) -> Option<Rect> {
        let mut map = self.map();
        for (x, y, pixel) in map.enumerate_pixels_mut() {
            if cells_rect((x as usize, y as usize, x as usize, y as usize)).intersection(limit).is_none() {
                *pixel = Luma([0]);
            }
        }
        let touches = |cells: &Vec<(usize, usize)>| {
            cells.iter().any(|&(x, y)| cells_rect((x, y, x, y)).intersection(from).is_some())
        };
        let touching: Vec<(usize, usize)> =
            components(&map, Connectivity::Eight).into_iter().filter(touches).flatten().collect();
        extent(&touching).and_then(|e| cells_rect(e).intersection(limit))
    }

    /// Forgets the marks that a mask covers with their middles.
    pub fn take(&mut self, mask: Rect) {
        let quad = Quad::from(mask);
        for (i, set) in self.set.iter_mut().enumerate() {
            let middle = |at: usize| (at * CELL + CELL / 2) as f32;
            if quad.contains(Point::new(middle(i % self.columns), middle(i / self.columns))) {
                *set = false;
            }
        }
    }

    fn map(&self) -> GrayImage {
        let tone = |x: u32, y: u32| Luma([if self.set[y as usize * self.columns + x as usize] { 255 } else { 0 }]);
        GrayImage::from_fn(self.columns as u32, self.rows as u32, tone)
    }

    /// Rectangles around what hangs together; specks are left out.
    pub fn fields(&self) -> Vec<Rect> {
        let mut out = Vec::new();
        let large = LARGE * (self.columns * self.rows) as f32;
        for cells in components(&self.map(), Connectivity::Eight).into_iter().filter(|cells| cells.len() > 1) {
            cut(cells, large, &mut out);
        }
        out
    }
}

fn extent(cells: &[(usize, usize)]) -> Option<Extent> {
    let (first, rest) = cells.split_first()?;
    let start = (first.0, first.1, first.0, first.1);
    Some(rest.iter().fold(start, |(x0, y0, x1, y1), &(x, y)| (x0.min(x), y0.min(y), x1.max(x), y1.max(y))))
}

fn area((x0, y0, x1, y1): Extent) -> usize {
    (x1 - x0 + 1) * (y1 - y0 + 1)
}

/// In pixels, with half a cell more: strokes run on below what makes a cell stand out.
fn cells_rect((x0, y0, x1, y1): Extent) -> Rect {
    let side = CELL as f32;
    let start = |at: usize| at as f32 * side - side / 2.0;
    Rect::new(start(x0), start(y0), (x1 - x0 + 2) as f32 * side, (y1 - y0 + 2) as f32 * side)
}

/// One rectangle around cells that fill it or are few, else two sets of them, cut where that spares most.
fn cut(cells: Vec<(usize, usize)>, large: f32, out: &mut Vec<Rect>) {
    let Some(all) = extent(&cells) else { return };
    let (x0, y0, x1, y1) = all;
    let whole = area(all);
    if (whole as f32) < large || cells.len() as f32 >= FILLED * whole as f32 {
        out.push(cells_rect(all));
        return;
    }
    let is_first = |&(x, y): &(usize, usize), is_column: bool, at: usize| if is_column { x < at } else { y < at };
    let cost = |is_column: bool, at: usize| {
        let (a, b): (Vec<_>, Vec<_>) = cells.iter().partition(|c| is_first(c, is_column, at));
        extent(&a).map_or(0, area) + extent(&b).map_or(0, area)
    };
    let cuts = (x0 + 1..=x1).map(|at| (true, at)).chain((y0 + 1..=y1).map(|at| (false, at)));
    let best = cuts.map(|(is_column, at)| (cost(is_column, at), is_column, at)).min();
    match best {
        Some((spent, is_column, at)) if spent as f32 <= (1.0 - LEAST_SPARED) * whole as f32 => {
            let (a, b): (Vec<_>, Vec<_>) = cells.into_iter().partition(|c| is_first(c, is_column, at));
            cut(a, large, out);
            cut(b, large, out);
        }
        _ => out.push(cells_rect(all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(600, 360);

    fn marks(paint: impl Fn(usize, usize) -> Option<u8>) -> Marks {
        let w = SIZE.width as usize;
        let gray: Vec<u8> =
            (0..SIZE.pixels() as usize).map(|i| paint(i % w, i / w).unwrap_or(205 + (i % 7) as u8)).collect();
        Grid::new(&gray, SIZE, &[]).marks()
    }

    fn hides(fields: &[Rect], x: f32, y: f32) -> bool {
        fields.iter().any(|f| Quad::from(*f).contains(Point::new(x, y)))
    }

    /// Whether a place is printed on.
    type IsDark = Box<dyn Fn(usize, usize) -> bool>;

    #[test]
    fn rules_and_edges_belong_to_the_form_and_strokes_do_not() {
        let wave = |x: usize| 200.0 + 12.0 * (x as f32 / 8.0).sin();
        let table: [(&str, IsDark, bool); 5] = [
            ("a level rule", Box::new(|x, y| (40..560).contains(&x) && (200..203).contains(&y)), false),
            ("an upright rule", Box::new(|x, y| (300..303).contains(&x) && (30..330).contains(&y)), false),
            ("a leaning rule", Box::new(|x, y| (200 + x / 20..203 + x / 20).contains(&y)), false),
            ("a signature", Box::new(move |x, y| (200..400).contains(&x) && (y as f32 - wave(x)).abs() < 2.5), true),
            ("a tick", Box::new(|x, y| (290..320).contains(&x) && (y as i32 - x as i32 + 100).abs() < 3), true),
        ];
        for (name, is_dark, is_field) in table {
            let found = marks(|x, y| is_dark(x, y).then_some(60)).fields();
            assert_eq!(!found.is_empty(), is_field, "{name}: {found:?}");
        }
    }

    #[test]
    fn what_hangs_together_is_hidden_without_the_paper_between() {
        // Two squares with texture, joined by a line that bends.
        let found = marks(|x, y| {
            let texture = (40..160).contains(&x) && (40..160).contains(&y)
                || (420..540).contains(&x) && (220..330).contains(&y)
                || (100..106).contains(&x) && (150..280).contains(&y)
                || (100..430).contains(&x) && (274..280).contains(&y);
            (texture && (x / 3 + y / 3) % 2 == 0).then_some(90)
        })
        .fields();
        for (x, y) in [(50.0, 50.0), (150.0, 150.0), (103.0, 200.0), (250.0, 277.0), (530.0, 320.0)] {
            assert!(hides(&found, x, y), "{x},{y}: {found:?}");
        }
        for (x, y) in [(300.0, 100.0), (300.0, 180.0), (60.0, 300.0)] {
            assert!(!hides(&found, x, y), "{x},{y}: {found:?}");
        }
    }

    #[test]
    fn glare_is_told_from_white_labels() {
        let w = SIZE.width as usize;
        let has_glare = |paint: &dyn Fn(usize, usize) -> f32| {
            let gray: Vec<u8> =
                (0..SIZE.pixels() as usize).map(|i| paint(i % w, i / w).clamp(0.0, 255.0) as u8).collect();
            Grid::new(&gray, SIZE, &[]).has_glare()
        };
        let spot = |x: usize, y: usize| {
            let far = ((x as f32 - 300.0) / 150.0).powi(2) + ((y as f32 - 180.0) / 70.0).powi(2);
            205.0 + 300.0 * (-far).exp()
        };
        let label = |x: usize, y: usize| {
            if (200..300).contains(&x) && (100..200).contains(&y) { 255.0 } else { 205.0 }
        };
        assert!(has_glare(&spot));
        assert!(!has_glare(&label));
        assert!(!has_glare(&|_, _| 255.0), "white paper");
        assert!(!has_glare(&|_, _| 205.0));
    }
}
