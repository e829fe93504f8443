//! Object Lock: how long a version cannot be deleted.

use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

/// What Object Lock says of one version.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectLock {
    /// Until when it is kept, and how strictly.
    pub retention: Option<Retention>,
    /// Whether it is kept until somebody says otherwise.
    pub legal_hold: bool,
    /// The event hold, if one is on: the version then has no retention of its own, though S3 answers with a date that it
    /// computes anew each time.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
    pub event_hold: Option<EventHold>,
}

/// How long a version is kept once its event hold is turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum EventHold {
    /// So many days.
    Days(u32),
    /// So many years.
    Years(u32),
    /// S3 does not say how long: no copy can state it.
    Unknown,
}

/// A retention period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Who may end it.
    pub mode: RetentionMode,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// Who may end a retention period early; the later is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum RetentionMode {
    /// Who has a special permission.
    Governance,
    /// Nobody.
    Compliance,
}

impl RetentionMode {
    /// Returns the name S3 uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

/// The retention that a bucket with Object Lock gives to new versions which state none of their own.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRetention {
    /// Who may end it.
    pub mode: RetentionMode,
    /// How many days it lasts; of a year, the longest there is.
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
    /// Returns what a write at `now` states of this lock to a bucket with a `default` retention.
    ///
    /// A retention that is stated replaces the default, so one that is weaker in mode or date is left out.
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

    /// Returns what of it still holds at `now`: S3 takes no retention that has ended.
    #[must_use]
    pub fn in_force(self, now: Timestamp) -> Self {
        Self {
            retention: self.retention.filter(|retention| retention.until > now),
            ..self
        }
    }

    /// Tells whether it locks nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Tells whether it is at least as strict as `other`, as far as a version can be made so.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.join(other.attainable(self)) == self
    }

    /// Tells whether it is at least as strict as `other` in every respect. An event hold says how long a version is kept
    /// from some day on, which cannot be compared with a date.
    #[must_use]
    pub fn satisfies(self, other: Self) -> bool {
        let holds_alike = other.event_hold.is_none() || self.event_hold == other.event_hold;
        let is_dated = self.event_hold.is_none() || other.retention.is_none();
        holds_alike && is_dated && self.covers(other)
    }

    /// Returns what of it a version that has `present` can still get. An event hold is given to new versions only; the
    /// retention of a version that has one is computed by S3, and nothing extends it.
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

    /// Returns the stricter of both in every respect: nothing is ever shortened or taken away.
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
        fn joining_never_weakens_either(one in lock(), other in lock()) {
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
    fn stricter_covers_and_weaker_does_not() {
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
    fn retention_that_a_default_exceeds_in_mode_or_date_is_left_to_the_default() {
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
    fn retention_that_has_ended_is_no_lock() {
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
    fn event_hold_is_given_to_new_versions_only_and_extends_nothing() {
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
        // A copy without the hold, or with an older retention, is left as it is.
        assert!(ObjectLock::default().covers(held));
        assert!(until(5).covers(held));
        // Neither is as strict as the other.
        assert!(!ObjectLock::default().satisfies(held) && !until(5).satisfies(held) && !held.satisfies(until(5)));
        assert!(held.satisfies(held) && held.satisfies(ObjectLock::default()));
        // A copy with the hold gets no date, whatever the source's is by now.
        assert!(held.covers(until(5)));
        assert!(!held.covers(ObjectLock {
            legal_hold: true,
            ..held
        }));
        assert_eq!(until(5).beside_default(None, Timestamp::from_seconds(1)), until(5));
        assert_eq!(held.beside_default(None, Timestamp::from_seconds(1)), held);
    }
}
