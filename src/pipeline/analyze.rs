//! First pass: source to plan.
//!
//! ```text
//! this thread: decode, scale, cuts, camera motion -> bounded queue -> workers: networks -> collector: order, tracks
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::detectors::{Ask, Detectors, models_used, zoo};
use super::plans;
use super::schedule::{Feedback, Place, ask};
use super::settings::Settings;
use super::source::{Opened, Pictures, hash, open};
use super::tone::ToneSamples;
use super::worker::{Job, MORE_MEMORY, Outcome};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::infer::zoo::Zoo;
use crate::plan::file::frame_table;
use crate::plan::{PolicySettings, RegionBuilder};
use crate::track::{GlobalMotion, Luma, MotionEstimator, SceneCutDetector, TrackSettings, Tracker};
use crate::types::detection::{Class, Detection, Effort, FrameDetections, Headings};
use crate::types::frame::{MediaKind, Picture, SourceInfo};
use crate::types::geometry::Margins;
use crate::types::plan::{PLAN_VERSION, PlanHeader, RedactionPlan};
use crate::types::progress::{Continue, Observer, Phase};
use crate::types::time::{FrameIndex, FrameSpan, FrameTimes};
use crate::types::track::Track;

/// Longest side of the small grey pictures that tracks are followed in, pixels.
const LUMA_SIDE: u32 = 320;

/// One frame on its way to the networks.
struct Work {
    frame: FrameIndex,
    pts: i64,
    picture: Picture,
    luma: Luma,
    motion: GlobalMotion,
    scene_cut: bool,
    ask: Ask,
}

/// One frame behind the networks.
struct Looked {
    found: FrameDetections,
    luma: Luma,
    motion: GlobalMotion,
    tones: ToneSamples,
}

/// What decoding told besides pictures.
struct Decoded {
    pts: Vec<i64>,
    damaged: Vec<FrameSpan>,
    scene_cuts: Vec<FrameIndex>,
}

/// Analyses the source and writes the plan to `plan_path`.
pub fn analyze(file: &File, job: &Job, plan_path: &Path, observer: &dyn Observer) -> Result<Outcome> {
    let settings = &job.settings;
    let source_sha256 = hash(file).map_err(|e| e.at(&job.label))?;
    let opened = open(file, &job.label, &settings.limits, settings.allow_damaged)?;
    let info = opened.source.info().clone();
    let zoo = zoo(settings)?;
    let (decoded, tracks, tones) = look(opened, &info, job, &zoo, observer)?;
    if decoded.pts.is_empty() {
        return Err(Error::new(Stage::Decode, ErrorKind::Damaged, "holds no frame that is shown").at(&job.label));
    }
    let header = PlanHeader {
        kind: "withhold-plan".into(),
        version: PLAN_VERSION,
        program: format!("withhold {}", env!("CARGO_PKG_VERSION")),
        source_sha256,
        source_path: std::path::absolute(&job.label).ok().and_then(|p| p.to_str().map(str::to_owned)),
        frames: frame_table(&decoded.pts, info.display()),
        source: info,
        models: models_used(settings),
        settings: settings.recorded(),
        style: settings.style,
        fill_color: settings.fill_color,
        damaged: decoded.damaged,
        scene_cuts: decoded.scene_cuts,
        review: vec![],
    };
    let mut plan = plan_of(header, &tracks, &decoded.pts, settings).map_err(|e| e.at(&job.label))?;
    tones.assign(&mut plan.regions);
    plans::write(&plan, plan_path)?;
    Ok(Outcome { frames: plan.header.frames.count, ..Outcome::default() })
}

/// What a user can do about a decode error.
fn advised(e: Error, opened: &SourceInfo, settings: &Settings) -> Error {
    if e.stage() != Stage::Decode || e.kind() != ErrorKind::Damaged || opened.kind == MediaKind::Photo {
        return e;
    }
    if settings.allow_damaged { e } else { e.advise("--allow-damaged masks what is damaged") }
}

/// Regions and review list of the tracks and of what the operator named.
fn plan_of(mut header: PlanHeader, tracks: &[Track], pts: &[i64], settings: &Settings) -> Result<RedactionPlan> {
    let times = FrameTimes { pts, time_base: header.source.time_base };
    let mut policy = PolicySettings {
        margin: settings.margin,
        on_lost: settings.on_lost,
        keep_captions: settings.keep_captions,
        ..PolicySettings::default()
    };
    if header.source.kind == MediaKind::Photo {
        // Nothing moves, and heads were looked for thoroughly: their quads are what is to be hidden.
        policy.face_margins = Margins::default();
    }
    let mut builder = RegionBuilder::new(policy, header.frames.display, settings.keep_regions.clone());
    for scene in tracks.chunk_by(|a, b| a.scene == b.scene) {
        builder.add_scene(scene, times);
    }
    for region in &settings.regions {
        builder.add_operator_region(region, times)?;
    }
    let built = builder.finish();
    header.review = built.review;
    Ok(RedactionPlan { header, regions: built.regions })
}

/// Decodes and looks at every frame.
fn look(
    opened: Opened,
    info: &SourceInfo,
    job: &Job,
    zoo: &Zoo,
    observer: &dyn Observer,
) -> Result<(Decoded, Vec<Track>, ToneSamples)> {
    let threads = if info.kind == MediaKind::Photo { 1 } else { job.settings.inference_threads.max(1) };
    let detectors = Detectors::for_redaction(&job.settings, zoo, threads)?;
    // One picture waiting per worker keeps all busy; more would only fill memory.
    let (work_out, work_in) = sync_channel::<Work>(threads);
    let (looked_out, looked_in) = sync_channel::<Result<Looked>>(threads * 2);
    let work_in = Arc::new(Mutex::new(work_in));
    let first = opened.source.info().time_base;
    let feedback = Feedback::default();
    std::thread::scope(|scope| {
        let spawn = |name: String| std::thread::Builder::new().name(name);
        let failed = |e| {
            Error::new(Stage::Detect, ErrorKind::Internal, "a thread can't be started").because(e).advise(MORE_MEMORY)
        };
        for (number, mut detectors) in detectors.into_iter().enumerate() {
            let (work_in, looked_out) = (Arc::clone(&work_in), looked_out.clone());
            let wanted = job.settings.style;
            let looking = move || run_networks(&mut detectors, wanted, &work_in, &looked_out);
            spawn(format!("look-{number}")).spawn_scoped(scope, looking).map_err(failed)?;
        }
        drop((looked_out, work_in));
        let tracker = Tracker::new(TrackSettings::default(), first);
        let told = &feedback;
        let collecting = move || {
            let collected = collect(tracker, &looked_in, told);
            told.close();
            collected
        };
        let collector = spawn("track".into()).spawn_scoped(scope, collecting).map_err(failed)?;
        let decoded = decode(opened, info, work_out, &feedback, observer);
        let decoded = decoded.map_err(|e| advised(e, info, &job.settings).at(&job.label));
        let collected = collector
            .join()
            .map_err(|_| Error::new(Stage::Track, ErrorKind::Internal, "the tracker panicked").at(&job.label))?;
        // A detector that failed makes the decoder's queue end early: the cause is what the collector saw.
        let (tracks, tones) = match (&decoded, collected) {
            (_, Err(cause)) => return Err(cause.at(&job.label)),
            (_, Ok(collected)) => collected,
        };
        Ok((decoded?, tracks, tones))
    })
}

/// Decodes to the end; each frame goes out when the one behind it is known.
fn decode(
    mut opened: Opened,
    info: &SourceInfo,
    out: SyncSender<Work>,
    feedback: &Feedback,
    observer: &dyn Observer,
) -> Result<Decoded> {
    let kind = info.kind;
    let schedule = |frame, scene_start, last_of_scene| {
        ask(Place { kind, frame, scene_start, last_of_scene, headings: feedback.headings(frame) })
    };
    let mut pictures = Pictures::new(info);
    let (mut cuts, mut motion) = (SceneCutDetector::default(), MotionEstimator::default());
    let mut told = Decoded { pts: vec![], damaged: vec![], scene_cuts: vec![] };
    let mut held: Option<Work> = None;
    let mut scene_start = 0;
    while let Some(frame) = opened.source.next_frame()? {
        told.pts.push(frame.pts);
        if frame.damaged {
            match told.damaged.last_mut() {
                Some(span) if span.end == frame.index => span.end += 1,
                _ => told.damaged.push(FrameSpan::new(frame.index, frame.index + 1)),
            }
        }
        let picture = pictures.picture(&frame)?;
        let scene_cut = cuts.push(&picture) && frame.index > 0;
        if let Some(work) = held.take() {
            let ask = schedule(work.frame, scene_start, scene_cut);
            send(work, ask, &out)?;
        }
        if scene_cut {
            told.scene_cuts.push(frame.index);
            scene_start = frame.index;
            motion.reset();
        }
        let luma = Luma::from_picture(&picture, LUMA_SIDE);
        let motion = motion.push(&luma);
        held = Some(Work { frame: frame.index, pts: frame.pts, picture, luma, motion, scene_cut, ask: Ask::THOROUGH });
        if observer.progress(Phase::Analyze, frame.index + 1, info.frames_estimate) == Continue::Cancel {
            return Err(Error::new(Stage::Decode, ErrorKind::Cancelled, "interrupted"));
        }
    }
    if let Some(work) = held {
        let ask = schedule(work.frame, scene_start, true);
        send(work, ask, &out)?;
    }
    Ok(told)
}

fn send(mut work: Work, ask: Ask, out: &SyncSender<Work>) -> Result<()> {
    work.ask = ask;
    out.send(work).map_err(|_| Error::new(Stage::Detect, ErrorKind::Internal, "the detectors stopped"))
}

fn run_networks(
    detectors: &mut Detectors,
    style: crate::types::plan::MaskStyle,
    work_in: &Mutex<Receiver<Work>>,
    looked_out: &SyncSender<Result<Looked>>,
) {
    loop {
        let next = work_in.lock().unwrap_or_else(|e| e.into_inner()).recv();
        let Ok(work) = next else { break };
        let looked = detectors.detect(&work.picture, work.ask).map(|detections| behind(work, style, detections));
        let failed = looked.is_err();
        if looked_out.send(looked).is_err() || failed {
            break;
        }
    }
}

fn behind(work: Work, style: crate::types::plan::MaskStyle, detections: Vec<Detection>) -> Looked {
    let thorough = !work.ask.faces.is_some_and(Effort::is_fast);
    let tones = ToneSamples::of(style, work.frame, &work.picture, &detections);
    let found = FrameDetections { frame: work.frame, pts: work.pts, detections, scene_cut: work.scene_cut, thorough };
    Looked { found, luma: work.luma, motion: work.motion, tones }
}

/// Puts frames back in order and tracks what was found.
fn collect(
    mut tracker: Tracker,
    looked_in: &Receiver<Result<Looked>>,
    feedback: &Feedback,
) -> Result<(Vec<Track>, ToneSamples)> {
    let mut waiting: BTreeMap<FrameIndex, Looked> = BTreeMap::new();
    let mut next = 0;
    let (mut tracks, mut tones) = (Vec::new(), ToneSamples::default());
    for looked in looked_in {
        let looked = looked?;
        waiting.insert(looked.found.frame, looked);
        while let Some(looked) = waiting.remove(&next) {
            tones.merge(looked.tones);
            tracker.push(&looked.found, looked.motion, looked.luma)?;
            tracks.append(&mut tracker.take_finished());
            feedback.tell(next, headings(&tracker));
            next += 1;
        }
    }
    tracks.append(&mut tracker.finish());
    Ok((tracks, tones))
}

/// Which ways up the heads stand that are followed now, and upright for those that come.
fn headings(tracker: &Tracker) -> Headings {
    let faces = tracker.expected().into_iter().filter(|e| e.class == Class::Face);
    faces.fold(Headings::UPRIGHT, |all, face| all.with(Headings::of_angle_rad(face.quad.angle_rad())))
}
