//! Classes of objects by the service that can copy them unchanged.

use serde::Serialize;

use crate::facts::{Availability, Encryption, ObjectFacts};
use crate::plan::{COPY_OBJECT_LIMIT_BYTES, LARGEST_OBJECT_BYTES};

/// Class of an object, by the service that can copy it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectClass {
    /// `CopyObject` copies it with all attributes, so the copy operation of S3 Batch Operations is sufficient.
    Plain,
    /// It needs a multipart copy, or has attributes that S3's copy operation resets: `final-sync` copies it.
    LargeOrRich,
    /// It must be restored first.
    Archived,
    /// s3ferry does not copy it: it has a customer-provided key or exceeds the maximum object size.
    NotCopyable,
}

impl ObjectClass {
    /// All classes, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Plain, Self::LargeOrRich, Self::Archived, Self::NotCopyable];

    /// Returns the name used in reports and file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::LargeOrRich => "large-or-rich",
            Self::Archived => "archived",
            Self::NotCopyable => "not-copyable",
        }
    }
}

/// Classifies an object by its HEAD response, and returns the reason.
///
/// A job of S3's copy operation has one storage class and one KMS key for all its objects. It sets neither a website
/// redirect nor an object's own retention.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-copy-object.html>
#[must_use]
pub fn class_of(facts: &ObjectFacts) -> (ObjectClass, &'static str) {
    use ObjectClass::{Archived, LargeOrRich, NotCopyable, Plain};
    let rows = [
        (
            facts.encryption == Encryption::CustomerKey,
            NotCopyable,
            "encrypted with a customer-provided key",
        ),
        (
            facts.size_bytes > LARGEST_OBJECT_BYTES,
            NotCopyable,
            "larger than the maximum object size",
        ),
        (
            facts.availability == Availability::Archived,
            Archived,
            "archived without a restored copy",
        ),
        (
            facts.size_bytes > COPY_OBJECT_LIMIT_BYTES,
            LargeOrRich,
            "larger than 5 GiB",
        ),
        (facts.website_redirect.is_some(), LargeOrRich, "has a website redirect"),
        (!facts.lock.is_none(), LargeOrRich, "has a retention or a legal hold"),
        (
            matches!(facts.encryption, Encryption::Kms(_)),
            LargeOrRich,
            "encrypted with a KMS key",
        ),
        (
            facts.storage_class != "STANDARD",
            LargeOrRich,
            "in another storage class than STANDARD",
        ),
    ];
    rows.into_iter()
        .find(|(applies, _, _)| *applies)
        .map_or((Plain, "one request copies it"), |(_, class, reason)| (class, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::KmsEncryption;
    use crate::facts::samples::object;

    #[track_caller]
    fn check(expected: ObjectClass, change: impl FnOnce(&mut ObjectFacts)) {
        let mut facts = object("aa");
        change(&mut facts);
        assert_eq!(class_of(&facts).0, expected, "{}", class_of(&facts).1);
    }

    #[test]
    fn objects_are_classified_by_how_they_are_copied() {
        use ObjectClass::{Archived, LargeOrRich, NotCopyable, Plain};
        check(Plain, |_| ());
        check(Plain, |facts| facts.size_bytes = COPY_OBJECT_LIMIT_BYTES);
        check(LargeOrRich, |facts| facts.size_bytes = COPY_OBJECT_LIMIT_BYTES + 1);
        check(NotCopyable, |facts| facts.size_bytes = LARGEST_OBJECT_BYTES + 1);
        check(LargeOrRich, |facts| facts.website_redirect = Some("/".into()));
        check(LargeOrRich, |facts| facts.lock.legal_hold = true);
        check(LargeOrRich, |facts| {
            facts.encryption = Encryption::Kms(KmsEncryption::default());
        });
        check(LargeOrRich, |facts| facts.storage_class = "STANDARD_IA".into());
        check(Archived, |facts| facts.availability = Availability::Archived);
        check(NotCopyable, |facts| {
            facts.encryption = Encryption::CustomerKey;
            facts.availability = Availability::Archived;
        });
    }

    #[test]
    fn classes_serialize_to_their_names() {
        for class in ObjectClass::ALL {
            assert_eq!(
                serde_json::to_string(&class).unwrap(),
                format!("\"{}\"", class.as_str())
            );
        }
    }
}
