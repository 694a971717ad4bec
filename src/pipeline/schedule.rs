//! How hard each frame of a clip is looked at.
//!
//! Key frames (every eighth, and both sides of a cut) get all networks in all turns. The frames between are glanced at,
//! in the headings in which heads stood two windows ago: so the schedule of a window depends on finished windows only,
//! and the same clip gives the same plan whatever the number of threads.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use super::detectors::Ask;
use crate::types::detection::{Effort, Headings};
use crate::types::frame::MediaKind;
use crate::types::time::FrameIndex;

/// Frames of a window; its first is a key frame for faces.
pub const WINDOW: u64 = 8;
/// Windows from a head's heading to the glances that follow it.
const LAG: u64 = 2;
/// Every so many frames text is looked for: it moves less than faces, and tracks bridge the rest.
const TEXT_EVERY: u64 = 5;
/// Every so many frames the small text network runs instead of the tiny one.
const TEXT_KEY_EVERY: u64 = 50;

/// What is known of a frame when it is scheduled.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub kind: MediaKind,
    pub frame: FrameIndex,
    /// First frame of its scene.
    pub scene_start: FrameIndex,
    /// The next frame begins a new scene, or there is none.
    pub last_of_scene: bool,
    /// Headings of the heads two windows ago.
    pub headings: Headings,
}

/// The work for a frame.
pub fn ask(place: Place) -> Ask {
    if place.kind == MediaKind::Photo {
        return Ask { faces: Some(Effort::Thorough), text: Some(Effort::Thorough) };
    }
    let since_cut = place.frame - place.scene_start;
    let edge = since_cut == 0 || place.last_of_scene;
    // Behind a cut nothing is known of headings yet.
    let headings = if since_cut < (LAG + 1) * WINDOW { Headings::ALL } else { place.headings };
    let faces = if edge || place.frame.is_multiple_of(WINDOW) { Effort::Key } else { Effort::Fast(headings) };
    let glance = Effort::Fast(Headings::UPRIGHT);
    let text = (edge || since_cut.is_multiple_of(TEXT_EVERY))
        .then_some(if edge || since_cut.is_multiple_of(TEXT_KEY_EVERY) { Effort::Key } else { glance });
    Ask { faces: Some(faces), text }
}

/// What the tracker tells the schedule.
#[derive(Default)]
pub struct Feedback {
    /// Headings by finished window, and whether more will come.
    state: Mutex<(BTreeMap<u64, Headings>, bool)>,
    changed: Condvar,
}

impl Feedback {
    /// The tracker is done with `frame`; its heads stand in these headings.
    pub fn tell(&self, frame: FrameIndex, headings: Headings) {
        if frame % WINDOW == WINDOW - 1 {
            let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
            state.0.insert(frame / WINDOW, headings);
            self.changed.notify_all();
        }
    }

    /// No more will be told: whoever waits must go on.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(|e| e.into_inner()).1 = true;
        self.changed.notify_all();
    }

    /// Headings for `frame`: waits until the tracker is done with the window that decides.
    pub fn headings(&self, frame: FrameIndex) -> Headings {
        let Some(window) = (frame / WINDOW).checked_sub(LAG) else { return Headings::ALL };
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        loop {
            if let Some(headings) = state.0.get(&window).copied() {
                state.0 = state.0.split_off(&window);
                return headings;
            }
            if state.1 {
                return Headings::ALL;
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASIDE: Headings = Headings::of_quarter(1);

    fn at(frame: FrameIndex, scene_start: FrameIndex, last_of_scene: bool) -> Ask {
        ask(Place { kind: MediaKind::Clip, frame, scene_start, last_of_scene, headings: ASIDE })
    }

    #[test]
    fn edges_of_scenes_and_every_window_are_key_frames() {
        let key = Ask { faces: Some(Effort::Key), text: Some(Effort::Key) };
        assert_eq!(at(103, 103, false), key);
        assert_eq!(at(106, 3, true), key);
        assert_eq!(at(104, 3, false).faces, Some(Effort::Key));
        assert_eq!(at(105, 3, false), Ask { faces: Some(Effort::Fast(ASIDE)), text: None });
        assert_eq!(at(107, 2, false).text, Some(Effort::Fast(Headings::UPRIGHT)));
        assert_eq!(at(105, 100, false).faces, Some(Effort::Fast(Headings::ALL)), "right behind a cut");
    }

    #[test]
    fn headings_come_from_two_windows_ago_and_waiting_ends() {
        let feedback = Feedback::default();
        assert_eq!(feedback.headings(15), Headings::ALL, "nothing is known yet");
        feedback.tell(6, Headings::ALL);
        feedback.tell(7, ASIDE);
        assert_eq!(feedback.headings(16), ASIDE);
        feedback.close();
        assert_eq!(feedback.headings(64), Headings::ALL, "the tracker is gone");
    }
}
