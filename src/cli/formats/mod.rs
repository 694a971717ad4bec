//! Findings of a batch as other programs read them. None holds a path unless it was asked for, recognised text or a
//! picture.

mod github;
mod junit;
mod sarif;

use std::io::Write;

use withhold::types::finding::{Finding, Severity};
use withhold::types::report::{RunReport, Status};
use withhold::types::time::timecode;
use withhold::{Error, ErrorKind, Result, Stage};

use super::args::Format;

/// Writes what stands at the end of a batch to standard output; JSON lines went out as files were done.
/// Findings from `fail_on` on are failures, as they are for the exit code.
///
/// # Errors
/// `Io`, but for a reader that went away.
pub fn write(format: Format, reports: &[RunReport], fail_on: Severity) -> Result<()> {
    let text = match format {
        Format::Human | Format::Json => return Ok(()),
        Format::Sarif => sarif::document(reports),
        Format::Junit => junit::document(reports, fail_on),
        Format::Github => github::commands(reports),
    };
    on_stdout(&text)
}

/// Writes a report, or a line of it.
pub fn on_stdout(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that went away (a closed pipe) changes nothing about the outcome.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Stage::Setup, ErrorKind::Io, "the report can't be written to standard output").because(e))
        }
        _ => Ok(()),
    }
}

/// What a file is called: its path when paths are to be told, else its number in the batch.
fn name_of(report: &RunReport) -> String {
    report.input.clone().unwrap_or_else(|| format!("file-{:04}", report.item + 1))
}

/// Why a file could not be looked at as a whole.
fn incomplete(report: &RunReport) -> Option<String> {
    match (&report.error, report.status) {
        (Some(error), _) => Some(error.message.clone()),
        (None, Status::Withheld) => Some("withheld".into()),
        (None, Status::Interrupted) => Some("interrupted".into()),
        (None, Status::Done | Status::Skipped) => None,
    }
}

/// The message of a finding with its moment.
fn told(finding: &Finding) -> String {
    match finding.time_secs {
        Some(secs) => format!("{} at {}", finding.message, timecode(secs)),
        None => finding.message.clone(),
    }
}

#[cfg(test)]
mod testing {
    use withhold::types::finding::{Finding, Rule, Severity};
    use withhold::types::geometry::Rect;
    use withhold::types::report::{CHECK_KIND, ErrorReport, REPORT_VERSION, RunReport, Status};
    use withhold::{ErrorKind, Stage};

    fn report(item: usize, status: Status) -> RunReport {
        RunReport {
            kind: CHECK_KIND.into(),
            version: REPORT_VERSION,
            status,
            item,
            input: None,
            output: None,
            frames: 1,
            regions: Default::default(),
            rounds: 0,
            verify: None,
            findings: vec![],
            error: None,
            timings: vec![],
            sheet: None,
            resumed: false,
        }
    }

    /// A clean file, one with a face and an allowed chapter list, one that could not be read.
    pub fn reports() -> Vec<RunReport> {
        let mut bad = report(1, Status::Done);
        let face = Finding::new(Rule::VisibleFace, Severity::Error, "a face is visible <&\"'>,\n%");
        bad.findings = vec![
            face.at(7, 0.28).within(Rect::new(10.0, 20.0, 30.0, 40.0)),
            Finding::new(Rule::Chapters, Severity::Note, "chapters (allowed)"),
        ];
        bad.findings[0].fingerprint = Some("00ff".into());
        let mut unread = report(2, Status::Withheld);
        unread.input = Some("out/b c.mp4".into());
        unread.error =
            Some(ErrorReport { stage: Stage::Decode, kind: ErrorKind::Damaged, message: "is cut off".into() });
        vec![report(0, Status::Done), bad, unread]
    }
}
