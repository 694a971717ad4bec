//! FFmpeg's log: kept in memory, so that an error can say what FFmpeg said, and stderr stays ours.

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use ffmpeg_next::ffi as sys;

/// Lines kept, over all threads.
const CAPACITY: usize = 64;
/// Bytes kept of a line.
const LINE: usize = 240;
/// Lines that an error repeats.
const SHOWN: usize = 2;

static LINES: Mutex<VecDeque<(ThreadId, String)>> = Mutex::new(VecDeque::new());

fn lines() -> MutexGuard<'static, VecDeque<(ThreadId, String)>> {
    LINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Directs the log here.
pub(super) fn install() {
    // SAFETY: the callback has the expected signature, is thread-safe and never unwinds.
    unsafe {
        sys::av_log_set_level(sys::AV_LOG_ERROR);
        sys::av_log_set_callback(Some(record));
    }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "windows")))]
type VaList = *mut sys::__va_list_tag;
#[cfg(not(all(target_arch = "x86_64", not(target_os = "windows"))))]
type VaList = sys::va_list;

/// Keeps lines of errors; called by FFmpeg on any thread.
unsafe extern "C" fn record(context: *mut c_void, level: c_int, format: *const c_char, arguments: VaList) {
    if level > sys::AV_LOG_ERROR {
        return;
    }
    let mut text = [0 as c_char; LINE];
    let mut print_prefix: c_int = 0;
    // SAFETY: FFmpeg's own arguments are passed on unchanged; the buffer is writable and its length is passed; the call
    // terminates it.
    let text = unsafe {
        let length = text.len() as c_int;
        sys::av_log_format_line2(context, level, format, arguments, text.as_mut_ptr(), length, &mut print_prefix);
        CStr::from_ptr(text.as_ptr()).to_string_lossy()
    };
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.is_empty() {
        return;
    }
    let mut lines = lines();
    if lines.len() == CAPACITY {
        lines.pop_front();
    }
    lines.push_back((thread::current().id(), line));
}

/// Takes this thread's last lines, joined.
pub fn take() -> String {
    let me = thread::current().id();
    let mut lines = lines();
    let mine: Vec<String> = lines.iter().filter(|(id, _)| *id == me).map(|(_, line)| line.clone()).collect();
    lines.retain(|(id, _)| *id != me);
    mine[mine.len().saturating_sub(SHOWN)..].join("; ")
}
