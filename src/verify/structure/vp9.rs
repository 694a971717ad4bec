//! VP9 samples (VP9 bitstream specification, sections 6.2, 7.2 and annex B): one picture is shown, and each that is not
//! shown is referred to.

use super::Findings;
use super::bits::BitReader;
use super::damaged;
use super::hidden::{Header, HiddenPictures, tell_shown};
use crate::error::Result;
use crate::types::finding::Rule;
use crate::types::geometry::Size;

/// What a key frame's header has in its second to fourth byte (profiles 0 to 2).
const SYNC: u32 = 0x49_8342;

/// The pictures of one track.
pub(super) struct Stream {
    size: Size,
    hidden: HiddenPictures,
}

impl Stream {
    /// `size` of the track's pictures.
    pub(super) fn new(size: Size) -> Self {
        Self { size, hidden: HiddenPictures::default() }
    }

    /// # Errors
    /// `Damaged` when the sample holds no frame, or one that cannot be read.
    pub(super) fn sample(&mut self, data: &[u8], sample: usize, found: &mut Findings) -> Result<()> {
        if data.is_empty() {
            return Err(damaged(format!("sample {sample} is empty")));
        }
        let place = format!("sample {sample}");
        let mut shown = 0;
        for frame in frames(data, sample)? {
            let (header, _) = read_header(frame).map_err(|e| damaged(format!("{place}: {}", e.message())))?;
            let is_picture = matches!(header, Header::Picture { .. });
            shown += u32::from(self.hidden.frame(header, &place, found));
            if let Some(at) = is_picture.then(|| self.second_key(frame)).flatten() {
                found.push(Rule::ExtraPicture, format!("{place} holds a second picture at byte {at}"));
            }
        }
        tell_shown(shown, &place, found);
        Ok(())
    }

    /// Where a key frame begins that no index names. The end of a frame is only known by decoding it; a header with the
    /// track's size has more than fifty bits that do not come by chance.
    fn second_key(&self, frame: &[u8]) -> Option<usize> {
        let is_key = |rest: &[u8]| read_header(rest).is_ok_and(|(_, key_size)| key_size == Some(self.size));
        let syncs = frame.windows(3).enumerate().skip(2).filter(|(_, w)| **w == SYNC.to_be_bytes()[1..]);
        syncs.map(|(at, _)| at - 1).find(|at| is_key(&frame[*at..]))
    }

    pub(super) fn finish(&self, found: &mut Findings) {
        self.hidden.finish(found);
    }
}

/// Frames of a sample: those that an index at its end names, else the whole.
fn frames(data: &[u8], sample: usize) -> Result<Vec<&[u8]>> {
    let marker = data[data.len() - 1];
    let (count, bytes) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let index_len = 2 + count * bytes;
    let Some(start) = data.len().checked_sub(index_len).filter(|at| marker >> 5 == 0b110 && data[*at] == marker) else {
        return Ok(vec![data]);
    };
    let (mut rest, index) = data.split_at(start);
    let mut out = Vec::new();
    for size in index[1..index_len - 1].chunks(bytes) {
        let len = size.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
        let (frame, behind) = rest
            .split_at_checked(len)
            .filter(|(frame, _)| !frame.is_empty())
            .ok_or_else(|| damaged(format!("sample {sample} has an index that does not fit it")))?;
        out.push(frame);
        rest = behind;
    }
    if rest.is_empty() { Ok(out) } else { Err(damaged(format!("sample {sample} holds more than its index names"))) }
}

/// Also the size of pictures that a key frame begins.
fn read_header(data: &[u8]) -> Result<(Header, Option<Size>)> {
    let mut b = BitReader::new(data);
    if b.bits(2)? != 2 {
        return Err(damaged("a frame does not begin like one of VP9"));
    }
    let profile = u32::from(b.bit()?) | u32::from(b.bit()?) << 1;
    if profile == 3 && b.bit()? {
        return Err(damaged("a frame is of an unknown profile"));
    }
    if b.bit()? {
        let slot = b.bits(3)? as usize;
        let is_whole = data.len() == b.bytes();
        return Ok((Header::Existing { slot, is_whole }, None));
    }
    let (is_key, is_shown, resilient) = (!b.bit()?, b.bit()?, b.bit()?);
    if is_key {
        read_sync(&mut b)?;
        skip_color(&mut b, profile)?;
        let key_size = Some(read_size(&mut b)?);
        return Ok((Header::Picture { is_shown, slots: vec![], refresh: 0xff }, key_size));
    }
    let is_intra = !is_shown && b.bit()?;
    b.skip(if resilient { 0 } else { 2 })?;
    if is_intra {
        read_sync(&mut b)?;
        if profile > 0 {
            skip_color(&mut b, profile)?;
        }
        return Ok((Header::Picture { is_shown, slots: vec![], refresh: b.bits(8)? }, None));
    }
    let refresh = b.bits(8)?;
    let mut slots = Vec::new();
    for _ in 0..3 {
        slots.push(b.bits(3)? as usize);
        b.skip(1)?;
    }
    Ok((Header::Picture { is_shown, slots, refresh }, None))
}

fn read_sync(b: &mut BitReader<'_>) -> Result<()> {
    if b.bits(24)? == SYNC { Ok(()) } else { Err(damaged("a frame lacks the code that begins a key frame")) }
}

fn skip_color(b: &mut BitReader<'_>, profile: u32) -> Result<()> {
    const RGB: u32 = 7;
    if profile >= 2 {
        b.skip(1)?;
    }
    let is_rgb = b.bits(3)? == RGB;
    b.skip(match (is_rgb, profile & 1) {
        (false, 0) => 1,
        (false, _) => 4,
        (true, 0) => 0,
        (true, _) => 1,
    })
}

fn read_size(b: &mut BitReader<'_>) -> Result<Size> {
    Ok(Size::new(b.bits(16)? + 1, b.bits(16)? + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_frames_or_does_not_fit() {
        let lens = |data: &[u8]| frames(data, 0).map(|f| f.iter().map(|f| f.len()).collect::<Vec<_>>()).ok();
        for (name, data, expected) in [
            ("no index", &[0x82, 1, 2][..], Some(vec![3])),
            ("two frames", &[1, 2, 3, 0xc1, 2, 1, 0xc1], Some(vec![2, 1])),
            ("bytes between", &[1, 2, 3, 4, 0xc1, 2, 1, 0xc1], None),
            ("longer than the sample", &[1, 2, 3, 0xc1, 2, 2, 0xc1], None),
            ("an empty frame", &[1, 2, 3, 0xc1, 3, 0, 0xc1], None),
            ("only one marker", &[1, 2, 3, 0xc0, 2, 1, 0xc1], Some(vec![7])),
        ] {
            assert_eq!(lens(data), expected, "{name}");
        }
    }

    #[test]
    fn headers() {
        for (data, expected) in [
            (&[0b1000_1101][..], Some((Header::Existing { slot: 5, is_whole: true }, None))),
            (&[0b1000_1101, 0], Some((Header::Existing { slot: 5, is_whole: false }, None))),
            (&[0b1100_0000], None),
            (
                &[0x82, 0x49, 0x83, 0x42, 0x20, 0x13, 0xf0, 0x0e, 0xf0],
                Some((Header::Picture { is_shown: true, slots: vec![], refresh: 0xff }, Some(Size::new(320, 240)))),
            ),
            (&[0x82, 0x49, 0x83, 0x43, 0x20, 0x13, 0xf0, 0x0e, 0xf0], None),
            (
                &[0x84, 0x00, 0x44, 0x88],
                Some((Header::Picture { is_shown: false, slots: vec![1, 2, 2], refresh: 2 }, None)),
            ),
        ] {
            assert_eq!(read_header(data).ok(), expected, "{data:x?}");
        }
    }
}
