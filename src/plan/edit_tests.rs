use super::*;
use crate::plan::testing::{header, pts, times};
use crate::types::detection::Class;
use crate::types::geometry::Point;
use crate::types::geometry::Quad;
use crate::types::plan::{Keyframe, Region, Shape};
use crate::types::time::TimeBase;
use crate::types::track::Origin;

#[test]
fn regions_are_read() {
    let plain = |x, y, w, h| Ok((Rect::new(x, y, w, h), None));
    let timed = |a, b| Ok((Rect::new(1.0, 2.0, 3.0, 4.0), Some((a, b))));
    type Read = Result<(Rect, Option<(f64, f64)>), ()>;
    let table: [(&str, Read); 22] = [
        ("1,2,3,4", plain(1.0, 2.0, 3.0, 4.0)),
        (" 10.5, -2, 30 ,40", plain(10.5, -2.0, 30.0, 40.0)),
        ("1,2,3,4@0-1.5", timed(0.0, 1.5)),
        ("1,2,3,4@1:02-1:00:03.250", timed(62.0, 3603.25)),
        ("1,2,3,4@90-100", timed(90.0, 100.0)),
        ("1,2,3", Err(())),
        ("1,2,3,4,5", Err(())),
        ("", Err(())),
        ("a,2,3,4", Err(())),
        ("1,2,0,4", Err(())),
        ("1,2,3,-4", Err(())),
        ("nan,2,3,4", Err(())),
        ("inf,2,3,4", Err(())),
        ("1,2,3,1e9", Err(())),
        ("1,2,3,4@", Err(())),
        ("1,2,3,4@5", Err(())),
        ("1,2,3,4@5-5", Err(())),
        ("1,2,3,4@6-5", Err(())),
        ("1,2,3,4@-1-5", Err(())),
        ("1,2,3,4@0-1:75", Err(())),
        ("1,2,3,4@0-1:2:3:4", Err(())),
        ("1,2,3,4@0-1e3", Err(())),
    ];
    for (text, expected) in table {
        let got = text.parse::<OperatorRegion>().map(|r| (r.rect, r.times_secs));
        match expected {
            Ok(expected) => assert_eq!(got.unwrap(), expected, "{text}"),
            Err(()) => {
                let error = got.expect_err(text);
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
            }
        }
    }
    let shown: OperatorRegion = "1,2,3,4@0-61.5".parse().unwrap();
    assert_eq!(shown.to_string(), "1,2,3,4@0:00:00.000-0:01:01.500");
    assert_eq!(shown.to_string().parse::<OperatorRegion>().unwrap(), shown);
}

#[test]
fn a_printed_time_typed_back_means_its_frame() {
    for (name, num, den, ticks) in
        [("24", 1, 24, 1), ("25", 1, 1000, 40), ("29.97", 1001, 30_000, 1), ("30", 1, 90_000, 3000), ("60", 1, 60, 1)]
    {
        let pts: Vec<i64> = (0..700).map(|k| 77 + k * ticks).collect();
        let times = FrameTimes { pts: &pts, time_base: TimeBase { num, den } };
        for frame in 0..690 {
            let secs = times.elapsed_secs(frame);
            let region: OperatorRegion = format!("1,2,3,4@{}-{}", timecode(secs), secs + 0.1).parse().unwrap();
            let span = region.span(&times);
            assert!(
                span.contains(frame) && span.start + 1 >= frame,
                "{name} a second: {region} is {span:?}, not {frame}"
            );
        }
    }
}

#[test]
fn masks_begin_with_what_is_on_the_screen_and_sparing_does_not() {
    // Shown at 0, 2.9, 4 and 6 seconds.
    let pts = [0, 2900, 4000, 6000];
    let times = FrameTimes { pts: &pts, time_base: TimeBase { num: 1, den: 1000 } };
    for (text, masked, spared) in [
        ("1,2,3,4@3-5", (1, 3), (2, 3)),
        ("1,2,3,4@2.9-4", (1, 2), (1, 2)),
        ("1,2,3,4@0-1", (0, 1), (0, 1)),
        ("1,2,3,4@4.5-5", (2, 3), (3, 3)),
        ("1,2,3,4@7-9", (3, 4), (4, 4)),
        ("1,2,3,4@9-10", (4, 4), (4, 4)),
    ] {
        let region: OperatorRegion = text.parse().unwrap();
        assert_eq!(region.span(&times), FrameSpan::new(masked.0, masked.1), "{text}");
        assert_eq!(region.span_within(&times), FrameSpan::new(spared.0, spared.1), "{text}");
    }
}

#[test]
fn reasons_are_required() {
    let keep: KeepRegion = "1,2,3,4@0-1= a logo = ours".parse().unwrap();
    assert_eq!(keep.reason, "a logo = ours");
    let drop: Reasoned = "f3=a poster".parse().unwrap();
    assert_eq!((drop.id.as_str(), drop.reason.as_str()), ("f3", "a poster"));
    for text in ["f3", "f3=", "f3= ", "=why", ""] {
        assert!(text.parse::<Reasoned>().is_err(), "{text}");
    }
    for text in ["1,2,3,4", "1,2,3,4=", "1,2,3=why"] {
        assert!(text.parse::<KeepRegion>().is_err(), "{text}");
    }
}

fn plan() -> RedactionPlan {
    let region = |id: &str, decision: Decision| Region {
        id: id.into(),
        class: Class::Face,
        decision,
        shape: Shape::Quad,
        tone: 0,
        span: FrameSpan::new(2, 8),
        keyframes: vec![Keyframe {
            frame: 2,
            pts: 3080,
            quad: Quad::rotated_rect(Point::new(300.0, 200.0), 80.0, 90.0, 0.1),
            origin: Origin::Detected,
            score: 0.75,
        }],
    };
    let weak = Decision::Keep { reason: "weak".into(), automatic: true };
    let regions = vec![
        region("f1", Decision::Redact),
        region("f2", Decision::Redact),
        region("f3", weak),
        region("r4", Decision::Redact),
    ];
    RedactionPlan { header: header(&pts(50)), regions }
}

#[test]
fn edits_are_applied() {
    let mut plan = plan();
    let edits = Edits {
        drops: vec!["f1=a poster".parse().unwrap()],
        keeps: vec!["f2=the minister".parse().unwrap()],
        redacts: vec!["f3".into()],
        regions: vec!["10,20,30,40@1-1.2".parse().unwrap(), "0,0,5,5".parse().unwrap()],
    };
    let findings = apply_edits(&mut plan, &edits, times(&pts(50))).unwrap();
    let reason = |i: usize| match &plan.regions[i].decision {
        Decision::Keep { reason, .. } => reason.as_str(),
        Decision::Redact => "",
    };
    assert_eq!([reason(0), reason(1), reason(2)], ["not an object: a poster", "on purpose: the minister", ""]);
    let ids: Vec<&str> = plan.regions.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["f1", "f2", "f3", "r4", "r5", "r6"]);
    // 40 ms a frame: those shown at 1.00, 1.04, ... 1.16 s.
    assert_eq!(plan.regions[4].span, FrameSpan::new(25, 30));
    assert_eq!(plan.regions[4].keyframes[0].pts, 4000);
    assert_eq!(plan.regions[5].span, FrameSpan::new(0, 50));
    assert!(findings.iter().all(|f| f.rule == Rule::Kept) && findings.len() == 2);
    assert_eq!(findings[0].time_secs, Some(0.08));
}

#[test]
fn wrong_edits_change_nothing() {
    let drop = |t: &str| Edits { drops: vec![t.parse().unwrap()], ..Edits::default() };
    let add = |t: &str| Edits { regions: vec![t.parse().unwrap()], ..drop("f1=x") };
    let table = [
        ("unknown id", drop("f9=why")),
        ("id twice", Edits { keeps: vec!["f1=why".parse().unwrap()], ..drop("f1=why") }),
        ("outside of the picture", add("1280,0,10,10")),
        ("after the end", add("1,2,3,4@100-200")),
    ];
    for (name, edits) in table {
        let mut edited = plan();
        let error = apply_edits(&mut edited, &edits, times(&pts(50))).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
        assert_eq!(edited, plan(), "{name}");
    }
}
