//! Areas, containment and enclosing rectangles of convex quads.

use super::geometry::{Point, Quad};

/// Twice the signed area of the triangle `a`, `b`, `p`; in double precision, since neighbouring quads share edges.
fn side(a: Point, b: Point, p: Point) -> f64 {
    let (ax, ay) = (f64::from(a.x), f64::from(a.y));
    (f64::from(b.x) - ax) * (f64::from(p.y) - ay) - (f64::from(b.y) - ay) * (f64::from(p.x) - ax)
}

fn polygon_area(points: &[Point]) -> f32 {
    let Some(&origin) = points.first() else { return 0.0 };
    let twice: f64 = points.windows(2).map(|w| side(origin, w[0], w[1])).sum();
    (twice.abs() / 2.0) as f32
}

impl Quad {
    /// Whether its corners turn one way only and enclose an area.
    pub fn is_convex(&self) -> bool {
        let c = &self.corners;
        let turns: [f64; 4] = std::array::from_fn(|i| side(c[i], c[(i + 1) % 4], c[(i + 2) % 4]));
        let one_way = turns.iter().all(|t| *t >= 0.0) || turns.iter().all(|t| *t <= 0.0);
        one_way && self.area() > 0.0
    }

    /// Whether all corners of `inner` lie inside or on the edge of this convex quad.
    pub fn contains_quad(&self, inner: &Quad) -> bool {
        let c = &self.corners;
        let all =
            |sign: f64| (0..4).all(|i| inner.corners.iter().all(|p| sign * side(c[i], c[(i + 1) % 4], *p) >= 0.0));
        all(1.0) || all(-1.0)
    }

    /// Area common to two convex quads (Sutherland-Hodgman clipping).
    pub fn intersection_area(&self, other: &Quad) -> f32 {
        if self.bounds().intersection(other.bounds()).is_none() {
            return 0.0;
        }
        let c = &other.corners;
        let turn = if (0..4).map(|i| side(c[0], c[i], c[(i + 1) % 4])).sum::<f64>() >= 0.0 { 1.0 } else { -1.0 };
        let mut polygon = self.corners.to_vec();
        for i in 0..4 {
            polygon = clipped_by_edge(&polygon, |p| turn * side(c[i], c[(i + 1) % 4], p));
        }
        polygon_area(&polygon)
    }

    /// Intersection over union of two convex quads, 0 for empty ones.
    pub fn iou(&self, other: &Quad) -> f32 {
        let inter = self.intersection_area(other);
        let union = self.area() + other.area() - inter;
        if union > 0.0 { inter / union } else { 0.0 }
    }

    /// Ranges of the corners along a direction and across it (clockwise from it, as seen).
    pub fn extents(&self, angle_rad: f32) -> [(f32, f32); 2] {
        let (s, c) = angle_rad.sin_cos();
        let range = |f: &dyn Fn(&Point) -> f32| {
            self.corners.iter().map(f).fold((f32::MAX, f32::MIN), |(lo, hi), v| (lo.min(v), hi.max(v)))
        };
        [range(&|p| p.x * c + p.y * s), range(&|p| p.y * c - p.x * s)]
    }

    /// Angle between the top edges of two quads of text, radians, up to a quarter turn: a line reads the same from
    /// either end.
    pub fn turn_between(&self, other: &Quad) -> f32 {
        let turn = (other.angle_rad() - self.angle_rad()).rem_euclid(std::f32::consts::PI);
        turn.min(std::f32::consts::PI - turn)
    }

    /// Smallest rectangle, turned by `angle_rad`, around all points. Grown by a hair, so that rounding never leaves one
    /// of them outside.
    pub fn around(points: &[Point], angle_rad: f32) -> Quad {
        let (s, c) = f64::from(angle_rad).sin_cos();
        let (mut lo, mut hi) = ([f64::MAX; 2], [f64::MIN; 2]);
        for p in points {
            let (x, y) = (f64::from(p.x), f64::from(p.y));
            for (k, v) in [x * c + y * s, y * c - x * s].into_iter().enumerate() {
                lo[k] = lo[k].min(v);
                hi[k] = hi[k].max(v);
            }
        }
        let reach = lo.iter().chain(&hi).fold(1.0f64, |a, v| a.max(v.abs()));
        let hair = 1e-6 * reach + 1e-3;
        let corner = |u: f64, v: f64| Point::new((u * c - v * s) as f32, (u * s + v * c) as f32);
        let (u0, v0, u1, v1) = (lo[0] - hair, lo[1] - hair, hi[0] + hair, hi[1] + hair);
        Quad::new([corner(u0, v0), corner(u1, v0), corner(u1, v1), corner(u0, v1)])
    }

    /// The same place with its corners counted from another one, so that they lie nearest to those of `other`: quads
    /// that are interpolated corner by corner must not turn inside out.
    pub fn aligned_to(&self, other: &Quad) -> Quad {
        let order = |shift: usize| Quad::new(std::array::from_fn(|i| self.corners[(i + shift) % 4]));
        let distance = |q: &Quad| -> f32 { (0..4).map(|i| q.corners[i].distance(other.corners[i])).sum() };
        (1..4).map(order).fold(*self, |best, q| if distance(&q) < distance(&best) { q } else { best })
    }

    /// The rectangle of the same centre, angle and mean sides, with each side moved outward by `distance` pixels.
    pub fn inflated(&self, distance: f32) -> Quad {
        let (w, h) = (self.width() + 2.0 * distance, self.height() + 2.0 * distance);
        Quad::rotated_rect(self.center(), w, h, self.angle_rad())
    }
}

fn clipped_by_edge(polygon: &[Point], inside: impl Fn(Point) -> f64) -> Vec<Point> {
    let mut out = Vec::with_capacity(polygon.len() + 1);
    for (i, &b) in polygon.iter().enumerate() {
        let a = polygon[(i + polygon.len() - 1) % polygon.len()];
        let (da, db) = (inside(a), inside(b));
        if (da >= 0.0) != (db >= 0.0) {
            out.push(a.lerp(b, (da / (da - db)) as f32));
        }
        if db >= 0.0 {
            out.push(b);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::geometry::Rect;

    fn rect(x: f32, y: f32, w: f32, h: f32) -> Quad {
        Rect::new(x, y, w, h).into()
    }

    #[test]
    fn areas_far_from_the_origin() {
        for at in [0.0, 20_000.0, 100_000.0] {
            assert_eq!(rect(at, at, 3.0, 5.0).area(), 15.0, "{at}");
        }
    }

    #[test]
    fn areas_of_known_overlaps() {
        let square = rect(0.0, 0.0, 10.0, 10.0);
        let table = [
            (rect(0.0, 0.0, 10.0, 10.0), 100.0),
            (rect(5.0, 0.0, 10.0, 10.0), 50.0),
            (rect(2.0, 3.0, 4.0, 5.0), 20.0),
            (rect(10.0, 0.0, 5.0, 5.0), 0.0),
            (rect(20.0, 20.0, 5.0, 5.0), 0.0),
            // A square on its corner, its tips cut by the sides.
            (Quad::rotated_rect(Point::new(5.0, 5.0), 10.0, 10.0, std::f32::consts::FRAC_PI_4), 82.84),
        ];
        for (other, area) in table {
            assert!((square.intersection_area(&other) - area).abs() < 0.01, "{other:?}");
            assert!((other.intersection_area(&square) - area).abs() < 0.01, "{other:?} swapped");
        }
    }

    #[test]
    fn turned_corners_are_realigned() {
        let q = rect(3.0, 4.0, 20.0, 10.0);
        for shift in 0..4 {
            let turned = Quad::new(std::array::from_fn(|i| q.corners[(i + shift) % 4]));
            assert_eq!(turned.aligned_to(&q), q);
        }
    }

    fn any_rect() -> impl Strategy<Value = Quad> {
        (-500f32..2000.0, -500f32..2000.0, 1f32..600.0, 1f32..600.0, -3.1f32..3.1)
            .prop_map(|(x, y, w, h, a)| Quad::rotated_rect(Point::new(x, y), w, h, a))
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_bounded(a in any_rect(), b in any_rect()) {
            let (ab, ba) = (a.intersection_area(&b), b.intersection_area(&a));
            prop_assert!((ab - ba).abs() <= 1e-3 * a.area().max(b.area()) + 0.1);
            prop_assert!(ab <= a.area().min(b.area()) * 1.001 + 0.1);
            prop_assert!((0.0..=1.001).contains(&a.iou(&b)));
            prop_assert!(a.is_convex());
        }

        #[test]
        fn enclosing_rectangle_contains(a in any_rect(), b in any_rect(), angle in -3.1f32..3.1) {
            let points: Vec<Point> = a.corners.iter().chain(&b.corners).copied().collect();
            let hull = Quad::around(&points, angle);
            prop_assert!(hull.contains_quad(&a) && hull.contains_quad(&b));
        }

        #[test]
        fn inflated_contains_original(a in any_rect(), by in 0.5f32..20.0) {
            prop_assert!(a.inflated(by).contains_quad(&a));
        }
    }
}
