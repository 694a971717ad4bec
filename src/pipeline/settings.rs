//! Everything that decides what a run does, resolved; travels to workers as JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sandbox::SandboxMode;
use super::worker::any_path;
use crate::detect::document::Documents;
use crate::detect::face::ensemble::Sensitivity;
use crate::media::encode::VideoCodec;
use crate::plan::policy::OnLost;
use crate::plan::{KeepRegion, OperatorRegion};
use crate::types::limits::Limits;
use crate::types::plan::MaskStyle;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    pub faces: bool,
    pub text: bool,
    /// Bar codes and matrix codes.
    pub codes: bool,
    /// Which text is hidden, where text is a target.
    pub lines: TextScope,
    /// What becomes of documents, where text is a target.
    pub documents: Documents,
}

/// Which text is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextScope {
    #[default]
    All,
    /// What lies on documents.
    Documents,
    /// None; documents are looked for by it all the same.
    None,
}

/// A face detector by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaceDetectorName {
    Yunet,
    Centerface,
    /// The SeetaFace frontal detector as the rustface crate runs it.
    Seeta,
}

/// What becomes of the sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioChoice {
    /// A voice identifies.
    #[default]
    None,
    /// The source's, encoded anew.
    Keep,
    /// A re-voiced track.
    File(#[serde(with = "any_path")] PathBuf),
}

/// How much of the finished file is searched again by the reserved networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLevel {
    /// Key frames, cuts, starts and ends of tracks, and a stride. Masks and pictures are compared on every frame.
    #[default]
    Sampled,
    Full,
}

/// How clips and photos are encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    pub codec: VideoCodec,
    /// `None`: the codec's default here.
    pub crf: Option<u8>,
    pub preset: Option<String>,
    /// More than 8 bits and finer chroma are kept also for SDR.
    pub keep_depth: bool,
    pub audio: AudioChoice,
    /// JPEG quality, 1 to 100.
    pub photo_quality: u8,
}

/// What is done about people whose faces are not found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unseen {
    /// They are not looked for.
    Off,
    /// They are on the review list.
    Report,
    /// The place of the head is masked: in 189 photos of crowds all 11 such places were heads, which took 0.04 % of the
    /// area.
    #[default]
    Head,
}

/// Settings of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub targets: Targets,
    pub face_detectors: Vec<FaceDetectorName>,
    pub sensitivity: Sensitivity,
    /// Further growth of every mask on each side, as a share of its size.
    pub margin: f32,
    pub on_lost: OnLost,
    pub unseen: Unseen,
    /// Text that stays in a band at the top or bottom of a clip is spared.
    pub keep_captions: bool,
    pub style: MaskStyle,
    pub fill_color: [u8; 3],
    pub regions: Vec<OperatorRegion>,
    pub keep_regions: Vec<KeepRegion>,
    pub encoding: Encoding,
    pub verify: VerifyLevel,
    pub allow_damaged: bool,
    pub limits: Limits,
    /// Whether workers are locked in.
    pub sandbox: SandboxMode,
    /// Threads that run networks in one worker process.
    pub inference_threads: usize,
    /// Inference runtime and weights, where the user named them.
    #[serde(with = "any_path::option")]
    pub runtime: Option<PathBuf>,
    #[serde(with = "any_path::option")]
    pub models: Option<PathBuf>,
}

/// Threads of the video encoder: a constant, because x264's output depends on their number.
pub const ENCODER_THREADS: usize = 4;

impl Targets {
    /// What a plan was made for, from the settings in its header; everything when they do not tell. Documents are found
    /// by what is hidden then: nobody looks for them again.
    pub fn of_plan(recorded: &BTreeMap<String, String>) -> Self {
        let wants = |what| recorded.get(TARGETS_KEY).is_none_or(|named| named.split(',').any(|n| n == what));
        let told = |key: &str, what| recorded.get(key).is_some_and(|told| told == what);
        let lines = match () {
            _ if told(LINES_KEY, "documents") => TextScope::Documents,
            _ if told(LINES_KEY, "none") => TextScope::None,
            _ => TextScope::All,
        };
        let (faces, text, codes) = (wants("faces"), wants("text"), wants("codes"));
        Self { faces, text, codes, lines, documents: Documents::Off }
    }
}

/// Name of the targets among the settings of a plan.
const TARGETS_KEY: &str = "targets";
/// Name of the scope of text there.
const LINES_KEY: &str = "text";

impl Settings {
    /// The settings that shape a plan, by flag name, for its header.
    pub fn recorded(&self) -> BTreeMap<String, String> {
        let Targets { faces, text, codes, lines, documents } = self.targets;
        let named = [(faces, "faces"), (text, "text"), (codes, "codes")].into_iter().filter(|(on, _)| *on);
        let mut targets: Vec<&str> = named.map(|(_, name)| name).collect();
        if targets.is_empty() {
            targets.push("none");
        }
        let detectors: Vec<String> = self.face_detectors.iter().map(|d| format!("{d:?}").to_lowercase()).collect();
        BTreeMap::from([
            (TARGETS_KEY.into(), targets.join(",")),
            ("face-detectors".into(), detectors.join(",")),
            ("sensitivity".into(), format!("{:?}", self.sensitivity).to_lowercase()),
            ("margin".into(), self.margin.to_string()),
            (LINES_KEY.into(), format!("{lines:?}").to_lowercase()),
            ("documents".into(), format!("{documents:?}").to_lowercase()),
            ("keep-captions".into(), self.keep_captions.to_string()),
            ("on-lost".into(), format!("{:?}", self.on_lost).to_lowercase()),
            ("unseen".into(), format!("{:?}", self.unseen).to_lowercase()),
            ("allow-damaged".into(), self.allow_damaged.to_string()),
        ])
    }
}
