//! The verification pass on files that are not what the plan says: each way to go wrong has to be told by its rule.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use withhold::ErrorKind;
use withhold::media::encode::VideoCodec;
use withhold::pipeline::settings::{AudioChoice, Encoding, Settings, Targets, VerifyLevel};
use withhold::pipeline::worker::{Job, Outcome, VerifyOrders};
use withhold::pipeline::{analyze, render, verify};
use withhold::plan::OperatorRegion;
use withhold::plan::file::{read_from, write_to};
use withhold::types::finding::{Rule, Severity};
use withhold::types::geometry::Rect;
use withhold::types::limits::Limits;
use withhold::types::plan::{Decision, MaskStyle, RedactionPlan};
use withhold::types::progress::Silent;
use withhold::types::time::FrameSpan;

const FRAMES: u64 = 20;

fn ffmpeg(dir: &Path, arguments: &str) -> PathBuf {
    let words: Vec<&str> = arguments.split(' ').filter(|w| !w.is_empty()).collect();
    let status = Command::new("ffmpeg").current_dir(dir).args(["-v", "error", "-y", "-nostdin"]).args(&words).status();
    assert!(status.expect("the ffmpeg command is needed").success(), "ffmpeg {arguments}");
    dir.join(words.last().expect("an output"))
}

fn region(x: f32, y: f32, w: f32, h: f32) -> OperatorRegion {
    OperatorRegion { rect: Rect::new(x, y, w, h), times_secs: None }
}

fn settings(regions: Vec<OperatorRegion>) -> Settings {
    Settings {
        targets: Targets {
            faces: false,
            text: false,
            codes: false,
            lines: Default::default(),
            documents: Default::default(),
        },
        face_detectors: vec![],
        sensitivity: withhold::detect::face::ensemble::Sensitivity::default(),
        margin: 0.0,
        on_lost: Default::default(),
        unseen: Default::default(),
        keep_captions: false,
        style: MaskStyle::Fill,
        fill_color: [128, 128, 128],
        regions,
        keep_regions: vec![],
        encoding: Encoding {
            codec: VideoCodec::H264,
            crf: None,
            preset: None,
            keep_depth: false,
            audio: AudioChoice::None,
            photo_quality: 92,
        },
        verify: VerifyLevel::Sampled,
        allow_damaged: false,
        limits: Limits::default(),
        inference_threads: 1,
        runtime: None,
        models: None,
        sandbox: Default::default(),
    }
}

/// A folder with one source, and the three passes over it.
struct Bench {
    dir: TempDir,
    job: Job,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let region = region(48.0, 32.0, 64.0, 48.0);
        let job = Job { label: "source".into(), settings: settings(vec![region]), steps: vec![] };
        Self { dir, job }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn source(&self, name: &str, filter: &str) -> PathBuf {
        let input = format!("-f lavfi -i testsrc2=s=192x128:r=25:d=2 -enc_time_base 1:1000 -vf {filter}");
        ffmpeg(
            self.dir.path(),
            &format!("{input} -frames:v {FRAMES} -c:v libx264 -bf 2 -crf 12 -vsync passthrough {name}"),
        )
    }

    fn plan(&self, source: &Path, name: &str) -> RedactionPlan {
        let path = self.path(name);
        analyze::analyze(&File::open(source).expect("opens"), &self.job, &path, &Silent).expect("analyses");
        self.read(name)
    }

    fn read(&self, name: &str) -> RedactionPlan {
        read_from(&fs::read(self.path(name)).expect("a plan")[..], None).expect("a plan")
    }

    fn write(&self, plan: &RedactionPlan, name: &str) {
        write_to(plan, File::create(self.path(name)).expect("is made")).expect("is written");
    }

    /// Renders `plan` to `<name>.mp4` and `<name>.digest`.
    fn render(&self, source: &Path, plan: &RedactionPlan, name: &str) {
        let path = format!("{name}.plan");
        self.write(plan, &path);
        let source = File::open(source).expect("opens");
        let (staged, digest) = (self.path(&format!("{name}.mp4")), self.path(&format!("{name}.digest")));
        render::render(&source, &self.job, &self.path(&path), &staged, &digest, &Silent).expect("renders");
    }

    fn verify(&self, plan: &str, staged: &str, digest: &str) -> withhold::Result<Outcome> {
        let orders = VerifyOrders {
            plan: self.path(plan),
            staged: self.path(staged),
            digest: self.path(digest),
            sheet: self.path("sheet.html"),
            title: "output.mp4".into(),
            frames_searched_source: 0,
            hits_source: 0,
        };
        verify::verify(&self.job, &orders, &Silent)
    }

    /// Rules of the errors, each once, and the frames that the first of them names.
    fn errors(&self, plan: &str, staged: &str, digest: &str) -> (Vec<Rule>, Vec<u64>) {
        let outcome = self.verify(plan, staged, digest).expect("can be checked");
        let errors = || outcome.findings.iter().filter(|f| f.severity == Severity::Error);
        let mut rules: Vec<Rule> = errors().map(|f| f.rule).collect();
        rules.sort();
        rules.dedup();
        let first = rules.first().copied();
        (rules, errors().filter(|f| Some(f.rule) == first).filter_map(|f| f.frame).collect())
    }
}

/// A bench with an honest result `good` of `source.mp4`.
fn honest() -> (Bench, PathBuf, RedactionPlan) {
    let bench = Bench::new();
    let source = bench.source("source.mp4", "null");
    let plan = bench.plan(&source, "plan");
    assert_eq!(plan.header.frames.count, FRAMES);
    bench.render(&source, &plan, "good");
    (bench, source, plan)
}

#[test]
fn what_was_rendered_as_planned_passes() {
    let (bench, ..) = honest();
    assert_eq!(bench.errors("good.plan", "good.mp4", "good.digest"), (vec![], vec![]));
    let report =
        bench.verify("good.plan", "good.mp4", "good.digest").expect("can be checked").verify.expect("a report");
    assert_eq!(report.frames, FRAMES);
    assert!(report.masked_pixels >= FRAMES * 56 * 40, "{report:?}");
    assert!(fs::metadata(bench.path("sheet.html")).expect("a contact sheet").len() > 0);
}

#[test]
fn masks_that_were_not_drawn_as_planned_are_told() {
    let (bench, source, plan) = honest();
    type Change = fn(&mut RedactionPlan);
    // Whoever drew less than planned handed the encoder the same wrong picture: the digest agrees with the file.
    let table: [(&str, Change, Vec<u64>); 5] = [
        ("no mask", |p| p.regions.clear(), (0..FRAMES).collect()),
        (
            "kept",
            |p| p.regions[0].decision = Decision::Keep { reason: "x".into(), automatic: false },
            (0..FRAMES).collect(),
        ),
        ("late by a frame", |p| p.regions[0].span.start += 1, vec![0]),
        ("early by a frame", |p| p.regions[0].span.end -= 1, vec![FRAMES - 1]),
        (
            "moved",
            |p| {
                p.regions[0]
                    .keyframes
                    .iter_mut()
                    .for_each(|k| k.quad = k.quad.map(|q| withhold::types::geometry::Point::new(q.x + 12.0, q.y)))
            },
            (0..FRAMES).collect(),
        ),
    ];
    for (what, change, frames) in table {
        let mut wrong = plan.clone();
        change(&mut wrong);
        for region in &mut wrong.regions {
            let span = region.span;
            region.keyframes.retain(|k| span.contains(k.frame));
            if region.keyframes.is_empty() {
                let mut key = plan.regions[0].keyframes[0].clone();
                key.frame = span.start;
                key.pts = plan.header.frames.pts().expect("times")[span.start as usize];
                region.keyframes.push(key);
            }
        }
        bench.render(&source, &wrong, "wrong");
        assert_eq!(bench.errors("good.plan", "wrong.mp4", "wrong.digest"), (vec![Rule::MaskMissing], frames), "{what}");
    }
}

#[test]
fn soft_masks_are_proved_too() {
    for style in [MaskStyle::Blur, MaskStyle::Mosaic] {
        let mut bench = Bench::new();
        bench.job.settings.style = style;
        let source = bench.source("source.mp4", "null");
        let plan = bench.plan(&source, "plan");
        bench.render(&source, &plan, "good");
        assert_eq!(bench.errors("good.plan", "good.mp4", "good.digest").0, vec![], "{style:?}");
        let mut wrong = plan.clone();
        wrong.header.style = MaskStyle::Fill;
        bench.render(&source, &wrong, "wrong");
        assert_eq!(bench.errors("good.plan", "wrong.mp4", "wrong.digest").0, vec![Rule::MaskMissing], "{style:?}");
    }
}

#[test]
fn a_picture_unlike_the_one_that_was_encoded_is_told() {
    let (bench, source, plan) = honest();
    let mut wrong = plan.clone();
    let mut further = plan.regions[0].clone();
    further.id = "further".into();
    further.span = FrameSpan::new(5, 7);
    let rect = Rect::new(128.0, 80.0, 32.0, 32.0);
    further.keyframes = vec![withhold::types::plan::Keyframe {
        frame: 5,
        pts: plan.header.frames.pts().expect("times")[5],
        quad: rect.into(),
        ..further.keyframes[0].clone()
    }];
    wrong.regions.push(further);
    bench.render(&source, &wrong, "wrong");
    assert_eq!(bench.errors("good.plan", "wrong.mp4", "good.digest"), (vec![Rule::PictureChanged], vec![5, 6]));
}

#[test]
fn missing_doubled_and_moved_frames_are_told() {
    let (bench, ..) = honest();
    // One frame left out: the next ones show too early, or a gap stays; a frame or the whole clip at another time.
    let table = [
        ("closed.mp4", "select=not(eq(n\\,7)),setpts=N/25/TB", Rule::PictureChanged),
        ("gap.mp4", "select=not(eq(n\\,7))", Rule::FrameTable),
        ("moved.mp4", "settb=1/1000,setpts=PTS+12*eq(N\\,7)", Rule::FrameTable),
        ("late.mp4", "setpts=PTS+3/25/TB", Rule::FrameTable),
    ];
    for (name, filter, rule) in table {
        let other = bench.source(name, filter);
        let plan = bench.plan(&other, "other");
        bench.render(&other, &plan, "other");
        let (rules, _) = bench.errors("good.plan", "other.mp4", "good.digest");
        assert!(rules.contains(&rule), "{name}: {rules:?}");
        if rule == Rule::FrameTable {
            // The digest that belongs to the file does not help it: the plan knows the times.
            let (rules, _) = bench.errors("good.plan", "other.mp4", "other.digest");
            assert_eq!(rules, vec![rule], "{name} with its own digest");
        }
    }
    // Nor does it against the plan's count.
    let other = ffmpeg(bench.dir.path(), "-i source.mp4 -frames:v 15 -c:v libx264 short.mp4");
    let plan = bench.plan(&other, "other");
    bench.render(&other, &plan, "other");
    let (rules, _) = bench.errors("good.plan", "other.mp4", "other.digest");
    assert_eq!(rules, vec![Rule::FrameTable]);
}

#[test]
fn a_coarse_clock_of_the_source_excuses_nothing() {
    let bench = Bench::new();
    let arguments = "-f lavfi -i testsrc2=s=192x128:r=25:d=1 -c:v mpeg4 -q:v 2 source.avi";
    let source = ffmpeg(bench.dir.path(), arguments);
    let plan = bench.plan(&source, "plan");
    assert_eq!(plan.header.source.time_base.den, 25);
    bench.render(&source, &plan, "good");
    assert_eq!(bench.errors("good.plan", "good.mp4", "good.digest"), (vec![], vec![]));
    // A quarter of a tick of the source.
    let filter = "settb=1/1000,setpts=PTS+10*eq(N\\,7)";
    let moved =
        format!("-i good.mp4 -enc_time_base 1:1000 -vf {filter} -c:v libx264 -crf 5 -vsync passthrough moved.mp4");
    let moved = ffmpeg(bench.dir.path(), &moved);
    let plan = bench.plan(&moved, "moved");
    bench.render(&moved, &plan, "moved");
    assert_eq!(bench.errors("good.plan", "moved.mp4", "good.digest"), (vec![Rule::FrameTable], vec![7]));
}

#[test]
fn the_source_itself_does_not_pass_for_the_result() {
    let (bench, ..) = honest();
    let (rules, _) = bench.errors("good.plan", "source.mp4", "good.digest");
    for rule in [Rule::MaskMissing, Rule::EncoderString] {
        assert!(rules.contains(&rule), "{rules:?}");
    }
}

#[test]
fn a_file_that_breaks_off_is_withheld() {
    let (bench, ..) = honest();
    let bytes = fs::read(bench.path("good.mp4")).expect("the result");
    let mut flipped = bytes.clone();
    let middle = bytes.len() * 3 / 4;
    flipped[middle..middle + 64].fill(0xA5);
    for (what, bytes) in [("cut off", &bytes[..bytes.len() - 100]), ("overwritten", &flipped[..])] {
        fs::write(bench.path("broken.mp4"), bytes).expect("is written");
        match bench.verify("good.plan", "broken.mp4", "good.digest") {
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Unverified | ErrorKind::Damaged), "{what}: {error}")
            }
            Ok(outcome) => assert!(outcome.findings.iter().any(|f| f.severity == Severity::Error), "{what}"),
        }
    }
}

#[test]
fn photos_are_held_against_their_plan() {
    let bench = Bench::new();
    for (name, kind) in [("photo.png", Rule::MaskMissing), ("photo.jpg", Rule::MaskMissing)] {
        let source = ffmpeg(bench.dir.path(), &format!("-f lavfi -i testsrc2=s=192x128 -frames:v 1 {name}"));
        let plan = bench.plan(&source, "plan");
        bench.render(&source, &plan, "good");
        assert_eq!(bench.errors("good.plan", "good.mp4", "good.digest").0, vec![], "{name}");
        let mut wrong = plan.clone();
        wrong.regions.clear();
        bench.render(&source, &wrong, "wrong");
        assert_eq!(bench.errors("good.plan", "wrong.mp4", "wrong.digest").0, vec![kind], "{name}");
        assert_eq!(bench.errors("good.plan", "wrong.mp4", "good.digest").0, vec![kind, Rule::PictureChanged], "{name}");
    }
}
