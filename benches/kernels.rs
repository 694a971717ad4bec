//! Kernels that run for every frame or every picture, without networks: `cargo bench`.
//!
//! Whole commands are timed by `scripts/bench.sh`.

use divan::{Bencher, black_box, counter::BytesCount};
use withhold::detect::nms::suppress;
use withhold::detect::text_db::{DbSettings, ProbabilityMap, text_boxes};
use withhold::infer::prep::{Channels, InputSpec, Layout, Turn, resize_rgb, turned};
use withhold::plan::{PolicySettings, RegionBuilder};
use withhold::render::raster::{Canvas, cover};
use withhold::track::luma::Luma;
use withhold::track::motion::MotionEstimator;
use withhold::track::scene_cut::SceneCutDetector;
use withhold::track::tracker::{TrackSettings, Tracker};
use withhold::types::detection::{Class, Detection, FaceLook, FrameDetections};
use withhold::types::frame::{Frame, Picture, PixelLayout, PlainBuffer};
use withhold::types::geometry::{Orientation, Point, Quad, Rect, Size};
use withhold::types::limits::Limits;
use withhold::types::mask::Coverage;
use withhold::types::plan::Shape;
use withhold::types::time::{FrameSpan, FrameTimes, TimeBase};
use withhold::types::track::{Looks, Origin, Track, TrackEdge, TrackPoint};
use withhold::verify::coverage::{Expected, FrameDigest, check_mask, shrink};
use withhold::verify::inpaint::without_masks;
use withhold::verify::structure::{Expect, inspect};

const FULL_HD: Size = Size::new(1920, 1080);
const HD: Size = Size::new(1280, 720);

fn main() {
    divan::main();
}

/// Bytes without a pattern, the same in every run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn picture(size: Size) -> Picture {
    Picture::new(size, noise(size.pixels() as usize * 3), 1.0)
}

fn frame(size: Size) -> Frame {
    let planes = vec![(noise(size.pixels() as usize * 3), size.width as usize * 3)];
    Frame {
        index: 0,
        pts: 0,
        duration: 1,
        size,
        layout: PixelLayout::rgb8(),
        damaged: false,
        key: true,
        buffer: Box::new(PlainBuffer { planes }),
    }
}

/// A head of a third of the picture's height, tilted.
fn head(size: Size) -> Quad {
    let side = size.height as f32 / 3.0;
    Quad::rotated_rect(Point::new(size.width as f32 / 2.0, size.height as f32 / 2.0), 0.8 * side, side, 0.3)
}

fn head_mask(size: Size) -> Coverage {
    let canvas = Canvas { size, orientation: Orientation::Upright, log2_grid: (1, 1) };
    cover(&head(size), Shape::Head, &canvas)
}

#[divan::bench]
fn resize_full_hd_to_hd(bencher: Bencher) {
    let source = noise(FULL_HD.pixels() as usize * 3);
    bencher.counter(BytesCount::of_slice(&source)).bench(|| resize_rgb(black_box(&source), FULL_HD, HD).unwrap());
}

#[divan::bench]
fn quarter_turn(bencher: Bencher) {
    let picture = picture(HD);
    bencher.bench(|| turned(black_box(&picture), Turn::Quarter));
}

#[divan::bench]
fn input_tensor(bencher: Bencher) {
    let data = noise(HD.pixels() as usize * 3);
    let spec = InputSpec { channels: Channels::Bgr, layout: Layout::Nchw, mean: [127.0; 3], scale: [0.01; 3] };
    bencher.bench(|| spec.tensor(black_box(&data), HD, HD));
}

#[divan::bench(args = [100, 1000, 10_000])]
fn non_maximum_suppression(bencher: Bencher, count: usize) {
    let bytes = noise(count * 3);
    let boxes: Vec<(Rect, f32)> = bytes
        .chunks_exact(3)
        .map(|b| (Rect::new(f32::from(b[0]) * 5.0, f32::from(b[1]) * 3.0, 30.0, 40.0), f32::from(b[2]) / 255.0))
        .collect();
    bencher.with_inputs(|| boxes.clone()).bench_values(|boxes| suppress(boxes, |b| b.0, |b| b.1, 0.4));
}

#[divan::bench]
fn text_boxes_of_a_page(bencher: Bencher) {
    let size = Size::new(960, 960);
    let mut map = ProbabilityMap::blank(size);
    for (i, value) in map.data.iter_mut().enumerate() {
        let (x, y) = (i % 960, i / 960);
        *value = if y % 24 < 12 && x % 160 < 130 { 230 } else { 5 };
    }
    bencher.bench(|| text_boxes(black_box(&map), &DbSettings::RECALL));
}

#[divan::bench]
fn raster_of_a_head(bencher: Bencher) {
    bencher.bench(|| head_mask(black_box(FULL_HD)));
}

#[divan::bench]
fn digest_of_a_frame(bencher: Bencher) {
    let frame = frame(FULL_HD);
    bencher.bench_local(|| FrameDigest::of(black_box(&frame)));
}

#[divan::bench]
fn check_of_a_mask(bencher: Bencher) {
    let (frame, mask) = (frame(FULL_HD), head_mask(FULL_HD));
    bencher.bench_local(|| check_mask(&frame, &shrink(&mask, 4, FULL_HD), &Expected::Flat(&|_| 128), 20));
}

#[divan::bench]
fn inpainting_of_a_head(bencher: Bencher) {
    let (picture, mask) = (picture(HD), head_mask(HD));
    bencher.bench(|| without_masks(black_box(&picture), 1.0, [&mask]).into_owned());
}

#[divan::bench]
fn camera_motion(bencher: Bencher) {
    let luma = Luma::from_picture(&picture(HD), 320);
    bencher.with_inputs(MotionEstimator::default).bench_values(|mut motion| {
        motion.push(&luma);
        motion.push(&luma)
    });
}

#[divan::bench]
fn scene_cut(bencher: Bencher) {
    let picture = picture(HD);
    bencher.with_inputs(SceneCutDetector::default).bench_values(|mut cuts| cuts.push(&picture));
}

/// A second of a crowd.
#[divan::bench(args = [1, 20])]
fn tracking(bencher: Bencher, people: usize) {
    let luma = Luma::from_picture(&picture(HD), 320);
    let at = |person: usize, frame: u64| {
        let (x, y) = (60.0 * person as f32 + 2.0 * frame as f32, 40.0 + 30.0 * (person % 10) as f32);
        Detection { class: Class::Face, quad: Rect::new(x, y, 40.0, 50.0).into(), score: 0.9, landmarks: None }
    };
    let frames: Vec<FrameDetections> = (0..25)
        .map(|frame| FrameDetections {
            frame,
            pts: frame as i64,
            detections: (0..people).map(|person| at(person, frame)).collect(),
            scene_cut: false,
            face_look: if frame % 8 == 0 { FaceLook::Thorough } else { FaceLook::Glance },
            new_faces_only: false,
            text_looked: true,
        })
        .collect();
    bencher.bench(|| {
        let mut motion = MotionEstimator::default();
        let mut tracker = Tracker::new(TrackSettings::default(), TimeBase { num: 1, den: 25 });
        for frame in &frames {
            tracker.push(frame, motion.push(&luma), luma.clone()).unwrap();
        }
        tracker.finish()
    });
}

/// A scene in which so many heads come one after another, five at a time.
#[divan::bench(args = [1000, 20_000])]
fn regions_of_a_scene(bencher: Bencher, heads: u64) {
    let scene = FrameSpan::new(0, heads * 10 + 50);
    let pts: Vec<i64> = (0..scene.end as i64).collect();
    let point = |frame: u64, start: u64| TrackPoint {
        frame,
        pts: frame as i64,
        quad: Rect::new((start % 1000) as f32, 200.0 + (frame - start) as f32, 60.0, 80.0).into(),
        origin: Origin::Detected,
        score: 0.6,
    };
    let track = |start: u64| {
        let points: Vec<TrackPoint> = (start..start + 50).map(|frame| point(frame, start)).collect();
        let mut looks = Looks::default();
        // Each second one is doubted, if there is a surer one about it.
        (0..5).for_each(|_| looks.add(if start.is_multiple_of(20) { 0.6 } else { 0.3 }));
        let (start, end) = (TrackEdge::Lost, TrackEdge::Lost);
        Track { class: Class::Face, points, looks, scene, start, end }
    };
    let tracks: Vec<Track> = (0..heads).map(|head| track(10 * head)).collect();
    let times = FrameTimes { pts: &pts, time_base: TimeBase { num: 1, den: 25 } };
    bencher.bench(|| {
        let mut builder = RegionBuilder::new(PolicySettings::default(), HD, vec![]);
        builder.add_scene(&tracks, times, |_| 0);
        builder.finish()
    });
}

#[divan::bench(args = ["demo/interview.mp4", "demo/group.jpg", "formats/grey-16bit.png"])]
fn strict_reader(bencher: Bencher, name: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let file = std::fs::File::open(path).unwrap();
    let expect = Expect { audio: true, limits: Limits::default() };
    // A complaint about a foreign file costs the same reading.
    bencher.bench(|| inspect(&file, &expect).is_ok());
}
