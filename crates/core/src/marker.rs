//! The origin marker: how a copy in a bucket that others write to says that it is one, and of what.
//!
//! It is one entry of the copy's user metadata, written in the same request as the bytes. Because whoever copies an
//! object carries its metadata along, the marker binds what it stands for by a hash: bucket, key, size, content, headers
//! and metadata. An object whose own facts do not reproduce the hash is somebody else's.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::facts::{ChecksumCoverage, Checksums, Encryption, ObjectFacts};
use crate::history::{VersionName, VersionStamp};
use crate::names::{BucketName, ETag, ObjectKey, VersionId};
use crate::order::{CopyMethod, CopyOrder, full_object_from_parts};
use crate::plan::COPY_OBJECT_LIMIT_BYTES;
use crate::time::Timestamp;
use crate::upload::hexadecimal;

/// The name of the marker in user metadata.
pub const MARKER_NAME: &str = "s3ferry-origin";

/// How much user metadata an object takes, counting the bytes of names and values.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
pub const METADATA_LIMIT_BYTES: usize = 2048;

/// The version of the marker's form.
const FORM: &str = "1";

/// What separates the marker's fields, which are escaped.
const SEPARATOR: char = ';';

/// What needs no escape within a field.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where an object is: a marker says nothing about an object anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The key.
    pub key: &'a ObjectKey,
}

/// Says of what an object is a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The version that was copied, where the source has versions.
    pub source_version: Option<VersionId>,
    /// Its tag.
    pub source_etag: ETag,
    /// When it was written.
    pub source_last_modified: Timestamp,
    /// The version of the copy's key that the copy was written over.
    pub over: Option<VersionName>,
    /// When a copy in one request was decided, which tells two copies of one version apart. A copy in parts may be decided
    /// in several invocations, and is written once.
    ordered: Option<Timestamp>,
    content: Content,
    digest: String,
}

/// By what a marker binds the content.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// There is none: the size says it all.
    Empty,
    /// The `ETag`, which is a hash of the content.
    Etag,
    /// A checksum of the whole content, by algorithm.
    FullObject(String),
    /// A checksum of the checksums of parts, by algorithm.
    Composite(String),
}

/// Why a copy cannot carry a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotMark {
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

impl Marker {
    /// Makes the marker of a copy that is decided `now` and to be written at `place` over the version `over`, and says by
    /// which method it must be copied for the marker to hold: the `preferred` one, if that one's result can be told.
    pub fn for_copy(
        source: &ObjectFacts,
        preferred: CopyMethod,
        encrypts_with_kms: bool,
        place: Place<'_>,
        over: Option<VersionName>,
        now: Timestamp,
    ) -> Result<(CopyMethod, Self), CannotMark> {
        let (method, content) = bindable(source, preferred, encrypts_with_kms).ok_or(CannotMark::NothingToBind)?;
        let mut marker = Self {
            source_version: source.version_id.clone(),
            source_etag: source.etag.clone(),
            source_last_modified: source.last_modified,
            over,
            ordered: (method == CopyMethod::Whole).then_some(now),
            content,
            digest: String::new(),
        };
        marker.digest = marker.hash(source, place).ok_or(CannotMark::NothingToBind)?;
        let kept: usize = without_marker(&source.user_metadata)
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let needed_bytes = kept + MARKER_NAME.len() + marker.to_text().len();
        if needed_bytes > METADATA_LIMIT_BYTES {
            return Err(CannotMark::NoRoom { needed_bytes });
        }
        Ok((method, marker))
    }

    /// Finds the marker of an object that is a copy of ours. None means that the object is somebody else's: it has no
    /// marker, or its facts do not reproduce the one it has.
    #[must_use]
    pub fn bound(facts: &ObjectFacts, place: Place<'_>) -> Option<Self> {
        let marker = Self::parse(facts.user_metadata.get(MARKER_NAME)?)?;
        (marker.hash(facts, place).as_ref() == Some(&marker.digest)).then_some(marker)
    }

    /// Returns the marker that a copy was ordered with.
    #[must_use]
    pub fn ordered(order: &CopyOrder) -> Option<Self> {
        let metadata = order.stated.metadata.as_ref()?;
        Self::parse(metadata.user.get(MARKER_NAME)?)
    }

    /// Tells whether it only holds for a copy made of the very parts that the source was uploaded in.
    #[must_use]
    pub fn needs_the_same_parts(&self) -> bool {
        match self.content {
            Content::Composite(_) => true,
            Content::Etag => self.source_etag.is_multipart(),
            Content::Empty | Content::FullObject(_) => false,
        }
    }

    /// Tells whether it names exactly this version of the source.
    #[must_use]
    pub fn names(&self, source: &ObjectFacts) -> bool {
        self.source_version.is_some()
            && self.source_version == source.version_id
            && self.source_etag == source.etag
            && self.source_last_modified == source.last_modified
    }

    /// Tells whether the copy hides a version that nobody had seen when it was decided: one that lies right `below` it,
    /// is not the one it was written over, and is as new as what was copied.
    #[must_use]
    pub fn hides(&self, below: Option<&VersionStamp>) -> bool {
        below.is_some_and(|below| {
            Some(&below.version) != self.over.as_ref() && !is_newer(self.source_last_modified, below.last_modified)
        })
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
            escaped(self.source_version.as_ref().map_or("", VersionId::as_str)),
            escaped(self.source_etag.as_str()),
            self.source_last_modified.millis().to_string(),
            escaped(self.over.as_ref().map_or("", VersionName::as_str)),
            self.ordered
                .map(|ordered| ordered.millis().to_string())
                .unwrap_or_default(),
            self.content.to_text(),
        ];
        fields.join(&SEPARATOR.to_string())
    }

    /// Reads what `to_text` spells, and nothing else.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(SEPARATOR).collect();
        let [FORM, version, etag, millis, over, ordered, content, digest] = fields[..] else {
            return None;
        };
        let marker = Self {
            source_version: VersionId::pinnable(&unescaped(version)?),
            source_etag: ETag::new(&unescaped(etag)?).ok()?,
            source_last_modified: Timestamp::from_millis(millis.parse().ok()?),
            over: VersionName::new(&unescaped(over)?),
            ordered: match ordered {
                "" => None,
                millis => Some(Timestamp::from_millis(millis.parse().ok()?)),
            },
            content: Content::parse(content)?,
            digest: digest.to_owned(),
        };
        (marker.to_text() == text).then_some(marker)
    }

    /// Hashes what the marker stands for as `facts` say it; none where they do not hold what it binds the content by.
    fn hash(&self, facts: &ObjectFacts, place: Place<'_>) -> Option<String> {
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

impl Content {
    fn to_text(&self) -> String {
        match self {
            Self::Empty => "empty".to_owned(),
            Self::Etag => "etag".to_owned(),
            Self::FullObject(algorithm) => format!("full.{}", escaped(algorithm)),
            Self::Composite(algorithm) => format!("composite.{}", escaped(algorithm)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            None if text == "empty" => Some(Self::Empty),
            None if text == "etag" => Some(Self::Etag),
            Some(("full", algorithm)) => unescaped(algorithm).map(Self::FullObject),
            Some(("composite", algorithm)) => unescaped(algorithm).map(Self::Composite),
            _ => None,
        }
    }

    /// Returns what an object stores of it.
    fn of<'a>(&self, facts: &'a ObjectFacts) -> Option<&'a str> {
        let checksum = |coverage, algorithm: &str| {
            let Checksums {
                coverage: stored,
                values,
            } = &facts.checksums;
            (*stored == coverage)
                .then(|| values.get(algorithm).map(String::as_str))
                .flatten()
        };
        match self {
            Self::Empty => (facts.size_bytes == 0).then_some(""),
            Self::Etag => (facts.encryption == Encryption::Managed).then(|| facts.etag.as_str()),
            Self::FullObject(algorithm) => checksum(ChecksumCoverage::FullObject, algorithm),
            Self::Composite(algorithm) => checksum(ChecksumCoverage::Composite, algorithm),
        }
    }
}

/// Finds something that source and copy will both store of the content, and the method of copying that makes it so.
fn bindable(source: &ObjectFacts, preferred: CopyMethod, encrypts_with_kms: bool) -> Option<(CopyMethod, Content)> {
    let other = match preferred {
        CopyMethod::Whole => CopyMethod::Parts,
        CopyMethod::Parts => CopyMethod::Whole,
    };
    let possible = |method: &CopyMethod| match method {
        CopyMethod::Whole => source.size_bytes <= COPY_OBJECT_LIMIT_BYTES,
        CopyMethod::Parts => source.size_bytes > 0,
    };
    [preferred, other].into_iter().filter(possible).find_map(|method| {
        let content = stored_by_both(source, method, encrypts_with_kms)?;
        Some((method, content))
    })
}

/// Tells whether a copy by `method` and its source both store something of the content that can be compared.
pub(crate) fn copy_is_comparable(source: &ObjectFacts, method: CopyMethod, encrypts_with_kms: bool) -> bool {
    stored_by_both(source, method, encrypts_with_kms).is_some()
}

/// Says what a copy stores of the content that its source stores too.
///
/// One request makes one part of any object: it keeps the tag of a single part and a checksum of the whole. Parts keep the
/// tag and the composite checksum of the same parts, and those checksums of the whole that S3 computes from parts.
fn stored_by_both(source: &ObjectFacts, method: CopyMethod, encrypts_with_kms: bool) -> Option<Content> {
    if source.size_bytes == 0 {
        return Some(Content::Empty);
    }
    let in_parts = method == CopyMethod::Parts;
    let algorithm = source.checksums.values.keys().next().map(|name| (*name).to_owned());
    let by_checksum = algorithm.and_then(|algorithm| match source.checksums.coverage {
        ChecksumCoverage::FullObject => {
            let keeps = !in_parts || full_object_from_parts(&algorithm);
            keeps.then_some(Content::FullObject(algorithm))
        }
        ChecksumCoverage::Composite => in_parts.then_some(Content::Composite(algorithm)),
    });
    let is_hash = source.encryption == Encryption::Managed && !encrypts_with_kms;
    let by_etag = (is_hash && source.etag.is_multipart() == in_parts).then_some(Content::Etag);
    by_checksum.or(by_etag)
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
