//! Bar codes and matrix codes: what can be read (`rxing`), and whatever is shaped like a code and can't be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rxing::helpers::detect_multiple_in_luma;

use super::code_shape::{CodeShape, code_shapes};
use super::nms::suppress;
use crate::error::Result;
use crate::infer::prep::scaled_down;
use crate::types::detection::{Class, Detection, Effort};
use crate::types::frame::Picture;
use crate::types::geometry::{Margins, Point, Quad, Rect, Size};
use crate::types::progress::beat;
use crate::types::stage::Detector;

/// Longest side of the finest view; each further one has 0.7 of it.
const FINEST_SIDE: u32 = 2048;
/// Shortest longer side of a view that can hold a code.
const COARSEST_SIDE: u32 = 160;
/// Longest side at which codes are read.
const READ_SIDE: u32 = 1280;
/// Shapes of several views from here on are one code.
const SAME_CODE_IOU: f32 = 0.5;
/// Score of a code that was read.
const READ_SCORE: f32 = 1.0;
/// Score of what is shaped like a linear code: text never is.
const LINEAR_SCORE: f32 = 0.9;
/// Score of what is shaped like a matrix code and fills its rectangle. A paragraph does, too.
const MATRIX_SCORE: f32 = 0.8;
/// Share of a shape that text covers from which it is text.
const TEXT_SHARE: f32 = 0.5;
/// Lines inside a shape from which it is something printed.
const LINES_OF_A_CARD: usize = 3;
/// Points per side at which a shape is held against text.
const PROBES: usize = 12;

/// Drops shapes that lie mostly under text, which hides them already, and those that hold a head or several lines: a
/// code has neither, a card has both. All quads of one space.
pub fn drop_paragraphs(found: &mut Vec<Detection>) {
    let text: Vec<Quad> = found.iter().filter(|d| d.class == Class::Text).map(|d| d.quad).collect();
    let heads: Vec<Quad> = found.iter().filter(|d| d.class == Class::Face).map(|d| d.quad).collect();
    let covered = |quad: &Quad| quad.share(PROBES, PROBES, |p| text.iter().any(|t| t.contains(p)));
    let inside = |quad: &Quad, others: &[Quad]| others.iter().filter(|o| quad.contains(o.center())).count();
    let is_none =
        |quad: &Quad| covered(quad) >= TEXT_SHARE || inside(quad, &text) >= LINES_OF_A_CARD || inside(quad, &heads) > 0;
    found.retain(|d| d.class != Class::Code || d.score > MATRIX_SCORE || !is_none(&d.quad));
}

/// Finds codes; holds no network.
#[derive(Default)]
pub struct CodeDetector;

impl Detector for CodeDetector {
    fn name(&self) -> &str {
        "codes"
    }

    fn detect(&mut self, picture: &Picture, effort: Effort) -> Result<Vec<Detection>> {
        if picture.size.pixels() == 0 {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut side = FINEST_SIDE.min(picture.size.width.max(picture.size.height));
        loop {
            let view = scaled_down(picture, side)?.picture;
            let shapes = code_shapes(&gray(&view), view.size);
            let told = |s: CodeShape| {
                let score = if s.is_linear { LINEAR_SCORE } else { MATRIX_SCORE * s.filled.min(1.0) };
                detection(s.quad.scaled(view.display_from_picture), score)
            };
            found.extend(shapes.into_iter().map(told));
            beat();
            side = side * 7 / 10;
            if side < COARSEST_SIDE {
                break;
            }
        }
        if !effort.is_fast() {
            found.extend(read(picture)?);
        }
        Ok(suppress(found, |d| d.quad.bounds(), |d| d.score, SAME_CODE_IOU))
    }
}

fn detection(quad: Quad, score: f32) -> Detection {
    Detection { class: Class::Code, quad, score, landmarks: None }
}

/// Brightness as codes are printed for: red lasers aside, plain luma.
pub(super) fn gray(picture: &Picture) -> Vec<u8> {
    let luma = |p: &[u8]| ((u32::from(p[0]) * 77 + u32::from(p[1]) * 150 + u32::from(p[2]) * 29) >> 8) as u8;
    picture.data.chunks_exact(3).map(luma).collect()
}

/// Codes that can be read. That none can be is no error: shapes are what counts.
fn read(picture: &Picture) -> Result<Vec<Detection>> {
    let view = scaled_down(picture, READ_SIDE)?.picture;
    let Size { width, height } = view.size;
    let luma = gray(&view);
    // A reader that trips over a picture has read nothing in it; what is shaped like a code is masked all the same.
    let results = catch_unwind(AssertUnwindSafe(|| detect_multiple_in_luma(luma, width, height)));
    let results = results.ok().and_then(std::result::Result::ok).unwrap_or_default();
    let quads = results.iter().filter_map(|r| {
        let points: Vec<Point> = r.getPoints().iter().map(|p| Point::new(p.x, p.y)).collect();
        around(&points)
    });
    Ok(quads.map(|q| detection(q.scaled(view.display_from_picture), READ_SCORE)).collect())
}

/// The code around the points that a reader tells: middles of finder patterns, corners, or two ends of one line across
/// the bars.
fn around(points: &[Point]) -> Option<Quad> {
    let first = points.first()?;
    let (mut x0, mut y0, mut x1, mut y1) = (first.x, first.y, first.x, first.y);
    for p in points {
        (x0, y0, x1, y1) = (x0.min(p.x), y0.min(p.y), x1.max(p.x), y1.max(p.y));
    }
    let side = (x1 - x0).max(y1 - y0).max(8.0);
    // A line across bars tells nothing of their length: take it for half of the line's.
    let least = side / 2.0;
    let (grow_x, grow_y) = (((least - (x1 - x0)) / 2.0).max(0.0), ((least - (y1 - y0)) / 2.0).max(0.0));
    let rect = Rect::new(x0 - grow_x, y0 - grow_y, x1 - x0 + 2.0 * grow_x, y1 - y0 + 2.0 * grow_y);
    // Middles of finder patterns lie three and a half modules inside, at least a sixth of the smallest codes.
    Some(Quad::from(rect).grown(Margins::even(0.2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_pictures_are_survived() {
        // Narrow black ones sent the reader of MaxiCode round for ever: it is not built in.
        for (w, h) in [(1, 1), (1, 3000), (3000, 1), (2, 300), (5, 400), (7, 1280), (8, 1280), (12, 1280), (1280, 8)] {
            for shade in [0, 255] {
                let picture = Picture::new(Size::new(w, h), vec![shade; (w * h * 3) as usize], 1.0);
                assert!(CodeDetector.detect(&picture, Effort::Thorough).unwrap().is_empty(), "{w}x{h}, {shade}");
            }
        }
    }
}
