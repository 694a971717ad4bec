use proptest::prelude::*;

use super::*;
use crate::plan::testing::{DISPLAY, header, pts};
use crate::types::detection::Class;
use crate::types::geometry::Point;
use crate::types::plan::{Keyframe, Shape};
use crate::types::track::Origin;

fn region(id: &str, start: u64, end: u64, frames: &[u64]) -> Region {
    let key = |&frame: &u64| Keyframe {
        frame,
        pts: 3000 + 40 * frame as i64,
        quad: Quad::rotated_rect(Point::new(300.0 + frame as f32, 200.0), 80.0, 90.0, 0.1),
        origin: Origin::Detected,
        score: 0.75,
    };
    Region {
        id: id.into(),
        class: Class::Face,
        decision: Decision::Redact,
        shape: Shape::Ellipse,
        tone: 3,
        span: FrameSpan::new(start, end),
        keyframes: frames.iter().map(key).collect(),
    }
}

fn text(plan: &RedactionPlan) -> String {
    let mut out = Vec::new();
    write_to(plan, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn sample() -> RedactionPlan {
    let regions = vec![region("f1", 0, 20, &[0, 9, 19]), region("f2", 5, 6, &[5])];
    RedactionPlan { header: header(&pts(20)), regions }
}

fn read(text: &str) -> Result<RedactionPlan> {
    read_from(text.as_bytes(), Some((&pts(20), DISPLAY)))
}

#[test]
fn a_plan_comes_back() {
    let plan = sample();
    assert_eq!(read(&text(&plan)).unwrap(), plan);
    assert_eq!(read_from(text(&plan).as_bytes(), None).unwrap(), plan);
    let empty = RedactionPlan { regions: Vec::new(), ..plan };
    assert_eq!(read(&text(&empty)).unwrap(), empty);
}

#[test]
fn malformed_plans_are_refused_by_line() {
    // What is replaced by what, and what the error must say.
    let table = [
        ("\"withhold-plan\"", "\"other\"", "line 1"),
        ("\"version\":1", "\"version\":2", "line 1 of the plan: version is 2"),
        ("\"program\":", "\"unknown\":1,\"program\":", "line 1"),
        ("abab", "ABAB", "line 1"),
        ("\"scene_cuts\":[0]", "\"scene_cuts\":[0,20]", "line 1"),
        ("\"scene_cuts\":[0]", "\"scene_cuts\":[3,3]", "line 1"),
        ("\"damaged\":[]", "\"damaged\":[{\"start\":4,\"end\":4}]", "line 1"),
        ("\"count\":20", "\"count\":21", "line 1"),
        ("\"num\":1", "\"num\":0", "line 1"),
        ("\"id\":\"f2\"", "\"id\":\"f1\"", "line 3 of the plan: region id 'f1' is used twice"),
        ("\"id\":\"f2\"", "\"id\":\"../f\"", "line 3"),
        ("\"id\":\"f2\"", "\"id\":\"f2\",\"more\":1", "line 3 of the plan: unknown field"),
        ("{\"action\":\"redact\"}", "{\"action\":\"keep\"}", "line 2"),
        ("{\"action\":\"redact\"}", "{\"action\":\"keep\",\"reason\":\" \"}", "line 2"),
        ("{\"action\":\"redact\"}", "{\"action\":\"remove\"}", "line 2"),
        ("\"tone\":3", "\"tone\":16", "line 2"),
        ("\"start\":5,\"end\":6", "\"start\":5,\"end\":21", "line 3"),
        ("\"start\":5,\"end\":6", "\"start\":6,\"end\":6", "line 3"),
        (
            "\"start\":0,\"end\":20",
            "\"start\":1,\"end\":20",
            "line 2 of the plan: region 'f1': keyframe 0 lies outside",
        ),
        ("\"frame\":9,", "\"frame\":0,", "line 2"),
        (
            "\"frame\":5,\"pts\":3200",
            "\"frame\":5,\"pts\":3201",
            "line 3 of the plan: region 'f2': keyframe 5 has pts 3201",
        ),
        ("\"score\":0.75", "\"score\":1.5", "line 2"),
        ("\"score\":0.75", "\"score\":null", "line 2"),
        ("\"x\":", "\"x\":1e30,\"y\":0},{\"x\":", "line 2"),
        ("{\"kind\":\"withhold-plan-end\"", "{\"kind\":\"withhold-plan-ended\"", "line 4"),
        ("\"regions\":2", "\"regions\":3", "line 4 of the plan: it counts 3 regions, the plan has 2"),
        ("\"regions\":2}\n", "\"regions\":2}\n\n", "line 5"),
        ("{\"kind\":\"withhold-plan-end\",\"regions\":2}\n", "", "line 4 of the plan: it ends without"),
    ];
    let good = text(&sample());
    for (from, to, expected) in table {
        assert!(good.contains(from), "the sample has no {from}");
        let error = read(&good.replacen(from, to, 1)).expect_err(&format!("{from} -> {to} was taken"));
        assert_eq!(error.kind(), ErrorKind::Plan, "{error}");
        assert!(error.to_string().contains(expected), "{from} -> {to}: {error}");
    }
}

#[test]
fn far_and_crossed_corners_are_refused() {
    let corners = |points: [(f32, f32); 4]| Quad::new(points.map(|(x, y)| Point::new(x, y)));
    let table = [
        ("crossed", corners([(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)])),
        ("flat", corners([(0.0, 0.0), (10.0, 0.0), (10.0, 0.0), (0.0, 0.0)])),
        ("dented", corners([(0.0, 0.0), (10.0, 0.0), (2.0, 2.0), (0.0, 10.0)])),
        ("far", corners([(0.0, 0.0), (1e5, 0.0), (1e5, 10.0), (0.0, 10.0)])),
    ];
    for (name, quad) in table {
        let mut plan = sample();
        plan.regions[1].keyframes[0].quad = quad;
        assert!(read(&text(&plan)).unwrap_err().to_string().contains("line 3"), "{name}");
    }
    // 1e39 is no f32.
    let big = text(&sample()).replacen("{\"x\":", "{\"x\":1e39,\"y\":1},{\"x\":", 1);
    assert!(read(&big).is_err());
}

#[test]
fn cut_off_files_and_other_sources_are_refused() {
    let good = text(&sample());
    for cut in 0..good.len() - 1 {
        assert!(read(&good[..cut]).is_err(), "cut at {cut}");
    }
    assert!(read_from(good.as_bytes(), Some((&pts(19), DISPLAY))).is_err(), "one frame less");
    let mut moved = pts(20);
    moved[7] += 1;
    assert!(read_from(good.as_bytes(), Some((&moved, DISPLAY))).is_err(), "other times");
    assert!(read_from(good.as_bytes(), Some((&pts(20), Size::new(1280, 722)))).is_err(), "other size");
    assert!(read_from(&b"\xff\xfe{}"[..], None).is_err(), "not UTF-8");
}

#[test]
fn endless_lines_are_refused() {
    let endless = std::io::BufReader::new(std::io::repeat(b' '));
    let error = read_from(endless, None).unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn the_schema_takes_what_is_written_and_refuses_what_is_not() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let good = text(&sample());
    for line in good.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&value), "{line}");
        let mut more = value.clone();
        more["surprise"] = 1.into();
        assert!(!validator.is_valid(&more));
    }
}

fn any_region(number: usize) -> impl Strategy<Value = Region> {
    let key = (any::<bool>(), -2000f32..3000.0, -2000f32..3000.0, 1f32..900.0, 1f32..900.0, -3f32..3.0, 0f32..=1.0);
    (prop::collection::btree_map(0u64..20, key, 1..6), any::<bool>(), 0u8..16, any::<bool>()).prop_map(
        move |(keys, keep, tone, ellipse)| {
            let first = *keys.keys().next().unwrap();
            let last = *keys.keys().next_back().unwrap();
            let keyframes = keys
                .into_iter()
                .map(|(frame, (found, x, y, w, h, a, score))| Keyframe {
                    frame,
                    pts: 3000 + 40 * frame as i64,
                    quad: Quad::rotated_rect(Point::new(x, y), w, h, a),
                    origin: if found { Origin::Detected } else { Origin::Extended },
                    score,
                })
                .collect();
            Region {
                id: format!("f{number}"),
                class: Class::Face,
                decision: if keep {
                    Decision::Keep { reason: "poster \"Ä\"\n".into(), automatic: false }
                } else {
                    Decision::Redact
                },
                shape: if ellipse { Shape::Ellipse } else { Shape::Quad },
                tone,
                span: FrameSpan::new(first, last + 1),
                keyframes,
            }
        },
    )
}

proptest! {
    #[test]
    fn every_plan_comes_back(regions in (0usize..6).prop_flat_map(|n| (0..n).map(any_region).collect::<Vec<_>>())) {
        let plan = RedactionPlan { header: header(&pts(20)), regions };
        prop_assert_eq!(read(&text(&plan)).unwrap(), plan);
    }

    #[test]
    fn no_line_makes_it_panic(junk in "[ -~]{0,200}", line in 0usize..4) {
        let mut lines: Vec<String> = text(&sample()).lines().map(str::to_owned).collect();
        lines[line] = junk;
        prop_assert!(read(&(lines.join("\n") + "\n")).is_err());
    }
}

#[test]
fn places_far_from_the_picture_come_near_with_room_to_grow() {
    let side = DISPLAY.long_side() as f32;
    // Name, place, what it has of the picture.
    for (name, place, held) in [
        (
            "reaches to where readers refuse it",
            (100.0, 100.0, 4.9 * side, 30.0),
            Some((100.0, 100.0, side - 100.0, 30.0)),
        ),
        ("thin", (100.0, 100.0, 40.0 * side, 0.5), Some((100.0, 100.0, side - 100.0, 0.5))),
        ("out of sight", (30.0 * side, 100.0, 50.0, 50.0), None),
    ] {
        let rect = |(x, y, width, height)| Rect::new(x, y, width, height);
        let near = brought_near(&Quad::from(rect(place)), DISPLAY);
        let reach = near.corners.iter().map(|p| p.x.abs().max(p.y.abs())).fold(0.0, f32::max);
        assert!(reach <= 4.0 * side + 64.0 && near.is_convex(), "{name}: {near:?}");
        assert!(held.is_none_or(|held| near.contains_quad(&Quad::from(rect(held)))), "{name}: {near:?}");
    }
}
