//! Proof, frame by frame, that the finished picture is what was handed to the encoder and that masks stand.
//!
//! While rendering, each frame is reduced to a [`FrameDigest`] just before it is encoded; [`super::sidecar`] keeps them.
//! After decoding the finished file again, [`compare`] holds each frame against its digest, [`OrderCheck`] notices
//! frames that are a step early or late, and [`check_mask`] looks at every masked pixel.

use crate::types::finding::{Finding, Rule, Severity};
use crate::types::frame::{Component, Frame};
use crate::types::geometry::{Rect, Size};
use crate::types::mask::{Coverage, Span};

/// Cells along the longer side at most.
const MAX_CELLS: u32 = 48;
/// Sides of cells are multiples of a macroblock.
const BLOCK_PIXELS: u32 = 16;

/// Cells of a picture: squares of `cell` luma pixels, those at the right and bottom edge may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub size: Size,
    /// Side of a cell in luma pixels.
    pub cell: u32,
    pub columns: u32,
    pub rows: u32,
    pub components: u32,
}

impl Grid {
    /// The finest grid of at most 48 cells along the longer side of a picture of coded `size`.
    pub fn of(size: Size, components: usize) -> Self {
        let longer = size.width.max(size.height).max(1);
        let cell = longer.div_ceil(MAX_CELLS).next_multiple_of(BLOCK_PIXELS);
        let components = components as u32;
        Self { size, cell, columns: size.width.div_ceil(cell), rows: size.height.div_ceil(cell), components }
    }

    /// Means in a digest.
    pub fn values(&self) -> usize {
        self.columns as usize * self.rows as usize * self.components as usize
    }

    /// A cell in coded pixels.
    fn cell_rect(&self, column: u32, row: u32) -> Rect {
        let (x, y) = (column * self.cell, row * self.cell);
        let (w, h) = (self.cell.min(self.size.width - x), self.cell.min(self.size.height - y));
        Rect::new(x as f32, y as f32, w as f32, h as f32)
    }
}

/// Means of a frame's components over a grid of cells.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameDigest {
    pub grid: Grid,
    /// Ticks of the time base of whoever made the frame.
    pub pts: i64,
    /// Component by component, row by row; 1/256 of an 8-bit level.
    pub means: Vec<u16>,
}

impl FrameDigest {
    /// Reduces a frame; colour components only, alpha is left out.
    pub fn of(frame: &Frame) -> Self {
        let colors = frame.layout.components.len() - usize::from(frame.layout.has_alpha);
        let grid = Grid::of(frame.size, colors);
        let mut means = Vec::with_capacity(grid.values());
        for component in &frame.layout.components[..colors] {
            component_means(frame, component, &grid, &mut means);
        }
        Self { grid, pts: frame.pts, means }
    }

    fn level(&self, i: usize) -> f32 {
        f32::from(self.means[i]) / 256.0
    }
}

/// Significant value of the sample of a row whose first byte is `at`.
#[inline]
pub fn sample(row: &[u8], at: usize, component: &Component) -> u16 {
    if component.depth <= 8 && component.shift == 0 {
        u16::from(row[at])
    } else {
        (u16::from_le_bytes([row[at], row[at + 1]]) >> component.shift) & component.max_value()
    }
}

/// Whether samples are single bytes side by side.
fn is_bytes(component: &Component) -> bool {
    component.depth == 8 && component.shift == 0 && component.step == 1
}

fn component_means(frame: &Frame, component: &Component, grid: &Grid, means: &mut Vec<u16>) {
    let (plane, stride) = (frame.buffer.plane(component.plane), frame.buffer.stride(component.plane));
    let size = component.plane_size(frame.size);
    let (cell_w, cell_h) = (grid.cell >> component.log2_sub.0, grid.cell >> component.log2_sub.1);
    let scale = 256.0 * 255.0 / f64::from(component.max_value());
    // The common case, worth a loop that the compiler can vectorize.
    let bytes = is_bytes(component);
    let mut sums = vec![0u64; grid.columns as usize];
    for y in 0..size.height {
        let start = y as usize * stride + component.offset;
        let row = &plane[start..];
        for (column, sum) in sums.iter_mut().enumerate() {
            let x0 = column as u32 * cell_w;
            let x1 = (x0 + cell_w).min(size.width);
            *sum += if bytes {
                row[x0 as usize..x1 as usize].iter().map(|b| u64::from(*b)).sum::<u64>()
            } else {
                (x0..x1).map(|x| u64::from(sample(row, x as usize * component.step, component))).sum::<u64>()
            };
        }
        let last = y + 1 == size.height;
        if last || (y + 1) % cell_h == 0 {
            let rows = u64::from(y % cell_h + 1);
            for (column, sum) in sums.iter_mut().enumerate() {
                let x0 = column as u32 * cell_w;
                let columns = u64::from((x0 + cell_w).min(size.width) - x0);
                means.push((*sum as f64 / (columns * rows) as f64 * scale).round() as u16);
                *sum = 0;
            }
        }
    }
}

/// How far a cell's mean may move by lossy coding, in 8-bit levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Luma, grey, or each of R, G, B.
    pub luma: f32,
    pub chroma: f32,
}

impl Tolerance {
    /// Nothing but rounding: lossless formats.
    pub const LOSSLESS: Tolerance = Tolerance { luma: 0.01, chroma: 0.01 };

    /// For a constant rate factor of 0 to 51 as x264 counts it; scale those of VP9 and AV1 (0 to 63) down to it.
    ///
    /// Measured on eleven clips (speech, signing, cuts, noise, fades; 150 frames each, preset veryfast) the worst cell
    /// of all frames was off by 2.6, 9.3 and 26.4 levels of luma and 2.2, 4.2 and 6.3 of chroma at 18, 28 and 40. The
    /// curve stays at least 1.5 times above that. x265, VP9 and AV1 at 28, 31 and 32 stayed below 3.6 and 5.3.
    pub fn of_rate_factor(crf: f32) -> Self {
        let luma = 5.0 * ((crf.clamp(0.0, 51.0) - 18.0) / 6.5).exp2();
        let luma = luma.max(2.0);
        Self { luma, chroma: 2.5 + 0.4 * luma }
    }
}

/// Holds a decoded frame against the digest of the frame that was encoded; `None` when they agree.
///
/// Both must be of one grid; another grid is itself a finding. The finding names the worst cell (coded pixels).
pub fn compare(expected: &FrameDigest, got: &FrameDigest, tolerance: Tolerance) -> Option<Finding> {
    if expected.grid != got.grid || expected.means.len() != got.means.len() {
        return Some(changed("the picture has another size or layout than the one that was encoded"));
    }
    let grid = &expected.grid;
    let per_component = (grid.columns * grid.rows) as usize;
    let worst = (0..expected.means.len())
        .map(|i| {
            let chroma = grid.components == 3 && i >= per_component;
            let allowed = if chroma { tolerance.chroma } else { tolerance.luma };
            ((expected.level(i) - got.level(i)).abs() / allowed, i)
        })
        .filter(|(excess, _)| *excess > 1.0)
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let (i, cell) = (worst.1, (worst.1 % per_component) as u32);
    let off = (expected.level(i) - got.level(i)).abs();
    let message = format!("a part of the picture is off by {off:.1} levels from what was encoded");
    Some(changed(message).within(grid.cell_rect(cell % grid.columns, cell / grid.columns)))
}

fn changed(message: impl Into<String>) -> Finding {
    Finding::new(Rule::PictureChanged, Severity::Error, message)
}

/// Notices frames that look like their neighbour in time rather than like themselves.
///
/// A still scene changes less from frame to frame than lossy coding does, so tolerance alone cannot see a shift by one
/// frame. The squared distance to the neighbour's digest can: on the clips of [`Tolerance::of_rate_factor`] it was never
/// below 0.62 of the distance to the frame's own in a right file, and 0.97 summed over a clip, while it is below 0.4
/// over a shifted clip at the default quality. What is too still or too coarsely coded to tell passes.
#[derive(Default)]
pub struct OrderCheck {
    previous: Option<(FrameDigest, FrameDigest)>,
    /// Own distance, distance to the previous and to the next expected frame; the last [`ORDER_WINDOW`] frames.
    window: std::collections::VecDeque<[f64; 3]>,
}

/// Frames that are looked at together.
const ORDER_WINDOW: usize = 16;
/// A single frame is wrong when a neighbour is this much nearer (ratio of squared distances).
const ONE_FRAME_RATIO: f64 = 0.25;
/// A window of frames is shifted when the neighbours are this much nearer.
const WINDOW_RATIO: f64 = 0.5;
/// Mean squared distance, in levels, below which frames count as equal.
const NOISE_FLOOR: f64 = 0.02;

impl OrderCheck {
    /// Takes the next pair, in display order; gives a finding about the frame before it or the window up to it.
    pub fn push(&mut self, expected: &FrameDigest, got: &FrameDigest) -> Option<Finding> {
        let before = self.previous.replace((expected.clone(), got.clone()));
        let (last_expected, last_got) = before?;
        // Distances of this frame to its own and the previous digest; of the last frame to the next.
        let own = distance(expected, got)?;
        let back = distance(&last_expected, got)?;
        let last_own = distance(&last_expected, &last_got)?;
        let forward = distance(expected, &last_got)?;
        self.window.push_back([own, back, last_own.max(NOISE_FLOOR) / forward.max(NOISE_FLOOR)]);
        if self.window.len() > ORDER_WINDOW {
            self.window.pop_front();
        }
        if own > NOISE_FLOOR && back < ONE_FRAME_RATIO * own {
            return Some(changed("a frame shows the picture of the frame before it"));
        }
        if last_own > NOISE_FLOOR && forward < ONE_FRAME_RATIO * last_own {
            return Some(changed("a frame shows the picture of the frame after it"));
        }
        self.shifted_window()
    }

    fn shifted_window(&self) -> Option<Finding> {
        if self.window.len() < ORDER_WINDOW {
            return None;
        }
        let sum = |i: usize| self.window.iter().map(|w| w[i]).sum::<f64>();
        let floor = NOISE_FLOOR * ORDER_WINDOW as f64;
        if sum(0) > floor && sum(1) < WINDOW_RATIO * sum(0) {
            return Some(changed("frames are late by one"));
        }
        // Ratios, so that one cut in the window does not decide: the forward distance crosses it.
        let forward = self.window.iter().filter(|w| w[2] > 1.0 / WINDOW_RATIO).count();
        (forward * 4 > ORDER_WINDOW * 3).then(|| changed("frames are early by one"))
    }
}

/// Mean squared distance of two digests, in squared levels; `None` for different grids.
fn distance(a: &FrameDigest, b: &FrameDigest) -> Option<f64> {
    if a.grid != b.grid || a.means.len() != b.means.len() {
        return None;
    }
    let sum: f64 = (0..a.means.len()).map(|i| f64::from(a.level(i) - b.level(i)).powi(2)).sum();
    Some(sum / a.means.len().max(1) as f64)
}

/// Result of looking at all samples of a masked area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskCheck {
    /// Luma pixels of the area.
    pub pixels: u64,
    /// Largest difference of any sample, in its own levels.
    pub worst: u16,
    /// Samples of any component that differ by more than the tolerance.
    pub failing: u64,
}

/// Share of a mask's samples that may be further off than the tolerance: ringing of neighbours.
const MAX_FAILING: f64 = 0.01;
/// Of a small mask that share is less than one sample: so many may ring, up to twice the tolerance, where they are a tenth
/// of it at most.
const MAX_RINGING: u64 = 2;

impl MaskCheck {
    /// Whether the area shows the mask that was compared with this tolerance, and nothing else.
    pub fn is_drawn(&self, tolerance: u16) -> bool {
        let rings = self.failing <= MAX_RINGING && self.failing * 10 <= self.pixels && self.worst <= tolerance * 2;
        rings || self.failing as f64 <= MAX_FAILING * self.pixels as f64
    }
}

/// By how much a coverage is shrunk before its samples are checked: ringing and motion blur of the coding stay outside.
pub const MASK_SHRINK_PIXELS: u32 = 4;

impl Tolerance {
    /// How far a sample of a mask that is shrunk by [`MASK_SHRINK_PIXELS`] may be off, in levels of which the highest is
    /// `max_value`. `ringing` is 1 for masks of one colour.
    ///
    /// Measured with a moving grey square over three clips (60 frames each, x264 veryfast) the worst sample was off by
    /// 10, 33 and 49 levels of 8 bits at 18, 28 and 40 (with 8 pixels: 3, 8 and 39).
    pub fn of_masks(self, ringing: f32, max_value: u16) -> u16 {
        ((8.0 + 2.0 * self.luma).min(96.0) * ringing * f32::from(max_value) / 255.0).round() as u16
    }
}

/// What a mask draws, by component in the order of the layout.
pub enum Expected<'a> {
    /// One value everywhere.
    Flat(&'a dyn Fn(usize) -> u16),
    /// A value at the sample (x, y) **of the component's plane**.
    Each(&'a dyn Fn(usize, u32, u32) -> u16),
}

/// Compares every sample under `coverage` with what the mask draws there.
///
/// `coverage` is in coded pixels and already [shrunk](shrink); `tolerance` is in levels of the component. A chroma sample counts only when all luma pixels of it are covered.
pub fn check_mask(frame: &Frame, coverage: &Coverage, expected: &Expected<'_>, tolerance: u16) -> MaskCheck {
    let mut check = MaskCheck { pixels: coverage.pixels(), ..MaskCheck::default() };
    let colors = frame.layout.components.len() - usize::from(frame.layout.has_alpha);
    for (index, component) in frame.layout.components[..colors].iter().enumerate() {
        let (plane, stride) = (frame.buffer.plane(component.plane), frame.buffer.stride(component.plane));
        let size = component.plane_size(frame.size);
        for span in subsampled(coverage, component, frame.size) {
            let row = &plane[span.y as usize * stride + component.offset..];
            let (x0, x1) = (span.x0, span.x1.min(size.width).max(span.x0));
            let (worst, failing) = match expected {
                // The common case, worth a loop that the compiler can vectorize.
                Expected::Flat(value) if is_bytes(component) => {
                    off_from(&row[x0 as usize..x1 as usize], value(index), tolerance)
                }
                _ => (x0..x1).fold((0, 0), |(worst, failing), x| {
                    let value = match expected {
                        Expected::Flat(value) => value(index),
                        Expected::Each(value) => value(index, x, span.y),
                    };
                    let off = sample(row, x as usize * component.step, component).abs_diff(value);
                    (off.max(worst), failing + u64::from(off > tolerance))
                }),
            };
            check.worst = check.worst.max(worst);
            check.failing += failing;
        }
    }
    check
}

/// Greatest distance of the samples from a value, and how many are further off than the tolerance.
fn off_from(samples: &[u8], value: u16, tolerance: u16) -> (u16, u64) {
    let value = u8::try_from(value).unwrap_or(u8::MAX);
    let worst = samples.iter().map(|s| s.abs_diff(value)).max().unwrap_or(0);
    let failing = if u16::from(worst) > tolerance {
        samples.iter().filter(|s| u16::from(s.abs_diff(value)) > tolerance).count() as u64
    } else {
        0
    };
    (u16::from(worst), failing)
}

/// Spans of a component's plane whose samples lie wholly under the coverage.
fn subsampled(coverage: &Coverage, component: &Component, size: Size) -> Vec<Span> {
    let (sx, sy) = component.log2_sub;
    if (sx, sy) == (0, 0) {
        return coverage.spans.clone();
    }
    let mut out = Vec::new();
    for rows in coverage.spans.chunk_by(|a, b| a.y >> sy == b.y >> sy) {
        let y = rows[0].y >> sy;
        let full_rows = (1u32 << sy).min(size.height - (y << sy));
        // Inward to whole samples; the picture's edge completes a sample that it cuts.
        let inward = |s: &Span| {
            let x1 = if s.x1 >= size.width { size.width.div_ceil(1 << sx) } else { s.x1 >> sx };
            (s.x0.div_ceil(1 << sx), x1)
        };
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (n, row) in rows.chunk_by(|a, b| a.y == b.y).enumerate() {
            let mine: Vec<(u32, u32)> = row.iter().map(inward).filter(|r| r.0 < r.1).collect();
            ranges = if n == 0 { mine } else { intersect(&ranges, &mine) };
        }
        if rows.chunk_by(|a, b| a.y == b.y).count() as u32 == full_rows {
            out.extend(ranges.into_iter().map(|(x0, x1)| Span { y, x0, x1 }));
        }
    }
    out
}

/// Common parts of two sorted lists of disjoint ranges.
fn intersect(a: &[(u32, u32)], b: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while let (Some(p), Some(q)) = (a.get(i), b.get(j)) {
        let (x0, x1) = (p.0.max(q.0), p.1.min(q.1));
        if x0 < x1 {
            out.push((x0, x1));
        }
        if p.1 < q.1 { i += 1 } else { j += 1 }
    }
    out
}

/// Takes `pixels` off every edge of a coverage (a square window); the picture's own border counts as inside, so that a
/// mask which reaches it stays there. `size` is the coded size.
pub fn shrink(coverage: &Coverage, pixels: u32, size: Size) -> Coverage {
    if pixels == 0 {
        return coverage.clone();
    }
    let mut rows: Vec<Vec<(u32, u32)>> = vec![Vec::new(); size.height as usize];
    for span in coverage.spans.iter().filter(|s| s.y < size.height) {
        let x0 = if span.x0 == 0 { 0 } else { span.x0.saturating_add(pixels) };
        let x1 = if span.x1 >= size.width { size.width } else { span.x1.saturating_sub(pixels) };
        if x0 < x1 {
            rows[span.y as usize].push((x0, x1));
        }
    }
    let mut spans = Vec::new();
    for y in (0..size.height).filter(|y| !rows[*y as usize].is_empty()) {
        let window = y.saturating_sub(pixels) as usize..(y + pixels + 1).min(size.height) as usize;
        let mut kept = rows[y as usize].clone();
        for row in &rows[window] {
            kept = intersect(&kept, row);
        }
        spans.extend(kept.into_iter().map(|(x0, x1)| Span { y, x0, x1 }));
    }
    Coverage { spans }
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
