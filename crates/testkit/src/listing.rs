//! A listing in memory that counts requests and can answer concurrent requests out of order.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use s3ferry_core::failure::Failure;
use s3ferry_core::listing::ListedObject;
use s3ferry_engine::listing::{ListingPage, ObjectListing};

/// An in-memory listing of objects.
#[derive(Debug, Clone)]
pub struct MemoryListing {
    rows: Arc<BTreeMap<String, ListedObject>>,
    page_size: usize,
    latency: Duration,
    requests: Arc<AtomicU64>,
}

impl MemoryListing {
    /// Creates a listing of `rows` with pages of `page_size` objects.
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

    /// Delays each response by about `latency`. The delay varies per request, so that responses overtake each other.
    #[must_use]
    pub fn with_latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Returns the number of pages that were requested.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl ObjectListing for MemoryListing {
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<ListingPage, Failure> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.latency.is_zero() {
            // The delay is between three and five quarters of the latency.
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
