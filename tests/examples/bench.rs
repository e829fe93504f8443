//! Benchmarks of the CLI against the S3 simulator.
//!
//! `cargo run --example bench -- diff 1000000`, `-- sync 10000`, or `-- inventory FOLDER` for two reports of
//! `bench_inventory generate`. The simulator runs in this process, so the CLI's memory is measured alone.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for developers")]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::model::content::SimContent;
use s3ferry_testkit::sim::model::put::PutRequest;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION, process, tools};
use tokio::process::Command;

const SOURCE: &str = "bench-source";
const DESTINATION: &str = "bench-destination";

/// Interval of reading the CLI's memory.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("diff", String::as_str);
    let more = arguments.get(1).map(String::as_str);
    let keys = || more.map_or(1_000_000, |keys| keys.parse().expect("a number of keys"));
    match what {
        "diff" => diff(keys()).await,
        "sync" => sync(keys()).await,
        "inventory" => inventory(Path::new(more.expect("a folder"))).await,
        other => panic!("`{other}`: allowed: diff, sync, inventory"),
    }
}

/// Compares two listings that differ in one key of ten thousand.
async fn diff(keys: u64) {
    for (latency_ms, concurrency) in [(0, 1), (0, 8), (50, 1), (50, 8), (50, 32)] {
        // With latency a run takes longer, and a tenth of the keys shows the same ratio.
        let keys = if latency_ms == 0 { keys } else { keys / 10 };
        let server = start(latency_ms).await;
        fill(&server, SOURCE, 0..keys);
        fill(&server, DESTINATION, (0..keys).filter(|number| number % 10_000 != 7));
        let measured = run(&server, "diff", &["--list-concurrency", &concurrency.to_string()], 1).await;
        let pages = 2 * keys.div_ceil(1_000);
        println!(
            "diff of {keys} keys per side, {latency_ms} ms latency, list concurrency {concurrency}: {:.1} s, \
             {:.0} keys/s per side, peak {} MiB, {} requests for {pages} pages; limit by latency {:.1} s",
            measured.took.as_secs_f64(),
            per_second(keys, measured.took),
            measured.peak_kib / 1024,
            server.requests().get("ListObjectsV2").copied().unwrap_or_default(),
            Duration::from_millis(latency_ms * (pages / 2) / concurrency).as_secs_f64(),
        );
    }
}

/// Copies small objects: a read of both sides, a copy, and another read of the source.
async fn sync(keys: u64) {
    const STEPS: u32 = 3;
    for (latency_ms, concurrency) in [(20, 16_u32), (50, 64), (100, 128)] {
        let server = start(latency_ms).await;
        fill(&server, SOURCE, 0..keys);
        let measured = run(&server, "sync", &["--concurrency", &concurrency.to_string()], 0).await;
        let least = Duration::from_millis(latency_ms) * STEPS * u32::try_from(keys).expect("few keys") / concurrency;
        println!(
            "sync of {keys} small objects, {latency_ms} ms latency, concurrency {concurrency}: {:.1} s, {:.0} obj/s, \
             {:.0} % of what latency and concurrency allow ({:.1} s), peak {} MiB, {:?}",
            measured.took.as_secs_f64(),
            per_second(keys, measured.took),
            100.0 * least.as_secs_f64() / measured.took.as_secs_f64(),
            least.as_secs_f64(),
            measured.peak_kib / 1024,
            server.requests(),
        );
    }
}

/// Compares two inventory reports of empty buckets, which measures the CLI alone.
async fn inventory(folder: &Path) {
    let manifest = |side: &str| folder.join(side).join("manifest.json").display().to_string();
    let (source, destination) = (manifest("source"), manifest("destination"));
    let server = start(0).await;
    let folder = folder.display().to_string();
    let flags = [
        "--unconfirmed",
        "--source-inventory",
        &source,
        "--destination-inventory",
        &destination,
        "--spill-dir",
        &folder,
    ];
    let measured = run(&server, "diff", &flags, 1).await;
    println!(
        "diff of two inventories, as s3ferry runs it: {:.1} s, peak {} MiB",
        measured.took.as_secs_f64(),
        measured.peak_kib / 1024
    );
}

struct Measurement {
    took: Duration,
    peak_kib: u64,
}

async fn start(latency_ms: u64) -> SimServer {
    let options = ServerOptions {
        latency: SimLatency {
            request: Duration::from_millis(latency_ms),
            ..SimLatency::default()
        },
        ..ServerOptions::default()
    };
    let server = SimServer::start(options).await.expect("the simulator starts");
    server
        .make_versioned_buckets([(SOURCE, SOURCE_REGION), (DESTINATION, DESTINATION_REGION)])
        .expect("the buckets are made");
    server
}

fn fill(server: &SimServer, bucket: &str, numbers: impl Iterator<Item = u64>) {
    let mut model = server.model();
    for number in numbers {
        let put = PutRequest {
            content: SimContent::from("x".to_owned()),
            ..PutRequest::default()
        };
        let key = format!("photos/{:03}/{number:09}.jpg", number / 10_000);
        let written = model.put_object(WriteTarget { bucket, key: &key }, put);
        written.expect("the object is written");
    }
}

/// Runs the CLI and measures its time and peak memory.
async fn run(server: &SimServer, command: &str, more: &[&str], code: i32) -> Measurement {
    let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let begun = Instant::now();
    let mut child = Command::new(tools::cli().expect("the CLI is built"))
        .args([command, "--source", &source, "--source-region", SOURCE_REGION])
        .args([
            "--destination",
            &destination,
            "--destination-region",
            DESTINATION_REGION,
        ])
        .args(["--output", "json"])
        .args(more)
        .env_clear()
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the CLI starts");
    let mut peak_kib = 0;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.expect("the CLI ends"),
            () = tokio::time::sleep(POLL_INTERVAL) => {
                let peak = process::peak_resident_kib(std::process::id(), "s3ferry").unwrap_or(0);
                peak_kib = peak.max(peak_kib);
            }
        }
    };
    assert_eq!(status.code(), Some(code));
    Measurement {
        took: begun.elapsed(),
        peak_kib,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
