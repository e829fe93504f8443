//! Everything that a command of a cutover works with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use s3ferry_aws::batch::stacks;
use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::cutover::CutoverBucket;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_aws::state::StateBucket;
use s3ferry_core::cutover::{CutoverRoute, OperatorName};
use s3ferry_core::diff::SideName;
use s3ferry_core::names::BucketName;
use s3ferry_engine::ports::Clock as _;
use tempfile::TempDir;

use super::args::{CutoverProofArgs, CutoverRouteArgs, CutoverSwitchArgs, SwitchDriverArg};
use super::notification::QueueNotification;
use super::switch::ApplicationSwitch;
use crate::args::SharedArgs;
use crate::bucket_side::load_clients;
use crate::environment;
use crate::exit::CliError;
use crate::interrupt::Interrupt;
use crate::nested::NestedCommands;
use crate::output::Format;
use crate::sides::BucketPair;

/// Outputs of the source stack with the roles that write to the destination.
const ROLES: [&str; 3] = ["ReplicatorRoleArn", "FinalSyncRoleArn", "ReplicationRoleArn"];

/// Everything that a command of a cutover works with.
pub(super) struct CutoverSetup<'a> {
    pub(super) shared: &'a SharedArgs,
    pub(super) format: Format,
    pub(super) interrupt: &'a Interrupt,
    pub(super) nested: NestedCommands<'a>,
    pub(super) sides: BucketPair,
    pub(super) route: CutoverRoute,
    pub(super) state: StateBucket,
    pub(super) state_bucket: BucketName,
    pub(super) journal: S3Journal,
    buckets: [CutoverBucket; 2],
    /// Clients with the credentials of the probe principal.
    pub(super) probing: Clients,
    pub(super) stack: Option<String>,
    /// Queue and dead-letter queue of the stack.
    pub(super) queues: Vec<String>,
    pub(super) stack_roles: Vec<String>,
    pub(super) notification: Option<QueueNotification>,
    pub(super) operator: OperatorName,
    pub(super) take_over: bool,
    pub(super) switch: ApplicationSwitch,
    pub(super) yes: bool,
    pub(super) sync: FinalSyncOptions,
    /// Files of the commands that steps run.
    pub(super) folder: TempDir,
    pub(super) differences: Option<PathBuf>,
}

/// Options of the final sync and the verification.
#[derive(Debug, Clone, Default)]
pub(super) struct FinalSyncOptions {
    pub(super) delete: bool,
    pub(super) sample: Option<usize>,
    pub(super) accept: Vec<String>,
}

impl<'a> CutoverSetup<'a> {
    pub(super) async fn open(
        shared: &'a SharedArgs,
        args: &CutoverRouteArgs,
        proof: Option<&CutoverProofArgs>,
        interrupt: &'a Interrupt,
        nested: NestedCommands<'a>,
    ) -> Result<Self, CliError> {
        let sides = BucketPair::open(shared, &args.source, &args.destination, RequestLimits::default()).await?;
        let region = sides.source.region.clone();
        let outputs = match &args.stack {
            Some(stack) => stacks::outputs(&sides.clients, &region, stack).await?,
            None => BTreeMap::new(),
        };
        let output = |name: &str| outputs.get(name).filter(|value| !value.is_empty()).cloned();
        let state_bucket = state_bucket(args, output("StateBucketName"))?;
        let journal = sides.state(&state_bucket).await?.journal;
        let owner = sides.source.owner.as_ref();
        let state = StateBucket::new(&sides.clients, state_bucket.clone(), region.clone(), owner);
        let queues = queues(args, output)?;
        let notification = output("ReplicationQueueArn")
            .map(|arn| QueueNotification::new(&sides, &arn))
            .transpose()?;
        let probing = probing(shared, proof, &sides).await?;
        let prefix = sides.prefix().to_owned();
        let bucket = |side: &crate::bucket_side::BucketSide| {
            let name = side.location.bucket.clone();
            CutoverBucket::new(
                &sides.clients,
                name,
                side.region.clone(),
                side.owner.clone(),
                prefix.clone(),
            )
        };
        Ok(Self {
            shared,
            format: shared.output,
            interrupt,
            nested,
            route: CutoverRoute {
                source: sides.source.location.bucket.clone(),
                destination: sides.destination.location.bucket.clone(),
                prefix: prefix.clone(),
            },
            buckets: [bucket(&sides.source), bucket(&sides.destination)],
            state,
            state_bucket,
            journal,
            probing,
            stack: args.stack.clone(),
            queues,
            stack_roles: ROLES.into_iter().filter_map(output).collect(),
            notification,
            operator: operator(shared, args),
            take_over: args.take_over,
            switch: ApplicationSwitch::new(manual(), false),
            yes: proof.is_some_and(|proof| proof.yes),
            sync: FinalSyncOptions::default(),
            folder: TempDir::new().map_err(CliError::file("create a temporary folder"))?,
            differences: None,
            sides,
        })
    }

    pub(super) fn bucket(&self, side: SideName) -> &CutoverBucket {
        let [source, destination] = &self.buckets;
        match side {
            SideName::Source => source,
            SideName::Destination => destination,
        }
    }
}

/// Returns clients of the probe principal, which is the operator without a profile of its own.
async fn probing(
    shared: &SharedArgs,
    proof: Option<&CutoverProofArgs>,
    sides: &BucketPair,
) -> Result<Clients, CliError> {
    let Some(profile) = proof.and_then(|proof| proof.probe_profile.clone()) else {
        return Ok(sides.clients.clone());
    };
    let shared = SharedArgs {
        profile: Some(profile),
        ..shared.clone()
    };
    let region = Some(&sides.source.region);
    let loaded = load_clients(&shared, region, "--source-region", RequestLimits::default()).await;
    loaded.map(|(clients, _)| clients)
}

/// Returns the URLs of the stack's queues; none without a stack.
fn queues(args: &CutoverRouteArgs, output: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, CliError> {
    let names = ["ReplicationQueueUrl", "ReplicationDeadLetterQueueUrl"];
    let queues: Vec<String> = names.into_iter().filter_map(output).collect();
    match &args.stack {
        Some(stack) if queues.len() < names.len() => Err(CliError::setup(
            format!("stack {stack} has no outputs with the URLs of its queues"),
            "name the stack of infra/source.yaml with --stack",
        )),
        _ => Ok(queues),
    }
}

fn manual() -> CutoverSwitchArgs {
    CutoverSwitchArgs {
        switch: SwitchDriverArg::Manual,
        switch_command: None,
    }
}

fn state_bucket(args: &CutoverRouteArgs, output: Option<String>) -> Result<BucketName, CliError> {
    if let Some(bucket) = &args.state_bucket {
        return Ok(bucket.clone());
    }
    let name = output.ok_or_else(|| {
        CliError::setup(
            format!(
                "stack {} has no output StateBucketName",
                args.stack.clone().unwrap_or_default()
            ),
            "name the stack of infra/source.yaml with --stack, or pass --state-bucket",
        )
    })?;
    BucketName::new(name).map_err(|error| CliError::setup(error.to_string(), "pass --state-bucket"))
}

fn operator(shared: &SharedArgs, args: &CutoverRouteArgs) -> OperatorName {
    let from_environment = || ["AWS_PROFILE", "USER"].into_iter().find_map(environment::non_empty);
    let operator = args
        .operator
        .clone()
        .or_else(|| shared.profile.clone())
        .or_else(from_environment);
    OperatorName {
        operator: operator.unwrap_or_else(|| "unknown".to_owned()),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        process: std::process::id(),
        began: SystemClock.now(),
    }
}
