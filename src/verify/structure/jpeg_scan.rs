//! Walks the entropy-coded bits of a baseline JPEG scan to learn where they end: ITU-T T.81, annex F.

use super::damaged;
use crate::error::Result;
use crate::types::geometry::Size;

/// Canonical Huffman codes by length.
pub(super) struct Huffman {
    /// Per length 1 to 16: first code, first index, count.
    ranks: [(u32, usize, u32); 16],
    symbols: Vec<u8>,
}

impl Huffman {
    pub(super) fn new(counts: &[u8], symbols: &[u8]) -> Result<Self> {
        let mut ranks = [(0, 0, 0); 16];
        let (mut code, mut index) = (0u32, 0usize);
        for (i, (rank, &count)) in ranks.iter_mut().zip(counts).enumerate() {
            *rank = (code, index, u32::from(count));
            code += u32::from(count);
            index += usize::from(count);
            if code > 1 << (i + 1) {
                return Err(damaged("a Huffman table has too many codes"));
            }
            code <<= 1;
        }
        if index != symbols.len() {
            return Err(damaged("a Huffman table has too few symbols"));
        }
        Ok(Self { ranks, symbols: symbols.to_vec() })
    }

    fn decode(&self, bits: &mut ScanBits<'_>) -> Result<u8> {
        let mut code = 0;
        for &(first, index, count) in &self.ranks {
            code = code << 1 | bits.bit()?;
            // Codes of this length begin at `first`; smaller values are prefixes that a shorter length has taken.
            if let Some(i) = code.checked_sub(first).filter(|i| *i < count) {
                return self.symbols.get(index + i as usize).copied().ok_or_else(bad_code);
            }
        }
        Err(bad_code())
    }
}

fn bad_code() -> crate::error::Error {
    damaged("the JPEG scan holds an impossible code")
}

/// One component of the scan.
pub(super) struct ScanComponent<'a> {
    pub horizontal: u32,
    pub vertical: u32,
    pub dc: &'a Huffman,
    pub ac: &'a Huffman,
    /// Numbers of the two.
    pub tables: (u8, u8),
}

/// Bits of a scan; stuffed zero bytes are skipped.
struct ScanBits<'a> {
    data: &'a [u8],
    /// Next byte to load.
    next: usize,
    byte: u8,
    left: u32,
}

impl ScanBits<'_> {
    fn bit(&mut self) -> Result<u32> {
        if self.left == 0 {
            let byte = *self.data.get(self.next).ok_or_else(|| damaged("the JPEG scan is cut off"))?;
            self.next += 1;
            if byte == 0xff {
                if self.data.get(self.next) != Some(&0) {
                    return Err(damaged("the JPEG scan is cut off by a marker"));
                }
                self.next += 1;
            }
            (self.byte, self.left) = (byte, 8);
        }
        self.left -= 1;
        Ok(u32::from(self.byte >> self.left & 1))
    }

    fn skip(&mut self, count: u8) -> Result<()> {
        (0..count).try_for_each(|_| self.bit().map(drop))
    }

    /// Drops the padding up to the next byte.
    fn align(&mut self) {
        self.left = 0;
    }
}

fn skip_block(component: &ScanComponent<'_>, bits: &mut ScanBits<'_>) -> Result<()> {
    let size = component.dc.decode(bits)?;
    if size > 11 {
        return Err(bad_code());
    }
    bits.skip(size)?;
    let mut k = 1;
    while k < 64 {
        let symbol = component.ac.decode(bits)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => k += 16,
            (0, 0) => return Ok(()),
            (_, 0) => return Err(bad_code()),
            (run, size) => {
                bits.skip(size)?;
                k += u32::from(run) + 1;
            }
        }
    }
    if k == 64 { Ok(()) } else { Err(bad_code()) }
}

/// Number of bytes of `data` that the scan's blocks need.
pub(super) fn scan_end(data: &[u8], size: Size, components: &[ScanComponent<'_>], restart: u32) -> Result<usize> {
    let most = |f: fn(&ScanComponent<'_>) -> u32| components.iter().map(f).max().unwrap_or(1);
    let (unit_x, unit_y) = match components {
        // A scan of one component has one block a unit, whatever its sampling is.
        [_] => (8, 8),
        _ => (8 * most(|c| c.horizontal), 8 * most(|c| c.vertical)),
    };
    let units = u64::from(size.width.div_ceil(unit_x)) * u64::from(size.height.div_ceil(unit_y));
    let mut bits = ScanBits { data, next: 0, byte: 0, left: 0 };
    let mut restarts = 0u8;
    for unit in 0..units {
        if restart > 0 && unit > 0 && unit % u64::from(restart) == 0 {
            bits.align();
            if data.get(bits.next..bits.next + 2) != Some(&[0xff, 0xd0 + restarts]) {
                return Err(damaged("a JPEG restart marker is missing"));
            }
            bits.next += 2;
            restarts = (restarts + 1) % 8;
        }
        for component in components {
            let blocks = if components.len() == 1 { 1 } else { component.horizontal * component.vertical };
            for _ in 0..blocks {
                skip_block(component, &mut bits)?;
            }
        }
    }
    Ok(bits.next)
}
