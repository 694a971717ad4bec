//! The unsafe code of the crate, but for two calls in `infer::arena`: thin, safe wrappers of what `ffmpeg-next` does not
//! offer or offers unsoundly.
//!
//! Every wrapper owns its FFmpeg object and frees it on drop. None is shared between threads; all may be moved.

// The integer types of constants and lengths differ between versions of FFmpeg: what is a no-op here is needed there.
#![allow(clippy::unnecessary_cast)]

pub mod audio;
pub mod contents;
pub mod decode;
pub mod demux;
pub mod encode;
pub mod frame;
pub mod io;
pub mod log;
pub mod mux;
pub mod scale;

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::Once;

use ffmpeg_next::ffi as sys;

use crate::error::{Error, ErrorKind, Stage};

/// Sets up logging, once; every entry point of this module calls it.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(log::install);
    log::enter();
}

/// FFmpeg's text for an error code.
pub(super) fn error_text(code: c_int) -> String {
    let mut buffer = [0 as c_char; 256];
    // SAFETY: the buffer is writable, its length is passed, and av_strerror always terminates it.
    unsafe {
        sys::av_strerror(code, buffer.as_mut_ptr(), buffer.len());
        CStr::from_ptr(buffer.as_ptr()).to_string_lossy().into_owned()
    }
}

/// An error of ours for a code of FFmpeg, with the last lines it logged on this thread and on its own.
pub(super) fn error(stage: Stage, kind: ErrorKind, what: &str, code: c_int) -> Error {
    let logged = log::take();
    let detail = if logged.is_empty() { error_text(code) } else { format!("{} ({logged})", error_text(code)) };
    Error::new(stage, kind, format!("{what}: {detail}"))
}

/// A string of FFmpeg, or an empty one.
///
/// # Safety
/// `text` must be null or a terminated string that outlives the call.
unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and terminated as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Options for an FFmpeg call, which takes out those that it knows.
struct Options(*mut sys::AVDictionary);

impl Options {
    fn new(pairs: &[(&str, String)]) -> Self {
        let mut options = Options(ptr::null_mut());
        for (key, value) in pairs {
            let (Ok(key), Ok(value)) = (CString::new(*key), CString::new(value.as_str())) else { continue };
            // SAFETY: both strings are terminated and copied by the call; the dictionary pointer is ours.
            unsafe { sys::av_dict_set(&mut options.0, key.as_ptr(), value.as_ptr(), 0) };
        }
        options
    }

    /// Names that no call took.
    fn unused(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut entry: *const sys::AVDictionaryEntry = ptr::null();
        loop {
            // SAFETY: the dictionary is ours (or null, which is an empty one), and `entry` is null or belongs to it.
            entry = unsafe { sys::av_dict_get(self.0, c"".as_ptr(), entry, sys::AV_DICT_IGNORE_SUFFIX) };
            if entry.is_null() {
                return names;
            }
            // SAFETY: entries hold terminated strings as long as the dictionary lives.
            names.push(unsafe { string((*entry).key) });
        }
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the dictionary is ours; freeing null is allowed.
        unsafe { sys::av_dict_free(&mut self.0) };
    }
}

/// Names and versions of the linked libraries.
pub fn versions() -> Vec<(String, String)> {
    let dotted = |v: u32| format!("{}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff);
    // SAFETY: these functions only return constants.
    unsafe {
        vec![
            ("ffmpeg".into(), string(sys::av_version_info())),
            ("libavformat".into(), dotted(sys::avformat_version())),
            ("libavcodec".into(), dotted(sys::avcodec_version())),
            ("libavutil".into(), dotted(sys::avutil_version())),
            ("libswscale".into(), dotted(sys::swscale_version())),
            ("libswresample".into(), dotted(sys::swresample_version())),
        ]
    }
}
