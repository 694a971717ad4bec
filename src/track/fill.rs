//! From sparse detections to a place in every frame: gaps, and smoothing that never uncovers what was found.

use super::motion::Similarity;
use super::predict::angle_between;
use crate::types::geometry::{Margins, Point, Quad};
use crate::types::time::FrameIndex;
use crate::types::track::{Origin, TrackPoint};

/// Growth of a filled quad on each side per frame from the nearest detection, as a share of its side, and its end.
const GROWTH_PER_FRAME: f32 = 0.01;
const MAX_GROWTH: f32 = 0.15;
/// A turn between neighbours that is no motion but another orientation found.
const ANGLE_JUMP: f32 = 0.7;

/// A frame between two detections.
#[derive(Clone, Copy, Debug)]
pub struct GapFrame {
    pub frame: FrameIndex,
    pub pts: i64,
    /// Camera motion from the frame before.
    pub camera: Similarity,
    /// Where the object was followed to by its looks.
    pub followed: Option<Quad>,
}

/// Interpolated points for the frames of `gap`, which lie between `from` and `to`; `last_camera` is the camera motion
/// into the frame of `to`. The object is taken to move evenly relative to the scene; where it was followed by its looks,
/// the `core` of that place (a share of its sides) is covered too.
pub fn fill_gap(
    from: &TrackPoint,
    to: &TrackPoint,
    gap: &[GapFrame],
    last_camera: &Similarity,
    core: f32,
) -> Vec<TrackPoint> {
    let mut forward = Vec::with_capacity(gap.len());
    let mut carried = from.quad;
    for step in gap {
        carried = step.camera.apply_quad(&carried);
        forward.push(carried);
    }
    let mut backward = vec![to.quad; gap.len()];
    let mut undone = last_camera.inverse();
    for (k, step) in gap.iter().enumerate().rev() {
        backward[k] = undone.apply_quad(&to.quad);
        undone = undone.then(&step.camera.inverse());
    }
    let count = gap.len() as f32 + 1.0;
    gap.iter()
        .enumerate()
        .map(|(k, step)| {
            let even = between(&forward[k], &backward[k], (k + 1) as f32 / count);
            let nearest = (k + 1).min(gap.len() - k) as f32;
            let grown = even.grown(Margins::even((GROWTH_PER_FRAME * nearest).min(MAX_GROWTH)));
            let quad = step.followed.map_or(grown, |f| covering(&[grown, f.core(core)], even.angle_rad()));
            TrackPoint { frame: step.frame, pts: step.pts, quad, origin: Origin::Interpolated, score: 0.0 }
        })
        .collect()
}

/// Place between two quads by centre, sides and angle; both together when they are turned too differently.
fn between(a: &Quad, b: &Quad, t: f32) -> Quad {
    let turn = angle_between(a.angle_rad(), b.angle_rad());
    if turn.abs() > ANGLE_JUMP {
        return covering(&[*a, *b], a.angle_rad());
    }
    let mix = |x: f32, y: f32| x + (y - x) * t;
    let (w, h) = (mix(a.width(), b.width()), mix(a.height(), b.height()));
    Quad::rotated_rect(a.center().lerp(b.center(), t), w, h, a.angle_rad() + turn * t)
}

/// Rectangle of the given angle around several quads.
pub fn covering(quads: &[Quad], angle_rad: f32) -> Quad {
    let points: Vec<Point> = quads.iter().flat_map(|q| q.corners).collect();
    Quad::around(&points, angle_rad)
}

/// Smooths the places of consecutive frames without lag, over `radius` frames to both sides. Each smoothed quad has at
/// least the mean sides of those around, and contains the `core` (a share of the sides) of the one that it replaces and
/// of that place half-way to both neighbours, so that motion within the exposure is covered. With a core of 1 nothing
/// found is given up; boxes that scatter and are larger than what they hold need less.
pub fn smooth(points: &mut [TrackPoint], radius: usize, core: f32) {
    let mut start = 0;
    for i in 1..=points.len() {
        let breaks = i == points.len()
            || angle_between(points[i - 1].quad.angle_rad(), points[i].quad.angle_rad()).abs() > ANGLE_JUMP;
        if breaks {
            smooth_run(&mut points[start..i], radius, core);
            start = i;
        }
    }
}

fn window(i: usize, radius: usize, len: usize) -> std::ops::Range<usize> {
    // Symmetric also near the ends, where a lopsided mean would lag.
    let r = radius.min(i).min(len - 1 - i);
    i - r..i + r + 1
}

fn smooth_run(points: &mut [TrackPoint], radius: usize, core: f32) {
    let n = points.len();
    if n == 0 {
        return;
    }
    let mut angles = vec![points[0].quad.angle_rad()];
    for p in &points[1..] {
        let last = angles[angles.len() - 1];
        angles.push(last + angle_between(last, p.quad.angle_rad()));
    }
    let centers: Vec<Point> = points.iter().map(|p| p.quad.center()).collect();
    let mut frames = Vec::with_capacity(n);
    let mut extents = Vec::with_capacity(n);
    for i in 0..n {
        let range = window(i, radius, n);
        let count = range.len() as f32;
        let sum = centers[range.clone()].iter().fold(Point::default(), |a, p| Point::new(a.x + p.x, a.y + p.y));
        let center = Point::new(sum.x / count, sum.y / count);
        let angle = angles[range].iter().sum::<f32>() / count;
        frames.push((center, angle));
        extents.push(extent(points, i, center, angle, core));
    }
    let halves: Vec<[f32; 2]> = points.iter().map(|p| [p.quad.width() / 2.0, p.quad.height() / 2.0]).collect();
    for i in 0..n {
        let near = window(i, radius, n);
        // Largest over the radius, then the mean of those: smooth, and never below the value itself.
        let around = |k: usize| k.saturating_sub(radius)..(k + radius + 1).min(n);
        let side = |s: usize| {
            let largest = |k: usize| extents[around(k)].iter().map(|e: &[f32; 4]| e[s]).fold(f32::MIN, f32::max);
            let mean = near.clone().map(|k| halves[k][s % 2]).sum::<f32>() / near.len() as f32;
            mean.max(around(i).map(largest).sum::<f32>() / around(i).len() as f32)
        };
        points[i].quad = rectangle(frames[i].0, frames[i].1, std::array::from_fn(side));
    }
}

/// How far the core of point `i`, and its way half to the neighbours, reaches from `center` to the left, top, right and
/// bottom of a frame turned by `angle`.
fn extent(points: &[TrackPoint], i: usize, center: Point, angle: f32, core: f32) -> [f32; 4] {
    let quad = points[i].quad.core(core);
    let neighbours = [i.checked_sub(1), Some(i + 1).filter(|&j| j < points.len())];
    let ways = neighbours.into_iter().flatten().map(|j| quad.lerp(&points[j].quad.core(core), 0.5));
    let (s, c) = angle.sin_cos();
    let mut out = [f32::MIN; 4];
    for p in std::iter::once(quad).chain(ways).flat_map(|q| q.corners) {
        let (x, y) = (p.x - center.x, p.y - center.y);
        let (u, v) = (x * c + y * s, y * c - x * s);
        for (o, d) in out.iter_mut().zip([-u, -v, u, v]) {
            *o = o.max(d);
        }
    }
    out
}

fn rectangle(center: Point, angle: f32, [left, top, right, bottom]: [f32; 4]) -> Quad {
    // A hair against rounding.
    let hair = 0.01 + 1e-5 * (center.x.abs() + center.y.abs() + left.abs() + top.abs() + right.abs() + bottom.abs());
    let (s, c) = angle.sin_cos();
    let corner = |u: f32, v: f32| Point::new(center.x + u * c - v * s, center.y + u * s + v * c);
    let (l, t, r, b) = (-left - hair, -top - hair, right + hair, bottom + hair);
    Quad::new([corner(l, t), corner(r, t), corner(r, b), corner(l, b)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(frame: FrameIndex, quad: Quad) -> TrackPoint {
        TrackPoint { frame, pts: frame as i64, quad, origin: Origin::Detected, score: 0.9 }
    }

    #[test]
    fn gaps_follow_the_camera() {
        // The camera pans back and forth; the object stands still in the scene.
        let quad = Quad::rotated_rect(Point::new(300.0, 300.0), 60.0, 80.0, 0.2);
        let pans = [40.0, -25.0, 60.0, -10.0, 35.0];
        let pan = |tx: f32| Similarity { tx, ..Similarity::IDENTITY };
        let mut truth = vec![quad];
        for tx in pans {
            truth.push(pan(tx).apply_quad(truth.last().unwrap()));
        }
        let gap: Vec<GapFrame> = (1..5)
            .map(|k| GapFrame { frame: k, pts: k as i64, camera: pan(pans[k as usize - 1]), followed: None })
            .collect();
        let filled = fill_gap(&point(0, truth[0]), &point(5, truth[5]), &gap, &pan(pans[4]), 1.0);
        assert_eq!(filled.len(), 4);
        for p in filled {
            assert_eq!(p.origin, Origin::Interpolated);
            assert!(p.quad.inflated(0.5).contains_quad(&truth[p.frame as usize]), "frame {}", p.frame);
        }
    }

    #[test]
    fn followed_places_and_turned_ends_are_covered() {
        let upright = Quad::rotated_rect(Point::new(300.0, 300.0), 60.0, 80.0, 0.0);
        let aside = Quad::rotated_rect(Point::new(340.0, 320.0), 60.0, 80.0, 0.1);
        let gap = [GapFrame { frame: 1, pts: 1, camera: Similarity::IDENTITY, followed: Some(aside) }];
        let filled = fill_gap(&point(0, upright), &point(2, upright), &gap, &Similarity::IDENTITY, 1.0);
        assert!(filled[0].quad.contains_quad(&aside) && filled[0].quad.contains_quad(&upright));
        let down = Quad::rotated_rect(Point::new(300.0, 300.0), 60.0, 80.0, 3.1);
        let gap = [GapFrame { followed: None, ..gap[0] }];
        let filled = fill_gap(&point(0, upright), &point(2, down), &gap, &Similarity::IDENTITY, 1.0);
        assert!(filled[0].quad.contains_quad(&upright) && filled[0].quad.contains_quad(&down));
    }

    #[test]
    fn smoothing_takes_jitter_away() {
        let mut points: Vec<TrackPoint> = (0..40)
            .map(|k| {
                let shake = if k % 2 == 0 { 4.0 } else { -4.0 };
                point(k, Quad::rotated_rect(Point::new(200.0 + 5.0 * k as f32 + shake, 200.0), 60.0, 80.0, 0.0))
            })
            .collect();
        let jerk = |p: &[TrackPoint]| -> f32 {
            let left = |i: usize| p[i].quad.corners[0].x;
            (6..34).map(|i| (left(i + 1) - 2.0 * left(i) + left(i - 1)).abs()).sum()
        };
        let before = jerk(&points);
        smooth(&mut points, 3, 0.85);
        assert!(jerk(&points) < before / 4.0, "{} of {before}", jerk(&points));
    }

    proptest! {
        #[test]
        fn smoothed_contains_the_core_of_raw(
            start in (0f32..1000.0, 0f32..1000.0, 10f32..300.0, 10f32..300.0, -3f32..3.0),
            steps in prop::collection::vec((-40f32..40.0, -40f32..40.0, 0.8f32..1.25, 0.8f32..1.25, -1.5f32..1.5), 0..30),
            radius in 0usize..6,
            core in 0.7f32..1.0,
        ) {
            let (mut x, mut y, mut w, mut h, mut a) = start;
            let mut points = vec![point(0, Quad::rotated_rect(Point::new(x, y), w, h, a))];
            for (i, s) in steps.into_iter().enumerate() {
                (x, y, w, h, a) = (x + s.0, y + s.1, (w * s.2).clamp(2.0, 900.0), (h * s.3).clamp(2.0, 900.0), a + s.4);
                points.push(point(i as u64 + 1, Quad::rotated_rect(Point::new(x, y), w, h, a)));
            }
            let raw = points.clone();
            smooth(&mut points, radius, core);
            for (s, r) in points.iter().zip(&raw) {
                let held = r.quad.core(core);
                prop_assert!(s.quad.contains_quad(&held), "{:?} leaves {:?}", s.quad, held);
            }
        }
    }
}
