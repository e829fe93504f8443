//! HTTP server of the Runtime API.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::InvocationReply;

/// An event that waits for the function.
#[derive(Debug)]
pub(super) struct PendingInvocation {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) deadline_ms: u128,
    pub(super) answer: oneshot::Sender<InvocationReply>,
}

/// State that all connections share.
#[derive(Debug)]
pub(super) struct RuntimeApiState {
    waiting: tokio::sync::Mutex<mpsc::Receiver<PendingInvocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<InvocationReply>>>,
    first_next: watch::Sender<Option<Instant>>,
    function_arn: String,
}

impl RuntimeApiState {
    pub(super) fn new(
        waiting: mpsc::Receiver<PendingInvocation>,
        first_next: watch::Sender<Option<Instant>>,
        function_arn: String,
    ) -> Arc<Self> {
        let waiting = tokio::sync::Mutex::new(waiting);
        Arc::new(Self {
            waiting,
            running: Mutex::default(),
            first_next,
            function_arn,
        })
    }
}

/// Serves connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, shared: Arc<RuntimeApiState>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            // The connection ends with the function's process, so its error is ignored.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<RuntimeApiState>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_start_matches("/2018-06-01/runtime/").split('/').collect();
    Ok(match (request.method(), segments.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(&shared).await,
        (&Method::POST, ["invocation", request_id, kind @ ("response" | "error")]) => {
            let text = match request.into_body().collect().await {
                Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
                Err(error) => return Ok(status(StatusCode::BAD_REQUEST, &error.to_string())),
            };
            let given = if *kind == "error" {
                InvocationReply::Error(text)
            } else {
                InvocationReply::Response(text)
            };
            match lock(&shared.running)
                .remove(*request_id)
                .map(|waiting| waiting.send(given))
            {
                Some(Ok(())) => status(StatusCode::ACCEPTED, "{}"),
                _ => status(StatusCode::BAD_REQUEST, "no such invocation"),
            }
        }
        // The process then ends itself, and its output contains the reason.
        (&Method::POST, ["init", "error"]) => status(StatusCode::ACCEPTED, "{}"),
        _ => status(StatusCode::NOT_FOUND, "no such path"),
    })
}

async fn next(shared: &RuntimeApiState) -> Response<Full<Bytes>> {
    shared.first_next.send_if_modified(|first| {
        first.is_none() && {
            *first = Some(Instant::now());
            true
        }
    });
    let Some(invocation) = shared.waiting.lock().await.recv().await else {
        return status(StatusCode::GONE, "no more events");
    };
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.request_id)
        .header("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string())
        .header("lambda-runtime-invoked-function-arn", &shared.function_arn)
        .header(
            "lambda-runtime-trace-id",
            "Root=1-00000000-000000000000000000000000;Sampled=0",
        )
        .body(Full::new(invocation.event));
    lock(&shared.running).insert(invocation.request_id, invocation.answer);
    response.unwrap_or_else(|error| status(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
}

fn status(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
