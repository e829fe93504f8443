//! `s3ferry sync`: makes the destination what the source is, from this machine.

mod dry;
mod results;
mod work;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use s3ferry_core::facts::Aspects;
use s3ferry_core::names::BucketName;
use s3ferry_engine::diff::aspects_at;
use s3ferry_engine::reconcile::Reconciler;

use self::dry::{DryDestination, DryStore};
use self::results::Results;
use self::work::Work;
use crate::args::{DestinationArgs, SharedArgs, SourceArgs, bucket};
use crate::clock::InterruptibleClock;
use crate::commands::diff::{CompareArgs, findings};
use crate::exit::{End, Error};
use crate::interrupt::Interrupt;
use crate::inventories::InventoryArgs;
use crate::policy::{OwnershipArg, PolicyArgs};
use crate::progress::{Progress, say};
use crate::sides::Sides;

/// The arguments of `sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  What would be copied:
    s3ferry sync --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --dry-run
  Copy it, a thousand requests a second at most:
    s3ferry sync --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --max-requests-per-second 1000
  The same, metadata and tags of equal objects compared too, and large uploads gone on with after an interruption:
    s3ferry sync --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --deep --state-bucket app-data-state

With --source-inventory or --destination-inventory the keys come from a report instead of a listing. It may be days old:
a key that looks different is read anew on both sides before anything is done, so that an old row costs two requests and
does nothing wrong. What was written after the report was made, and equal keys that changed since, are not looked at:
the replicator brings them, or a sync that lists.

Interrupted, or with failures, it is run again: what is equal by then is passed over. Nothing else is kept between runs,
except uploads in parts in the state bucket.")]
pub struct SyncArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete at the destination what the source no longer has; with exclusive ownership only
    #[arg(long)]
    delete: bool,
    /// Delete without being asked for confirmation
    #[arg(long, requires = "delete")]
    yes: bool,
    /// The bucket of s3ferry's state, in the source's region: uploads in parts are gone on with after an interruption
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    state_bucket: Option<BucketName>,
    /// Where objects that failed are written, as JSON lines; the file is made with the first
    #[arg(long, value_name = "FILE", default_value = "s3ferry-failures.jsonl")]
    failures: PathBuf,
    #[command(flatten)]
    inventories: InventoryArgs,
}

impl SyncArgs {
    /// Tells whether anything is copied.
    #[must_use]
    pub fn copies(&self) -> bool {
        !self.dry_run
    }

    fn check(&self) -> Result<(), Error> {
        let is_shared = self.policy.ownership == OwnershipArg::Shared;
        if is_shared && self.delete {
            return Err(Error::usage(
                "--delete is for a destination that only s3ferry writes to, and --ownership is shared",
                "leave out --delete, or give --ownership exclusive",
            ));
        }
        if is_shared && self.state_bucket.is_none() {
            return Err(Error::usage(
                "--ownership shared needs to write down what it does, and there is no --state-bucket",
                "give --state-bucket, as the replicator has it",
            ));
        }
        let asks = self.delete && !self.yes && !self.dry_run;
        if asks && !io::stdin().is_terminal() {
            return Err(Error::usage(
                "--delete asks for confirmation, and standard input is no terminal",
                "give --yes if what is gone at the source is to go at the destination",
            ));
        }
        Ok(())
    }
}

/// Makes the destination what the source is.
pub async fn run(shared: &SharedArgs, args: &SyncArgs, interrupt: &Interrupt) -> Result<End, Error> {
    args.check()?;
    args.policy.check(&args.destination.destination_region)?;
    let compare = &args.compare;
    let sides = Sides::open(shared, &args.source, &args.destination, compare.max_requests_per_second).await?;
    let sides = sides.with_inventories(&args.inventories).await?;
    let uploads = match &args.state_bucket {
        Some(bucket) => Some(sides.state(bucket).await?),
        None => None,
    };
    if args.delete && !args.yes && !args.dry_run {
        confirm_deletes(&sides, interrupt).await?;
    }
    let (source, destination) = sides.adapters();
    let reconciler = Reconciler {
        source,
        destination,
        uploads,
        concurrent_parts: usize::from(args.policy.max_concurrent_parts),
        clock: InterruptibleClock::new(interrupt.clone()),
        policy: args.policy.policy(sides.prefix(), args.delete),
    };
    let mut work = Work {
        aspects: aspects_of(compare),
        concurrency: usize::from(compare.concurrency),
        deletes: args.delete,
        interrupt: interrupt.clone(),
        progress: Progress::start("syncing", "keys", compare.expected_objects),
        results: Results::new(shared.output, args.dry_run, args.failures.clone()),
    };
    let found = findings(&sides, compare);
    if args.dry_run {
        work.all(found, dry(reconciler)).await?;
    } else {
        work.all(found, reconciler).await?;
    }
    work.progress.finish();
    let end = work.results.end(&sides)?;
    if interrupt.is_set() {
        Err(Error::Interrupted)
    } else {
        end
    }
}

fn aspects_of(compare: &CompareArgs) -> Aspects {
    aspects_at(compare.depth())
}

/// Keeps the reads and what is decided of them, and lets no write through.
fn dry<S, D, C, J>(reconciler: Reconciler<S, D, C, J>) -> Reconciler<S, DryDestination<D>, C, DryStore<J>> {
    Reconciler {
        source: reconciler.source,
        destination: DryDestination(reconciler.destination),
        uploads: reconciler.uploads.map(|uploads| s3ferry_engine::reconcile::Uploads {
            journal: DryStore(uploads.journal),
            route: uploads.route,
        }),
        concurrent_parts: reconciler.concurrent_parts,
        clock: reconciler.clock,
        policy: reconciler.policy,
    }
}

/// Has the name of the bucket typed that objects are deleted in.
async fn confirm_deletes(sides: &Sides, interrupt: &Interrupt) -> Result<(), Error> {
    let bucket = sides.destination.location.bucket.clone();
    say(&format!(
        "Objects of {} that {} does not have will be deleted.\nType the name of the destination bucket to go on:",
        sides.destination.location, sides.source.location
    ));
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let typed = tokio::select! {
        () = interrupt.wait() => return Err(Error::Interrupted),
        typed = typed => typed.map_err(|error| Error::Bug(error.to_string()))?,
    };
    let typed = typed.map_err(Error::file("read the confirmation"))?;
    if typed.trim() == bucket.as_str() {
        Ok(())
    } else {
        Err(Error::usage(
            format!(
                "`{}` is not the name of the destination bucket; nothing was done",
                typed.trim()
            ),
            format!("type {bucket}, or leave out --delete"),
        ))
    }
}
