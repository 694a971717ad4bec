//! Writing masks into a frame.

use super::raster::{Canvas, cover};
use super::style::{LocalFrame, Look};
use crate::error::Result;
use crate::types::frame::{ColorInfo, Component, Frame, PixelLayout};
use crate::types::geometry::{Orientation, Point, Quad, Rect, Size};
use crate::types::mask::Coverage;
use crate::types::plan::{PlanHeader, Region};
use crate::types::time::FrameIndex;

/// The part of one region in one frame.
#[derive(Clone, Debug)]
pub struct RegionMask {
    pub region: String,
    pub coverage: Coverage,
    look: Look,
    /// From display coordinates to the region's own.
    local: LocalFrame,
    orientation: Orientation,
    size: Size,
}

impl RegionMask {
    /// Value that a component has under the mask at the pixel `(x, y)` of the coded picture.
    pub fn value(&self, component: usize, x: u32, y: u32) -> u16 {
        if let Some(flat) = self.look.flat(component) {
            return flat;
        }
        let p = display_from_coded(self.orientation, Point::new(x as f32 + 0.5, y as f32 + 0.5), self.size);
        let (u, v) = self.local.at(p);
        self.look.value(component, u, v)
    }
}

/// Point of the upright picture at which `p` of the coded one shows: the inverse of the orientation is an orientation.
fn display_from_coded(orientation: Orientation, p: Point, coded: Size) -> Point {
    let inverse = match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        other => other,
    };
    inverse.coded_from_display(p, orientation.display_size(coded))
}

/// All masks of one frame, in the order in which they are drawn.
#[derive(Clone, Debug, Default)]
pub struct FrameMasks {
    pub masks: Vec<RegionMask>,
}

impl FrameMasks {
    /// The masks of `frame` for pictures of the given canvas, layout and colour. `regions` may hold regions that do not
    /// stand in this frame or are kept; they are passed over.
    pub fn of_frame<'a>(
        header: &PlanHeader,
        regions: impl IntoIterator<Item = &'a Region>,
        frame: FrameIndex,
        canvas: &Canvas,
        layout: &PixelLayout,
        color: ColorInfo,
    ) -> Self {
        let whole = Rect::new(0.0, 0.0, 0.0, 0.0);
        let mask = |id: &str, tone: u8, quad: &Quad, coverage: Coverage| RegionMask {
            region: id.to_owned(),
            coverage,
            look: Look::new(header.style, header.fill_color, tone, id, layout, color),
            local: LocalFrame::new(quad),
            orientation: canvas.orientation,
            size: canvas.size,
        };
        if header.damaged.iter().any(|span| span.contains(frame)) {
            let display = canvas.orientation.display_size(canvas.size);
            let quad = Rect { width: display.width as f32, height: display.height as f32, ..whole }.into();
            return Self { masks: vec![mask("damaged", 0, &quad, Coverage::whole(canvas.size))] };
        }
        let masks = regions
            .into_iter()
            .filter(|r| r.decision.is_redact())
            .filter_map(|r| {
                let quad = r.quad_at(frame)?;
                let coverage = cover(&quad, r.shape, canvas);
                (!coverage.is_empty()).then(|| mask(&r.id, r.tone, &quad, coverage))
            })
            .collect();
        Self { masks }
    }

    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// Draws all masks into the frame, in its own pixel format.
    pub fn paint(&self, frame: &mut Frame) -> Result<()> {
        if self.masks.is_empty() {
            return Ok(());
        }
        let (layout, size) = (frame.layout.clone(), frame.size);
        let mut planes = frame.buffer.planes_mut()?;
        for mask in &self.masks {
            for (index, component) in layout.components.iter().enumerate() {
                let (data, stride) = &mut planes[component.plane];
                paint_component(data, *stride, component, index, size, mask);
            }
        }
        Ok(())
    }
}

fn paint_component(data: &mut [u8], stride: usize, c: &Component, index: usize, size: Size, mask: &RegionMask) {
    let plane = c.plane_size(size);
    let (sub_x, sub_y) = c.log2_sub;
    let flat = mask.look.flat(index);
    for span in &mask.coverage.spans {
        // Spans are aligned to the chroma grid, so the first row of each group stands for all of it.
        if span.y & ((1 << sub_y) - 1) != 0 {
            continue;
        }
        let (row, x0) = (span.y >> sub_y, span.x0 >> sub_x);
        let x1 = span.x1.div_ceil(1 << sub_x).min(plane.width);
        let start = row as usize * stride + c.offset;
        match flat {
            Some(value) if c.depth <= 8 && c.step == 1 => {
                data[start + x0 as usize..start + x1 as usize].fill((value << c.shift) as u8);
            }
            _ => {
                for x in x0..x1 {
                    let value = flat.unwrap_or_else(|| mask.value(index, x << sub_x, span.y));
                    store(data, start + x as usize * c.step, c, value);
                }
            }
        }
    }
}

/// Writes one sample; bits of other components in the same byte or word stay.
fn store(data: &mut [u8], at: usize, c: &Component, value: u16) {
    let mask = c.max_value() << c.shift;
    if c.depth + c.shift > 8 {
        let old = u16::from_le_bytes([data[at], data[at + 1]]);
        let new = (old & !mask) | (value << c.shift);
        data[at..at + 2].copy_from_slice(&new.to_le_bytes());
    } else {
        data[at] = (data[at] & !(mask as u8)) | ((value << c.shift) as u8);
    }
}

#[cfg(test)]
mod tests;
