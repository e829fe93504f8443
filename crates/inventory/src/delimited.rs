//! CSV files of a report: compressed, all values quoted, without a header, keys URL-encoded.

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, TimestampMillisecondType};
use csv::{ByteRecord, ReaderBuilder};
use flate2::bufread::MultiGzDecoder;
use s3ferry_core::names::ObjectKey;

use crate::admit::ReadBatch;
use crate::columns::{Column, ColumnLayout, READ_SCHEMA};
use crate::error::InventoryError;

/// Reader of a CSV file, batch by batch.
pub(crate) struct CsvBatches<'a> {
    file: &'a str,
    layout: &'a ColumnLayout,
    reader: csv::Reader<Box<dyn Read + Send>>,
    batch_rows: usize,
    rows: u64,
}

impl<'a> CsvBatches<'a> {
    /// Opens `content`. The name of the file determines whether it is compressed.
    pub(crate) fn new(file: &'a str, content: File, layout: &'a ColumnLayout, batch_rows: usize) -> Self {
        let buffered = BufReader::with_capacity(1 << 18, content);
        let plain: Box<dyn Read + Send> = if is_compressed(file) {
            Box::new(MultiGzDecoder::new(buffered))
        } else {
            Box::new(buffered)
        };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            // The number of values is checked in `take`, for an error with the row.
            .flexible(true)
            .buffer_capacity(1 << 18)
            .from_reader(plain);
        Self {
            file,
            layout,
            reader,
            batch_rows,
            rows: 0,
        }
    }

    /// Reads the next batch. Returns `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<ReadBatch<'a>>, InventoryError> {
        let rows_before = self.rows;
        let mut builders = Column::ALL.map(|column| (column, Values::of(column)));
        let mut record = ByteRecord::new();
        for _ in 0..self.batch_rows {
            let more = self
                .reader
                .read_byte_record(&mut record)
                .map_err(|error| InventoryError::malformed(self.file, self.rows, &error))?;
            if !more {
                break;
            }
            self.rows += 1;
            self.take(&record, &mut builders)?;
        }
        if self.rows == rows_before {
            return Ok(None);
        }
        let arrays = builders.map(|(_, mut values)| values.finish()).to_vec();
        let rows = RecordBatch::try_new(Arc::clone(&READ_SCHEMA), arrays)
            .map_err(|error| InventoryError::malformed(self.file, rows_before, &error))?;
        Ok(Some(ReadBatch {
            file: self.file,
            rows_before,
            has_versions: self.layout.has_versions(),
            rows,
        }))
    }

    fn take(&self, record: &ByteRecord, builders: &mut [(Column, Values)]) -> Result<(), InventoryError> {
        if record.len() != self.layout.width {
            return Err(InventoryError::RowLength {
                file: self.file.to_owned(),
                row: self.rows,
                expected: self.layout.width,
                found: record.len(),
            });
        }
        for (column, values) in builders {
            let value = self.layout.position(*column).and_then(|position| record.get(position));
            let taken = match value {
                None => values.append(None),
                Some(bytes) => Self::text(*column, bytes).and_then(|text| values.append(text)),
            };
            taken.map_err(|detail| InventoryError::Value {
                file: self.file.to_owned(),
                row: self.rows,
                column: column.name(),
                detail,
            })?;
        }
        Ok(())
    }

    fn text(column: Column, bytes: &[u8]) -> Result<Option<&str>, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "the value is not UTF-8".to_owned())?;
        // An empty key is an error, which the filter reports. Elsewhere an empty value is a missing value.
        Ok((column == Column::Key || !text.is_empty()).then_some(text))
    }
}

fn is_compressed(file: &str) -> bool {
    file.rsplit('.')
        .next()
        .is_some_and(|last| last.eq_ignore_ascii_case("gz"))
}

/// Builder of the values of one column.
enum Values {
    Key(StringBuilder),
    Text(StringBuilder),
    Flag(BooleanBuilder),
    Number(Int64Builder),
    Time(TimestampMillisecondBuilder),
}

impl Values {
    fn of(column: Column) -> Self {
        match column.data_type() {
            DataType::Boolean => Self::Flag(BooleanBuilder::new()),
            DataType::Int64 => Self::Number(Int64Builder::new()),
            DataType::Timestamp(..) => Self::Time(TimestampMillisecondBuilder::new()),
            _ if column == Column::Key => Self::Key(StringBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn append(&mut self, text: Option<&str>) -> Result<(), String> {
        match (self, text) {
            (Self::Key(builder) | Self::Text(builder), None) => builder.append_null(),
            (Self::Flag(builder), None) => builder.append_null(),
            (Self::Number(builder), None) => builder.append_null(),
            (Self::Time(builder), None) => builder.append_null(),
            // Most keys contain no escapes.
            (Self::Key(builder), Some(key)) if !key.contains(['+', '%']) => builder.append_value(key),
            (Self::Key(builder), Some(key)) => {
                let key = ObjectKey::from_notification(key).map_err(|error| error.to_string())?;
                builder.append_value(key.as_str());
            }
            (Self::Text(builder), Some(text)) => builder.append_value(text),
            (Self::Flag(builder), Some(text)) => match text {
                "true" | "TRUE" | "True" => builder.append_value(true),
                "false" | "FALSE" | "False" => builder.append_value(false),
                _ => return Err(format!("the value is `{text}`, expected true or false")),
            },
            (Self::Number(builder), Some(text)) => {
                let number = text
                    .parse()
                    .map_err(|_| format!("the value is `{text}`, expected an integer"))?;
                builder.append_value(number);
            }
            (Self::Time(builder), Some(text)) => {
                let millis = TimestampMillisecondType::parse(text).ok_or_else(|| {
                    format!("the value is `{text}`, expected a time such as 2026-11-23T01:02:03.000Z")
                })?;
                builder.append_value(millis);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Key(builder) | Self::Text(builder) => Arc::new(builder.finish()),
            Self::Flag(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
        }
    }
}
