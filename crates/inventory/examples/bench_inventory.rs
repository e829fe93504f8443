//! Benchmark: compares two generated reports and prints duration, throughput and peak memory.
//!
//! ```text
//! bench_inventory generate DIRECTORY csv|parquet ROWS
//! bench_inventory read DIRECTORY      decode both sides only, as a baseline
//! bench_inventory compare DIRECTORY [MEMORY_MIB per side]
//! ```
//!
//! Each command runs in its own process, so that the peak of resident memory (`VmHWM`) is its own.
#![expect(clippy::print_stdout, reason = "the output is the purpose of the program")]

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use s3ferry_core::names::ObjectKey;
use s3ferry_inventory::{Directory, Inventory, Md5Sum, ReadOptions, SortedRows};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

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

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["generate", directory, format, rows] => generate(Path::new(directory), format, rows.parse()?),
        ["read", directory] => read(Path::new(directory)),
        ["compare", directory] => compare(Path::new(directory), None).await,
        ["compare", directory, mebibytes] => compare(Path::new(directory), Some(mebibytes.parse()?)).await,
        _ => Err("expected generate DIRECTORY csv|parquet ROWS, read DIRECTORY, compare DIRECTORY [MEMORY_MIB]".into()),
    }
}

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

fn generate(directory: &Path, format: &str, rows: u64) -> Outcome<()> {
    let started = Instant::now();
    for side in ["source", "destination"] {
        let mut files = Vec::new();
        fs::create_dir_all(directory.join(side).join("data"))?;
        for first in (0..rows).step_by(usize::try_from(ROWS_IN_FILE)?) {
            let numbers = first..rows.min(first + ROWS_IN_FILE);
            let key = format!(
                "data/{first:010}.{}",
                if format == "csv" { "csv.gz" } else { "parquet" }
            );
            let path = directory.join(side).join(&key);
            let is_destination = side == "destination";
            let objects = numbers
                .filter(|number| !(is_destination && number % DIFFERENCE_EVERY == 1))
                .map(|number| Object::of(number, is_destination && number % DIFFERENCE_EVERY == 2));
            match format {
                "csv" => write_csv(&path, side, objects)?,
                "parquet" => write_parquet(&path, side, objects)?,
                other => return Err(format!("the format is `{other}`, expected csv or parquet").into()),
            }
            let content = fs::read(&path)?;
            files.push(json!({ "key": key, "size": content.len(), "MD5checksum": Md5Sum::of(&content).to_string() }));
        }
        let manifest = json!({
            "sourceBucket": format!("bench-{side}"),
            "destinationBucket": "arn:aws:s3:::reports",
            "version": "2016-11-30",
            "creationTimestamp": "1795395723000",
            "fileFormat": if format == "csv" { "CSV" } else { "Parquet" },
            "fileSchema": COLUMNS.join(", "),
            "files": files,
        });
        fs::write(directory.join(side).join("manifest.json"), manifest.to_string())?;
    }
    println!(
        "generated {rows} rows per side as {format} in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn write_csv(path: &Path, side: &str, objects: impl Iterator<Item = Object>) -> Outcome<()> {
    let mut file = BufWriter::new(GzEncoder::new(File::create(path)?, Compression::default()));
    for object in objects {
        writeln!(
            file,
            "\"bench-{side}\",\"{}\",\"{}\",\"true\",\"false\",\"{}\",\"2026-11-23T01:02:03.000Z\",\"{}\",\
             \"STANDARD\",\"SSE-S3\"",
            object.key, object.version, object.size, object.etag
        )?;
    }
    file.into_inner().map_err(|error| error.to_string())?.finish()?;
    Ok(())
}

fn write_parquet(path: &Path, side: &str, objects: impl Iterator<Item = Object>) -> Outcome<()> {
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
            ("bucket", texts(&|_| format!("bench-{side}"))),
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

fn parquet_writer(path: &Path, batch: &RecordBatch) -> Outcome<ArrowWriter<File>> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    Ok(ArrowWriter::try_new(
        File::create(path)?,
        batch.schema(),
        Some(properties),
    )?)
}

/// Decodes both sides, each in its own thread, without any other work.
fn read(directory: &Path) -> Outcome<()> {
    let started = Instant::now();
    let sides: Vec<_> = ["source", "destination"]
        .map(|side| directory.join(side).join("data"))
        .into_iter()
        .map(|data| std::thread::spawn(move || rows_of(&data).map_err(|error| error.to_string())))
        .collect();
    let mut rows = 0;
    for side in sides {
        rows += side.join().map_err(|_| "a decoding thread panicked")??;
    }
    report("read", rows, started)
}

fn rows_of(data: &Path) -> Outcome<u64> {
    let mut rows = 0;
    let mut paths: Vec<PathBuf> = fs::read_dir(data)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Outcome<_>>()?;
    paths.sort();
    for path in paths {
        let file = File::open(&path)?;
        if path.extension().is_some_and(|extension| extension == "gz") {
            let plain = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(plain);
            let mut record = csv::ByteRecord::new();
            while reader.read_byte_record(&mut record)? {
                rows += 1;
            }
        } else {
            for batch in ParquetRecordBatchReaderBuilder::try_new(file)?
                .with_batch_size(8192)
                .build()?
            {
                rows += batch?.num_rows() as u64;
            }
        }
    }
    Ok(rows)
}

async fn compare(directory: &Path, mebibytes: Option<usize>) -> Outcome<()> {
    let started = Instant::now();
    let spill = tempfile::tempdir_in(directory)?;
    let mut options = ReadOptions::new(spill.path());
    if let Some(mebibytes) = mebibytes {
        options.memory_bytes = mebibytes << 20;
    }
    println!("memory for sorting: {} MiB per side", options.memory_bytes >> 20);
    let mut source = open(directory, "source", &options).await?;
    let mut destination = open(directory, "destination", &options).await?;

    let (mut equal, mut changed, mut missing, mut extra) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut left = source.try_next().await?;
    let mut right = destination.try_next().await?;
    println!("first rows after {:.1} s", started.elapsed().as_secs_f64());
    while let (Some(one), Some(other)) = (&left, &right) {
        match one.key.cmp(&other.key) {
            Ordering::Less => {
                missing += 1;
                left = source.try_next().await?;
            }
            Ordering::Greater => {
                extra += 1;
                right = destination.try_next().await?;
            }
            Ordering::Equal => {
                if one.size_bytes == other.size_bytes && one.etag == other.etag {
                    equal += 1;
                } else {
                    changed += 1;
                }
                left = source.try_next().await?;
                right = destination.try_next().await?;
            }
        }
    }
    while left.is_some() {
        missing += 1;
        left = source.try_next().await?;
    }
    while right.is_some() {
        extra += 1;
        right = destination.try_next().await?;
    }
    println!("equal {equal}, changed {changed}, missing {missing}, extra {extra}");
    report("compared", source.counts().read + destination.counts().read, started)
}

async fn open(directory: &Path, side: &str, options: &ReadOptions) -> Outcome<SortedRows> {
    let bucket = Arc::new(Directory::new(directory.join(side)));
    let inventory = Inventory::open(bucket, ObjectKey::from_raw("manifest.json")?, options).await?;
    println!(
        "{side}: {} files, {} MB",
        inventory.manifest().files.len(),
        inventory.manifest().size_bytes() / 1_000_000
    );
    Ok(inventory.sorted_rows(options)?)
}

fn report(what: &str, rows: u64, started: Instant) -> Outcome<()> {
    let seconds = started.elapsed().as_secs_f64();
    let per_second = u128::from(rows) * 1000 / started.elapsed().as_millis().max(1);
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM: unknown");
    println!("{what} {rows} rows in {seconds:.1} s, {per_second} rows/s, {peak}");
    Ok(())
}
