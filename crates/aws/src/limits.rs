//! The limits of the requests of a process.

use std::num::{NonZeroU32, NonZeroUsize};

use crate::concurrency::ConcurrencyLimit;
use crate::in_flight::MAX_REQUESTS_IN_FLIGHT;

/// Limits for the requests of all S3 clients together.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// Maximum requests per second, retries included.
    pub per_second: Option<NonZeroU32>,
    /// Maximum requests in flight.
    pub in_flight: NonZeroUsize,
    /// Limit of the concurrent copies, or of all requests.
    pub concurrency: Option<ConcurrencyLimit>,
}

impl RequestLimits {
    /// Returns the limits of a command that copies: as many reads as copies may be in flight.
    #[must_use]
    pub fn of_copies(per_second: Option<NonZeroU32>, copies: ConcurrencyLimit) -> Self {
        Self::new(per_second, 2 * usize::from(copies.max()), Some(copies))
    }

    /// Returns the limits of a command that reads `objects` at once in two buckets.
    #[must_use]
    pub fn of_reads(per_second: Option<NonZeroU32>, objects: usize, requests: Option<ConcurrencyLimit>) -> Self {
        Self::new(per_second, 2 * objects, requests)
    }

    fn new(per_second: Option<NonZeroU32>, in_flight: usize, concurrency: Option<ConcurrencyLimit>) -> Self {
        Self {
            per_second,
            in_flight: MAX_REQUESTS_IN_FLIGHT.max(NonZeroUsize::new(in_flight).unwrap_or(MAX_REQUESTS_IN_FLIGHT)),
            concurrency,
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::new(None, 0, None)
    }
}
