//! Decides whether the encryption of an equal object has to change, and how.

use super::{Decision, DefaultEncryption, Situation, refuse};
use crate::encryption::satisfies_default;
use crate::facts::{Encryption, ExplicitEncryption, KmsEncryption, ObjectFacts};
use crate::plan::COPY_OBJECT_LIMIT_BYTES;
use crate::policy::Policy;

/// Change of encryption that an equal object needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EncryptionChange {
    /// No change: the encryption is as configured, or it cannot be changed.
    None,
    /// A change to this KMS key without a copy (`UpdateObjectEncryption`).
    InPlace(KmsEncryption),
    /// A change to this encryption, which only a copy can make.
    ByCopy(ExplicitEncryption),
}

/// Compares a destination object's encryption with the configured one.
///
/// `UpdateObjectEncryption` accepts objects encrypted with SSE-S3 or SSE-KMS that are not locked. It changes them to
/// SSE-KMS with a key that is named by its ARN:
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>
pub(super) fn encryption_change(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Result<EncryptionChange, Decision> {
    // The copy was just made with the configured encryption; a repetition would change nothing.
    if situation.is_just_copied {
        return Ok(EncryptionChange::None);
    }
    let expected = match (policy.encryption_of(&source.encryption), situation.default_encryption) {
        (Some(requested), _) if requested.is_of(&destination.encryption) => return Ok(EncryptionChange::None),
        (Some(requested), _) => requested,
        (None, DefaultEncryption::Known(default)) if satisfies_default(destination, default) => {
            return Ok(EncryptionChange::None);
        }
        (None, DefaultEncryption::Known(default)) => default.clone(),
        (None, DefaultEncryption::Unknown) => return Ok(EncryptionChange::None),
        (None, DefaultEncryption::NotRead) => return Err(Decision::ReadDefaultEncryption),
    };
    let is_updatable = match &destination.encryption {
        Encryption::Managed => true,
        Encryption::Kms(kms) => !kms.dual_layer,
        Encryption::CustomerKey => false,
    };
    let is_locked = !destination.lock.in_force(situation.now).is_none();
    let is_versioned = destination.version_id.is_some();
    Ok(match expected {
        ExplicitEncryption::Kms(kms)
            if kms.key_arn.is_some()
                && !kms.dual_layer
                && is_updatable
                && !is_locked
                && is_versioned
                && !situation.encrypts_by_copy =>
        {
            EncryptionChange::InPlace(kms)
        }
        // The object is equal but cannot be copied. Its encryption is reported as not preserved.
        _ if refuse(source, source.size_bytes > COPY_OBJECT_LIMIT_BYTES).is_some() => EncryptionChange::None,
        expected => EncryptionChange::ByCopy(expected),
    })
}
