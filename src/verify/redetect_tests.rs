use super::*;
use crate::types::geometry::Rect;

const THRESHOLDS: Thresholds = Thresholds { mask_face: 0.7, mask_text: 0.6, look: 0.3 };

fn hit(class: Class, rect: Rect, score: f32) -> Detection {
    Detection { class, quad: rect.into(), score, landmarks: None }
}

fn face(x: f32, score: f32) -> Detection {
    hit(Class::Face, Rect::new(x, 40.0, 30.0, 40.0), score)
}

/// Texture everywhere but for a grey fill at x 100..160, y 20..100 (picture space; display space is twice as large).
fn picture() -> Picture {
    let size = Size::new(200, 120);
    let mut data = Vec::new();
    for y in 0..120u32 {
        for x in 0..200u32 {
            let fill = (100..160).contains(&x) && (20..100).contains(&y);
            let texture = (x * 37 + y * 91) as u8;
            // The fill carries coding noise.
            data.extend(if fill { [128 + (x % 3) as u8; 3] } else { [texture, texture / 2, 255 - texture] });
        }
    }
    Picture::new(size, data, 2.0)
}

#[test]
fn hits_become_masks_findings_or_nothing() {
    let masked = Quad::from(Rect::new(20.0, 100.0, 100.0, 100.0));
    let keeps = [("f3".to_string(), Class::Face, Quad::from(Rect::new(330.0, 40.0, 60.0, 60.0)))];
    let masks = [masked];
    let context = FrameContext { frame: 7, time_secs: 0.28, masks: &masks, keeps: &keeps };
    let strong = |rect| hit(Class::Face, rect, 0.9);
    // name, hit, masks to add, rule of the finding
    let cases = [
        ("confident face", strong(Rect::new(20.0, 20.0, 40.0, 40.0)), 1, None),
        ("weak face", face(20.0, 0.5), 0, Some(Rule::VisibleFace)),
        ("noise", face(20.0, 0.2), 0, None),
        ("no number", face(20.0, f32::NAN), 1, None),
        ("confident text", hit(Class::Text, Rect::new(20.0, 20.0, 80.0, 14.0), 0.65), 1, None),
        ("weak text", hit(Class::Text, Rect::new(20.0, 20.0, 80.0, 14.0), 0.5), 0, Some(Rule::VisibleText)),
        ("under a known mask", strong(Rect::new(30.0, 110.0, 60.0, 60.0)), 0, None),
        ("half under a known mask", strong(Rect::new(90.0, 110.0, 60.0, 60.0)), 1, None),
        ("in a flat fill", strong(Rect::new(210.0, 50.0, 80.0, 100.0)), 0, None),
        ("at the edge of a fill", strong(Rect::new(290.0, 50.0, 80.0, 100.0)), 1, None),
        ("kept face", strong(Rect::new(335.0, 40.0, 50.0, 50.0)), 0, Some(Rule::Kept)),
        ("text in a kept face", hit(Class::Text, Rect::new(335.0, 40.0, 50.0, 50.0), 0.9), 1, None),
    ];
    for (name, hit, add, rule) in cases {
        let verdict = judge(&picture(), std::slice::from_ref(&hit), &context, &THRESHOLDS);
        assert_eq!(verdict.add.len(), add, "{name}");
        assert_eq!(verdict.findings.first().map(|f| f.rule), rule, "{name}");
        assert_eq!(verdict.hits, u64::from(add > 0 || rule.is_some()), "{name}");
        if let Some(finding) = verdict.findings.first() {
            assert_eq!((finding.frame, finding.bounds), (Some(7), Some(hit.quad.bounds())), "{name}");
            assert_eq!(finding.region.is_some(), rule == Some(Rule::Kept), "{name}");
        }
    }
}

#[test]
fn an_object_that_two_detectors_find_counts_once_with_the_better_score() {
    let hits = [face(20.0, 0.4), face(22.0, 0.8), face(100.0, 0.75)];
    let verdict = judge(&picture(), &hits, &FrameContext::default(), &THRESHOLDS);
    assert_eq!((verdict.hits, verdict.add.len(), verdict.findings.len()), (2, 2, 0));
    assert_eq!(verdict.add[0].score, 0.8);
}

#[test]
fn what_only_a_filled_in_mask_shows_is_a_reason_to_look() {
    let shown = picture();
    // Display x 200 to 320 is a mask there.
    let data =
        shown.data.chunks_exact(3).map(|p| if p[0].abs_diff(128) < 3 { [220, 180, 150] } else { [p[0], p[1], p[2]] });
    let bare = Picture::new(shown.size, data.flatten().collect(), shown.display_from_picture);
    let at = |x| hit(Class::Face, Rect::new(x, 100.0, 60.0, 60.0), 0.9);
    let text = |score| hit(Class::Text, Rect::new(170.0, 100.0, 60.0, 60.0), score);
    for (name, found, seen, is_doubted) in [
        ("half of it filled in", at(170.0), vec![], true),
        ("seen in the picture too", at(170.0), vec![hit(Class::Face, Rect::new(165.0, 95.0, 64.0, 66.0), 0.8)], false),
        ("something else is seen", at(170.0), vec![at(20.0)], true),
        ("seen too, but weakly", at(170.0), vec![hit(Class::Face, Rect::new(170.0, 100.0, 60.0, 60.0), 0.5)], true),
        ("beside the mask", at(100.0), vec![], false),
        ("a lamp that becomes a letter", text(0.9), vec![], true),
        ("text in the picture too", text(0.9), vec![text(0.85)], false),
        ("a face is no text", text(0.9), vec![at(170.0)], true),
    ] {
        let mut hits = [found];
        doubt_filling(&mut hits, &seen, &bare, &shown, &THRESHOLDS);
        let verdict = judge(&shown, &hits, &FrameContext::default(), &THRESHOLDS);
        assert_eq!((verdict.add.len(), verdict.findings.len()), if is_doubted { (0, 1) } else { (1, 0) }, "{name}");
    }
}

#[test]
fn a_finding_stays_within_the_picture() {
    let verdict = judge(&picture(), &[face(-12.0, 0.5)], &FrameContext::default(), &THRESHOLDS);
    assert_eq!(verdict.findings[0].bounds, Some(Rect::new(0.0, 40.0, 18.0, 40.0)));
}

#[test]
fn search_takes_edges_cuts_keys_and_a_stride() {
    let masks = [FrameSpan::new(10, 20), FrameSpan::new(95, 100)];
    let t = Timeline { count: 100, key_frames: &[0, 50], cuts: &[33], masks: &masks };
    let frames = frames_to_search(&t, 40, 1.0);
    assert_eq!(frames, [0, 9, 10, 11, 18, 19, 20, 33, 40, 50, 80, 94, 95, 96, 98, 99]);
    assert_eq!(frames_to_search(&Timeline { count: 1, ..Timeline::default() }, 1, 0.0), [0]);
    assert!(frames_to_search(&Timeline::default(), 5, 1.0).is_empty());
}

#[test]
fn search_is_bounded_and_drops_the_least_telling_frames_evenly() {
    let cuts = [100, 500];
    let t = Timeline { count: 1000, key_frames: &[], cuts: &cuts, masks: &[] };
    let frames = frames_to_search(&t, 2, 0.05);
    assert_eq!(frames.len(), 50);
    for wanted in [0, 100, 500, 999] {
        assert!(frames.contains(&wanted), "{wanted}");
    }
    assert!(frames.windows(2).all(|w| w[1] - w[0] <= 30), "{frames:?}");
}

fn verdict(frame: FrameIndex, add: Vec<Detection>) -> Verdict {
    Verdict { frame, add, ..Verdict::default() }
}

#[test]
fn hits_join_through_time_within_a_scene() {
    let verdicts = [
        verdict(0, vec![]),
        verdict(10, vec![face(20.0, 0.8)]),
        verdict(20, vec![face(25.0, 0.9), face(150.0, 0.9)]),
        verdict(30, vec![]),
        verdict(40, vec![face(25.0, 0.9)]),
        verdict(60, vec![face(25.0, 0.9)]),
    ];
    let masks = masks_to_add(&verdicts, &[35, 50], 70);
    let brief: Vec<_> = masks.iter().map(|m| (m.span.start, m.span.end, m.points.len())).collect();
    assert_eq!(brief, [(1, 30, 2), (11, 30, 1), (35, 50, 1), (50, 70, 1)]);
    for mask in &masks {
        assert!(mask.points.iter().all(|p| mask.span.contains(p.0)));
    }
}

#[test]
fn sure_text_is_lone_when_a_second_network_sees_nothing_in_its_place() {
    let seen = |class, x: f32, width: f32, score| hit(class, Rect::new(x, 0.0, width, 20.0), score);
    let sure = seen(Class::Text, 0.0, 100.0, 0.9);
    for (name, first, second, expected) in [
        ("nothing is seen", &sure, vec![], true),
        ("seen, though weakly", &sure, vec![seen(Class::Text, 0.0, 100.0, 0.3)], false),
        (
            "seen in two parts",
            &sure,
            vec![seen(Class::Text, 0.0, 20.0, 0.6), seen(Class::Text, 80.0, 20.0, 0.6)],
            false,
        ),
        ("hardly touched", &sure, vec![seen(Class::Text, 90.0, 100.0, 0.9)], true),
        ("a face there is no text", &sure, vec![seen(Class::Face, 0.0, 100.0, 0.9)], true),
        ("not sure itself", &seen(Class::Text, 0.0, 100.0, 0.5), vec![], false),
        ("no number", &seen(Class::Text, 0.0, 100.0, f32::NAN), vec![], false),
        ("a face", &seen(Class::Face, 0.0, 100.0, 0.9), vec![], false),
    ] {
        assert_eq!(is_lone_text(first, &second, &THRESHOLDS), expected, "{name}");
    }
}
