//! What a bucket that exists already is told to do: send events to our queue, replicate by a rule of ours.
//!
//! Both settings are one document per bucket that other people write into as well, and S3 replaces it whole. So
//! everything here is a pure function from the document read to the document to write: [`notification`] and
//! [`replication`] add our entry to what is there and take it out again, and never touch an entry whose Id is not
//! ours. What S3 would refuse is refused here first, as a [`Refusal`] that names the other entry and the way out.

mod desired;
mod listening;
pub mod notification;
mod overlap;
mod owner;
mod properties;
mod refusal;
pub mod replication;

pub use desired::{DesiredConfiguration, DesiredNotification, DesiredReplication};
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

/// Says whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Never switched on.
    Off,
    /// Switched on.
    Enabled,
    /// Switched on once, and off for new objects.
    Suspended,
}

impl Versioning {
    /// Returns S3's word for it; S3 has none for a bucket that never had versioning.
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
