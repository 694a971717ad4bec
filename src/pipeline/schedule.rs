//! How hard each frame of a clip is looked at.
//!
//! A scene's first frame gets all networks on a large picture for small faces, its second look all of them in all turns.
//! Key frames repeat that on small pictures, some of them on large ones. Between them every other frame is glanced at, in
//! the headings in which heads stood three windows ago: so the schedule of a window depends on finished windows only, and
//! the same clip gives the same plan whatever the number of threads. Text is looked for at a scene's start, its second look
//! and every so often, and where edges came that were not there. Where frames are far apart in time, all of this comes in
//! fewer of them; and a frame that shows what neither neighbour shows is looked at, whichever it is.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};

use super::detectors::Ask;
use crate::types::detection::{Effort, Headings};
use crate::types::frame::MediaKind;
use crate::types::time::FrameIndex;

/// Frames of a window, after which the tracker tells how heads stand.
pub const WINDOW: u64 = 8;
/// Windows from a head's heading to the glances that follow it: with fewer, threads would wait for one another's key
/// frames.
const LAG: u64 = 3;
/// Frames from one key frame for faces to the next; masks reach further than that beyond what was found.
const KEY_EVERY: u64 = 12;
/// Every so many frames a key frame looks for heads in all turns, else only in those in which heads stand.
const ALL_TURNS_EVERY: u64 = 48;
/// Frames behind a cut at which a key frame comes early: the first may be blurred, dark or half of the scene before. Text
/// is looked for, too, to learn how it moves: of 2302 places of moving lines 2232 were masked instead of 2218.
const SECOND_LOOK: u64 = 6;
/// Every so many frames a key frame's picture is large: faces that are too small for the others stay small for long.
const WIDE_EVERY: u64 = 72;
/// Every so many frames faces are glanced at; places between are interpolated.
const GLANCE_EVERY: u64 = 2;
/// The same while headings are not known, and all have to be looked at.
const BLIND_GLANCE_EVERY: u64 = 4;
/// Every so many frames text and codes are looked for: they move less than faces, and tracks bridge the rest. Faces are
/// looked for in the same frames, because heads tell documents.
pub const TEXT_EVERY: u64 = 16;
/// Every so many frames the small text network runs instead of the tiny one.
const TEXT_KEY_EVERY: u64 = 128;
/// The same in seconds, where a clip has few frames a second: masks are held for half of one, whatever its rate is.
const KEY_SECS: f64 = 0.5;
const ALL_TURNS_SECS: f64 = 2.0;
const WIDE_SECS: f64 = 3.1;
const GLANCE_SECS: f64 = 0.1;
const BLIND_GLANCE_SECS: f64 = 0.2;
const TEXT_SECS: f64 = 0.7;
/// Ticks do not divide seconds exactly.
const ROUNDING_SECS: f64 = 1e-4;

/// Seconds in a scene since the last look of each kind, or since its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Since {
    pub look: f64,
    pub key: f64,
    pub all_turns: f64,
    pub wide: f64,
    pub text: f64,
}

impl Since {
    /// As it is a frame later, which comes by so many seconds later than the last one.
    pub fn later(self, secs: f64) -> Since {
        let Since { look, key, all_turns, wide, text } = self;
        let later = |since: f64| since + secs;
        Since { look: later(look), key: later(key), all_turns: later(all_turns), wide: later(wide), text: later(text) }
    }

    /// As it is after a look.
    pub fn looked(mut self, look: Look) -> Since {
        if let Some(effort) = look.ask.faces {
            self.look = 0.0;
            if !effort.is_fast() {
                self.key = 0.0;
            }
            if effort == Effort::Key(Headings::ALL) {
                self.all_turns = 0.0;
            }
        }
        if look.wide {
            self.wide = 0.0;
        }
        if look.ask.text.is_some() {
            self.text = 0.0;
        }
        self
    }
}

fn is_due(since: f64, secs: f64) -> bool {
    since >= secs - ROUNDING_SECS
}

/// What is known of a frame when it is scheduled.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub kind: MediaKind,
    pub frame: FrameIndex,
    /// First frame of its scene.
    pub scene_start: FrameIndex,
    /// The next frame begins a new scene, or there is none.
    pub last_of_scene: bool,
    /// Headings of the heads three windows ago.
    pub headings: Headings,
    pub since: Since,
}

impl Place {
    fn since_cut(&self) -> u64 {
        self.frame - self.scene_start
    }

    /// Behind a cut nothing is known of headings yet.
    fn is_blind(&self) -> bool {
        self.since_cut() < (LAG + 1) * WINDOW
    }

    /// Headings in which a key frame looks if not in all.
    fn known(&self) -> Headings {
        if self.is_blind() { Headings::UPRIGHT } else { self.headings }
    }

    /// A look at faces between key frames.
    fn glance(&self) -> Effort {
        Effort::Fast(if self.is_blind() { Headings::ALL } else { self.headings })
    }
}

/// The work for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub ask: Ask,
    /// Faces are looked for in a large picture, and people by their poses.
    pub wide: bool,
    /// Faces are looked for because of what this frame alone shows.
    pub flash: bool,
}

impl Look {
    /// The same where something is shown in this frame alone: as a key frame, or, where `is_brief`, at a glance.
    pub fn with_flash(mut self, place: Place, is_brief: bool) -> Look {
        self.ask.faces = Some(if is_brief { place.glance() } else { Effort::Key(place.known()) });
        self.flash = true;
        self
    }

    /// The same with a glance for text in a frame that was to have none. Faces are looked for with it, because heads tell
    /// documents.
    pub fn with_text(mut self, place: Place) -> Look {
        self.ask.text = self.ask.text.or(Some(Effort::Fast(Headings::UPRIGHT)));
        self.ask.faces = self.ask.faces.or(Some(place.glance()));
        self
    }
}

/// The work for a frame.
pub fn look(place: Place) -> Look {
    if place.kind == MediaKind::Photo {
        return Look { ask: Ask::THOROUGH, wide: true, flash: false };
    }
    let since_cut = place.since_cut();
    let edge = since_cut == 0 || place.last_of_scene;
    let is_blind = place.is_blind();
    let since = place.since;
    let (every, secs) = if is_blind { (BLIND_GLANCE_EVERY, BLIND_GLANCE_SECS) } else { (GLANCE_EVERY, GLANCE_SECS) };
    let is_at = |every: u64| since_cut.is_multiple_of(every);
    let wide = is_at(WIDE_EVERY) || is_due(since.wide, WIDE_SECS);
    let is_key = edge || since_cut == SECOND_LOOK || is_at(KEY_EVERY) || wide || is_due(since.key, KEY_SECS);
    let faces = if is_key {
        // Not both at once, unless every frame is wide.
        let is_turned = !wide && is_at(ALL_TURNS_EVERY);
        let turned_secs = if wide { 2.0 * ALL_TURNS_SECS } else { ALL_TURNS_SECS };
        let is_thorough = since_cut == SECOND_LOOK || is_turned || is_due(since.all_turns, turned_secs);
        // A scene that ends before its second look has it at once.
        let is_short = place.last_of_scene && since_cut < SECOND_LOOK;
        Some(Effort::Key(if is_thorough || is_short { Headings::ALL } else { place.known() }))
    } else {
        (is_at(every) || is_due(since.look, secs)).then_some(place.glance())
    };
    let text = if is_at(TEXT_KEY_EVERY) {
        Some(Effort::Key(Headings::UPRIGHT))
    } else {
        let is_due = is_at(TEXT_EVERY) || is_due(since.text, TEXT_SECS);
        (edge || since_cut == SECOND_LOOK || is_due).then_some(Effort::Fast(Headings::UPRIGHT))
    };
    Look { ask: Ask { faces, text }, wide, flash: false }
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

    fn place(frame: FrameIndex, scene_start: FrameIndex, last_of_scene: bool) -> Place {
        Place { kind: MediaKind::Clip, frame, scene_start, last_of_scene, headings: ASIDE, since: Since::default() }
    }

    fn at(frame: FrameIndex, scene_start: FrameIndex, last_of_scene: bool) -> Look {
        look(place(frame, scene_start, last_of_scene))
    }

    #[test]
    fn edges_of_scenes_are_key_frames_and_others_come_regularly() {
        let [all, upright, aside] = [Headings::ALL, Headings::UPRIGHT, ASIDE].map(Effort::Key);
        // Frame of a scene that begins at 100, whether it is the last, faces, wide.
        for (since_cut, last, faces, wide) in [
            (0, false, Some(upright), true),
            (0, true, Some(all), true),
            (1, false, None, false),
            (3, true, Some(all), false),
            (4, false, Some(Effort::Fast(Headings::ALL)), false),
            (6, false, Some(all), false),
            (12, false, Some(upright), false),
            (20, true, Some(upright), false),
            (33, false, None, false),
            (34, false, Some(Effort::Fast(ASIDE)), false),
            (36, false, Some(aside), false),
            (48, false, Some(all), false),
            (72, false, Some(aside), true),
            (77, true, Some(aside), false),
            (144, false, Some(aside), true),
        ] {
            let look = at(100 + since_cut, 100, last);
            assert_eq!((look.ask.faces, look.wide), (faces, wide), "{since_cut} frames behind the cut");
        }
    }

    /// Looks of a scene of so many frames, each so many seconds behind the last one.
    fn scene(frames: u64, secs: f64) -> Vec<Look> {
        let mut since = Since::default();
        let looks = (0..frames).map(|frame| {
            let place = Place { since, ..place(frame, 0, false) };
            let look = look(place);
            since = since.looked(look).later(secs);
            look
        });
        looks.collect()
    }

    #[test]
    fn slow_clips_are_looked_at_by_the_second() {
        for fps in [0.2, 1.0, 2.0, 5.0, 10.0, 12.5, 15.0, 23.976, 25.0, 30.0, 60.0] {
            let looks = scene(600, 1.0 / fps);
            let longest = |is_it: &dyn Fn(&Look) -> bool| {
                let at: Vec<usize> = (0..looks.len()).filter(|&i| is_it(&looks[i])).collect();
                let gap = at.windows(2).map(|w| w[1] - w[0]).max().unwrap();
                gap.saturating_sub(1) as f64 / fps
            };
            let is_key = |look: &Look| look.ask.faces.is_some_and(|e| !e.is_fast());
            let is_turned = |look: &Look| look.ask.faces == Some(Effort::Key(Headings::ALL));
            // What lies between two looks is shorter than this.
            assert!(longest(&is_key) < 0.5, "{fps} a second: {} s without key frames", longest(&is_key));
            assert!(longest(&is_turned) < 3.3, "{fps} a second: {} s without all turns", longest(&is_turned));
            assert!(longest(&|look| look.ask.faces.is_some()) < 0.2, "{fps} a second: not glanced at");
            assert!(longest(&|look| look.ask.text.is_some()) < 0.7, "{fps} a second: no text");
        }
        // At the usual rates it is the frames that count: the first, the second look and each twelfth.
        let keys = scene(145, 0.04).iter().filter(|look| look.ask.faces.is_some_and(|e| !e.is_fast())).count();
        assert_eq!(keys, 2 + 144 / 12);
    }

    #[test]
    fn text_is_looked_for_less_often() {
        let (glance, key) = (Effort::Fast(Headings::UPRIGHT), Effort::Key(Headings::UPRIGHT));
        for (since_cut, text) in
            [(0, Some(key)), (1, None), (6, Some(glance)), (16, Some(glance)), (72, None), (128, Some(key))]
        {
            let ask = at(7 + since_cut, 7, false).ask;
            assert_eq!(ask.text, text, "{since_cut} frames behind the cut");
            assert!(text.is_none() || ask.faces.is_some(), "heads tell documents");
        }
        assert_eq!(at(100, 7, true).ask.text, Some(glance), "the last of a scene");
        for (frame, headings) in [(8, Headings::ALL), (7 + 33, ASIDE)] {
            let more = at(frame, 7, false).with_text(place(frame, 7, false)).ask;
            assert_eq!((more.text, more.faces), (Some(glance), Some(Effort::Fast(headings))), "edges came at {frame}");
        }
    }

    #[test]
    fn headings_come_from_three_windows_ago_and_waiting_ends() {
        let feedback = Feedback::default();
        assert_eq!(feedback.headings(23), Headings::ALL, "nothing is known yet");
        feedback.tell(6, Headings::ALL);
        feedback.tell(7, ASIDE);
        assert_eq!(feedback.headings(24), ASIDE);
        feedback.close();
        assert_eq!(feedback.headings(64), Headings::ALL, "the tracker is gone");
    }
}
