//! Logs as JSON lines on standard output, where Lambda collects them.

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging everything up to `level`.
///
/// The SDK's own events stay at warnings, for at `debug` they would log request headers.
pub fn start(level: Level) {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let ours = [
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
        .with_targets(ours.map(|target| (target, LevelFilter::from_level(level))));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
