//! Second pass: source and plan to a staged file.
//!
//! ```text
//! decoding thread -> bounded queue -> this thread: masks, orientation and format, digest, encoder (own threads)
//!                                       \-> now and then, unmasked: searching thread
//! ```
//!
//! Masks are drawn in the decoder's own format and orientation, before anything else happens to the frame.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::mpsc::SyncSender;

use super::ahead::decode_ahead;
use super::clock::timed;
use super::detectors::Ask;
use super::plans;
use super::search::{SourceSample, SourceSearch};
use super::settings::{AudioChoice, ENCODER_THREADS, Settings};
use super::source::{Opened, hash, open};
use super::threads::{SharedQueue, share_out};
use super::worker::{Job, Outcome};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::encode::{AudioMode, ClipSink, EncodeSettings};
use crate::media::normalize::Normalizer;
use crate::media::photo;
use crate::plan::file::frame_table;
use crate::render::FrameMasks;
use crate::render::raster::Canvas;
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::frame::{Frame, MediaKind, Picture, SourceInfo};
use crate::types::plan::{PlanHeader, RedactionPlan, Region};
use crate::types::progress::{Continue, Observer, Phase};
use crate::types::report::VerifyReport;
use crate::types::stage::Sink;
use crate::types::time::{FrameIndex, TimeBase};
use crate::types::timing::Part;
use crate::verify::coverage::FrameDigest;
use crate::verify::sidecar::DigestWriter;

/// Starts later than this are taken for a broadcaster's running clock and moved to zero, as are starts before zero,
/// which MP4 can't tell.
const LATEST_START_SECS: f64 = 10.0;
/// Pictures of the source that wait for the networks.
const MAX_WAITING_LOOKS: usize = 1;

/// Renders the plan into `staged`, with a digest of every frame that the encoder got in `digest`.
///
/// # Errors
/// `Plan` when the source or its frames are not the plan's; everything that decoding and encoding refuse.
pub fn render(
    file: &File,
    job: &Job,
    plan: &Path,
    staged: &Path,
    digest: &Path,
    observer: &dyn Observer,
) -> Result<Outcome> {
    let plan = plans::read(plan)?;
    let settings = &job.settings;
    if hash(file)? != plan.header.source_sha256 {
        return Err(other_source("is not the file that the plan was made of (its hash differs)").at(&job.label));
    }
    let opened = open(file, &job.label, &settings.limits, settings.allow_damaged)?;
    let out = File::create(digest)
        .map_err(|e| Error::new(Stage::Render, ErrorKind::Io, "the digest can't be written").because(e))?;
    let digests = DigestWriter::new(BufWriter::new(out));
    let order = Order { file, plan: &plan, settings, staged, digests, observer };
    let rendered = match opened.source.info().kind {
        MediaKind::Photo => render_photo(opened, order),
        MediaKind::Clip => render_clip(opened, order),
    };
    rendered.map_err(|e| e.at(&job.label))
}

/// What is to be made of an opened source, and where it goes.
struct Order<'a> {
    file: &'a File,
    plan: &'a RedactionPlan,
    settings: &'a Settings,
    staged: &'a Path,
    digests: DigestWriter<BufWriter<File>>,
    observer: &'a dyn Observer,
}

fn other_source(message: &str) -> Error {
    Error::new(Stage::Plan, ErrorKind::Plan, message)
}

fn interrupted() -> Error {
    Error::new(Stage::Render, ErrorKind::Cancelled, "interrupted")
}

/// Refuses a damaged frame that the plan does not say to mask whole: somebody changed it, or another decoder made it.
fn check_damage(header: &PlanHeader, frame: &Frame) -> Result<()> {
    if !frame.damaged || header.damaged.iter().any(|span| span.contains(frame.index)) {
        return Ok(());
    }
    Err(other_source(&format!("frame {} is damaged, which the plan does not say: analyse it again", frame.index)))
}

/// Refuses a source whose frames are not those that the plan speaks of.
fn check_frames(header: &PlanHeader, pts: &[i64], info: &SourceInfo) -> Result<()> {
    if frame_table(pts, info.display()) == header.frames {
        return Ok(());
    }
    Err(other_source("has other frames than the plan speaks of: analyse it again"))
}

fn render_photo(mut opened: Opened, order: Order) -> Result<Outcome> {
    let Order { plan, settings, staged, mut digests, observer, .. } = order;
    let info = opened.source.info().clone();
    let failed = || Error::new(Stage::Decode, ErrorKind::Damaged, "holds no picture");
    let mut frame = opened.source.next_frame()?.ok_or_else(failed)?;
    check_frames(&plan.header, &[frame.pts], &info)?;
    let mut search = SourceSearch::new(settings)?;
    if let Some((picture, ask)) = SourceSample::new(plan, settings, &info).due(&frame)? {
        search.look(&picture, ask)?;
    }
    Painter::new(plan, &info, &frame).paint(&mut frame)?;
    digests.write(&FrameDigest::of(&frame))?;
    digests.finish()?;
    let format = opened.sniffed.photo_format().ok_or_else(|| {
        Error::new(Stage::Encode, ErrorKind::Unsupported, "no format is known that this photo could be written in")
    })?;
    let io = |e: std::io::Error| Error::new(Stage::Encode, ErrorKind::Io, "the output can't be written").because(e);
    let mut out = BufWriter::new(File::create(staged).map_err(io)?);
    photo::encode(&frame, format, settings.encoding.photo_quality, &mut out)?;
    out.into_inner().map_err(|e| io(e.into_error()))?.sync_all().map_err(io)?;
    if observer.progress(Phase::Render, 1, Some(1)) == Continue::Cancel {
        return Err(interrupted());
    }
    Ok(Outcome { frames: 1, verify: Some(search.report()), ..Outcome::default() })
}

/// Draws the masks of a plan into frames that come in order.
struct Painter<'a> {
    plan: &'a RedactionPlan,
    info: &'a SourceInfo,
    canvas: Canvas,
    active: ActiveRegions<'a>,
}

impl<'a> Painter<'a> {
    fn new(plan: &'a RedactionPlan, info: &'a SourceInfo, first: &Frame) -> Self {
        let canvas = Canvas::new(first.size, info.orientation, &first.layout, info.interlaced);
        Self { plan, info, canvas, active: ActiveRegions::new(&plan.regions) }
    }

    fn paint(&mut self, frame: &mut Frame) -> Result<()> {
        let regions = self.active.at(frame.index);
        let header = &self.plan.header;
        FrameMasks::of_frame(header, regions, frame.index, &self.canvas, &frame.layout, self.info.color).paint(frame)
    }
}

/// The regions that stand in a frame, for frames in order: looks at each region twice, not once a frame.
pub struct ActiveRegions<'a> {
    /// By start, latest first.
    waiting: Vec<&'a Region>,
    active: Vec<&'a Region>,
}

impl<'a> ActiveRegions<'a> {
    pub fn new(regions: &'a [Region]) -> Self {
        let mut waiting: Vec<&Region> = regions.iter().collect();
        waiting.sort_by(|a, b| (b.span.start, &b.id).cmp(&(a.span.start, &a.id)));
        Self { waiting, active: Vec::new() }
    }

    pub fn at(&mut self, frame: FrameIndex) -> impl Iterator<Item = &'a Region> + '_ {
        while let Some(region) = self.waiting.pop_if(|r| r.span.start <= frame) {
            self.active.push(region);
        }
        self.active.retain(|r| r.span.end > frame);
        self.active.iter().copied()
    }
}

/// Searches the source on a thread of its own: the encoder would wait for the networks.
fn render_clip(opened: Opened, order: Order) -> Result<Outcome> {
    let (settings, observer) = (order.settings, order.observer);
    let search = |(): &mut (), looks: &SharedQueue<(Picture, Ask)>| -> Result<VerifyReport> {
        let mut search = SourceSearch::new(settings)?;
        while let Some((picture, ask)) = looks.next() {
            timed(observer, Phase::Render, Part::Search, || search.look(&picture, ask))?;
        }
        Ok(search.report())
    };
    let (searched, rendered) =
        share_out(vec![()], MAX_WAITING_LOOKS, search, |looks| render_frames(opened, order, looks))?;
    // A search that failed ends the rendering: its error is the cause.
    let verify = searched.into_iter().collect::<Result<Vec<_>>>()?.pop();
    rendered.map(|outcome| Outcome { verify, ..outcome })
}

fn render_frames(opened: Opened, order: Order, looks: &SyncSender<(Picture, Ask)>) -> Result<Outcome> {
    let Order { file, plan, settings, staged, mut digests, observer } = order;
    let info = opened.source.info().clone();
    let mut normalizer = Normalizer::new(&info, settings.encoding.keep_depth);
    let mut outcome = Outcome::default();
    let mut sample = SourceSample::new(plan, settings, &info);
    let mut pts = Vec::new();
    std::thread::scope(|scope| {
        let frames =
            decode_ahead(scope, opened.source, settings.limits.in_flight_bytes, &info, (observer, Phase::Render))?;
        let mut painter: Option<Painter> = None;
        let mut sink: Option<ClipSink> = None;
        let mut offset = 0;
        for frame in frames {
            let mut frame = frame?;
            pts.push(frame.pts);
            check_damage(&plan.header, &frame)?;
            if let Some(look) = sample.due(&frame)? {
                looks.send(look).map_err(|_| Error::new(Stage::Render, ErrorKind::Internal, "the search stopped"))?;
            }
            let painter = painter.get_or_insert_with(|| Painter::new(plan, &info, &frame));
            let masked = timed(observer, Phase::Render, Part::Mask, || -> Result<Frame> {
                painter.paint(&mut frame)?;
                if frame.index == 0 {
                    offset = clock_offset(frame.pts, info.time_base);
                    if offset != 0 {
                        outcome.findings.push(rebased(info.time_base.secs(frame.pts)));
                    }
                }
                frame.pts -= offset;
                let frame = normalizer.apply(frame)?;
                digests.write(&FrameDigest::of(&frame))?;
                Ok(frame)
            })?;
            let done = masked.index + 1;
            timed(observer, Phase::Render, Part::Encode, || -> Result<()> {
                let sink = match &mut sink {
                    Some(sink) => sink,
                    None => {
                        let settings = encode_settings(file, settings, offset)?;
                        sink.insert(ClipSink::create(staged, normalizer.output_info(), settings)?)
                    }
                };
                sink.write(masked)
            })?;
            outcome.frames = done;
            if observer.progress(Phase::Render, done, Some(plan.header.frames.count)) == Continue::Cancel {
                return Err(interrupted());
            }
        }
        check_frames(&plan.header, &pts, &info)?;
        let sink = sink.ok_or_else(|| Error::new(Stage::Decode, ErrorKind::Damaged, "holds no frame"))?;
        timed(observer, Phase::Render, Part::Encode, || Box::new(sink).finish())
    })?;
    digests.finish()?;
    Ok(outcome)
}

/// Ticks that are taken off every timestamp of a clip whose first frame is shown at `first_pts`.
pub fn clock_offset(first_pts: i64, time_base: TimeBase) -> i64 {
    if (0.0..=LATEST_START_SECS).contains(&time_base.secs(first_pts)) { 0 } else { first_pts }
}

fn rebased(secs: f64) -> Finding {
    let message = format!("the source's clock starts at {secs:.3} s; the output starts at zero");
    Finding::new(Rule::Rebased, Severity::Note, message)
}

fn encode_settings(file: &File, settings: &Settings, rebased_by: i64) -> Result<EncodeSettings> {
    let unreadable = |e: std::io::Error| Error::new(Stage::Encode, ErrorKind::Io, "the sound can't be read").because(e);
    let audio = match &settings.encoding.audio {
        AudioChoice::None => AudioMode::None,
        AudioChoice::Keep => AudioMode::Keep(file.try_clone().map_err(unreadable)?),
        AudioChoice::File(path) => {
            AudioMode::Replace(File::open(path).map_err(|e| unreadable(e).at(path))?, path.clone())
        }
    };
    Ok(EncodeSettings {
        codec: settings.encoding.codec,
        crf: settings.encoding.crf,
        preset: settings.encoding.preset.clone(),
        threads: ENCODER_THREADS,
        audio,
        rebased_by,
    })
}
