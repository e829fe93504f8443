//! The in-memory bucket as a destination.

use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::facts::{
    Attribute, AttributeSet, Availability, ChecksumCoverage, Encryption, ExplicitEncryption, ObjectFacts, ObjectState,
};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::lock::ObjectLock;
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{
    AttributeUpdate, CopyOrder, ExplicitAttributes, SourcePin, UploadParameters, WriteCondition,
};
use s3ferry_core::plan::{COPY_OBJECT_LIMIT_BYTES, PlannedPart};
use s3ferry_core::time::Timestamp;
use s3ferry_core::upload::{ListedUpload, UploadId};
use s3ferry_core::versions::{VersionListing, VersionName};
use s3ferry_engine::ports::{
    Absence, CopiedPart, DestinationObjects, DestinationVersions, MultipartProgress, MultipartUploads,
    UploadCompletion, WriteError, WrittenObject,
};

use super::{
    Inner, MemoryBucket, Piece, S3FERRY_INITIATOR, StoredObject, Upload, Version, checksum, etag_of, full_checksum,
    name_of, plain_facts,
};

/// A destination bucket, with the source bucket that it copies from.
#[derive(Debug, Clone)]
pub struct MemoryDestination {
    /// Source of copies.
    pub source: MemoryBucket,
    /// Destination of copies.
    pub bucket: MemoryBucket,
}

impl MemoryDestination {
    fn check(&self, key: &ObjectKey, condition: &WriteCondition) -> Result<(), WriteError> {
        let current = self.bucket.lock().current(key.as_str());
        let holds = match (condition, current) {
            (WriteCondition::Absent, None) => true,
            (WriteCondition::Matches(etag), Some(object)) => object.facts.etag == *etag,
            (WriteCondition::Absent, Some(_)) | (WriteCondition::Matches(_), None) => false,
        };
        if holds {
            Ok(())
        } else {
            Err(WriteError::PreconditionFailed)
        }
    }
}

impl DestinationObjects for MemoryDestination {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        Ok(self.bucket.state(key, attributes))
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        Ok(self.bucket.absence(key))
    }

    async fn object_lock(&self) -> Result<Option<BucketObjectLock>, Failure> {
        Ok(self.bucket.lock().object_lock)
    }

    async fn default_encryption(&self) -> Result<Option<ExplicitEncryption>, Failure> {
        let inner = self.bucket.lock();
        if inner.default_encryption_is_denied {
            return Ok(None);
        }
        Ok(Some(match inner.default_encryption() {
            Encryption::Kms(kms) => ExplicitEncryption::Kms(kms),
            Encryption::Managed | Encryption::CustomerKey => ExplicitEncryption::Managed,
        }))
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        Ok(self.bucket.lock().has_acl)
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<WrittenObject, WriteError> {
        let object = match &order.in_place {
            Some(own) => self.bucket.pinned(key, own),
            None => self.source.pinned(key, &order.pin),
        };
        let object = object.ok_or(WriteError::PreconditionFailed)?;
        if object.facts.size_bytes > COPY_OBJECT_LIMIT_BYTES {
            return Err(refused(
                "InvalidRequest",
                "the source object is larger than CopyObject can copy (5 GiB)",
            ));
        }
        if object.facts.encryption == Encryption::CustomerKey {
            return Err(refused(
                "InvalidRequest",
                "the source object has a customer-provided key",
            ));
        }
        if object.facts.availability == Availability::Archived {
            return Err(refused("InvalidObjectState", "the source object is archived"));
        }
        self.check(key, &order.condition)?;
        let mut facts = ObjectFacts {
            etag: etag_of(&object.content, 0),
            checksums: match object.facts.checksums.coverage {
                ChecksumCoverage::FullObject => object.facts.checksums.clone(),
                ChecksumCoverage::Composite => full_checksum(&object.content),
            },
            replication_status: None,
            tags: Some(object.tags.clone()),
            annotations: Some(object.annotations.clone()),
            ..object.facts.clone()
        };
        self.set_explicit(&mut facts, &order.explicit)?;
        let written = self.bucket.store(key.as_str(), &object.content, facts, &[]);
        Ok(WrittenObject {
            source_version_id: object.facts.version_id,
            ..written
        })
    }

    async fn update_attributes(&self, key: &ObjectKey, order: &AttributeUpdate) -> Result<AttributeSet, WriteError> {
        let source = self.source.pinned(key, &order.pin);
        if order.annotations.is_some() && source.is_none() {
            return Err(WriteError::PreconditionFailed);
        }
        let version_id = |id| self.bucket.version_id(id);
        let mut inner = self.bucket.lock();
        let has_object_lock = inner.object_lock.is_some();
        let rejects_updates = inner.rejects_encryption_updates;
        let object = inner
            .keys
            .get_mut(key.as_str())
            .and_then(|versions| {
                versions
                    .iter_mut()
                    .rev()
                    .find(|version| version_id(version.id) == order.version_id)
            })
            .and_then(|version| version.object.as_mut())
            .filter(|object| order.version_id.is_some() || object.facts.etag == order.etag)
            .ok_or(WriteError::PreconditionFailed)?;
        if let Some(tags) = &order.tags {
            object.tags.clone_from(tags);
        }
        if let Some(acl) = &order.acl {
            object.acl.clone_from(acl);
        }
        if let Some(kms) = &order.encryption {
            if rejects_updates {
                return Ok(AttributeSet::from([Attribute::Encryption]));
            }
            object.facts.encryption = Encryption::Kms(kms.clone());
        }
        if let Some(change) = &order.lock {
            if !has_object_lock {
                return Err(refused("InvalidRequest", "the bucket has no Object Lock"));
            }
            object.facts.lock = change.to;
        }
        if let (Some(change), Some(source)) = (&order.annotations, source) {
            for name in &change.remove {
                object.annotations.remove(name);
            }
            for name in &change.write {
                let text = source.annotations.get(name).ok_or(WriteError::PreconditionFailed)?;
                object.annotations.insert(name.clone(), text.clone());
            }
        }
        Ok(AttributeSet::new())
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.check(key, &WriteCondition::Matches(seen.clone()))?;
        self.bucket.delete(key.as_str());
        let top = self.bucket.history(key.as_str()).into_iter().next();
        Ok(top.and_then(|stamp| match stamp.version {
            VersionName::Id(version_id) => Some(version_id),
            VersionName::Null => None,
        }))
    }
}

impl DestinationVersions for MemoryDestination {
    async fn is_versioned(&self) -> Result<bool, Failure> {
        Ok(self.bucket.versioned)
    }

    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        Ok(self.bucket.listed_versions(key))
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        Ok(self.bucket.version_state(key, version))
    }

    async fn delete_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.bucket.delete_version(key.as_str(), version);
        Ok(())
    }
}

impl MultipartUploads for MemoryDestination {
    async fn create_upload(&self, key: &ObjectKey, terms: &UploadParameters) -> Result<UploadId, WriteError> {
        Ok(self.bucket.begin_upload(key.as_str(), S3FERRY_INITIATOR, terms))
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &PlannedPart,
    ) -> Result<CopiedPart, WriteError> {
        let object = self.source.pinned(key, pin).ok_or(WriteError::PreconditionFailed)?;
        if *part.range().end() >= object.facts.size_bytes {
            return Err(refused("InvalidRange", "the part ends after the end of the object"));
        }
        let mut inner = self.bucket.lock();
        let upload = inner.uploads.get_mut(upload_id).ok_or(WriteError::PreconditionFailed)?;
        let copied = CopiedPart {
            number: part.number,
            size_bytes: part.size_bytes,
            etag: ETag::new(&format!("part:{}:{}", name_of(&object.content), part.offset_bytes)).expect("never empty"),
            checksum: None,
        };
        let piece = Piece {
            content: object.content,
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
        };
        upload.parts.insert(part.number, (copied.clone(), piece));
        Ok(copied)
    }

    async fn list_parts(&self, _key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        let inner = self.bucket.lock();
        let upload = inner.uploads.get(upload_id);
        Ok(upload.map(|upload| upload.parts.values().map(|(part, _)| part.clone()).collect()))
    }

    async fn list_uploads(&self, key: &ObjectKey) -> Result<Vec<ListedUpload>, Failure> {
        let inner = self.bucket.lock();
        let of_key = inner.uploads.iter().filter(|(_, upload)| upload.key == key.as_str());
        let listed = of_key.map(|(id, upload)| ListedUpload {
            id: id.clone(),
            initiator: Some(upload.initiator.to_owned()),
            begun: upload.begun,
        });
        Ok(listed.collect())
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &UploadCompletion,
    ) -> Result<WrittenObject, WriteError> {
        let upload = self.bucket.lock().uploads.get(upload_id).cloned();
        let upload = upload
            .filter(|upload| upload.key == key.as_str())
            .ok_or(WriteError::PreconditionFailed)?;
        let pieces = named_pieces(&upload, &completion.parts)?;
        self.check(key, &completion.condition)?;
        let size_bytes = pieces.iter().map(|piece| piece.size_bytes).sum();
        if size_bytes != completion.size_bytes {
            return Err(refused(
                "InvalidRequest",
                "the total size of the parts is not the expected size",
            ));
        }
        let content = assembled(&pieces);
        let layout: Vec<u64> = pieces.iter().map(|piece| piece.size_bytes).collect();
        let mut facts = ObjectFacts {
            etag: etag_of(&content, layout.len()),
            size_bytes,
            checksums: match upload.explicit.checksum {
                Some(explicit) => checksum(explicit.algorithm, explicit.coverage, &content, &layout),
                None => full_checksum(&content),
            },
            last_modified: upload.begun,
            tags: upload.explicit.tags.clone(),
            ..plain_facts(&content)
        };
        self.set_explicit(&mut facts, &upload.explicit)?;
        let mut inner = self.bucket.lock();
        inner.uploads.remove(upload_id);
        let (id, _) = inner.stamp();
        facts.version_id = self.bucket.version_id(id);
        Inner::encrypt(&mut facts, id, layout.len());
        let written = WrittenObject {
            version_id: facts.version_id.clone(),
            etag: facts.etag.clone(),
            source_version_id: None,
            last_modified: None,
        };
        let version = Version {
            id,
            since: upload.since,
            written: upload.begun,
            object: Some(StoredObject::new(facts, &content, &layout)),
        };
        inner.push(self.bucket.versioned, key.as_str(), version);
        Ok(written)
    }

    async fn abort_upload(&self, _key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        self.bucket.lock().uploads.remove(upload_id);
        Ok(())
    }
}

impl MultipartProgress for MemoryDestination {}

impl MemoryDestination {
    /// Sets the explicit attributes of a write. S3 resets these attributes unless the request sets them.
    fn set_explicit(&self, facts: &mut ObjectFacts, explicit: &ExplicitAttributes) -> Result<(), WriteError> {
        facts.storage_class.clone_from(&explicit.storage_class);
        facts.website_redirect.clone_from(&explicit.website_redirect);
        let (object_lock, now, default_encryption) = {
            let inner = self.bucket.lock();
            let now = Timestamp::from_seconds(inner.clock_seconds);
            (inner.object_lock, now, inner.default_encryption())
        };
        facts.encryption = match &explicit.encryption {
            None => default_encryption,
            Some(ExplicitEncryption::Managed) => Encryption::Managed,
            Some(ExplicitEncryption::Kms(kms)) => Encryption::Kms(kms.clone()),
        };
        if !explicit.lock.is_none() && object_lock.is_none() {
            return Err(refused("InvalidRequest", "the bucket has no Object Lock"));
        }
        let default = object_lock.and_then(|lock| lock.default);
        facts.lock = ObjectLock {
            retention: explicit.lock.retention.or(default.map(|default| default.starting(now))),
            ..explicit.lock
        };
        facts.acl.clone_from(&explicit.acl);
        if let Some(metadata) = &explicit.metadata {
            facts.headers.clone_from(&metadata.headers);
            facts.unreadable_headers.clear();
            facts.user_metadata.clone_from(&metadata.user);
        }
        if let Some(tags) = &explicit.tags {
            facts.tags = Some(tags.clone());
        }
        Ok(())
    }
}

fn refused(code: &str, detail: &str) -> WriteError {
    WriteError::Failed(Failure {
        kind: FailureKind::Permanent,
        code: code.into(),
        action: "s3:PutObject".to_owned(),
        resource: "in-memory bucket".to_owned(),
        detail: detail.to_owned(),
    })
}

/// Returns the parts that a completion names.
fn named_pieces(upload: &Upload, parts: &[CopiedPart]) -> Result<Vec<Piece>, WriteError> {
    let invalid = || {
        WriteError::Failed(Failure {
            kind: FailureKind::Retry,
            code: "InvalidPart".into(),
            action: "s3:PutObject".to_owned(),
            resource: upload.key.clone(),
            detail: "the request names a part that was not uploaded".to_owned(),
        })
    };
    let find = |part: &CopiedPart| {
        let (stored, piece) = upload.parts.get(&part.number)?;
        (stored.etag == part.etag).then(|| piece.clone())
    };
    parts.iter().map(|part| find(part).ok_or_else(invalid)).collect()
}

/// Returns the content of consecutive pieces: the original content if they are all of it, in order.
fn assembled(pieces: &[Piece]) -> String {
    let mut offset_bytes = 0;
    let continues = |piece: &Piece| {
        let continues = piece.offset_bytes == offset_bytes;
        offset_bytes += piece.size_bytes;
        continues
    };
    let is_in_order = pieces.iter().all(continues);
    match pieces {
        [first, others @ ..] if is_in_order && others.iter().all(|piece| piece.content == first.content) => {
            first.content.clone()
        }
        _ => format!("torn:{pieces:?}"),
    }
}
