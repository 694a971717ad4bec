//! The plan as a file: JSON Lines. First the header, then one region a line, last a line that counts them, so that a
//! file that was cut off is told from a whole one. Written and read line by line: ten hours need no more memory than
//! the longest region.

use std::collections::HashSet;
use std::io::{BufRead, Read, Write};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::geometry::{Quad, Rect, Size};
use crate::types::plan::{Decision, FrameSteps, FrameTable, PLAN_VERSION, PlanHeader, RedactionPlan, Region};
use crate::types::time::FrameSpan;

/// What the header's `kind` says.
pub const PLAN_KIND: &str = "withhold-plan";
/// What the last line's `kind` says.
pub const PLAN_END_KIND: &str = "withhold-plan-end";
/// Longest line that is read or written, bytes.
pub const MAX_LINE_BYTES: usize = 64 << 20;
/// Longest id and reason, bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Last line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanEnd {
    /// Always `withhold-plan-end`.
    pub kind: String,
    /// Number of region lines.
    pub regions: u64,
}

/// Digest of a frame table, as plans hold it.
pub fn frame_table(pts: &[i64], display: Size) -> FrameTable {
    let mut hash = Sha256::new();
    for p in pts {
        hash.update(p.to_le_bytes());
    }
    hash.update(display.width.to_le_bytes());
    hash.update(display.height.to_le_bytes());
    let sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let mut steps: Vec<FrameSteps> = Vec::new();
    for pair in pts.windows(2) {
        let ticks = pair[1] - pair[0];
        match steps.last_mut() {
            Some(last) if last.ticks == ticks => last.frames += 1,
            _ => steps.push(FrameSteps { frames: 1, ticks }),
        }
    }
    let first_pts = pts.first().copied().unwrap_or(0);
    FrameTable { count: pts.len() as u64, sha256, display, first_pts, steps }
}

/// JSON Schema of the lines of a plan: `header` of the first, `region` of those between, `end` of the last.
pub fn schema() -> serde_json::Value {
    let mut generator = SchemaGenerator::default();
    let lines: [(&str, Schema); 3] = [
        ("header", generator.subschema_for::<PlanHeader>()),
        ("region", generator.subschema_for::<Region>()),
        ("end", generator.subschema_for::<PlanEnd>()),
    ];
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "withhold redaction plan, a JSON Lines file: header, regions, end",
        "anyOf": lines.map(|(_, schema)| schema),
        "$defs": generator.take_definitions(true),
    })
}

fn malformed(line: u64, message: impl std::fmt::Display) -> Error {
    Error::new(Stage::Plan, ErrorKind::Plan, format!("line {line} of the plan: {message}"))
}

/// Writes a plan line by line; [`PlanWriter::finish`] makes it whole.
pub struct PlanWriter<W: Write> {
    out: W,
    regions: u64,
}

impl<W: Write> PlanWriter<W> {
    pub fn new(out: W, header: &PlanHeader) -> Result<Self> {
        let mut writer = Self { out, regions: 0 };
        writer.line(header)?;
        Ok(writer)
    }

    pub fn region(&mut self, region: &Region) -> Result<()> {
        self.regions += 1;
        self.line(region)
    }

    /// Writes the last line and flushes.
    pub fn finish(mut self) -> Result<W> {
        self.line(&PlanEnd { kind: PLAN_END_KIND.into(), regions: self.regions })?;
        self.out.flush().map_err(unwritten)?;
        Ok(self.out)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(value)
            .map_err(|e| Error::new(Stage::Plan, ErrorKind::Internal, "a line of the plan has no JSON").because(e))?;
        if text.len() > MAX_LINE_BYTES {
            let message = format!("a line of the plan has {} bytes, the limit is {MAX_LINE_BYTES}", text.len());
            return Err(Error::new(Stage::Plan, ErrorKind::Limit, message));
        }
        text.push(b'\n');
        self.out.write_all(&text).map_err(unwritten)
    }
}

fn unwritten(e: std::io::Error) -> Error {
    Error::new(Stage::Plan, ErrorKind::Io, "the plan cannot be written").because(e)
}

/// Writes a whole plan.
pub fn write_to(plan: &RedactionPlan, out: impl Write) -> Result<()> {
    let mut writer = PlanWriter::new(out, &plan.header)?;
    plan.regions.iter().try_for_each(|r| writer.region(r))?;
    writer.finish().map(drop)
}

/// Reads a plan line by line and checks each; an iterator over its regions. It ends well only behind the last line:
/// whoever stops early has not read a whole plan.
pub struct PlanReader<'a, R: BufRead> {
    input: R,
    header: PlanHeader,
    pts: Option<&'a [i64]>,
    ids: HashSet<String>,
    line: u64,
    over: bool,
}

impl<R: BufRead> PlanReader<'_, R> {
    /// Reads and checks the header.
    pub fn new(mut input: R) -> Result<Self> {
        let text = read_line(&mut input, 1)?.ok_or_else(|| malformed(1, "the file is empty"))?;
        let header: PlanHeader = parse(&text, 1)?;
        check_header(&header)?;
        Ok(Self { input, header, pts: None, ids: HashSet::new(), line: 1, over: false })
    }

    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// Also checks all that follows against the source's frame table; refuses another source's.
    pub fn with_frames<'b>(self, pts: &'b [i64], display: Size) -> Result<PlanReader<'b, R>> {
        let Self { input, header, ids, line, over, .. } = self;
        if frame_table(pts, display) != header.frames {
            let message = format!(
                "the plan is of {} frames of {}x{} at certain times, the source has {} of {}x{} or other times",
                header.frames.count,
                header.frames.display.width,
                header.frames.display.height,
                pts.len(),
                display.width,
                display.height
            );
            return Err(malformed(1, message));
        }
        Ok(PlanReader { input, header, pts: Some(pts), ids, line, over })
    }

    fn next_region(&mut self) -> Result<Option<Region>> {
        self.line += 1;
        let line = self.line;
        let text = read_line(&mut self.input, line)?
            .ok_or_else(|| malformed(line, "it ends without its last line; it was cut off"))?;
        // A region line never has a `kind`.
        if let Ok(end) = serde_json::from_str::<PlanEnd>(&text) {
            self.check_end(&end)?;
            return Ok(None);
        }
        let region: Region = parse(&text, line)?;
        check_region(&region, &self.header, self.pts).map_err(|m| malformed(line, m))?;
        if !self.ids.insert(region.id.clone()) {
            return Err(malformed(line, format!("region id '{}' is used twice", region.id)));
        }
        Ok(Some(region))
    }

    fn check_end(&mut self, end: &PlanEnd) -> Result<()> {
        let found = self.ids.len() as u64;
        if end.kind != PLAN_END_KIND {
            return Err(malformed(self.line, format!("kind '{}' is unknown", end.kind)));
        }
        if end.regions != found {
            let message =
                format!("it counts {} regions, the plan has {found}; correct the one or the other", end.regions);
            return Err(malformed(self.line, message));
        }
        match read_line(&mut self.input, self.line + 1)? {
            Some(_) => Err(malformed(self.line + 1, "nothing may follow the last line")),
            None => Ok(()),
        }
    }
}

impl<R: BufRead> Iterator for PlanReader<'_, R> {
    type Item = Result<Region>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.next_region().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads a whole plan into memory; checked against the source's frame table when `frames` is given.
pub fn read_from(input: impl BufRead, frames: Option<(&[i64], Size)>) -> Result<RedactionPlan> {
    let mut reader = PlanReader::new(input)?;
    if let Some((pts, display)) = frames {
        reader = reader.with_frames(pts, display)?;
    }
    let regions = reader.by_ref().collect::<Result<Vec<_>>>()?;
    Ok(RedactionPlan { header: reader.header, regions })
}

/// The next line without its end; `None` at the end of the file.
fn read_line(input: &mut impl BufRead, line: u64) -> Result<Option<String>> {
    let mut bytes = Vec::new();
    input
        .take(MAX_LINE_BYTES as u64 + 2)
        .read_until(b'\n', &mut bytes)
        .map_err(|e| Error::new(Stage::Plan, ErrorKind::Io, "the plan cannot be read").because(e))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > MAX_LINE_BYTES {
        return Err(malformed(line, format!("it has more than {MAX_LINE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| malformed(line, "it is not UTF-8"))
}

fn parse<T: DeserializeOwned>(text: &str, line: u64) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        // The parser counts lines inside the one it was given; only the column tells.
        let why = e.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        malformed(line, format!("{why} (column {})", e.column()))
    })
}

fn check_header(header: &PlanHeader) -> Result<()> {
    let hex = |s: &str| s.len() == 64 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let wrong = if header.kind != PLAN_KIND {
        format!("kind is '{}', not '{PLAN_KIND}'", header.kind)
    } else if header.version != PLAN_VERSION {
        format!("version is {}, this program reads {PLAN_VERSION}; analyse the source again", header.version)
    } else if !hex(&header.source_sha256) || !hex(&header.frames.sha256) {
        "a sha256 is not 64 lower-case hex digits".to_owned()
    } else if header.models.iter().any(|m| !hex(&m.sha256)) {
        "the sha256 of a model is not 64 lower-case hex digits".to_owned()
    } else if header.frames.count == 0 || header.frames.display.pixels() == 0 {
        "the frame table is empty".to_owned()
    } else if header.frames.pts().is_none_or(|pts| frame_table(&pts, header.frames.display) != header.frames) {
        "the frame table's times are not those of its sha256".to_owned()
    } else if header.frames.display != header.source.display() {
        "the size of the frame table is not that of the source".to_owned()
    } else if header.source.time_base.num <= 0 || header.source.time_base.den <= 0 {
        "the time base is not positive".to_owned()
    } else if !header.damaged.iter().all(|s| is_within(*s, header)) {
        "a damaged span is empty or beyond the frame table".to_owned()
    } else if !header.scene_cuts.is_sorted_by(|a, b| a < b)
        || header.scene_cuts.iter().any(|c| *c >= header.frames.count)
    {
        "scene cuts are not ascending or beyond the frame table".to_owned()
    } else {
        return Ok(());
    };
    Err(malformed(1, wrong))
}

fn is_within(span: FrameSpan, header: &PlanHeader) -> bool {
    !span.is_empty() && span.end <= header.frames.count
}

/// Lengths of the picture's longer side by which masks may reach beyond it: they do, but not by several pictures.
const MAX_REACH: f32 = 4.0;

/// Whether corners are numbers not further from the picture than `reach` of its longer sides.
fn is_sane(quad: &Quad, display: Size, reach: f32) -> bool {
    let side = display.long_side() as f32;
    let near = |v: f32| v.is_finite() && (-reach * side - 64.0..=(reach + 1.0) * side + 64.0).contains(&v);
    quad.corners.iter().all(|p| near(p.x) && near(p.y))
}

/// The quad, or where it has corners that readers might refuse, a rectangle nearer to the picture that holds all that the
/// quad has in it.
pub(super) fn brought_near(quad: &Quad, display: Size) -> Quad {
    // Fewer keyframes are had for a little growth.
    if is_sane(quad, display, MAX_REACH - 1.0) || !quad.is_finite() {
        return *quad;
    }
    let side = display.long_side() as f32;
    let bounds = quad.bounds();
    let near = bounds.intersection(Rect::new(-side, -side, 3.0 * side, 3.0 * side)).unwrap_or_else(|| {
        let center = bounds.center();
        Rect::new(center.x.clamp(-side, 2.0 * side), center.y.clamp(-side, 2.0 * side), 0.0, 0.0)
    });
    // A quad without area is none.
    Rect { width: near.width.max(1.0), height: near.height.max(1.0), ..near }.into()
}

fn check_region(region: &Region, header: &PlanHeader, pts: Option<&[i64]>) -> Result<(), String> {
    let id = &region.id;
    let fail = |why: String| Err(format!("region '{}': {why}", id.chars().take(64).collect::<String>()));
    if id.is_empty() || id.len() > MAX_TEXT_BYTES || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return fail("its id must be letters and digits".into());
    }
    if let Decision::Keep { reason, .. } = &region.decision
        && (reason.trim().is_empty() || reason.len() > MAX_TEXT_BYTES)
    {
        return fail("to keep it, a reason must be given".into());
    }
    if region.tone > 15 {
        return fail(format!("tone {} is above 15", region.tone));
    }
    if !is_within(region.span, header) {
        let FrameSpan { start, end } = region.span;
        return fail(format!("span {start}..{end} is empty or beyond the {} frames", header.frames.count));
    }
    if region.keyframes.is_empty() {
        return fail("it has no keyframe".into());
    }
    if !region.keyframes.is_sorted_by(|a, b| a.frame < b.frame) {
        return fail("its keyframes are not ascending".into());
    }
    for key in &region.keyframes {
        let at = key.frame;
        if !region.span.contains(at) {
            return fail(format!("keyframe {at} lies outside of its span"));
        }
        if !is_sane(&key.quad, header.frames.display, MAX_REACH) {
            return fail(format!("keyframe {at} has corners that are far from the picture"));
        }
        if !key.quad.is_convex() {
            return fail(format!("keyframe {at} has corners that enclose no area or cross"));
        }
        if !(0.0..=1.0).contains(&key.score) {
            return fail(format!("keyframe {at} has score {}, which is not between 0 and 1", key.score));
        }
        if let Some(due) = pts.and_then(|p| p.get(at as usize)).filter(|due| **due != key.pts) {
            return fail(format!("keyframe {at} has pts {}, the source has {due} there", key.pts));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
