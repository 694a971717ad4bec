//! Tags of ISO base media files: `udta`, iTunes' `ilst`, QuickTime's `keys`, 3GPP's strings, and what stands in their
//! place at other levels. Read leniently, because each is a finding either way.

use super::mp4_boxes::Child;
use super::tags::{Carrier, tell_name};
use super::{Findings, fourcc, iptc, xmp};
use crate::types::finding::Rule;

/// Identifiers of `uuid` boxes that carry known things.
const UUID_XMP: &[u8] = b"\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac";
const UUID_IPTC: &[u8] = b"\x33\xc7\xa4\xd2\xb8\x1d\x47\x23\xa0\xba\xf1\xa3\xe0\x97\xad\x38";
const UUID_PREVIEW: &[u8] = b"\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16";
const UUID_GPMF: &[u8] = b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
const UUID_C2PA: &[u8] = b"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81";

/// Boxes of one level; what cannot be split any further is left out.
pub(super) fn boxes(mut data: &[u8]) -> Vec<Child<'_>> {
    let mut out = Vec::new();
    while let Some((head, rest)) = data.split_at_checked(8) {
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (skip, len) = match size {
            0 => (0, rest.len()),
            1 => match rest.first_chunk::<8>() {
                Some(long) => (8, usize::try_from(u64::from_be_bytes(*long)).unwrap_or(usize::MAX).saturating_sub(16)),
                None => break,
            },
            n => (0, n.saturating_sub(8)),
        };
        let body = rest.get(skip..).unwrap_or_default();
        let len = len.min(body.len());
        out.push(Child { kind: &head[4..], data: &body[..len] });
        data = &body[len..];
    }
    out
}

/// Tells what a `udta` or `meta` box (its content) holds; `place` names the level for messages.
pub(super) fn tell(kind: &[u8], data: &[u8], place: &str, found: &mut Findings) {
    let mut carrier = Carrier::new(format!("box {} {place}", fourcc(kind)));
    match kind {
        b"meta" => meta(data, &mut carrier, found),
        _ => boxes(data).iter().for_each(|b| one(b, &mut carrier, found)),
    }
    carrier.finish(found);
}

fn meta(data: &[u8], carrier: &mut Carrier, found: &mut Findings) {
    // A full box in ISO files, a plain one in QuickTime's.
    let inner = if data.get(4..8) == Some(b"hdlr") { data } else { data.get(4..).unwrap_or_default() };
    for b in boxes(inner) {
        match b.kind {
            b"hdlr" => {}
            b"keys" => keys(b.data, carrier),
            b"ilst" => boxes(b.data).iter().for_each(|item| ilst_item(item, carrier)),
            b"xml " => carrier.tell(Rule::MetadataComment, "XML text"),
            b"free" if b.data.is_empty() => {}
            b"free" | b"skip" => carrier.tell(Rule::UnknownPart, "padding"),
            b"ID32" => carrier.tell(Rule::MetadataComment, "ID3 tags"),
            b"iinf" | b"iloc" | b"pitm" | b"iprp" | b"iref" | b"idat" => carrier.tell(Rule::EmbeddedFile, "items"),
            _ => one(&b, carrier, found),
        }
    }
}

/// QuickTime's keys by name; values stand in `ilst` under their numbers.
fn keys(data: &[u8], carrier: &mut Carrier) {
    for key in boxes(data.get(8..).unwrap_or_default()) {
        tell_name(carrier, &String::from_utf8_lossy(key.data));
    }
}

fn ilst_item(item: &Child<'_>, carrier: &mut Carrier) {
    match item.kind {
        b"covr" => carrier.tell(Rule::MetadataPreview, "cover picture"),
        // A number: the key of that number names it.
        [0, 0, ..] => {}
        b"----" => {
            let name = boxes(item.data).into_iter().find(|b| b.kind == b"name").map_or(&[][..], |b| b.data);
            tell_name(carrier, &String::from_utf8_lossy(name.get(4..).unwrap_or_default()));
        }
        kind => by_code(kind, carrier),
    }
}

fn one(b: &Child<'_>, carrier: &mut Carrier, found: &mut Findings) {
    match b.kind {
        b"meta" => meta(b.data, carrier, found),
        b"ilst" => boxes(b.data).iter().for_each(|item| ilst_item(item, carrier)),
        b"XMP_" => xmp::tell(b.data, found),
        b"chpl" => carrier.tell(Rule::Chapters, "chapter list"),
        b"thmb" | b"CNTH" | b"pict" | b"SNAL" => carrier.tell(Rule::MetadataPreview, "thumbnail"),
        b"uuid" => uuid(b.data, found),
        b"free" | b"skip" if b.data.is_empty() => {}
        b"free" | b"skip" => carrier.tell(Rule::UnknownPart, "padding"),
        // QuickTime ends lists by a word of zeros.
        [0, 0, 0, 0] => {}
        kind => by_code(kind, carrier),
    }
}

/// By four-letter code: QuickTime file format, 3GPP TS 26.244, and what cameras and phones add.
fn by_code(kind: &[u8], carrier: &mut Carrier) {
    let rule = match kind {
        b"\xa9xyz" | b"loci" | b"gps " | b"\xa9gpt" | b"\xa9gyw" | b"GPMF" => Rule::MetadataLocation,
        b"\xa9mak" | b"\xa9mod" | b"manu" | b"modl" | b"CNCV" | b"MVTG" | b"smta" | b"SDLN" | b"CAME" | b"FIRM"
        | b"LENS" | b"MUID" | b"HMMT" | b"GUMI" | b"smrd" | b"CNDA" | b"CNMN" | b"CNFV" | b"mdln" | b"TAGS"
        | b"hinv" => Rule::MetadataDevice,
        b"\xa9day" | b"date" | b"yrrc" | b"purd" | b"rldt" | b"\xa9dat" => Rule::MetadataTime,
        b"\xa9ART" | b"auth" | b"perf" | b"cprt" | b"\xa9aut" | b"\xa9cpy" | b"aART" | b"\xa9wrt" | b"\xa9prd"
        | b"\xa9dir" | b"\xa9prf" | b"apID" | b"ownr" | b"\xa9prk" => Rule::MetadataPerson,
        b"\xa9too" | b"\xa9swr" | b"\xa9enc" | b"tool" | b"FFmp" => Rule::MetadataSoftware,
        b"\xa9cmt" | b"desc" | b"ldes" | b"\xa9nam" | b"titl" | b"\xa9alb" | b"albm" | b"gnre" | b"\xa9gen"
        | b"dscp" | b"kywd" | b"\xa9inf" | b"\xa9des" | b"keyw" | b"catg" | b"tvsh" | b"\xa9lyr" | b"\xa9grp"
        | b"clsf" | b"rtng" | b"\xa9key" | b"name" | b"\xa9fmt" | b"\xa9src" | b"sonm" | b"trkn" | b"disk" => {
            Rule::MetadataComment
        }
        _ => return carrier.other(),
    };
    // Printable, with the copyright sign that QuickTime's codes begin with.
    let name: String = kind.iter().map(|b| if *b == 0xa9 { '©' } else { char::from(*b) }).collect();
    carrier.tell(rule, name);
}

/// Tells what a `uuid` box (its content, from the identifier on) holds.
pub(super) fn uuid(data: &[u8], found: &mut Findings) {
    let (id, body) = data.split_at_checked(16).unwrap_or((data, &[]));
    match id {
        UUID_XMP => xmp::tell(body, found),
        UUID_IPTC => iptc::tell(body, found),
        UUID_PREVIEW => found.push(Rule::MetadataPreview, "a uuid box holds a preview"),
        UUID_GPMF => found.push(Rule::MetadataLocation, "a uuid box holds positions of the camera"),
        UUID_C2PA => found.push(Rule::Metadata, "a uuid box holds content credentials"),
        _ => found.push(Rule::UnknownPart, format!("box uuid of {} bytes", data.len() + 8)),
    }
}

/// What an unexpected box is; `len` with its header.
pub(super) fn unexpected(kind: &[u8], data: &[u8], len: u64, place: &str, found: &mut Findings) {
    match kind {
        b"uuid" => uuid(data, found),
        b"udta" | b"meta" => tell(kind, data, place, found),
        b"mdat" => found.push(Rule::UnusedData, format!("a further mdat box of {len} bytes")),
        b"emsg" => found.push(Rule::StreamData, "box emsg carries messages"),
        b"prft" => found.push(Rule::MetadataTime, "box prft tells when it was recorded"),
        b"mpvd" | b"sefd" => found.push(Rule::MotionPhoto, format!("box {} holds a clip or its data", fourcc(kind))),
        _ => found.push(Rule::UnknownPart, format!("box {} of {len} bytes {place}", fourcc(kind))),
    }
}

/// What a track that is neither the picture nor the one expected sound is, by its handler and sample entry.
pub(super) fn track(handler: &[u8], coding: &[u8], found: &mut Findings) {
    let (rule, what) = match (handler, coding) {
        (b"soun", _) => (Rule::AudioPresent, "a second audio track"),
        (b"clcp", _) | (_, b"c608" | b"c708") => (Rule::ClosedCaptions, "a track of closed captions"),
        (b"sbtl" | b"subt" | b"subp", _) => (Rule::Subtitles, "a track of subtitles"),
        (_, b"tx3g" | b"stpp" | b"wvtt" | b"sbtt" | b"mp4s") => (Rule::Subtitles, "a track of subtitles"),
        (b"text", _) => (Rule::Chapters, "a track of text, as chapters have"),
        (b"tmcd", _) => (Rule::Timecode, "a track of time codes"),
        _ => return found.push(Rule::ExtraTrack, format!("a track of kind {}", fourcc(handler))),
    };
    found.push(rule, what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
    }

    fn rules(kind: &[u8], data: &[u8]) -> Vec<Rule> {
        let mut found = Findings::default();
        tell(kind, data, "in the index", &mut found);
        found.into_vec().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn quicktime_keys_and_itunes_items() {
        let keys = [
            &[0; 8][..],
            &boxed(b"mdta", b"com.apple.quicktime.location.ISO6709"),
            &boxed(b"mdta", b"com.apple.quicktime.model"),
        ]
        .concat();
        let meta =
            [boxed(b"hdlr", &[0; 24]), boxed(b"keys", &keys), boxed(b"ilst", &boxed(&[0, 0, 0, 1], b"x"))].concat();
        assert_eq!(rules(b"meta", &meta), [Rule::MetadataLocation, Rule::MetadataDevice]);
        let items = [boxed(b"\xa9too", b"x"), boxed(b"covr", b"x"), boxed(b"\xa9ART", b"x")].concat();
        let udta = boxed(b"meta", &[&[0; 4][..], &boxed(b"hdlr", &[0; 24]), &boxed(b"ilst", &items)].concat());
        assert_eq!(rules(b"udta", &udta), [Rule::MetadataPerson, Rule::MetadataSoftware, Rule::MetadataPreview]);
    }

    #[test]
    fn codes_of_phones_and_unknown_ones() {
        let udta = [boxed(b"\xa9xyz", b"+1+2/"), boxed(b"free", b"abc"), boxed(b"what", b"")].concat();
        assert_eq!(rules(b"udta", &udta), [Rule::MetadataLocation, Rule::Metadata, Rule::UnknownPart]);
        assert_eq!(rules(b"udta", b""), [Rule::Metadata]);
        assert_eq!(rules(b"udta", &[0xff; 40]), [Rule::Metadata]);
    }
}
