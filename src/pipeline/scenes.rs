//! What stays of the frames that were looked at: the regions of the scenes that are over, not the points of their tracks.

use super::schedule::TEXT_EVERY;
use super::settings::Settings;
use super::tone::{ToneSamples, Tones};
use crate::error::Result;
use crate::plan::unseen::unseen_faces;
use crate::plan::{PolicySettings, RegionBuilder};
use crate::types::detection::Person;
use crate::types::frame::{MediaKind, SourceInfo};
use crate::types::geometry::Margins;
use crate::types::plan::{PlanHeader, RedactionPlan};
use crate::types::time::{FrameIndex, FrameTimes, TimeBase};
use crate::types::track::Track;

/// The plan that comes about, scene by scene.
pub struct Scenes {
    builder: RegionBuilder,
    tones: Tones,
    people: Vec<(FrameIndex, Person)>,
    pts: Vec<i64>,
    time_base: TimeBase,
}

impl Scenes {
    pub fn new(info: &SourceInfo, settings: &Settings) -> Self {
        let mut policy = PolicySettings {
            margin: settings.margin,
            on_lost: settings.on_lost,
            hold_frames: TEXT_EVERY,
            keep_captions: settings.keep_captions,
            ..PolicySettings::default()
        };
        if info.kind == MediaKind::Photo {
            // Nothing moves, and heads were looked for thoroughly: their quads are what is to be hidden.
            policy.face_margins = Margins::default();
        }
        Self {
            builder: RegionBuilder::new(policy, info.display(), settings.keep_regions.clone()),
            tones: Tones::new(&settings.regions),
            people: Vec::new(),
            pts: Vec::new(),
            time_base: info.time_base,
        }
    }

    /// Takes the next frame.
    pub fn add_frame(&mut self, pts: i64, tones: ToneSamples, people: Vec<Person>) {
        let frame = self.pts.len() as FrameIndex;
        self.pts.push(pts);
        self.tones.add(tones);
        self.people.extend(people.into_iter().map(|person| (frame, person)));
    }

    /// Takes the tracks that are over with the last frame, of one scene. What is before `open_from` is all told.
    pub fn add_finished(&mut self, tracks: &[Track], open_from: FrameIndex) {
        let times = FrameTimes { pts: &self.pts, time_base: self.time_base };
        if !tracks.is_empty() {
            self.builder.add_scene(tracks, times, |region| self.tones.of_region(region));
        }
        self.tones.forget_before(open_from, &times);
    }

    /// Ticks of all frames that came.
    pub fn pts(&self) -> &[i64] {
        &self.pts
    }

    /// The plan with this header, with what the operator named and its review list.
    ///
    /// # Errors
    /// `Usage` for an operator's region that lies outside of the picture or of the clip.
    pub fn into_plan(mut self, mut header: PlanHeader) -> Result<RedactionPlan> {
        let times = FrameTimes { pts: &self.pts, time_base: self.time_base };
        for (region, tone) in self.tones.of_named(&times) {
            self.builder.add_operator_region(&region, tone, times)?;
        }
        let built = self.builder.finish();
        header.review = unseen_faces(&self.people, &built.regions, &times);
        header.review.extend(built.review);
        Ok(RedactionPlan { header, regions: built.regions })
    }
}
