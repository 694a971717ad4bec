//! Connected regions of black and white maps, by the runs of their rows: a plain wall has hundreds of thousands of pixels
//! and some hundred runs.

use image::GrayImage;
pub use imageproc::region_labelling::Connectivity;
use imageproc::union_find::DisjointSetForest;

/// Pixels of one row that hang together; `right` is the first one beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub y: usize,
    pub left: usize,
    pub right: usize,
}

impl Run {
    /// Columns and rows of its pixels.
    pub fn pixels(self) -> impl Iterator<Item = (usize, usize)> {
        (self.left..self.right).map(move |x| (x, self.y))
    }
}

/// The runs of each region that is not black, row by row; regions in the order of their first pixels.
pub fn regions(map: &GrayImage, connectivity: Connectivity) -> Vec<Vec<Run>> {
    let (runs, touching) = runs(map, connectivity);
    let mut forest = DisjointSetForest::new(runs.len());
    touching.into_iter().for_each(|(a, b)| forest.union(a, b));
    let mut number_of_root = vec![None; runs.len()];
    let mut regions: Vec<Vec<Run>> = Vec::new();
    for (i, run) in runs.into_iter().enumerate() {
        let number = *number_of_root[forest.root(i)].get_or_insert(regions.len());
        if number == regions.len() {
            regions.push(Vec::new());
        }
        regions[number].push(run);
    }
    regions
}

/// All runs, row by row, and which of them touch one of the row above.
fn runs(map: &GrayImage, connectivity: Connectivity) -> (Vec<Run>, Vec<(usize, usize)>) {
    let reach = match connectivity {
        Connectivity::Four => 0,
        Connectivity::Eight => 1,
    };
    let (mut runs, mut touching): (Vec<Run>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    let mut above = 0..0;
    for (y, row) in map.as_raw().chunks_exact(map.width().max(1) as usize).enumerate() {
        let start = runs.len();
        let mut left = 0;
        for part in row.chunk_by(|a, b| (*a > 0) == (*b > 0)) {
            let right = left + part.len();
            if part[0] > 0 {
                runs.push(Run { y, left, right });
            }
            left = right;
        }
        let mut first = above.start;
        for i in start..runs.len() {
            while first < above.end && runs[first].right + reach <= runs[i].left {
                first += 1;
            }
            let under = (first..above.end).take_while(|&j| runs[j].left < runs[i].right + reach);
            touching.extend(under.map(|j| (i, j)));
        }
        above = start..runs.len();
    }
    (runs, touching)
}

/// The pixels of each region as columns and rows.
pub fn components(map: &GrayImage, connectivity: Connectivity) -> Vec<Vec<(usize, usize)>> {
    let pixels = |runs: Vec<Run>| runs.into_iter().flat_map(Run::pixels).collect();
    regions(map, connectivity).into_iter().map(pixels).collect()
}

#[cfg(test)]
mod tests {
    use image::Luma;
    use imageproc::region_labelling::connected_components;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn regions_hang_together_by_sides_or_by_corners_too() {
        let map = GrayImage::from_raw(3, 2, vec![255, 0, 0, 0, 255, 255]).unwrap();
        assert_eq!(components(&map, Connectivity::Four), [vec![(0, 0)], vec![(1, 1), (2, 1)]]);
        assert_eq!(components(&map, Connectivity::Eight), [[(0, 0), (1, 1), (2, 1)]]);
    }

    #[test]
    fn maps_of_one_pixel_and_of_none_have_at_most_one_region() {
        let map = |w, h, value| GrayImage::from_pixel(w, h, Luma([value]));
        assert_eq!(components(&map(1, 1, 255), Connectivity::Four), [[(0, 0)]]);
        for (w, h, value) in [(1, 1, 0), (0, 0, 0), (0, 3, 0), (3, 0, 0)] {
            assert!(components(&map(w, h, value), Connectivity::Four).is_empty(), "{w}x{h}");
        }
    }

    proptest! {
        #[test]
        fn another_implementation_finds_the_same(
            w in 2u32..12, whites in prop::collection::vec(prop::bool::ANY, 24..120), eight in prop::bool::ANY,
        ) {
            let h = whites.len() as u32 / w;
            let map = GrayImage::from_fn(w, h, |x, y| Luma([u8::from(whites[(y * w + x) as usize])]));
            let connectivity = || if eight { Connectivity::Eight } else { Connectivity::Four };
            let labels = connected_components(&map, connectivity(), Luma([0]));
            let found = components(&map, connectivity());
            for (number, pixels) in found.iter().enumerate() {
                prop_assert!(pixels.iter().all(|&(x, y)| labels[(x as u32, y as u32)] == Luma([number as u32 + 1])));
            }
            prop_assert_eq!(found.concat().len(), whites[..(w * h) as usize].iter().filter(|white| **white).count());
        }
    }
}
