//! Following an object by its looks where the detectors do not see it.
//!
//! Method: normalised cross-correlation of a small patch, sampled in the object's own frame (so turned objects are
//! sampled upright), over a coarse search of places and then a descent over place, scale and angle.

use super::luma::Luma;
use crate::types::geometry::{Point, Quad};

/// When a match counts and how far it is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AppearanceSettings {
    /// Correlation with the look at the last detection below which the object is lost.
    pub min_anchor: f32,
    /// Correlation with the look in the frame before below which the object is lost.
    pub min_recent: f32,
    /// Search around the predicted place, as a share of the object's mean side.
    pub reach: f32,
    /// Share of the object that must lie in the picture.
    pub min_visible: f32,
}

impl Default for AppearanceSettings {
    fn default() -> Self {
        Self { min_anchor: 0.55, min_recent: 0.75, reach: 0.5, min_visible: 0.35 }
    }
}

/// Share of each side that belongs to the look: what lies around a moving object changes with every frame.
const INSIDE: f32 = 0.95;
/// Samples along the longer side of a patch.
const MAX_SAMPLES: usize = 24;
const MIN_SAMPLES: usize = 6;
/// Least standard deviation (grey levels) of a patch that can be recognised.
const MIN_CONTRAST: f32 = 4.0;

/// Place in luma space: centre, half sides and angle.
#[derive(Clone, Copy, Debug)]
struct Pose {
    center: Point,
    half_width: f32,
    half_height: f32,
    angle_rad: f32,
}

impl Pose {
    fn from_display(quad: &Quad, display_from_luma: f32) -> Pose {
        let c = quad.center();
        let k = 1.0 / display_from_luma;
        Pose {
            center: Point::new(c.x * k, c.y * k),
            half_width: quad.width() * k / 2.0,
            half_height: quad.height() * k / 2.0,
            angle_rad: quad.angle_rad(),
        }
    }

    fn to_display(self, display_from_luma: f32) -> Quad {
        let k = display_from_luma;
        let center = Point::new(self.center.x * k, self.center.y * k);
        Quad::rotated_rect(center, self.half_width * 2.0 * k, self.half_height * 2.0 * k, self.angle_rad)
    }

    fn moved(self, dx: f32, dy: f32) -> Pose {
        Pose { center: Point::new(self.center.x + dx, self.center.y + dy), ..self }
    }

    fn scaled(self, factor: f32) -> Pose {
        Pose { half_width: self.half_width * factor, half_height: self.half_height * factor, ..self }
    }

    fn turned(self, angle_rad: f32) -> Pose {
        Pose { angle_rad: self.angle_rad + angle_rad, ..self }
    }
}

/// A patch with mean 0 and length 1.
#[derive(Clone, Debug)]
struct Patch {
    columns: usize,
    rows: usize,
    values: Vec<f32>,
}

/// Places of the samples in luma space, row by row.
fn places(pose: &Pose, columns: usize, rows: usize) -> impl Iterator<Item = Point> {
    let (s, c) = pose.angle_rad.sin_cos();
    let (across, down) = (pose.half_width * INSIDE / columns as f32, pose.half_height * INSIDE / rows as f32);
    let at = move |k: usize, count: usize| (2 * k + 1) as f32 - count as f32;
    let center = pose.center;
    (0..rows).flat_map(move |r| {
        let v = at(r, rows) * down;
        (0..columns).map(move |k| {
            let u = at(k, columns) * across;
            Point::new(center.x + u * c - v * s, center.y + u * s + v * c)
        })
    })
}

impl Patch {
    /// `None` when there is too little contrast to recognise anything.
    fn sample(luma: &Luma, pose: &Pose, columns: usize, rows: usize) -> Option<Patch> {
        let mut values: Vec<f32> = places(pose, columns, rows).map(|place| luma.sample(place)).collect();
        let n = values.len() as f32;
        let mean = values.iter().sum::<f32>() / n;
        let length = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>().sqrt();
        if length < MIN_CONTRAST * n.sqrt() {
            return None;
        }
        values.iter_mut().for_each(|v| *v = (*v - mean) / length);
        Some(Patch { columns, rows, values })
    }

    /// What is at `pose` with half as many samples each way as this patch has.
    fn glimpse(&self, luma: &Luma, pose: &Pose) -> Option<Patch> {
        let half = |samples: usize| samples.div_ceil(2).max(MIN_SAMPLES);
        Patch::sample(luma, pose, half(self.columns), half(self.rows))
    }

    /// Normalised cross-correlation with what is at `pose`, -1 to 1; -1 where there is too little contrast.
    fn correlation(&self, luma: &Luma, pose: &Pose) -> f32 {
        let (mut sum, mut squares, mut common) = (0f64, 0f64, 0f64);
        for (place, own) in places(pose, self.columns, self.rows).zip(&self.values) {
            let value = f64::from(luma.sample(place));
            sum += value;
            squares += value * value;
            // The patch's own mean is 0, so that of the other has no part in it.
            common += value * f64::from(*own);
        }
        let n = self.values.len() as f64;
        let length = (squares - sum * sum / n).max(0.0).sqrt();
        if length < f64::from(MIN_CONTRAST) * n.sqrt() { -1.0 } else { (common / length) as f32 }
    }
}

/// The look of one object: as last detected, and as last followed.
#[derive(Clone, Debug)]
pub struct Appearance {
    anchor: Patch,
    recent: Patch,
    /// The recent look with half as many samples each way: enough to search many places with.
    glimpse: Patch,
}

/// Where the object was followed to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    /// Display space.
    pub quad: Quad,
    /// Correlation with the look at the detection.
    pub score: f32,
}

impl Appearance {
    /// Takes the look of what `quad` (display space) encloses; `None` when it is too small or too flat.
    pub fn learn(luma: &Luma, quad: &Quad) -> Option<Appearance> {
        let pose = Pose::from_display(quad, luma.display_from_luma);
        let long = pose.half_width.max(pose.half_height) * 2.0;
        if pose.half_width.min(pose.half_height) * 2.0 < 4.0 {
            return None;
        }
        let count = |side: f32| {
            let share = side * 2.0 / long;
            ((long.clamp(8.0, MAX_SAMPLES as f32) * share) as usize).clamp(MIN_SAMPLES, MAX_SAMPLES)
        };
        let patch = Patch::sample(luma, &pose, count(pose.half_width), count(pose.half_height))?;
        let glimpse = patch.glimpse(luma, &pose)?;
        Some(Appearance { recent: patch.clone(), anchor: patch, glimpse })
    }

    /// Looks for the object around `predicted` (display space) and learns its present look; `None` when it is lost.
    pub fn follow(&mut self, luma: &Luma, predicted: &Quad, settings: &AppearanceSettings) -> Option<Followed> {
        let start = Pose::from_display(predicted, luma.display_from_luma);
        let recent = |pose: &Pose| self.recent.correlation(luma, pose);
        let anchor = |pose: &Pose| self.anchor.correlation(luma, pose);
        let glimpse = |pose: &Pose| self.glimpse.correlation(luma, pose);
        // The last look finds the place; both together fix it, or it would creep away frame by frame.
        let both = |pose: &Pose| (recent(pose) + anchor(pose)) / 2.0;
        let coarse = coarse_search(start, settings.reach, &glimpse);
        let pose = descend(coarse, &both);
        let (anchor, recent) = (anchor(&pose), recent(&pose));
        let quad = pose.to_display(luma.display_from_luma);
        let found = anchor >= settings.min_anchor
            && recent >= settings.min_recent
            && visible_share(&quad, luma.display()) >= settings.min_visible;
        if !found {
            return None;
        }
        let now = Patch::sample(luma, &pose, self.recent.columns, self.recent.rows)?;
        self.glimpse = now.glimpse(luma, &pose)?;
        self.recent = now;
        Some(Followed { quad, score: anchor })
    }
}

/// Share of a quad's area inside a picture of the given sides.
pub fn visible_share(quad: &Quad, (width, height): (f32, f32)) -> f32 {
    let picture = Quad::from(crate::types::geometry::Rect::new(0.0, 0.0, width, height));
    let area = quad.area();
    if area > 0.0 { quad.intersection_area(&picture) / area } else { 0.0 }
}

/// Best place on a grid around the start.
fn coarse_search(start: Pose, reach: f32, score: &impl Fn(&Pose) -> f32) -> Pose {
    let side = (start.half_width * start.half_height).sqrt() * 2.0;
    let step = (side / 12.0).clamp(1.0, 3.0);
    let steps = ((side * reach / step).ceil() as i32).clamp(2, 8);
    let mut best = (start, score(&start));
    for y in -steps..=steps {
        for x in -steps..=steps {
            best = better(best, start.moved(x as f32 * step, y as f32 * step), score);
        }
    }
    best.0
}

fn better(best: (Pose, f32), pose: Pose, score: &impl Fn(&Pose) -> f32) -> (Pose, f32) {
    let s = score(&pose);
    if s > best.1 { (pose, s) } else { best }
}

/// Descent with shrinking steps: first over the place alone, since a wrong place is easily mended by a wrong angle,
/// then over place, scale and angle.
fn descend(start: Pose, score: &impl Fn(&Pose) -> f32) -> Pose {
    let mut best = (start, score(&start));
    let side = (start.half_width * start.half_height).sqrt() * 2.0;
    let mut step = (side / 20.0).clamp(0.5, 2.0);
    let (mut scale, mut angle) = (0.05f32, 0.08f32);
    for round in 0..10 {
        let before = best;
        let p = best.0;
        for (dx, dy) in [(step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)] {
            best = better(best, p.moved(dx, dy), score);
        }
        if round >= 4 {
            for pose in [p.scaled(1.0 + scale), p.scaled(1.0 / (1.0 + scale)), p.turned(angle), p.turned(-angle)] {
                best = better(best, pose, score);
            }
        }
        if best.1 <= before.1 {
            step /= 2.0;
            if round >= 4 {
                (scale, angle) = (scale / 2.0, angle / 2.0);
            }
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::testing::{Actor, Camera, DISPLAY, World};
    use crate::types::geometry::Rect;

    #[test]
    fn objects_are_followed_until_they_are_hidden() {
        let world = World::new(3);
        // Name, size, start angle, motion per frame, turn per frame, zoom per frame.
        let table = [
            ("slow", 120.0, 0.0, (6.0, 2.0), 0.0, 1.0),
            ("fast", 120.0, 0.0, (40.0, -12.0), 0.0, 1.0),
            ("on its side", 100.0, 1.57, (10.0, 10.0), 0.02, 1.0),
            ("small", 44.0, 0.0, (5.0, 3.0), 0.0, 1.0),
            ("nearing", 100.0, 0.3, (4.0, 0.0), 0.0, 1.02),
        ];
        for (name, size, angle, step, turn, zoom) in table {
            let at = |k: i32| {
                let t = k as f32;
                let side = size * f32::powi(zoom, k);
                let c = Point::new(500.0 + step.0 * t, 350.0 + step.1 * t);
                Quad::rotated_rect(c, side, side * 1.2, angle + turn * t)
            };
            let see = |k: i32| world.luma(&Camera::default(), &[Actor { quad: at(k), seed: 99 }]);
            let mut look = Appearance::learn(&see(0), &at(0)).unwrap();
            let mut quad = at(0);
            for k in 1..10 {
                // Half of the motion is foreseen, as by a filter that is still learning.
                let ahead = quad.map(|p| Point::new(p.x + step.0 / 2.0, p.y + step.1 / 2.0));
                let followed = look.follow(&see(k), &ahead, &AppearanceSettings::default());
                quad = followed.unwrap_or_else(|| panic!("{name}: lost at {k}")).quad;
                assert!(quad.iou(&at(k)) > 0.75, "{name}: iou {} at {k}", quad.iou(&at(k)));
            }
            let empty = world.luma(&Camera::default(), &[]);
            assert_eq!(look.follow(&empty, &quad, &AppearanceSettings::default()), None, "{name}: followed a ghost");
        }
    }

    #[test]
    fn what_cannot_be_recognised_is_not_learned() {
        let world = World::new(3);
        let luma = world.luma(&Camera::default(), &[]);
        assert!(Appearance::learn(&luma, &Rect::new(10.0, 10.0, 8.0, 8.0).into()).is_none(), "two pixels");
        let flat = Luma { data: vec![77; luma.data.len()], ..luma };
        assert!(Appearance::learn(&flat, &Rect::new(100.0, 100.0, 200.0, 200.0).into()).is_none(), "flat");
    }

    #[test]
    fn share_inside_the_picture() {
        let display = (DISPLAY.width as f32, DISPLAY.height as f32);
        for (x, share) in [(100.0, 1.0), (-50.0, 0.5), (-200.0, 0.0), (1255.0, 0.25)] {
            let got = visible_share(&Rect::new(x, 100.0, 100.0, 50.0).into(), display);
            assert!((got - share).abs() < 1e-3, "{x}: {got}");
        }
    }
}
