//! SARIF 2.1.0 (OASIS), for code scanning and its viewers.

use serde_json::{Value, json};
use withhold::types::finding::{Finding, Rule, Severity};
use withhold::types::report::{RunReport, Status};

use super::{incomplete, name_of, told};

/// One run with all files of the batch.
pub fn document(reports: &[RunReport]) -> String {
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "shortDescription": { "text": rule.about() },
                "properties": { "tags": [rule.group().id()] },
            })
        })
        .collect();
    let results: Vec<Value> = reports.iter().flat_map(|r| r.findings.iter().map(move |f| result(r, f))).collect();
    let notifications: Vec<Value> = reports
        .iter()
        .filter_map(|r| {
            let why = incomplete(r)?;
            Some(json!({
                "level": "error",
                "message": { "text": format!("not checked as a whole: {why}") },
                "locations": [location(r)],
            }))
        })
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "withhold",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": notifications.is_empty()
                    && reports.iter().all(|r| r.status != Status::Interrupted),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn result(report: &RunReport, finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let mut properties = serde_json::Map::new();
    if let Some(frame) = finding.frame {
        properties.insert("frame".into(), frame.into());
    }
    if let Some(secs) = finding.time_secs {
        properties.insert("timeSecs".into(), secs.into());
    }
    if let Some(bounds) = finding.bounds {
        properties.insert("bounds".into(), json!([bounds.x, bounds.y, bounds.width, bounds.height]));
    }
    let mut result = json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|r| *r == finding.rule),
        "level": level,
        "message": { "text": told(finding) },
        "locations": [location(report)],
        "properties": properties,
    });
    if let Some(fingerprint) = &finding.fingerprint {
        result["partialFingerprints"] = json!({ "withholdFinding/v1": fingerprint });
    }
    result
}

fn location(report: &RunReport) -> Value {
    json!({ "physicalLocation": { "artifactLocation": { "uri": uri(&name_of(report)) } } })
}

/// A path as a URI reference: what is not unreserved is percent-encoded.
fn uri(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::reports;
    use super::*;

    #[test]
    fn findings_are_results_and_unread_files_notifications() {
        let document: Value = serde_json::from_str(&document(&reports())).unwrap();
        let run = &document["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        let face = &results[0];
        assert_eq!((face["ruleId"].as_str(), face["level"].as_str()), (Some("visible-face"), Some("error")));
        let index = face["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "visible-face");
        assert_eq!(face["properties"], json!({"frame": 7, "timeSecs": 0.28, "bounds": [10.0, 20.0, 30.0, 40.0]}));
        assert_eq!(face["partialFingerprints"]["withholdFinding/v1"], "00ff");
        assert_eq!(face["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "file-0002");
        let invocation = &run["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        let unread = &invocation["toolExecutionNotifications"][0];
        assert_eq!(unread["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "out/b%20c.mp4");
    }
}
