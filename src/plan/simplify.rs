//! Few keyframes for many frames, so that no mask ever gets smaller.

use crate::types::geometry::Quad;
use crate::types::plan::Shape;

/// Longest stretch between two keyframes, frames: bounds the work, and what an edit of one keyframe touches.
const MAX_STRETCH: usize = 240;

/// How much a mask may grow for the sake of fewer keyframes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// Share of the mean side, and least in display pixels.
    pub share: f32,
    pub least_px: f32,
}

impl Default for Slack {
    fn default() -> Self {
        Self { share: 0.015, least_px: 0.75 }
    }
}

/// Whether the mask of `shape` in `outer` hides all of the mask in `inner`.
pub fn covers(shape: Shape, outer: &Quad, inner: &Quad) -> bool {
    match shape {
        Shape::Quad => outer.is_convex() && outer.contains_quad(inner),
        Shape::Ellipse => ellipse_covers(outer, inner),
        Shape::Head => outline_covers(shape, outer, inner),
    }
}

/// Centre and half axes (to the middles of the right and bottom edges) of the ellipse inscribed in a parallelogram.
fn half_axes(q: &Quad) -> ([f64; 2], [f64; 2], [f64; 2]) {
    let c = q.corners.map(|p| [f64::from(p.x), f64::from(p.y)]);
    let mean = |k: usize| c.iter().map(|p| p[k]).sum::<f64>() / 4.0;
    let half = |a: [usize; 2], b: [usize; 2], k: usize| (c[a[0]][k] + c[a[1]][k] - c[b[0]][k] - c[b[1]][k]) / 4.0;
    let center = [mean(0), mean(1)];
    (center, [half([1, 2], [0, 3], 0), half([1, 2], [0, 3], 1)], [half([2, 3], [0, 1], 0), half([2, 3], [0, 1], 1)])
}

/// In the space where the outer ellipse is the unit circle, the inner one is its centre plus a linear map of the unit
/// circle: it lies inside when the centre's distance and the map's largest stretch add up to at most 1.
fn ellipse_covers(outer: &Quad, inner: &Quad) -> bool {
    let (oc, ou, ov) = half_axes(outer);
    let (ic, iu, iv) = half_axes(inner);
    let det = ou[0] * ov[1] - ou[1] * ov[0];
    if det.abs() < 1e-9 {
        return false;
    }
    let local = |p: [f64; 2]| [(p[0] * ov[1] - p[1] * ov[0]) / det, (ou[0] * p[1] - ou[1] * p[0]) / det];
    let d = local([ic[0] - oc[0], ic[1] - oc[1]]);
    let (u, v) = (local(iu), local(iv));
    let (a, b, c) = (u[0] * u[0] + v[0] * v[0], u[0] * u[1] + v[0] * v[1], u[1] * u[1] + v[1] * v[1]);
    let stretch = ((a + c) / 2.0 + (((a - c) / 2.0).powi(2) + b * b).sqrt()).sqrt();
    d[0].hypot(d[1]) + stretch <= 1.0
}

/// Distance in pixels by which rounding may put a corner outside of the outline that it lies on.
const ON_EDGE_PX: f32 = 0.01;

/// What is drawn for a round shape is a convex polygon: the outer one holds the inner one when it holds its corners.
fn outline_covers(shape: Shape, outer: &Quad, inner: &Quad) -> bool {
    let edges = shape.outline(outer);
    let inner = shape.outline(inner);
    let clockwise = (0..edges.len()).all(|i| {
        let (a, b) = (edges[i], edges[(i + 1) % edges.len()]);
        let length = a.distance(b).max(f32::MIN_POSITIVE);
        inner.iter().all(|p| (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x) >= -ON_EDGE_PX * length)
    });
    clockwise && outer.area() > 0.0
}

/// Indices of the keyframes with their quads, for one quad a frame. The first and the last frame always are among them,
/// so are those in `forced` (ascending). Interpolated linearly, they cover the mask of every frame.
pub fn simplify(quads: &[Quad], forced: &[usize], shape: Shape, slack: Slack) -> Vec<(usize, Quad)> {
    let Some(first) = quads.first() else { return Vec::new() };
    let inflated = |i: usize, like: &Quad| {
        let q = &quads[i];
        // Regions of the operator and the whole picture are taken as they are.
        let by = (slack.share * q.area().sqrt()).max(slack.least_px);
        q.inflated(by).aligned_to(like)
    };
    let still = quads.iter().all(|q| q == first);
    if still {
        let mut keys: Vec<(usize, Quad)> = forced.iter().map(|&i| (i, *first)).collect();
        if keys.first().is_none_or(|k| k.0 != 0) {
            keys.insert(0, (0, *first));
        }
        return keys;
    }
    let mut keys = vec![(0, inflated(0, first))];
    let mut from = 0;
    while from + 1 < quads.len() {
        let stop = forced.iter().copied().find(|&f| f > from).unwrap_or(usize::MAX);
        let limit = stop.min(from + MAX_STRETCH).min(quads.len() - 1);
        let start = keys[keys.len() - 1].1;
        let holds = |to: usize| {
            let end = inflated(to, &start);
            (from + 1..to).all(|i| {
                let t = (i - from) as f32 / (to - from) as f32;
                covers(shape, &start.lerp(&end, t), &quads[i])
            })
        };
        let to = longest(from + 1, limit, holds);
        keys.push((to, inflated(to, &start)));
        from = to;
    }
    keys
}

/// Largest value that was seen to hold, found by doubling and halving; `least` holds always.
fn longest(least: usize, limit: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut good, mut step) = (least, 1);
    let mut bad = limit + 1;
    while good + step <= limit {
        if !holds(good + step) {
            bad = good + step;
            break;
        }
        good += step;
        step *= 2;
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if holds(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::geometry::Point;

    fn at(keys: &[(usize, Quad)], i: usize) -> Quad {
        let after = keys.partition_point(|k| k.0 < i);
        match (after.checked_sub(1).and_then(|k| keys.get(k)), keys.get(after)) {
            (Some(a), Some(b)) => a.1.lerp(&b.1, (i - a.0) as f32 / (b.0 - a.0) as f32),
            (Some(k), None) | (None, Some(k)) => k.1,
            (None, None) => panic!("no keyframes"),
        }
    }

    #[test]
    fn even_motion_needs_two_keyframes() {
        let quads: Vec<Quad> =
            (0..100).map(|k| Quad::rotated_rect(Point::new(100.0 + 3.0 * k as f32, 200.0), 60.0, 80.0, 0.3)).collect();
        for shape in [Shape::Quad, Shape::Ellipse, Shape::Head] {
            assert_eq!(simplify(&quads, &[], shape, Slack::default()).len(), 2);
        }
        let still = vec![quads[0]; 5000];
        assert_eq!(simplify(&still, &[], Shape::Quad, Slack::default()), vec![(0, quads[0])]);
        assert_eq!(simplify(&still, &[0, 70], Shape::Quad, Slack::default()).len(), 2);
        assert_eq!(simplify(&quads[..1], &[], Shape::Quad, Slack::default()).len(), 1);
    }

    #[test]
    fn an_ellipse_beside_is_not_covered() {
        let circle = Quad::rotated_rect(Point::new(50.0, 50.0), 100.0, 100.0, 0.0);
        // The quad holds the circle's quad, but its ellipse is thinner at the end where the circle lies.
        let long = Quad::rotated_rect(Point::new(100.0, 50.0), 202.0, 102.0, 0.0);
        assert!(covers(Shape::Quad, &long, &circle));
        assert!(!covers(Shape::Ellipse, &long, &circle));
    }

    proptest! {
        #[test]
        fn simplified_masks_only_grow(
            start in (0f32..1000.0, 0f32..1000.0, 4f32..300.0, 4f32..300.0, -3f32..3.0),
            steps in prop::collection::vec((-30f32..30.0, -30f32..30.0, 0.85f32..1.18, 0.85f32..1.18, -1.6f32..1.6), 0..60),
            calm in 0f32..1.0,
            forced in prop::collection::btree_set(0usize..60, 0..5),
            ellipse in any::<bool>(),
        ) {
            let (mut x, mut y, mut w, mut h, mut a) = start;
            let mut quads = vec![Quad::rotated_rect(Point::new(x, y), w, h, a)];
            for s in steps {
                (x, y, a) = (x + s.0 * calm, y + s.1 * calm, a + s.4 * calm * calm);
                (w, h) = ((w * s.2.powf(calm)).clamp(2.0, 900.0), (h * s.3.powf(calm)).clamp(2.0, 900.0));
                quads.push(Quad::rotated_rect(Point::new(x, y), w, h, a));
            }
            let forced: Vec<usize> = forced.into_iter().filter(|f| *f < quads.len()).collect();
            let shape = if ellipse { Shape::Ellipse } else { Shape::Quad };
            let keys = simplify(&quads, &forced, shape, Slack::default());
            prop_assert!(keys.windows(2).all(|k| k[0].0 < k[1].0));
            for f in &forced {
                prop_assert!(keys.iter().any(|k| k.0 == *f));
            }
            for (i, q) in quads.iter().enumerate() {
                prop_assert!(covers(shape, &at(&keys, i), q), "frame {i}");
            }
        }

        #[test]
        fn covered_ellipses_lie_inside(
            a in (0f32..20.0, 0f32..20.0, 50f32..100.0, 50f32..100.0, -3f32..3.0),
            b in (0f32..20.0, 0f32..20.0, 5f32..60.0, 5f32..60.0, -3f32..3.0),
        ) {
            let quad = |p: (f32, f32, f32, f32, f32)| Quad::rotated_rect(Point::new(p.0, p.1), p.2, p.3, p.4);
            let (outer, inner) = (quad(a), quad(b));
            prop_assume!(covers(Shape::Ellipse, &outer, &inner));
            for k in 0..64 {
                let t = k as f32 / 64.0 * std::f32::consts::TAU;
                let (s, c) = b.4.sin_cos();
                let (u, v) = (t.cos() * b.2 / 2.0, t.sin() * b.3 / 2.0);
                let (x, y) = (b.0 + u * c - v * s - a.0, b.1 + u * s + v * c - a.1);
                let (s, c) = a.4.sin_cos();
                let (u, v) = ((x * c + y * s) / (a.2 / 2.0), (y * c - x * s) / (a.3 / 2.0));
                prop_assert!(u.hypot(v) <= 1.001);
            }
        }
    }
}
