//! From the boxes of many views to heads: clusters of boxes, what they agree on, and one calibrated score.
//!
//! A lone weak box counts little, weak boxes of several views count much. Two logistic regressions weigh the evidence:
//! the first looks at a cluster alone, the second also at the picture's other heads, which tell what is up.

use super::gather::Candidate;
use super::passes::Net;
use super::weights::{CLUSTER_FEATURES, CONTEXT_FEATURES, Weights};
use crate::detect::nms::{self, RectIndex};
use crate::types::geometry::{Point, Quad, Rect, Size};

/// Boxes whose ellipses' extents overlap by this much show the same head.
const CLUSTER_IOU: f32 = 0.4;
/// Log odds that stand for "not seen".
const NOT_SEEN: f32 = -4.0;
/// Landmark features of a face without landmarks: those of a usual one.
const USUAL_LANDMARKS: [f32; 3] = [0.37, 0.42, 0.03];
/// Sides of a head's box between its centre and the picture's edge from which on the edge does not matter.
pub const EDGE_SIDES: f32 = 1.5;
/// Smaller heads, as a share of the picture, count as this small: large photos go beyond what the weights were fitted on.
const LEAST_RELATIVE_SIZE: f32 = 0.011;

/// A head as the boxes of a cluster agree on it; picture space.
#[derive(Clone, Debug)]
pub struct Head {
    pub center: Point,
    /// Of the face box, along the head's own axes.
    pub width: f32,
    pub height: f32,
    /// Clockwise turn, eighths of a circle.
    pub heading: u8,
    pub landmarks: Option<[Point; 5]>,
    /// Calibrated probability.
    pub score: f32,
    extent: Rect,
    features: Vec<f32>,
    rank: f32,
    /// Whether a network that the regressions know saw it.
    is_fitted: bool,
    /// Log odds by the network that they do not know.
    second_opinion: Option<f32>,
}

/// Heads with their scores, duplicates removed, best first. `again`: the areas that were looked at again, for weights
/// that know of it.
pub fn fused(candidates: Vec<Candidate>, picture: Size, weights: &Weights, again: Option<&[Rect]>) -> Vec<Head> {
    let clusters = nms::grouped(candidates, extent_of, |c| c.logit, CLUSTER_IOU, f32::INFINITY);
    let mut heads = without_doubles(clusters.into_iter().map(|c| head(c, picture)).collect());
    if let Some(areas) = again {
        heads.iter_mut().for_each(|head| head.mark(areas));
    }
    let first: Vec<f32> = heads.iter().map(|h| h.fitted(weights.cluster, &[])).collect();
    let contexts: Vec<_> = (0..heads.len()).map(|i| context(i, &heads, &first)).collect();
    for (head, context) in heads.iter_mut().zip(contexts) {
        let fitted = head.fitted(weights.context, &context);
        let second = head.second_opinion.map_or(0.0, sigmoid);
        head.score = 1.0 - (1.0 - fitted) * (1.0 - second);
    }
    heads.sort_by(|a, b| b.score.total_cmp(&a.score));
    heads
}

/// Heads that score like their best box: for the few views of a glance, which are not weighed against each other.
pub fn unweighed(candidates: Vec<Candidate>, picture: Size) -> Vec<Head> {
    let clusters = nms::grouped(candidates, extent_of, |c| c.logit, CLUSTER_IOU, f32::INFINITY);
    let scored = |cluster: Vec<Candidate>| {
        let best = cluster[0].logit;
        Head { score: sigmoid(best), rank: best, ..head(cluster, picture) }
    };
    without_doubles(clusters.into_iter().map(scored).collect())
}

impl Head {
    /// Box around the ellipse inscribed in the face box, axis-parallel.
    pub fn extent(&self) -> Rect {
        self.extent
    }

    /// From its centre to the picture's edge, in sides of its box, [`EDGE_SIDES`] at most; negative behind the edge.
    pub fn sides_to_edge(&self, picture: Size) -> f32 {
        let Point { x, y } = self.center;
        let to_edge = x.min(y).min(picture.width as f32 - x).min(picture.height as f32 - y);
        (to_edge / (self.width * self.height).sqrt()).min(EDGE_SIDES)
    }

    /// Repeats the features for heads that were looked at again: there the same evidence weighs otherwise.
    fn mark(&mut self, areas: &[Rect]) {
        let is_again = areas.iter().any(|&area| Quad::from(area).contains(self.center));
        let factor = if is_again { 1.0 } else { 0.0 };
        let repeated: Vec<f32> = self.features.iter().map(|f| f * factor).collect();
        self.features.extend(repeated);
        self.features.push(factor);
    }

    /// Probability by a regression over the cluster's features and more; 0 when only unknown networks saw it.
    fn fitted(&self, weights: &[f32], more: &[f32]) -> f32 {
        if !self.is_fitted {
            return 0.0;
        }
        debug_assert_eq!(weights.len(), self.features.len() + more.len() + 1);
        let constant = weights[weights.len() - 1];
        sigmoid(self.features.iter().chain(more).zip(weights).map(|(f, w)| f * w).sum::<f32>() + constant)
    }
}

pub fn sigmoid(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn extent_of(c: &Candidate) -> Rect {
    extent(c.center, c.width, c.height, c.heading)
}

/// Axis-parallel box around the ellipse inscribed in a turned box: unlike the box's own bounds it does not grow on the
/// diagonals.
fn extent(center: Point, width: f32, height: f32, heading: u8) -> Rect {
    let (s, c) = angle_rad(heading).sin_cos();
    let (a, b) = (width / 2.0, height / 2.0);
    let (hx, hy) = ((a * c).hypot(b * s), (a * s).hypot(b * c));
    Rect::new(center.x - hx, center.y - hy, 2.0 * hx, 2.0 * hy)
}

/// Clockwise, radians.
pub fn angle_rad(heading: u8) -> f32 {
    f32::from(heading) * std::f32::consts::FRAC_PI_4
}

/// Eighths between two headings, 0 to 4.
fn apart(a: u8, b: u8) -> u8 {
    let d = a.abs_diff(b) % 8;
    d.min(8 - d)
}

/// The heading that most of the evidence has, and its share of all.
fn dominant(members: &[Candidate]) -> (u8, f32) {
    let mut sums = [0f32; 8];
    for m in members {
        sums[usize::from(m.heading % 8)] += sigmoid(m.logit);
    }
    let around = |k: usize| sums[k] + (sums[(k + 7) % 8] + sums[(k + 1) % 8]) / 2.0;
    let argmax =
        |value: &dyn Fn(usize) -> f32| (0..8).rev().max_by(|&a, &b| value(a).total_cmp(&value(b))).unwrap_or(0);
    // A head between two quarter turns is seen a little in both.
    let has_diagonals = members.iter().any(|m| m.heading % 2 == 1);
    let alone = |k: usize| sums[k];
    let mut best = argmax(if has_diagonals { &around } else { &alone });
    if sums[best] == 0.0 {
        best = argmax(&alone);
    }
    (best as u8, sums[best] / (sums.iter().sum::<f32>() + 1e-9))
}

/// Best first in, so the first of each view is its best.
fn best_of_each_pass(cluster: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen = std::collections::HashSet::new();
    cluster.into_iter().filter(|c| seen.insert(c.pass)).collect()
}

fn head(cluster: Vec<Candidate>, picture: Size) -> Head {
    let members = best_of_each_pass(cluster);
    let (heading, share) = dominant(&members);
    let same: Vec<(&Candidate, f32)> =
        members.iter().filter(|m| m.heading == heading).map(|m| (m, sigmoid(m.logit).powi(2) + 1e-6)).collect();
    let total: f32 = same.iter().map(|(_, w)| w).sum();
    let mean = |value: &dyn Fn(&Candidate) -> f32| same.iter().map(|(m, w)| value(m) * w).sum::<f32>() / total;
    let center = Point::new(mean(&|m| m.center.x), mean(&|m| m.center.y));
    let (width, height) = (mean(&|m| m.width), mean(&|m| m.height));
    let spread = mean(&|m| m.center.distance(center).powi(2)).sqrt();
    let landmarks = mean_landmarks(&same);
    let second_opinion = members.iter().find(|m| m.net == Net::Seeta).map(|m| m.logit);
    let mut head = Head {
        center,
        width,
        height,
        heading,
        landmarks,
        score: 0.0,
        extent: extent(center, width, height, heading),
        features: Vec::new(),
        rank: 0.0,
        is_fitted: members.iter().any(|m| m.net != Net::Seeta),
        second_opinion,
    };
    head.features = features(&head, &members, share, spread, picture).to_vec();
    let f = &head.features;
    head.rank = f[0].max(f[6]) + 0.5 * f[0].min(f[6]) + 0.25 * (f[1] + f[7]);
    if let Some(logit) = second_opinion {
        head.rank = head.rank.max(logit);
    }
    head
}

fn mean_landmarks(same: &[(&Candidate, f32)]) -> Option<[Point; 5]> {
    let with: Vec<([Point; 5], f32)> = same.iter().filter_map(|(m, w)| Some((m.landmarks?, *w))).collect();
    let total: f32 = with.iter().map(|(_, w)| w).sum();
    (!with.is_empty()).then(|| {
        std::array::from_fn(|i| {
            let mean = |value: fn(&Point) -> f32| with.iter().map(|(l, w)| value(&l[i]) * w).sum::<f32>() / total;
            Point::new(mean(|p| p.x), mean(|p| p.y))
        })
    })
}

/// The evidence of a cluster in the order of the weights: for each network and for views about the heading or far from
/// it the best, second and mean of third and fourth log odds; then agreement, size and shape.
fn features(head: &Head, members: &[Candidate], share: f32, spread: f32, picture: Size) -> [f32; CLUSTER_FEATURES] {
    let mut f = [0.0; CLUSTER_FEATURES];
    for (i, (net, is_near)) in
        [(Net::YuNet, true), (Net::YuNet, false), (Net::CenterFace, true), (Net::CenterFace, false)]
            .into_iter()
            .enumerate()
    {
        // Members are sorted, best first.
        let mut logits = members
            .iter()
            .filter(|m| m.net == net && (apart(m.heading, head.heading) <= 1) == is_near)
            .map(|m| m.logit.max(NOT_SEEN))
            .chain(std::iter::repeat(NOT_SEEN));
        let mut next = || logits.next().unwrap_or(NOT_SEEN);
        (f[3 * i], f[3 * i + 1], f[3 * i + 2]) = (next(), next(), (next() + next()) / 2.0);
    }
    let size = (head.width * head.height).sqrt();
    let (w, h) = (picture.width as f32, picture.height as f32);
    let known = members.iter().filter(|m| m.net != Net::Seeta).count();
    f[12] = f[0].min(f[6]);
    f[13] = f[0].max(f[6]);
    f[14] = size.ln();
    f[15] = (size / w.max(h)).max(LEAST_RELATIVE_SIZE).ln();
    f[16] = (known.max(1) as f32).ln();
    f[17] = share;
    f[18] = spread / size;
    f[19] = (head.height / head.width).ln();
    f[20..23].copy_from_slice(&landmark_features(head));
    f[23] = head.sides_to_edge(picture);
    f
}

/// In widths and heights of the box: eyes to mouth, between the eyes, nose off the middle line.
fn landmark_features(head: &Head) -> [f32; 3] {
    let Some(landmarks) = head.landmarks else { return USUAL_LANDMARKS };
    let (s, c) = angle_rad(head.heading).sin_cos();
    let [re, le, nose, rm, lm] = landmarks.map(|p| {
        let (x, y) = (p.x - head.center.x, p.y - head.center.y);
        Point::new((x * c + y * s) / head.width, (y * c - x * s) / head.height)
    });
    let (eyes, mouth) = (re.lerp(le, 0.5), rm.lerp(lm, 0.5));
    [mouth.y - eyes.y, (le.x - re.x).abs(), (nose.x - (eyes.x + mouth.x) / 2.0).abs()]
}

/// Drops heads that repeat a better one: centred inside it and of comparable size, or overlapping it.
fn without_doubles(mut heads: Vec<Head>) -> Vec<Head> {
    heads.sort_by(|a, b| b.rank.total_cmp(&a.rank));
    let mut index = RectIndex::default();
    let mut kept: Vec<Rect> = Vec::new();
    heads.retain(|head| {
        let e = head.extent;
        let repeats = |better: Rect| {
            let (a, b) = (better.center(), e.center());
            let centred = (a.x - b.x).abs() < better.width / 2.0 && (a.y - b.y).abs() < better.height / 2.0;
            (centred && (0.1..3.0).contains(&(e.area() / better.area()))) || better.iou(e) > 0.3
        };
        let is_new = !index.overlapping(e).into_iter().any(|i| repeats(kept[i]));
        if is_new {
            index.insert(e);
            kept.push(e);
        }
        is_new
    });
    heads
}

/// What the picture's other heads say about this one: do the sure ones stand the same way up and have its size?
fn context(at: usize, heads: &[Head], first: &[f32]) -> [f32; CONTEXT_FEATURES] {
    /// Weaker heads have no say.
    const LEAST: f32 = 0.02;
    let head = &heads[at];
    let (mut agree, mut against, mut alike) = (0.0, 0.0, 0.0);
    for (other, &p) in heads.iter().zip(first).enumerate().filter(|(i, _)| *i != at).map(|(_, pair)| pair) {
        if p < LEAST {
            continue;
        }
        let weight = p.powi(3);
        let side = if apart(other.heading, head.heading) <= 1 { &mut agree } else { &mut against };
        *side += weight;
        let ratio = (other.width * other.height / (head.width * head.height)).ln() / 2.0;
        alike += weight * (-0.5 * (ratio / 0.5).powi(2)).exp();
    }
    let total = agree + against + 0.3;
    [agree.ln_1p(), against.ln_1p(), agree / total, against / total, alike / total]
}

#[cfg(test)]
#[path = "fuse_tests.rs"]
mod tests;
