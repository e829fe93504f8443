//! `s3ferry verify`: the proof that two buckets are equal.

mod checksums;
mod page;
mod results;

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures::{Stream, StreamExt as _};
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::content::S3Content;
use s3ferry_core::diff::Kind;
use s3ferry_core::facts::{Aspect, Aspects};
use s3ferry_core::failure::Failure;
use s3ferry_core::verify::completion::Checksums;
use s3ferry_core::verify::{self as core, Amount, Ending, Header, Look, Objects, Sampled, Scope, Tool};
use s3ferry_engine::listing::Reach;
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::verify::{Progress as Step, Sample, Unsettled, Verifier, listed as merged};

use self::checksums::ReportAt;
use self::results::Results;
use crate::args::{DestinationArgs, SharedArgs, SourceArgs};
use crate::commands::manifest::target::Target;
use crate::exit::{End, Error};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::rows::listed;
use crate::sides::{Side, Sides};

/// The largest object that is read unless somebody says otherwise: 5 GiB.
const MAX_READ_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Every object, by its metadata and whatever hashes are stored; a report to keep:
    s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --report verification
  A hash of the whole content of each object, read where S3 stores none:
    s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --depth checksum --report verification
  Nothing read: the objects that only checksums settle go into two manifests, for two Compute checksum jobs of
  S3 Batch Operations, whose reports are handed in afterwards:
    s3ferry verify ... --unsettled report --unsettled-manifest s3://app-state/unsettled.csv
    s3ferry verify ... --unsettled report --source-checksums s3://app-state/reports/job-1/manifest.json \\
      --destination-checksums s3://app-state-eu/reports/job-2/manifest.json --report verification

Exit code 0 means that every object in scope was told equal, 1 that one differs, or that it cannot be told.")]
pub struct VerifyArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    destination: DestinationArgs,
    /// What is demanded of an object before it is called equal
    #[arg(long, value_enum, value_name = "DEPTH", default_value_t = DepthName::Head)]
    depth: DepthName,
    /// How many objects are looked at, drawn at random, or `all`; what only one side has is found all the same
    #[arg(long, value_name = "NUMBER", default_value = "all")]
    sample: SampleSize,
    /// Which sample is drawn: the same seed draws the same keys
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    sample_seed: u64,
    /// Kinds of differences that are none here: metadata, tags, lock, annotations, storage-class
    #[arg(long, value_enum, value_name = "KINDS", value_delimiter = ',')]
    ignore: Vec<IgnoredKind>,
    /// Whether explicit grants are compared, where both buckets have access control lists
    #[arg(long, value_enum, value_name = "MODE", default_value_t = AclMode::Ignore)]
    acl: AclMode,
    /// What becomes of contents that nothing stored can settle
    #[arg(long, value_enum, value_name = "MODE", default_value_t = UnsettledMode::Read)]
    unsettled: UnsettledMode,
    /// The largest object that is read, in bytes; larger ones are reported as cannot-tell
    #[arg(long, value_name = "BYTES", default_value_t = MAX_READ_BYTES)]
    max_read_bytes: u64,
    /// Where the objects that checksums would settle are written to, one manifest a side: `-source` and `-destination` are
    /// put before the extension
    #[arg(long, value_name = "PATH_OR_S3_URL")]
    unsettled_manifest: Option<Target>,
    /// The completion report of a Compute checksum job on the source's objects: its manifest.json, a file or an object
    #[arg(long, value_name = "PATH_OR_S3_URL")]
    source_checksums: Option<ReportAt>,
    /// The completion report of a Compute checksum job on the destination's objects
    #[arg(long, value_name = "PATH_OR_S3_URL")]
    destination_checksums: Option<ReportAt>,
    /// Where the report goes: PATH.json and PATH.html are written
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
    /// The file that every key that is not equal is written to, one JSON value a line
    #[arg(long, value_name = "FILE")]
    differences: Option<PathBuf>,
    /// Who has it verified, for the report; the default is the profile's name
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How many objects are looked at, or read, at once, 1 to 1024
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// How many pages of each listing are asked for at once, 1 to 64
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    list_concurrency: u16,
    /// How many requests are sent in a second at most, all of them counted
    #[arg(long, value_name = "NUMBER")]
    max_requests_per_second: Option<NonZeroU32>,
    /// About how many objects there are, so that the remaining time can be told
    #[arg(long, value_name = "NUMBER")]
    expected_objects: Option<u64>,
}

/// What is demanded of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DepthName {
    /// Size and ETag of the listings; what looks different there is looked at
    Listing,
    /// Metadata, tags, lock, annotations, storage class, and any hash that both sides store
    Head,
    /// As head, and a hash of the whole content
    Checksum,
}

impl From<DepthName> for core::Depth {
    fn from(name: DepthName) -> Self {
        match name {
            DepthName::Listing => Self::Listing,
            DepthName::Head => Self::Head,
            DepthName::Checksum => Self::Checksum,
        }
    }
}

/// How many keys are looked at; none means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SampleSize(Option<NonZeroUsize>);

impl FromStr for SampleSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            return Ok(Self(None));
        }
        let size = text.parse().map_err(|_| "must be `all` or a number above 0")?;
        Ok(Self(Some(size)))
    }
}

/// A kind of difference that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IgnoredKind {
    /// System headers, user metadata, website redirect
    Metadata,
    /// Tags
    Tags,
    /// Object Lock
    Lock,
    /// Annotations
    Annotations,
    /// Storage classes
    StorageClass,
}

impl From<IgnoredKind> for Kind {
    fn from(ignored: IgnoredKind) -> Self {
        match ignored {
            IgnoredKind::Metadata => Self::Metadata,
            IgnoredKind::Tags => Self::Tags,
            IgnoredKind::Lock => Self::Lock,
            IgnoredKind::Annotations => Self::Annotations,
            IgnoredKind::StorageClass => Self::StorageClass,
        }
    }
}

/// Whether grants are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AclMode {
    /// They are not
    Ignore,
    /// They are
    Compare,
}

/// What becomes of contents that nothing settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UnsettledMode {
    /// Both sides are read and hashed
    Read,
    /// They are reported as cannot-tell
    Report,
}

/// Verifies, and writes what came of it.
pub async fn run(shared: &SharedArgs, args: &VerifyArgs, interrupt: &Interrupt) -> Result<End, Error> {
    if args.depth == DepthName::Listing && args.sample.0.is_some() {
        return Err(Error::usage(
            "--sample with --depth listing: listings are read as a whole, and no object is looked at",
            "leave out --sample, or give --depth head or --depth checksum",
        ));
    }
    let sides = Sides::open(shared, &args.source, &args.destination, args.max_requests_per_second).await?;
    let mut results = Results::begin(shared.output, args, &sides).await?;
    let clients = &sides.clients;
    let source_checksums = checksums::load(args.source_checksums.as_ref(), clients, &sides.source).await?;
    let destination_checksums =
        checksums::load(args.destination_checksums.as_ref(), clients, &sides.destination).await?;
    let header = Draft::begin(shared, args, [&source_checksums, &destination_checksums]);
    let (source, destination) = (content(&sides, &sides.source), content(&sides, &sides.destination));
    let with_acl = args.acl == AclMode::Compare && source.has_acl().await? && destination.has_acl().await?;
    let look = args.look(with_acl);
    let verifier = Verifier {
        source,
        destination,
        destination_name: sides.destination.location.bucket.clone(),
        scope: args.scope(),
        aspects: look.read.clone(),
        unsettled: args.unsettled(),
        source_checksums,
        destination_checksums,
        concurrency: usize::from(args.concurrency),
    };
    let (source_rows, destination_rows) = sides.listings();
    let (prefix, reach) = (sides.prefix(), args.reach());
    let found = merged(
        listed(source_rows, prefix, reach),
        listed(destination_rows, prefix, reach),
        args.depth.into(),
        args.sample(),
    );
    let progress = Progress::start("verifying", "keys", args.expected_objects);
    let ended = each(Arc::new(verifier).verified(found), &progress, interrupt, &mut results).await;
    progress.finish();
    let ended = if interrupt.is_set() {
        ended.and(Err(Error::Interrupted))
    } else {
        ended.and_then(|()| results.must_not_be_all_denied())
    };
    let ending = match &ended {
        Ok(()) => Ending::Whole,
        Err(_) => Ending::Cut,
    };
    let header = header.end(&sides, args, &look, &results, ended.as_ref().err());
    let verdict = results.end(header, ending, args.sample.0.is_some()).await?;
    ended?;
    Ok(if verdict.is_good() { End::Done } else { End::NotAll })
}

fn content(sides: &Sides, side: &Side) -> S3Content {
    S3Content::new(
        sides.clients.s3_for_reading(&side.region),
        side.location.bucket.clone(),
        side.region.clone(),
        side.owner.clone(),
    )
}

/// Takes everything that is found, until it ends or somebody asks to stop.
async fn each(
    found: impl Stream<Item = Result<Step, Failure>> + Send,
    progress: &Progress,
    interrupt: &Interrupt,
    results: &mut Results,
) -> Result<(), Error> {
    let mut found = std::pin::pin!(found);
    loop {
        let next = tokio::select! {
            biased;
            () = interrupt.wait() => return Ok(()),
            next = found.next() => next,
        };
        let Some(step) = next else { return Ok(()) };
        let step = step?;
        progress.advance(step.tally.keys);
        results.take(&step)?;
        progress.note(results.note());
    }
}

/// What is read, and what of it is compared, in the words of the report.
struct Looked {
    read: Aspects,
    named: core::Aspects,
}

impl VerifyArgs {
    fn scope(&self) -> Scope {
        Scope {
            depth: self.depth.into(),
            ignored: self.ignored(),
        }
    }

    fn ignored(&self) -> BTreeSet<Kind> {
        self.ignore.iter().copied().map(Kind::from).collect()
    }

    fn unsettled(&self) -> Unsettled {
        match self.unsettled {
            UnsettledMode::Read => Unsettled::Read {
                max_bytes: self.max_read_bytes,
            },
            UnsettledMode::Report => Unsettled::Report,
        }
    }

    fn sample(&self) -> Option<Sample> {
        self.sample.0.map(|size| Sample {
            size: size.get(),
            seed: self.sample_seed,
        })
    }

    fn reach(&self) -> Reach {
        let concurrency = usize::from(self.list_concurrency);
        Reach {
            concurrency,
            pages: 5 * concurrency,
        }
    }

    /// Says what is read besides a HEAD, and puts into words what is compared.
    fn look(&self, with_acl: bool) -> Looked {
        let ignored = self.ignored();
        let mut compared = vec!["size and content".to_owned()];
        let mut not_compared = Vec::new();
        let around = [
            (Kind::Metadata, "system headers, user metadata, website redirect"),
            (Kind::Tags, "tags"),
            (Kind::Lock, "Object Lock"),
            (Kind::Annotations, "annotations"),
            (Kind::StorageClass, "storage class"),
        ];
        for (kind, name) in around {
            if self.depth == DepthName::Listing || ignored.contains(&kind) {
                not_compared.push(name.to_owned());
            } else {
                compared.push(name.to_owned());
            }
        }
        if with_acl {
            compared.push("explicit grants".to_owned());
        } else {
            not_compared.push("explicit grants".to_owned());
        }
        not_compared.extend(["encryption", "older versions", "the buckets' configuration"].map(str::to_owned));
        let read = [
            (
                Aspect::Tags,
                self.depth != DepthName::Listing && !ignored.contains(&Kind::Tags),
            ),
            (
                Aspect::Annotations,
                self.depth != DepthName::Listing && !ignored.contains(&Kind::Annotations),
            ),
            (Aspect::Acl, with_acl),
        ];
        Looked {
            read: read
                .into_iter()
                .filter(|(_, is_read)| *is_read)
                .map(|(aspect, _)| aspect)
                .collect(),
            named: core::Aspects { compared, not_compared },
        }
    }
}

/// What is known of the run before it ends.
struct Draft {
    by: String,
    started_at: String,
    job_reports: Vec<core::JobReport>,
}

impl Draft {
    fn begin(shared: &SharedArgs, args: &VerifyArgs, checksums: [&Checksums; 2]) -> Self {
        let from_environment = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        let by = args
            .by
            .clone()
            .or_else(|| shared.profile.clone())
            .or_else(from_environment);
        let at = [&args.source_checksums, &args.destination_checksums];
        let reports = ["source", "destination"].into_iter().zip(at).zip(checksums);
        let reports = reports.filter_map(|((side, at), checksums)| {
            Some(core::JobReport {
                side,
                location: at.as_ref()?.to_string(),
                computed: checksums.computed,
                failed: checksums.failed,
            })
        });
        Self {
            by: by.unwrap_or_else(|| "unknown".to_owned()),
            started_at: SystemClock.now().to_rfc3339(),
            job_reports: reports.collect(),
        }
    }

    fn end(
        self,
        sides: &Sides,
        args: &VerifyArgs,
        look: &Looked,
        results: &Results,
        stopped_by: Option<&Error>,
    ) -> Header {
        let tally = results.tally();
        let objects = |side: &Side, objects: u64, bytes: u64| Objects {
            bucket: side.location.bucket.to_string(),
            prefix: side.location.prefix.clone(),
            region: side.region.to_string(),
            amount: Amount { objects, bytes },
        };
        let counts = &tally.counts;
        Header {
            tool: Tool {
                name: "s3ferry",
                version: env!("CARGO_PKG_VERSION"),
            },
            by: self.by,
            started_at: self.started_at,
            ended_at: SystemClock.now().to_rfc3339(),
            sides: core::Sides {
                source: objects(&sides.source, counts.source_keys, counts.source_bytes),
                destination: objects(&sides.destination, counts.destination_keys, counts.destination_bytes),
            },
            look: Look {
                depth: args.depth.into(),
                aspects: look.named.clone(),
                sample: args.sample().map(|sample| Sampled {
                    asked: u64::try_from(sample.size).unwrap_or(u64::MAX),
                    drawn: tally.sampled_of.saturating_sub(tally.not_examined),
                    of: tally.sampled_of,
                    seed: sample.seed,
                }),
                reads_contents: args.unsettled == UnsettledMode::Read,
                max_read_bytes: args.max_read_bytes,
            },
            stopped_by: stopped_by.map(|error| match error {
                Error::Interrupted => "somebody asked to stop".to_owned(),
                error => error.to_string(),
            }),
            job_reports: self.job_reports,
            differences_file: args.differences.as_ref().map(|path| path.display().to_string()),
            unsettled_manifests: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_is_all_or_a_number() {
        assert_eq!("all".parse(), Ok(SampleSize(None)));
        assert_eq!("12".parse(), Ok(SampleSize(NonZeroUsize::new(12))));
        for text in ["0", "-1", "some", ""] {
            assert!(text.parse::<SampleSize>().is_err(), "{text}");
        }
    }
}
