//! Why a bucket is left as it is.

use std::fmt;

use super::{NotificationKind, Versioning};
use crate::names::BucketName;

/// A foreign notification that asks for events that ours asks for too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationOverlap {
    /// What the foreign entry sends to.
    pub kind: NotificationKind,
    /// The foreign entry's Id.
    pub id: Option<String>,
    /// Where the foreign entry sends to.
    pub arn: String,
    /// The event types in question, as the foreign entry spells them.
    pub events: Vec<String>,
    /// The foreign entry's prefix.
    pub prefix: String,
    /// The foreign entry's suffix.
    pub suffix: String,
}

impl NotificationOverlap {
    /// S3 does not send replication events to `EventBridge`.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html>
    fn concerns_replication(&self) -> bool {
        self.events.iter().any(|event| event.starts_with("s3:Replication:"))
    }
}

impl fmt::Display for NotificationOverlap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} notification `{}` to {} (events {}, prefix `{}`, suffix `{}`)",
            self.kind.as_str(),
            self.id.as_deref().unwrap_or("without an Id"),
            self.arn,
            self.events.join(", "),
            self.prefix,
            self.suffix,
        )
    }
}

/// Says why nothing was written: what stands in the way, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WiringRefusal {
    /// S3 allows one consumer for an event of a key.
    #[error(
        "the bucket already sends events that s3ferry needs (prefix `{prefix}`) to somebody else, and S3 allows only \
         one notification for an event of a key: {}. {}",
        listed(.overlaps), way_out(.overlaps)
    )]
    Overlapping {
        /// The prefix of the keys that s3ferry asked for.
        prefix: String,
        /// The foreign entries, all of them.
        overlaps: Vec<NotificationOverlap>,
    },
    /// An entry that is not ours has our Id.
    #[error(
        "the bucket has a {} notification to {arn} with the Id `{id}`, which s3ferry needs for its own; rename it",
        .kind.as_str()
    )]
    IdTaken {
        /// The Id.
        id: String,
        /// What the foreign entry sends to.
        kind: NotificationKind,
        /// Where the foreign entry sends to.
        arn: String,
    },
    /// S3 knows one replication role for all rules of a bucket.
    #[error(
        "the bucket already replicates as role {current} (rules {}), and S3 allows only one replication role for a \
         bucket: give that role the permissions of the replication role of this template and set \
         ReplicationRoleArn={current} (asked for: {wanted})",
        quoted(.rules)
    )]
    OtherReplicationRole {
        /// The role in the bucket's replication configuration.
        current: String,
        /// The role that this stack brings.
        wanted: String,
        /// The Ids of the foreign rules.
        rules: Vec<String>,
    },
    /// Rules of the first version of replication cannot stand beside ours.
    #[error(
        "the bucket has replication rules without a Filter element ({}), and S3 does not allow them beside rules with \
         one: give them a Filter, Priority and DeleteMarkerReplication, or use ReplicationEngine=lambda",
        quoted(.rules)
    )]
    OldReplicationRules {
        /// The Ids of the foreign rules.
        rules: Vec<String>,
    },
    /// Replication needs versions.
    #[error("replication needs versioning, which is {versioning} on the source bucket: set EnableVersioning=true")]
    VersioningRequired {
        /// What the bucket has.
        versioning: Versioning,
    },
    /// The rights to take the wiring out of the former bucket end before its Delete would come.
    #[error(
        "this wiring is {former} and cannot move to bucket {wanted}: deploy another stack for that bucket, and delete \
         this one when its bucket is done"
    )]
    AnotherBucket {
        /// The physical id of the resource as it is.
        former: String,
        /// The bucket that was asked for.
        wanted: BucketName,
    },
    /// Foreign rules would lose their role together with this stack.
    #[error(
        "foreign replication rules ({}) of the bucket work as role {role}, which goes away with this change: give the \
         bucket's replication configuration another role or remove those rules, then try again",
        quoted(.rules)
    )]
    RoleStillUsed {
        /// The role in question.
        role: String,
        /// The Ids of the foreign rules.
        rules: Vec<String>,
    },
}

fn listed(overlaps: &[NotificationOverlap]) -> String {
    let listed: Vec<String> = overlaps.iter().map(ToString::to_string).collect();
    listed.join("; ")
}

fn way_out(overlaps: &[NotificationOverlap]) -> &'static str {
    if overlaps.iter().any(NotificationOverlap::concerns_replication) {
        "Replication events do not reach EventBridge: narrow or remove that notification, let it send to an SNS topic \
         that both subscribe to, or use ReplicationEngine=lambda with EventSource=eventbridge"
    } else {
        "Use EventSource=eventbridge, which stands beside any notification, or a KeyPrefix that does not overlap"
    }
}

fn quoted(rules: &[String]) -> String {
    let quoted: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(event: &str) -> WiringRefusal {
        WiringRefusal::Overlapping {
            prefix: "in/".to_owned(),
            overlaps: vec![NotificationOverlap {
                kind: NotificationKind::Function,
                id: Some("thumbnails".to_owned()),
                arn: "arn:aws:lambda:us-east-1:123456789012:function:thumbs".to_owned(),
                events: vec![event.to_owned()],
                prefix: String::new(),
                suffix: ".jpg".to_owned(),
            }],
        }
    }

    #[test]
    fn overlap_names_the_foreign_entry_and_the_way_out() {
        let message = overlap("s3:ObjectCreated:Put").to_string();
        for part in [
            "function notification `thumbnails`",
            "arn:aws:lambda:us-east-1:123456789012:function:thumbs",
            "s3:ObjectCreated:Put",
            "`.jpg`",
            "EventSource=eventbridge",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }

    #[test]
    fn overlap_of_replication_events_does_not_send_people_to_eventbridge_alone() {
        let message = overlap("s3:Replication:*").to_string();
        assert!(message.contains("do not reach EventBridge"), "{message}");
        assert!(message.contains("ReplicationEngine=lambda"), "{message}");
    }

    #[test]
    fn replication_refusals_name_role_rules_and_parameter() {
        let message = WiringRefusal::OtherReplicationRole {
            current: "arn:aws:iam::1:role/theirs".to_owned(),
            wanted: "arn:aws:iam::1:role/ours".to_owned(),
            rules: vec!["to-backup".to_owned(), "to-logs".to_owned()],
        }
        .to_string();
        assert!(
            message.contains("ReplicationRoleArn=arn:aws:iam::1:role/theirs"),
            "{message}"
        );
        assert!(message.contains("`to-backup`, `to-logs`"), "{message}");
        let versioning = Versioning::Suspended;
        let message = WiringRefusal::VersioningRequired { versioning }.to_string();
        assert!(
            message.contains("Suspended") && message.contains("EnableVersioning=true"),
            "{message}"
        );
    }
}
