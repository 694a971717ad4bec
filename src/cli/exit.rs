//! Exit codes: which cause gives which code. The README shows the same table.

use std::process::ExitCode;

use withhold::ErrorKind;
use withhold::pipeline::gate::Gate;
use withhold::types::report::{RunReport, Status};

/// How the program ends. Ordered: the worst of a batch wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done and verified.
    Success,
    /// `check` found what must not be published.
    Findings,
    /// The call, a path or an existing output.
    Usage,
    /// Something could not be read, or was withheld: it has no output.
    Incomplete,
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Incomplete => 3,
            Exit::Interrupted => 130,
        }
    }

    /// The code for an error of one file or of the whole call.
    pub fn of_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage | ErrorKind::NotMedia | ErrorKind::Plan => Exit::Usage,
            ErrorKind::Cancelled => Exit::Interrupted,
            _ => Exit::Incomplete,
        }
    }

    /// The code for one file. `strict`: files that are no media count as wrong use.
    pub fn of_report(report: &RunReport, strict: bool) -> Self {
        match (report.status, &report.error) {
            (Status::Done, _) => Exit::Success,
            (Status::Skipped, _) if strict => Exit::Usage,
            (Status::Skipped, _) => Exit::Success,
            (Status::Interrupted, _) => Exit::Interrupted,
            (Status::Withheld, Some(error)) => Exit::of_error(error.kind),
            (Status::Withheld, None) => Exit::Incomplete,
        }
    }

    /// The code for one file that was checked.
    pub fn of_check(report: &RunReport, gate: &Gate) -> Self {
        match (Self::of_report(report, false), &report.error) {
            (Exit::Success, _) if gate.fails(&report.findings) => Exit::Findings,
            // What was named and turns out to be no media has not been looked at.
            (Exit::Usage, Some(error)) if error.kind == ErrorKind::NotMedia => Exit::Incomplete,
            (exit, _) => exit,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_their_codes() {
        for (kind, code) in [
            (ErrorKind::Usage, 2),
            (ErrorKind::NotMedia, 2),
            (ErrorKind::Plan, 2),
            (ErrorKind::Unsupported, 3),
            (ErrorKind::Damaged, 3),
            (ErrorKind::Limit, 3),
            (ErrorKind::Model, 3),
            (ErrorKind::Unverified, 3),
            (ErrorKind::Io, 3),
            (ErrorKind::Worker, 3),
            (ErrorKind::Internal, 3),
            (ErrorKind::Cancelled, 130),
        ] {
            assert_eq!(Exit::of_error(kind).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn the_worst_of_a_batch_wins() {
        let worst = [Exit::Success, Exit::Incomplete, Exit::Usage].into_iter().max();
        assert_eq!(worst, Some(Exit::Incomplete));
        assert!(Exit::Interrupted > Exit::Incomplete);
    }
}
