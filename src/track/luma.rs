//! Small grey pictures: what motion estimation and template matching look at.

use crate::types::frame::Picture;
use crate::types::geometry::{Point, Size};

/// A grey picture, 8 bits, rows without padding. Its space is "luma": display divided by `display_from_luma`.
#[derive(Clone, Debug, PartialEq)]
pub struct Luma {
    pub size: Size,
    /// `width * height` bytes.
    pub data: Vec<u8>,
    pub display_from_luma: f32,
}

impl Luma {
    /// Luma (BT.601 weights) of an analysis picture, averaged down by a whole factor so that its longer side has at
    /// most `max_side` pixels where that is possible. 320 suits tracking.
    pub fn from_picture(picture: &Picture, max_side: u32) -> Luma {
        let long = picture.size.width.max(picture.size.height);
        let factor = long.div_ceil(max_side.max(1)).max(1);
        let size = Size::new((picture.size.width / factor).max(1), (picture.size.height / factor).max(1));
        let stride = picture.size.width as usize * 3;
        // A side shorter than the factor is averaged over what there is.
        let across = factor.min(picture.size.width) as usize;
        let down = factor.min(picture.size.height) as usize;
        let samples = (across * down) as u32;
        let mut sums = vec![0u32; size.width as usize];
        let mut data = Vec::with_capacity(size.pixels() as usize);
        for row in 0..size.height as usize {
            sums.fill(0);
            for y in row * down..(row + 1) * down {
                let line = &picture.data[y * stride..(y + 1) * stride];
                for (sum, block) in sums.iter_mut().zip(line.chunks_exact(3 * across)) {
                    for p in block.chunks_exact(3) {
                        *sum += (77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2])) >> 8;
                    }
                }
            }
            data.extend(sums.iter().map(|s| (s / samples) as u8));
        }
        Luma { size, data, display_from_luma: picture.display_from_picture * factor as f32 }
    }

    /// Half the size on both sides (rounded down, at least 1), each pixel the mean of four.
    pub fn halved(&self) -> Luma {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let size = Size::new((self.size.width / 2).max(1), (self.size.height / 2).max(1));
        let mut data = Vec::with_capacity(size.pixels() as usize);
        for y in 0..size.height as usize {
            let (above, below) = (2 * y * w, (2 * y + 1).min(h - 1) * w);
            for x in 0..size.width as usize {
                let (left, right) = (2 * x, (2 * x + 1).min(w - 1));
                let sum = [above + left, above + right, below + left, below + right];
                data.push((sum.iter().map(|&i| u32::from(self.data[i])).sum::<u32>() / 4) as u8);
            }
        }
        Luma { size, data, display_from_luma: self.display_from_luma * 2.0 }
    }

    /// Bilinear sample at a point of luma space (pixel centres at halves); outside, the nearest edge pixel.
    pub fn sample(&self, p: Point) -> f32 {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let x = (p.x - 0.5).clamp(0.0, (w - 1) as f32);
        let y = (p.y - 0.5).clamp(0.0, (h - 1) as f32);
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
        let (fx, fy) = (x - x0 as f32, y - y0 as f32);
        let at = |x: usize, y: usize| f32::from(self.data[y * w + x]);
        let top = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * fx;
        let bottom = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * fx;
        top + (bottom - top) * fy
    }

    /// Display size as far as this picture tells.
    pub fn display(&self) -> (f32, f32) {
        (self.size.width as f32 * self.display_from_luma, self.size.height as f32 * self.display_from_luma)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_scales() {
        // width, height, max side -> luma size, factor
        let table = [
            ((640, 360), 320, (320, 180), 2.0),
            ((641, 361), 320, (213, 120), 3.0),
            ((100, 50), 320, (100, 50), 1.0),
            ((1, 1), 320, (1, 1), 1.0),
            ((1000, 1), 320, (250, 1), 4.0),
            ((1, 1000), 10, (1, 10), 100.0),
        ];
        for ((w, h), max, (lw, lh), factor) in table {
            let picture = Picture::new(Size::new(w, h), vec![200; (w * h * 3) as usize], 1.5);
            let luma = Luma::from_picture(&picture, max);
            assert_eq!(luma.size, Size::new(lw, lh), "{w}x{h}");
            assert_eq!(luma.data.len(), (lw * lh) as usize);
            assert_eq!(luma.display_from_luma, 1.5 * factor);
            assert!(luma.data.iter().all(|v| *v == 200));
            assert_eq!(luma.sample(Point::new(-5.0, 1e6)), 200.0);
            assert!(luma.halved().data.iter().all(|v| *v == 200));
        }
    }
}
