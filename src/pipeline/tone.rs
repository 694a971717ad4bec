//! The one thing that soft mask styles take from the source: which of 16 tones a region has.

use crate::plan::OperatorRegion;
use crate::render::style::nearest_tone;
use crate::types::detection::Detection;
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad};
use crate::types::plan::{MaskStyle, Region};
use crate::types::time::{FrameIndex, FrameSpan, FrameTimes};

/// Points per side at which a detection's colour is sampled.
const SAMPLES: usize = 8;

/// Mean colour of a detection, and where its centre is.
#[derive(Clone, Copy, Debug)]
struct Sample {
    frame: FrameIndex,
    center: Point,
    mean: [f32; 3],
}

/// Mean colours of a frame's detections. Empty for `fill`, which needs none.
#[derive(Debug, Default)]
pub struct ToneSamples(Vec<Sample>);

impl ToneSamples {
    pub fn of(style: MaskStyle, frame: FrameIndex, picture: &Picture, detections: &[Detection]) -> Self {
        if style == MaskStyle::Fill {
            return Self::default();
        }
        let sample = |d: &Detection| Sample { frame, center: d.quad.center(), mean: mean(picture, &d.quad) };
        Self(detections.iter().map(sample).collect())
    }
}

/// Chooses tones while the clip is looked at: each region has that of the first detection inside it, chosen once, so that
/// time adds nothing.
pub struct Tones {
    /// By frame, as long as regions may come for them.
    samples: Vec<Sample>,
    /// The operator's regions with their tones, where something was found inside.
    named: Vec<(OperatorRegion, Option<u8>)>,
}

impl Tones {
    pub fn new(named: &[OperatorRegion]) -> Self {
        Self { samples: Vec::new(), named: named.iter().map(|region| (*region, None)).collect() }
    }

    /// Takes the samples of the next frame.
    pub fn add(&mut self, mut frame: ToneSamples) {
        self.samples.append(&mut frame.0);
    }

    /// The tone of a region of a scene whose samples are known.
    pub fn of_region(&self, region: &Region) -> u8 {
        let inside = |s: &Sample| region.quad_at(s.frame).is_some_and(|q| q.contains(s.center));
        self.first(region.span, inside).unwrap_or(region.tone)
    }

    /// Forgets the samples before a frame, once all regions of their scene have their tones. `times` must reach behind
    /// these samples, unless the clip ends there.
    pub fn forget_before(&mut self, frame: FrameIndex, times: &FrameTimes) {
        let mut named = std::mem::take(&mut self.named);
        for (region, tone) in named.iter_mut().filter(|(_, tone)| tone.is_none()) {
            let quad = Quad::from(region.rect);
            *tone = self.first(region.span(times), |s| quad.contains(s.center));
        }
        self.named = named;
        self.samples.drain(..self.samples.partition_point(|s| s.frame < frame));
    }

    /// The operator's regions with their tones, once no more samples come.
    pub fn of_named(mut self, times: &FrameTimes) -> Vec<(OperatorRegion, u8)> {
        self.forget_before(times.count(), times);
        self.named.into_iter().map(|(region, tone)| (region, tone.unwrap_or_default())).collect()
    }

    fn first(&self, span: FrameSpan, inside: impl Fn(&Sample) -> bool) -> Option<u8> {
        let from = self.samples.partition_point(|s| s.frame < span.start);
        let mut within = self.samples[from..].iter().take_while(|s| s.frame < span.end);
        within.find(|s| inside(s)).map(|s| nearest_tone(s.mean))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::detection::Class;
    use crate::types::geometry::{Rect, Size};
    use crate::types::plan::{Decision, Keyframe, Shape};
    use crate::types::time::TimeBase;
    use crate::types::track::Origin;

    /// What is found at this place of a picture of one grey.
    fn found(frame: FrameIndex, x: f32, grey: u8) -> ToneSamples {
        let picture = Picture::new(Size::new(100, 20), vec![grey; 6000], 1.0);
        let quad = Quad::from(Rect::new(x, 5.0, 10.0, 10.0));
        let detection = Detection { class: Class::Face, quad, score: 0.9, landmarks: None };
        ToneSamples::of(MaskStyle::Mosaic, frame, &picture, &[detection])
    }

    fn region(x: f32, span: FrameSpan) -> Region {
        let quad = Quad::from(Rect::new(x, 0.0, 20.0, 20.0));
        let keyframe = Keyframe { frame: span.start, pts: 0, quad, origin: Origin::Detected, score: 0.9 };
        let (class, shape, decision) = (Class::Face, Shape::Quad, Decision::Redact);
        Region { id: "f1".into(), class, decision, shape, tone: 0, span, keyframes: vec![keyframe] }
    }

    #[test]
    fn each_region_has_the_tone_of_what_is_first_found_in_it() {
        let pts: Vec<i64> = (0..40).collect();
        let times = |count| FrameTimes { pts: &pts[..count], time_base: TimeBase { num: 1, den: 10 } };
        let [grey, light, dark] = [120, 240, 10];
        let [grey_tone, light_tone, dark_tone] = [grey, light, dark].map(|v| nearest_tone([f32::from(v); 3]));
        // Place, time, and the tone of the operator's region there.
        let named = [
            ("0,0,20,20", grey_tone),
            ("0,0,20,20@1-2", light_tone),
            ("0,0,20,20@0.95-2", dark_tone),
            ("0,0,20,20@3-4", 0),
            ("80,0,20,20", 0),
        ];
        let regions: Vec<OperatorRegion> = named.iter().map(|(region, _)| region.parse().unwrap()).collect();
        for scene_end in [1, 3, 5, 9, 10, 15, 20, 40] {
            let mut tones = Tones::new(&regions);
            for (frame, x, value) in [(3, 5.0, grey), (5, 45.0, light), (9, 5.0, dark), (15, 5.0, light)] {
                if frame >= scene_end {
                    tones.forget_before(scene_end, &times(scene_end as usize + 1));
                }
                tones.add(found(frame, x, value));
                // Where another region is, and before and behind.
                assert_eq!(
                    tones.of_region(&region(x - 5.0, FrameSpan::new(frame, 40))),
                    nearest_tone([f32::from(value); 3])
                );
                assert_eq!(tones.of_region(&region(70.0, FrameSpan::new(0, 40))), 0);
                assert_eq!(tones.of_region(&region(x - 5.0, FrameSpan::new(frame + 1, 40))), 0);
            }
            let told: Vec<u8> = tones.of_named(&times(40)).into_iter().map(|(_, tone)| tone).collect();
            assert_eq!(told, named.map(|(_, tone)| tone), "forgotten before frame {scene_end}");
        }
    }
}
