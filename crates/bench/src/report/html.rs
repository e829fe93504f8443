//! The report as one HTML file with bars, without scripts or files from outside.

use std::fmt::Write as _;

use super::{BenchMetric, BenchReport, CaseReport, ReportRow, ScenarioReport, number};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
h2{margin-top:2em;border-bottom:1px solid #ccc}h3{margin:1.2em 0 .3em}h4{margin:.8em 0 .2em;font-weight:normal;color:#555}\
.row{display:grid;grid-template-columns:16em 1fr 13em;gap:.6em;align-items:center;font-size:14px}\
.bar{height:.9em;background:#9ab}.s3ferry .bar{background:#2a7}.s3ferry{font-weight:bold}.reason{color:#a33}\
table{border-collapse:collapse;margin-top:1em;font-size:14px}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}\
.no{color:#a33;font-weight:bold}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}h4{color:#aaa}}";

/// Renders the report.
pub(crate) fn render(report: &BenchReport) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Benchmarks of s3ferry {version}</title>\n\
         <style>{STYLE}</style>\n<h1>Benchmarks of s3ferry {version}</h1>\n<p><code>{command}</code>: {cpus} CPUs, \
         {rounds} rounds, scale {scale}, {elapsed:.0} s. Bars show medians. A ratio above 1 means that s3ferry is \
         better.</p>\n",
        version = escaped(report.version),
        command = escaped(&report.command),
        cpus = report.cpus,
        rounds = report.rounds,
        scale = report.scale,
        elapsed = report.elapsed_seconds,
    );
    for scenario in &report.scenarios {
        section(&mut page, scenario);
    }
    page.push_str("</html>\n");
    page
}

/// Writing into a `String` does not fail.
fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok());
}

fn section(page: &mut String, scenario: &ScenarioReport) {
    let (name, setting) = (escaped(scenario.name), escaped(&scenario.setting));
    append(page, format_args!("<h2 id=\"{name}\">{name}</h2>\n<p>{setting}</p>\n"));
    for case in &scenario.cases {
        append(page, format_args!("<h3>{}</h3>\n", escaped(&case.name)));
        for metric in &scenario.metrics {
            bars(page, case, *metric);
        }
        for row in &case.rows {
            if let Some((outcome, reason)) = row.reason() {
                let (label, reason) = (label(row), escaped(reason));
                append(
                    page,
                    format_args!("<p class=\"reason\">{label}: {outcome}: {reason}</p>\n"),
                );
            }
        }
    }
    if !scenario.goals.is_empty() {
        page.push_str("<table><tr><th>goal</th><th>case</th><th>measured</th><th>reached</th></tr>\n");
        for goal in &scenario.goals {
            let measured = goal.measured.map_or_else(|| "-".to_owned(), number);
            let reached = match goal.reached {
                None => "<td>-",
                Some(true) => "<td>yes",
                Some(false) => "<td class=\"no\">no",
            };
            let (text, case) = (escaped(&goal.goal), escaped(&goal.case));
            append(
                page,
                format_args!("<tr><td>{text}<td>{case}<td>{measured}{reached}</tr>\n"),
            );
        }
        page.push_str("</table>\n");
    }
    for note in &scenario.notes {
        append(page, format_args!("<p>{}</p>\n", escaped(note)));
    }
}

fn bars(page: &mut String, case: &CaseReport, metric: BenchMetric) {
    let medians = case.rows.iter().filter_map(|row| row.median(metric));
    let Some(longest) = medians.max_by(f64::total_cmp).filter(|longest| *longest > 0.0) else {
        return;
    };
    append(
        page,
        format_args!("<h4>{} {}</h4>\n", escaped(metric.name), escaped(metric.unit)),
    );
    for row in &case.rows {
        let Some(median) = row.median(metric) else { continue };
        let class = if row.is_s3ferry { "row s3ferry" } else { "row" };
        let ratio = match row.ratio(metric) {
            Some(ratio) if !row.is_s3ferry => format!(" ({ratio:.2} x)"),
            _ => String::new(),
        };
        append(
            page,
            format_args!(
                "<div class=\"{class}\"><span>{}</span><span class=\"bar\" style=\"width:{:.1}%\"></span>\
                 <span>{}{ratio}</span></div>\n",
                label(row),
                100.0 * median / longest,
                number(median),
            ),
        );
    }
}

fn label(row: &ReportRow) -> String {
    escaped(format!("{} {}", row.tool, row.settings).trim_end())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
