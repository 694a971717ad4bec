//! Whether something came into the picture that may be text, between two frames in which text is looked for.
//!
//! A caption or a card that is shown for some frames only may come and go between two looks. Print has many strong edges
//! close together: a place that has far more of them than it or its neighbours had at the last look is worth a look.
//!
//! Measured on lines of text that were drawn into 352 frames of people who talk with their hands, for five frames each:
//! with looks in every sixteenth frame alone 10 of 60 frames were masked, with these 43. Without the lines they cost five
//! looks beside 23.

use super::budget::Allowance;
use super::luma::Luma;

/// Side of a cell, luma pixels.
const CELL: usize = 8;
/// Mean gradient (sum of both directions' absolute differences) from which a cell may hold print.
const LEAST: f32 = 16.0;
/// So many times as much as there was about it before.
const TIMES: f32 = 2.0;
/// Fresh cells among a fresh cell and its eight neighbours: print is longer than a speck.
const TOGETHER: usize = 3;

/// Mean gradients by cell.
struct Grid {
    across: usize,
    down: usize,
    data: Vec<f32>,
}

/// Compares each frame with the one in which text was looked for last. The number of looks that it asks for is bounded: a
/// picture in which all moves is looked at twice as often as usual.
pub struct FreshEdges {
    seen: Option<Grid>,
    looks: Allowance,
}

impl FreshEdges {
    /// Asks for one look in `every` frames, in the long run.
    pub fn new(every: u64) -> Self {
        Self { seen: None, looks: Allowance::new(every, 1.0) }
    }

    /// Takes a frame in which text is looked for.
    pub fn looked(&mut self, luma: &Luma) {
        self.looks.save();
        self.seen = Some(Grid::of(luma));
    }

    /// Takes a frame in which it is not, unless this tells that it should be.
    pub fn asks(&mut self, luma: &Luma) -> bool {
        self.looks.save();
        let Some(seen) = self.seen.as_ref().filter(|_| self.looks.has_one()) else { return false };
        let now = Grid::of(luma);
        let asks = has_come(seen, &now);
        if asks {
            self.looks.take();
            self.seen = Some(now);
        }
        asks
    }
}

impl Grid {
    fn of(luma: &Luma) -> Grid {
        let (w, h) = (luma.size.width as usize, luma.size.height as usize);
        let (across, down) = (w / CELL, h / CELL);
        let mut data = vec![0.0; across * down];
        // The last pixel of a row or column has no next one to differ from.
        for y in 0..(down * CELL).min(h.saturating_sub(1)) {
            let (row, below) = (&luma.data[y * w..(y + 1) * w], &luma.data[(y + 1) * w..(y + 2) * w]);
            for x in 0..(across * CELL).min(w.saturating_sub(1)) {
                let gradient = row[x].abs_diff(row[x + 1]) as u16 + row[x].abs_diff(below[x]) as u16;
                data[y / CELL * across + x / CELL] += f32::from(gradient);
            }
        }
        data.iter_mut().for_each(|sum| *sum /= (CELL * CELL) as f32);
        Grid { across, down, data }
    }

    /// The cells about a place, itself among them.
    fn about(&self, x: usize, y: usize) -> impl Iterator<Item = (usize, usize)> {
        let (xs, ys) = (x.saturating_sub(1)..(x + 2).min(self.across), y.saturating_sub(1)..(y + 2).min(self.down));
        ys.flat_map(move |y| xs.clone().map(move |x| (x, y)))
    }

    fn at(&self, (x, y): (usize, usize)) -> f32 {
        self.data[y * self.across + x]
    }
}

/// Whether there are edges together in `now` that were not there in `seen`.
fn has_come(seen: &Grid, now: &Grid) -> bool {
    if (seen.across, seen.down) != (now.across, now.down) {
        return true;
    }
    let is_fresh = |(x, y): (usize, usize)| {
        let edges = now.at((x, y));
        edges >= LEAST && seen.about(x, y).all(|c| edges >= TIMES * seen.at(c))
    };
    let mut cells = (0..now.down).flat_map(|y| (0..now.across).map(move |x| (x, y)));
    cells.any(|c| is_fresh(c) && now.about(c.0, c.1).filter(|&c| is_fresh(c)).count() >= TOGETHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::geometry::Size;

    /// Grey, with upright strokes of two pixels in this area (x, y, width, height).
    fn with_strokes(areas: &[(usize, usize, usize, usize)]) -> Luma {
        let size = Size::new(320, 180);
        let mut data = vec![90u8; size.pixels() as usize];
        for &(x0, y0, w, h) in areas {
            for y in y0..y0 + h {
                (x0..x0 + w).filter(|x| x / 2 % 2 == 0).for_each(|x| data[y * 320 + x] = 220);
            }
        }
        Luma { size, data, display_from_luma: 4.0 }
    }

    #[test]
    fn print_that_comes_is_asked_for_once_and_what_stays_or_goes_is_not() {
        let (bare, line) = (with_strokes(&[]), with_strokes(&[(40, 96, 60, 8)]));
        let mut fresh = FreshEdges::new(16);
        assert!(!fresh.asks(&line), "nothing is known yet");
        fresh.looked(&bare);
        assert!(!fresh.asks(&bare));
        assert!(fresh.asks(&line));
        assert!(!fresh.asks(&line), "it was looked at");
        fresh.looked(&line);
        assert!(!fresh.asks(&bare), "it went");
    }

    #[test]
    fn specks_and_small_moves_are_no_print() {
        for (name, before, now) in [
            ("a speck", with_strokes(&[]), with_strokes(&[(40, 96, 8, 8)])),
            ("a move by five pixels", with_strokes(&[(40, 96, 60, 8)]), with_strokes(&[(45, 101, 60, 8)])),
        ] {
            let mut fresh = FreshEdges::new(16);
            fresh.looked(&before);
            assert!(!fresh.asks(&now), "{name}");
        }
    }

    #[test]
    fn what_never_rests_is_looked_at_as_often_again_as_planned() {
        let lumas = [with_strokes(&[(8, 8, 100, 16)]), with_strokes(&[(150, 120, 100, 16)])];
        let mut fresh = FreshEdges::new(16);
        fresh.looked(&lumas[0]);
        let asked = (1..1600).filter(|frame| fresh.asks(&lumas[frame % 2])).count();
        assert!((99..=102).contains(&asked), "{asked}");
    }

    #[test]
    fn pictures_of_any_size_are_survived() {
        for (w, h) in [(1, 1), (1, 100), (320, 1), (7, 9), (8, 8)] {
            let luma = Luma { size: Size::new(w, h), data: vec![9; (w * h) as usize], display_from_luma: 1.0 };
            let mut fresh = FreshEdges::new(16);
            fresh.looked(&luma);
            assert!(!fresh.asks(&luma));
        }
    }
}
