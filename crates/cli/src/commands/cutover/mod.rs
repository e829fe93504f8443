//! `s3ferry cutover`, `rollback`, `finish` and `certificate`: from a running migration to the destination, and back.

mod args;
mod notification;
mod open;
mod output;
mod plan;
mod ports;
mod proof;
mod switch;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use s3ferry_core::cutover::certificate::CutoverCertificate;
use s3ferry_core::cutover::{CutoverPhase, CutoverState, CutoverStep, StepState};
use s3ferry_engine::cutover::{Cutover, CutoverEnd, CutoverOptions, CutoverPorts as _, CutoverRefusal};
use serde_json::{Value, json};

pub use self::args::{CertificateArgs, CutoverArgs, FinishArgs, RollbackArgs};
use self::args::{
    CertificateCommand, CutoverAbortArgs, CutoverCommand, CutoverProofArgs, CutoverRunArgs, CutoverStatusArgs,
    CutoverSwitchArgs,
};
use self::open::{CutoverSetup, FinalSyncOptions};
use self::switch::ApplicationSwitch;
use crate::args::SharedArgs;
use crate::bucket_side::BucketSide;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::location::Location;
use crate::nested::NestedCommands;
use crate::output::{Format, Output};
use crate::text::escaped_key;

/// Keys that a message names.
const NAMED: usize = 20;

/// Runs a command of `cutover`.
pub async fn run<'a>(
    shared: &'a SharedArgs,
    args: &'a CutoverArgs,
    interrupt: &'a Interrupt,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    match &args.command {
        CutoverCommand::Run(args) => Box::pin(forward(shared, args, interrupt, nested)).await,
        CutoverCommand::Status(args) => status(shared, args, interrupt, nested).await,
        CutoverCommand::Abort(args) => abort(shared, args, interrupt, nested).await,
    }
}

fn ensure_answerable(yes: bool) -> Result<(), CliError> {
    if yes || io::stdin().is_terminal() {
        return Ok(());
    }
    Err(CliError::usage(
        "the command asks before it changes anything, but standard input is not a terminal",
        "see `s3ferry cutover run --dry-run`, then pass --yes",
    ))
}

fn engine(setup: CutoverSetup<'_>, options: CutoverOptions) -> Cutover<CutoverSetup<'_>> {
    Cutover {
        route: setup.route.clone(),
        source_region: setup.sides.source.region.clone(),
        destination_region: setup.sides.destination.region.clone(),
        operator: setup.operator.clone(),
        options,
        ports: setup,
    }
}

fn options(proof: Option<&CutoverProofArgs>) -> CutoverOptions {
    CutoverOptions {
        settle: proof.map_or(Duration::ZERO, CutoverProofArgs::settle),
        probes: proof.map_or(1, |proof| proof.probes),
        drain_wait: Duration::ZERO,
        abort_uploads: false,
        accept_late_writes: false,
    }
}

async fn forward<'a>(
    shared: &'a SharedArgs,
    args: &'a CutoverRunArgs,
    interrupt: &'a Interrupt,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    ensure_answerable(args.proof.yes || args.dry_run)?;
    let mut setup = CutoverSetup::open(shared, &args.route, Some(&args.proof), interrupt, nested).await?;
    setup.sync = FinalSyncOptions {
        delete: args.delete,
        sample: args.sample.map(std::num::NonZeroUsize::get),
        accept: args.accept.clone(),
    };
    setup.switch = ApplicationSwitch::new(args.switch.clone(), args.proof.yes);
    let roles = setup.stack_roles.iter().chain(&args.seal_role).cloned().collect();
    let settings = args.settings(roles);
    if args.dry_run {
        plan::print(&setup, &settings).await?;
        return Ok(CommandOutcome::Done);
    }
    let options = CutoverOptions {
        drain_wait: Duration::from_secs(args.drain_wait),
        abort_uploads: args.abort_uploads,
        accept_late_writes: args.accept_late_writes,
        ..options(Some(&args.proof))
    };
    let cutover = engine(setup, options);
    let ended = cutover.run(settings).await;
    write_certificate(&cutover.ports, &args.certificate).await?;
    end(&cutover.ports, &ended?).await
}

/// Writes the files of the valid certificate, if there is one.
async fn write_certificate(setup: &CutoverSetup<'_>, path: &Path) -> Result<(), CliError> {
    let Some(state) = stored_state(setup).await? else {
        return Ok(());
    };
    if state.certificate.is_none() {
        return Ok(());
    }
    let name = setup.route.certificate_name(state.generation, state.certificates);
    let stored = setup.state.read(&name).await?;
    let stored = stored.ok_or_else(|| {
        CliError::setup(
            format!("the certificate {name} is not in the state bucket"),
            "restore it from a version",
        )
    })?;
    let certificate = CutoverCertificate::read(&String::from_utf8_lossy(&stored.body));
    let certificate = certificate.map_err(CutoverRefusal::Certificate)?;
    let written = output::write_certificate(path, &certificate)?;
    if setup.format == Format::Human {
        let mut output = Output::stdout();
        for path in written {
            output.line(format!("certificate: {}", path.display()))?;
        }
        output.flush()?;
    }
    Ok(())
}

async fn stored_state(setup: &CutoverSetup<'_>) -> Result<Option<CutoverState>, CliError> {
    let stored = setup.load().await?;
    let state = stored
        .map(|stored| CutoverState::read(&setup.route, &stored.body))
        .transpose();
    Ok(state.map_err(CutoverRefusal::State)?)
}

/// Writes the summary, and returns the exit code.
async fn end(setup: &CutoverSetup<'_>, end: &CutoverEnd) -> Result<CommandOutcome, CliError> {
    let phase = stored_state(setup).await?.map_or("none", |state| state.phase.as_str());
    let (outcome, text, step) = match end {
        CutoverEnd::Done => (CommandOutcome::Done, "done".to_owned(), None),
        CutoverEnd::Blocked(step) => (
            CommandOutcome::NotAll,
            format!("blocked at {step}: fix the reason, and run the same command again"),
            Some(*step),
        ),
        CutoverEnd::Declined(step) => (
            CommandOutcome::NotAll,
            format!("declined: {step} did not begin"),
            Some(*step),
        ),
        CutoverEnd::WouldLose(keys) => {
            let named = keys
                .iter()
                .take(NAMED)
                .map(|key| escaped_key(key))
                .collect::<Vec<_>>()
                .join("\n  ");
            let file = setup
                .differences
                .as_ref()
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            let text = format!(
                "the rollback would lose {} keys, and applications stay at the destination:\n  {named}\nall are in \
                 {file}: copy them to the source, or pass --lose {file}",
                keys.len()
            );
            (CommandOutcome::NotAll, text, Some(CutoverStep::Switch))
        }
    };
    let keys = match end {
        CutoverEnd::WouldLose(keys) => json!(keys),
        _ => Value::Null,
    };
    let mut output = Output::stdout();
    match setup.format {
        Format::Human => text.lines().try_for_each(|line| output.line(line))?,
        Format::Json => output.json(&json!({
            "type": "summary",
            "done": outcome == CommandOutcome::Done,
            "phase": phase,
            "blocked_at": step,
            "would_lose": keys,
        }))?,
    }
    output.flush()?;
    Ok(outcome)
}

async fn status<'a>(
    shared: &'a SharedArgs,
    args: &'a CutoverStatusArgs,
    interrupt: &'a Interrupt,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    let setup = CutoverSetup::open(shared, &args.route, None, interrupt, nested).await?;
    let state = stored_state(&setup).await?.ok_or(CutoverRefusal::NotBegun)?;
    for step in CutoverStep::ALL {
        output::step(setup.format, step, &state.step(step))?;
    }
    let holder = (!state.lease.released).then_some(&state.lease.holder);
    let mut output = Output::stdout();
    match setup.format {
        Format::Json => output.json(&json!({
            "type": "summary",
            "phase": state.phase.as_str(),
            "generation": state.generation,
            "operator": holder,
            "certificate": state.certificate,
        }))?,
        Format::Human => {
            output.line(format!("phase {}, cutover {}", state.phase.as_str(), state.generation))?;
            if let Some(holder) = holder {
                output.line(format!(
                    "{} runs it on {} (process {})",
                    holder.operator, holder.host, holder.process
                ))?;
            }
        }
    }
    output.flush()?;
    let is_blocked = state.steps.values().any(|record| record.state == StepState::Blocked);
    let is_stuck = is_blocked || state.phase == CutoverPhase::RollingBack;
    Ok(if is_stuck {
        CommandOutcome::NotAll
    } else {
        CommandOutcome::Done
    })
}

async fn abort<'a>(
    shared: &'a SharedArgs,
    args: &'a CutoverAbortArgs,
    interrupt: &'a Interrupt,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    ensure_answerable(args.proof.yes)?;
    let setup = CutoverSetup::open(shared, &args.route, Some(&args.proof), interrupt, nested).await?;
    let cutover = engine(setup, options(Some(&args.proof)));
    let ended = cutover.roll_back(None, true).await?;
    end(&cutover.ports, &ended).await
}

/// Undoes a cutover.
pub async fn roll_back<'a>(
    shared: &'a SharedArgs,
    args: &'a RollbackArgs,
    interrupt: &'a Interrupt,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    ensure_answerable(args.proof.yes)?;
    let lose = args.lose.as_deref().map(keys_of).transpose()?;
    let mut setup = CutoverSetup::open(shared, &args.route, Some(&args.proof), interrupt, nested).await?;
    let state = stored_state(&setup).await?.ok_or(CutoverRefusal::NotBegun)?;
    ensure_same_driver(&state, &args.switch)?;
    setup.switch = ApplicationSwitch::new(args.switch.clone(), args.proof.yes);
    setup.differences = Some(args.differences.clone());
    let cutover = engine(setup, options(Some(&args.proof)));
    let ended = cutover.roll_back(lose.as_ref(), false).await?;
    end(&cutover.ports, &ended).await
}

fn ensure_same_driver(state: &CutoverState, args: &CutoverSwitchArgs) -> Result<(), CliError> {
    let (stored, given) = (&state.settings.switch, args.switch.as_str());
    if stored == given || !state.may_be_switched() {
        return Ok(());
    }
    Err(CliError::usage(
        format!("--switch is `{given}`, and the cutover switched with `{stored}`"),
        format!("pass --switch {stored}"),
    ))
}

/// Reads keys, one per line, or as the lines of `--differences`.
fn keys_of(path: &Path) -> Result<BTreeSet<String>, CliError> {
    let text = std::fs::read_to_string(path).map_err(CliError::unreadable(format!("read {}", path.display())))?;
    let key = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(fields)) => fields.get("key").and_then(Value::as_str).unwrap_or(line).to_owned(),
        _ => line.to_owned(),
    };
    Ok(text.lines().filter(|line| !line.is_empty()).map(key).collect())
}

/// Ends a migration.
pub async fn finish<'a>(
    shared: &'a SharedArgs,
    args: &'a FinishArgs,
    interrupt: &'a Interrupt,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    ensure_answerable(args.yes)?;
    let mut setup = CutoverSetup::open(shared, &args.route, None, interrupt, nested).await?;
    setup.yes = args.yes;
    let cutover = engine(setup, options(None));
    let ended = cutover
        .finish(Duration::from_secs(args.min_hours.saturating_mul(3600)))
        .await?;
    end(&cutover.ports, &ended).await
}

/// Runs a command of `certificate`.
pub async fn certificate<'a>(
    shared: &'a SharedArgs,
    args: &'a CertificateArgs,
    nested: NestedCommands<'a>,
) -> Result<CommandOutcome, CliError> {
    let CertificateCommand::Check(args) = &args.command;
    let text = std::fs::read_to_string(&args.file);
    let text = text.map_err(CliError::unreadable(format!("read {}", args.file.display())))?;
    let checked = CutoverCertificate::read(&text);
    let is_live_equal = match &checked {
        Ok(certificate) if args.live => Some(is_equal_now(shared, certificate, nested).await?),
        _ => None,
    };
    let mut output = Output::stdout();
    let digest = checked.as_ref().ok().map(|certificate| certificate.digest().to_owned());
    let reason = checked.as_ref().err().map(ToString::to_string);
    match shared.output {
        Format::Json => output.json(&json!({
            "type": "summary",
            "valid": checked.is_ok(),
            "sha256": digest,
            "reason": reason,
            "live_equal": is_live_equal,
        }))?,
        Format::Human => {
            output.line(match (&digest, &reason) {
                (Some(digest), _) => format!("valid: the content has the digest {digest}"),
                (None, reason) => format!("not valid: {}", reason.clone().unwrap_or_default()),
            })?;
            if let Some(is_equal) = is_live_equal {
                output.line(if is_equal {
                    "both buckets are equal now"
                } else {
                    "the buckets differ now"
                })?;
            }
        }
    }
    output.flush()?;
    let is_good = checked.is_ok() && is_live_equal != Some(false);
    Ok(if is_good {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}

/// Compares the buckets of a certificate again.
async fn is_equal_now(
    shared: &SharedArgs,
    certificate: &CutoverCertificate,
    nested: NestedCommands<'_>,
) -> Result<bool, CliError> {
    let buckets = certificate.buckets().map_err(CutoverRefusal::Certificate)?;
    let side = |bucket, region| BucketSide {
        location: Location {
            bucket,
            prefix: buckets.route.prefix.clone(),
        },
        region,
        owner: None,
    };
    let source = side(buckets.route.source.clone(), buckets.source_region);
    let destination = side(buckets.route.destination.clone(), buckets.destination_region);
    let words = proof::command_on(shared, "verify", &source, &destination);
    let compared = proof::run_quietly(shared.output, nested, words).await?;
    Ok(compared == CommandOutcome::Done)
}
