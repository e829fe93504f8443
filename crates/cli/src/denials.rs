//! Objects that may not be looked at: one by one they are the objects' failures, all together the credentials'.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::decide::ReplicationCoverage;
use s3ferry_core::diff::Depth;
use s3ferry_core::facts::{Aspects, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::history::{VersionName, VersionStamp};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{AmendOrder, CopyOrder, SourcePin, UploadTerms};
use s3ferry_core::plan::{Part, SourceLayout};
use s3ferry_core::upload::UploadId;
use s3ferry_engine::diff::Settled;
use s3ferry_engine::ports::{Absence, Completion, CopiedPart, DestinationBucket, SourceBucket, WriteError, Written};

/// So many denials, with nothing told before them, are one failure of the whole command.
const DENIALS: u64 = 64;

/// What became of the looks of one command.
#[derive(Debug, Clone, Default)]
pub struct Denials(Arc<Mutex<Looks>>);

#[derive(Debug, Default)]
struct Looks {
    /// Denied reads of keys that are not settled yet: no more than are looked at at once.
    open: HashMap<ObjectKey, Failure>,
    first: Option<Failure>,
    denied: u64,
    told: u64,
}

impl Looks {
    fn denied(&mut self, failure: Failure) -> Result<(), Failure> {
        self.denied += 1;
        self.first.get_or_insert(failure);
        if self.denied == DENIALS {
            self.must_not_be_all()?;
        }
        Ok(())
    }

    fn must_not_be_all(&self) -> Result<(), Failure> {
        match &self.first {
            Some(first) if self.told == 0 => Err(first.clone()),
            _ => Ok(()),
        }
    }
}

impl Denials {
    /// Takes the end of one look; fails where nothing can be looked at.
    pub fn looked(&self, denied: Option<&Failure>) -> Result<(), Failure> {
        let mut looks = self.looks();
        if let Some(failure) = denied.filter(|failure| is_denial(failure)) {
            return looks.denied(failure.clone());
        }
        looks.told += 1;
        Ok(())
    }

    /// Takes what a comparison settled with buckets that are [watched](Self::watch); fails where nothing can be looked
    /// at.
    pub fn settled(&self, settled: &Settled, depth: Depth) -> Result<(), Failure> {
        let mut looks = self.looks();
        if let Some(different) = &settled.different {
            if let Some(failure) = looks.open.remove(&different.key) {
                return looks.denied(failure);
            }
            looks.told += 1;
        }
        // Deep, every key is looked at.
        let keys = settled.counts.source_keys + settled.counts.destination_keys;
        let is_equal = settled.counts.settled_equal > 0 || (depth == Depth::Deep && keys > 0);
        if settled.different.is_none() && is_equal {
            looks.told += 1;
        }
        Ok(())
    }

    /// Fails where nothing could be looked at for want of a permission: that ails the credentials, not the objects.
    pub fn must_not_be_all(&self) -> Result<(), Failure> {
        self.looks().must_not_be_all()
    }

    /// Has denied reads of a bucket noted.
    pub fn watch<B>(&self, bucket: B) -> Watched<B> {
        Watched {
            bucket,
            denials: self.clone(),
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, key: &ObjectKey, read: Result<ObjectState, Failure>) -> Result<ObjectState, Failure> {
        read.inspect_err(|failure| {
            if is_denial(failure) {
                self.looks().open.insert(key.clone(), failure.clone());
            }
        })
    }
}

fn is_denial(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "AccessDenied" | "ExpiredToken")
}

/// A bucket whose denied reads are noted.
#[derive(Debug)]
pub struct Watched<B> {
    bucket: B,
    denials: Denials,
}

impl<B: SourceBucket> SourceBucket for Watched<B> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.denials.note(key, self.bucket.read(key, aspects).await)
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        aspects: &Aspects,
    ) -> Result<Option<ObjectFacts>, Failure> {
        self.bucket.read_more(key, facts, aspects).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<SourceLayout, Failure> {
        self.bucket.layout(key, facts).await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.bucket.has_acl().await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        self.bucket.confirm_absence(key).await
    }

    async fn replication(&self, key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        self.bucket.replication(key).await
    }
}

impl<B: DestinationBucket> DestinationBucket for Watched<B> {
    async fn read(&self, key: &ObjectKey, aspects: &Aspects) -> Result<ObjectState, Failure> {
        self.denials.note(key, self.bucket.read(key, aspects).await)
    }

    async fn has_object_lock(&self) -> Result<bool, Failure> {
        self.bucket.has_object_lock().await
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        self.bucket.has_acl().await
    }

    async fn copy(&self, key: &ObjectKey, order: &CopyOrder) -> Result<Option<VersionId>, WriteError> {
        self.bucket.copy(key, order).await
    }

    async fn amend(&self, key: &ObjectKey, order: &AmendOrder) -> Result<(), WriteError> {
        self.bucket.amend(key, order).await
    }

    async fn delete(&self, key: &ObjectKey, seen: &ETag) -> Result<Option<VersionId>, WriteError> {
        self.bucket.delete(key, seen).await
    }

    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.bucket.is_versioned().await
    }

    async fn history(&self, key: &ObjectKey) -> Result<Vec<VersionStamp>, Failure> {
        self.bucket.history(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.bucket.read_version(key, version).await
    }

    async fn remove_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        self.bucket.remove_version(key, version).await
    }

    async fn create_upload(&self, key: &ObjectKey, terms: &UploadTerms) -> Result<UploadId, WriteError> {
        self.bucket.create_upload(key, terms).await
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        pin: &SourcePin,
        part: &Part,
    ) -> Result<CopiedPart, WriteError> {
        self.bucket.copy_part(key, upload_id, pin, part).await
    }

    async fn list_parts(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<Option<Vec<CopiedPart>>, Failure> {
        self.bucket.list_parts(key, upload_id).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload_id: &UploadId,
        completion: &Completion,
    ) -> Result<Written, WriteError> {
        self.bucket.complete_upload(key, upload_id, completion).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload_id: &UploadId) -> Result<(), Failure> {
        self.bucket.abort_upload(key, upload_id).await
    }
}

#[cfg(test)]
mod tests {
    use s3ferry_core::failure::FailureKind;

    use super::*;

    fn failure(code: &str) -> Failure {
        Failure {
            kind: FailureKind::Permanent,
            code: code.to_owned(),
            action: "s3:GetObject".to_owned(),
            resource: "arn:aws:s3:::source/key".to_owned(),
            detail: "no".to_owned(),
        }
    }

    #[test]
    fn only_denials_of_everything_fail_the_command() {
        let denials = Denials::default();
        assert_eq!(denials.must_not_be_all(), Ok(()), "nothing was looked at");
        for _ in 1..DENIALS {
            assert_eq!(denials.looked(Some(&failure("AccessDenied"))), Ok(()));
        }
        assert_eq!(denials.must_not_be_all(), Err(failure("AccessDenied")));
        let last = denials.looked(Some(&failure("AccessDenied")));
        assert_eq!(last, Err(failure("AccessDenied")));
        // Another failure than a denial is an object's own.
        denials.looked(Some(&failure("RequestNotMade"))).unwrap();
        assert_eq!(denials.must_not_be_all(), Ok(()));
    }
}
