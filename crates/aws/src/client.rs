//! SDK clients: one set of credentials and connections, one client per region.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::{Builder, tls};
use s3ferry_core::names::Region;

/// How long a request that only reads facts may take, per attempt.
const READ_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the copy of one part may take, per attempt: 5 GiB at some 10 MiB a second, and less than the time that is
/// left of an invocation after another attempt was given up.
const PART_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(8);

/// How long a continuation may take to be sent, all attempts together: it is sent after the work's deadline, out of what
/// an invocation keeps back for its answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes clients that share credentials and connections.
#[derive(Debug, Clone)]
pub struct Clients {
    shared: SdkConfig,
}

impl Clients {
    /// Loads credentials and endpoint from where the SDK looks for them; `region` is the default of its clients.
    ///
    /// Reaches no network: credentials are resolved with the first request.
    pub async fn load(region: &Region) -> Self {
        // The certificates of the system are read with the first connection, not here.
        let http_client = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client)
            .region(aws_config::Region::new(region.to_string()))
            .load()
            .await;
        Self { shared }
    }

    /// Makes a client from a ready configuration, for tests.
    #[must_use]
    pub fn from_config(shared: SdkConfig) -> Self {
        Self { shared }
    }

    /// Makes an S3 client whose requests are asked of, and signed for, `region`.
    ///
    /// It repeats failed reads by itself, with the SDK's standard policy.
    #[must_use]
    pub fn s3_for_reading(&self, region: &Region) -> aws_sdk_s3::Client {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(READ_ATTEMPT_TIMEOUT)
            .build();
        let config = self
            .s3(region)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes an S3 client for writes: every request is sent once, for only the engine knows whether a write whose
    /// answer was lost may be sent again.
    ///
    /// A copy may take minutes with next to no bytes on the wire, so nothing but the caller's deadline ends it.
    #[must_use]
    pub fn s3_for_writing(&self, region: &Region) -> aws_sdk_s3::Client {
        let config = self
            .s3(region)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes an S3 client for what may be done twice without harm, and may take minutes with next to no bytes on the
    /// wire: copying the parts of an upload, and dropping them.
    #[must_use]
    pub fn s3_for_copying_parts(&self, region: &Region) -> aws_sdk_s3::Client {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(PART_ATTEMPT_TIMEOUT)
            .build();
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

    fn s3(&self, region: &Region) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::config::Builder::from(&self.shared)
            .region(aws_sdk_s3::config::Region::new(region.to_string()))
            // Emulators have no host name per bucket.
            .force_path_style(self.shared.endpoint_url().is_some())
    }
}
