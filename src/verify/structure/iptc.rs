//! IPTC-IIM data sets and the Photoshop image resources that carry them.

use super::tags::Carrier;
use super::{Findings, exif, xmp};
use crate::types::finding::Rule;

/// Tells what a run of IPTC data sets holds.
pub(super) fn tell(mut data: &[u8], found: &mut Findings) {
    let mut carrier = Carrier::new("IPTC");
    while let [0x1c, record, set, high, low, rest @ ..] = data {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        match (record, set) {
            (1, _) | (2, 0) => {}
            (2, 26 | 27 | 90 | 92 | 95 | 100 | 101) => carrier.tell(Rule::MetadataLocation, "city, state or country"),
            (2, 55 | 60 | 62 | 63 | 30 | 35 | 37 | 38) => carrier.tell(Rule::MetadataTime, "date or time"),
            (2, 80 | 85 | 110 | 115 | 116 | 118 | 122) => {
                carrier.tell(Rule::MetadataPerson, "by-line, credit or contact")
            }
            (2, 65 | 70) => carrier.tell(Rule::MetadataSoftware, "originating program"),
            (2, 5 | 25 | 40 | 105 | 120) => carrier.tell(Rule::MetadataComment, "title, caption or keywords"),
            (2, 200..=202) => carrier.tell(Rule::MetadataPreview, "preview"),
            _ => carrier.other(),
        }
        data = rest.get(len..).unwrap_or_default();
    }
    carrier.finish(found);
}

/// Tells what a run of Photoshop image resources (`8BIM`) holds.
pub(super) fn tell_photoshop(mut data: &[u8], found: &mut Findings) {
    let mut carrier = Carrier::new("Photoshop data");
    while let [b'8', b'B', b'I', b'M', high, low, name_len, rest @ ..] = data {
        // The name is a Pascal string, padded to an even length with its length byte.
        let name = usize::from(*name_len) | 1;
        let Some(rest) = rest.get(name..) else { break };
        let [a, b, c, d, rest @ ..] = rest else { break };
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(body) = rest.get(..len) else { break };
        match u16::from_be_bytes([*high, *low]) {
            0x0404 => tell(body, found),
            0x0409 | 0x040c => carrier.tell(Rule::MetadataPreview, "thumbnail"),
            0x0422 | 0x0423 => exif::tell(body, "EXIF", exif::Whole::Block, found),
            0x0424 => xmp::tell(body, found),
            0x040f => carrier.tell(Rule::Metadata, "colour profile"),
            _ => carrier.other(),
        }
        data = rest.get(len + len % 2..).unwrap_or_default();
    }
    carrier.finish(found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_sets_inside_of_resources() {
        let iptc = [&[0x1c, 2, 80, 0, 3][..], b"Kim", &[0x1c, 2, 90, 0, 2], b"ab"].concat();
        let thumb = [&b"8BIM\x04\x0c\0\0\0\0\0\x02"[..], b"xx"].concat();
        let data =
            [&b"8BIM\x04\x04\0\0\0\0\0"[..], &[iptc.len() as u8], &iptc, &[0][..iptc.len() % 2], &thumb].concat();
        let mut found = Findings::default();
        tell_photoshop(&data, &mut found);
        let rules: Vec<Rule> = found.into_vec().iter().map(|f| f.rule).collect();
        assert_eq!(rules, [Rule::MetadataLocation, Rule::MetadataPerson, Rule::MetadataPreview]);
    }
}
