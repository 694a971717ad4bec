//! First pass: source to plan.
//!
//! ```text
//! this thread: decode, scale, cuts, camera motion -> bounded queue -> workers: networks -> collector: order, tracks
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::clock::timed;
use super::detectors::{Detectors, models_used, zoo};
use super::looking::{Looked, Task, Work, look_all};
use super::plans;
use super::scenes::Scenes;
use super::schedule::{Feedback, Look, Place, Since, TEXT_EVERY, look as scheduled};
use super::settings::{Settings, Targets};
use super::source::{CLIP_GLANCE_SIDE, CLIP_PICTURE_SIDE, Opened, Pictures, hash, open};
use super::threads::{SharedQueue, guarded, no_thread};
use super::worker::{Job, Outcome};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::file::frame_table;
use crate::track::{Flashes, FreshEdges, Luma, MotionEstimator, SceneCutDetector, TrackSettings, Tracker};
use crate::types::detection::{Class, Headings};
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::frame::{Frame, MediaKind, SourceInfo};
use crate::types::plan::{PLAN_VERSION, PlanHeader};
use crate::types::progress::{Continue, Observer, Phase};
use crate::types::time::{FrameIndex, FrameSpan};
use crate::types::timing::Part;

/// Longest side of the small grey pictures that tracks are followed in, pixels.
const LUMA_SIDE: u32 = 320;

/// What decoding told besides pictures.
struct Decoded {
    frames: u64,
    damaged: Vec<FrameSpan>,
    scene_cuts: Vec<FrameIndex>,
    frames_left_out: u64,
}

/// Analyses the source and writes the plan to `plan_path`.
pub fn analyze(file: &File, job: &Job, plan_path: &Path, observer: &dyn Observer) -> Result<Outcome> {
    let settings = &job.settings;
    let source_sha256 = hash(file).map_err(|e| e.at(&job.label))?;
    let opened = open(file, &job.label, &settings.limits, settings.allow_damaged)?;
    let info = opened.source.info().clone();
    let zoo = zoo(settings)?;
    let threads = if info.kind == MediaKind::Photo { 1 } else { settings.inference_threads.max(1) };
    let detectors = Detectors::for_redaction(settings, &zoo, threads)?;
    let (decoded, scenes) = look(opened, job, detectors, observer).map_err(|e| e.at(&job.label))?;
    if scenes.pts().is_empty() {
        return Err(Error::new(Stage::Decode, ErrorKind::Damaged, "holds no frame that is shown").at(&job.label));
    }
    let header = PlanHeader {
        kind: "withhold-plan".into(),
        version: PLAN_VERSION,
        program: format!("withhold {}", env!("CARGO_PKG_VERSION")),
        source_sha256,
        source_path: std::path::absolute(&job.label).ok().and_then(|p| p.to_str().map(str::to_owned)),
        frames: frame_table(scenes.pts(), info.display()),
        source: info,
        models: models_used(settings),
        settings: settings.recorded(),
        style: settings.style,
        fill_color: settings.fill_color,
        damaged: decoded.damaged,
        scene_cuts: decoded.scene_cuts,
        review: vec![],
    };
    let mut plan = scenes.into_plan(header).map_err(|e| e.at(&job.label))?;
    plan.header.review.splice(0..0, lead_in(decoded.frames_left_out));
    plans::write(&plan, plan_path)?;
    Ok(Outcome { frames: plan.header.frames.count, ..Outcome::default() })
}

/// That the output begins later than the source.
fn lead_in(frames: u64) -> Option<Finding> {
    let s = if frames == 1 { "" } else { "s" };
    let message = format!(
        "the stream begins in the middle of a group of pictures: {frames} coded frame{s} before its first whole key \
         frame can't be decoded and are left out"
    );
    (frames > 0).then(|| Finding::new(Rule::LeadIn, Severity::Warning, message).at(0, 0.0))
}

/// What a user can do about a decode error.
fn advised(e: Error, opened: &SourceInfo, settings: &Settings) -> Error {
    if e.stage() != Stage::Decode || e.kind() != ErrorKind::Damaged || opened.kind == MediaKind::Photo {
        return e;
    }
    if settings.allow_damaged { e } else { e.advise("--allow-damaged masks what is damaged") }
}

/// Decodes and looks at every frame, on a thread for each set of detectors.
fn look(opened: Opened, job: &Job, detectors: Vec<Detectors>, observer: &dyn Observer) -> Result<(Decoded, Scenes)> {
    let info = &opened.source.info().clone();
    // Key frames take many times as long as others: with fewer pictures waiting, workers would wait for each other.
    let (work_out, work_in) = sync_channel::<Task>(detectors.len() * 4);
    let (looked_out, looked_in) = sync_channel::<Result<Looked>>(detectors.len() * 2);
    let tasks = SharedQueue::new(work_in);
    let feedback = Feedback::default();
    let (decoded, collected) = std::thread::scope(|scope| -> Result<_> {
        let spawn = |name: String| std::thread::Builder::new().name(name);
        let failed = |e| no_thread(Stage::Detect, e);
        for (number, mut detectors) in detectors.into_iter().enumerate() {
            let (tasks, looked_out, settings) = (&tasks, looked_out.clone(), &job.settings);
            let looking = move || look_all(&mut detectors, settings, tasks, &looked_out, observer);
            spawn(format!("look-{number}")).spawn_scoped(scope, looking).map_err(failed)?;
        }
        drop(looked_out);
        let (tracker, scenes) =
            (Tracker::new(TrackSettings::default(), info.time_base), Scenes::new(info, &job.settings));
        let told = &feedback;
        let collecting = move || {
            let collect = || collect(tracker, scenes, &looked_in, told, observer);
            let collected = guarded(Stage::Track, "the tracker", collect);
            told.close();
            collected
        };
        let collector = spawn("track".into()).spawn_scoped(scope, collecting).map_err(failed)?;
        let decode = || decode(opened, info, job.settings.targets, work_out, &feedback, observer);
        let decoded = guarded(Stage::Decode, "the decoder", decode);
        let lost = || Error::new(Stage::Track, ErrorKind::Internal, "the tracker is gone");
        Ok((decoded, collector.join().unwrap_or_else(|_| Err(lost()))))
    })?;
    // A detector that failed makes the decoder's queue end early: the cause is what the collector saw.
    let scenes = collected?;
    let decoded = decoded.map_err(|e| advised(e, info, &job.settings))?;
    if decoded.frames != scenes.pts().len() as u64 {
        let message = format!("{} frames were decoded, {} were looked at", decoded.frames, scenes.pts().len());
        return Err(Error::new(Stage::Track, ErrorKind::Internal, message));
    }
    Ok((decoded, scenes))
}

/// Makes work of decoded frames; each goes out when the one behind it is known.
struct Scheduler<'a> {
    info: &'a SourceInfo,
    feedback: &'a Feedback,
    out: SyncSender<Task>,
    small: Pictures,
    large: Pictures,
    scene_start: FrameIndex,
    /// `None` where text is not looked for.
    fresh: Option<FreshEdges>,
    since: Since,
    flashes: Flashes,
    held: Option<(Frame, Work)>,
}

impl Scheduler<'_> {
    /// The frame that is held goes to the networks; `behind` is the next one in its scene.
    fn release(&mut self, behind: Option<&Work>) -> Result<()> {
        let Some((frame, mut work)) = self.held.take() else { return Ok(()) };
        let (kind, scene_start) = (self.info.kind, self.scene_start);
        let headings = self.feedback.headings(work.frame);
        let last_of_scene = behind.is_none();
        let place = Place { kind, frame: work.frame, scene_start, last_of_scene, headings, since: self.since };
        work.look = scheduled(place);
        self.since = self.since.looked(work.look);
        let is_looked_at = work.look.ask.faces.is_some();
        if let Some(flash) = self.flashes.look(&work.luma, behind.map(|b| &b.luma), is_looked_at) {
            work.look = work.look.with_flash(place, flash.is_brief);
        }
        if let (MediaKind::Clip, Some(fresh)) = (kind, &mut self.fresh) {
            if work.look.ask.text.is_some() {
                fresh.looked(&work.luma);
            } else if fresh.asks(&work.luma) {
                work.look = work.look.with_text(place);
            }
        }
        self.since = match behind {
            Some(behind) => {
                let secs = self.info.time_base.secs(behind.pts.saturating_sub(work.pts)).max(0.0);
                self.since.later(secs)
            }
            None => Since::default(),
        };
        let has_larger = kind == MediaKind::Clip && self.info.coded.long_side() > CLIP_GLANCE_SIDE;
        if has_larger && (work.look.wide || work.look.ask.text.is_some()) {
            work.large = Some(self.large.picture(&frame)?);
        }
        let stopped = |_| Error::new(Stage::Detect, ErrorKind::Internal, "the detectors stopped");
        work.into_tasks().into_iter().try_for_each(|task| self.out.send(task).map_err(stopped))
    }
}

/// Decodes to the end.
fn decode(
    mut opened: Opened,
    info: &SourceInfo,
    targets: Targets,
    out: SyncSender<Task>,
    feedback: &Feedback,
    observer: &dyn Observer,
) -> Result<Decoded> {
    let (small, large) = (Pictures::new(info, CLIP_GLANCE_SIDE), Pictures::new(info, CLIP_PICTURE_SIDE));
    let fresh = (targets.text || targets.codes).then(|| FreshEdges::new(TEXT_EVERY));
    let (since, flashes) = (Since::default(), Flashes::default());
    let mut scheduler =
        Scheduler { info, feedback, out, small, large, scene_start: 0, fresh, since, flashes, held: None };
    let (mut cuts, mut motion) = (SceneCutDetector::default(), MotionEstimator::default());
    let mut told = Decoded { frames: 0, damaged: vec![], scene_cuts: vec![], frames_left_out: 0 };
    while let Some(frame) = timed(observer, Phase::Analyze, Part::Decode, || opened.source.next_frame())? {
        told.frames += 1;
        if frame.damaged {
            match told.damaged.last_mut() {
                Some(span) if span.end == frame.index => span.end += 1,
                _ => told.damaged.push(FrameSpan::new(frame.index, frame.index + 1)),
            }
        }
        let (picture, luma, is_cut) = timed(observer, Phase::Analyze, Part::Prepare, || -> Result<_> {
            let picture = scheduler.small.picture(&frame)?;
            let luma = Luma::from_picture(&picture, LUMA_SIDE);
            let is_cut = cuts.push(&picture);
            Ok((picture, luma, is_cut))
        })?;
        let scene_cut = is_cut && frame.index > 0;
        if scene_cut {
            motion.reset();
        }
        let motion = timed(observer, Phase::Analyze, Part::Prepare, || motion.push(&luma));
        let (index, pts) = (frame.index, frame.pts);
        let work = Work { frame: index, pts, picture, large: None, luma, motion, scene_cut, look: Look::default() };
        scheduler.release((!scene_cut).then_some(&work))?;
        if scene_cut {
            told.scene_cuts.push(index);
            scheduler.scene_start = index;
        }
        scheduler.held = Some((frame, work));
        if observer.progress(Phase::Analyze, index + 1, info.frames_estimate) == Continue::Cancel {
            return Err(Error::new(Stage::Decode, ErrorKind::Cancelled, "interrupted"));
        }
    }
    scheduler.release(None)?;
    told.frames_left_out = opened.source.frames_left_out();
    Ok(told)
}

/// Puts frames back in order, tracks what was found and makes regions of what is over.
fn collect(
    mut tracker: Tracker,
    mut scenes: Scenes,
    looked_in: &Receiver<Result<Looked>>,
    feedback: &Feedback,
    observer: &dyn Observer,
) -> Result<Scenes> {
    let mut waiting: BTreeMap<FrameIndex, Looked> = BTreeMap::new();
    let mut next = 0;
    for looked in looked_in {
        let looked = looked?;
        waiting.insert(looked.found.frame, looked);
        while let Some(Looked { found, luma, motion, tones, people }) = waiting.remove(&next) {
            timed(observer, Phase::Analyze, Part::Track, || -> Result<()> {
                scenes.add_frame(found.pts, tones, people);
                tracker.push(&found, motion, luma)?;
                feedback.tell(next, headings(&tracker));
                scenes.add_finished(&tracker.take_finished(), tracker.open_from());
                Ok(())
            })?;
            next += 1;
        }
    }
    scenes.add_finished(&tracker.finish(), next);
    Ok(scenes)
}

/// Which ways up the heads stand that are followed now, and upright for those that come.
fn headings(tracker: &Tracker) -> Headings {
    let faces = tracker.expected().into_iter().filter(|e| e.class == Class::Face);
    faces.fold(Headings::UPRIGHT, |all, face| all.with(Headings::of_angle_rad(face.quad.angle_rad())))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::pipeline::testing::settings;
    use crate::types::detection::{Detection, Effort};
    use crate::types::frame::Picture;
    use crate::types::progress::Silent;
    use crate::types::stage::Detector;
    use crate::types::timing::Spent;

    /// Sees nothing, and panics in one of its looks.
    struct Stumbles {
        looks_left: Option<u32>,
    }

    impl Detector for Stumbles {
        fn name(&self) -> &str {
            "stumbles"
        }

        fn detect(&mut self, _: &Picture, _: Effort) -> Result<Vec<Detection>> {
            if let Some(left) = &mut self.looks_left {
                *left = left.checked_sub(1).expect("one look too many");
            }
            Ok(Vec::new())
        }
    }

    /// Panics where a part of the work is told.
    struct PanicsAt(Part);

    impl Observer for PanicsAt {
        fn progress(&self, _: Phase, _: u64, _: Option<u64>) -> Continue {
            Continue::Yes
        }

        fn spent(&self, spent: Spent) {
            assert!(spent.part != self.0, "{:?}", self.0);
        }
    }

    /// What looking at a clip of a hundred frames comes to with these detectors.
    fn looked(looks_left: &'static [Option<u32>], observer: &'static dyn Observer) -> Result<u64> {
        let (done_out, done_in) = channel();
        let looking = move || {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/interview.mp4");
            let job = Job { label: path.clone(), settings: settings(), steps: vec![] };
            let opened = open(&File::open(&path).unwrap(), &path, &job.settings.limits, false).unwrap();
            let detector = |&looks_left: &Option<u32>| Detectors::fake(Box::new(Stumbles { looks_left }));
            let detectors = looks_left.iter().map(detector).collect();
            let done = look(opened, &job, detectors, observer).map(|(decoded, _)| decoded.frames);
            // Nobody listens to who comes too late.
            let _ = done_out.send(done);
        };
        std::thread::spawn(looking);
        // On a thread of its own, so that one that waits for ever is told.
        done_in.recv_timeout(Duration::from_secs(120)).expect("it hangs")
    }

    #[test]
    fn a_thread_that_panics_ends_the_work() {
        assert_eq!(looked(&[None, None], &Silent).unwrap(), 100);
        type Case = (&'static [Option<u32>], &'static dyn Observer, &'static str);
        let table: [Case; 6] = [
            (&[Some(0)], &Silent, "a detector"),
            (&[None, Some(0)], &Silent, "a detector"),
            (&[None, Some(5), None], &Silent, "a detector"),
            (&[None, None], &PanicsAt(Part::Faces), "a detector"),
            (&[None, None], &PanicsAt(Part::Track), "the tracker"),
            (&[None, None], &PanicsAt(Part::Decode), "the decoder"),
        ];
        for (looks_left, observer, who) in table {
            let error = looked(looks_left, observer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.to_string().contains(&format!("{who} panicked")), "{who}: {error}");
        }
    }
}
