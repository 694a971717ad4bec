//! Which pixels of masks that overlap can be compared with what was drawn.
//!
//! Lossy coding blends masks of different looks where they meet, and rendering rounds each one outward to the chroma
//! grid: there, neither look is to be expected.

use crate::types::geometry::Size;
use crate::types::mask::{Coverage, Span};
use crate::verify::coverage::shrink;

/// Of each mask, in the order of drawing, the pixels that are further than `rim` from its own edge and from the edges
/// of masks that were drawn over it. Pixels of a picture of `size`.
pub fn comparable(masks: &[&Coverage], rim: u32, size: Size) -> Vec<Coverage> {
    let whole = Coverage::whole(size);
    let edge = |mask: &Coverage| {
        let not_inside = subtract(&whole, &shrink(mask, rim, size));
        subtract(&not_inside, &shrink(&subtract(&whole, mask), rim, size))
    };
    let edges: Vec<Coverage> = masks.iter().map(|mask| edge(mask)).collect();
    let part = |(i, mask): (usize, &&Coverage)| {
        edges[i + 1..].iter().fold(shrink(mask, rim, size), |inner, edge| subtract(&inner, edge))
    };
    masks.iter().enumerate().map(part).collect()
}

/// The pixels of `from` that `taken` has not.
fn subtract(from: &Coverage, taken: &Coverage) -> Coverage {
    let mut spans = Vec::new();
    for span in &from.spans {
        let mut x0 = span.x0;
        let first = taken.spans.partition_point(|t| (t.y, t.x1) <= (span.y, span.x0));
        for hole in taken.spans[first..].iter().take_while(|t| t.y == span.y && t.x0 < span.x1) {
            if hole.x0 > x0 {
                spans.push(Span { y: span.y, x0, x1: hole.x0 });
            }
            x0 = x0.max(hole.x1);
        }
        if x0 < span.x1 {
            spans.push(Span { y: span.y, x0, x1: span.x1 });
        }
    }
    Coverage { spans }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(40, 30);

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Coverage {
        Coverage { spans: (y..y + height).map(|y| Span { y, x0: x, x1: x + width }).collect() }
    }

    fn has(coverage: &Coverage, x: u32, y: u32) -> bool {
        coverage.spans.iter().any(|s| s.y == y && (s.x0..s.x1).contains(&x))
    }

    #[test]
    fn differences_are_those_of_the_pixels() {
        let shapes =
            [rect(0, 0, 40, 30), rect(5, 5, 10, 10), rect(10, 8, 30, 4), rect(39, 0, 1, 30), Coverage::default()];
        for a in &shapes {
            for b in &shapes {
                let difference = subtract(a, b);
                for (x, y) in (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y))) {
                    assert_eq!(has(&difference, x, y), has(a, x, y) && !has(b, x, y), "{x},{y} of {a:?} and {b:?}");
                }
            }
        }
    }

    #[test]
    fn edges_of_later_masks_are_left_out() {
        let (below, above) = (rect(5, 5, 25, 20), rect(15, 10, 20, 15));
        let parts = comparable(&[&below, &above], 2, SIZE);
        // Alone below, on the edge of the mask above, below its middle, in its middle.
        assert!(has(&parts[0], 10, 15) && !has(&parts[0], 14, 17) && !has(&parts[0], 16, 17) && has(&parts[0], 20, 17));
        assert!(has(&parts[1], 20, 17) && !has(&parts[1], 16, 17));
        assert_eq!(parts[1], shrink(&above, 2, SIZE));
    }
}
