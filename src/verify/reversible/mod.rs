//! Masks of a look that is known to be reversible: mosaics, and blurred patches in a picture that is sharp elsewhere.
//!
//! Both leave a small picture of what they hide: enough to match it with portraits at hand. What is recognised here is the
//! look, not the leak, so it is a reason to look, never proof. The soft looks that redaction draws are left alone: their
//! brightness moves by so little, and their colour not at all, that a true mosaic or blur of it would tell as little.

mod blur;
mod mosaic;

use crate::types::finding::{Finding, Rule, Severity};
use crate::types::frame::Picture;
use crate::types::geometry::{Rect, Size};
use crate::types::time::FrameIndex;

/// Range of brightness, 8-bit levels, within which a soft mask tells nothing: drawn ones move by 14 either way, and lossy
/// coding adds a little.
const DRAWN_LEVELS: f32 = 40.0;

/// What a mask looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Mosaic,
    Blur,
}

impl Look {
    fn told(self) -> &'static str {
        match self {
            Look::Mosaic => "looks like a mosaic: what it hides may be matched or restored",
            Look::Blur => "looks like a blurred patch: what it hides may be matched or restored",
        }
    }
}

/// Masks of a reversible look, display space.
pub fn masks(picture: &Picture) -> Vec<(Look, Rect)> {
    let luma = Plane::luma(picture);
    let mosaics = mosaic::areas(&luma);
    // A mosaic of few levels is smooth too, where blocks are tiny.
    let blurs = blur::areas(&luma).into_iter().filter(|b| mosaics.iter().all(|m| m.intersection(*b).is_none()));
    let looks = mosaics.iter().map(|m| (Look::Mosaic, *m)).chain(blurs.map(|b| (Look::Blur, b)));
    looks.map(|(look, rect)| (look, scaled(rect, picture.display_from_picture))).collect()
}

/// Tells each mask once, in the first frame in which it is seen.
#[derive(Debug, Default)]
pub struct Watch {
    before: Vec<Rect>,
}

impl Watch {
    /// Findings on a picture of the next frame that is looked at.
    pub fn look(&mut self, picture: &Picture, frame: FrameIndex, time_secs: f64) -> Vec<Finding> {
        let seen = masks(picture);
        let is_new = |rect: &Rect| self.before.iter().all(|b| b.intersection(*rect).is_none());
        let finding = |(look, rect): &(Look, Rect)| {
            Finding::new(Rule::ReversibleMask, Severity::Warning, look.told()).at(frame, time_secs).within(*rect)
        };
        let found = seen.iter().filter(|(_, rect)| is_new(rect)).map(finding).collect();
        self.before = seen.into_iter().map(|(_, rect)| rect).collect();
        found
    }
}

fn scaled(rect: Rect, factor: f32) -> Rect {
    Rect::new(rect.x * factor, rect.y * factor, rect.width * factor, rect.height * factor)
}

/// One value a pixel, rows without padding.
struct Plane {
    size: Size,
    data: Vec<f32>,
}

impl Plane {
    fn luma(picture: &Picture) -> Self {
        let luma = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        Self { size: picture.size, data: picture.data.chunks_exact(3).map(luma).collect() }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        self.data[y * self.size.width as usize + x]
    }

    /// Medians of three by three pixels; the outermost pixels stay.
    fn medians(&self) -> Plane {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let mut data = self.data.clone();
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                let mut near = [0.0f32; 9];
                for (row, values) in near.chunks_exact_mut(3).enumerate() {
                    let start = (y + row - 1) * w + x - 1;
                    values.copy_from_slice(&self.data[start..start + 3]);
                }
                data[y * w + x] = *near.select_nth_unstable_by(4, f32::total_cmp).1;
            }
        }
        Plane { size: self.size, data }
    }

    /// Means of cells of `side` pixels; the rest at the right and lower edge is left out.
    fn means(&self, side: usize) -> Plane {
        let (columns, rows) = (self.size.width as usize / side, self.size.height as usize / side);
        let mean = |i: usize| {
            let (x0, y0) = (i % columns * side, i / columns * side);
            let sum: f32 = (y0..y0 + side).flat_map(|y| (x0..x0 + side).map(move |x| self.at(x, y))).sum();
            sum / (side * side) as f32
        };
        Plane { size: Size::new(columns as u32, rows as u32), data: (0..columns * rows).map(mean).collect() }
    }
}

#[cfg(test)]
mod tests;
