//! Overlapping tiles of pictures that are too large for a network to look at as a whole.

use crate::types::geometry::{Rect, Size};

/// Tiles of at most `side` pixels a side that cover a picture; neighbours share at least `overlap` pixels, so that an
/// object not larger than `overlap` lies whole in one of them. Row by row.
pub fn tiles(size: Size, side: u32, overlap: u32) -> Vec<Rect> {
    assert!(overlap < side, "tiles must advance");
    let columns = starts(size.width, side, overlap);
    let rows = starts(size.height, side, overlap);
    let (w, h) = (side.min(size.width) as f32, side.min(size.height) as f32);
    rows.iter().flat_map(|&y| columns.iter().map(move |&x| Rect::new(x as f32, y as f32, w, h))).collect()
}

/// Evenly spread starts of tiles along one side.
fn starts(length: u32, side: u32, overlap: u32) -> Vec<u32> {
    if length <= side {
        return vec![0];
    }
    let steps = u64::from((length - side).div_ceil(side - overlap));
    (0..=steps).map(|i| (u64::from(length - side) * i / steps) as u32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_object_not_larger_than_the_overlap_is_whole_in_some_tile(
            w in 1u32..3000, h in 1u32..3000, side in 100u32..900, share in 0.0f32..0.9, fx in 0.0f32..1.0, fy in 0.0f32..1.0
        ) {
            let overlap = (side as f32 * share) as u32;
            let (ow, oh) = (overlap.min(w) as f32, overlap.min(h) as f32);
            let (x, y) = ((w as f32 - ow) * fx, (h as f32 - oh) * fy);
            let tiles = tiles(Size::new(w, h), side, overlap);
            let whole = |t: &Rect| {
                t.x <= x + 0.01 && t.y <= y + 0.01 && x + ow <= t.x + t.width + 0.01 && y + oh <= t.y + t.height + 0.01
            };
            prop_assert!(tiles.iter().any(whole));
            for t in &tiles {
                prop_assert!(t.x >= 0.0 && t.x + t.width <= w as f32 && t.y >= 0.0 && t.y + t.height <= h as f32);
            }
        }
    }

    #[test]
    fn a_small_picture_is_one_tile() {
        assert_eq!(tiles(Size::new(30, 20), 100, 50), [Rect::new(0.0, 0.0, 30.0, 20.0)]);
    }
}
