//! Rules for the encryption of copies: the key map first, then the setting for all copies, then the destination
//! bucket's default.

use crate::facts::{Encryption, ExplicitEncryption, KmsEncryption, ObjectFacts, ReplicationStatus};
use crate::policy::{KmsKeyMap, Policy};

/// Settings that decide how copies are encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncryptionRules {
    /// KMS key of a copy, by the ARN of the source object's key.
    pub kms_keys: KmsKeyMap,
    /// Encryption of all other copies; `None` for the bucket's default.
    pub explicit: Option<ExplicitEncryption>,
    /// Default encryption of the destination bucket; `None` if it cannot be read, so that nothing is expected of
    /// copies that depend on it.
    pub bucket_default: Option<ExplicitEncryption>,
}

impl EncryptionRules {
    /// Creates the rules of a policy.
    #[must_use]
    pub fn of(policy: &Policy, bucket_default: Option<ExplicitEncryption>) -> Self {
        Self {
            kms_keys: policy.kms_keys.clone(),
            explicit: policy.destination_encryption.clone(),
            bucket_default,
        }
    }

    /// Returns whether a copy is encrypted as the rules require, and no weaker than its source unless that was
    /// requested.
    #[must_use]
    pub fn agree(&self, source: &ObjectFacts, destination: &ObjectFacts) -> bool {
        if let Some(requested) = requested_encryption(&self.kms_keys, self.explicit.as_ref(), &source.encryption) {
            return requested.is_of(&destination.encryption);
        }
        let default = self.bucket_default.as_ref();
        default.is_none_or(|default| satisfies_default(destination, default))
            && !is_weaker(&source.encryption, &destination.encryption)
    }
}

/// Returns whether an object is encrypted like the bucket's default, or stronger. A stronger encryption is never
/// weakened. S3's own replicas follow the replication rule.
pub(crate) fn satisfies_default(object: &ObjectFacts, default: &ExplicitEncryption) -> bool {
    let default_encryption = match default {
        ExplicitEncryption::Managed => Encryption::Managed,
        ExplicitEncryption::Kms(kms) => Encryption::Kms(kms.clone()),
    };
    default.is_of(&object.encryption)
        || is_weaker(&object.encryption, &default_encryption)
        || object.replication_status == Some(ReplicationStatus::Replica)
}

/// Returns the encryption that a copy requests; `None` for the bucket's default.
pub(crate) fn requested_encryption(
    kms_keys: &KmsKeyMap,
    explicit: Option<&ExplicitEncryption>,
    source: &Encryption,
) -> Option<ExplicitEncryption> {
    let mapped = match source {
        Encryption::Kms(kms) => {
            let key = kms.key_arn.as_ref().and_then(|arn| kms_keys.get(arn));
            key.map(|key| KmsEncryption {
                key_arn: Some(key.clone()),
                ..kms.clone()
            })
        }
        Encryption::Managed | Encryption::CustomerKey => None,
    };
    mapped.map(ExplicitEncryption::Kms).or_else(|| explicit.cloned())
}

/// Returns whether the destination lacks the source's KMS key or dual-layer encryption.
#[must_use]
pub fn is_weaker(source: &Encryption, destination: &Encryption) -> bool {
    match (source, destination) {
        (Encryption::Kms(_), Encryption::Managed) => true,
        (Encryption::Kms(source), Encryption::Kms(destination)) => source.dual_layer && !destination.dual_layer,
        _ => false,
    }
}

impl ExplicitEncryption {
    /// Returns whether an object is encrypted this way. A key without a name, as in a bucket's default, matches any
    /// key. A bucket key makes no difference.
    #[must_use]
    pub fn is_of(&self, actual: &Encryption) -> bool {
        match (self, actual) {
            (Self::Managed, Encryption::Managed) => true,
            (Self::Kms(wanted), Encryption::Kms(actual)) => {
                let keys = wanted.key_arn.as_ref().zip(actual.key_arn.as_ref());
                wanted.dual_layer == actual.dual_layer && keys.is_none_or(|(wanted, actual)| wanted == actual)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::samples::object;

    fn kms(key: &str, dual_layer: bool) -> KmsEncryption {
        KmsEncryption {
            key_arn: (!key.is_empty()).then(|| key.to_owned()),
            bucket_key: false,
            dual_layer,
        }
    }

    fn under(key: &str) -> Encryption {
        Encryption::Kms(kms(key, false))
    }

    #[test]
    fn copies_are_compared_with_the_encryption_of_the_rules() {
        let rules =
            |map: &[(&str, &str)], explicit: Option<ExplicitEncryption>, default: Option<ExplicitEncryption>| {
                let entries = map
                    .iter()
                    .map(|(source, copy)| ((*source).to_owned(), (*copy).to_owned()));
                EncryptionRules {
                    kms_keys: entries.collect(),
                    explicit,
                    bucket_default: default,
                }
            };
        let managed = || Some(ExplicitEncryption::Managed);
        let with = |key: &str| Some(ExplicitEncryption::Kms(kms(key, false)));
        let two_layers = Encryption::Kms(kms("a", true));
        let plain = Encryption::Managed;
        for (rules, source, destination, agree) in [
            // The bucket's default.
            (rules(&[], None, managed()), &plain, &plain, true),
            (rules(&[], None, with("a")), &plain, &plain, false),
            (rules(&[], None, with("a")), &plain, &under("a"), true),
            (rules(&[], None, with("a")), &plain, &under("b"), false),
            // An encryption stronger than the default is no difference.
            (rules(&[], None, managed()), &plain, &under("b"), true),
            (rules(&[], None, with("a")), &plain, &two_layers, true),
            (rules(&[], None, with("")), &plain, &under("b"), true),
            // A default that cannot be read requires nothing, but a missing KMS key is still a difference.
            (rules(&[], None, None), &plain, &under("b"), true),
            (rules(&[], None, None), &under("s"), &plain, false),
            (rules(&[], None, managed()), &under("s"), &plain, false),
            (rules(&[], None, None), &two_layers, &under("b"), false),
            // An explicit encryption.
            (rules(&[], managed(), None), &under("s"), &plain, true),
            (rules(&[], managed(), with("a")), &plain, &under("a"), false),
            (rules(&[], with("a"), managed()), &plain, &plain, false),
            (rules(&[("s", "d")], managed(), None), &under("s"), &under("d"), true),
            (rules(&[("s", "d")], managed(), None), &under("s"), &plain, false),
            (rules(&[("s", "d")], managed(), None), &under("t"), &plain, true),
        ] {
            let of = |encryption: &Encryption| ObjectFacts {
                encryption: encryption.clone(),
                ..object("aa")
            };
            let found = rules.agree(&of(source), &of(destination));
            assert_eq!(found, agree, "{rules:?} {source:?} {destination:?}");
        }
    }

    #[test]
    fn s3_replica_is_not_compared_with_the_default_of_the_bucket() {
        let rules = EncryptionRules {
            bucket_default: Some(ExplicitEncryption::Kms(kms("a", false))),
            ..EncryptionRules::default()
        };
        let mut replica = object("aa");
        replica.encryption = under("b");
        assert!(!rules.agree(&object("aa"), &replica));
        replica.replication_status = Some(ReplicationStatus::Replica);
        assert!(rules.agree(&object("aa"), &replica));
    }
}
