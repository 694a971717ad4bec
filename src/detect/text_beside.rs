//! Whether a large box is text. In pictures without text the networks look for the most text-like part, and can take
//! half of a picture for a line with a probability near 1. What they see depends on all of the picture: beside two
//! lines of print such boxes vanish, while large letters stay.
//!
//! Measured with [`LOOKS`] on the boxes of over 8 % of the picture of both networks: 45 in 189 photos and in frames of
//! seven clips fell to .01 or less, but for one of .5 (stripes) and two around a sign (.8); of 153 in blown-up print of
//! forms all but three kept .2 or more in one of the looks.

use image::GrayImage;

use super::text::{probabilities, view_size};
use super::text_db::{ProbabilityMap, TextBox, mean_inside};
use crate::error::Result;
use crate::infer::Network;
use crate::infer::prep::resize_rgb;
use crate::types::frame::Picture;
use crate::types::geometry::{Quad, Size};

/// Share of the picture from which a box is doubted, and from which a weak one is.
const LARGE: f32 = 0.06;
const LARGE_IF_WEAK: f32 = 0.015;
const WEAK: f32 = 0.6;

/// Mean probability beside print from which a large box is text.
const BELIEVED: f32 = 0.2;

/// Below it after so many looks the last one, which costs most, is spared: of 47 large boxes of print none depended on it.
const HOPELESS: f32 = 0.02;
const ENOUGH_LOOKS: usize = 2;

/// Which network looks, the small one or not, and the longer side of the picture it sees; cheap ones first. The tiny
/// one is not steadied by print in pictures of 240 pixels.
const LOOKS: [(bool, u32); 3] = [(true, 240), (false, 480), (true, 480)];

/// Whether a box is large enough to be doubted, and no line: nothing else is long and narrow.
pub(super) fn is_doubtful(found: &TextBox, view: Size) -> bool {
    let (w, h) = (found.core.width(), found.core.height());
    let least = if found.score < WEAK { LARGE_IF_WEAK } else { LARGE };
    found.core.area() >= least * view.pixels() as f32 && w.max(h) < 6.0 * w.min(h)
}

/// Two lines of print, in black on white; drawn by `scripts/text-beside.py`.
pub(super) struct Print(GrayImage);

impl Print {
    pub(super) fn new() -> Self {
        let strip = image::load_from_memory(include_bytes!("text_beside.png")).expect("a PNG of this repository");
        Self(strip.into_luma8())
    }

    /// For each quad, given in pixels of `picture`, whether it looks like text with print above the picture too. `maps`
    /// are those of this picture's first looks, as far as they were taken.
    pub(super) fn believed(
        &self,
        picture: &Picture,
        quads: &[Quad],
        maps: &mut Vec<ProbabilityMap>,
        small: &mut dyn Network,
        tiny: &mut dyn Network,
    ) -> Result<Vec<bool>> {
        let mut best = vec![0.0f32; quads.len()];
        let is_open = |best: f32, looks: usize| best < BELIEVED && (looks < ENOUGH_LOOKS || best >= HOPELESS);
        for (number, (with_small, side)) in LOOKS.into_iter().enumerate() {
            if !best.iter().any(|&best| is_open(best, number)) {
                break;
            }
            if number == maps.len() {
                let network: &mut dyn Network = if with_small { &mut *small } else { &mut *tiny };
                maps.push(self.map_below(picture, side, network)?);
            }
            let map = &maps[number];
            let sx = map.size.width as f32 / picture.size.width as f32;
            let sy = map.size.height as f32 / picture.size.height as f32;
            for (quad, best) in quads.iter().zip(&mut best) {
                *best = best.max(mean_inside(map, &quad.stretched(sx, sy)));
            }
        }
        Ok(best.into_iter().map(|best| best >= BELIEVED).collect())
    }

    /// What the network says of the picture, its longer side scaled to `side`, below the print.
    fn map_below(&self, picture: &Picture, side: u32, network: &mut dyn Network) -> Result<ProbabilityMap> {
        let size = view_size(picture.size, side as f32 / picture.size.width.max(picture.size.height) as f32);
        let mut data = Vec::with_capacity(size.pixels() as usize * 3);
        for y in 0..self.0.height() {
            data.extend((0..size.width).flat_map(|x| [self.0.get_pixel(x % self.0.width(), y).0[0]; 3]));
        }
        data.extend(resize_rgb(&picture.data, picture.size, size)?);
        let both = Picture::new(Size::new(size.width, size.height + self.0.height()), data, 1.0);
        let probabilities = probabilities(network, &both)?;
        let below = &probabilities[(self.0.height() * size.width) as usize..];
        Ok(ProbabilityMap::of(size, below))
    }
}

#[cfg(test)]
mod tests {
    use super::super::text_fakes::SeesBright;
    use super::*;
    use crate::types::geometry::Point;

    fn level(x: f32, y: f32, w: f32, h: f32) -> Quad {
        Quad::rotated_rect(Point::new(x + w / 2.0, y + h / 2.0), w, h, 0.0)
    }

    #[test]
    fn what_stays_beside_print_is_believed_and_each_look_is_taken_once() {
        let size = Size::new(640, 480);
        let half = size.pixels() as usize / 2 * 3;
        let data = [vec![255; half], vec![0; half]].concat();
        let picture = Picture::new(size, data, 1.0);
        let (upper, lower) = (level(40.0, 20.0, 400.0, 200.0), level(40.0, 260.0, 400.0, 200.0));
        for (quads, expected, runs) in
            [(vec![upper], vec![true], (1, 0)), (vec![lower, upper], vec![false, true], (1, 1))]
        {
            let (mut small, mut tiny) = (SeesBright::default(), SeesBright::default());
            let mut maps = Vec::new();
            for _ in 0..2 {
                let believed = Print::new().believed(&picture, &quads, &mut maps, &mut small, &mut tiny);
                assert_eq!(believed.unwrap(), expected);
                assert_eq!((small.runs, tiny.runs), runs);
            }
        }
    }

    #[test]
    fn only_large_boxes_that_are_no_lines_are_doubted() {
        let view = Size::new(1000, 500);
        let table = [
            ("half of the picture", level(0.0, 0.0, 700.0, 400.0), 0.9, true),
            ("a large letter", level(0.0, 0.0, 200.0, 200.0), 0.9, true),
            ("a word", level(0.0, 0.0, 200.0, 60.0), 0.9, false),
            ("a weak word", level(0.0, 0.0, 200.0, 60.0), 0.5, true),
            ("a caption", level(0.0, 0.0, 1000.0, 100.0), 0.5, false),
        ];
        for (name, core, score, doubted) in table {
            assert_eq!(is_doubtful(&TextBox { quad: core, core, score }, view), doubted, "{name}");
        }
    }
}
