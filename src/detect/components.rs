//! Connected regions of black and white maps.

use image::{GrayImage, Luma};
pub use imageproc::region_labelling::Connectivity;
use imageproc::region_labelling::connected_components;

/// For each pixel, row by row, the number of its region: from 1 on, in the order of their first pixels; 0 where the map
/// is black.
pub fn labels(map: &GrayImage, connectivity: Connectivity) -> Vec<u32> {
    if map.len() == 1 {
        // The library makes no room for the one label that a single pixel may need.
        return vec![u32::from(map.as_raw()[0] > 0)];
    }
    connected_components(map, connectivity, Luma([0])).into_raw()
}

/// The pixels of each region as columns and rows.
pub fn components(map: &GrayImage, connectivity: Connectivity) -> Vec<Vec<(usize, usize)>> {
    let width = map.width() as usize;
    let mut members: Vec<Vec<(usize, usize)>> = Vec::new();
    for (i, label) in labels(map, connectivity).into_iter().enumerate().filter(|(_, label)| *label > 0) {
        members.resize(members.len().max(label as usize), Vec::new());
        members[label as usize - 1].push((i % width, i / width));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_hang_together_by_sides_or_by_corners_too() {
        let map = GrayImage::from_raw(3, 2, vec![255, 0, 0, 0, 255, 255]).unwrap();
        assert_eq!(labels(&map, Connectivity::Four), [1, 0, 0, 0, 2, 2]);
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
}
