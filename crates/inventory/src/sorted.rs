//! Stream of a report's rows in key order.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use datafusion_common::DataFusionError;
use datafusion_execution::SendableRecordBatchStream;
use futures::Stream;

use crate::columns::Column;
use crate::error::InventoryError;
use crate::row::{InventoryRow, RawRow, RowCandidate};

/// Counters of a report that is being read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryCounts {
    /// Number of rows in the files.
    pub read: u64,
    /// Number of rows that are not current objects with the prefix: older versions, delete markers, other keys.
    pub left_out: u64,
    /// Number of rows superseded by another row of the key, which occur if a key is written during the listing.
    pub superseded: u64,
    /// Names of columns that are not known columns of S3 Inventory and were not read.
    pub unknown_columns: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(crate) struct RowCounters {
    read: AtomicU64,
    left_out: AtomicU64,
    superseded: AtomicU64,
    unknown_columns: Mutex<BTreeSet<String>>,
}

impl RowCounters {
    pub(crate) fn read(&self, rows: usize, counted: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
        self.left_out.fetch_add((rows - counted) as u64, Ordering::Relaxed);
    }

    pub(crate) fn unknown_columns(&self, names: &[String]) {
        let mut known = self.unknown_columns.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(names.iter().cloned());
    }

    fn counts(&self) -> InventoryCounts {
        let unknown_columns = self.unknown_columns.lock().unwrap_or_else(PoisonError::into_inner);
        InventoryCounts {
            read: self.read.load(Ordering::Relaxed),
            left_out: self.left_out.load(Ordering::Relaxed),
            superseded: self.superseded.load(Ordering::Relaxed),
            unknown_columns: unknown_columns.clone(),
        }
    }
}

/// Handle for the counters of a report.
#[derive(Debug, Clone)]
pub struct InventoryStatistics(Arc<RowCounters>);

impl InventoryStatistics {
    /// Returns the counts, as [`SortedRows::counts`] does.
    #[must_use]
    pub fn counts(&self) -> InventoryCounts {
        self.0.counts()
    }
}

/// Stream of the current objects of a report in key order, each key once.
///
/// The stream ends after the first error.
pub struct SortedRows {
    batches: Option<SendableRecordBatchStream>,
    batch: Option<Batch>,
    /// Last row read. It is returned when the next row has another key.
    pending: Option<RowCandidate>,
    counters: Arc<RowCounters>,
}

impl SortedRows {
    pub(crate) fn new(batches: SendableRecordBatchStream, counters: Arc<RowCounters>) -> Self {
        Self {
            batches: Some(batches),
            batch: None,
            pending: None,
            counters,
        }
    }

    /// Returns the counters. They are complete after the first row or the end of the stream. Only superseded rows are
    /// counted as the stream reaches them.
    #[must_use]
    pub fn counts(&self) -> InventoryCounts {
        self.counters.counts()
    }

    /// Returns a handle for the counters that is independent of the stream.
    #[must_use]
    pub fn tally(&self) -> InventoryStatistics {
        InventoryStatistics(Arc::clone(&self.counters))
    }

    /// Processes the next row. Returns the object before it, if that has another key.
    fn follow(&mut self, next: RowCandidate) -> Result<Option<InventoryRow>, InventoryError> {
        let Some(pending) = self.pending.take() else {
            self.pending = Some(next);
            return Ok(None);
        };
        match pending.key().cmp(next.key()) {
            std::cmp::Ordering::Less => {
                self.pending = Some(next);
                Ok(pending.object())
            }
            std::cmp::Ordering::Equal => {
                if matches!(
                    (&pending, &next),
                    (RowCandidate::Object(_), _) | (_, RowCandidate::Object(_))
                ) {
                    self.counters.superseded.fetch_add(1, Ordering::Relaxed);
                }
                self.pending = Some(pending.newer(next));
                Ok(None)
            }
            std::cmp::Ordering::Greater => {
                let detail = format!("key `{}` follows key `{}`", next.key(), pending.key());
                Err(InventoryError::Engine(Box::new(DataFusionError::Internal(detail))))
            }
        }
    }

    fn poll_row(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<InventoryRow>, InventoryError>> {
        loop {
            if let Some(row) = self.batch.as_mut().and_then(Batch::next) {
                if let Some(row) = row.and_then(|row| self.follow(row))? {
                    return Poll::Ready(Ok(Some(row)));
                }
                continue;
            }
            let Some(batches) = &mut self.batches else {
                return Poll::Ready(Ok(None));
            };
            let Some(batch) = ready!(batches.as_mut().poll_next(context)) else {
                self.batches = None;
                return Poll::Ready(Ok(self.pending.take().and_then(RowCandidate::object)));
            };
            self.batch = Some(Batch::new(&batch.map_err(InventoryError::from_engine)?));
        }
    }
}

impl Stream for SortedRows {
    type Item = Result<InventoryRow, InventoryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let row = ready!(self.poll_row(context));
        if row.is_err() {
            self.batches = None;
            self.batch = None;
            self.pending = None;
        }
        Poll::Ready(row.transpose())
    }
}

impl fmt::Debug for SortedRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SortedRows")
            .field("pending", &self.pending)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// Batch that is returned row by row.
struct Batch {
    columns: Vec<ArrayRef>,
    len: usize,
    position: usize,
}

impl Batch {
    fn new(batch: &RecordBatch) -> Self {
        Self {
            columns: batch.columns().to_vec(),
            len: batch.num_rows(),
            position: 0,
        }
    }

    fn next(&mut self) -> Option<Result<RowCandidate, InventoryError>> {
        if self.position == self.len {
            return None;
        }
        let index = self.position;
        self.position += 1;
        let raw = RawRow {
            is_delete_marker: self
                .value(Column::IsDeleteMarker, index, |array| array.as_boolean().value(index))
                .unwrap_or_default(),
            key: self.text(Column::Key, index).unwrap_or_default(),
            version_id: self.text(Column::VersionId, index),
            size: self
                .value(Column::Size, index, |array| {
                    array.as_primitive::<Int64Type>().value(index)
                })
                .unwrap_or_default(),
            last_modified: self
                .value(Column::LastModified, index, |array| {
                    array.as_primitive::<TimestampMillisecondType>().value(index)
                })
                .unwrap_or_default(),
            etag: self.text(Column::ETag, index).unwrap_or_default(),
            storage_class: self.text(Column::StorageClass, index),
            multipart: self.value(Column::Multipart, index, |array| array.as_boolean().value(index)),
            encryption: self.text(Column::Encryption, index),
            access_tier: self.text(Column::AccessTier, index),
            checksum_algorithm: self.text(Column::ChecksumAlgorithm, index),
        };
        // The filter refused all rows that are not valid.
        Some(raw.current().map_err(|error| {
            let detail = format!("key `{}`: {error}", raw.key);
            InventoryError::Engine(Box::new(DataFusionError::Internal(detail)))
        }))
    }

    fn value<'a, T>(&'a self, column: Column, index: usize, take: impl FnOnce(&'a ArrayRef) -> T) -> Option<T> {
        let array = self.columns.get(column.sorted_index())?;
        array.is_valid(index).then(|| take(array))
    }

    fn text(&self, column: Column, index: usize) -> Option<&str> {
        self.value(column, index, |array| array.as_string::<i32>().value(index))
    }
}
