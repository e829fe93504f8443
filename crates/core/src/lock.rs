//! Object Lock: protection of a version from deletion.

use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

/// Object Lock settings of one version.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectLock {
    /// Retention period.
    pub retention: Option<Retention>,
    /// Whether a legal hold is on.
    pub legal_hold: bool,
    /// Event hold, if one is on. The version then has no retention of its own, although S3 returns a date that it
    /// computes anew for each request.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
    pub event_hold: Option<EventHold>,
}

/// Retention of a version after its event hold is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EventHold {
    /// Days of retention.
    Days(u32),
    /// Years of retention.
    Years(u32),
    /// S3 does not return the period, so no copy can set it.
    Unknown,
}

/// Retention period of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Retention mode.
    pub mode: RetentionMode,
    /// End of the period.
    pub until: Timestamp,
}

/// Retention mode, which decides who may end the period early; the later variant is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum RetentionMode {
    /// Users with a special permission may end the period.
    Governance,
    /// No user can end the period.
    Compliance,
}

impl RetentionMode {
    /// Returns the name that S3 uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// Default retention of a bucket with Object Lock, for new versions without an explicit one.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRetention {
    /// Retention mode.
    pub mode: RetentionMode,
    /// Days of retention; a year has the days of the longest year.
    pub days: u32,
}

impl DefaultRetention {
    /// Returns the retention of a version that is written at `now`.
    #[must_use]
    pub fn starting(self, now: Timestamp) -> Retention {
        Retention {
            mode: self.mode,
            until: now.plus(Duration::from_hours(24).saturating_mul(self.days)),
        }
    }
}

impl ObjectLock {
    /// Returns the lock that a write at `now` has to set in a bucket with a `default` retention.
    ///
    /// An explicit retention replaces the default, so one that is weaker in mode or date is omitted.
    #[must_use]
    pub fn beside_default(self, default: Option<DefaultRetention>, now: Timestamp) -> Self {
        let is_weaker = |own: &Retention| {
            let default = default.map(|default| default.starting(now));
            default.is_some_and(|default| own.mode < default.mode || own.until < default.until)
        };
        Self {
            retention: self.retention.filter(|own| !is_weaker(own)),
            ..self
        }
    }

    /// Returns the lock without a retention that has ended at `now`, because S3 rejects one in the past.
    #[must_use]
    pub fn in_force(self, now: Timestamp) -> Self {
        Self {
            retention: self.retention.filter(|retention| retention.until > now),
            ..self
        }
    }

    /// Returns whether the lock has neither retention nor hold.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Returns whether the lock is at least as strict as `other`, as far as an existing version can be changed to it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.join(other.attainable(self)) == self
    }

    /// Returns whether the lock is at least as strict as `other` in every respect. An event hold is a period that
    /// starts later, which is not comparable with a date.
    #[must_use]
    pub fn satisfies(self, other: Self) -> bool {
        let holds_alike = other.event_hold.is_none() || self.event_hold == other.event_hold;
        let is_dated = self.event_hold.is_none() || other.retention.is_none();
        holds_alike && is_dated && self.covers(other)
    }

    /// Returns the part of this lock that an existing version with the lock `present` can still get. Only new
    /// versions can get an event hold. S3 computes the retention of a version with an event hold, and no request
    /// extends it.
    #[must_use]
    pub fn attainable(self, present: Self) -> Self {
        Self {
            retention: match present.event_hold {
                Some(_) => present.retention,
                None => self.retention,
            },
            event_hold: present.event_hold,
            ..self
        }
    }

    /// Returns the stricter of both in every respect: nothing is shortened or removed.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let retention = match (self.retention, other.retention) {
            (Some(one), Some(other)) => Some(Retention {
                mode: one.mode.max(other.mode),
                until: one.until.max(other.until),
            }),
            (one, other) => one.or(other),
        };
        Self {
            retention,
            legal_hold: self.legal_hold || other.legal_hold,
            event_hold: self.event_hold.or(other.event_hold),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lock() -> impl Strategy<Value = ObjectLock> {
        let mode = prop_oneof![Just(RetentionMode::Governance), Just(RetentionMode::Compliance)];
        let until = (0..4_i64).prop_map(Timestamp::from_seconds);
        let retention = (mode, until).prop_map(|(mode, until)| Retention { mode, until });
        (prop::option::of(retention), any::<bool>()).prop_map(|(retention, legal_hold)| ObjectLock {
            retention,
            legal_hold,
            event_hold: None,
        })
    }

    proptest! {
        #[test]
        fn joined_lock_is_never_weaker_than_either(one in lock(), other in lock()) {
            let joined = one.join(other);
            prop_assert!(joined.covers(one) && joined.covers(other));
            prop_assert_eq!(joined, other.join(one));
            prop_assert_eq!(joined.join(one), joined);
            if let (Some(joined), Some(one)) = (joined.retention, one.retention) {
                prop_assert!(joined.until >= one.until && joined.mode >= one.mode);
            }
            prop_assert!(joined.legal_hold >= one.legal_hold);
        }
    }

    #[test]
    fn stricter_lock_covers_a_weaker_one() {
        let until = |seconds, mode| ObjectLock {
            retention: Some(Retention {
                mode,
                until: Timestamp::from_seconds(seconds),
            }),
            legal_hold: false,
            event_hold: None,
        };
        let (governance, compliance) = (RetentionMode::Governance, RetentionMode::Compliance);
        assert!(until(9, compliance).covers(until(9, governance)));
        assert!(until(9, governance).covers(until(8, governance)));
        assert!(!until(9, governance).covers(until(8, compliance)));
        assert!(!until(8, governance).covers(until(9, governance)));
        assert!(!ObjectLock::default().covers(until(8, governance)));
        let held = ObjectLock {
            legal_hold: true,
            ..ObjectLock::default()
        };
        assert!(!until(8, compliance).covers(held));
        assert!(held.covers(ObjectLock::default()));
    }

    #[test]
    fn retention_weaker_than_the_default_is_omitted() {
        use RetentionMode::{Compliance, Governance};
        let day = |days: i64| Timestamp::from_seconds(days * 24 * 60 * 60);
        let own = |mode, days| ObjectLock {
            retention: Some(Retention { mode, until: day(days) }),
            legal_hold: true,
            event_hold: None,
        };
        let default = |mode| Some(DefaultRetention { mode, days: 10 });
        for (lock, default, is_explicit) in [
            (own(Governance, 5), None, true),
            (own(Governance, 11), default(Governance), true),
            (own(Governance, 12), default(Governance), true),
            (own(Governance, 10), default(Governance), false),
            (own(Governance, 99), default(Compliance), false),
            (own(Compliance, 10), default(Governance), false),
            (own(Compliance, 11), default(Governance), true),
        ] {
            let explicit = lock.beside_default(default, day(1));
            assert_eq!(explicit.retention.is_some(), is_explicit, "{lock:?} beside {default:?}");
            assert!(explicit.legal_hold);
        }
    }

    #[test]
    fn ended_retention_is_no_lock() {
        let lock = ObjectLock {
            retention: Some(Retention {
                mode: RetentionMode::Compliance,
                until: Timestamp::from_seconds(5),
            }),
            legal_hold: false,
            event_hold: None,
        };
        assert!(lock.in_force(Timestamp::from_seconds(5)).is_none());
        assert_eq!(lock.in_force(Timestamp::from_seconds(4)), lock);
    }

    #[test]
    fn event_hold_is_set_on_new_versions_only() {
        let until = |seconds| ObjectLock {
            retention: Some(Retention {
                mode: RetentionMode::Compliance,
                until: Timestamp::from_seconds(seconds),
            }),
            ..ObjectLock::default()
        };
        let held = ObjectLock {
            event_hold: Some(EventHold::Days(30)),
            ..ObjectLock::default()
        };
        // A copy without the hold, or with an older retention, cannot be changed.
        assert!(ObjectLock::default().covers(held));
        assert!(until(5).covers(held));
        // Neither is as strict as the other.
        assert!(!ObjectLock::default().satisfies(held) && !until(5).satisfies(held) && !held.satisfies(until(5)));
        assert!(held.satisfies(held) && held.satisfies(ObjectLock::default()));
        // A copy with the hold gets no date, whatever date the source has by then.
        assert!(held.covers(until(5)));
        assert!(!held.covers(ObjectLock {
            legal_hold: true,
            ..held
        }));
        assert_eq!(until(5).beside_default(None, Timestamp::from_seconds(1)), until(5));
        assert_eq!(held.beside_default(None, Timestamp::from_seconds(1)), held);
    }
}
