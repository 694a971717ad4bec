//! The one thing that soft mask styles take from the source: which of 16 tones a region has.

use crate::render::style::nearest_tone;
use crate::types::detection::Detection;
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad};
use crate::types::plan::{MaskStyle, Region};
use crate::types::time::FrameIndex;

/// Points per side at which a detection's colour is sampled.
const SAMPLES: usize = 8;

/// Mean colours of detections. Empty for `fill`, which needs none.
#[derive(Debug, Default)]
pub struct ToneSamples {
    samples: Vec<(FrameIndex, Point, [f32; 3])>,
}

impl ToneSamples {
    pub fn of(style: MaskStyle, frame: FrameIndex, picture: &Picture, detections: &[Detection]) -> Self {
        if style == MaskStyle::Fill {
            return Self::default();
        }
        let samples = detections.iter().map(|d| (frame, d.quad.center(), mean(picture, &d.quad))).collect();
        Self { samples }
    }

    pub fn merge(&mut self, mut other: Self) {
        self.samples.append(&mut other.samples);
    }

    /// Gives each region the tone of the first detection inside it: chosen once, so that time adds nothing.
    pub fn assign(&self, regions: &mut [Region]) {
        for region in regions {
            let inside = |s: &&(FrameIndex, Point, [f32; 3])| region.quad_at(s.0).is_some_and(|q| q.contains(s.1));
            if let Some((_, _, mean)) = self.samples.iter().find(inside) {
                region.tone = nearest_tone(*mean);
            }
        }
    }
}

/// Mean sRGB colour over a grid of points of the quad (display space).
fn mean(picture: &Picture, quad: &Quad) -> [f32; 3] {
    let mut sum = [0.0; 3];
    let mut count = 0.0;
    let picture_from_display = 1.0 / picture.display_from_picture;
    let share = |i: usize| (i as f32 + 0.5) / SAMPLES as f32;
    for (u, v) in (0..SAMPLES * SAMPLES).map(|i| (share(i % SAMPLES), share(i / SAMPLES))) {
        let [a, b, c, d] = quad.corners;
        let p = a.lerp(b, u).lerp(d.lerp(c, u), v);
        let (x, y) = (p.x * picture_from_display, p.y * picture_from_display);
        if x < 0.0 || y < 0.0 || x >= picture.size.width as f32 || y >= picture.size.height as f32 {
            continue;
        }
        let at = (y as usize * picture.size.width as usize + x as usize) * 3;
        for (s, value) in sum.iter_mut().zip(&picture.data[at..at + 3]) {
            *s += f32::from(*value);
        }
        count += 1.0;
    }
    if count > 0.0 { sum.map(|s| s / count) } else { [128.0; 3] }
}
