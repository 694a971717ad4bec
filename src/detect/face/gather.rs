//! Runs networks over views of a picture and brings their boxes back into the picture's space.

use super::passes::{Net, Scale, Views};
use super::{FaceNetwork, RawFace};
use crate::detect::tiles::tiles;
use crate::error::Result;
use crate::infer::prep::{Derived, Turn, mirrored, part, rotated, scaled, turned};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad, Rect, Size};

/// Side of tiles at the scale of the view, pixels.
const TILE_SIDE: f32 = 1280.0;
/// What neighbouring tiles share, pixels of the view: twice the largest head that is taken from them.
const TILE_OVERLAP: f32 = 128.0;
/// Larger heads than this, pixels of the view, are left to the scales that show the picture whole.
const LARGEST_IN_TILE: f32 = 64.0;
/// Boxes of one view beyond which more tell nothing: a crowd has fewer, noise has no end.
const MOST_PER_VIEW: usize = 300;

/// One box of one network in one view; picture space.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub net: Net,
    /// The same for all boxes of one network in one view (all tiles of it).
    pub pass: u32,
    /// Calibrated log odds that it is a face.
    pub logit: f32,
    pub center: Point,
    /// Along the head's own axes.
    pub width: f32,
    pub height: f32,
    /// Clockwise turn of the head, eighths of a circle.
    pub heading: u8,
    pub landmarks: Option<[Point; 5]>,
}

/// Part of a picture to look at: boxes centred in one of the `cores` are taken from a view of `area`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub area: Rect,
    pub cores: Vec<Rect>,
}

impl Window {
    pub fn whole(size: Size) -> Window {
        let area = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
        Window { area, cores: vec![area] }
    }
}

/// The networks that take part.
#[derive(Default)]
pub struct Networks {
    pub yunet: Option<Box<dyn FaceNetwork>>,
    pub centerface: Option<Box<dyn FaceNetwork>>,
    pub seeta: Option<Box<dyn FaceNetwork>>,
}

impl Networks {
    pub fn get(&mut self, net: Net) -> Option<&mut Box<dyn FaceNetwork>> {
        match net {
            Net::YuNet => self.yunet.as_mut(),
            Net::CenterFace => self.centerface.as_mut(),
            Net::Seeta => self.seeta.as_mut(),
        }
    }

    pub fn has(&self, net: Net) -> bool {
        match net {
            Net::YuNet => self.yunet.is_some(),
            Net::CenterFace => self.centerface.is_some(),
            Net::Seeta => self.seeta.is_some(),
        }
    }
}

impl Net {
    /// Scores below it never decide anything.
    pub fn least_score(self) -> f32 {
        match self {
            Net::YuNet => 0.15,
            Net::CenterFace => 0.06,
            Net::Seeta => 0.3,
        }
    }

    /// Log odds of a face from a network's own score: a logistic fit on annotated photos, upright view.
    pub fn logit(self, score: f32) -> f32 {
        let (slope, offset) = match self {
            Net::YuNet => (0.9915, -0.1647),
            Net::CenterFace => (1.0633, 0.7604),
            Net::Seeta => (1.0, 0.0),
        };
        let p = score.clamp(1e-4, 1.0 - 1e-4);
        slope * (p / (1.0 - p)).ln() + offset
    }
}

/// Shows the views to the networks that are present, in each window, and adds what they find. [`Scale::Fine`] looks at
/// the whole picture in tiles of its own.
pub fn look(
    networks: &mut Networks,
    picture: &Picture,
    views: &Views,
    windows: &[Window],
    found: &mut Vec<Candidate>,
) -> Result<()> {
    let Some(factor) = views.scale.factor(picture.size) else { return Ok(()) };
    if !views.nets.iter().any(|&net| networks.has(net)) {
        return Ok(());
    }
    let tiled = if views.scale == Scale::Fine { Some(tile_windows(picture.size, factor)) } else { None };
    for window in tiled.as_deref().unwrap_or(windows) {
        let part = faced(part_of(picture, window, factor)?, views.mirrored);
        for &eighths in views.eighths {
            let view = turned_by_eighths(&part.picture, eighths);
            let map = part.source_from_derived.after(&view.source_from_derived);
            let view = Derived { picture: view.picture, source_from_derived: map };
            look_at(networks, &view, &Origin { views, eighths, window }, found)?;
        }
    }
    Ok(())
}

/// Tiles that cover the picture; each point of it is in the core of one of them.
fn tile_windows(size: Size, factor: f32) -> Vec<Window> {
    let (side, overlap) = ((TILE_SIDE / factor) as u32, (TILE_OVERLAP / factor) as u32);
    // The half of the overlap on this side of the border is this tile's, the other its neighbour's.
    let inner = |start: f32, length: f32, end: u32| {
        let half = overlap as f32 / 2.0;
        let stop = if start + length < end as f32 { start + length - half } else { start + length };
        let start = if start > 0.0 { start + half } else { start };
        (start, stop - start)
    };
    let tile = |area: Rect| {
        let (x, width) = inner(area.x, area.width, size.width);
        let (y, height) = inner(area.y, area.height, size.height);
        Window { area, cores: vec![Rect::new(x, y, width, height)] }
    };
    tiles(size, side, overlap).into_iter().map(tile).collect()
}

/// The window's area at the scale of the view.
fn part_of(picture: &Picture, window: &Window, factor: f32) -> Result<Derived> {
    let (part, picture_from_part) = part(picture, window.area);
    let view = scaled(&part, factor)?;
    Ok(Derived { source_from_derived: picture_from_part.after(&view.source_from_derived), picture: view.picture })
}

fn turned_by_eighths(picture: &Picture, eighths: u8) -> Derived {
    match eighths % 8 {
        0 => turned(picture, Turn::Upright),
        2 => turned(picture, Turn::Quarter),
        4 => turned(picture, Turn::Half),
        6 => turned(picture, Turn::ThreeQuarter),
        odd => rotated(picture, f32::from(odd) * std::f32::consts::FRAC_PI_4),
    }
}

/// Where a view comes from.
struct Origin<'a> {
    views: &'a Views,
    eighths: u8,
    window: &'a Window,
}

fn look_at(networks: &mut Networks, view: &Derived, origin: &Origin, found: &mut Vec<Candidate>) -> Result<()> {
    for &net in origin.views.nets {
        let Some(network) = networks.get(net) else { continue };
        let mut faces = network.candidates(&view.picture, net.least_score())?;
        faces.truncate(MOST_PER_VIEW);
        found.extend(faces.iter().filter_map(|face| candidate(face, net, view, origin)));
    }
    Ok(())
}

/// The box in the picture's space; `None` when it is none or belongs to another window.
fn candidate(face: &RawFace, net: Net, view: &Derived, origin: &Origin) -> Option<Candidate> {
    let (rect, size) = (face.rect, view.picture.size);
    let center = rect.center();
    let inside = (0.0..=size.width as f32).contains(&center.x) && (0.0..=size.height as f32).contains(&center.y);
    if !inside || rect.width <= 1.0 || rect.height <= 1.0 {
        return None;
    }
    let views = origin.views;
    if views.scale == Scale::Fine && rect.width.max(rect.height) > LARGEST_IN_TILE {
        return None;
    }
    let map = &view.source_from_derived;
    let center = map.apply(center);
    let scale = (map.xx * map.yy - map.xy * map.yx).abs().sqrt();
    let landmarks = face.landmarks.map(|points| points.map(|p| map.apply(p))).map(|[re, le, nose, rm, lm]| {
        // A mirror swaps the person's right and left.
        if views.mirrored { [le, re, nose, lm, rm] } else { [re, le, nose, rm, lm] }
    });
    let candidate = Candidate {
        net,
        pass: (net as u32 * 4 + views.scale as u32) * 16 + u32::from(origin.eighths) * 2 + u32::from(views.mirrored),
        logit: net.logit(face.score),
        center,
        width: rect.width * scale,
        height: rect.height * scale,
        heading: if views.mirrored { origin.eighths % 8 } else { (8 - origin.eighths % 8) % 8 },
        landmarks: landmarks.filter(|l| l.iter().all(|p| p.x.is_finite() && p.y.is_finite())),
    };
    let finite = center.x.is_finite() && center.y.is_finite() && (candidate.width * candidate.height).is_finite();
    let is_ours = origin.window.cores.iter().any(|&core| Quad::from(core).contains(center));
    (finite && is_ours).then_some(candidate)
}

/// The picture mirrored left to right if asked for.
fn faced(part: Derived, is_mirrored: bool) -> Derived {
    if !is_mirrored {
        return part;
    }
    let mirror = mirrored(&part.picture);
    let map = part.source_from_derived.after(&mirror.source_from_derived);
    Derived { picture: mirror.picture, source_from_derived: map }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_point_is_in_the_core_of_a_tile_and_deep_inside_its_area(
            w in 1u32..9000, h in 1u32..9000, fx in 0f32..1.0, fy in 0f32..1.0
        ) {
            let factor = 0.6;
            let (x, y) = (w as f32 * fx, h as f32 * fy);
            let windows = tile_windows(Size::new(w, h), factor);
            let inside = |r: &Rect| r.x <= x && x <= r.x + r.width && r.y <= y && y <= r.y + r.height;
            let own: Vec<&Window> = windows.iter().filter(|t| t.cores.iter().any(inside)).collect();
            prop_assert!(!own.is_empty());
            let reach = LARGEST_IN_TILE / factor / 2.0 - 1.0;
            for t in own {
                let a = t.area;
                prop_assert!(a.x == 0.0 || x - reach >= a.x);
                prop_assert!(a.y == 0.0 || y - reach >= a.y);
                prop_assert!(a.x + a.width >= w as f32 || x + reach <= a.x + a.width);
                prop_assert!(a.y + a.height >= h as f32 || y + reach <= a.y + a.height);
            }
        }
    }
}
