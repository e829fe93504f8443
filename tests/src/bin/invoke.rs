//! `make invoke EVENT=events/x.json`: runs a function's binary on one sample, without a deployment.
//!
//! An event runs on the replicator, a batch on the final sync. The program creates both buckets on a new emulator,
//! writes the objects that the sample names, and runs the binary under a local Runtime API. It prints the response, the
//! log and the content of the destination. It fails if the function fails.
#![allow(clippy::print_stdout, reason = "the output is for people")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::deployment::{DESTINATION_BUCKET, SOURCE_BUCKET};
use s3ferry_tests::emulator::{Emulator, EmulatorOptions};
use s3ferry_tests::error::chain;
use s3ferry_tests::interrupt::interrupted;
use s3ferry_tests::queue::Queue;
use s3ferry_tests::runtime_api::{Function, InvocationReply};
use s3ferry_tests::table::Table;
use s3ferry_tests::{DESTINATION_REGION, HarnessError, Result, SOURCE_REGION, replicator, sample, tools};

/// Bucket for s3ferry's own state.
const STATE_BUCKET: &str = "example-state";

/// Time limit of the invocation.
const TIMEOUT: Duration = Duration::from_mins(10);

#[tokio::main]
async fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        println!("usage: make invoke EVENT=events/<name>.json");
        return ExitCode::from(2);
    };
    let outcome = tokio::select! {
        outcome = invoke(&path) => outcome,
        _ = interrupted() => return ExitCode::from(130),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the function succeeded.
async fn invoke(path: &str) -> Result<bool> {
    let event = std::fs::read_to_string(path).map_err(HarnessError::io(format!("reading {path}")))?;
    let is_batch = tools::is_batch(Path::new(path));
    let binary = tools::function(if is_batch { "final-sync" } else { "replicator" })?;
    let emulator = Emulator::start(EmulatorOptions::default()).await?;
    let source = TestBucket::at(&emulator, SOURCE_REGION, SOURCE_BUCKET);
    let destination = TestBucket::at(&emulator, DESTINATION_REGION, DESTINATION_BUCKET);
    for bucket in [&source, &destination] {
        bucket.create().await?;
        bucket.enable_versioning().await?;
    }
    if is_batch {
        for key in sample::seed_batch(&source, &event).await? {
            println!("seeded {key:?} at the source");
        }
    } else {
        for (key, side) in sample::seed(&source, &destination, &event).await? {
            println!("seeded {key:?} at the {side}");
        }
    }
    let state = TestBucket::at(&emulator, SOURCE_REGION, STATE_BUCKET);
    state.create().await?;

    let queue = Queue::create(&emulator, "continuations").await?;
    let more = [
        ("PROPAGATE_DELETES", "true"),
        ("QUEUE_URL", queue.url.as_str()),
        ("STATE_BUCKET", STATE_BUCKET),
    ];
    let environment = replicator::environment(&emulator, SOURCE_BUCKET, DESTINATION_BUCKET, &more);
    let mut function = Function::start(&binary, &environment, TIMEOUT).await?;
    let answer = function.invoke(event).await?;

    println!("log of the function:\n{}", function.log()?);
    let start_ms = function.time_to_first_next().as_secs_f64() * 1000.0;
    let resident = function
        .resident_kib()
        .map_or("unknown".to_owned(), |kib| format!("{:.1} MB", kib_to_mb(kib)));
    println!("started in {start_ms:.1} ms, resident {resident}");
    println!("\nat the destination:\n{}", contents(&destination).await?);
    Ok(match answer {
        InvocationReply::Response(text) => {
            println!("response: {text}");
            true
        }
        InvocationReply::Error(text) => {
            println!("error: {text}");
            false
        }
    })
}

async fn contents(bucket: &TestBucket) -> Result<Table> {
    let mut table = Table::new(&["key", "bytes", "ETag"]);
    for (key, listed) in bucket.list("").await? {
        table.row([format!("{key:?}"), listed.size_bytes.to_string(), listed.etag]);
    }
    Ok(table)
}

/// Converts KiB to MB, for display only.
#[expect(
    clippy::cast_precision_loss,
    reason = "resident memory in KiB fits a double's 52 bits"
)]
fn kib_to_mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}
