//! A listing in memory, which counts what is asked of it and may answer out of turn.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use s3ferry_core::failure::Failure;
use s3ferry_core::listing::ListedObject;
use s3ferry_engine::listing::{ListingPage, ObjectListing};

/// A listing of rows in memory.
#[derive(Debug, Clone)]
pub struct MemoryListing {
    rows: Arc<BTreeMap<String, ListedObject>>,
    page_size: usize,
    latency: Duration,
    requests: Arc<AtomicU64>,
}

impl MemoryListing {
    /// Lists `rows` in pages of `page_size`.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = ListedObject>, page_size: usize) -> Self {
        let by_key = |row: ListedObject| (row.key.as_str().to_owned(), row);
        Self {
            rows: Arc::new(rows.into_iter().map(by_key).collect()),
            page_size,
            latency: Duration::ZERO,
            requests: Arc::default(),
        }
    }

    /// Lets every answer take about `latency`, which differs from request to request, so that answers overtake one
    /// another.
    #[must_use]
    pub fn with_latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Returns how many pages were asked for.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl ObjectListing for MemoryListing {
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<ListingPage, Failure> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.latency.is_zero() {
            // Between three and five quarters of it.
            let quarters = u32::try_from(number.wrapping_mul(7) % 3).unwrap_or(0) + 3;
            tokio::time::sleep(self.latency * quarters / 4).await;
        }
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut rows = self
            .rows
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, row)| row.clone());
        let objects: Vec<ListedObject> = rows.by_ref().take(self.page_size).collect();
        Ok(ListingPage {
            objects,
            more: rows.next().is_some(),
        })
    }
}
