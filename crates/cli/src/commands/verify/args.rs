//! The arguments of `verify`, and what they ask for.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use s3ferry_core::diff::DifferenceKind;
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption};
use s3ferry_core::policy::Ownership;
use s3ferry_core::verify::{self as core, ComparisonScope};
use s3ferry_engine::listing::PrefetchLimits;
use s3ferry_engine::verify::{InconclusiveContent, SampleRequest};

use crate::args::{DestinationArgs, PositionalArgs, SourceArgs};
use crate::concurrency::ConcurrencyArgs;
use crate::files::FileLocation;
use crate::policy::{EncryptionArgs, OwnershipArg};

/// Default of `--max-read-bytes`: 5 GiB.
const MAX_READ_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The arguments of `verify`.
#[derive(Debug, Args)]
#[command(override_usage = "s3ferry verify [OPTIONS] [SOURCE] [DESTINATION]")]
#[command(after_help = "\
Examples:
  Verify every object by its metadata and stored checksums, and keep a report:
    s3ferry verify s3://app-data s3://app-data-eu --report verification
  Require a checksum of the full content, read where S3 stores none; both
  buckets are those of the migration file s3ferry.toml:
    s3ferry verify --depth checksum --report verification
  Verify every migration of the file, with one table and one exit code:
    s3ferry verify --all --report 'proof-{name}'
  Read no content: write two manifests of the inconclusive objects, run two
  Compute checksum jobs, and pass their reports:
    s3ferry verify s3://app-data s3://app-data-eu --inconclusive report \\
      --inconclusive-manifest s3://app-state/inconclusive.csv
    s3ferry verify s3://app-data s3://app-data-eu --inconclusive report \\
      --report proof \\
      --source-checksums s3://app-state/reports/job-1/manifest.json \\
      --destination-checksums s3://app-state-eu/reports/job-2/manifest.json

Exit code 0 means that every object in scope was verified as equal; with
--ownership shared, newer writes of applications are allowed. 1 means that an
object differs or is inconclusive, that neither side has an object, or that
the queues of --stack have messages.")]
pub struct VerifyArgs {
    #[command(flatten)]
    locations: PositionalArgs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) destination: DestinationArgs,
    /// Exit with 0 although neither side has an object
    #[arg(long)]
    pub(super) allow_empty: bool,
    /// Depth of the comparison of each object
    #[arg(long, value_enum, value_name = "DEPTH", default_value_t = DepthArg::Head)]
    pub(super) depth: DepthArg,
    /// Number of random keys to compare, or all; missing and extra keys are always found
    #[arg(long, value_name = "NUMBER", default_value = "all")]
    pub(super) sample: SampleSize,
    /// Seed of the sample; the same seed selects the same keys
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) sample_seed: u64,
    /// Kinds of differences to ignore, separated by commas
    #[arg(long, value_enum, value_name = "KINDS", value_delimiter = ',')]
    pub(super) ignore: Vec<IgnoredKind>,
    /// Who writes to the destination; with `shared`, newer writes of applications are not differences
    #[arg(long, value_enum, value_name = "MODE", default_value_t = OwnershipArg::Exclusive)]
    pub(super) ownership: OwnershipArg,
    /// Source stack, to check at the end that its queues are empty
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// Whether explicit grants are compared
    #[arg(long, value_enum, value_name = "MODE", default_value_t = AclCompareArg::Ignore)]
    pub(super) acl: AclCompareArg,
    #[command(flatten)]
    pub(super) encryption: EncryptionArgs,
    /// Action if the stored checksums are inconclusive
    #[arg(long, value_enum, value_name = "MODE", default_value_t = InconclusiveArg::Read)]
    pub(super) inconclusive: InconclusiveArg,
    /// Largest object to read, in bytes; larger ones are inconclusive
    #[arg(long, value_name = "BYTES", default_value_t = MAX_READ_BYTES)]
    pub(super) max_read_bytes: u64,
    /// File or object for manifests of inconclusive objects; `-source` and `-destination` are added to the name
    #[arg(long, value_name = "FILE_OR_S3_URL")]
    pub(super) inconclusive_manifest: Option<FileLocation>,
    /// manifest.json of a Compute checksum job on the source objects, a file or an object
    #[arg(long, value_name = "FILE_OR_S3_URL")]
    pub(super) source_checksums: Option<FileLocation>,
    /// manifest.json of a Compute checksum job on the destination objects
    #[arg(long, value_name = "FILE_OR_S3_URL")]
    pub(super) destination_checksums: Option<FileLocation>,
    /// Report to write, as PATH.json and PATH.html
    #[arg(long, value_name = "PATH")]
    pub(super) report: Option<PathBuf>,
    /// File of all keys that are not equal, as JSON lines
    #[arg(long, value_name = "FILE")]
    pub(super) differences: Option<PathBuf>,
    /// Name of the operator for the report [default: the profile]
    #[arg(long, value_name = "NAME")]
    pub(super) operator: Option<String>,
    #[command(flatten)]
    pub(super) concurrency: ConcurrencyArgs,
    /// Largest number of concurrent pages of each listing, 1 to 64
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) list_concurrency: u16,
    /// Largest number of requests per second, retries included
    #[arg(long, value_name = "NUMBER")]
    pub(super) max_requests_per_second: Option<NonZeroU32>,
    /// Approximate number of objects, for the estimated time left
    #[arg(long, value_name = "NUMBER")]
    pub(super) expected_objects: Option<u64>,
}

/// The depth of the comparison of each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DepthArg {
    /// Size and ETag of the listings; differences are confirmed by reading
    Listing,
    /// Metadata, tags, Object Lock, annotations, storage class, and any stored checksum
    Head,
    /// As head, and a checksum of the full content
    Checksum,
}

impl From<DepthArg> for core::VerificationDepth {
    fn from(name: DepthArg) -> Self {
        match name {
            DepthArg::Listing => Self::Listing,
            DepthArg::Head => Self::Head,
            DepthArg::Checksum => Self::Checksum,
        }
    }
}

/// The number of keys to compare; none means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampleSize(pub(super) Option<NonZeroUsize>);

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

/// A kind of difference that can be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum IgnoredKind {
    /// System headers, user metadata, website redirect
    Metadata,
    /// Tags
    Tags,
    /// Object Lock
    Lock,
    /// Encryption
    Encryption,
    /// Annotations
    Annotations,
    /// Storage classes
    StorageClass,
}

impl From<IgnoredKind> for DifferenceKind {
    fn from(ignored: IgnoredKind) -> Self {
        match ignored {
            IgnoredKind::Metadata => Self::Metadata,
            IgnoredKind::Tags => Self::Tags,
            IgnoredKind::Lock => Self::Lock,
            IgnoredKind::Encryption => Self::Encryption,
            IgnoredKind::Annotations => Self::Annotations,
            IgnoredKind::StorageClass => Self::StorageClass,
        }
    }
}

/// Whether grants are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AclCompareArg {
    /// Grants are not compared
    Ignore,
    /// Grants are compared if both buckets have access control lists
    Compare,
}

/// The action if stored checksums are inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum InconclusiveArg {
    /// Read and hash both objects
    Read,
    /// Report the object as inconclusive
    Report,
}

/// The attributes that are read and compared, as the report names them.
pub(super) struct ComparisonDescription {
    pub(super) read: AttributeSet,
    pub(super) named: core::ComparedAttributes,
}

impl VerifyArgs {
    /// Returns who writes to the destination.
    pub(super) fn ownership(&self) -> Ownership {
        self.ownership.into()
    }

    pub(super) fn scope(&self, default_encryption: Option<ExplicitEncryption>) -> ComparisonScope {
        ComparisonScope {
            depth: self.depth.into(),
            ignored: self.ignored(),
            ownership: self.ownership(),
            encryption: self.encryption.rules(default_encryption),
        }
    }

    fn ignored(&self) -> BTreeSet<DifferenceKind> {
        self.ignore.iter().copied().map(DifferenceKind::from).collect()
    }

    pub(super) fn inconclusive(&self) -> InconclusiveContent {
        match self.inconclusive {
            InconclusiveArg::Read => InconclusiveContent::Read {
                max_bytes: self.max_read_bytes,
            },
            InconclusiveArg::Report => InconclusiveContent::Report,
        }
    }

    pub(super) fn sample(&self) -> Option<SampleRequest> {
        self.sample.0.map(|size| SampleRequest {
            size: size.get(),
            seed: self.sample_seed,
        })
    }

    pub(super) fn prefetch_limits(&self) -> PrefetchLimits {
        let concurrency = usize::from(self.list_concurrency);
        PrefetchLimits {
            concurrency,
            pages: 5 * concurrency,
        }
    }

    /// Returns the attributes that are read besides a HEAD, and the names of those that are compared.
    pub(super) fn comparison_description(&self, with_acl: bool) -> ComparisonDescription {
        let ignored = self.ignored();
        let mut compared = vec!["size and content".to_owned()];
        let mut not_compared = Vec::new();
        let around = [
            (
                DifferenceKind::Metadata,
                "system headers, user metadata, website redirect",
            ),
            (DifferenceKind::Tags, "tags"),
            (DifferenceKind::Lock, "Object Lock"),
            (DifferenceKind::Encryption, "encryption"),
            (DifferenceKind::Annotations, "annotations"),
            (DifferenceKind::StorageClass, "storage class"),
        ];
        for (kind, name) in around {
            if self.depth == DepthArg::Listing || ignored.contains(&kind) {
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
        not_compared.extend(["older versions", "the buckets' configuration"].map(str::to_owned));
        let read = [
            (
                Attribute::Tags,
                self.depth != DepthArg::Listing && !ignored.contains(&DifferenceKind::Tags),
            ),
            (
                Attribute::Annotations,
                self.depth != DepthArg::Listing && !ignored.contains(&DifferenceKind::Annotations),
            ),
            (Attribute::Acl, with_acl),
        ];
        ComparisonDescription {
            read: read
                .into_iter()
                .filter(|(_, is_read)| *is_read)
                .map(|(attribute, _)| attribute)
                .collect(),
            named: core::ComparedAttributes { compared, not_compared },
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
