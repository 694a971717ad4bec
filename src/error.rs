//! The one error type of the library: what failed, in which stage, on which file, and whether a retry can help.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A stage of the pipeline, as named in messages and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Walking inputs, naming outputs, checking arguments.
    Setup,
    /// Opening and probing a file.
    Open,
    Decode,
    /// Loading or running a network.
    Infer,
    Detect,
    Track,
    Plan,
    Render,
    Encode,
    Verify,
    /// Fsync and rename into place.
    Commit,
    /// The supervision of worker processes.
    Worker,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Stage::Setup => "setup",
            Stage::Open => "open",
            Stage::Decode => "decode",
            Stage::Infer => "infer",
            Stage::Detect => "detect",
            Stage::Track => "track",
            Stage::Plan => "plan",
            Stage::Render => "render",
            Stage::Encode => "encode",
            Stage::Verify => "verify",
            Stage::Commit => "commit",
            Stage::Worker => "worker",
        };
        f.write_str(name)
    }
}

/// Why it failed, coarse enough for a caller to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call itself is wrong: arguments, paths, settings, an existing output.
    Usage,
    /// Not a photo and not a clip.
    NotMedia,
    /// Media of a kind that this build refuses by name.
    Unsupported,
    /// Truncated, corrupt or self-contradicting content.
    Damaged,
    /// A limit of [`crate::types::limits::Limits`] was exceeded.
    Limit,
    /// A network, its weights or the inference runtime is missing or not the expected one.
    Model,
    /// The plan is malformed or belongs to another source.
    Plan,
    /// The finished file did not pass verification; it was withheld.
    Unverified,
    /// The operating system refused a read or write (full disk, permissions).
    Io,
    /// A worker process crashed, hung or ran out of memory.
    Worker,
    /// The user interrupted.
    Cancelled,
    /// A state that must not happen.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without a change of the input.
    pub fn retry_helps(self) -> bool {
        matches!(self, ErrorKind::Io | ErrorKind::Worker | ErrorKind::Cancelled)
    }
}

/// An error of the library. Displays as one line: file, what happened, what to do.
#[derive(Debug)]
pub struct Error {
    stage: Stage,
    kind: ErrorKind,
    path: Option<PathBuf>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    advice: Option<&'static str>,
}

impl Error {
    /// An error with a message that says what happened and, where it is known, what to do.
    pub fn new(stage: Stage, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { stage, kind, path: None, message: message.into(), source: None, advice: None }
    }

    /// Keeps the underlying error for the log; its text is shown behind the message.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what to do, behind the cause.
    pub fn advise(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// Names the file concerned. The innermost name wins.
    pub fn at(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The message without the path, for reports that must not name the source.
    pub fn message(&self) -> String {
        let cause = self.source.as_ref().map_or(String::new(), |source| format!(": {source}"));
        let advice = self.advice.map_or(String::new(), |advice| format!("; {advice}"));
        format!("{}{cause}{advice}", self.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        write!(f, "{}", self.message())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}
