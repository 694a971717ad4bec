//! Faces for verification: BlazeFace, which redaction does not use, over tiles and rotations, and a second opinion for the
//! gate.

use super::{FaceNetwork, RawFace};
use crate::detect::{nms, tiles};
use crate::error::Result;
use crate::infer::prep::{Turn, part, scaled_down, turned};
use crate::types::detection::{Class, Detection, Effort};
use crate::types::frame::Picture;
use crate::types::geometry::{Quad, Rect};
use crate::types::progress::beat;
use crate::types::stage::Detector;

/// Side of the finest tiles, pixels: BlazeFace sees faces from about 25 pixels in them.
const FINEST_TILE: u32 = 480;

/// The same where the cost matters less than the smallest face: a photo of 12 megapixels has twice as many of them.
const GATE_TILE: u32 = 320;

/// And for upright faces in photos, once more: those of 24 pixels are seen for sure.
const GATE_UPRIGHT_TILE: u32 = 160;

/// Sides of the finest tiles, pixels.
#[derive(Clone, Copy, Debug)]
pub struct FinestTiles {
    /// In all turns.
    turned: u32,
    /// Upright, in photos only.
    upright: Option<u32>,
}

impl FinestTiles {
    /// Of a verification that goes along with redaction.
    pub const USUAL: Self = Self { turned: FINEST_TILE, upright: None };
    /// Of the gate.
    pub const GATE: Self = Self { turned: GATE_TILE, upright: Some(GATE_UPRIGHT_TILE) };
}

/// From one level of tiles to the next finer one: faces too small for a level lie whole in a tile of the next.
const LEVEL_FACTOR: u32 = 3;

/// Longest side that the second network looks at.
const SECOND_SIDE: u32 = 1280;

/// The reserved networks.
pub struct FaceVerifier {
    name: String,
    blazeface: Box<dyn FaceNetwork>,
    second: Option<Box<dyn FaceNetwork>>,
    /// From which score a box counts.
    threshold: f32,
    finest_tiles: FinestTiles,
}

impl FaceVerifier {
    /// `threshold`: 0.5 is usual, 0.7 confident. `second`: another opinion on the upright picture.
    pub fn new(
        blazeface: Box<dyn FaceNetwork>,
        second: Option<Box<dyn FaceNetwork>>,
        threshold: f32,
        finest_tiles: FinestTiles,
    ) -> Self {
        let name = match &second {
            Some(second) => format!("{}+{}", blazeface.name(), second.name()),
            None => blazeface.name().to_owned(),
        };
        Self { name, blazeface, second, threshold, finest_tiles }
    }

    fn tile(&mut self, picture: &Picture, area: Rect, turns: &[Turn], found: &mut Vec<(RawFace, Quad)>) -> Result<()> {
        let (tile, picture_from_tile) = part(picture, area);
        if tile.is_blank() {
            // No network runs that would tell of progress.
            beat();
            return Ok(());
        }
        let small = scaled_down(&tile, self.blazeface.input_side().unwrap_or(u32::MAX))?;
        let picture_from_small = picture_from_tile.after(&small.source_from_derived);
        for &turn in turns {
            let view = turned(&small.picture, turn);
            let map = picture_from_small.after(&view.source_from_derived);
            let faces = self.blazeface.candidates(&view.picture, self.threshold)?;
            found.extend(faces.iter().map(|face| (face.mapped(&map), face.quad(&map))));
        }
        Ok(())
    }
}

impl Detector for FaceVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    /// `Effort::Fast`: upright only, the whole picture and the coarsest tiles. Else all levels of tiles in four
    /// rotations, and the second network; `Effort::Thorough`: finer tiles upright as well, where asked for.
    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>> {
        let (turns, levels) = if effort.is_fast() { (&Turn::ALL[..1], 2) } else { (&Turn::ALL[..], usize::MAX) };
        let mut found = Vec::new();
        let long_side = picture.size.width.max(picture.size.height);
        let sides = tile_sides(long_side, self.finest_tiles.turned).into_iter().take(levels).map(|side| (side, turns));
        let upright = self.finest_tiles.upright.filter(|side| effort == Effort::Thorough && *side < long_side);
        for (side, turns) in sides.chain(upright.map(|side| (side, &Turn::ALL[..1]))) {
            for area in tiles::tiles(picture.size, side, side / LEVEL_FACTOR) {
                self.tile(picture, area, turns, &mut found)?;
            }
        }
        if let (Some(second), false) = (&mut self.second, effort.is_fast()) {
            let work = scaled_down(picture, SECOND_SIDE)?;
            let faces = second.candidates(&work.picture, self.threshold)?;
            let map = &work.source_from_derived;
            found.extend(faces.iter().map(|face| (face.mapped(map), face.quad(map))));
        }
        let groups = nms::grouped(found, |f| f.0.rect, |f| f.0.score, 0.3, 0.6);
        let detection = |(face, quad): &(RawFace, Quad)| Detection {
            class: Class::Face,
            quad: quad.scaled(picture.display_from_picture),
            score: face.score,
            landmarks: None,
        };
        Ok(groups.iter().map(|group| detection(&group[0])).collect())
    }
}

/// Sides of the tiles, from one that holds the whole picture down to the finest.
fn tile_sides(long_side: u32, finest: u32) -> Vec<u32> {
    let mut sides = vec![long_side.max(LEVEL_FACTOR)];
    while let Some(&last) = sides.last() {
        // A level that would hardly be finer is not worth its cost.
        if last * 3 <= finest * 4 {
            break;
        }
        sides.push((last / LEVEL_FACTOR).max(finest));
    }
    // The finest level sees all that one of nearly its size does, and the one before leaves it nothing too large.
    if let [.., _, close, _] = sides[..]
        && close * 2 < finest * 3
    {
        sides.remove(sides.len() - 2);
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{Sees, black};
    use super::*;
    use crate::types::geometry::Size;

    /// Finds a white square of 40x40 if it lies whole in a view and fills at least a sixteenth of its longer side.
    struct SeesWhite;

    impl FaceNetwork for SeesWhite {
        fn name(&self) -> &str {
            "white"
        }

        fn candidates(&mut self, picture: &Picture, _: f32) -> Result<Vec<RawFace>> {
            let Size { width, height } = picture.size;
            let white: Vec<u32> = (0..width * height).filter(|&i| picture.data[i as usize * 3] == 255).collect();
            if white.len() != 1600 || width.max(height) > 40 * 16 {
                return Ok(Vec::new());
            }
            let (x, y) = (white.iter().map(|i| i % width).min().unwrap(), white[0] / width);
            let rect = Rect::new(x as f32, y as f32, 40.0, 40.0);
            Ok(vec![RawFace { rect, score: 0.9, landmarks: None }])
        }
    }

    #[test]
    fn a_small_face_anywhere_in_a_large_picture_is_found_once() {
        for (x, y) in [(0, 0), (1000, 470), (1880, 1040), (633, 333)] {
            let mut picture = black(1920, 1080);
            for row in y..y + 40 {
                let at = ((row * 1920 + x) * 3) as usize;
                picture.data[at..at + 120].fill(255);
            }
            let mut verifier = FaceVerifier::new(Box::new(SeesWhite), None, 0.5, FinestTiles::USUAL);
            let found = verifier.detect(&picture, Effort::Thorough).unwrap();
            assert_eq!(found.len(), 1, "at {x},{y}");
            let place = Rect::new(x as f32, y as f32, 40.0, 40.0);
            assert!(found[0].quad.bounds().iou(place) > 0.99, "{:?}", found[0].quad);
        }
    }

    #[test]
    fn the_gate_looks_closer_at_photos() {
        // A face of 40 pixels is found in views of up to 640: one of 10 needs 160.
        struct SeesSmall;
        impl FaceNetwork for SeesSmall {
            fn name(&self) -> &str {
                "small"
            }

            fn candidates(&mut self, picture: &Picture, _: f32) -> Result<Vec<RawFace>> {
                let Size { width, height } = picture.size;
                let white = (0..width * height).find(|&i| picture.data[i as usize * 3] == 255);
                let near = white.filter(|_| width.max(height) <= GATE_UPRIGHT_TILE);
                let rect = |i: u32| Rect::new((i % width) as f32, (i / width) as f32, 10.0, 10.0);
                Ok(near.map(|i| RawFace { rect: rect(i), score: 0.9, landmarks: None }).into_iter().collect())
            }
        }
        let mut picture = black(1280, 960);
        picture.data[..3].fill(255);
        for (tiles, effort, count) in [
            (FinestTiles::GATE, Effort::Thorough, 1),
            (FinestTiles::GATE, Effort::Key(crate::types::detection::Headings::ALL), 0),
            (FinestTiles::USUAL, Effort::Thorough, 0),
        ] {
            let mut verifier = FaceVerifier::new(Box::new(SeesSmall), None, 0.5, tiles);
            assert_eq!(verifier.detect(&picture, effort).unwrap().len(), count, "{tiles:?} {effort:?}");
        }
    }

    #[test]
    fn tiles_of_one_colour_are_not_shown_to_the_network() {
        let runs_on = |picture: &Picture| {
            let (told, runs) = std::sync::mpsc::channel();
            let tells = move |size| {
                told.send(size).unwrap();
                Vec::new()
            };
            let network = Box::new(Sees("tells", tells));
            FaceVerifier::new(network, None, 0.5, FinestTiles::USUAL).detect(picture, Effort::Thorough).unwrap();
            runs.iter().count()
        };
        let mut picture = black(1920, 1080);
        assert_eq!(runs_on(&picture), 0);
        // A pixel in the corner: the whole picture and one tile of it, in four turns.
        picture.data[..3].fill(255);
        assert_eq!(runs_on(&picture), 8);
    }

    #[test]
    fn levels_go_from_the_whole_picture_to_the_finest_tile() {
        let table = [(1, vec![3]), (400, vec![400]), (640, vec![640]), (1920, vec![1920, 640])];
        for (long_side, sides) in table {
            assert_eq!(tile_sides(long_side, FINEST_TILE), sides);
        }
        assert_eq!(tile_sides(4000, FINEST_TILE), [4000, 1333, 480]);
        assert_eq!(tile_sides(4000, GATE_TILE), [4000, 1333, 320]);
    }
}
