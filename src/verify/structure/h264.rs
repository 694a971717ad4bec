//! H.264 (ITU-T H.264): parameter sets down to their last bit, and which picture a slice belongs to.

use std::collections::{BTreeMap, BTreeSet};

use super::bits::{BitReader, skip_display, unescape};
use super::damaged;
use super::mp4_codec::{Flaw, Window};
use crate::error::Result;
use crate::types::finding::Rule;

/// Bytes of a slice in which its header's first part ends, however large its numbers are.
const HEADER_BYTES: usize = 96;

/// How a slice tells the order in which its picture is shown.
#[derive(Clone, Copy)]
enum OrderCount {
    /// Type 0, bits of the number.
    Number(u32),
    /// Type 1; whether slices give differences.
    Differences(bool),
    /// Type 2: as decoded.
    Decoding,
}

/// A sequence parameter set.
pub(super) struct Sequence {
    id: u32,
    /// Profile, constraints and level.
    pub head: [u8; 3],
    pub chroma: u32,
    /// Bits of luma and chroma samples beyond eight.
    pub depths: [u32; 2],
    pub window: Window,
    /// Nothing follows that its syntax does not name.
    pub is_whole: bool,
    separate_planes: bool,
    frame_num_bits: u32,
    order: OrderCount,
    frames_only: bool,
    /// Frames may be coded in pairs of macroblocks.
    pairs: bool,
    /// Macroblocks of a frame.
    blocks: u64,
}

/// Section 7.3.2.1.1.
///
/// # Errors
/// `Damaged` when it is cut off or holds impossible numbers.
pub(super) fn sequence(nal: &[u8]) -> Result<Sequence> {
    let data = unescape(nal.get(1..).unwrap_or_default());
    let mut b = BitReader::new(&data);
    let head = [b.bits(8)? as u8, b.bits(8)? as u8, b.bits(8)? as u8];
    let id = b.ue()?;
    let (mut chroma, mut separate_planes, mut depths) = (1, false, [0, 0]);
    if matches!(head[0], 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = b.ue()?;
        separate_planes = chroma == 3 && b.bit()?;
        depths = [b.ue()?, b.ue()?];
        b.skip(1)?;
        if b.bit()? {
            skip_scaling_lists(&mut b, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    let frame_num_bits = checked_bits(b.ue()?)?;
    let order = read_order_count(&mut b)?;
    b.ue()?;
    b.skip(1)?;
    let columns = u64::from(b.ue()?) + 1;
    let rows = u64::from(b.ue()?) + 1;
    let frames_only = b.bit()?;
    let pairs = !frames_only && b.bit()?;
    b.skip(1)?;
    let fields = if frames_only { 1 } else { 2 };
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma == 1 { 2 } else { 1 } * fields;
    let crop = if b.bit()? { [b.ue()?, b.ue()?, b.ue()?, b.ue()?] } else { [0; 4] }.map(u64::from);
    let is_whole = skip_usability(&mut b).is_ok() && b.at_stop_bit();
    let window = Window {
        coded: (columns * 16, rows * 16 * fields),
        left: crop[0] * unit_x,
        right: crop[1] * unit_x,
        top: crop[2] * unit_y,
        bottom: crop[3] * unit_y,
        block: (16, 16 * fields),
    };
    let blocks = columns * rows * fields;
    Ok(Sequence {
        id,
        head,
        chroma,
        depths,
        window,
        is_whole,
        separate_planes,
        frame_num_bits,
        order,
        frames_only,
        pairs,
        blocks,
    })
}

/// Bits of a number whose logarithm less four is coded.
fn checked_bits(log2_minus4: u32) -> Result<u32> {
    if log2_minus4 > 12 {
        Err(damaged("a parameter set holds a number that is too large"))
    } else {
        Ok(log2_minus4 + 4)
    }
}

fn skip_scaling_lists(b: &mut BitReader<'_>, lists: usize) -> Result<()> {
    for i in 0..lists {
        if !b.bit()? {
            continue;
        }
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..if i < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + b.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Ok(())
}

fn read_order_count(b: &mut BitReader<'_>) -> Result<OrderCount> {
    match b.ue()? {
        0 => Ok(OrderCount::Number(checked_bits(b.ue()?)?)),
        1 => {
            let always_zero = b.bit()?;
            b.se()?;
            b.se()?;
            let cycle = b.ue()?;
            (0..cycle).try_for_each(|_| b.se().map(drop))?;
            Ok(OrderCount::Differences(!always_zero))
        }
        _ => Ok(OrderCount::Decoding),
    }
}

/// Usability information, section E.1.1.
fn skip_usability(b: &mut BitReader<'_>) -> Result<()> {
    if !b.bit()? {
        return Ok(());
    }
    skip_display(b)?;
    if b.bit()? {
        b.skip(65)?;
    }
    let mut has_buffer = false;
    for _ in 0..2 {
        if b.bit()? {
            has_buffer = true;
            let count = b.ue()?;
            b.skip(8)?;
            for _ in 0..=count {
                b.skip_ue(2)?;
                b.skip(1)?;
            }
            b.skip(20)?;
        }
    }
    b.skip(if has_buffer { 2 } else { 1 })?;
    if b.bit()? {
        b.skip(1)?;
        b.skip_ue(6)?;
    }
    Ok(())
}

/// What slice headers need of a picture parameter set.
struct PictureSet {
    sequence: u32,
    /// Frames tell the order of their bottom field too.
    bottom_order: bool,
    /// Slices say whether they repeat another picture.
    redundant: bool,
}

/// Parameter sets by their numbers, and which of them pictures use.
#[derive(Default)]
pub(super) struct Sets {
    sequences: BTreeMap<u32, Sequence>,
    pictures: BTreeMap<u32, PictureSet>,
    used: BTreeSet<u32>,
    unit: Unit,
}

/// What was seen of one sample.
#[derive(Default)]
struct Unit {
    /// One frame, or two fields.
    pictures: Vec<Picture>,
    /// First block that each colour plane's next slice may begin with.
    next: [u64; 3],
}

/// What all slices of a picture have in common: ITU-T H.264, section 7.4.1.2.4.
#[derive(Clone, PartialEq)]
struct Picture {
    set: u32,
    frame_num: u32,
    /// Whether it is a bottom field; `None` for a frame.
    field: Option<bool>,
    is_reference: bool,
    /// Number of the picture at which decoding can start.
    idr: Option<u32>,
    order: [i64; 2],
}

impl Picture {
    fn completes(&self, first: &Picture) -> bool {
        let opposite = matches!((first.field, self.field), (Some(a), Some(b)) if a != b);
        opposite && self.frame_num == first.frame_num
    }
}

/// First part of a slice header.
struct Slice {
    first_block: u64,
    plane: usize,
    is_repeated: bool,
    /// Macroblocks of the picture.
    blocks: u64,
    picture: Picture,
}

impl Sets {
    /// What is wrong with a sequence parameter set, if anything.
    pub(super) fn add_sequence(&mut self, sequence: Sequence) -> Option<&'static str> {
        let is_whole = sequence.is_whole;
        let is_new = self.sequences.insert(sequence.id, sequence).is_none();
        flaw_of_set(is_whole, is_new)
    }

    /// The same of a picture parameter set, section 7.3.2.2.
    ///
    /// # Errors
    /// `Damaged` when it is cut off or belongs to no sequence.
    pub(super) fn add_picture(&mut self, nal: &[u8]) -> Result<Option<&'static str>> {
        let data = unescape(nal.get(1..).unwrap_or_default());
        let mut b = BitReader::new(&data);
        let (id, number) = (b.ue()?, b.ue()?);
        let sequence = self.sequences.get(&number).ok_or_else(|| damaged("a picture parameter set has no sequence"))?;
        b.skip(1)?;
        let bottom_order = b.bit()?;
        if b.ue()? != 0 {
            return Err(damaged("the video has groups of slices, which decoders do not read"));
        }
        b.skip_ue(2)?;
        b.skip(3)?;
        b.skip_ue(3)?;
        b.skip(2)?;
        let redundant = b.bit()?;
        if b.more_data() {
            let lists = if sequence.chroma == 3 { 6 } else { 2 };
            let larger = if b.bit()? { lists } else { 0 };
            if b.bit()? {
                skip_scaling_lists(&mut b, 6 + larger)?;
            }
            b.se()?;
        }
        let is_whole = b.at_stop_bit();
        let is_new = self.pictures.insert(id, PictureSet { sequence: number, bottom_order, redundant }).is_none();
        Ok(flaw_of_set(is_whole, is_new))
    }

    /// Number of parameter sets that no slice asked for.
    pub(super) fn unused(&self) -> usize {
        let used = |id: &u32| self.used.contains(id);
        let sequences: BTreeSet<u32> =
            self.pictures.iter().filter(|(id, _)| used(id)).map(|(_, set)| set.sequence).collect();
        self.pictures.keys().filter(|id| !used(id)).count() + self.sequences.len() - sequences.len()
    }

    pub(super) fn begin_sample(&mut self) {
        self.unit = Unit::default();
    }

    /// What is wrong with one slice of a sample, if anything.
    pub(super) fn slice(&mut self, nal: &[u8]) -> Option<Flaw> {
        let Ok(slice) = self.read_slice(nal) else {
            return Some((Rule::UnusedData, "a slice without a header that can be read"));
        };
        self.used.insert(slice.picture.set);
        if slice.is_repeated {
            return Some((Rule::ExtraPicture, "a redundant picture"));
        }
        if slice.first_block >= slice.blocks {
            return Some((Rule::UnusedData, "a slice beyond the end of the picture"));
        }
        let unit = &mut self.unit;
        let is_new = match unit.pictures.as_slice() {
            [] => true,
            [.., last] if *last == slice.picture => false,
            [first] if slice.picture.completes(first) => true,
            _ => return Some((Rule::ExtraPicture, "a second picture")),
        };
        if is_new {
            unit.pictures.push(slice.picture);
            unit.next = [0; 3];
        }
        let next = &mut unit.next[slice.plane];
        if slice.first_block < *next {
            return Some((Rule::UnusedData, "a slice of what another slice has drawn"));
        }
        let is_gap = *next == 0 && slice.first_block > 0;
        *next = slice.first_block + 1;
        is_gap.then_some((Rule::FrameTable, "a picture without its first slice"))
    }

    /// Section 7.3.3.
    fn read_slice(&self, nal: &[u8]) -> Result<Slice> {
        let head = nal.first().copied().unwrap_or(0);
        let data = unescape(nal.get(1..nal.len().min(HEADER_BYTES)).unwrap_or_default());
        let mut b = BitReader::new(&data);
        let first = u64::from(b.ue()?);
        b.ue()?;
        let number = b.ue()?;
        let missing = || damaged("a slice has no parameter set");
        let set = self.pictures.get(&number).ok_or_else(missing)?;
        let sequence = self.sequences.get(&set.sequence).ok_or_else(missing)?;
        let plane = if sequence.separate_planes { b.bits(2)? as usize } else { 0 };
        let frame_num = b.bits(sequence.frame_num_bits)?;
        let field = if !sequence.frames_only && b.bit()? { Some(b.bit()?) } else { None };
        let idr = if head & 31 == 5 { Some(b.ue()?) } else { None };
        let is_pair = set.bottom_order && field.is_none();
        let order = match sequence.order {
            OrderCount::Number(bits) => [b.bits(bits)?.into(), if is_pair { b.se()? } else { 0 }],
            OrderCount::Differences(true) => [b.se()?, if is_pair { b.se()? } else { 0 }],
            _ => [0, 0],
        };
        let is_repeated = set.redundant && b.ue()? > 0;
        if plane > 2 {
            return Err(damaged("a slice is of an unknown colour plane"));
        }
        let picture = Picture { set: number, frame_num, field, is_reference: head & 0x60 != 0, idr, order };
        let blocks = if field.is_some() { sequence.blocks / 2 } else { sequence.blocks };
        // Frames in pairs count pairs.
        let first_block = if sequence.pairs && field.is_none() { first * 2 } else { first };
        Ok(Slice { first_block, plane, is_repeated, blocks, picture })
    }
}

/// What can be wrong with a parameter set of either coding.
pub(super) fn flaw_of_set(is_whole: bool, is_new: bool) -> Option<&'static str> {
    match (is_whole, is_new) {
        (false, _) => Some("a parameter set with bytes behind its end"),
        (true, false) => Some("two parameter sets of the same number"),
        (true, true) => None,
    }
}
