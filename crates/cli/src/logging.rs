//! Logs as lines on standard error.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::progress::LogWriter;

/// Starts logging up to `level`. The SDK logs only warnings: at `debug` it would log headers.
pub(crate) fn start(level: tracing::Level) {
    let own_targets = [
        "s3ferry",
        "s3ferry_aws",
        "s3ferry_cli",
        "s3ferry_core",
        "s3ferry_engine",
    ];
    let targets = Targets::new()
        .with_default(LevelFilter::from_level(level.min(tracing::Level::WARN)))
        // The error that ends the command says the same, without the headers of responses.
        .with_target("aws_config", LevelFilter::ERROR)
        // One line per multipart object that is read: its checksum is composite.
        .with_target(
            "aws_sdk_s3::http_response_checksum",
            by_object(level).min(LevelFilter::WARN),
        )
        .with_targets(own_targets.map(|target| (target, LevelFilter::from_level(level))))
        // One line per object, as in a function's log.
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
