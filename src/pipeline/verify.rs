//! Third pass, in a process of its own: the staged file against plan and digest, every frame; a fresh look by networks
//! that redaction does not use; the contact sheet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::mpsc::{Receiver, SyncSender};

use super::ahead::decode_ahead;
use super::clock::timed;
use super::detectors::{Ask, Detectors, zoo};
use super::overlap::comparable;
use super::plans;
use super::render::{ActiveRegions, clock_offset};
use super::search::due_frames;
use super::second_look::{Look, Seen, search_all};
use super::settings::{AudioChoice, Encoding, Settings};
use super::source::{CLIP_PICTURE_SIDE, Pictures, open};
use super::threads::share_out;
use super::worker::{Job, Outcome, VerifyOrders};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::encode::VideoCodec;
use crate::media::photo;
use crate::plan::build::added_region;
use crate::render::FrameMasks;
use crate::render::raster::Canvas;
use crate::types::finding::{Finding, FindingList, Rule, Severity};
use crate::types::frame::{Frame, MediaKind, Picture, PlainBuffer, SourceInfo};
use crate::types::geometry::Orientation;
use crate::types::mask::Coverage;
use crate::types::plan::{MaskStyle, RedactionPlan, Region};
use crate::types::progress::{Continue, Observer, Phase};
use crate::types::report::VerifyReport;
use crate::types::stage::Source;
use crate::types::time::{FrameIndex, TimeBase, timecode};
use crate::types::timing::Part;
use crate::verify::coverage::{
    self, Expected, FrameDigest, MASK_SHRINK_PIXELS, OrderCheck, Tolerance, check_mask, compare, shrink,
};
use crate::verify::moments::{Pick, select_moments};
use crate::verify::redetect::{Verdict, masks_to_add};
use crate::verify::sheet::{Moment, Summary, contact_sheet};
use crate::verify::sidecar::DigestReader;
use crate::verify::structure::{Expect, Facts, inspect};

/// Pictures on the contact sheet at most, of the plan's moments and of what was found again each.
pub const MAX_MOMENTS: usize = 40;
/// Frames that wait for the networks.
const MAX_WAITING_LOOKS: usize = 4;
const THUMBNAIL_SIDE: u32 = 480;
const THUMBNAIL_QUALITY: u8 = 80;

/// Verifies a staged file.
///
/// What must not be published is a finding of severity `Error`; masks to add are in the outcome.
///
/// # Errors
/// Whatever keeps the proof from being made: it then counts as failed.
pub fn verify(job: &Job, orders: &VerifyOrders, observer: &dyn Observer) -> Result<Outcome> {
    let plan = plans::read(&orders.plan)?;
    let io = |e: std::io::Error| Error::new(Stage::Verify, ErrorKind::Io, "the staged file can't be read").because(e);
    let staged = File::open(&orders.staged).map_err(io)?;
    let settings = &job.settings;
    let expect =
        Expect { audio: settings.encoding.audio != AudioChoice::None && is_clip(&plan), limits: settings.limits };
    let facts = inspect(&staged, &expect)?;
    let opened = open(&staged, &job.label, &settings.limits, false)?;
    let digest = File::open(&orders.digest).map_err(io)?;
    let mut check = Check::new(&plan, settings, opened.source.info(), DigestReader::new(BufReader::new(digest))?)?;
    check.report.hits_source = orders.hits_source;
    check.report.frames_searched_source = orders.frames_searched_source;
    check.findings.list.extend(facts.findings().iter().cloned());
    let threads = if is_clip(&plan) { settings.inference_threads.max(1) } else { 1 };
    let searches = Detectors::for_verification_threads(settings, &zoo(settings)?, threads)?;
    check.all_frames(opened.source, &due_frames(&plan, settings), searches, observer).map_err(unverified)?;
    if let Facts::Clip(facts) = &facts {
        check.compare_times(&facts.pts, TimeBase { num: 1, den: i32::try_from(facts.timescale).unwrap_or(i32::MAX) });
    }
    let (outcome, moments) = check.finish()?;
    let page = contact_sheet(&summary(&plan, orders, &outcome), &moments);
    std::fs::write(&orders.sheet, page)
        .map_err(|e| Error::new(Stage::Verify, ErrorKind::Io, "the contact sheet can't be written").because(e))?;
    Ok(outcome)
}

fn is_clip(plan: &RedactionPlan) -> bool {
    plan.header.source.kind == MediaKind::Clip
}

/// A finished file that can't be decoded is not a damaged source, but an output that must be withheld.
fn unverified(e: Error) -> Error {
    match e.kind() {
        ErrorKind::Damaged | ErrorKind::Unsupported => {
            Error::new(Stage::Verify, ErrorKind::Unverified, "the finished file can't be decoded again").because(e)
        }
        _ => e,
    }
}

/// The comparison of one file, frame by frame.
struct Check<'a> {
    plan: &'a RedactionPlan,
    in_flight_bytes: usize,
    info: SourceInfo,
    digests: DigestReader<BufReader<File>>,
    tolerance: Tolerance,
    order: OrderCheck,
    active: ActiveRegions<'a>,
    picks: BTreeMap<FrameIndex, Pick>,
    pictures: Pictures,
    verdicts: Vec<Verdict>,
    moments: Vec<Moment>,
    /// Ticks of the first frame: findings and the contact sheet count from it, as the flags do.
    first_pts: Option<i64>,
    /// Times of the frames that the encoder got.
    expected_pts: Vec<i64>,
    findings: FindingList,
    report: VerifyReport,
}

impl<'a> Check<'a> {
    fn new(
        plan: &'a RedactionPlan,
        settings: &Settings,
        info: &SourceInfo,
        digests: DigestReader<BufReader<File>>,
    ) -> Result<Self> {
        // The plan's own review list is looked at by the selection; what is found again is added when it is seen.
        let picks = select_moments(plan, &[], MAX_MOMENTS);
        Ok(Self {
            plan,
            in_flight_bytes: settings.limits.in_flight_bytes,
            info: info.clone(),
            digests,
            tolerance: tolerance(plan, settings, info),
            order: OrderCheck::default(),
            active: ActiveRegions::new(&plan.regions),
            picks: picks.into_iter().map(|p| (p.frame, p)).collect(),
            pictures: Pictures::new(info, CLIP_PICTURE_SIDE),
            verdicts: vec![],
            moments: vec![],
            first_pts: None,
            expected_pts: vec![],
            findings: FindingList::default(),
            report: VerifyReport::default(),
        })
    }

    fn tell(&mut self, finding: Finding) {
        self.findings.tell(finding);
    }

    /// Decodes on one thread, compares on this one and searches on further ones.
    fn all_frames(
        &mut self,
        source: Box<dyn Source>,
        due: &BTreeMap<FrameIndex, Ask>,
        searches: Vec<Detectors>,
        observer: &dyn Observer,
    ) -> Result<()> {
        let info = self.info.clone();
        let seen = std::thread::scope(|scope| {
            let frames = decode_ahead(scope, source, self.in_flight_bytes, &info, (observer, Phase::Verify))?;
            let work = |detectors: &mut Detectors, looks: &_| search_all(detectors, looks, observer);
            let feed = |looks: &_| self.compare_frames(frames, due, looks, observer);
            let (seen, compared) = share_out(searches, MAX_WAITING_LOOKS, work, feed)?;
            // A search that failed ends the comparison: its error is the cause.
            let seen = Seen::joined(seen.into_iter().collect::<Result<_>>()?);
            compared.map(|()| seen)
        })?;
        self.add(seen);
        Ok(())
    }

    fn compare_frames(
        &mut self,
        frames: Receiver<Result<Frame>>,
        due: &BTreeMap<FrameIndex, Ask>,
        looks: &SyncSender<Look<'a>>,
        observer: &dyn Observer,
    ) -> Result<()> {
        let count = self.plan.header.frames.count;
        for frame in frames {
            let frame = frame?;
            let Some(expected) = self.digests.next_digest()? else {
                self.tell(Finding::new(
                    Rule::FrameTable,
                    Severity::Error,
                    "the output has more frames than the source",
                ));
                return Ok(());
            };
            self.expected_pts.push(expected.pts);
            let ask = due.get(&frame.index).copied();
            timed(observer, Phase::Verify, Part::Compare, || self.one_frame(&frame, &expected, ask, looks))?;
            self.report.frames += 1;
            if observer.progress(Phase::Verify, self.report.frames, Some(count)) == Continue::Cancel {
                return Err(Error::new(Stage::Verify, ErrorKind::Cancelled, "interrupted"));
            }
        }
        if self.report.frames != count {
            let message = format!("the output has {} frames where the source has {count}", self.report.frames);
            self.tell(Finding::new(Rule::FrameTable, Severity::Error, message));
        }
        Ok(())
    }

    fn one_frame(
        &mut self,
        frame: &Frame,
        expected: &FrameDigest,
        ask: Option<Ask>,
        looks: &SyncSender<Look<'a>>,
    ) -> Result<()> {
        let first_pts = *self.first_pts.get_or_insert(frame.pts);
        let time_secs = self.info.time_base.secs(frame.pts.saturating_sub(first_pts));
        let got = FrameDigest::of(frame);
        for finding in [compare(expected, &got, self.tolerance), self.order.push(expected, &got)].into_iter().flatten()
        {
            self.tell(finding.at(frame.index, time_secs));
        }
        let regions: Vec<&'a Region> = self.active.at(frame.index).collect();
        let masks = self.check_masks(frame, &regions, time_secs)?;
        let pick = self.picks.remove(&frame.index);
        if ask.is_none() && pick.is_none() {
            return Ok(());
        }
        let picture = self.pictures.picture(frame)?;
        let is_shown = pick.is_some();
        if let Some(pick) = pick {
            self.moments.push(moment(&picture, pick.frame, time_secs, pick.label, &regions)?);
        }
        if let Some(ask) = ask {
            let look = Look { ask, picture, masks, frame: frame.index, time_secs, regions, is_shown };
            let stopped = |_| Error::new(Stage::Verify, ErrorKind::Internal, "the search stopped");
            looks.send(look).map_err(stopped)?;
        }
        Ok(())
    }

    /// Every pixel of every mask, but for its rim, is what the mask draws. Gives the masks.
    fn check_masks(&mut self, frame: &Frame, regions: &[&Region], time_secs: f64) -> Result<FrameMasks> {
        let header = &self.plan.header;
        // No grid: rounding outward would ask for more than was drawn.
        let display = header.frames.display;
        let canvas = Canvas { size: display, orientation: Orientation::Upright, log2_grid: (0, 0) };
        let (layout, color) = (&frame.layout, self.info.color);
        let masks = FrameMasks::of_frame(header, regions.iter().copied(), frame.index, &canvas, layout, color);
        if masks.is_empty() {
            return Ok(masks);
        }
        let reference = if header.style == MaskStyle::Fill { None } else { Some(painted(frame, &masks)?) };
        // The steps of a drawn texture ring where one colour has none.
        let ringing = if header.style == MaskStyle::Fill { 1.0 } else { 2.0 };
        let tolerance = self.tolerance.of_masks(ringing, layout.components[0].max_value());
        let coverages: Vec<&Coverage> = masks.masks.iter().map(|m| &m.coverage).collect();
        let inner = match header.style {
            MaskStyle::Fill => coverages.iter().map(|c| shrink(c, MASK_SHRINK_PIXELS, display)).collect(),
            MaskStyle::Blur | MaskStyle::Mosaic => comparable(&coverages, MASK_SHRINK_PIXELS, display),
        };
        for (mask, inner) in masks.masks.iter().zip(inner) {
            let flat = |component: usize| mask.value(component, 0, 0);
            let seen = match &reference {
                None => check_mask(frame, &inner, &Expected::Flat(&flat), tolerance),
                Some(reference) => {
                    let each = |component: usize, x: u32, y: u32| sample(reference, component, x, y);
                    check_mask(frame, &inner, &Expected::Each(&each), tolerance)
                }
            };
            self.report.masked_pixels += seen.pixels;
            if !seen.is_drawn(tolerance) {
                let message = format!(
                    "a mask is not what it must be: {} samples of {} pixels are off by up to {} levels",
                    seen.failing, seen.pixels, seen.worst
                );
                let finding = Finding::new(Rule::MaskMissing, Severity::Error, message);
                self.tell(finding.at(frame.index, time_secs).of_region(&mask.region));
            }
        }
        Ok(masks)
    }

    /// Takes in what the search came to.
    fn add(&mut self, seen: Seen) {
        for verdict in &seen.verdicts {
            self.report.frames_searched += 1;
            self.report.hits_output += verdict.hits;
            verdict.findings.iter().for_each(|f| self.findings.tell(f.clone()));
        }
        self.verdicts = seen.verdicts;
        self.moments.extend(seen.moments);
    }

    /// Times as the container tells them, read by the strict reader, and those that the encoder got, against the plan's.
    fn compare_times(&mut self, pts: &[i64], time_base: TimeBase) {
        let source = self.plan.header.source.time_base;
        let table = self.plan.header.frames.pts().unwrap_or_default();
        let offset = table.first().map_or(0, |first| clock_offset(*first, source));
        let planned: Vec<f64> = table.iter().map(|pts| source.secs(pts - offset)).collect();
        // Ticks of the output divide those of the source: nothing has to be rounded.
        let half_tick = 0.5 * time_base.secs(1);
        let encoded: Vec<f64> = self.expected_pts.iter().map(|pts| source.secs(*pts)).collect();
        let shown: Vec<f64> = pts.iter().map(|pts| time_base.secs(*pts)).collect();
        for times in [&encoded, &shown] {
            let off = planned.iter().zip(times).position(|(planned, got)| (planned - got).abs() > half_tick);
            let Some(frame) = off else { continue };
            let (expected, got) = (planned[frame], times[frame]);
            let message = format!("a frame is shown at {} instead of {}", timecode(got), timecode(expected));
            self.tell(Finding::new(Rule::FrameTable, Severity::Error, message).at(frame as u64, expected));
            break;
        }
        for (what, count) in [("plan", planned.len()), ("container", pts.len())] {
            if count as u64 != self.report.frames {
                let message = format!("the {what} lists {count} frames, {} were decoded", self.report.frames);
                self.tell(Finding::new(Rule::FrameTable, Severity::Error, message));
            }
        }
    }

    fn finish(mut self) -> Result<(Outcome, Vec<Moment>)> {
        if self.digests.next_digest()?.is_some() {
            let message = "the output has fewer frames than were encoded";
            self.tell(Finding::new(Rule::FrameTable, Severity::Error, message));
        }
        if self.plan.regions.is_empty() {
            let message = "nothing was found and nothing is masked: look whether that is right";
            self.tell(Finding::new(Rule::NothingFound, Severity::Warning, message));
        }
        let header = &self.plan.header;
        let additions = masks_to_add(&self.verdicts, &header.scene_cuts, header.frames.count);
        let additions = additions
            .iter()
            .enumerate()
            .map(|(i, mask)| added_region(self.plan, i, mask.class, mask.span, &mask.points));
        let outcome = Outcome {
            frames: self.report.frames,
            additions: additions.collect(),
            findings: self.findings.list,
            verify: Some(self.report),
            ..Outcome::default()
        };
        self.moments.sort_by_key(|m| m.frame);
        Ok((outcome, self.moments))
    }
}

/// How far lossy coding may move a cell of the picture.
fn tolerance(plan: &RedactionPlan, settings: &Settings, output: &SourceInfo) -> Tolerance {
    if is_clip(plan) {
        let Encoding { codec, crf, .. } = &settings.encoding;
        let crf = f32::from(crf.unwrap_or(codec.default_crf()));
        // VP9 and AV1 count to 63 where x264 counts to 51.
        let scale = if matches!(codec, VideoCodec::Vp9 | VideoCodec::Av1) { 51.0 / 63.0 } else { 1.0 };
        return Tolerance::of_rate_factor(crf * scale);
    }
    match output.format.as_str() {
        // JPEG's scale: at 92 it loses about as much as x264 at 18, each 6 steps double it.
        "jpeg" => Tolerance::of_rate_factor(18.0 + (92.0 - f32::from(settings.encoding.photo_quality)) / 3.0),
        _ => Tolerance::LOSSLESS,
    }
}

/// The masks on an empty frame of the same layout.
fn painted(frame: &Frame, masks: &FrameMasks) -> Result<Frame> {
    let planes = frame.layout.components.iter().map(|c| c.plane).max().unwrap_or(0) + 1;
    let plane = |i| (vec![0; frame.buffer.plane(i).len()], frame.buffer.stride(i));
    let mut reference = Frame {
        index: frame.index,
        pts: frame.pts,
        duration: frame.duration,
        size: frame.size,
        layout: frame.layout.clone(),
        damaged: false,
        key: false,
        buffer: Box::new(PlainBuffer { planes: (0..planes).map(plane).collect() }),
    };
    masks.paint(&mut reference)?;
    Ok(reference)
}

/// A sample of a plane; `x` and `y` in samples of that plane.
fn sample(frame: &Frame, component: usize, x: u32, y: u32) -> u16 {
    let c = &frame.layout.components[component];
    let at = y as usize * frame.buffer.stride(c.plane) + c.offset + x as usize * c.step;
    coverage::sample(frame.buffer.plane(c.plane), at, c)
}

pub(super) fn moment(
    picture: &Picture,
    frame: FrameIndex,
    time_secs: f64,
    label: String,
    regions: &[&Region],
) -> Result<Moment> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    photo::encode_thumbnail(picture, THUMBNAIL_SIDE, THUMBNAIL_QUALITY, &mut jpeg)?;
    let regions = regions.iter().filter(|r| r.decision.is_redact()).map(|r| r.id.clone()).collect();
    Ok(Moment { frame, time_secs, label, regions, jpeg: jpeg.into_inner() })
}

fn summary(plan: &RedactionPlan, orders: &VerifyOrders, outcome: &Outcome) -> Summary {
    let header = &plan.header;
    let last = plan.regions.iter().flat_map(|r| &r.keyframes).map(|k| k.pts).max().unwrap_or(0);
    let mut findings: Vec<Finding> = outcome.findings.iter().chain(&header.review).cloned().collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    let estimate = header.frames.count as f64 / header.source.frame_rate.max(1.0);
    Summary {
        output: orders.title.clone(),
        plan: format!("{}.plan.json", orders.title),
        frames: header.frames.count,
        duration_secs: if is_clip(plan) {
            estimate.max(header.source.time_base.secs(last.saturating_sub(header.frames.first_pts)))
        } else {
            0.0
        },
        regions: super::run::count_regions(&plan.regions),
        verify: outcome.verify.clone(),
        findings,
    }
}
