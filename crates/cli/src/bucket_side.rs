//! One bucket of a command: its location, and the clients that reach it.

use s3ferry_aws::client::{ClientSettings, Clients};
use s3ferry_aws::limits::RequestLimits;
use s3ferry_aws::listing::S3Listing;
use s3ferry_aws::preflight;
use s3ferry_aws::settings::endpoint_url;
use s3ferry_core::failure::FailureCode;
use s3ferry_core::names::{AccountId, ObjectKey, Region};
use s3ferry_core::prefix;
use s3ferry_core::preflight::{ExpectedBucket, PreflightError, UnfitBucket};
use s3ferry_engine::listing::ObjectListing as _;

use crate::args::{SharedArgs, SourceArgs, region};
use crate::environment;
use crate::exit::CliError;
use crate::location::Location;

/// One bucket with its region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSide {
    /// The bucket and the prefix.
    pub location: Location,
    /// The bucket's region.
    pub region: Region,
    /// The account that must own it.
    pub owner: Option<AccountId>,
}

impl BucketSide {
    pub(crate) fn expected(&self) -> ExpectedBucket {
        ExpectedBucket {
            name: self.location.bucket.clone(),
            region: self.region.clone(),
            owner: self.owner.clone(),
        }
    }

    /// Returns the bucket's listing.
    #[must_use]
    pub fn listing(&self, clients: &Clients) -> S3Listing {
        S3Listing::new(
            clients.s3_for_listing(&self.region),
            self.location.bucket.clone(),
            self.region.clone(),
            self.owner.clone(),
        )
    }

    /// Returns warnings about a prefix that may be mistyped.
    pub async fn warnings(&self, clients: &Clients) -> Result<Vec<String>, CliError> {
        let (location, prefix) = (&self.location, &self.location.prefix);
        let mut warnings = Vec::new();
        if let Some(letter) = prefix::wildcard_in(prefix) {
            warnings.push(format!(
                "warning: `{letter}` in {location} is taken literally: prefixes have no wildcards"
            ));
        }
        if let Some(behind) = prefix::behind_folder(prefix) {
            let listing = self.listing(clients);
            let mut rows = listing.page(prefix, None).await?.objects;
            rows.extend(listing.page(prefix, Some(&behind)).await?.objects);
            let keys: Vec<ObjectKey> = rows.into_iter().map(|row| row.key).collect();
            if let Some(key) = prefix::sibling(prefix, &keys) {
                warnings.push(format!(
                    "warning: {location} also selects `{key}`: end the prefix with `/` if only that folder is meant"
                ));
            }
        }
        Ok(warnings)
    }
}

/// Region that is asked for the region of a bucket, if no default region is configured.
const FIRST_REGION: &str = "us-east-1";

/// Creates clients, and returns the region to ask first for the source bucket.
pub(crate) async fn source_clients(
    shared: &SharedArgs,
    source: &SourceArgs,
    limits: RequestLimits,
) -> Result<(Clients, Region), CliError> {
    let settings = client_settings(shared, limits)?;
    let first = match &source.source_region {
        Some(region) => Some(region.clone()),
        None => configured_region(&settings, "--source-region").await?,
    };
    let first = match first {
        Some(first) => first,
        None => region(FIRST_REGION).map_err(CliError::Bug)?,
    };
    Ok((Clients::load_with(&first, &settings).await, first))
}

/// Finds the region of the source bucket, and checks the bucket.
pub(crate) async fn open_source(
    shared: &SharedArgs,
    source: &SourceArgs,
    limits: RequestLimits,
) -> Result<(Clients, BucketSide), CliError> {
    let (clients, first) = source_clients(shared, source, limits).await?;
    let side = BucketSide {
        location: source.source.clone(),
        region: first,
        owner: source.source_bucket_owner.clone(),
    };
    let side = located(&clients, side, source.source_region.as_ref(), "--source-region").await?;
    Ok((clients, side))
}

/// Checks that a bucket exists in the given region; without one, finds its region with a request to that of `side`. `flag`
/// is the flag of the region.
pub(crate) async fn located(
    clients: &Clients,
    side: BucketSide,
    given: Option<&Region>,
    flag: &str,
) -> Result<BucketSide, CliError> {
    if let Some(given) = given {
        let side = BucketSide {
            region: given.clone(),
            ..side
        };
        ensure_in_region(clients, &side, flag).await?;
        return Ok(side);
    }
    let client = clients.s3_for_reading(&side.region);
    let found = preflight::region_of(&client, &side.location.bucket, &side.region, side.owner.as_ref()).await;
    let found = found.map_err(|failure| preflight_error(clients, PreflightError::Failed(failure), flag))?;
    match found {
        Some(found) if found != side.region.as_str() => {
            let side = BucketSide {
                region: region(&found).map_err(CliError::Bug)?,
                ..side
            };
            // Another region names the bucket's region to everyone, so access is checked in the bucket's own region.
            ensure_in_region(clients, &side, flag).await?;
            Ok(side)
        }
        _ => Ok(side),
    }
}

fn client_settings(shared: &SharedArgs, limits: RequestLimits) -> Result<ClientSettings, CliError> {
    Ok(ClientSettings {
        profile: shared.profile.clone(),
        endpoint_url: checked_endpoint(shared)?,
        limits,
    })
}

/// Creates clients of a region; without one, of the default region. `flag` is the flag of the region.
pub(crate) async fn load_clients(
    shared: &SharedArgs,
    region: Option<&Region>,
    flag: &str,
    limits: RequestLimits,
) -> Result<(Clients, Region), CliError> {
    let settings = client_settings(shared, limits)?;
    let region = match region {
        Some(region) => region.clone(),
        None => default_region(&settings, flag).await?,
    };
    Ok((Clients::load_with(&region, &settings).await, region))
}

/// Refuses an endpoint in the environment that the SDK cannot read: it would go to AWS itself, or nowhere if it is empty.
fn checked_endpoint(shared: &SharedArgs) -> Result<Option<String>, CliError> {
    const VARIABLE: &str = "AWS_ENDPOINT_URL";
    match (&shared.endpoint_url, environment::variable(VARIABLE)) {
        (Some(url), _) => Ok(Some(url.clone())),
        (None, Some(url)) => match endpoint_url(&url) {
            Ok(url) => Ok(Some(url)),
            Err(allowed) => Err(CliError::setup(
                format!("{VARIABLE}=`{url}`: {allowed}"),
                format!("correct or unset {VARIABLE}, or pass --endpoint-url"),
            )),
        },
        (None, None) => Ok(None),
    }
}

async fn default_region(settings: &ClientSettings, flag: &str) -> Result<Region, CliError> {
    if let Some(region) = configured_region(settings, flag).await? {
        return Ok(region);
    }
    let profile = match &settings.profile {
        Some(profile) => format!("the profile `{profile}`"),
        None => "the profile".to_owned(),
    };
    Err(CliError::setup(
        format!("no region for the source: {flag}, AWS_REGION and {profile} are not set"),
        format!("pass {flag}, as in {flag} us-east-1"),
    ))
}

/// Returns the region of the environment or the profile.
async fn configured_region(settings: &ClientSettings, flag: &str) -> Result<Option<Region>, CliError> {
    let Some(name) = settings.default_region().await else {
        return Ok(None);
    };
    let found = region(&name).map_err(|error| {
        CliError::setup(
            format!("invalid region in the environment or profile: {error}"),
            format!("pass {flag}, as in {flag} us-east-1"),
        )
    })?;
    Ok(Some(found))
}

/// Checks that a bucket exists in its region; the error names the right region.
pub(crate) async fn ensure_in_region(clients: &Clients, side: &BucketSide, flag: &str) -> Result<(), CliError> {
    let confirmed = preflight::confirm(clients, &side.expected()).await;
    confirmed.map_err(|error| preflight_error(clients, error, flag))
}

/// Returns the error of a bucket that `preflight` refused; `flag` names its region.
pub(crate) fn preflight_error(clients: &Clients, error: PreflightError, flag: &str) -> CliError {
    match (error, clients.endpoint_url()) {
        (PreflightError::Failed(failure), Some(url)) if failure.code == FailureCode::EndpointUnreachable => {
            CliError::setup(
                format!("the endpoint {url} does not respond: {}", failure.detail),
                "start the emulator, or correct --endpoint-url or AWS_ENDPOINT_URL",
            )
        }
        (PreflightError::Failed(failure), _) => CliError::Failed(failure),
        (PreflightError::Unfit(unfit), _) => unsuitable_bucket_error(&unfit, flag),
    }
}

pub(crate) fn unsuitable_bucket_error(unfit: &UnfitBucket, flag: &str) -> CliError {
    let next = match unfit {
        UnfitBucket::Elsewhere { found, .. } => format!("pass {flag} {found}"),
        _ => "fix the cause and run the command again".to_owned(),
    };
    CliError::setup(unfit.to_string(), next)
}

#[cfg(test)]
mod tests {
    use s3ferry_core::names::BucketName;

    use super::*;

    #[test]
    fn wrong_region_names_both_and_the_flag() {
        let unfit = UnfitBucket::Elsewhere {
            bucket: BucketName::new("one-bucket").unwrap(),
            expected: Region::new("us-east-1").unwrap(),
            found: "eu-central-1".to_owned(),
        };
        let error = unsuitable_bucket_error(&unfit, "--source-region");
        assert_eq!(error.code(), 3);
        let text = error.to_string();
        assert!(text.contains("is in region eu-central-1, not in us-east-1"), "{text}");
        assert!(text.contains("pass --source-region eu-central-1"), "{text}");
    }
}
