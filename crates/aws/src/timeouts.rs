//! Timeouts of requests: each kind has the time that its work takes.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::client::customize::CustomizableOperation;

/// Timeout of a request that reads metadata, per attempt.
pub(crate) const READ_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of a listing page, per attempt. Longer than for a HEAD, because S3 may skip many deleted keys for one page.
const LISTING_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum attempts for a listing page.
pub(crate) const LISTING_ATTEMPTS: u32 = 8;

/// Timeout of a listing page for all attempts together.
///
/// Long enough for eight throttled attempts with their backoff. Short enough that an unreachable endpoint ends the
/// listing.
const LISTING_TIMEOUT: Duration = Duration::from_mins(3);

/// Timeout of a write that moves no bytes, per attempt. Copies get more time according to their size.
pub(crate) const WRITE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Slowest copy rate within S3 that is tolerated.
///
/// A copy of 5 GiB, the maximum of one request, then has 8 minutes. That is less than the remaining time of an
/// invocation in which one attempt has already timed out.
const SLOWEST_COPY_BYTES_PER_SECOND: u64 = 12 * 1024 * 1024;

/// Minimum number of parts that S3 assembles per second. Completing an upload can take minutes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
const PARTS_ASSEMBLED_PER_SECOND: u64 = 25;

/// Timeout of sending a local file, per attempt.
pub(crate) const FILE_ATTEMPT_TIMEOUT: Duration = Duration::from_mins(8);

/// Timeout of a download, per attempt. The SDK's stalled-stream protection ends a stalled download much earlier.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_hours(12);

/// Timeout of a request to a service other than S3, per attempt.
pub(crate) const DEFAULT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout of sending a continuation, for all attempts together.
///
/// A continuation is sent after the deadline of the work, in the time that the invocation reserves for its response.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns a timeout for each attempt of a request, counted from when the request is sent.
///
/// Without a timeout, one silent connection would block its key forever.
pub(crate) fn answered_within(timeout: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .read_timeout(timeout)
        // An attempt timeout would also count the time that a request waits for its permit. It must be disabled
        // explicitly, because unset values are inherited from the configuration that all services share.
        .disable_operation_attempt_timeout()
        .build()
}

/// Returns the timeouts of a listing page, for all attempts together.
///
/// If requests are paced, only each attempt has a timeout: the time that a request waits for its slot must not count.
pub(crate) fn listing_timeouts(is_paced: bool) -> TimeoutConfig {
    let timeouts = answered_within(LISTING_ATTEMPT_TIMEOUT);
    if is_paced {
        return timeouts;
    }
    timeouts.to_builder().operation_timeout(LISTING_TIMEOUT).build()
}

/// Applies the timeout of a request in which S3 copies `size_bytes` bytes.
pub(crate) fn copying<T, E, B>(
    request: CustomizableOperation<T, E, B>,
    size_bytes: u64,
) -> CustomizableOperation<T, E, B> {
    with_time_for(request, size_bytes / SLOWEST_COPY_BYTES_PER_SECOND)
}

/// Applies the timeout of a request in which S3 assembles an object from `parts` parts.
pub(crate) fn completing<T, E, B>(
    request: CustomizableOperation<T, E, B>,
    parts: usize,
) -> CustomizableOperation<T, E, B> {
    let seconds = u64::try_from(parts).unwrap_or(u64::MAX) / PARTS_ASSEMBLED_PER_SECOND;
    with_time_for(request, seconds)
}

/// Returns a configuration with the timeout of a request whose response is an object's content.
pub(crate) fn downloading() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new().timeout_config(answered_within(DOWNLOAD_TIMEOUT))
}

/// Applies the timeout of a request whose work takes `seconds`.
///
/// The client's own timeout is not restated: an override makes the SDK assemble the request's configuration again.
fn with_time_for<T, E, B>(request: CustomizableOperation<T, E, B>, seconds: u64) -> CustomizableOperation<T, E, B> {
    match attempt_timeout_of(Duration::from_secs(seconds)) {
        WRITE_ATTEMPT_TIMEOUT => request,
        timeout => request.config_override(aws_sdk_s3::config::Builder::new().timeout_config(answered_within(timeout))),
    }
}

/// Doubles the timeout of a small write until `work` fits in addition to it.
fn attempt_timeout_of(work: Duration) -> Duration {
    let needed = WRITE_ATTEMPT_TIMEOUT.saturating_add(work);
    let mut timeout = WRITE_ATTEMPT_TIMEOUT;
    while timeout < needed {
        timeout = timeout.saturating_mul(2);
    }
    timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswered_listing_ends_within_minutes() {
        let timeouts = listing_timeouts(false);
        assert_eq!(timeouts.operation_timeout(), Some(LISTING_TIMEOUT));
        let attempt = timeouts.read_timeout().unwrap();
        assert!(
            attempt * 2 < LISTING_TIMEOUT,
            "the timeout allows more than one attempt"
        );
        assert_eq!(listing_timeouts(true).operation_timeout(), None);
    }

    #[test]
    fn copy_timeout_grows_with_size() {
        const GIB: u64 = 1024 * 1024 * 1024;
        for (bytes, seconds) in [(0, 30), (1, 30), (GIB, 120), (5 * GIB, 480)] {
            let work = Duration::from_secs(bytes / SLOWEST_COPY_BYTES_PER_SECOND);
            assert_eq!(attempt_timeout_of(work).as_secs(), seconds, "{bytes}");
        }
    }
}
