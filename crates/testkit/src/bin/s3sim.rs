//! `s3sim`: the S3 simulator as a program.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use tokio::signal::unix::{SignalKind, signal};

const TEACHING: &str = r#"The first line of output names the endpoint URL. Any S3 client can use it, with any access key and secret, by
path-style addresses or virtual-hosted ones below localhost. A bucket is in the region that it was made for; requests
signed for another are redirected as S3 does it.

The side door, in JSON:
  GET    /_sim/health    whether it runs
  GET    /_sim/requests  how often each operation was called; DELETE forgets
  GET    /_sim/events    the notifications since the last call, as an S3 event
  PUT    /_sim/objects   makes an object of any size, without its bytes:
      {"bucket", "key", "size_bytes", "seed", "part_size_bytes"?, "metadata"?, "tags"?, "headers"?, "storage_class"?,
       "checksum"?: false or CRC32, CRC32C, CRC64NVME, SHA1, SHA256, "checksum_type"?: FULL_OBJECT or COMPOSITE,
       "encryption"?: AES256, aws:kms or aws:kms:KEY, "last_modified"?, "missing_metadata"?}
  PUT    /_sim/owners    gives a bucket to an account, {"bucket", "account"}; at first all are of 123456789012
  PUT    /_sim/faults    replaces the fault rules:
      [{"operation": a name or *, "probability" | "nth", "fault", "times"?, "delay_ms"?, "after_requests"?,
        "after_ms"?}]
      throttle, internal-error, conflict: 503, 500 or 409, without effect
      ok-with-error: 200 with an error document, without effect
      lost-response: the effect, then a closed connection
      late: a connection closed after delay_ms; the effect follows after_requests later, or after_ms
      reset: a closed connection, without effect
      slow: the answer after delay_ms
      timeout: no effect and no answer, until the client gives up

It ends with status 0 on SIGTERM and on Ctrl-C."#;

/// An S3 for tests: in memory, on 127.0.0.1, every region on one port
#[derive(Debug, Parser)]
#[command(name = "s3sim", version, after_help = TEACHING)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Seed of version ids, upload ids and faults
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What each request waits, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// What a copy from another region waits in addition, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    cross_region_ms: u64,
    /// How fast a single copy request moves bytes, in megabytes per second; without it copies take no time
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
