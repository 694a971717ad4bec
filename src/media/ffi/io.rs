//! FFmpeg's byte streams over file descriptors. Positions are our own, so that several readers of one descriptor never
//! disturb each other, and the operating system's errors are kept.

use std::ffi::{c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;

use ffmpeg_next::ffi as sys;
use ffmpeg_next::util::error::{EACCES, EINVAL, EIO, ENOMEM};

use crate::error::{Error, ErrorKind, Result, Stage};

/// Size of the buffer between FFmpeg and the file.
const BUFFER: usize = 256 << 10;

/// What the callbacks work on.
struct State {
    file: File,
    position: u64,
    /// First error of the operating system.
    error: Option<io::Error>,
}

/// A byte stream over a descriptor: reads, or writes and reads back.
pub(super) struct Io {
    context: *mut sys::AVIOContext,
    state: *mut State,
}

// SAFETY: both pointers are owned by this value alone, and nothing in them is bound to a thread.
unsafe impl Send for Io {}

impl Io {
    pub fn reader(file: File) -> Result<Self> {
        Self::new(file, false)
    }

    pub fn writer(file: File) -> Result<Self> {
        Self::new(file, true)
    }

    fn new(file: File, write: bool) -> Result<Self> {
        let state = Box::into_raw(Box::new(State { file, position: 0, error: None }));
        let context = context_over(state, write);
        if context.is_null() {
            // SAFETY: the pointer came from Box::into_raw above and nobody else has it.
            drop(unsafe { Box::from_raw(state) });
            return Err(Error::new(Stage::Open, ErrorKind::Io, "out of memory"));
        }
        Ok(Self { context, state })
    }

    pub fn as_ptr(&self) -> *mut sys::AVIOContext {
        self.context
    }

    /// For [`reopen`].
    pub fn opaque(&self) -> *mut c_void {
        self.state.cast()
    }

    /// The first error of the operating system, if there was one.
    pub fn take_error(&mut self) -> Option<io::Error> {
        // SAFETY: the state lives as long as this value, and no callback runs outside a call of FFmpeg.
        unsafe { (*self.state).error.take() }
    }

    /// Error code that FFmpeg latched on the stream; 0 is none.
    pub fn latched(&self) -> c_int {
        // SAFETY: the context lives as long as this value.
        unsafe { (*self.context).error }
    }

    /// Hands FFmpeg's buffer to the file and the file to the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        // SAFETY: context and state live as long as this value.
        unsafe {
            sys::avio_flush(self.context);
            match (*self.state).error.take() {
                Some(error) => Err(error),
                None => (&(*self.state).file).sync_all(),
            }
        }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // SAFETY: context and state are ours; whoever used them (a format context) is dropped before.
        unsafe {
            free_context(self.context);
            drop(Box::from_raw(self.state));
        }
    }
}

/// A stream context over `state`; null when out of memory.
fn context_over(state: *mut State, write: bool) -> *mut sys::AVIOContext {
    // SAFETY: the buffer comes from av_malloc as the call demands; `state` outlives the context, see the callers.
    unsafe {
        let buffer = sys::av_malloc(BUFFER).cast::<u8>();
        if buffer.is_null() {
            return ptr::null_mut();
        }
        let (read_call, write_call) =
            if write { (None, Some(write_packet as _)) } else { (Some(read_packet as _), None) };
        let context = sys::avio_alloc_context(
            buffer,
            BUFFER as c_int,
            c_int::from(write),
            state.cast(),
            read_call,
            write_call,
            Some(seek),
        );
        if context.is_null() {
            sys::av_free(buffer.cast());
        }
        context
    }
}

/// Frees a context and its buffer, which FFmpeg may have replaced.
///
/// # Safety
/// `context` must come from [`context_over`] and must not be used any more.
unsafe fn free_context(mut context: *mut sys::AVIOContext) {
    // SAFETY: as the caller promises; avio_context_free leaves the buffer to us.
    unsafe {
        sys::av_freep(ptr::addr_of_mut!((*context).buffer).cast());
        sys::avio_context_free(&mut context);
    }
}

unsafe extern "C" fn read_packet(opaque: *mut c_void, buffer: *mut u8, size: c_int) -> c_int {
    let Ok(size) = usize::try_from(size) else { return sys::AVERROR(EINVAL) };
    // SAFETY: `opaque` is the State given to avio_alloc_context; FFmpeg passes a buffer of `size` bytes.
    let (state, buffer) = unsafe { (&mut *opaque.cast::<State>(), std::slice::from_raw_parts_mut(buffer, size)) };
    loop {
        match state.file.read_at(buffer, state.position) {
            Ok(0) => return sys::AVERROR_EOF,
            Ok(n) => {
                state.position += n as u64;
                return n as c_int;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return fail(state, e),
        }
    }
}

#[cfg(ffmpeg_7_0)]
type WriteBuffer = *const u8;
#[cfg(not(ffmpeg_7_0))]
type WriteBuffer = *mut u8;

unsafe extern "C" fn write_packet(opaque: *mut c_void, buffer: WriteBuffer, size: c_int) -> c_int {
    let Ok(length) = usize::try_from(size) else { return sys::AVERROR(EINVAL) };
    // SAFETY: `opaque` is the State given to avio_alloc_context; FFmpeg passes a buffer of `size` bytes.
    let (state, buffer) = unsafe { (&mut *opaque.cast::<State>(), std::slice::from_raw_parts(buffer, length)) };
    match state.file.write_all_at(buffer, state.position) {
        Ok(()) => {
            state.position += length as u64;
            size
        }
        Err(e) => fail(state, e),
    }
}

unsafe extern "C" fn seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: `opaque` is the State given to avio_alloc_context.
    let state = unsafe { &mut *opaque.cast::<State>() };
    let length = match state.file.metadata() {
        Ok(metadata) => metadata.len() as i64,
        Err(e) => return fail(state, e).into(),
    };
    let base = match whence & !sys::AVSEEK_FORCE {
        sys::AVSEEK_SIZE => return length,
        0 => 0,
        1 => state.position as i64,
        2 => length,
        _ => return sys::AVERROR(EINVAL).into(),
    };
    match base.checked_add(offset).map(u64::try_from) {
        Some(Ok(position)) => {
            state.position = position;
            position as i64
        }
        _ => sys::AVERROR(EINVAL).into(),
    }
}

fn fail(state: &mut State, error: io::Error) -> c_int {
    let code = sys::AVERROR(error.raw_os_error().unwrap_or(EIO));
    state.error.get_or_insert(error);
    code
}

/// `io_open` for inputs: files that name other files are refused.
pub(super) unsafe extern "C" fn deny(
    _: *mut sys::AVFormatContext,
    _: *mut *mut sys::AVIOContext,
    _: *const c_char,
    _: c_int,
    _: *mut *mut sys::AVDictionary,
) -> c_int {
    sys::AVERROR(EACCES)
}

/// `io_open` for outputs: the muxer reads its own file back to move the index to the front. The format context's
/// `opaque` must be [`Io::opaque`] of its stream.
pub(super) unsafe extern "C" fn reopen(
    format: *mut sys::AVFormatContext,
    result: *mut *mut sys::AVIOContext,
    _: *const c_char,
    flags: c_int,
    _: *mut *mut sys::AVDictionary,
) -> c_int {
    if flags & sys::AVIO_FLAG_WRITE != 0 {
        return sys::AVERROR(EACCES);
    }
    // SAFETY: the muxer passes its own context, whose `opaque` is the State of its stream; `result` is writable.
    unsafe {
        let state = &mut *(*format).opaque.cast::<State>();
        let file = match state.file.try_clone() {
            Ok(file) => file,
            Err(e) => return fail(state, e),
        };
        let second = Box::into_raw(Box::new(State { file, position: 0, error: None }));
        let context = context_over(second, false);
        if context.is_null() {
            drop(Box::from_raw(second));
            return sys::AVERROR(ENOMEM);
        }
        *result = context;
        0
    }
}

/// `io_close2` for what [`reopen`] opened.
pub(super) unsafe extern "C" fn close(_: *mut sys::AVFormatContext, context: *mut sys::AVIOContext) -> c_int {
    if context.is_null() {
        return 0;
    }
    // SAFETY: the muxer closes each context of `reopen` once; its `opaque` is the Box made there.
    unsafe {
        let state = (*context).opaque.cast::<State>();
        free_context(context);
        drop(Box::from_raw(state));
    }
    0
}
