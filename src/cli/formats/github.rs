//! Workflow commands of GitHub Actions: annotations, of which a step may give ten errors, ten warnings and ten notices;
//! the rest are counted in the last.

use withhold::types::finding::Severity;
use withhold::types::report::RunReport;

use super::{incomplete, name_of, told};

/// Annotations of one kind that a step may give.
const LIMIT: usize = 10;

/// A line for each annotation.
pub fn commands(reports: &[RunReport]) -> String {
    let mut out = String::new();
    for (level, severity) in [("error", Severity::Error), ("warning", Severity::Warning), ("notice", Severity::Note)] {
        let mut lines = Vec::new();
        for report in reports {
            if let (Some(why), Severity::Error) = (incomplete(report), severity) {
                lines.push(line(level, report, "incomplete", &format!("not checked as a whole: {why}")));
            }
            let findings = report.findings.iter().filter(|f| f.severity == severity);
            lines.extend(findings.map(|f| line(level, report, f.rule.id(), &told(f))));
        }
        let more = lines.len().saturating_sub(LIMIT);
        if more > 0 {
            lines.truncate(LIMIT - 1);
            lines.push(format!("::{level} title=withhold::{} more; the JSON report has them all", more + 1));
        }
        lines.iter().for_each(|line| {
            out.push_str(line);
            out.push('\n');
        });
    }
    out
}

fn line(level: &str, report: &RunReport, title: &str, message: &str) -> String {
    let name = name_of(report);
    // Without a path there is no file to point at.
    let file = if report.input.is_some() { format!("file={},", property(&name)) } else { String::new() };
    format!("::{level} {file}title=withhold {title}::{}", data(&format!("{name}: {message}")))
}

/// Text of a message as the runner unescapes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Text of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::testing::reports;
    use super::*;

    #[test]
    fn one_line_each_and_never_more_than_the_runner_shows() {
        let text = commands(&reports());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("::error title=withhold visible-face::file-0002: a face is visible"), "{text}");
        assert!(lines[0].contains("%0A%25 at"), "{text}");
        assert!(lines[1].starts_with("::error file=out/b c.mp4,title=withhold incomplete::"), "{text}");
        assert!(lines[2].starts_with("::notice "), "{text}");
        let many: Vec<RunReport> = (0..20).flat_map(|_| reports()).collect();
        let text = commands(&many);
        assert_eq!(text.lines().filter(|l| l.starts_with("::error")).count(), LIMIT);
        assert!(text.contains("31 more"), "{text}");
    }
}
