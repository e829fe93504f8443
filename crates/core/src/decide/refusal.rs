//! Reasons why an object cannot be copied.

use crate::failure::FailureKind;
use crate::marker::MarkerError;
use crate::plan::LARGEST_OBJECT_BYTES;

/// Reasons why an object cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyRefusal {
    /// The content is archived.
    #[error(
        "the object is archived in {storage_class} and not restored: restore it; the restore event starts a new attempt"
    )]
    ArchivedNotRestored {
        /// Storage class of the archive.
        storage_class: String,
    },
    /// The object is encrypted with a customer-provided key (SSE-C).
    #[error("the object is encrypted with a customer-provided key, which s3ferry does not have")]
    CustomerKeyEncrypted,
    /// The copy has to set a header whose value is not UTF-8, which no request can do.
    #[error(
        "the value of header {headers} is not UTF-8, so no request can set it, as this copy has to: replace the \
         object's metadata at the source (aws s3api copy-object --metadata-directive REPLACE)"
    )]
    NonUtf8Header {
        /// Names of the headers.
        headers: String,
    },
    /// The replacing copy would have to set tags that an application added to the existing copy.
    #[error(
        "the tags that an application set on the destination object do not fit into the headers of the request that \
         replaces it: shorten or remove these tags"
    )]
    TagsDoNotFit,
    /// The object is larger than S3's limit.
    #[error("the object has {size_bytes} bytes, a multipart upload takes at most {LARGEST_OBJECT_BYTES}")]
    TooLarge {
        /// Size of the object.
        size_bytes: u64,
    },
    /// The copy cannot carry a marker, so it would count as an external write.
    #[error("the copy cannot have the origin marker that shared ownership requires: {0}")]
    MarkerNotPossible(MarkerError),
    /// S3's own replication replicates the object, without a marker.
    #[error(
        "an S3 replication rule writes to the destination, which shared ownership excludes: remove the rule or use \
         exclusive ownership"
    )]
    ReplicatedByS3,
}

impl CopyRefusal {
    /// Returns the name used as the failure's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ArchivedNotRestored { .. } => "ArchivedNotRestored",
            Self::CustomerKeyEncrypted => "CustomerKeyEncrypted",
            Self::NonUtf8Header { .. } => "UnreadableHeader",
            Self::TagsDoNotFit => "TagsDoNotFit",
            Self::TooLarge { .. } => "ObjectTooLarge",
            Self::MarkerNotPossible(_) => "CannotBeMarked",
            Self::ReplicatedByS3 => "ReplicatedByS3",
        }
    }

    /// Returns the kind of failure, which decides what happens next.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::ReplicatedByS3 => FailureKind::Configuration,
            Self::ArchivedNotRestored { .. }
            | Self::CustomerKeyEncrypted
            | Self::NonUtf8Header { .. }
            | Self::TagsDoNotFit
            | Self::TooLarge { .. }
            | Self::MarkerNotPossible(_) => FailureKind::Permanent,
        }
    }
}
