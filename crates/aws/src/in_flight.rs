//! Limit of the requests in flight, and the timeout of each request from when it is sent.
//!
//! A process in Lambda may have 1,024 open files, and every connection is one:
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>. Keys and parts that are processed
//! concurrently share one limit. A request that waits for its permit is not sent yet, so its timeout does not run.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::concurrency::{ConcurrencyLimit, ConcurrencyPermit};
use crate::limits::RequestLimits;
use crate::non_utf8_headers::put_aside_expires;
use crate::owner;
use crate::pace::RequestPacer;

/// Default limit of S3 requests in flight.
///
/// The SDK keeps idle connections per bucket. For source, destination and state bucket these are at most 768, fewer
/// than the open files that Lambda allows.
pub(crate) const MAX_REQUESTS_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Limit of the requests in flight, shared by any number of clients.
#[derive(Debug, Clone)]
pub(crate) struct InFlightLimit {
    permits: Arc<Semaphore>,
    concurrency: Option<ConcurrencyLimit>,
    pace: Option<RequestPacer>,
}

/// What a request in flight holds.
#[derive(Debug)]
struct RequestPermit {
    _in_flight: OwnedSemaphorePermit,
    concurrency: Option<ConcurrencyPermit>,
}

impl InFlightLimit {
    pub(crate) fn new(limits: RequestLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.in_flight.get().min(Semaphore::MAX_PERMITS))),
            concurrency: limits.concurrency,
            pace: limits.per_second.map(RequestPacer::new),
        }
    }

    /// Returns whether requests may wait for their slot longer than requests take.
    pub(crate) fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// Waits until the request may be sent.
    async fn permit(&self, request: &HttpRequest) -> Result<RequestPermit, ConnectorError> {
        let closed = |error: AcquireError| ConnectorError::other(error.into(), None);
        let concurrency = match &self.concurrency {
            Some(limit) => limit.permit(request).await.map_err(closed)?,
            None => None,
        };
        let in_flight = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        if let Some(pace) = &self.pace {
            pace.wait().await;
        }
        Ok(RequestPermit {
            _in_flight: in_flight,
            concurrency,
        })
    }
}

/// An HTTP client that limits its requests in flight.
///
/// A read timeout covers the whole response, from when the request is sent to the last byte.
#[derive(Debug)]
pub(crate) struct BoundedClient {
    pub(crate) inner: SharedHttpClient,
    pub(crate) in_flight: InFlightLimit,
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    in_flight: InFlightLimit,
    response_timeout: Option<Duration>,
}

/// Time at which the response must be complete.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout: Duration,
}

/// The response was not complete in time.
#[derive(Debug, thiserror::Error)]
#[error("no complete response within {} s", timeout.as_secs())]
struct ResponseTimedOut {
    timeout: Duration,
}

impl Deadline {
    fn new(timeout: Option<Duration>) -> Option<Self> {
        let now = Instant::now();
        timeout.and_then(|timeout| now.checked_add(timeout).map(|at| Self { at, timeout }))
    }

    /// Waits for `work`, until `deadline` at most.
    async fn bound<T>(deadline: Option<Self>, work: impl Future<Output = T>) -> Result<T, ResponseTimedOut> {
        match deadline {
            Some(Self { at, timeout }) => timeout_at(at, work).await.map_err(|_| ResponseTimedOut { timeout }),
            None => Ok(work.await),
        }
    }
}

impl HttpClient for BoundedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        // The SDK separates connections by read timeout. Without one, all requests share their connections.
        let mut shared = HttpConnectorSettings::builder();
        shared.set_connect_timeout(settings.connect_timeout());
        SharedHttpConnector::new(BoundedConnector {
            inner: self.inner.http_connector(&shared.build(), components),
            in_flight: self.in_flight.clone(),
            response_timeout: settings.read_timeout(),
        })
    }
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, in_flight, response_timeout) = (self.inner.clone(), self.in_flight.clone(), self.response_timeout);
        HttpConnectorFuture::new(async move {
            let mut permit = in_flight.permit(&request).await?;
            let deadline = Deadline::new(response_timeout);
            let expected_owner = request.headers().get(owner::HEADER).map(str::to_owned);
            let uri = request.uri().to_owned();
            let answer = Deadline::bound(deadline, inner.call(request)).await;
            let mut answer = answer.map_err(|error| ConnectorError::timeout(error.into()))??;
            if let Some(concurrency) = &mut permit.concurrency {
                concurrency.answered(answer.status());
            }
            put_aside_expires(answer.headers_mut());
            owner::record_expected(&mut answer, expected_owner);
            record_sender(&mut answer, &uri);
            if answer.body().is_streaming() {
                let body = answer.take_body();
                *answer.body_mut() = rest_of_response(body, deadline, permit);
            }
            Ok(answer)
        })
    }
}

/// Internal header that names the endpoint of a response that is not in S3's format.
const SENDER: &str = "x-s3ferry-endpoint";

/// Records the endpoint of a success that is not in S3's format, for example a web page.
fn record_sender(answer: &mut HttpResponse, uri: &str) {
    let is_document = |kind: &str| kind.contains("xml") || kind.contains("octet-stream");
    let is_other = answer
        .headers()
        .get("content-type")
        .is_some_and(|kind| !is_document(kind));
    if !answer.status().is_success() || !is_other {
        return;
    }
    let scheme_and_host: Vec<&str> = uri.splitn(4, '/').take(3).collect();
    let _unrecorded = answer.headers_mut().try_insert(SENDER, scheme_and_host.join("/"));
}

/// Returns the endpoint of a response that is not in S3's format.
pub(crate) fn sender(answer: &HttpResponse) -> Option<&str> {
    answer.headers().get(SENDER)
}

/// Applies the deadline to a body, and holds the permit until the body is complete or dropped.
fn rest_of_response(body: SdkBody, deadline: Option<Deadline>, permit: RequestPermit) -> SdkBody {
    let frames = stream::unfold((body, permit), move |(mut body, permit)| async move {
        let frame = match Deadline::bound(deadline, body.frame()).await {
            Ok(frame) => frame?,
            Err(error) => Err(error.into()),
        };
        Some((frame, (body, permit)))
    });
    // A body may be polled again after its end.
    SdkBody::from_body_1_x(StreamBody::new(frames.fuse()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_smithy_runtime_api::http::StatusCode;
    use http_body::Frame;

    use super::*;

    /// Responds to each request after one second, with one byte every second.
    #[derive(Debug, Default)]
    struct Dripping {
        bytes: u64,
        in_flight: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    /// Counts a request from when it is sent until its body is dropped.
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl HttpConnector for Dripping {
        fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let (counted, bytes) = (Counted(Arc::clone(&self.in_flight)), self.bytes);
            HttpConnectorFuture::new(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let frames = stream::unfold((0, counted), move |(sent, counted)| async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let frame = Frame::data(bytes::Bytes::from_static(b"x"));
                    (sent < bytes).then_some((Ok::<_, std::io::Error>(frame), (sent + 1, counted)))
                });
                let body = SdkBody::from_body_1_x(StreamBody::new(frames.fuse()));
                Ok(HttpResponse::new(StatusCode::try_from(200).unwrap(), body))
            })
        }
    }

    fn connector(inner: Dripping, requests: usize, response_timeout: Duration) -> BoundedConnector {
        BoundedConnector {
            inner: SharedHttpConnector::new(inner),
            in_flight: InFlightLimit::new(RequestLimits {
                per_second: None,
                in_flight: NonZeroUsize::new(requests).unwrap(),
                concurrency: None,
            }),
            response_timeout: Some(response_timeout),
        }
    }

    /// Sends a request, reads the whole response, and returns its size in bytes.
    async fn answer(connector: &BoundedConnector) -> Result<usize, String> {
        let answer = connector
            .call(HttpRequest::empty())
            .await
            .map_err(|error| format!("{error:?}"))?;
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok(body.to_bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_are_limited_until_their_responses_are_complete() {
        let dripping = Dripping {
            bytes: 3,
            ..Dripping::default()
        };
        let most = Arc::clone(&dripping.most);
        let connector = connector(dripping, 4, Duration::from_secs(6));
        let answers = futures::future::join_all((0..12).map(|_| answer(&connector))).await;
        // Requests that wait for their permit, up to ten seconds here, still have all of their time.
        assert_eq!(answers, vec![Ok(3); 12]);
        assert_eq!(most.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_response_ends_at_its_deadline_and_releases_its_permit() {
        let dripping = Dripping {
            bytes: 1_000_000,
            ..Dripping::default()
        };
        let connector = connector(dripping, 1, Duration::from_secs(10));
        for _ in 0..2 {
            let sent = Instant::now();
            let error = answer(&connector).await.unwrap_err();
            assert_eq!(error, "no complete response within 10 s");
            assert_eq!(sent.elapsed(), Duration::from_secs(10));
        }
    }
}
