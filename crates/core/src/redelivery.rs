//! Decides when a failed message is redelivered, and what is read of its keys then.

use std::time::Duration;

use crate::facts::{Attribute, AttributeSet, HIDDEN_IN_HEAD};
use crate::failure::FailureKind;
use crate::outcome::DeferralReason;

/// Returns the attributes to read of a key whose last reconcile may have been interrupted, in addition to a HEAD.
///
/// A crash between a copy and the following read leaves a copy that may differ in attributes that a HEAD does not
/// show. A crash during a multipart copy leaves an upload, and one after its completion leaves an object without
/// annotations.
#[must_use]
pub fn attributes_after_interruption() -> AttributeSet {
    let mut attributes = AttributeSet::from([Attribute::UnfinishedUpload]);
    attributes.extend(HIDDEN_IN_HEAD);
    attributes
}

/// Reason of a redelivery, which decides its delay; a later variant has precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedeliveryReason {
    /// No retry can succeed: the message is unreadable, or belongs to another bucket. It is redelivered at once, so
    /// that it soon arrives in the dead-letter queue.
    Unrecoverable,
    /// A permission or setting must be fixed. The fix may already be propagating through AWS.
    Repair,
    /// The cause is transient: throttling, or a service outage.
    Transient,
    /// The response of a write was lost; the write may still land.
    OutcomeUnknown,
}

impl RedeliveryReason {
    /// Returns the reason for a failure of a record.
    #[must_use]
    pub fn after(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Retry => Self::Transient,
            FailureKind::Permanent | FailureKind::Configuration | FailureKind::Bug => Self::Repair,
        }
    }

    /// Returns the delay before the next delivery of a message that was received `receive_count` times.
    ///
    /// Transient failures are redelivered after 30 seconds, then after four times as long each time, up to one hour.
    /// This bridges a long outage with few receives and a short one within a minute.
    #[must_use]
    pub fn delay(self, receive_count: u32) -> Duration {
        const LONGEST: Duration = Duration::from_hours(1);
        match self {
            Self::Unrecoverable => Duration::ZERO,
            Self::Repair => Duration::from_secs(15)
                .saturating_mul(receive_count.max(1))
                .min(LONGEST),
            Self::Transient => {
                let factor = 4_u32.saturating_pow(receive_count.saturating_sub(1));
                Duration::from_secs(30).saturating_mul(factor).min(LONGEST)
            }
            Self::OutcomeUnknown => Self::Transient
                .delay(receive_count)
                .max(DeferralReason::OutcomeUnknown.delay()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(redelivery_reason: RedeliveryReason, expected_seconds: [u64; 7]) {
        let delays = [0, 1, 2, 3, 4, 5, u32::MAX].map(|receive_count| redelivery_reason.delay(receive_count).as_secs());
        assert_eq!(delays, expected_seconds);
    }

    #[test]
    fn delay_grows_up_to_one_hour() {
        check(RedeliveryReason::Unrecoverable, [0, 0, 0, 0, 0, 0, 0]);
        check(RedeliveryReason::Repair, [15, 15, 30, 45, 60, 75, 3600]);
        check(RedeliveryReason::Transient, [30, 30, 120, 480, 1920, 3600, 3600]);
        check(RedeliveryReason::OutcomeUnknown, [600, 600, 600, 600, 1920, 3600, 3600]);
    }

    #[test]
    fn message_with_several_reasons_has_the_longest_delay() {
        let parts = [
            RedeliveryReason::Repair,
            RedeliveryReason::Unrecoverable,
            RedeliveryReason::Transient,
        ];
        assert_eq!(parts.into_iter().max(), Some(RedeliveryReason::Transient));
        assert_eq!(RedeliveryReason::after(FailureKind::Retry), RedeliveryReason::Transient);
        assert_eq!(
            RedeliveryReason::after(FailureKind::Configuration),
            RedeliveryReason::Repair
        );
    }
}
