//! The upload journal in the state bucket.

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::upload::{Route, UploadEntry};
use s3ferry_engine::ports::{FiledUpload, UploadJournal, WriteError};

use crate::state::StateBucket;

/// The upload journal of a migration, one object for each key that is copied in parts.
#[derive(Debug, Clone)]
pub struct S3Journal {
    state: StateBucket,
    route: Route,
}

impl S3Journal {
    /// Takes the state bucket, and the buckets that entries name.
    #[must_use]
    pub fn new(state: StateBucket, route: Route) -> Self {
        Self { state, route }
    }
}

impl UploadJournal for S3Journal {
    async fn load(&self, key: &ObjectKey) -> Result<Option<FiledUpload>, Failure> {
        let name = self.route.entry_name(key);
        let Some(object) = self.state.read(&name).await? else {
            return Ok(None);
        };
        let entry = match self.route.read_entry(key, &object.body) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(s3.key = %key, journal.entry = name, %error, "the upload is begun anew");
                None
            }
        };
        Ok(Some(FiledUpload {
            etag: object.etag,
            entry,
        }))
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        let name = self.route.entry_name(key);
        let json = serde_json::to_vec(entry).map_err(|error| {
            let attempted = self.state.attempted("s3:PutObject", &name);
            WriteError::Failed(Failure {
                kind: FailureKind::Bug,
                code: "UnwritableEntry".to_owned(),
                action: attempted.action.to_owned(),
                resource: attempted.resource,
                detail: error.to_string(),
            })
        })?;
        self.state.create(&name, json).await
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        let name = self.route.entry_name(key);
        if !self.state.remove(&name, seen).await? {
            tracing::debug!(s3.key = %key, journal.entry = name, "somebody else has dealt with the entry");
        }
        Ok(())
    }
}
