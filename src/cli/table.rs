//! The table of a run, for spreadsheets and scripts: one line per file, in the private work folder.

use std::path::PathBuf;

use withhold::Result;
use withhold::pipeline::commit::write_private;
use withhold::pipeline::run::Batch;
use withhold::types::finding::Severity;
use withhold::types::report::{RunReport, Status};

const HEAD: [&str; 13] = [
    "item", "status", "resumed", "input", "output", "frames", "faces", "texts", "codes", "rounds", "warnings", "error",
    "message",
];

/// Writes the table of the last run and gives its path. Runs on shares of an archive have one each.
pub fn write(batch: &Batch<'_>, reports: &[RunReport]) -> Result<PathBuf> {
    let lines =
        batch.entries.iter().zip(reports).map(|(entry, report)| row(&entry.input().display().to_string(), report));
    let head = HEAD.map(str::to_owned);
    let text: String = std::iter::once(head).chain(lines).map(|cells| line(&cells)).collect();
    let share = batch.shard.map_or(String::new(), |s| format!("-{}-of-{}", s.index, s.count));
    let path = batch.work_dir.join(format!("summary{share}.csv"));
    write_private(&path, text.as_bytes())?;
    Ok(path)
}

fn row(input: &str, report: &RunReport) -> [String; 13] {
    let status = match report.status {
        Status::Done => "done",
        Status::Withheld => "withheld",
        Status::Skipped => "skipped",
        Status::Interrupted => "interrupted",
    };
    let regions = |class| report.regions.get(class).copied().unwrap_or(0).to_string();
    let warnings = report.findings.iter().filter(|f| f.severity > Severity::Note).count();
    let error = report.error.as_ref();
    [
        report.item.to_string(),
        status.into(),
        report.resumed.to_string(),
        input.into(),
        report.output.clone().unwrap_or_default(),
        report.frames.to_string(),
        regions("face"),
        regions("text"),
        regions("code"),
        report.rounds.to_string(),
        warnings.to_string(),
        error.map_or(String::new(), |e| format!("{:?}", e.kind).to_lowercase()),
        error.map_or(String::new(), |e| e.message.clone()),
    ]
}

/// As RFC 4180 has it.
fn line(cells: &[String]) -> String {
    let quoted = |cell: &String| {
        if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must() {
        let cells = ["plain", "a,b", "say \"no\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(line(&cells), "plain,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\r\n");
    }
}
