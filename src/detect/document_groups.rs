//! Which text lines and heads lie on one card, page or badge, and which lines are machine-readable ones.

use super::nms::RectIndex;
use crate::types::geometry::{Point, Quad, Rect};

/// Largest angle between neighbouring lines of one document, radians: perspective turns them against each other.
const MAX_TURN: f32 = 0.26;
/// Largest ratio of the heights of neighbouring lines: headings stand beside small print.
const MAX_HEIGHT_RATIO: f32 = 5.0;
/// Largest gaps between neighbouring lines along and across their direction, in heights of the taller one.
const REACH_ALONG: f32 = 4.0;
const REACH_ACROSS: f32 = 2.5;
/// A portrait is at most this share of the longer side of what is printed around it; a person who stands before a wall
/// with writing is more.
const MAX_HEAD_SHARE: f32 = 0.6;
/// Lines beside a head that make it a portrait.
const LINES_BESIDE: usize = 2;

/// Lines of a column start, end or have their middles this near to each other, follow each other at most so far, and
/// differ in height at most so much: in heights.
const COLUMN_ENDS: f32 = 0.6;
const COLUMN_STEP: f32 = 4.0;
const COLUMN_HEIGHTS: f32 = 1.7;
/// Lines, in the order of a column, among which a line's neighbours are looked for.
const COLUMN_WINDOW: usize = 32;

/// Shape of machine-readable lines (ICAO Doc 9303): 30, 36 or 44 characters of one width, two or three lines alike.
/// Least ratio of length and height of a line as found; boxes of text are taller than their letters.
const MRZ_ASPECT: f32 = 11.0;
/// Largest difference of lengths and of ends, in lengths and in heights.
const MRZ_LENGTHS: f32 = 0.06;
const MRZ_ENDS: f32 = 2.0;
/// Largest distance from line to line, in heights.
const MRZ_STEP: f32 = 2.2;

/// Lines and heads of one place. All in one space.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub lines: Vec<Quad>,
    pub heads: Vec<Quad>,
    /// Around the machine-readable lines.
    pub mrz: Option<Quad>,
    /// Direction of the lines, radians; half a turn is not told.
    pub angle_rad: f32,
}

impl Group {
    /// The smallest rectangle in the direction of the lines around all that was found.
    pub fn content(&self) -> Quad {
        let corners: Vec<Point> = self.lines.iter().chain(&self.heads).flat_map(|q| q.corners).collect();
        Quad::around(&corners, self.angle_rad)
    }

    /// Median height of the lines.
    pub fn line_height(&self) -> f32 {
        let mut heights: Vec<f32> = self.lines.iter().map(Quad::height).collect();
        heights.sort_by(f32::total_cmp);
        heights.get(heights.len() / 2).copied().unwrap_or(0.0)
    }

    /// How many lines are set below or above another one, as print is.
    pub fn in_columns(&self) -> usize {
        let mut rows: Vec<[(f32, f32); 2]> = self.lines.iter().map(|line| line.extents(self.angle_rad)).collect();
        rows.sort_by(|a, b| a[1].0.total_cmp(&b[1].0));
        let are_set = |a: &[(f32, f32); 2], b: &[(f32, f32); 2]| {
            let (p, q) = (a[1].1 - a[1].0, b[1].1 - b[1].0);
            let (tall, low) = (p.max(q), p.min(q).max(1.0));
            let ends = [a[0].0 - b[0].0, a[0].1 - b[0].1, (a[0].0 + a[0].1 - b[0].0 - b[0].1) / 2.0];
            let step = (b[1].0 + b[1].1 - a[1].0 - a[1].1) / 2.0;
            tall <= COLUMN_HEIGHTS * low
                && (0.5 * tall..=COLUMN_STEP * tall).contains(&step)
                && ends.iter().any(|d| d.abs() <= COLUMN_ENDS * tall)
        };
        let mut is_in = vec![false; rows.len()];
        for i in 0..rows.len() {
            for j in i + 1..rows.len().min(i + COLUMN_WINDOW) {
                if are_set(&rows[i], &rows[j]) {
                    (is_in[i], is_in[j]) = (true, true);
                }
            }
        }
        is_in.into_iter().filter(|is_in| *is_in).count()
    }
}

/// Groups of neighbouring lines with the heads among them. Lines as PP-OCR's boxes: the top edge is the longer side.
pub fn groups(lines: &[Quad], heads: &[Quad]) -> Vec<Group> {
    let mut index = RectIndex::default();
    for line in lines {
        index.insert(line.bounds());
    }
    let mut group_of: Vec<Option<usize>> = vec![None; lines.len()];
    let mut members: Vec<Vec<usize>> = Vec::new();
    for first in 0..lines.len() {
        if group_of[first].is_some() {
            continue;
        }
        let number = members.len();
        group_of[first] = Some(number);
        let (mut found, mut next) = (vec![first], 0);
        while next < found.len() {
            let line = &lines[found[next]];
            next += 1;
            for other in index.overlapping(reach(line)) {
                if group_of[other].is_none() && are_near(line, &lines[other]) {
                    group_of[other] = Some(number);
                    found.push(other);
                }
            }
        }
        members.push(found);
    }
    members.into_iter().map(|found| group(found.into_iter().map(|i| lines[i]).collect(), heads)).collect()
}

/// Where neighbours of a line lie that are up to [`MAX_HEIGHT_RATIO`] times as tall are looked for by them.
fn reach(line: &Quad) -> Rect {
    let (bounds, far) = (line.bounds(), REACH_ALONG * line.height() * 2.0);
    Rect::new(bounds.x - far, bounds.y - far, bounds.width + 2.0 * far, bounds.height + 2.0 * far)
}

/// Gap between two ranges; negative when they overlap.
fn gap(a: (f32, f32), b: (f32, f32)) -> f32 {
    (a.0 - b.1).max(b.0 - a.1)
}

fn are_near(a: &Quad, b: &Quad) -> bool {
    let (tall, low) = (a.height().max(b.height()), a.height().min(b.height()).max(1.0));
    if tall > MAX_HEIGHT_RATIO * low || a.turn_between(b) > MAX_TURN {
        return false;
    }
    let longer = if a.width() > b.width() { a } else { b };
    let angle = longer.angle_rad();
    let ([along_a, across_a], [along_b, across_b]) = (a.extents(angle), b.extents(angle));
    gap(along_a, along_b) <= REACH_ALONG * tall && gap(across_a, across_b) <= REACH_ACROSS * tall
}

fn group(lines: Vec<Quad>, heads: &[Quad]) -> Group {
    // Twice the angle, so that opposite directions add up.
    let (mut x, mut y) = (0.0, 0.0);
    for line in &lines {
        let twice = 2.0 * line.angle_rad();
        x += line.width() * twice.cos();
        y += line.width() * twice.sin();
    }
    let mut group = Group { mrz: None, angle_rad: y.atan2(x) / 2.0, heads: Vec::new(), lines };
    let content = group.content();
    group.heads = portraits(heads, &content, &group);
    group.mrz = machine_readable(&group);
    group
}

/// The heads that are printed among the lines of a group. Lines beside them tell, or lines just above or below as on
/// badges, but then of one head only: people look over what they hold up.
fn portraits(heads: &[Quad], content: &Quad, group: &Group) -> Vec<Quad> {
    let lines_within = |head: &Quad, near: f32| {
        let [_, own] = head.extents(group.angle_rad);
        let near = near * (own.1 - own.0);
        let beside = |line: &&Quad| gap(line.extents(group.angle_rad)[1], (own.0 - near, own.1 + near)) < 0.0;
        group.lines.iter().filter(beside).take(LINES_BESIDE).count() == LINES_BESIDE
    };
    let fits = |head: &&Quad| {
        let side = head.width().max(head.height());
        side <= MAX_HEAD_SHARE * content.width().max(content.height())
            && content.inflated(0.75 * side).contains(head.center())
            && lines_within(head, 0.5)
    };
    let (beside, near): (Vec<Quad>, Vec<Quad>) =
        heads.iter().filter(fits).copied().partition(|head| lines_within(head, 0.0));
    if beside.is_empty() && near.len() == 1 { near } else { beside }
}

/// Two or three long lines of one length, one below the other.
fn machine_readable(group: &Group) -> Option<Quad> {
    let angle = group.angle_rad;
    let mut rows: Vec<[(f32, f32); 2]> = joined_rows(group);
    rows.retain(|[along, across]| along.1 - along.0 >= MRZ_ASPECT * (across.1 - across.0));
    rows.sort_by(|a, b| a[1].0.total_cmp(&b[1].0));
    let alike = |a: &[(f32, f32); 2], b: &[(f32, f32); 2]| {
        let height = (a[1].1 - a[1].0).max(b[1].1 - b[1].0);
        let (p, q) = (a[0].1 - a[0].0, b[0].1 - b[0].0);
        (p - q).abs() <= MRZ_LENGTHS * p.max(q)
            && (a[0].0 - b[0].0).abs() <= MRZ_ENDS * height
            && b[1].0 - a[1].0 <= MRZ_STEP * height
    };
    let first = rows.windows(2).position(|pair| alike(&pair[0], &pair[1]))?;
    let mut last = first + 1;
    while last + 1 < rows.len() && alike(&rows[last], &rows[last + 1]) {
        last += 1;
    }
    // More lines of one length are a justified paragraph.
    if last - first > 2 {
        return None;
    }
    let (s, c) = angle.sin_cos();
    let back = |u: f32, v: f32| Point::new(u * c - v * s, u * s + v * c);
    let corners: Vec<Point> = rows[first..=last]
        .iter()
        .flat_map(|[u, v]| [back(u.0, v.0), back(u.1, v.0), back(u.1, v.1), back(u.0, v.1)])
        .collect();
    Some(Quad::around(&corners, angle))
}

/// Lines of a group with their parts put together, as ranges along and across its direction.
fn joined_rows(group: &Group) -> Vec<[(f32, f32); 2]> {
    let mut parts: Vec<[(f32, f32); 2]> = group.lines.iter().map(|line| line.extents(group.angle_rad)).collect();
    parts.sort_by(|a, b| a[0].0.total_cmp(&b[0].0));
    let mut rows: Vec<[(f32, f32); 2]> = Vec::new();
    for part in parts {
        let height = part[1].1 - part[1].0;
        // The latest rows are the ones that reach furthest: few are looked at.
        let holder = rows.iter_mut().rev().take(64).find(|row| {
            -gap(row[1], part[1]) >= 0.6 * height.min(row[1].1 - row[1].0) && gap(row[0], part[0]) <= 2.0 * height
        });
        match holder {
            Some(row) => {
                *row = [
                    (row[0].0.min(part[0].0), row[0].1.max(part[0].1)),
                    (row[1].0.min(part[1].0), row[1].1.max(part[1].1)),
                ];
            }
            None => rows.push(part),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(x: f32, y: f32, w: f32, h: f32) -> Quad {
        Rect::new(x, y, w, h).into()
    }

    fn turned(q: &Quad, angle: f32) -> Quad {
        let (s, c) = angle.sin_cos();
        q.map(|p| Point::new(p.x * c - p.y * s, p.x * s + p.y * c))
    }

    fn card() -> Vec<Quad> {
        let mut lines = vec![line(20.0, 20.0, 400.0, 30.0)];
        for row in 0..4 {
            lines.push(line(280.0, 90.0 + 60.0 * row as f32, 120.0, 16.0));
            lines.push(line(280.0, 112.0 + 60.0 * row as f32, 260.0, 26.0));
        }
        lines
    }

    fn mrz() -> Vec<Quad> {
        // The second line fell into two boxes.
        vec![line(20.0, 400.0, 800.0, 40.0), line(22.0, 446.0, 400.0, 40.0), line(440.0, 446.0, 382.0, 40.0)]
    }

    #[test]
    fn what_is_a_group() {
        let head = line(60.0, 120.0, 140.0, 180.0);
        let far = line(60.0, 1500.0, 300.0, 26.0);
        let lines: Vec<Quad> = card().into_iter().chain(mrz()).chain([far]).collect();
        for angle in [0.0, 0.5, 1.5, -1.2] {
            let lines: Vec<Quad> = lines.iter().map(|q| turned(q, angle)).collect();
            let found = groups(&lines, &[turned(&head, angle), turned(&line(900.0, 900.0, 700.0, 900.0), angle)]);
            assert_eq!(found.len(), 2, "at {angle}");
            assert_eq!((found[0].lines.len(), found[0].heads.len()), (12, 1), "at {angle}");
            assert!(found[0].mrz.is_some_and(|m| m.contains(turned(&line(440.0, 446.0, 382.0, 40.0), angle).center())));
            assert_eq!((found[1].lines.len(), found[1].mrz), (1, None));
        }
    }

    #[test]
    fn machine_readable_lines_are_known_by_their_shape() {
        let lines = |rows: &[(f32, f32)]| -> Vec<Quad> {
            rows.iter().enumerate().map(|(i, &(x, w))| line(x, 40.0 * i as f32, w, 30.0)).collect()
        };
        let table = [
            ("two of one length", lines(&[(0.0, 600.0), (5.0, 590.0)]), true),
            ("three", lines(&[(0.0, 600.0), (5.0, 590.0), (0.0, 600.0)]), true),
            ("a paragraph", lines(&[(0.0, 600.0); 7]), false),
            ("two of different lengths", lines(&[(0.0, 600.0), (0.0, 400.0)]), false),
            ("two short ones", lines(&[(0.0, 200.0), (0.0, 200.0)]), false),
            ("shifted", lines(&[(0.0, 600.0), (120.0, 600.0)]), false),
        ];
        for (name, lines, want) in table {
            let found = groups(&lines, &[]);
            assert_eq!(found.iter().any(|g| g.mrz.is_some()), want, "{name}");
        }
    }

    #[test]
    fn portraits_stand_beside_lines_and_onlookers_do_not() {
        let name_tag = vec![line(70.0, 300.0, 260.0, 26.0), line(70.0, 340.0, 260.0, 26.0)];
        let above = |x: f32| line(x, 160.0, 100.0, 130.0);
        let table = [
            ("beside", card(), vec![line(60.0, 120.0, 140.0, 180.0)], 1),
            (
                "a portrait and its ghost",
                card(),
                vec![line(60.0, 120.0, 140.0, 180.0), line(560.0, 200.0, 50.0, 70.0)],
                2,
            ),
            ("on a badge", name_tag.clone(), vec![above(150.0)], 1),
            ("two people behind a sign", name_tag.clone(), vec![above(100.0), above(210.0)], 0),
            ("far away", name_tag, vec![line(150.0, 900.0, 100.0, 130.0)], 0),
        ];
        for (name, lines, heads, want) in table {
            assert_eq!(groups(&lines, &heads)[0].heads.len(), want, "{name}");
        }
    }

    #[test]
    fn print_stands_in_columns_and_signs_do_not() {
        let scattered = vec![
            line(0., 0., 90., 20.),
            line(50., 40., 130., 22.),
            line(160., 80., 70., 12.),
            line(24., 110., 100., 34.),
        ];
        let table = [
            ("a card", card(), 8),
            ("scattered", scattered, 0),
            ("words of one line", vec![line(0.0, 0.0, 80.0, 20.0), line(90.0, 0.0, 80.0, 20.0)], 0),
            ("centred", vec![line(100.0, 0.0, 80.0, 20.0), line(80.0, 30.0, 120.0, 20.0)], 2),
            ("far below", vec![line(0.0, 0.0, 80.0, 20.0), line(0.0, 300.0, 80.0, 20.0)], 0),
        ];
        for (name, lines, want) in table {
            for angle in [0.0, 0.7] {
                let lines: Vec<Quad> = lines.iter().map(|q| turned(q, angle)).collect();
                let group = Group { lines, heads: vec![], mrz: None, angle_rad: angle };
                assert_eq!(group.in_columns(), want, "{name} at {angle}");
            }
        }
    }

    #[test]
    fn a_page_of_many_lines_is_one_group() {
        let lines: Vec<Quad> =
            (0..2000).map(|i| line(10.0 + 320.0 * (i % 2) as f32, 12.0 * (i / 2) as f32, 300.0, 9.0)).collect();
        assert_eq!(groups(&lines, &[]).len(), 1);
    }
}
