//! When a message that failed comes back, and what is read of its keys then.

use std::time::Duration;

use crate::facts::{Attribute, AttributeSet, HIDDEN_IN_HEAD};
use crate::failure::FailureKind;
use crate::outcome::DeferralReason;

/// Names what is read of a key whose last reconcile may have been interrupted, beside what a HEAD shows.
///
/// A crash between a copy and the read after it leaves a copy that may differ in what a HEAD does not show; one during a
/// multipart copy leaves an upload, and one after it an object without its annotations.
#[must_use]
pub fn attributes_after_interruption() -> AttributeSet {
    let mut attributes = AttributeSet::from([Attribute::UnfinishedUpload]);
    attributes.extend(HIDDEN_IN_HEAD);
    attributes
}

/// What a failed message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedeliveryReason {
    /// Nothing that could come: it will never be read, or never be ours. The sooner it is in the dead-letter queue, the
    /// sooner somebody looks.
    Nobody,
    /// Somebody who repairs a permission or a setting, which may already be on its way through AWS.
    Repair,
    /// Better times: throttling ends, a service recovers.
    BetterTimes,
    /// A write whose answer never came, and which may still land.
    Landing,
}

impl RedeliveryReason {
    /// Sorts a failure of a record.
    #[must_use]
    pub fn after(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Retry | FailureKind::Deferred => Self::BetterTimes,
            FailureKind::Permanent | FailureKind::Configuration | FailureKind::Bug => Self::Repair,
        }
    }

    /// Returns how long a message stays away that was delivered `deliveries` times.
    ///
    /// Half a minute after the first failure and four times as long after each further one, up to an hour, bridges a
    /// long outage with few deliveries and a short one within a minute.
    #[must_use]
    pub fn delay(self, deliveries: u32) -> Duration {
        const LONGEST: Duration = Duration::from_hours(1);
        match self {
            Self::Nobody => Duration::ZERO,
            Self::Repair => Duration::from_secs(15).saturating_mul(deliveries.max(1)).min(LONGEST),
            Self::BetterTimes => {
                let factor = 4_u32.saturating_pow(deliveries.saturating_sub(1));
                Duration::from_secs(30).saturating_mul(factor).min(LONGEST)
            }
            Self::Landing => Self::BetterTimes
                .delay(deliveries)
                .max(DeferralReason::OutcomeUnknown.delay()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(redelivery_reason: RedeliveryReason, expected_seconds: [u64; 7]) {
        let delays = [0, 1, 2, 3, 4, 5, u32::MAX].map(|deliveries| redelivery_reason.delay(deliveries).as_secs());
        assert_eq!(delays, expected_seconds);
    }

    #[test]
    fn delays_grow_and_end_at_an_hour() {
        check(RedeliveryReason::Nobody, [0, 0, 0, 0, 0, 0, 0]);
        check(RedeliveryReason::Repair, [15, 15, 30, 45, 60, 75, 3600]);
        check(RedeliveryReason::BetterTimes, [30, 30, 120, 480, 1920, 3600, 3600]);
        check(RedeliveryReason::Landing, [600, 600, 600, 600, 1920, 3600, 3600]);
    }

    #[test]
    fn message_waits_for_what_takes_longest() {
        let parts = [
            RedeliveryReason::Repair,
            RedeliveryReason::Nobody,
            RedeliveryReason::BetterTimes,
        ];
        assert_eq!(parts.into_iter().max(), Some(RedeliveryReason::BetterTimes));
        assert_eq!(
            RedeliveryReason::after(FailureKind::Retry),
            RedeliveryReason::BetterTimes
        );
        assert_eq!(
            RedeliveryReason::after(FailureKind::Configuration),
            RedeliveryReason::Repair
        );
    }
}
