//! How hard each frame of a clip is looked at. A pure function of the frame's number and the cuts around it, so the
//! same clip gives the same plan whatever the number of threads.

use super::detectors::Ask;
use crate::types::detection::Effort;

/// Every so many frames all networks and rotations look for faces.
const FACE_KEY_EVERY: u64 = 8;
/// Every so many frames text is looked for: it moves less than faces, and tracks bridge the rest.
const TEXT_EVERY: u64 = 5;
/// Every so many of these the thorough text network runs.
const TEXT_KEY_EVERY: u64 = 50;

/// What is known of a frame when it is scheduled.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Frames since the scene began.
    pub since_cut: u64,
    /// The next frame begins a new scene, or there is none.
    pub last_of_scene: bool,
}

/// The work for a frame: the first and last of a scene are key frames, the rest follows a stride from the cut.
pub fn ask(place: Place) -> Ask {
    let edge = place.since_cut == 0 || place.last_of_scene;
    let every = |n: u64| edge || place.since_cut % n == 0;
    let faces = if every(FACE_KEY_EVERY) { Effort::Thorough } else { Effort::Fast };
    let text = every(TEXT_EVERY).then(|| if every(TEXT_KEY_EVERY) { Effort::Thorough } else { Effort::Fast });
    Ask { faces: Some(faces), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_scenes_are_key_frames() {
        let at = |since_cut, last_of_scene| ask(Place { since_cut, last_of_scene });
        assert_eq!(at(0, false), Ask::THOROUGH);
        assert_eq!(at(3, true), Ask::THOROUGH);
        assert_eq!(at(3, false), Ask { faces: Some(Effort::Fast), text: None });
        assert_eq!(at(5, false), Ask { faces: Some(Effort::Fast), text: Some(Effort::Fast) });
        assert_eq!(at(8, false), Ask { faces: Some(Effort::Thorough), text: None });
    }
}
