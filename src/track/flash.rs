//! Whether something is shown for one frame only, one in which nobody was to look for faces.

use super::budget::Allowance;
use super::luma::Luma;

/// Side of a cell, luma pixels.
const CELL: usize = 8;
/// Grey levels, on average over a cell, by which it differs from the frames before and behind more than these from each
/// other. Noise differs as much from one as from the other, what moves on differs less from its neighbours than they do.
const LEAST: f32 = 12.0;
/// A thorough look for one frame in so many in the long run: hands that talk look like flashes, too.
const THOROUGH_EVERY: u64 = 48;

/// A frame that shows something of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flash {
    /// Too many came before it: a glance has to do.
    pub is_brief: bool,
}

/// Looks for flashes among the frames of a clip.
pub struct Flashes {
    /// The frame before, in the same scene.
    before: Option<Luma>,
    thorough: Allowance,
}

impl Default for Flashes {
    fn default() -> Self {
        Self { before: None, thorough: Allowance::new(THOROUGH_EVERY, 2.0) }
    }
}

impl Flashes {
    /// Takes the next frame, with the one behind it in its scene. Where faces are looked for anyway, it is no flash.
    pub fn look(&mut self, now: &Luma, behind: Option<&Luma>, is_looked_at: bool) -> Option<Flash> {
        self.thorough.save();
        let neighbours = self.before.as_ref().zip(behind).filter(|_| !is_looked_at);
        let is_one = neighbours.is_some_and(|(before, behind)| is_flash(before, now, behind));
        self.before = behind.map(|_| now.clone());
        is_one.then(|| Flash { is_brief: !self.thorough.take() })
    }
}

/// Whether a part of the picture differs from those before and behind, which are alike. Pictures of unequal size have
/// nothing in common, so they do.
fn is_flash(before: &Luma, now: &Luma, behind: &Luma) -> bool {
    if before.size != now.size || behind.size != now.size {
        return true;
    }
    let (w, h) = (now.size.width as usize, now.size.height as usize);
    let across = w.div_ceil(CELL);
    let mut cells = vec![[0u32; 3]; across];
    (0..h).step_by(CELL).any(|top| {
        cells.fill([0; 3]);
        let rows = top..(top + CELL).min(h);
        let count = (rows.len() * CELL.min(w)) as f32;
        for i in rows.start * w..rows.end * w {
            let [a, b, c] = [before, now, behind].map(|luma| luma.data[i]);
            let sums = &mut cells[i % w / CELL];
            for (sum, difference) in sums.iter_mut().zip([b.abs_diff(a), b.abs_diff(c), a.abs_diff(c)]) {
                *sum += u32::from(difference);
            }
        }
        cells.iter().any(|[back, forth, around]| *back.min(forth) as f32 - *around as f32 >= LEAST * count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::testing::{Actor, Camera, World};
    use crate::types::geometry::{Point, Quad, Size};

    #[test]
    fn what_comes_and_goes_at_once_is_told_from_what_moves() {
        let world = World::new(3);
        let object = |x: f32| Actor { quad: Quad::rotated_rect(Point::new(x, 350.0), 60.0, 70.0, 0.1), seed: 42 };
        let at = |x: f32| Camera { x, ..Camera::default() };
        let seen = |camera: Camera, actors: &[Actor]| world.luma(&camera, actors);
        let still = seen(at(0.0), &[]);
        let noisy = |seed: u32| {
            let mut luma = still.clone();
            for (i, v) in luma.data.iter_mut().enumerate() {
                let noise = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 24;
                *v = v.saturating_add((noise % 24) as u8);
            }
            luma
        };
        let table = [
            ("nothing", still.clone(), still.clone(), still.clone(), false),
            ("one frame", still.clone(), seen(at(0.0), &[object(500.0)]), still.clone(), true),
            ("one frame at the corner", still.clone(), seen(at(0.0), &[object(1255.0)]), still.clone(), true),
            ("it stays", still.clone(), seen(at(0.0), &[object(500.0)]), seen(at(0.0), &[object(500.0)]), false),
            (
                "it moves on",
                seen(at(0.0), &[object(500.0)]),
                seen(at(0.0), &[object(512.0)]),
                seen(at(0.0), &[object(524.0)]),
                false,
            ),
            ("the camera moves on", seen(at(0.0), &[]), seen(at(9.0), &[]), seen(at(18.0), &[]), false),
            ("noise", noisy(1), noisy(2), noisy(3), false),
        ];
        for (name, before, now, behind, expected) in table {
            assert_eq!(is_flash(&before, &now, &behind), expected, "{name}");
        }
        let other = Luma { size: Size::new(9, 1), data: vec![0; 9], display_from_luma: 1.0 };
        assert!(is_flash(&other, &still, &still));
        assert!(!is_flash(&other, &other, &other));
    }

    #[test]
    fn flashes_are_asked_for_while_there_is_an_allowance_and_glanced_at_then() {
        let (dark, light) = [20, 200]
            .map(|grey| Luma { size: Size::new(16, 16), data: vec![grey; 256], display_from_luma: 1.0 })
            .into();
        let mut flashes = Flashes::default();
        let brief = Some(Flash { is_brief: true });
        let thorough = Some(Flash { is_brief: false });
        // Frame, whether there is one behind it in the scene, whether faces are looked for in it, what it is.
        for (i, (now, has_behind, is_looked_at, expected)) in [
            (&light, true, false, None),
            (&dark, true, false, thorough),
            (&light, true, true, None),
            (&dark, true, false, thorough),
            (&light, true, false, brief),
            (&dark, false, false, None),
            (&light, true, false, None),
            (&dark, true, false, brief),
        ]
        .into_iter()
        .enumerate()
        {
            let behind = if std::ptr::eq(now, &light) { &dark } else { &light };
            assert_eq!(flashes.look(now, has_behind.then_some(behind), is_looked_at), expected, "look {i}");
        }
    }
}
