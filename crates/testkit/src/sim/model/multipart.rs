//! Uploads in parts.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::BTreeMap;

use super::clock::Millis;
use super::content::Content;
use super::copy::{CopyRange, Source, source_too_large};
use super::digest::{self, Algorithm};
use super::object::{ChecksumKind, Stated};
use super::put::{Declared, ONE_REQUEST_LIMIT_BYTES, check_key, has_content_etag};
use super::refusal::{Answer, Code, Refusal};
use super::simulator::{Beginning, Simulator, Target};

/// The highest part number.
pub const PART_NUMBER_LIMIT: u32 = 10_000;

/// The smallest part, except the last: 5 MiB.
pub const PART_MINIMUM_BYTES: u64 = 5 * 1024 * 1024;

/// An upload in progress.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The key that it will write.
    pub key: String,
    /// Who began it, by the access key; `None` for a request without a signature.
    pub initiator: Option<String>,
    /// When it began: the place among all writes that the completed object takes.
    pub begun: Beginning,
    /// What its starter said of the object, with the bucket's defaults of then.
    pub stated: Stated,
    /// The checksum that its starter asked for.
    pub checksum: Option<(Algorithm, ChecksumKind)>,
    /// The parts so far.
    pub parts: BTreeMap<u32, Part>,
}

/// An uploaded part.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it holds.
    pub content: Content,
    /// The MD5 of that, or random bytes where the encryption hides it.
    pub md5: Vec<u8>,
    /// Its checksum, where the upload or the part has one.
    pub checksum: Option<(Algorithm, String)>,
    /// When it was written.
    pub last_modified: Millis,
}

impl Part {
    /// Returns the ETag, without quotes.
    pub fn etag(&self) -> String {
        digest::hex(&self.md5)
    }
}

/// Which part of which upload.
#[derive(Debug, Clone, Copy)]
pub struct PartTarget<'a> {
    /// The bucket and key of the upload.
    pub target: Target<'a>,
    /// The upload.
    pub upload_id: &'a str,
    /// The part's number.
    pub number: u32,
}

/// What `UploadPartCopy` left.
#[derive(Debug, Clone)]
pub struct CopiedPart {
    /// The part.
    pub part: Part,
    /// The version id of the source.
    pub source_version_id: Option<String>,
}

/// Returns the checksum that an upload has by algorithm and type, or why they do not fit.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
pub fn upload_checksum(
    algorithm: Option<Algorithm>,
    kind: Option<ChecksumKind>,
) -> Answer<Option<(Algorithm, ChecksumKind)>> {
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(Refusal::because(
                Code::InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
        };
    };
    let only = match algorithm {
        Algorithm::Crc64Nvme => Some(ChecksumKind::FullObject),
        Algorithm::Sha1 | Algorithm::Sha256 => Some(ChecksumKind::Composite),
        Algorithm::Crc32 | Algorithm::Crc32c => None,
    };
    match (only, kind) {
        (Some(only), Some(kind)) if only != kind => Err(Refusal::because(
            Code::InvalidRequest,
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
        target: Target<'_>,
        initiator: Option<String>,
        stated: Stated,
        checksum: Option<(Algorithm, ChecksumKind)>,
    ) -> Answer<String> {
        let bucket = self.bucket(target.bucket)?;
        check_key(target.key)?;
        stated.check(bucket, self.clock.now())?;
        let stated = stated.completed(bucket, self.clock.now());
        let begun = self.begin();
        let id = self.identifier(64);
        let upload = Upload {
            key: target.key.to_owned(),
            initiator,
            begun,
            stated,
            checksum,
            parts: BTreeMap::new(),
        };
        self.bucket_mut(target.bucket)?.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    /// Returns an upload of a key.
    pub fn upload(&self, target: Target<'_>, upload_id: &str) -> Answer<&Upload> {
        self.bucket(target.bucket)?
            .uploads
            .get(upload_id)
            .filter(|upload| upload.key == target.key)
            .ok_or_else(|| Code::NoSuchUpload.into())
    }

    /// `UploadPart`.
    pub fn upload_part(&mut self, part: PartTarget<'_>, content: Content, declared: &Declared) -> Answer<Part> {
        check_part_number(part.number)?;
        let upload = self.upload(part.target, part.upload_id)?;
        if content.size_bytes() > ONE_REQUEST_LIMIT_BYTES {
            return Err(Code::EntityTooLarge.into());
        }
        let sent = declared.verify(&content)?;
        if let (Some((wanted, _)), Some(sent)) = (upload.checksum, sent)
            && wanted != sent
        {
            return Err(Refusal::because(
                Code::InvalidRequest,
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
        source: &Source,
        range: Option<CopyRange>,
    ) -> Answer<CopiedPart> {
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
        Ok(CopiedPart {
            part: self.keep_part(part, content, None)?,
            source_version_id: found.version_id,
        })
    }

    /// Keeps a part; a part of the same number is replaced.
    fn keep_part(&mut self, part: PartTarget<'_>, content: Content, sent: Option<Algorithm>) -> Answer<Part> {
        let upload = self.upload(part.target, part.upload_id)?;
        let algorithm = upload.checksum.map(|(algorithm, _)| algorithm).or(sent);
        let md5 = if has_content_etag(upload.stated.encryption.as_ref()) {
            digest::md5(&content)
        } else {
            digest::md5_of_bytes(self.opaque_etag().as_bytes())
        };
        let kept = Part {
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
    pub fn abort_upload(&mut self, target: Target<'_>, upload_id: &str) -> Answer<()> {
        self.upload(target, upload_id)?;
        self.bucket_mut(target.bucket)?.uploads.remove(upload_id);
        Ok(())
    }
}

fn check_part_number(number: u32) -> Answer<()> {
    if (1..=PART_NUMBER_LIMIT).contains(&number) {
        return Ok(());
    }
    Err(Refusal::because(
        Code::InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive",
    ))
}
