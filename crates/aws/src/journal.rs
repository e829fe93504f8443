//! The upload journal and the delete intents in the state bucket.

use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::upload::{MigrationRoute, UPLOADS, UploadEntry};
use s3ferry_core::versions::{DeleteIntent, INTENTS, VersionName};
use s3ferry_engine::ports::{DeleteIntents, JournaledUpload, UploadJournal, WriteError};

use crate::state::StateBucket;

/// How many entries are read at once.
const ENTRIES_AT_ONCE: usize = 16;

/// An object in the state bucket that announces a delete.
#[derive(Debug)]
pub struct ListedIntent {
    /// The name of the object.
    pub name: String,
    /// The key that it is of; `None` if it is of another migration, or is gone.
    pub key: Result<Option<ObjectKey>, Failure>,
}

/// What a migration writes down: one object for each key that is copied in parts, and one for each version that a delete
/// of ours is announced for.
#[derive(Debug, Clone)]
pub struct S3Journal {
    state: StateBucket,
    route: MigrationRoute,
}

impl S3Journal {
    /// Takes the state bucket, and the buckets that entries name.
    #[must_use]
    pub fn new(state: StateBucket, route: MigrationRoute) -> Self {
        Self { state, route }
    }

    /// Finds the keys of this migration that have an entry: multipart copies that did not come to their end.
    pub async fn unfinished(&self) -> Result<Vec<ObjectKey>, Failure> {
        let names: Vec<String> = self.state.names(UPLOADS).try_concat().await?;
        let keys = stream::iter(names)
            .map(|name| async move {
                let object = self.state.read(&name).await?;
                // An entry that names no key of this migration is another one's, or is replaced with the next copy.
                Ok(object.and_then(|object| self.route.key_of_entry(&name, &object.body)))
            })
            .buffer_unordered(ENTRIES_AT_ONCE)
            .try_filter_map(future::ok);
        keys.try_collect().await
    }

    /// Lists the intents in the state bucket and reads each, `concurrency` of them at once. A listing that fails ends the
    /// stream; an intent that cannot be read does not.
    pub fn intents(&self, concurrency: usize) -> impl Stream<Item = Result<ListedIntent, Failure>> + Send + '_ {
        let names = self.state.names(INTENTS);
        let names = names.map_ok(|page| stream::iter(page).map(Ok)).try_flatten();
        names
            .map_ok(async |name| {
                let key = self.key_of_intent(&name).await;
                Ok(ListedIntent { name, key })
            })
            .try_buffer_unordered(concurrency)
    }

    async fn key_of_intent(&self, name: &str) -> Result<Option<ObjectKey>, Failure> {
        let Some(object) = self.state.read(name).await? else {
            return Ok(None);
        };
        let key = self.route.key_of_intent(name, &object.body);
        key.map_err(|error| self.failure("s3:GetObject", name, "UnreadableIntent", &error))
    }

    /// Describes what cannot be written down or read as what it should be.
    fn failure(&self, action: &'static str, name: &str, code: &str, error: &dyn std::error::Error) -> Failure {
        let attempted = self.state.attempted(action, name);
        Failure {
            kind: FailureKind::Bug,
            code: code.to_owned(),
            action: attempted.action.to_owned(),
            resource: attempted.resource,
            detail: error.to_string(),
        }
    }
}

impl UploadJournal for S3Journal {
    async fn load(&self, key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
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
        Ok(Some(JournaledUpload {
            etag: object.etag,
            entry,
        }))
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        let name = self.route.entry_name(key);
        let json = serde_json::to_vec(entry)
            .map_err(|error| WriteError::Failed(self.failure("s3:PutObject", &name, "UnwritableEntry", &error)))?;
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

impl DeleteIntents for S3Journal {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        let name = self.route.intent_name(key, &intent.covered);
        let json = self
            .route
            .write_intent(key, intent)
            .map_err(|error| self.failure("s3:PutObject", &name, "UnwritableIntent", &error))?;
        self.state.write(&name, json).await
    }

    /// An intent that cannot be read is a failure: without it a delete of ours would pass for an application's.
    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        let name = self.route.intent_name(key, covered);
        let Some(object) = self.state.read(&name).await? else {
            return Ok(None);
        };
        let intent = self.route.read_intent(key, covered, &object.body);
        intent
            .map(Some)
            .map_err(|error| self.failure("s3:GetObject", &name, "UnreadableIntent", &error))
    }
}
