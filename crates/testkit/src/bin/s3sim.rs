//! `s3sim`: the S3 simulator as a program.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use s3ferry_testkit::sim::latency::Latency;
use s3ferry_testkit::sim::{Options, Server};
use tokio::signal::unix::{SignalKind, signal};

/// An S3 for tests: in memory, on 127.0.0.1, every region on one port.
///
/// Use it with any S3 client: set its endpoint URL to the one printed on the first line, and any access key and
/// secret; a region other than the bucket's is answered as S3 does. Path-style addresses work, and
/// virtual-hosted ones below localhost.
///
/// The side door, in JSON:
///   GET    /_sim/health    whether it runs
///   GET    /_sim/requests  how often each operation was called; DELETE forgets
///   GET    /_sim/events    notifications since the last call, as an S3 event
///   PUT    /_sim/objects   makes an object of any size:
///          {"bucket","key","size_bytes","seed","part_size_bytes"?,"metadata"?,"tags"?,"headers"?,
///           "storage_class"?,"checksum"?,"checksum_type"?,"encryption"?,"last_modified"?,"missing_metadata"?}
///   PUT    /_sim/faults    replaces the fault rules:
///          [{"operation","probability"|"nth","fault","times"?,"delay_ms"?,"after_requests"?,"after_ms"?}]
///          fault: throttle, internal-error, conflict, ok-with-error, lost-response, late, reset, slow, timeout
///
/// It ends with status 0 on SIGTERM and on Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "s3sim", version, verbatim_doc_comment)]
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
    /// How fast one CopyObject or UploadPartCopy moves bytes, in megabytes per second; copies take no time without
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
    fn options(&self) -> Options {
        Options {
            port: self.port,
            seed: self.seed,
            latency: Latency {
                request: Duration::from_millis(self.latency_ms),
                cross_region: Duration::from_millis(self.cross_region_ms),
                part_megabytes_per_second: self.part_mbps,
            },
            ..Options::default()
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
    let server = Server::start(arguments.options()).await?;
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
