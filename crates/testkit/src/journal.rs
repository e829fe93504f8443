//! An upload journal in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3ferry_core::failure::Failure;
use s3ferry_core::names::{BucketName, ETag, ObjectKey};
use s3ferry_core::upload::{Route, UploadEntry};
use s3ferry_engine::ports::{FiledUpload, UploadJournal, WriteError};

/// An upload journal; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    inner: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    filed: BTreeMap<ObjectKey, FiledUpload>,
    written: u64,
}

impl MemoryJournal {
    /// Returns the keys that have an entry.
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.lock().filed.keys().cloned().collect()
    }

    /// Returns the entry of a key.
    pub fn entry(&self, key: &ObjectKey) -> Option<UploadEntry> {
        self.lock().filed.get(key).and_then(|filed| filed.entry.clone())
    }

    /// Writes an entry as if it had been there, or one that nobody can read.
    pub fn put(&self, key: &ObjectKey, entry: Option<UploadEntry>) -> ETag {
        let mut entries = self.lock();
        entries.written += 1;
        let etag = ETag::new(&format!("entry-{}", entries.written)).expect("never empty");
        let filed = FiledUpload {
            etag: etag.clone(),
            entry,
        };
        entries.filed.insert(key.clone(), filed);
        etag
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the route of the buckets in tests.
pub fn route() -> Route {
    Route {
        source: BucketName::new("source").expect("a valid name"),
        destination: BucketName::new("destination").expect("a valid name"),
    }
}

impl UploadJournal for MemoryJournal {
    async fn load(&self, key: &ObjectKey) -> Result<Option<FiledUpload>, Failure> {
        Ok(self.lock().filed.get(key).cloned())
    }

    async fn create(&self, key: &ObjectKey, entry: &UploadEntry) -> Result<Option<ETag>, WriteError> {
        if self.lock().filed.contains_key(key) {
            return Ok(None);
        }
        Ok(Some(self.put(key, Some(entry.clone()))))
    }

    async fn remove(&self, key: &ObjectKey, seen: &ETag) -> Result<(), Failure> {
        let mut entries = self.lock();
        if entries.filed.get(key).is_some_and(|filed| filed.etag == *seen) {
            entries.filed.remove(key);
        }
        Ok(())
    }
}
