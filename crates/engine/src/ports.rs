//! What the engine needs of the world.

use std::future::Future;
use std::time::Duration;

use s3ferry_core::decide::{CopyOrder, ReplicationCoverage};
use s3ferry_core::event::{Continuation, ReceiptHandle};
use s3ferry_core::facts::{Aspects, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::time::Timestamp;

/// The bucket that is migrated.
pub trait SourceBucket: Send + Sync {
    /// Reads the current object of a key, and those `aspects` of it that a HEAD does not show.
    fn read(&self, key: &ObjectKey, aspects: &Aspects) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Looks for positive evidence that a key that answered 404 has no current object.
    fn confirm_absence(&self, key: &ObjectKey) -> impl Future<Output = Result<Absence, Failure>> + Send;

    /// Asks whether the bucket's own replication carries a key to our destination.
    fn replication(&self, key: &ObjectKey) -> impl Future<Output = Result<ReplicationCoverage, Failure>> + Send;
}

/// What a look at all versions of a key found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The bucket answered, and the key has no current object.
    Confirmed,
    /// There is one after all.
    ObjectFound,
}

/// The bucket that is migrated to.
pub trait DestinationBucket: Send + Sync {
    /// Reads the current object of a key, and those `aspects` of it that a HEAD does not show.
    fn read(&self, key: &ObjectKey, aspects: &Aspects) -> impl Future<Output = Result<ObjectState, Failure>> + Send;

    /// Copies the source version that `order` pins, if the destination is still what `order` says.
    fn copy(
        &self,
        key: &ObjectKey,
        order: &CopyOrder,
    ) -> impl Future<Output = Result<Option<VersionId>, WriteError>> + Send;

    /// Deletes the current object if it is still the one that was `seen`.
    fn delete(&self, key: &ObjectKey, seen: &ETag) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// Why a write did not report success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// Either side is no longer what was read. Nothing was written.
    WorldMoved,
    /// No answer came: the write may have happened, may still happen, or neither.
    OutcomeUnknown(Failure),
    /// The write was refused.
    Failed(Failure),
}

/// The queue that brings a key back.
pub trait Continuations: Send + Sync {
    /// Sends a continuation that arrives after `delay` at the earliest, or as late as the queue can delay it.
    /// It is durable once this returns.
    fn send(&self, continuation: &Continuation, delay: Duration) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The queue that a message came from.
pub trait Redelivery: Send + Sync {
    /// Lets the message of a delivery come back after `delay`, rather than when the queue would bring it back by itself.
    fn return_after(
        &self,
        receipt: &ReceiptHandle,
        delay: Duration,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The passing of time.
pub trait Clock: Send + Sync {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
