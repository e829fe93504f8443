//! Request handling: counts a request, applies faults and delays, and returns the response.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use thiserror::Error;

use super::call::SimRequest;
use super::policy;
use super::server::ServerState;
use super::service::{VersionOrder, error_document, refusal_headers, with_references};
use super::side_door;
use crate::sim::fault::{FaultHit, FaultTiming, SimFault};
use crate::sim::latency::CopyTransfer;
use crate::sim::model::document::element;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::put::ONE_REQUEST_LIMIT_BYTES;
use crate::sim::model::simulator::Simulator;

/// Body of a response.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// The connection closes without a response.
#[derive(Debug, Error)]
pub(crate) enum ConnectionDropped {
    #[error("a fault closes the connection")]
    ByFault,
    #[error("the request is incomplete")]
    Incomplete(#[source] hyper::Error),
}

/// Returns a body of bytes in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    http_body_util::Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Returns the response of a request, or an error that closes the connection.
pub(crate) async fn serve(
    shared: Arc<ServerState>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, ConnectionDropped> {
    let (parts, body) = request.into_parts();
    let closes = expects_continue_without_body(&parts.headers);
    let mut response = serve_parts(shared, parts, body).await?;
    if closes {
        response
            .headers_mut()
            .insert("connection", HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Returns whether a request has an empty body and waits for `100 Continue`.
///
/// It gets its response immediately. The connection must then close, because botocore cannot reuse it.
fn expects_continue_without_body(headers: &http::HeaderMap) -> bool {
    headers.contains_key("expect") && headers.get("content-length").is_none_or(|length| length == "0")
}

async fn serve_parts(
    shared: Arc<ServerState>,
    parts: Parts,
    body: Incoming,
) -> Result<Response<ResponseBody>, ConnectionDropped> {
    if exceeds_size_limit(&parts.headers) {
        return Ok(refused(&SimErrorCode::EntityTooLarge.into(), false, None));
    }
    if header_bytes(&parts.headers) > HEADERS_LIMIT_BYTES {
        let is_head = parts.method == http::Method::HEAD;
        return Ok(refused(
            &SimErrorCode::RequestHeaderSectionTooLarge.into(),
            is_head,
            None,
        ));
    }
    let body = body.collect().await.map_err(ConnectionDropped::Incomplete)?.to_bytes();
    if parts.uri.path().starts_with(side_door::PREFIX) {
        return Ok(side_door::answer(&shared, &parts.method, parts.uri.path(), &body));
    }
    let call = match SimRequest::read(&parts, body) {
        Ok(call) => Arc::new(call),
        Err(refusal) => return Ok(refused(&refusal, parts.method == http::Method::HEAD, None)),
    };
    shared.count(call.operation);
    let hit = shared.faults().hit(call.operation);
    if let Some(FaultHit { fault, timing }) = hit {
        match fault {
            SimFault::Throttle => return Ok(refuse(&shared, &call, SimErrorCode::SlowDown).await),
            SimFault::InternalError => return Ok(refuse(&shared, &call, SimErrorCode::InternalError).await),
            SimFault::Conflict => return Ok(refuse(&shared, &call, SimErrorCode::ConditionalRequestConflict).await),
            SimFault::OkWithError => return Ok(ok_with_error(&shared, &call).await),
            SimFault::Reset => return Err(ConnectionDropped::ByFault),
            SimFault::Timeout => return std::future::pending().await,
            SimFault::Late => return Err(execute_later(&shared, &call, timing).await),
            SimFault::Slow => tokio::time::sleep(Duration::from_millis(timing.delay_ms)).await,
            SimFault::LostResponse => {}
        }
    }
    let transfer = copy_transfer(&shared.service.model(), &call);
    let delay = shared.latency.of(transfer);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let response = answer(&shared, &call).await;
    if hit.is_some_and(|hit| hit.fault == SimFault::LostResponse) {
        return Err(ConnectionDropped::ByFault);
    }
    Ok(response)
}

/// Maximum size of a request's headers, in bytes.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const HEADERS_LIMIT_BYTES: usize = 8192;

fn header_bytes(headers: &http::HeaderMap) -> usize {
    let line = |(name, value): (&http::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    headers.iter().map(line).sum()
}

/// Returns whether the announced size of a body exceeds 5 GiB, so that it is rejected before it is read.
fn exceeds_size_limit(headers: &http::HeaderMap) -> bool {
    ["x-amz-decoded-content-length", "content-length"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|size| size > ONE_REQUEST_LIMIT_BYTES)
}

/// Executes a request and returns its response.
async fn answer(shared: &ServerState, call: &Arc<SimRequest>) -> Response<ResponseBody> {
    let is_head = call.method == "HEAD";
    let checked = check_target(&shared.service.model(), call);
    if let Err(refusal) = checked {
        return refused(&refusal, is_head, Some(call));
    }
    if policy::denies(&shared.service.model(), call) {
        let denied = SimError::because(
            SimErrorCode::AccessDenied,
            "User is not authorized to perform this action with an explicit deny in a resource-based policy",
        );
        return refused(&denied, is_head, Some(call));
    }
    if call.operation == "UpdateObjectEncryption" {
        // s3s does not support UpdateObjectEncryption.
        return match update_encryption(&mut shared.service.model(), call) {
            Ok(()) => finish(Response::new(full(Bytes::new()))),
            Err(refusal) => refused(&refusal, false, Some(call)),
        };
    }
    let mut request = match call.for_s3s() {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal, is_head, Some(call)),
    };
    request.extensions_mut().insert(Arc::clone(call));
    let response = match shared.s3s.call(request).await {
        Ok(response) => response,
        Err(error) => {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            return refused(
                &SimError::because(SimErrorCode::InternalError, error.to_string()),
                is_head,
                Some(call),
            );
        }
    };
    let (mut parts, body) = response.into_parts();
    parts.status = parts.extensions.get().copied().unwrap_or(parts.status);
    let has_no_body = parts.status == StatusCode::NO_CONTENT || parts.status == StatusCode::NOT_MODIFIED;
    let body = if (is_head && !parts.status.is_success()) || has_no_body {
        // Errors of HEAD requests and 304 have no body.
        parts.headers.remove("content-type");
        parts.headers.remove("content-length");
        full(Bytes::new())
    } else if let Some(details) = range_details(call, &parts.headers) {
        let end = format!("{details}</Error>");
        rewritten(body, &mut parts.headers, |text| text.replace("</Error>", &end)).await
    } else if call.operation == "GetObjectAttributes" {
        without_quotes(body, &mut parts.headers).await
    } else if let Some(order) = parts.extensions.remove::<VersionOrder>() {
        rewritten(body, &mut parts.headers, |text| with_references(&order.put(text))).await
    } else if is_document(call.operation, &parts.headers) {
        rewritten(body, &mut parts.headers, with_references).await
    } else {
        body.map_err(Into::into).boxed_unsync()
    };
    finish(Response::from_parts(parts, body))
}

/// Returns the details of an `InvalidRange` error: the range and the object's size.
///
/// Only this error has a `Content-Range` without a range.
fn range_details(call: &SimRequest, headers: &http::HeaderMap) -> Option<String> {
    let size = headers.get("content-range")?.to_str().ok()?.strip_prefix("bytes */")?;
    let range = call.header("range")?;
    Some(format!(
        "<RangeRequested>{range}</RangeRequested><ActualObjectSize>{size}</ActualObjectSize>"
    ))
}

/// Returns whether a response body is an S3 document, not the content of an object.
fn is_document(operation: &str, headers: &http::HeaderMap) -> bool {
    let is_xml = headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/xml"));
    is_xml && !matches!(operation, "GetObject" | "HeadObject" | "GetObjectAnnotation")
}

/// Removes the quotes of the ETag in `GetObjectAttributes`, the only response that has none.
async fn without_quotes(body: s3s::Body, headers: &mut http::HeaderMap) -> ResponseBody {
    let unquoted = |text: &str| {
        let text = text.replace("&quot;", "");
        text.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>")
    };
    rewritten(body, headers, unquoted).await
}

/// Rewrites the document of a response.
async fn rewritten(body: s3s::Body, headers: &mut http::HeaderMap, rewrite: impl Fn(&str) -> String) -> ResponseBody {
    let Ok(body) = body.collect().await else {
        return full(Bytes::new());
    };
    headers.remove("content-length");
    full(rewrite(&String::from_utf8_lossy(&body.to_bytes())))
}

/// Rejects requests that were signed for a region other than the bucket's.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html>
fn check_region(model: &Simulator, call: &SimRequest) -> SimResult<()> {
    if matches!(call.operation, "CreateBucket" | "ListBuckets" | "GetBucketLocation") {
        return Ok(());
    }
    model.check_region(call.target().bucket, call.region.as_deref())
}

fn update_encryption(model: &mut Simulator, call: &SimRequest) -> SimResult<()> {
    let document = String::from_utf8_lossy(&call.body);
    let key = element(&document, "KMSKeyArn").ok_or(SimErrorCode::MalformedXml)?;
    let bucket_key = element(&document, "BucketKeyEnabled").as_deref() == Some("true");
    model.update_encryption(call.target(), call.version_id(), &key, bucket_key)
}

/// Rejects requests for a bucket in another region, or whose expected owner differs, for target and copy source.
fn check_target(model: &Simulator, call: &SimRequest) -> SimResult<()> {
    check_region(model, call)?;
    let expected = call.header("x-amz-expected-bucket-owner");
    model.check_owner(call.target().bucket, expected.as_deref())?;
    match call.header("x-amz-source-expected-bucket-owner") {
        Some(expected) => model.check_owner(&call.source()?.bucket, Some(&expected)),
        None => Ok(()),
    }
}

/// Returns the data transfer of a copy request.
fn copy_transfer(model: &Simulator, call: &SimRequest) -> Option<CopyTransfer> {
    if !matches!(call.operation, "CopyObject" | "UploadPartCopy") {
        return None;
    }
    let source = call.source().ok()?;
    let from = model.bucket(&source.bucket).ok()?;
    let to = model.bucket(call.target().bucket).ok()?;
    let (_, object) = from.read(&source.key, source.version_id.as_deref()).ok()?;
    let size_bytes = match call.copy_range().ok()? {
        Some(range) => range.last.saturating_sub(range.first) + 1,
        None => object.content.size_bytes(),
    };
    Some(CopyTransfer {
        size_bytes,
        crosses_regions: from.region != to.region,
    })
}

/// Returns the error response of a fault, after the usual delay and without effect.
async fn refuse(shared: &ServerState, call: &SimRequest, code: SimErrorCode) -> Response<ResponseBody> {
    tokio::time::sleep(shared.latency.of(None)).await;
    refused(&SimError::new(code), call.method == "HEAD", Some(call))
}

/// Returns status 200 with an error document, without effect.
async fn ok_with_error(shared: &ServerState, call: &SimRequest) -> Response<ResponseBody> {
    let mut response = refuse(shared, call, SimErrorCode::InternalError).await;
    *response.status_mut() = StatusCode::OK;
    response
}

/// Closes the connection, and executes the request after the configured number of requests or time.
async fn execute_later(shared: &Arc<ServerState>, call: &Arc<SimRequest>, timing: FaultTiming) -> ConnectionDropped {
    shared.late_requests.fetch_add(1, Ordering::SeqCst);
    let mut served = shared.served.subscribe();
    let due = *served.borrow_and_update() + timing.after_requests;
    let (later, late_call) = (Arc::clone(shared), Arc::clone(call));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(timing.delay_ms)).await;
        let enough = served.wait_for(|count| *count >= due);
        // Both results mean that the effect is due. The channel stays open, because `later` holds its sender.
        let _in_time = tokio::time::timeout(Duration::from_millis(timing.after_ms), enough)
            .await
            .is_ok();
        drop(answer(&later, &late_call).await);
        later.late_requests.fetch_sub(1, Ordering::SeqCst);
    });
    tokio::time::sleep(Duration::from_millis(timing.delay_ms)).await;
    ConnectionDropped::ByFault
}

fn refused(refusal: &SimError, is_head: bool, call: Option<&SimRequest>) -> Response<ResponseBody> {
    let mut details = Vec::new();
    let region = refusal.headers.iter().find(|(name, _)| *name == "x-amz-bucket-region");
    if let (Some((_, region)), Some(call)) = (region, call) {
        details.push(("Bucket", call.target().bucket));
        details.push(("Region", region.as_str()));
    }
    let document = error_document(refusal.code.name(), &refusal.message, &details);
    let mut response = Response::new(full(if is_head { String::new() } else { document }));
    *response.status_mut() = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = refusal_headers(refusal);
    finish(response)
}

/// Adds the headers that every S3 response has.
fn finish(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    let headers = response.headers_mut();
    headers.insert("server", HeaderValue::from_static("AmazonS3"));
    headers.insert("x-amz-request-id", HeaderValue::from_static("S3SIM"));
    headers.insert("x-amz-id-2", HeaderValue::from_static("S3SIM"));
    response
}
