//! SDK clients: one set of credentials and connections, one client per region.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion as _;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::{Builder, tls};
use s3ferry_core::names::{AccountId, Region};

use crate::in_flight::{BoundedClient, InFlightLimit, MAX_REQUESTS_IN_FLIGHT};
use crate::non_utf8_headers::DropNonUtf8Headers;
use crate::owner::ExpectedOwner;
use crate::profile::NamedProfile;

/// How long a request that only reads facts may take, per attempt.
const READ_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a page of a listing may take, per attempt: longer than a HEAD where many deleted keys lie between.
const LISTING_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a page of a listing is asked for.
const LISTING_ATTEMPTS: u32 = 8;

/// How long a page of a listing is asked for, all attempts together: longer than eight attempts that are throttled take
/// with the waits between them, and no longer where nothing answers at all.
const LISTING_TIMEOUT: Duration = Duration::from_mins(3);

/// How long a request that writes and moves no bytes may take, per attempt. A copy has more time by its size.
const WRITE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The slowest copy within S3 that is waited for. 5 GiB, the most that one request copies, then have 8 minutes: less
/// than what is left of an invocation after another attempt was given up.
const SLOWEST_COPY_BYTES_PER_SECOND: u64 = 12 * 1024 * 1024;

/// How many parts S3 assembles in a second, at least. Assembling can take minutes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
const PARTS_ASSEMBLED_PER_SECOND: u64 = 25;

/// How long a file may take to be sent from this machine, per attempt.
const FILE_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(8);

/// How long content may take to come, per attempt. The SDK ends a download that stalls long before.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_hours(12);

/// How long a request to a service other than S3 may take, per attempt.
const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a continuation may take to be sent, all attempts together: it is sent after the work's deadline, out of what
/// an invocation keeps back for its answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes clients that share credentials and connections.
#[derive(Debug, Clone)]
pub struct Clients {
    shared: SdkConfig,
    /// What all clients of S3 share.
    in_flight: InFlightLimit,
    /// The account that must own the buckets of all S3 requests.
    owner: Option<ExpectedOwner>,
}

/// Bounds each attempt of a request by the work that it asks for, from when it is sent. Without a bound, one connection
/// that goes silent would hold its key up for ever.
fn answered_within(timeout: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .read_timeout(timeout)
        // The time of an attempt would run while it waits for its turn, and what is not set here is taken over from the
        // configuration that all services share.
        .disable_operation_attempt_timeout()
        .build()
}

/// Bounds a page of a listing, all attempts together. Where requests are paced, only each attempt is bounded: waiting for
/// one's turn must not count.
fn listing_timeouts(is_paced: bool) -> TimeoutConfig {
    let timeouts = answered_within(LISTING_ATTEMPT_TIMEOUT);
    if is_paced {
        return timeouts;
    }
    timeouts.to_builder().operation_timeout(LISTING_TIMEOUT).build()
}

/// Bounds a request by which S3 copies so many bytes.
pub(crate) fn copying(size_bytes: u64) -> aws_sdk_s3::config::Builder {
    by_work(size_bytes / SLOWEST_COPY_BYTES_PER_SECOND)
}

/// Bounds a request by which S3 makes an object of so many parts.
pub(crate) fn completing(parts: usize) -> aws_sdk_s3::config::Builder {
    by_work(u64::try_from(parts).unwrap_or(u64::MAX) / PARTS_ASSEMBLED_PER_SECOND)
}

/// Bounds a request whose answer is an object's content.
pub(crate) fn downloading() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new().timeout_config(answered_within(DOWNLOAD_TIMEOUT))
}

fn by_work(seconds: u64) -> aws_sdk_s3::config::Builder {
    let timeout = attempt_timeout_of(Duration::from_secs(seconds));
    aws_sdk_s3::config::Builder::new().timeout_config(answered_within(timeout))
}

/// Doubles the time of a small write until there is room for the work besides.
fn attempt_timeout_of(work: Duration) -> Duration {
    let needed = WRITE_ATTEMPT_TIMEOUT.saturating_add(work);
    let mut timeout = WRITE_ATTEMPT_TIMEOUT;
    while timeout < needed {
        timeout = timeout.saturating_mul(2);
    }
    timeout
}

/// What is not left to where the SDK looks by itself.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// The profile of the shared configuration files: credentials come from it and from nowhere else.
    pub profile: Option<String>,
    /// The endpoint of an emulator.
    pub endpoint_url: Option<String>,
    /// What bounds the requests of all clients of S3 together.
    pub limits: RequestLimits,
}

/// What bounds the requests of all clients of S3 together.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// How many are sent in a second at most, retries counted.
    pub per_second: Option<NonZeroU32>,
    /// How many are in flight at most.
    pub in_flight: NonZeroUsize,
}

impl RequestLimits {
    /// Allows `concurrency` requests in flight if that is more than the default.
    #[must_use]
    pub fn new(per_second: Option<NonZeroU32>, concurrency: u16) -> Self {
        let concurrency = NonZeroUsize::new(usize::from(concurrency));
        Self {
            per_second,
            in_flight: concurrency.map_or(MAX_REQUESTS_IN_FLIGHT, |concurrency| {
                concurrency.max(MAX_REQUESTS_IN_FLIGHT)
            }),
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::new(None, 0)
    }
}

impl ClientSettings {
    /// Finds the region that the environment names, or else the profile.
    ///
    /// The metadata service of EC2 is not asked: where there is none, the question takes seconds.
    pub async fn default_region(&self) -> Option<String> {
        if let Some(region) = EnvironmentVariableRegionProvider::new().region().await {
            return Some(region.to_string());
        }
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        profile.build().region().await.map(|region| region.to_string())
    }
}

impl Clients {
    /// Loads credentials and endpoint from where the SDK looks for them; `region` is the default of its clients.
    ///
    /// Reaches no network: credentials are resolved with the first request.
    pub async fn load(region: &Region) -> Self {
        Self::load_with(region, &ClientSettings::default()).await
    }

    /// As [`Clients::load`], with `settings` of the caller's.
    pub async fn load_with(region: &Region, settings: &ClientSettings) -> Self {
        // The certificates of the system are read with the first connection, not here.
        let http_client = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let behavior = BehaviorVersion::v2026_01_12();
        let region = aws_config::Region::new(region.to_string());
        let mut loader = aws_config::defaults(behavior)
            .http_client(http_client.clone())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(DEFAULT_ATTEMPT_TIMEOUT)
                    .build(),
            )
            .region(region.clone());
        if let Some(profile) = &settings.profile {
            let config = ProviderConfig::default()
                .with_behavior_version(Some(behavior))
                .with_http_client(http_client)
                .with_region(Some(region));
            loader = loader
                .profile_name(profile)
                .credentials_provider(NamedProfile::new(profile, &config));
        }
        if let Some(endpoint_url) = &settings.endpoint_url {
            loader = loader.endpoint_url(endpoint_url);
        }
        Self {
            shared: loader.load().await,
            in_flight: InFlightLimit::new(settings.limits),
            owner: None,
        }
    }

    /// Makes a client from a ready configuration, for tests.
    #[must_use]
    pub fn from_config(shared: SdkConfig) -> Self {
        Self {
            shared,
            in_flight: InFlightLimit::new(RequestLimits::default()),
            owner: None,
        }
    }

    /// Makes clients whose S3 requests are refused by S3 unless `owner` owns their bucket; without one, any owner will do.
    #[must_use]
    pub fn expecting(&self, owner: Option<&AccountId>) -> Self {
        Self {
            owner: owner.map(ExpectedOwner::new),
            ..self.clone()
        }
    }

    /// Returns the endpoint of an emulator, if requests go to one.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.shared.endpoint_url()
    }

    /// Makes an S3 client whose requests are asked of, and signed for, `region`.
    ///
    /// It repeats failed reads by itself, with the SDK's standard policy.
    #[must_use]
    pub fn s3_for_reading(&self, region: &Region) -> aws_sdk_s3::Client {
        let timeouts = answered_within(READ_ATTEMPT_TIMEOUT);
        let config = self
            .s3(region)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes an S3 client for long listings, where one request that failed for good would cost all the others: it repeats
    /// more often.
    #[must_use]
    pub fn s3_for_listing(&self, region: &Region) -> aws_sdk_s3::Client {
        let config = self
            .s3(region)
            .retry_config(RetryConfig::standard().with_max_attempts(LISTING_ATTEMPTS))
            .timeout_config(listing_timeouts(self.in_flight.is_paced()))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes an S3 client for writes: every request is sent once, for only the engine knows whether a write whose
    /// answer was lost may be sent again.
    ///
    /// A copy may take minutes with next to no bytes on the wire: its request says how long it may take.
    #[must_use]
    pub fn s3_for_writing(&self, region: &Region) -> aws_sdk_s3::Client {
        let config = self
            .s3(region)
            .retry_config(RetryConfig::disabled())
            .timeout_config(answered_within(WRITE_ATTEMPT_TIMEOUT))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes an S3 client for writes that may be done twice without harm: copying the parts of an upload, and aborting it.
    /// A copy's request says how long it may take.
    #[must_use]
    pub fn s3_for_copying_parts(&self, region: &Region) -> aws_sdk_s3::Client {
        self.s3_repeating(region, WRITE_ATTEMPT_TIMEOUT)
    }

    /// Makes an S3 client for sending files, which takes as long as the network of this machine needs.
    #[must_use]
    pub fn s3_for_files(&self, region: &Region) -> aws_sdk_s3::Client {
        self.s3_repeating(region, FILE_ATTEMPT_TIMEOUT)
    }

    fn s3_repeating(&self, region: &Region, attempt_timeout: Duration) -> aws_sdk_s3::Client {
        let timeouts = answered_within(attempt_timeout);
        let config = self
            .s3(region)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes an SQS client in the default region.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let timeouts = TimeoutConfig::builder().operation_timeout(SEND_TIMEOUT).build();
        let config = aws_sdk_sqs::config::Builder::from(&self.shared)
            .timeout_config(timeouts)
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    /// Makes an `EventBridge` client in the default region.
    #[must_use]
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.shared)
    }

    /// Makes an S3 Control client of a region. An emulator has one host name for all accounts, which S3 Control has not: with
    /// an endpoint of one's own, requests go there as it is.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn s3_control(&self, region: &Region, endpoint_url: Option<&str>) -> aws_sdk_s3control::Client {
        let region = aws_sdk_s3control::config::Region::new(region.to_string());
        let config = aws_sdk_s3control::config::Builder::from(&self.shared).region(region);
        let config = match endpoint_url.or(self.shared.endpoint_url()) {
            Some(url) => config.endpoint_resolver(crate::batch::FixedEndpoint(url.to_owned())),
            None => config,
        };
        aws_sdk_s3control::Client::from_conf(config.build())
    }

    /// Makes a Step Functions client of a region.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn step_functions(&self, region: &Region) -> aws_sdk_sfn::Client {
        let region = aws_sdk_sfn::config::Region::new(region.to_string());
        aws_sdk_sfn::Client::from_conf(aws_sdk_sfn::config::Builder::from(&self.shared).region(region).build())
    }

    /// Makes an SQS client of a region, for looking at queues.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn sqs_in(&self, region: &Region) -> aws_sdk_sqs::Client {
        let region = aws_sdk_sqs::config::Region::new(region.to_string());
        aws_sdk_sqs::Client::from_conf(aws_sdk_sqs::config::Builder::from(&self.shared).region(region).build())
    }

    /// Makes a `CloudFormation` client of a region.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn cloudformation(&self, region: &Region) -> aws_sdk_cloudformation::Client {
        let region = aws_sdk_cloudformation::config::Region::new(region.to_string());
        let config = aws_sdk_cloudformation::config::Builder::from(&self.shared).region(region);
        aws_sdk_cloudformation::Client::from_conf(config.build())
    }

    fn s3(&self, region: &Region) -> aws_sdk_s3::config::Builder {
        let config = aws_sdk_s3::config::Builder::from(&self.shared);
        let config = match self.shared.http_client() {
            Some(inner) => config.http_client(BoundedClient {
                inner,
                in_flight: self.in_flight.clone(),
            }),
            None => config,
        };
        let config = config
            .interceptor(DropNonUtf8Headers)
            .region(aws_sdk_s3::config::Region::new(region.to_string()))
            // Emulators have no host name per bucket.
            .force_path_style(self.shared.endpoint_url().is_some());
        match &self.owner {
            Some(owner) => config.interceptor(owner.clone()),
            None => config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_that_nothing_answers_ends_within_minutes() {
        let timeouts = listing_timeouts(false);
        assert_eq!(timeouts.operation_timeout(), Some(LISTING_TIMEOUT));
        let attempt = timeouts.read_timeout().unwrap();
        assert!(attempt * 2 < LISTING_TIMEOUT, "more than one attempt has its time");
        assert_eq!(listing_timeouts(true).operation_timeout(), None);
    }

    #[test]
    fn copies_have_time_by_their_size() {
        const GIB: u64 = 1024 * 1024 * 1024;
        for (bytes, seconds) in [(0, 30), (1, 30), (GIB, 120), (5 * GIB, 480)] {
            let work = Duration::from_secs(bytes / SLOWEST_COPY_BYTES_PER_SECOND);
            assert_eq!(attempt_timeout_of(work).as_secs(), seconds, "{bytes}");
        }
    }
}
