//! From the command line as typed to settled settings.

use std::ffi::OsString;
use std::path::PathBuf;

use withhold::detect::document::Documents;
use withhold::detect::face::ensemble::Sensitivity;
use withhold::media::encode::VideoCodec;
use withhold::pipeline::batch::absolute;
use withhold::pipeline::gate::{self, Gate};
use withhold::pipeline::sandbox::SandboxMode;
use withhold::pipeline::settings::{
    AudioChoice, Encoding, FaceDetectorName, Settings, Targets, TextScope, Unseen, VerifyLevel,
};
use withhold::plan::policy::OnLost;
use withhold::types::finding::Rule;
use withhold::types::limits::Limits;
use withhold::types::plan::MaskStyle;
use withhold::{Error, ErrorKind, Result, Stage};

use super::args::{self, LimitArgs};

fn usage(message: impl Into<String>) -> Error {
    Error::new(Stage::Setup, ErrorKind::Usage, message)
}

/// Number of workers: as asked, else one per core.
pub fn jobs(out: &args::Run) -> Result<usize> {
    match out.jobs {
        Some(0) => Err(usage("--jobs takes a number from 1")),
        Some(jobs) => Ok(jobs),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

/// The private folder: as named, else beside the output folder.
pub fn work_dir(out: &args::Output) -> Result<PathBuf> {
    let output = absolute(&out.output)?;
    let work = match &out.work_dir {
        Some(dir) => absolute(dir)?,
        None => {
            let mut name = output.file_name().map_or_else(|| OsString::from("out"), OsString::from);
            name.push(".withhold");
            output.with_file_name(name)
        }
    };
    if work.starts_with(&output) {
        let message = "the work folder lies inside the output folder, but holds what must not be published";
        return Err(usage(message).at(&work));
    }
    Ok(work)
}

fn limits(out: &args::Run) -> Result<Limits> {
    let LimitArgs { stall_timeout, max_duration, max_time, .. } = out.limits;
    for (flag, secs) in [
        ("--stall-timeout", stall_timeout),
        ("--max-duration", max_duration),
        ("--max-time", max_time.unwrap_or(stall_timeout)),
    ] {
        if !(secs > 0.0 && secs <= 1e9) {
            return Err(usage(format!("{flag} takes a number of seconds above 0")));
        }
    }
    Ok(Limits {
        pixels: out.limits.max_pixels,
        duration_secs: max_duration,
        memory_bytes: out.limits.memory_limit.saturating_mul(1 << 20),
        stall_secs: stall_timeout,
        frames: out.limits.max_frames,
        streams: out.limits.max_streams,
        time_secs: max_time,
        ..Limits::default()
    })
}

fn targets(detection: &args::Detection) -> Result<Targets> {
    let named = &detection.targets;
    if named.contains(&args::Target::None) && named.len() > 1 {
        return Err(usage("--targets none can't be combined with other targets"));
    }
    let lines = match detection.text {
        args::TextScope::All => TextScope::All,
        args::TextScope::Documents => TextScope::Documents,
        args::TextScope::None => TextScope::None,
    };
    let documents = match detection.documents {
        args::DocumentMasks::Fields => Documents::Fields,
        args::DocumentMasks::Whole => Documents::Whole,
        args::DocumentMasks::Off => Documents::Off,
    };
    match (lines, documents) {
        (TextScope::Documents, Documents::Off) => {
            return Err(usage("--text documents needs --documents fields or whole"));
        }
        (TextScope::None, Documents::Fields | Documents::Off) => {
            return Err(usage(
                "--text none needs --documents whole; to look for no text at all, leave it out of --targets",
            ));
        }
        _ => {}
    }
    let wants = |target| named.contains(&target);
    Ok(Targets {
        faces: wants(args::Target::Faces),
        text: wants(args::Target::Text),
        codes: wants(args::Target::Codes),
        lines,
        documents,
    })
}

/// Presets of x264 and x265.
const PRESETS: [&str; 10] =
    ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"];

/// Refuses what the encoder would refuse, or quietly change, only after the whole analysis.
fn check_quality(args: &args::Encoding, codec: VideoCodec) -> Result<()> {
    let (most, fastest) = match codec {
        VideoCodec::H264 | VideoCodec::H265 => (51, None),
        VideoCodec::Vp9 => (63, Some(8)),
        VideoCodec::Av1 => (63, Some(13)),
    };
    if let Some(crf) = args.crf.filter(|crf| *crf > most) {
        return Err(usage(format!("--crf {crf} is too high: {} takes 0 to {most}", codec.name())));
    }
    let Some(preset) = &args.preset else { return Ok(()) };
    match fastest {
        None if PRESETS.contains(&preset.as_str()) => Ok(()),
        None => Err(usage(format!("--preset {preset} is unknown: {} takes {}", codec.name(), PRESETS.join(", ")))),
        Some(fastest) if preset.parse::<u8>().is_ok_and(|p| p <= fastest) => Ok(()),
        Some(fastest) => Err(usage(format!("--preset {preset} is unknown: {} takes 0 to {fastest}", codec.name()))),
    }
}

fn encoding(args: &args::Encoding) -> Result<Encoding> {
    let audio = match args.audio.as_str() {
        "none" => AudioChoice::None,
        "keep" => AudioChoice::Keep,
        file => {
            let path = std::path::absolute(file).map_err(|e| usage("not a usable path").because(e))?;
            if !path.is_file() {
                return Err(usage("--audio takes `none`, `keep` or a file; there is no such file").at(&path));
            }
            AudioChoice::File(path)
        }
    };
    let codec = match args.codec {
        args::Codec::H264 => VideoCodec::H264,
        args::Codec::H265 => VideoCodec::H265,
        args::Codec::Vp9 => VideoCodec::Vp9,
        args::Codec::Av1 => VideoCodec::Av1,
    };
    check_quality(args, codec)?;
    Ok(Encoding {
        codec,
        crf: args.crf,
        preset: args.preset.clone(),
        keep_depth: args.keep_depth,
        audio,
        photo_quality: args.quality,
    })
}

fn style(style: args::Style) -> MaskStyle {
    match style {
        args::Style::Fill => MaskStyle::Fill,
        args::Style::Blur => MaskStyle::Blur,
        args::Style::Mosaic => MaskStyle::Mosaic,
    }
}

/// Settings of `redact` and `analyze`; the latter has no encoding.
pub fn of_analysis(
    out: &args::Output,
    detection: &args::Detection,
    look: &args::Look,
    encode: Option<&args::Encoding>,
) -> Result<Settings> {
    if !(0.0..=2.0).contains(&detection.margin) {
        return Err(usage("--margin takes a share from 0 to 2"));
    }
    let mut settings = of_rendering(out, encode, detection.allow_damaged)?;
    settings.targets = targets(detection)?;
    let name = |d: &args::FaceDetector| match d {
        args::FaceDetector::Yunet => FaceDetectorName::Yunet,
        args::FaceDetector::Centerface => FaceDetectorName::Centerface,
        args::FaceDetector::Seeta => FaceDetectorName::Seeta,
    };
    settings.face_detectors = detection.face_detectors.iter().map(name).collect();
    settings.sensitivity = match detection.sensitivity {
        args::Sensitivity::Low => Sensitivity::Low,
        args::Sensitivity::Normal => Sensitivity::Normal,
        args::Sensitivity::High => Sensitivity::High,
        args::Sensitivity::Max => Sensitivity::Max,
    };
    settings.margin = detection.margin;
    settings.on_lost = match detection.on_lost {
        args::OnLost::Hold => OnLost::Hold,
        args::OnLost::Blank => OnLost::Blank,
    };
    settings.unseen = match detection.unseen {
        args::Unseen::Off => Unseen::Off,
        args::Unseen::Report => Unseen::Report,
        args::Unseen::Head => Unseen::Head,
    };
    settings.keep_captions = detection.keep_captions;
    settings.style = style(look.style);
    settings.fill_color = look.fill_color;
    settings.regions = detection.region.clone();
    settings.keep_regions = detection.keep_region.clone();
    Ok(settings)
}

/// Settings of `check`.
pub fn of_check(args: &args::Check, gate: &Gate) -> Result<Settings> {
    let wants = |target| args.targets.contains(&target);
    if wants(args::CheckTarget::None) && args.targets.len() > 1 {
        return Err(usage("--targets none can't be combined with other targets"));
    }
    let allows_audio = gate.allowed.contains(&Rule::AudioPresent);
    let mut settings = of_rendering_run(&args.run, None, false)?;
    let (faces, text) = (wants(args::CheckTarget::Faces), wants(args::CheckTarget::Text));
    settings.targets = Targets { faces, text, codes: false, ..settings.targets };
    settings.encoding.audio = if allows_audio { AudioChoice::Keep } else { AudioChoice::None };
    settings.fill_color = args.fill_color;
    Ok(settings)
}

/// Settings of `apply`: what the plan decides is not read from here.
pub fn of_rendering(out: &args::Output, encode: Option<&args::Encoding>, allow_damaged: bool) -> Result<Settings> {
    of_rendering_run(&out.run, encode, allow_damaged)
}

fn of_rendering_run(out: &args::Run, encode: Option<&args::Encoding>, allow_damaged: bool) -> Result<Settings> {
    let default = Encoding {
        codec: VideoCodec::H264,
        crf: None,
        preset: None,
        keep_depth: false,
        audio: AudioChoice::None,
        photo_quality: 92,
    };
    let verify = encode.map_or(args::Verify::Sampled, |e| e.verify);
    Ok(Settings {
        targets: Targets {
            faces: true,
            text: true,
            codes: true,
            lines: TextScope::default(),
            documents: Documents::default(),
        },
        face_detectors: vec![FaceDetectorName::Yunet, FaceDetectorName::Centerface],
        sensitivity: Sensitivity::default(),
        margin: 0.0,
        on_lost: OnLost::default(),
        unseen: Unseen::default(),
        keep_captions: false,
        style: MaskStyle::Fill,
        fill_color: [128; 3],
        regions: vec![],
        keep_regions: vec![],
        encoding: encode.map(encoding).transpose()?.unwrap_or(default),
        verify: match verify {
            args::Verify::Sampled => VerifyLevel::Sampled,
            args::Verify::Full => VerifyLevel::Full,
        },
        allow_damaged,
        limits: limits(out)?,
        sandbox: match out.sandbox {
            args::Sandbox::Require => SandboxMode::Require,
            args::Sandbox::Auto => SandboxMode::Auto,
            args::Sandbox::Off => SandboxMode::Off,
        },
        inference_threads: 1,
        runtime: out.engine.runtime.clone(),
        models: out.engine.models.clone(),
    })
}

/// A rule of `check`, or all rules of a group.
pub fn parse_rules(name: &str) -> Result<Vec<Rule>, String> {
    gate::rules(name).map_err(|e| e.message())
}

/// `grey`, `black`, `white` or six hexadecimal digits.
pub fn parse_color(text: &str) -> Result<[u8; 3], String> {
    match text {
        "grey" | "gray" => return Ok([128; 3]),
        "black" => return Ok([0; 3]),
        "white" => return Ok([255; 3]),
        _ => {}
    }
    let digits = text.strip_prefix('#').unwrap_or(text);
    // Digits alone: the parser would take a sign too.
    let is_hex = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let value = is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten();
    let value = value.ok_or_else(|| "takes grey, black, white or RRGGBB".to_owned())?;
    let [_, rgb @ ..] = value.to_be_bytes();
    Ok(rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours() {
        for (text, want) in [
            ("grey", Some([128, 128, 128])),
            ("#ff8000", Some([255, 128, 0])),
            ("0a0B0c", Some([10, 11, 12])),
            ("fff", None),
            ("ggg000", None),
            ("+12345", None),
        ] {
            assert_eq!(parse_color(text).ok(), want, "{text}");
        }
    }
}
