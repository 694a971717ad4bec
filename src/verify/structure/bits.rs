//! Bit-wise reading of parameter sets.

use super::damaged;
use crate::error::Result;

/// Reads bits, most significant first.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// Next bit, from the start of the data.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    pub(super) fn bit(&mut self) -> Result<bool> {
        let byte = self.data.get(self.position / 8).ok_or_else(|| damaged("a parameter set is too short"))?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// Bytes that were touched.
    pub(super) fn bytes(&self) -> usize {
        self.position.div_ceil(8)
    }

    /// Up to 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32> {
        (0..count).try_fold(0u32, |value, _| Ok(value << 1 | u32::from(self.bit()?)))
    }

    pub(super) fn skip(&mut self, count: u32) -> Result<()> {
        (0..count).try_for_each(|_| self.bit().map(drop))
    }

    /// Unsigned Exp-Golomb code, ITU-T H.264 section 9.1.
    pub(super) fn ue(&mut self) -> Result<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(damaged("a parameter set holds a number that is too large"));
            }
        }
        Ok((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// One `ue` after the other, none of which matters.
    pub(super) fn skip_ue(&mut self, count: u32) -> Result<()> {
        (0..count).try_for_each(|_| self.ue().map(drop))
    }

    /// Whether the payload's syntax goes on: its last set bit, the stop bit, is still ahead.
    pub(super) fn more_data(&self) -> bool {
        self.stop_bit().is_some_and(|stop| self.position < stop)
    }

    /// Whether nothing but the stop bit follows. Zero bytes behind it carry nothing.
    pub(super) fn at_stop_bit(&self) -> bool {
        self.stop_bit() == Some(self.position)
    }

    fn stop_bit(&self) -> Option<usize> {
        let last = self.data.iter().rposition(|b| *b != 0)?;
        Some(last * 8 + 7 - self.data[last].trailing_zeros() as usize)
    }

    /// Signed Exp-Golomb code.
    pub(super) fn se(&mut self) -> Result<i64> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 })
    }
}

/// Payload of a NAL unit without its emulation prevention bytes.
pub(super) fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Whether three bytes stand in a NAL unit that are escaped inside of one.
pub(super) fn has_start_code(nal: &[u8]) -> bool {
    nal.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3)
}

/// How pictures are meant to be shown: the usability information of H.264 (section E.1.1) and of H.265 (E.2.1) begins with
/// it.
pub(super) fn skip_display(b: &mut BitReader<'_>) -> Result<()> {
    // An aspect ratio of its own has two numbers.
    if b.bit()? && b.bits(8)? == 255 {
        b.skip(32)?;
    }
    if b.bit()? {
        b.skip(1)?;
    }
    if b.bit()? {
        b.skip(4)?;
        if b.bit()? {
            b.skip(24)?;
        }
    }
    if b.bit()? {
        b.skip_ue(2)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes() {
        // 1 | 010 | 011 | 00100 | 00101 -> 0 1 2 3 4
        let data = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = BitReader::new(&data);
        let values: Vec<u32> = (0..5).map(|_| bits.ue().unwrap()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        let mut bits = BitReader::new(&data);
        let values: Vec<i64> = (0..5).map(|_| bits.se().unwrap()).collect();
        assert_eq!(values, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn endless_zeros_are_an_error() {
        assert!(BitReader::new(&[0; 64]).ue().is_err());
        assert!(BitReader::new(&[0]).ue().is_err());
    }

    #[test]
    fn what_is_behind_the_stop_bit_is_told_from_it() {
        for (data, read, more, ends) in [
            (&[0b1010_0000][..], 2, false, true),
            (&[0b1010_0000, 0, 0], 2, false, true),
            (&[0b1010_0000], 1, true, false),
            (&[0b1010_0000, 0b1000_0000], 2, true, false),
            (&[0b1010_0000], 3, false, false),
            (&[0, 0], 2, false, false),
        ] {
            let mut bits = BitReader::new(data);
            bits.skip(read).unwrap();
            assert_eq!((bits.more_data(), bits.at_stop_bit()), (more, ends), "{data:?} {read}");
        }
    }

    #[test]
    fn emulation_prevention_is_removed() {
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [1, 0, 0, 1, 0, 0, 0, 0]);
    }
}
