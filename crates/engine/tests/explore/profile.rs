//! What a seed makes possible in its schedule.

use std::time::Duration;

use s3ferry_core::failure::FailureKind;
use s3ferry_testkit::schedule::{PortOperation, RequestFate, SeededChoices};

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing that is possible or not"
)]
pub(crate) struct Profile {
    pub(crate) keys: usize,
    pub(crate) source_versioned: bool,
    pub(crate) destination_versioned: bool,
    pub(crate) deletes: bool,
    pub(crate) queue: bool,
    pub(crate) invocations: usize,
    pub(crate) writes: usize,
    pub(crate) faults: usize,
    /// One event in so many is lost.
    pub(crate) lost_events: Option<usize>,
    /// One delivery in so many leaves the message visible.
    pub(crate) duplicates: Option<usize>,
    pub(crate) crashes: bool,
    /// Whether copies in parts are written down.
    pub(crate) journal: bool,
    /// How often reads of a key begin to be answered with 404, whatever it holds.
    pub(crate) hides: usize,
    /// The sync begins while messages are still on their way.
    pub(crate) early_sweep: bool,
}

impl Profile {
    pub(crate) fn of(chance: &mut SeededChoices) -> Self {
        Self {
            keys: chance.of(&[1, 1, 1, 2]),
            source_versioned: chance.once_in(2),
            destination_versioned: chance.once_in(2),
            deletes: !chance.once_in(5),
            queue: !chance.once_in(4),
            invocations: chance.of(&[2, 2, 3]),
            writes: chance.of(&[1, 1, 2, 2, 3, 4]),
            faults: chance.of(&[0, 0, 1, 2, 3, 6]),
            lost_events: chance.once_in(4).then_some(2),
            duplicates: chance.once_in(3).then_some(3),
            crashes: chance.once_in(2),
            journal: !chance.once_in(6),
            hides: chance.of(&[0, 0, 0, 1, 2]),
            early_sweep: chance.once_in(4),
        }
    }
}

/// Picks a failure that an operation can have.
pub(crate) fn fault(operation: PortOperation, chance: &mut SeededChoices) -> RequestFate {
    const KINDS: [FailureKind; 5] = [
        FailureKind::Retry,
        FailureKind::Deferred,
        FailureKind::Permanent,
        FailureKind::Configuration,
        FailureKind::Bug,
    ];
    let fails = RequestFate::Fails(chance.of(&KINDS));
    if operation.has_effect() {
        chance.of(&[
            fails,
            RequestFate::ResponseLost,
            RequestFate::TimesOut,
            RequestFate::TimesOut,
            RequestFate::Panics,
        ])
    } else {
        chance.of(&[fails, fails, fails, RequestFate::Panics])
    }
}

/// Picks how long an invocation may take: mostly as long as a Lambda function, sometimes too short.
pub(crate) fn deadline(chance: &mut SeededChoices) -> Duration {
    chance.of(&[
        Duration::from_mins(10),
        Duration::from_mins(10),
        Duration::from_mins(10),
        // Time for some parts, then none.
        Duration::from_secs(6),
        Duration::from_secs(1),
        Duration::from_millis(100),
    ])
}
