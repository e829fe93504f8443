//! Parquet and ORC files of a report.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use orc_rust::arrow_reader::ArrowReaderBuilder;
use orc_rust::projection::ProjectionMask as OrcProjection;
use parquet::arrow::ProjectionMask as ParquetProjection;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::admit::ReadBatch;
use crate::columns::{Column, ColumnLayout, READ_SCHEMA};
use crate::error::InventoryError;
use crate::manifest::FileFormat;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Reader of a Parquet or ORC file, batch by batch.
pub(crate) struct ColumnarBatches<'a> {
    file: &'a str,
    batches: Batches,
    /// Columns of the file that are read.
    layout: ColumnLayout,
    rows: u64,
}

impl<'a> ColumnarBatches<'a> {
    /// Opens `content` and determines its column layout.
    pub(crate) fn new(
        file: &'a str,
        content: File,
        format: FileFormat,
        batch_rows: usize,
    ) -> Result<Self, InventoryError> {
        let (batches, layout) = match format {
            FileFormat::Orc => orc(file, content, batch_rows)?,
            FileFormat::Parquet | FileFormat::Csv => parquet(file, content, batch_rows)?,
        };
        Ok(Self {
            file,
            batches,
            layout,
            rows: 0,
        })
    }

    /// Returns the names of columns that are not known columns of S3 Inventory.
    pub(crate) fn unknown_columns(&self) -> &[String] {
        &self.layout.unknown
    }

    /// Reads the next batch. Returns `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<ReadBatch<'a>>, InventoryError> {
        let rows_before = self.rows;
        let Some(batch) = self.batches.next() else {
            return Ok(None);
        };
        let batch = batch.map_err(|error| InventoryError::malformed(self.file, rows_before, &error))?;
        self.rows += batch.num_rows() as u64;
        let columns = Column::ALL
            .into_iter()
            .map(|column| self.column(column, &batch))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(Arc::clone(&READ_SCHEMA), columns)
            .map_err(|error| InventoryError::malformed(self.file, rows_before, &error))?;
        Ok(Some(ReadBatch {
            file: self.file,
            rows_before,
            has_versions: self.layout.has_versions(),
            rows,
        }))
    }

    fn column(&self, column: Column, batch: &RecordBatch) -> Result<ArrayRef, InventoryError> {
        let expected = column.data_type();
        let found = self.layout.position(column).and_then(|_| named(batch, column));
        let Some(found) = found else {
            return Ok(new_null_array(&expected, batch.num_rows()));
        };
        if found.data_type() == &expected {
            return Ok(Arc::clone(found));
        }
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let refused = || InventoryError::ColumnType {
            file: self.file.to_owned(),
            column: column.name(),
            found: found.data_type().to_string(),
            expected: expected.to_string(),
        };
        if !is_representation_of(found.data_type(), &expected) {
            return Err(refused());
        }
        cast_with_options(found, &expected, &options).map_err(|_| refused())
    }
}

/// Returns whether a type is only another representation of the expected type.
fn is_representation_of(found: &DataType, expected: &DataType) -> bool {
    match expected {
        DataType::Utf8 => matches!(
            found,
            DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::Dictionary(..)
        ),
        DataType::Int64 => found.is_integer(),
        DataType::Timestamp(..) => matches!(found, DataType::Timestamp(..)),
        _ => false,
    }
}

/// Returns a column of a batch by either of its names.
fn named(batch: &RecordBatch, column: Column) -> Option<&ArrayRef> {
    let schema = batch.schema_ref();
    let index = schema.fields().iter().position(|field| column.is_named(field.name()))?;
    batch.columns().get(index)
}

/// Returns the column layout of a file and the positions of the columns to read.
fn projection(schema: &Schema, file: &str) -> Result<(ColumnLayout, Vec<usize>), InventoryError> {
    let layout = ColumnLayout::of(schema.fields().iter().map(|field| field.name().as_str()), file)?;
    let read = Column::ALL
        .into_iter()
        .filter_map(|column| layout.position(column))
        .collect();
    Ok((layout, read))
}

fn parquet(file: &str, content: File, batch_rows: usize) -> Result<(Batches, ColumnLayout), InventoryError> {
    let malformed = |error| InventoryError::malformed(file, 0, &error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(content).map_err(malformed)?;
    let (layout, read) = projection(builder.schema(), file)?;
    let mask = ParquetProjection::roots(builder.parquet_schema(), read);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(batch_rows)
        .build()
        .map_err(malformed)?;
    Ok((Box::new(reader), layout))
}

fn orc(file: &str, content: File, batch_rows: usize) -> Result<(Batches, ColumnLayout), InventoryError> {
    let builder = ArrowReaderBuilder::try_new(content).map_err(|error| InventoryError::malformed(file, 0, &error))?;
    let schema = builder.schema();
    let (layout, read) = projection(&schema, file)?;
    let names: Vec<&str> = read.iter().map(|index| schema.field(*index).name().as_str()).collect();
    let mask = OrcProjection::named_roots(builder.file_metadata().root_data_type(), &names);
    Ok((
        Box::new(builder.with_projection(mask).with_batch_size(batch_rows).build()),
        layout,
    ))
}
