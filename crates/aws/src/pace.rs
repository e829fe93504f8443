//! Limit of the requests per second. It applies below the SDK's retries, so that retries count too.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How much of an idle period may be made up for in a burst.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Assigns evenly spaced times at which requests may be sent.
#[derive(Debug, Clone)]
pub(crate) struct RequestPacer {
    interval: Duration,
    next: Arc<Mutex<Option<Instant>>>,
}

impl RequestPacer {
    /// Creates a pacer for `per_second` requests per second, shared by any number of clients.
    #[must_use]
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            next: Arc::default(),
        }
    }

    /// Waits for the next free slot.
    pub(crate) async fn wait(&self) {
        let now = Instant::now();
        let mut next = self.next.lock().await;
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let slot = next.map_or(now, |next| next.max(earliest));
        *next = Some(slot + self.interval);
        drop(next);
        tokio::time::sleep_until(slot).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn concurrent_requests_are_spread_evenly() {
        let pace = RequestPacer::new(NonZeroU32::new(50).unwrap());
        let started = Instant::now();
        let waits = (0..101).map(|_| pace.wait());
        futures::future::join_all(waits).await;
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn long_idle_period_allows_only_a_short_burst() {
        let pace = RequestPacer::new(NonZeroU32::new(100).unwrap());
        pace.wait().await;
        tokio::time::advance(Duration::from_mins(1)).await;
        let started = Instant::now();
        futures::future::join_all((0..111).map(|_| pace.wait())).await;
        // A burst of ten slots is available, and 100 more are a second away.
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }
}
