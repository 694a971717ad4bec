//! Supplemental enhancement information of H.264 and H.265: which messages speak of the recording.

use super::Findings;
use super::bits::unescape;
use crate::types::finding::Rule;

/// Which standard numbers the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    H264,
    H265,
}

/// UUID of x264's settings, from its source.
const X264: &[u8] = b"\xdc\x45\xe9\xbd\xe6\xd9\x48\xb7\x96\x2c\xd8\x20\xd9\x23\xee\xef";

/// Tells of each message in a SEI NAL unit (header included). `strict`: those that only help to show pictures as well.
pub(super) fn tell(nal: &[u8], coding: Coding, strict: bool, place: &str, found: &mut Findings) {
    let header = if coding == Coding::H264 { 1 } else { 2 };
    let data = unescape(nal.get(header..).unwrap_or_default());
    let mut rest = data.as_slice();
    let mut told = false;
    // The last byte is the stop bit.
    while rest.len() > 2 {
        let Some((kind, behind)) = number(rest) else { break };
        let Some((len, behind)) = number(behind) else { break };
        let len = len.min(behind.len());
        let (body, next) = behind.split_at(len);
        rest = next;
        let what = meaning(kind, body, coding);
        if let Some((rule, what)) = what {
            told = true;
            found.push(rule, format!("{place} holds {what}"));
        }
    }
    if strict && !told {
        found.push(Rule::StreamData, format!("{place} holds supplemental enhancement information"));
    }
}

/// Types and lengths: bytes of 255 add up.
fn number(mut data: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    while let [255, rest @ ..] = data {
        value += 255;
        data = rest;
    }
    let (last, rest) = data.split_first()?;
    Some((value + usize::from(*last), rest))
}

fn meaning(kind: usize, body: &[u8], coding: Coding) -> Option<(Rule, &'static str)> {
    let names = |what: &[u8]| body.windows(what.len()).any(|w| w == what);
    match kind {
        4 if names(b"GA94") || names(b"DTG1") => Some((Rule::ClosedCaptions, "closed captions")),
        4 => Some((Rule::StreamData, "registered user data")),
        5 if body.starts_with(X264) || names(b"x264") || names(b"x265") || names(b"Lavc") => {
            Some((Rule::EncoderString, "the settings of its encoder"))
        }
        5 => Some((Rule::StreamData, "unregistered user data")),
        136 if coding == Coding::H265 => Some((Rule::Timecode, "a time code")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(messages: &[u8], strict: bool) -> Vec<Rule> {
        let mut found = Findings::default();
        let nal = [&[6][..], messages, &[0x80]].concat();
        tell(&nal, Coding::H264, strict, "a frame", &mut found);
        found.into_vec().iter().map(|f| f.rule).collect()
    }

    #[test]
    fn messages_have_classes() {
        let x264 = [&[5, 16 + 4][..], X264, b"x264"].concat();
        let captions = [&[4, 8, 0xb5, 0, 0x31][..], b"GA94", &[3]].concat();
        assert_eq!(rules(&x264, false), [Rule::EncoderString]);
        assert_eq!(rules(&[x264, captions].concat(), false), [Rule::EncoderString, Rule::ClosedCaptions]);
        assert_eq!(rules(&[6, 1, 0x80], false), []);
        assert_eq!(rules(&[6, 1, 0x80], true), [Rule::StreamData]);
        assert_eq!(rules(&[255, 255, 255], true), [Rule::StreamData]);
    }
}
