//! Selection and validation of the rows of a report.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use s3ferry_core::names::ObjectKey;

use crate::columns::{Column, SORTED_SCHEMA};
use crate::error::InventoryError;
use crate::sorted::RowCounters;

/// Filter for the current rows of one bucket with a prefix. Current delete markers pass the filter, because one may be
/// newer than another current row of its key. They are not objects and are counted as skipped.
#[derive(Debug)]
pub(crate) struct RowFilter {
    pub(crate) source_bucket: String,
    pub(crate) prefix: String,
    pub(crate) counters: Arc<RowCounters>,
}

/// Batch of rows of a file, in the schema of the reader.
pub(crate) struct ReadBatch<'a> {
    pub(crate) file: &'a str,
    /// Number of preceding rows in the file.
    pub(crate) rows_before: u64,
    /// Whether the file contains all versions, and so the columns that identify current versions.
    pub(crate) has_versions: bool,
    pub(crate) rows: RecordBatch,
}

impl RowFilter {
    /// Returns the rows that pass the filter, with the columns for sorting.
    pub(crate) fn admit(&self, batch: &ReadBatch<'_>) -> Result<RecordBatch, InventoryError> {
        let columns = Columns::of(batch);
        let mut admitted = BooleanBufferBuilder::new(columns.len);
        let mut objects = 0;
        for index in 0..columns.len {
            let kind = self.kind(&columns, index)?;
            objects += usize::from(kind == Some(Kind::Object));
            admitted.append(kind.is_some());
        }
        let admitted = BooleanArray::new(admitted.finish(), None);
        self.counters.read(columns.len, objects);

        let all = batch.rows.columns().get(Column::DECIDING..).unwrap_or(&[]);
        RecordBatch::try_new(Arc::clone(&SORTED_SCHEMA), all.to_vec())
            .and_then(|rows| filter_record_batch(&rows, &admitted))
            .map_err(|error| InventoryError::malformed(batch.file, batch.rows_before, &error))
    }

    /// Returns the kind of a row, `None` if the row does not pass the filter.
    fn kind(&self, columns: &Columns<'_>, index: usize) -> Result<Option<Kind>, InventoryError> {
        let bucket = columns.text(Column::Bucket, index).unwrap_or_default();
        if bucket != self.source_bucket {
            let detail = format!(
                "the value is `{bucket}`, but the manifest is of bucket `{}`",
                self.source_bucket
            );
            return Err(columns.refused(Column::Bucket, index, detail));
        }
        let Some(key) = columns.text(Column::Key, index) else {
            return Err(columns.refused(Column::Key, index, EMPTY.to_owned()));
        };
        let is_old = columns.flag(Column::IsLatest, index)? == Some(false);
        let is_delete_marker = columns.flag(Column::IsDeleteMarker, index)? == Some(true);
        if is_old || !key.starts_with(&self.prefix) {
            return Ok(None);
        }
        if key.is_empty() || key.len() > ObjectKey::LIMIT_BYTES {
            let detail = format!(
                "the key has {} bytes, expected 1 to {}",
                key.len(),
                ObjectKey::LIMIT_BYTES
            );
            return Err(columns.refused(Column::Key, index, detail));
        }
        if columns.is_empty(Column::LastModified, index) {
            return Err(columns.refused(Column::LastModified, index, EMPTY.to_owned()));
        }
        if is_delete_marker {
            return Ok(Some(Kind::DeleteMarker));
        }
        if columns.text(Column::ETag, index).is_none_or(str::is_empty) {
            return Err(columns.refused(Column::ETag, index, EMPTY.to_owned()));
        }
        match columns.size(index) {
            None => Err(columns.refused(Column::Size, index, EMPTY.to_owned())),
            Some(size) if size < 0 => Err(columns.refused(Column::Size, index, format!("the value is {size}"))),
            Some(_) => Ok(Some(Kind::Object)),
        }
    }
}

/// Detail of the error for a missing value.
const EMPTY: &str = "the value is empty";

/// Kind of a row that passes the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    DeleteMarker,
}

/// Access to a batch by column and row.
struct Columns<'a> {
    batch: &'a ReadBatch<'a>,
    len: usize,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a ReadBatch<'a>) -> Self {
        Self {
            batch,
            len: batch.rows.num_rows(),
        }
    }

    fn text(&self, column: Column, index: usize) -> Option<&'a str> {
        let array = self.batch.rows.column(column.read_index()).as_string::<i32>();
        array.is_valid(index).then(|| array.value(index))
    }

    fn is_empty(&self, column: Column, index: usize) -> bool {
        self.batch.rows.column(column.read_index()).is_null(index)
    }

    fn size(&self, index: usize) -> Option<i64> {
        let array = self
            .batch
            .rows
            .column(Column::Size.read_index())
            .as_primitive::<Int64Type>();
        array.is_valid(index).then(|| array.value(index))
    }

    /// Returns a flag. Every row has it in a report of all versions, and none in a report of current versions.
    fn flag(&self, column: Column, index: usize) -> Result<Option<bool>, InventoryError> {
        let array = self.batch.rows.column(column.read_index()).as_boolean();
        if array.is_valid(index) {
            return Ok(Some(array.value(index)));
        }
        if self.batch.has_versions {
            return Err(self.refused(column, index, EMPTY.to_owned()));
        }
        Ok(None)
    }

    fn refused(&self, column: Column, index: usize, detail: String) -> InventoryError {
        InventoryError::Value {
            file: self.batch.file.to_owned(),
            row: self.batch.rows_before + index as u64 + 1,
            column: column.name(),
            detail,
        }
    }
}
