//! Bytes inside of coded pictures that decoding has no use for, as findings: what only decoders can tell.

use std::fs::File;

use super::worker::Job;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::media::sniff::Sniffed;
use crate::media::{second, webp_spare};
use crate::types::finding::{Finding, FindingList, Rule, Severity};
use crate::types::progress::{Continue, Observer, Phase};
use crate::types::report::VerifyReport;

/// Tells of spare bytes in a file that was decoded as a whole, with `report`.
///
/// # Errors
/// When the file cannot be read again, and an interruption.
pub fn tell(
    file: &File,
    sniffed: &Sniffed,
    job: &Job,
    report: &VerifyReport,
    observer: &dyn Observer,
    findings: &mut FindingList,
) -> Result<()> {
    let limits = &job.settings.limits;
    let message = match sniffed {
        Sniffed::WebP { animated: false } => webp_spare::has_spare_bytes(file, limits)?
            .then(|| "the picture decodes as well without its last bytes".to_owned()),
        Sniffed::MaybeClip => {
            let again = file.try_clone().map_err(|e| {
                Error::new(Stage::Open, ErrorKind::Io, "cannot be opened again").because(e).at(&job.label)
            })?;
            // Frames count once; that it goes on is all there is to tell.
            let step = || match observer.progress(Phase::Verify, report.frames, Some(report.frames)) {
                Continue::Cancel => Err(Error::new(Stage::Verify, ErrorKind::Cancelled, "interrupted")),
                Continue::Yes => Ok(()),
            };
            let refused = second::refused(again, limits, step)?;
            refused.map(|second::Refused { sample, decoder, why }| {
                format!("sample {sample} holds bytes that its picture does not need: {decoder} refuses it ({why})")
            })
        }
        _ => None,
    };
    if let Some(message) = message {
        findings.tell(Finding::new(Rule::UnusedData, Severity::Error, message));
    }
    Ok(())
}
