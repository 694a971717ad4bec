//! What the fuzz targets do with bytes. The tests of the crate include this file too and run it on bytes that are
//! mutated from the fixtures.

use std::io::Write;

use withhold::media::sniff::sniff;
use withhold::pipeline::select::{Shard, parse_since};
use withhold::plan::file::{read_from, write_to};
use withhold::plan::{KeepRegion, OperatorRegion, Reasoned};
use withhold::types::geometry::{Point, Quad, Size};
use withhold::verify::structure::{Expect, inspect};

/// A plan that is accepted is written as it was read, and accepted again.
pub fn plan(data: &[u8]) {
    let Ok(plan) = read_from(data, None) else { return };
    let mut written = Vec::new();
    write_to(&plan, &mut written).expect("what was read can be written");
    let again = read_from(written.as_slice(), None).expect("what was written can be read");
    assert_eq!(again, plan);
}

/// The strict readers of all containers: never a panic, never a message without end.
pub fn strict(data: &[u8]) {
    let owned = data.to_vec();
    for audio in [false, true] {
        if let Ok(facts) = inspect(&owned, &Expect { audio, ..Expect::default() }) {
            assert!(facts.findings().len() <= 1000, "{} findings", facts.findings().len());
        }
    }
}

/// What a file is told by.
pub fn content(data: &[u8]) {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(data).expect("a temporary file takes bytes");
    let _ = sniff(&file);
}

/// Words of the command line.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = text.parse::<OperatorRegion>();
    let _ = text.parse::<KeepRegion>();
    let _ = text.parse::<Reasoned>();
    let _ = text.parse::<Shard>();
    let _ = parse_since(text);
}

/// Reads numbers off the bytes; zeros when they end.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> i16 {
        let (first, rest) = self.0.split_at_checked(2).unwrap_or((&[0, 0], &[]));
        self.0 = rest;
        i16::from_le_bytes([first[0], first[1]])
    }

    /// A number of pixels about a picture, in quarters.
    fn pixels(&mut self) -> f32 {
        f32::from(self.next()) / 4.0
    }

    fn rotated(&mut self) -> Quad {
        let (width, height) = (self.pixels().abs(), self.pixels().abs());
        Quad::rotated_rect(Point::new(self.pixels(), self.pixels()), width, height, f32::from(self.next()) / 5000.0)
    }
}

/// Rectangles of any place, size and angle keep the laws that masks rely on.
pub fn geometry(data: &[u8]) {
    let mut numbers = Numbers(data);
    let (a, b) = (numbers.rotated(), numbers.rotated());
    // Rounding, for coordinates of some thousand pixels.
    let slack = |area: f32| 1e-2 * area + 16.0;
    let common = a.intersection_area(&b);
    let smaller = a.area().min(b.area());
    assert!(common >= 0.0 && common <= smaller + slack(smaller), "{a:?} {b:?}: {common} of {smaller}");
    assert!(a.is_finite() && a.scaled(0.5).is_finite());

    let points: Vec<Point> = a.corners.iter().chain(&b.corners).copied().collect();
    let around = Quad::around(&points, numbers.pixels() / 1000.0);
    for quad in [a, b] {
        assert!(around.contains_quad(&quad), "{around:?} leaves out a corner of {quad:?}");
    }
    let bounds = a.bounds();
    for p in a.corners {
        let inside = |v: f32, low: f32, size: f32| v >= low && v <= low + size + 1e-2;
        assert!(inside(p.x, bounds.x, bounds.width) && inside(p.y, bounds.y, bounds.height), "{bounds:?} {p:?}");
    }
    let size = Size::new(numbers.next().unsigned_abs().into(), numbers.next().unsigned_abs().into());
    if let Some(cut) = bounds.clipped(size) {
        assert!(cut.x >= 0.0 && cut.y >= 0.0, "{cut:?}");
        assert!(cut.x + cut.width <= size.width as f32 + 1e-2 && cut.y + cut.height <= size.height as f32 + 1e-2);
    }
}
