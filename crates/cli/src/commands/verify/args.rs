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

use crate::args::{DestinationArgs, SourceArgs};
use crate::files::FileLocation;
use crate::policy::{EncryptionArgs, OwnershipArg};

/// The largest object that is read unless somebody says otherwise: 5 GiB.
const MAX_READ_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// The arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  Every object, by its metadata and whatever hashes are stored; a report to
  keep:
    s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --report verification
  A hash of the whole content of each object, read where S3 stores none:
    s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --depth checksum --report verification
  Nothing read: the objects that only checksums settle go into two manifests,
  for two Compute checksum jobs of S3 Batch Operations, whose reports are
  handed in afterwards:
    s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --inconclusive report \\
      --inconclusive-manifest s3://app-state/unsettled.csv
    s3ferry verify --source s3://app-data --destination s3://app-data-eu \\
      --destination-region eu-central-1 --inconclusive report --report proof \\
      --source-checksums s3://app-state/reports/job-1/manifest.json \\
      --destination-checksums s3://app-state-eu/reports/job-2/manifest.json

Exit code 0 means that every object in scope was verified as equal (with
--ownership shared: or was written by an application at the destination, which
is named), 1 that one differs, that it cannot be told, that neither side has an
object, or that messages are left in the queues of --stack.")]
pub struct VerifyArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) destination: DestinationArgs,
    /// End with 0 although neither side has an object
    #[arg(long)]
    pub(super) allow_empty: bool,
    /// What is demanded of an object before it is called equal
    #[arg(long, value_enum, value_name = "DEPTH", default_value_t = DepthArg::Head)]
    pub(super) depth: DepthArg,
    /// How many objects are looked at, drawn at random, or `all`; what only one side has is found all the same
    #[arg(long, value_name = "NUMBER", default_value = "all")]
    pub(super) sample: SampleSize,
    /// Which sample is drawn: the same seed draws the same keys
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(super) sample_seed: u64,
    /// Kinds of differences that are none here: metadata, tags, lock, annotations, storage-class
    #[arg(long, value_enum, value_name = "KINDS", value_delimiter = ',')]
    pub(super) ignore: Vec<IgnoredKind>,
    /// Who writes to the destination: with `shared`, newer writes of applications there are no differences
    #[arg(long, value_enum, value_name = "MODE", default_value_t = OwnershipArg::Exclusive)]
    pub(super) ownership: OwnershipArg,
    /// The source stack: at the end, messages that are still in its queues are warned of
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// Whether explicit grants are compared, where both buckets have access control lists
    #[arg(long, value_enum, value_name = "MODE", default_value_t = AclCompareArg::Ignore)]
    pub(super) acl: AclCompareArg,
    #[command(flatten)]
    pub(super) encryption: EncryptionArgs,
    /// What becomes of contents that nothing stored can settle
    #[arg(long, value_enum, value_name = "MODE", default_value_t = InconclusiveArg::Read)]
    pub(super) inconclusive: InconclusiveArg,
    /// The largest object that is read, in bytes; larger ones are reported as inconclusive
    #[arg(long, value_name = "BYTES", default_value_t = MAX_READ_BYTES)]
    pub(super) max_read_bytes: u64,
    /// Where the objects that checksums would settle are written to, one manifest a side: `-source` and `-destination` are
    /// put before the extension
    #[arg(long, value_name = "PATH_OR_S3_URL")]
    pub(super) inconclusive_manifest: Option<FileLocation>,
    /// The completion report of a Compute checksum job on the source's objects: its manifest.json, a file or an object
    #[arg(long, value_name = "PATH_OR_S3_URL")]
    pub(super) source_checksums: Option<FileLocation>,
    /// The completion report of a Compute checksum job on the destination's objects
    #[arg(long, value_name = "PATH_OR_S3_URL")]
    pub(super) destination_checksums: Option<FileLocation>,
    /// Where the report goes: PATH.json and PATH.html are written
    #[arg(long, value_name = "PATH")]
    pub(super) report: Option<PathBuf>,
    /// The file that every key that is not equal is written to, one JSON value a line
    #[arg(long, value_name = "FILE")]
    pub(super) differences: Option<PathBuf>,
    /// Who has it verified, for the report; the default is the profile's name
    #[arg(long, value_name = "NAME")]
    pub(super) operator: Option<String>,
    /// How many objects are read at once, 1 to 1024
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) concurrency: u16,
    /// How many pages of each listing are asked for at once, 1 to 64
    #[arg(long, value_name = "NUMBER", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) list_concurrency: u16,
    /// How many requests are sent in a second at most, all of them counted
    #[arg(long, value_name = "NUMBER")]
    pub(super) max_requests_per_second: Option<NonZeroU32>,
    /// About how many objects there are, so that the remaining time can be told
    #[arg(long, value_name = "NUMBER")]
    pub(super) expected_objects: Option<u64>,
}

/// What is demanded of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DepthArg {
    /// Size and ETag of the listings; what looks different there is looked at
    Listing,
    /// Metadata, tags, lock, annotations, storage class, and any hash that both sides store
    Head,
    /// As head, and a hash of the whole content
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

/// How many keys are looked at; none means all.
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

/// A kind of difference that can be left out.
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
    /// They are not
    Ignore,
    /// They are
    Compare,
}

/// What becomes of contents that nothing settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum InconclusiveArg {
    /// Both sides are read and hashed
    Read,
    /// They are reported as inconclusive
    Report,
}

/// What is read, and what of it is compared, in the words of the report.
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

    pub(super) fn reach(&self) -> PrefetchLimits {
        let concurrency = usize::from(self.list_concurrency);
        PrefetchLimits {
            concurrency,
            pages: 5 * concurrency,
        }
    }

    /// Says what is read besides a HEAD, and puts into words what is compared.
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
