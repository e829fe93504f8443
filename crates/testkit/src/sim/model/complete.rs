//! `CompleteMultipartUpload`: assembles the parts to an object.

use std::collections::BTreeMap;

use super::bucket::SimBucket;
use super::conditions::RequestConditions;
use super::content::SimContent;
use super::digest::{self, ChecksumAlgorithm};
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::EventType;
use super::multipart::{PART_MINIMUM_BYTES, SimUpload, UploadedPart};
use super::object::{ChecksumKind, ObjectPart, SimChecksum, SimObject};
use super::put::has_content_etag;
use super::simulator::{Simulator, WriteResult, WriteTarget};

/// Maximum size of an object: the maximum number of parts of the maximum size.
pub const OBJECT_LIMIT_BYTES: u64 = 10_000 * super::put::ONE_REQUEST_LIMIT_BYTES;

/// A part as the completion names it.
#[derive(Debug, Clone, Default)]
pub struct CompletedPart {
    /// Part number.
    pub number: u32,
    /// ETag, without quotes.
    pub etag: String,
    /// Checksums in the request.
    pub checksums: BTreeMap<ChecksumAlgorithm, String>,
}

/// A `CompleteMultipartUpload` request.
#[derive(Debug, Clone, Default)]
pub struct SimCompletion {
    /// Parts, in ascending order.
    pub parts: Vec<CompletedPart>,
    /// Conditions of the write.
    pub conditions: RequestConditions,
    /// Expected size of the object (`x-amz-mp-object-size`).
    pub expected_size_bytes: Option<u64>,
    /// Expected checksums of the object.
    pub declared: BTreeMap<ChecksumAlgorithm, String>,
    /// Expected checksum type.
    pub declared_kind: Option<ChecksumKind>,
}

impl Simulator {
    /// Completes a multipart upload (`CompleteMultipartUpload`).
    ///
    /// S3 orders the object by the start of the upload. Later writes and deletes of the key stay current, and the
    /// response is still a success.
    pub fn complete_upload(
        &mut self,
        target: WriteTarget<'_>,
        upload_id: &str,
        completion: &SimCompletion,
    ) -> SimResult<WriteResult> {
        let upload = self.upload(target, upload_id)?.clone();
        let parts = completion.named_parts(&upload)?;
        let content = SimContent::concat(parts.iter().map(|part| &part.content));
        completion.check_size(&content)?;
        let bucket = self.bucket(target.bucket)?;
        completion.conditions.check_write(bucket.current_object(target.key))?;
        if completion.conditions.guards_write() && deleted_since(bucket, target.key, &upload) {
            return Err(SimErrorCode::ConditionalRequestConflict.into());
        }
        let checksum = completion.checksum(&upload, &parts, &content)?;
        let etag = if has_content_etag(upload.explicit.encryption.as_ref()) {
            digest::multipart_etag(parts.iter().map(|part| part.md5.as_slice()))
        } else {
            format!("{}-{}", self.opaque_etag(), parts.len())
        };
        let object = SimObject {
            parts: object_parts(&upload, &parts),
            lists_parts: upload.checksum.is_some(),
            explicit: upload.explicit,
            content,
            etag,
            checksum: Some(checksum),
            restored: false,
            annotations: BTreeMap::new(),
        };
        self.bucket_mut(target.bucket)?.uploads.remove(upload_id);
        let written = self.store(target, object, upload.begun)?;
        self.notify(EventType::Complete, target, written.subject());
        Ok(written)
    }
}

/// Returns whether the key was deleted after the start of the upload. A condition then fails.
fn deleted_since(bucket: &SimBucket, key: &str, upload: &SimUpload) -> bool {
    let removed = bucket
        .removals
        .get(key)
        .is_some_and(|order| *order > upload.begun.order);
    let marked = bucket
        .current(key)
        .is_some_and(|version| version.object().is_none() && version.order > upload.begun.order);
    removed || marked
}

/// Returns the object's parts, renumbered from 1.
fn object_parts(upload: &SimUpload, parts: &[&UploadedPart]) -> Vec<ObjectPart> {
    let lists_checksums = upload.checksum.is_some();
    (1..)
        .zip(parts)
        .map(|(number, part)| ObjectPart {
            number,
            size_bytes: part.content.size_bytes(),
            checksum: part
                .checksum
                .as_ref()
                .filter(|_| lists_checksums)
                .map(|(_, value)| value.clone()),
        })
        .collect()
}

impl SimCompletion {
    fn named_parts<'a>(&self, upload: &'a SimUpload) -> SimResult<Vec<&'a UploadedPart>> {
        if self.parts.is_empty() {
            return Err(SimErrorCode::MalformedXml.into());
        }
        if !self.parts.is_sorted_by(|left, right| left.number < right.number) {
            return Err(SimErrorCode::InvalidPartOrder.into());
        }
        let composite = upload.checksum.filter(|(_, kind)| *kind == ChecksumKind::Composite);
        let mut found = Vec::with_capacity(self.parts.len());
        for named in &self.parts {
            let part = upload.parts.get(&named.number).filter(|part| part.etag() == named.etag);
            let part = part.ok_or(SimErrorCode::InvalidPart)?;
            named.check_checksum(part, composite.map(|(algorithm, _)| algorithm))?;
            found.push(part);
        }
        let too_small = |part: &&UploadedPart| part.content.size_bytes() < PART_MINIMUM_BYTES;
        if found.iter().rev().skip(1).any(too_small) {
            return Err(SimErrorCode::EntityTooSmall.into());
        }
        Ok(found)
    }

    fn check_size(&self, content: &SimContent) -> SimResult<()> {
        if content.size_bytes() > OBJECT_LIMIT_BYTES {
            return Err(SimErrorCode::EntityTooLarge.into());
        }
        match self.expected_size_bytes {
            Some(expected) if expected != content.size_bytes() => Err(SimError::because(
                SimErrorCode::InvalidRequest,
                format!(
                    "The provided 'x-amz-mp-object-size' header value {expected} does not match what was computed: {}",
                    content.size_bytes()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Returns the checksum with the upload's algorithm, or a full-object CRC64NVME.
    fn checksum(&self, upload: &SimUpload, parts: &[&UploadedPart], content: &SimContent) -> SimResult<SimChecksum> {
        let (algorithm, kind) = upload
            .checksum
            .unwrap_or((ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject));
        if self
            .declared_kind
            .is_some_and(|declared| upload.checksum.is_some() && declared != kind)
        {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                format!("The upload was created with the checksum type {}", kind.name()),
            ));
        }
        let value = match kind {
            ChecksumKind::FullObject => digest::checksum(algorithm, content),
            ChecksumKind::Composite => {
                let checksums = parts.iter().filter_map(|part| Some(part.checksum.as_ref()?.1.as_str()));
                digest::composite(algorithm, checksums).ok_or(SimErrorCode::InternalError)?
            }
        };
        match self.declared.get(&algorithm) {
            // The request may omit the number of parts.
            Some(declared) if *declared != value && !value.starts_with(&format!("{declared}-")) => {
                Err(SimErrorCode::BadDigest.into())
            }
            _ => Ok(SimChecksum { algorithm, kind, value }),
        }
    }
}

impl CompletedPart {
    /// Checks the checksums of a part. A composite checksum requires one for each part of the request.
    fn check_checksum(&self, part: &UploadedPart, composite: Option<ChecksumAlgorithm>) -> SimResult<()> {
        if let Some(algorithm) = composite
            && !self.checksums.contains_key(&algorithm)
        {
            return Err(SimError::because(
                SimErrorCode::InvalidRequest,
                format!(
                    "The upload was created using a {} checksum. The complete request must include the checksum for \
                     each part. It was missing for part {} in the request.",
                    algorithm.name().to_lowercase(),
                    self.number
                ),
            ));
        }
        let differs = |(algorithm, value): (&ChecksumAlgorithm, &String)| {
            let computed = digest::checksum(*algorithm, &part.content);
            computed != *value
        };
        if self.checksums.iter().any(differs) {
            return Err(SimErrorCode::InvalidPart.into());
        }
        Ok(())
    }
}
