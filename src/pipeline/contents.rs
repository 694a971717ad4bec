//! What FFmpeg's demuxers see in a container, as findings.

use std::fs::File;

use crate::media::contents::{self, ContentKind, ContentStream};
use crate::types::finding::{Finding, Rule, Severity};
use crate::types::geometry::Size;
use crate::types::limits::Limits;
use crate::verify::structure::stream::StreamScan;
use crate::verify::structure::tags::told_by_names;

/// Findings on tags, chapters and streams; with `whole`, also on what every packet holds. Nothing for a container that
/// cannot be opened: the decoder says so.
pub fn findings(file: &File, limits: &Limits, audio_expected: bool, whole: bool) -> Vec<Finding> {
    let Some(mut opened) = file.try_clone().ok().and_then(|own| contents::open(own, limits).ok()) else {
        return vec![];
    };
    let mut found = Vec::new();
    if opened.chapters > 0 {
        found.push(Finding::new(Rule::Chapters, Severity::Error, format!("marks of chapters: {}", opened.chapters)));
    }
    let of_streams = opened.streams.iter().flat_map(|s| &s.tags);
    let tags: Vec<&str> = opened.tags.iter().chain(of_streams).map(String::as_str).collect();
    if !tags.is_empty() {
        found.extend(told_by_names("the container", tags));
    }
    let (mut videos, mut sounds) = (0, 0);
    for stream in &opened.streams {
        found.extend(of_stream(stream, &mut videos, &mut sounds, audio_expected));
    }
    if whole {
        let scan = |s: &ContentStream| StreamScan::new(&s.codec, &s.extradata, Size::new(s.width, s.height));
        let mut scans: Vec<Option<StreamScan>> = opened.streams.iter().map(scan).collect();
        let mut hidden = 0;
        opened.packets(|packet| {
            hidden += u64::from(packet.hidden);
            if let Some(Some(scan)) = scans.get_mut(packet.stream) {
                scan.packet(packet.data);
            }
        });
        if hidden > 0 {
            let message = format!("an edit list hides {hidden} packets that are in the file");
            found.push(Finding::new(Rule::HiddenFrames, Severity::Error, message));
        }
        found.extend(scans.into_iter().flatten().flat_map(StreamScan::finish));
    }
    found
}

fn of_stream(stream: &ContentStream, videos: &mut usize, sounds: &mut usize, audio_expected: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut tell = |rule, message: &str| found.push(Finding::new(rule, Severity::Error, message));
    match stream.kind {
        ContentKind::Video => {
            *videos += 1;
            if *videos > 1 {
                tell(Rule::ExtraTrack, "a second video track");
            }
        }
        ContentKind::Picture => tell(Rule::MetadataPreview, "a cover picture or thumbnail"),
        ContentKind::Audio => {
            *sounds += 1;
            if *sounds > 1 || !audio_expected {
                tell(Rule::AudioPresent, "the file has an audio track");
            }
        }
        ContentKind::Subtitle => tell(Rule::Subtitles, "a track of subtitles"),
        ContentKind::Attachment => tell(Rule::EmbeddedFile, "an attached file"),
        ContentKind::Data => tell(Rule::ExtraTrack, "a track of data"),
    }
    if stream.turned {
        tell(Rule::Orientation, "the video is turned by a tag only");
    }
    found
}
