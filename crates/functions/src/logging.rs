//! JSON log lines on standard output, which Lambda sends to CloudWatch Logs.

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log of s3ferry's events up to `level`.
///
/// Events of other crates are logged up to warnings: at `debug` the SDK would log request headers.
pub fn start(level: Level) {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let own_targets = [
        "s3ferry_core",
        "s3ferry_engine",
        "s3ferry_aws",
        "s3ferry_functions",
        "replicator",
        "final_sync",
        "bucket_wiring",
    ];
    let targets = Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_targets(own_targets.map(|target| (target, LevelFilter::from_level(level))));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
