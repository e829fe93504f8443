//! The upload journal and the delete intents in the state bucket.

use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use s3ferry_core::delete_intent::{DeleteIntent, INTENTS, IntentError};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::route::MigrationRoute;
use s3ferry_core::upload::{UPLOADS, UploadEntry};
use s3ferry_core::versions::VersionName;
use s3ferry_engine::ports::{DeleteIntents, JournaledUpload, UploadJournal, WriteError};

use crate::state::StateBucket;

/// Journal entries that are read concurrently.
const CONCURRENT_READS: usize = 16;

/// A delete intent in the state bucket.
#[derive(Debug)]
pub struct ListedIntent {
    /// Name of the object in the state bucket.
    pub name: String,
    /// Key of the announced delete; `None` if the intent belongs to another migration or no longer exists.
    pub key: Result<Option<ObjectKey>, Failure>,
}

/// State of a migration in the state bucket: one object per multipart copy in progress, and one per delete intent.
#[derive(Debug, Clone)]
pub struct S3Journal {
    state: StateBucket,
    route: MigrationRoute,
}

impl S3Journal {
    /// Returns the journal of one migration in the state bucket.
    #[must_use]
    pub fn new(state: StateBucket, route: MigrationRoute) -> Self {
        Self { state, route }
    }

    /// Lists the keys of this migration that have an entry: unfinished multipart copies.
    pub async fn unfinished(&self) -> Result<Vec<ObjectKey>, Failure> {
        let names: Vec<String> = self.state.names(UPLOADS).try_concat().await?;
        let keys = stream::iter(names)
            .map(|name| async move {
                let object = self.state.read(&name).await?;
                // An entry without a key of this migration belongs to another one, or is replaced with the next copy.
                Ok(object.and_then(|object| self.route.key_of_entry(&name, &object.body)))
            })
            .buffer_unordered(CONCURRENT_READS)
            .try_filter_map(future::ok);
        keys.try_collect().await
    }

    /// Lists the delete intents and reads `concurrency` of them at once.
    ///
    /// A listing that fails ends the stream. An intent that fails to be read does not.
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
        key.map_err(|error| self.unusable_intent(name, &error))
    }

    /// Creates the failure of an intent that was read. An intent of another version of s3ferry needs that version.
    fn unusable_intent(&self, name: &str, error: &IntentError) -> Failure {
        let failure = |code| self.failure("s3:GetObject", name, code, error);
        match error {
            IntentError::UnsupportedFormat(_) => Failure {
                kind: FailureKind::Configuration,
                ..failure("UnsupportedFormat")
            },
            IntentError::Unreadable(_) | IntentError::OfAnother(_) => failure("UnreadableIntent"),
        }
    }

    /// Creates the failure of an entry or intent that cannot be written or parsed.
    fn failure(&self, action: &'static str, name: &str, code: &str, error: &dyn std::error::Error) -> Failure {
        let attempted = self.state.attempted(action, name);
        Failure {
            kind: FailureKind::Bug,
            code: code.into(),
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
                tracing::warn!(s3.key = %key, journal.entry = name, %error, "unreadable entry: starting a new upload");
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
            tracing::debug!(s3.key = %key, journal.entry = name, "journal entry not removed: it changed concurrently");
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

    /// Reads an intent. An unreadable intent is a failure: without it, s3ferry's own delete would count as an external
    /// write.
    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        let name = self.route.intent_name(key, covered);
        let Some(object) = self.state.read(&name).await? else {
            return Ok(None);
        };
        let intent = self.route.read_intent(key, covered, &object.body);
        intent.map(Some).map_err(|error| self.unusable_intent(&name, &error))
    }
}
