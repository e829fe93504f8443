//! The migration of a source stack, and everything that a status reads of it.

use std::time::Duration;

use s3ferry_aws::batch::canary::canary;
use s3ferry_aws::batch::queues;
use s3ferry_aws::batch::runs::Executions;
use s3ferry_aws::batch::status_metrics::{MetricScope, ReplicatedBuckets, crr_metrics, source_metrics};
use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::state::StateBucket;
use s3ferry_core::canary::{CanaryReading, canary_key};
use s3ferry_core::delete_intent::INTENTS;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};
use s3ferry_core::status::{CrrMetrics, SourceMetrics, StatusReading, StatusReadings, assess};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::UPLOADS;
use s3ferry_engine::ports::Clock as _;

use super::report::{COUNT_LIMIT, StatusReport};
use crate::exit::CliError;
use crate::source_stack::{DEAD_LETTER_QUEUE_URL, QUEUE_URL, ReplicationStack};
use crate::version::VERSION;

/// The longest lag that is in sync, if neither the command nor the stack says so: the target of S3 Replication Time
/// Control.
const DEFAULT_MAX_LAG_SECONDS: u64 = 900;

/// The number of executions of the final sync that are shown.
const RUNS: u16 = 5;

/// A migration, and where to read its state.
#[derive(Debug)]
pub(super) struct ObservedMigration {
    clients: Clients,
    stack: String,
    source: (BucketName, Region),
    destination: (BucketName, Region),
    destination_owner: Option<AccountId>,
    state: StateBucket,
    queue_url: String,
    dead_letter_queue_url: String,
    function_name: String,
    state_machine_arn: String,
    canary: Option<ObjectKey>,
    replicator_copies: bool,
    uses_crr: bool,
    has_intents: bool,
    max_lag: Duration,
}

impl ObservedMigration {
    /// Finds the migration by its source stack.
    pub(super) async fn find(
        clients: Clients,
        region: Region,
        stack: &str,
        max_lag: Option<u64>,
    ) -> Result<Self, CliError> {
        let stack = ReplicationStack::find(&clients, &region, stack).await?;
        let invalid = |name: &str, error: &dyn std::fmt::Display| {
            CliError::setup(
                format!("stack {}: invalid {name}: {error}", stack.name),
                "name the stack of infra/source.yaml with --stack",
            )
        };
        let has_canary = stack.parameter("EnableCanary") == Some("true");
        let prefix = stack.parameter("KeyPrefix").unwrap_or_default();
        let canary = has_canary.then(|| canary_key(prefix)).transpose();
        let owner = stack
            .parameter("DestinationBucketOwner")
            .map(AccountId::new)
            .transpose();
        let state = BucketName::new(stack.output("StateBucketName")?);
        let state = state.map_err(|error| invalid("StateBucketName", &error))?;
        let engine = stack.parameter("ReplicationEngine");
        let alarm = stack
            .parameter("AgeAlarmSeconds")
            .and_then(|seconds| seconds.parse().ok());
        Ok(Self {
            source: (
                stack.required("SourceBucketName", |name| BucketName::new(name))?,
                region.clone(),
            ),
            destination: (
                stack.required("DestinationBucketName", |name| BucketName::new(name))?,
                stack.required("DestinationRegion", |name| Region::new(name))?,
            ),
            destination_owner: owner.map_err(|error| invalid("DestinationBucketOwner", &error))?,
            state: StateBucket::new(&clients, state, region, None),
            queue_url: stack.output(QUEUE_URL)?.to_owned(),
            dead_letter_queue_url: stack.output(DEAD_LETTER_QUEUE_URL)?.to_owned(),
            function_name: stack.output("ReplicatorFunctionName")?.to_owned(),
            state_machine_arn: stack.output("FinalSyncStateMachineArn")?.to_owned(),
            canary: canary.map_err(|error| invalid("KeyPrefix", &error))?,
            replicator_copies: engine != Some("crr"),
            uses_crr: matches!(engine, Some("crr" | "both")),
            has_intents: stack.parameter("Ownership") == Some("shared"),
            max_lag: Duration::from_secs(max_lag.or(alarm).unwrap_or(DEFAULT_MAX_LAG_SECONDS)),
            stack: stack.name,
            clients,
        })
    }

    /// Returns the name of the stack.
    pub(super) fn stack(&self) -> &str {
        &self.stack
    }

    /// Reads the state of the migration, and assesses it. What could not be read is part of the report.
    pub(super) async fn report(&self) -> StatusReport {
        let readings = Box::pin(self.read(SystemClock.now())).await;
        StatusReport {
            stack: self.stack.clone(),
            cli_version: VERSION,
            assessment: assess(&readings),
            readings,
        }
    }

    async fn read(&self, now: Timestamp) -> StatusReadings {
        let region = &self.source.1;
        let dead_letters = queues::messages(&self.clients, region, &self.dead_letter_queue_url);
        let executions = Executions::new(&self.clients, region);
        let (queue, dead_letters, metrics, crr, canary, uploads, delete_intents, runs) = tokio::join!(
            queues::counts(&self.clients, region, &self.queue_url),
            dead_letters,
            self.metrics(now),
            self.crr(now),
            self.canary(now),
            self.state.count(UPLOADS, COUNT_LIMIT),
            self.intents(),
            executions.latest(&self.state_machine_arn, RUNS),
        );
        StatusReadings {
            as_of: now,
            max_lag: self.max_lag,
            replicator_copies: self.replicator_copies,
            queue,
            dead_letters,
            metrics,
            crr,
            canary,
            uploads,
            delete_intents,
            runs,
        }
    }

    async fn metrics(&self, now: Timestamp) -> StatusReading<SourceMetrics> {
        let (source_bucket, region) = &self.source;
        let scope = MetricScope {
            source_bucket,
            queue_url: &self.queue_url,
            function_name: &self.function_name,
        };
        source_metrics(&self.clients, region, &scope, now).await
    }

    async fn crr(&self, now: Timestamp) -> Option<StatusReading<CrrMetrics>> {
        if !self.uses_crr {
            return None;
        }
        let buckets = ReplicatedBuckets {
            source: (&self.source.0, &self.source.1),
            destination: (&self.destination.0, &self.destination.1),
        };
        Some(crr_metrics(&self.clients, &buckets, now).await)
    }

    async fn canary(&self, now: Timestamp) -> Option<StatusReading<CanaryReading>> {
        let key = self.canary.as_ref()?;
        let on = async |side: &(BucketName, Region), owner: Option<&AccountId>| {
            canary(&self.clients, &side.0, &side.1, owner, key).await
        };
        // The source is read last: a write in between makes the canary look late, not early.
        let destination = match on(&self.destination, self.destination_owner.as_ref()).await {
            Ok(destination) => destination,
            Err(failure) => return Some(Err(failure)),
        };
        let source = on(&self.source, None).await;
        Some(source.map(|source| CanaryReading::of(source.as_ref(), destination.as_ref(), now)))
    }

    async fn intents(&self) -> Result<u64, Failure> {
        if !self.has_intents {
            return Ok(0);
        }
        self.state.count(INTENTS, COUNT_LIMIT).await
    }
}
