//! A report, opened.

use std::path::PathBuf;
use std::sync::Arc;

use s3ferry_core::names::ObjectKey;

use crate::admit::RowFilter;
use crate::bucket::InventoryBucket;
use crate::error::InventoryError;
use crate::fetch::{fetch, spill};
use crate::manifest::InventoryManifest;
use crate::sort::{ReportSource, SortLimits, sort};
use crate::sorted::{RowCounters, SortedRows};

/// What is read of a report, and with how much memory and disk.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Only keys that begin so are read; empty for all.
    pub prefix: String,
    /// How much memory the sort may hold, at least [`ReadOptions::LEAST_MEMORY_BYTES`]. The process needs about as much
    /// again for decoding, for what is on its way and for its allocator.
    pub memory_bytes: usize,
    /// The directory for fetched files and for what the memory cannot hold.
    pub spill_directory: PathBuf,
    /// How much the sort may write there.
    pub spill_limit_bytes: u64,
}

impl ReadOptions {
    /// Below this a sort of long keys may fail.
    pub const LEAST_MEMORY_BYTES: usize = 64 << 20;

    /// Reads everything with the memory that keeps a comparison of two reports below 1 GB, and 1 TiB of disk.
    #[must_use]
    pub fn new(spill_directory: impl Into<PathBuf>) -> Self {
        Self {
            prefix: String::new(),
            memory_bytes: 128 << 20,
            spill_directory: spill_directory.into(),
            spill_limit_bytes: 1 << 40,
        }
    }
}

/// An S3 Inventory report.
#[derive(Debug)]
pub struct Inventory<B> {
    bucket: Arc<B>,
    manifest_key: ObjectKey,
    manifest: Arc<InventoryManifest>,
}

impl<B: InventoryBucket> Inventory<B> {
    /// Reads the manifest that lies under `manifest_key`; its files are looked for in the same bucket.
    pub async fn open(bucket: Arc<B>, manifest_key: ObjectKey, options: &ReadOptions) -> Result<Self, InventoryError> {
        let directory = &options.spill_directory;
        let file = fetch(bucket.as_ref(), &manifest_key, directory).await?;
        let content = tokio::fs::read(file.path())
            .await
            .map_err(|error| spill(directory, error))?;
        let manifest = Arc::new(InventoryManifest::parse(&manifest_key, &content)?);
        Ok(Self {
            bucket,
            manifest_key,
            manifest,
        })
    }

    /// Returns what the manifest says.
    #[must_use]
    pub fn manifest(&self) -> &InventoryManifest {
        &self.manifest
    }

    /// Returns where the manifest lies.
    #[must_use]
    pub fn manifest_key(&self) -> &ObjectKey {
        &self.manifest_key
    }

    /// Gives the current objects in the order in which S3 lists keys: by the bytes of their UTF-8.
    ///
    /// Must be called within a Tokio runtime. Work begins at once in tasks of its own, and ends when the stream is
    /// dropped. No row comes before every file was fetched and checked: whoever reads a row can rely on the report.
    pub fn sorted_rows(&self, options: &ReadOptions) -> Result<SortedRows, InventoryError> {
        let counters = Arc::new(RowCounters::default());
        let report = ReportSource {
            bucket: Arc::clone(&self.bucket),
            manifest: Arc::clone(&self.manifest),
            directory: options.spill_directory.clone(),
            admission: Arc::new(RowFilter {
                source_bucket: self.manifest.source_bucket.as_str().to_owned(),
                prefix: options.prefix.clone(),
                counters: Arc::clone(&counters),
            }),
        };
        let limits = SortLimits {
            memory_bytes: options.memory_bytes.max(ReadOptions::LEAST_MEMORY_BYTES),
            spill_bytes: options.spill_limit_bytes,
            directory: options.spill_directory.clone(),
        };
        Ok(SortedRows::new(sort(report, &limits)?, counters))
    }
}
