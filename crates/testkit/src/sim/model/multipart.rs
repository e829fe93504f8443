//! Uploads in parts.
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

/// The highest part number.
pub const PART_NUMBER_LIMIT: u32 = 10_000;

/// The smallest part, except the last: 5 MiB.
pub const PART_MINIMUM_BYTES: u64 = 5 * 1024 * 1024;

/// An upload in progress.
#[derive(Debug, Clone)]
pub struct SimUpload {
    /// The key that it will write.
    pub key: String,
    /// Who began it, by the access key; `None` for a request without a signature.
    pub initiator: Option<String>,
    /// When it began: the place among all writes that the completed object takes.
    pub begun: WriteStart,
    /// What its starter said of the object, with the bucket's defaults of then.
    pub explicit: WriteAttributes,
    /// The checksum that its starter asked for.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// The parts so far.
    pub parts: BTreeMap<u32, UploadedPart>,
}

/// An uploaded part.
#[derive(Debug, Clone)]
pub struct UploadedPart {
    /// What it holds.
    pub content: SimContent,
    /// The MD5 of that, or random bytes where the encryption hides it.
    pub md5: Vec<u8>,
    /// Its checksum, where the upload or the part has one.
    pub checksum: Option<(ChecksumAlgorithm, String)>,
    /// When it was written.
    pub last_modified: Millis,
}

impl UploadedPart {
    /// Returns the ETag, without quotes.
    pub fn etag(&self) -> String {
        digest::hex(&self.md5)
    }
}

/// Which part of which upload.
#[derive(Debug, Clone, Copy)]
pub struct PartTarget<'a> {
    /// The bucket and key of the upload.
    pub target: WriteTarget<'a>,
    /// The upload.
    pub upload_id: &'a str,
    /// The part's number.
    pub number: u32,
}

/// What `UploadPartCopy` left.
#[derive(Debug, Clone)]
pub struct SimCopiedPart {
    /// The part.
    pub part: UploadedPart,
    /// The version id of the source.
    pub source_version_id: Option<String>,
}

/// Returns the checksum that an upload has by algorithm and type, or why they do not fit.
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
    /// `CreateMultipartUpload`.
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

    /// `UploadPart`.
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
        self.keep_part(part, content, sent)
    }

    /// `UploadPartCopy`.
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
            part: self.keep_part(part, content, None)?,
            source_version_id: found.version_id,
        })
    }

    /// Keeps a part; a part of the same number is replaced.
    fn keep_part(
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
        let kept = UploadedPart {
            md5,
            checksum: algorithm.map(|algorithm| (algorithm, digest::checksum(algorithm, &content))),
            content,
            last_modified: self.clock.now(),
        };
        if let Some(upload) = self.bucket_mut(part.target.bucket)?.uploads.get_mut(part.upload_id) {
            upload.parts.insert(part.number, kept.clone());
        }
        Ok(kept)
    }

    /// `AbortMultipartUpload`.
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
