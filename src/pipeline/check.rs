//! The gate: one file of any origin, looked at without a plan. Every byte of its container is accounted for, every frame
//! is decoded, and networks that redaction does not use look for faces and text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use serde::{Deserialize, Serialize};

use super::clock::timed;
use super::detectors::{Ask, Detectors, zoo};
use super::search::{GLANCE, THRESHOLDS, hits_beside_masks};
use super::settings::AudioChoice;
use super::source::{CLIP_PICTURE_SIDE, Pictures, open};
use super::threads::{SharedQueue, share_out};
use super::worker::{Job, Outcome};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::sniff::{Sniffed, sniff};
use crate::types::detection::{Class, Detection, Effort};
use crate::types::finding::{Finding, FindingList, Rule, Severity};
use crate::types::frame::{MediaKind, Picture};
use crate::types::geometry::Rect;
use crate::types::progress::{Continue, Observer, Phase};
use crate::types::report::{ErrorReport, VerifyReport};
use crate::types::stage::Source;
use crate::types::time::FrameIndex;
use crate::types::timing::Part;
use crate::verify::fills::fills;
use crate::verify::inpaint::without_masks;
use crate::verify::outliers::{Outliers, Sight};
use crate::verify::redetect::{FrameContext, is_lone_text, judge, told};
use crate::verify::reversible;
use crate::verify::structure::{Expect, inspect, inventory};

/// Frames that wait for the networks.
const MAX_WAITING_LOOKS: usize = 4;

/// Every so many frames of a clip the network for photos looks for text.
const TEXT_KEY_EVERY: u64 = 6;

/// Searched frames to either side that are asked whether sure text is an outlier.
const OUTLIER_REACH: u64 = 6;

/// What a check does beyond the settings of detectors and limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckOrders {
    /// Every so many frames of a clip are searched; all are decoded.
    pub every: u64,
}

/// Checks one file.
///
/// What keeps its pictures from being looked at is in the outcome, beside what its bytes tell.
///
/// # Errors
/// Whatever keeps the file from being read at all, and an interruption.
pub fn check(file: &File, job: &Job, orders: &CheckOrders, observer: &dyn Observer) -> Result<Outcome> {
    let mut findings = FindingList::default();
    let sniffed = sniff(file).unwrap_or(Sniffed::NotMedia);
    let is_strict = structure(file, &sniffed, job, &mut findings)?;
    let looked = look(file, job, orders, observer, &mut findings).and_then(|report| {
        // What is not accounted for anyway needs no proof that its pictures have no spare bytes.
        if is_strict {
            super::spare::tell(file, &sniffed, job, &report, observer, &mut findings)?;
        }
        Ok(report)
    });
    let (report, error) = match looked {
        Ok(report) => (report, None),
        Err(e) if e.kind() == ErrorKind::Cancelled => return Err(e),
        Err(e) => (VerifyReport::default(), Some(ErrorReport::of(&e, &job.label))),
    };
    Ok(Outcome { frames: report.frames, findings: findings.list, verify: Some(report), error, ..Outcome::default() })
}

/// What the file holds besides its picture: by the strict readers, which account for every byte of what is written here,
/// else by lenient ones, and by FFmpeg's demuxers as a second opinion. Gives whether the strict ones could read it.
fn structure(file: &File, sniffed: &Sniffed, job: &Job, findings: &mut FindingList) -> Result<bool> {
    let settings = &job.settings;
    let expect = Expect { audio: settings.encoding.audio != AudioChoice::None, limits: settings.limits };
    let is_strict = match inspect(file, &expect) {
        Ok(facts) => {
            facts.findings().iter().for_each(|f| findings.tell(f.clone()));
            true
        }
        // Whether the file is broken is for the decoder to say.
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::Damaged) => {
            let message =
                format!("not a file as redaction writes it, so not all of it is accounted for: {}", e.message());
            findings.tell(Finding::new(Rule::Unaccounted, Severity::Error, message));
            inventory(file, &expect).into_iter().for_each(|f| findings.tell(f));
            false
        }
        Err(e) => return Err(e.at(&job.label)),
    };
    if *sniffed == Sniffed::MaybeClip {
        let seen: BTreeSet<Rule> = findings.list.iter().map(|f| f.rule).collect();
        // The second reader adds what the first did not see.
        let more = super::contents::findings(file, &settings.limits, expect.audio, !is_strict);
        more.into_iter().filter(|f| !seen.contains(&f.rule)).for_each(|f| findings.tell(f));
    }
    Ok(is_strict)
}

/// Decodes every frame, on this thread, and searches it, on further ones.
fn look(
    file: &File,
    job: &Job,
    orders: &CheckOrders,
    observer: &dyn Observer,
    findings: &mut FindingList,
) -> Result<VerifyReport> {
    let settings = &job.settings;
    let opened = open(file, &job.label, &settings.limits, false)?;
    let info = opened.source.info().clone();
    let threads = if info.kind == MediaKind::Photo { 1 } else { settings.inference_threads.max(1) };
    let detectors = Detectors::for_check(settings, &zoo(settings)?, threads)?;
    let mut report = VerifyReport::default();
    let sights = Mutex::new(Sights::new(OUTLIER_REACH * orders.every.max(1), findings));
    let work =
        |detectors: &mut Detectors, looks: &_| search_all(detectors, settings.fill_color, looks, &sights, observer);
    let mut unseen = None;
    let feed = |looks: &_| decode(opened.source, job, orders, observer, looks, &mut report, &mut unseen);
    let (searched, done) = share_out(detectors, MAX_WAITING_LOOKS, work, feed)?;
    report.hits_output += sights.into_inner().unwrap_or_else(|e| e.into_inner()).finish();
    unseen.into_iter().for_each(|f| findings.tell(f));
    // A search that failed ends the decoding: its error is the cause.
    let done = searched.into_iter().find(Result::is_err).unwrap_or(done);
    // What was found before an error stands.
    done?;
    if report.frames == 0 {
        return Err(Error::new(Stage::Decode, ErrorKind::Damaged, "holds no frame that is shown").at(&job.label));
    }
    Ok(report)
}

/// A frame to search.
struct Look {
    /// Among the frames that are searched, from 0.
    number: u64,
    picture: Picture,
    frame: FrameIndex,
    time_secs: f64,
    ask: Ask,
    /// Soft masks in it.
    sights: Vec<Sight>,
}

/// What a frame came to.
struct Seen {
    frame: FrameIndex,
    sights: Vec<Sight>,
    hits: u64,
}

/// Tells what was seen in the order of the frames, alike however the threads take turns, and holds little of it.
struct Sights<'a> {
    /// Frames that came before their turn.
    early: BTreeMap<u64, Seen>,
    next: u64,
    hits: u64,
    outliers: Outliers,
    findings: &'a mut FindingList,
}

impl<'a> Sights<'a> {
    fn new(reach: u64, findings: &'a mut FindingList) -> Self {
        Self { early: BTreeMap::new(), next: 0, hits: 0, outliers: Outliers::new(reach), findings }
    }

    fn add(&mut self, number: u64, seen: Seen) {
        self.early.insert(number, seen);
        while let Some(seen) = self.early.remove(&self.next) {
            self.next += 1;
            self.take(seen);
        }
    }

    fn take(&mut self, seen: Seen) {
        self.hits += seen.hits;
        self.outliers.push(seen.frame, seen.sights).into_iter().for_each(|f| self.findings.tell(f));
    }

    /// Tells what is left, behind frames that a failed search left out, too; gives the hits in all frames.
    fn finish(mut self) -> u64 {
        std::mem::take(&mut self.early).into_values().for_each(|seen| self.take(seen));
        self.outliers.finish().into_iter().for_each(|f| self.findings.tell(f));
        self.hits
    }
}

/// Decodes every frame and hands on those that are due, with the soft masks in them. `unseen`: what can't be decoded.
fn decode(
    mut source: Box<dyn Source>,
    job: &Job,
    orders: &CheckOrders,
    observer: &dyn Observer,
    looks: &SyncSender<Look>,
    report: &mut VerifyReport,
    unseen: &mut Option<Finding>,
) -> Result<()> {
    let settings = &job.settings;
    let info = source.info().clone();
    let mut pictures = Pictures::new(&info, CLIP_PICTURE_SIDE);
    let searches = settings.targets.faces || settings.targets.text;
    let mut soft_masks = reversible::Watch::default();
    let mut first_pts = None;
    while let Some(frame) = source.next_frame().map_err(|e| e.at(&job.label))? {
        report.frames += 1;
        let first_pts = *first_pts.get_or_insert(frame.pts);
        if searches && frame.index.is_multiple_of(orders.every.max(1)) {
            let picture = pictures.picture(&frame)?;
            // Counted from the first frame, as players and all flags do.
            let time_secs = info.time_base.secs(frame.pts.saturating_sub(first_pts));
            let look_for_masks = || soft_masks.look(&picture, frame.index, time_secs);
            let masks = settings.targets.faces.then(look_for_masks);
            let sights = masks.into_iter().flatten().map(Sight::from).collect();
            let (number, ask) = (report.frames_searched, ask(info.kind, report.frames_searched));
            report.frames_searched += 1;
            let stopped = |_| Error::new(Stage::Verify, ErrorKind::Internal, "the search stopped");
            looks.send(Look { number, picture, frame: frame.index, time_secs, ask, sights }).map_err(stopped)?;
        }
        if observer.progress(Phase::Verify, report.frames, info.frames_estimate) == Continue::Cancel {
            return Err(Error::new(Stage::Verify, ErrorKind::Cancelled, "interrupted"));
        }
    }
    let left_out = source.frames_left_out();
    if left_out > 0 {
        let message = format!("{left_out} coded before the first whole key frame, which can't be decoded and searched");
        *unseen = Some(Finding::new(Rule::HiddenFrames, Severity::Error, message));
    }
    Ok(())
}

/// How hard the `searched`-th picture is looked at. Text stands for many frames of a clip, and its network for photos
/// takes as long as all searches for faces: most frames get the one for clips.
fn ask(kind: MediaKind, searched: u64) -> Ask {
    let ask = Ask::all_of(kind);
    let is_between = kind == MediaKind::Clip && !searched.is_multiple_of(TEXT_KEY_EVERY);
    if is_between { Ask { text: Some(GLANCE), ..ask } } else { ask }
}

/// Searches until no more looks come; several threads share them.
fn search_all(
    detectors: &mut Detectors,
    fill: [u8; 3],
    looks: &SharedQueue<Look>,
    told: &Mutex<Sights>,
    observer: &dyn Observer,
) -> Result<()> {
    while let Some(Look { number, picture, frame, time_secs, ask, mut sights }) = looks.next() {
        let search = || -> Result<_> {
            let bare = bare(&picture, fill);
            let hits = hits_beside_masks(detectors, ask, &picture, &bare)?;
            let second = second_opinion(detectors, ask, &hits, &bare)?;
            Ok((hits, second))
        };
        let (hits, second) = timed(observer, Phase::Verify, Part::Search, search)?;
        let context = FrameContext { frame, time_secs, masks: &[], keeps: &[] };
        let seen = judged(&picture, &hits, second.as_deref(), &context);
        sights.extend(seen.sights);
        told.lock().unwrap_or_else(|e| e.into_inner()).add(number, Seen { sights, ..seen });
    }
    Ok(())
}

/// What the network for clips sees in a frame of a clip in which the one for photos is sure of some text. The other way
/// round it would cost more than all of the search, in every frame of a clip with captions.
fn second_opinion(
    detectors: &mut Detectors,
    ask: Ask,
    hits: &[Detection],
    bare: &Picture,
) -> Result<Option<Vec<Detection>>> {
    let is_of_photos = matches!(ask.text, Some(Effort::Key(_)));
    if !is_of_photos || !hits.iter().any(|h| h.class == Class::Text && THRESHOLDS.is_sure(h)) {
        return Ok(None);
    }
    Ok(Some(detectors.detect(bare, Ask { faces: None, text: Some(GLANCE) })?))
}

/// The picture without masks of the fill's colour.
fn bare(picture: &Picture, fill: [u8; 3]) -> Cow<'_, Picture> {
    without_masks(picture, 1.0, [&fills(picture, fill)])
}

/// What the hits of a frame mean. `second`: what another network for text sees in it, if it was asked.
fn judged(picture: &Picture, hits: &[Detection], second: Option<&[Detection]>, context: &FrameContext<'_>) -> Seen {
    let verdict = judge(picture, hits, context, &THRESHOLDS);
    let visible = verdict.add.iter().map(|hit| {
        let severity = if is_picture_wide(hit, picture) { Severity::Warning } else { Severity::Error };
        let finding = told(hit, severity, &format!("visible (score {:.2})", hit.score), context, picture);
        Sight { finding, is_lone: second.is_some_and(|second| is_lone_text(hit, second, &THRESHOLDS)) }
    });
    let sights = visible.chain(verdict.findings.into_iter().map(Sight::from)).collect();
    Seen { frame: context.frame, sights, hits: verdict.hits }
}

/// Whether a hit is text as high and wide as the picture: a slope of light more likely than two huge letters, so a reason
/// to look. A line that fills a picture of its own shape is none of these.
fn is_picture_wide(hit: &Detection, picture: &Picture) -> bool {
    const SHARE: f32 = 0.85;
    const LEAST_ASPECT: f32 = 2.0;
    let side = |v: u32| v as f32 * picture.display_from_picture;
    let whole = Rect::new(0.0, 0.0, side(picture.size.width), side(picture.size.height));
    let covered = hit.quad.bounds().intersection(whole).map_or(0.0, Rect::area);
    let (long, short) = (whole.width.max(whole.height), whole.width.min(whole.height));
    hit.class == Class::Text && covered >= SHARE * whole.area() && long < LEAST_ASPECT * short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::geometry::{Quad, Size};

    #[test]
    fn text_in_clips_is_looked_for_hard_now_and_then() {
        let hard = |kind, searched| ask(kind, searched).text != Some(GLANCE);
        assert_eq!([0, 1, 5, 6, 11, 12].map(|n| hard(MediaKind::Clip, n)), [true, false, false, true, false, true]);
        assert!(hard(MediaKind::Photo, 1));
        assert_eq!(ask(MediaKind::Clip, 1).faces, ask(MediaKind::Clip, 0).faces);
    }

    #[test]
    fn text_as_large_as_a_picture_is_a_doubt_unless_the_picture_is_a_line() {
        let hit = |class, x, width, height| Detection {
            class,
            quad: Quad::from(Rect::new(x, 0.0, width, height)),
            score: 0.9,
            landmarks: None,
        };
        let picture = |w: u32, h: u32| Picture::new(Size::new(w, h), vec![0; (w * h * 3) as usize], 2.0);
        for (name, hit, picture, expected) in [
            ("a slope of light", hit(Class::Text, -3.0, 1290.0, 960.0), picture(640, 480), true),
            ("text in a part", hit(Class::Text, 0.0, 1280.0, 700.0), picture(640, 480), false),
            ("a line cut out", hit(Class::Text, 0.0, 1280.0, 400.0), picture(640, 200), false),
            ("a face", hit(Class::Face, 0.0, 1280.0, 960.0), picture(640, 480), false),
        ] {
            assert_eq!(is_picture_wide(&hit, &picture), expected, "{name}");
        }
    }
}
