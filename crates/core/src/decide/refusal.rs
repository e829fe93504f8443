//! Why an object cannot be copied.

use crate::failure::FailureKind;
use crate::marker::MarkerError;
use crate::plan::LARGEST_OBJECT_BYTES;

/// Why an object cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyRefusal {
    /// Its bytes are archived.
    #[error("the object is archived in {storage_class} and not restored: restore it, which brings it here again")]
    ArchivedNotRestored {
        /// Where it is archived.
        storage_class: String,
    },
    /// Only the holder of its key can read it.
    #[error("the object is encrypted with a customer-provided key, which s3ferry does not have")]
    CustomerKeyEncrypted,
    /// A header that must be stated holds bytes that no request can state.
    #[error(
        "the value of header {headers} is not UTF-8, so no request can state it, and this copy must: write the object's \
         metadata again at the source (aws s3api copy-object --metadata-directive REPLACE)"
    )]
    NonUtf8Header {
        /// The header, or several.
        headers: String,
    },
    /// A copy would have to state the tags that an application set on the copy before it.
    #[error(
        "the tags that an application set on the copy at the destination do not fit into the headers of the request that \
         would replace it: shorten or remove them there"
    )]
    TagsDoNotFit,
    /// It is larger than anything S3 stores.
    #[error("the object has {size_bytes} bytes, an upload in parts holds at most {LARGEST_OBJECT_BYTES}")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
    },
    /// Nobody could tell its copy from an object of an application.
    #[error("the copy cannot carry a marker of its origin, which shared ownership needs: {0}")]
    MarkerNotPossible(MarkerError),
    /// S3's own replication brings it, without a marker.
    #[error(
        "the bucket's own replication writes to the destination too, which shared ownership excludes: end one of both"
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

    /// Returns what must happen next.
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
