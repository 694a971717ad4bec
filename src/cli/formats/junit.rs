//! JUnit XML: a suite for each file, a test case for each rule that says something about it.

use std::collections::BTreeMap;
use std::fmt::Write;

use withhold::types::finding::{Finding, Rule, Severity};
use withhold::types::report::RunReport;

use super::{incomplete, name_of, told};

/// One document with all files of the batch.
pub fn document(reports: &[RunReport], fail_on: Severity) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"withhold\">\n");
    for report in reports {
        suite(report, fail_on, &mut out);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(report: &RunReport, fail_on: Severity, out: &mut String) {
    let name = escaped(&name_of(report));
    let mut by_rule: BTreeMap<Rule, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        by_rule.entry(finding.rule).or_default().push(finding);
    }
    let is_bad = |list: &[&Finding]| list.iter().any(|f| f.severity >= fail_on);
    let failures = by_rule.values().filter(|list| is_bad(list)).count();
    let error = incomplete(report);
    // The file itself is a case: it was looked at as a whole, or not.
    let (tests, errors) = (by_rule.len() + 1, usize::from(error.is_some()));
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\">"
    );
    let _ = write!(out, "    <testcase classname=\"{name}\" name=\"checked\"");
    match error {
        Some(why) => {
            let _ = writeln!(out, "><error message=\"{}\"/></testcase>", escaped(&why));
        }
        None => out.push_str("/>\n"),
    }
    for (rule, list) in by_rule {
        let text: Vec<String> = list.iter().map(|f| escaped(&told(f))).collect();
        let _ = write!(out, "    <testcase classname=\"{name}\" name=\"{}\">", rule.id());
        let _ = match is_bad(&list) {
            true => write!(out, "<failure message=\"{}\">{}</failure>", escaped(rule.about()), text.join("\n")),
            false => write!(out, "<system-out>{}</system-out>", text.join("\n")),
        };
        out.push_str("</testcase>\n");
    }
    out.push_str("  </testsuite>\n");
}

/// Text for content and attributes; what XML 1.0 cannot hold becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::reports;
    use super::*;

    #[test]
    fn a_case_for_each_file_and_rule() {
        let text = document(&reports(), Severity::Error);
        assert_eq!(text.matches("<testcase").count(), 5);
        assert_eq!((text.matches("<failure").count(), text.matches("<error").count()), (1, 1));
        assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"0\""), "{text}");
        assert!(document(&reports(), Severity::Note).contains("tests=\"3\" failures=\"2\" errors=\"0\""));
        assert!(text.contains("&lt;&amp;&quot;'&gt;,") && text.contains("out/b c.mp4"), "{text}");
    }
}
