//! What the threads with the networks do with a frame.
//!
//! Faces and print of one frame are two tasks where both are looked for: at the start of a scene each takes half a second,
//! and the other threads would have nothing to do before the tracker has seen that frame.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use super::clock::timed;
use super::detectors::{Ask, Detectors};
use super::schedule::Look;
use super::settings::{Settings, Unseen};
use super::threads::{SharedQueue, guarded};
use super::tone::ToneSamples;
use crate::error::{Result, Stage};
use crate::track::{GlobalMotion, Luma};
use crate::types::detection::{Class, Detection, FaceLook, FrameDetections, Person};
use crate::types::frame::Picture;
use crate::types::plan::MaskStyle;
use crate::types::progress::{Observer, Phase};
use crate::types::time::FrameIndex;
use crate::types::timing::Part;

/// Least score of a head that is masked because of a pose: whoever asks for it wants no more evidence.
const HEAD_SCORE: f32 = 0.5;

/// One frame on its way to the networks.
pub struct Work {
    pub frame: FrameIndex,
    pub pts: i64,
    /// Small for clips.
    pub picture: Picture,
    /// A larger one, when something small is looked for.
    pub large: Option<Picture>,
    pub luma: Luma,
    pub motion: GlobalMotion,
    pub scene_cut: bool,
    pub look: Look,
}

/// One frame behind the networks.
pub struct Looked {
    pub found: FrameDetections,
    pub luma: Luma,
    pub motion: GlobalMotion,
    pub tones: ToneSamples,
    pub people: Vec<Person>,
}

/// What one thread does for a frame.
pub struct Task {
    work: Arc<Work>,
    ask: Ask,
    /// Where the first of two tasks leaves what it found for the second, whichever is which.
    meeting: Option<Arc<Mutex<Option<Found>>>>,
}

#[derive(Default)]
struct Found {
    faces: Vec<Detection>,
    people: Vec<Person>,
    print: Vec<Detection>,
}

impl Work {
    /// One task, or one for faces and one for print.
    pub fn into_tasks(self) -> Vec<Task> {
        let ask = self.look.ask;
        let work = Arc::new(self);
        if ask.faces.is_none() || ask.text.is_none() {
            return vec![Task { work, ask, meeting: None }];
        }
        let meeting = Some(Arc::new(Mutex::new(None)));
        let asks = [Ask { text: None, ..ask }, Ask { faces: None, ..ask }];
        asks.into_iter().map(|ask| Task { work: Arc::clone(&work), ask, meeting: meeting.clone() }).collect()
    }

    fn large(&self) -> &Picture {
        self.large.as_ref().unwrap_or(&self.picture)
    }
}

/// Looks until no more tasks come; several threads may share them.
pub fn look_all(
    detectors: &mut Detectors,
    settings: &Settings,
    tasks: &SharedQueue<Task>,
    looked_out: &SyncSender<Result<Looked>>,
    observer: &dyn Observer,
) {
    while let Some(task) = tasks.next() {
        // A frame that never comes would be waited for.
        let looked = guarded(Stage::Detect, "a detector", || done(detectors, settings, &task, observer));
        let Some(looked) = looked.transpose() else { continue };
        let failed = looked.is_err();
        if looked_out.send(looked).is_err() || failed {
            tasks.close();
        }
    }
}

/// Does a task; `None` when the frame's other one is still to be done.
fn done(
    detectors: &mut Detectors,
    settings: &Settings,
    task: &Task,
    observer: &dyn Observer,
) -> Result<Option<Looked>> {
    let work = &task.work;
    let Some(found) = task.met(detect(detectors, task, observer)?) else { return Ok(None) };
    let Found { faces: mut detections, people, print } = found;
    if settings.unseen == Unseen::Head {
        let heads = people.iter().filter_map(|person| head_without_face(person, &detections)).collect::<Vec<_>>();
        detections.extend(heads);
    }
    detections.extend(print);
    if work.look.ask.text.is_some() {
        let relate = || detectors.relate(work.large(), &mut detections);
        timed(observer, Phase::Analyze, Part::Documents, relate)?;
    }
    Ok(Some(behind(work, settings.style, detections, people)))
}

impl Task {
    /// All that was found in the frame, once its other task is done, too.
    fn met(&self, mut found: Found) -> Option<Found> {
        let Some(meeting) = &self.meeting else { return Some(found) };
        let mut left = meeting.lock().unwrap_or_else(|e| e.into_inner());
        let Some(other) = left.take() else {
            *left = Some(found);
            return None;
        };
        found.faces.extend(other.faces);
        found.people.extend(other.people);
        found.print.extend(other.print);
        Some(found)
    }
}

fn detect(detectors: &mut Detectors, task: &Task, observer: &dyn Observer) -> Result<Found> {
    let (work, mut found) = (&task.work, Found::default());
    if task.ask.faces.is_some() {
        let wide = work.look.wide;
        let picture = if wide { work.large() } else { &work.picture };
        let look = || -> Result<_> {
            let faces = detectors.faces(picture, task.ask.faces)?;
            Ok((faces, if wide { detectors.people(picture)? } else { Vec::new() }))
        };
        (found.faces, found.people) = timed(observer, Phase::Analyze, Part::Faces, look)?;
    }
    if task.ask.text.is_some() {
        let look = || detectors.print(work.large(), task.ask.text);
        found.print = timed(observer, Phase::Analyze, Part::Text, look)?;
    }
    Ok(found)
}

/// The head of a person as if its face had been found, unless it was.
fn head_without_face(person: &Person, faces: &[Detection]) -> Option<Detection> {
    let center = person.head.center();
    let is_found = faces.iter().any(|d| d.class == Class::Face && d.quad.contains(center));
    let score = person.score.max(HEAD_SCORE);
    (!is_found).then_some(Detection { class: Class::Face, quad: person.head, score, landmarks: None })
}

fn behind(work: &Work, style: MaskStyle, detections: Vec<Detection>, people: Vec<Person>) -> Looked {
    let face_look = match work.look.ask.faces {
        None => FaceLook::None,
        Some(effort) if effort.is_fast() => FaceLook::Glance,
        Some(_) => FaceLook::Thorough,
    };
    let tones = ToneSamples::of(style, work.frame, &work.picture, &detections);
    let found = FrameDetections {
        frame: work.frame,
        pts: work.pts,
        detections,
        scene_cut: work.scene_cut,
        face_look,
        new_faces_only: work.look.flash,
        text_looked: work.look.ask.text.is_some(),
    };
    Looked { found, luma: work.luma.clone(), motion: work.motion, tones, people }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::detection::{Effort, Headings};
    use crate::types::geometry::{Quad, Rect, Size};

    fn work(ask: Ask) -> Work {
        let size = Size::new(1, 1);
        Work {
            frame: 0,
            pts: 0,
            picture: Picture::new(size, vec![0; 3], 1.0),
            large: None,
            luma: Luma { size, data: vec![0], display_from_luma: 1.0 },
            motion: GlobalMotion::NONE,
            scene_cut: false,
            look: Look { ask, ..Look::default() },
        }
    }

    fn found(task: &Task) -> Found {
        let some = |class, is_asked: Option<Effort>| {
            let quad = Quad::from(Rect::new(0.0, 0.0, 1.0, 1.0));
            is_asked.map(|_| Detection { class, quad, score: 0.5, landmarks: None }).into_iter().collect()
        };
        let (faces, print) = (some(Class::Face, task.ask.faces), some(Class::Text, task.ask.text));
        Found { faces, people: vec![], print }
    }

    #[test]
    fn the_later_of_two_tasks_has_what_both_found() {
        let glance = Some(Effort::Fast(Headings::UPRIGHT));
        for order in [[0, 1], [1, 0]] {
            let tasks = work(Ask { faces: glance, text: glance }).into_tasks();
            assert_eq!(tasks.len(), 2);
            let [first, second] = order.map(|i| tasks[i].met(found(&tasks[i])));
            assert!(first.is_none());
            let all = second.unwrap();
            assert_eq!((all.faces.len(), all.print.len()), (1, 1), "{order:?}");
        }
        for (ask, faces) in [(Ask { faces: glance, text: None }, 1), (Ask::default(), 0)] {
            let tasks = work(ask).into_tasks();
            assert_eq!(tasks.len(), 1);
            assert_eq!(tasks[0].met(found(&tasks[0])).map(|all| all.faces.len()), Some(faces));
        }
    }
}
