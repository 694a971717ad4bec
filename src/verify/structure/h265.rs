//! H.265: parameter sets by their numbers, and which picture a slice belongs to.

use std::collections::{BTreeMap, BTreeSet};

use super::bits::{BitReader, unescape};
use super::damaged;
use super::h264::flaw_of_set;
use super::h265_sets::{PictureSet, Sequence, picture, video};
use super::mp4_codec::Flaw;
use crate::error::Result;
use crate::types::finding::Rule;

/// Bytes of a slice in which its address ends.
const HEADER_BYTES: usize = 32;

/// Parameter sets by their numbers, and which of them pictures use.
#[derive(Default)]
pub(super) struct Sets {
    videos: BTreeSet<u32>,
    sequences: BTreeMap<u32, Sequence>,
    pictures: BTreeMap<u32, PictureSet>,
    used: BTreeSet<u32>,
    unit: Option<Picture>,
}

/// What was seen of one sample's picture.
struct Picture {
    /// Type of its NAL units.
    kind: u8,
    set: u32,
    /// First block that the next slice may begin with.
    next: u64,
}

impl Sets {
    /// What is wrong with a video parameter set, if anything.
    ///
    /// # Errors
    /// `Damaged` when it is cut off.
    pub(super) fn add_video(&mut self, nal: &[u8]) -> Result<Option<&'static str>> {
        let (id, is_whole) = video(nal)?;
        Ok(flaw_of_set(is_whole, self.videos.insert(id)))
    }

    /// The same of a sequence parameter set.
    pub(super) fn add_sequence(&mut self, sequence: Sequence) -> Option<&'static str> {
        let is_whole = sequence.is_whole;
        let is_new = self.sequences.insert(sequence.id, sequence).is_none();
        flaw_of_set(is_whole, is_new)
    }

    /// The same of a picture parameter set.
    ///
    /// # Errors
    /// `Damaged` when it is cut off.
    pub(super) fn add_picture(&mut self, nal: &[u8]) -> Result<Option<&'static str>> {
        let set = picture(nal)?;
        let (is_whole, extends) = (set.is_whole, set.extends_slices);
        let is_new = self.pictures.insert(set.id, set).is_none();
        Ok(flaw_of_set(is_whole, is_new).or(extends.then_some("room for bytes in each slice's header")))
    }

    /// Number of parameter sets that no slice asked for.
    pub(super) fn unused(&self) -> usize {
        let sequences: BTreeSet<u32> =
            self.pictures.values().filter(|set| self.used.contains(&set.id)).map(|set| set.sequence).collect();
        let videos: BTreeSet<u32> =
            self.sequences.values().filter(|s| sequences.contains(&s.id)).map(|s| s.video).collect();
        let beyond = |all: usize, used: usize| all.saturating_sub(used);
        beyond(self.pictures.len(), self.used.len())
            + beyond(self.sequences.len(), sequences.len())
            + beyond(self.videos.len(), videos.len())
    }

    pub(super) fn begin_sample(&mut self) {
        self.unit = None;
    }

    /// What is wrong with one slice segment of a sample, if anything.
    pub(super) fn slice(&mut self, nal: &[u8]) -> Option<Flaw> {
        let Ok((set, is_first, address)) = self.read_slice(nal) else {
            return Some((Rule::UnusedData, "a slice without a header that can be read"));
        };
        self.used.insert(set);
        let kind = nal[0] >> 1 & 63;
        let next = address + 1;
        match &mut self.unit {
            None => {
                self.unit = Some(Picture { kind, set, next });
                (!is_first).then_some((Rule::FrameTable, "a picture without its first slice"))
            }
            Some(_) if is_first => Some((Rule::ExtraPicture, "a second picture")),
            Some(seen) if (seen.kind, seen.set) != (kind, set) => Some((Rule::ExtraPicture, "a second picture")),
            Some(seen) if address < seen.next => Some((Rule::UnusedData, "a slice of what another slice has drawn")),
            Some(seen) => {
                seen.next = next;
                None
            }
        }
    }

    /// Parameter set, whether it begins a picture, and the first block; section 7.3.6.1.
    fn read_slice(&self, nal: &[u8]) -> Result<(u32, bool, u64)> {
        let kind = nal[0] >> 1 & 63;
        let data = unescape(nal.get(2..nal.len().min(HEADER_BYTES)).unwrap_or_default());
        let mut b = BitReader::new(&data);
        let is_first = b.bit()?;
        if (16..=23).contains(&kind) {
            b.skip(1)?;
        }
        let number = b.ue()?;
        let missing = || damaged("a slice has no parameter set");
        let set = self.pictures.get(&number).ok_or_else(missing)?;
        let sequence = self.sequences.get(&set.sequence).ok_or_else(missing)?;
        if is_first {
            return Ok((number, true, 0));
        }
        if set.dependent {
            b.skip(1)?;
        }
        let address = u64::from(b.bits(sequence.blocks.next_power_of_two().trailing_zeros())?);
        if address >= sequence.blocks {
            return Err(damaged("a slice begins beyond the end of the picture"));
        }
        Ok((number, false, address))
    }
}
