//! Decides on copies: by which method, with which attributes, or why not.

use crate::bucket_settings::{DefaultEncryption, ReplicationCoverage};
use crate::facts::{Attribute, AttributeSet, Availability, Encryption, ObjectFacts, ReplicationStatus};
use crate::marker::copy_is_comparable;
use crate::order::{
    CopiedMetadata, CopyMethod, CopyOrder, ExplicitAttributes, ExplicitChecksum, SourcePin, WriteCondition, tags_fit,
};
use crate::outcome::DeferralReason;
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};
use crate::policy::{Policy, PreserveEtag, StorageClassRule};

use super::attributes::{hidden_unread, wanted_of};
use super::{CopyRefusal, Decision, REPLICATION_GRACE, Situation};

/// Decides on a copy over an existing object.
pub(super) fn copy_over(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Decision {
    let unread = must_read(source, destination);
    if !unread.is_empty() {
        return Decision::ReadAttributes(unread);
    }
    copy(
        source,
        WriteCondition::Matches(destination.etag.clone()),
        situation,
        policy,
    )
}

/// Returns the attributes to read before an object is replaced by one with the same `ETag`.
///
/// The condition of the write cannot distinguish two copies of the same bytes. A slow copy may replace a faster one
/// that has newer tags or annotations. Only reads before and after the copy show that.
pub(super) fn must_read(source: &ObjectFacts, destination: &ObjectFacts) -> AttributeSet {
    if source.etag == destination.etag {
        hidden_unread(source, destination).collect()
    } else {
        AttributeSet::new()
    }
}

pub(super) fn copy(
    source: &ObjectFacts,
    condition: WriteCondition,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Decision {
    if let Some(decision) = leave_to_replication(source, situation) {
        return decision;
    }
    if let Some(refusal) = refuse(source, source.size_bytes > COPY_OBJECT_LIMIT_BYTES) {
        return Decision::Refuse(refusal);
    }
    copy_by(method(source, policy), source, condition, situation, policy)
}

pub(super) fn copy_by(
    method: CopyMethod,
    source: &ObjectFacts,
    condition: WriteCondition,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Decision {
    if method == CopyMethod::Multipart {
        let wanted = [
            (Attribute::Tags, source.tags.is_none()),
            (Attribute::Annotations, source.annotations.is_none()),
        ];
        let unread: AttributeSet = wanted
            .into_iter()
            .filter_map(|(attribute, is_unread)| is_unread.then_some(attribute))
            .collect();
        if !unread.is_empty() {
            return Decision::ReadSourceAttributes(unread);
        }
    }
    let wanted = match wanted_of(source, situation, policy) {
        Ok(wanted) => wanted,
        Err(decision) => return decision,
    };
    // The report of the copy says whether the KMS key is preserved, which depends on the bucket's default.
    let is_left_to_bucket =
        matches!(source.encryption, Encryption::Kms(_)) && policy.encryption_of(&source.encryption).is_none();
    if is_left_to_bucket && *situation.default_encryption == DefaultEncryption::NotRead {
        return Decision::ReadDefaultEncryption;
    }
    let checksums = &source.checksums;
    let default = situation
        .capabilities
        .and_then(|capabilities| capabilities.object_lock?.default);
    let lock = wanted.lock.beside_default(default, situation.now);
    let follow_up = [
        (Attribute::Lock, lock != wanted.lock),
        (Attribute::Tags, method == CopyMethod::Multipart && !tags_fit(source)),
        // `UploadPartCopy` does not copy annotations.
        (
            Attribute::Annotations,
            method == CopyMethod::Multipart
                && wanted
                    .annotations
                    .as_ref()
                    .is_some_and(|annotations| !annotations.is_empty()),
        ),
    ];
    let follow_up = follow_up.into_iter().filter(|(_, follows)| *follows);
    Decision::Copy(Box::new(CopyOrder {
        pin: SourcePin::of(source),
        in_place: None,
        condition,
        method,
        follow_up: follow_up.map(|(attribute, _)| attribute).collect(),
        explicit: explicit(ObjectFacts { lock, ..wanted }, method, policy),
        source_checksum: checksums.values.keys().next().map(|algorithm| ExplicitChecksum {
            algorithm,
            coverage: checksums.coverage,
        }),
        size_bytes: source.size_bytes,
    }))
}

/// Chooses between a single-request copy and a multipart copy.
///
/// The policy decides, for speed or for the source's `ETag`. The other method is chosen if only that one makes a copy
/// that can be verified as equal. A copy that cannot be verified would be repeated for every event of its key.
pub(super) fn method(source: &ObjectFacts, policy: &Policy) -> CopyMethod {
    let prefers_parts = match policy.preserve_etag {
        PreserveEtag::Large => source.size_bytes > policy.multipart_threshold_bytes,
        PreserveEtag::Always => source.etag.is_multipart(),
    };
    let encrypts_with_kms = policy.encrypts_with_kms(&source.encryption);
    let is_comparable = |method| copy_is_comparable(source, method, encrypts_with_kms);
    let only_other = |preferred, other| !is_comparable(preferred) && is_comparable(other);
    if source.size_bytes > COPY_OBJECT_LIMIT_BYTES {
        return CopyMethod::Multipart;
    }
    // An empty object has no parts, and a multipart copy has to set every header itself.
    if source.size_bytes == 0 || !source.unreadable_headers.is_empty() {
        return CopyMethod::SingleRequest;
    }
    let (preferred, other) = if prefers_parts {
        (CopyMethod::Multipart, CopyMethod::SingleRequest)
    } else {
        (CopyMethod::SingleRequest, CopyMethod::Multipart)
    };
    if only_other(preferred, other) { other } else { preferred }
}

/// Returns the attributes that the write sets itself: those that S3 would reset, and all others for a multipart copy.
pub(super) fn explicit(wanted: ObjectFacts, method: CopyMethod, policy: &Policy) -> ExplicitAttributes {
    let tags_fit = tags_fit(&wanted);
    let multipart = method == CopyMethod::Multipart;
    ExplicitAttributes {
        storage_class: match &policy.storage_class {
            StorageClassRule::AsSource => wanted.storage_class,
            StorageClassRule::Fixed(class) => class.clone(),
        },
        website_redirect: wanted.website_redirect,
        encryption: policy.encryption_of(&wanted.encryption),
        lock: wanted.lock,
        metadata: multipart.then_some(CopiedMetadata {
            headers: wanted.headers,
            user: wanted.user_metadata,
        }),
        tags: wanted.tags.filter(|_| multipart && tags_fit),
        checksum: None,
        acl: wanted.acl,
    }
}

/// Defers a key while S3's own replication is about to replicate the object.
pub(super) fn leave_to_replication(source: &ObjectFacts, situation: &Situation<'_>) -> Option<Decision> {
    let pending = source.replication_status == Some(ReplicationStatus::Pending);
    let age = situation.now.since(source.last_modified);
    if !pending || age >= REPLICATION_GRACE {
        return None;
    }
    match situation.replication {
        ReplicationCoverage::NotRead => Some(Decision::ReadReplicationCoverage),
        ReplicationCoverage::Covered => Some(Decision::Defer(DeferralReason::ReplicationPending {
            remaining: REPLICATION_GRACE.saturating_sub(age),
        })),
        ReplicationCoverage::NotCovered => None,
    }
}

/// Returns why an object cannot be copied; `sets_headers` is true if the copy has to set all headers itself.
pub(super) fn refuse(source: &ObjectFacts, sets_headers: bool) -> Option<CopyRefusal> {
    if source.encryption == Encryption::CustomerKey {
        return Some(CopyRefusal::CustomerKeyEncrypted);
    }
    if source.availability == Availability::Archived {
        return Some(CopyRefusal::ArchivedNotRestored {
            storage_class: source.storage_class.clone(),
        });
    }
    // Every copy sets the website redirect.
    let must_set = |name: &String| sets_headers || name == "x-amz-website-redirect-location";
    if source.unreadable_headers.keys().any(must_set) {
        let names: Vec<&str> = source.unreadable_headers.keys().map(String::as_str).collect();
        return Some(CopyRefusal::NonUtf8Header {
            headers: names.join(", "),
        });
    }
    (source.size_bytes > LARGEST_OBJECT_BYTES).then_some(CopyRefusal::TooLarge {
        size_bytes: source.size_bytes,
    })
}
