//! Overlap of boxes: non-maximum suppression and grouping, through a grid so that many boxes cost little more than few.

use std::collections::HashMap;

use crate::types::geometry::Rect;

/// Intersection over the smaller area: 1 when one box lies in the other.
pub fn io_min(a: Rect, b: Rect) -> f32 {
    let smaller = a.area().min(b.area());
    if smaller > 0.0 { a.intersection(b).map_or(0.0, Rect::area) / smaller } else { 0.0 }
}

/// Boxes sorted into the cells of a grid that they touch.
///
/// There is a grid for each power of two of the boxes' longer sides, so that a box lies in few cells of its own grid.
#[derive(Default)]
pub struct RectIndex {
    rects: Vec<Rect>,
    /// `(exponent, column, row)` to the boxes there. The cell of exponent e has sides of 2^e.
    cells: HashMap<(i32, i64, i64), Vec<usize>>,
    exponents: Vec<i32>,
}

impl RectIndex {
    /// Adds a box; its number counts from 0 in the order of insertion.
    pub fn insert(&mut self, rect: Rect) -> usize {
        let number = self.rects.len();
        let exponent = exponent_of(rect);
        if !self.exponents.contains(&exponent) {
            self.exponents.push(exponent);
            self.exponents.sort_unstable();
        }
        for cell in cells_of(rect, exponent) {
            self.cells.entry(cell).or_default().push(number);
        }
        self.rects.push(rect);
        number
    }

    /// Numbers of the boxes that overlap `rect`, ascending.
    pub fn overlapping(&self, rect: Rect) -> Vec<usize> {
        let mut found = Vec::new();
        for &exponent in &self.exponents {
            for cell in cells_of(rect, exponent) {
                found.extend(self.cells.get(&cell).into_iter().flatten().copied());
            }
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|&i| self.rects[i].intersection(rect).is_some());
        found
    }

    pub fn rect(&self, number: usize) -> Rect {
        self.rects[number]
    }
}

fn exponent_of(rect: Rect) -> i32 {
    // A lower bound keeps a crowd of tiny boxes from being searched cell by cell.
    rect.width.max(rect.height).max(16.0).log2().ceil() as i32
}

fn cells_of(rect: Rect, exponent: i32) -> impl Iterator<Item = (i32, i64, i64)> {
    let side = 2f32.powi(exponent);
    let cell = |v: f32| (v / side).floor() as i64;
    let (x0, x1) = (cell(rect.x), cell(rect.x + rect.width));
    let (y0, y1) = (cell(rect.y), cell(rect.y + rect.height));
    (y0..=y1).flat_map(move |y| (x0..=x1).map(move |x| (exponent, x, y)))
}

/// Order by falling score; equal scores keep their order, so that results do not depend on chance.
fn best_first<T>(items: &mut [T], score: impl Fn(&T) -> f32) {
    items.sort_by(|a, b| score(b).total_cmp(&score(a)));
}

/// Greedy non-maximum suppression: keeps, best first, each item whose box overlaps no kept one by more than `max_iou`.
pub fn suppress<T>(mut items: Vec<T>, rect: impl Fn(&T) -> Rect, score: impl Fn(&T) -> f32, max_iou: f32) -> Vec<T> {
    best_first(&mut items, score);
    let mut index = RectIndex::default();
    items.retain(|item| {
        let r = rect(item);
        let free = index.overlapping(r).into_iter().all(|i| index.rect(i).iou(r) <= max_iou);
        if free {
            index.insert(r);
        }
        free
    });
    items
}

/// Groups items: best first, each joins the first group whose leading box has more than `min_iou` of intersection over
/// union with its own, or more than `min_io_min` of intersection over the smaller one; else it leads a new group.
pub fn grouped<T>(
    mut items: Vec<T>,
    rect: impl Fn(&T) -> Rect,
    score: impl Fn(&T) -> f32,
    min_iou: f32,
    min_io_min: f32,
) -> Vec<Vec<T>> {
    best_first(&mut items, score);
    let mut index = RectIndex::default();
    let mut groups: Vec<Vec<T>> = Vec::new();
    for item in items {
        let r = rect(&item);
        let joins = |&i: &usize| index.rect(i).iou(r) > min_iou || io_min(index.rect(i), r) > min_io_min;
        match index.overlapping(r).into_iter().find(joins) {
            Some(group) => groups[group].push(item),
            None => {
                index.insert(r);
                groups.push(vec![item]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Scored = (Rect, f32);

    fn boxes() -> impl Strategy<Value = Vec<Scored>> {
        let one = (-50f32..400.0, -50f32..400.0, 0.5f32..300.0, 0.5f32..300.0, 0f32..1.0);
        prop::collection::vec(one.prop_map(|(x, y, w, h, s)| (Rect::new(x, y, w, h), s)), 0..60)
    }

    fn suppressed(items: Vec<Scored>, max_iou: f32) -> Vec<Scored> {
        suppress(items, |i| i.0, |i| i.1, max_iou)
    }

    proptest! {
        #[test]
        fn kept_boxes_do_not_overlap_and_every_other_is_explained(items in boxes(), max_iou in 0.1f32..0.9) {
            let kept = suppressed(items.clone(), max_iou);
            for (i, a) in kept.iter().enumerate() {
                for b in &kept[i + 1..] {
                    prop_assert!(a.0.iou(b.0) <= max_iou && a.1 >= b.1);
                }
            }
            for item in &items {
                let explained = kept.iter().any(|k| k == item || (k.0.iou(item.0) > max_iou && k.1 >= item.1));
                prop_assert!(explained);
            }
            prop_assert_eq!(suppressed(kept.clone(), max_iou), kept);
        }

        #[test]
        fn the_index_finds_what_a_search_of_all_finds(items in boxes(), x in -60f32..400.0, y in -60f32..400.0, s in 0.5f32..500.0) {
            let mut index = RectIndex::default();
            items.iter().for_each(|i| { index.insert(i.0); });
            let rect = Rect::new(x, y, s, s / 2.0);
            let all: Vec<usize> = (0..items.len()).filter(|&i| items[i].0.intersection(rect).is_some()).collect();
            prop_assert_eq!(index.overlapping(rect), all);
        }

        #[test]
        fn groups_hold_every_item_once_behind_a_leader_that_it_overlaps(items in boxes()) {
            let groups = grouped(items.clone(), |i| i.0, |i| i.1, 0.4, 0.7);
            prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), items.len());
            for group in &groups {
                for member in &group[1..] {
                    let (leader, m) = (group[0].0, member.0);
                    prop_assert!(member.1 <= group[0].1 && (leader.iou(m) > 0.4 || io_min(leader, m) > 0.7));
                }
            }
        }
    }

    #[test]
    fn a_box_inside_another_has_full_intersection_over_the_smaller() {
        let (outer, inner) = (Rect::new(0.0, 0.0, 10.0, 10.0), Rect::new(2.0, 2.0, 3.0, 3.0));
        assert_eq!(io_min(outer, inner), 1.0);
        assert_eq!(io_min(outer, Rect::new(20.0, 0.0, 1.0, 1.0)), 0.0);
    }
}
