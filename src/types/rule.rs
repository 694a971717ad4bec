//! What findings are about: stable names, and the classes in which they are allowed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What belongs together when something is allowed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    Faces,
    Text,
    Audio,
    /// Tags: place, time, device, person, software, preview.
    Metadata,
    /// Whatever a container holds beside its picture.
    Residue,
    UnknownFiles,
    /// What only the run that redacts can know.
    Redaction,
}

impl Group {
    /// Name on the command line and in policies.
    pub fn id(self) -> &'static str {
        match self {
            Group::Faces => "faces",
            Group::Text => "text",
            Group::Audio => "audio",
            Group::Metadata => "metadata",
            Group::Residue => "residue",
            Group::UnknownFiles => "unknown-files",
            Group::Redaction => "redaction",
        }
    }
}

macro_rules! rules {
    ($($group:ident { $($(#[$note:meta])* $rule:ident = $id:literal: $about:literal,)* })*) => {
        /// What was found, as a stable name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $about] $(#[$note])* $rule,)*)*
        }

        impl Rule {
            pub const ALL: &[Rule] = &[$($(Rule::$rule,)*)*];

            /// Stable name, as in JSON.
            pub fn id(self) -> &'static str {
                match self { $($(Rule::$rule => $id,)*)* }
            }

            pub fn group(self) -> Group {
                match self { $($(Rule::$rule => Group::$group,)*)* }
            }

            /// One sentence on what it means.
            pub fn about(self) -> &'static str {
                match self { $($(Rule::$rule => $about,)*)* }
            }
        }
    };
}

rules! {
    Faces {
        VisibleFace = "visible-face": "A face can be seen.",
        ReversibleMask = "reversible-mask": "A mask looks like a mosaic or blur that may be undone.",
    }
    Text {
        VisibleText = "visible-text": "Text can be read.",
    }
    Audio {
        AudioPresent = "audio-present": "There is sound; a voice identifies.",
    }
    Metadata {
        MetadataLocation = "metadata-location": "Tags tell where.",
        MetadataDevice = "metadata-device": "Tags name a device, its maker or a serial number.",
        MetadataTime = "metadata-time": "Tags tell when.",
        MetadataPerson = "metadata-person": "Tags name a person, an owner or rights.",
        MetadataSoftware = "metadata-software": "Tags name a program.",
        MetadataPreview = "metadata-preview": "A thumbnail, preview or cover picture, perhaps of the original.",
        MetadataComment = "metadata-comment": "A comment, title or description.",
        EmbeddedFile = "embedded-file": "A whole file inside of the file.",
        Orientation = "orientation": "The picture is turned by a tag only.",
        HandlerName = "handler-name": "A track names its handler.",
        EncoderString = "encoder-string": "The stream names its encoder and settings.",
        Metadata = "metadata": "Tags of another kind: profile, resolution, language, exposure.",
    }
    Residue {
        TrailingBytes = "trailing-bytes": "Bytes behind the end of the picture or container.",
        UnknownPart = "unknown-part": "A box, chunk or segment that is padding, private or unknown.",
        UnusedData = "unused-data": "Media data that belongs to no sample.",
        HiddenFrames = "hidden-frames": "Frames in the file that an edit list hides, or that can't be decoded at its start.",
        CroppedPicture = "cropped-picture": "Picture in the stream that is cropped away for showing only.",
        ExtraTrack = "extra-track": "A disabled, second or unknown track.",
        Subtitles = "subtitles": "A track of subtitles or captions.",
        ClosedCaptions = "closed-captions": "Closed captions inside the video.",
        Chapters = "chapters": "Chapter marks with names.",
        Timecode = "timecode": "A time code of the recording.",
        StreamData = "stream-data": "User data or messages inside the coded stream.",
        HiddenPixels = "hidden-pixels": "Transparent pixels keep their colour.",
        ExtraPicture = "extra-picture": "Further pictures, pages, frames or auxiliary images.",
        MotionPhoto = "motion-photo": "A photo with a clip behind it.",
        FrameTable = "frame-table": "Frames are missing, doubled or at other times than they should be.",
        Unaccounted = "unaccounted": "Not a file as withhold writes it, so not every byte is accounted for.",
        Residue = "residue": "Streams or bytes that do not belong into a finished file.",
    }
    UnknownFiles {
        Sidecar = "sidecar": "A file that goes with a photo or clip: tags, subtitles, edits, preview.",
        UnknownFile = "unknown-file": "A file in a folder that no reader here knows.",
    }
    Redaction {
        NothingFound = "nothing-found": "Nothing at all was found in the source: look whether that is right.",
        Kept = "kept": "A region that the operator spared.",
        UnseenFace = "unseen-face": "A person whose face was not found: look whether it can be seen.",
        WeakTrack = "weak-track": "A detection of low confidence that was masked.",
        /// The object may be there still.
        LostTrack = "lost-track": "A track that begins or ends in the middle of the picture, without a cut.",
        /// A recording that was switched on in the middle of a broadcast.
        LeadIn = "lead-in": "The stream begins in mid-group: frames before its first whole key frame are left out.",
        DamagedFrames = "damaged-frames": "Frames that decoding reported as damaged; masked whole.",
        MaskMissing = "mask-missing": "A mask is missing or thinner than the plan says.",
        PictureChanged = "picture-changed": "The picture outside the masks is not what was handed to the encoder.",
        /// Audio kept, detector off, ...
        Loosened = "loosened": "Something was loosened on request.",
        Rebased = "rebased": "The timeline was moved to begin at zero.",
    }
}

impl Rule {
    /// The rules that a name stands for: one, or all of a group; empty for a name that is none.
    pub fn named(name: &str) -> Vec<Rule> {
        Rule::ALL.iter().copied().filter(|r| r.id() == name || r.group().id() == name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_json_says_and_no_two_are_alike() {
        let mut ids = std::collections::BTreeSet::new();
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.id());
            assert!(ids.insert(rule.id()), "{rule:?}");
        }
    }

    #[test]
    fn a_name_stands_for_a_rule_or_a_group() {
        assert_eq!(Rule::named("chapters"), [Rule::Chapters]);
        assert_eq!(Rule::named("audio"), [Rule::AudioPresent]);
        assert!(Rule::named("metadata").len() > 10, "a group wins over its rule of the same name");
        assert_eq!(Rule::named("metadata-location"), [Rule::MetadataLocation]);
        assert_eq!(Rule::named("nonsense"), []);
    }
}
