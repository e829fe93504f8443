//! `s3sim`: the S3 simulator as a program.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use tokio::signal::unix::{SignalKind, signal};

const AFTER_HELP: &str = r#"The first line of output is the endpoint URL. Any S3 client can use it, with any
access key and secret key, with path-style URLs or virtual-hosted URLs below localhost. Each bucket has the region it
was created for. Requests signed for another region are redirected, as in S3.

The side door is a JSON API for tests:
  GET    /_sim/health    returns the state of the server
  GET    /_sim/requests  returns the number of requests per operation; DELETE resets it
  GET    /_sim/events    returns the notifications since the last call, as an S3 event
  PUT    /_sim/objects   creates an object of any size, without storing its bytes:
      {"bucket", "key", "size_bytes", "seed", "part_size_bytes"?, "metadata"?, "tags"?, "headers"?, "storage_class"?,
       "checksum"?: false or CRC32, CRC32C, CRC64NVME, SHA1, SHA256, "checksum_type"?: FULL_OBJECT or COMPOSITE,
       "encryption"?: AES256, aws:kms or aws:kms:KEY, "last_modified"?, "missing_metadata"?}
  PUT    /_sim/owners    sets the owner of a bucket, {"bucket", "account"}; the default is 123456789012
  PUT    /_sim/faults    replaces the fault rules:
      [{"operation": a name or *, "probability" | "nth", "fault", "times"?, "delay_ms"?, "after_requests"?,
        "after_ms"?}]
      throttle, internal-error, conflict: 503, 500 or 409, without effect
      ok-with-error: 200 with an error document, without effect
      lost-response: takes effect, then closes the connection without a response
      late: closes the connection after delay_ms; takes effect after after_requests requests, or after_ms
      reset: closes the connection, without effect
      slow: the response is delayed by delay_ms
      timeout: no effect and no response

SIGTERM and Ctrl-C stop the server with exit code 0."#;

/// S3 simulator for tests: in memory, on 127.0.0.1, all regions on one port
#[derive(Debug, Parser)]
#[command(name = "s3sim", version, after_help = AFTER_HELP)]
struct Arguments {
    /// Port on 127.0.0.1; 0 selects a free port
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Seed of version ids, upload ids and faults
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Delay of each request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// Additional delay of a copy from another region, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    cross_region_ms: u64,
    /// Throughput of each copy request, in megabytes per second; if unset, copies take no time
    #[arg(long, value_name = "MB/S", value_parser = speed)]
    part_mbps: Option<f64>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed.is_finite() => Ok(speed),
        _ => Err("must be a number above 0".to_owned()),
    }
}

impl Arguments {
    fn options(&self) -> ServerOptions {
        ServerOptions {
            port: self.port,
            seed: self.seed,
            latency: SimLatency {
                request: Duration::from_millis(self.latency_ms),
                cross_region: Duration::from_millis(self.cross_region_ms),
                part_megabytes_per_second: self.part_mbps,
            },
            ..ServerOptions::default()
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s3sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = SimServer::start(arguments.options()).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {}", server.endpoint())?;
    out.flush()?;
    drop(out);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
