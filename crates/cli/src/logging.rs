//! Logs as lines on standard error.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::progress::LogWriter;

/// Starts logging everything up to `level`; the SDK's own events stay at warnings, for at `debug` they would log headers.
pub(crate) fn start(level: tracing::Level) {
    let ours = [
        "s3ferry",
        "s3ferry_aws",
        "s3ferry_cli",
        "s3ferry_core",
        "s3ferry_engine",
    ];
    let targets = Targets::new()
        .with_default(LevelFilter::from_level(level.min(tracing::Level::WARN)))
        // What comes of it is in the error that ends the command, without the answers' headers.
        .with_target("aws_config", LevelFilter::ERROR)
        // A line for every object in parts that is read: its checksum is over the parts, which is known.
        .with_target(
            "aws_sdk_s3::http_response_checksum",
            by_object(level).min(LevelFilter::WARN),
        )
        .with_targets(ours.map(|target| (target, LevelFilter::from_level(level))))
        // The lines of a function's log, one for each object: here a report says it all.
        .with_target("s3ferry_engine::record", by_object(level))
        .with_target("s3ferry_engine::final_sync", by_object(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(LogWriter::default)
        .with_ansi(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
}

fn by_object(level: tracing::Level) -> LevelFilter {
    if level >= tracing::Level::INFO {
        LevelFilter::from_level(level)
    } else {
        LevelFilter::OFF
    }
}
