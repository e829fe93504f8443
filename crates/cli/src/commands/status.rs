//! `s3ferry status`: whether new writes reach the destination in time.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

mod migration;
mod report;
mod screen;
mod watch;

use clap::Args;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_core::names::Region;

use self::migration::ObservedMigration;
use crate::args::{SharedArgs, region};
use crate::bucket_side::load_clients;
use crate::exit::{CliError, CommandOutcome};
use crate::interrupt::Interrupt;
use crate::output::{Format, Output};

/// The arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Show whether new writes reach the destination:
    s3ferry status --stack s3ferry-source
  Watch it, and quit with q:
    s3ferry status --stack s3ferry-source --watch
  In a script; the exit code is 0 only if the verdict is in-sync:
    s3ferry status --stack s3ferry-source --output json

Verdicts: in-sync, lagging, failing, and blind if anything that the verdict
depends on could not be read or is too old. A status is about new writes;
only `s3ferry verify` proves that both buckets are equal.")]
pub struct MigrationStatusArgs {
    /// Source stack of the migration
    #[arg(long, value_name = "NAME")]
    stack: String,
    /// Region of the source stack [default: AWS_REGION, then the profile's region]
    #[arg(long, value_name = "REGION", value_parser = region)]
    source_region: Option<Region>,
    /// Longest lag of a migration that is in sync [default: the stack's AgeAlarmSeconds]
    #[arg(long, value_name = "SECONDS")]
    max_lag: Option<u64>,
    /// Show the status again every few seconds until you press q
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10",
        value_parser = clap::value_parser!(u64).range(2..=3600))]
    watch: Option<u64>,
}

/// Shows the status of a migration once, or again and again.
pub async fn run(
    shared: &SharedArgs,
    args: &MigrationStatusArgs,
    interrupt: &Interrupt,
) -> Result<CommandOutcome, CliError> {
    let limits = RequestLimits::default();
    let (clients, region) = load_clients(shared, args.source_region.as_ref(), "--source-region", limits).await?;
    let migration = ObservedMigration::find(clients, region, &args.stack, args.max_lag).await?;
    if let Some(seconds) = args.watch {
        return watch::run(shared, &migration, seconds, interrupt).await;
    }
    let report = tokio::select! {
        () = interrupt.wait() => return Err(CliError::Interrupted),
        report = migration.report() => report,
    };
    let mut output = Output::stdout();
    match shared.output {
        Format::Json => output.json(&report.to_json())?,
        Format::Human => {
            for line in report.lines() {
                output.line(line)?;
            }
        }
    }
    output.flush()?;
    Ok(report.outcome())
}
