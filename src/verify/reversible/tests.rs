use super::*;

const SIZE: Size = Size { width: 480, height: 320 };

/// Noise in -1..1 that depends on the place alone (SplitMix64's finalizer).
fn noise(x: u32, y: u32) -> f32 {
    let mut v = (u64::from(x) << 32 | u64::from(y)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    v = (v ^ (v >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    v = (v ^ (v >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((v ^ (v >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// A room with things in it: even areas, edges, texture.
fn room(x: u32, y: u32) -> f32 {
    let wall = 150.0 + 30.0 * noise(x / 70, y / 90);
    let edge = if x % 97 < 3 || y % 83 < 2 { -60.0 } else { 0.0 };
    wall + edge + 9.0 * noise(x, y)
}

/// Something like a head out of focus, `u` and `v` from 0 to 1: dark hair, bright cheeks, dark eyes. `contrast`: 1 is as
/// in daylight.
fn head(u: f32, v: f32, contrast: f32) -> f32 {
    let blob = |cx: f32, cy: f32, r: f32| (-((u - cx).powi(2) + (v - cy).powi(2)) / (2.0 * r * r)).exp();
    let parts = 90.0 * blob(0.5, 0.55, 0.3)
        - 70.0 * blob(0.33, 0.42, 0.08)
        - 70.0 * blob(0.67, 0.42, 0.08)
        - 60.0 * blob(0.5, 0.78, 0.09)
        - 50.0 * blob(0.5, 0.05, 0.2);
    110.0 + contrast * parts
}

fn picture(paint: impl Fn(u32, u32) -> f32) -> Picture {
    let level = |i: u32| [paint(i % SIZE.width, i / SIZE.width).round().clamp(0.0, 255.0) as u8; 3];
    Picture::new(SIZE, (0..SIZE.width * SIZE.height).flat_map(level).collect(), 1.0)
}

/// The room with a patch at `area`, painted by its own coordinates from 0 to 1.
fn with_patch(area: Rect, patch: impl Fn(f32, f32) -> f32) -> Picture {
    picture(|x, y| {
        let (u, v) = ((x as f32 - area.x) / area.width, (y as f32 - area.y) / area.height);
        let inside = (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v);
        if inside { patch(u, v) } else { room(x, y) }
    })
}

/// What a mosaic of a head lit from the side has at a place: the level at the middle of its block, detail folded in.
fn pixelated(blocks: f32) -> impl Fn(f32, f32) -> f32 {
    move |u, v| {
        let (i, j) = ((u * blocks).floor(), (v * blocks).floor());
        let (u, v) = ((i + 0.5) / blocks, (j + 0.5) / blocks);
        head(u, v, 1.0) - 40.0 * u + 20.0 * noise(i as u32, j as u32)
    }
}

#[track_caller]
fn is_found(picture: &Picture, look: Look, area: Rect) {
    let found = masks(picture);
    let hits = |m: &&(Look, Rect)| m.0 == look && m.1.intersection(area).is_some_and(|i| i.area() > 0.25 * area.area());
    assert!(found.iter().any(|m| hits(&m)), "{look:?} at {area:?}: {found:?}");
    let inside = |m: &(Look, Rect)| m.1.intersection(area).is_some_and(|i| i.area() > 0.8 * m.1.area());
    assert!(found.iter().all(inside), "{area:?}: {found:?}");
}

#[test]
fn mosaics_are_found_wherever_they_lie() {
    for (x, y, side, blocks) in
        [(101.0, 77.0, 88.0, 8.0), (33.0, 15.0, 130.0, 13.0), (250.0, 120.0, 150.0, 10.0), (203.0, 91.0, 72.0, 12.0)]
    {
        let area = Rect::new(x, y, side, side);
        is_found(&with_patch(area, pixelated(blocks)), Look::Mosaic, area);
        // With what lossy coding adds.
        let patch = pixelated(blocks);
        let coded = with_patch(area, |u, v| patch(u, v) + 2.0 * noise((u * 999.0) as u32, (v * 999.0) as u32));
        is_found(&coded, Look::Mosaic, area);
    }
}

#[test]
fn blurred_patches_are_found_in_a_sharp_picture() {
    for (x, y, w, h) in [(104.0, 72.0, 96.0, 120.0), (35.0, 41.0, 140.0, 150.0), (260.0, 128.0, 80.0, 90.0)] {
        let area = Rect::new(x, y, w, h);
        is_found(&with_patch(area, |u, v| head(u, v, 1.0)), Look::Blur, area);
    }
}

#[test]
fn what_is_no_reversible_mask_is_left_alone() {
    let area = Rect::new(104.0, 72.0, 120.0, 120.0);
    let block = |t: f32, blocks: f32| (t * blocks).floor() as u32;
    let table: [(&str, Picture); 9] = [
        ("a room", picture(room)),
        ("one grey", picture(|_, _| 128.0)),
        ("a mask of one colour", with_patch(area, |_, _| 128.0)),
        ("a drawn mosaic", with_patch(area, |u, v| 128.0 + 14.0 * noise(block(u, 7.0), block(v, 7.0)))),
        ("a drawn blur", with_patch(area, |u, v| head(u, v, 0.2))),
        ("checkers", with_patch(area, |u, v| if (block(u, 10.0) + block(v, 10.0)) % 2 == 0 { 20.0 } else { 235.0 })),
        ("a shaded ball", with_patch(area, |u, v| 220.0 - 300.0 * ((u - 0.4).powi(2) + (v - 0.4).powi(2)))),
        ("all out of focus", picture(|x, y| head(x as f32 % 120.0 / 120.0, y as f32 % 120.0 / 120.0, 1.0))),
        ("blocks of a codec", picture(|x, y| 100.0 + 0.1 * x as f32 + 60.0 * noise(x / 8, y / 8))),
    ];
    for (name, picture) in table {
        assert_eq!(masks(&picture), [], "{name}");
    }
    assert_eq!(masks(&Picture::new(Size::new(3, 2), vec![9; 18], 1.0)), [], "too small to tell");
}

#[test]
fn places_are_told_in_display_space_and_once_as_long_as_a_mask_stays() {
    let area = Rect::new(104.0, 72.0, 96.0, 96.0);
    let mut masked = with_patch(area, pixelated(8.0));
    masked.display_from_picture = 1.5;
    let clean = picture(room);
    let mut watch = Watch::default();
    let told: Vec<usize> = [&masked, &masked, &clean, &masked]
        .iter()
        .enumerate()
        .map(|(i, p)| watch.look(p, i as u64, 0.0).len())
        .collect();
    assert_eq!(told, [1, 0, 0, 1]);
    let finding = &Watch::default().look(&masked, 7, 0.25)[0];
    assert_eq!((finding.rule, finding.severity), (Rule::ReversibleMask, Severity::Warning));
    assert_eq!((finding.frame, finding.time_secs), (Some(7), Some(0.25)));
    let bounds = finding.bounds.unwrap();
    assert!((bounds.x - 156.0).abs() < 20.0 && (bounds.width - 144.0).abs() < 20.0, "{bounds:?}");
}
