//! People by their poses: MoveNet multipose (Google, 2021; single-shot key points after CenterNet, Zhou et al. 2019).
//!
//! A second kind of evidence for faces: a body is seen where the face is turned away, bandaged or in the dark.

use crate::error::Result;
use crate::infer::Network;
use crate::infer::engine::{checked, expect_shape};
use crate::infer::prep::{Affine, Channels, InputSpec, Layout, Turn, scaled_down, turned};
use crate::types::detection::Person;
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad, Size};

/// Side of the square input.
pub const SIDE: u32 = 256;
/// People that one run tells of at most.
const MOST: usize = 6;
/// Key points of a person: nose, eyes, ears, shoulders, then arms and legs.
const POINTS: usize = 17;
/// Numbers of a person: y, x, score of each key point; then ymin, xmin, ymax, xmax, score of the body.
const ROW: usize = POINTS * 3 + 5;
/// Of 541 people in annotated photos at this score, 509 had an annotated face where the head should be; most others a
/// face that the annotation left out.
const LEAST_SCORE: f32 = 0.15;
/// Key points below it are guesses.
const LEAST_POINT_SCORE: f32 = 0.2;

const INPUT: InputSpec = InputSpec { channels: Channels::Rgb, layout: Layout::Nhwc, mean: [0.0; 3], scale: [1.0; 3] };

/// Width of a head, hair and ears included, in distances between ears, eyes, shoulders, and in body lengths.
const WIDTH_BY_EARS: f32 = 1.7;
const WIDTH_BY_EYES: f32 = 3.4;
const WIDTH_BY_SHOULDERS: f32 = 0.65;
const LEAST_WIDTH_BY_BODY: f32 = 0.1;
/// Height of a head in widths.
const ASPECT: f32 = 1.3;
/// Head of a body without points on it: shares of the body's box.
const TOP_HEIGHT: f32 = 0.22;
const TOP_WIDTH: f32 = 0.5;
/// A body that begins this close to the picture's edge, as a share of the input, has its head outside.
const AT_EDGE: f32 = 0.02;

/// Finds people, upright or turned by quarters.
pub struct PersonDetector {
    network: Box<dyn Network>,
}

impl PersonDetector {
    /// `network`: input `[1, 256, 256, 3]`, output `[1, 6, 56]`.
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network }
    }

    /// Up to six people, heads in display space. Other ways up are tried only when nobody is seen upright: the network
    /// finds a part of those who lie down as well, and every further run costs as much again.
    pub fn people(&mut self, picture: &Picture) -> Result<Vec<Person>> {
        if picture.size.pixels() == 0 {
            return Ok(Vec::new());
        }
        let small = scaled_down(picture, SIDE)?;
        for turn in Turn::ALL {
            let view = turned(&small.picture, turn);
            let map = small.source_from_derived.after(&view.source_from_derived);
            let mut people = self.people_in(&view.picture, &map)?;
            if !people.is_empty() {
                for person in &mut people {
                    person.head = person.head.scaled(picture.display_from_picture);
                }
                return Ok(people);
            }
        }
        Ok(Vec::new())
    }

    /// `picture_from_view`: from pixels of the view, which is no larger than the input.
    fn people_in(&mut self, view: &Picture, picture_from_view: &Affine) -> Result<Vec<Person>> {
        let name = self.network.name().to_owned();
        let input = INPUT.tensor(&view.data, view.size, Size::new(SIDE, SIDE));
        let outputs = checked(&name, self.network.run(input)?, 1)?;
        expect_shape(&name, &outputs[0], &[1, MOST, ROW])?;
        let people = outputs[0].data.chunks_exact(ROW).filter_map(|row| {
            let score = row[ROW - 1];
            let head = (score >= LEAST_SCORE).then(|| head_of(&Pose(row), view.size)).flatten()?;
            Some(Person { head: head.map(|p| picture_from_view.apply(p)), score: score.min(1.0) })
        });
        Ok(people.filter(|p| p.head.is_finite()).collect())
    }
}

/// One person as the network tells it; points in pixels of its input.
struct Pose<'a>(&'a [f32]);

impl Pose<'_> {
    /// A key point, if the network is sure of it.
    fn point(&self, index: usize) -> Option<Point> {
        let [y, x, score] = [0, 1, 2].map(|k| self.0[index * 3 + k]);
        (score >= LEAST_POINT_SCORE).then(|| Point::new(x * SIDE as f32, y * SIDE as f32))
    }

    fn distance(&self, a: usize, b: usize) -> Option<f32> {
        Some(self.point(a)?.distance(self.point(b)?))
    }

    /// Left, top, right and bottom of the body.
    fn bounds(&self) -> [f32; 4] {
        let [ymin, xmin, ymax, xmax] = [0, 1, 2, 3].map(|k| self.0[POINTS * 3 + k] * SIDE as f32);
        [xmin, ymin, xmax, ymax]
    }
}

const EYES: (usize, usize) = (1, 2);
const EARS: (usize, usize) = (3, 4);
const SHOULDERS: (usize, usize) = (5, 6);

/// The whole head: around the points on it, else the top of the body; `None` when it lies outside of the picture.
fn head_of(pose: &Pose, picture: Size) -> Option<Quad> {
    let [left, top, right, bottom] = pose.bounds();
    let on_head: Vec<Point> = (0..=EARS.1).filter_map(|i| pose.point(i)).collect();
    if on_head.is_empty() {
        let (width, height) = (right - left, bottom - top);
        if top < AT_EDGE * SIDE as f32 || width <= 0.0 || height <= 0.0 {
            return None;
        }
        let center = Point::new((left + right) / 2.0, top + TOP_HEIGHT * height / 2.0);
        return Some(Quad::rotated_rect(center, TOP_WIDTH * width, TOP_HEIGHT * height, 0.0));
    }
    let count = on_head.len() as f32;
    let center =
        Point::new(on_head.iter().map(|p| p.x).sum::<f32>() / count, on_head.iter().map(|p| p.y).sum::<f32>() / count);
    let is_inside = center.x >= 0.0 && center.y >= 0.0;
    if !is_inside || center.x > picture.width as f32 || center.y > picture.height as f32 {
        return None;
    }
    let measures = [(EARS, WIDTH_BY_EARS), (EYES, WIDTH_BY_EYES), (SHOULDERS, WIDTH_BY_SHOULDERS)];
    let widths = measures.into_iter().filter_map(|((a, b), share)| Some(pose.distance(a, b)? * share));
    let width = widths.fold(LEAST_WIDTH_BY_BODY * (bottom - top).max(right - left), f32::max);
    // Down the neck, if the shoulders are known.
    let tilt = pose.point(SHOULDERS.0).zip(pose.point(SHOULDERS.1)).map_or(0.0, |(a, b)| {
        let (dx, dy) = ((a.x + b.x) / 2.0 - center.x, (a.y + b.y) / 2.0 - center.y);
        (-dx).atan2(dy)
    });
    Some(Quad::rotated_rect(center, width, ASPECT * width, tilt))
}

#[cfg(test)]
mod tests {
    use super::super::face::fakes::{FakeNetwork, black};
    use super::*;
    use crate::infer::Tensor;

    /// A person in shares of the input: key points (index, x, y) that are sure, box (x0, y0, x1, y1), score.
    fn row(points: &[(usize, f32, f32)], bounds: [f32; 4], score: f32) -> Vec<f32> {
        let mut row = vec![0.0; ROW];
        for &(i, x, y) in points {
            row[i * 3..i * 3 + 3].copy_from_slice(&[y, x, 0.9]);
        }
        let [x0, y0, x1, y1] = bounds;
        row[POINTS * 3..].copy_from_slice(&[y0, x0, y1, x1, score]);
        row
    }

    fn detector(rows: &[Vec<f32>]) -> PersonDetector {
        let mut data = rows.concat();
        data.resize(MOST * ROW, 0.0);
        PersonDetector::new(FakeNetwork::boxed(vec![1, 256, 256, 3], vec![Tensor::new(vec![1, MOST, ROW], data)]))
    }

    const BODY: [f32; 4] = [0.3, 0.1, 0.5, 0.5];

    #[test]
    fn heads_lie_around_their_points_or_at_the_top_of_the_body() {
        let ears = [(0, 0.4, 0.2), (3, 0.44, 0.2), (4, 0.36, 0.2)];
        // Name, points, box, score; centre of the head in a picture of 512x256 shown at twice its size.
        let table = [
            ("frontal", &ears[..], BODY, 0.5, Some((409.6, 204.8))),
            ("weak", &ears[..], BODY, 0.1, None),
            ("no points", &[][..], BODY, 0.5, Some((409.6, 147.5))),
            ("head above the picture", &[][..], [0.3, 0.0, 0.5, 0.5], 0.5, None),
            ("points outside of the picture", &[(0, 0.9, 0.9)][..], BODY, 0.5, None),
        ];
        for (name, points, bounds, score, expected) in table {
            let mut picture = black(512, 256);
            picture.display_from_picture = 2.0;
            let people = detector(&[row(points, bounds, score)]).people(&picture).unwrap();
            let center = people.first().map(|p| p.head.center());
            match (center, expected) {
                (Some(c), Some((x, y))) => assert!(c.distance(Point::new(x, y)) < 1.0, "{name}: {c:?}"),
                (None, None) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_head_is_as_wide_as_its_widest_measure_and_stands_on_the_shoulders() {
        let upright = [(1, 0.42, 0.3), (2, 0.38, 0.3), (5, 0.5, 0.42), (6, 0.3, 0.42)];
        let head = |points: &[(usize, f32, f32)]| {
            detector(&[row(points, [0.2, 0.2, 0.6, 0.9], 0.5)]).people(&black(256, 256)).unwrap()[0].head
        };
        let quad = head(&upright);
        assert!((quad.width() - 256.0 * 0.2 * WIDTH_BY_SHOULDERS.max(WIDTH_BY_EYES * 0.2)).abs() < 2.0, "{quad:?}");
        assert!(quad.angle_rad().abs() < 1e-3);
        // The shoulders to the left of the head: its top points to the right.
        let lying = head(&[(0, 0.5, 0.5), (5, 0.3, 0.6), (6, 0.3, 0.4)]);
        assert!((lying.angle_rad() - std::f32::consts::FRAC_PI_2).abs() < 1e-3, "{lying:?}");
    }

    #[test]
    fn an_empty_picture_holds_nobody() {
        assert!(detector(&[]).people(&black(0, 0)).unwrap().is_empty());
        assert!(detector(&[]).people(&black(1, 900)).unwrap().is_empty());
    }
}
