use proptest::prelude::*;

use super::super::fakes::{Sees, black};
use super::super::{FaceNetwork, RawFace};
use super::*;

fn sees(name: &'static str, faces: impl FnMut(Size) -> Vec<RawFace> + Send + 'static) -> Option<Box<dyn FaceNetwork>> {
    Some(Box::new(Sees(name, faces)))
}

fn face(rect: Rect, score: f32) -> RawFace {
    RawFace { rect, score, landmarks: None }
}

fn detector(networks: Networks) -> FaceDetector {
    FaceDetector::new(networks, Sensitivity::Normal).unwrap()
}

/// A square head that one view found, with even odds.
fn lone_head(center: Point, side: f32, picture: Size) -> Head {
    let candidate = Candidate {
        net: Net::YuNet,
        pass: 0,
        logit: 0.0,
        center,
        width: side,
        height: side,
        heading: 0,
        landmarks: None,
    };
    unweighed(vec![candidate], picture).remove(0)
}

#[test]
fn a_detector_needs_a_network_and_is_named_after_those_it_has() {
    assert_eq!(FaceDetector::new(Networks::default(), Sensitivity::Normal).err().unwrap().kind(), ErrorKind::Usage);
    let networks = Networks { centerface: sees("c", |_| Vec::new()), seeta: sees("s", |_| Vec::new()), yunet: None };
    assert_eq!(detector(networks).name(), "c+s");
}

#[test]
fn a_head_seen_in_a_turned_view_lies_turned_in_display_space() {
    // A face upright in views of 60 px width: those of the 100x60 picture turned by a quarter either way.
    let seen = |size: Size| {
        if size.width == 60 { vec![face(Rect::new(10.0, 20.0, 12.0, 18.0), 0.9)] } else { Vec::new() }
    };
    let mut detector = detector(Networks { yunet: sees("y", seen), ..Networks::default() });
    let mut picture = black(100, 60);
    picture.display_from_picture = 2.0;
    // The picture turned clockwise shows heads upright that were turned by three quarters.
    for (quarter, center) in [(3, Point::new(58.0, 88.0)), (1, Point::new(142.0, 32.0))] {
        let found = detector.detect(&picture, Effort::Fast(Headings::of_quarter(quarter))).unwrap();
        assert_eq!(found.len(), 1);
        assert!((found[0].quad.angle_rad().sin() - if quarter == 1 { 1.0 } else { -1.0 }).abs() < 1e-4);
        assert!(found[0].quad.contains(center), "{:?}", found[0]);
        // A twenty-seventh of the picture is more than the usual share: its mask costs some of the evidence.
        let cost = COST_SLOPE * (12.0 * 18.0 / 6000.0 / USUAL_SHARE).ln().min(MOST_LOG_SHARE);
        assert!((found[0].score - sigmoid(Net::YuNet.logit(0.9) - cost)).abs() < 1e-4);
    }
    assert!(detector.detect(&picture, Effort::Fast(Headings::UPRIGHT)).unwrap().is_empty());
    assert_eq!(detector.detect(&picture, Effort::Fast(Headings::ALL)).unwrap().len(), 2);
}

#[test]
fn what_all_views_agree_on_is_one_sure_head_with_any_choice_of_networks() {
    // In the middle of a square picture, so that every upright view shows it at the same place.
    let seen = |size: Size| {
        let k = size.width as f32 / 80.0;
        vec![face(Rect::new(30.0 * k, 28.0 * k, 20.0 * k, 24.0 * k), 0.85)]
    };
    for members in 1..8 {
        let network = |bit: u32, name| if members & bit != 0 { sees(name, seen) } else { None };
        let networks = Networks { yunet: network(1, "y"), centerface: network(2, "c"), seeta: network(4, "s") };
        let mut detector = detector(networks);
        for effort in
            [Effort::Key(Headings::ALL), Effort::Key(Headings::UPRIGHT), Effort::Thorough, Effort::Fast(Headings::ALL)]
        {
            let found = detector.detect(&black(80, 80), effort).unwrap();
            assert_eq!(found.len(), 1, "{members} {effort:?}");
            assert!(found[0].score > 0.5, "{members} {effort:?} {}", found[0].score);
            assert!(found[0].quad.contains(Point::new(40.0, 40.0)));
        }
    }
}

#[test]
fn evidence_asked_for_rises_with_what_the_mask_costs() {
    let picture = Size::new(1000, 1000);
    let margin_of = |side: f32| margin(&lone_head(Point::new(500.0, 500.0), side, picture), picture);
    // A hundredth of the picture is the usual cost; what takes much more or much less changes no more beyond a bound.
    assert!(margin_of(100.0).abs() < 1e-3);
    assert!((margin_of(150.0) + 0.6 * 2.25f32.ln()).abs() < 1e-3);
    assert!((margin_of(700.0) + 0.6).abs() < 1e-3, "a close-up is as likely a face");
    assert!((margin_of(50.0) - 0.6 * 4f32.ln()).abs() < 1e-3);
    assert!((margin_of(5.0) - 0.6 * 4.0).abs() < 1e-3);
}

#[test]
fn heads_near_the_edge_get_evidence_back_but_for_giants() {
    let picture = Size::new(1000, 600);
    let at = |x: f32, y: f32, side: f32| sides_cut(&lone_head(Point::new(x, y), side, picture), picture);
    for (name, cut, expected) in [
        ("inside", at(500.0, 300.0, 100.0), 0.0),
        ("a side and a half off", at(150.0, 300.0, 100.0), 0.0),
        ("a side off, right", at(900.0, 300.0, 100.0), 0.5),
        ("on the edge, below", at(500.0, 600.0, 100.0), 1.5),
        ("a giant", at(100.0, 300.0, 200.0), 0.0),
    ] {
        assert!((cut - expected).abs() < 1e-4, "{name}: {cut}");
    }
    // What the regression says of a box on the edge of all upright views, and what is told of it.
    let seen = |size: Size| {
        let k = size.width as f32 / 400.0;
        if size.width > size.height {
            vec![face(Rect::new(-20.0 * k, 120.0 * k, 40.0 * k, 40.0 * k), 0.6)]
        } else {
            vec![]
        }
    };
    let mut detector = detector(Networks { yunet: sees("y", seen), ..Networks::default() });
    let (picture, key) = (black(400, 300), Effort::Key(Headings::ALL));
    let candidates = detector.views(&picture, YUNET_ALONE.views).unwrap();
    let fitted = fused(candidates, picture.size, YUNET_ALONE.weights, None)
        .iter()
        .map(|head| margin(head, picture.size))
        .fold(f32::MIN, f32::max);
    let told = log_odds(detector.detect(&picture, key).unwrap()[0].score);
    assert!((told - fitted - 1.5 * CUT_ALLOWANCE).abs() < 1e-2, "{fitted} {told}");
}

#[test]
fn poor_pictures_and_higher_sensitivity_ask_for_less() {
    use Sensitivity::*;
    let thresholds = [Low, Normal, High, Max].map(|s| (s.threshold(false), s.threshold(true), s.fast_threshold()));
    for (clear, poor, _) in thresholds {
        assert!(poor < clear);
    }
    for pair in thresholds.windows(2) {
        assert!(pair[1].0 < pair[0].0 && pair[1].1 < pair[0].1 && pair[1].2 < pair[0].2);
    }
}

#[test]
fn an_unsure_head_is_looked_at_again_and_a_sure_one_is_not() {
    use std::sync::{Arc, Mutex};
    for (score, is_unsure) in [(0.5, true), (0.98, false)] {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let log = sizes.clone();
        let seen = move |size: Size| {
            log.lock().unwrap().push(size);
            let is_whole = size == Size::new(400, 300);
            if is_whole { vec![face(Rect::new(100.0, 100.0, 30.0, 36.0), score)] } else { Vec::new() }
        };
        let networks = Networks { yunet: sees("y", |_| Vec::new()), centerface: sees("c", seen), seeta: None };
        detector(networks).detect(&black(400, 300), Effort::Thorough).unwrap();
        let sizes = sizes.lock().unwrap();
        let whole = [Size::new(400, 300), Size::new(300, 400)];
        let again = sizes.iter().filter(|s| !whole.contains(s)).count();
        assert_eq!(again > 0, is_unsure, "{score}: {sizes:?}");
        assert!(sizes.iter().all(|s| s.pixels() <= 400 * 300), "only the surroundings are enlarged: {sizes:?}");
    }
}

#[test]
fn the_costly_network_looks_in_headings_that_are_known_or_suggested() {
    use std::sync::{Arc, Mutex};
    // The cheap network sees a face of this score in the views of a picture of 400x300 that a quarter turn makes.
    let costly_views = |score: f32, headings: Headings, picture: &Picture| {
        let views = Arc::new(Mutex::new(Vec::new()));
        let log = views.clone();
        let cheap = move |size: Size| {
            if size.width < size.height { vec![face(Rect::new(100.0, 100.0, 30.0, 36.0), score)] } else { Vec::new() }
        };
        let costly = move |size: Size| {
            log.lock().unwrap().push(size);
            Vec::new()
        };
        let networks = Networks { yunet: sees("y", cheap), centerface: sees("c", costly), seeta: None };
        detector(networks).detect(picture, Effort::Key(headings)).unwrap();
        let views = views.lock().unwrap();
        views.iter().filter(|v| v.width < v.height).count() * 10 + views.len()
    };
    let clear = black(400, 300);
    let mut noisy = black(400, 300);
    noisy.data.iter_mut().enumerate().for_each(|(i, v)| *v = ((i / 3).wrapping_mul(2_654_435_761) >> 7) as u8);
    // Score, headings, picture, views (of these in tens: turned by a quarter).
    for (score, headings, picture, expected) in [
        (0.2, Headings::UPRIGHT, &clear, 1),
        (0.6, Headings::UPRIGHT, &clear, 23),
        (0.2, Headings::of_quarter(1), &clear, 11),
        (0.2, Headings::ALL, &clear, 24),
        (0.2, Headings::UPRIGHT, &noisy, 24),
    ] {
        assert_eq!(costly_views(score, headings, picture), expected, "{score} {headings:?}");
    }
}

#[test]
fn a_face_seen_better_in_another_heading_is_an_echo() {
    use crate::types::geometry::Point;
    let candidate = |heading: u8, logit: f32, x: f32, side: f32| Candidate {
        net: Net::YuNet,
        pass: 0,
        logit,
        center: Point::new(x, 50.0),
        width: side,
        height: side * 1.2,
        heading,
        landmarks: None,
    };
    let weak = candidate(4, 1.8, 52.0, 40.0);
    for (what, other, expected) in [
        ("stronger, same place", candidate(0, 2.4, 50.0, 44.0), true),
        ("hardly stronger", candidate(0, 2.0, 50.0, 44.0), false),
        ("in the same heading", candidate(4, 2.4, 50.0, 44.0), false),
        ("elsewhere", candidate(0, 2.4, 90.0, 44.0), false),
        ("much larger", candidate(0, 2.4, 50.0, 90.0), false),
    ] {
        assert_eq!(is_echo(&weak, &[weak.clone(), other.clone()]), expected, "{what}");
        assert!(!is_echo(&other, &[weak.clone(), other.clone()]), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn pictures_of_any_shape_and_boxes_of_any_kind_are_survived(
        w in prop::sample::select(vec![1u32, 2, 7, 33, 400]), h in prop::sample::select(vec![1u32, 3, 40, 290]),
        boxes in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3, -5f32..2e3, -5f32..2e3, 0f32..=1.0), 0..12)
    ) {
        let faces: Vec<RawFace> = boxes.iter().map(|&(x, y, w, h, s)| face(Rect::new(x, y, w, h), s)).collect();
        let again = faces.clone();
        let networks = Networks {
            yunet: sees("y", move |_| faces.clone()),
            centerface: sees("c", move |_| again.clone()),
            seeta: None,
        };
        let mut detector = detector(networks);
        for effort in [Effort::Fast(Headings::ALL), Effort::Key(Headings::ALL), Effort::Thorough] {
            for found in detector.detect(&black(w, h), effort).unwrap() {
                prop_assert!(found.quad.is_finite() && (0.0..=1.0).contains(&found.score));
            }
        }
    }
}

#[test]
fn a_bar_hides_a_head_if_it_was_drawn_beyond_doubt_or_lies_on_a_trace_of_one() {
    let bar = |x: f32, is_exact| Bar { quad: Rect::new(x, 40.0, 40.0, 16.0).into(), is_exact };
    let picture = Size::new(400, 300);
    let head_of = |score: f32| {
        let mut networks = Networks {
            yunet: sees("y", move |_| vec![face(Rect::new(100.0, 30.0, 40.0, 50.0), score)]),
            ..Networks::default()
        };
        let mut candidates = Vec::new();
        look(&mut networks, &black(400, 300), &passes::CHEAP[0], &[Window::whole(picture)], &mut candidates).unwrap();
        unweighed(candidates, picture)
    };
    let table = [
        ("drawn, nobody seen", bar(100.0, true), 0.0, true),
        ("likely drawn, nobody seen", bar(100.0, false), 0.0, false),
        ("likely drawn, on a trace", bar(100.0, false), 0.3, true),
        ("likely drawn, beside a trace", bar(300.0, false), 0.3, false),
    ];
    for (name, bar, score, hides) in table {
        assert_eq!(barred(vec![bar], &head_of(score), picture).len(), usize::from(hides), "{name}");
    }
}
