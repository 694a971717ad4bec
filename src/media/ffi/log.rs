//! FFmpeg's log: kept in memory, so that an error can say what FFmpeg said, and stderr stays ours.

use std::cell::Cell;
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

/// Lines with the thread that called FFmpeg; `None` for those of FFmpeg's own threads, which any caller may take.
static LINES: Mutex<VecDeque<(Option<ThreadId>, String)>> = Mutex::new(VecDeque::new());

thread_local! {
    /// Whether this thread calls FFmpeg and takes its lines itself.
    static TAKES: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread takes its lines from now on.
pub(super) fn enter() {
    TAKES.set(true);
}

fn lines() -> MutexGuard<'static, VecDeque<(Option<ThreadId>, String)>> {
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
    // A thread that ends has no flag left; it takes nothing any more either.
    let takes = TAKES.try_with(Cell::get).unwrap_or(false);
    lines.push_back((takes.then(|| thread::current().id()), line));
}

/// Takes the last lines of this thread and of FFmpeg's own, joined.
pub fn take() -> String {
    enter();
    let me = thread::current().id();
    let is_mine = |id: Option<ThreadId>| id.is_none_or(|id| id == me);
    let mut lines = lines();
    let mine: Vec<String> = lines.iter().filter(|(id, _)| is_mine(*id)).map(|(_, line)| line.clone()).collect();
    lines.retain(|(id, _)| !is_mine(*id));
    mine[mine.len().saturating_sub(SHOWN)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logs as FFmpeg does.
    fn say(text: &CStr) {
        // SAFETY: a terminated format without conversions needs no arguments; no context is an allowed context.
        unsafe { sys::av_log(std::ptr::null_mut(), sys::AV_LOG_ERROR, text.as_ptr()) };
    }

    #[test]
    fn lines_of_threads_that_take_none_go_to_who_asks_and_others_stay_apart() {
        super::super::init();
        take();
        say(c"mine");
        // A thread of FFmpeg's own never calls anything here.
        thread::spawn(|| say(c"of a decoder's thread")).join().unwrap();
        thread::spawn(|| {
            enter();
            say(c"of another caller");
        })
        .join()
        .unwrap();
        let taken = take();
        assert!(taken.contains("mine") && taken.contains("of a decoder's thread"), "{taken}");
        assert!(!taken.contains("another caller"), "{taken}");
    }
}
