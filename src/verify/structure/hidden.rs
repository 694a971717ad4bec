//! Pictures that a sample decodes without showing them. VP9 and AV1 keep such pictures as references in eight slots; one
//! that nothing refers to is not there for the sake of what is shown.

use std::collections::BTreeSet;

use super::Findings;
use crate::types::finding::Rule;

/// Slots of a decoder for reference pictures.
pub(super) const SLOTS: usize = 8;

/// First part of a frame header: what is shown, and what is kept.
#[derive(Debug, PartialEq)]
pub(super) enum Header {
    /// Shows a slot once more; whether that is all there is.
    Existing { slot: usize, is_whole: bool },
    /// Slots that it refers to; bits of those that it goes into.
    Picture { is_shown: bool, slots: Vec<usize>, refresh: u32 },
}

/// Tells unless a sample shows one picture.
pub(super) fn tell_shown(shown: u32, place: &str, found: &mut Findings) {
    match shown {
        1 => {}
        0 => found.frame_table(format!("{place} shows no picture")),
        n => found.push(Rule::ExtraPicture, format!("{place} shows {n} pictures")),
    }
}

/// Follows the pictures that are not shown through the slots.
#[derive(Default)]
pub(super) struct HiddenPictures {
    /// Hidden picture in each slot, by its number, as long as nothing has used it.
    waiting: [Option<u64>; SLOTS],
    count: u64,
}

impl HiddenPictures {
    /// Follows the next frame; gives whether it is shown.
    pub(super) fn frame(&mut self, header: Header, place: &str, found: &mut Findings) -> bool {
        match header {
            Header::Existing { slot, is_whole } => {
                self.used(slot);
                if !is_whole {
                    found.push(Rule::UnusedData, format!("{place} has bytes behind a frame that repeats another"));
                }
                true
            }
            Header::Picture { is_shown, slots, refresh } => {
                slots.into_iter().for_each(|slot| self.used(slot));
                if self.stored(refresh, is_shown) > 0 {
                    found.push(Rule::HiddenFrames, format!("{place}: a hidden picture that nothing refers to"));
                }
                is_shown
            }
        }
    }

    pub(super) fn finish(&self, found: &mut Findings) {
        if self.unused() > 0 {
            found.push(Rule::HiddenFrames, "the video ends with a hidden picture that nothing refers to");
        }
    }

    /// A later picture refers to a slot, or it is shown.
    fn used(&mut self, slot: usize) {
        if let Some(number) = self.waiting.get(slot).copied().flatten() {
            self.waiting.iter_mut().filter(|w| **w == Some(number)).for_each(|w| *w = None);
        }
    }

    /// A picture goes into the slots of the bits of `mask`. Gives how many hidden ones are gone without use.
    fn stored(&mut self, mask: u32, is_shown: bool) -> usize {
        let before = self.numbers();
        self.count += 1;
        let new = (!is_shown).then_some(self.count);
        for (slot, waiting) in self.waiting.iter_mut().enumerate() {
            if mask >> slot & 1 == 1 {
                *waiting = new;
            }
        }
        let after = self.numbers();
        // One that goes into no slot can never be used.
        before.difference(&after).count() + usize::from(!is_shown && mask & 0xff == 0)
    }

    /// How many are left without use at the end.
    fn unused(&self) -> usize {
        self.numbers().len()
    }

    fn numbers(&self) -> BTreeSet<u64> {
        self.waiting.iter().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_pictures_must_be_used_before_they_are_replaced() {
        let mut slots = HiddenPictures::default();
        assert_eq!(slots.stored(0xff, true), 0, "shown");
        assert_eq!(slots.stored(0b0110, false), 0);
        slots.used(2);
        assert_eq!(slots.stored(0b1000, false), 0, "the first one was used");
        assert_eq!(slots.stored(0b0110, true), 0);
        assert_eq!(slots.stored(0b1000, true), 1, "the second one was not");
        assert_eq!(slots.stored(0, false), 1, "goes nowhere");
        assert_eq!(slots.stored(1, false), 0);
        assert_eq!(slots.unused(), 1);
    }
}
