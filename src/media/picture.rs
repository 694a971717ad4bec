//! Small upright RGB pictures for analysis.

use ffmpeg_next::frame::Video;

use super::ffi::frame::{AvBuffer, PixelFormat, allocate, foreign_buffer, format_of};
use super::ffi::scale::{Filter, Scaler, Side};
use crate::error::Result;
use crate::types::frame::{ColorInfo, ColorModel, Frame, FrameBuffer, Picture, PixelLayout, SourceInfo};
use crate::types::geometry::{Orientation, Size};

/// Turns frames of one source into pictures.
pub struct AnalysisScaler {
    orientation: Orientation,
    color: ColorInfo,
    /// Size in coded orientation.
    target: Size,
    coded: Size,
    scaler: Option<Scaler>,
}

impl AnalysisScaler {
    /// Pictures whose long side is at most `max_side`; smaller sources keep their size. The sample aspect ratio is
    /// ignored: display space is in pixels.
    pub fn new(info: &SourceInfo, max_side: u32) -> Self {
        let coded = info.coded;
        let long = coded.width.max(coded.height).max(1);
        let factor = (f64::from(max_side.max(1)) / f64::from(long)).min(1.0);
        let scaled = |side: u32| ((f64::from(side) * factor).round() as u32).clamp(1, max_side.max(1));
        let target = Size::new(scaled(coded.width), scaled(coded.height));
        Self { orientation: info.orientation, color: info.color, target, coded, scaler: None }
    }

    /// The picture of a frame of the source: of FFmpeg's memory, or packed RGB. Errors: `Internal` for other frames.
    pub fn picture(&mut self, frame: &Frame) -> Result<Picture> {
        let copy;
        let video = match frame.buffer.as_any().downcast_ref::<AvBuffer>() {
            Some(buffer) => buffer.frame(),
            None => {
                copy = from_rgb8(frame)?;
                &copy
            }
        };
        let size = Size::new(video.width(), video.height());
        let from = Side {
            format: format_of(video),
            size,
            matrix: assumed_matrix(self.color.matrix, size),
            full_range: self.color.full_range || frame.layout.model == ColorModel::Rgb,
        };
        let to = Side { format: PixelFormat::AV_PIX_FMT_RGB24, size: self.target, matrix: 1, full_range: true };
        let scaler = match self.scaler.take() {
            Some(scaler) if scaler.from() == from => self.scaler.insert(scaler),
            _ => self.scaler.insert(Scaler::new(from, to, Filter::Fast)?),
        };
        let mut small = allocate(to.format, to.size)?;
        scaler.run(video, &mut small)?;
        let buffer = AvBuffer::new(small, &PixelLayout::rgb8());
        let data = upright(buffer.plane(0), buffer.stride(0), self.target, self.orientation);
        let scale = self.coded.width.max(self.coded.height) as f32 / self.target.width.max(self.target.height) as f32;
        Ok(Picture::new(self.orientation.display_size(self.target), data, scale))
    }
}

/// The matrix to assume for pixels whose source tells none: what players do.
pub(super) fn assumed_matrix(matrix: u8, size: Size) -> u8 {
    let is_hd = size.height.min(size.width) > 576 || size.height.max(size.width) >= 1280;
    match matrix {
        0 | 2 | 3 if is_hd => 1,
        0 | 2 | 3 => 5,
        told => told,
    }
}

/// A packed RGB frame in memory of FFmpeg: the scaler reads a little past the end of rows.
pub(super) fn from_rgb8(frame: &Frame) -> Result<Video> {
    if frame.layout != PixelLayout::rgb8() {
        return Err(foreign_buffer());
    }
    let mut buffer = AvBuffer::new(allocate(PixelFormat::AV_PIX_FMT_RGB24, frame.size)?, &frame.layout);
    let row = frame.size.width as usize * 3;
    let (from, from_stride) = (frame.buffer.plane(0), frame.buffer.stride(0));
    for (to, to_stride) in buffer.planes_mut()? {
        for y in 0..frame.size.height as usize {
            to[y * to_stride..][..row].copy_from_slice(&from[y * from_stride..][..row]);
        }
    }
    Ok(buffer.into_frame())
}

/// Packed RGB rows, turned upright.
fn upright(rows: &[u8], stride: usize, size: Size, orientation: Orientation) -> Vec<u8> {
    let display = orientation.display_size(size);
    let mut data = Vec::with_capacity(display.pixels() as usize * 3);
    for y in 0..display.height {
        if orientation == Orientation::Upright {
            data.extend_from_slice(&rows[y as usize * stride..][..size.width as usize * 3]);
            continue;
        }
        for x in 0..display.width {
            let (cx, cy) = orientation_source(orientation, x, y, size);
            data.extend_from_slice(&rows[cy as usize * stride + cx as usize * 3..][..3]);
        }
    }
    data
}

/// Sample of a coded plane of `size` that shows at (x, y) of the upright one.
pub(super) fn orientation_source(orientation: Orientation, x: u32, y: u32, size: Size) -> (u32, u32) {
    let (right, bottom) = (size.width - 1, size.height - 1);
    match orientation {
        Orientation::Upright => (x, y),
        Orientation::FlipHorizontal => (right - x, y),
        Orientation::Rotate180 => (right - x, bottom - y),
        Orientation::FlipVertical => (x, bottom - y),
        Orientation::Transpose => (y, x),
        Orientation::Rotate90 => (y, bottom - x),
        Orientation::Transverse => (right - y, bottom - x),
        Orientation::Rotate270 => (right - y, x),
    }
}
