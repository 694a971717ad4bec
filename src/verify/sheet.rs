//! The contact sheet: one static HTML page that shows a human the moments of a finished file that deserve a look.
//!
//! Made from the redacted output only. No script, nothing remote; pictures are inlined, so the page is one file.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::types::finding::{Finding, Severity};
use crate::types::report::VerifyReport;
use crate::types::time::{FrameIndex, timecode};

/// Region ids shown under a picture; more are counted.
const MAX_IDS: usize = 12;
/// Findings listed; more are counted.
const MAX_FINDINGS: usize = 200;

/// One picture of the sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub frame: FrameIndex,
    pub time_secs: f64,
    /// Why it is shown: `f1 begins`, `cut`, ...
    pub label: String,
    /// Ids of the regions that stand in this frame.
    pub regions: Vec<String>,
    /// A small JPEG of the **redacted** frame.
    pub jpeg: Vec<u8>,
}

/// What the head of the sheet tells.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// File name of the output, without folders.
    pub output: String,
    /// File name of the plan, for the commands that change it.
    pub plan: String,
    pub frames: u64,
    /// 0 for photos.
    pub duration_secs: f64,
    /// Regions by class name.
    pub regions: BTreeMap<String, u64>,
    pub verify: Option<VerifyReport>,
    /// Worst first.
    pub findings: Vec<Finding>,
}

/// Text that is safe inside of elements and double-quoted attributes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Control characters and those that turn the writing direction could disguise a name.
                c if c.is_control()
                    || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
                {
                    f.write_char('\u{fffd}')?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The whole page.
pub fn contact_sheet(summary: &Summary, moments: &[Moment]) -> String {
    let mut page = String::with_capacity(8192 + moments.iter().map(|m| m.jpeg.len() * 4 / 3 + 512).sum::<usize>());
    page.push_str(HEAD);
    page.push_str(STYLE);
    let title = Escaped(&summary.output);
    put(&mut page, format_args!("<title>{title}: contact sheet</title></head><body>\n<header><h1>{title}</h1>\n"));
    put_facts(&mut page, summary);
    page.push_str("</header>\n<main>\n");
    put_findings(&mut page, summary, moments);
    put_moments(&mut page, summary, moments);
    put_help(&mut page, summary);
    page.push_str("</main>\n</body></html>\n");
    page
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = page.write_fmt(text);
}

fn put_facts(page: &mut String, summary: &Summary) {
    page.push_str("<dl>");
    let mut fact = |name: &str, value: &str| {
        put(page, format_args!("<div><dt>{}</dt><dd>{}</dd></div>", Escaped(name), Escaped(value)));
    };
    fact("Frames", &summary.frames.to_string());
    if summary.duration_secs > 0.0 {
        fact("Length", &timecode(summary.duration_secs));
    }
    for (class, count) in &summary.regions {
        fact(&format!("Regions: {class}"), &count.to_string());
    }
    if let Some(v) = &summary.verify {
        fact("Frames compared", &v.frames.to_string());
        fact("Masked pixels checked", &v.masked_pixels.to_string());
        fact("Frames searched again", &v.frames_searched.to_string());
        fact("Hits there", &v.hits_output.to_string());
        fact("Frames searched in the source", &v.frames_searched_source.to_string());
        fact("Hits there", &v.hits_source.to_string());
    }
    page.push_str("</dl>\n<p class=\"lead\">All pictures come from the redacted file. Look at each of them: what a detector missed, only you can see.</p>\n");
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "look here",
        Severity::Error => "error",
    }
}

fn put_findings(page: &mut String, summary: &Summary, moments: &[Moment]) {
    if summary.findings.is_empty() {
        return;
    }
    page.push_str("<section><h2>Findings</h2>\n<ul class=\"findings\">\n");
    for finding in summary.findings.iter().take(MAX_FINDINGS) {
        let name = severity_name(finding.severity);
        put(page, format_args!("<li class=\"{}\"><b>{name}</b> ", name.replace(' ', "-")));
        match (finding.frame, finding.time_secs) {
            (Some(frame), Some(secs)) if moments.iter().any(|m| m.frame == frame) => {
                put(page, format_args!("<a href=\"#frame-{frame}\">{}</a> ", timecode(secs)));
            }
            (_, Some(secs)) => put(page, format_args!("<span class=\"time\">{}</span> ", timecode(secs))),
            _ => {}
        }
        if let Some(region) = &finding.region {
            put(page, format_args!("<code>{}</code> ", Escaped(region)));
        }
        put(page, format_args!("{}", Escaped(&finding.message)));
        if let Some(b) = finding.bounds {
            put(
                page,
                format_args!(" <span class=\"time\">at {:.0},{:.0},{:.0},{:.0}</span>", b.x, b.y, b.width, b.height),
            );
        }
        page.push_str("</li>\n");
    }
    let more = summary.findings.len().saturating_sub(MAX_FINDINGS);
    if more > 0 {
        put(page, format_args!("<li>and {more} more, see the report</li>\n"));
    }
    page.push_str("</ul></section>\n");
}

fn put_moments(page: &mut String, summary: &Summary, moments: &[Moment]) {
    page.push_str("<section><h2>Moments</h2>\n<div class=\"grid\">\n");
    for m in moments {
        put(
            page,
            format_args!(
                "<figure id=\"frame-{}\"><img alt=\"{}\" src=\"data:image/jpeg;base64,",
                m.frame,
                Escaped(&m.label)
            ),
        );
        STANDARD.encode_string(&m.jpeg, page);
        page.push_str("\">\n<figcaption>");
        if summary.duration_secs > 0.0 {
            put(page, format_args!("<span class=\"time\">{} · frame {}</span>", timecode(m.time_secs), m.frame));
        }
        put(page, format_args!("<span>{}</span><span class=\"ids\">", Escaped(&m.label)));
        for id in m.regions.iter().take(MAX_IDS) {
            put(page, format_args!("<code>{}</code> ", Escaped(id)));
        }
        let more = m.regions.len().saturating_sub(MAX_IDS);
        if more > 0 {
            put(page, format_args!("+{more}"));
        }
        page.push_str("</span></figcaption></figure>\n");
    }
    page.push_str("</div></section>\n");
}

/// A file name as one word of a shell line.
fn shell_word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        return name.to_string();
    }
    let dash = if name.starts_with('-') { "./" } else { "" };
    format!("'{dash}{}'", name.replace('\'', r"'\''"))
}

fn put_help(page: &mut String, summary: &Summary) {
    let plan = shell_word(&summary.plan);
    let lines = [
        (
            "Leave a region visible that was masked by mistake",
            format!("withhold apply {plan} -o DIR --keep f1='reason'"),
        ),
        (
            "Hide something that was missed (pixels of the output, seconds)",
            format!("withhold apply {plan} -o DIR --region x,y,w,h@t0-t1"),
        ),
    ];
    page.push_str("<section class=\"help\"><h2>To change something</h2>\n<p>Region ids stand below the pictures. The plan is rendered again and verified again.</p>\n");
    for (what, line) in lines {
        put(page, format_args!("<p>{}</p><pre>{}</pre>\n", Escaped(what), Escaped(&line)));
    }
    page.push_str("</section>\n");
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
<meta name=\"robots\" content=\"noindex\"><meta name=\"referrer\" content=\"no-referrer\">\n";

const STYLE: &str = "<style>
:root{--bg:#f6f6f4;--card:#fff;--ink:#1b1c1e;--soft:#5d6268;--line:#dcdcd8;--mark:#9a5b00;--bad:#b3261e;--link:#1a56b0}
@media (prefers-color-scheme:dark){:root{--bg:#16181b;--card:#202328;--ink:#e9eaec;--soft:#a2a8b0;--line:#363b42;--mark:#f0b35a;--bad:#ff8a80;--link:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
header,main{max-width:1280px;margin:0 auto;padding:0 20px}
h1{font-size:22px;margin:22px 0 10px;overflow-wrap:anywhere}
h2{font-size:16px;margin:26px 0 10px}
dl{display:flex;flex-wrap:wrap;gap:8px 26px;margin:0}
dt{color:var(--soft);font-size:12px}
dd{margin:0;font-variant-numeric:tabular-nums}
.lead{color:var(--soft);max-width:70ch}
a{color:var(--link)}
code,pre,.time{font-family:ui-monospace,monospace;font-size:12.5px}
.time{color:var(--soft)}
.findings{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}
.findings li{padding:6px 0;border-bottom:1px solid var(--line)}
.findings b{display:inline-block;min-width:6em;font-size:12px;color:var(--soft)}
.look-here b{color:var(--mark)}
.findings .error b{color:var(--bad)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(270px,1fr));gap:16px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:6px;overflow:hidden;break-inside:avoid}
figure:target{outline:3px solid var(--mark)}
img{display:block;width:100%;height:210px;object-fit:contain;background:#000}
figcaption{display:flex;flex-direction:column;gap:2px;padding:8px 10px 10px;overflow-wrap:anywhere}
.ids code{border:1px solid var(--line);border-radius:3px;padding:0 4px}
pre{background:var(--card);border:1px solid var(--line);border-radius:4px;padding:8px 10px;margin:4px 0 14px;white-space:pre-wrap;overflow-wrap:anywhere}
.help p{margin:0}.help p:first-of-type{color:var(--soft);margin-bottom:10px}
main{padding-bottom:40px}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb}body{font-size:11px}.grid{grid-template-columns:repeat(3,1fr);gap:8px}img{height:130px;print-color-adjust:exact}.help{display:none}}
</style>\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::finding::Rule;
    use crate::types::geometry::Rect;

    const EVIL: &str = "a\"><script>alert(1)</script>&'\u{202e}\u{0}";

    fn sheet() -> String {
        let moment = |frame: u64| Moment {
            frame,
            time_secs: frame as f64 / 25.0,
            label: EVIL.into(),
            regions: (0..15).map(|i| format!("{EVIL}{i}")).collect(),
            jpeg: vec![0xff, 0xd8, 0xff, 0xd9],
        };
        let finding = Finding::new(Rule::VisibleFace, Severity::Warning, EVIL)
            .at(50, 2.0)
            .within(Rect::new(1.0, 2.0, 3.0, 4.0))
            .of_region(EVIL);
        let summary = Summary {
            output: EVIL.into(),
            plan: format!("-{EVIL}"),
            frames: 100,
            duration_secs: 4.0,
            regions: BTreeMap::from([(EVIL.to_string(), 3)]),
            verify: Some(VerifyReport { frames: 100, ..VerifyReport::default() }),
            findings: vec![finding],
        };
        contact_sheet(&summary, &[moment(0), moment(50)])
    }

    #[test]
    fn nothing_that_comes_in_is_markup() {
        let page = sheet();
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains('\u{202e}') && !page.contains('\0'));
        // Every quote of the page is one of ours: attributes stay balanced in each tag.
        for tag in page.split('<').skip(1).filter_map(|t| t.split_once('>')).map(|t| t.0) {
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = sheet();
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("url("));
        assert!(page.contains("default-src 'none'"));
        assert!(page.contains("data:image/jpeg;base64,/9j/2Q==\""));
    }

    #[test]
    fn findings_lead_to_their_picture_and_ids_are_shown() {
        let page = sheet();
        assert!(page.contains("<a href=\"#frame-50\">0:00:02.000</a>") && page.contains("<figure id=\"frame-50\">"));
        assert!(page.contains("+3</span>"));
        assert!(page.contains("<dl><div><dt>Frames</dt><dd>100</dd></div>"));
    }

    #[test]
    fn names_are_one_word_for_the_shell() {
        for (name, want) in [
            ("a.plan.json", "a.plan.json"),
            ("my file", "'my file'"),
            ("it's", r"'it'\''s'"),
            ("-x", "'./-x'"),
            ("", "''"),
            ("$(rm)", "'$(rm)'"),
        ] {
            assert_eq!(shell_word(name), want);
        }
    }
}
