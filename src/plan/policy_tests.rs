use super::*;
use crate::plan::testing::{DISPLAY, pts, times, track};
use crate::types::track::Looks;

fn upright(x: f32, y: f32, w: f32, h: f32) -> Quad {
    Rect::new(x, y, w, h).into()
}

fn masks(tracks: &[Track], settings: &PolicySettings) -> Vec<MaskTrack> {
    let pts = pts(200);
    mask_tracks(tracks, &Clip { display: DISPLAY, times: times(&pts) }, settings)
}

#[test]
fn margins_follow_the_object() {
    let face_margins = Margins { left: 0.35, top: 0.55, right: 0.35, bottom: 0.35 };
    let settings = PolicySettings { face_margins, ..PolicySettings::default() };
    let head = grown(Class::Face, &upright(100.0, 100.0, 100.0, 200.0), &settings);
    let bounds = head.bounds();
    assert!((bounds.x - 65.0).abs() < 0.1 && (bounds.y + 10.0).abs() < 0.1);
    assert!((bounds.width - 170.0).abs() < 0.1 && (bounds.height - 380.0).abs() < 0.1);
    // Lying on its side, the forehead points to the right.
    let lying = Quad::rotated_rect(Point::new(500.0, 300.0), 100.0, 200.0, std::f32::consts::FRAC_PI_2);
    let bounds = grown(Class::Face, &lying, &settings).bounds();
    assert!((bounds.x + bounds.width - 710.0).abs() < 0.5, "{bounds:?}");
    assert!((bounds.x - 330.0).abs() < 0.5, "{bounds:?}");
    let line = grown(Class::Text, &upright(100.0, 100.0, 300.0, 20.0), &settings).bounds();
    assert!((line.x - 97.0).abs() < 0.1 && (line.height - 26.0).abs() < 0.1);
    assert!((grown(Class::Text, &upright(0.0, 0.0, 30.0, 4.0), &settings).height() - 8.0).abs() < 0.1);
    assert_eq!(grown(Class::Region, &upright(1.0, 2.0, 3.0, 4.0), &settings), upright(1.0, 2.0, 3.0, 4.0));
}

#[test]
fn unsure_and_large_heads_of_clips_grow_more() {
    let scene = FrameSpan::new(0, 200);
    let wide = |side: f32, mean: f32| {
        let looks = Looks { count: 2, best: 0.9, sum: 2.0 * mean };
        let quads = [upright(100.0, 100.0, side, side); 3];
        let seen = Track { looks, ..track(Class::Face, 50, &quads, 0.9, scene) };
        masks(&[seen], &PolicySettings::default())[0].at(51).map(|m| m.quad.width() / side)
    };
    let longest = DISPLAY.long_side() as f32;
    let (small, large) = (0.1 * longest, 0.6 * longest);
    // Size, mean score of the looks, growth on each side.
    for (side, mean, growth) in [(small, 1.0, 0.03), (small, 0.4, 0.084), (large, 1.0, 0.08), (large, 0.4, 0.134)] {
        let got = wide(side, mean).unwrap();
        assert!((got - 1.0 - 2.0 * growth).abs() < 1e-3, "{side} {mean}: {got}");
    }
}

#[test]
fn one_sure_look_is_not_enough_for_a_mask_over_half_of_the_picture() {
    let scene = FrameSpan::new(0, 200);
    let (small, giant) = (upright(600.0, 300.0, 60.0, 80.0), upright(200.0, 0.0, 700.0, 720.0));
    // Place, looks with their best and mean score, masked.
    for (quad, count, best, mean, masked) in [
        (small, 5, 0.6, 0.12, true),
        (giant, 5, 0.6, 0.12, false),
        (giant, 5, 0.95, 0.19, true),
        (giant, 5, 0.6, 0.3, true),
        (giant, 1, 0.6, 0.6, true),
    ] {
        let looks = Looks { count, best, sum: mean * count as f32 };
        let seen = Track { looks, ..track(Class::Face, 50, &[quad; 3], 0.2, scene) };
        let masks = masks(&[seen], &PolicySettings::default());
        assert_eq!(masks[0].decision.is_redact(), masked, "{looks:?} on {quad:?}");
    }
}

#[test]
fn what_is_found_again_and_again_needs_less() {
    let scene = FrameSpan::new(0, 200);
    let [tiny, small, middling, large] =
        [20.0, 60.0, 240.0, 400.0].map(|width| upright(600.0, 200.0, width, 1.25 * width));
    for (quad, frames, score, masked) in [
        (tiny, 5, 0.2, true),
        (tiny, 5, 0.18, false),
        (small, 5, 0.21, true),
        (small, 4, 0.41, false),
        (small, 5, 0.18, false),
        (middling, 5, 0.41, true),
        (middling, 5, 0.39, false),
        (large, 5, 0.45, false),
        (large, 5, 0.5, true),
    ] {
        let looks = Looks { count: 4, best: 0.2, sum: 0.4 };
        let seen = Track { looks, ..track(Class::Face, 50, &vec![quad; frames], score, scene) };
        let masks = masks(&[seen], &PolicySettings::default());
        assert_eq!(masks[0].decision.is_redact(), masked, "{score} in {frames} frames");
    }
}

#[test]
fn heads_that_the_edge_cuts_need_less() {
    let scene = FrameSpan::new(0, 200);
    let (inside, cut) = (upright(600.0, 300.0, 100.0, 140.0), upright(1220.0, 300.0, 100.0, 140.0));
    // Places, best and mean score of the looks, score of the other detections, masked.
    for (name, quads, best, mean, score, masked) in [
        ("inside, a look", vec![inside; 4], 0.3, 0.1, 0.1, false),
        ("cut, a look", vec![cut; 4], 0.3, 0.1, 0.1, true),
        ("cut, a weaker look", vec![cut; 4], 0.19, 0.1, 0.1, false),
        ("cut in half of the frames", vec![inside, inside, cut, cut], 0.3, 0.1, 0.1, true),
        ("cut in less than that", vec![inside, inside, inside, cut], 0.3, 0.1, 0.1, false),
        ("cut, often", vec![cut; 5], 0.1, 0.1, 0.25, true),
        ("cut, often, but weaker", vec![cut; 5], 0.1, 0.1, 0.15, false),
    ] {
        let looks = Looks { count: 4, best, sum: 4.0 * mean };
        let seen = Track { looks, ..track(Class::Face, 50, &quads, score, scene) };
        assert_eq!(masks(&[seen], &PolicySettings::default())[0].decision.is_redact(), masked, "{name}");
    }
}

#[test]
fn weak_tracks_stay_in_the_plan_as_kept() {
    let scene = FrameSpan::new(0, 200);
    let quad = upright(600.0, 300.0, 60.0, 80.0);
    // Score, frames, masked.
    for (score, frames, masked) in [(0.9, 1, true), (0.4, 1, true), (0.39, 1, false), (0.24, 3, false), (0.25, 2, true)]
    {
        let masks = masks(&[track(Class::Face, 50, &vec![quad; frames], score, scene)], &PolicySettings::default());
        assert_eq!(masks[0].decision.is_redact(), masked, "{score} in {frames} frames");
        assert_eq!(masks.len(), 1);
        assert!(score > 0.6 || masks[0].notes.iter().any(|n| n.rule == Rule::WeakTrack), "{score} in {frames} frames");
    }
}

#[test]
fn looks_that_see_nothing_speak_against_a_face_and_glances_count_where_there_was_no_look() {
    let scene = FrameSpan::new(0, 200);
    let seen = track(Class::Face, 50, &[upright(600.0, 300.0, 60.0, 80.0); 4], 0.3, scene);
    let looks = |count, best, sum| Looks { count, best, sum };
    for (name, looks, masked) in [
        ("seen weakly every time", looks(4, 0.3, 1.2), true),
        ("seen weakly now and then", looks(4, 0.3, 0.6), false),
        ("seen surely once", looks(9, 0.4, 0.4), true),
        ("glanced at only", looks(0, 0.0, 0.0), true),
    ] {
        let masks = masks(&[Track { looks, ..seen.clone() }], &PolicySettings::default());
        assert_eq!(masks[0].decision.is_redact(), masked, "{name}");
    }
}

#[test]
fn holds_grow_and_stay_in_the_scene() {
    let quad = upright(600.0, 300.0, 60.0, 80.0);
    let settings = PolicySettings { lost_secs: Some(0.0), ..PolicySettings::default() };
    // Track, scene, span of the mask; 0.5 s are 12 frames.
    for (at, scene, span) in [
        (100, FrameSpan::new(0, 200), FrameSpan::new(88, 122)),
        (5, FrameSpan::new(0, 200), FrameSpan::new(0, 27)),
        (100, FrameSpan::new(96, 113), FrameSpan::new(96, 113)),
    ] {
        let masks = masks(&[track(Class::Face, at, &[quad; 10], 0.9, scene)], &settings);
        assert_eq!(masks[0].span(), span);
        for pair in masks[0].frames[(at - span.start) as usize + 9..].windows(2) {
            assert!(pair[1].quad.inflated(0.01).contains_quad(&pair[0].quad), "a hold shrinks");
        }
        let (near, far) = (masks[0].at(at).unwrap(), masks[0].frames.last().unwrap());
        assert!(far.quad.area() > near.quad.area() || span.end == at + 10);
    }
}

#[test]
fn a_hold_covers_where_the_object_goes() {
    let quads: Vec<Quad> = (0..10).map(|k| upright(300.0 + 8.0 * k as f32, 300.0, 60.0, 80.0)).collect();
    let masks = masks(&[track(Class::Face, 50, &quads, 0.9, FrameSpan::new(0, 200))], &PolicySettings::default());
    for k in 1..=7u64 {
        let later = upright(300.0 + 8.0 * (9 + k) as f32, 300.0, 60.0, 80.0);
        let earlier = upright(300.0 - 8.0 * k as f32, 300.0, 60.0, 80.0);
        assert!(masks[0].at(59 + k).unwrap().quad.contains_quad(&later));
        assert!(masks[0].at(50 - k).unwrap().quad.contains_quad(&earlier));
    }
}

#[test]
fn lost_tracks_are_held_or_blanked_until_found_or_cut() {
    let quad = upright(600.0, 300.0, 60.0, 80.0);
    let scene = FrameSpan::new(0, 120);
    let lost = track(Class::Face, 0, &[quad; 10], 0.9, scene);
    let again = track(Class::Face, 40, &[quad; 10], 0.9, scene);
    let forever = PolicySettings { lost_secs: None, ..PolicySettings::default() };
    // Close by, but there all the time: somebody else.
    let neighbour = track(Class::Face, 0, &[upright(650.0, 330.0, 60.0, 80.0); 120], 0.9, scene);
    // Where it was, but too weak to be masked: that hides nobody.
    let weak = track(Class::Face, 10, &[quad; 100], 0.1, scene);
    let exit = Track { end: TrackEdge::Exit, ..lost.clone() };
    let text = Track { class: Class::Text, ..lost.clone() };
    // Name, tracks, settings, end of the first mask.
    let table = [
        ("until the cut", vec![lost.clone()], forever, 120),
        ("beside a neighbour", vec![lost.clone(), neighbour], forever, 120),
        ("until found again", vec![lost.clone(), again], forever, 40),
        ("a weak one takes nothing over", vec![lost.clone(), weak], forever, 120),
        ("one second", vec![lost.clone()], PolicySettings::default(), 35),
        ("left the picture", vec![exit], forever, 22),
        ("text", vec![text], forever, 22),
    ];
    for (name, tracks, settings, end) in table {
        let held = masks(&tracks, &settings);
        assert_eq!(held[0].span().end, end, "{name}");
        let noted = held[0].notes.iter().any(|n| n.rule == Rule::LostTrack);
        assert_eq!(noted, end != 22, "{name}");
        let blanked = masks(&tracks, &PolicySettings { on_lost: OnLost::Blank, ..settings });
        let whole = upright(0.0, 0.0, 1280.0, 720.0);
        let blank = blanked.iter().find(|m| m.frames[0].quad == whole);
        assert_eq!(blank.map(|b| b.span()), (end != 22).then(|| FrameSpan::new(22, end)), "{name}");
    }
}

#[test]
fn parts_of_a_track_are_masked_whatever_they_show_alone_and_overlap() {
    let quad = upright(600.0, 300.0, 60.0, 80.0);
    let (weak, scene) = (0.05, FrameSpan::new(0, 200));
    let looks = Looks { count: 9, best: weak, sum: weak };
    for class in [Class::Face, Class::Text] {
        let mut whole = Track { looks, start: TrackEdge::Cut, ..track(class, 0, &[quad; 60], weak, scene) };
        whole.points[1..].iter_mut().for_each(|p| p.origin = Origin::Extended);
        assert!(!masks(&[whole.clone()], &PolicySettings::default())[0].decision.is_redact(), "{class:?}");
        let mut rest = Track { start: TrackEdge::Divided, ..whole.clone() };
        rest.points.drain(..30);
        let mut first = Track { end: TrackEdge::Divided, ..whole };
        first.points.truncate(30);
        for (part, span) in [(first, FrameSpan::new(0, 42)), (rest, FrameSpan::new(18, 72))] {
            let masks = masks(&[part], &PolicySettings::default());
            assert!(masks[0].decision.is_redact(), "{class:?}");
            assert!(
                masks[0].span().start <= span.start && masks[0].span().end >= span.end,
                "{class:?} {:?}",
                masks[0].span()
            );
            assert!(masks[0].notes.iter().all(|n| n.risk.is_finite()), "{class:?}");
        }
    }
}

#[test]
fn what_is_looked_for_now_and_then_is_held_from_one_look_to_the_next() {
    let quad = upright(300.0, 600.0, 400.0, 40.0);
    let scene = FrameSpan::new(0, 200);
    let settings = PolicySettings { hold_frames: 15, lost_secs: Some(0.0), ..PolicySettings::default() };
    // At 25 frames a second half a second is 12 frames.
    for (class, span) in [(Class::Text, FrameSpan::new(85, 117)), (Class::Face, FrameSpan::new(88, 114))] {
        let masks = masks(&[track(class, 100, &[quad; 2], 0.9, scene)], &settings);
        assert_eq!(masks[0].span(), span, "{class:?}");
    }
    let mut followed = track(Class::Text, 90, &[quad; 12], 0.9, scene);
    followed.points[..10].iter_mut().for_each(|p| p.origin = Origin::Extended);
    assert_eq!(
        masks(&[followed], &settings)[0].span(),
        FrameSpan::new(78, 117),
        "where it was followed to counts by time"
    );
    let near_a_cut = track(Class::Text, 100, &[quad; 2], 0.9, FrameSpan::new(95, 105));
    assert_eq!(masks(&[near_a_cut], &settings)[0].span(), FrameSpan::new(95, 105), "never over a cut");
}

#[test]
fn long_places_on_documents_grow_by_their_height() {
    let settings = PolicySettings { other_margin: 0.1, ..PolicySettings::default() };
    let bounds = grown(Class::Document, &upright(100.0, 100.0, 500.0, 20.0), &settings).bounds();
    assert!((bounds.x - 98.0).abs() < 0.1 && (bounds.width - 504.0).abs() < 0.1, "{bounds:?}");
}

#[test]
fn a_head_that_was_followed_back_to_a_weak_track_is_masked_there_too() {
    let scene = FrameSpan::new(0, 200);
    let place = upright(400.0, 300.0, 100.0, 130.0);
    let weak = track(Class::Face, 50, &[place; 50], 0.05, scene);
    let looks = Looks { count: 4, best: 0.9, sum: 3.6 };
    let sure = Track { looks, start: TrackEdge::Joined, ..track(Class::Face, 100, &[place; 50], 0.9, scene) };
    let masks = masks(&[weak, sure], &PolicySettings::default());
    let spans: Vec<FrameSpan> = masks.iter().filter(|m| m.decision.is_redact()).map(MaskTrack::span).collect();
    assert_eq!(spans.len(), 1);
    assert!(spans[0].start <= 50, "{spans:?}");
}
