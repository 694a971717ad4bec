//! Bar codes and matrix codes, readable or not.

use crate::common::{Pixels, Scratch};

/// A PNG of 640x480 in light grey with a code of random modules at x 200..380, y 150..330: no reader can read it.
fn sheet(scratch: &Scratch) {
    let (mut state, mut bits) = (7_u32, Vec::new());
    for _ in 0..45 * 45 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bits.push(state >> 31 > 0);
    }
    let mut pixels = b"P5 640 480 255\n".to_vec();
    for (y, x) in (0..480_usize).flat_map(|y| (0..640_usize).map(move |x| (y, x))) {
        let inside = (200..380).contains(&x) && (150..330).contains(&y);
        let dark = inside && bits[(y - 150) / 4 * 45 + (x - 200) / 4];
        pixels.push(if dark { 25 } else { 225 });
    }
    scratch.file("sheet.pgm", &pixels);
    scratch.ffmpeg("-i sheet.pgm -pix_fmt rgb24", "sheet.png");
}

#[test]
fn a_code_is_masked_unless_codes_are_not_asked_for() {
    let scratch = Scratch::new();
    sheet(&scratch);
    let run = |words: &str| scratch.withhold(words.split(' ')).ends_with(0).reports();
    let report = run("redact sheet.png -o out --targets codes --format json");
    assert_eq!(report[0]["regions"]["code"], 1, "{report:?}");
    assert!(Pixels::gray(&scratch.path("out/sheet.png")).masked_share(0, [200, 150, 180, 180]) > 0.999);
    let report = run("redact sheet.png -o plain --targets text --format json");
    assert!(report[0]["regions"]["code"].is_null(), "{report:?}");
    assert!(report[0]["findings"].as_array().unwrap().iter().any(|f| f["message"] == "codes were not looked for"));
}
