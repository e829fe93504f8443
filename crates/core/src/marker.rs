//! The origin marker: identifies a copy in a bucket that applications write to, and names its source.
//!
//! The marker is one entry of the copy's user metadata, written in the same request as the bytes. Applications that
//! copy an object copy its metadata, too. Therefore the marker contains a hash of bucket, key, size, content, headers
//! and metadata. It covers only the version that its own request wrote: one with a time at which this request can
//! have ended and, of several versions with the marker, the oldest ([`crate::version_history`]). Any other object is
//! an external write.

mod content;

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(crate) use self::content::copy_is_comparable;
use self::content::{ContentBinding, bindable};
use crate::attributes::AttributeDigests;
use crate::digest::FieldDigest;
use crate::facts::ObjectFacts;
use crate::names::{BucketName, ETag, ObjectKey, VersionId};
use crate::order::{CopiedMetadata, CopyMethod};
use crate::time::Timestamp;
use crate::versions::{SKEW, VersionName, WRITTEN_WITHIN};

/// Name of the marker in user metadata.
pub const MARKER_NAME: &str = "s3ferry-origin";

/// Maximum size of an object's user metadata, counting the bytes of names and values.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
pub const METADATA_LIMIT_BYTES: usize = 2048;

/// Format version of the marker.
const FORM: &str = "2";

/// Separator between the marker's fields, which are escaped.
const SEPARATOR: char = ';';

/// Characters that need no escape within a field.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Bucket and key of an object. A marker is valid for one location only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLocation<'a> {
    /// Name of the bucket.
    pub bucket: &'a BucketName,
    /// Key of the object.
    pub key: &'a ObjectKey,
}

/// Origin of a copy, and the facts that bind the marker to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Source bucket.
    pub source_bucket: BucketName,
    /// Version that was copied, if the source has versions.
    pub source_version: Option<VersionId>,
    /// `ETag` of the copied object.
    pub source_etag: ETag,
    /// Time at which the copied object was written.
    pub source_last_modified: Timestamp,
    /// Version of the destination key that the copy was written over.
    pub over: Option<VersionName>,
    /// Time of the destination listing before the request, by the destination's clock.
    pub requested: Timestamp,
    /// Time of the decision, by the clock of the invocation; distinguishes two copies of one version.
    decided: Timestamp,
    /// Hashes of the source object's tags, grants and annotations.
    pub attributes: AttributeDigests,
    content: ContentBinding,
    digest: String,
}

/// Reasons why a copy cannot carry a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// The user metadata would exceed S3's limit.
    #[error(
        "the user metadata leaves no room for the marker: needs {needed_bytes} bytes, S3 allows {METADATA_LIMIT_BYTES}"
    )]
    NoRoom {
        /// Size of the user metadata with the marker.
        needed_bytes: usize,
    },
    /// Nothing that the copy will store of its content is known before the write.
    #[error("the object has no checksum that its copy will store, too: add a CRC64NVME checksum to the source object")]
    NothingToBind,
    /// The copy was written but did not store what its marker binds, so it was removed.
    #[error(
        "the copy does not store what its marker binds, as under a default encryption with KMS: add a checksum to the \
         source object"
    )]
    NotReproduced,
}

/// Facts that a marker records in addition to those of the source object.
#[derive(Debug, Clone)]
pub struct MarkerRequest<'a> {
    /// Source bucket.
    pub source_bucket: &'a BucketName,
    /// Location of the copy.
    pub location: ObjectLocation<'a>,
    /// Version of the destination key that the copy is written over.
    pub over: Option<VersionName>,
    /// Time of the destination listing before the request, by the destination's clock.
    pub requested: Timestamp,
    /// Time of the decision, by the clock of the invocation.
    pub decided: Timestamp,
    /// Hashes of the source attributes that the copy records.
    pub attributes: AttributeDigests,
}

impl Marker {
    /// Creates the marker of a copy, and returns the copy method with which it is valid.
    ///
    /// That is the `preferred` method, if it makes a copy whose content the marker can bind.
    pub fn for_copy(
        source: &ObjectFacts,
        preferred: CopyMethod,
        encrypts_with_kms: bool,
        request: MarkerRequest<'_>,
    ) -> Result<(CopyMethod, Self), MarkerError> {
        let (method, content) = bindable(source, preferred, encrypts_with_kms).ok_or(MarkerError::NothingToBind)?;
        let location = request.location;
        let mut marker = Self {
            source_bucket: request.source_bucket.clone(),
            source_version: source.version_id.clone(),
            source_etag: source.etag.clone(),
            source_last_modified: source.last_modified,
            over: request.over,
            requested: request.requested,
            decided: request.decided,
            attributes: request.attributes,
            content,
            digest: String::new(),
        };
        marker.digest = marker.hash(source, location).ok_or(MarkerError::NothingToBind)?;
        let preserved_bytes: usize = without_marker(&source.user_metadata)
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let needed_bytes = preserved_bytes + MARKER_NAME.len() + marker.to_text().len();
        if needed_bytes > METADATA_LIMIT_BYTES {
            return Err(MarkerError::NoRoom { needed_bytes });
        }
        Ok((method, marker))
    }

    /// Returns an object's marker if it is valid for this object.
    ///
    /// `None` means that the object is an external write. It has no marker, or the hash of the marker does not match
    /// its facts, or its time is not that of the marker's request.
    #[must_use]
    pub fn bound(facts: &ObjectFacts, location: ObjectLocation<'_>) -> Option<Self> {
        let marker = Self::parse(facts.user_metadata.get(MARKER_NAME)?)?;
        let written = marker.possible_since()..=marker.requested.plus(WRITTEN_WITHIN);
        let is_bound =
            written.contains(&facts.last_modified) && marker.hash(facts, location).as_ref() == Some(&marker.digest);
        is_bound.then_some(marker)
    }

    /// Returns the marker in the metadata that a copy sets.
    #[must_use]
    pub fn explicit(metadata: Option<&CopiedMetadata>) -> Option<Self> {
        Self::parse(metadata?.user.get(MARKER_NAME)?)
    }

    /// Returns the earliest time of an object with this marker.
    ///
    /// A multipart upload has the time of its start, at which its metadata was set:
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
    #[must_use]
    pub fn possible_since(&self) -> Timestamp {
        self.requested.minus(SKEW)
    }

    /// Returns whether the marker is valid only for a copy with the same parts as the source.
    #[must_use]
    pub fn needs_the_same_parts(&self) -> bool {
        match self.content {
            ContentBinding::Composite(_) => true,
            ContentBinding::Etag => self.source_etag.is_multipart(),
            ContentBinding::Empty | ContentBinding::FullObject(_) => false,
        }
    }

    /// Returns whether the marker binds the content by its `ETag`.
    #[must_use]
    pub fn needs_etag(&self) -> bool {
        self.content == ContentBinding::Etag
    }

    /// Returns whether an object stores the value by which the marker binds the content.
    #[must_use]
    pub fn binds(&self, facts: &ObjectFacts) -> bool {
        self.content.of(facts).is_some()
    }

    /// Returns whether the marker names exactly this source version.
    #[must_use]
    pub fn names(&self, source: &ObjectFacts) -> bool {
        self.source_version.is_some() && self.is_of(source)
    }

    /// Returns whether the source object is the one that was copied. Without versions, an object with the same `ETag`
    /// and time counts as the same.
    #[must_use]
    pub fn is_of(&self, source: &ObjectFacts) -> bool {
        self.source_version == source.version_id
            && self.source_etag == source.etag
            && self.source_last_modified == source.last_modified
    }

    /// Returns the marker as the value of its metadata entry, in printable ASCII.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.unsigned_text();
        text.push(SEPARATOR);
        text.push_str(&self.digest);
        text
    }

    /// Returns all fields except the hash.
    fn unsigned_text(&self) -> String {
        let fields = [
            FORM.to_owned(),
            escaped(self.source_bucket.as_str()),
            escaped(self.source_version.as_ref().map_or("", VersionId::as_str)),
            escaped(self.source_etag.as_str()),
            self.source_last_modified.millis().to_string(),
            escaped(self.over.as_ref().map_or("", VersionName::as_str)),
            self.requested.millis().to_string(),
            self.decided.millis().to_string(),
            self.attributes.to_text(),
            self.content.to_text(),
        ];
        fields.join(&SEPARATOR.to_string())
    }

    /// Parses the output of `to_text`, and accepts nothing else.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(SEPARATOR).collect();
        let [
            FORM,
            bucket,
            version,
            etag,
            millis,
            over,
            requested,
            decided,
            attributes,
            content,
            digest,
        ] = fields[..]
        else {
            return None;
        };
        let marker = Self {
            source_bucket: BucketName::new(&unescaped(bucket)?).ok()?,
            source_version: VersionId::pinnable(&unescaped(version)?),
            source_etag: ETag::new(&unescaped(etag)?).ok()?,
            source_last_modified: Timestamp::from_millis(millis.parse().ok()?),
            over: VersionName::new(&unescaped(over)?),
            requested: Timestamp::from_millis(requested.parse().ok()?),
            decided: Timestamp::from_millis(decided.parse().ok()?),
            attributes: AttributeDigests::parse(attributes)?,
            content: ContentBinding::parse(content)?,
            digest: digest.to_owned(),
        };
        (marker.to_text() == text).then_some(marker)
    }

    /// Hashes the marker's fields and the object's facts. Returns `None` if the object does not store the value that
    /// binds the content.
    fn hash(&self, facts: &ObjectFacts, location: ObjectLocation<'_>) -> Option<String> {
        let mut hash = FieldDigest::default();
        hash.add(&self.unsigned_text());
        hash.add(location.bucket.as_str());
        hash.add(location.key.as_str());
        hash.add(&facts.size_bytes.to_string());
        hash.add(self.content.of(facts)?);
        let headers = &facts.headers;
        for header in [
            &headers.cache_control,
            &headers.content_disposition,
            &headers.content_encoding,
            &headers.content_language,
            &headers.content_type,
            &headers.expires,
            &facts.website_redirect,
        ] {
            hash.add_optional(header.as_deref());
        }
        for (name, value) in without_marker(&facts.user_metadata) {
            hash.add(name);
            hash.add(value);
        }
        Some(hash.finish())
    }
}

/// Returns metadata with the times of the marker removed, so that it is equal for two requests of the same copy.
pub(crate) fn without_request_times(metadata: &CopiedMetadata) -> CopiedMetadata {
    let mut metadata = metadata.clone();
    if let Some(marker) = Marker::explicit(Some(&metadata)) {
        let marker = Marker {
            requested: Timestamp::from_seconds(0),
            decided: Timestamp::from_seconds(0),
            digest: String::new(),
            ..marker
        };
        metadata.user.insert(MARKER_NAME.to_owned(), marker.to_text());
    }
    metadata
}

/// Returns user metadata without s3ferry's marker.
pub fn without_marker(metadata: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    metadata.iter().filter(|(name, _)| *name != MARKER_NAME)
}

fn escaped(field: &str) -> String {
    utf8_percent_encode(field, PLAIN).to_string()
}

fn unescaped(field: &str) -> Option<String> {
    percent_decode_str(field).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests;
