//! Entry point: opens a report and reads its rows.

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

/// Options for reading a report: prefix, memory and disk limits.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Prefix of the keys to read. Empty for all keys.
    pub prefix: String,
    /// Memory limit of the sort, at least [`ReadOptions::LEAST_MEMORY_BYTES`]. The process needs about as much memory
    /// again for decoding, for batches in flight and for its allocator.
    pub memory_bytes: usize,
    /// Directory for fetched files and for spilled data.
    pub spill_directory: PathBuf,
    /// Limit of spilled data in that directory.
    pub spill_limit_bytes: u64,
}

impl ReadOptions {
    /// Minimum memory. With less, a sort of long keys may fail.
    pub const LEAST_MEMORY_BYTES: usize = 64 << 20;

    /// Returns the defaults: all keys, 1 TiB of disk, and memory for a comparison of two reports below 1 GB.
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

/// S3 Inventory report.
#[derive(Debug)]
pub struct Inventory<B> {
    bucket: Arc<B>,
    manifest_key: ObjectKey,
    manifest: Arc<InventoryManifest>,
}

impl<B: InventoryBucket> Inventory<B> {
    /// Reads the manifest at `manifest_key`. The report's files are read from the same bucket.
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

    /// Returns the manifest.
    #[must_use]
    pub fn manifest(&self) -> &InventoryManifest {
        &self.manifest
    }

    /// Returns the key of the manifest.
    #[must_use]
    pub fn manifest_key(&self) -> &ObjectKey {
        &self.manifest_key
    }

    /// Returns the current objects in the order in which S3 lists keys: by their UTF-8 bytes.
    ///
    /// It requires a Tokio runtime. Background tasks start immediately, and end when the stream is dropped. The first
    /// row is returned after all files are fetched and checked, so that every row is reliable.
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
