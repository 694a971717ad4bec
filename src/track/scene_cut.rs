//! Where a new scene begins.
//!
//! Method: each picture becomes a grid of cell means (luma and two colour differences) and a joint histogram. A cut is
//! a jump of both against the frames before: by more than a floor, and by more than the recent frames differ among
//! themselves. Cells may shift by one, so that pans and zooms do not count; a picture that keeps its structure under
//! another brightness (flash, fade) is no cut.

use std::collections::VecDeque;

use crate::types::frame::Picture;

const COLUMNS: usize = 32;
const ROWS: usize = 18;
const CELLS: usize = COLUMNS * ROWS;
/// Bins of the joint histogram: 8 of luma, 4 of each colour difference.
const BINS: usize = 8 * 4 * 4;
/// Frames that the adaptive threshold looks back on.
const MEMORY: usize = 12;

struct Signature {
    /// Mean luma, blue and red difference of each cell, each -128 to 255.
    cells: Vec<[f32; 3]>,
    histogram: [f32; BINS],
}

impl Signature {
    fn of(picture: &Picture) -> Signature {
        let (w, h) = (picture.size.width as usize, picture.size.height as usize);
        let mut cells = vec![[0.0; 3]; CELLS];
        let mut counts = [0u32; BINS];
        let mut samples = 0u32;
        for (i, cell) in cells.iter_mut().enumerate() {
            let (column, row) = (i % COLUMNS, i / COLUMNS);
            let mut sum = [0i32; 3];
            // 4 x 4 samples a cell are enough for means, and cost little.
            for k in 0..16 {
                let x = ((column * 4 + k % 4) * 2 + 1) * w / (COLUMNS * 8);
                let y = ((row * 4 + k / 4) * 2 + 1) * h / (ROWS * 8);
                let p = &picture.data[(y * w + x) * 3..][..3];
                let [r, g, b] = [i32::from(p[0]), i32::from(p[1]), i32::from(p[2])];
                let luma = (77 * r + 150 * g + 29 * b) >> 8;
                let (blue, red) = ((b - luma) / 2, (r - luma) / 2);
                for (s, v) in sum.iter_mut().zip([luma, blue, red]) {
                    *s += v;
                }
                // Colour bins are narrow around grey, where most pictures lie.
                let bin = |v: i32| ((v + 32).clamp(0, 63) / 16) as usize;
                counts[(luma.clamp(0, 255) / 32) as usize * 16 + bin(blue) * 4 + bin(red)] += 1;
                samples += 1;
            }
            *cell = sum.map(|s| s as f32 / 16.0);
        }
        let histogram = counts.map(|c| c as f32 / samples as f32);
        Signature { cells, histogram }
    }

    /// Share of the histogram that differs, 0 to 1.
    fn histogram_difference(&self, other: &Signature) -> f32 {
        1.0 - self.histogram.iter().zip(&other.histogram).map(|(a, b)| a.min(*b)).sum::<f32>()
    }

    /// Mean over the cells of the least difference to a cell around the same place, 0 to 1.
    fn cell_difference(&self, other: &Signature) -> f32 {
        let mut sum = 0.0;
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let a = self.cells[row * COLUMNS + column];
                let mut least = f32::MAX;
                for r in row.saturating_sub(1)..(row + 2).min(ROWS) {
                    for c in column.saturating_sub(1)..(column + 2).min(COLUMNS) {
                        let b = other.cells[r * COLUMNS + c];
                        let d = (a[0] - b[0]).abs() + (a[1] - b[1]).abs() + (a[2] - b[2]).abs();
                        least = least.min(d);
                    }
                }
                sum += least;
            }
        }
        sum / (CELLS as f32 * 255.0)
    }

    /// Correlation of the luma cells, best over shifts by up to two cells, -1 to 1. Brightness and contrast do not
    /// matter to it. 0 for flat pictures.
    fn structure(&self, other: &Signature) -> f32 {
        let mut best = -1.0f32;
        for dy in -2i32..=2 {
            for dx in -2i32..=2 {
                best = best.max(self.structure_at(other, dx, dy));
            }
        }
        best
    }

    fn structure_at(&self, other: &Signature, dx: i32, dy: i32) -> f32 {
        let (mut n, mut sa, mut sb, mut saa, mut sbb, mut sab) = (0.0f32, 0.0, 0.0, 0.0, 0.0, 0.0);
        for row in 0.max(-dy)..(ROWS as i32).min(ROWS as i32 - dy) {
            for column in 0.max(-dx)..(COLUMNS as i32).min(COLUMNS as i32 - dx) {
                let a = self.cells[row as usize * COLUMNS + column as usize][0];
                let b = other.cells[(row + dy) as usize * COLUMNS + (column + dx) as usize][0];
                n += 1.0;
                sa += a;
                sb += b;
                saa += a * a;
                sbb += b * b;
                sab += a * b;
            }
        }
        let (va, vb) = (saa / n - (sa / n).powi(2), sbb / n - (sb / n).powi(2));
        if va < 4.0 || vb < 4.0 { 0.0 } else { (sab / n - sa * sb / (n * n)) / (va * vb).sqrt() }
    }

    /// How unlike two pictures are, 0 to about 1.
    fn difference(&self, other: &Signature) -> f32 {
        0.5 * self.histogram_difference(other) + (2.0 * self.cell_difference(other)).min(0.5)
    }
}

/// Thresholds of the detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SceneCutSettings {
    /// Least difference of a cut, 0 to 1.
    pub floor: f32,
    /// How many times the usual difference of recent frames a cut must exceed.
    pub ratio: f32,
    /// Correlation of the structure above which there is no cut.
    pub same_structure: f32,
}

impl Default for SceneCutSettings {
    fn default() -> Self {
        Self { floor: 0.14, ratio: 2.5, same_structure: 0.85 }
    }
}

/// Finds hard cuts in a stream of analysis pictures.
#[derive(Default)]
pub struct SceneCutDetector {
    settings: SceneCutSettings,
    previous: Option<Signature>,
    /// The picture before the last cut, with the frames since: a flash comes back to it.
    before_cut: Option<(Signature, u32)>,
    recent: VecDeque<f32>,
}

impl SceneCutDetector {
    pub fn new(settings: SceneCutSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Whether a new scene begins with this picture; the first of a clip begins one.
    pub fn push(&mut self, picture: &Picture) -> bool {
        let now = Signature::of(picture);
        let Some(previous) = self.previous.take() else {
            self.previous = Some(now);
            return true;
        };
        let difference = now.difference(&previous);
        let cut = self.is_jump(difference)
            && now.structure(&previous) < self.settings.same_structure
            && !self.comes_back(&now);
        if let Some((_, age)) = &mut self.before_cut {
            *age += 1;
        }
        self.before_cut.take_if(|(_, age)| *age > 3);
        if cut {
            self.recent.clear();
            self.before_cut = Some((previous, 0));
        } else {
            self.recent.push_back(difference);
            if self.recent.len() > MEMORY {
                self.recent.pop_front();
            }
        }
        self.previous = Some(now);
        cut
    }

    fn is_jump(&self, difference: f32) -> bool {
        // The median, so that one shaken frame does not hide a cut that follows it.
        let mut sorted: Vec<f32> = self.recent.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        difference > self.settings.floor.max(self.settings.ratio * usual)
    }

    /// Whether the picture is that of before the last cut: then the cut was a flash, and this is no second one.
    fn comes_back(&self, now: &Signature) -> bool {
        self.before_cut.as_ref().is_some_and(|(old, _)| {
            now.difference(old) < self.settings.floor || now.structure(old) >= self.settings.same_structure
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::testing::{Camera, World};
    use crate::types::geometry::Size;

    /// The world's picture with gain, offset and noise.
    fn picture(world: u32, camera: Camera, gain: f32, offset: f32, noise: f32, seed: u32) -> Picture {
        let luma = World::new(world).luma(&camera, &[]);
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut data = Vec::with_capacity(luma.data.len() * 3);
        for v in luma.data {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let n = ((state >> 16) as f32 / 32768.0 - 1.0) * noise;
            let level = (f32::from(v) * gain + offset + n).clamp(0.0, 255.0) as u8;
            data.extend([level, level, (f32::from(level) * 0.9) as u8]);
        }
        Picture::new(Size::new(320, 180), data, 4.0)
    }

    type Shot = fn(usize) -> Picture;

    #[test]
    fn cuts_are_told_from_what_is_none() {
        let table: [(&str, Shot, &[usize]); 8] = [
            ("still", |k| picture(1, Camera::default(), 1.0, 0.0, 0.0, k as u32), &[]),
            ("noise", |k| picture(1, Camera::default(), 1.0, 0.0, 40.0, k as u32), &[]),
            ("pan", |k| picture(1, Camera { x: 30.0 * k as f32, ..Camera::default() }, 1.0, 0.0, 4.0, k as u32), &[]),
            (
                "zoom",
                |k| picture(1, Camera { zoom: 1.0 + 0.03 * k as f32, ..Camera::default() }, 1.0, 0.0, 0.0, 0),
                &[],
            ),
            ("fade in", |k| picture(1, Camera::default(), ((k + 1) as f32 / 12.0).min(1.0), 0.0, 3.0, k as u32), &[]),
            ("flash", |k| picture(1, Camera::default(), 1.0, if k == 9 { 70.0 } else { 0.0 }, 3.0, k as u32), &[]),
            (
                "cuts",
                |k| picture(1 + (k / 8) as u32 * 10, Camera::default(), 1.0, (k / 8) as f32 * 30.0, 6.0, k as u32),
                &[8, 16],
            ),
            (
                "cut while panning",
                |k| {
                    picture(
                        if k < 10 { 1 } else { 50 },
                        Camera { x: 25.0 * k as f32, ..Camera::default() },
                        if k < 10 { 1.0 } else { 0.6 },
                        0.0,
                        4.0,
                        k as u32,
                    )
                },
                &[10],
            ),
        ];
        for (name, shot, expected) in table {
            let mut detector = SceneCutDetector::default();
            let cuts: Vec<usize> = (0..24).filter(|&k| detector.push(&shot(k))).collect();
            assert_eq!(cuts[0], 0, "{name}: the first frame begins a scene");
            assert_eq!(&cuts[1..], expected, "{name}");
        }
    }

    #[test]
    fn tiny_pictures_are_fine() {
        for (w, h) in [(1, 1), (1, 300), (300, 1), (2, 2)] {
            let mut detector = SceneCutDetector::default();
            let shot = |v: u8| Picture::new(Size::new(w, h), vec![v; (w * h * 3) as usize], 1.0);
            assert!(detector.push(&shot(10)));
            assert!(!detector.push(&shot(11)));
            assert!(detector.push(&shot(250)), "black to white is a cut at any size");
        }
    }
}
