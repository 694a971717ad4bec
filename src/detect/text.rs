//! Text lines with PP-OCRv6's detection networks (DB, Liao et al. 2020; weights of PaddleOCR).

use super::nms::RectIndex;
use super::text_beside::{Print, is_doubtful};
use super::text_db::{DbSettings, ProbabilityMap, TextBox, byte, read_forward, text_boxes};
use super::tiles::tiles;
use crate::error::Result;
use crate::infer::Network;
use crate::infer::engine::{checked, expect_shape};
use crate::infer::prep::{Affine, Channels, InputSpec, Layout, Turn, cropped, raised_to_multiple, resize_rgb, turned};
use crate::types::detection::{Class, Detection, Effort};
use crate::types::frame::Picture;
use crate::types::geometry::{Point, Quad, Size};
use crate::types::progress::beat;
use crate::types::stage::Detector;

/// Means and deviations of ImageNet in the order in which PaddleOCR applies them, to blue, green, red.
const INPUT: InputSpec = InputSpec {
    channels: Channels::Bgr,
    layout: Layout::Nchw,
    mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
    scale: [1.0 / (0.229 * 255.0), 1.0 / (0.224 * 255.0), 1.0 / (0.225 * 255.0)],
};

/// Sides of the networks' input are multiples of it.
const STEP: u32 = 32;

/// Largest side of one inference; larger views are cut into tiles.
pub(super) const TILE: u32 = 1280;

/// Shared by neighbouring tiles: several times the height of the lines that only tiles can show.
const TILE_OVERLAP: u32 = 160;

/// How the views of a picture are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextSettings {
    pub db: DbSettings,
    /// Longer side of the whole picture, `Effort::Fast`.
    pub fast_side: u32,
    /// Longer side of the whole picture, `Effort::Key` and `Effort::Thorough`.
    pub thorough_side: u32,
    /// Small pictures are enlarged at most so much to reach these sides.
    pub max_enlarge: f32,
    /// Pictures whose longer side is no longer than this are looked at in twice that scale, too, but for `Effort::Fast`.
    pub thumbnail_side: u32,
    /// Look at the picture turned by 90 degrees too, `Effort::Thorough`: upright lines that are blurred are seen by it
    /// only. In clips they come into other frames, in which they are looked for upright alone.
    pub turned: bool,
    /// Least score of what only the turned look sees: weaker boxes are mostly lines seen across.
    pub turned_score: f32,
    /// Pictures larger than a whole view are also looked at in tiles, at their own scale up to so many pixels.
    pub tiled_pixels: u64,
}

impl Default for TextSettings {
    fn default() -> Self {
        Self {
            db: DbSettings::RECALL,
            fast_side: 960,
            thorough_side: 1280,
            max_enlarge: 1.5,
            thumbnail_side: 320,
            turned: true,
            turned_score: 0.6,
            tiled_pixels: 24_000_000,
        }
    }
}

/// One way to look at a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct View {
    /// By which the picture is scaled.
    factor: f32,
    /// With the small network, not the tiny one.
    small: bool,
    /// Also turned by 90 degrees.
    turned: bool,
}

/// Finds text lines of any script.
pub struct TextDetector {
    name: String,
    small: Box<dyn Network>,
    tiny: Box<dyn Network>,
    print: Print,
    pub settings: TextSettings,
}

impl TextDetector {
    /// Networks with input `[1, 3, h, w]`, sides a multiple of 32, and output `[1, 1, h, w]`: `small` for
    /// `Effort::Thorough`, `tiny` for `Effort::Fast`.
    pub fn new(small: Box<dyn Network>, tiny: Box<dyn Network>, settings: TextSettings) -> Self {
        Self { name: format!("{}/{}", small.name(), tiny.name()), small, tiny, print: Print::new(), settings }
    }

    /// Boxes of one view, in pixels of the picture.
    fn look(&mut self, picture: &Picture, view: View) -> Result<Vec<TextBox>> {
        let size = view_size(picture.size, view.factor);
        let work = Picture::new(size, resize_rgb(&picture.data, picture.size, size)?, 1.0);
        let network = if view.small { &mut self.small } else { &mut self.tiny };
        let turns = if view.turned { &[Turn::Upright, Turn::Quarter][..] } else { &[Turn::Upright][..] };
        let mut maps: Vec<(Turn, ProbabilityMap)> = turns.iter().map(|&t| (t, ProbabilityMap::blank(size))).collect();
        for area in tiles(size, TILE, TILE_OVERLAP) {
            let tile = cropped(&work, area);
            if tile.picture.is_blank() {
                continue;
            }
            for (turn, map) in &mut maps {
                let seen = turned(&tile.picture, *turn);
                let probabilities = probabilities(network.as_mut(), &seen.picture)?;
                let map_from_seen = tile.source_from_derived.after(&seen.source_from_derived);
                raise(map, &probabilities, seen.picture.size, &map_from_seen);
            }
        }
        let mut boxes = Vec::new();
        for (turn, map) in &maps {
            let least = if *turn == Turn::Upright { 0.0 } else { self.settings.turned_score };
            boxes.extend(text_boxes(map, &self.settings.db).into_iter().filter(|b| b.score >= least));
        }
        let sx = picture.size.width as f32 / size.width as f32;
        let sy = picture.size.height as f32 / size.height as f32;
        let in_picture =
            |b: TextBox| TextBox { quad: b.quad.stretched(sx, sy), core: b.core.stretched(sx, sy), score: b.score };
        Ok(boxes.into_iter().map(in_picture).collect())
    }

    /// Boxes of one view without large ones that are no text. A network that saw such may have missed text for it: then
    /// the other one looks too, in clips not before the next key frame.
    fn sober_look(
        &mut self,
        picture: &Picture,
        view: View,
        effort: Effort,
        beside: &mut Vec<ProbabilityMap>,
    ) -> Result<Vec<TextBox>> {
        let mut boxes = self.look(picture, view)?;
        if self.drop_what_is_no_text(picture, &mut boxes, beside)? && !effort.is_fast() {
            let mut others = self.look(picture, View { small: !view.small, ..view })?;
            self.drop_what_is_no_text(picture, &mut others, beside)?;
            boxes.extend(others);
        }
        Ok(boxes)
    }

    /// Whether there was any. `beside`: maps of the picture beside print, taken once.
    fn drop_what_is_no_text(
        &mut self,
        picture: &Picture,
        boxes: &mut Vec<TextBox>,
        beside: &mut Vec<ProbabilityMap>,
    ) -> Result<bool> {
        let (doubted, mut kept): (Vec<_>, Vec<_>) = boxes.drain(..).partition(|b| is_doubtful(b, picture.size));
        let cores: Vec<Quad> = doubted.iter().map(|b| b.core).collect();
        let believed = self.print.believed(picture, &cores, beside, self.small.as_mut(), self.tiny.as_mut())?;
        kept.extend(doubted.into_iter().zip(&believed).filter(|(_, b)| **b).map(|(found, _)| found));
        *boxes = kept;
        Ok(believed.contains(&false))
    }

    /// The views of a picture, coarsest first.
    fn views(&self, size: Size, effort: Effort) -> Vec<View> {
        let settings = &self.settings;
        let thorough = !effort.is_fast();
        let whole = if thorough { settings.thorough_side } else { settings.fast_side };
        let factor = (whole as f32 / size.width.max(size.height) as f32).min(settings.max_enlarge);
        let mut views = vec![View { factor, small: thorough, turned: effort == Effort::Thorough && settings.turned }];
        let finest = (settings.tiled_pixels as f32 / size.pixels() as f32).sqrt().min(1.0);
        // A second view pays when it is clearly finer. It is for text too small for the first, and has many times its
        // pixels: the small network there would cost more than all else together.
        if thorough && finest > 1.25 * factor {
            views.push(View { factor: finest, small: false, turned: false });
        }
        // Letters of a thumbnail are too small for the network as they are.
        if thorough && size.width.max(size.height) <= settings.thumbnail_side {
            views.push(View { factor: 2.0 * factor, ..views[0] });
        }
        views
    }
}

impl Detector for TextDetector {
    fn name(&self) -> &str {
        &self.name
    }

    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>> {
        if picture.size.pixels() == 0 {
            return Ok(Vec::new());
        }
        let (mut boxes, mut beside) = (Vec::new(), Vec::new());
        for view in self.views(picture.size, effort) {
            boxes.extend(self.sober_look(picture, view, effort, &mut beside)?);
            beat();
        }
        let mut boxes = merged(boxes);
        boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
        let detection = |b: TextBox| Detection {
            class: Class::Text,
            quad: b.quad.scaled(picture.display_from_picture),
            score: b.score,
            landmarks: None,
        };
        Ok(boxes.into_iter().map(detection).collect())
    }
}

/// Size of a picture scaled by about `factor`, with sides that the networks take.
pub(super) fn view_size(size: Size, factor: f32) -> Size {
    let side = |v: u32| (((v as f32 * factor / STEP as f32).round() as u32) * STEP).max(STEP);
    Size::new(side(size.width), side(size.height))
}

/// Output of the network for a picture whose sides are multiples of 32, row by row, 0 to 1.
pub(super) fn probabilities(network: &mut dyn Network, picture: &Picture) -> Result<Vec<f32>> {
    let (w, h) = (picture.size.width as usize, picture.size.height as usize);
    debug_assert_eq!(picture.size, raised_to_multiple(picture.size, STEP));
    let outputs = network.run(INPUT.tensor(&picture.data, picture.size, picture.size))?;
    let mut outputs = checked(network.name(), outputs, 1)?;
    expect_shape(network.name(), &outputs[0], &[1, 1, h, w])?;
    Ok(outputs.swap_remove(0).data)
}

/// Raises the map to the probabilities of a view; `map_from_view` is a shift with quarter turns.
fn raise(map: &mut ProbabilityMap, probabilities: &[f32], view: Size, map_from_view: &Affine) {
    let width = map.size.width as isize;
    let step = map_from_view.xx as isize + map_from_view.yx as isize * width;
    for (y, row) in probabilities.chunks_exact(view.width as usize).enumerate() {
        let first = map_from_view.apply(Point::new(0.5, y as f32 + 0.5));
        let mut at = first.y as isize * width + first.x as isize;
        for p in row {
            let there = &mut map.data[at as usize];
            *there = (*there).max(byte(*p));
            at += step;
        }
    }
}

/// Share of a quad's area, seen at a grid of points, that lies in another one.
fn share_inside(quad: &Quad, other: &Quad) -> f32 {
    const ACROSS: usize = 12;
    const DOWN: usize = 4;
    quad.share(ACROSS, DOWN, |p| other.contains(p))
}

/// Share of a box inside another one from which it is the same text, seen in another view.
const SAME_TEXT: f32 = 0.8;

/// Drops boxes that lie in larger ones. What sticks out of the larger box is added to it, so that nothing is uncovered.
fn merged(mut boxes: Vec<TextBox>) -> Vec<TextBox> {
    boxes.sort_by(|a, b| b.quad.area().total_cmp(&a.quad.area()));
    let mut index = RectIndex::default();
    let mut kept: Vec<TextBox> = Vec::new();
    for found in boxes {
        let bounds = found.quad.bounds();
        let around = index.overlapping(bounds);
        let holder = around.into_iter().find(|&i| share_inside(&found.quad, &kept[i].quad) >= SAME_TEXT);
        match holder {
            Some(i) => {
                kept[i].quad = enclosing(&kept[i].quad, &found.quad);
                kept[i].score = kept[i].score.max(found.score);
            }
            None => {
                index.insert(bounds);
                kept.push(found);
            }
        }
    }
    kept
}

/// The smallest rectangle with the angle of `rect` around both.
fn enclosing(rect: &Quad, other: &Quad) -> Quad {
    let angle = rect.angle_rad();
    let (s, c) = angle.sin_cos();
    let corners = rect.corners.iter().chain(&other.corners);
    let along = Quad::bounds;
    let turned: Vec<Point> = corners.map(|p| Point::new(p.x * c + p.y * s, p.y * c - p.x * s)).collect();
    let first = Quad::new([turned[0], turned[1], turned[2], turned[3]]);
    let second = Quad::new([turned[4], turned[5], turned[6], turned[7]]);
    let (a, b) = (along(&first), along(&second));
    let (x0, y0) = (a.x.min(b.x), a.y.min(b.y));
    let (x1, y1) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
    let (u, v) = ((x0 + x1) / 2.0, (y0 + y1) / 2.0);
    let center = Point::new(u * c - v * s, u * s + v * c);
    read_forward(&Quad::rotated_rect(center, x1 - x0, y1 - y0, angle))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text_fakes::SeesBright;
    use super::*;
    use crate::types::detection::Headings;

    fn detector(settings: TextSettings) -> TextDetector {
        let network = || Box::new(SeesBright::default());
        TextDetector::new(network(), network(), settings)
    }

    fn with_lines(width: u32, height: u32, lines: &[(u32, u32, u32, u32)]) -> Picture {
        let mut data = vec![0; (width * height * 3) as usize];
        for &(x, y, w, h) in lines {
            for row in y..y + h {
                let at = ((row * width + x) * 3) as usize;
                data[at..at + w as usize * 3].fill(255);
            }
        }
        Picture::new(Size::new(width, height), data, 1.0)
    }

    #[test]
    fn a_line_across_many_tiles_is_one_box() {
        let line = (100, 1500, 3600, 16);
        let picture = with_lines(4000, 3000, &[line, (2000, 200, 120, 12)]);
        let found = detector(TextSettings::default()).detect(&picture, Effort::Thorough).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        let long = found.iter().max_by(|a, b| a.quad.width().total_cmp(&b.quad.width())).unwrap();
        let corner = |x, y| Point::new(x as f32, y as f32);
        assert!(long.quad.contains(corner(101, 1501)) && long.quad.contains(corner(3699, 1515)));
        assert!(long.quad.height() < 80.0 && long.quad.width() < 3700.0, "{long:?}");
    }

    #[test]
    fn boxes_are_told_in_display_space() {
        let mut picture = with_lines(320, 160, &[(64, 64, 128, 16)]);
        picture.display_from_picture = 3.0;
        for effort in [Effort::Fast(Headings::UPRIGHT), Effort::Thorough] {
            let found = detector(TextSettings::default()).detect(&picture, effort).unwrap();
            assert_eq!(found.len(), 1);
            assert!(found[0].quad.center().distance(Point::new(128.0 * 3.0, 72.0 * 3.0)) < 3.0, "{found:?}");
        }
    }

    #[test]
    fn odd_pictures_are_survived() {
        for (w, h) in [(1, 1), (1, 900), (3000, 1), (33, 31)] {
            for effort in [Effort::Fast(Headings::UPRIGHT), Effort::Thorough] {
                detector(TextSettings::default()).detect(&with_lines(w, h, &[]), effort).unwrap();
            }
        }
    }

    #[test]
    fn small_text_of_large_pictures_and_of_thumbnails_has_a_view_of_its_own() {
        let text = detector(TextSettings::default());
        let table = [
            (Size::new(100, 75), Effort::Thorough, vec![1.5, 3.0]),
            (Size::new(100, 75), Effort::Fast(Headings::UPRIGHT), vec![1.5]),
            (Size::new(640, 480), Effort::Thorough, vec![1.5]),
            (Size::new(1280, 720), Effort::Thorough, vec![1.0]),
            (Size::new(4000, 3000), Effort::Thorough, vec![0.32, 1.0]),
            (Size::new(4000, 3000), Effort::Fast(Headings::UPRIGHT), vec![0.24]),
        ];
        for (size, effort, factors) in table {
            let seen: Vec<f32> = text.views(size, effort).iter().map(|v| v.factor).collect();
            assert_eq!(seen, factors);
        }
        let finest = text.views(Size::new(20000, 20000), Effort::Thorough)[1].factor;
        assert!(finest * finest * 4e8 <= 24.1e6);
    }

    proptest! {
        #[test]
        fn merging_uncovers_nothing(rects in prop::collection::vec((0f32..90.0, 0f32..90.0, 5f32..60.0, 3f32..20.0, -1.5f32..1.5), 1..25)) {
            let boxes: Vec<TextBox> = rects
                .iter()
                .map(|&(x, y, w, h, a)| read_forward(&Quad::rotated_rect(Point::new(x, y), w, h, a)))
                .map(|quad| TextBox { quad, core: quad, score: 0.5 })
                .collect();
            let merged = merged(boxes.clone());
            for b in &boxes {
                let slack = |k: &TextBox| super::super::text_db::grown_by(&k.quad, 0.05);
                prop_assert!(merged.iter().any(|k| b.quad.corners.iter().all(|&c| slack(k).contains(c))));
            }
        }
    }
}
