//! Pixelation: many even blocks of one size, side by side, of many levels.
//!
//! Pixels of nearly the same brightness are joined to areas. In a mosaic most areas are rectangles of one size that
//! stand next to each other; elsewhere rectangles are rare, and neighbours of the same size rarer. A board of two levels
//! (checkers, codes, keys) is none, and neither are blocks that lie as those of a lossy codec do: slopes in pictures of
//! poor quality look like that.

use std::collections::HashMap;

use super::{DRAWN_LEVELS, Plane, scaled};
use crate::types::geometry::Rect;
use crate::types::groups::Groups;

/// Levels that pixels of one area differ by: clean pictures, and after lossy coding.
const SAME_LEVELS: [f32; 2] = [2.5, 6.0];
/// Least side of a block, pixels, and the least part of the picture's short side that is none any more.
const LEAST_SIDE: usize = 4;
const MOST_SHARE: usize = 6;
/// Share of its bounding box that a block fills.
const LEAST_FILL: f32 = 0.8;
/// Pixels between neighbours: what coding or scaling makes of an edge; a third of the block's side if that is more.
const GAP: usize = 3;
const GAP_PARTS: usize = 3;
/// Blocks side by side that make a mosaic, and rows and columns of them.
const LEAST_BLOCKS: usize = 14;
const LEAST_LINES: usize = 4;
/// Share of the mosaic that is such blocks; where neighbours are alike, they flow together.
const LEAST_COVER: f32 = 0.35;
/// Blocks whose levels lie this close count as alike, and so many unlike ones must be.
const ALIKE_LEVELS: f32 = 5.0;
const LEAST_LEVELS: usize = 6;
/// Side of a codec's blocks, pixels at full size.
const CODEC_SIDE: usize = 8;

/// Areas of the plane that look like a mosaic, in its pixels.
pub(super) fn areas(luma: &Plane) -> Vec<Rect> {
    let mut found: Vec<Rect> = Vec::new();
    // Without the ringing of lossy coding along the edges, and halved, so that noise in large blocks goes under.
    let (calm, halved) = (luma.medians(), luma.means(2));
    for (plane, factor) in [(luma, 1), (&calm, 1), (&halved, 2)] {
        for levels in SAME_LEVELS {
            for area in mosaics(&blocks(plane, levels), CODEC_SIDE / factor) {
                let area = scaled(area, factor as f32);
                if found.iter().all(|f| f.intersection(area).is_none()) {
                    found.push(area);
                }
            }
        }
    }
    found
}

/// A rectangle of one level, right and lower end exclusive.
struct Block {
    x0: usize,
    y0: usize,
    x1: usize,
    y1: usize,
    level: f32,
}

impl Block {
    fn width(&self) -> usize {
        self.x1 - self.x0
    }

    fn height(&self) -> usize {
        self.y1 - self.y0
    }
}

/// The even rectangles of a plane.
fn blocks(plane: &Plane, levels: f32) -> Vec<Block> {
    let (w, h) = (plane.size.width as usize, plane.size.height as usize);
    let mut groups = Groups::new(w * h);
    for y in 0..h {
        for x in 0..w {
            let (i, value) = (y * w + x, plane.at(x, y));
            if x + 1 < w && (value - plane.at(x + 1, y)).abs() <= levels {
                groups.join(i, i + 1);
            }
            if y + 1 < h && (value - plane.at(x, y + 1)).abs() <= levels {
                groups.join(i, i + w);
            }
        }
    }
    /// Of a root: extent, pixels, sum of values.
    struct Area(Block, usize);
    let mut areas: HashMap<usize, Area> = HashMap::new();
    let mut counts = vec![0u32; w * h];
    for i in 0..w * h {
        counts[groups.root(i)] += 1;
    }
    let most = (w.min(h) / MOST_SHARE).max(LEAST_SIDE);
    for i in 0..w * h {
        let root = groups.root(i);
        let pixels = counts[root] as usize;
        if pixels < LEAST_SIDE * LEAST_SIDE || pixels > most * most {
            continue;
        }
        let (x, y, value) = (i % w, i / w, plane.data[i]);
        let start = || Area(Block { x0: x, y0: y, x1: x + 1, y1: y + 1, level: 0.0 }, pixels);
        let area = &mut areas.entry(root).or_insert_with(start).0;
        (area.x0, area.x1) = (area.x0.min(x), area.x1.max(x + 1));
        area.y1 = y + 1;
        area.level += value / pixels as f32;
    }
    let is_block = |area: &Area| {
        let (w, h) = (area.0.width(), area.0.height());
        let even = w.min(h) >= LEAST_SIDE && w <= 2 * h && h <= 2 * w && w.max(h) <= most;
        even && area.1 as f32 >= LEAST_FILL * (w * h) as f32
    };
    let mut blocks: Vec<Block> = areas.into_values().filter(is_block).map(|area| area.0).collect();
    blocks.sort_by_key(|b| (b.y0, b.x0));
    blocks
}

fn about(a: usize, b: usize) -> bool {
    a.abs_diff(b) <= 1 + a.max(b) / 10
}

fn gap(block: &Block) -> usize {
    GAP.max(block.width().min(block.height()) / GAP_PARTS)
}

/// Whether two blocks are of one mosaic: of one size, and next to each other in a row or column.
fn are_neighbours(a: &Block, b: &Block) -> bool {
    let gap = gap(a);
    let right = a.x1.abs_diff(b.x0) <= gap && a.y0.abs_diff(b.y0) < gap;
    let below = a.y1.abs_diff(b.y0) <= gap && a.x0.abs_diff(b.x0) < gap;
    (right || below) && about(a.width(), b.width()) && about(a.height(), b.height())
}

/// Extents of the mosaics among blocks.
fn mosaics(blocks: &[Block], codec_side: usize) -> Vec<Rect> {
    /// Side of the squares by which blocks are looked up, by their upper left corner.
    const SQUARE: usize = 16;
    let mut places: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
    for (i, block) in blocks.iter().enumerate() {
        places.entry((block.x0 / SQUARE, block.y0 / SQUARE)).or_default().push(i);
    }
    let mut groups = Groups::new(blocks.len());
    for (i, block) in blocks.iter().enumerate() {
        for corner in [(block.x1, block.y0), (block.x0, block.y1)] {
            let gap = gap(block);
            let around = |v: usize| v.saturating_sub(gap) / SQUARE..=(v + gap) / SQUARE;
            let squares = around(corner.1).flat_map(|y| around(corner.0).map(move |x| (x, y)));
            for &other in squares.filter_map(|s| places.get(&s)).flatten() {
                if other != i && are_neighbours(block, &blocks[other]) {
                    groups.join(i, other);
                }
            }
        }
    }
    let mut members: HashMap<usize, Vec<&Block>> = HashMap::new();
    for (i, block) in blocks.iter().enumerate() {
        members.entry(groups.root(i)).or_default().push(block);
    }
    let mut found: Vec<Rect> = members.values().filter_map(|blocks| mosaic(blocks, codec_side)).collect();
    found.sort_by(|a, b| (a.y, a.x).partial_cmp(&(b.y, b.x)).unwrap_or(std::cmp::Ordering::Equal));
    found
}

/// The extent of blocks that belong together, if they are a mosaic.
fn mosaic(blocks: &[&Block], codec_side: usize) -> Option<Rect> {
    if blocks.len() < LEAST_BLOCKS {
        return None;
    }
    let x0 = blocks.iter().map(|b| b.x0).min()?;
    let y0 = blocks.iter().map(|b| b.y0).min()?;
    let x1 = blocks.iter().map(|b| b.x1).max()?;
    let y1 = blocks.iter().map(|b| b.y1).max()?;
    let mean = |of: fn(&Block) -> usize| blocks.iter().map(|b| of(b)).sum::<usize>() as f32 / blocks.len() as f32;
    let (width, height) = (mean(Block::width), mean(Block::height));
    let (across, down) = ((x1 - x0) as f32, (y1 - y0) as f32);
    if across < (LEAST_LINES as f32 - 0.5) * width || down < (LEAST_LINES as f32 - 0.5) * height {
        return None;
    }
    let cover = blocks.iter().map(|b| b.width() * b.height()).sum::<usize>() as f32 / (across * down);
    let mut levels: Vec<f32> = blocks.iter().map(|b| b.level).collect();
    levels.sort_by(f32::total_cmp);
    let range = levels[levels.len() - 1] - levels[0];
    let on_grid = |v: usize| (v + 1) % codec_side <= 2;
    let may_be_codec = |b: &&&Block| on_grid(b.x0) && on_grid(b.y0) && about(b.width().max(b.height()), codec_side);
    let of_codec = blocks.iter().filter(may_be_codec).count();
    let is_one = cover >= LEAST_COVER && range > DRAWN_LEVELS && distinct(&levels) >= LEAST_LEVELS;
    (is_one && of_codec * 2 < blocks.len()).then(|| Rect::new(x0 as f32, y0 as f32, across, down))
}

/// How many levels are clearly unlike each other; `levels` ascend.
fn distinct(levels: &[f32]) -> usize {
    let mut count = 1;
    let mut last = levels[0];
    for &level in levels {
        if level - last >= ALIKE_LEVELS {
            count += 1;
            last = level;
        }
    }
    count
}
