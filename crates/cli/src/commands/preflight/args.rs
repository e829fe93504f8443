//! The arguments of `preflight`.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use s3ferry_core::preflight::CHECKS;
use s3ferry_core::preflight::facts::MigrationChoices;
use s3ferry_core::time::Timestamp;
use s3ferry_core::wiring::{EventSource, ReplicationEngine};

use crate::args::{DestinationArgs, SourceArgs};
use crate::inventories::InventoryArgs;
use crate::policy::OwnershipArg;

/// The arguments of `preflight`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Check both buckets before the stacks are deployed:
    s3ferry preflight --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1
  Check again with the stack, for S3 replication beside the replicator:
    s3ferry preflight --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --stack s3ferry-source \\
      --replication-engine both
  Take the objects from an inventory, and accept what you checked yourself:
    s3ferry preflight --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --accept kms-key-policies \\
      --source-inventory s3://reports/app-data/2026-11-22T01-00Z/manifest.json

Every check is a row with its severity: pass, warn, fail, or unknown if a
setting could not be read. docs/CLI.md lists all checks. Nothing is changed.

Exit code 0 means that no check failed; 1 that a check failed, or is unknown
and not accepted; 3 that preflight could not run.")]
pub struct PreflightArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) destination: DestinationArgs,
    /// Deployed source stack, whose entries are not conflicts and whose queue is checked
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// Check whose unknown result is accepted; may be repeated
    #[arg(long, value_name = "ID", value_parser = check_id)]
    accept: Vec<String>,
    /// What will replicate new writes, as the parameter ReplicationEngine
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t = EngineArg::Lambda)]
    replication_engine: EngineArg,
    /// Path of events to the replicator, as the parameter EventSource
    #[arg(long, value_enum, value_name = "SOURCE", default_value_t = EventSourceArg::Queue)]
    event_source: EventSourceArg,
    /// Who will write to the destination: only s3ferry, or applications too
    #[arg(long, value_enum, value_name = "MODE", default_value_t = OwnershipArg::Exclusive)]
    ownership: OwnershipArg,
    /// Check for PropagateDeletes=true, which needs more event types
    #[arg(long)]
    propagate_deletes: bool,
    /// Largest number of keys, and of versions, to list
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub(super) sample_keys: u64,
    #[command(flatten)]
    pub(super) inventories: InventoryArgs,
}

/// What replicates new writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineArg {
    /// The replicator function
    Lambda,
    /// S3 replication
    Crr,
    /// Both
    Both,
}

/// Path of events to the replicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventSourceArg {
    /// A notification of the bucket
    Queue,
    /// A rule of EventBridge
    Eventbridge,
}

impl PreflightArgs {
    /// Returns the IDs of the checks whose unknown results are accepted.
    pub(super) fn accepted(&self) -> BTreeSet<String> {
        self.accept.iter().cloned().collect()
    }

    pub(super) fn choices(&self, now: Timestamp) -> MigrationChoices {
        MigrationChoices {
            engine: match self.replication_engine {
                EngineArg::Lambda => ReplicationEngine::Lambda,
                EngineArg::Crr => ReplicationEngine::Crr,
                EngineArg::Both => ReplicationEngine::Both,
            },
            event_source: match self.event_source {
                EventSourceArg::Queue => EventSource::Queue,
                EventSourceArg::Eventbridge => EventSource::EventBridge,
            },
            ownership: self.ownership.into(),
            propagate_deletes: self.propagate_deletes,
            prefix: self.source.source.prefix.clone(),
            now,
        }
    }
}

fn check_id(text: &str) -> Result<String, String> {
    if CHECKS.iter().any(|check| check.id == text) {
        return Ok(text.to_owned());
    }
    let ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    Err(format!("no check has this ID; allowed: {}", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_ids_are_those_of_checks() {
        assert_eq!(check_id("odd-keys").as_deref(), Ok("odd-keys"));
        let error = check_id("odd-key").unwrap_err();
        assert!(error.contains("odd-keys, noncurrent-versions"), "{error}");
    }
}
