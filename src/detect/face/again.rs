//! Where to look again: windows around heads that a first look left unsure.

use super::fuse::Head;
use super::gather::Window;
use crate::types::geometry::{Rect, Size};

/// Boxes are taken up to this far beyond a head, in its longer sides: other views shift it a little.
const CORE: f32 = 0.5;
/// What the networks are shown around it.
const AREA: f32 = 1.0;
/// Joining two windows may show this much more than the two alone.
const WASTE: f32 = 1.1;

/// Windows around the heads, joined where that costs hardly more; the whole picture when they cover most of it.
pub fn windows(heads: &[Head], picture: Size) -> Vec<Window> {
    let around = |head: &Head, share: f32| {
        let (e, side) = (head.extent(), head.extent().width.max(head.extent().height) * share);
        Rect::new(e.x - side, e.y - side, e.width + 2.0 * side, e.height + 2.0 * side)
    };
    let window =
        |head: &Head| Some(Window { area: around(head, AREA).clipped(picture)?, cores: vec![around(head, CORE)] });
    let mut windows: Vec<Window> = Vec::new();
    for mut window in heads.iter().filter_map(window) {
        while let Some(i) = windows.iter().position(|other| is_worth_joining(other.area, window.area)) {
            let other = windows.swap_remove(i);
            window = Window { area: union(other.area, window.area), cores: [other.cores, window.cores].concat() };
        }
        windows.push(window);
    }
    let whole = Window::whole(picture).area;
    if windows.iter().map(|w| w.area.area()).sum::<f32>() < 0.8 * whole.area() {
        return windows;
    }
    vec![Window { area: whole, cores: windows.into_iter().flat_map(|w| w.cores).collect() }]
}

fn union(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    Rect::new(x, y, (a.x + a.width).max(b.x + b.width) - x, (a.y + a.height).max(b.y + b.height) - y)
}

fn is_worth_joining(a: Rect, b: Rect) -> bool {
    union(a, b).area() <= WASTE * (a.area() + b.area())
}
