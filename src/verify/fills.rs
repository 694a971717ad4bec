//! Masks of one colour, found in a finished picture of which no plan is at hand.

use crate::types::frame::Picture;
use crate::types::mask::{Coverage, Span};

/// Side of a cell, pixels.
const CELL: usize = 8;
/// Levels by which lossy coding moves the inside of a mask, and its rim.
const INSIDE_LEVELS: u8 = 8;
const RIM_LEVELS: u8 = 24;

/// Pixels of areas that have the colour of the fill all over: cells of nothing else, and what is like them around.
/// The coverage is in pixels of the picture.
pub fn fills(picture: &Picture, color: [u8; 3]) -> Coverage {
    let (w, h) = (picture.size.width as usize, picture.size.height as usize);
    let off = |x: usize, y: usize| {
        let at = (y * w + x) * 3;
        (0..3).map(|c| picture.data[at + c].abs_diff(color[c])).max().unwrap_or(0)
    };
    let (columns, rows) = (w / CELL, h / CELL);
    let is_filled = |i: usize| {
        let (x0, y0) = (i % columns * CELL, i / columns * CELL);
        (y0..y0 + CELL).all(|y| (x0..x0 + CELL).all(|x| off(x, y) <= INSIDE_LEVELS))
    };
    let filled: Vec<bool> = (0..columns * rows).map(is_filled).collect();
    let near_filled = |x: usize, y: usize| {
        let (cx, cy) = (x / CELL, y / CELL);
        let (xs, ys) = (cx.saturating_sub(1)..(cx + 2).min(columns), cy.saturating_sub(1)..(cy + 2).min(rows));
        ys.into_iter().any(|y| xs.clone().any(|x| filled[y * columns + x]))
    };
    let mut spans: Vec<Span> = Vec::new();
    for y in 0..h {
        for x in (0..w).filter(|&x| off(x, y) <= RIM_LEVELS && near_filled(x, y)) {
            let (x, y) = (x as u32, y as u32);
            match spans.last_mut() {
                Some(span) if span.y == y && span.x1 == x => span.x1 += 1,
                _ => spans.push(Span { y, x0: x, x1: x + 1 }),
            }
        }
    }
    Coverage { spans }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::geometry::Size;

    fn picture(paint: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
        let data = (0..64 * 48).flat_map(|i| paint(i % 64, i / 64)).collect();
        Picture::new(Size::new(64, 48), data, 1.0)
    }

    #[test]
    fn a_mask_is_found_to_its_rim_and_nothing_else() {
        let texture = |x: usize, y: usize| [(x * 37 + y * 11) as u8, (x * 5) as u8, (y * 91) as u8];
        let inside = |x: usize, y: usize| (13..50).contains(&x) && (9..41).contains(&y);
        let masked = picture(|x, y| if inside(x, y) { [128 + (x % 3) as u8; 3] } else { texture(x, y) });
        let found = fills(&masked, [128; 3]);
        let off = found.pixels().abs_diff(37 * 32);
        assert!(off < 20, "{off} pixels more or less");
        assert_eq!(fills(&masked, [0; 3]).pixels(), 0, "another colour");
        assert_eq!(fills(&picture(texture), [128; 3]).pixels(), 0);
        assert_eq!(
            fills(&Picture::new(Size::new(3, 2), vec![128; 18], 1.0), [128; 3]).pixels(),
            0,
            "too small to tell"
        );
    }
}
