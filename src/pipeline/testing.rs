//! What tests of the pipeline start from.

use std::collections::BTreeMap;

use super::sandbox::SandboxMode;
use super::settings::{AudioChoice, Encoding, Settings, Targets, TextScope, Unseen, VerifyLevel};
use crate::detect::document::Documents;
use crate::detect::face::ensemble::Sensitivity;
use crate::media::encode::VideoCodec;
use crate::plan::policy::OnLost;
use crate::types::limits::Limits;
use crate::types::plan::MaskStyle;
use crate::types::report::{REPORT_KIND, REPORT_VERSION, RunReport, Status};

pub fn settings() -> Settings {
    Settings {
        targets: Targets { faces: false, text: false, codes: false, lines: TextScope::All, documents: Documents::Off },
        face_detectors: vec![],
        sensitivity: Sensitivity::default(),
        margin: 0.0,
        on_lost: OnLost::default(),
        unseen: Unseen::default(),
        style: MaskStyle::Fill,
        fill_color: [128; 3],
        regions: vec![],
        keep_regions: vec![],
        keep_captions: false,
        encoding: Encoding {
            codec: VideoCodec::H264,
            crf: None,
            preset: None,
            keep_depth: false,
            audio: AudioChoice::None,
            photo_quality: 92,
        },
        verify: VerifyLevel::Sampled,
        allow_damaged: false,
        limits: Limits::default(),
        sandbox: SandboxMode::Auto,
        inference_threads: 1,
        runtime: None,
        models: None,
    }
}

/// Of a file without regions that is done.
pub fn report() -> RunReport {
    RunReport {
        kind: REPORT_KIND.into(),
        version: REPORT_VERSION,
        status: Status::Done,
        item: 0,
        input: None,
        output: Some("a.mp4".into()),
        resumed: false,
        frames: 1,
        regions: BTreeMap::new(),
        rounds: 1,
        verify: None,
        findings: vec![],
        error: None,
        timings: vec![],
        sheet: None,
    }
}
