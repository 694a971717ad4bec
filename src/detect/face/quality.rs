//! How bad a picture is: in noise and blur the networks see faces weakly, so less evidence has to do.

use crate::types::frame::Picture;

/// Sigma of the noise, grey levels, from which a picture counts as noisy; good photos stay below 3.
const NOISY: f32 = 6.0;
/// Sharpness below which a picture counts as blurred.
const BLURRED: f32 = 0.42;
/// Contrast that counts as an edge, grey levels, over a distance of so many pixels.
const EDGE: f32 = 24.0;
const REACH: usize = 4;
/// With fewer edges nothing is said of their sharpness.
const FEWEST_EDGES: usize = 50;

/// What was measured on a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Standard deviation, grey levels, in the picture's plain areas.
    pub noise_sigma: f32,
    /// Share of an edge's contrast that lies within one pixel; 1 when there are too few edges to tell.
    pub sharpness: f32,
}

impl Quality {
    pub fn is_noisy(&self) -> bool {
        self.noise_sigma >= NOISY
    }

    pub fn is_poor(&self) -> bool {
        self.is_noisy() || self.sharpness <= BLURRED
    }
}

impl Quality {
    /// Measures a picture at about the size at which networks see it.
    pub fn of(picture: &Picture) -> Quality {
        let (w, h) = (picture.size.width as usize, picture.size.height as usize);
        let grey: Vec<f32> = picture
            .data
            .chunks_exact(3)
            .map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
            .collect();
        Quality { noise_sigma: noise_sigma(&grey, w, h), sharpness: sharpness(&grey, w, h) }
    }
}

/// Lower quartile, over blocks, of the mean response to a mask that answers to noise but not to ramps (Immerkaer: "Fast
/// noise variance estimation", 1996): texture and edges fill other blocks.
fn noise_sigma(grey: &[f32], w: usize, h: usize) -> f32 {
    const BLOCK: usize = 16;
    if w < 3 || h < 3 {
        return 0.0;
    }
    let at = |x: usize, y: usize| grey[y * w + x];
    let response = |x: usize, y: usize| {
        let corners = at(x - 1, y - 1) + at(x + 1, y - 1) + at(x - 1, y + 1) + at(x + 1, y + 1);
        let sides = at(x, y - 1) + at(x - 1, y) + at(x + 1, y) + at(x, y + 1);
        (corners - 2.0 * sides + 4.0 * at(x, y)).abs()
    };
    let mut means = Vec::new();
    for y0 in (1..h - 1).step_by(BLOCK) {
        for x0 in (1..w - 1).step_by(BLOCK) {
            let (x1, y1) = ((x0 + BLOCK).min(w - 1), (y0 + BLOCK).min(h - 1));
            let sum: f32 = (y0..y1).map(|y| (x0..x1).map(|x| response(x, y)).sum::<f32>()).sum();
            means.push(sum / ((x1 - x0) * (y1 - y0)) as f32);
        }
    }
    let quartile = *percentile(&mut means, 25).unwrap_or(&0.0);
    quartile * (std::f32::consts::PI / 2.0).sqrt() / 6.0
}

/// Upper quartile, over strong contrasts of pixels [`REACH`] apart, of the share that the steepest single step has.
fn sharpness(grey: &[f32], w: usize, h: usize) -> f32 {
    let mut shares = Vec::new();
    let mut along = |start: usize, step: usize, length: usize| {
        for i in 0..length.saturating_sub(REACH) {
            let at = |k: usize| grey[start + (i + k) * step];
            let contrast = (at(REACH) - at(0)).abs();
            if contrast > EDGE {
                let steepest = (0..REACH).map(|k| (at(k + 1) - at(k)).abs()).fold(0.0, f32::max);
                shares.push(steepest / contrast);
            }
        }
    };
    (0..h).for_each(|y| along(y * w, 1, w));
    (0..w).for_each(|x| along(x, w, h));
    if shares.len() < FEWEST_EDGES { 1.0 } else { *percentile(&mut shares, 75).unwrap_or(&1.0) }
}

fn percentile(values: &mut [f32], percent: usize) -> Option<&f32> {
    let last = values.len().checked_sub(1)?;
    Some(values.select_nth_unstable_by(last * percent / 100, f32::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::super::fakes::black;
    use super::*;

    /// A scene of discs with soft or hard rims and noise from a fixed generator.
    fn scene(rim: f32, noise: f32) -> Picture {
        let mut picture = black(240, 160);
        let mut state = 7u32;
        for (i, pixel) in picture.data.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((i % 240) as f32, (i / 240) as f32);
            let distance = (x % 60.0 - 30.0).hypot(y % 60.0 - 30.0) - 18.0;
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sum += (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            }
            let value = 120.0 + 70.0 * (distance / rim).tanh() + noise * sum;
            pixel.fill(value.clamp(0.0, 255.0) as u8);
        }
        picture
    }

    #[test]
    fn noise_and_blur_are_told_from_a_clear_picture() {
        let clear = Quality::of(&scene(0.8, 1.0));
        assert!(!clear.is_poor(), "{clear:?}");
        let noisy = Quality::of(&scene(0.8, 15.0));
        assert!(noisy.is_poor() && (noisy.noise_sigma - 15.0).abs() < 2.0, "{noisy:?}");
        let blurred = Quality::of(&scene(5.0, 1.0));
        assert!(blurred.is_poor() && blurred.sharpness < clear.sharpness, "{blurred:?}");
    }

    #[test]
    fn pictures_without_anything_to_measure_are_not_poor() {
        for (w, h) in [(1, 1), (1, 50), (50, 1), (2, 2), (30, 30)] {
            let quality = Quality::of(&black(w, h));
            assert!(!quality.is_poor() && quality.noise_sigma == 0.0 && quality.sharpness == 1.0);
        }
    }
}
