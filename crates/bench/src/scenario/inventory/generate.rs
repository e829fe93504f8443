//! S3 Inventory reports of generated objects.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::ReportFormat;
use crate::error::{BenchError, BenchResult};
use crate::world::{DESTINATION, SOURCE};

/// Result of a writer.
type Written<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Approximate number of rows in a file of S3 Inventory.
const ROWS_IN_FILE: u64 = 500_000;
/// Interval of differences: one key per interval is missing at the destination, and one is changed.
const DIFFERENCE_EVERY: u64 = 1000;
const COLUMNS: [&str; 10] = [
    "Bucket",
    "Key",
    "VersionId",
    "IsLatest",
    "IsDeleteMarker",
    "Size",
    "LastModifiedDate",
    "ETag",
    "StorageClass",
    "EncryptionStatus",
];

/// Object that is generated from its number.
struct Object {
    key: String,
    version: String,
    size: i64,
    etag: String,
}

impl Object {
    fn of(number: u64, changed: bool) -> Self {
        let noise = scrambled(number);
        Self {
            key: format!(
                "events/{:04}/{:02}/{noise:016x}-{number:010}.json.gz",
                noise % 4000,
                number % 24
            ),
            version: format!("{:016x}{:016x}", scrambled(noise), noise),
            size: i64::from(u32::try_from(noise % 100_000).unwrap_or(0)) + i64::from(changed),
            etag: format!("{:016x}{:016x}", scrambled(noise ^ 1), noise),
        }
    }
}

/// Returns a pseudorandom number: the finalizer of `SplitMix64`.
fn scrambled(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Returns the number of keys that differ between two reports of `rows` rows.
pub(super) fn differences(rows: u64) -> u64 {
    let every = |first: u64| rows.saturating_sub(first).div_ceil(DIFFERENCE_EVERY);
    every(1) + every(2)
}

/// Writes a report of each side below `directory`, with its manifest.
pub(super) fn generate(directory: &Path, format: ReportFormat, rows: u64) -> BenchResult<()> {
    for (side, bucket) in [("source", SOURCE), ("destination", DESTINATION)] {
        write_side(&directory.join(side), bucket, format, rows).map_err(|error| BenchError::Inventory {
            detail: error.to_string(),
        })?;
    }
    Ok(())
}

fn write_side(folder: &Path, bucket: &str, format: ReportFormat, rows: u64) -> Written<()> {
    let mut files = Vec::new();
    fs::create_dir_all(folder.join("data"))?;
    for first in (0..rows).step_by(usize::try_from(ROWS_IN_FILE)?) {
        let numbers = first..rows.min(first + ROWS_IN_FILE);
        let key = format!("data/{first:010}.{}", format.extension());
        let path = folder.join(&key);
        let is_destination = bucket == DESTINATION;
        let objects = numbers
            .filter(|number| !(is_destination && number % DIFFERENCE_EVERY == 1))
            .map(|number| Object::of(number, is_destination && number % DIFFERENCE_EVERY == 2));
        match format {
            ReportFormat::Csv => write_csv(&path, bucket, objects)?,
            ReportFormat::Parquet => write_parquet(&path, bucket, objects)?,
        }
        let content = fs::read(&path)?;
        let digest = Md5::digest(&content);
        let digest = digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .concat();
        files.push(json!({ "key": key, "size": content.len(), "MD5checksum": digest }));
    }
    let manifest = json!({
        "sourceBucket": bucket,
        "destinationBucket": "arn:aws:s3:::reports",
        "version": "2016-11-30",
        "creationTimestamp": "1795395723000",
        "fileFormat": format.name(),
        "fileSchema": COLUMNS.join(", "),
        "files": files,
    });
    fs::write(folder.join("manifest.json"), manifest.to_string())?;
    Ok(())
}

fn write_csv(path: &Path, bucket: &str, objects: impl Iterator<Item = Object>) -> Written<()> {
    let mut file = BufWriter::new(GzEncoder::new(File::create(path)?, Compression::default()));
    for object in objects {
        writeln!(
            file,
            "\"{bucket}\",\"{}\",\"{}\",\"true\",\"false\",\"{}\",\"2026-11-23T01:02:03.000Z\",\"{}\",\
             \"STANDARD\",\"SSE-S3\"",
            object.key, object.version, object.size, object.etag
        )?;
    }
    file.into_inner().map_err(|error| error.to_string())?.finish()?;
    Ok(())
}

fn write_parquet(path: &Path, bucket: &str, objects: impl Iterator<Item = Object>) -> Written<()> {
    let mut writer = None;
    let mut objects = objects.peekable();
    while objects.peek().is_some() {
        let chunk: Vec<Object> = objects.by_ref().take(50_000).collect();
        let texts = |take: &dyn Fn(&Object) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(chunk.iter().map(take)))
        };
        let flags = |value: bool| -> ArrayRef { Arc::new(BooleanArray::from(vec![value; chunk.len()])) };
        let times = TimestampMillisecondArray::from(vec![1_795_395_723_000; chunk.len()]).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([
            ("bucket", texts(&|_| bucket.to_owned())),
            ("key", texts(&|object| object.key.clone())),
            ("version_id", texts(&|object| object.version.clone())),
            ("is_latest", flags(true)),
            ("is_delete_marker", flags(false)),
            (
                "size",
                Arc::new(Int64Array::from_iter_values(chunk.iter().map(|object| object.size))) as ArrayRef,
            ),
            ("last_modified_date", Arc::new(times) as ArrayRef),
            ("e_tag", texts(&|object| object.etag.clone())),
            ("storage_class", texts(&|_| "STANDARD".to_owned())),
            ("encryption_status", texts(&|_| "SSE-S3".to_owned())),
        ])?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(parquet_writer(path, &batch)?),
        };
        writer.write(&batch)?;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}

fn parquet_writer(path: &Path, batch: &RecordBatch) -> Written<ArrowWriter<File>> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    Ok(ArrowWriter::try_new(
        File::create(path)?,
        batch.schema(),
        Some(properties),
    )?)
}
