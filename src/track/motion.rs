//! Motion of the whole picture between two frames, so that tracks are predicted relative to the scene.
//!
//! Method: translation of the whole picture on a coarse pyramid level, block matching around it on the fine one, then a
//! similarity fitted to the block vectors with re-weighting, so that moving foreground does not count.

use super::luma::Luma;
use crate::types::geometry::{Point, Quad};

/// `x' = a x - b y + tx`, `y' = b x + a y + ty`: rotation, uniform scale and translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    pub a: f32,
    pub b: f32,
    pub tx: f32,
    pub ty: f32,
}

impl Similarity {
    pub const IDENTITY: Similarity = Similarity { a: 1.0, b: 0.0, tx: 0.0, ty: 0.0 };

    pub fn apply(&self, p: Point) -> Point {
        Point::new(self.a * p.x - self.b * p.y + self.tx, self.b * p.x + self.a * p.y + self.ty)
    }

    pub fn apply_quad(&self, q: &Quad) -> Quad {
        q.map(|p| self.apply(p))
    }

    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Rotation, clockwise as seen.
    pub fn angle_rad(&self) -> f32 {
        self.b.atan2(self.a)
    }

    pub fn inverse(&self) -> Similarity {
        let n = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / n, -self.b / n);
        Similarity { a, b, tx: -(a * self.tx - b * self.ty), ty: -(b * self.tx + a * self.ty) }
    }

    /// First `self`, then `next`.
    pub fn then(&self, next: &Similarity) -> Similarity {
        let t = next.apply(Point::new(self.tx, self.ty));
        Similarity { a: next.a * self.a - next.b * self.b, b: next.b * self.a + next.a * self.b, tx: t.x, ty: t.y }
    }
}

/// How the picture moved from one frame to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalMotion {
    /// Takes display points of the earlier frame to the later one.
    pub transform: Similarity,
    /// Share of the textured blocks that move with it, 0 to 1; 0 when nothing could be measured.
    pub support: f32,
}

impl GlobalMotion {
    pub const NONE: GlobalMotion = GlobalMotion { transform: Similarity::IDENTITY, support: 0.0 };

    /// Longest way that a corner of a picture of `width` x `height` goes, as a share of its diagonal: for the analysis
    /// schedule.
    pub fn magnitude(&self, width: f32, height: f32) -> f32 {
        let corners =
            [Point::new(0.0, 0.0), Point::new(width, 0.0), Point::new(width, height), Point::new(0.0, height)];
        let longest = corners.iter().map(|p| self.transform.apply(*p).distance(*p)).fold(0.0, f32::max);
        longest / width.hypot(height).max(1.0)
    }
}

/// Side of the blocks that are matched, luma pixels.
const BLOCK: usize = 16;
/// Search around the coarse translation, luma pixels of the fine level.
const REACH: i32 = 5;
/// Search of the coarse level, luma pixels of that level.
const COARSE_REACH: i32 = 8;
/// Longest side of the fine level.
const FINE_SIDE: u32 = 160;

/// Estimates global motion; keeps the pyramid of the last picture.
#[derive(Default)]
pub struct MotionEstimator {
    previous: Option<(Luma, Luma)>,
}

impl MotionEstimator {
    /// Forgets the last picture: a new scene begins.
    pub fn reset(&mut self) {
        self.previous = None;
    }

    /// Motion from the picture pushed before to this one; [`GlobalMotion::NONE`] for the first of a scene.
    pub fn push(&mut self, luma: &Luma) -> GlobalMotion {
        let mut fine = luma.clone();
        while fine.size.width.max(fine.size.height) > FINE_SIDE {
            fine = fine.halved();
        }
        let coarse = fine.halved().halved();
        let motion = match &self.previous {
            Some((old_fine, old_coarse)) if old_fine.size == fine.size => {
                estimate(old_fine, old_coarse, &fine, &coarse)
            }
            _ => GlobalMotion::NONE,
        };
        self.previous = Some((fine, coarse));
        motion
    }
}

fn estimate(old: &Luma, old_coarse: &Luma, new: &Luma, new_coarse: &Luma) -> GlobalMotion {
    let (cx, cy) = coarse_translation(old_coarse, new_coarse);
    let vectors = block_vectors(old, new, cx * 4, cy * 4);
    let Some((fit, support)) = fit_similarity(&vectors) else { return GlobalMotion::NONE };
    // Luma and display space share the origin: only the translation scales.
    let k = new.display_from_luma;
    GlobalMotion { transform: Similarity { tx: fit.tx * k, ty: fit.ty * k, ..fit }, support }
}

/// Whole-picture translation with the least mean absolute difference over the common part.
fn coarse_translation(old: &Luma, new: &Luma) -> (i32, i32) {
    let (w, h) = (old.size.width as i32, old.size.height as i32);
    let (rx, ry) = (COARSE_REACH.min(w / 3), COARSE_REACH.min(h / 3));
    let cost = |dx: i32, dy: i32| -> f32 {
        let (x0, x1) = (0.max(-dx), w.min(w - dx));
        let (y0, y1) = (0.max(-dy), h.min(h - dy));
        let mut sum = 0u32;
        for y in y0..y1 {
            let a = &old.data[(y * w + x0) as usize..(y * w + x1) as usize];
            let b = &new.data[((y + dy) * w + x0 + dx) as usize..((y + dy) * w + x1 + dx) as usize];
            sum += a.iter().zip(b).map(|(p, q)| u32::from(p.abs_diff(*q))).sum::<u32>();
        }
        // A hair for standing still, so that flat pictures do not drift.
        sum as f32 / ((x1 - x0) * (y1 - y0)).max(1) as f32 + 0.01 * (dx.abs() + dy.abs()) as f32
    };
    let mut best = (cost(0, 0), 0, 0);
    for dy in -ry..=ry {
        for dx in -rx..=rx {
            let c = cost(dx, dy);
            if c < best.0 {
                best = (c, dx, dy);
            }
        }
    }
    (best.1, best.2)
}

/// Sum of absolute differences of two blocks.
fn block_difference(old: &Luma, new: &Luma, at: (usize, usize), to: (usize, usize)) -> u32 {
    let w = old.size.width as usize;
    (0..BLOCK)
        .map(|r| {
            let a = &old.data[(at.1 + r) * w + at.0..][..BLOCK];
            let b = &new.data[(to.1 + r) * w + to.0..][..BLOCK];
            a.iter().zip(b).map(|(p, q)| u32::from(p.abs_diff(*q))).sum::<u32>()
        })
        .sum()
}

/// Where the vertex of a parabola through three costs lies, -0.5 to 0.5 around the middle one.
fn vertex(left: u32, middle: u32, right: u32) -> f32 {
    let (l, m, r) = (left as f32, middle as f32, right as f32);
    let curve = l + r - 2.0 * m;
    if curve > 0.0 { ((l - r) / (2.0 * curve)).clamp(-0.5, 0.5) } else { 0.0 }
}

/// Centres of textured blocks with their places in the new picture.
fn block_vectors(old: &Luma, new: &Luma, gx: i32, gy: i32) -> Vec<(Point, Point)> {
    let (w, h) = (old.size.width as i32, old.size.height as i32);
    let block = BLOCK as i32;
    let mut vectors = Vec::new();
    for y in (0..=h - block).step_by(BLOCK) {
        for x in (0..=w - block).step_by(BLOCK) {
            let at = (x as usize, y as usize);
            if !is_textured(old, at) {
                continue;
            }
            let fits = |dx: i32, dy: i32| {
                let (nx, ny) = (x + dx, y + dy);
                nx >= 0 && ny >= 0 && nx + block <= w && ny + block <= h
            };
            let cost = |dx: i32, dy: i32| {
                fits(dx, dy).then(|| block_difference(old, new, at, ((x + dx) as usize, (y + dy) as usize)))
            };
            let mut best: Option<(u32, i32, i32)> = None;
            for dy in gy - REACH..=gy + REACH {
                for dx in gx - REACH..=gx + REACH {
                    if let Some(c) = cost(dx, dy).filter(|c| best.is_none_or(|b| *c < b.0)) {
                        best = Some((c, dx, dy));
                    }
                }
            }
            let Some((c, dx, dy)) = best else { continue };
            // A minimum on the rim of the search is no minimum.
            let (Some(l), Some(r), Some(u), Some(d)) =
                (cost(dx - 1, dy), cost(dx + 1, dy), cost(dx, dy - 1), cost(dx, dy + 1))
            else {
                continue;
            };
            let from = Point::new(x as f32 + BLOCK as f32 / 2.0, y as f32 + BLOCK as f32 / 2.0);
            let to = Point::new(from.x + dx as f32 + vertex(l, c, r), from.y + dy as f32 + vertex(u, c, d));
            vectors.push((from, to));
        }
    }
    vectors
}

fn is_textured(luma: &Luma, at: (usize, usize)) -> bool {
    let w = luma.size.width as usize;
    let mut gradients = [0u32; 2];
    for r in 0..BLOCK - 1 {
        for c in 0..BLOCK - 1 {
            let i = (at.1 + r) * w + at.0 + c;
            gradients[0] += u32::from(luma.data[i].abs_diff(luma.data[i + 1]));
            gradients[1] += u32::from(luma.data[i].abs_diff(luma.data[i + w]));
        }
    }
    // Both directions, or the block can slide along its edges.
    gradients.iter().all(|g| *g as usize > 2 * BLOCK * BLOCK)
}

/// Re-weighted least squares (Geman-McClure weights with a shrinking scale), started at the median translation.
fn fit_similarity(vectors: &[(Point, Point)]) -> Option<(Similarity, f32)> {
    if vectors.len() < 6 {
        return None;
    }
    let median = |f: &dyn Fn(&(Point, Point)) -> f32| {
        let mut v: Vec<f32> = vectors.iter().map(f).collect();
        v.sort_by(f32::total_cmp);
        v[v.len() / 2]
    };
    let mut fit = Similarity { tx: median(&|v| v.1.x - v.0.x), ty: median(&|v| v.1.y - v.0.y), ..Similarity::IDENTITY };
    for scale in [6.0f32, 4.0, 2.5, 1.5, 1.0, 1.0] {
        let weight = |v: &(Point, Point)| {
            let r = fit.apply(v.0).distance(v.1) / scale;
            1.0 / (1.0 + r * r).powi(2)
        };
        fit = weighted_fit(vectors, weight)?;
    }
    let near = vectors.iter().filter(|v| fit.apply(v.0).distance(v.1) < 1.0).count();
    let support = near as f32 / vectors.len() as f32;
    // A fit that few blocks share, or that turns or scales more than a camera can, is none.
    let sane = (0.8..1.25).contains(&fit.scale()) && fit.angle_rad().abs() < 0.35;
    (sane && support >= 0.3).then_some((fit, support))
}

fn weighted_fit(vectors: &[(Point, Point)], weight: impl Fn(&(Point, Point)) -> f32) -> Option<Similarity> {
    let (mut n, mut p, mut q) = (0.0f64, [0.0f64; 2], [0.0f64; 2]);
    let weights: Vec<f64> = vectors.iter().map(|v| f64::from(weight(v))).collect();
    for (w, v) in weights.iter().zip(vectors) {
        n += w;
        p = [p[0] + w * f64::from(v.0.x), p[1] + w * f64::from(v.0.y)];
        q = [q[0] + w * f64::from(v.1.x), q[1] + w * f64::from(v.1.y)];
    }
    if n < 1e-6 {
        return None;
    }
    let (p, q) = (p.map(|v| v / n), q.map(|v| v / n));
    let (mut dot, mut cross, mut norm) = (0.0, 0.0, 0.0);
    for (w, v) in weights.iter().zip(vectors) {
        let (x, y) = (f64::from(v.0.x) - p[0], f64::from(v.0.y) - p[1]);
        let (u, z) = (f64::from(v.1.x) - q[0], f64::from(v.1.y) - q[1]);
        dot += w * (x * u + y * z);
        cross += w * (x * z - y * u);
        norm += w * (x * x + y * y);
    }
    if norm < 1e-6 {
        return None;
    }
    let (a, b) = (dot / norm, cross / norm);
    let (tx, ty) = (q[0] - (a * p[0] - b * p[1]), q[1] - (b * p[0] + a * p[1]));
    Some(Similarity { a: a as f32, b: b as f32, tx: tx as f32, ty: ty as f32 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::track::testing::{Camera, World};

    #[test]
    fn known_camera_motions_are_found() {
        let still = Camera::default();
        let table = [
            ("still", still),
            ("pan", Camera { x: 40.0, y: -18.0, ..still }),
            ("fast pan", Camera { x: -150.0, ..still }),
            ("zoom", Camera { zoom: 1.04, ..still }),
            ("roll", Camera { roll_rad: 0.03, ..still }),
            ("all", Camera { x: 12.0, y: 9.0, zoom: 0.97, roll_rad: -0.02 }),
        ];
        let world = World::new(7);
        for (name, camera) in table {
            let mut estimator = MotionEstimator::default();
            assert_eq!(estimator.push(&world.luma(&still, &[])), GlobalMotion::NONE);
            let motion = estimator.push(&world.luma(&camera, &[]));
            assert!(motion.support > 0.5, "{name}: {motion:?}");
            for p in [Point::new(300.0, 200.0), Point::new(900.0, 600.0)] {
                let truth = camera.display_from_world(still.world_from_display(p));
                let off = motion.transform.apply(p).distance(truth);
                assert!(off < 6.0, "{name}: {off} px off at {p:?}, {motion:?}");
            }
        }
    }

    #[test]
    fn flat_pictures_and_new_sizes_give_no_motion() {
        let flat = |w: u32, h: u32| Luma {
            size: crate::types::geometry::Size::new(w, h),
            data: vec![90; (w * h) as usize],
            display_from_luma: 4.0,
        };
        let mut estimator = MotionEstimator::default();
        for (w, h) in [(320, 180), (320, 180), (1, 1), (1, 1), (3, 200), (3, 200), (320, 180)] {
            assert_eq!(estimator.push(&flat(w, h)), GlobalMotion::NONE, "{w}x{h}");
        }
    }

    proptest! {
        #[test]
        fn inverse_undoes(angle in -1f32..1.0, scale in 0.5f32..2.0, tx in -300f32..300.0, x in 0f32..1000.0) {
            let s = Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx, ty: -tx / 3.0 };
            let p = Point::new(x, 500.0 - x);
            prop_assert!(s.inverse().apply(s.apply(p)).distance(p) < 0.05);
            prop_assert!(s.then(&s).apply(p).distance(s.apply(s.apply(p))) < 0.5);
        }
    }
}
