//! Wiring of a source bucket: events to the replicator's queue, and a replication rule.
//!
//! Each of these settings is one document per bucket, which other owners edit as well and which S3 replaces as a whole.
//! All functions here are pure, from the document read to the document to write. [`notification`] and [`replication`]
//! add or remove the entry of the stack, and never change an entry with another ID. A configuration that S3 would
//! reject is a [`WiringRefusal`] that names the conflicting entry and the fix.

mod desired;
mod listening;
pub mod notification;
mod overlap;
mod owner;
mod properties;
mod refusal;
pub mod replication;

pub use desired::{DesiredConfiguration, DesiredNotification, DesiredReplication, subscribed_events};
pub use listening::listens_to_bucket;
pub use notification::{KeyFilter, NotificationConfiguration, NotificationEntry, NotificationKind};
pub use overlap::{event_patterns_overlap, overlaps};
pub use owner::OwnerId;
pub use properties::{
    EventSource, InvalidProperties, PropertyProblem, RemovalProperties, ReplicationEngine, WiringProperties,
};
pub use refusal::{NotificationOverlap, WiringRefusal};
pub use replication::{ReplicationConfiguration, ReplicationRule, ReplicationTerms};

use std::fmt;

/// Versioning state of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Versioning was never enabled.
    Off,
    /// Versioning is enabled.
    Enabled,
    /// Versioning was enabled, and new objects have the version ID `null`.
    Suspended,
}

impl Versioning {
    /// Returns S3's name of the state. For a bucket that never had versioning S3 has no name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Enabled => "Enabled",
            Self::Suspended => "Suspended",
        }
    }
}

impl fmt::Display for Versioning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
