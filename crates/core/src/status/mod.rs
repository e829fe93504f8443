//! Status of a migration: whether new writes reach the destination in time.
//!
//! A verdict is as good as its evidence: whatever could not be read, or is too old, makes the verdict
//! [`Blind`](StatusVerdict::Blind).

mod lag;
mod readings;
mod verdict;

#[cfg(test)]
mod tests;

pub use lag::{LagEstimate, LagSource};
pub use readings::{CrrMetrics, DataPoint, QueueCounts, RunReading, SourceMetrics, StatusReading, StatusReadings};
pub use verdict::{StatusAssessment, StatusReason, StatusVerdict, assess};

use std::time::Duration;

/// Time in which failures count. A failing message is received once an hour at the latest, as in `RecordsFailedAlarm`.
pub const FAILURE_WINDOW: Duration = Duration::from_mins(65);

/// Age up to which a data point describes the present. CloudWatch shows a minute's metrics some minutes later.
pub const FRESH_WITHIN: Duration = Duration::from_mins(15);
