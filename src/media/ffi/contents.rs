//! What else a container holds: tags, chapters, streams of every kind. For findings, so names alone are read, no values.

use std::ptr;

use ffmpeg_next::ffi as sys;

use super::demux::Demuxer;
use super::string;

/// A stream of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    Video,
    /// Cover art and thumbnails that are stored as a stream.
    Picture,
    Audio,
    Subtitle,
    Attachment,
    Data,
}

/// What there is to know of a stream without decoding it.
#[derive(Clone, Debug)]
pub struct ContentStream {
    pub kind: ContentKind,
    pub codec: String,
    /// The decoder's configuration as the container stores it.
    pub extradata: Vec<u8>,
    pub width: u32,
    pub height: u32,
    /// Shown upright only with a turn.
    pub turned: bool,
    /// Names of its tags.
    pub tags: Vec<String>,
}

impl Demuxer {
    /// Names of the tags of the container, its chapters and programs.
    pub fn tag_names(&self) -> Vec<String> {
        // SAFETY: the context lives as long as this value; counts and arrays belong together.
        unsafe {
            let context = self.context;
            let mut names = dictionary_names((*context).metadata);
            for i in 0..(*context).nb_chapters as usize {
                names.extend(dictionary_names((**(*context).chapters.add(i)).metadata));
            }
            for i in 0..(*context).nb_programs as usize {
                names.extend(dictionary_names((**(*context).programs.add(i)).metadata));
            }
            names.sort_unstable();
            names.dedup();
            names
        }
    }

    pub fn chapter_count(&self) -> usize {
        // SAFETY: the context lives as long as this value.
        unsafe { (*self.context).nb_chapters as usize }
    }

    pub fn content_streams(&self) -> Vec<ContentStream> {
        (0..self.streams().len()).map(|index| self.content_stream(index)).collect()
    }

    fn content_stream(&self, index: usize) -> ContentStream {
        let info = self.streams().swap_remove(index);
        let stream = self.stream(index);
        // SAFETY: the stream and its parameters live as long as the context; extradata and its size belong together.
        unsafe {
            let parameters = (*stream).codecpar;
            let is_picture = (*stream).disposition
                & (sys::AV_DISPOSITION_ATTACHED_PIC
                    | sys::AV_DISPOSITION_TIMED_THUMBNAILS
                    | sys::AV_DISPOSITION_STILL_IMAGE)
                != 0;
            let kind = match (*parameters).codec_type {
                sys::AVMediaType::AVMEDIA_TYPE_VIDEO if is_picture => ContentKind::Picture,
                sys::AVMediaType::AVMEDIA_TYPE_VIDEO => ContentKind::Video,
                sys::AVMediaType::AVMEDIA_TYPE_AUDIO => ContentKind::Audio,
                sys::AVMediaType::AVMEDIA_TYPE_SUBTITLE => ContentKind::Subtitle,
                sys::AVMediaType::AVMEDIA_TYPE_ATTACHMENT => ContentKind::Attachment,
                _ => ContentKind::Data,
            };
            let (data, size) = ((*parameters).extradata, (*parameters).extradata_size.max(0) as usize);
            let extradata = if data.is_null() { vec![] } else { std::slice::from_raw_parts(data, size).to_vec() };
            ContentStream {
                kind,
                codec: info.codec,
                extradata,
                width: info.width,
                height: info.height,
                turned: info.display_matrix.is_some_and(|m| !is_upright(m)),
                tags: dictionary_names((*stream).metadata),
            }
        }
    }
}

/// Whether a display matrix only scales and moves.
fn is_upright(m: [i32; 9]) -> bool {
    m[0] > 0 && m[1] == 0 && m[3] == 0 && m[4] > 0
}

/// Names of a dictionary's entries, but for those that say nothing: the brands of a format that is known anyway, and
/// values that stand for "not told".
///
/// # Safety
/// `dictionary` must be null or a dictionary that lives as long as the call.
unsafe fn dictionary_names(dictionary: *mut sys::AVDictionary) -> Vec<String> {
    let mut names = Vec::new();
    let mut entry: *const sys::AVDictionaryEntry = ptr::null();
    loop {
        // SAFETY: as the caller promises; `entry` is null or belongs to the dictionary.
        entry = unsafe { sys::av_dict_get(dictionary, c"".as_ptr(), entry, sys::AV_DICT_IGNORE_SUFFIX) };
        if entry.is_null() {
            return names;
        }
        // SAFETY: entries hold terminated strings as long as the dictionary lives.
        let (name, value) = unsafe { (string((*entry).key), string((*entry).value)) };
        let says_nothing = matches!(name.as_str(), "major_brand" | "minor_version" | "compatible_brands")
            || name == "language" && matches!(value.as_str(), "und" | "")
            || name == "vendor_id" && value == "[0][0][0][0]"
            || value.is_empty();
        if !says_nothing {
            names.push(name);
        }
    }
}
