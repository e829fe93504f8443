//! The arguments of the cutover's commands.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use s3ferry_core::cutover::{CutoverSettings, FreezeMethod};
use s3ferry_core::names::BucketName;

use crate::args::{DestinationArgs, SourceArgs, bucket};

/// The arguments of `cutover`.
#[derive(Debug, Args)]
pub struct CutoverArgs {
    #[command(subcommand)]
    pub(super) command: CutoverCommand,
}

impl CutoverArgs {
    /// Returns whether objects may be copied.
    #[must_use]
    pub fn copies(&self) -> bool {
        matches!(&self.command, CutoverCommand::Run(args) if !args.dry_run)
    }
}

/// The commands of a cutover.
#[derive(Debug, Subcommand)]
pub(super) enum CutoverCommand {
    /// Run the steps up to the switch: ready, freeze, drain, final-sync, verify, seal, switch
    Run(Box<CutoverRunArgs>),
    /// Show the state of every step
    Status(CutoverStatusArgs),
    /// Undo a cutover before the switch
    Abort(CutoverAbortArgs),
}

/// Which cutover a command is about.
#[derive(Debug, Clone, Args)]
pub(super) struct CutoverRouteArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) destination: DestinationArgs,
    /// Source stack: its state bucket, queues and roles are used
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// State bucket in the source's region [default: that of --stack]
    #[arg(long, value_name = "BUCKET", value_parser = bucket, required_unless_present = "stack")]
    pub(super) state_bucket: Option<BucketName>,
    /// Name of the operator, which other operators see [default: the profile, or the user]
    #[arg(long, value_name = "NAME")]
    pub(super) operator: Option<String>,
    /// Continue a cutover whose operator is gone: waits two minutes for a sign of life
    #[arg(long)]
    pub(super) take_over: bool,
}

/// How steps prove that writes are denied.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Proof")]
pub(super) struct CutoverProofArgs {
    /// Profile of a principal that writes like an application; its denials prove the freeze [default: the operator's]
    #[arg(long, value_name = "NAME")]
    pub(super) probe_profile: Option<String>,
    /// Seconds over which probes are repeated, and between two listings that must be identical
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(super) settle: u64,
    /// Number of probes in a row that must be denied
    #[arg(long, value_name = "NUMBER", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) probes: u32,
    /// Do what a step announces without asking
    #[arg(long)]
    pub(super) yes: bool,
}

impl CutoverProofArgs {
    pub(super) fn settle(&self) -> Duration {
        Duration::from_secs(self.settle)
    }
}

/// How applications are pointed to a bucket.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Switch")]
pub(super) struct CutoverSwitchArgs {
    /// How applications are switched
    #[arg(long, value_enum, value_name = "DRIVER", default_value_t = SwitchDriverArg::Manual)]
    pub(super) switch: SwitchDriverArg,
    /// Shell command of `--switch command`; S3FERRY_SWITCH_ACTION is `set`, or `get` to print the current bucket
    #[expect(clippy::doc_markdown, reason = "the help shows it as it is")]
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString, required_if_eq("switch", "command"))]
    pub(super) switch_command: Option<String>,
}

/// How applications are switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SwitchDriverArg {
    /// You switch them and confirm it
    Manual,
    /// Your own command switches them
    Command,
}

impl SwitchDriverArg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Command => "command",
        }
    }
}

/// How writes to the source are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FreezeArg {
    /// s3ferry denies them in the source's bucket policy
    Policy,
    /// You attach the service control policy that --dry-run prints
    Scp,
    /// Applications stop by themselves; two identical listings prove it
    App,
}

impl From<FreezeArg> for FreezeMethod {
    fn from(freeze: FreezeArg) -> Self {
        match freeze {
            FreezeArg::Policy => Self::Policy,
            FreezeArg::Scp => Self::Scp,
            FreezeArg::App => Self::App,
        }
    }
}

/// The arguments of `cutover run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Show the policies, the requests and the order, and change nothing:
    s3ferry cutover run --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --stack s3ferry-source --dry-run
  Cut over; each step says what it does, and asks:
    s3ferry cutover run --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --stack s3ferry-source \\
      --probe-profile app --certificate cutover

Run the same command again after an interruption, or once the reason of a
blocked step is fixed: it continues. Before the switch, `s3ferry cutover abort`
undoes it; after the switch, `s3ferry rollback`.

Exit code 0 means that applications use the destination. 1 means that the gate
of a step is not met; later steps did not begin.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct CutoverRunArgs {
    #[command(flatten)]
    pub(super) route: CutoverRouteArgs,
    /// How writes to the source are stopped
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = FreezeArg::Policy)]
    pub(super) freeze: FreezeArg,
    /// ARN of a role that may still write to the frozen source, such as that of a replicator in the other direction
    #[arg(long, value_name = "ARN", value_parser = principal)]
    pub(super) except_role: Vec<String>,
    /// ARN of a further role that may not write to the destination after the seal
    #[arg(long, value_name = "ARN", value_parser = principal)]
    pub(super) seal_role: Vec<String>,
    #[command(flatten)]
    pub(super) proof: CutoverProofArgs,
    /// Abort the multipart uploads that are in progress at the source
    #[arg(long)]
    pub(super) abort_uploads: bool,
    /// Longest time to wait for the queue, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub(super) drain_wait: u64,
    /// Delete at the destination what the source does not have, in the final sync
    #[arg(long)]
    pub(super) delete: bool,
    /// Number of random keys to verify, instead of a checksum of every object; the certificate says so
    #[arg(long, value_name = "NUMBER")]
    pub(super) sample: Option<NonZeroUsize>,
    /// Id of a difference that is accepted, as the step verify prints it
    #[arg(long, value_name = "ID")]
    pub(super) accept: Vec<String>,
    #[command(flatten)]
    pub(super) switch: CutoverSwitchArgs,
    /// Complete the switch although the source changed during or after it
    #[arg(long)]
    pub(super) accept_late_writes: bool,
    /// Certificate to write, as PATH.json and PATH.html
    #[arg(long, value_name = "PATH", default_value = "cutover")]
    pub(super) certificate: PathBuf,
    /// Show the policies, the requests and the order, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl CutoverRunArgs {
    pub(super) fn settings(&self, sealed_roles: Vec<String>) -> CutoverSettings {
        CutoverSettings {
            freeze: self.freeze.into(),
            excepted_roles: self.except_role.clone(),
            sealed_roles,
            switch: self.switch.switch.as_str().to_owned(),
        }
    }
}

/// The arguments of `cutover status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  s3ferry cutover status --source s3://app-data \\
    --destination s3://app-data-eu --destination-region eu-central-1 \\
    --stack s3ferry-source")]
pub(super) struct CutoverStatusArgs {
    #[command(flatten)]
    pub(super) route: CutoverRouteArgs,
}

/// The arguments of `cutover abort`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  s3ferry cutover abort --source s3://app-data \\
    --destination s3://app-data-eu --destination-region eu-central-1 \\
    --stack s3ferry-source --probe-profile app

Removes only s3ferry's own statements from the bucket policies, and never
writes an older policy back.")]
pub(super) struct CutoverAbortArgs {
    #[command(flatten)]
    pub(super) route: CutoverRouteArgs,
    #[command(flatten)]
    pub(super) proof: CutoverProofArgs,
}

/// The arguments of `rollback`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  s3ferry rollback --source s3://app-data --destination s3://app-data-eu \\
    --destination-region eu-central-1 --stack s3ferry-source \\
    --probe-profile app

After the switch, writes to the destination are denied and both buckets are
compared. If keys differ, the rollback ends with 1 and names them, and
applications stay at the destination. Copy them to the source, or pass a file
with exactly these keys to --lose. For the copy, the frozen source accepts only
the roles that --except-role named.")]
pub struct RollbackArgs {
    #[command(flatten)]
    pub(super) route: CutoverRouteArgs,
    #[command(flatten)]
    pub(super) proof: CutoverProofArgs,
    #[command(flatten)]
    pub(super) switch: CutoverSwitchArgs,
    /// File of the keys to lose, one per line or as JSON lines; it must name exactly those that would be lost
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) lose: Option<PathBuf>,
    /// File for the keys that would be lost, as JSON lines
    #[arg(long, value_name = "FILE", default_value = "s3ferry-rollback.jsonl")]
    pub(super) differences: PathBuf,
}

/// The arguments of `finish`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  s3ferry finish --source s3://app-data --destination s3://app-data-eu \\
    --destination-region eu-central-1 --stack s3ferry-source

The source stays read-only, and is never deleted: others could take its name.
Delete the stacks afterwards.")]
pub struct FinishArgs {
    #[command(flatten)]
    pub(super) route: CutoverRouteArgs,
    /// Hours since the switch; presigned URLs are valid for up to 7 days
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    pub(super) min_hours: u64,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

/// The arguments of `certificate`.
#[derive(Debug, Args)]
pub struct CertificateArgs {
    #[command(subcommand)]
    pub(super) command: CertificateCommand,
}

/// The commands of a certificate.
#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Recompute the digest of a certificate
    Check(CertificateCheckArgs),
}

/// The arguments of `certificate check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  s3ferry certificate check cutover.json
  s3ferry certificate check cutover.json --live

Exit code 0 means that the certificate is unchanged and, with --live, that
both buckets are equal now. 1 means that it was changed, or that they differ.")]
pub(super) struct CertificateCheckArgs {
    /// Certificate, as `cutover run` wrote it
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Compare both buckets again, as `s3ferry verify` does
    #[arg(long)]
    pub(super) live: bool,
}

fn principal(text: &str) -> Result<String, String> {
    let is_arn = text.starts_with("arn:") && text.split(':').count() >= 6 && !text.contains(char::is_whitespace);
    if is_arn {
        return Ok(text.to_owned());
    }
    Err("must be the ARN of a role or user, as in arn:aws:iam::123456789012:role/name".to_owned())
}
