//! From a map of text probabilities to boxes: the post-processing of DB (Liao, Wan, Yao, Chen, Bai: "Real-time scene
//! text detection with differentiable binarization", 2020).

use image::{GrayImage, Luma};
use imageproc::contours::{BorderType, find_contours};
use imageproc::geometry::convex_hull;
use imageproc::point::Point as PixelPoint;

use crate::types::geometry::{Point, Quad, Size};

/// For each pixel, the probability that it belongs to the (shrunken) inside of a text line, 255 being certain.
#[derive(Clone, Debug)]
pub struct ProbabilityMap {
    pub size: Size,
    /// Row by row.
    pub data: Vec<u8>,
}

impl ProbabilityMap {
    /// From probabilities of 0 to 1.
    pub fn of(size: Size, probabilities: &[f32]) -> Self {
        Self { size, data: probabilities.iter().map(|&p| byte(p)).collect() }
    }

    pub fn blank(size: Size) -> Self {
        Self { size, data: vec![0; size.pixels() as usize] }
    }

    fn row(&self, y: usize) -> &[u8] {
        let w = self.size.width as usize;
        &self.data[y * w..(y + 1) * w]
    }
}

/// A probability of 0 to 1 as the map holds it.
pub(super) fn byte(probability: f32) -> u8 {
    (probability * 255.0).round() as u8
}

/// Thresholds of the post-processing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DbSettings {
    /// Probability above which a pixel is text.
    pub pixel: f32,
    /// Mean probability inside a box below which it is dropped.
    pub mean: f32,
    /// Boxes grow by this times area over perimeter on every side: the network draws lines thinner than they are.
    pub unclip: f32,
    /// Shortest side of a box before it grows, pixels of the map.
    pub min_side: f32,
}

impl DbSettings {
    /// Lower thresholds than the authors': a missed line costs more than a masked one too many. The outline is theirs or
    /// a little less, because masks are padded.
    pub const RECALL: DbSettings = DbSettings { pixel: 0.2, mean: 0.4, unclip: 1.4, min_side: 3.0 };
}

/// A text line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextBox {
    /// Its top edge is the longer side, or the more level one of a nearly square box; never upside down.
    pub quad: Quad,
    /// The same before it grew: where the network is sure.
    pub core: Quad,
    /// Mean probability inside the core, 0 to 1.
    pub score: f32,
}

/// Boxes of all connected regions of the map, in its pixels.
pub fn text_boxes(map: &ProbabilityMap, settings: &DbSettings) -> Vec<TextBox> {
    let contours = find_contours::<i32>(&binary(map, settings.pixel));
    contours
        .into_iter()
        .filter(|contour| contour.border_type == BorderType::Outer)
        .filter_map(|contour| {
            // Less one for the frame, plus half for the middle of a pixel.
            let rect = min_area_rect(contour.points)?.map(|p| Point::new(p.x - 0.5, p.y - 0.5));
            // The rectangle goes through the middles of the outermost pixels.
            let quad = grown_by(&rect, 0.5);
            if quad.width().min(quad.height()) < settings.min_side {
                return None;
            }
            let score = mean_inside(map, &quad);
            let distance = settings.unclip * quad.area() / (2.0 * (quad.width() + quad.height()));
            (score >= settings.mean).then(|| TextBox {
                quad: read_forward(&grown_by(&quad, distance)),
                core: quad,
                score,
            })
        })
        .collect()
}

/// White where the probability is above `threshold`, inside a black frame of one pixel: border following does not
/// start regions in the first column.
fn binary(map: &ProbabilityMap, threshold: f32) -> GrayImage {
    let least = (threshold * 255.0) as u8;
    let mut image = GrayImage::new(map.size.width + 2, map.size.height + 2);
    for y in 0..map.size.height {
        for (x, &p) in map.row(y as usize).iter().enumerate() {
            if p > least {
                image.put_pixel(x as u32 + 1, y + 1, Luma([255]));
            }
        }
    }
    image
}

/// Smallest rectangle around points; one of its sides lies on an edge of their hull. `None` without points.
pub(super) fn min_area_rect(points: Vec<PixelPoint<i32>>) -> Option<Quad> {
    let hull: Vec<(f32, f32)> = convex_hull(points).iter().map(|p| (p.x as f32, p.y as f32)).collect();
    let angles = (0..hull.len()).map(|i| {
        let (a, b) = (hull[i], hull[(i + 1) % hull.len()]);
        (b.1 - a.1).atan2(b.0 - a.0)
    });
    let rect_at = |angle: f32| {
        let (s, c) = angle.sin_cos();
        let (mut u0, mut u1, mut v0, mut v1) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
        for &(x, y) in &hull {
            let (u, v) = (x * c + y * s, y * c - x * s);
            (u0, u1, v0, v1) = (u0.min(u), u1.max(u), v0.min(v), v1.max(v));
        }
        let (u, v) = ((u0 + u1) / 2.0, (v0 + v1) / 2.0);
        let center = Point::new(u * c - v * s, u * s + v * c);
        Quad::rotated_rect(center, u1 - u0, v1 - v0, angle)
    };
    angles.map(rect_at).min_by(|a, b| (a.width() * a.height()).total_cmp(&(b.width() * b.height())))
}

/// The rectangle with every side moved outward by `distance`.
pub(super) fn grown_by(rect: &Quad, distance: f32) -> Quad {
    let (w, h) = (rect.width() + 2.0 * distance, rect.height() + 2.0 * distance);
    Quad::rotated_rect(rect.center(), w, h, rect_angle(rect))
}

/// Direction of the top edge; a rectangle without width still has that of its sides.
fn rect_angle(rect: &Quad) -> f32 {
    if rect.width() > 1e-3 {
        return rect.angle_rad();
    }
    let (a, b) = (rect.corners[1], rect.corners[2]);
    (b.y - a.y).atan2(b.x - a.x) - std::f32::consts::FRAC_PI_2
}

/// The same rectangle with its corners in the order that [`TextBox::quad`] promises.
pub(super) fn read_forward(rect: &Quad) -> Quad {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    let (mut w, mut h, mut angle) = (rect.width(), rect.height(), rect_angle(rect));
    let steep = |angle: f32| angle.sin().abs() > FRAC_PI_4.sin();
    let nearly_square = w.max(h) < 1.25 * w.min(h);
    if if nearly_square { steep(angle) } else { h > w } {
        (w, h, angle) = (h, w, angle + FRAC_PI_2);
    }
    // Into (-90, 90] degrees.
    angle -= PI * ((angle - FRAC_PI_2) / PI).ceil();
    Quad::rotated_rect(rect.center(), w, h, angle)
}

/// Mean probability of the pixels whose middles lie inside a convex quad, row by row.
pub(super) fn mean_inside(map: &ProbabilityMap, quad: &Quad) -> f32 {
    let bounds = quad.bounds();
    let y0 = bounds.y.floor().max(0.0) as usize;
    let y1 = ((bounds.y + bounds.height).ceil().max(0.0) as usize).min(map.size.height as usize);
    let (mut sum, mut count) = (0u64, 0u64);
    for y in y0..y1 {
        let Some((from, to)) = crossing(quad, y as f32 + 0.5) else { continue };
        let x0 = (from - 0.5).ceil().max(0.0) as usize;
        let x1 = ((to + 0.5).floor().max(0.0) as usize).min(map.size.width as usize);
        if x0 < x1 {
            sum += map.row(y)[x0..x1].iter().map(|&p| u64::from(p)).sum::<u64>();
            count += (x1 - x0) as u64;
        }
    }
    if count == 0 { 0.0 } else { sum as f32 / count as f32 / 255.0 }
}

/// Where a level line enters and leaves a convex quad.
fn crossing(quad: &Quad, y: f32) -> Option<(f32, f32)> {
    let (mut from, mut to) = (f32::MAX, f32::MIN);
    for i in 0..4 {
        let (a, b) = (quad.corners[i], quad.corners[(i + 1) % 4]);
        if (a.y <= y) != (b.y <= y) {
            let x = a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y);
            (from, to) = (from.min(x), to.max(x));
        }
    }
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: DbSettings = DbSettings { pixel: 0.3, mean: 0.5, unclip: 0.0, min_side: 3.0 };

    /// A map with the given quads at the given probability.
    fn drawn(width: u32, height: u32, quads: &[(Quad, u8)]) -> ProbabilityMap {
        let mut map = ProbabilityMap::blank(Size::new(width, height));
        for (i, p) in map.data.iter_mut().enumerate() {
            let at = Point::new((i as u32 % width) as f32 + 0.5, (i as u32 / width) as f32 + 0.5);
            *p = quads.iter().filter(|q| q.0.contains(at)).map(|q| q.1).max().unwrap_or(0);
        }
        map
    }

    fn level(x: f32, y: f32, w: f32, h: f32) -> Quad {
        Quad::rotated_rect(Point::new(x + w / 2.0, y + h / 2.0), w, h, 0.0)
    }

    fn close(a: &Quad, b: &Quad, by: f32) -> bool {
        a.corners.iter().zip(&b.corners).all(|(p, q)| p.distance(*q) <= by)
    }

    #[test]
    fn each_region_gives_its_exact_box_also_at_the_borders() {
        let quads = [level(0.0, 0.0, 30.0, 6.0), level(40.0, 20.0, 5.0, 20.0), level(70.0, 44.0, 30.0, 6.0)];
        let found = text_boxes(&drawn(100, 50, &quads.map(|q| (q, 255))), &PLAIN);
        assert_eq!(found.len(), 3);
        for quad in quads {
            let same = |b: &&TextBox| close(&b.quad, &read_forward(&quad), 0.01);
            let found = found.iter().find(same).expect("every region has its box");
            assert!(found.score > 0.99);
        }
    }

    #[test]
    fn weak_thin_and_hollow_regions() {
        let table = [
            ("weak", vec![(level(10.0, 10.0, 40.0, 8.0), 100)], 0),
            ("thin", vec![(level(10.0, 10.0, 40.0, 2.0), 255)], 0),
            ("strong", vec![(level(10.0, 10.0, 40.0, 8.0), 200)], 1),
            ("touching corners", vec![(level(10., 10., 9., 9.), 255), (level(19., 19., 9., 9.), 255)], 1),
        ];
        for (name, quads, boxes) in table {
            assert_eq!(text_boxes(&drawn(80, 60, &quads), &PLAIN).len(), boxes, "{name}");
        }
        // A frame around a line: both are regions, the frame's mean is too low.
        let mut map = drawn(80, 60, &[(level(2.0, 2.0, 76.0, 56.0), 255)]);
        let inner = drawn(80, 60, &[(level(8.0, 8.0, 64.0, 44.0), 255)]);
        let line = drawn(80, 60, &[(level(20.0, 26.0, 40.0, 8.0), 255)]);
        for ((p, hole), text) in map.data.iter_mut().zip(&inner.data).zip(&line.data) {
            *p = if *hole > 0 { *text } else { *p };
        }
        let found = text_boxes(&map, &PLAIN);
        assert_eq!(found.len(), 1);
        assert!(close(&found[0].quad, &level(20.0, 26.0, 40.0, 8.0), 0.01));
    }

    #[test]
    fn boxes_grow_by_area_over_perimeter() {
        let settings = DbSettings { unclip: 1.5, ..PLAIN };
        let found = text_boxes(&drawn(100, 60, &[(level(20.0, 20.0, 40.0, 10.0), 255)]), &settings);
        // 1.5 * 400 / 100 = 6 on every side.
        assert!(close(&found[0].quad, &level(14.0, 14.0, 52.0, 22.0), 0.01), "{:?}", found[0].quad);
    }

    #[test]
    fn a_page_of_many_lines_gives_them_all() {
        let mut map = ProbabilityMap::blank(Size::new(600, 4000));
        for line in 0..500usize {
            for y in line * 8..line * 8 + 4 {
                map.data[y * 600 + 5..y * 600 + 290].fill(250);
                map.data[y * 600 + 300..y * 600 + 595].fill(250);
            }
        }
        assert_eq!(text_boxes(&map, &PLAIN).len(), 1000);
    }

    proptest! {
        #[test]
        fn a_turned_line_is_boxed_at_its_angle(degrees in -89f32..90.0, w in 40f32..90.0, h in 8f32..20.0) {
            let line = Quad::rotated_rect(Point::new(80.0, 80.0), w, h, degrees.to_radians());
            let found = text_boxes(&drawn(160, 160, &[(line, 255)]), &PLAIN);
            prop_assert_eq!(found.len(), 1);
            let quad = found[0].quad;
            let turn = (quad.angle_rad() - degrees.to_radians()).sin().abs();
            prop_assert!(turn < 0.12, "{}", turn);
            prop_assert!((quad.width() - w).abs() < 3.0 && (quad.height() - h).abs() < 3.0);
            prop_assert!(line.corners.iter().all(|&c| grown_by(&quad, 2.5).contains(c)));
        }

        #[test]
        fn reading_order_changes_no_corner(w in 1f32..50.0, h in 1f32..50.0, angle in -7f32..7.0) {
            let rect = Quad::rotated_rect(Point::new(3.0, 4.0), w, h, angle);
            let ordered = read_forward(&rect);
            for corner in rect.corners {
                prop_assert!(ordered.corners.iter().any(|c| c.distance(corner) < 1e-2));
            }
            prop_assert!(ordered.angle_rad().abs() <= std::f32::consts::FRAC_PI_2 + 1e-3);
            prop_assert!(ordered.width() >= ordered.height() * 0.79);
        }

        #[test]
        fn any_map_is_survived(w in 1u32..40, h in 1u32..40, seed in any::<u64>()) {
            let mut state = seed | 1;
            let mut next = || { state = state.wrapping_mul(6364136223846793005).wrapping_add(1); (state >> 56) as u8 };
            let mut map = ProbabilityMap::blank(Size::new(w, h));
            map.data.iter_mut().for_each(|p| *p = next());
            for found in text_boxes(&map, &DbSettings::RECALL) {
                prop_assert!(found.quad.is_finite() && (0.4..=1.0).contains(&found.score));
            }
        }
    }
}
