//! SDK clients: shared credentials and connections, one client per region.

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

use crate::in_flight::{BoundedClient, InFlightLimit};
use crate::limits::RequestLimits;
use crate::non_utf8_headers::DropNonUtf8Headers;
use crate::owner::ExpectedOwner;
use crate::profile::NamedProfile;
use crate::timeouts::{
    DEFAULT_ATTEMPT_TIMEOUT, FILE_ATTEMPT_TIMEOUT, LISTING_ATTEMPTS, READ_ATTEMPT_TIMEOUT, SEND_TIMEOUT,
    WRITE_ATTEMPT_TIMEOUT, answered_within, listing_timeouts,
};

/// Creates clients that share credentials and connections.
#[derive(Debug, Clone)]
pub struct Clients {
    shared: SdkConfig,
    /// Limit of requests in flight, shared by all S3 clients.
    in_flight: InFlightLimit,
    /// Account that must own the buckets of all S3 requests.
    owner: Option<ExpectedOwner>,
}

/// Client settings that override the SDK's default lookup.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// Profile of the shared configuration files. If set, credentials come only from this profile.
    pub profile: Option<String>,
    /// Endpoint of an emulator.
    pub endpoint_url: Option<String>,
    /// Limits for the requests of all S3 clients together.
    pub limits: RequestLimits,
}

impl ClientSettings {
    /// Returns the region from the environment, or else from the profile.
    ///
    /// The EC2 instance metadata service is not queried: on other machines the lookup takes seconds.
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
    /// Loads credentials and endpoint from the SDK's default sources. `region` is the default region of the clients.
    ///
    /// Makes no network request: credentials are resolved with the first request.
    pub async fn load(region: &Region) -> Self {
        Self::load_with(region, &ClientSettings::default()).await
    }

    /// Loads clients like [`Clients::load`], with `settings` applied.
    pub async fn load_with(region: &Region, settings: &ClientSettings) -> Self {
        // The system's certificates are read with the first connection, not here.
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
            in_flight: InFlightLimit::new(settings.limits.clone()),
            owner: None,
        }
    }

    /// Creates clients from an existing configuration, for tests.
    #[must_use]
    pub fn from_config(shared: SdkConfig) -> Self {
        Self {
            shared,
            in_flight: InFlightLimit::new(RequestLimits::default()),
            owner: None,
        }
    }

    /// Returns clients whose S3 requests fail unless `owner` owns the bucket. Without an owner, nothing is checked.
    #[must_use]
    pub fn expecting(&self, owner: Option<&AccountId>) -> Self {
        Self {
            owner: owner.map(ExpectedOwner::new),
            ..self.clone()
        }
    }

    /// Returns the endpoint of an emulator, if one is configured.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.shared.endpoint_url()
    }

    /// Creates an S3 client for reads in `region`.
    ///
    /// The client retries failed requests with the SDK's standard policy.
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

    /// Creates an S3 client for long listings.
    ///
    /// The client retries more often than other clients, because one failed page discards the whole listing.
    #[must_use]
    pub fn s3_for_listing(&self, region: &Region) -> aws_sdk_s3::Client {
        let config = self
            .s3(region)
            .retry_config(RetryConfig::standard().with_max_attempts(LISTING_ATTEMPTS))
            .timeout_config(listing_timeouts(self.in_flight.is_paced()))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Creates an S3 client for writes.
    ///
    /// Every request is sent once: only the engine knows whether a write with a lost response may be sent again. A copy
    /// may take minutes with almost no bytes on the wire, so each copy request sets its own timeout.
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

    /// Creates an S3 client for writes that are safe to repeat: copying parts and aborting uploads.
    ///
    /// Each copy request sets its own timeout.
    #[must_use]
    pub fn s3_for_copying_parts(&self, region: &Region) -> aws_sdk_s3::Client {
        self.s3_repeating(region, WRITE_ATTEMPT_TIMEOUT)
    }

    /// Creates an S3 client for sending files, with a timeout that suits slow networks.
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

    /// Creates an SQS client in the default region.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let timeouts = TimeoutConfig::builder().operation_timeout(SEND_TIMEOUT).build();
        let config = aws_sdk_sqs::config::Builder::from(&self.shared)
            .timeout_config(timeouts)
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    /// Creates an `EventBridge` client in the default region.
    #[must_use]
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.shared)
    }

    /// Creates an S3 Control client in `region`.
    ///
    /// S3 Control puts the account into the host name, but an emulator has one host name for all accounts. With an
    /// explicit endpoint, requests go to that endpoint unchanged.
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

    /// Creates a Step Functions client in `region`.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn step_functions(&self, region: &Region) -> aws_sdk_sfn::Client {
        let region = aws_sdk_sfn::config::Region::new(region.to_string());
        aws_sdk_sfn::Client::from_conf(aws_sdk_sfn::config::Builder::from(&self.shared).region(region).build())
    }

    /// Creates an SQS client in `region`, for reading queue attributes and dead letters.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn sqs_in(&self, region: &Region) -> aws_sdk_sqs::Client {
        let region = aws_sdk_sqs::config::Region::new(region.to_string());
        aws_sdk_sqs::Client::from_conf(aws_sdk_sqs::config::Builder::from(&self.shared).region(region).build())
    }

    /// Creates a CloudWatch client in `region`.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn cloudwatch(&self, region: &Region) -> aws_sdk_cloudwatch::Client {
        let region = aws_sdk_cloudwatch::config::Region::new(region.to_string());
        let config = aws_sdk_cloudwatch::config::Builder::from(&self.shared).region(region);
        aws_sdk_cloudwatch::Client::from_conf(config.build())
    }

    /// Creates a `CloudFormation` client in `region`.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn cloudformation(&self, region: &Region) -> aws_sdk_cloudformation::Client {
        let region = aws_sdk_cloudformation::config::Region::new(region.to_string());
        let config = aws_sdk_cloudformation::config::Builder::from(&self.shared).region(region);
        aws_sdk_cloudformation::Client::from_conf(config.build())
    }

    /// Creates a KMS client in `region`.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn kms(&self, region: &Region) -> aws_sdk_kms::Client {
        let region = aws_sdk_kms::config::Region::new(region.to_string());
        aws_sdk_kms::Client::from_conf(aws_sdk_kms::config::Builder::from(&self.shared).region(region).build())
    }

    /// Creates a Lambda client in `region`.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn lambda(&self, region: &Region) -> aws_sdk_lambda::Client {
        let region = aws_sdk_lambda::config::Region::new(region.to_string());
        aws_sdk_lambda::Client::from_conf(
            aws_sdk_lambda::config::Builder::from(&self.shared)
                .region(region)
                .build(),
        )
    }

    /// Creates an STS client in `region`.
    #[cfg(feature = "batch")]
    #[must_use]
    pub fn sts(&self, region: &Region) -> aws_sdk_sts::Client {
        let region = aws_sdk_sts::config::Region::new(region.to_string());
        aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(&self.shared).region(region).build())
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
            // Emulators do not have a host name per bucket.
            .force_path_style(self.shared.endpoint_url().is_some());
        match &self.owner {
            Some(owner) => config.interceptor(owner.clone()),
            None => config,
        }
    }
}
