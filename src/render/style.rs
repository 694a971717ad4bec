//! What stands in place of hidden pixels.
//!
//! `fill` is one colour. `blur` and `mosaic` have the looks that newsrooms ask for, but are drawn, not computed: their
//! only input from the source is one of 16 tones per region, chosen once, so they carry at most four bits whatever the
//! number of frames. The texture comes from a generator seeded by the region's id.

use crate::types::frame::{ColorInfo, ColorModel, PixelLayout};
use crate::types::geometry::{Point, Quad};
use crate::types::plan::MaskStyle;

/// The tones of soft styles, sRGB: a ramp of skin tones, then paper and cloth.
pub const TONES: [[u8; 3]; 16] = [
    [58, 42, 36],
    [84, 60, 48],
    [112, 80, 62],
    [140, 102, 80],
    [166, 124, 98],
    [188, 146, 118],
    [206, 168, 142],
    [222, 190, 168],
    [24, 24, 26],
    [60, 62, 64],
    [96, 98, 100],
    [132, 134, 134],
    [168, 168, 166],
    [200, 198, 192],
    [226, 222, 212],
    [244, 242, 236],
];

/// Index of the tone nearest to a mean sRGB colour.
pub fn nearest_tone(mean: [f32; 3]) -> u8 {
    let distance =
        |tone: &[u8; 3]| -> f32 { tone.iter().zip(mean).map(|(t, m)| (f32::from(*t) - m) * (f32::from(*t) - m)).sum() };
    let nearest = TONES.iter().enumerate().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
    nearest.map_or(0, |(i, _)| i as u8)
}

/// Blocks of a mosaic across the region, each way.
const MOSAIC_BLOCKS: f32 = 7.0;
/// Knots of the cloud's lattice across the region, each way.
const CLOUD_KNOTS: f32 = 4.0;
/// Greatest deviation of the texture from its tone, 8-bit steps.
const TEXTURE_SWING: f32 = 14.0;

/// The look of one region, ready to be evaluated at any pixel of a frame.
#[derive(Clone, Debug)]
pub struct Look {
    style: MaskStyle,
    seed: u64,
    /// Value of each component at the region's tone.
    base: Vec<u16>,
    /// What one 8-bit step of brightness is in each component.
    step: Vec<f32>,
    max: Vec<u16>,
}

impl Look {
    /// The look of region `id` in frames of this layout and colour.
    pub fn new(
        style: MaskStyle,
        fill_color: [u8; 3],
        tone: u8,
        id: &str,
        layout: &PixelLayout,
        color: ColorInfo,
    ) -> Self {
        let rgb = match style {
            MaskStyle::Fill => fill_color,
            MaskStyle::Blur | MaskStyle::Mosaic => TONES[usize::from(tone) % TONES.len()],
        };
        let base = component_values(rgb, layout, color);
        // Texture moves brightness only: chroma is not touched.
        let step = layout
            .components
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let moves = layout.model != ColorModel::Yuv || i == 0;
                if moves { f32::from(c.max_value()) / 255.0 } else { 0.0 }
            })
            .collect();
        let max = layout.components.iter().map(|c| c.max_value()).collect();
        Self { style, seed: hash(id.bytes().fold(0x9e37, |a, b| hash(a ^ u64::from(b)))), base, step, max }
    }

    /// The one value of a component, when the look is flat.
    pub fn flat(&self, component: usize) -> Option<u16> {
        (self.style == MaskStyle::Fill || self.step[component] == 0.0).then(|| self.base[component])
    }

    /// Value of a component at a place of the region: `u`, `v` run from 0 to 1 along the quad's top and left edges.
    pub fn value(&self, component: usize, u: f32, v: f32) -> u16 {
        let swing = match self.style {
            MaskStyle::Fill => 0.0,
            MaskStyle::Mosaic => self.lattice((u * MOSAIC_BLOCKS).floor() as i64, (v * MOSAIC_BLOCKS).floor() as i64),
            MaskStyle::Blur => self.cloud(u * CLOUD_KNOTS, v * CLOUD_KNOTS),
        };
        let value = f32::from(self.base[component]) + swing * TEXTURE_SWING * self.step[component];
        value.round().clamp(0.0, f32::from(self.max[component])) as u16
    }

    /// Noise in -1..1 at a knot.
    fn lattice(&self, i: i64, j: i64) -> f32 {
        let bits = hash(self.seed ^ hash((i as u64) ^ (j as u64).rotate_left(32)));
        (bits >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Smooth noise between knots.
    fn cloud(&self, x: f32, y: f32) -> f32 {
        let (i, j) = (x.floor(), y.floor());
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let (s, t) = (smooth(x - i), smooth(y - j));
        let at = |dx: i64, dy: i64| self.lattice(i as i64 + dx, j as i64 + dy);
        let top = at(0, 0) + (at(1, 0) - at(0, 0)) * s;
        let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * s;
        top + (bottom - top) * t
    }
}

/// SplitMix64's finalizer (Steele, Lea, Flood 2014).
fn hash(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// An sRGB colour as component values of a layout (ITU-T H.273 matrices; transfer curves are taken as sRGB's, which for
/// a mask's colour is near enough). Alpha becomes opaque.
pub fn component_values(rgb: [u8; 3], layout: &PixelLayout, color: ColorInfo) -> Vec<u16> {
    let [r, g, b] = rgb.map(|v| f32::from(v) / 255.0);
    let (kr, kb) = match color.matrix {
        1 => (0.2126, 0.0722),
        4 => (0.30, 0.11),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
    let (cb, cr) = ((b - luma) / (2.0 * (1.0 - kb)), (r - luma) / (2.0 * (1.0 - kr)));
    let quantize = |value: f32, depth: u32, chroma: bool| {
        let unit = (1u32 << (depth - 8)) as f32;
        let max = ((1u32 << depth) - 1) as f32;
        let scaled = match (chroma, color.full_range || layout.model == ColorModel::Rgb) {
            (false, true) => value * max,
            (false, false) => (16.0 + 219.0 * value) * unit,
            (true, true) => value * max + (1u32 << (depth - 1)) as f32,
            (true, false) => (128.0 + 224.0 * value) * unit,
        };
        scaled.round().clamp(0.0, max) as u16
    };
    let values: &[(f32, bool)] = match layout.model {
        ColorModel::Yuv => &[(luma, false), (cb, true), (cr, true)],
        ColorModel::Rgb => &[(r, false), (g, false), (b, false)],
        ColorModel::Gray => &[(luma, false)],
    };
    let opaque = layout.has_alpha.then_some((1.0, false));
    layout
        .components
        .iter()
        .zip(values.iter().copied().chain(opaque))
        .map(|(c, (value, chroma))| {
            // Depths under 8 bits exist only packed; scale by the largest value.
            if c.depth < 8 {
                (luma * f32::from(c.max_value())).round() as u16
            } else {
                quantize(value, c.depth, chroma)
            }
        })
        .collect()
}

/// Coordinates of a point along a quad's top and left edges: 0 to 1 inside. The quad is taken as a parallelogram.
#[derive(Clone, Copy, Debug)]
pub struct LocalFrame {
    origin: Point,
    /// Rows of the inverse matrix.
    inverse: [[f32; 2]; 2],
}

impl LocalFrame {
    pub fn new(quad: &Quad) -> Self {
        let [origin, right, _, down] = quad.corners;
        let (ux, uy) = (right.x - origin.x, right.y - origin.y);
        let (vx, vy) = (down.x - origin.x, down.y - origin.y);
        let det = ux * vy - uy * vx;
        let inverse = if det.abs() < 1e-3 { [[0.0; 2]; 2] } else { [[vy / det, -vx / det], [-uy / det, ux / det]] };
        Self { origin, inverse }
    }

    pub fn at(&self, p: Point) -> (f32, f32) {
        let (x, y) = (p.x - self.origin.x, p.y - self.origin.y);
        let [[a, b], [c, d]] = self.inverse;
        (a * x + b * y, c * x + d * y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::frame::Component;

    fn yuv(depth: u32) -> PixelLayout {
        let c = |plane| Component { plane, step: 1, offset: 0, shift: 0, depth, log2_sub: (0, 0) };
        PixelLayout { model: ColorModel::Yuv, components: (0..3).map(c).collect(), has_alpha: false }
    }

    #[test]
    fn colours_follow_matrix_range_and_depth() {
        let color =
            |matrix, full_range| ColorInfo { primaries: 1, transfer: 1, matrix, full_range, chroma_location: 0 };
        for (name, rgb, depth, color, want) in [
            ("white, limited", [255, 255, 255], 8, color(1, false), vec![235, 128, 128]),
            ("white, full", [255, 255, 255], 8, color(1, true), vec![255, 128, 128]),
            ("black, limited, 10 bit", [0, 0, 0], 10, color(9, false), vec![64, 512, 512]),
            ("red, BT.601", [255, 0, 0], 8, color(6, false), vec![81, 90, 240]),
            ("red, BT.709", [255, 0, 0], 8, color(1, false), vec![63, 102, 240]),
        ] {
            assert_eq!(component_values(rgb, &yuv(depth), color), want, "{name}");
        }
    }

    #[test]
    fn soft_styles_depend_on_id_and_tone_alone() {
        let color = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false, chroma_location: 0 };
        let look = |style, tone, id| Look::new(style, [0, 0, 0], tone, id, &yuv(8), color);
        for style in [MaskStyle::Blur, MaskStyle::Mosaic] {
            let (a, b, c) = (look(style, 3, "f1"), look(style, 3, "f1"), look(style, 3, "f2"));
            let line = |l: &Look| (0..50).map(|i| l.value(0, i as f32 / 50.0, 0.4)).collect::<Vec<_>>();
            assert_eq!(line(&a), line(&b));
            assert_ne!(line(&a), line(&c), "{style:?} must differ between regions");
            assert!(line(&a).iter().any(|v| *v != line(&a)[0]), "{style:?} must have texture");
        }
    }

    #[test]
    fn tones_are_found_again() {
        for (i, tone) in TONES.iter().enumerate() {
            assert_eq!(usize::from(nearest_tone(tone.map(f32::from))), i);
        }
    }
}
