//! The HTTP server of the simulator, on a loopback port.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::{S3Service, S3ServiceBuilder};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::serve::serve;
use super::service::SimService;
use crate::sim::fault::{FaultRule, FaultRuleError, SimFaults};
use crate::sim::latency::SimLatency;
use crate::sim::model::bucket::SimVersioning;
use crate::sim::model::clock::SimClock;
use crate::sim::model::error::SimResult;
use crate::sim::model::simulator::Simulator;

/// Options of a server.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Port on 127.0.0.1; 0 selects a free port.
    pub port: u16,
    /// Seed of identifiers and faults.
    pub seed: u64,
    /// Delays of requests.
    pub latency: SimLatency,
    /// Time source.
    pub clock: SimClock,
}

/// State that all connections use.
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) service: SimService,
    pub(crate) s3s: S3Service,
    pub(crate) latency: SimLatency,
    /// Number of served requests, which late requests wait for.
    pub(crate) served: watch::Sender<u64>,
    /// Number of late requests that have not taken effect yet.
    pub(crate) late_requests: AtomicU64,
    faults: Mutex<SimFaults>,
    requests: Mutex<BTreeMap<&'static str, u64>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ServerState {
    pub(crate) fn faults(&self) -> MutexGuard<'_, SimFaults> {
        locked(&self.faults)
    }

    pub(crate) fn count(&self, operation: &'static str) {
        *locked(&self.requests).entry(operation).or_default() += 1;
        self.served.send_modify(|count| *count += 1);
    }

    pub(crate) fn requests(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.requests).clone()
    }

    pub(crate) fn forget_requests(&self) {
        locked(&self.requests).clear();
    }
}

/// A running simulator. Dropping it stops the server.
#[derive(Debug)]
pub struct SimServer {
    endpoint: String,
    shared: Arc<ServerState>,
    accepting: JoinHandle<()>,
}

impl SimServer {
    /// Starts a server on a loopback port.
    pub async fn start(options: ServerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let service = SimService {
            simulator: Arc::new(Mutex::new(Simulator::new(options.seed, options.clock))),
        };
        let mut builder = S3ServiceBuilder::new(service.clone());
        builder.set_route(service.clone());
        let shared = Arc::new(ServerState {
            service,
            s3s: builder.build(),
            latency: options.latency,
            served: watch::Sender::new(0),
            late_requests: AtomicU64::new(0),
            faults: Mutex::new(SimFaults::new(options.seed)),
            requests: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            endpoint,
            shared,
            accepting,
        })
    }

    /// Returns the endpoint URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Locks the model, to prepare or inspect it. The lock blocks all requests.
    pub fn model(&self) -> MutexGuard<'_, Simulator> {
        locked(&self.shared.service.simulator)
    }

    /// Creates buckets with versioning, each with the given name and region.
    pub fn make_versioned_buckets<'a>(&self, buckets: impl IntoIterator<Item = (&'a str, &'a str)>) -> SimResult<()> {
        let mut model = self.model();
        for (name, region) in buckets {
            model.create_bucket(name, region, false)?;
            model.set_versioning(name, SimVersioning::Enabled)?;
        }
        Ok(())
    }

    /// Returns the number of requests per operation.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.shared.requests()
    }

    /// Resets the number of requests.
    pub fn forget_requests(&self) {
        self.shared.forget_requests();
    }

    /// Replaces the fault rules by those of a document, in the format of the side door.
    pub fn set_faults(&self, document: &Value) -> Result<(), FaultRuleError> {
        let rules = FaultRule::read_all(document)?;
        self.shared.faults().set(rules);
        Ok(())
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<ServerState>) {
    // Dropping the set closes all connections when the server stops.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, Arc::clone(&shared)));
                }
                // The client disconnected, or there are no file descriptors. The server continues.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(stream: TcpStream, shared: Arc<ServerState>) {
    // Otherwise a small response waits until the client acknowledges the previous one.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| serve(Arc::clone(&shared), request));
    let connection = http1::Builder::new()
        // Idle connections stay open. A client that reuses one must not get an unexpected reset.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    // A connection fails if the client or a fault closed it.
    let _closed = connection.await.is_ok();
}
