//! From detections with drop-outs to the plan: no frame may show an object that a detector saw now and then.

use withhold::plan::{PolicySettings, RegionBuilder};
use withhold::track::motion::Similarity;
use withhold::track::{GlobalMotion, Luma, TrackSettings, Tracker};
use withhold::types::detection::{Class, Detection, FaceLook, FrameDetections};
use withhold::types::geometry::{Point, Quad, Size};
use withhold::types::plan::Region;
use withhold::types::time::{FrameTimes, TimeBase};
use withhold::types::track::Track;

const DISPLAY: Size = Size::new(1280, 720);
const BASE: TimeBase = TimeBase { num: 1, den: 25 };
/// Frames of a short clip; in longer ones all moves slower, to stay in the picture as long.
const FRAMES: usize = 120;

/// A small generator, so that every run sees the same clips.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.next()
    }
}

/// What goes wrong with the detections.
#[derive(Clone, Copy)]
struct Fault {
    miss: f32,
    /// Longest burst without detection, frames.
    burst: usize,
    /// Noise of place and sides, as a share of the size.
    jitter: f32,
    /// Shake of the camera, pixels.
    shake: f32,
}

/// Camera motion into each frame, relative to the frame before.
fn camera(random: &mut Random, fault: Fault, frames: usize) -> Vec<Similarity> {
    let pace = FRAMES as f32 / frames as f32;
    let (turn, zoom) = (random.between(-0.006, 0.006) * pace, random.between(0.997, 1.004).powf(pace));
    let (pan_x, pan_y) = (random.between(-6.0, 6.0) * pace, random.between(-3.0, 3.0) * pace);
    let mut last = (0.0, 0.0);
    (0..frames)
        .map(|_| {
            let shake = (random.between(-1.0, 1.0) * fault.shake, random.between(-1.0, 1.0) * fault.shake);
            let (a, b) = (zoom * turn.cos(), zoom * turn.sin());
            // Around the middle of the picture.
            let (cx, cy) = (640.0, 360.0);
            let tx = cx - a * cx + b * cy + pan_x + shake.0 - last.0;
            let ty = cy - b * cx - a * cy + pan_y + shake.1 - last.1;
            last = shake;
            Similarity { a, b, tx, ty }
        })
        .collect()
}

/// Share of a head's sides that its face is held to take here. Detectors box whole heads, at least 1.6 times their faces.
const FACE_SHARE: f32 = 0.8;

fn truth(random: &mut Random, camera: &[Similarity]) -> Vec<Quad> {
    let side = random.between(30.0, 160.0);
    let center = Point::new(random.between(300.0, 980.0), random.between(200.0, 520.0));
    let mut quad = Quad::rotated_rect(center, side, side * 1.25, random.between(-3.0, 3.0));
    let pace = side * FRAMES as f32 / camera.len() as f32;
    let (vx, vy) = (random.between(-0.01, 0.01) * pace, random.between(-0.01, 0.01) * pace);
    camera
        .iter()
        .enumerate()
        .map(|(k, step)| {
            if k > 0 {
                quad = step.apply_quad(&quad).map(|p| Point::new(p.x + vx, p.y + vy));
            }
            quad
        })
        .collect()
}

fn detections(random: &mut Random, truth: &[Quad], fault: Fault) -> Vec<Option<Quad>> {
    let mut silent = 0;
    let mut found: Vec<Option<Quad>> = truth
        .iter()
        .map(|q| {
            if silent == 0 && random.next() < fault.miss / (fault.burst as f32 / 2.0).max(1.0) {
                silent = 1 + (random.next() * fault.burst as f32) as usize;
            }
            if silent > 0 {
                silent -= 1;
                return None;
            }
            let noise = fault.jitter * q.width();
            let c = q.center();
            let center = Point::new(c.x + random.between(-noise, noise), c.y + random.between(-noise, noise));
            let mut sides = || 1.0 + random.between(-fault.jitter, fault.jitter);
            Some(Quad::rotated_rect(center, q.width() * sides(), q.height() * sides(), q.angle_rad()))
        })
        .collect();
    // Without pictures nothing can be followed by its looks: the ends may be missed for as long as masks are held.
    for end in [11, truth.len() - 12] {
        found[end] = Some(truth[end]);
    }
    found
}

/// The plan, and in how many parts the only scene was handed out.
fn plan(camera: &[Similarity], found: &[Vec<Option<Quad>>], settings: TrackSettings) -> (Vec<Region>, usize) {
    let mut tracker = Tracker::new(settings, BASE);
    let (mut pts, mut parts) = (Vec::new(), 0);
    let mut builder = RegionBuilder::new(PolicySettings::default(), DISPLAY, Vec::new());
    let mut add = |tracks: &[Track], pts: &[i64]| {
        parts += usize::from(!tracks.is_empty());
        builder.add_scene(tracks, FrameTimes { pts, time_base: BASE }, |_| 0);
    };
    for (frame, transform) in camera.iter().enumerate() {
        let seen = found.iter().filter_map(|f| f[frame]);
        let detections = seen.map(|quad| Detection { class: Class::Face, quad, score: 0.7, landmarks: None }).collect();
        let shot = FrameDetections {
            frame: frame as u64,
            pts: frame as i64,
            detections,
            face_look: FaceLook::Thorough,
            text_looked: true,
            ..Default::default()
        };
        let blank = Luma { size: Size::new(32, 18), data: vec![128; 32 * 18], display_from_luma: 40.0 };
        pts.push(shot.pts);
        tracker.push(&shot, GlobalMotion { transform: *transform, support: 1.0 }, blank).unwrap();
        add(&tracker.take_finished(), &pts);
    }
    add(&tracker.finish(), &pts);
    (builder.finish().regions, parts)
}

/// Share of the ellipse in `quad` that the regions hide, by sampling.
fn hidden_share(regions: &[Region], frame: u64, quad: &Quad) -> f32 {
    let masks: Vec<Quad> = regions.iter().filter(|r| r.decision.is_redact()).filter_map(|r| r.quad_at(frame)).collect();
    let (w, h, (s, c)) = (quad.width() / 2.0, quad.height() / 2.0, quad.angle_rad().sin_cos());
    let (mut hidden, mut all) = (0, 0);
    for i in -10..=10 {
        for j in -10..=10 {
            let (u, v) = (i as f32 / 10.0, j as f32 / 10.0);
            if u.hypot(v) > 1.0 {
                continue;
            }
            let (x, y) = (u * w, v * h);
            let p = Point::new(quad.center().x + x * c - y * s, quad.center().y + x * s + y * c);
            all += 1;
            hidden += usize::from(masks.iter().any(|m| m.contains(p)));
        }
    }
    hidden as f32 / all as f32
}

/// Leaked face-frames of clips of so many frames with three heads each, whose masks must not be much larger than heads.
fn leaks(name: &str, fault: Fault, frames: usize, settings: TrackSettings, least_parts: usize) -> usize {
    let (mut leaks, mut total, mut excess) = (0, 0, 0.0f32);
    for seed in 0..12 {
        let mut random = Random(seed * 7919 + 17);
        let camera = camera(&mut random, fault, frames);
        let objects: Vec<Vec<Quad>> = (0..3).map(|_| truth(&mut random, &camera)).collect();
        let found: Vec<_> = objects.iter().map(|t| detections(&mut random, t, fault)).collect();
        let (regions, parts) = plan(&camera, &found, settings);
        assert!(parts >= least_parts, "{name}: handed out in {parts} parts");
        for object in &objects {
            for (frame, quad) in object.iter().enumerate() {
                total += 1;
                let face = quad.core(FACE_SHARE);
                leaks += usize::from(hidden_share(&regions, frame as u64, &face) < 0.85);
            }
        }
        let masked: f32 =
            (0..frames as u64).flat_map(|f| regions.iter().filter_map(move |r| r.quad_at(f))).map(|q| q.area()).sum();
        excess += masked / objects.iter().flatten().map(Quad::area).sum::<f32>() / 12.0;
    }
    println!("{name}: {leaks} of {total} leaked, masks {excess:.2} times the heads");
    assert!(excess < 4.0, "{name}: masks of {excess} times the area of the heads");
    leaks
}

const FAULTS: [(&str, Fault); 5] = [
    ("clean", Fault { miss: 0.0, burst: 1, jitter: 0.0, shake: 0.0 }),
    ("single misses", Fault { miss: 0.3, burst: 1, jitter: 0.03, shake: 3.0 }),
    ("short bursts", Fault { miss: 0.4, burst: 12, jitter: 0.04, shake: 6.0 }),
    ("long bursts", Fault { miss: 0.5, burst: 40, jitter: 0.04, shake: 6.0 }),
    ("mostly missed", Fault { miss: 0.9, burst: 10, jitter: 0.05, shake: 10.0 }),
];

#[test]
fn no_face_frame_leaks_through_drop_outs() {
    for (name, fault) in FAULTS {
        assert_eq!(leaks(name, fault, FRAMES, TrackSettings::default(), 1), 0, "{name}: leaked face-frames");
    }
}

#[test]
fn no_more_leak_where_a_long_scene_is_handed_out_in_parts() {
    for (name, fault) in FAULTS {
        let whole = leaks(name, fault, 5 * FRAMES, TrackSettings::default(), 1);
        let in_parts = leaks(name, fault, 5 * FRAMES, TrackSettings { max_points: 60, ..TrackSettings::default() }, 3);
        assert!(in_parts <= whole, "{name}: {in_parts} face-frames leaked, {whole} of whole scenes");
    }
}
