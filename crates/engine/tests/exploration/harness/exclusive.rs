//! What must hold with exclusive ownership: the destination becomes equal, and is when a message is acknowledged.

use s3ferry_core::names::ObjectKey;
use s3ferry_testkit::memory::{MemoryBucket, ObjectSnapshot};

use super::simulation::{Simulation, Violation};

/// All states of one key in both buckets, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    source: Vec<Option<ObjectSnapshot>>,
    destination: Vec<Option<ObjectSnapshot>>,
}

/// A point in a key's history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(usize);

impl History {
    pub(crate) fn record(&mut self, key: &str, source: &MemoryBucket, destination: &MemoryBucket) {
        self.source.push(source.snapshot().remove(key));
        self.destination.push(destination.snapshot().remove(key));
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(self.source.len() - 1)
    }

    /// Returns whether the destination held, at any time since a moment, what the source held since that moment.
    fn was_equal_since(&self, moment: Moment) -> bool {
        let destination = &self.destination[moment.0..];
        let is_at_destination = |source: &Option<ObjectSnapshot>| {
            let is_same = |destination: &Option<ObjectSnapshot>| same_object(source.as_ref(), destination.as_ref());
            destination.iter().any(is_same)
        };
        self.source[moment.0..].iter().any(is_at_destination)
    }
}

/// Compares without tags, which are read only if an event says so.
fn same_object(source: Option<&ObjectSnapshot>, destination: Option<&ObjectSnapshot>) -> bool {
    let described = |snapshot: Option<&ObjectSnapshot>| {
        snapshot.map(|object| (object.content.clone(), object.user_metadata.clone()))
    };
    described(source) == described(destination)
}

impl Simulation {
    /// Checks that an acknowledged key was equal while its invocation ran, unless a continuation checks it later.
    pub(super) fn check_durable(&self, id: u32, key: &ObjectKey, began: Moment) -> Result<(), Violation> {
        let history = &self.history[key];
        let stays = !self.deletes && history.source[began.0..].iter().any(Option::is_none);
        if stays || history.was_equal_since(began) {
            return Ok(());
        }
        Err(format!("#{id} acknowledged {key}, which was never equal meanwhile"))
    }

    /// Checks that the key of a sync was equal, with its tags, when the sync read the source last.
    pub(super) fn check_equal_since_last_read(&self, id: u32, key: &ObjectKey) -> Result<(), Violation> {
        let (history, last_read) = (&self.history[key], self.last_reads[&id].0);
        let mut states = history.source[last_read..]
            .iter()
            .zip(&history.destination[last_read..]);
        if states.any(|(source, destination)| source == destination) {
            return Ok(());
        }
        Err(format!(
            "#{id} ended with {key}, which was not equal when it read the source last"
        ))
    }

    /// Checks that both buckets are equal; without deletes, the destination may hold what the source no longer holds.
    pub(super) fn check_equal(
        &self,
        key: &ObjectKey,
        (source, destination): (Option<&ObjectSnapshot>, Option<&ObjectSnapshot>),
    ) -> Result<(), Violation> {
        let stays = !self.deletes && source.is_none();
        if stays || source == destination {
            return Ok(());
        }
        Err(format!(
            "{key}: the source holds {source:?}, the destination {destination:?}"
        ))
    }
}
