use proptest::prelude::*;

use super::super::head::head_quad;
use super::super::weights;
use super::*;

/// A face box of one view, turned like the view, with landmarks whose nose is off the middle.
fn candidate(net: Net, pass: u32, heading: u8, score: f32, [cx, cy, w, h]: [f32; 4], nose: f32) -> Candidate {
    let (s, c) = angle_rad(heading).sin_cos();
    let at = |x: f32, y: f32| Point::new(cx + x * c - y * s, cy + x * s + y * c);
    let landmarks = [
        at(-0.2 * w, -0.1 * h),
        at(0.2 * w, -0.1 * h),
        at(nose, 0.05 * h),
        at(-0.15 * w, 0.25 * h),
        at(0.15 * w, 0.25 * h),
    ];
    let logit = net.logit(score);
    Candidate { net, pass, logit, center: Point::new(cx, cy), width: w, height: h, heading, landmarks: Some(landmarks) }
}

/// Three heads: one that both networks see in several views, one seen once, and a weak one on its side.
fn three_heads() -> Vec<Candidate> {
    vec![
        candidate(Net::YuNet, 0, 0, 0.8, [100.0, 80.0, 40.0, 50.0], 3.0),
        candidate(Net::CenterFace, 1, 0, 0.6, [102.0, 81.0, 44.0, 52.0], 5.0),
        candidate(Net::CenterFace, 2, 6, 0.2, [101.0, 79.0, 50.0, 46.0], 0.0),
        // The same view again: only its better box counts.
        candidate(Net::YuNet, 0, 0, 0.3, [103.0, 82.0, 41.0, 48.0], 3.0),
        candidate(Net::CenterFace, 1, 0, 0.5, [300.0, 90.0, 36.0, 44.0], -2.0),
        candidate(Net::YuNet, 3, 6, 0.4, [200.0, 180.0, 30.0, 40.0], 0.0),
    ]
}

const PICTURE: Size = Size::new(400, 300);

/// The expected figures come from an independent implementation of the same method in floating point of 64 bits.
#[test]
fn scores_and_boxes_are_those_of_the_reference() {
    let boxes = [[100.996, 80.498, 41.992, 50.996], [300.0, 90.0, 36.0, 44.0], [200.0, 180.0, 30.0, 40.0]];
    let again = [Rect::new(150.0, 0.0, 250.0, 300.0)];
    let once = (&weights::BOTH, None, [0.97398, 0.87871, 0.06941]);
    let twice = (&weights::BOTH_AGAIN, Some(&again[..]), [0.98152, 0.74671, 0.05967]);
    for (weights, again, scores) in [once, twice] {
        let heads = fused(three_heads(), PICTURE, weights, again);
        assert_eq!(heads.iter().map(|h| h.heading).collect::<Vec<_>>(), [0, 0, 6]);
        for ((head, want), score) in heads.iter().zip(boxes).zip(scores) {
            for (got, want) in [head.center.x, head.center.y, head.width, head.height].into_iter().zip(want) {
                assert!((got - want).abs() < 2e-3, "{head:?}");
            }
            assert!((head.score - score).abs() < 1e-3, "{} instead of {score}", head.score);
        }
    }
}

/// Shares of the face box from its centre to the left, top, right and bottom of the mask; from the same reference.
#[test]
fn the_head_reaches_further_at_its_back_and_turns_with_the_face() {
    let reaches = [[0.9618, 0.9005, 0.8115, 0.8], [0.8514, 0.9518, 0.9225, 0.8012], [0.8927, 1.0049, 0.8927, 0.8366]];
    let heads = fused(three_heads(), PICTURE, &weights::BOTH, None);
    for (head, [left, top, right, bottom]) in heads.iter().zip(reaches) {
        let (s, c) = angle_rad(head.heading).sin_cos();
        let own = head_quad(head, PICTURE).map(|p| {
            let (x, y) = (p.x - head.center.x, p.y - head.center.y);
            Point::new((x * c + y * s) / head.width, (y * c - x * s) / head.height)
        });
        for (got, want) in [own.corners[0], own.corners[2]].into_iter().zip([(-left, -top), (right, bottom)]) {
            assert!((got.x - want.0).abs() < 2e-3 && (got.y - want.1).abs() < 2e-3, "{got:?} {want:?}");
        }
    }
}

#[test]
fn the_mask_of_a_low_box_rises_where_the_evidence_is_good() {
    let table = [
        ("usual height", [60.0, 76.2], 0.9, 0.0),
        ("lower", [60.0, 66.2], 0.9, 0.0876),
        ("as wide as a hand", [60.0, 40.0], 0.9, 0.2),
        ("weak", [60.0, 66.2], 0.4, 0.0),
        ("small", [20.0, 22.0], 0.9, 0.0),
    ];
    for (name, [width, height], score, expected) in table {
        let single = candidate(Net::YuNet, 0, 0, 0.8, [200.0, 150.0, width, height], 0.0);
        let head = Head { score, ..unweighed(vec![single], PICTURE).remove(0) };
        let quad = head_quad(&head, PICTURE);
        let bounds = quad.bounds();
        let (above, below) = (150.0 - bounds.y, bounds.y + bounds.height - 150.0);
        // Beyond what all faces grow: 0.45 and 0.3 of the height by size, 0.3 at least.
        let relative = (width * height).sqrt() / 400.0;
        let grown = |share: f32| (share * (0.1 / relative).powf(0.8).clamp(0.5, 2.0)).max(0.3);
        let rise = above / height - 0.5 - grown(0.45);
        assert!((rise - expected).abs() < 2e-3, "{name}: {rise}");
        assert!((below / height - 0.5 - grown(0.3)).abs() < 2e-3, "{name}");
    }
}

#[test]
fn boxes_of_several_views_count_more_than_a_lone_one() {
    let place = [200.0, 150.0, 30.0, 40.0];
    let lone = vec![candidate(Net::CenterFace, 0, 0, 0.3, place, 0.0)];
    let mut several = lone.clone();
    several.push(candidate(Net::YuNet, 1, 0, 0.3, place, 0.0));
    several.push(candidate(Net::CenterFace, 2, 6, 0.3, [200.0, 150.0, 40.0, 30.0], 0.0));
    let score = |candidates| fused(candidates, PICTURE, &weights::BOTH, None)[0].score;
    let (one, three) = (score(lone), score(several));
    // The same reference as above.
    assert!((one - 0.7485).abs() < 1e-3 && (three - 0.8576).abs() < 1e-3, "{one} {three}");
}

#[test]
fn a_network_that_the_weights_do_not_know_counts_by_its_own_score() {
    let alone = vec![candidate(Net::Seeta, 0, 0, 0.7, [200.0, 150.0, 30.0, 40.0], 0.0)];
    let heads = fused(alone, PICTURE, &weights::YUNET, None);
    assert!((heads[0].score - 0.7).abs() < 1e-3);
}

prop_compose! {
    fn any_candidate()(
        net in prop::sample::select(vec![Net::YuNet, Net::CenterFace, Net::Seeta]), pass in 0u32..40, heading in 0u8..8,
        score in 0f32..=1.0, x in -50f32..450.0, y in -50f32..350.0, w in 1.01f32..500.0, aspect in 0.1f32..10.0,
        nose in -900f32..900.0,
    ) -> Candidate {
        candidate(net, pass, heading, score, [x, y, w, w * aspect], nose)
    }
}

proptest! {
    #[test]
    fn heads_are_finite_scored_and_apart(candidates in prop::collection::vec(any_candidate(), 0..80)) {
        let count = candidates.len();
        let heads = fused(candidates, PICTURE, &weights::BOTH, None);
        prop_assert!(heads.len() <= count && (count == 0) == heads.is_empty());
        for (i, head) in heads.iter().enumerate() {
            prop_assert!((0.0..=1.0).contains(&head.score));
            let quad = head_quad(head, PICTURE);
            prop_assert!(quad.is_finite());
            let face = Quad::rotated_rect(head.center, head.width, head.height, angle_rad(head.heading));
            // 30 % on each side at least.
            prop_assert!(quad.width() > 1.59 * face.width() && quad.height() > 1.59 * face.height());
            prop_assert!(heads[i + 1..].iter().all(|other| other.extent.iou(head.extent) <= 0.301));
        }
    }
}
