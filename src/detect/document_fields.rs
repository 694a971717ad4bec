//! What is on a document beside its blank form: portraits and ghost portraits, signatures, fingerprints, stamps, drawn
//! or printed alike. No network knows them all, so they are told from the form by what they have in common: they stand
//! out from the paper and its guilloche.

use image::{GrayImage, Luma};
use imageproc::geometric_transformations::Projection;
use imageproc::region_labelling::{Connectivity, connected_components};

use super::document_groups::Group;
use crate::types::geometry::{Point, Quad, Rect, Size};

/// Longer side of the flat view, pixels, and how much a small document is enlarged to get there.
const FLAT_SIDE: f32 = 900.0;
const MAX_ENLARGE: f32 = 2.0;
/// Side of a cell, pixels of the flat view.
const CELL: usize = 12;
/// A cell stands out when its range of tones is this many times that of the paper, and at least so many levels.
const OVER_PAPER: f32 = 2.2;
const LEAST_RANGE: f32 = 28.0;
/// Share of the cells, from the calmest on, that are paper for sure.
const PAPER_QUANTILE: f32 = 0.35;
/// Share of a mask that has to stand out; below, it is cut in two.
const FILLED: f32 = 0.45;
/// Growth of a head (hair and chin are in it) to a portrait, in its own sides: to the sides, above, below. And how far
/// a portrait reaches at most.
const PORTRAIT: (f32, f32, f32) = (0.15, 0.1, 0.35);
const PORTRAIT_REACH: f32 = 0.4;
/// A document with more of such places is no form that is filled in: it is hidden as a whole.
const MAX_FIELDS: usize = 60;
/// Lines of a column start this near to each other, and follow each other at most so far, heights.
const ALIGNED: f32 = 1.0;
const COLUMN_STEP: f32 = 3.5;
/// Largest ratio of the heights of lines of a column: labels are no names, headings no fields.
const COLUMN_HEIGHTS: f32 = 1.5;
/// The length of a line that stands alone is rounded up to a multiple of so many heights: it must not tell the name's.
const LENGTH_STEP: f32 = 6.0;

/// Text lower than this is not seen reliably, pixels of the display.
const LEAST_LINE_PX: f32 = 9.0;
/// Nor is a document whose shorter side is less.
const LEAST_SIDE_PX: f32 = 110.0;
/// Steepest steps of a line's brightness per pixel, times its height over its range: sharp print has 6 and more.
const SHARP: f32 = 2.6;
/// Glare: nearly white cells without any texture on paper that is not white. From this share on something may be
/// behind them.
const GLARE_LEVEL: f32 = 248.0;
const GLARE_PAPER: f32 = 225.0;
const GLARE_SHARE: f32 = 0.02;

/// What a document's inside looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Inside {
    /// False: something on it may be there unseen.
    pub is_readable: bool,
    /// Places to hide beside the lines as found; space of the outline.
    pub fields: Vec<Quad>,
}

/// A document seen from straight above.
struct Flat {
    size: Size,
    gray: Vec<u8>,
    outline_from_flat: Projection,
}

/// Range and mean of the tones of a cell.
#[derive(Clone, Copy)]
struct Cell {
    range: f32,
    mean: f32,
    /// Under a line of text, or at the very edge.
    is_taken: bool,
}

struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

/// Looks at the inside of `outline`. All of the space of the grey picture; one pixel of it is `display_scale` pixels of
/// the display.
pub fn inside(gray: &[u8], size: Size, outline: &Quad, group: &Group, display_scale: f32) -> Inside {
    let unreadable = Inside { is_readable: false, fields: Vec::new() };
    let side = outline.width().min(outline.height()) * display_scale;
    if side < LEAST_SIDE_PX || group.line_height() * display_scale < LEAST_LINE_PX {
        return unreadable;
    }
    let Some(flat) = flattened(gray, size, outline) else { return unreadable };
    let to_flat = |q: &Quad| q.map(|p| through(&flat.outline_from_flat.invert(), p));
    let lines: Vec<Quad> = group.lines.iter().map(to_flat).collect();
    let heads: Vec<Quad> = group.heads.iter().map(to_flat).collect();
    let grid = measured(&flat, &lines);
    let paper = grid.paper_range();
    if !is_sharp(&flat, &lines) || grid.has_glare() {
        return unreadable;
    }
    let mut fields = standing_out(&grid, paper);
    fields.extend(heads.iter().map(|head| portrait(head, &fields)).collect::<Vec<Rect>>());
    let mrz = group.mrz.as_ref().map(to_flat);
    let is_filled_in = |line: &&Quad| mrz.is_none_or(|mrz| !mrz.contains(line.center()));
    fields.extend(whole_lines(lines.iter().filter(is_filled_in), flat.size));
    if let Some(mrz) = mrz {
        // Fillers are seen less surely than letters, and they go on to the end.
        let bounds = mrz.bounds();
        let margin = 0.02 * flat.size.width as f32;
        fields.push(Rect::new(margin, bounds.y, flat.size.width as f32 - 2.0 * margin, bounds.height));
    }
    let whole = Rect::new(0.0, 0.0, flat.size.width as f32, flat.size.height as f32);
    let fields: Vec<Rect> = fields.into_iter().filter_map(|r| r.intersection(whole)).collect();
    if fields.len() > MAX_FIELDS {
        return unreadable;
    }
    let back = |r: Rect| Quad::from(r).map(|p| through(&flat.outline_from_flat, p));
    Inside { is_readable: true, fields: fields.into_iter().map(back).collect() }
}

fn through(projection: &Projection, p: Point) -> Point {
    let (x, y) = *projection * (p.x, p.y);
    Point::new(x, y)
}

/// The document's inside, straightened. `None` when its corners make no quad.
fn flattened(gray: &[u8], size: Size, outline: &Quad) -> Option<Flat> {
    let factor = (FLAT_SIDE / outline.width().max(outline.height())).min(MAX_ENLARGE);
    let side = |v: f32| ((v * factor).round() as u32).max(CELL as u32);
    let flat = Size::new(side(outline.width()), side(outline.height()));
    let (w, h) = (flat.width as f32, flat.height as f32);
    let corners = outline.corners.map(|p| (p.x, p.y));
    let outline_from_flat = Projection::from_control_points([(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)], corners)?;
    let tone = |x: i64, y: i64| {
        let (x, y) = (x.clamp(0, i64::from(size.width) - 1), y.clamp(0, i64::from(size.height) - 1));
        f32::from(gray[y as usize * size.width as usize + x as usize])
    };
    let sampled = |i: usize| {
        let (x, y) = ((i % flat.width as usize) as f32 + 0.5, (i / flat.width as usize) as f32 + 0.5);
        let p = through(&outline_from_flat, Point::new(x, y));
        let (x, y) = (p.x - 0.5, p.y - 0.5);
        let (x0, y0) = (x.floor() as i64, y.floor() as i64);
        let (u, v) = (x - x0 as f32, y - y0 as f32);
        let row = |y: i64| tone(x0, y) * (1.0 - u) + tone(x0 + 1, y) * u;
        (row(y0) * (1.0 - v) + row(y0 + 1) * v).round() as u8
    };
    let gray = (0..flat.pixels() as usize).map(sampled).collect();
    Some(Flat { size: flat, gray, outline_from_flat })
}

fn measured(flat: &Flat, lines: &[Quad]) -> Grid {
    let (columns, rows) = (flat.size.width as usize / CELL, flat.size.height as usize / CELL);
    let width = flat.size.width as usize;
    let cell = |i: usize| {
        let (column, row) = (i % columns, i / columns);
        let mut tones = [0u8; CELL * CELL];
        for (y, part) in tones.chunks_exact_mut(CELL).enumerate() {
            let at = (row * CELL + y) * width + column * CELL;
            part.copy_from_slice(&flat.gray[at..at + CELL]);
        }
        let mean = tones.iter().map(|t| f32::from(*t)).sum::<f32>() / tones.len() as f32;
        tones.sort_unstable();
        // Noise lives in the extremes.
        let range = f32::from(tones[tones.len() - 5]) - f32::from(tones[4]);
        let middle = Point::new(((column * CELL) + CELL / 2) as f32, ((row * CELL) + CELL / 2) as f32);
        // Where the outline lies a little beside the edge, the desk is seen.
        let is_edge = column == 0 || row == 0 || column + 1 == columns || row + 1 == rows;
        let is_taken = is_edge || lines.iter().any(|l| l.contains(middle));
        Cell { range, mean, is_taken }
    };
    Grid { columns, rows, cells: (0..columns * rows).map(cell).collect() }
}

impl Grid {
    fn free(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|c| !c.is_taken)
    }

    /// Range of tones that the paper itself has.
    fn paper_range(&self) -> f32 {
        quantile(self.free().map(|c| c.range), PAPER_QUANTILE)
    }

    fn has_glare(&self) -> bool {
        let paper = quantile(self.free().map(|c| c.mean), 0.5);
        let white = self.cells.iter().filter(|c| c.mean >= GLARE_LEVEL && c.range <= 6.0).count();
        paper < GLARE_PAPER && white as f32 >= GLARE_SHARE * self.cells.len() as f32
    }
}

fn quantile(values: impl Iterator<Item = f32>, share: f32) -> f32 {
    let mut sorted: Vec<f32> = values.collect();
    sorted.sort_by(f32::total_cmp);
    sorted.get((sorted.len() as f32 * share) as usize).copied().unwrap_or(0.0)
}

/// Whether the print is sharp enough for nothing of it to be lost. Judged by the sharper half of the lines, because
/// handwriting and drawn headings are never sharp.
fn is_sharp(flat: &Flat, lines: &[Quad]) -> bool {
    let width = flat.size.width as usize;
    let sharpness = |line: &Quad| -> Option<f32> {
        let area = line.bounds().clipped(flat.size)?;
        let (x0, x1) = (area.x as usize, (area.x + area.width) as usize);
        let (mut steps, mut low, mut high) = (Vec::new(), 255u8, 0u8);
        for y in area.y as usize..(area.y + area.height) as usize {
            let row = &flat.gray[y * width + x0..y * width + x1.min(width)];
            steps.extend(row.windows(2).map(|p| p[1].abs_diff(p[0])));
            low = low.min(row.iter().copied().min().unwrap_or(255));
            high = high.max(row.iter().copied().max().unwrap_or(0));
        }
        if steps.is_empty() || high <= low {
            return None;
        }
        steps.sort_unstable();
        let steep = f32::from(steps[steps.len() * 97 / 100]);
        Some(steep * line.height().min(line.width()) / f32::from(high - low))
    };
    let values: Vec<f32> = lines.iter().filter_map(sharpness).collect();
    quantile(values.into_iter(), 0.5) >= SHARP
}

/// Rectangles around connected cells that stand out from the paper.
fn standing_out(grid: &Grid, paper: f32) -> Vec<Rect> {
    let least = (OVER_PAPER * paper).max(LEAST_RANGE);
    let mut map = GrayImage::new(grid.columns as u32, grid.rows as u32);
    for (i, _) in grid.cells.iter().enumerate().filter(|(_, c)| !c.is_taken && c.range >= least) {
        map.put_pixel((i % grid.columns) as u32, (i / grid.columns) as u32, Luma([255]));
    }
    let labels = connected_components(&map, Connectivity::Eight, Luma([0]));
    let mut members: Vec<Vec<(usize, usize)>> = Vec::new();
    for (x, y, label) in labels.enumerate_pixels().filter(|(_, _, l)| l.0[0] > 0) {
        let number = label.0[0] as usize - 1;
        if members.len() <= number {
            members.resize(number + 1, Vec::new());
        }
        members[number].push((x as usize, y as usize));
    }
    let mut out = Vec::new();
    for cells in members.into_iter().filter(|cells| !is_rule(cells)) {
        cut(cells, &mut out);
    }
    out
}

/// A straight printed line, or a speck.
fn is_rule(cells: &[(usize, usize)]) -> bool {
    let (w, h) = extent(cells).map_or((0, 0), |(x0, y0, x1, y1)| (x1 - x0 + 1, y1 - y0 + 1));
    cells.len() < 2 || w.min(h) == 1 && w.max(h) >= 8
}

/// First and last column and row of cells: left, top, right, bottom.
fn extent(cells: &[(usize, usize)]) -> Option<(usize, usize, usize, usize)> {
    let (first, rest) = cells.split_first()?;
    let start = (first.0, first.1, first.0, first.1);
    Some(rest.iter().fold(start, |(x0, y0, x1, y1), &(x, y)| (x0.min(x), y0.min(y), x1.max(x), y1.max(y))))
}

/// One rectangle around cells that fill it, else two sets of them, cut in the middle of the longer side.
fn cut(cells: Vec<(usize, usize)>, out: &mut Vec<Rect>) {
    let Some((x0, y0, x1, y1)) = extent(&cells) else { return };
    let (w, h) = (x1 - x0 + 1, y1 - y0 + 1);
    if cells.len() as f32 >= FILLED * (w * h) as f32 || w.max(h) <= 2 {
        let side = CELL as f32;
        // Half a cell more: strokes run on below what makes a cell stand out.
        let (x, y) = (x0 as f32 * side - side / 2.0, y0 as f32 * side - side / 2.0);
        out.push(Rect::new(x, y, (w + 1) as f32 * side, (h + 1) as f32 * side));
        return;
    }
    let (a, b): (Vec<_>, Vec<_>) =
        cells.into_iter().partition(|&(x, y)| if w >= h { x < x0 + w / 2 } else { y < y0 + h / 2 });
    cut(a, out);
    cut(b, out);
}

/// The photo that a head belongs to: what stands out around it belongs to it as far as it reaches a usual portrait.
fn portrait(head: &Quad, fields: &[Rect]) -> Rect {
    let b = head.bounds();
    let (side, above, below) = PORTRAIT;
    let usual = Rect::new(
        b.x - side * b.width,
        b.y - above * b.height,
        b.width * (1.0 + 2.0 * side),
        b.height * (1.0 + above + below),
    );
    let limit = b.grown(PORTRAIT_REACH);
    fields.iter().filter(|f| f.intersection(usual).is_some()).filter_map(|f| f.intersection(limit)).fold(usual, around)
}

fn around(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let (x1, y1) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
    Rect::new(x, y, x1 - x, y1 - y)
}

/// Each line as long as the longest of its column, or as a step of lengths: what is filled in must not be told by the
/// length of its mask.
fn whole_lines<'a>(lines: impl Iterator<Item = &'a Quad>, size: Size) -> Vec<Rect> {
    let mut rows: Vec<Rect> = lines.map(Quad::bounds).collect();
    rows.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut out = Vec::new();
    // Columns that are still open: left edge, lowest line, right edge, their lines.
    let mut columns: Vec<(Rect, f32, Vec<Rect>)> = Vec::new();
    for row in rows {
        let continues = |(last, _, _): &&mut (Rect, f32, Vec<Rect>)| {
            let (height, low) = (row.height.max(last.height), row.height.min(last.height));
            height <= COLUMN_HEIGHTS * low
                && (row.x - last.x).abs() <= ALIGNED * height
                && row.y - last.y <= COLUMN_STEP * height
        };
        match columns.iter_mut().rev().take(64).find(continues) {
            Some((last, right, members)) => {
                *last = row;
                *right = right.max(row.x + row.width);
                members.push(row);
            }
            None => columns.push((row, row.x + row.width, vec![row])),
        }
    }
    for (_, right, members) in columns {
        let alone = members.len() == 1;
        for row in members {
            let step = LENGTH_STEP * row.height;
            let width = if alone { (row.width / step).ceil() * step } else { right - row.x };
            let width = width.min(size.width as f32 - row.x);
            if width > row.width + 0.25 * row.height {
                out.push(Rect { width, ..row });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::document_groups::groups;

    const SIZE: Size = Size::new(900, 560);

    /// A pale card with lines of hard print, and what `paint` adds.
    fn card(paint: impl Fn(usize, usize) -> Option<u8>) -> (Vec<u8>, Group) {
        let lines: Vec<Quad> =
            (0..5).map(|k| Rect::new(300.0, 60.0 + 60.0 * k as f32, 200.0 + 60.0 * k as f32, 26.0).into()).collect();
        let tone = |x: usize, y: usize| {
            if let Some(tone) = paint(x, y) {
                return tone;
            }
            let p = Point::new(x as f32, y as f32);
            let guilloche = ((x + y / 3) % 9) as u8;
            let is_print = lines.iter().any(|l: &Quad| l.contains(p)) && (x / 3 + y / 7).is_multiple_of(2);
            if is_print { 20 } else { 205 + guilloche }
        };
        let w = SIZE.width as usize;
        let gray = (0..SIZE.pixels() as usize).map(|i| tone(i % w, i / w)).collect();
        (gray, groups(&lines, &[]).remove(0))
    }

    fn look(gray: &[u8], group: &Group) -> Inside {
        let outline = Rect::new(0.0, 0.0, SIZE.width as f32, SIZE.height as f32).into();
        inside(gray, SIZE, &outline, group, 1.0)
    }

    fn hides(inside: &Inside, x: f32, y: f32) -> bool {
        inside.fields.iter().any(|q| q.contains(Point::new(x, y)))
    }

    #[test]
    fn what_stands_out_is_hidden_and_the_form_is_not() {
        // A signature's stroke, a ghost portrait's faint texture, a ruled line.
        let stroke = |x: usize, y: usize| {
            let wave = 470.0 + 18.0 * (x as f32 / 9.0).sin();
            (600..780).contains(&x) && (y as f32 - wave).abs() < 3.0
        };
        let (gray, group) = card(|x, y| {
            if stroke(x, y) {
                return Some(40);
            }
            if (80..200).contains(&x) && (100..250).contains(&y) {
                return Some(150 + ((x / 10 + y / 8) % 3) as u8 * 25);
            }
            (y == 540 && (40..860).contains(&x)).then_some(90)
        });
        let found = look(&gray, &group);
        assert!(found.is_readable);
        for (x, y) in [(640.0, 470.0), (700.0, 470.0), (140.0, 175.0), (95.0, 115.0)] {
            assert!(hides(&found, x, y), "{x},{y}");
        }
        for (x, y) in [(140.0, 400.0), (820.0, 320.0), (500.0, 540.0)] {
            assert!(!hides(&found, x, y), "{x},{y}");
        }
    }

    #[test]
    fn lengths_of_lines_are_not_told() {
        let (gray, group) = card(|_, _| None);
        let found = look(&gray, &group);
        for k in 0..5 {
            assert!(hides(&found, 735.0, 73.0 + 60.0 * k as f32) || k == 4, "line {k} ends before the longest");
        }
    }

    #[test]
    fn what_can_t_be_read_is_not_vouched_for() {
        let (gray, group) = card(|_, _| None);
        let blurred = |gray: &[u8], radius: usize| -> Vec<u8> {
            let w = SIZE.width as usize;
            let mean = |i: usize| {
                let row = &gray[i / w * w..(i / w + 1) * w];
                let part = &row[(i % w).saturating_sub(radius)..(i % w + radius + 1).min(w)];
                (part.iter().map(|t| u32::from(*t)).sum::<u32>() / part.len() as u32) as u8
            };
            (0..gray.len()).map(mean).collect()
        };
        assert!(look(&gray, &group).is_readable);
        let (glaring, _) = card(|x, y| ((620..800).contains(&x) && (380..500).contains(&y)).then_some(255));
        assert!(!look(&glaring, &group).is_readable, "glare");
        assert!(!look(&blurred(&blurred(&gray, 10), 9), &group).is_readable, "blur");
        let outline = Rect::new(0.0, 0.0, SIZE.width as f32, SIZE.height as f32).into();
        assert!(!inside(&gray, SIZE, &outline, &group, 0.15).is_readable, "too small");
    }
}
