//! Writer of reports in all three formats, as S3 writes them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3ferry_inventory::Md5Sum;
use serde_json::json;

pub(crate) const BUCKET: &str = "listed-bucket";
/// 2026-11-23T01:02:03Z
pub(crate) const WRITTEN_MILLIS: i64 = 1_795_395_723_000;

/// Row of a report.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version_id: String,
    pub(crate) is_latest: bool,
    pub(crate) is_delete_marker: bool,
    pub(crate) size: Option<i64>,
    pub(crate) last_modified_millis: i64,
    pub(crate) etag: String,
    pub(crate) storage_class: String,
    pub(crate) encryption: String,
}

/// Current object with ordinary attributes.
pub(crate) fn entry(key: &str) -> Entry {
    Entry {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        version_id: "v1".to_owned(),
        is_latest: true,
        is_delete_marker: false,
        size: Some(key.len() as i64),
        last_modified_millis: WRITTEN_MILLIS,
        etag: hex_md5(key.as_bytes()),
        storage_class: "STANDARD".to_owned(),
        encryption: "SSE-S3".to_owned(),
    }
}

pub(crate) const CSV_SCHEMA: &str = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, \
     StorageClass, IsMultipartUploaded, ReplicationStatus, EncryptionStatus, Flavour";

pub(crate) fn hex_md5(content: &[u8]) -> String {
    Md5Sum::of(content).to_string()
}

/// Encodes a key as CSV reports do, a space as `+`.
fn encoded(key: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b' ');
    utf8_percent_encode(key, PLAIN).to_string().replace(' ', "+")
}

fn iso(millis: i64) -> String {
    let offset = (millis - WRITTEN_MILLIS) / 1000;
    assert!((0..50).contains(&offset), "times must be within one minute");
    format!("2026-11-23T01:02:{:02}.000Z", 3 + offset)
}

pub(crate) fn csv(entries: &[Entry]) -> Vec<u8> {
    let mut lines = String::new();
    for entry in entries {
        let size = entry.size.map(|size| size.to_string()).unwrap_or_default();
        let values = [
            entry.bucket.as_str(),
            &encoded(&entry.key),
            &entry.version_id,
            &entry.is_latest.to_string(),
            &entry.is_delete_marker.to_string(),
            &size,
            &iso(entry.last_modified_millis),
            &entry.etag,
            &entry.storage_class,
            "false",
            "",
            &entry.encryption,
            "sweet",
        ];
        lines.push_str(&values.map(|value| format!("\"{value}\"")).join(","));
        lines.push('\n');
    }
    gzip(lines.as_bytes())
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Returns the entries as a batch with the column names of Parquet and ORC reports, and one unknown column.
pub(crate) fn batch(entries: &[Entry]) -> RecordBatch {
    let texts = |take: fn(&Entry) -> &str| -> ArrayRef {
        let values = entries
            .iter()
            .map(|entry| Some(take(entry)).filter(|text| !text.is_empty()));
        Arc::new(values.collect::<StringArray>())
    };
    let flags = |take: fn(&Entry) -> bool| -> ArrayRef {
        Arc::new(entries.iter().map(|entry| Some(take(entry))).collect::<BooleanArray>())
    };
    let sizes: Int64Array = entries.iter().map(|entry| entry.size).collect();
    let times = entries.iter().map(|entry| Some(entry.last_modified_millis));
    let times: TimestampMillisecondArray = times.collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bucket", texts(|entry| &entry.bucket)),
        ("key", texts(|entry| &entry.key)),
        ("version_id", texts(|entry| &entry.version_id)),
        ("is_latest", flags(|entry| entry.is_latest)),
        ("is_delete_marker", flags(|entry| entry.is_delete_marker)),
        ("size", Arc::new(sizes)),
        ("last_modified_date", Arc::new(times.with_timezone("UTC"))),
        ("e_tag", texts(|entry| &entry.etag)),
        ("storage_class", texts(|entry| &entry.storage_class)),
        ("is_multipart_uploaded", flags(|_| false)),
        ("encryption_status", texts(|entry| &entry.encryption)),
        ("flavour", texts(|_| "sweet")),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(crate) fn without(batch: &RecordBatch, column: &str) -> RecordBatch {
    let keep: Vec<usize> = (0..batch.num_columns())
        .filter(|index| batch.schema().field(*index).name() != column)
        .collect();
    batch.project(&keep).unwrap()
}

pub(crate) fn with_text(batch: &RecordBatch, column: &str, text: &str) -> RecordBatch {
    let index = batch.schema().index_of(column).unwrap();
    let mut fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect();
    let mut arrays = batch.columns().to_vec();
    fields[index] = Field::new(column, DataType::Utf8, true);
    arrays[index] = Arc::new(StringArray::from(vec![text; batch.num_rows()]));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(crate) fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut content = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut content, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    content
}

pub(crate) fn orc(batch: &RecordBatch) -> Vec<u8> {
    let mut content = Vec::new();
    let mut writer = orc_rust::ArrowWriterBuilder::new(&mut content, batch.schema())
        .try_build()
        .unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    content
}

/// Writes files and their manifest below `root`. The key of the manifest is `report/manifest.json`.
pub(crate) fn write(root: &Path, format: &str, schema: &str, files: &[Vec<u8>]) {
    let ending = match format {
        "CSV" => "csv.gz",
        "ORC" => "orc",
        _ => "parquet",
    };
    fs::create_dir_all(root.join("report/data")).unwrap();
    let mut listed = Vec::new();
    for (number, content) in files.iter().enumerate() {
        let key = format!("report/data/{number}.{ending}");
        fs::write(root.join(&key), content).unwrap();
        listed.push(json!({ "key": key, "size": content.len(), "MD5checksum": hex_md5(content) }));
    }
    let manifest = json!({
        "sourceBucket": BUCKET,
        "destinationBucket": "arn:aws:s3:::reports",
        "version": "2016-11-30",
        "creationTimestamp": WRITTEN_MILLIS.to_string(),
        "fileFormat": format,
        "fileSchema": schema,
        "files": listed,
    });
    fs::write(root.join("report/manifest.json"), manifest.to_string()).unwrap();
}

/// Writes the entries in a format, with `per_file` entries per file.
pub(crate) fn write_entries(root: &Path, format: &str, entries: &[Entry], per_file: usize) {
    let files: Vec<Vec<u8>> = entries
        .chunks(per_file)
        .map(|entries| match format {
            "CSV" => csv(entries),
            "ORC" => orc(&batch(entries)),
            _ => parquet(&batch(entries)),
        })
        .collect();
    write(root, format, CSV_SCHEMA, &files);
}
