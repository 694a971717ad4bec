//! Decoded pictures: their memory as our buffer, their pixel formats as our layouts.

use std::any::Any;
use std::ffi::c_int;
use std::{ptr, slice};

use ffmpeg_next::ffi as sys;
use ffmpeg_next::frame::Video;

use super::{error, string};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::frame::{ColorInfo, ColorModel, Component, FrameBuffer, PixelLayout};
use crate::types::geometry::Size;

/// A pixel format of FFmpeg.
pub use sys::AVPixelFormat as PixelFormat;

/// The pixel format of a frame.
pub fn format_of(frame: &Video) -> PixelFormat {
    // SAFETY: the frame is valid while borrowed; the value was set by the library whose headers the bindings were made
    // from, and its range is checked.
    unsafe {
        let raw = (*frame.as_ptr()).format;
        if raw < 0 || raw >= PixelFormat::AV_PIX_FMT_NB as c_int {
            return PixelFormat::AV_PIX_FMT_NONE;
        }
        std::mem::transmute::<c_int, PixelFormat>(raw)
    }
}

/// What FFmpeg knows of a pixel format.
#[derive(Clone, Debug)]
pub struct FormatInfo {
    pub name: String,
    pub palette: bool,
    pub bitstream: bool,
    pub big_endian: bool,
    pub hardware: bool,
    pub bayer: bool,
    pub float: bool,
    pub rgb: bool,
    pub alpha: bool,
    pub components: Vec<Component>,
}

/// `None` for values that are no pixel format.
pub fn format_info(format: PixelFormat) -> Option<FormatInfo> {
    // SAFETY: the call takes any value and returns null or a static descriptor.
    let descriptor = unsafe { sys::av_pix_fmt_desc_get(format).as_ref() }?;
    let flag = |f: c_int| descriptor.flags & f as u64 != 0;
    let rgb = flag(sys::AV_PIX_FMT_FLAG_RGB);
    let component = |(i, c): (usize, &sys::AVComponentDescriptor)| {
        let chroma = !rgb && (i == 1 || i == 2) && descriptor.nb_components >= 3;
        let log2_sub = if chroma { (descriptor.log2_chroma_w.into(), descriptor.log2_chroma_h.into()) } else { (0, 0) };
        Component {
            plane: c.plane as usize,
            step: c.step as usize,
            offset: c.offset as usize,
            shift: c.shift as u32,
            depth: c.depth as u32,
            log2_sub,
        }
    };
    Some(FormatInfo {
        // SAFETY: names of descriptors are static strings.
        name: unsafe { string(descriptor.name) },
        palette: flag(sys::AV_PIX_FMT_FLAG_PAL),
        bitstream: flag(sys::AV_PIX_FMT_FLAG_BITSTREAM),
        big_endian: flag(sys::AV_PIX_FMT_FLAG_BE),
        hardware: flag(sys::AV_PIX_FMT_FLAG_HWACCEL),
        bayer: flag(sys::AV_PIX_FMT_FLAG_BAYER),
        float: flag(sys::AV_PIX_FMT_FLAG_FLOAT),
        rgb,
        alpha: flag(sys::AV_PIX_FMT_FLAG_ALPHA),
        components: descriptor.comp[..usize::from(descriptor.nb_components)]
            .iter()
            .enumerate()
            .map(component)
            .collect(),
    })
}

/// The same format in the other byte order.
pub fn swapped_endianness(format: PixelFormat) -> Option<PixelFormat> {
    // SAFETY: the call takes any value.
    let swapped = unsafe { sys::av_pix_fmt_swap_endianness(format) };
    (swapped != PixelFormat::AV_PIX_FMT_NONE).then_some(swapped)
}

/// The memory layout of a format whose samples can be changed in place; `None` for the others.
pub fn layout_of(format: PixelFormat) -> Option<PixelLayout> {
    let info = format_info(format)?;
    if info.palette || info.bitstream || info.hardware || info.bayer || info.float {
        return None;
    }
    // Its desc lists Y as evenly spaced, which it is not; XYZ has three components that are no RGB.
    if format == PixelFormat::AV_PIX_FMT_UYYVYY411 || info.name.starts_with("xyz") {
        return None;
    }
    let word = |c: &Component| if c.depth > 8 { 2 } else { 1 };
    let describable = |c: &Component| {
        if c.depth > 8 { !info.big_endian && c.depth + c.shift <= 16 } else { c.depth == 8 && c.shift == 0 }
    };
    let apart =
        |a: &Component, b: &Component| a.plane != b.plane || a.offset.abs_diff(b.offset) >= word(a).max(word(b));
    let c = &info.components;
    let all_apart = (0..c.len()).all(|i| (i + 1..c.len()).all(|j| apart(&c[i], &c[j])));
    if c.is_empty() || !all_apart || !c.iter().all(describable) {
        return None;
    }
    let model = match c.len() {
        1 | 2 => ColorModel::Gray,
        _ if info.rgb => ColorModel::Rgb,
        _ => ColorModel::Yuv,
    };
    Some(PixelLayout { model, components: info.components, has_alpha: info.alpha })
}

/// A fresh picture of the given format.
pub fn allocate(format: PixelFormat, size: Size) -> Result<Video> {
    let mut frame = Video::empty();
    // SAFETY: the frame is ours and blank; the call checks the values.
    let code = unsafe {
        let raw = frame.as_mut_ptr();
        (*raw).format = format as c_int;
        (*raw).width = size.width as c_int;
        (*raw).height = size.height as c_int;
        sys::av_frame_get_buffer(raw, 0)
    };
    if code < 0 { Err(error(Stage::Decode, ErrorKind::Io, "no memory for a frame", code)) } else { Ok(frame) }
}

/// Takes over what belongs to the frame as a whole (times, field order, aspect ratio), without side data.
pub fn copy_properties(from: &Video, to: &mut Video) {
    // SAFETY: both frames are valid and distinct.
    unsafe { sys::av_frame_copy_props(to.as_mut_ptr(), from.as_ptr()) };
    strip(to);
}

/// A copy with rows from top to bottom in memory of its own.
pub fn copied(frame: &Video) -> Result<Video> {
    let mut copy = allocate(format_of(frame), Size::new(frame.width(), frame.height()))?;
    // SAFETY: both frames are valid, of the same format and size.
    let code = unsafe { sys::av_frame_copy(copy.as_mut_ptr(), frame.as_ptr()) };
    if code < 0 {
        return Err(error(Stage::Decode, ErrorKind::Internal, "cannot copy a frame", code));
    }
    copy_properties(frame, &mut copy);
    Ok(copy)
}

/// Whether rows lie bottom up in memory.
pub fn is_bottom_up(frame: &Video) -> bool {
    // SAFETY: the frame is valid while borrowed.
    unsafe { (*frame.as_ptr()).linesize.iter().any(|stride| *stride < 0) }
}

/// Removes side data, metadata and the decoder's picture type: nothing but pixels and times is left.
pub fn strip(frame: &mut Video) {
    // SAFETY: the frame is ours; side data kinds are the frame's own, and each removal shortens the list.
    unsafe {
        let raw = frame.as_mut_ptr();
        while (*raw).nb_side_data > 0 {
            let kind = (**(*raw).side_data).type_;
            sys::av_frame_remove_side_data(raw, kind);
        }
        sys::av_dict_free(&mut (*raw).metadata);
        (*raw).pict_type = sys::AVPictureType::AV_PICTURE_TYPE_NONE;
    }
}

/// Best timestamp of a decoded frame, in ticks of its stream.
pub fn best_timestamp(frame: &Video) -> Option<i64> {
    frame.timestamp()
}

/// The display matrix that the decoder attached, if any.
pub fn display_matrix(frame: &Video) -> Option<[i32; 9]> {
    // SAFETY: the frame is valid while borrowed; data and size belong together.
    unsafe {
        let kind = sys::AVFrameSideDataType::AV_FRAME_DATA_DISPLAYMATRIX;
        let data = sys::av_frame_get_side_data(frame.as_ptr(), kind).as_ref()?;
        super::demux::matrix_of(slice::from_raw_parts(data.data, data.size as usize))
    }
}

/// Colour tags of a frame; `full_range` is false when it is not told.
pub fn color_of(frame: &Video) -> (ColorInfo, bool) {
    // SAFETY: the frame is valid while borrowed; the enums are read as numbers, since files may carry unknown ones.
    unsafe {
        let raw = frame.as_ptr();
        let number = |p: *const u32| u8::try_from(p.read()).unwrap_or(2);
        let range = number(ptr::addr_of!((*raw).color_range).cast());
        let color = ColorInfo {
            primaries: number(ptr::addr_of!((*raw).color_primaries).cast()),
            transfer: number(ptr::addr_of!((*raw).color_trc).cast()),
            matrix: number(ptr::addr_of!((*raw).colorspace).cast()),
            full_range: range == 2,
            chroma_location: number(ptr::addr_of!((*raw).chroma_location).cast()),
        };
        (color, range != 0)
    }
}

/// Sample aspect ratio of a frame, 0/1 when not known.
pub fn sample_aspect(frame: &Video) -> (i32, i32) {
    let ratio = frame.aspect_ratio();
    (ratio.numerator(), ratio.denominator())
}

/// Sets what an encoder reads from each frame.
pub fn set_times(frame: &mut Video, pts: i64, duration: i64) {
    frame.set_pts(Some(pts));
    // SAFETY: the frame is ours.
    unsafe {
        let raw = frame.as_mut_ptr();
        #[cfg(ffmpeg_6_1)]
        {
            (*raw).duration = duration;
        }
        #[cfg(not(ffmpeg_6_1))]
        {
            (*raw).pkt_duration = duration;
        }
    }
}

/// Sets the format of a frame to an equivalent one of the same memory layout.
pub fn relabel(frame: &mut Video, format: PixelFormat) {
    // SAFETY: the frame is ours; callers pass formats of the same layout (yuvj420p and yuv420p, ...).
    unsafe { (*frame.as_mut_ptr()).format = format as c_int };
}

/// A second reference to the same picture memory; writing to either copies first.
pub fn shared(frame: &Video) -> Result<Video> {
    let mut second = Video::empty();
    // SAFETY: the new frame is blank, the old one valid and reference-counted.
    let code = unsafe { sys::av_frame_ref(second.as_mut_ptr(), frame.as_ptr()) };
    if code < 0 { Err(error(Stage::Decode, ErrorKind::Io, "no memory for a frame", code)) } else { Ok(second) }
}

/// Frame memory of FFmpeg, perhaps still shared with its decoder.
pub struct AvBuffer {
    frame: Video,
    /// Bytes of a row and number of rows, by plane.
    planes: Vec<(usize, usize)>,
}

impl AvBuffer {
    /// `layout` must be the one of the frame's format ([`layout_of`]), and rows must run from top to bottom.
    pub fn new(frame: Video, layout: &PixelLayout) -> Self {
        assert!(!is_bottom_up(&frame), "rows must run from top to bottom");
        let size = Size::new(frame.width(), frame.height());
        let count = layout.components.iter().map(|c| c.plane + 1).max().unwrap_or(0);
        let mut planes = vec![(0, 0); count];
        for c in &layout.components {
            let samples = c.plane_size(size);
            let word = if c.depth > 8 { 2 } else { 1 };
            let row = (samples.width as usize).saturating_sub(1) * c.step + c.offset + word;
            let plane = &mut planes[c.plane];
            *plane = (plane.0.max(row), plane.1.max(samples.height as usize));
        }
        Self { frame, planes }
    }

    pub fn frame(&self) -> &Video {
        &self.frame
    }

    pub fn into_frame(self) -> Video {
        self.frame
    }

    /// Bytes that may be read or written from the plane's first sample on: whole rows where the memory has them.
    fn length(&self, index: usize) -> usize {
        let (row, rows) = self.planes[index];
        let stride = self.stride(index);
        // SAFETY: the frame is valid; a plane's buffer, where found, holds its data pointer.
        let available = unsafe {
            let raw = self.frame.as_ptr().cast_mut();
            let buffer = sys::av_frame_get_plane_buffer(raw, index as c_int).as_ref();
            buffer.map(|b| (b.data as usize + b.size as usize) - (*raw).data[index] as usize)
        };
        let needed = if rows == 0 { 0 } else { stride * (rows - 1) + row };
        needed.max((stride * rows).min(available.unwrap_or(needed)))
    }

    fn data(&self, index: usize) -> *mut u8 {
        // SAFETY: the frame is valid.
        unsafe { (*self.frame.as_ptr()).data[index] }
    }
}

impl FrameBuffer for AvBuffer {
    fn plane(&self, index: usize) -> &[u8] {
        // SAFETY: the plane holds that many bytes, see `length`, and lives as long as the frame.
        unsafe { slice::from_raw_parts(self.data(index), self.length(index)) }
    }

    fn stride(&self, index: usize) -> usize {
        // SAFETY: the frame is valid; strides are not negative, see `new`.
        unsafe { (*self.frame.as_ptr()).linesize[index] as usize }
    }

    fn planes_mut(&mut self) -> Result<Vec<(&mut [u8], usize)>> {
        // SAFETY: the frame is ours; the call copies it when others share its memory.
        let code = unsafe { sys::av_frame_make_writable(self.frame.as_mut_ptr()) };
        if code < 0 {
            return Err(error(Stage::Render, ErrorKind::Io, "no memory for a frame", code));
        }
        let planes = (0..self.planes.len()).map(|i| (self.data(i), self.length(i), self.stride(i)));
        // SAFETY: planes of a frame are disjoint and, now, used by this frame alone; the borrow of self guards them.
        Ok(planes.map(|(data, length, stride)| (unsafe { slice::from_raw_parts_mut(data, length) }, stride)).collect())
    }

    fn bytes(&self) -> usize {
        // SAFETY: the frame is valid; unused buffer slots are null.
        unsafe { (*self.frame.as_ptr()).buf.iter().filter_map(|b| b.as_ref()).map(|b| b.size as usize).sum() }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An error for a frame that a stage of ours can't have made.
pub fn foreign_buffer() -> Error {
    Error::new(Stage::Render, ErrorKind::Internal, "a frame without FFmpeg memory and not packed RGB")
}
