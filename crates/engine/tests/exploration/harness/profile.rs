//! What a random schedule may contain, drawn from its seed.

use std::time::Duration;

use s3ferry_core::failure::FailureKind;
use s3ferry_core::policy::Ownership;
use s3ferry_testkit::schedule::{PortOperation, RequestFate, SeededChoices};

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent possibility")]
pub(crate) struct Profile {
    pub(crate) keys: usize,
    pub(crate) source_versioned: bool,
    pub(crate) destination_versioned: bool,
    pub(crate) deletes: bool,
    pub(crate) queue: bool,
    pub(crate) invocations: usize,
    pub(crate) source_writes: usize,
    pub(crate) destination_writes: usize,
    pub(crate) faults: usize,
    pub(crate) ticks: usize,
    /// Whether every second event is lost.
    pub(crate) lost_events: bool,
    /// Whether every third event is sent twice.
    pub(crate) repeated_events: bool,
    /// Whether every third delivery leaves the message visible.
    pub(crate) duplicate_deliveries: bool,
    pub(crate) crashes: bool,
    /// Whether multipart copies are journaled.
    pub(crate) journal: bool,
    /// How many keys answer reads with 404 for a while, whatever they hold.
    pub(crate) hidden_keys: usize,
    /// Whether a sync starts while messages are still in the queue.
    pub(crate) early_sync: bool,
    /// How many syncs list both buckets at any time.
    pub(crate) listed_syncs: usize,
}

impl Profile {
    /// Draws a profile. Shared ownership requires a destination with versions, a queue and a journal, and its invariants
    /// do not cover lost events and hidden keys.
    pub(crate) fn of(ownership: Ownership, chance: &mut SeededChoices) -> Self {
        let is_shared = ownership == Ownership::Shared;
        Self {
            keys: chance.of(&[1, 1, 1, 2]),
            source_versioned: chance.once_in(2),
            destination_versioned: is_shared || chance.once_in(2),
            deletes: !chance.once_in(5),
            queue: is_shared || !chance.once_in(4),
            invocations: chance.of(if is_shared { &[1, 2, 2, 3] } else { &[2, 2, 3] }),
            source_writes: chance.of(if is_shared {
                &[0, 1, 1, 2, 3]
            } else {
                &[1, 1, 2, 2, 3, 4]
            }),
            destination_writes: if is_shared { chance.of(&[0, 1, 1, 2, 3]) } else { 0 },
            faults: chance.of(&[0, 0, 1, 2, 3, 6]),
            ticks: if is_shared { chance.of(&[0, 2, 6]) } else { 6 },
            lost_events: !is_shared && chance.once_in(4),
            repeated_events: is_shared && chance.once_in(3),
            duplicate_deliveries: chance.once_in(3),
            crashes: is_shared || chance.once_in(2),
            journal: is_shared || !chance.once_in(6),
            hidden_keys: if is_shared { 0 } else { chance.of(&[0, 0, 0, 1, 2]) },
            early_sync: chance.once_in(4),
            listed_syncs: if is_shared { 0 } else { chance.of(&[0, 0, 1, 2]) },
        }
    }
}

/// Draws a failure that an operation can have.
pub(crate) fn fault(operation: PortOperation, chance: &mut SeededChoices) -> RequestFate {
    const KINDS: [FailureKind; 4] = [
        FailureKind::Retry,
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

/// Draws how long an invocation may take: usually as long as a Lambda function, sometimes too short.
pub(crate) fn deadline(chance: &mut SeededChoices) -> Duration {
    chance.of(&[
        Duration::from_mins(10),
        Duration::from_mins(10),
        Duration::from_mins(10),
        // Enough for some parts only.
        Duration::from_secs(6),
        Duration::from_secs(1),
        Duration::from_millis(100),
    ])
}
