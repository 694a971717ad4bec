//! The streaming tracker: detections of one frame after another in, finished tracks out, scene by scene.
//!
//! Memory: the small grey pictures of the last seconds, and the points of the tracks of the scene that is not over. A scene
//! that is long is handed out in parts, in which the tracks that go on are divided.

use std::collections::VecDeque;

use super::appearance::{Appearance, AppearanceSettings, visible_share};
use super::associate::{AssociationSettings, Expected, associate};
use super::fill::{GapFrame, fill_gap, smooth};
use super::luma::Luma;
use super::motion::{GlobalMotion, Similarity};
use super::predict::MotionFilter;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::types::detection::{Class, Detection, FaceLook, FrameDetections};
use crate::types::geometry::{Point, Quad};
use crate::types::time::{FrameIndex, FrameSpan, TimeBase};
use crate::types::track::{Looks, Origin, Track, TrackEdge, TrackPoint};

/// Settings of the tracker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackSettings {
    pub association: AssociationSettings,
    pub appearance: AppearanceSettings,
    /// Longest time without detection after which a track may go on.
    pub max_gap_secs: f64,
    /// Longest time that a track is followed by looks before its first and after its last detection.
    pub extend_secs: f64,
    /// Most pictures kept for that: bounds memory at high frame rates.
    pub max_kept_frames: usize,
    /// Points from which on a scene is handed out in parts: some 15 MB, an hour of three heads.
    pub max_points: usize,
    /// Score from which a face in a frame that was only glanced at begins a track; weaker ones may continue one.
    pub begin_glance_score: f32,
    /// The same in a frame that was looked at because of what it alone shows: no other look will make weaker ones surer.
    pub begin_flash_score: f32,
    /// What a face's score counts for when its frame was only glanced at.
    pub glance_weight: f32,
    /// Frames to both sides over which places are smoothed.
    pub smooth_radius: usize,
    /// Share of the sides of a head as found that its smoothed place always covers: boxes of whole heads scatter, and
    /// the face fills three fifths of them.
    pub face_core: f32,
}

impl Default for TrackSettings {
    fn default() -> Self {
        Self {
            association: AssociationSettings::default(),
            appearance: AppearanceSettings::default(),
            max_gap_secs: 2.0,
            extend_secs: 2.0,
            max_kept_frames: 128,
            max_points: 1 << 18,
            begin_glance_score: 0.75,
            begin_flash_score: 0.4,
            glance_weight: 0.5,
            smooth_radius: 3,
            face_core: 0.85,
        }
    }
}

impl TrackSettings {
    /// Text and the like are boxed tightly: nothing of them may be given up.
    fn core(&self, class: Class) -> f32 {
        if class == Class::Face { self.face_core } else { 1.0 }
    }
}

/// Least frames behind a part of a scene before it is handed out: masks are held for fewer behind their tracks.
const SETTLED_FRAMES: u64 = 64;

/// A frame that can still be looked back at.
struct Kept {
    frame: FrameIndex,
    pts: i64,
    /// Camera motion from the frame before.
    camera: Similarity,
    luma: Luma,
    /// The whole ensemble looked for faces.
    thorough: bool,
}

/// A frame since the last detection of a track.
struct Pending {
    frame: FrameIndex,
    pts: i64,
    camera: Similarity,
    followed: Option<(Quad, f32)>,
    /// It was looked for in vain; else nobody looked.
    missed: bool,
}

/// A track that may still go on.
struct Live {
    class: Class,
    points: Vec<TrackPoint>,
    looks: Looks,
    pending: Vec<Pending>,
    filter: MotionFilter,
    look: Option<Appearance>,
    start: TrackEdge,
}

/// Links detections to tracks, frame by frame.
pub struct Tracker {
    settings: TrackSettings,
    time_base: TimeBase,
    kept: VecDeque<Kept>,
    live: Vec<Live>,
    /// Ended tracks of the scene that is not over, each with the frame in which that was known.
    ended: Vec<(FrameIndex, Track)>,
    /// Tracks of scenes, and of parts of them, that are over.
    finished: Vec<Track>,
    scene_start: FrameIndex,
    /// First frame of the part of the scene that is not handed out.
    part_start: FrameIndex,
    /// Where that part shall end, and when that frame is shown: once all before it is settled.
    division: Option<(FrameIndex, i64)>,
    next: Option<FrameIndex>,
}

impl Tracker {
    pub fn new(settings: TrackSettings, time_base: TimeBase) -> Self {
        Self {
            settings,
            time_base,
            kept: VecDeque::new(),
            live: Vec::new(),
            ended: Vec::new(),
            finished: Vec::new(),
            scene_start: 0,
            part_start: 0,
            division: None,
            next: None,
        }
    }

    /// Takes the next frame: its detections (display space), the camera's motion into it and its small picture. Every
    /// frame of the clip must come, in order, also those without detections.
    pub fn push(&mut self, found: &FrameDetections, motion: GlobalMotion, luma: Luma) -> Result<()> {
        let expected = self.next.unwrap_or(found.frame);
        if found.frame != expected {
            let message = format!("frame {} came where frame {expected} was due", found.frame);
            return Err(Error::new(Stage::Track, ErrorKind::Internal, message));
        }
        if let Some(d) = found.detections.iter().find(|d| !d.quad.is_finite() || !d.score.is_finite()) {
            let message = format!("a {:?} detection of frame {} is not finite", d.class, found.frame);
            return Err(Error::new(Stage::Track, ErrorKind::Internal, message));
        }
        if found.scene_cut || self.next.is_none() {
            self.close_scene(found.frame);
        }
        self.next = Some(found.frame + 1);
        let camera = if self.kept.is_empty() { Similarity::IDENTITY } else { motion.transform };
        let thorough = found.face_look == FaceLook::Thorough && !found.new_faces_only;
        self.keep(Kept { frame: found.frame, pts: found.pts, camera, luma, thorough });
        for live in &mut self.live {
            live.filter.predict(&camera);
        }
        self.assign(found);
        self.retire(found.frame);
        self.divide_if_long(found.frame, found.pts);
        Ok(())
    }

    /// Tracks of the scene, or of the part of one, that is over with the last frame pushed. Taken after every frame, it
    /// bounds memory, and tracks of one scene alone come together.
    pub fn take_finished(&mut self) -> Vec<Track> {
        std::mem::take(&mut self.finished)
    }

    /// First frame of what is not over yet: what was detected before it is in tracks that are finished.
    pub fn open_from(&self) -> FrameIndex {
        self.part_start
    }

    /// Ends the clip and gives all tracks not yet taken.
    pub fn finish(mut self) -> Vec<Track> {
        self.close_scene(self.next.unwrap_or(0));
        self.finished
    }

    /// Predicted places of the present tracks with their class and frames without detection: where the analysis
    /// schedule should look closer.
    pub fn expected(&self) -> Vec<Expected> {
        let of = |l: &Live| Expected { class: l.class, quad: l.filter.quad(), age: l.pending.len() as u32 + 1 };
        self.live.iter().map(of).collect()
    }

    fn keep(&mut self, kept: Kept) {
        let horizon = self.settings.max_gap_secs.max(self.settings.extend_secs);
        let now = self.time_base.secs(kept.pts);
        self.kept.push_back(kept);
        while let Some(oldest) = self.kept.front() {
            let old = now - self.time_base.secs(oldest.pts) > horizon;
            if !old && self.kept.len() <= self.settings.max_kept_frames {
                break;
            }
            self.kept.pop_front();
        }
    }

    fn assign(&mut self, found: &FrameDetections) {
        let expected = self.expected();
        let chosen = associate(&expected, &found.detections, &self.settings.association);
        let mut continued: Vec<Option<&Detection>> = vec![None; self.live.len()];
        let mut new = Vec::new();
        for (detection, track) in found.detections.iter().zip(chosen) {
            match track {
                _ if found.new_faces_only && detection.class == Class::Face => {
                    if detection.score >= self.settings.begin_flash_score && !self.is_known(&detection.quad) {
                        new.push(detection);
                    }
                }
                Some(t) => continued[t] = Some(detection),
                None => new.push(detection),
            }
        }
        let Some(now) = self.kept.back() else { return };
        for (live, detection) in self.live.iter_mut().zip(continued) {
            match detection {
                _ if found.new_faces_only && live.class == Class::Face => live.pass(now),
                Some(detection) => {
                    let glanced = found.face_look == FaceLook::Glance && detection.class == Class::Face;
                    let weight = if glanced { self.settings.glance_weight } else { 1.0 };
                    live.observe(detection, now, &self.settings, weight);
                }
                None if found.was_looked_for(live.class) => live.miss(now, &self.settings, self.time_base),
                None => live.pass(now),
            }
        }
        let begins = |d: &&Detection| {
            found.face_look == FaceLook::Thorough
                || d.class != Class::Face
                || d.score >= self.settings.begin_glance_score
        };
        for detection in new.into_iter().filter(begins) {
            let live = self.begin(detection, found);
            self.live.push(live);
        }
    }

    /// A new track, followed back by its looks.
    fn begin(&self, detection: &Detection, found: &FrameDetections) -> Live {
        let mut points = vec![detected(detection, found.frame, found.pts)];
        let mut looks = Looks::default();
        if found.face_look == FaceLook::Thorough {
            looks.add(detection.score);
        }
        let look = self.kept.back().and_then(|now| Appearance::learn(&now.luma, &detection.quad));
        let mut joined = false;
        if let Some(mut look) = look.clone() {
            let mut quad = detection.quad;
            let earlier = self.kept.iter().rev().skip(1);
            for (kept, after) in earlier.zip(self.kept.iter().rev()) {
                if self.time_base.secs(found.pts) - self.time_base.secs(kept.pts) > self.settings.extend_secs {
                    break;
                }
                quad = after.camera.inverse().apply_quad(&quad);
                let Some(followed) = look.follow(&kept.luma, &quad, &self.settings.appearance) else { break };
                quad = followed.quad;
                if self.is_covered(detection.class, kept.frame, &quad) {
                    joined = true;
                    break;
                }
                points.push(extended(kept.frame, kept.pts, quad, followed.score));
                if kept.thorough {
                    looks.add(0.0);
                }
            }
        }
        points.reverse();
        let display = self.kept.back().map_or((0.0, 0.0), |k| k.luma.display());
        let start = if joined {
            TrackEdge::Joined
        } else if points[0].frame == self.scene_start {
            TrackEdge::Cut
        } else {
            outer_edge(points.iter().take(4).map(|p| p.quad), display)
        };
        let filter = MotionFilter::new(&detection.quad);
        Live { class: detection.class, points, looks, pending: Vec::new(), filter, look, start }
    }

    /// Whether a face that was seen for sure is expected at about this place.
    fn is_known(&self, quad: &Quad) -> bool {
        let is_sure = |l: &&Live| l.class == Class::Face && l.looks.best >= self.settings.begin_flash_score;
        self.live.iter().filter(is_sure).any(|l| l.filter.quad().iou(quad) > 0.3)
    }

    /// Whether a track of the class has a point at about this place already.
    fn is_covered(&self, class: Class, frame: FrameIndex, quad: &Quad) -> bool {
        let of_live = self.live.iter().filter(|l| l.class == class).filter_map(|l| at(&l.points, frame));
        // What was known to have ended before cannot reach to there.
        let of_ended = self.ended.iter().rev().take_while(|(known, _)| *known >= frame);
        let of_ended = of_ended.filter(|(_, t)| t.class == class).filter_map(|(_, t)| t.at(frame));
        of_live.chain(of_ended).any(|p| p.quad.iou(quad) > 0.5)
    }

    /// Ends the tracks that were not seen for too long.
    fn retire(&mut self, frame: FrameIndex) {
        let Some(now) = self.kept.back() else { return };
        let (pts, display) = (now.pts, now.luma.display());
        let (limit, time_base) = (self.settings.max_gap_secs, self.time_base);
        let over = |live: &mut Live| {
            live.pending.first().is_some_and(|p| time_base.secs(pts) - time_base.secs(p.pts) >= limit)
        };
        let scene = FrameSpan::new(self.scene_start, self.scene_start);
        self.ended.extend(self.live.extract_if(.., over).map(|live| (frame, live.end(scene, display))));
    }

    /// Has a part of the scene that has grown long end in this frame, and hands it out once it is settled: a while later,
    /// when nobody looks back behind it any more, and what a mask is held for behind its track is known.
    fn divide_if_long(&mut self, frame: FrameIndex, pts: i64) {
        if let Some((until, its_pts)) = self.division {
            let settings = &self.settings;
            let settled_secs = 2.0 * settings.max_gap_secs.max(settings.extend_secs);
            if self.time_base.secs(pts - its_pts) > settled_secs && frame - until >= SETTLED_FRAMES {
                self.divide(until, frame + 1);
            }
            return;
        }
        let ended = self.ended.iter().map(|(_, t)| t.points.len()).sum::<usize>();
        if ended + self.live.iter().map(|l| l.points.len()).sum::<usize>() >= self.settings.max_points {
            self.division = Some((frame, pts));
        }
    }

    /// Hands out the points before `until`; the frames before `known` are known.
    fn divide(&mut self, until: FrameIndex, known: FrameIndex) {
        let mut part = Vec::new();
        let ended = std::mem::take(&mut self.ended);
        for (at, mut track) in ended {
            if track.span().end <= until {
                part.push(track);
                continue;
            }
            if let Some(points) = points_before(&mut track.points, until) {
                part.push(Track { points, end: TrackEdge::Divided, ..track });
                track.start = TrackEdge::Divided;
            }
            self.ended.push((at, track));
        }
        for live in &mut self.live {
            if let Some(points) = points_before(&mut live.points, until) {
                let (class, looks) = (live.class, live.looks);
                let (start, end) = (live.start, TrackEdge::Divided);
                part.push(Track { class, points, looks, scene: FrameSpan::new(0, 0), start, end });
                live.start = TrackEdge::Divided;
            }
        }
        self.hand_out(part, FrameSpan::new(self.scene_start, known));
        (self.part_start, self.division) = (until, None);
    }

    fn close_scene(&mut self, end: FrameIndex) {
        let scene = FrameSpan::new(self.scene_start, end);
        let display = self.kept.back().map_or((0.0, 0.0), |k| k.luma.display());
        let last = self.live.drain(..).map(|live| live.end(scene, display));
        let mut tracks: Vec<Track> = self.ended.drain(..).map(|(_, track)| track).chain(last).collect();
        for track in tracks.iter_mut().filter(|track| track.span().end == end) {
            track.end = TrackEdge::Cut;
        }
        self.hand_out(tracks, scene);
        self.kept.clear();
        (self.scene_start, self.part_start, self.division) = (end, end, None);
    }

    fn hand_out(&mut self, mut tracks: Vec<Track>, scene: FrameSpan) {
        for track in &mut tracks {
            track.scene = scene;
            smooth(&mut track.points, self.settings.smooth_radius, self.settings.core(track.class));
        }
        tracks.sort_by_key(|t| (t.span().start, t.span().end));
        self.finished.append(&mut tracks);
    }
}

impl Live {
    /// A detection continues the track; frames since the last one are filled.
    fn observe(&mut self, detection: &Detection, now: &Kept, settings: &TrackSettings, weight: f32) {
        let core = settings.core(self.class);
        let mut point = detected(detection, now.frame, now.pts);
        point.score *= weight;
        if now.thorough {
            self.looks.add(detection.score);
        }
        if let Some(last) = self.points.last().filter(|_| !self.pending.is_empty()) {
            let gap: Vec<GapFrame> = self
                .pending
                .drain(..)
                .map(|p| {
                    // Where nobody looked, its place is a guess that the detection behind it makes better.
                    let followed = p.followed.filter(|_| p.missed).map(|f| f.0);
                    GapFrame { frame: p.frame, pts: p.pts, camera: p.camera, followed }
                })
                .collect();
            let filled = fill_gap(last, &point, &gap, &now.camera, core);
            self.points.extend(filled);
        }
        self.filter.correct(&point.quad, if detection.score >= settings.association.firm_score { 1.0 } else { 2.0 });
        self.points.push(point);
        // A look too small or flat to be learned is better than an old one: then the track is not followed.
        self.look = Appearance::learn(&now.luma, &detection.quad);
    }

    /// No detection continues the track in this frame: it is followed by its looks while they match.
    fn miss(&mut self, now: &Kept, settings: &TrackSettings, time_base: TimeBase) {
        let since = self.points.last().map_or(0.0, |p| time_base.secs(now.pts) - time_base.secs(p.pts));
        let mut followed = None;
        if since <= settings.extend_secs
            && let Some(look) = &mut self.look
        {
            followed = look.follow(&now.luma, &self.filter.quad(), &settings.appearance);
        }
        match &followed {
            Some(f) => {
                self.filter.correct(&f.quad, 2.0);
                if now.thorough {
                    self.looks.add(0.0);
                }
            }
            // Once lost, it is not looked for by its looks again: only a detector can tell that it is back.
            None => {
                self.look = None;
                self.filter.damp();
            }
        }
        let followed = followed.map(|f| (f.quad, f.score));
        self.pending.push(Pending { frame: now.frame, pts: now.pts, camera: now.camera, followed, missed: true });
    }

    /// Nobody looked in this frame: what was there goes on as it moved, what was lost slows down.
    fn pass(&mut self, now: &Kept) {
        let is_followed = self.pending.last().is_none_or(|p| p.followed.is_some());
        if !is_followed {
            self.filter.damp();
        }
        let followed = is_followed.then(|| (self.filter.quad(), 0.0));
        self.pending.push(Pending { frame: now.frame, pts: now.pts, camera: now.camera, followed, missed: false });
    }

    /// The track as it is known now: with the frames after the last detection to which it was followed.
    fn end(mut self, scene: FrameSpan, display: (f32, f32)) -> Track {
        for p in self.pending {
            let Some((quad, score)) = p.followed else { break };
            self.points.push(extended(p.frame, p.pts, quad, score));
        }
        let end = outer_edge(self.points.iter().rev().take(4).map(|p| p.quad), display);
        Track { class: self.class, points: self.points, looks: self.looks, scene, start: self.start, end }
    }
}

fn at(points: &[TrackPoint], frame: FrameIndex) -> Option<&TrackPoint> {
    points.get(usize::try_from(frame.checked_sub(points.first()?.frame)?).ok()?)
}

/// Takes away the points before a frame, if there are some and others are left.
fn points_before(points: &mut Vec<TrackPoint>, until: FrameIndex) -> Option<Vec<TrackPoint>> {
    let count = usize::try_from(until.checked_sub(points.first()?.frame)?).ok()?;
    if count == 0 || count >= points.len() {
        return None;
    }
    let rest = points.split_off(count);
    Some(std::mem::replace(points, rest))
}

fn detected(detection: &Detection, frame: FrameIndex, pts: i64) -> TrackPoint {
    TrackPoint { frame, pts, quad: detection.quad, origin: Origin::Detected, score: detection.score }
}

fn extended(frame: FrameIndex, pts: i64, quad: Quad, score: f32) -> TrackPoint {
    TrackPoint { frame, pts, quad, origin: Origin::Extended, score }
}

/// Share in the picture below which an object that is not found any more has left it: heads are found no longer when
/// their eyes are outside.
const LEAVING_SHARE: f32 = 0.6;
/// Frames over which an object that leaves the picture is foreseen.
const LEAVING_FRAMES: f32 = 4.0;

/// Whether a track ends over the edge of the picture: `quads` are its outermost places, the outermost first. It must be
/// mostly outside, or about to be: an object that only touches the edge and is not found any more is lost.
fn outer_edge(quads: impl Iterator<Item = Quad>, display: (f32, f32)) -> TrackEdge {
    let quads: Vec<Quad> = quads.collect();
    let (Some(outermost), Some(inner)) = (quads.first(), quads.last()) else { return TrackEdge::Lost };
    let (a, b) = (outermost.center(), inner.center());
    let frames = LEAVING_FRAMES / (quads.len() - 1).max(1) as f32;
    let ahead = Point::new((a.x - b.x) * frames, (a.y - b.y) * frames);
    let next = outermost.map(|p| Point::new(p.x + ahead.x, p.y + ahead.y));
    let out = [*outermost, next].iter().any(|q| visible_share(q, display) < LEAVING_SHARE);
    if out { TrackEdge::Exit } else { TrackEdge::Lost }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
