//! Decoding on a thread of its own, for passes that have enough to do with the frames.

use std::sync::mpsc::{Receiver, sync_channel};

use super::clock::timed;
use super::threads::{guarded, no_thread};
use crate::error::{Result, Stage};
use crate::types::frame::{Frame, SourceInfo};
use crate::types::progress::{Observer, Phase};
use crate::types::stage::Source;
use crate::types::timing::Part;

/// Frames that wait at most; bounded in bytes as well.
const MAX_QUEUED_FRAMES: usize = 8;

/// Decodes on a thread of its own; as many frames wait as fit into `budget_bytes`.
pub fn decode_ahead<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    mut source: Box<dyn Source>,
    budget_bytes: usize,
    info: &SourceInfo,
    (observer, phase): (&'scope dyn Observer, Phase),
) -> Result<Receiver<Result<Frame>>> {
    // Four bytes a pixel is more than any common format has.
    let frame_bytes = (info.coded.pixels() as usize * 4).max(1);
    let (send, receive) = sync_channel((budget_bytes / frame_bytes).clamp(1, MAX_QUEUED_FRAMES));
    let decoding = move || {
        loop {
            let next = || timed(observer, phase, Part::Decode, || source.next_frame());
            // An end without an error would pass for the end of the clip.
            let Some(next) = guarded(Stage::Decode, "the decoder", next).transpose() else { break };
            let failed = next.is_err();
            // A receiver that is gone has its own error to tell.
            if send.send(next).is_err() || failed {
                break;
            }
        }
    };
    std::thread::Builder::new()
        .name("decode".into())
        .spawn_scoped(scope, decoding)
        .map_err(|e| no_thread(Stage::Decode, e))?;
    Ok(receive)
}
