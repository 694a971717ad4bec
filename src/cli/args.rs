//! The command line as typed. `settings` resolves it.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use withhold::pipeline::select::{Shard, parse_since};
use withhold::plan::{KeepRegion, OperatorRegion, Reasoned};
use withhold::types::finding::Rule;

const AFTER_HELP: &str = "\
Exit codes:
  0    done and verified
  2    the call, a path or an existing output is wrong
  3    something could not be read or was withheld; it has no output
  130  interrupted
The worst of a batch counts.

Nothing carries its final name unless it was decoded whole, redacted, read again and verified.
A detector can miss someone: look at the contact sheet of each file before you publish it.";

const CHECK_HELP: &str = "\
Every byte of the container has to be accounted for, every frame is decoded, and networks that redaction does not use
look for faces and text. A file that withhold did not write is a finding by itself unless residue is allowed.

Exit codes:
  0    nothing found (or only what --allow names, or weak signs to look at, unless --fail-on warning)
  1    something must not be published
  2    the call or a path is wrong
  3    incomplete: a file could not be read or is no media, or a detector could not run
  130  interrupted
The worst of a batch counts.

Examples:
  withhold check outgoing/
  withhold check outgoing/ --allow audio --format json > findings.jsonl
  withhold check outgoing/ --show-paths --format sarif > withhold.sarif";

const EXAMPLES: &str = "\
Examples:
  withhold redact clip.mp4 -o out
  withhold redact photos/ clips/ -o out --names serial
  withhold redact clip.mp4 -o out --keep-region 20,20,180,60=\"channel logo\" --audio voiceover.wav";

/// Hides who people are in photos and video before publication, and proves that it did.
#[derive(Debug, Parser)]
#[command(name = "withhold", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Analyse, redact and verify photos, clips and folders
    Redact(Redact),
    /// Write the redaction plan alone, to be reviewed and edited
    Analyze(Analyze),
    /// Render plans, perhaps edited; refuses a plan of another source
    Apply(Apply),
    /// Tell whether photos, clips and folders may be published
    Check(Check),
    /// Show versions, models, encoders and what is missing
    Doctor(Doctor),
    /// Print a man page, shell completions or a JSON Schema
    Generate(Generate),
}

/// Where things go and what is told; shared by all commands that work on files.
#[derive(Debug, ClapArgs)]
pub struct Output {
    /// Folder for the results; made when missing, mirrors the tree of input folders
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// Folder for plans, contact sheets and staging files, mode 0700. They are private: never publish them. One that holds
    /// anything else is refused.
    /// [default: DIR.withhold beside the output folder]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,

    /// Replace outputs that exist (never a source)
    #[arg(long)]
    pub overwrite: bool,

    #[command(flatten)]
    pub run: Run,

    /// Files in folders that are no media make the run fail
    #[arg(long)]
    pub strict: bool,
}

/// How a batch is run and what is told of it.
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// Files (photos) or network threads (clips) at work at once [default: number of cores]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,

    /// What is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Name the input paths in JSON reports; left out otherwise, because reports get passed on
    #[arg(long)]
    pub show_paths: bool,

    /// Tell where the time of each file went: wall and processor seconds of the parts of every phase
    #[arg(long)]
    pub timings: bool,

    /// Errors only
    #[arg(short, long)]
    pub quiet: bool,

    /// Tell every finding
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Lock in the processes that parse files (Landlock and seccomp): `auto` as far as the kernel can, and says what is
    /// missing; `require` refuses to work without
    #[arg(long, value_enum, default_value_t = Sandbox::Auto)]
    pub sandbox: Sandbox,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub engine: EngineArgs,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Limits per file")]
pub struct LimitArgs {
    /// Most pixels of one picture
    #[arg(long, value_name = "N", default_value_t = 536_870_912)]
    pub max_pixels: u64,

    /// Most seconds of a clip
    #[arg(long, value_name = "SECS", default_value_t = 172_800.0)]
    pub max_duration: f64,

    /// Most frames of a clip
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    pub max_frames: u64,

    /// Most streams of a container
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_streams: u32,

    /// Most seconds that the work on a file may take [default: no limit]
    #[arg(long, value_name = "SECS")]
    pub max_time: Option<f64>,

    /// Memory of a worker process, MiB
    #[arg(long, value_name = "MIB", default_value_t = 6144, value_parser = clap::value_parser!(u64).range(256..))]
    pub memory_limit: u64,

    /// Seconds without progress after which a worker is ended
    #[arg(long, value_name = "SECS", default_value_t = 120.0)]
    pub stall_timeout: f64,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// ONNX Runtime library, absolute path [default: beside the program, see doctor]
    #[arg(long, value_name = "FILE", env = "WITHHOLD_ONNXRUNTIME")]
    pub runtime: Option<PathBuf>,

    /// Folder with the network weights [default: beside the program, see doctor]
    #[arg(long, value_name = "DIR", env = "WITHHOLD_MODELS")]
    pub models: Option<PathBuf>,
}

/// Runs over many files.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Archives")]
pub struct Archive {
    /// Go on where an earlier run ended: files whose output is what that run verified are left as they are, all others
    /// are worked on. The journal of what was verified lies in the work folder
    #[arg(long)]
    pub resume: bool,

    /// Work on the Ith of N shares of the files, for N runs on one archive; a file's share depends on its path alone
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// Only files that were changed since a date (2026-01-31), a time (2026-01-31T18:00:00Z) or for a while (7days)
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<SystemTime>,

    /// Only files of this name (`*.mp4`) or path below the input folder (`2026/**`); may be given many times
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,

    /// No files of this name or path, as for --include
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
}

/// What is looked for.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Detection")]
pub struct Detection {
    /// What to look for; `none` masks only what --region names
    #[arg(long, value_enum, value_delimiter = ',', default_value = "faces,text,codes")]
    pub targets: Vec<Target>,

    /// Which text is masked: `documents` is the text on cards, pages and badges; `none` needs `--documents whole`
    #[arg(long, value_enum, default_value_t = TextScope::All)]
    pub text: TextScope,

    /// What becomes of cards, pages, badges and passports: `fields` masks what is filled in (lines, portraits, signatures,
    /// fingerprints, codes) and leaves the blank form; what can't be read well enough is masked whole. `whole` masks
    /// all of it
    #[arg(long, value_enum, default_value_t = DocumentMasks::Fields)]
    pub documents: DocumentMasks,

    /// Spare text that stays at one place near the upper or lower edge of a clip as long as it is seen. Each is recorded
    #[arg(long)]
    pub keep_captions: bool,

    /// Networks that look for faces; together they see more than each
    #[arg(long, value_enum, value_delimiter = ',', default_value = "yunet,centerface")]
    pub face_detectors: Vec<FaceDetector>,

    /// How little evidence of a face is enough: higher masks more, and more that is no face
    #[arg(long, value_enum, default_value_t = Sensitivity::Normal)]
    pub sensitivity: Sensitivity,

    /// Grow every mask further on each side, as a share of its size (0.1: by a tenth)
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub margin: f32,

    /// When a head is lost in mid-picture without a cut: `hold` masks the area where it may be for a second more,
    /// growing; `blank` masks the whole picture for as long. Either way the moment is on the review list
    #[arg(long, value_enum, default_value_t = OnLost::Hold)]
    pub on_lost: OnLost,

    /// People whose faces are not found, known by their poses: `head` masks the place of the head, `report` only puts
    /// them on the review list, `off` does not look for them. In clips they are looked for at cuts and every 72 frames
    #[arg(long, value_enum, default_value_t = Unseen::Head)]
    pub unseen: Unseen,

    /// Mask a region that you name: x,y,width,height in pixels of the upright picture, with @t0-t1 (seconds or h:mm:ss)
    /// for a part of a clip; may be given many times
    #[arg(long, value_name = "X,Y,W,H[@T0-T1]")]
    pub region: Vec<OperatorRegion>,

    /// Spare what lies in a region, for a reason that is recorded: x,y,width,height[@t0-t1]=reason
    #[arg(long, value_name = "X,Y,W,H[@T0-T1]=REASON")]
    pub keep_region: Vec<KeepRegion>,

    /// Go on after decode errors: the frames from the error to the next clean key frame are masked whole
    #[arg(long)]
    pub allow_damaged: bool,
}

/// How masks look.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Look")]
pub struct Look {
    /// Look of the masks. blur and mosaic are drawn by a generator that never sees the picture: of each region they
    /// carry one of 16 tones and nothing else, so there is nothing to undo
    #[arg(long, value_enum, default_value_t = Style::Fill)]
    pub style: Style,

    /// Colour of `fill`: grey, black, white or RRGGBB
    #[arg(long, value_name = "COLOR", default_value = "grey", value_parser = super::settings::parse_color)]
    pub fill_color: [u8; 3],
}

/// How results are encoded.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Encoding")]
pub struct Encoding {
    /// Video codec, as far as the linked FFmpeg has an encoder
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    pub codec: Codec,

    /// Constant quality of the video encoder; lower is better [default: 18 for h264]
    #[arg(long, value_name = "N")]
    pub crf: Option<u8>,

    /// Preset of the video encoder [default: veryfast for h264]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,

    /// Keep more than 8 bits and chroma finer than 4:2:0 (HDR keeps 10 bits in any case)
    #[arg(long)]
    pub keep_depth: bool,

    /// Sound: `none`, because a voice identifies; `keep` (encoded anew); or a file with a re-voiced track
    #[arg(long, value_name = "none|keep|FILE", default_value = "none")]
    pub audio: String,

    /// Quality of JPEG photos, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 92, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,

    /// How much of the finished file is searched again: `sampled` asks networks that redaction does not use, `full` looks
    /// at every frame as `check` does. Masks and pictures are compared on every frame either way
    #[arg(long, value_enum, default_value_t = Verify::Sampled)]
    pub verify: Verify,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP, after_long_help = format!("{EXAMPLES}\n\n{AFTER_HELP}"))]
pub struct Redact {
    /// Photos, clips and folders (searched through)
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Names of the outputs: the source's below the source's folders, or numbers side by side, because names can tell
    /// who, where and when
    #[arg(long, value_enum, default_value_t = Names::Stem)]
    pub names: Names,

    #[command(flatten)]
    pub archive: Archive,

    #[command(flatten)]
    pub out: Output,

    #[command(flatten)]
    pub detection: Detection,

    #[command(flatten)]
    pub look: Look,

    #[command(flatten)]
    pub encoding: Encoding,
}

#[derive(Debug, ClapArgs)]
pub struct Analyze {
    /// Photos, clips and folders (searched through)
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub out: Output,

    #[command(flatten)]
    pub detection: Detection,

    #[command(flatten)]
    pub look: Look,
}

#[derive(Debug, ClapArgs)]
pub struct Apply {
    /// Plans that `analyze` or `redact` wrote
    #[arg(required = true, value_name = "PLAN")]
    pub plans: Vec<PathBuf>,

    /// The source of the plan, or a folder that holds the sources, when they are not where they were
    #[arg(long, value_name = "PATH")]
    pub source: Option<PathBuf>,

    /// A region is a false alarm: do not mask it
    #[arg(long, value_name = "ID=REASON")]
    pub drop: Vec<Reasoned>,

    /// A region is what it is, but shall stay visible
    #[arg(long, value_name = "ID=REASON")]
    pub keep: Vec<Reasoned>,

    /// Mask a region that the plan keeps: a weak one that was not masked, say
    #[arg(long, value_name = "ID")]
    pub mask: Vec<String>,

    /// Mask one more region
    #[arg(long, value_name = "X,Y,W,H[@T0-T1]")]
    pub region: Vec<OperatorRegion>,

    #[command(flatten)]
    pub out: Output,

    #[command(flatten)]
    pub encoding: Encoding,

    /// Go on after decode errors, as the plan was made
    #[arg(long)]
    pub allow_damaged: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = CHECK_HELP)]
pub struct Check {
    /// Photos, clips and folders (searched through), whoever made them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// What to look for in pictures
    #[arg(long, value_enum, value_delimiter = ',', default_value = "faces,text")]
    pub targets: Vec<CheckTarget>,

    /// What may be there, told all the same but no reason to fail: faces, text, audio, metadata, residue, unknown-files,
    /// or single rules, as metadata-time or chapters
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = super::settings::parse_rules)]
    pub allow: Vec<Vec<Rule>>,

    /// Rules to allow and the severity to fail on, from a JSON file; flags add to it. See `withhold generate policy-schema`
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// Findings that were looked at, from a JSON file: by the file's hash, with a reason and a last day. See `withhold
    /// generate baseline-schema`
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// From which severity on a finding fails the check [default: error]
    #[arg(long, value_enum)]
    pub fail_on: Option<FailOn>,

    /// Search every Nth frame of clips; all are decoded either way
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,

    /// Colour of the masks that may be there: grey, black, white or RRGGBB
    #[arg(long, value_name = "COLOR", default_value = "grey", value_parser = super::settings::parse_color)]
    pub fill_color: [u8; 3],

    #[command(flatten)]
    pub run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckTarget {
    Faces,
    Text,
    /// Bytes alone: pictures are decoded, but not searched
    None,
}

#[derive(Debug, ClapArgs)]
pub struct Doctor {
    #[command(flatten)]
    pub engine: EngineArgs,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Generate {
    /// What to print
    #[arg(value_enum)]
    pub what: Generated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Nothing; messages go to standard error
    Human,
    /// One typed, versioned JSON line per file
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML: a test case per file and rule
    Junit,
    /// Annotations of GitHub Actions
    Github,
}

/// From which severity on a finding fails a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What must not be published
    Error,
    /// Weak signs as well: what may be a face or a text
    Warning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    Require,
    Auto,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Names {
    Stem,
    Serial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    Faces,
    Text,
    /// Bar codes and matrix codes, read or only shaped like one
    Codes,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextScope {
    All,
    Documents,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentMasks {
    Fields,
    Whole,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FaceDetector {
    Yunet,
    Centerface,
    /// SeetaFace's frontal detector (rustface)
    Seeta,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sensitivity {
    Low,
    Normal,
    High,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnLost {
    Hold,
    Blank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unseen {
    Off,
    Report,
    Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Style {
    Fill,
    Blur,
    Mosaic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    H264,
    H265,
    Vp9,
    Av1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verify {
    Sampled,
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    Man,
    Bash,
    Zsh,
    Fish,
    /// JSON Schema of plans
    PlanSchema,
    /// JSON Schema of reports
    ReportSchema,
    /// JSON Schema of `check --policy`
    PolicySchema,
    /// JSON Schema of `check --baseline`
    BaselineSchema,
    /// The rules of `check`: name, group, meaning
    Rules,
}
