//! The value by which a marker binds the content of a copy.

use super::{escaped, unescaped};
use crate::facts::{ChecksumCoverage, Encryption, ObjectFacts, StoredChecksums};
use crate::order::{CopyMethod, full_object_from_parts};
use crate::plan::COPY_OBJECT_LIMIT_BYTES;

/// Value that binds the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContentBinding {
    /// No value: the object is empty.
    Empty,
    /// `ETag`, which is a hash of the content.
    Etag,
    /// Full-object checksum, by algorithm.
    FullObject(String),
    /// Composite checksum, by algorithm.
    Composite(String),
}

impl ContentBinding {
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Empty => "empty".to_owned(),
            Self::Etag => "etag".to_owned(),
            Self::FullObject(algorithm) => format!("full.{}", escaped(algorithm)),
            Self::Composite(algorithm) => format!("composite.{}", escaped(algorithm)),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            None if text == "empty" => Some(Self::Empty),
            None if text == "etag" => Some(Self::Etag),
            Some(("full", algorithm)) => unescaped(algorithm).map(Self::FullObject),
            Some(("composite", algorithm)) => unescaped(algorithm).map(Self::Composite),
            _ => None,
        }
    }

    /// Returns the value that an object stores, if any.
    pub(super) fn of<'a>(&self, facts: &'a ObjectFacts) -> Option<&'a str> {
        let checksum = |coverage, algorithm: &str| {
            let StoredChecksums {
                coverage: stored,
                values,
            } = &facts.checksums;
            (*stored == coverage)
                .then(|| values.get(algorithm).map(String::as_str))
                .flatten()
        };
        match self {
            Self::Empty => (facts.size_bytes == 0).then_some(""),
            // `UpdateObjectEncryption` preserves the `ETag`; any other `ETag` under KMS is not a hash and matches none.
            Self::Etag => (facts.encryption != Encryption::CustomerKey).then(|| facts.etag.as_str()),
            Self::FullObject(algorithm) => checksum(ChecksumCoverage::FullObject, algorithm),
            Self::Composite(algorithm) => checksum(ChecksumCoverage::Composite, algorithm),
        }
    }
}

/// Returns a value that source and copy will both store of the content, and the copy method for that.
pub(super) fn bindable(
    source: &ObjectFacts,
    preferred: CopyMethod,
    encrypts_with_kms: bool,
) -> Option<(CopyMethod, ContentBinding)> {
    let other = match preferred {
        CopyMethod::SingleRequest => CopyMethod::Multipart,
        CopyMethod::Multipart => CopyMethod::SingleRequest,
    };
    let possible = |method: &CopyMethod| match method {
        CopyMethod::SingleRequest => source.size_bytes <= COPY_OBJECT_LIMIT_BYTES,
        CopyMethod::Multipart => source.size_bytes > 0,
    };
    [preferred, other].into_iter().filter(possible).find_map(|method| {
        let content = stored_by_both(source, method, encrypts_with_kms)?;
        Some((method, content))
    })
}

/// Returns whether a copy by `method` and its source both store a comparable value of the content.
pub(crate) fn copy_is_comparable(source: &ObjectFacts, method: CopyMethod, encrypts_with_kms: bool) -> bool {
    stored_by_both(source, method, encrypts_with_kms).is_some()
}

/// Returns the value that both a copy and its source store of the content.
///
/// A single-request copy makes one part of any object: it has the source's `ETag` if that is of a single part, and
/// its full-object checksum. A multipart copy with the source's parts has its `ETag` and composite checksum. It also
/// has those full-object checksums that S3 computes from parts.
fn stored_by_both(source: &ObjectFacts, method: CopyMethod, encrypts_with_kms: bool) -> Option<ContentBinding> {
    if source.size_bytes == 0 {
        return Some(ContentBinding::Empty);
    }
    let multipart = method == CopyMethod::Multipart;
    let algorithm = source.checksums.values.keys().next().map(|name| (*name).to_owned());
    let by_checksum = algorithm.and_then(|algorithm| match source.checksums.coverage {
        ChecksumCoverage::FullObject => {
            let is_preserved = !multipart || full_object_from_parts(&algorithm);
            is_preserved.then_some(ContentBinding::FullObject(algorithm))
        }
        ChecksumCoverage::Composite => multipart.then_some(ContentBinding::Composite(algorithm)),
    });
    let is_hash = source.encryption == Encryption::Managed && !encrypts_with_kms;
    let by_etag = (is_hash && source.etag.is_multipart() == multipart).then_some(ContentBinding::Etag);
    by_checksum.or(by_etag)
}
