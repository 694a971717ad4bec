//! Points, rectangles, quads and the conversions between coordinate spaces.
//!
//! Spaces: **display** is the upright output picture in pixels (after cropping and rotation, before the sample aspect
//! ratio), origin at the top left corner of the top left pixel. **coded** is the picture as the decoder hands it out.
//! **picture** is a (scaled) upright analysis picture, **model** what a network sees. Plans, flags, findings and reports
//! speak display space only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Corners of the polygon that stands for a round outline. It is drawn around it, so none of it is lost.
pub const ROUND_CORNERS: usize = 64;

/// A point; the unit is a pixel of the space that the holder names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

impl Point {
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Linear interpolation: `t` = 0 gives `self`, 1 gives `other`.
    pub fn lerp(self, other: Point, t: f32) -> Point {
        Point::new(self.x + (other.x - self.x) * t, self.y + (other.y - self.y) * t)
    }

    pub fn distance(self, other: Point) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    pub fn long_side(self) -> u32 {
        self.width.max(self.height)
    }

    pub const fn transposed(self) -> Self {
        Self { width: self.height, height: self.width }
    }
}

/// An axis-parallel rectangle: left, top, width, height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rect {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

impl Rect {
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    pub fn area(self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    pub fn center(self) -> Point {
        Point::new(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    pub fn intersection(self, other: Rect) -> Option<Rect> {
        let x0 = self.x.max(other.x);
        let y0 = self.y.max(other.y);
        let x1 = (self.x + self.width).min(other.x + other.width);
        let y1 = (self.y + self.height).min(other.y + other.height);
        (x1 > x0 && y1 > y0).then(|| Rect::new(x0, y0, x1 - x0, y1 - y0))
    }

    /// Intersection over union, 0 for disjoint or empty rectangles.
    pub fn iou(self, other: Rect) -> f32 {
        let inter = self.intersection(other).map_or(0.0, Rect::area);
        let union = self.area() + other.area() - inter;
        if union > 0.0 { inter / union } else { 0.0 }
    }

    /// Grown by a share of its own width and height on every side.
    pub fn grown(self, share: f32) -> Rect {
        let (dx, dy) = (self.width * share, self.height * share);
        Rect::new(self.x - dx, self.y - dy, self.width + 2.0 * dx, self.height + 2.0 * dy)
    }

    /// Cut to the picture; `None` when nothing is left.
    pub fn clipped(self, size: Size) -> Option<Rect> {
        self.intersection(Rect::new(0.0, 0.0, size.width as f32, size.height as f32))
    }
}

impl From<Rect> for Quad {
    fn from(r: Rect) -> Quad {
        Quad::new([
            Point::new(r.x, r.y),
            Point::new(r.x + r.width, r.y),
            Point::new(r.x + r.width, r.y + r.height),
            Point::new(r.x, r.y + r.height),
        ])
    }
}

/// Four corners, clockwise as seen, starting at the top left of the *object* (so a head that lies on its side has its
/// first corner elsewhere in the picture): edge 0-1 is the object's top, edge 1-2 its right side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Quad {
    pub corners: [Point; 4],
}

impl Quad {
    pub const fn new(corners: [Point; 4]) -> Self {
        Self { corners }
    }

    /// A rectangle of `width` x `height` around `center`, turned clockwise (as seen, y down) by `angle_rad`.
    pub fn rotated_rect(center: Point, width: f32, height: f32, angle_rad: f32) -> Quad {
        let (s, c) = angle_rad.sin_cos();
        let corner = |dx: f32, dy: f32| {
            let (x, y) = (dx * width / 2.0, dy * height / 2.0);
            Point::new(center.x + x * c - y * s, center.y + x * s + y * c)
        };
        Quad::new([corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)])
    }

    pub fn center(&self) -> Point {
        let sum = self.corners.iter().fold(Point::default(), |a, p| Point::new(a.x + p.x, a.y + p.y));
        Point::new(sum.x / 4.0, sum.y / 4.0)
    }

    /// Mean length of the top and bottom edges.
    pub fn width(&self) -> f32 {
        let c = &self.corners;
        (c[0].distance(c[1]) + c[3].distance(c[2])) / 2.0
    }

    /// Mean length of the left and right edges.
    pub fn height(&self) -> f32 {
        let c = &self.corners;
        (c[1].distance(c[2]) + c[0].distance(c[3])) / 2.0
    }

    /// Direction of the top edge, radians, clockwise as seen; 0 is upright.
    pub fn angle_rad(&self) -> f32 {
        let c = &self.corners;
        let dx = (c[1].x - c[0].x) + (c[2].x - c[3].x);
        let dy = (c[1].y - c[0].y) + (c[2].y - c[3].y);
        dy.atan2(dx)
    }

    /// Area by the shoelace formula; corners in either order.
    pub fn area(&self) -> f32 {
        // In double precision: far from the origin the products are large, and their difference is small.
        let c = self.corners.map(|p| (f64::from(p.x), f64::from(p.y)));
        let twice: f64 = (0..4).map(|i| c[i].0 * c[(i + 1) % 4].1 - c[(i + 1) % 4].0 * c[i].1).sum();
        (twice.abs() / 2.0) as f32
    }

    /// Smallest axis-parallel rectangle around it.
    pub fn bounds(&self) -> Rect {
        let (mut x0, mut y0, mut x1, mut y1) = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        for p in &self.corners {
            x0 = x0.min(p.x);
            y0 = y0.min(p.y);
            x1 = x1.max(p.x);
            y1 = y1.max(p.y);
        }
        Rect::new(x0, y0, x1 - x0, y1 - y0)
    }

    pub fn is_finite(&self) -> bool {
        self.corners.iter().all(|p| p.x.is_finite() && p.y.is_finite())
    }

    pub fn map(&self, f: impl Fn(Point) -> Point) -> Quad {
        Quad::new(self.corners.map(f))
    }

    pub fn scaled(&self, factor: f32) -> Quad {
        self.stretched(factor, factor)
    }

    /// After the axes of its space are scaled. By unequal factors a turned rectangle becomes only nearly one.
    pub fn stretched(&self, sx: f32, sy: f32) -> Quad {
        self.map(|p| Point::new(p.x * sx, p.y * sy))
    }

    pub fn lerp(&self, other: &Quad, t: f32) -> Quad {
        Quad::new(std::array::from_fn(|i| self.corners[i].lerp(other.corners[i], t)))
    }

    /// The rectangle of the same centre, angle and mean sides, grown per side of the object by the given shares of its
    /// own width (left, right) and height (top, bottom).
    pub fn grown(&self, grow: Margins) -> Quad {
        let (w, h, angle) = (self.width(), self.height(), self.angle_rad());
        let (s, c) = angle.sin_cos();
        let (dx, dy) = (w * (grow.right - grow.left) / 2.0, h * (grow.bottom - grow.top) / 2.0);
        let m = self.center();
        let center = Point::new(m.x + dx * c - dy * s, m.y + dx * s + dy * c);
        Quad::rotated_rect(center, w * (1.0 + grow.left + grow.right), h * (1.0 + grow.top + grow.bottom), angle)
    }

    /// The rectangle of the same centre and angle with its sides scaled by `share`.
    pub fn core(&self, share: f32) -> Quad {
        self.grown(Margins::even((share - 1.0) / 2.0))
    }

    /// A polygon around the superellipse |x|^n + |y|^n = 1 that is inscribed in the quad (taken as a parallelogram).
    pub fn superellipse_outline(&self, exponent: f32) -> Vec<Point> {
        let c = &self.corners;
        let center = self.center();
        let half = |a: Point, b: Point, c: Point, d: Point| {
            Point::new((b.x - a.x + c.x - d.x) / 4.0, (b.y - a.y + c.y - d.y) / 4.0)
        };
        let (u, v) = (half(c[0], c[1], c[2], c[3]), half(c[0], c[3], c[2], c[1]));
        // Tangents touch at (cos^(2/n), sin^(2/n)) and have the normal of that point raised to n-1; where neighbours cross
        // lies a corner, so the curve stays inside.
        let normal_exponent = 2.0 * (exponent - 1.0) / exponent;
        let power = |v: f32| v.signum() * v.abs().powf(normal_exponent);
        let normal = |i: usize| {
            let (sin, cos) = (i as f32 * std::f32::consts::TAU / ROUND_CORNERS as f32).sin_cos();
            Point::new(power(cos), power(sin))
        };
        (0..ROUND_CORNERS)
            .map(|i| {
                let (a, b) = (normal(i), normal(i + 1));
                let determinant = a.x * b.y - a.y * b.x;
                let (x, y) = ((b.y - a.y) / determinant, (a.x - b.x) / determinant);
                Point::new(center.x + u.x * x + v.x * y, center.y + u.y * x + v.y * y)
            })
            .collect()
    }

    /// `across` times `down` points spread evenly over the quad, row by row from edge 0-1 on.
    pub fn points(&self, across: usize, down: usize) -> impl Iterator<Item = Point> + use<> {
        let [a, b, c, d] = self.corners;
        let at = |i: usize, n: usize| (i as f32 + 0.5) / n as f32;
        (0..across * down).map(move |i| {
            let (u, v) = (at(i % across, across), at(i / across, down));
            a.lerp(b, u).lerp(d.lerp(c, u), v)
        })
    }

    /// Share of [`Quad::points`] that are `inside`.
    pub fn share(&self, across: usize, down: usize, inside: impl Fn(Point) -> bool) -> f32 {
        self.points(across, down).filter(|p| inside(*p)).count() as f32 / (across * down) as f32
    }

    /// Whether the point lies inside or on the edge of a convex quad.
    pub fn contains(&self, p: Point) -> bool {
        let c = &self.corners;
        let cross = |i: usize| {
            let (a, b) = (c[i], c[(i + 1) % 4]);
            (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
        };
        let signs: [f32; 4] = std::array::from_fn(cross);
        signs.iter().all(|s| *s >= 0.0) || signs.iter().all(|s| *s <= 0.0)
    }
}

/// Growth of an object on each of its sides, as a share of its own width or height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Margins {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Margins {
    pub const fn even(share: f32) -> Self {
        Self { left: share, top: share, right: share, bottom: share }
    }
}

/// How the coded picture has to be turned to stand upright: EXIF's eight cases, also those of a display matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Orientation {
    #[default]
    Upright,
    FlipHorizontal,
    Rotate180,
    FlipVertical,
    /// Mirrored over the main diagonal.
    Transpose,
    /// To be turned clockwise by 90 degrees.
    Rotate90,
    /// Mirrored over the other diagonal.
    Transverse,
    /// To be turned clockwise by 270 degrees.
    Rotate270,
}

impl Orientation {
    pub fn swaps_sides(self) -> bool {
        use Orientation::*;
        matches!(self, Transpose | Rotate90 | Transverse | Rotate270)
    }

    /// Size of the upright picture for a coded one.
    pub fn display_size(self, coded: Size) -> Size {
        if self.swaps_sides() { coded.transposed() } else { coded }
    }

    /// Point of the coded picture that shows at `p` of the upright one; `coded` is the coded size.
    pub fn coded_from_display(self, p: Point, coded: Size) -> Point {
        let (w, h) = (coded.width as f32, coded.height as f32);
        match self {
            Orientation::Upright => p,
            Orientation::FlipHorizontal => Point::new(w - p.x, p.y),
            Orientation::Rotate180 => Point::new(w - p.x, h - p.y),
            Orientation::FlipVertical => Point::new(p.x, h - p.y),
            Orientation::Transpose => Point::new(p.y, p.x),
            Orientation::Rotate90 => Point::new(p.y, h - p.x),
            Orientation::Transverse => Point::new(w - p.y, h - p.x),
            Orientation::Rotate270 => Point::new(w - p.y, p.x),
        }
    }
}
