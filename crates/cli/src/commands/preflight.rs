//! `s3ferry preflight`: checks both buckets, the account and the stack before anything is copied.

mod args;
mod facts;
mod output;

use s3ferry_core::preflight::PreflightReport;

pub use self::args::PreflightArgs;
use crate::args::SharedArgs;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::sides::ensure_matching;

/// Reads the facts, runs all checks and writes their findings. Changes nothing.
pub async fn run(shared: &SharedArgs, args: &PreflightArgs, interrupt: &Interrupt) -> Result<CommandOutcome, CliError> {
    ensure_matching(&args.source.source, &args.destination.destination)?;
    let facts = tokio::select! {
        facts = facts::read(shared, args) => facts?,
        () = interrupt.wait() => return Err(CliError::Interrupted),
    };
    let report = PreflightReport::new(&facts, &args.accepted());
    output::write(shared.output, &report)?;
    Ok(if report.is_good() {
        CommandOutcome::Done
    } else {
        CommandOutcome::NotAll
    })
}
