//! Coded streams of containers that have no strict reader here: what their units speak of besides the picture.

use super::Findings;
use super::mp4_codec::{check_sequence, read_config};
use super::sei::{self, Coding};
use crate::types::finding::{Finding, Rule};
use crate::types::geometry::Size;

/// Looks through the packets of one H.264 or H.265 stream.
pub struct StreamScan {
    coding: Coding,
    /// Bytes of a unit's length; `None` for start codes.
    length_bytes: Option<usize>,
    size: Size,
    /// One of each kind, however many frames have it.
    told: Vec<Finding>,
}

impl StreamScan {
    /// `codec` by FFmpeg's name; `None` for one whose units are not looked at.
    pub fn new(codec: &str, extradata: &[u8], size: Size) -> Option<Self> {
        let coding = match codec {
            "h264" => Coding::H264,
            "hevc" => Coding::H265,
            _ => return None,
        };
        let mut scan = Self { coding, length_bytes: None, size, told: Vec::new() };
        // A configuration record begins with its version, units with a start code.
        if extradata.first() == Some(&1) {
            let kind: &[u8] = if coding == Coding::H264 { b"avcC" } else { b"hvcC" };
            let mut found = Findings::default();
            scan.length_bytes = read_config(kind, extradata, size, &mut found).ok().and_then(|c| c.length_bytes());
            scan.tell(found);
        } else {
            scan.packet(extradata);
        }
        Some(scan)
    }

    pub fn packet(&mut self, data: &[u8]) {
        match self.length_bytes {
            Some(n) => {
                let mut rest = data;
                while let Some((len, behind)) = rest.split_at_checked(n) {
                    let len = len.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)).min(behind.len());
                    self.unit(&behind[..len]);
                    rest = &behind[len..];
                }
            }
            None => start_coded(data).for_each(|unit| self.unit(unit)),
        }
    }

    fn unit(&mut self, unit: &[u8]) {
        let Some(&first) = unit.first() else { return };
        let kind = if self.coding == Coding::H264 { first & 31 } else { first >> 1 & 63 };
        let mut found = Findings::default();
        match (self.coding, kind) {
            (Coding::H264, 6) | (Coding::H265, 39 | 40) => {
                sei::tell(unit, self.coding, false, "the video", &mut found);
            }
            (Coding::H264, 7) | (Coding::H265, 33) => check_sequence(unit, self.coding, self.size, &mut found),
            _ => {}
        }
        self.tell(found);
    }

    /// What only strict readers mind, odd but harmless bytes, is left out.
    fn tell(&mut self, found: Findings) {
        for finding in found.into_vec().into_iter().filter(|f| f.rule != Rule::Residue) {
            if !self.told.contains(&finding) {
                self.told.push(finding);
            }
        }
    }

    pub fn finish(self) -> Vec<Finding> {
        self.told
    }
}

/// Units between start codes of three bytes.
fn start_coded(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    let next = |data: &[u8]| data.windows(3).position(|w| w == [0, 0, 1]);
    rest = next(rest).map_or(&[][..], |at| &rest[at + 3..]);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = next(rest).unwrap_or(rest.len());
        let unit = &rest[..end];
        rest = rest.get(end + 3..).unwrap_or_default();
        Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_behind_start_codes() {
        let data =
            [&[0, 0, 0, 1, 9, 16, 0, 0, 1, 6][..], &[4, 8, 0xb5, 0, 0x31], b"GA94", &[3, 0x80, 0, 0, 1, 0x65, 1]]
                .concat();
        let units: Vec<u8> = start_coded(&data).map(|u| u[0]).collect();
        assert_eq!(units, [9, 6, 0x65]);
        let mut scan = StreamScan::new("h264", &[], Size::new(16, 16)).unwrap();
        scan.packet(&data);
        scan.packet(&data);
        let found = scan.finish();
        assert_eq!(found.iter().map(|f| f.rule).collect::<Vec<_>>(), [Rule::ClosedCaptions]);
        assert!(StreamScan::new("vp9", &[], Size::new(16, 16)).is_none());
    }
}
