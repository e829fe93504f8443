//! The state bucket in memory: upload journal and delete intents.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{BucketName, ETag, ObjectKey};
use s3ferry_core::route::MigrationRoute;
use s3ferry_core::upload::UploadEntry;
use s3ferry_core::versions::VersionName;
use s3ferry_engine::ports::{DeleteIntents, JournaledUpload, UploadJournal, WriteError};

/// An upload journal and delete intents in memory. Clones use the same entries.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    inner: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    journaled: BTreeMap<ObjectKey, JournaledUpload>,
    intents: BTreeMap<(ObjectKey, String), DeleteIntent>,
    written: u64,
}

impl MemoryJournal {
    /// Returns the keys that have an entry.
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.lock().journaled.keys().cloned().collect()
    }

    /// Returns the entry of a key.
    pub fn entry(&self, key: &ObjectKey) -> Option<UploadEntry> {
        self.lock()
            .journaled
            .get(key)
            .and_then(|journaled| journaled.entry.clone())
    }

    /// Writes an entry without a condition and returns its ETag. `None` writes an unreadable entry.
    pub fn put(&self, key: &ObjectKey, entry: Option<UploadEntry>) -> ETag {
        let mut entries = self.lock();
        entries.written += 1;
        let etag = ETag::new(&format!("entry-{}", entries.written)).expect("never empty");
        let journaled = JournaledUpload {
            etag: etag.clone(),
            entry,
        };
        entries.journaled.insert(key.clone(), journaled);
        etag
    }

    /// Returns the delete intents of a key.
    pub fn intents(&self, key: &ObjectKey) -> Vec<DeleteIntent> {
        let entries = self.lock();
        let of_key = entries.intents.iter().filter(|((of, _), _)| of == key);
        of_key.map(|(_, intent)| intent.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the migration route of the buckets in tests.
pub fn route() -> MigrationRoute {
    MigrationRoute {
        source: BucketName::new("source").expect("valid bucket name"),
        destination: BucketName::new("destination").expect("valid bucket name"),
    }
}

impl UploadJournal for MemoryJournal {
    async fn load(&self, key: &ObjectKey) -> Result<Option<JournaledUpload>, Failure> {
        Ok(self.lock().journaled.get(key).cloned())
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        if self.lock().journaled.contains_key(key) {
            return Ok(None);
        }
        Ok(Some(self.put(key, Some(entry.clone()))))
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        let mut entries = self.lock();
        if entries
            .journaled
            .get(key)
            .is_some_and(|journaled| journaled.etag == *seen)
        {
            entries.journaled.remove(key);
        }
        Ok(())
    }
}

impl DeleteIntents for MemoryJournal {
    async fn announce(&self, key: &ObjectKey, intent: &DeleteIntent) -> Result<(), Failure> {
        let name = (key.clone(), intent.covered.to_string());
        self.lock().intents.insert(name, intent.clone());
        Ok(())
    }

    async fn find(&self, key: &ObjectKey, covered: &VersionName) -> Result<Option<DeleteIntent>, Failure> {
        Ok(self.lock().intents.get(&(key.clone(), covered.to_string())).cloned())
    }
}
