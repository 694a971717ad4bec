use proptest::prelude::*;

use super::*;
use crate::track::motion::MotionEstimator;
use crate::track::testing::{Actor, Camera, World};
use crate::types::geometry::{Rect, Size};

const BASE: TimeBase = TimeBase { num: 1, den: 25 };

fn face(quad: Quad, score: f32) -> Detection {
    Detection { class: Class::Face, quad, score, landmarks: None }
}

/// One frame of a made-up clip: what the detector says, and what the camera sees.
struct Shot {
    found: Vec<Detection>,
    actors: Vec<Actor>,
    camera: Camera,
    world: u32,
    cut: bool,
}

fn run(shots: &[Shot]) -> Vec<Track> {
    let mut tracker = Tracker::new(TrackSettings::default(), BASE);
    let mut motion = MotionEstimator::default();
    let mut tracks = Vec::new();
    for (i, shot) in shots.iter().enumerate() {
        let luma = World::new(shot.world).luma(&shot.camera, &shot.actors);
        if shot.cut {
            motion.reset();
        }
        let moved = motion.push(&luma);
        let found = FrameDetections {
            frame: i as u64,
            pts: i as i64,
            detections: shot.found.clone(),
            scene_cut: shot.cut,
            face_look: FaceLook::Thorough,
            text_looked: true,
            ..Default::default()
        };
        tracker.push(&found, moved, luma).unwrap();
        tracks.extend(tracker.take_finished());
    }
    tracks.extend(tracker.finish());
    for track in &tracks {
        check(track);
    }
    tracks
}

/// What holds for every track.
fn check(track: &Track) {
    assert!(track.points.windows(2).all(|p| p[1].frame == p[0].frame + 1), "a track has gaps");
    let span = track.span();
    assert!(track.scene.start <= span.start && span.end <= track.scene.end, "a track leaves its scene");
    assert!(track.points.iter().all(|p| p.quad.is_finite()));
    assert!(track.detected().count() > 0);
}

/// A clip with one object that moves by `step` a frame, found in the frames that `seen` names.
fn moving(frames: usize, step: (f32, f32), camera: impl Fn(f32) -> Camera, seen: impl Fn(usize) -> bool) -> Vec<Shot> {
    let shot = |k: usize| {
        let t = k as f32;
        let world = Quad::rotated_rect(Point::new(500.0 + step.0 * t, 350.0 + step.1 * t), 110.0, 130.0, 0.0);
        let camera = camera(t);
        let display = world.map(|p| camera.display_from_world(p));
        Shot {
            found: if seen(k) { vec![face(display, 0.8)] } else { Vec::new() },
            actors: vec![Actor { quad: world, seed: 42 }],
            camera,
            world: 5,
            cut: k == 0,
        }
    };
    (0..frames).map(shot).collect()
}

fn truth(shot: &Shot) -> Quad {
    shot.actors[0].quad.map(|p| shot.camera.display_from_world(p))
}

/// What of a head as found is always covered.
fn core(quad: &Quad) -> Quad {
    quad.core(TrackSettings::default().face_core)
}

#[test]
fn an_object_is_one_track_that_reaches_over_all_its_frames() {
    let still = |_: f32| Camera::default();
    let shaking =
        |t: f32| Camera { x: 20.0 * (t * 1.7).sin() + 9.0 * t, y: 14.0 * (t * 2.3).cos(), ..Camera::default() };
    type View = Box<dyn Fn(f32) -> Camera>;
    type Seen = fn(usize) -> bool;
    let table: Vec<(&str, (f32, f32), View, Seen)> = vec![
        ("always seen", (6.0, 2.0), Box::new(still), |_| true),
        ("a gap", (6.0, 2.0), Box::new(still), |k| !(8..20).contains(&k)),
        ("found late", (5.0, 1.0), Box::new(still), |k| k >= 15),
        ("lost early", (5.0, 1.0), Box::new(still), |k| k < 15),
        ("every fifth", (8.0, 3.0), Box::new(shaking), |k| k % 5 == 0),
        ("once in the middle, shaking camera", (0.0, 0.0), Box::new(shaking), |k| k == 18),
        (
            "turning camera",
            (2.0, 0.0),
            Box::new(|t| Camera { roll_rad: 0.01 * t, zoom: 1.0 + 0.005 * t, ..Camera::default() }),
            |k| k % 9 == 4,
        ),
    ];
    for (name, step, camera, seen) in table {
        let shots = moving(36, step, camera, seen);
        let tracks = run(&shots);
        assert_eq!(tracks.len(), 1, "{name}");
        assert_eq!(tracks[0].span(), FrameSpan::new(0, 36), "{name}");
        assert_eq!((tracks[0].start, tracks[0].end), (TrackEdge::Cut, TrackEdge::Cut), "{name}");
        for (p, shot) in tracks[0].points.iter().zip(&shots) {
            let (quad, truth) = (p.quad, truth(shot));
            let share = quad.intersection_area(&truth) / truth.area();
            assert!(share > 0.85, "{name}: {share} of the object at frame {} ({:?})", p.frame, p.origin);
            assert!(
                quad.area() < 2.0 * truth.area(),
                "{name}: {}x too large at {}",
                quad.area() / truth.area(),
                p.frame
            );
            let found = p.origin == Origin::Detected;
            assert_eq!(found, !shot.found.is_empty(), "{name}: origin {:?} at {}", p.origin, p.frame);
            assert!(!found || quad.contains_quad(&core(&truth)), "{name}: a detection stands open at {}", p.frame);
        }
    }
}

#[test]
fn no_track_crosses_a_cut() {
    let mut shots = moving(40, (2.0, 0.0), |_| Camera::default(), |k| !(18..24).contains(&k));
    for shot in &mut shots[20..] {
        shot.world = 77;
        shot.actors[0].seed = 77;
    }
    shots[20].cut = true;
    let tracks = run(&shots);
    let spans: Vec<FrameSpan> = tracks.iter().map(Track::span).collect();
    // Both are followed by their looks up to the cut.
    assert_eq!(spans, [FrameSpan::new(0, 20), FrameSpan::new(20, 40)]);
    assert_eq!(tracks[0].scene, FrameSpan::new(0, 20));
    assert_eq!(tracks[1].scene, FrameSpan::new(20, 40));
}

#[test]
fn edges_of_tracks_are_told_apart() {
    let mut leaving = moving(60, (22.0, 0.0), |_| Camera::default(), |k| k < 34);
    for shot in &mut leaving {
        shot.found.retain(|d| visible_share(&d.quad, (1280.0, 720.0)) > 0.4);
    }
    assert_eq!(run(&leaving)[0].end, TrackEdge::Exit);
    let mut hidden = moving(60, (2.0, 0.0), |_| Camera::default(), |k| (20..30).contains(&k));
    for shot in hidden[..20].iter_mut() {
        shot.actors.clear();
    }
    for shot in hidden[30..].iter_mut() {
        shot.actors.clear();
    }
    let tracks = run(&hidden);
    assert_eq!((tracks[0].start, tracks[0].end), (TrackEdge::Lost, TrackEdge::Lost));
    assert_eq!(tracks[0].span(), FrameSpan::new(20, 30), "a ghost was followed");
}

#[test]
fn wrong_calls_and_odd_clips() {
    let luma = || World::new(1).luma(&Camera::default(), &[]);
    let frame = |n: u64, detections: Vec<Detection>| FrameDetections {
        frame: n,
        pts: n as i64,
        detections,
        ..Default::default()
    };
    let mut tracker = Tracker::new(TrackSettings::default(), BASE);
    tracker.push(&frame(0, vec![]), GlobalMotion::NONE, luma()).unwrap();
    assert!(tracker.push(&frame(2, vec![]), GlobalMotion::NONE, luma()).is_err(), "a frame is missing");
    let broken = face(Rect::new(f32::NAN, 0.0, 10.0, 10.0).into(), 0.5);
    assert!(tracker.push(&frame(1, vec![broken]), GlobalMotion::NONE, luma()).is_err(), "not finite");
    assert!(Tracker::new(TrackSettings::default(), BASE).finish().is_empty());

    // A photo: one frame.
    let quad: Quad = Rect::new(100.0, 100.0, 60.0, 80.0).into();
    let mut tracker = Tracker::new(TrackSettings::default(), TimeBase::ONE);
    tracker.push(&frame(0, vec![face(quad, 0.9)]), GlobalMotion::NONE, luma()).unwrap();
    let tracks = tracker.finish();
    assert_eq!(tracks.len(), 1);
    assert_eq!((tracks[0].start, tracks[0].end), (TrackEdge::Cut, TrackEdge::Cut));
    assert!(tracks[0].points[0].quad.contains_quad(&quad));
    assert!(tracks[0].points[0].quad.area() < quad.area() * 1.01);
}

#[test]
fn memory_is_bounded_by_the_settings() {
    let settings = TrackSettings { max_kept_frames: 10, ..TrackSettings::default() };
    let mut tracker = Tracker::new(settings, TimeBase { num: 1, den: 1000 });
    for n in 0..60u64 {
        let frame = FrameDetections { frame: n, pts: n as i64, ..Default::default() };
        tracker.push(&frame, GlobalMotion::NONE, World::new(1).luma(&Camera::default(), &[])).unwrap();
        assert!(tracker.kept.len() <= 10);
    }
}

#[test]
fn a_long_scene_is_handed_out_in_parts() {
    let settings = TrackSettings { max_points: 300, ..TrackSettings::default() };
    let mut tracker = Tracker::new(settings, BASE);
    // A scene in which one object is there all the time, and one comes in every 100 frames for 20 of them.
    let place = |n: u64, x: f32| face(Rect::new(x + 0.25 * n as f32, 300.0, 60.0, 80.0).into(), 0.8);
    let (mut parts, mut most) = (Vec::new(), 0);
    for n in 0..2000u64 {
        let brief = (n % 100 < 20).then(|| place(n, 700.0));
        let detections = std::iter::once(place(n, 100.0)).chain(brief).collect();
        let face_look = FaceLook::Thorough;
        let found = FrameDetections { frame: n, pts: n as i64, detections, face_look, ..Default::default() };
        let grey = Luma { size: Size::new(16, 9), data: vec![128; 16 * 9], display_from_luma: 80.0 };
        tracker.push(&found, GlobalMotion::NONE, grey).unwrap();
        let held = tracker.live.iter().map(|l| l.points.len());
        most = most.max(held.chain(tracker.ended.iter().map(|(_, t)| t.points.len())).sum::<usize>());
        let tracks = tracker.take_finished();
        tracks.iter().for_each(check);
        // What a mask is held for behind its track is known.
        assert!(tracks.iter().all(|t| t.scene == FrameSpan::new(0, n + 1) && t.span().end + SETTLED_FRAMES <= n + 1));
        parts.extend((!tracks.is_empty()).then_some(tracks));
    }
    parts.push(tracker.finish());
    assert!(most < 600, "{most} points are held at a time");
    assert!(parts.len() > 4, "{} parts", parts.len());
    let all: Vec<&Track> = parts.iter().flatten().collect();
    let (long, brief): (Vec<&Track>, Vec<&Track>) = all.iter().partition(|t| t.points[0].quad.center().x < 680.0);
    assert_eq!(long.len(), parts.len(), "one piece of the long track in each part");
    assert_eq!((long[0].start, long[long.len() - 1].end), (TrackEdge::Cut, TrackEdge::Cut));
    for pieces in long.windows(2) {
        assert_eq!(pieces[0].span().end, pieces[1].span().start, "frames are lost or told twice");
        assert_eq!((pieces[0].end, pieces[1].start), (TrackEdge::Divided, TrackEdge::Divided));
    }
    let frames: u64 = brief.iter().map(|t| t.span().len()).sum();
    assert_eq!(frames, 20 * 20, "frames of the brief ones");
    assert!(brief.iter().all(|t| t.is_part() || t.span().len() == 20));
}

#[test]
fn frames_looked_at_for_new_faces_leave_tracks_alone() {
    let (old, new) = (Rect::new(300.0, 300.0, 100.0, 120.0), Rect::new(900.0, 200.0, 100.0, 120.0));
    let tracks = |flash: bool| {
        let mut tracker = Tracker::new(TrackSettings::default(), BASE);
        for n in 0..20u64 {
            let is_flash = flash && n == 7;
            let detections = match n {
                7 if flash => vec![face(new.into(), 0.6), face(Rect::new(310.0, 320.0, 90.0, 90.0).into(), 0.2)],
                n if n % 2 == 0 => vec![face(old.into(), 0.8)],
                _ => Vec::new(),
            };
            let face_look = if n % 2 == 0 || is_flash { FaceLook::Thorough } else { FaceLook::None };
            let found = FrameDetections {
                frame: n,
                pts: n as i64,
                detections,
                face_look,
                new_faces_only: is_flash,
                ..Default::default()
            };
            let actors = if n == 7 { &[Actor { quad: new.into(), seed: 42 }][..] } else { &[] };
            tracker.push(&found, GlobalMotion::NONE, World::new(5).luma(&Camera::default(), actors)).unwrap();
        }
        tracker.finish()
    };
    let (without, with) = (tracks(false), tracks(true));
    assert_eq!((without.len(), with.len()), (1, 2));
    let (same, fresh): (Vec<_>, Vec<_>) = with.into_iter().partition(|t| t.at(7).unwrap().quad.center().x < 600.0);
    assert_eq!(same, without);
    assert_eq!((fresh[0].looks.count, fresh[0].detected().count()), (1, 1));
}

#[test]
fn what_is_lost_slows_down_even_while_nobody_looks() {
    let mut tracker = Tracker::new(TrackSettings::default(), BASE);
    // Found in flat grey, where no looks can be learned, at 20 pixels a frame; lost in frame 5; nobody looks after it.
    for n in 0..40u64 {
        let place = Rect::new(100.0 + 20.0 * n as f32, 300.0, 100.0, 120.0);
        let found = FrameDetections {
            frame: n,
            pts: n as i64,
            detections: if n < 5 { vec![face(place.into(), 0.9)] } else { Vec::new() },
            face_look: if n < 6 { FaceLook::Thorough } else { FaceLook::None },
            ..Default::default()
        };
        let grey = Luma { size: Size::new(160, 90), data: vec![128; 160 * 90], display_from_luma: 8.0 };
        tracker.push(&found, GlobalMotion::NONE, grey).unwrap();
    }
    let expected = tracker.expected();
    let gone = expected[0].quad.center().x - (100.0 + 20.0 * 4.0 + 50.0);
    assert!((20.0..300.0).contains(&gone), "it is expected {gone} pixels beyond where it was last found");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the detector gives, the core of each of its quads is covered by a track of its class in its frame.
    #[test]
    fn every_detection_is_covered(
        frames in prop::collection::vec(
            (prop::collection::vec((0f32..1280.0, 0f32..720.0, 4f32..400.0, 4f32..400.0, -3f32..3.0, 0f32..1.0), 0..4), 0u8..10),
            1..12,
        ),
    ) {
        let shots: Vec<Shot> = frames
            .iter()
            .map(|(found, cut)| Shot {
                found: found
                    .iter()
                    .map(|f| face(Quad::rotated_rect(Point::new(f.0, f.1), f.2, f.3, f.4), f.5))
                    .collect(),
                actors: Vec::new(),
                camera: Camera::default(),
                world: 9,
                cut: *cut == 0,
            })
            .collect();
        let tracks = run(&shots);
        for (i, shot) in shots.iter().enumerate() {
            for d in &shot.found {
                let covered = tracks.iter().filter_map(|t| t.at(i as u64)).any(|p| p.quad.contains_quad(&core(&d.quad)));
                prop_assert!(covered, "frame {} {:?}", i, d.quad);
            }
        }
    }
}
