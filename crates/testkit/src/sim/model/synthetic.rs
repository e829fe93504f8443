//! Synthetic objects, which the side door creates: any size, without stored bytes.

use super::clock::Millis;
use super::complete::OBJECT_LIMIT_BYTES;
use super::content::SimContent;
use super::digest::{self, ChecksumAlgorithm};
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::EventType;
use super::multipart::{PART_MINIMUM_BYTES, PART_NUMBER_LIMIT};
use super::object::{ChecksumKind, ObjectPart, SimChecksum, WriteAttributes};
use super::put::{ONE_REQUEST_LIMIT_BYTES, check_key, has_content_etag};
use super::simulator::{Simulator, WriteResult, WriteTarget};

/// A synthetic object to create.
#[derive(Debug, Clone, Default)]
pub struct SyntheticObject {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Seed of the bytes.
    pub seed: u64,
    /// Size of the parts, except the last. `None` creates an object without parts.
    pub part_size_bytes: Option<u64>,
    /// Attributes of the object.
    pub explicit: WriteAttributes,
    /// Checksum of the object.
    pub checksum: SyntheticChecksum,
    /// Last-Modified; `None` is the current time.
    pub last_modified: Option<Millis>,
}

/// Checksum of a synthetic object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyntheticChecksum {
    /// The default of S3: a full-object CRC64NVME.
    #[default]
    Default,
    /// No checksum, as for objects from before S3 computed one for each object.
    Missing,
    /// A checksum with this algorithm: composite if the object has parts and the algorithm allows it.
    Of(ChecksumAlgorithm, Option<ChecksumKind>),
}

impl Simulator {
    /// Creates a synthetic object and its notification.
    pub fn put_synthetic(&mut self, target: WriteTarget<'_>, synthetic: &SyntheticObject) -> SimResult<WriteResult> {
        let bucket = self.bucket(target.bucket)?;
        check_key(target.key)?;
        synthetic.explicit.check(bucket, self.clock.now())?;
        synthetic.check_sizes()?;
        let explicit = synthetic.explicit.clone().completed(bucket, self.clock.now());
        let mut begun = self.begin();
        begun.at = synthetic.last_modified.unwrap_or(begun.at);
        let content = SimContent::synthetic(synthetic.seed, synthetic.size_bytes);
        let algorithm = match synthetic.checksum {
            SyntheticChecksum::Default => Some(ChecksumAlgorithm::Crc64Nvme),
            SyntheticChecksum::Missing => None,
            SyntheticChecksum::Of(algorithm, _) => Some(algorithm),
        };
        let mut object = self.single_request_object(explicit, content, algorithm);
        let mut event_type = EventType::Put;
        if let Some(part_size_bytes) = synthetic.part_size_bytes {
            event_type = EventType::Complete;
            let parts = parts_of(&object.content, part_size_bytes);
            let upload_checksum = match synthetic.checksum {
                SyntheticChecksum::Of(algorithm, kind) => super::multipart::upload_checksum(Some(algorithm), kind)?,
                SyntheticChecksum::Default | SyntheticChecksum::Missing => None,
            };
            if has_content_etag(object.explicit.encryption.as_ref()) {
                let md5s: Vec<_> = parts.iter().map(digest::md5).collect();
                object.etag = digest::multipart_etag(md5s.iter().map(Vec::as_slice));
            } else {
                object.etag = format!("{}-{}", object.etag, parts.len());
            }
            object.lists_parts = upload_checksum.is_some();
            object.parts = (1..)
                .zip(&parts)
                .map(|(number, part)| ObjectPart {
                    number,
                    size_bytes: part.size_bytes(),
                    checksum: upload_checksum.map(|(algorithm, _)| digest::checksum(algorithm, part)),
                })
                .collect();
            if let Some((algorithm, ChecksumKind::Composite)) = upload_checksum {
                let checksums = object.parts.iter().filter_map(|part| part.checksum.as_deref());
                object.checksum = digest::composite(algorithm, checksums).map(|value| SimChecksum {
                    algorithm,
                    kind: ChecksumKind::Composite,
                    value,
                });
            }
        }
        let written = self.store(target, object, begun)?;
        self.notify(event_type, target, written.subject());
        Ok(written)
    }
}

fn parts_of(content: &SimContent, part_size_bytes: u64) -> Vec<SimContent> {
    let count = content.size_bytes().div_ceil(part_size_bytes).max(1);
    (0..count)
        .map(|index| content.slice(index * part_size_bytes, part_size_bytes))
        .collect()
}

impl SyntheticObject {
    fn check_sizes(&self) -> SimResult<()> {
        let reject = |message: String| Err(SimError::because(SimErrorCode::InvalidArgument, message));
        if self.size_bytes > OBJECT_LIMIT_BYTES {
            return reject(format!(
                "size_bytes is {}: at most {OBJECT_LIMIT_BYTES}, 10000 parts of 5 GiB",
                self.size_bytes
            ));
        }
        let Some(part) = self.part_size_bytes else {
            return Ok(());
        };
        if !(PART_MINIMUM_BYTES..=ONE_REQUEST_LIMIT_BYTES).contains(&part) {
            return reject(format!(
                "part_size_bytes is {part}: from {PART_MINIMUM_BYTES} to {ONE_REQUEST_LIMIT_BYTES}"
            ));
        }
        if self.size_bytes.div_ceil(part) > u64::from(PART_NUMBER_LIMIT) {
            return reject(format!(
                "part_size_bytes is {part}: {} bytes make more than {PART_NUMBER_LIMIT} such parts",
                self.size_bytes
            ));
        }
        Ok(())
    }
}
