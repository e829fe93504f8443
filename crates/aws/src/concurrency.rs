//! The limit of concurrent requests of a long command: fixed, or adapted to what S3 serves.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::http::StatusCode;
use s3ferry_core::concurrency::{ConcurrencyController, ConcurrencySample};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Header of the requests that copy: `CopyObject` and `UploadPartCopy`.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Shortest sample.
const SHORTEST_SAMPLE: Duration = Duration::from_millis(50);

/// The requests that a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedRequests {
    /// Copies of objects and parts. Reads before and after them overlap with other copies.
    Copies,
    /// All requests.
    All,
}

/// A limit of concurrent requests.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: LimitedRequests,
    max: u16,
    permits: Arc<Semaphore>,
    level: AtomicU16,
    /// Whether a request waited in the current sample.
    has_waited: AtomicBool,
    /// `None` if the limit is fixed.
    sampling: Option<Mutex<Sampling>>,
}

#[derive(Debug)]
struct Sampling {
    controller: ConcurrencyController,
    started: Instant,
    completed: u64,
    throttled: u64,
    /// Permits in use that do not return, because the level fell.
    surplus: u16,
}

/// One counted request in flight.
#[derive(Debug)]
pub(crate) struct ConcurrencyPermit {
    limit: ConcurrencyLimit,
    permit: Option<OwnedSemaphorePermit>,
    is_throttled: bool,
}

impl ConcurrencyLimit {
    /// Returns a fixed limit, at least one.
    #[must_use]
    pub fn fixed(level: u16, requests: LimitedRequests) -> Self {
        Self::new(level.max(1), level.max(1), requests, None)
    }

    /// Returns a limit that adapts, up to `max`.
    #[must_use]
    pub fn adaptive(max: u16, requests: LimitedRequests) -> Self {
        let controller = ConcurrencyController::new(max);
        let sampling = Sampling {
            controller,
            started: Instant::now(),
            completed: 0,
            throttled: 0,
            surplus: 0,
        };
        Self::new(controller.level(), controller.max(), requests, Some(sampling))
    }

    fn new(level: u16, max: u16, requests: LimitedRequests, sampling: Option<Sampling>) -> Self {
        Self(Arc::new(Inner {
            requests,
            max,
            permits: Arc::new(Semaphore::new(usize::from(level))),
            level: AtomicU16::new(level),
            has_waited: AtomicBool::new(false),
            sampling: sampling.map(Mutex::new),
        }))
    }

    /// Returns the current limit.
    #[must_use]
    pub fn level(&self) -> u16 {
        self.0.level.load(Ordering::Relaxed)
    }

    /// Returns the highest limit.
    #[must_use]
    pub fn max(&self) -> u16 {
        self.0.max
    }

    /// Returns whether the limit adapts.
    #[must_use]
    pub fn is_adaptive(&self) -> bool {
        self.0.sampling.is_some()
    }

    /// Waits until the request may be sent; `None` if it is not counted.
    pub(crate) async fn permit(&self, request: &HttpRequest) -> Result<Option<ConcurrencyPermit>, AcquireError> {
        if self.0.requests == LimitedRequests::Copies && request.headers().get(COPY_SOURCE).is_none() {
            return Ok(None);
        }
        let permit = if let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_owned() {
            permit
        } else {
            self.0.has_waited.store(true, Ordering::Relaxed);
            Arc::clone(&self.0.permits).acquire_owned().await?
        };
        Ok(Some(ConcurrencyPermit {
            limit: self.clone(),
            permit: Some(permit),
            is_throttled: false,
        }))
    }

    /// Counts the end of a request; returns whether its permit returns.
    fn ended(&self, is_throttled: bool) -> bool {
        let Some(sampling) = &self.0.sampling else {
            return true;
        };
        let mut sampling = sampling.lock().unwrap_or_else(PoisonError::into_inner);
        sampling.completed += 1;
        sampling.throttled += u64::from(is_throttled);
        let level = sampling.controller.level();
        let elapsed = sampling.started.elapsed();
        // Two rounds: the requests of the first one were sent at the level before.
        if sampling.completed >= 2 * u64::from(level) && elapsed >= SHORTEST_SAMPLE {
            sampling.controller = sampling.controller.after(&ConcurrencySample {
                completed: sampling.completed,
                throttled: sampling.throttled,
                elapsed,
                was_saturated: self.0.has_waited.swap(false, Ordering::Relaxed),
            });
            (sampling.started, sampling.completed, sampling.throttled) = (Instant::now(), 0, 0);
            self.change(level, &mut sampling);
        }
        if sampling.surplus > 0 {
            sampling.surplus -= 1;
            return false;
        }
        true
    }

    fn change(&self, before: u16, sampling: &mut Sampling) {
        let level = sampling.controller.level();
        if level == before {
            return;
        }
        tracing::debug!(before, level, "the concurrency changes");
        self.0.level.store(level, Ordering::Relaxed);
        if level > before {
            let kept = sampling.surplus.min(level - before);
            sampling.surplus -= kept;
            self.0.permits.add_permits(usize::from(level - before - kept));
        } else {
            let free = self.0.permits.forget_permits(usize::from(before - level));
            sampling.surplus += (before - level).saturating_sub(u16::try_from(free).unwrap_or(u16::MAX));
        }
    }
}

impl ConcurrencyPermit {
    /// Records the status of the response.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        // S3 throttles with 503, and some services of its API with 429.
        self.is_throttled = matches!(status.as_u16(), 503 | 429);
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        if !self.limit.ended(self.is_throttled) {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use s3ferry_core::concurrency::MAX_CONCURRENCY;

    use super::*;

    fn copy() -> HttpRequest {
        let mut request = HttpRequest::empty();
        request.headers_mut().insert(COPY_SOURCE, "bucket/key");
        request
    }

    /// Ends the oldest of as many requests as the limit admits, `count` times.
    async fn serve(limit: &ConcurrencyLimit, in_flight: &mut VecDeque<ConcurrencyPermit>, count: usize, status: u16) {
        for _ in 0..count {
            while limit.0.permits.available_permits() > 0 {
                in_flight.push_back(limit.permit(&copy()).await.unwrap().unwrap());
            }
            limit.0.has_waited.store(true, Ordering::Relaxed);
            // As many requests per second as are in flight.
            let millis = 1_000 / u64::try_from(in_flight.len()).unwrap().max(1);
            tokio::time::advance(Duration::from_millis(millis.max(1))).await;
            if let Some(mut ended) = in_flight.pop_front() {
                ended.answered(StatusCode::try_from(status).unwrap());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn permits_follow_the_level_up_and_down() {
        let limit = ConcurrencyLimit::adaptive(MAX_CONCURRENCY, LimitedRequests::Copies);
        let mut in_flight = VecDeque::new();
        serve(&limit, &mut in_flight, 1_000, 200).await;
        let risen = limit.level();
        assert!(risen > 64, "{risen}");
        serve(&limit, &mut in_flight, 2 * usize::from(risen), 503).await;
        serve(&limit, &mut in_flight, usize::from(risen), 200).await;
        let fallen = limit.level();
        assert!(fallen < risen, "{fallen} after {risen}");
        drop(in_flight);
        assert_eq!(limit.0.permits.available_permits(), usize::from(limit.level()));
    }

    #[tokio::test]
    async fn only_copies_are_counted() {
        let limit = ConcurrencyLimit::fixed(1, LimitedRequests::Copies);
        let first = limit.permit(&copy()).await.unwrap();
        assert!(first.is_some());
        assert!(limit.permit(&HttpRequest::empty()).await.unwrap().is_none());
        assert_eq!((limit.level(), limit.max(), limit.is_adaptive()), (1, 1, false));
    }
}
