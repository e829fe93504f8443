//! What the steps of a cutover will do: announced before each step, and all of it by `--dry-run`.

use s3ferry_core::cutover::bucket_policy::with_statement;
use s3ferry_core::cutover::{
    CutoverPhase, CutoverSettings, CutoverState, CutoverStep, DenyStatement, FreezeMethod, StepState,
    organization_policy,
};
use s3ferry_core::diff::SideName;
use s3ferry_engine::cutover::CutoverRefusal;
use serde_json::{Value, json};

use super::open::CutoverSetup;
use super::proof;
use crate::exit::CliError;
use crate::output::{Format, Output};

/// Returns what a step will do.
pub(super) fn announcement(setup: &CutoverSetup<'_>, step: CutoverStep, state: &CutoverState) -> String {
    let begin = match state.step(step).state {
        StepState::Pending | StepState::Undone => "next step",
        StepState::Blocked | StepState::Running | StepState::Done => "again",
    };
    let sides = &setup.sides;
    if state.phase == CutoverPhase::RollingBack {
        let source = &sides.source.location;
        return if state.may_be_switched() && !state.has_returned {
            format!(
                "rollback: denies writes to {}, compares both buckets, points applications to {source} if nothing would be \
                 lost, and removes s3ferry's statements from both policies",
                sides.destination.location
            )
        } else {
            format!("rollback: removes s3ferry's statements from both policies, and permits writes to {source}")
        };
    }
    let what = match step {
        CutoverStep::Ready => "checks both buckets and the queues; changes nothing".to_owned(),
        CutoverStep::Freeze => match state.settings.freeze {
            FreezeMethod::Policy => format!(
                "denies writes to {}: adds the statement {} to its policy, and probes it",
                sides.source.location,
                setup.route.freeze_sid()
            ),
            FreezeMethod::Scp => format!(
                "probes {}, which your service control policy must deny",
                sides.source.location
            ),
            FreezeMethod::App => format!("lists {} twice; both listings must be identical", sides.source.location),
        },
        CutoverStep::Drain => "waits until no upload, message and journal entry is left".to_owned(),
        CutoverStep::FinalSync => format!("s3ferry {}", proof::sync_command(setup).join(" ")),
        CutoverStep::Verify => format!("s3ferry {}", proof::verify_command(setup).join(" ")),
        CutoverStep::Seal => format!(
            "stops s3ferry's writes to {} with the statement {}, removes s3ferry's notification from {}, and writes the \
             certificate",
            sides.destination.location,
            setup.route.seal_sid(),
            sides.source.location
        ),
        CutoverStep::Switch => format!(
            "points applications to {} (driver {})",
            sides.destination.location, state.settings.switch
        ),
        CutoverStep::Finish => format!("ends the migration; {} stays read-only", sides.source.location),
    };
    format!("{begin}: {step}: {what}")
}

/// Prints the policies, the requests and the order.
pub(super) async fn print(setup: &CutoverSetup<'_>, settings: &CutoverSettings) -> Result<(), CliError> {
    let (route, sides) = (&setup.route, &setup.sides);
    let freeze = DenyStatement::freeze(route, &sides.source.region, &settings.excepted_roles);
    let seal = DenyStatement::seal(route, &sides.destination.region, &settings.sealed_roles);
    let source = match settings.freeze {
        FreezeMethod::Policy => planned(setup, SideName::Source, Some(&freeze)).await?,
        FreezeMethod::Scp | FreezeMethod::App => Value::Null,
    };
    let scp = organization_policy(route, &sides.source.region, &settings.excepted_roles);
    let destination = planned(setup, SideName::Destination, seal.as_ref()).await?;
    let holder = s3ferry_core::cutover::OperatorLease::of(setup.operator.clone());
    let state = CutoverState::new(route, settings.clone(), holder);
    let mut output = Output::stdout();
    let steps = CutoverStep::RUN.map(|step| {
        let text = announcement(setup, step, &state);
        json!({"step": step, "does": text.trim_start_matches("next step: "), "gate": step.gate()})
    });
    if setup.format == Format::Json {
        output.json(&json!({
            "type": "plan",
            "steps": steps,
            "source_policy": source,
            "destination_policy": destination,
            "service_control_policy": (settings.freeze == FreezeMethod::Scp).then_some(scp),
        }))?;
        return output.flush();
    }
    for step in &steps {
        let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        output.line(text("does"))?;
        output.line(format!("  gate: {}", text("gate")))?;
    }
    let mut document = |title: &str, document: &Value| {
        output.line(title)?;
        format!("{document:#}")
            .lines()
            .try_for_each(|line| output.line(format!("  {line}")))
    };
    if settings.freeze == FreezeMethod::Scp {
        document(
            "service control policy that you attach to the account of the source:",
            &scp,
        )?;
    }
    if !source.is_null() {
        document(&format!("policy of {} after freeze:", sides.source.location), &source)?;
    }
    if !destination.is_null() {
        document(
            &format!("policy of {} after seal:", sides.destination.location),
            &destination,
        )?;
    }
    output.line("nothing was changed")?;
    output.flush()
}

/// Returns the policy of a bucket with a statement.
async fn planned(setup: &CutoverSetup<'_>, side: SideName, deny: Option<&DenyStatement>) -> Result<Value, CliError> {
    let Some(deny) = deny else { return Ok(Value::Null) };
    let policy = setup.bucket(side).policy().await?;
    let refused = |error| CutoverRefusal::Policy { side, error };
    let merged = with_statement(policy.as_deref(), &deny.statement).map_err(refused)?;
    let text = merged.or(policy).unwrap_or_default();
    serde_json::from_str(&text).map_err(|error| CliError::Bug(error.to_string()))
}
