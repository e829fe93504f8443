//! The two buckets of a command, checked, with the adapters that reach them.

use futures::TryStreamExt as _;
use s3ferry_aws::client::Clients;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_aws::preflight;
use s3ferry_aws::source::S3Source;
use s3ferry_aws::state::StateBucket;
use s3ferry_core::canary::is_canary;
use s3ferry_core::diff::SideName;
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::BucketName;
use s3ferry_core::policy::Ownership;
use s3ferry_core::preflight::{PreflightError, UnfitBucket, check_destination};
use s3ferry_core::route::MigrationRoute;
use s3ferry_engine::listing::PrefetchLimits;
use s3ferry_engine::reconcile::UploadSupport;

use crate::args::{DestinationArgs, SharedArgs, SourceArgs};
use crate::bucket_side::{BucketSide, located, open_source, preflight_error, unsuitable_bucket_error};
use crate::exit::CliError;
use crate::inventories::{Inventories, InventoryArgs};
use crate::location::Location;
use crate::progress::print_message;
use crate::rows::{BoxedRowSource, listed};

/// Both buckets, which exist in the regions that were given.
#[derive(Debug, Clone)]
pub struct BucketPair {
    /// Credentials and connections.
    pub clients: Clients,
    /// The bucket that is migrated.
    pub source: BucketSide,
    /// The bucket that is migrated to.
    pub destination: BucketSide,
    /// Reports that are read instead of listings.
    pub inventories: Inventories,
    /// Warnings about locations that may be mistyped.
    pub warnings: Vec<String>,
}

impl BucketPair {
    /// Checks the arguments, finds the regions that are not given, and checks both buckets.
    pub async fn open(
        shared: &SharedArgs,
        source: &SourceArgs,
        destination: &DestinationArgs,
        limits: RequestLimits,
    ) -> Result<Self, CliError> {
        ensure_matching(&source.source, &destination.destination)?;
        let (clients, source) = open_source(shared, source, limits).await?;
        let given = destination.destination_region.clone();
        let destination = BucketSide {
            location: destination.destination.clone(),
            // Asked first if the region is not given.
            region: source.region.clone(),
            owner: destination.destination_bucket_owner.clone(),
        };
        let destination = located(&clients, destination, given.as_ref(), "--destination-region").await?;
        let mut warnings = Vec::new();
        for side in [&source, &destination] {
            warnings.extend(side.warnings(&clients).await?);
        }
        for warning in &warnings {
            print_message(warning);
        }
        Ok(Self {
            clients,
            source,
            destination,
            inventories: Inventories::default(),
            warnings,
        })
    }

    /// Opens the inventories that are to be read instead of listings.
    pub async fn with_inventories(mut self, args: &InventoryArgs) -> Result<Self, CliError> {
        self.inventories = Inventories::open(args, &self.clients, &self.source, Some(&self.destination)).await?;
        Ok(self)
    }

    /// The prefix of keys, the same on both sides.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.source.location.prefix
    }

    /// Returns the rows of both buckets, each from its inventory or from a listing, without the canary.
    #[must_use]
    pub fn rows(&self, reach: PrefetchLimits) -> (BoxedRowSource, BoxedRowSource) {
        let rows = |name: SideName, side: &BucketSide| {
            let rows = self
                .inventories
                .rows(name)
                .unwrap_or_else(|| Box::pin(listed(side.listing(&self.clients), &side.location.prefix, reach)));
            without_canary(rows)
        };
        (
            rows(SideName::Source, &self.source),
            rows(SideName::Destination, &self.destination),
        )
    }

    /// Returns a function that replaces the side by its bucket in the failure of a listing out of order.
    pub fn names_bucket(&self) -> impl Fn(Failure) -> Failure + Send + use<> {
        let locations = [
            (SideName::Source, self.source.location.clone()),
            (SideName::Destination, self.destination.location.clone()),
        ];
        move |failure| {
            let is_of =
                |side: SideName| failure.code == FailureCode::ListingOutOfOrder && failure.resource == side.as_str();
            let location = locations.iter().find(|(side, _)| is_of(*side));
            let resource = location.map_or_else(|| failure.resource.clone(), |(_, location)| location.to_string());
            Failure { resource, ..failure }
        }
    }

    /// Checks that the destination can store the copies.
    ///
    /// A missing Object Lock is a warning; unreadable settings are left to the copies.
    pub async fn check_destination(&self, ownership: Ownership) -> Result<(), CliError> {
        let examined = async |side: &BucketSide| preflight::examine(&self.clients, &side.expected()).await;
        let (Ok(source), Ok(destination)) = (examined(&self.source).await, examined(&self.destination).await) else {
            return Ok(());
        };
        let source = (&self.source.location.bucket, source);
        let destination = (&self.destination.location.bucket, destination);
        match check_destination(source, destination, ownership, false) {
            Ok(()) => Ok(()),
            Err(unfit @ UnfitBucket::Unlockable { .. }) => {
                print_message(&format!("warning: {unfit}"));
                Ok(())
            }
            Err(unfit) => Err(unsuitable_bucket_error(&unfit, "--destination-region")),
        }
    }

    /// Checks the state bucket, which is in the source's region, and returns its journal.
    pub async fn state(&self, bucket: &BucketName) -> Result<UploadSupport<S3Journal>, CliError> {
        let region = &self.source.region;
        for (side, flag) in [(&self.source, "--source"), (&self.destination, "--destination")] {
            if side.location.bucket == *bucket {
                return Err(CliError::usage(
                    format!("--state-bucket and {flag} are the same bucket: {bucket}"),
                    "pass a separate bucket for --state-bucket",
                ));
            }
        }
        let side = BucketSide {
            location: Location {
                bucket: bucket.clone(),
                prefix: String::new(),
            },
            region: region.clone(),
            // It is the source stack's, so it belongs to the source's account.
            owner: self.source.owner.clone(),
        };
        ensure_state_bucket_in_region(&self.clients, &side).await?;
        let route = MigrationRoute {
            source: self.source.location.bucket.clone(),
            destination: self.destination.location.bucket.clone(),
        };
        let state = StateBucket::new(&self.clients, bucket.clone(), region.clone(), side.owner.as_ref());
        Ok(UploadSupport {
            journal: S3Journal::new(state, route.clone()),
            route,
        })
    }

    /// Creates the adapters of both buckets.
    #[must_use]
    pub fn adapters(&self) -> (S3Source, S3Destination) {
        let source = S3Source::new(
            self.clients.s3_for_reading(&self.source.region),
            self.source.location.bucket.clone(),
            self.source.region.clone(),
            self.source.owner.clone(),
            self.destination.location.bucket.clone(),
        );
        let destination = S3Destination::new(
            &self.clients,
            self.destination.location.bucket.clone(),
            self.destination.region.clone(),
            self.destination.owner.clone(),
            &source,
        );
        (source, destination)
    }
}

/// Checks that the state bucket exists in the source's region. No flag can name another region for it.
async fn ensure_state_bucket_in_region(clients: &Clients, side: &BucketSide) -> Result<(), CliError> {
    let confirmed = preflight::confirm(clients, &side.expected()).await;
    let Err(PreflightError::Unfit(UnfitBucket::Elsewhere {
        bucket,
        expected,
        found,
    })) = confirmed
    else {
        return confirmed.map_err(|error| preflight_error(clients, error, "--state-bucket"));
    };
    Err(CliError::setup(
        format!("state bucket {bucket} is in {found}, not in the source's region {expected}"),
        format!("pass a --state-bucket in {expected}"),
    ))
}

/// Requires two buckets with one prefix: keys are never renamed.
pub(crate) fn ensure_matching(source: &Location, destination: &Location) -> Result<(), CliError> {
    if source.bucket == destination.bucket {
        return Err(CliError::usage(
            format!("--source and --destination are the same bucket: {}", source.bucket),
            "pass the bucket in the other region as --destination",
        ));
    }
    if source.prefix != destination.prefix {
        return Err(CliError::usage(
            format!(
                "the prefixes differ: `{}` at the source, `{}` at the destination; s3ferry never renames keys",
                source.prefix, destination.prefix
            ),
            format!(
                "pass the same prefix to both: --destination {}{}, or --source {}{}",
                bare(destination),
                source.prefix,
                bare(source),
                destination.prefix
            ),
        ));
    }
    Ok(())
}

/// Leaves out the canary: it changes every few minutes, and is not part of the migration.
fn without_canary(rows: BoxedRowSource) -> BoxedRowSource {
    Box::pin(rows.map_ok(|mut page| {
        page.retain(|row| !is_canary(&row.key));
        page
    }))
}

/// Formats a location without its prefix.
fn bare(location: &Location) -> String {
    format!("s3://{}/", location.bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_must_be_two_buckets_with_one_prefix() {
        let check =
            |source: &str, destination: &str| ensure_matching(&source.parse().unwrap(), &destination.parse().unwrap());
        assert!(check("s3://one/a/", "s3://two/a/").is_ok());
        let error = check("s3://one/a/", "s3://two/b/").unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(
            error
                .to_string()
                .contains("--destination s3://two/a/, or --source s3://one/b/"),
            "{error}"
        );
        assert_eq!(check("s3://one", "s3://one").unwrap_err().code(), 2);
    }
}
