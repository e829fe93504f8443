//! Whether the encryption of an equal object has to be changed, and how.

use super::{Decision, DefaultEncryption, Situation, refuse};
use crate::encryption::satisfies_default;
use crate::facts::{Encryption, ExplicitEncryption, KmsEncryption, ObjectFacts};
use crate::plan::COPY_OBJECT_LIMIT_BYTES;
use crate::policy::Policy;

/// What has to be done about the encryption of an equal object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EncryptionChange {
    /// It is as it must be, or nothing can be done.
    None,
    /// It is changed without moving bytes.
    InPlace(KmsEncryption),
    /// Only a copy changes it, to this.
    ByCopy(ExplicitEncryption),
}

/// Compares the encryption of a destination's object with what it must be.
///
/// `UpdateObjectEncryption` changes objects under keys that S3 manages and under SSE-KMS, to SSE-KMS with a key that is
/// named by its ARN, and none that is locked:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>
pub(super) fn encryption_change(
    source: &ObjectFacts,
    destination: &ObjectFacts,
    situation: &Situation<'_>,
    policy: &Policy,
) -> Result<EncryptionChange, Decision> {
    // What a store made of the request that asked for it is all that it can do.
    if situation.is_just_copied {
        return Ok(EncryptionChange::None);
    }
    let expected = match (policy.encryption_of(&source.encryption), situation.default_encryption) {
        (Some(asked_for), _) if asked_for.is_of(&destination.encryption) => return Ok(EncryptionChange::None),
        (Some(asked_for), _) => asked_for,
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
        // What cannot be copied is equal all the same; what it does not keep is reported.
        _ if refuse(source, source.size_bytes > COPY_OBJECT_LIMIT_BYTES).is_some() => EncryptionChange::None,
        expected => EncryptionChange::ByCopy(expected),
    })
}
