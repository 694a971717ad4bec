//! Parameter sets of H.265 (ITU-T H.265), read down to their last bit so that nothing can stand behind it.

use super::bits::{BitReader, skip_display, unescape};
use super::damaged;
use super::mp4_codec::Window;
use crate::error::Result;

/// Short-term reference picture sets of a sequence at most.
const MAX_REFERENCE_SETS: u32 = 64;

/// A sequence parameter set.
pub(super) struct Sequence {
    pub id: u32,
    /// Number of its video parameter set.
    pub video: u32,
    /// General profile, tier and level.
    pub level: Vec<u8>,
    pub chroma: u32,
    /// Bits of luma and chroma samples beyond eight.
    pub depths: [u32; 2],
    pub window: Window,
    /// Coding tree blocks of a picture.
    pub blocks: u64,
    /// Nothing follows that its syntax here names.
    pub is_whole: bool,
}

/// A picture parameter set.
pub(super) struct PictureSet {
    pub id: u32,
    pub sequence: u32,
    /// Slice segments may depend on the one before.
    pub dependent: bool,
    /// Slice headers may carry bytes of no purpose.
    pub extends_slices: bool,
    pub is_whole: bool,
}

fn payload(nal: &[u8]) -> Vec<u8> {
    unescape(nal.get(2..).unwrap_or_default())
}

/// Number of a video parameter set and whether nothing stands behind it, section 7.3.2.1.
///
/// # Errors
/// `Damaged` when it is cut off.
pub(super) fn video(nal: &[u8]) -> Result<(u32, bool)> {
    let data = payload(nal);
    let id = BitReader::new(&data).bits(4)?;
    let mut b = BitReader::new(&data);
    Ok((id, skip_video(&mut b).is_ok() && b.at_stop_bit()))
}

fn skip_video(b: &mut BitReader<'_>) -> Result<()> {
    b.skip(12)?;
    let sub_layers = b.bits(3)?;
    b.skip(17)?;
    skip_level(b, sub_layers)?;
    skip_sub_layer_orders(b, sub_layers)?;
    let layers = b.bits(6)?;
    for _ in 0..b.ue()? {
        b.skip(layers + 1)?;
    }
    if b.bit()? {
        b.skip(64)?;
        if b.bit()? {
            b.ue()?;
        }
        for i in 0..b.ue()? {
            b.ue()?;
            let common = i == 0 || b.bit()?;
            skip_buffers(b, common, sub_layers)?;
        }
    }
    no_extension(b.bit()?)
}

/// Extensions of later editions are not read.
fn no_extension(flag: bool) -> Result<()> {
    if flag { Err(damaged("a parameter set has an unknown extension")) } else { Ok(()) }
}

/// Profile, tier and level, section 7.3.3.
fn skip_level(b: &mut BitReader<'_>, sub_layers: u32) -> Result<()> {
    b.skip(96)?;
    let present: Vec<(bool, bool)> = (0..sub_layers).map(|_| Ok((b.bit()?, b.bit()?))).collect::<Result<_>>()?;
    if sub_layers > 0 {
        b.skip(2 * (8 - sub_layers.min(8)))?;
    }
    for (profile, level) in present {
        b.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Ok(())
}

fn skip_sub_layer_orders(b: &mut BitReader<'_>, sub_layers: u32) -> Result<()> {
    for _ in if b.bit()? { 0 } else { sub_layers }..=sub_layers {
        b.skip_ue(3)?;
    }
    Ok(())
}

/// Parameters of the hypothetical decoder's buffers, section E.2.2.
fn skip_buffers(b: &mut BitReader<'_>, common: bool, sub_layers: u32) -> Result<()> {
    let (mut kinds, mut sub_pictures) = (0, false);
    if common {
        kinds = u32::from(b.bit()?) + u32::from(b.bit()?);
        if kinds > 0 {
            sub_pictures = b.bit()?;
            b.skip(if sub_pictures { 19 } else { 0 } + 8 + if sub_pictures { 4 } else { 0 } + 15)?;
        }
    }
    for _ in 0..=sub_layers {
        let fixed = b.bit()? || b.bit()?;
        let low_delay = if fixed { b.ue().map(|_| false)? } else { b.bit()? };
        let count = if low_delay { 0 } else { b.ue()? };
        for _ in 0..kinds {
            for _ in 0..=count {
                b.skip_ue(if sub_pictures { 4 } else { 2 })?;
                b.skip(1)?;
            }
        }
    }
    Ok(())
}

/// Section 7.3.2.2.
///
/// # Errors
/// `Damaged` when it is cut off before the part that tells the picture's size and blocks.
pub(super) fn sequence(nal: &[u8]) -> Result<Sequence> {
    let data = payload(nal);
    let mut b = BitReader::new(&data);
    let video = b.bits(4)?;
    let sub_layers = b.bits(3)?;
    b.skip(1)?;
    skip_level(&mut b, sub_layers)?;
    let level = data.get(1..13).unwrap_or_default().to_vec();
    let id = b.ue()?;
    let chroma = b.ue()?;
    if chroma == 3 {
        b.skip(1)?;
    }
    let coded = (u64::from(b.ue()?), u64::from(b.ue()?));
    let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma == 1 { 2 } else { 1 };
    let crop = if b.bit()? { [b.ue()?, b.ue()?, b.ue()?, b.ue()?] } else { [0; 4] }.map(u64::from);
    let depths = [b.ue()?, b.ue()?];
    let order_bits = b.ue()?.saturating_add(4);
    skip_sub_layer_orders(&mut b, sub_layers)?;
    let log2_least = b.ue()?.saturating_add(3).min(6);
    let log2_block = b.ue()?.saturating_add(log2_least).min(6);
    let is_whole = skip_tools(&mut b, order_bits, sub_layers).is_ok() && b.at_stop_bit();
    let window = Window {
        coded,
        left: crop[0] * unit_x,
        right: crop[1] * unit_x,
        top: crop[2] * unit_y,
        bottom: crop[3] * unit_y,
        block: (1 << log2_least, 1 << log2_least),
    };
    let blocks = coded.0.div_ceil(1 << log2_block) * coded.1.div_ceil(1 << log2_block);
    Ok(Sequence { id, video, level, chroma, depths, window, blocks, is_whole })
}

/// The sequence's coding tools, behind its block sizes.
fn skip_tools(b: &mut BitReader<'_>, order_bits: u32, sub_layers: u32) -> Result<()> {
    b.skip_ue(4)?;
    if b.bit()? && b.bit()? {
        skip_scaling_lists(b)?;
    }
    b.skip(2)?;
    if b.bit()? {
        b.skip(8)?;
        b.skip_ue(2)?;
        b.skip(1)?;
    }
    skip_reference_sets(b)?;
    if b.bit()? {
        for _ in 0..b.ue()? {
            b.skip(order_bits + 1)?;
        }
    }
    b.skip(2)?;
    if b.bit()? {
        skip_usability(b, sub_layers)?;
    }
    if b.bit()? {
        let has_range_tools = b.bit()?;
        no_extension(b.bits(7)? != 0)?;
        b.skip(if has_range_tools { 9 } else { 0 })?;
    }
    Ok(())
}

/// Section 7.3.4.
fn skip_scaling_lists(b: &mut BitReader<'_>) -> Result<()> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !b.bit()? {
                b.ue()?;
            } else {
                b.skip_ue(if size == 0 { 16 } else { 64 } + u32::from(size > 1))?;
            }
        }
    }
    Ok(())
}

/// Section 7.3.7: sets may be told by their difference from the one before, whose members must then be known.
fn skip_reference_sets(b: &mut BitReader<'_>) -> Result<()> {
    let count = b.ue()?;
    if count > MAX_REFERENCE_SETS {
        return Err(damaged("a parameter set has too many sets of reference pictures"));
    }
    // Differences of order: those of earlier pictures, then those of later ones.
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for i in 0..count {
        if i > 0 && b.bit()? {
            (before, after) = predicted_set(b, &before, &after)?;
            continue;
        }
        let counts = (b.ue()?, b.ue()?);
        if counts.0.max(counts.1) > 16 {
            return Err(damaged("a set of reference pictures is too large"));
        }
        let mut run = |count: u32, sign: i64| -> Result<Vec<i64>> {
            let mut order = 0;
            let mut one = |_| {
                order += sign * (i64::from(b.ue()?) + 1);
                b.skip(1)?;
                Ok(order)
            };
            (0..count).map(&mut one).collect()
        };
        before = run(counts.0, -1)?;
        after = run(counts.1, 1)?;
    }
    Ok(())
}

fn predicted_set(b: &mut BitReader<'_>, before: &[i64], after: &[i64]) -> Result<(Vec<i64>, Vec<i64>)> {
    let is_negative = b.bit()?;
    let distance = i64::from(b.ue()?) + 1;
    let shift = if is_negative { -distance } else { distance };
    let mut kept = Vec::new();
    // The reference set's own picture is its last member.
    for order in before.iter().chain(after).chain(&[0]) {
        if b.bit()? || b.bit()? {
            kept.push(order + shift);
        }
    }
    kept.sort_unstable();
    let (earlier, later): (Vec<i64>, Vec<i64>) = kept.into_iter().filter(|o| *o != 0).partition(|o| *o < 0);
    Ok((earlier.into_iter().rev().collect(), later))
}

/// Usability information, section E.2.1.
fn skip_usability(b: &mut BitReader<'_>, sub_layers: u32) -> Result<()> {
    skip_display(b)?;
    b.skip(3)?;
    if b.bit()? {
        b.skip_ue(4)?;
    }
    if b.bit()? {
        b.skip(64)?;
        if b.bit()? {
            b.ue()?;
        }
        if b.bit()? {
            skip_buffers(b, true, sub_layers)?;
        }
    }
    if b.bit()? {
        b.skip(3)?;
        b.skip_ue(5)?;
    }
    Ok(())
}

/// Section 7.3.2.3.
///
/// # Errors
/// `Damaged` when it is cut off at its start.
pub(super) fn picture(nal: &[u8]) -> Result<PictureSet> {
    let data = payload(nal);
    let mut b = BitReader::new(&data);
    let (id, sequence) = (b.ue()?, b.ue()?);
    let dependent = b.bit()?;
    let extends_slices = skip_picture(&mut b);
    let is_whole = extends_slices.is_ok() && b.at_stop_bit();
    Ok(PictureSet { id, sequence, dependent, extends_slices: extends_slices.unwrap_or(true), is_whole })
}

/// Gives whether slice headers may be extended.
fn skip_picture(b: &mut BitReader<'_>) -> Result<bool> {
    b.skip(6)?;
    b.skip_ue(3)?;
    b.skip(1)?;
    let skips_transforms = b.bit()?;
    if b.bit()? {
        b.ue()?;
    }
    b.skip_ue(2)?;
    b.skip(4)?;
    let has_tiles = b.bit()?;
    b.skip(1)?;
    if has_tiles {
        let (columns, rows) = (b.ue()?, b.ue()?);
        if !b.bit()? {
            b.skip_ue(columns.saturating_add(rows))?;
        }
        b.skip(1)?;
    }
    b.skip(1)?;
    if b.bit()? {
        b.skip(1)?;
        if !b.bit()? {
            b.skip_ue(2)?;
        }
    }
    if b.bit()? {
        skip_scaling_lists(b)?;
    }
    b.skip(1)?;
    b.ue()?;
    let extends_slices = b.bit()?;
    if b.bit()? {
        let has_range_tools = b.bit()?;
        no_extension(b.bits(7)? != 0)?;
        if has_range_tools {
            skip_range_tools(b, skips_transforms)?;
        }
    }
    Ok(extends_slices)
}

fn skip_range_tools(b: &mut BitReader<'_>, skips_transforms: bool) -> Result<()> {
    if skips_transforms {
        b.ue()?;
    }
    b.skip(1)?;
    if b.bit()? {
        b.ue()?;
        let count = b.ue()?;
        for _ in 0..=count {
            b.skip_ue(2)?;
        }
    }
    b.skip_ue(2)
}
