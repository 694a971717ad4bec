//! AV1 samples (AV1 bitstream specification, section 5): open bitstream units of known kinds that show one picture, and
//! no picture that nothing refers to.

use super::bits::BitReader;
use super::bytes::Cursor;
use super::hidden::{Header, HiddenPictures, SLOTS, tell_shown};
use super::{Findings, damaged};
use crate::error::Result;
use crate::types::finding::Rule;

const SEQUENCE: u8 = 1;
const FRAME_HEADER: u8 = 3;
const TILES: u8 = 4;
const FRAME: u8 = 6;
const REPEATED_HEADER: u8 = 7;

/// Value of the flags that each frame may choose anew.
const CHOSEN: u32 = 2;

/// The pictures of one track.
#[derive(Default)]
pub(super) struct Stream {
    /// Sequence header, and as read: of the samples, before their first one that of the decoder configuration.
    sequence: Option<(Vec<u8>, Sequence)>,
    is_of_samples: bool,
    hidden: HiddenPictures,
}

/// Lengths in bits of a decoder model's numbers.
#[derive(Clone, Debug, Default, PartialEq)]
struct Timing {
    removal_bits: u32,
    /// Frames tell when they are shown.
    shown_bits: Option<u32>,
    /// Operating points, and whether each has the model's numbers.
    points: Vec<(u32, bool)>,
}

/// What frame headers need of the sequence header.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sequence {
    is_still: bool,
    timing: Option<Timing>,
    /// Bits of frame numbers and of their differences.
    id_bits: Option<(u32, u32)>,
    screen: u32,
    integer_motion: u32,
    order_bits: u32,
    is_whole: bool,
}

impl Stream {
    /// Units of the decoder configuration: a sequence header at most.
    ///
    /// # Errors
    /// `Damaged` when they do not fill `data`.
    pub(super) fn configure(&mut self, data: &[u8], found: &mut Findings) -> Result<()> {
        let place = "the av1C box";
        for (kind, body) in units(data, place, found)? {
            if kind == SEQUENCE { self.sequence(body, place, found)? } else { unknown(kind, place, found) }
        }
        // Some encoders write the configuration before they have settled on a level.
        self.is_of_samples = false;
        Ok(())
    }

    fn sequence(&mut self, body: &[u8], place: &str, found: &mut Findings) -> Result<()> {
        match &self.sequence {
            Some((first, _)) if first == body => {}
            Some(_) if self.is_of_samples => found.residue(format!("{place} holds another sequence header")),
            _ => {
                let sequence = read_sequence(body)?;
                if !sequence.is_whole {
                    found.residue(format!("{place} has bytes behind the end of the sequence header"));
                }
                self.sequence = Some((body.to_vec(), sequence));
            }
        }
        self.is_of_samples = true;
        Ok(())
    }

    /// # Errors
    /// `Damaged` when the units do not fill the sample or one cannot be read.
    pub(super) fn sample(&mut self, data: &[u8], sample: usize, found: &mut Findings) -> Result<()> {
        let place = format!("sample {sample}");
        let mut shown = 0;
        let mut header: &[u8] = &[];
        for (kind, body) in units(data, &place, found)? {
            match kind {
                SEQUENCE => self.sequence(body, &place, found)?,
                FRAME | FRAME_HEADER => {
                    header = body;
                    shown += u32::from(self.frame(body, kind, &place, found)?);
                }
                TILES => {}
                REPEATED_HEADER if body == header => {}
                other => unknown(other, &place, found),
            }
        }
        tell_shown(shown, &place, found);
        Ok(())
    }

    /// Whether a frame is shown.
    fn frame(&mut self, body: &[u8], kind: u8, place: &str, found: &mut Findings) -> Result<bool> {
        let (_, sequence) = self.sequence.as_ref().ok_or_else(|| damaged("an AV1 frame comes before its sequence"))?;
        let header = match read_header(body, sequence)? {
            // Such a frame has a header alone.
            Header::Existing { slot, is_whole } => Header::Existing { slot, is_whole: is_whole && kind != FRAME },
            header => header,
        };
        Ok(self.hidden.frame(header, place, found))
    }

    pub(super) fn finish(&self, found: &mut Findings) {
        self.hidden.finish(found);
    }
}

fn unknown(kind: u8, place: &str, found: &mut Findings) {
    found.push(Rule::StreamData, format!("{place} holds an AV1 unit of type {kind} (metadata, padding or unknown)"));
}

/// Kind and payload of each unit, section 5.3.
fn units<'a>(data: &'a [u8], place: &str, found: &mut Findings) -> Result<Vec<(u8, &'a [u8])>> {
    let mut c = Cursor::new(data, "an AV1 unit");
    let mut out = Vec::new();
    while !c.is_empty() {
        let head = c.u8()?;
        if head & 4 != 0 && c.u8()? != 0 {
            found.residue(format!("{place} holds a second AV1 layer"));
        }
        let len = if head & 2 != 0 { leb128(&mut c)? } else { c.len() };
        out.push((head >> 3 & 15, c.take(len)?));
    }
    Ok(out)
}

fn leb128(c: &mut Cursor<'_>) -> Result<usize> {
    let mut value = 0u64;
    for i in 0..8 {
        let byte = c.u8()?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| damaged("an AV1 unit is too long"));
        }
    }
    Err(damaged("an AV1 unit has a length that does not end"))
}

/// Section 5.5.1.
fn read_sequence(data: &[u8]) -> Result<Sequence> {
    let mut b = BitReader::new(data);
    let mut s = Sequence { screen: CHOSEN, integer_motion: CHOSEN, ..Sequence::default() };
    let profile = b.bits(3)?;
    b.skip(1)?;
    s.is_still = b.bit()?;
    if s.is_still {
        b.skip(5)?;
    } else {
        read_operating_points(&mut b, &mut s)?;
    }
    let (width_bits, height_bits) = (b.bits(4)? + 1, b.bits(4)? + 1);
    b.skip(width_bits + height_bits)?;
    if !s.is_still && b.bit()? {
        let difference = b.bits(4)? + 2;
        s.id_bits = Some((difference + b.bits(3)? + 1, difference));
    }
    b.skip(3)?;
    if !s.is_still {
        read_tools(&mut b, &mut s)?;
    }
    b.skip(3)?;
    skip_color(&mut b, profile)?;
    b.skip(1)?;
    s.is_whole = b.at_stop_bit();
    Ok(s)
}

fn read_operating_points(b: &mut BitReader<'_>, s: &mut Sequence) -> Result<()> {
    let (mut model, mut delay_bits) = (None, 0);
    if b.bit()? {
        b.skip(64)?;
        let is_even = b.bit()?;
        if is_even {
            b.ue()?;
        }
        if b.bit()? {
            delay_bits = b.bits(5)? + 1;
            b.skip(32)?;
            let (removal_bits, shown_bits) = (b.bits(5)? + 1, b.bits(5)? + 1);
            model = Some(Timing { removal_bits, shown_bits: (!is_even).then_some(shown_bits), points: vec![] });
        }
    }
    let has_display_delay = b.bit()?;
    for _ in 0..=b.bits(5)? {
        let layers = b.bits(12)?;
        if b.bits(5)? > 7 {
            b.skip(1)?;
        }
        if let Some(model) = &mut model {
            let has_numbers = b.bit()?;
            b.skip(if has_numbers { 2 * delay_bits + 1 } else { 0 })?;
            model.points.push((layers, has_numbers));
        }
        if has_display_delay && b.bit()? {
            b.skip(4)?;
        }
    }
    s.timing = model;
    Ok(())
}

fn read_tools(b: &mut BitReader<'_>, s: &mut Sequence) -> Result<()> {
    b.skip(4)?;
    let has_order = b.bit()?;
    b.skip(if has_order { 2 } else { 0 })?;
    s.screen = if b.bit()? { CHOSEN } else { b.bits(1)? };
    if s.screen > 0 {
        s.integer_motion = if b.bit()? { CHOSEN } else { b.bits(1)? };
    }
    s.order_bits = if has_order { b.bits(3)? + 1 } else { 0 };
    Ok(())
}

/// Section 5.5.2.
fn skip_color(b: &mut BitReader<'_>, profile: u32) -> Result<()> {
    const SRGB: u32 = 0x01_0d_00;
    let is_high = b.bit()?;
    let is_twelve = profile == 2 && is_high && b.bit()?;
    let is_gray = profile != 1 && b.bit()?;
    let described = if b.bit()? { b.bits(24)? } else { 0 };
    if is_gray {
        return b.skip(1);
    }
    if described != SRGB {
        b.skip(1)?;
        let is_halved = match profile {
            0 => true,
            1 => false,
            _ if is_twelve => b.bit()? && b.bit()?,
            _ => false,
        };
        b.skip(if is_halved { 2 } else { 0 })?;
    }
    b.skip(1)
}

/// Section 5.9.2, up to the pictures that it refers to.
fn read_header(data: &[u8], s: &Sequence) -> Result<Header> {
    const KEY: u32 = 0;
    const INTRA_ONLY: u32 = 2;
    const SWITCH: u32 = 3;
    let mut b = BitReader::new(data);
    if s.is_still {
        return Ok(Header::Picture { is_shown: true, slots: vec![], refresh: 0xff });
    }
    let shown_bits = s.timing.as_ref().and_then(|t| t.shown_bits).unwrap_or(0);
    let (number_bits, difference_bits) = s.id_bits.unwrap_or((0, 0));
    if b.bit()? {
        let slot = b.bits(3)? as usize;
        b.skip(shown_bits + number_bits)?;
        return Ok(Header::Existing { slot, is_whole: b.at_stop_bit() });
    }
    let (kind, is_shown) = (b.bits(2)?, b.bit()?);
    b.skip(if is_shown { shown_bits } else { 1 })?;
    let starts = kind == KEY && is_shown;
    let is_intra = kind == KEY || kind == INTRA_ONLY;
    let resilient = kind == SWITCH || starts || b.bit()?;
    b.skip(1)?;
    let screen = if s.screen == CHOSEN { b.bits(1)? } else { s.screen };
    if screen > 0 && s.integer_motion == CHOSEN {
        b.skip(1)?;
    }
    b.skip(number_bits)?;
    if kind != SWITCH {
        b.skip(1)?;
    }
    b.skip(s.order_bits)?;
    if !is_intra && !resilient {
        b.skip(3)?;
    }
    if let Some(timing) = &s.timing {
        skip_removal_times(&mut b, timing)?;
    }
    let refresh = if kind == SWITCH || starts { 0xff } else { b.bits(8)? };
    if (!is_intra || refresh != 0xff) && resilient && s.order_bits > 0 {
        b.skip(SLOTS as u32 * s.order_bits)?;
    }
    let mut slots = Vec::new();
    if !is_intra {
        // Told in short, the others follow from the order of pictures: each may be meant.
        if s.order_bits > 0 && b.bit()? {
            slots.extend(0..SLOTS);
        } else {
            for _ in 0..7 {
                slots.push(b.bits(3)? as usize);
                b.skip(difference_bits)?;
            }
        }
    }
    Ok(Header::Picture { is_shown, slots, refresh })
}

/// Only units without layers are read, so that each operating point is meant.
fn skip_removal_times(b: &mut BitReader<'_>, timing: &Timing) -> Result<()> {
    if b.bit()? {
        for (layers, has_numbers) in &timing.points {
            let is_meant = *layers == 0 || layers & 0x101 == 0x101;
            b.skip(if *has_numbers && is_meant { timing.removal_bits } else { 0 })?;
        }
    }
    Ok(())
}
