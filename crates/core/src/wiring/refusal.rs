//! Refusals: reasons why the configuration of a bucket is not changed.

use std::fmt;

use super::{NotificationKind, Versioning};
use crate::names::BucketName;

/// Existing notification entry that overlaps with the stack's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationOverlap {
    /// Type of the existing entry's destination.
    pub kind: NotificationKind,
    /// ID of the existing entry.
    pub id: Option<String>,
    /// ARN of the existing entry's destination.
    pub arn: String,
    /// Overlapping event types, as the existing entry spells them.
    pub events: Vec<String>,
    /// Prefix of the existing entry.
    pub prefix: String,
    /// Suffix of the existing entry.
    pub suffix: String,
}

impl NotificationOverlap {
    /// Returns whether replication events overlap, which S3 does not send to `EventBridge`.
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

/// Reason why no configuration was written, with the conflict and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WiringRefusal {
    /// Another notification has events that s3ferry needs. S3 allows one destination for an event of a key.
    #[error(
        "the bucket already sends events that s3ferry needs (prefix `{prefix}`) to another destination, and S3 allows \
         only one notification for an event of a key: {}. {}",
        listed(.overlaps), fix(.overlaps)
    )]
    Overlapping {
        /// Prefix of the keys in scope.
        prefix: String,
        /// Existing entries that overlap.
        overlaps: Vec<NotificationOverlap>,
    },
    /// Another entry has the ID of the stack's entry.
    #[error(
        "the bucket has a {} notification to {arn} with the Id `{id}`, which s3ferry needs for its entry; rename it",
        .kind.as_str()
    )]
    IdTaken {
        /// ID of the entry.
        id: String,
        /// Type of the existing entry's destination.
        kind: NotificationKind,
        /// ARN of the existing entry's destination.
        arn: String,
    },
    /// The bucket's rules use another role. S3 allows one replication role for all rules of a bucket.
    #[error(
        "the bucket already replicates as role {current} (rules {}), and S3 allows only one replication role for a \
         bucket: give that role the permissions of the replication role of this template and set \
         ReplicationRoleArn={current} (requested: {wanted})",
        quoted(.rules)
    )]
    OtherReplicationRole {
        /// Role in the bucket's replication configuration.
        current: String,
        /// Role that the stack requires.
        wanted: String,
        /// IDs of the existing rules.
        rules: Vec<String>,
    },
    /// The bucket has rules of replication configuration V1, which S3 does not allow beside rules of V2.
    #[error(
        "the bucket has replication rules without a Filter element ({}), and S3 does not allow them beside rules with \
         one: give them a Filter, Priority and DeleteMarkerReplication, or use ReplicationEngine=lambda",
        quoted(.rules)
    )]
    OldReplicationRules {
        /// IDs of the existing rules.
        rules: Vec<String>,
    },
    /// Replication requires versioning.
    #[error("replication needs versioning, which is {versioning} on the source bucket: set EnableVersioning=true")]
    VersioningRequired {
        /// Versioning state of the bucket.
        versioning: Versioning,
    },
    /// The source bucket changed. The permissions to remove the wiring of the former bucket end before its Delete
    /// request.
    #[error(
        "this wiring is {former} and does not move to bucket {wanted}: deploy another stack for that bucket, and \
         delete this stack when its migration is finished"
    )]
    AnotherBucket {
        /// Physical ID of the resource.
        former: String,
        /// Requested bucket.
        wanted: BucketName,
    },
    /// Other rules use the replication role that is deleted with the stack.
    #[error(
        "other replication rules ({}) of the bucket use role {role}, which is deleted with this change: give the \
         bucket's replication configuration another role or remove those rules, then try again",
        quoted(.rules)
    )]
    RoleStillUsed {
        /// Role that is deleted.
        role: String,
        /// IDs of the other rules.
        rules: Vec<String>,
    },
}

fn listed(overlaps: &[NotificationOverlap]) -> String {
    let listed: Vec<String> = overlaps.iter().map(ToString::to_string).collect();
    listed.join("; ")
}

fn fix(overlaps: &[NotificationOverlap]) -> &'static str {
    if overlaps.iter().any(NotificationOverlap::concerns_replication) {
        "Replication events do not reach EventBridge: narrow or remove that notification, let it send to an SNS topic \
         that both subscribe to, or use ReplicationEngine=lambda with EventSource=eventbridge"
    } else {
        "Use EventSource=eventbridge, which overlaps with no notification, or a KeyPrefix that does not overlap"
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
    fn overlap_error_names_the_existing_entry_and_the_fix() {
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
    fn overlap_error_of_replication_events_does_not_suggest_eventbridge_alone() {
        let message = overlap("s3:Replication:*").to_string();
        assert!(message.contains("do not reach EventBridge"), "{message}");
        assert!(message.contains("ReplicationEngine=lambda"), "{message}");
    }

    #[test]
    fn replication_refusals_contain_role_rules_and_parameter() {
        let message = WiringRefusal::OtherReplicationRole {
            current: "arn:aws:iam::1:role/current".to_owned(),
            wanted: "arn:aws:iam::1:role/wanted".to_owned(),
            rules: vec!["to-backup".to_owned(), "to-logs".to_owned()],
        }
        .to_string();
        assert!(
            message.contains("ReplicationRoleArn=arn:aws:iam::1:role/current"),
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
