//! What an implementation provides to run the contract, and its known deviations.

use s3ferry_core::names::ObjectKey;
use s3ferry_engine::ports::{DestinationBucket, SourceBucket};
use std::collections::BTreeMap;

/// A source and a destination bucket: the ports under test, and functions that set up the buckets without the ports.
///
/// The source bucket has versioning.
pub trait ContractFixture: Sync {
    /// Returns the source's port.
    fn source(&self) -> &impl SourceBucket;
    /// Returns the destination's port.
    fn destination(&self) -> &impl DestinationBucket;
    /// Writes an object into the source bucket.
    fn put_source(&self, object: &SampleObject) -> impl Future<Output = ()> + Send;
    /// Writes an object into the destination bucket.
    fn put_destination(&self, object: &SampleObject) -> impl Future<Output = ()> + Send;
    /// Deletes the source's current object by a delete marker.
    fn delete_source(&self, key: &ObjectKey) -> impl Future<Output = ()> + Send;
    /// Returns the content of the destination's current object.
    fn destination_content(&self, key: &ObjectKey) -> impl Future<Output = Option<String>> + Send;
    /// Returns the known deviations of this implementation from S3.
    fn deviations(&self) -> &'static [Deviation];
}

/// A known deviation of an emulator from S3's behavior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// `CopyObject` ignores If-Match and If-None-Match on the destination.
    CopyIgnoresCondition,
    /// `CopyObject` ignores If-Match on the source.
    CopyIgnoresSourceEtag,
    /// `UploadPartCopy` ignores If-Match on the source.
    PartIgnoresSourceEtag,
    /// `CreateMultipartUpload` drops tags.
    UploadDropsTags,
    /// `CreateMultipartUpload` decodes tag values twice, so that `+` becomes a space.
    UploadDecodesTagsTwice,
    /// `CompleteMultipartUpload` ignores If-Match.
    CompletionIgnoresIfMatch,
    /// `CompleteMultipartUpload` ignores the expected object size.
    CompletionIgnoresSize,
    /// The response of `ListParts` differs from S3's documentation, so that clients cannot parse it.
    ListPartsIsUnreadable,
    /// Requests for an upload that does not exist fail with a server error.
    MissingUploadIsServerError,
    /// The response of `GetBucketVersioning` differs from S3's documentation, so that clients cannot parse it.
    VersioningIsUnreadable,
    /// `PutObjectTagging` succeeds for a version that does not exist.
    MissingVersionIsTagged,
    /// `ListObjectVersions` lists all objects before all delete markers, so that the order within a second is unknown.
    DeleteMarkersListedLast,
}

impl Deviation {
    /// Returns whether the implementation lists this deviation as known.
    ///
    /// Panics if the deviation is known but was not observed (`shown` is false), so that the list stays accurate.
    pub(super) fn is_known(self, fixture: &impl ContractFixture, shown: bool) -> bool {
        let known = fixture.deviations().contains(&self);
        assert!(
            shown || !known,
            "{self:?} was not observed: remove it from the known deviations"
        );
        known
    }
}

/// An object that a test writes.
#[derive(Debug, Clone)]
pub struct SampleObject {
    /// Object key.
    pub key: ObjectKey,
    /// Content.
    pub content: String,
    /// User metadata.
    pub user_metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl SampleObject {
    /// Creates an object without metadata and tags.
    pub fn plain(key: &str, content: &str) -> Self {
        Self {
            key: super::key(key),
            content: content.to_owned(),
            user_metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }
}
