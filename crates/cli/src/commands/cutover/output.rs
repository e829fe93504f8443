//! The steps of a cutover on standard output, its certificate in files, and questions to the operator.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use askama::Template;
use s3ferry_core::cutover::certificate::CutoverCertificate;
use s3ferry_core::cutover::{CutoverStep, StepRecord};
use s3ferry_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::files::folder_of;
use crate::interrupt::Interrupt;
use crate::output::{Format, Output};
use crate::question::answer_to;
use crate::text::escaped_text;

/// One step, as a line of JSON.
#[derive(Debug, Serialize)]
struct StepLine<'a> {
    r#type: &'static str,
    step: CutoverStep,
    state: &'static str,
    gate: &'static str,
    blocked_by: Option<&'a str>,
    measured: &'a s3ferry_core::cutover::Measurements,
    started: Option<String>,
    ended: Option<String>,
}

/// Writes the state of a step.
pub(super) fn step(format: Format, step: CutoverStep, record: &StepRecord) -> Result<(), CliError> {
    let mut output = Output::stdout();
    let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
    match format {
        Format::Json => output.json(&StepLine {
            r#type: "step",
            step,
            state: record.state.as_str(),
            gate: step.gate(),
            blocked_by: record.blocked_by.as_deref(),
            measured: &record.measured,
            started: time(record.started),
            ended: time(record.ended),
        })?,
        Format::Human => {
            output.line(format!("{:<11} {}", step.as_str(), record.state.as_str()))?;
            if let Some(by) = &record.blocked_by {
                by.lines()
                    .try_for_each(|line| output.line(format!("            {line}")))?;
            }
            for (name, value) in record
                .measured
                .iter()
                .filter(|(_, value)| !value.is_array() && !value.is_object() && !value.is_null())
            {
                output.line(format!("            {}: {}", name.replace('_', " "), plain(value)))?;
            }
        }
    }
    output.flush()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Asks a question that only `yes` answers.
pub(super) async fn asks(question: &str, interrupt: &Interrupt) -> Result<bool, CliError> {
    let answer = answer_to(&format!("{question}\nType yes to continue:"), interrupt).await?;
    Ok(answer == "yes")
}

/// The page of a certificate.
#[derive(Debug, Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    digest: String,
    statement: String,
    facts: Vec<(String, String)>,
    steps: Vec<(String, String, String, String)>,
    document: String,
}

/// Writes the certificate and its page. Returns their paths.
pub(super) fn write_certificate(path: &Path, certificate: &CutoverCertificate) -> Result<[PathBuf; 2], CliError> {
    let document = certificate.document();
    let text = |pointer: &str| {
        let mut value = Some(
            document
                .get(pointer.split('/').next().unwrap_or_default())
                .unwrap_or(&Value::Null),
        );
        for name in pointer.split('/').skip(1) {
            value = value.and_then(|value| value.get(name));
        }
        escaped_text(&value.map(plain).unwrap_or_default()).into_owned()
    };
    let rows = [
        (
            "Source",
            format!(
                "s3://{}/{} ({})",
                text("source/bucket"),
                text("source/prefix"),
                text("source/region")
            ),
        ),
        (
            "Destination",
            format!("s3://{} ({})", text("destination/bucket"), text("destination/region")),
        ),
        ("Operator", text("operator")),
        ("Tool", format!("{} {}", text("tool/name"), text("tool/version"))),
        ("Certified at", text("certified_at")),
        (
            "Writes frozen for (seconds, until the certificate)",
            text("frozen_seconds"),
        ),
        ("Method", text("verification/depth")),
        ("Objects verified as equal", text("verification/equal")),
        ("Accepted exceptions", text("verification/exceptions")),
    ];
    let steps = document.get("steps").and_then(Value::as_object).into_iter().flatten();
    let steps = steps.map(|(step, record)| {
        let field = |name: &str| record.get(name).map(plain).unwrap_or_default();
        (step.clone(), field("state"), field("started"), field("ended"))
    });
    let page = CertificatePage {
        digest: certificate.digest().to_owned(),
        statement: text("verification/statement"),
        facts: rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        steps: steps.collect(),
        document: escaped_lines_of(&certificate.to_text()),
    };
    let page = page
        .render()
        .map_err(|error| CliError::Bug(format!("unwritable HTML: {error}")))?;
    Ok([
        write(path, "json", certificate.to_text().as_bytes())?,
        write(path, "html", page.as_bytes())?,
    ])
}

fn escaped_lines_of(text: &str) -> String {
    crate::text::escaped_lines(text)
}

fn write(path: &Path, extension: &str, bytes: &[u8]) -> Result<PathBuf, CliError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    let path = PathBuf::from(name);
    let unwritable = || CliError::file(format!("write the certificate {}", path.display()));
    let mut file = NamedTempFile::new_in(folder_of(&path)).map_err(unwritable())?;
    file.write_all(bytes).map_err(unwritable())?;
    file.persist(&path).map_err(|error| unwritable()(error.error))?;
    Ok(path)
}
