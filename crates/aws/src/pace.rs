//! A bound on how many requests are sent in a second, below the SDK's own retries, so that those count too.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How much of a pause may be made up for at once.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Hands out moments at which a request may be sent, evenly spaced.
#[derive(Debug, Clone)]
pub(crate) struct RequestPacer {
    interval: Duration,
    next: Arc<Mutex<Option<Instant>>>,
}

impl RequestPacer {
    /// Sends at most so many requests in a second, however many clients share it.
    #[must_use]
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.get(),
            next: Arc::default(),
        }
    }

    /// Waits for the next free moment.
    pub(crate) async fn wait(&self) {
        let now = Instant::now();
        let mut next = self.next.lock().await;
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let moment = next.map_or(now, |next| next.max(earliest));
        *next = Some(moment + self.interval);
        drop(next);
        tokio::time::sleep_until(moment).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_are_spread_over_the_second_however_many_ask_at_once() {
        let pace = RequestPacer::new(NonZeroU32::new(50).unwrap());
        let started = Instant::now();
        let waits = (0..101).map(|_| pace.wait());
        futures::future::join_all(waits).await;
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn long_pause_is_made_up_for_a_little_only() {
        let pace = RequestPacer::new(NonZeroU32::new(100).unwrap());
        pace.wait().await;
        tokio::time::advance(Duration::from_mins(1)).await;
        let started = Instant::now();
        futures::future::join_all((0..111).map(|_| pace.wait())).await;
        // Ten moments of the pause are left, and 100 lie ahead.
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }
}
