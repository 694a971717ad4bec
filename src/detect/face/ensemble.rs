//! Faces for redaction: networks that fail apart, over turns and scales, their weak agreements weighed as evidence.

use serde::{Deserialize, Serialize};

use super::again;
use super::bars::{Bar, bars};
use super::fuse::{EDGE_SIDES, Head, fused, sigmoid, unweighed};
pub use super::gather::Networks;
use super::gather::{Candidate, Window, look};
use super::head::head_quad;
use super::passes::{self, Net, Views};
use super::quality::Quality;
use super::weights::{self, Weights};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::infer::prep::scaled_down;
use crate::types::detection::{Class, Detection, Effort, Headings};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Rect, Size};
use crate::types::stage::Detector;

/// How little evidence is enough. Missing a face costs more than hiding something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    Low,
    #[default]
    Normal,
    High,
    Max,
}

impl Sensitivity {
    /// Least probability of a head that takes a hundredth of the picture.
    fn threshold(self, is_poor: bool) -> f32 {
        match (self, is_poor) {
            (Sensitivity::Low, false) => 0.4,
            (Sensitivity::Normal, false) => 0.33,
            (Sensitivity::Low, true) => 0.25,
            (Sensitivity::High, false) | (Sensitivity::Normal, true) => 0.15,
            (Sensitivity::Max, false) | (Sensitivity::High, true) => 0.08,
            (Sensitivity::Max, true) => 0.05,
        }
    }

    /// The next higher level.
    fn raised(self) -> Self {
        match self {
            Sensitivity::Low => Sensitivity::Normal,
            Sensitivity::Normal => Sensitivity::High,
            Sensitivity::High | Sensitivity::Max => Sensitivity::Max,
        }
    }

    /// Least probability in a single view of a frame.
    fn fast_threshold(self) -> f32 {
        match self {
            Sensitivity::Low => 0.4,
            Sensitivity::Normal => 0.25,
            Sensitivity::High => 0.18,
            Sensitivity::Max => 0.13,
        }
    }
}

/// Evidence asked for rises with the area that a mask would take: log odds for each factor e.
const COST_SLOPE: f32 = 0.6;
/// Share of the picture for which thresholds hold.
const USUAL_SHARE: f32 = 0.01;
/// Tiny heads need no less evidence than this many factors e below the usual share.
const LEAST_LOG_SHARE: f32 = -4.0;
/// Large heads need no more evidence than this many factors e above the usual share: a close-up is the person whom the
/// picture is about. Without a bound a profile with a respirator that fills half of the picture stayed unmasked.
const MOST_LOG_SHARE: f32 = 1.0;
/// Probabilities, at the usual cost, between which a head is looked at again.
const HOPELESS: f32 = 0.08;
const BEYOND_DOUBT: f32 = 0.7;
/// Probability of a box of the cheap network from which the costly one looks in that heading too. In noise the cheap one
/// sees nothing, and says nothing.
const SUGGESTS: f32 = 0.3;
/// Probability of a head under a bar that could be a window or a sign as well.
const TRACE: f32 = 0.02;
/// Scores of heads that are known by a bar over a part of them.
const DRAWN: f32 = 0.9;
const LIKELY_DRAWN: f32 = 0.5;
/// The cheap network sees many an upright face upside down as well, but with less certainty: log odds.
const ECHO_STEP: f32 = 0.4;
/// The photos that the regressions were fitted on have no labels for many heads that their edge cuts, so these count as no
/// heads there: 1.3 log odds (0.8 where they are looked at again) for each side by which a head's centre is nearer to the
/// edge than one and a half of them. Clips get half of that back, photos, where most are looked at again, three quarters.
/// Giants get nothing: most of those are no heads.
const CUT_ALLOWANCE: f32 = 0.65;
const CUT_ALLOWANCE_AGAIN: f32 = 0.57;
const MOST_CUT_SHARE: f32 = 0.06;
/// Longest side at which quality is measured: what the networks mostly see.
const QUALITY_SIDE: u32 = 1280;

/// The ensemble. Its heads' quads hold hair, ears and chin: masks need no further margin.
pub struct FaceDetector {
    name: String,
    networks: Networks,
    sensitivity: Sensitivity,
}

impl FaceDetector {
    /// Errors: `Usage` when no network is given.
    pub fn new(networks: Networks, sensitivity: Sensitivity) -> Result<Self> {
        let members = [&networks.yunet, &networks.centerface, &networks.seeta];
        let names: Vec<&str> = members.into_iter().flatten().map(|n| n.name()).collect();
        if names.is_empty() {
            return Err(Error::new(Stage::Detect, ErrorKind::Usage, "no face network is chosen; name at least one"));
        }
        Ok(Self { name: names.join("+"), networks, sensitivity })
    }

    fn profile(&self, effort: Effort) -> &'static Profile {
        match (self.networks.has(Net::YuNet), self.networks.has(Net::CenterFace), effort) {
            (true, true, Effort::Thorough) => &THOROUGH,
            (true, true, _) => &KEY,
            (false, true, _) => &CENTERFACE_ALONE,
            (_, false, _) => &YUNET_ALONE,
        }
    }

    /// The heads that are sure enough, and the bars that hide a part of one.
    fn weighed(&mut self, picture: &Picture, effort: Effort) -> Result<(Vec<Head>, Vec<Bar>)> {
        let quality = Quality::of(&scaled_down(picture, QUALITY_SIDE)?.picture);
        let is_poor = quality.is_poor();
        // Tracks need more than one weak hit, so key frames may tell of weaker ones than photos.
        let sensitivity = if effort != Effort::Thorough { self.sensitivity.raised() } else { self.sensitivity };
        let threshold = sensitivity.threshold(is_poor);
        let profile = self.profile(effort);
        let all_nets = self.networks.has(Net::YuNet) && self.networks.has(Net::CenterFace);
        let mut candidates = match effort {
            Effort::Key(headings) if all_nets && !quality.is_noisy() && headings != Headings::ALL => {
                self.suggested(picture, headings)?
            }
            _ => self.views(picture, profile.views)?,
        };
        let mut heads = match &profile.again {
            None => fused(candidates, picture.size, profile.weights, None),
            Some((views, weights)) => {
                let mut heads = fused(candidates.clone(), picture.size, profile.weights, None);
                heads.retain(|head| is_unsure(head, threshold, picture.size));
                let windows = again::windows(&heads, picture.size);
                for views in *views {
                    look(&mut self.networks, picture, views, &windows, &mut candidates)?;
                }
                let cores: Vec<Rect> = windows.into_iter().flat_map(|w| w.cores).collect();
                fused(candidates, picture.size, weights, Some(&cores))
            }
        };
        let bars = barred(bars(picture)?, &heads, picture.size);
        let allowance = if profile.again.is_some() { CUT_ALLOWANCE_AGAIN } else { CUT_ALLOWANCE };
        for head in &mut heads {
            head.score = sigmoid(log_odds(head.score) + allowance * sides_cut(head, picture.size));
        }
        heads.retain(|head| margin(head, picture.size) >= log_odds(threshold));
        Ok((heads, bars))
    }

    /// The boxes of these views of the whole picture.
    fn views(&mut self, picture: &Picture, views: &[Views]) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for views in views {
            look(&mut self.networks, picture, views, &[Window::whole(picture.size)], &mut candidates)?;
        }
        Ok(candidates)
    }

    /// The cheap network in all turns, the costly one in these headings and those in which the cheap one sees something.
    fn suggested(&mut self, picture: &Picture, headings: Headings) -> Result<Vec<Candidate>> {
        let mut candidates = self.views(picture, passes::CHEAP)?;
        let suggests = candidates.iter().filter(|c| c.logit >= log_odds(SUGGESTS) && !is_echo(c, &candidates));
        let headings = suggests.fold(headings, |all, c| all.with(Headings::of_quarter(u32::from(c.heading) / 2)));
        for quarter in headings.quarters() {
            candidates.extend(self.views(picture, &[passes::glance(Net::CenterFace, quarter)])?);
        }
        Ok(candidates)
    }

    /// One network, one view for each heading; what the views find is not weighed against each other.
    fn glanced(&mut self, picture: &Picture, headings: Headings) -> Result<Vec<Head>> {
        let mut candidates = Vec::new();
        if let Some(net) = [Net::YuNet, Net::CenterFace, Net::Seeta].into_iter().find(|&n| self.networks.has(n)) {
            for quarter in headings.quarters() {
                candidates.extend(self.views(picture, &[passes::glance(net, quarter)])?);
            }
        }
        let threshold = self.sensitivity.fast_threshold();
        let mut heads = unweighed(candidates, picture.size);
        heads.retain(|head| margin(head, picture.size) >= log_odds(threshold));
        Ok(heads)
    }
}

/// Views with the weights that were fitted on them.
struct Profile {
    views: &'static [Views],
    weights: &'static Weights,
    again: Option<(&'static [Views], &'static Weights)>,
}

const THOROUGH: Profile =
    Profile { views: passes::THOROUGH, weights: &weights::BOTH, again: Some((passes::AGAIN, &weights::BOTH_AGAIN)) };
const KEY: Profile = Profile { views: passes::KEY, weights: &weights::BOTH, again: None };
const YUNET_ALONE: Profile = Profile { views: passes::YUNET_ALONE, weights: &weights::YUNET, again: None };
const CENTERFACE_ALONE: Profile =
    Profile { views: passes::CENTERFACE_ALONE, weights: &weights::CENTERFACE, again: None };

fn log_odds(p: f32) -> f32 {
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    (p / (1.0 - p)).ln()
}

/// Log odds less what the area of the mask costs.
fn margin(head: &Head, picture: Size) -> f32 {
    let share = head.width * head.height / picture.pixels() as f32;
    let log_share = (share / USUAL_SHARE).ln().clamp(LEAST_LOG_SHARE, MOST_LOG_SHARE);
    log_odds(head.score) - COST_SLOPE * log_share
}

/// By how many of its sides a head's centre is nearer to the picture's edge than [`EDGE_SIDES`]; 0 for giants.
fn sides_cut(head: &Head, picture: Size) -> f32 {
    let is_giant = head.width * head.height > MOST_CUT_SHARE * picture.pixels() as f32;
    if is_giant { 0.0 } else { EDGE_SIDES - head.sides_to_edge(picture) }
}

/// The bars that were drawn beyond doubt, and those on a head of which there is any trace.
fn barred(bars: Vec<Bar>, heads: &[Head], picture: Size) -> Vec<Bar> {
    let is_trace = |head: &Head| margin(head, picture) >= log_odds(TRACE);
    let is_on_one = |bar: &Bar| heads.iter().any(|head| is_trace(head) && bar.is_on(head));
    bars.into_iter().filter(|bar| bar.is_exact || is_on_one(bar)).collect()
}

/// Whether another box tells of the same face in another heading with more certainty.
fn is_echo(candidate: &Candidate, all: &[Candidate]) -> bool {
    let side = |c: &Candidate| (c.width * c.height).max(0.0).sqrt();
    all.iter().any(|other| {
        let (own, others) = (side(candidate), side(other));
        other.heading != candidate.heading
            && other.logit >= candidate.logit + ECHO_STEP
            && other.center.distance(candidate.center) < own.min(others) / 2.0
            && own.max(others) < 2.0 * own.min(others)
    })
}

/// Neither hopeless nor beyond doubt.
fn is_unsure(head: &Head, threshold: f32, picture: Size) -> bool {
    let margin = margin(head, picture);
    margin > log_odds(HOPELESS.min(threshold / 3.0)) && margin < log_odds(BEYOND_DOUBT)
}

impl Detector for FaceDetector {
    fn name(&self) -> &str {
        &self.name
    }

    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>> {
        if picture.size.pixels() == 0 {
            return Ok(Vec::new());
        }
        let (heads, bars) = match effort {
            Effort::Fast(headings) => (self.glanced(picture, headings)?, Vec::new()),
            Effort::Key(_) | Effort::Thorough => self.weighed(picture, effort)?,
        };
        let factor = picture.display_from_picture;
        let detection = |head: &Head| Detection {
            class: Class::Face,
            quad: head_quad(head, picture.size).scaled(factor),
            score: sigmoid(margin(head, picture.size)),
            landmarks: head.landmarks.map(|l| l.map(|p| Point::new(p.x * factor, p.y * factor))),
        };
        let barred = |bar: &Bar| Detection {
            class: Class::Face,
            quad: bar.head_quad().scaled(factor),
            score: if bar.is_exact { DRAWN } else { LIKELY_DRAWN },
            landmarks: None,
        };
        let all = heads.iter().map(detection).chain(bars.iter().map(barred));
        Ok(all.filter(|d| d.quad.is_finite()).collect())
    }
}

#[cfg(test)]
#[path = "ensemble_tests.rs"]
mod tests;
