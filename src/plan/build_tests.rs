use proptest::prelude::*;

use super::*;
use crate::plan::policy::mask_tracks;
use crate::plan::simplify::covers;
use crate::plan::testing::{DISPLAY, header, pts, times, track};
use crate::types::geometry::{Margins, Point};

fn upright(x: f32, y: f32, w: f32, h: f32) -> Quad {
    Rect::new(x, y, w, h).into()
}

fn built(tracks: &[Track], keeps: &[&str], settings: PolicySettings) -> Built {
    let pts = pts(200);
    let keeps = keeps.iter().map(|k| k.parse().unwrap()).collect();
    let mut builder = RegionBuilder::new(settings, DISPLAY, keeps);
    builder.add_scene(tracks, times(&pts), |_| 0);
    builder.finish()
}

#[test]
fn ids_are_stable_and_in_order() {
    let scene = FrameSpan::new(0, 200);
    let at = |x: f32, start: u64, class: Class| track(class, start, &[upright(x, 300.0, 60.0, 40.0); 5], 0.9, scene);
    let tracks = vec![
        at(900.0, 80, Class::Face),
        at(100.0, 20, Class::Text),
        at(500.0, 20, Class::Face),
        at(100.0, 20, Class::Face),
    ];
    let mut turned = tracks.clone();
    turned.reverse();
    let a = built(&tracks, &[], PolicySettings::default());
    assert_eq!(a, built(&turned, &[], PolicySettings::default()), "the order of work shows");
    let ids: Vec<&str> = a.regions.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["f1", "f2", "t1", "f3"]);
    assert!(a.regions[0].keyframes[0].quad.center().x < a.regions[1].keyframes[0].quad.center().x);
    for region in &a.regions {
        assert!(region.keyframes.iter().all(|k| k.pts == 3000 + 40 * k.frame as i64));
        assert!(region.keyframes.iter().any(|k| k.origin == Origin::Detected), "detections do not show");
        assert!(region.keyframes.iter().any(|k| k.origin == Origin::Extended), "holds do not show");
    }
    assert!(!a.review.is_empty() && a.review.iter().all(|f| f.region.is_some() && f.time_secs.is_some()));
}

#[test]
fn kept_rectangles_spare_what_lies_in_them_for_their_time() {
    let scene = FrameSpan::new(0, 100);
    let logo = track(Class::Text, 0, &vec![upright(100.0, 600.0, 200.0, 30.0); 100], 0.9, scene);
    // Keep, what becomes of the logo: spans and whether they are masked.
    type Pieces = &'static [(u64, u64, bool)];
    let table: [(&str, Pieces); 5] = [
        ("80,580,240,70=ours", &[(0, 100, false)]),
        ("80,580,240,70@1-2=ours", &[(0, 25, true), (25, 50, false), (50, 100, true)]),
        ("80,580,110,70=half of it", &[(0, 100, true)]),
        ("80,100,240,70=elsewhere", &[(0, 100, true)]),
        ("0,0,1280,720@90-99=never", &[(0, 100, true)]),
    ];
    for (keep, pieces) in table {
        let built = built(std::slice::from_ref(&logo), &[keep], PolicySettings::default());
        let got: Vec<_> = built.regions.iter().map(|r| (r.span.start, r.span.end, r.decision.is_redact())).collect();
        assert_eq!(got, pieces, "{keep}");
    }
    // It moves out of the rectangle: masked all the time.
    let quads: Vec<Quad> = (0..100).map(|k| upright(100.0 + 5.0 * k as f32, 600.0, 200.0, 30.0)).collect();
    let moving = track(Class::Text, 0, &quads, 0.9, scene);
    let built = built(&[moving], &["80,580,240,70=ours"], PolicySettings::default());
    assert!(built.regions.iter().all(|r| r.decision.is_redact()));
}

#[test]
fn operator_regions_join_the_plan() {
    let pts = pts(200);
    let mut builder = RegionBuilder::new(PolicySettings::default(), DISPLAY, Vec::new());
    builder.add_operator_region(&"10,20,30,40@1-2".parse().unwrap(), 0, times(&pts)).unwrap();
    assert!(builder.add_operator_region(&"5000,20,30,40".parse().unwrap(), 0, times(&pts)).is_err());
    // However far it is said to reach: readers of plans refuse corners that are far from the picture.
    builder.add_operator_region(&"10,700,1000000,1000000@2-3".parse().unwrap(), 0, times(&pts)).unwrap();
    let built = builder.finish();
    assert_eq!(built.regions.len(), 2);
    assert_eq!((built.regions[0].id.as_str(), built.regions[0].span), ("r1", FrameSpan::new(25, 50)));
    assert_eq!(built.regions[0].quad_at(49), Some(upright(10.0, 20.0, 30.0, 40.0)));
    assert_eq!(built.regions[1].quad_at(60), Some(upright(10.0, 700.0, 1270.0, 20.0)));
}

#[test]
fn no_margin_of_an_edited_plan_shrinks_what_verification_adds() {
    let pts = pts(40);
    let seen = Quad::from(Rect::new(600.0, 300.0, 100.0, 120.0));
    let added = |margin: &str| {
        let mut plan = RedactionPlan { header: header(&pts), regions: Vec::new() };
        plan.header.settings.insert("margin".into(), margin.into());
        added_region(&plan, 0, Class::Face, FrameSpan::new(0, 40), &[(10, seen, 0.9)]).quad_at(10).unwrap()
    };
    let usual = added("0");
    for margin in ["-5", "NaN", "inf", "-inf", "much", "", "1e30"] {
        let quad = added(margin);
        assert!(quad.is_finite() && quad.contains_quad(&usual), "{margin}: {quad:?}");
    }
}

#[test]
fn what_verification_saw_is_hidden_in_whatever_turn_it_saw_it() {
    let pts = pts(40);
    let mut plan = RedactionPlan { header: header(&pts), regions: Vec::new() };
    plan.header.settings.insert("margin".into(), "0.1".into());
    let (center, quarter) = (Point::new(600.0, 300.0), std::f32::consts::FRAC_PI_2);
    let seen = |class: Class, turns: f32| {
        let (w, h) = if class == Class::Face { (100.0, 120.0) } else { (200.0, 30.0) };
        Quad::rotated_rect(center, w, h, 0.2 + turns * quarter)
    };
    // Class, and by how many quarters the second hit is turned.
    for (class, turns) in
        [(Class::Face, 0.0), (Class::Face, 1.0), (Class::Face, 2.0), (Class::Face, 3.0), (Class::Text, 2.0)]
    {
        let points = [(10, seen(class, 0.0), 0.9), (30, seen(class, turns), 0.8)];
        let region = added_region(&plan, 0, class, FrameSpan::new(0, 40), &points);
        let head = match class {
            // Half a face more above, and a third on the other sides, in each of the turns.
            Class::Face => seen(class, 0.0).grown(Margins { left: 0.33, top: 0.5, right: 0.33, bottom: 0.33 }),
            _ => seen(class, 0.0),
        };
        for frame in [0, 10, 15, 20, 25, 30, 39] {
            let quad = region.quad_at(frame).unwrap();
            assert!(quad.contains_quad(&head), "{class:?} turned by {turns} quarters, frame {frame}: {quad:?}");
            assert!(quad.area() < 12.0 * seen(class, 0.0).area(), "{class:?}: too large");
        }
    }
}

proptest! {
    /// The regions of the plan cover, in every frame, each mask that the policy asked for.
    #[test]
    fn plans_only_grow_masks(
        starts in prop::collection::vec((0f32..1200.0, 0f32..700.0, 10f32..200.0, 10f32..200.0, -3f32..3.0, 0u64..60), 1..4),
        step in (-12f32..12.0, -12f32..12.0, 0.97f32..1.03, -0.2f32..0.2),
        ellipse in any::<bool>(),
        text in any::<bool>(),
    ) {
        let scene = FrameSpan::new(0, 120);
        let class = if text { Class::Text } else { Class::Face };
        let tracks: Vec<Track> = starts
            .iter()
            .map(|s| {
                let quads: Vec<Quad> = (0..40)
                    .map(|k| {
                        let t = k as f32;
                        let z = step.2.powf(t);
                        let wave = 6.0 * (t * 0.9).sin();
                        let c = Point::new(s.0 + step.0 * t + wave, s.1 + step.1 * t - wave);
                        Quad::rotated_rect(c, s.2 * z, s.3 * z, s.4 + step.3 * t)
                    })
                    .collect();
                track(class, s.5, &quads, 0.9, scene)
            })
            .collect();
        let shape = if ellipse { Shape::Ellipse } else { Shape::Quad };
        let settings = PolicySettings { face_shape: shape, ..PolicySettings::default() };
        let pts = pts(200);
        let asked = mask_tracks(&tracks, &Clip { display: DISPLAY, times: times(&pts) }, &settings);
        let built = built(&tracks, &[], settings);
        for mask in &asked {
            for f in mask.span().start..mask.span().end {
                let quad = mask.at(f).unwrap().quad;
                let hidden = built
                    .regions
                    .iter()
                    .filter_map(|r| r.quad_at(f).map(|q| (r.shape, q)))
                    .any(|(shape, q)| covers(shape, &q, &quad));
                prop_assert!(hidden, "frame {f}");
            }
        }
        for region in &built.regions {
            prop_assert!(region.keyframes.is_sorted_by(|a, b| a.frame < b.frame));
            prop_assert!(region.keyframes.iter().all(|k| region.span.contains(k.frame)));
        }
    }
}

#[test]
fn places_far_from_the_picture_make_plans_that_can_be_read() {
    let pts = pts(200);
    let scene = FrameSpan::new(0, 200);
    // A line that runs away while nobody looks, and one whose far end is far out of the picture.
    let runs = |k: usize| upright(600.0 + 400.0 * k as f32, 300.0, 200.0, 30.0);
    let away: Vec<Quad> = (0..60).map(runs).collect();
    let long = [upright(200.0, 100.0, 40_000.0, 30.0); 20];
    let tracks = [track(Class::Text, 10, &away, 0.9, scene), track(Class::Text, 10, &long, 0.9, scene)];
    let mut builder = RegionBuilder::new(PolicySettings::default(), DISPLAY, Vec::new());
    builder.add_scene(&tracks, times(&pts), |_| 0);
    let plan = RedactionPlan { header: header(&pts), regions: builder.finish().regions };
    let mut written = Vec::new();
    crate::plan::file::write_to(&plan, &mut written).unwrap();
    let read = crate::plan::file::read_from(written.as_slice(), Some((&pts, DISPLAY))).unwrap();
    let hides = |frame: u64, x: f32, y: f32| {
        read.regions.iter().filter_map(|r| r.quad_at(frame)).any(|q| q.contains(Point::new(x, y)))
    };
    assert!(hides(10, 610.0, 310.0) && hides(11, 1100.0, 310.0));
    assert!(hides(15, 201.0, 101.0) && hides(15, 1279.0, 129.0));
}
