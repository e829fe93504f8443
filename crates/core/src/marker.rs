//! The origin marker: how a copy in a bucket that others write to says that it is one, and of what.
//!
//! It is one entry of the copy's user metadata, written in the same request as the bytes. Whoever copies an object carries
//! its metadata along, so the marker binds what it stands for by a hash: bucket, key, size, content, headers and metadata.
//! And it vouches only for what was written by its own request: for a version of the time in which that can have happened,
//! and, of several that carry it, for the oldest ([`crate::version_history`]). Any other object is an external write.

mod content;

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

pub(crate) use self::content::copy_is_comparable;
use self::content::{ContentBinding, bindable};
use crate::attributes::AttributeDigests;
use crate::facts::ObjectFacts;
use crate::names::{BucketName, ETag, ObjectKey, VersionId};
use crate::order::{CopiedMetadata, CopyMethod};
use crate::time::Timestamp;
use crate::upload::hexadecimal;
use crate::versions::{SKEW, VersionName, WRITTEN_WITHIN};

/// The name of the marker in user metadata.
pub const MARKER_NAME: &str = "s3ferry-origin";

/// How much user metadata an object takes, counting the bytes of names and values.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
pub const METADATA_LIMIT_BYTES: usize = 2048;

/// The version of the marker's form.
const FORM: &str = "2";

/// What separates the marker's fields, which are escaped.
const SEPARATOR: char = ';';

/// What needs no escape within a field.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where an object is: a marker says nothing about an object anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLocation<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The key.
    pub key: &'a ObjectKey,
}

/// Says of what an object is a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The bucket that was copied from.
    pub source_bucket: BucketName,
    /// The version that was copied, where the source has versions.
    pub source_version: Option<VersionId>,
    /// Its tag.
    pub source_etag: ETag,
    /// When it was written.
    pub source_last_modified: Timestamp,
    /// The version of the copy's key that the copy was written over.
    pub over: Option<VersionName>,
    /// When the destination was listed before the request, by its own clock.
    pub requested: Timestamp,
    /// When the copy was decided, by the clock of whoever decided it: it tells two copies of one version apart.
    decided: Timestamp,
    /// What the source's object had besides its bytes and metadata.
    pub attributes: AttributeDigests,
    content: ContentBinding,
    digest: String,
}

/// Why a copy cannot carry a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// The user metadata would grow too long.
    #[error(
        "its user metadata leaves no room for the marker: {needed_bytes} bytes, {METADATA_LIMIT_BYTES} are allowed"
    )]
    NoRoom {
        /// How long the user metadata would be.
        needed_bytes: usize,
    },
    /// What the copy will store of its content cannot be told before it is written.
    #[error("it stores no checksum that its copy will store too: give it a CRC64NVME checksum")]
    NothingToBind,
    /// The copy was written and did not store what the marker says, so it was removed.
    #[error(
        "its copy does not store what was stated with it, as under a default encryption with KMS: give it a checksum"
    )]
    NotReproduced,
}

/// What a marker says of a copy besides what the source's object says.
#[derive(Debug, Clone)]
pub struct MarkerRequest<'a> {
    /// The bucket that is copied from.
    pub source_bucket: &'a BucketName,
    /// Where the copy is written.
    pub place: ObjectLocation<'a>,
    /// The version of its key that it is written over.
    pub over: Option<VersionName>,
    /// When the destination was listed before the request, by its own clock.
    pub requested: Timestamp,
    /// When the copy is decided, by the clock of whoever decides it.
    pub decided: Timestamp,
    /// The source's attributes as the copy is to account for them.
    pub attributes: AttributeDigests,
}

impl Marker {
    /// Makes the marker of a copy, and says by which method it must be copied for the marker to hold: the `preferred` one,
    /// if that one's result can be told.
    pub fn for_copy(
        source: &ObjectFacts,
        preferred: CopyMethod,
        encrypts_with_kms: bool,
        request: MarkerRequest<'_>,
    ) -> Result<(CopyMethod, Self), MarkerError> {
        let (method, content) = bindable(source, preferred, encrypts_with_kms).ok_or(MarkerError::NothingToBind)?;
        let place = request.place;
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
        marker.digest = marker.hash(source, place).ok_or(MarkerError::NothingToBind)?;
        let kept: usize = without_marker(&source.user_metadata)
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let needed_bytes = kept + MARKER_NAME.len() + marker.to_text().len();
        if needed_bytes > METADATA_LIMIT_BYTES {
            return Err(MarkerError::NoRoom { needed_bytes });
        }
        Ok((method, marker))
    }

    /// Finds the marker that vouches for an object by what it says of itself. None means that the object is an external
    /// write: it has no marker, its facts do not reproduce the one it has, or its time is not that of the marker's request.
    #[must_use]
    pub fn bound(facts: &ObjectFacts, place: ObjectLocation<'_>) -> Option<Self> {
        let marker = Self::parse(facts.user_metadata.get(MARKER_NAME)?)?;
        let written = marker.possible_since()..=marker.requested.plus(WRITTEN_WITHIN);
        let is_bound =
            written.contains(&facts.last_modified) && marker.hash(facts, place).as_ref() == Some(&marker.digest);
        is_bound.then_some(marker)
    }

    /// Returns the marker that is stated with a copy.
    #[must_use]
    pub fn explicit(metadata: Option<&CopiedMetadata>) -> Option<Self> {
        Self::parse(metadata?.user.get(MARKER_NAME)?)
    }

    /// Returns since when an object can carry the marker.
    ///
    /// An upload in parts has the time of its start, at which its metadata was stated:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
    #[must_use]
    pub fn possible_since(&self) -> Timestamp {
        self.requested.minus(SKEW)
    }

    /// Tells whether it only holds for a copy made of the very parts that the source was uploaded in.
    #[must_use]
    pub fn needs_the_same_parts(&self) -> bool {
        match self.content {
            ContentBinding::Composite(_) => true,
            ContentBinding::Etag => self.source_etag.is_multipart(),
            ContentBinding::Empty | ContentBinding::FullObject(_) => false,
        }
    }

    /// Tells whether it holds the content by its `ETag`.
    #[must_use]
    pub fn needs_etag(&self) -> bool {
        self.content == ContentBinding::Etag
    }

    /// Tells whether an object stores what the marker holds its content by.
    #[must_use]
    pub fn binds(&self, facts: &ObjectFacts) -> bool {
        self.content.of(facts).is_some()
    }

    /// Tells whether it names exactly this version of the source.
    #[must_use]
    pub fn names(&self, source: &ObjectFacts) -> bool {
        self.source_version.is_some() && self.is_of(source)
    }

    /// Tells whether the source was not written again since the copy, as far as that can be told without versions.
    #[must_use]
    pub fn is_of(&self, source: &ObjectFacts) -> bool {
        self.source_version == source.version_id
            && self.source_etag == source.etag
            && self.source_last_modified == source.last_modified
    }

    /// Spells the marker as the value of its metadata entry, in printable ASCII.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.named();
        text.push(SEPARATOR);
        text.push_str(&self.digest);
        text
    }

    /// Spells everything but the hash.
    fn named(&self) -> String {
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

    /// Reads what `to_text` spells, and nothing else.
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

    /// Hashes what the marker stands for as `facts` say it; none where they do not hold what it binds the content by.
    fn hash(&self, facts: &ObjectFacts, place: ObjectLocation<'_>) -> Option<String> {
        let mut hash = Fields(Sha256::new());
        hash.add(&self.named());
        hash.add(place.bucket.as_str());
        hash.add(place.key.as_str());
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
        Some(hexadecimal(&hash.0.finalize()))
    }
}

/// Returns metadata with the marker in it, if there is one, as it is for a copy of the same source over the same version,
/// whenever it is requested.
pub(crate) fn whenever_requested(metadata: &CopiedMetadata) -> CopiedMetadata {
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

/// A hash of fields, each with its length: no two lists of fields are hashed alike.
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, field: &str) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn add_optional(&mut self, field: Option<&str>) {
        self.add(if field.is_some() { "some" } else { "none" });
        self.add(field.unwrap_or_default());
    }
}

/// Tells whether `time` is later than `other` in S3's whole seconds.
#[must_use]
pub fn is_newer(time: Timestamp, other: Timestamp) -> bool {
    time.millis().div_euclid(1000) > other.millis().div_euclid(1000)
}

/// Returns user metadata without our marker.
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
