//! Multipart uploads.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::BTreeMap;

use super::clock::Millis;
use super::content::SimContent;
use super::copy::{CopyRange, CopySource, source_too_large};
use super::digest::{self, ChecksumAlgorithm};
use super::error::{SimError, SimErrorCode, SimResult};
use super::object::{ChecksumKind, WriteAttributes};
use super::put::{DeclaredChecksums, ONE_REQUEST_LIMIT_BYTES, check_key, has_content_etag};
use super::simulator::{Simulator, WriteStart, WriteTarget};

/// Maximum part number.
pub const PART_NUMBER_LIMIT: u32 = 10_000;

/// Minimum size of a part, except the last: 5 MiB.
pub const PART_MINIMUM_BYTES: u64 = 5 * 1024 * 1024;

/// A multipart upload in progress.
#[derive(Debug, Clone)]
pub struct SimUpload {
    /// Key of the object.
    pub key: String,
    /// Access key of the initiator; `None` for a request without a signature.
    pub initiator: Option<String>,
    /// Start of the upload, which orders the completed object among all writes.
    pub begun: WriteStart,
    /// Attributes that `CreateMultipartUpload` set, including the bucket's defaults at that time.
    pub explicit: WriteAttributes,
    /// Checksum algorithm and type that `CreateMultipartUpload` set.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// Uploaded parts by number.
    pub parts: BTreeMap<u32, UploadedPart>,
}

/// An uploaded part.
#[derive(Debug, Clone)]
pub struct UploadedPart {
    /// Content.
    pub content: SimContent,
    /// MD5 of the content, or random bytes if the encryption hides it.
    pub md5: Vec<u8>,
    /// Checksum, if the upload or the part has one.
    pub checksum: Option<(ChecksumAlgorithm, String)>,
    /// Time of the write.
    pub last_modified: Millis,
}

impl UploadedPart {
    /// Returns the ETag, without quotes.
    pub fn etag(&self) -> String {
        digest::hex(&self.md5)
    }
}

/// A part of an upload that a request addresses.
#[derive(Debug, Clone, Copy)]
pub struct PartTarget<'a> {
    /// Bucket and key of the upload.
    pub target: WriteTarget<'a>,
    /// Upload id.
    pub upload_id: &'a str,
    /// Part number.
    pub number: u32,
}

/// Result of `UploadPartCopy`.
#[derive(Debug, Clone)]
pub struct SimCopiedPart {
    /// The copied part.
    pub part: UploadedPart,
    /// Version id of the source.
    pub source_version_id: Option<String>,
}

/// Returns the checksum algorithm and type of an upload, or an error if they do not match.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
pub fn upload_checksum(
    algorithm: Option<ChecksumAlgorithm>,
    kind: Option<ChecksumKind>,
) -> SimResult<Option<(ChecksumAlgorithm, ChecksumKind)>> {
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(SimError::because(
                SimErrorCode::InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
        };
    };
    let only = match algorithm {
        ChecksumAlgorithm::Crc64Nvme => Some(ChecksumKind::FullObject),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => Some(ChecksumKind::Composite),
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => None,
    };
    match (only, kind) {
        (Some(only), Some(kind)) if only != kind => Err(SimError::because(
            SimErrorCode::InvalidRequest,
            format!(
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                kind.name(),
                algorithm.name()
            ),
        )),
        (Some(only), _) => Ok(Some((algorithm, only))),
        (None, kind) => Ok(Some((algorithm, kind.unwrap_or(ChecksumKind::Composite)))),
    }
}

impl Simulator {
    /// Creates a multipart upload (`CreateMultipartUpload`).
    pub fn create_upload(
        &mut self,
        target: WriteTarget<'_>,
        initiator: Option<String>,
        explicit: WriteAttributes,
        checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    ) -> SimResult<String> {
        let bucket = self.bucket(target.bucket)?;
        check_key(target.key)?;
        explicit.check(bucket, self.clock.now())?;
        let explicit = explicit.completed(bucket, self.clock.now());
        let begun = self.begin();
        let id = self.identifier(64);
        let upload = SimUpload {
            key: target.key.to_owned(),
            initiator,
            begun,
            explicit,
            checksum,
            parts: BTreeMap::new(),
        };
        self.bucket_mut(target.bucket)?.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    /// Returns an upload of a key.
    pub fn upload(&self, target: WriteTarget<'_>, upload_id: &str) -> SimResult<&SimUpload> {
        self.bucket(target.bucket)?
            .uploads
            .get(upload_id)
            .filter(|upload| upload.key == target.key)
            .ok_or_else(|| SimErrorCode::NoSuchUpload.into())
    }

    /// Uploads a part (`UploadPart`).
    pub fn upload_part(
        &mut self,
        part: PartTarget<'_>,
        content: SimContent,
        declared: &DeclaredChecksums,
    ) -> SimResult<UploadedPart> {
        check_part_number(part.number)?;
        let upload = self.upload(part.target, part.upload_id)?;
        if content.size_bytes() > ONE_REQUEST_LIMIT_BYTES {
            return Err(SimErrorCode::EntityTooLarge.into());
        }
        let sent = declared.verify(&content)?;
        if let (Some((wanted, _)), Some(sent)) = (upload.checksum, sent)
            && wanted != sent
        {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                format!(
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                    wanted.name().to_lowercase(),
                    sent.name().to_lowercase()
                ),
            ));
        }
        self.store_part(part, content, sent)
    }

    /// Copies a part (`UploadPartCopy`).
    pub fn upload_part_copy(
        &mut self,
        part: PartTarget<'_>,
        source: &CopySource,
        range: Option<CopyRange>,
    ) -> SimResult<SimCopiedPart> {
        check_part_number(part.number)?;
        self.upload(part.target, part.upload_id)?;
        let found = self.find_source(source)?;
        let content = match range {
            Some(range) => range.of(&found.object.content)?,
            None => found.object.content,
        };
        if content.size_bytes() > ONE_REQUEST_LIMIT_BYTES {
            return Err(source_too_large());
        }
        Ok(SimCopiedPart {
            part: self.store_part(part, content, None)?,
            source_version_id: found.version_id,
        })
    }

    /// Stores a part. A part with the same number is replaced.
    fn store_part(
        &mut self,
        part: PartTarget<'_>,
        content: SimContent,
        sent: Option<ChecksumAlgorithm>,
    ) -> SimResult<UploadedPart> {
        let upload = self.upload(part.target, part.upload_id)?;
        let algorithm = upload.checksum.map(|(algorithm, _)| algorithm).or(sent);
        let md5 = if has_content_etag(upload.explicit.encryption.as_ref()) {
            digest::md5(&content)
        } else {
            digest::md5_of_bytes(self.opaque_etag().as_bytes())
        };
        let stored = UploadedPart {
            md5,
            checksum: algorithm.map(|algorithm| (algorithm, digest::checksum(algorithm, &content))),
            content,
            last_modified: self.clock.now(),
        };
        if let Some(upload) = self.bucket_mut(part.target.bucket)?.uploads.get_mut(part.upload_id) {
            upload.parts.insert(part.number, stored.clone());
        }
        Ok(stored)
    }

    /// Aborts a multipart upload (`AbortMultipartUpload`).
    pub fn abort_upload(&mut self, target: WriteTarget<'_>, upload_id: &str) -> SimResult<()> {
        self.upload(target, upload_id)?;
        self.bucket_mut(target.bucket)?.uploads.remove(upload_id);
        Ok(())
    }
}

fn check_part_number(number: u32) -> SimResult<()> {
    if (1..=PART_NUMBER_LIMIT).contains(&number) {
        return Ok(());
    }
    Err(SimError::because(
        SimErrorCode::InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive",
    ))
}
