//! The edges of a document around what was found on it: straight lines that rays from its content outward meet. Fingers
//! may hide a part of them, and those outside of the frame are not there.

use super::document_groups::Group;
use crate::types::geometry::{Point, Quad, Size};

/// Rays on each side.
const RAYS: usize = 48;
/// How far outside of the content an edge is looked for, as a share of the content's longer side.
const REACH: f32 = 0.6;
/// Strongest steps of brightness that a ray remembers.
const STEPS_PER_RAY: usize = 6;
/// Least step of brightness, levels over [`SPAN_PX`].
const LEAST_STEP: f32 = 10.0;
/// Distance over which brightness is compared, pixels.
const SPAN_PX: f32 = 2.0;
/// Distance from a line at which a step belongs to it, pixels.
const TOLERANCE_PX: f32 = 2.5;
/// Share of the rays that see an edge where it is one.
const SUPPORT: f32 = 0.5;
/// Edges with this share of the best one's support compete; the outermost wins, because frames are printed inside.
const COMPETES: f32 = 0.85;
/// Largest slope of an edge against the content's side.
const MAX_SLOPE: f32 = 0.27;
/// What is added to content whose edge is not seen: heights of a line, and a share of the content's depth.
const UNSEEN_LINES: f32 = 1.2;
const UNSEEN_SHARE: f32 = 0.1;

/// Outline of a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outline {
    /// Its first corner is that of the content.
    pub quad: Quad,
    /// How many of its edges were seen.
    pub seen: usize,
}

/// A straight line beside a side of the content: distance outward from it at both ends.
#[derive(Clone, Copy)]
struct Edge {
    start: f32,
    end: f32,
}

/// One step of brightness that a ray meets.
#[derive(Clone, Copy)]
struct Step {
    distance: f32,
    strength: f32,
}

/// The outline around a group, in pixels of the grey picture, which the group is told in.
pub fn outline(gray: &[u8], size: Size, group: &Group) -> Outline {
    let content = group.content();
    let c = content.corners;
    let reach = REACH * content.width().max(content.height());
    let mut seen = 0;
    let lines: [(Point, Point); 4] = std::array::from_fn(|side| {
        let (a, b) = (c[side], c[(side + 1) % 4]);
        let length = a.distance(b).max(1.0);
        // Corners go clockwise as seen: outward is to the left of the way.
        let normal = Point::new((b.y - a.y) / length, (a.x - b.x) / length);
        let depth = if side % 2 == 0 { content.height() } else { content.width() };
        let rays = rays(gray, size, (a, b), normal, reach, group.line_height());
        let edge = match edge_of(&rays, length) {
            Some(edge) => {
                seen += 1;
                edge
            }
            None => {
                let away = (UNSEEN_LINES * group.line_height()).max(UNSEEN_SHARE * depth);
                Edge { start: away, end: away }
            }
        };
        let moved = |p: Point, d: f32| Point::new(p.x + normal.x * d, p.y + normal.y * d);
        (moved(a, edge.start), moved(b, edge.end))
    });
    let corners: [Option<Point>; 4] = std::array::from_fn(|i| crossing(lines[(i + 3) % 4], lines[i]));
    let around = content.inflated((UNSEEN_LINES * group.line_height()).max(UNSEEN_SHARE * content.height()));
    let quad = match corners {
        [Some(a), Some(b), Some(c), Some(d)] => Quad::new([a, b, c, d]),
        _ => around,
    };
    let fits = quad.is_finite() && quad.is_convex() && content.inflated(1.5 * reach).contains_quad(&quad);
    if fits { Outline { quad, seen } } else { Outline { quad: around, seen: 0 } }
}

/// Steps that rays meet from a side of the content outward, in their order along the side.
fn rays(gray: &[u8], size: Size, side: (Point, Point), normal: Point, reach: f32, line: f32) -> Vec<Vec<Step>> {
    let at = |p: Point| -> Option<f32> {
        let (x, y) = (p.x.floor(), p.y.floor());
        let inside = x >= 0.0 && y >= 0.0 && x < size.width as f32 && y < size.height as f32;
        inside.then(|| f32::from(gray[y as usize * size.width as usize + x as usize]))
    };
    let ray = |i: usize| {
        let from = side.0.lerp(side.1, (i as f32 + 0.5) / RAYS as f32);
        let place = |d: f32| Point::new(from.x + normal.x * d, from.y + normal.y * d);
        // Boxes of text are taller than the text: a little inside, none of it is met.
        let first = -0.25 * line;
        let steps = (0..(reach - first) as usize).map(|k| {
            let distance = first + k as f32;
            let pair = at(place(distance - SPAN_PX / 2.0)).zip(at(place(distance + SPAN_PX / 2.0)));
            Step { distance, strength: pair.map_or(0.0, |(a, b)| b - a) }
        });
        let steps: Vec<Step> = steps.collect();
        let is_peak = |k: usize| {
            let here = steps[k].strength.abs();
            here >= LEAST_STEP
                && (k == 0 || steps[k - 1].strength.abs() <= here)
                && steps.get(k + 1).is_none_or(|next| next.strength.abs() < here)
        };
        let mut peaks: Vec<Step> = (0..steps.len()).filter(|&k| is_peak(k)).map(|k| steps[k]).collect();
        peaks.sort_by(|a, b| b.strength.abs().total_cmp(&a.strength.abs()));
        peaks.truncate(STEPS_PER_RAY);
        peaks
    };
    (0..RAYS).map(ray).collect()
}

/// The straight line that most rays meet a step of one sign on.
fn edge_of(rays: &[Vec<Step>], length: f32) -> Option<Edge> {
    let part = |i: usize| (i as f32 + 0.5) / RAYS as f32;
    let mut candidates: Vec<(Edge, f32)> = Vec::new();
    for i in 0..RAYS / 3 {
        for j in RAYS - RAYS / 3..RAYS {
            for (a, b) in rays[i].iter().flat_map(|a| rays[j].iter().map(move |b| (a, b))) {
                let slope = (b.distance - a.distance) / (part(j) - part(i));
                if a.strength * b.strength < 0.0 || slope.abs() > MAX_SLOPE * length {
                    continue;
                }
                let start = a.distance - slope * part(i);
                let edge = Edge { start, end: start + slope };
                candidates.push((edge, support(rays, &edge, a.strength)));
            }
        }
    }
    let best = candidates.iter().map(|c| c.1).fold(0.0, f32::max);
    if best < SUPPORT {
        return None;
    }
    let competing = candidates.into_iter().filter(|c| c.1 >= (COMPETES * best).max(SUPPORT));
    competing.max_by(|a, b| (a.0.start + a.0.end).total_cmp(&(b.0.start + b.0.end))).map(|c| c.0)
}

/// Share of the rays that meet a step of the sign of `strength` on an edge.
fn support(rays: &[Vec<Step>], edge: &Edge, strength: f32) -> f32 {
    let on_edge = |(i, steps): (usize, &Vec<Step>)| {
        let there = edge.start + (edge.end - edge.start) * (i as f32 + 0.5) / RAYS as f32;
        steps.iter().any(|s| (s.distance - there).abs() <= TOLERANCE_PX && s.strength * strength > 0.0)
    };
    rays.iter().enumerate().filter(|&ray| on_edge(ray)).count() as f32 / RAYS as f32
}

/// Where two lines cross.
fn crossing(a: (Point, Point), b: (Point, Point)) -> Option<Point> {
    let (d, e) = (Point::new(a.1.x - a.0.x, a.1.y - a.0.y), Point::new(b.1.x - b.0.x, b.1.y - b.0.y));
    let determinant = d.x * e.y - d.y * e.x;
    let t = ((b.0.x - a.0.x) * e.y - (b.0.y - a.0.y) * e.x) / determinant;
    (determinant.abs() > 1e-3).then(|| Point::new(a.0.x + d.x * t, a.0.y + d.y * t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::document_groups::groups;
    use crate::types::geometry::Rect;

    const SIZE: Size = Size::new(640, 480);

    /// A bright card on a grey desk, with what hides parts of it.
    fn desk(card: &Quad, fingers: &[Quad]) -> Vec<u8> {
        let tone = |x: usize, y: usize| {
            let p = Point::new(x as f32 + 0.5, y as f32 + 0.5);
            if fingers.iter().any(|f| f.contains(p)) {
                return 150;
            }
            if card.contains(p) { 220 } else { 90 + ((x / 7 + y / 5) % 3) as u8 * 3 }
        };
        (0..SIZE.pixels() as usize).map(|i| tone(i % SIZE.width as usize, i / SIZE.width as usize)).collect()
    }

    fn lines_on(card: &Quad) -> Vec<Quad> {
        let place =
            |u: f32, v: f32| card.corners[0].lerp(card.corners[1], u).lerp(card.corners[3].lerp(card.corners[2], u), v);
        let row = |k: usize| {
            let v = 0.2 + 0.15 * k as f32;
            let corners = [place(0.2, v), place(0.8, v), place(0.8, v + 0.07), place(0.2, v + 0.07)];
            Quad::around(&corners, (corners[1].y - corners[0].y).atan2(corners[1].x - corners[0].x))
        };
        (0..5).map(row).collect()
    }

    #[test]
    fn edges_are_found_behind_fingers_and_in_perspective() {
        let level: Quad = Rect::new(140.0, 120.0, 360.0, 230.0).into();
        let askew = Quad::new([
            Point::new(150.0, 140.0),
            Point::new(480.0, 100.0),
            Point::new(520.0, 340.0),
            Point::new(130.0, 330.0),
        ]);
        let fingers = [Rect::new(470.0, 200.0, 90.0, 60.0).into(), Rect::new(200.0, 320.0, 70.0, 90.0).into()];
        for (card, fingers, seen) in [(level, &fingers[..0], 4), (askew, &fingers[..0], 4), (level, &fingers[..], 4)] {
            let group = groups(&lines_on(&card), &[]).remove(0);
            let found = outline(&desk(&card, fingers), SIZE, &group);
            assert!(found.seen >= seen, "{found:?}");
            assert!(found.quad.iou(&card) > 0.93, "{found:?}");
        }
    }

    #[test]
    fn without_edges_the_content_is_taken_with_a_margin() {
        let card: Quad = Rect::new(140.0, 120.0, 360.0, 230.0).into();
        let group = groups(&lines_on(&card), &[]).remove(0);
        let found = outline(&vec![120; SIZE.pixels() as usize], SIZE, &group);
        assert_eq!(found.seen, 0);
        assert!(found.quad.contains_quad(&group.content()));
    }
}
