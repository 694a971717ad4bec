//! Outline to pixels, rounded outward.

use crate::types::frame::PixelLayout;
use crate::types::geometry::{Orientation, Point, Quad, Size};
use crate::types::mask::{Coverage, Span};
use crate::types::plan::Shape;

/// The picture that masks are drawn into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Coded size, pixels.
    pub size: Size,
    /// How the coded picture stands to display space.
    pub orientation: Orientation,
    /// log2 of the grid that masks round outward to, horizontally and vertically.
    pub log2_grid: (u32, u32),
}

impl Canvas {
    /// A canvas for frames of this layout. Interlaced pictures store two moments in alternating rows, so a mask has to
    /// cover both rows of each pair on the chroma grid.
    pub fn new(size: Size, orientation: Orientation, layout: &PixelLayout, interlaced: bool) -> Self {
        let (x, y) = layout.log2_grid();
        Self { size, orientation, log2_grid: (x, y + u32::from(interlaced)) }
    }
}

/// All pixels of the canvas that the outline touches, rounded outward to the grid. `quad` is in display space; the
/// result is in coded space.
pub fn cover(quad: &Quad, shape: Shape, canvas: &Canvas) -> Coverage {
    let outline = shape.outline(quad);
    let coded: Vec<Point> =
        outline.into_iter().map(|p| canvas.orientation.coded_from_display(p, canvas.size)).collect();
    if coded.iter().any(|p| !p.x.is_finite() || !p.y.is_finite()) {
        // A place that can't be computed must not become a place that is shown.
        return Coverage::whole(canvas.size);
    }
    fill_hull(&convex_hull(coded), canvas)
}

/// Andrew's monotone chain. A quad that crosses itself (in an edited plan, say) hides its whole hull.
fn convex_hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let cross = |o: Point, a: Point, b: Point| (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
    let mut hull: Vec<Point> = Vec::with_capacity(points.len() * 2);
    for pass in 0..2 {
        let start = hull.len();
        for &p in &points {
            while hull.len() >= start + 2 && cross(hull[hull.len() - 2], hull[hull.len() - 1], p) <= 0.0 {
                hull.pop();
            }
            hull.push(p);
        }
        hull.pop();
        if pass == 0 {
            points.reverse();
        }
    }
    if hull.is_empty() { points } else { hull }
}

/// Rows of the hull. Each grid row takes the widest extent that the hull has anywhere within it.
fn fill_hull(hull: &[Point], canvas: &Canvas) -> Coverage {
    let (width, height) = (canvas.size.width, canvas.size.height);
    let (grid_w, grid_h) = (1u32 << canvas.log2_grid.0, 1u32 << canvas.log2_grid.1);
    let top = hull.iter().fold(f32::MAX, |a, p| a.min(p.y)).floor().max(0.0);
    let bottom = hull.iter().fold(f32::MIN, |a, p| a.max(p.y)).ceil().min(height as f32);
    let mut spans = Vec::new();
    if bottom <= top {
        return Coverage { spans };
    }
    let mut row = top as u32 / grid_h * grid_h;
    while row < bottom as u32 {
        let end = (row + grid_h).min(height);
        if let Some((left, right)) = extent(hull, row as f32, (row + grid_h) as f32) {
            let x0 = (left.floor().clamp(0.0, width as f32) as u32) / grid_w * grid_w;
            let x1 = (right.ceil().clamp(0.0, width as f32) as u32).next_multiple_of(grid_w).min(width);
            if x1 > x0 {
                spans.extend((row..end).map(|y| Span { y, x0, x1 }));
            }
        }
        row += grid_h;
    }
    Coverage { spans }
}

/// Least and greatest x of the convex polygon between the lines `y0` and `y1`.
fn extent(hull: &[Point], y0: f32, y1: f32) -> Option<(f32, f32)> {
    let mut range: Option<(f32, f32)> = None;
    let mut add = |x: f32| range = Some(range.map_or((x, x), |(a, b)| (a.min(x), b.max(x))));
    for (i, &a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        if (y0..=y1).contains(&a.y) {
            add(a.x);
        }
        for y in [y0, y1] {
            if (a.y < y) != (b.y < y) {
                add(a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y)));
            }
        }
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::geometry::ROUND_CORNERS;
    use crate::types::geometry::Rect;
    use proptest::prelude::*;

    fn canvas(width: u32, height: u32, orientation: Orientation, log2_grid: (u32, u32)) -> Canvas {
        Canvas { size: Size::new(width, height), orientation, log2_grid }
    }

    fn covers(coverage: &Coverage, x: u32, y: u32) -> bool {
        coverage.spans.iter().any(|s| s.y == y && s.x0 <= x && x < s.x1)
    }

    #[test]
    fn rectangles_round_outward_to_the_grid() {
        let plain = canvas(40, 30, Orientation::Upright, (0, 0));
        let chroma = canvas(40, 30, Orientation::Upright, (1, 1));
        for (name, canvas, rect, want) in [
            ("whole pixels stay", plain, Rect::new(4.0, 5.0, 6.0, 7.0), (4, 10, 5, 12)),
            ("parts of pixels count", plain, Rect::new(4.9, 5.9, 6.0, 7.0), (4, 11, 5, 13)),
            ("chroma grid", chroma, Rect::new(5.0, 5.0, 2.0, 2.0), (4, 8, 4, 8)),
            ("cut by the frame", chroma, Rect::new(-9.0, 25.0, 12.0, 99.0), (0, 4, 24, 30)),
        ] {
            let got = cover(&rect.into(), Shape::Quad, &canvas);
            let (x0, x1, y0, y1) = want;
            let expected: Vec<Span> = (y0..y1).map(|y| Span { y, x0, x1 }).collect();
            assert_eq!(got.spans, expected, "{name}");
        }
        assert!(cover(&Rect::new(50.0, 5.0, 9.0, 9.0).into(), Shape::Quad, &plain).is_empty(), "outside");
    }

    #[test]
    fn odd_sizes_keep_their_last_row_and_column() {
        let got =
            cover(&Rect::new(4.0, 4.0, 1.0, 1.0).into(), Shape::Quad, &canvas(5, 5, Orientation::Upright, (1, 1)));
        assert_eq!(got.spans, vec![Span { y: 4, x0: 4, x1: 5 }]);
    }

    #[test]
    fn a_place_that_is_not_a_number_hides_everything() {
        let quad = Quad::new([Point::new(f32::NAN, 0.0); 4]);
        let canvas = canvas(4, 4, Orientation::Upright, (0, 0));
        assert_eq!(cover(&quad, Shape::Quad, &canvas), Coverage::whole(canvas.size));
    }

    fn any_quad() -> impl Strategy<Value = Quad> {
        (-20f32..120.0, -20f32..100.0, 1f32..70.0, 1f32..70.0, -4f32..4.0)
            .prop_map(|(x, y, w, h, angle)| Quad::rotated_rect(Point::new(x, y), w, h, angle))
    }

    fn any_orientation() -> impl Strategy<Value = Orientation> {
        use Orientation::*;
        prop::sample::select(vec![
            Upright,
            FlipHorizontal,
            Rotate180,
            FlipVertical,
            Transpose,
            Rotate90,
            Transverse,
            Rotate270,
        ])
    }

    proptest! {
        /// Every point of the outline's inside is covered, in every orientation and on every grid.
        #[test]
        fn nothing_inside_is_left_out(quad in any_quad(), orientation in any_orientation(), gx in 0u32..3, gy in 0u32..3) {
            let canvas = canvas(101, 83, orientation, (gx, gy));
            let coverage = cover(&quad, Shape::Quad, &canvas);
            for y in 0..canvas.size.height {
                for x in 0..canvas.size.width {
                    // Display point of this coded pixel's centre: search by the inverse of a known map.
                    let p = Point::new(x as f32 + 0.5, y as f32 + 0.5);
                    let inside = quad
                        .map(|q| orientation.coded_from_display(q, canvas.size))
                        .contains(p);
                    prop_assert!(!inside || covers(&coverage, x, y), "({x}, {y}) is shown");
                }
            }
        }

        /// Every point inside a round outline is covered.
        #[test]
        fn round_outlines_hold_their_inscribed_points(
            quad in any_quad(), t in 0f32..6.3, r in 0f32..0.999, head in any::<bool>()
        ) {
            let canvas = canvas(101, 83, Orientation::Upright, (0, 0));
            let (shape, exponent) = if head { (Shape::Head, 3.0) } else { (Shape::Ellipse, 2.0) };
            let coverage = cover(&quad, shape, &canvas);
            let c = quad.corners;
            let (m, (s, k)) = (quad.center(), t.sin_cos());
            let on_curve = |v: f32| r * v.signum() * v.abs().powf(2.0 / exponent);
            let (k, s) = (on_curve(k), on_curve(s));
            let x = m.x + k * (c[1].x - c[0].x) / 2.0 + s * (c[3].x - c[0].x) / 2.0;
            let y = m.y + k * (c[1].y - c[0].y) / 2.0 + s * (c[3].y - c[0].y) / 2.0;
            if x >= 0.0 && y >= 0.0 && x < 101.0 && y < 83.0 {
                prop_assert!(covers(&coverage, x as u32, y as u32), "({x}, {y}) is shown");
            }
        }

        /// The polygon lies around the curve, and hardly beyond it.
        #[test]
        fn the_outline_is_circumscribed_and_close(i in 0usize..ROUND_CORNERS, t in 0f32..1.0, exponent in 2f32..4.0) {
            let outline = Quad::from(Rect::new(-1.0, -1.0, 2.0, 2.0)).superellipse_outline(exponent);
            let p = outline[i].lerp(outline[(i + 1) % ROUND_CORNERS], t);
            let level = (p.x.abs().powf(exponent) + p.y.abs().powf(exponent)).powf(1.0 / exponent);
            prop_assert!((0.999..1.02).contains(&level), "{level} at {p:?}");
        }

        /// Spans are sorted, not empty, and inside the picture.
        #[test]
        fn spans_are_well_formed(quad in any_quad(), gx in 0u32..3, gy in 0u32..3) {
            let canvas = canvas(101, 83, Orientation::Rotate90, (gx, gy));
            let coverage = cover(&quad, Shape::Ellipse, &canvas);
            for pair in coverage.spans.windows(2) {
                prop_assert!(pair[0].y < pair[1].y);
            }
            for s in &coverage.spans {
                prop_assert!(s.x0 < s.x1 && s.x1 <= 101 && s.y < 83);
            }
        }
    }
}
