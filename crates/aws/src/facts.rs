//! Conversion of a HEAD response to object facts.

use std::collections::BTreeMap;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{
    self, ChecksumType, ObjectLockEventHold, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption,
};
use s3ferry_core::facts::{
    Availability, ChecksumCoverage, Encryption, KmsEncryption, ObjectFacts, ReplicationStatus, StoredChecksums,
    SystemHeaders,
};
use s3ferry_core::lock::{EventHold, ObjectLock, Retention, RetentionMode};
use s3ferry_core::names::{ETag, VersionId};
use s3ferry_core::time::Timestamp;

use crate::checksum::by_algorithm;

/// A required field that a response lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response has no usable {0}")]
pub(crate) struct MissingField(&'static str);

/// Converts a HEAD response to facts.
pub(crate) fn facts_of(head: &HeadObjectOutput) -> Result<ObjectFacts, MissingField> {
    let etag = head
        .e_tag()
        .and_then(|etag| ETag::new(etag).ok())
        .ok_or(MissingField("ETag"))?;
    let last_modified = head.last_modified().ok_or(MissingField("Last-Modified"))?;
    let size = head.content_length().and_then(|size| u64::try_from(size).ok());
    let storage_class = head.storage_class().map_or("STANDARD", types::StorageClass::as_str);
    Ok(ObjectFacts {
        version_id: head.version_id().and_then(VersionId::pinnable),
        etag,
        last_modified: Timestamp::from_seconds(last_modified.secs()),
        size_bytes: size.ok_or(MissingField("Content-Length"))?,
        headers: system_headers(head),
        user_metadata: head
            .metadata()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        missing_metadata: head
            .missing_meta()
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0),
        unreadable_headers: BTreeMap::new(),
        website_redirect: head.website_redirect_location().map(str::to_owned),
        storage_class: storage_class.to_owned(),
        availability: availability(head, storage_class),
        encryption: encryption(head),
        checksums: checksums(head),
        replication_status: head.replication_status().and_then(replication_status),
        lock: lock(head),
        tag_count: head.tag_count().and_then(|count| u32::try_from(count).ok()),
        tags: None,
        annotations: None,
        acl: None,
    })
}

fn system_headers(head: &HeadObjectOutput) -> SystemHeaders {
    SystemHeaders {
        cache_control: head.cache_control().map(str::to_owned),
        content_disposition: head.content_disposition().map(str::to_owned),
        content_encoding: head.content_encoding().and_then(stored_codings),
        content_language: head.content_language().map(str::to_owned),
        content_type: head.content_type().map(str::to_owned),
        expires: head.expires_string().map(str::to_owned),
    }
}

/// Removes `aws-chunked` from a `Content-Encoding`: it describes the transfer of an upload, not the object.
///
/// Some uploaders leave the value on the object. Sent again, it would describe the copy's request.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
fn stored_codings(content_encoding: &str) -> Option<String> {
    let is_stored = |coding: &&str| !coding.eq_ignore_ascii_case("aws-chunked");
    let codings = content_encoding.split(',').map(str::trim);
    if codings.clone().all(|coding| is_stored(&coding)) {
        return Some(content_encoding.to_owned());
    }
    let stored: Vec<&str> = codings.filter(is_stored).filter(|coding| !coding.is_empty()).collect();
    (!stored.is_empty()).then(|| stored.join(","))
}

/// Returns whether an object is readable.
///
/// An archived object is readable while a restored copy exists, which `x-amz-restore` shows. An object in
/// Intelligent-Tiering names its archive tier instead.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
fn availability(head: &HeadObjectOutput, storage_class: &str) -> Availability {
    let in_archive = matches!(storage_class, "GLACIER" | "DEEP_ARCHIVE") || head.archive_status().is_some();
    let restored = head
        .restore()
        .is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    if in_archive && !restored {
        Availability::Archived
    } else {
        Availability::Readable
    }
}

fn encryption(head: &HeadObjectOutput) -> Encryption {
    if head.sse_customer_algorithm().is_some() {
        return Encryption::CustomerKey;
    }
    match head.server_side_encryption() {
        None | Some(ServerSideEncryption::Aes256) => Encryption::Managed,
        // `aws:kms`, `aws:kms:dsse` and future algorithms: none of their ETags is known to be a hash of the content.
        Some(algorithm) => Encryption::Kms(KmsEncryption {
            key_arn: head.ssekms_key_id().map(str::to_owned),
            bucket_key: head.bucket_key_enabled() == Some(true),
            dual_layer: algorithm == &ServerSideEncryption::AwsKmsDsse,
        }),
    }
}

/// Reads the Object Lock settings. S3 omits them if the credentials may not read retention and legal holds.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
fn lock(head: &HeadObjectOutput) -> ObjectLock {
    let until = head
        .object_lock_retain_until_date()
        .and_then(|until| until.to_millis().ok());
    let event_hold = event_hold(head);
    let retention = head.object_lock_mode().zip(until).filter(|_| event_hold.is_none());
    ObjectLock {
        event_hold,
        retention: retention.map(|(mode, until)| Retention {
            // An unknown mode counts as the stricter one: a copy must never be protected less.
            mode: match mode {
                ObjectLockMode::Governance => RetentionMode::Governance,
                _ => RetentionMode::Compliance,
            },
            until: Timestamp::from_millis(until),
        }),
        legal_hold: head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On),
    }
}

/// Reads the event hold if it is on. While it is on, S3 returns a computed retention date that has no meaning.
fn event_hold(head: &HeadObjectOutput) -> Option<EventHold> {
    let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    (head.object_lock_event_hold() == Some(&ObjectLockEventHold::On)).then(|| {
        let years = number(head.object_lock_event_hold_duration_years()).map(EventHold::Years);
        let days = number(head.object_lock_event_hold_duration_days()).map(EventHold::Days);
        years.or(days).unwrap_or(EventHold::Unknown)
    })
}

fn checksums(head: &HeadObjectOutput) -> StoredChecksums {
    let values: BTreeMap<&'static str, String> = by_algorithm!(head)
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?.to_owned())))
        .collect();
    // Older composite values have no checksum type, only their form: `<base64>-<parts>`.
    let has_composite_type = head.checksum_type() == Some(&ChecksumType::Composite);
    let has_part_count = values.values().any(|value| value.contains('-'));
    StoredChecksums {
        coverage: if has_composite_type || has_part_count {
            ChecksumCoverage::Composite
        } else {
            ChecksumCoverage::FullObject
        },
        values,
    }
}

fn replication_status(status: &types::ReplicationStatus) -> Option<ReplicationStatus> {
    match status.as_str() {
        "PENDING" => Some(ReplicationStatus::Pending),
        // S3 returns `COMPLETED`, but its model also lists `COMPLETE`.
        "COMPLETE" | "COMPLETED" => Some(ReplicationStatus::Completed),
        "FAILED" => Some(ReplicationStatus::Failed),
        "REPLICA" => Some(ReplicationStatus::Replica),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::head_object::builders::HeadObjectOutputBuilder;
    use aws_sdk_s3::primitives::DateTime;
    use aws_sdk_s3::types::{ArchiveStatus, StorageClass};

    use super::*;

    fn head() -> HeadObjectOutputBuilder {
        HeadObjectOutput::builder()
            .e_tag("\"aa\"")
            .last_modified(DateTime::from_secs(7))
            .content_length(3)
    }

    #[track_caller]
    fn facts(head: HeadObjectOutputBuilder) -> ObjectFacts {
        facts_of(&head.build()).unwrap()
    }

    #[test]
    fn head_without_options_is_a_plain_object() {
        let facts = facts(head());
        assert_eq!(facts.etag.as_str(), "aa");
        assert_eq!(facts.size_bytes, 3);
        assert_eq!(facts.last_modified, Timestamp::from_seconds(7));
        assert_eq!(facts.storage_class, "STANDARD");
        assert_eq!(facts.version_id, None);
        assert_eq!(facts.encryption, Encryption::Managed);
        assert_eq!(facts.availability, Availability::Readable);
    }

    #[test]
    fn event_hold_replaces_the_computed_retention_date() {
        let held = || {
            head()
                .object_lock_mode(ObjectLockMode::Compliance)
                .object_lock_retain_until_date(DateTime::from_secs(9))
                .object_lock_event_hold(ObjectLockEventHold::On)
        };
        for (head, hold) in [
            (held().object_lock_event_hold_duration_days(3), EventHold::Days(3)),
            (held().object_lock_event_hold_duration_years(7), EventHold::Years(7)),
            (held(), EventHold::Unknown),
        ] {
            let lock = facts(head).lock;
            assert_eq!((lock.event_hold, lock.retention), (Some(hold), None));
        }
        let off = facts(held().object_lock_event_hold(ObjectLockEventHold::Off)).lock;
        assert!(off.event_hold.is_none() && off.retention.is_some());
    }

    #[test]
    fn aws_chunked_is_removed_from_content_encoding() {
        for (stored, expected) in [
            ("gzip", Some("gzip")),
            ("gzip, br", Some("gzip, br")),
            ("", Some("")),
            ("aws-chunked", None),
            ("AWS-Chunked,", None),
            ("aws-chunked,gzip", Some("gzip")),
            ("gzip, aws-chunked , br", Some("gzip,br")),
        ] {
            let encoding = facts(head().content_encoding(stored)).headers.content_encoding;
            assert_eq!(encoding.as_deref(), expected, "{stored}");
        }
    }

    #[test]
    fn head_without_a_required_field_is_an_error() {
        for (builder, field) in [
            (head().set_e_tag(None), "ETag"),
            (head().set_last_modified(None), "Last-Modified"),
            (head().set_content_length(None), "Content-Length"),
            (head().content_length(-1), "Content-Length"),
        ] {
            assert_eq!(facts_of(&builder.build()), Err(MissingField(field)));
        }
    }

    #[track_caller]
    fn check_availability(class: &str, restore: Option<&str>, archive: Option<ArchiveStatus>, expected: Availability) {
        let head = head()
            .storage_class(StorageClass::from(class))
            .set_restore(restore.map(str::to_owned))
            .set_archive_status(archive);
        assert_eq!(facts(head).availability, expected, "{class} {restore:?}");
    }

    #[test]
    fn archived_objects_are_readable_only_once_restored() {
        use Availability::{Archived, Readable};
        let restored = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        for class in ["GLACIER", "DEEP_ARCHIVE"] {
            check_availability(class, None, None, Archived);
            check_availability(class, Some("ongoing-request=\"true\""), None, Archived);
            check_availability(class, Some(restored), None, Readable);
        }
        check_availability("GLACIER_IR", None, None, Readable);
        check_availability("INTELLIGENT_TIERING", None, None, Readable);
        check_availability(
            "INTELLIGENT_TIERING",
            None,
            Some(ArchiveStatus::ArchiveAccess),
            Archived,
        );
    }

    #[test]
    fn encryption_decides_whether_the_etag_is_a_hash() {
        let sse = |name: &str| facts(head().server_side_encryption(ServerSideEncryption::from(name))).encryption;
        assert_eq!(sse("AES256"), Encryption::Managed);
        assert_eq!(sse("aws:kms"), Encryption::Kms(KmsEncryption::default()));
        assert_eq!(
            sse("aws:kms:dsse"),
            Encryption::Kms(KmsEncryption {
                dual_layer: true,
                ..KmsEncryption::default()
            })
        );
        let with_key = head()
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id("arn:aws:kms:us-east-1:123456789012:key/k")
            .bucket_key_enabled(true);
        assert_eq!(
            facts(with_key).encryption,
            Encryption::Kms(KmsEncryption {
                key_arn: Some("arn:aws:kms:us-east-1:123456789012:key/k".to_owned()),
                bucket_key: true,
                dual_layer: false,
            })
        );
        assert_eq!(
            facts(head().sse_customer_algorithm("AES256")).encryption,
            Encryption::CustomerKey
        );
    }

    #[test]
    fn unknown_lock_mode_is_read_as_compliance() {
        let until = DateTime::from_millis(9_500);
        let locked = |mode: &str| {
            let head = head()
                .object_lock_mode(ObjectLockMode::from(mode))
                .object_lock_retain_until_date(until);
            facts(head).lock
        };
        let expected = |mode| ObjectLock {
            retention: Some(Retention {
                mode,
                until: Timestamp::from_millis(9_500),
            }),
            legal_hold: false,
            event_hold: None,
        };
        assert_eq!(locked("GOVERNANCE"), expected(RetentionMode::Governance));
        assert_eq!(locked("COMPLIANCE"), expected(RetentionMode::Compliance));
        assert_eq!(locked("STRICTER_STILL"), expected(RetentionMode::Compliance));
        let held = |status: &str| {
            let head = head().object_lock_legal_hold_status(ObjectLockLegalHoldStatus::from(status));
            facts(head).lock.legal_hold
        };
        assert!(held("ON") && !held("OFF"));
        assert!(
            facts(head().object_lock_mode(ObjectLockMode::Governance))
                .lock
                .is_none()
        );
    }

    #[test]
    fn checksum_coverage_is_read_from_type_or_form() {
        let full = facts(
            head()
                .checksum_crc64_nvme("x==")
                .checksum_type(ChecksumType::FullObject),
        )
        .checksums;
        assert_eq!(full.coverage, ChecksumCoverage::FullObject);
        assert_eq!(full.values, BTreeMap::from([("CRC64NVME", "x==".to_owned())]));
        let composite = facts(head().checksum_sha256("x==-3")).checksums;
        assert_eq!(composite.coverage, ChecksumCoverage::Composite);
        let composite = facts(head().checksum_crc32("x==").checksum_type(ChecksumType::Composite)).checksums;
        assert_eq!(composite.coverage, ChecksumCoverage::Composite);
    }

    #[test]
    fn null_version_is_not_pinnable() {
        assert_eq!(facts(head().version_id("null")).version_id, None);
        assert!(facts(head().version_id("v1")).version_id.is_some());
    }

    #[test]
    fn replication_status_is_read_in_both_spellings() {
        let status =
            |name: &str| facts(head().replication_status(types::ReplicationStatus::from(name))).replication_status;
        assert_eq!(status("PENDING"), Some(ReplicationStatus::Pending));
        assert_eq!(status("COMPLETED"), Some(ReplicationStatus::Completed));
        assert_eq!(status("COMPLETE"), Some(ReplicationStatus::Completed));
        assert_eq!(status("FAILED"), Some(ReplicationStatus::Failed));
        assert_eq!(status("REPLICA"), Some(ReplicationStatus::Replica));
    }
}
