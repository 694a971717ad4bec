//! One arena of working memory for every network of the process.
//!
//! Left alone, each session of ONNX Runtime keeps an arena of its own that grows by powers of two and never shrinks:
//! three networks in two threads then hold several times what ever runs at one moment. The binding has no safe call for
//! a shared arena, so this module makes the two raw ones; together with `media::ffi` it is the crate's unsafe code.

use std::ptr;

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};

/// Has sessions that ask for the environment's allocators share one arena on the CPU.
///
/// It grows by what is asked for, not by powers of two.
pub fn share(environment: &Environment) -> ort::Result<()> {
    let place = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)?;
    let api = ort::api();
    let (unlimited, as_requested, default) = (0, 1, -1);
    let mut config = ptr::null_mut();
    // SAFETY: the library is loaded (an environment exists), and `config` is where it may write one pointer. The
    // status is the call's own and read once.
    unsafe {
        let status = (api.CreateArenaCfg)(unlimited, as_requested, default, default, &mut config);
        ort::Error::result_from_status(status)?;
    }
    // SAFETY: all three pointers are alive; the call copies what it needs of `config` and `place`, and the environment
    // locks itself. `config` is released once, after its only use.
    unsafe {
        let status = (api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), place.ptr(), config);
        (api.ReleaseArenaCfg)(config);
        ort::Error::result_from_status(status)
    }
}
