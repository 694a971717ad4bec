//! Masked frames in coded orientation to upright frames as the encoder takes them.
//!
//! SDR becomes 8-bit 4:2:0 unless depth is to be kept; HDR becomes 10-bit 4:2:0. YUV keeps its matrix and range, other
//! sources become BT.709 in limited range. Sides that the chroma grid (interlaced: that of each field) does not divide get
//! their edge repeated.

use ffmpeg_next::frame::Video;

use super::ffi::frame::{AvBuffer, PixelFormat, allocate, copy_properties, format_of, layout_of, relabel};
use super::ffi::scale::{Filter, Scaler, Side};
use super::picture::{assumed_matrix, from_rgb8, orientation_source};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{ColorInfo, ColorModel, Component, Frame, FrameBuffer, PixelLayout, SourceInfo};
use crate::types::geometry::{Orientation, Size};

/// Brings frames of one source into the output layout.
pub struct Normalizer {
    info: SourceInfo,
    keep_depth: bool,
    output: SourceInfo,
    steps: Option<Steps>,
}

/// What has to be done with frames of one pixel format.
struct Steps {
    source: PixelFormat,
    /// Into a format that can be turned.
    before: Option<Conversion>,
    turn: bool,
    /// Into the output's format.
    after: Option<Conversion>,
    target: PixelFormat,
    size: Size,
}

/// A conversion of whole pictures or, for interlaced 4:2:0, of each field.
struct Conversion {
    scaler: Scaler,
    fields: bool,
    to: PixelFormat,
    size: Size,
}

impl Normalizer {
    /// `keep_depth` keeps 10 bits, 4:2:2 and 4:4:4 where the source has them.
    pub fn new(info: &SourceInfo, keep_depth: bool) -> Self {
        let mut output = info.clone();
        output.orientation = Orientation::Upright;
        output.coded = info.display();
        if info.orientation.swaps_sides() {
            let (num, den) = info.sample_aspect;
            output.sample_aspect = if num == 0 { (0, 1) } else { (den, num) };
        }
        // Turned or mirrored top to bottom, rows of one field no longer alternate as they did.
        output.interlaced &= matches!(info.orientation, Orientation::Upright | Orientation::FlipHorizontal);
        Self { info: info.clone(), keep_depth, output, steps: None }
    }

    /// What frames are after [`Self::apply`]. Size, depth and colour are exact once a first frame passed.
    pub fn output_info(&self) -> &SourceInfo {
        &self.output
    }

    /// The frame, upright and in the output layout; untouched when it is so already.
    pub fn apply(&mut self, frame: Frame) -> Result<Frame> {
        let Frame { index, pts, duration, damaged, key, layout, .. } = &frame;
        let (index, pts, duration, damaged, key, layout) = (*index, *pts, *duration, *damaged, *key, layout.clone());
        let video = if frame.buffer.as_any().is::<AvBuffer>() {
            let buffer = frame.buffer.into_any().downcast::<AvBuffer>();
            buffer.map_err(|_| super::ffi::frame::foreign_buffer())?.into_frame()
        } else {
            from_rgb8(&frame)?
        };
        self.prepare(&video, &layout)?;
        let steps = self.steps.as_mut().ok_or_else(|| internal("no conversion was prepared"))?;
        let video = steps.run(video, self.info.orientation)?;
        let size = Size::new(video.width(), video.height());
        let layout = layout_of(steps.target).ok_or_else(|| internal("the output layout cannot be described"))?;
        let buffer = Box::new(AvBuffer::new(video, &layout));
        Ok(Frame { index, pts, duration, size, layout, damaged, key, buffer })
    }

    fn prepare(&mut self, video: &Video, layout: &PixelLayout) -> Result<()> {
        let source = format_of(video);
        if self.steps.as_ref().is_some_and(|steps| steps.source == source) {
            return Ok(());
        }
        let coded = Size::new(video.width(), video.height());
        let from_color = self.info.color;
        self.output.color = if layout.model == ColorModel::Yuv { from_color } else { BT709 };
        let target = target_format(layout, from_color, self.keep_depth);
        let grid = chroma_grid(target)?;
        let display = self.info.orientation.display_size(coded);
        // Each field has a chroma grid of its own; x264 takes no others.
        let rows = if self.output.interlaced { 2 * grid.1 } else { grid.1 };
        let size = Size::new(round_up(display.width, grid.0), round_up(display.height, rows));
        self.output.coded = size;
        self.output.depth = layout_of(target).map_or(8, |l| l.components[0].depth);

        let orientation = self.info.orientation;
        let middle = middle_format(target, grid, coded, orientation);
        let same = |a, b| a == b || unlabelled(a) == b;
        let fields = self.info.interlaced;
        let output = self.output.color;
        let before = (!same(source, middle))
            .then(|| Conversion::new((source, from_color, layout), (middle, output), coded, fields))
            .transpose()?;
        let turn = orientation != Orientation::Upright || size != display;
        let after = (middle != target)
            .then(|| {
                let middle_layout =
                    layout_of(middle).ok_or_else(|| internal("the format between cannot be described"))?;
                Conversion::new((middle, output, &middle_layout), (target, output), size, self.output.interlaced)
            })
            .transpose()?;
        self.steps = Some(Steps { source, before, turn, after, target, size });
        Ok(())
    }
}

const BT709: ColorInfo = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 1 };

impl Steps {
    fn run(&mut self, mut video: Video, orientation: Orientation) -> Result<Video> {
        match &mut self.before {
            Some(conversion) => video = conversion.run(&video)?,
            None => {
                let plain = unlabelled(format_of(&video));
                relabel(&mut video, plain);
            }
        }
        if self.turn {
            let size = match &self.after {
                Some(conversion) => conversion.size,
                None => self.size,
            };
            video = turned(video, orientation, size)?;
        }
        if let Some(conversion) = &mut self.after {
            video = conversion.run(&video)?;
        }
        Ok(video)
    }
}

impl Conversion {
    fn new(
        (source, from, layout): (PixelFormat, ColorInfo, &PixelLayout),
        (to, output): (PixelFormat, ColorInfo),
        size: Size,
        interlaced: bool,
    ) -> Result<Self> {
        let rows = |format| -> Result<u32> { Ok(chroma_grid(format)?.1) };
        // Chroma of 4:2:0 belongs to one field; resampled over both, it would smear motion between them.
        let fields = interlaced && rows(source)? != rows(to)? && size.height.is_multiple_of(4);
        let part = Size::new(size.width, if fields { size.height / 2 } else { size.height });
        let is_rgb = layout.model == ColorModel::Rgb;
        let matrix = assumed_matrix(if layout.model == ColorModel::Yuv { from.matrix } else { output.matrix }, size);
        let from_side = Side { format: source, size: part, matrix, full_range: from.full_range || is_rgb };
        let to_side = Side { format: to, size: part, matrix, full_range: output.full_range };
        Ok(Self { scaler: Scaler::new(from_side, to_side, Filter::Exact)?, fields, to, size })
    }

    fn run(&mut self, from: &Video) -> Result<Video> {
        let mut to = allocate(self.to, self.size)?;
        if self.fields {
            self.scaler.run_rows(from, &mut to, 0, 2)?;
            self.scaler.run_rows(from, &mut to, 1, 2)?;
        } else {
            self.scaler.run(from, &mut to)?;
        }
        copy_properties(from, &mut to);
        Ok(to)
    }
}

/// The format that is encoded.
fn target_format(layout: &PixelLayout, color: ColorInfo, keep_depth: bool) -> PixelFormat {
    use PixelFormat::*;
    let depth = layout.components[0].depth;
    let deep = depth > 8 && (keep_depth || color.is_hdr());
    let chroma = match layout.model {
        ColorModel::Yuv => layout.components[1].log2_sub,
        ColorModel::Rgb => (0, 0),
        ColorModel::Gray => (1, 1),
    };
    match (if keep_depth { chroma } else { (1, 1) }, deep) {
        ((0, 0), false) => AV_PIX_FMT_YUV444P,
        ((0, 0), true) => AV_PIX_FMT_YUV444P10LE,
        ((1, 0), false) => AV_PIX_FMT_YUV422P,
        ((1, 0), true) => AV_PIX_FMT_YUV422P10LE,
        (_, false) => AV_PIX_FMT_YUV420P,
        (_, true) => AV_PIX_FMT_YUV420P10LE,
    }
}

/// The format in which planes are turned: the target's, unless turning breaks its chroma grid.
fn middle_format(target: PixelFormat, grid: (u32, u32), coded: Size, orientation: Orientation) -> PixelFormat {
    let odd = !coded.width.is_multiple_of(grid.0.max(grid.1)) || !coded.height.is_multiple_of(grid.0.max(grid.1));
    let swaps_grid = orientation.swaps_sides() && grid.0 != grid.1;
    if orientation == Orientation::Upright || !(odd || swaps_grid) {
        return target;
    }
    match layout_of(target).map_or(8, |l| l.components[0].depth) {
        8 => PixelFormat::AV_PIX_FMT_YUV444P,
        _ => PixelFormat::AV_PIX_FMT_YUV444P10LE,
    }
}

/// The format without the old label for full range.
fn unlabelled(format: PixelFormat) -> PixelFormat {
    use PixelFormat::*;
    match format {
        AV_PIX_FMT_YUVJ420P => AV_PIX_FMT_YUV420P,
        AV_PIX_FMT_YUVJ422P => AV_PIX_FMT_YUV422P,
        AV_PIX_FMT_YUVJ444P => AV_PIX_FMT_YUV444P,
        other => other,
    }
}

/// Pixels per chroma sample, horizontally and vertically.
fn chroma_grid(format: PixelFormat) -> Result<(u32, u32)> {
    let layout = layout_of(format).ok_or_else(|| internal("a pixel format cannot be described"))?;
    let (x, y) = layout.log2_grid();
    Ok((1 << x, 1 << y))
}

fn round_up(side: u32, grid: u32) -> u32 {
    side.div_ceil(grid) * grid
}

/// The picture upright, with its right and bottom edges repeated up to `size`.
fn turned(video: Video, orientation: Orientation, size: Size) -> Result<Video> {
    let format = format_of(&video);
    let layout = layout_of(format).ok_or_else(|| internal("a pixel format cannot be described"))?;
    let coded = Size::new(video.width(), video.height());
    let from = AvBuffer::new(video, &layout);
    let mut to = AvBuffer::new(allocate(format, size)?, &layout);
    let mut planes = to.planes_mut()?;
    for c in &layout.components {
        let (plane, stride) = &mut planes[c.plane];
        let source = (from.plane(c.plane), from.stride(c.plane), c.plane_size(coded));
        turn_plane(source, (plane, *stride, c.plane_size(size)), orientation, c);
    }
    drop(planes);
    let mut video = to.into_frame();
    copy_properties(from.frame(), &mut video);
    Ok(video)
}

type PlaneOf<'a> = (&'a [u8], usize, Size);
type PlaneMutOf<'a> = (&'a mut [u8], usize, Size);

/// Turns one planar component; bytes per sample are its step.
fn turn_plane(from: PlaneOf, to: PlaneMutOf, orientation: Orientation, component: &Component) {
    match component.step {
        1 => turn_samples::<1>(from, to, orientation),
        _ => turn_samples::<2>(from, to, orientation),
    }
}

fn turn_samples<const BYTES: usize>(from: PlaneOf, to: PlaneMutOf, orientation: Orientation) {
    /// Side of the squares that are turned one after the other, so that columns stay in the cache.
    const TILE: u32 = 32;
    let (from, from_stride, coded) = from;
    let (to, to_stride, size) = to;
    let display = orientation.display_size(coded);
    for tile_y in (0..size.height).step_by(TILE as usize) {
        for tile_x in (0..size.width).step_by(TILE as usize) {
            for y in tile_y..size.height.min(tile_y + TILE) {
                for x in tile_x..size.width.min(tile_x + TILE) {
                    let (ux, uy) = (x.min(display.width - 1), y.min(display.height - 1));
                    let (cx, cy) = orientation_source(orientation, ux, uy, coded);
                    let source = cy as usize * from_stride + cx as usize * BYTES;
                    let target = y as usize * to_stride + x as usize * BYTES;
                    to[target..target + BYTES].copy_from_slice(&from[source..source + BYTES]);
                }
            }
        }
    }
}

fn internal(message: &str) -> Error {
    Error::new(Stage::Encode, ErrorKind::Internal, message)
}
