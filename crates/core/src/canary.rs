//! The canary: a small object that a schedule writes to the source bucket again and again. When its latest write arrives
//! at the destination shows the lag, also while no application writes.

use std::time::Duration;

use crate::names::{NameError, ObjectKey};
use crate::time::Timestamp;

/// End of the canary's key, behind the key prefix of the migration. No other object may have such a key.
pub const CANARY_NAME: &str = ".s3ferry-canary/heartbeat";

/// Interval of the canary's writes, the same as in the template.
pub const CANARY_INTERVAL: Duration = Duration::from_mins(5);

/// User metadata of the canary: the time that its write was scheduled for. It differs from write to write, so each of
/// them needs a copy.
pub const CANARY_METADATA: &str = "s3ferry-canary";

/// Time that a scheduled write may take. EventBridge Scheduler invokes its targets within the minute.
const SCHEDULED_WITHIN: Duration = Duration::from_mins(2);

/// Returns the key of the canary of a migration with this key prefix.
pub fn canary_key(prefix: &str) -> Result<ObjectKey, NameError> {
    ObjectKey::from_raw(format!("{prefix}{CANARY_NAME}"))
}

/// Returns whether a key is that of a canary, whatever the key prefix of its migration is.
///
/// Comparisons and syncs leave it out: it changes every few minutes, and the migration does not need it.
#[must_use]
pub fn is_canary(key: &ObjectKey) -> bool {
    key.as_str().ends_with(CANARY_NAME)
}

/// The canary on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryObject {
    /// Value of [`CANARY_METADATA`].
    pub beat: String,
    /// Time of the write.
    pub written: Timestamp,
    /// Whether S3 itself replicated the object. The time of a replica is that of its source object.
    pub is_replica: bool,
}

/// What the canary shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryReading {
    /// The latest write has arrived. The lag is unknown for a replica of S3.
    Arrived {
        /// Time from the write to its copy.
        lag: Option<Duration>,
    },
    /// The latest write has not arrived.
    Waiting {
        /// Time since the first write that has not arrived.
        at_least: Duration,
    },
    /// The schedule does not write.
    Stale {
        /// Time of the latest write.
        written: Timestamp,
    },
    /// The schedule has not written yet.
    Absent,
}

impl CanaryReading {
    /// Reads the canary from both of its objects.
    #[must_use]
    pub fn of(source: Option<&CanaryObject>, destination: Option<&CanaryObject>, now: Timestamp) -> Self {
        let Some(source) = source else { return Self::Absent };
        let age = now.since(source.written);
        if age > CANARY_INTERVAL.saturating_add(SCHEDULED_WITHIN) {
            return Self::Stale {
                written: source.written,
            };
        }
        match destination {
            Some(copy) if copy.beat == source.beat => Self::Arrived {
                lag: (!copy.is_replica).then(|| copy.written.since(source.written)),
            },
            // The writes between the one that arrived and the latest one have not arrived either.
            Some(copy) => Self::Waiting {
                at_least: Timestamp::from_rfc3339(&copy.beat)
                    .map_or(age, |beat| now.since(beat.plus(CANARY_INTERVAL)).max(age)),
            },
            None => Self::Waiting { at_least: age },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_393_230);

    fn ago(seconds: u64) -> Timestamp {
        NOW.minus(Duration::from_secs(seconds))
    }

    fn beat(scheduled: u64, written: u64) -> CanaryObject {
        CanaryObject {
            beat: ago(scheduled).to_rfc3339(),
            written: ago(written),
            is_replica: false,
        }
    }

    #[test]
    fn arrived_canary_shows_the_lag_of_its_copy() {
        let source = beat(60, 58);
        let reading = |copy: &CanaryObject| CanaryReading::of(Some(&source), Some(copy), NOW);
        let lag = Some(Duration::from_secs(3));
        assert_eq!(reading(&beat(60, 55)), CanaryReading::Arrived { lag });
        let replica = CanaryObject {
            is_replica: true,
            ..beat(60, 58)
        };
        assert_eq!(reading(&replica), CanaryReading::Arrived { lag: None });
    }

    #[test]
    fn waiting_canary_counts_from_the_first_write_that_has_not_arrived() {
        let source = beat(60, 58);
        let waits = |copy: Option<&CanaryObject>, seconds| {
            let at_least = Duration::from_secs(seconds);
            assert_eq!(
                CanaryReading::of(Some(&source), copy, NOW),
                CanaryReading::Waiting { at_least }
            );
        };
        waits(None, 58);
        waits(Some(&beat(360, 350)), 60);
        waits(Some(&beat(3_660, 3_600)), 3_360);
        let unreadable = CanaryObject {
            beat: "an application's".to_owned(),
            ..beat(360, 350)
        };
        waits(Some(&unreadable), 58);
    }

    #[test]
    fn canary_that_is_not_written_shows_nothing() {
        let old = beat(3_600, 3_600);
        let stale = CanaryReading::Stale { written: old.written };
        assert_eq!(CanaryReading::of(Some(&old), Some(&old), NOW), stale);
        assert_eq!(CanaryReading::of(None, Some(&old), NOW), CanaryReading::Absent);
    }

    #[test]
    fn key_of_a_canary_is_recognized_under_every_prefix() {
        for prefix in ["", "images/", "logs/2026-"] {
            assert!(is_canary(&canary_key(prefix).unwrap()), "{prefix}");
        }
        for key in [
            "heartbeat",
            ".s3ferry-canary/",
            ".s3ferry-canary/heartbeat/a",
            "images/a",
        ] {
            assert!(!is_canary(&ObjectKey::from_raw(key).unwrap()), "{key}");
        }
    }
}
