//! What tags tell, by class. Findings name tags by the names that their specifications give them, never their values:
//! a report gets passed on.

use std::collections::BTreeMap;

use super::Findings;
use crate::types::finding::Rule;

/// Names of tags that one finding lists.
const MAX_NAMED: usize = 8;

/// Collects what one carrier (EXIF, XMP, a tag box, ...) tells, so that each class becomes one finding.
pub(super) struct Carrier {
    name: String,
    told: BTreeMap<Rule, Vec<String>>,
    others: usize,
}

impl Carrier {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), told: BTreeMap::new(), others: 0 }
    }

    /// `what` is a name from a specification.
    pub(super) fn tell(&mut self, rule: Rule, what: impl Into<String>) {
        let (what, list) = (what.into(), self.told.entry(rule).or_default());
        if !list.contains(&what) {
            list.push(what);
        }
    }

    /// A tag without a name here: only counted.
    pub(super) fn other(&mut self) {
        self.others += 1;
    }

    /// Nothing when nothing was told: for a place that may be there.
    pub(super) fn finish_if_any(self, found: &mut Findings) {
        if self.others > 0 || !self.told.is_empty() {
            self.finish(found);
        }
    }

    /// At least one finding, because the carrier itself has no business in a finished file.
    pub(super) fn finish(mut self, found: &mut Findings) {
        if self.others > 0 {
            let s = if self.others == 1 { "" } else { "s" };
            self.tell(Rule::Metadata, format!("{} other tag{s}", self.others));
        }
        if self.told.is_empty() {
            found.push(Rule::Metadata, format!("{} is there, without a tag that is known", self.name));
        }
        for (rule, names) in self.told {
            let more = names.len().saturating_sub(MAX_NAMED);
            let mut list = names[..names.len() - more].join(", ");
            if more > 0 {
                list.push_str(&format!(" and {more} more"));
            }
            found.push(rule, format!("{} {}: {list}", self.name, phrase(rule)));
        }
    }
}

fn phrase(rule: Rule) -> &'static str {
    match rule {
        Rule::MetadataLocation => "tells where",
        Rule::MetadataDevice => "names a device",
        Rule::MetadataTime => "tells when",
        Rule::MetadataPerson => "names a person or rights",
        Rule::MetadataSoftware | Rule::EncoderString => "names a program",
        Rule::MetadataPreview => "holds a preview",
        Rule::MetadataComment => "holds a title, comment or description",
        Rule::Orientation => "turns the picture",
        Rule::MotionPhoto => "announces a clip behind the photo",
        Rule::ExtraPicture => "announces further pictures",
        _ => "holds",
    }
}

/// Words in the names of tags, in the order in which they are tried; a whole word must match.
const WORDS: [(Rule, &[&str]); 8] = [
    (Rule::Timecode, &["timecode"]),
    (
        Rule::MetadataLocation,
        &["location", "gps", "xyz", "latitude", "longitude", "altitude", "city", "country", "state", "place", "geo"],
    ),
    (
        Rule::MetadataTime,
        &["date", "time", "year", "created", "creation", "modified", "tagged", "recorded", "datetime", "timestamp"],
    ),
    (
        Rule::MetadataDevice,
        &["make", "model", "device", "serial", "camera", "lens", "manufacturer", "android", "firmware", "maker"],
    ),
    (Rule::HandlerName, &["handler"]),
    (
        Rule::MetadataSoftware,
        &["encoder", "software", "encoding", "application", "app", "tool", "program", "muxer", "vendor", "encoded"],
    ),
    (
        Rule::MetadataPerson,
        &[
            "artist",
            "author",
            "performer",
            "composer",
            "creator",
            "copyright",
            "owner",
            "publisher",
            "director",
            "producer",
            "rights",
            "person",
            "people",
            "byline",
            "credit",
            "contact",
            "user",
            "writer",
            "actor",
        ],
    ),
    (
        Rule::MetadataComment,
        &[
            "title",
            "comment",
            "comments",
            "description",
            "synopsis",
            "lyrics",
            "keywords",
            "subject",
            "genre",
            "album",
            "show",
            "caption",
            "headline",
            "disclaimer",
            "warning",
            "source",
            "track",
            "url",
            "network",
            "info",
        ],
    ),
];

/// Class of a tag by its name: FFmpeg's, QuickTime's, a PNG keyword. `None` when no word of it is known.
pub fn class_of(name: &str) -> Option<Rule> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut last_lower = false;
    for c in name.chars() {
        // CamelCase counts as words too.
        if (!c.is_ascii_alphanumeric() || c.is_ascii_uppercase() && last_lower) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        last_lower = c.is_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.push(word);
    WORDS.iter().find(|(_, list)| words.iter().any(|w| list.contains(&w.as_str()))).map(|(rule, _)| *rule)
}

/// Tags by name, from a reader of another kind; `names` come from the file, so only known words are told.
pub fn told_by_names<'a>(
    carrier: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<crate::types::finding::Finding> {
    let mut out = Carrier::new(carrier);
    for name in names {
        tell_name(&mut out, name);
    }
    let mut found = Findings::default();
    out.finish(&mut found);
    found.into_vec()
}

/// A tag whose name comes from the file: the name is told only where it is an ordinary one.
pub(super) fn tell_name(carrier: &mut Carrier, name: &str) {
    let plain = name.len() <= 48 && name.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/".contains(c));
    match class_of(name) {
        Some(rule) if plain => carrier.tell(rule, name),
        Some(rule) => carrier.tell(rule, "a tag of an odd name"),
        None => carrier.other(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tags_have_classes() {
        for (name, rule) in [
            ("com.apple.quicktime.location.ISO6709", Some(Rule::MetadataLocation)),
            ("location-eng", Some(Rule::MetadataLocation)),
            ("creation_time", Some(Rule::MetadataTime)),
            ("CreationTime", Some(Rule::MetadataTime)),
            ("com.apple.quicktime.make", Some(Rule::MetadataDevice)),
            ("com.android.version", Some(Rule::MetadataDevice)),
            ("album_artist", Some(Rule::MetadataPerson)),
            ("handler_name", Some(Rule::HandlerName)),
            ("encoder", Some(Rule::MetadataSoftware)),
            ("title", Some(Rule::MetadataComment)),
            ("timecode", Some(Rule::Timecode)),
            ("BPS", None),
            ("remake", None),
        ] {
            assert_eq!(class_of(name), rule, "{name}");
        }
    }

    #[test]
    fn a_carrier_that_tells_nothing_is_a_finding_all_the_same() {
        let mut found = Findings::default();
        Carrier::new("EXIF").finish(&mut found);
        assert_eq!(found.into_vec().len(), 1);
    }
}
