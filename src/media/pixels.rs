//! Decoded pictures into a form whose samples can be changed in place: one format for another where needed, and
//! transparency flattened onto black, so that no hidden pixel crosses.

use ffmpeg_next::frame::Video;

use super::ffi::frame::{
    AvBuffer, FormatInfo, PixelFormat, copied, copy_properties, format_info, format_of, is_bottom_up, layout_of, strip,
    swapped_endianness,
};
use super::ffi::scale::{Filter, Scaler, Side};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{ColorInfo, ColorModel, FrameBuffer, PixelLayout};
use crate::types::geometry::Size;

/// Brings frames of one format into a maskable one.
pub struct Maskable {
    source: PixelFormat,
    layout: PixelLayout,
    scaler: Option<Scaler>,
    full_range: bool,
}

impl Maskable {
    /// For frames like `first`. Errors: `Unsupported` for formats that only live in hardware.
    pub fn new(first: &Video, color: ColorInfo, codec: &str) -> Result<Self> {
        let source = format_of(first);
        let size = Size::new(first.width(), first.height());
        let full_range = color.full_range;
        if let Some(layout) = layout_of(source) {
            return Ok(Self { source, layout, scaler: None, full_range });
        }
        let refuse = || {
            let message = format!("pixel format {source:?} cannot be read");
            Error::new(Stage::Decode, ErrorKind::Unsupported, message)
        };
        let info = format_info(source).filter(|info| !info.hardware).ok_or_else(refuse)?;
        let target = equivalent(source, &info, codec);
        let layout = layout_of(target).ok_or_else(refuse)?;
        let side = |format| Side { format, size, matrix: color.matrix, full_range };
        let scaler = Some(Scaler::new(side(source), side(target), Filter::Exact)?);
        Ok(Self { source, layout, scaler, full_range })
    }

    pub fn layout(&self) -> &PixelLayout {
        &self.layout
    }

    pub fn source(&self) -> PixelFormat {
        self.source
    }

    /// The frame with samples that can be masked in place; without a copy where it has such already.
    pub fn convert(&mut self, mut frame: Video) -> Result<AvBuffer> {
        strip(&mut frame);
        if let Some(scaler) = &mut self.scaler {
            let to = scaler.to();
            let mut converted = super::ffi::frame::allocate(to.format, to.size)?;
            scaler.run(&frame, &mut converted)?;
            copy_properties(&frame, &mut converted);
            frame = converted;
        } else if is_bottom_up(&frame) {
            frame = copied(&frame)?;
        }
        let size = Size::new(frame.width(), frame.height());
        let mut buffer = AvBuffer::new(frame, &self.layout);
        if self.layout.has_alpha {
            flatten(&mut buffer, &self.layout, size, self.full_range)?;
        }
        Ok(buffer)
    }
}

/// A describable format that keeps every pixel's value.
fn equivalent(source: PixelFormat, info: &FormatInfo, codec: &str) -> PixelFormat {
    use PixelFormat::*;
    let depth = info.components.iter().map(|c| c.depth).max().unwrap_or(8);
    if info.palette {
        // Elsewhere the palette's fourth byte is not reliably an opacity.
        return if matches!(codec, "png" | "apng" | "gif") { AV_PIX_FMT_RGBA } else { AV_PIX_FMT_RGB24 };
    }
    let swapped = swapped_endianness(source).filter(|format| info.big_endian && layout_of(*format).is_some());
    if let Some(format) = swapped {
        return format;
    }
    if source == AV_PIX_FMT_UYYVYY411 {
        return AV_PIX_FMT_YUV411P;
    }
    let alpha = info.alpha;
    let deep = depth > 8;
    match info.components.len() {
        1 | 2 if deep && !alpha => AV_PIX_FMT_GRAY16LE,
        1 | 2 if deep => AV_PIX_FMT_YA16LE,
        1 | 2 if alpha => AV_PIX_FMT_YA8,
        1 | 2 => AV_PIX_FMT_GRAY8,
        _ if info.rgb || info.bayer || info.name.starts_with("xyz") => match (deep, alpha) {
            (true, true) => AV_PIX_FMT_RGBA64LE,
            (true, false) => AV_PIX_FMT_RGB48LE,
            (false, true) => AV_PIX_FMT_RGBA,
            (false, false) => AV_PIX_FMT_RGB24,
        },
        _ => match (deep, alpha) {
            (true, true) => AV_PIX_FMT_YUVA444P16LE,
            (true, false) => AV_PIX_FMT_YUV444P16LE,
            (false, true) => AV_PIX_FMT_YUVA444P,
            (false, false) => AV_PIX_FMT_YUV444P,
        },
    }
}

/// Lays a picture with an opacity component over black and makes it opaque.
fn flatten(buffer: &mut AvBuffer, layout: &PixelLayout, size: Size, full_range: bool) -> Result<()> {
    let Some((alpha, colors)) = layout.components.split_last() else { return Ok(()) };
    let max = u32::from(alpha.max_value());
    let opacity: Vec<u32> = {
        let (plane, stride) = (buffer.plane(alpha.plane), buffer.stride(alpha.plane));
        let at =
            |x: u32, y: u32| sample(plane, y as usize * stride + x as usize * alpha.step + alpha.offset, alpha.depth);
        (0..size.height)
            .flat_map(|y| (0..size.width).map(move |x| (x, y)))
            .map(|(x, y)| at(x, y) >> alpha.shift)
            .collect()
    };
    if opacity.iter().all(|a| *a == max) {
        return Ok(());
    }
    let mut planes = buffer.planes_mut()?;
    for (index, c) in colors.iter().enumerate() {
        let black = match layout.model {
            ColorModel::Yuv if index > 0 => 1u32 << (c.depth - 1),
            ColorModel::Yuv | ColorModel::Gray if !full_range => 16 << (c.depth - 8),
            _ => 0,
        };
        let samples = c.plane_size(size);
        let (plane, stride) = &mut planes[c.plane];
        for y in 0..samples.height {
            for x in 0..samples.width {
                // Of the pixels that share a chroma sample, the first speaks for all.
                let (px, py) = (x << c.log2_sub.0, y << c.log2_sub.1);
                let a = opacity[py as usize * size.width as usize + px as usize];
                let at = y as usize * *stride + x as usize * c.step + c.offset;
                let value = sample(plane, at, c.depth) >> c.shift;
                let blended = (value * a + black * (max - a) + max / 2) / max;
                store(plane, at, c.depth, blended << c.shift);
            }
        }
    }
    let (plane, stride) = &mut planes[alpha.plane];
    for y in 0..size.height {
        for x in 0..size.width {
            store(
                plane,
                y as usize * *stride + x as usize * alpha.step + alpha.offset,
                alpha.depth,
                max << alpha.shift,
            );
        }
    }
    Ok(())
}

fn sample(plane: &[u8], at: usize, depth: u32) -> u32 {
    if depth > 8 { u16::from_le_bytes([plane[at], plane[at + 1]]).into() } else { plane[at].into() }
}

fn store(plane: &mut [u8], at: usize, depth: u32, value: u32) {
    if depth > 8 {
        plane[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    } else {
        plane[at] = value as u8;
    }
}
