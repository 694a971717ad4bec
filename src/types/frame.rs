//! Decoded pictures: what a decoder hands out, and what is known of the source.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::geometry::{Orientation, Size};
use super::time::{FrameIndex, TimeBase};
use crate::error::Result;

/// Where one component (luma, chroma, red, ...) of a pixel lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Which plane holds it.
    pub plane: usize,
    /// Bytes from one sample to the next of the same component in a row.
    pub step: usize,
    /// Bytes from the row's start to its first sample.
    pub offset: usize,
    /// Left shift of the value inside its 16-bit word (10-bit values kept in the high bits have 6).
    pub shift: u32,
    /// Significant bits, 1 to 16. Samples of more than 8 bits are little-endian 16-bit words.
    pub depth: u32,
    /// log2 of the horizontal and vertical subsampling against luma.
    pub log2_sub: (u32, u32),
}

impl Component {
    /// Samples in a row and rows of this component, for a picture of `size`; rounded up.
    pub fn plane_size(&self, size: Size) -> Size {
        let up = |v: u32, s: u32| (v + (1 << s) - 1) >> s;
        Size::new(up(size.width, self.log2_sub.0), up(size.height, self.log2_sub.1))
    }

    pub fn max_value(&self) -> u16 {
        ((1u32 << self.depth) - 1) as u16
    }
}

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColorModel {
    /// Y, Cb, Cr.
    Yuv,
    /// R, G, B.
    Rgb,
    Gray,
}

/// Memory layout of a frame: components in the order of [`ColorModel`], then alpha if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelLayout {
    pub model: ColorModel,
    pub components: Vec<Component>,
    pub has_alpha: bool,
}

impl PixelLayout {
    /// Packed 8-bit R, G, B: what photos are.
    pub fn rgb8() -> Self {
        let component = |offset| Component { plane: 0, step: 3, offset, shift: 0, depth: 8, log2_sub: (0, 0) };
        Self { model: ColorModel::Rgb, components: (0..3).map(component).collect(), has_alpha: false }
    }

    /// The coarsest grid of its components: masks round outward to it.
    pub fn log2_grid(&self) -> (u32, u32) {
        self.components.iter().fold((0, 0), |a, c| (a.0.max(c.log2_sub.0), a.1.max(c.log2_sub.1)))
    }
}

/// Pixel memory of a frame. A decoder's own buffer may stand behind it, so that no copy is needed.
pub trait FrameBuffer: Send {
    /// Bytes of a plane, `stride` bytes a row.
    fn plane(&self, index: usize) -> &[u8];
    fn stride(&self, index: usize) -> usize;
    /// Makes the buffer this frame's own (decoders share theirs with later frames), then gives all its planes with
    /// their strides.
    fn planes_mut(&mut self) -> Result<Vec<(&mut [u8], usize)>>;
    /// Bytes held, for the budget of frames in flight.
    fn bytes(&self) -> usize;
    /// For the one stage that made it, to get its own buffer back.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
    fn as_any(&self) -> &dyn std::any::Any;
}

/// One decoded frame in coded orientation.
pub struct Frame {
    /// In display order, from 0.
    pub index: FrameIndex,
    /// In ticks of the source's time base.
    pub pts: i64,
    /// Ticks until the next frame; 0 when not known.
    pub duration: i64,
    /// Coded size (before rotation, after the decoder's cropping).
    pub size: Size,
    pub layout: PixelLayout,
    /// Set when decoding reported an error at this frame or since the last clean key frame.
    pub damaged: bool,
    /// Coded as a key frame: a hint for the analysis schedule.
    pub key: bool,
    pub buffer: Box<dyn FrameBuffer>,
}

/// A buffer in ordinary memory.
pub struct PlainBuffer {
    pub planes: Vec<(Vec<u8>, usize)>,
}

impl FrameBuffer for PlainBuffer {
    fn plane(&self, index: usize) -> &[u8] {
        &self.planes[index].0
    }

    fn stride(&self, index: usize) -> usize {
        self.planes[index].1
    }

    fn planes_mut(&mut self) -> Result<Vec<(&mut [u8], usize)>> {
        Ok(self.planes.iter_mut().map(|(data, stride)| (data.as_mut_slice(), *stride)).collect())
    }

    fn bytes(&self) -> usize {
        self.planes.iter().map(|(data, _)| data.len()).sum()
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// An upright RGB picture for analysis: packed R, G, B, 8 bits, rows without padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub size: Size,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
    /// Multiply picture coordinates by it to get display coordinates (x and y scale alike).
    pub display_from_picture: f32,
}

impl Picture {
    pub fn new(size: Size, data: Vec<u8>, display_from_picture: f32) -> Self {
        assert_eq!(data.len() as u64, size.pixels() * 3, "an RGB picture has three bytes a pixel");
        Self { size, data, display_from_picture }
    }

    /// Whether all pixels have about the same colour, so that no network could see anything.
    pub fn is_blank(&self) -> bool {
        let Some(first) = self.data.first_chunk::<3>() else { return true };
        let is_near = |pixel: &[u8]| pixel.iter().zip(first).all(|(a, b)| a.abs_diff(*b) <= BLANK_LEVELS);
        self.data.chunks_exact(3).all(is_near)
    }
}

/// Difference from the first pixel, of 255, that makes no shape.
const BLANK_LEVELS: u8 = 2;

/// Numbers of ITU-T H.273, as containers and codecs carry them; 2 is "unspecified".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ColorInfo {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    /// Full range (0..255) rather than limited (16..235).
    pub full_range: bool,
    /// Chroma sample location as FFmpeg numbers it; 0 is unspecified.
    pub chroma_location: u8,
}

impl ColorInfo {
    /// PQ or HLG transfer.
    pub fn is_hdr(self) -> bool {
        matches!(self.transfer, 16 | 18)
    }
}

/// Photo or clip, and of which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Photo,
    Clip,
}

/// What is known of a source before and after decoding it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceInfo {
    pub kind: MediaKind,
    /// Short name of the format or container: `jpeg`, `mov,mp4,m4a`, ...
    pub format: String,
    /// Name of the video codec; the format again for photos.
    pub codec: String,
    pub coded: Size,
    pub orientation: Orientation,
    /// Sample aspect ratio of the coded picture, 0/1 when not known.
    pub sample_aspect: (u32, u32),
    pub time_base: TimeBase,
    /// Frames per second, 0 when not known; only for estimates.
    pub frame_rate: f64,
    /// Estimate for progress; `None` when the container does not tell.
    pub frames_estimate: Option<u64>,
    pub color: ColorInfo,
    /// Significant bits of a component.
    pub depth: u32,
    pub interlaced: bool,
    pub has_audio: bool,
}

impl SourceInfo {
    /// Size of the upright picture: display space.
    pub fn display(&self) -> Size {
        self.orientation.display_size(self.coded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_blank_while_no_pixel_stands_out() {
        let with = |value: u8| {
            let mut data = vec![100; 12 * 3];
            data[20] = value;
            Picture::new(Size::new(4, 3), data, 1.0).is_blank()
        };
        assert!(with(100) && with(102) && with(98));
        assert!(!with(103) && !with(97));
        assert!(Picture::new(Size::new(0, 0), vec![], 1.0).is_blank());
    }
}
