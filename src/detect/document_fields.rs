//! What is on a document beside its blank form: portraits and ghost portraits, signatures, fingerprints, stamps, drawn
//! or printed alike. No network knows them all, so they are told from the form by what they have in common: they stand
//! out from the paper and its guilloche.

use imageproc::geometric_transformations::Projection;

use super::document_groups::Group;
use super::document_marks::{CELL, Grid, Marks, quantile};
use crate::types::geometry::{Point, Quad, Rect, Size};

/// Longer side of the flat view, pixels, and how much a small document is enlarged to get there.
const FLAT_SIDE: f32 = 900.0;
const MAX_ENLARGE: f32 = 2.0;
/// What masks of lines cover beside them on all sides, heights.
const LINE_PAD: f32 = 0.15;
/// Growth of a head (hair and chin are in it) to a portrait, in its own sides: to the sides, above, below. And how far
/// a portrait reaches at most.
const PORTRAIT: (f32, f32, f32) = (0.15, 0.1, 0.35);
const PORTRAIT_REACH: f32 = 0.4;
/// A document with more of such places is no form that is filled in: it is hidden as a whole.
const MAX_FIELDS: usize = 80;
/// Lines of a column start this near to each other, and follow each other at most so far, heights.
const ALIGNED: f32 = 1.0;
const COLUMN_STEP: f32 = 2.6;
/// Largest ratio of the heights of lines of a column: labels are no names, headings no fields.
const COLUMN_HEIGHTS: f32 = 1.35;
/// The length of a line that stands alone is rounded up to a multiple of so many heights: it must not tell the name's.
const LENGTH_STEP: f32 = 6.0;

/// Growth of machine-readable lines at both ends, as a share of their length.
const MRZ_ENDS: f32 = 0.08;

/// Text lower than this is not seen reliably, pixels of the display.
const LEAST_LINE_PX: f32 = 9.0;
/// Nor is a document whose shorter side is less.
const LEAST_SIDE_PX: f32 = 110.0;
/// The smallest print has to be so many times as high as the edges of print are wide.
const SHARP: f32 = 2.6;
/// Which of the lines, from the lowest on, is the smallest print, and how much lower what was not found may be.
const SMALLEST: f32 = 0.1;
const UNSEEN_PRINT: f32 = 0.75;

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

/// Looks at the inside of `outline`. All of the space of the grey picture, of which one pixel is `display_scale` pixels
/// of the display; `codes` are hidden anyway.
pub fn inside(gray: &[u8], size: Size, outline: &Quad, group: &Group, codes: &[Quad], display_scale: f32) -> Inside {
    let unreadable = Inside { is_readable: false, fields: Vec::new() };
    let side = outline.width().min(outline.height()) * display_scale;
    if side < LEAST_SIDE_PX || group.line_height() * display_scale < LEAST_LINE_PX {
        return unreadable;
    }
    let Some(flat) = flattened(gray, size, outline) else { return unreadable };
    let flat_from_outline = flat.outline_from_flat.invert();
    let to_flat = |q: &Quad| q.map(|p| through(&flat_from_outline, p));
    let lines: Vec<Quad> = group.lines.iter().map(to_flat).collect();
    let mut heads: Vec<Quad> = group.heads.iter().map(to_flat).collect();
    heads.sort_by(|a, b| b.area().total_cmp(&a.area()));
    let padded = lines.iter().map(|l| l.inflated(LINE_PAD * l.height().min(l.width())));
    let taken: Vec<Quad> = padded.chain(codes.iter().map(to_flat)).collect();
    let grid = Grid::new(&flat.gray, flat.size, &taken);
    if !is_sharp(&flat, &lines) || grid.has_glare() {
        return unreadable;
    }
    let mut marks = grid.marks();
    let mut fields: Vec<Rect> = Vec::new();
    for head in &heads {
        // A collar that was taken for a smaller head is part of its photo.
        if !fields.iter().any(|photo| Quad::from(*photo).contains(head.center())) {
            fields.push(portrait(head, &marks));
        }
    }
    fields.iter().for_each(|field| marks.take(*field));
    fields.extend(marks.fields());
    let mrz = group.mrz.as_ref().map(to_flat);
    let is_filled_in = |line: &&Quad| mrz.is_none_or(|mrz| !mrz.contains(line.center()));
    fields.extend(whole_lines(lines.iter().filter(is_filled_in), flat.size));
    if let Some(mrz) = mrz {
        // Fillers at the ends are seen less surely than letters.
        let bounds = mrz.bounds();
        let more = MRZ_ENDS * bounds.width;
        fields.push(Rect { x: bounds.x - more, width: bounds.width + 2.0 * more, ..bounds });
    }
    let whole = Rect::new(0.0, 0.0, flat.size.width as f32, flat.size.height as f32);
    let fields: Vec<Rect> = fields.into_iter().filter_map(|r| r.intersection(whole)).collect();
    if fields.len() > MAX_FIELDS {
        return unreadable;
    }
    let back = |r: Rect| {
        let seen = Quad::from(r).map(|p| through(&flat.outline_from_flat, p));
        // Everything behind takes quads for rectangles: one of its mean sides would leave its wider end bare.
        Quad::around(&seen.corners, seen.angle_rad())
    };
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

/// Whether the print is sharp enough for nothing of it to be lost: the edges of the sharper half of the lines, because
/// handwriting and drawn headings are never sharp, against the smallest print.
fn is_sharp(flat: &Flat, lines: &[Quad]) -> bool {
    let edge = quantile(lines.iter().filter_map(|line| edge_width(flat, line)), 0.5);
    let smallest = quantile(lines.iter().map(|l| l.height().min(l.width())), SMALLEST);
    edge > 0.0 && UNSEEN_PRINT * smallest / edge >= SHARP
}

/// Width of the edges of a line's letters, pixels: range of its tones over their steepest steps.
fn edge_width(flat: &Flat, line: &Quad) -> Option<f32> {
    let width = flat.size.width as usize;
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
    (steep > 0.0).then(|| f32::from(high - low) / steep)
}

/// The photo that a head belongs to: what stands out around it belongs to it as far as it reaches a usual portrait.
fn portrait(head: &Quad, marks: &Marks) -> Rect {
    let b = head.bounds();
    let (side, above, below) = PORTRAIT;
    let usual = Rect::new(
        b.x - side * b.width,
        b.y - above * b.height,
        b.width * (1.0 + 2.0 * side),
        b.height * (1.0 + above + below),
    );
    marks.around(usual, b.grown(PORTRAIT_REACH)).map_or(usual, |photo| around(usual, photo))
}

fn around(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let (x1, y1) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
    Rect::new(x, y, x1 - x, y1 - y)
}

/// Each line as long as the longest of its column, or as a step of lengths: what is filled in must not be told by the
/// length of its mask. Which end the lines of a column share is seen from them: a card may lie upside down.
fn whole_lines<'a>(lines: impl Iterator<Item = &'a Quad>, size: Size) -> Vec<Rect> {
    let rows: Vec<Rect> = lines.map(Quad::bounds).collect();
    let width = size.width as f32;
    let mirrored = |r: &Rect| Rect { x: width - r.x - r.width, ..*r };
    let mirrored_rows: Vec<Rect> = rows.iter().map(mirrored).collect();
    let columns_of = |rows: &[Rect]| {
        let columns = columns(rows.to_vec());
        let in_columns: usize = columns.iter().map(|c| c.len()).filter(|&members| members > 1).sum();
        (columns, in_columns)
    };
    let (plain, reversed) = (columns_of(&rows), columns_of(&mirrored_rows));
    let is_reversed = reversed.1 > plain.1;
    let longer = longer(if is_reversed { reversed.0 } else { plain.0 }, width);
    if is_reversed { longer.iter().map(mirrored).collect() } else { longer }
}

/// Lines that start at one place and follow each other.
fn columns(mut rows: Vec<Rect>) -> Vec<Vec<Rect>> {
    rows.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut columns: Vec<Vec<Rect>> = Vec::new();
    for row in rows {
        let continues = |column: &&mut Vec<Rect>| {
            column.last().is_some_and(|last| {
                let (height, low) = (row.height.max(last.height), row.height.min(last.height));
                height <= COLUMN_HEIGHTS * low
                    && (row.x - last.x).abs() <= ALIGNED * height
                    && row.y - last.y <= COLUMN_STEP * height
            })
        };
        match columns.iter_mut().rev().take(64).find(continues) {
            Some(column) => column.push(row),
            None => columns.push(vec![row]),
        }
    }
    columns
}

/// The lines that have to become longer.
fn longer(columns: Vec<Vec<Rect>>, most: f32) -> Vec<Rect> {
    let mut out = Vec::new();
    for column in columns {
        let right = column.iter().map(|r| r.x + r.width).fold(0.0, f32::max);
        let alone = column.len() == 1;
        for row in column {
            let step = LENGTH_STEP * row.height;
            let width = if alone { (row.width / step).ceil() * step } else { right - row.x };
            let width = width.min(most - row.x);
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
        inside(gray, SIZE, &outline, group, &[], 1.0)
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
    fn fields_seen_from_the_side_are_held_by_the_rectangles_that_grow() {
        let (gray, group) = card(|_, _| None);
        let outline =
            Quad::new([(90.0, 0.0), (810.0, 20.0), (900.0, 560.0), (0.0, 520.0)].map(|(x, y)| Point::new(x, y)));
        let found = inside(&gray, SIZE, &outline, &group, &[], 1.0);
        assert!(found.is_readable && found.fields.len() >= 5);
        for field in &found.fields {
            assert!(field.inflated(0.1).contains_quad(field), "{field:?}");
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
        let (glaring, _) = card(|x, y| {
            let far = ((x as f32 - 700.0) / 120.0).powi(2) + ((y as f32 - 430.0) / 70.0).powi(2);
            (far < 3.0).then_some((205.0 + 250.0 * (-far).exp()).min(255.0) as u8)
        });
        assert!(!look(&glaring, &group).is_readable, "glare");
        assert!(!look(&blurred(&blurred(&gray, 10), 9), &group).is_readable, "blur");
        let outline = Rect::new(0.0, 0.0, SIZE.width as f32, SIZE.height as f32).into();
        assert!(!inside(&gray, SIZE, &outline, &group, &[], 0.15).is_readable, "too small");
    }
}
