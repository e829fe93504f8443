//! Notifications in the format of S3 event messages.

use std::collections::VecDeque;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::clock::{Millis, iso_date};
use super::simulator::{Simulator, WriteTarget};

/// Event type of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// A single request wrote an object.
    Put,
    /// `CopyObject` wrote an object.
    Copy,
    /// A multipart upload was completed.
    Complete,
    /// An object or a version was removed permanently.
    Delete,
    /// A delete marker was created.
    DeleteMarker,
    /// Tags were written.
    TaggingPut,
    /// Tags were removed.
    TaggingDelete,
    /// A retention was set.
    Retention,
    /// The access control list was set.
    Acl,
    /// An annotation was written.
    AnnotationPut,
    /// An annotation was removed.
    AnnotationDelete,
    /// The restore of an archived object was requested.
    RestorePost,
    /// The restore of an archived object is complete.
    RestoreCompleted,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Copy => "ObjectCreated:Copy",
            Self::Complete => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::DeleteMarker => "ObjectRemoved:DeleteMarkerCreated",
            Self::TaggingPut => "ObjectTagging:Put",
            Self::TaggingDelete => "ObjectTagging:Delete",
            Self::Retention => "ObjectRetention:Put",
            Self::Acl => "ObjectAcl:Put",
            Self::AnnotationPut => "ObjectAnnotation:Put",
            Self::AnnotationDelete => "ObjectAnnotation:Delete",
            Self::RestorePost => "ObjectRestore:Post",
            Self::RestoreCompleted => "ObjectRestore:Completed",
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::Put | Self::Copy | Self::Complete)
    }

    fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteMarker)
    }
}

/// The object version of an event.
#[derive(Debug, Clone, Default)]
pub struct EventSubject {
    /// Version id, if the bucket has versioning.
    pub version_id: Option<String>,
    /// Size; `None` for removals.
    pub size_bytes: Option<u64>,
    /// ETag; `None` for removals.
    pub etag: Option<String>,
}

/// Notifications that were not read yet.
#[derive(Debug, Default)]
pub struct NotificationLog {
    waiting: VecDeque<Value>,
    last_sequencer: u64,
}

/// Characters to escape in form encoding. A slash stays a slash in S3's events.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

fn form_encoded(key: &str) -> String {
    utf8_percent_encode(key, FORM).to_string().replace(' ', "+")
}

impl NotificationLog {
    /// Returns and removes all notifications, oldest first.
    pub fn drain(&mut self) -> Vec<Value> {
        self.waiting.drain(..).collect()
    }

    fn write(
        &mut self,
        event_type: EventType,
        region: &str,
        at: Millis,
        target: WriteTarget<'_>,
        subject: EventSubject,
    ) {
        let mut object = json!({ "key": form_encoded(target.key) });
        if let Some(fields) = object.as_object_mut() {
            if let Some(size) = subject.size_bytes {
                fields.insert("size".to_owned(), json!(size));
            }
            if let Some(etag) = subject.etag {
                fields.insert("eTag".to_owned(), json!(etag));
            }
            if let Some(version_id) = subject.version_id {
                fields.insert("versionId".to_owned(), json!(version_id));
            }
            // Tagging, ACL and restore events have no sequencer.
            // <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
            if event_type.writes() || event_type.removes() {
                self.last_sequencer += 1;
                fields.insert("sequencer".to_owned(), json!(format!("{:018X}", self.last_sequencer)));
            }
        }
        let owner = json!({ "principalId": "S3SIM" });
        self.waiting.push_back(json!({
            "eventVersion": "2.3",
            "eventSource": "aws:s3",
            "awsRegion": region,
            "eventTime": iso_date(at),
            "eventName": event_type.name(),
            "userIdentity": owner,
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": { "x-amz-request-id": "S3SIM", "x-amz-id-2": "S3SIM" },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "s3sim",
                "bucket": { "name": target.bucket, "ownerIdentity": owner, "arn": format!("arn:aws:s3:::{}", target.bucket) },
                "object": object,
            },
        }));
    }
}

impl Simulator {
    /// Adds a notification.
    pub(crate) fn notify(&mut self, event_type: EventType, target: WriteTarget<'_>, subject: EventSubject) {
        let region = self
            .buckets
            .get(target.bucket)
            .map_or_else(String::new, |bucket| bucket.region.clone());
        let at = self.clock.now();
        self.notifications.write(event_type, &region, at, target, subject);
    }
}
