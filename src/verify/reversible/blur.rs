//! A blurred patch in a picture that is sharp elsewhere.
//!
//! Sharp pictures have no slopes of brightness without detail on them, except where things are out of focus or evenly
//! lit. A blurred patch is an island of such slopes: compact, with a shape in it that is more than the shading of a round
//! thing, while nearly all other slopes of the picture carry detail. Pictures that are soft in many places are passed
//! over: there a patch cannot be told from what lies out of focus.

use std::collections::HashMap;

use super::{DRAWN_LEVELS, Plane, scaled};
use crate::types::geometry::Rect;
use crate::types::groups::Groups;

/// Longest side at which a picture is looked at, pixels: at full size many cameras give no sharp picture.
const LONG_SIDE: usize = 1280;
/// Side of a cell, pixels.
const CELL: usize = 8;
/// Mean Laplacian of a cell, levels, up to which it is smooth; rounding alone makes 0.3.
const SMOOTH: f32 = 0.5;
/// Step of brightness to a neighbouring cell from which a cell lies on a slope, levels.
const SLOPE: f32 = 5.0;
/// Cells of an island, how much of its box it fills, and how long the box may be.
const LEAST_CELLS: usize = 30;
const LEAST_FILL: f32 = 0.6;
const MOST_ASPECT: f32 = 2.2;
/// Most of the picture that an island may be.
const MOST_SHARE: f32 = 0.25;
/// Most of the picture's other slopes that may be smooth.
const MOST_SOFT: f32 = 0.15;
/// Mean deviation of an island from the best paraboloid, levels.
const LEAST_SHAPE: f32 = 4.0;

/// Areas of the plane that look like blurred patches, in its pixels.
pub(super) fn areas(luma: &Plane) -> Vec<Rect> {
    let factor = (luma.size.width.max(luma.size.height) as usize).div_ceil(LONG_SIDE).max(1);
    let work = if factor > 1 { &luma.means(factor) } else { luma };
    let (columns, rows) = (work.size.width as usize / CELL, work.size.height as usize / CELL);
    if columns < 6 || rows < 6 {
        return Vec::new();
    }
    let levels = work.means(CELL);
    let detail: Vec<f32> = (0..columns * rows).map(|i| detail(work, i % columns, i / columns)).collect();
    let sloped: Vec<bool> = (0..columns * rows).map(|i| slope(&levels, i % columns, i / columns) >= SLOPE).collect();
    let soft: Vec<bool> = (0..columns * rows).map(|i| sloped[i] && detail[i] <= SMOOTH).collect();
    let slopes = sloped.iter().filter(|s| **s).count();
    let all_soft = soft.iter().filter(|s| **s).count();
    let scale = (CELL * factor) as f32;
    let islands = islands(&detail, &soft, columns, rows);
    islands
        .iter()
        .filter(|island| {
            let inside = island.iter().filter(|i| soft[**i]).count();
            let (others, other_slopes) = (all_soft - inside, slopes - inside);
            is_patch(island, &levels) && others as f32 <= MOST_SOFT * other_slopes as f32
        })
        .map(|island| scaled(extent(island, columns), scale))
        .collect()
}

/// Mean size of the Laplacian in a cell.
fn detail(plane: &Plane, column: usize, row: usize) -> f32 {
    let (w, h) = (plane.size.width as usize, plane.size.height as usize);
    let mut sum = 0.0;
    for y in row * CELL..(row + 1) * CELL {
        for x in column * CELL..(column + 1) * CELL {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(w - 1));
            let (above, below) = (y.saturating_sub(1), (y + 1).min(h - 1));
            let around = plane.at(left, y) + plane.at(right, y) + plane.at(x, above) + plane.at(x, below);
            sum += (plane.at(x, y) - around / 4.0).abs();
        }
    }
    sum / (CELL * CELL) as f32
}

/// Greatest step of brightness to a neighbouring cell.
fn slope(levels: &Plane, column: usize, row: usize) -> f32 {
    let (columns, rows) = (levels.size.width as usize, levels.size.height as usize);
    let here = levels.at(column, row);
    let near = [
        (column.saturating_sub(1), row),
        ((column + 1).min(columns - 1), row),
        (column, row.saturating_sub(1)),
        (column, (row + 1).min(rows - 1)),
    ];
    near.iter().map(|(x, y)| (here - levels.at(*x, *y)).abs()).fold(0.0, f32::max)
}

/// Connected smooth cells on or beside slopes: a top or bottom between slopes belongs to the shape.
fn islands(detail: &[f32], soft: &[bool], columns: usize, rows: usize) -> Vec<Vec<usize>> {
    let near_soft = |i: usize| {
        let (x, y) = (i % columns, i / columns);
        let ys = y.saturating_sub(1)..(y + 2).min(rows);
        ys.into_iter().any(|y| (x.saturating_sub(1)..(x + 2).min(columns)).any(|x| soft[y * columns + x]))
    };
    let member: Vec<bool> = (0..columns * rows).map(|i| detail[i] <= SMOOTH && near_soft(i)).collect();
    let mut groups = Groups::new(columns * rows);
    for i in (0..columns * rows).filter(|i| member[*i]) {
        if (i + 1) % columns != 0 && member[i + 1] {
            groups.join(i, i + 1);
        }
        if i + columns < columns * rows && member[i + columns] {
            groups.join(i, i + columns);
        }
    }
    let mut cells: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in (0..columns * rows).filter(|i| member[*i]) {
        cells.entry(groups.root(i)).or_default().push(i);
    }
    let mut islands: Vec<Vec<usize>> = cells.into_values().filter(|cells| cells.len() >= LEAST_CELLS).collect();
    islands.sort();
    islands
}

/// Bounding box of cells, in cells.
fn extent(cells: &[usize], columns: usize) -> Rect {
    let fold = |of: &dyn Fn(usize) -> usize| {
        cells.iter().map(|i| of(*i)).fold((usize::MAX, 0), |(low, high), v| (low.min(v), high.max(v + 1)))
    };
    let (x, y) = (fold(&|i| i % columns), fold(&|i| i / columns));
    Rect::new(x.0 as f32, y.0 as f32, (x.1 - x.0) as f32, (y.1 - y.0) as f32)
}

/// Whether an island is compact, away from the picture's edge, and more than the shading of something round.
fn is_patch(island: &[usize], levels: &Plane) -> bool {
    let (columns, rows) = (levels.size.width as usize, levels.size.height as usize);
    let box_ = extent(island, columns);
    let cells = island.len() as f32;
    let (long, short) = (box_.width.max(box_.height), box_.width.min(box_.height));
    let is_compact = cells >= LEAST_FILL * box_.area() && long <= MOST_ASPECT * short && short >= 4.0;
    let is_small = cells <= MOST_SHARE * (columns * rows) as f32;
    // What lies out of focus mostly goes on beyond the edge.
    let is_inside =
        box_.x > 0.0 && box_.y > 0.0 && box_.x + box_.width < columns as f32 && box_.y + box_.height < rows as f32;
    if !is_compact || !is_small || !is_inside {
        return false;
    }
    let values: Vec<f32> = island.iter().map(|i| levels.data[*i]).collect();
    let range = values.iter().fold(0.0, |m: f32, v| m.max(*v)) - values.iter().fold(255.0, |m: f32, v| m.min(*v));
    range > DRAWN_LEVELS && shape(island, &values, columns, box_) >= LEAST_SHAPE
}

/// Root mean square of what the best paraboloid leaves of the levels.
fn shape(island: &[usize], values: &[f32], columns: usize, box_: Rect) -> f32 {
    const TERMS: usize = 6;
    let terms = |i: usize| -> [f64; TERMS] {
        let x = f64::from(((i % columns) as f32 - box_.x) / box_.width * 2.0 - 1.0);
        let y = f64::from(((i / columns) as f32 - box_.y) / box_.height * 2.0 - 1.0);
        [1.0, x, y, x * x, x * y, y * y]
    };
    // Normal equations, solved by elimination; they are small and well scaled, and an island spans a plane.
    let mut system = [[0.0f64; TERMS + 1]; TERMS];
    for (&i, &value) in island.iter().zip(values) {
        let t = terms(i);
        for (row, a) in system.iter_mut().zip(t) {
            for (cell, b) in row.iter_mut().zip(t.iter().chain([&f64::from(value)])) {
                *cell += a * b;
            }
        }
    }
    for k in 0..TERMS {
        let pivot = (k..TERMS).max_by(|a, b| system[*a][k].abs().total_cmp(&system[*b][k].abs())).unwrap_or(k);
        system.swap(k, pivot);
        if system[k][k].abs() < 1e-9 {
            return 0.0;
        }
        let pivot = system[k];
        for (_, row) in system.iter_mut().enumerate().filter(|(j, _)| *j != k) {
            let factor = row[k] / pivot[k];
            for (cell, p) in row.iter_mut().zip(pivot).skip(k) {
                *cell -= factor * p;
            }
        }
    }
    let fitted = |i: usize| -> f64 { (0..TERMS).map(|k| system[k][TERMS] / system[k][k] * terms(i)[k]).sum() };
    let squares: f64 = island.iter().zip(values).map(|(&i, &v)| (f64::from(v) - fitted(i)).powi(2)).sum();
    (squares / island.len() as f64).sqrt() as f32
}
