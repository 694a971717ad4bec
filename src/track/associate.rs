//! Which detection continues which track.
//!
//! Method: in the spirit of ByteTrack and OC-SORT. Firm detections choose first, weak ones may then continue what is
//! left. Pairs are gated by overlap of the turned quads or distance of the centres, and taken greedily, cheapest first;
//! ties go to the lower index, so that the result never depends on the order of work.

use crate::types::detection::{Class, Detection};
use crate::types::geometry::Quad;

/// What is known of a track when the detections of a frame come in.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub class: Class,
    /// Predicted place, display space.
    pub quad: Quad,
    /// Frames since it was last detected, 1 when it was in the frame before.
    pub age: u32,
}

/// How far a detection may be from where a track is expected; one figure for firm and one for weak detections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gates {
    /// Least overlap with the prediction (either this or the distance must hold).
    pub min_iou: [f32; 2],
    /// Largest distance of the centres, in mean sides of the object.
    pub max_distance: [f32; 2],
}

/// Settings of the association.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AssociationSettings {
    /// Score from which a detection is firm.
    pub firm_score: f32,
    /// Quads of heads reach far beyond the faces that were found, those of small ones most: gates as wide as those of
    /// what is boxed tightly let a track of chance finds wander over the picture.
    pub heads: Gates,
    pub others: Gates,
    /// Growth of that distance per frame without detection, in mean sides, and its end.
    pub distance_per_frame: f32,
    pub max_distance_growth: f32,
    /// Largest ratio of the mean sides.
    pub max_ratio: f32,
}

impl Default for AssociationSettings {
    fn default() -> Self {
        Self {
            firm_score: 0.5,
            heads: Gates { min_iou: [0.2, 0.3], max_distance: [0.4, 0.25] },
            others: Gates { min_iou: [0.15, 0.25], max_distance: [0.6, 0.4] },
            distance_per_frame: 0.04,
            max_distance_growth: 0.5,
            max_ratio: 2.2,
        }
    }
}

/// For each detection the index of the track that it continues.
pub fn associate(tracks: &[Expected], detections: &[Detection], settings: &AssociationSettings) -> Vec<Option<usize>> {
    let mut chosen = vec![None; detections.len()];
    let mut taken = vec![false; tracks.len()];
    for stage in 0..2 {
        let firm = stage == 0;
        let open: Vec<usize> =
            (0..detections.len()).filter(|&d| (detections[d].score >= settings.firm_score) == firm).collect();
        for (_, track, detection) in candidate_pairs(tracks, &taken, detections, open, stage, settings) {
            if !taken[track] && chosen[detection].is_none() {
                taken[track] = true;
                chosen[detection] = Some(track);
            }
        }
    }
    chosen
}

/// Allowed pairs of a stage, cheapest first: cost, track, detection.
fn candidate_pairs(
    tracks: &[Expected],
    taken: &[bool],
    detections: &[Detection],
    mut open: Vec<usize>,
    stage: usize,
    settings: &AssociationSettings,
) -> Vec<(f32, usize, usize)> {
    // Sorted by height in the picture, each track looks at its own band only: a page of text has a thousand lines.
    let center_y = |d: usize| detections[d].quad.center().y;
    open.sort_by(|&a, &b| center_y(a).total_cmp(&center_y(b)).then(a.cmp(&b)));
    let tallest = open.iter().map(|&d| reach(&detections[d].quad)).fold(0.0, f32::max);
    let mut pairs = Vec::new();
    for (t, track) in tracks.iter().enumerate().filter(|(t, _)| !taken[*t]) {
        let y = track.quad.center().y;
        let band = (reach(&track.quad) + tallest).max(1.0) * (1.0 + settings.max_distance_growth);
        let first = open.partition_point(|&d| center_y(d) < y - band);
        for &d in open[first..].iter().take_while(|&&d| center_y(d) <= y + band) {
            if detections[d].class == track.class
                && let Some(cost) = cost(track, &detections[d].quad, stage, settings)
            {
                pairs.push((cost, t, d));
            }
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    pairs
}

/// Half the diagonal: how far a quad reaches from its centre.
fn reach(quad: &Quad) -> f32 {
    quad.width().hypot(quad.height()) / 2.0
}

/// Cost of a pair; `None` when the gate is shut.
fn cost(track: &Expected, quad: &Quad, stage: usize, settings: &AssociationSettings) -> Option<f32> {
    let (side, other) = (track.quad.area().sqrt().max(1.0), quad.area().sqrt().max(1.0));
    let ratio = (side / other).max(other / side);
    let distance = track.quad.center().distance(quad.center()) / side.max(other);
    let growth = (settings.distance_per_frame * track.age.saturating_sub(1) as f32).min(settings.max_distance_growth);
    let iou = track.quad.iou(quad);
    let gates = if track.class == Class::Face { &settings.heads } else { &settings.others };
    let near = distance <= gates.max_distance[stage] + growth && ratio <= settings.max_ratio;
    let open = near || iou >= gates.min_iou[stage];
    open.then(|| (1.0 - iou) + 0.5 * distance + 0.3 * ratio.ln() + 0.02 * track.age.min(25) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::geometry::{Point, Rect};

    fn found(x: f32, y: f32, side: f32, score: f32) -> Detection {
        Detection { class: Class::Face, quad: Rect::new(x, y, side, side).into(), score, landmarks: None }
    }

    fn expected(x: f32, y: f32, side: f32) -> Expected {
        Expected { class: Class::Face, quad: Rect::new(x, y, side, side).into(), age: 1 }
    }

    #[test]
    fn table_of_pairs() {
        let text = Detection { class: Class::Text, ..found(100.0, 100.0, 50.0, 0.9) };
        let unseen = |class: Class| Expected { class, age: 13, ..expected(100.0, 100.0, 50.0) };
        let beside = |class: Class| Detection { class, ..found(146.0, 100.0, 50.0, 0.9) };
        type Row = (&'static str, Vec<Expected>, Vec<Detection>, Vec<Option<usize>>);
        let table: Vec<Row> = vec![
            ("nothing", vec![], vec![found(0.0, 0.0, 50.0, 0.9)], vec![None]),
            ("same place", vec![expected(100.0, 100.0, 50.0)], vec![found(104.0, 98.0, 52.0, 0.9)], vec![Some(0)]),
            ("other class", vec![expected(100.0, 100.0, 50.0)], vec![text], vec![None]),
            ("too far", vec![expected(100.0, 100.0, 50.0)], vec![found(300.0, 100.0, 50.0, 0.9)], vec![None]),
            ("a head beside", vec![unseen(Class::Face)], vec![beside(Class::Face)], vec![None]),
            ("text that went on", vec![unseen(Class::Text)], vec![beside(Class::Text)], vec![Some(0)]),
            (
                "firm before weak",
                vec![expected(100.0, 100.0, 50.0)],
                vec![found(100.0, 100.0, 50.0, 0.2), found(110.0, 100.0, 50.0, 0.8)],
                vec![None, Some(0)],
            ),
            (
                "weak continues what firm left",
                vec![expected(100.0, 100.0, 50.0), expected(400.0, 100.0, 50.0)],
                vec![found(405.0, 100.0, 50.0, 0.2), found(100.0, 100.0, 50.0, 0.8)],
                vec![Some(1), Some(0)],
            ),
            (
                "two side by side keep their tracks",
                vec![expected(100.0, 100.0, 50.0), expected(140.0, 100.0, 50.0)],
                vec![found(145.0, 100.0, 50.0, 0.9), found(108.0, 100.0, 50.0, 0.9)],
                vec![Some(1), Some(0)],
            ),
        ];
        for (name, tracks, detections, pairs) in table {
            assert_eq!(associate(&tracks, &detections, &AssociationSettings::default()), pairs, "{name}");
        }
    }

    #[test]
    fn turned_lines_of_text_do_not_mix() {
        // Long lines at 45 degrees whose bounding boxes nearly coincide.
        let line = |k: f32| Quad::rotated_rect(Point::new(400.0 + 12.0 * k, 400.0 - 12.0 * k), 400.0, 14.0, 0.785);
        let tracks: Vec<Expected> =
            (0..5).map(|k| Expected { class: Class::Text, quad: line(k as f32), age: 1 }).collect();
        let detections: Vec<Detection> = (0..5)
            .rev()
            .map(|k| Detection { class: Class::Text, quad: line(k as f32 + 0.1), score: 0.8, landmarks: None })
            .collect();
        let expected: Vec<_> = (0..5).rev().map(Some).collect();
        assert_eq!(associate(&tracks, &detections, &AssociationSettings::default()), expected);
    }
}
