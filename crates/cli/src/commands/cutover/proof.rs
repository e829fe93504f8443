//! The final sync, the verification and the certificate of a cutover.

use std::collections::BTreeSet;
use std::path::Path;

use s3ferry_aws::clock::SystemClock;
use s3ferry_core::cutover::certificate::{CutoverCertificate, exception_id};
use s3ferry_core::cutover::{CutoverState, CutoverStep};
use s3ferry_core::diff::SideName;
use s3ferry_engine::cutover::StepOutcome;
use s3ferry_engine::ports::Clock as _;
use serde_json::{Map, Value, json};

use super::open::CutoverSetup;
use crate::args::SharedArgs;
use crate::bucket_side::BucketSide;
use crate::exit::{CliError, CommandOutcome};
use crate::nested::NestedCommands;
use crate::output::{CapturedOutput, Format};

/// Exceptions that a message names.
const NAMED: usize = 10;

/// Runs a command of a step. Its results are files; with JSON, its output is dropped.
async fn run(setup: &CutoverSetup<'_>, words: Vec<String>) -> Result<CommandOutcome, CliError> {
    run_quietly(setup.format, setup.nested, words).await
}

/// Runs a command; with JSON, its output is dropped.
pub(super) async fn run_quietly(
    format: Format,
    nested: NestedCommands<'_>,
    words: Vec<String>,
) -> Result<CommandOutcome, CliError> {
    let captured = (format == Format::Json).then(CapturedOutput::begin);
    let ended = nested(words).await;
    drop(captured.map(CapturedOutput::end));
    ended
}

/// Returns a command on both sides, in a direction.
pub(super) fn command(setup: &CutoverSetup<'_>, name: &str, from: SideName) -> Vec<String> {
    let sides = &setup.sides;
    let (source, destination) = match from {
        SideName::Source => (&sides.source, &sides.destination),
        SideName::Destination => (&sides.destination, &sides.source),
    };
    command_on(setup.shared, name, source, destination)
}

/// Returns a command on two buckets.
pub(super) fn command_on(
    shared: &SharedArgs,
    name: &str,
    source: &BucketSide,
    destination: &BucketSide,
) -> Vec<String> {
    let mut words = vec![name.to_owned()];
    let mut side = |flag: &str, side: &BucketSide| {
        words.extend([format!("--{flag}"), side.location.to_string()]);
        words.extend([format!("--{flag}-region"), side.region.to_string()]);
        if let Some(owner) = &side.owner {
            words.extend([format!("--{flag}-bucket-owner"), owner.to_string()]);
        }
    };
    side("source", source);
    side("destination", destination);
    let given = [("--profile", &shared.profile), ("--endpoint-url", &shared.endpoint_url)];
    for (flag, value) in given {
        words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    }
    words
}

fn path(setup: &CutoverSetup<'_>, name: &str) -> String {
    setup.folder.path().join(name).display().to_string()
}

/// Returns the final sync.
pub(super) fn sync_command(setup: &CutoverSetup<'_>) -> Vec<String> {
    let mut words = command(setup, "sync", SideName::Source);
    words.extend(["--depth", "head", "--state-bucket"].map(str::to_owned));
    words.push(setup.state_bucket.to_string());
    if setup.sync.delete {
        words.extend(["--delete", "--yes"].map(str::to_owned));
    }
    words
}

/// Returns the verification.
pub(super) fn verify_command(setup: &CutoverSetup<'_>) -> Vec<String> {
    let mut words = command(setup, "verify", SideName::Source);
    words.extend(["--operator".to_owned(), setup.operator.operator.clone()]);
    match setup.sync.sample {
        Some(sample) => words.extend(["--sample".to_owned(), sample.to_string()]),
        None => words.extend(["--depth", "checksum"].map(str::to_owned)),
    }
    words
}

pub(super) async fn final_sync(setup: &CutoverSetup<'_>) -> Result<StepOutcome, CliError> {
    let mut words = sync_command(setup);
    words.extend(["--failures".to_owned(), "s3ferry-failures.jsonl".to_owned()]);
    Ok(match run(setup, words).await? {
        CommandOutcome::Done => StepOutcome::met(),
        CommandOutcome::NotAll => {
            StepOutcome::not_met("not every key was copied: see s3ferry-failures.jsonl, and run the same command again")
        }
    })
}

pub(super) async fn verify(setup: &CutoverSetup<'_>) -> Result<StepOutcome, CliError> {
    let mut words = verify_command(setup);
    let differences = path(setup, "differences.jsonl");
    words.extend(["--report".to_owned(), path(setup, "verification")]);
    words.extend(["--differences".to_owned(), differences.clone()]);
    let ended = run(setup, words).await?;
    let report = read_json(&setup.folder.path().join("verification.json"))?;
    let field = |name: &str| report.get(name).cloned().unwrap_or_default();
    let comparison = report.get("comparison");
    let mut exceptions = Vec::new();
    for line in lines(Path::new(&differences))? {
        exceptions.push((exception_id(&line), line));
    }
    let accepted = exceptions
        .iter()
        .filter(|(id, _)| setup.sync.accept.contains(id))
        .count();
    let outcome = StepOutcome::met()
        .with("verdict", field("verdict"))
        .with("statement", field("statement"))
        .with("keys", field("keys"))
        .with("equal", field("equal"))
        .with("compared_by", field("compared_by"))
        .with("sides", field("sides"))
        .with("comparison", comparison.cloned().unwrap_or_default())
        .with(
            "depth",
            comparison
                .and_then(|comparison| comparison.get("depth"))
                .cloned()
                .unwrap_or_default(),
        )
        .with("exceptions", accepted)
        .with(
            "accepted",
            json!(
                exceptions
                    .iter()
                    .map(|(id, line)| json!({"id": id, "difference": line}))
                    .collect::<Vec<_>>()
            ),
        );
    let is_explained = !exceptions.is_empty() && accepted == exceptions.len();
    if ended == CommandOutcome::Done || is_explained {
        return Ok(outcome);
    }
    let open = exceptions.iter().filter(|(id, _)| !setup.sync.accept.contains(id));
    let by = refusal(&field("statement"), open);
    Ok(StepOutcome {
        blocked_by: Some(by),
        ..outcome
    })
}

/// Returns why a verification blocks: its statement, and the ids of differences that may be accepted.
fn refusal<'a>(statement: &Value, open: impl Iterator<Item = &'a (String, Value)>) -> String {
    let statement = statement.as_str().unwrap_or("the verification has no verdict");
    let mut reasons = vec![statement.to_owned()];
    reasons.extend(open.take(NAMED).map(|(id, line)| {
        let text = |name: &str| line.get(name).map(ToString::to_string).unwrap_or_default();
        format!("--accept {id}  {} {}", text("key"), text("differences"))
    }));
    reasons.join("\n  ")
}

pub(super) async fn keys_ahead(setup: &CutoverSetup<'_>) -> Result<BTreeSet<String>, CliError> {
    let mut words = command(setup, "verify", SideName::Destination);
    let differences = path(setup, "ahead.jsonl");
    words.extend([
        "--allow-empty".to_owned(),
        "--differences".to_owned(),
        differences.clone(),
    ]);
    let ended = run(setup, words).await?;
    let mut keys = BTreeSet::new();
    for line in lines(Path::new(&differences))? {
        keys.extend(line.get("key").and_then(Value::as_str).map(str::to_owned));
    }
    if ended == CommandOutcome::NotAll && keys.is_empty() {
        return Err(CliError::setup(
            "the comparison of the destination with the source has no result",
            "run `s3ferry verify` with the buckets exchanged, and see its report",
        ));
    }
    if let Some(file) = setup.differences.as_ref().filter(|_| !keys.is_empty()) {
        let copied = std::fs::copy(&differences, file);
        copied.map_err(CliError::file(format!("write {}", file.display())))?;
    }
    Ok(keys)
}

fn read_json(path: &Path) -> Result<Value, CliError> {
    let text = std::fs::read_to_string(path).map_err(CliError::unreadable(format!("read {}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| CliError::Bug(format!("an unreadable report: {error}")))
}

fn lines(path: &Path) -> Result<Vec<Value>, CliError> {
    let text = std::fs::read_to_string(path).map_err(CliError::unreadable(format!("read {}", path.display())))?;
    let lines = text.lines().map(serde_json::from_str);
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Bug(format!("an unreadable difference: {error}")))
}

/// Composes the certificate from the stored state.
pub(super) fn certificate(setup: &CutoverSetup<'_>, state: &CutoverState) -> CutoverCertificate {
    let now = SystemClock.now();
    let sides = &setup.sides;
    let side = |side: &BucketSide| json!({"bucket": side.location.bucket.as_str(), "prefix": side.location.prefix, "region": side.region.as_str()});
    let steps: Map<String, Value> = state
        .steps
        .iter()
        .map(|(step, record)| {
            let time =
                |time: Option<s3ferry_core::time::Timestamp>| time.map(s3ferry_core::time::Timestamp::to_rfc3339);
            // The steps' own results are stored with their names, apart from the verification's.
            let measured = (*step != CutoverStep::Verify).then_some(&record.measured);
            let record = json!({
                "state": record.state.as_str(),
                "started": time(record.started),
                "ended": time(record.ended),
                "measured": measured,
            });
            (step.as_str().to_owned(), record)
        })
        .collect();
    let frozen = state.step(CutoverStep::Freeze).started;
    let fields = json!({
        "tool": {"name": "s3ferry", "version": env!("CARGO_PKG_VERSION")},
        "operator": setup.operator.operator,
        "certified_at": now.to_rfc3339(),
        "generation": state.generation,
        "source": side(&sides.source),
        "destination": side(&sides.destination),
        "settings": state.settings,
        "frozen_seconds": frozen.map(|frozen| now.since(frozen).as_secs()),
        "steps": steps,
        "verified": state.verified,
        "verification": state.step(CutoverStep::Verify).measured,
    });
    CutoverCertificate::new(fields.as_object().cloned().unwrap_or_default())
}
