//! Reads valid reports of each format as sorted rows, and refuses invalid reports.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "a test may panic, and its numbers are small"
)]

mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use proptest::prelude::*;
use s3ferry_core::failure::FailureKind;
use s3ferry_core::listing::ListedObject;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::time::Timestamp;
use s3ferry_inventory::{
    Directory, EncryptionStatus, Inventory, InventoryCounts, InventoryError, InventoryRow, ReadOptions,
};

use report::{CSV_SCHEMA, Entry, WRITTEN_MILLIS, batch, csv, entry, gzip, orc, parquet, with_text, without};

const FORMATS: [&str; 3] = ["CSV", "Parquet", "ORC"];

async fn read_with(root: &Path, options: &ReadOptions) -> Result<(Vec<InventoryRow>, InventoryCounts), InventoryError> {
    let bucket = Arc::new(Directory::new(root));
    let manifest = ObjectKey::from_raw("report/manifest.json").unwrap();
    let inventory = Inventory::open(bucket, manifest, options).await?;
    let mut sorted = inventory.sorted_rows(options)?;
    let mut rows = Vec::new();
    while let Some(row) = sorted.try_next().await? {
        rows.push(row);
    }
    Ok((rows, sorted.counts()))
}

async fn read(root: &Path) -> Result<(Vec<InventoryRow>, InventoryCounts), InventoryError> {
    let spill = tempfile::tempdir().unwrap();
    let read = read_with(root, &ReadOptions::new(spill.path())).await;
    let left = fs::read_dir(spill.path()).unwrap().count();
    assert!(
        read.is_err() || left == 0,
        "{left} files are left in the spill directory"
    );
    read
}

fn keys(rows: &[InventoryRow]) -> Vec<&str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

/// Keys in UTF-8 order, which differs from UTF-16 order (the last two) and from that of any language.
const ODD_KEYS: [&str; 16] = [
    "\n",
    " ",
    "\"quoted\",and,commas",
    "%2B",
    "+",
    "A",
    "a",
    "a b+c%20d",
    "a/",
    "a/../b",
    "a\\b",
    "e\u{301}",
    "z",
    "\u{e9}",
    "\u{ffff}",
    "\u{10000}",
];

#[tokio::test]
async fn rows_of_each_format_are_read_completely_in_utf8_order() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let mut entries: Vec<Entry> = ODD_KEYS.iter().rev().map(|key| entry(key)).collect();
        entries[0].encryption = "SSE-KMS".to_owned();
        entries[0].version_id = String::new();
        report::write_entries(root.path(), format, &entries, 5);

        let (rows, counts) = read(root.path()).await.unwrap();
        assert_eq!(keys(&rows), ODD_KEYS, "{format}");
        assert_eq!(
            (counts.read, counts.left_out, counts.superseded),
            (16, 0, 0),
            "{format}"
        );
        assert!(
            counts
                .unknown_columns
                .iter()
                .any(|name| name.eq_ignore_ascii_case("flavour")),
            "{format}"
        );

        let last = rows.last().unwrap();
        assert_eq!(last.encryption, Some(EncryptionStatus::Kms), "{format}");
        assert_eq!(last.version_id, None, "{format}");
        let first = &rows[0];
        assert_eq!(first.encryption, Some(EncryptionStatus::Managed), "{format}");
        assert_eq!(first.version_id.as_ref().unwrap().as_str(), "v1", "{format}");
        assert_eq!(first.size_bytes, 1, "{format}");
        assert_eq!(first.last_modified, Timestamp::from_millis(WRITTEN_MILLIS), "{format}");
        assert_eq!(first.etag.as_str(), entry("\n").etag, "{format}");
        assert_eq!(first.storage_class.as_deref(), Some("STANDARD"), "{format}");
        assert_eq!(
            ListedObject::from(first.clone()).storage_class.as_str(),
            "STANDARD",
            "{format}"
        );
        assert_eq!(first.multipart, Some(false), "{format}");
        assert_eq!(first.checksum_algorithm, None, "{format}");
    }
}

#[tokio::test]
async fn old_versions_delete_markers_and_other_prefixes_are_skipped() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let old = Entry {
            is_latest: false,
            ..entry("in/a")
        };
        let marker = Entry {
            is_delete_marker: true,
            size: None,
            etag: String::new(),
            ..entry("in/b")
        };
        let entries = [entry("out"), entry("in/a"), old, marker, entry("in"), entry("in/c")];
        report::write_entries(root.path(), format, &entries, 4);

        let spill = tempfile::tempdir().unwrap();
        let options = ReadOptions {
            prefix: "in/".to_owned(),
            ..ReadOptions::new(spill.path())
        };
        let (rows, counts) = read_with(root.path(), &options).await.unwrap();
        assert_eq!(keys(&rows), ["in/a", "in/c"], "{format}");
        assert_eq!((counts.read, counts.left_out), (6, 4), "{format}");
    }
}

#[tokio::test]
async fn newest_of_two_current_rows_of_a_key_is_returned() {
    let root = tempfile::tempdir().unwrap();
    let written = |seconds: i64| Entry {
        last_modified_millis: WRITTEN_MILLIS + 1000 * seconds,
        version_id: format!("v{seconds}"),
        ..entry("k")
    };
    report::write_entries(root.path(), "CSV", &[written(1), written(3), entry("l"), written(2)], 2);
    let (rows, counts) = read(root.path()).await.unwrap();
    assert_eq!(keys(&rows), ["k", "l"]);
    assert_eq!(rows[0].version_id.as_ref().unwrap().as_str(), "v3");
    assert_eq!(counts.superseded, 2);
}

/// Current row of the key `k` with a last-modified time.
fn written(seconds: i64, etag: &str) -> Entry {
    Entry {
        last_modified_millis: WRITTEN_MILLIS + 1000 * seconds,
        version_id: format!("v-{etag}"),
        etag: etag.to_owned(),
        ..entry("k")
    }
}

fn deleted(seconds: i64) -> Entry {
    Entry {
        is_delete_marker: true,
        size: None,
        ..written(seconds, "")
    }
}

/// Checks rows of the key `k` in any order. `expected` is `None` for no object, or `ETag` and whether it is contested.
async fn check_current(entries: &[Entry], expected: Option<(&str, bool)>) {
    for format in FORMATS {
        for rotation in 0..entries.len() {
            let mut entries = entries.to_vec();
            entries.rotate_left(rotation);
            let root = tempfile::tempdir().unwrap();
            report::write_entries(root.path(), format, &entries, 1);
            let (rows, counts) = read(root.path()).await.unwrap();
            let found = rows.first().map(|row| (row.etag.as_str(), row.is_contested));
            assert!(rows.len() < 2, "{format}");
            match (found, expected) {
                // Either of two contested rows may be returned.
                (Some((_, true)), Some((_, true))) => {
                    assert_eq!(ListedObject::from(rows[0].clone()).etag, None, "{format}");
                }
                _ => assert_eq!(found, expected, "{format}"),
            }
            assert_eq!(counts.read, entries.len() as u64, "{format}");
        }
    }
}

#[tokio::test]
async fn current_rows_of_the_same_time_are_contested() {
    check_current(&[written(1, "aa"), written(1, "bb")], Some(("aa", true))).await;
    check_current(
        &[written(1, "aa"), written(1, "bb"), written(0, "cc")],
        Some(("aa", true)),
    )
    .await;
    check_current(
        &[written(1, "aa"), written(1, "bb"), written(2, "cc")],
        Some(("cc", false)),
    )
    .await;
    check_current(&[written(1, "aa"), written(1, "aa")], Some(("aa", false))).await;
}

#[tokio::test]
async fn key_with_a_newer_delete_marker_has_no_object() {
    check_current(&[written(1, "aa"), deleted(2)], None).await;
    check_current(&[written(3, "aa"), deleted(2)], Some(("aa", false))).await;
    check_current(&[written(2, "aa"), deleted(2)], Some(("aa", true))).await;
    check_current(&[deleted(1), deleted(1)], None).await;
    check_current(&[deleted(1), written(2, "aa"), deleted(3)], None).await;
}

#[tokio::test]
async fn empty_flag_is_refused() {
    let schema = "Bucket, Key, Size, ETag, IsLatest, IsDeleteMarker, LastModifiedDate";
    for (flags, column) in [(",", "IsLatest"), (",false", "IsLatest"), ("true,", "IsDeleteMarker")] {
        let root = tempfile::tempdir().unwrap();
        let line = format!("listed-bucket,a,1,tag,{flags},2026-11-23T01:02:03.000Z\n");
        report::write(root.path(), "CSV", schema, &[gzip(line.as_bytes())]);
        let error = read(root.path()).await.unwrap_err();
        check_message(&error, &["row 1", &format!("column {column}"), "empty"]);
    }
}

#[tokio::test]
async fn empty_reports_have_no_rows() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        report::write_entries(root.path(), format, &[], 1);
        assert_eq!(read(root.path()).await.unwrap().0, [], "{format}, no files");
        let file = match format {
            "CSV" => csv(&[]),
            "ORC" => orc(&batch(&[])),
            _ => parquet(&batch(&[])),
        };
        report::write(root.path(), format, CSV_SCHEMA, &[file]);
        assert_eq!(read(root.path()).await.unwrap().0, [], "{format}, empty file");
    }
}

#[tokio::test]
async fn report_of_current_versions_needs_no_version_columns() {
    let root = tempfile::tempdir().unwrap();
    let lines = "\"listed-bucket\",\"b\",\"0\",\"2026-11-23T01:02:03.000Z\",\"d41d8cd98f00b204e9800998ecf8427e\"\r\n\n\
                 listed-bucket,a,5,2026-11-23T01:02:03Z,d8e8fca2dc0f896fd7cb4cb0031ba249\n\n";
    report::write(
        root.path(),
        "CSV",
        "Bucket, Key, Size, LastModifiedDate, ETag",
        &[gzip(lines.as_bytes())],
    );
    let (rows, _) = read(root.path()).await.unwrap();
    assert_eq!(keys(&rows), ["a", "b"]);
    assert_eq!(rows[0].size_bytes, 5);
    assert_eq!(rows[0].storage_class, None);

    for format in ["Parquet", "ORC"] {
        let mut rows = batch(&[entry("b"), entry("a")]);
        for column in ["version_id", "is_latest", "is_delete_marker", "storage_class"] {
            rows = without(&rows, column);
        }
        let file = if format == "ORC" { orc(&rows) } else { parquet(&rows) };
        report::write(root.path(), format, "", &[file]);
        assert_eq!(keys(&read(root.path()).await.unwrap().0), ["a", "b"], "{format}");
    }
}

#[tokio::test]
async fn rows_that_exceed_the_memory_are_sorted_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let count = 100_000;
    // The factor is coprime to the count, so every key occurs once, in no order.
    let entries: Vec<Entry> = (0..count)
        .map(|number| entry(&format!("{:0>900}/object", number * 7919 % count)))
        .collect();
    report::write_entries(root.path(), "Parquet", &entries, 30_000);

    let spill = tempfile::tempdir().unwrap();
    let options = ReadOptions {
        memory_bytes: ReadOptions::LEAST_MEMORY_BYTES,
        ..ReadOptions::new(spill.path())
    };
    let (rows, _) = read_with(root.path(), &options).await.unwrap();
    assert_eq!(rows.len(), count);
    assert!(rows.windows(2).all(|pair| pair[0].key < pair[1].key));

    let options = ReadOptions {
        spill_limit_bytes: 1 << 20,
        ..options
    };
    let error = read_with(root.path(), &options).await.unwrap_err();
    assert!(matches!(error, InventoryError::Limits { .. }), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Configuration);
}

#[tokio::test]
async fn dropping_the_rows_stops_background_tasks() {
    let root = tempfile::tempdir().unwrap();
    report::write_entries(root.path(), "CSV", &[entry("a"), entry("b")], 1);
    let spill = tempfile::tempdir().unwrap();
    let options = ReadOptions::new(spill.path());
    let manifest = ObjectKey::from_raw("report/manifest.json").unwrap();
    let inventory = Inventory::open(Arc::new(Directory::new(root.path())), manifest, &options)
        .await
        .unwrap();
    let mut rows = inventory.sorted_rows(&options).unwrap();
    rows.try_next().await.unwrap();
    drop(rows);
    drop(inventory.sorted_rows(&options).unwrap());
}

#[track_caller]
fn check_message(error: &InventoryError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[tokio::test]
async fn missing_or_changed_file_error_contains_its_key() {
    let root = tempfile::tempdir().unwrap();
    let write = || report::write_entries(root.path(), "CSV", &[entry("a"), entry("b")], 1);
    let second = root.path().join("report/data/1.csv.gz");

    write();
    fs::remove_file(&second).unwrap();
    let error = read(root.path()).await.unwrap_err();
    check_message(&error, &["report/data/1.csv.gz"]);
    assert!(
        matches!(&error, InventoryError::Fetch { source, .. } if source.code.as_str() == "NoSuchKey"),
        "{error:?}"
    );

    write();
    let mut content = fs::read(&second).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&second, &content).unwrap();
    let error = read(root.path()).await.unwrap_err();
    check_message(&error, &["report/data/1.csv.gz", "MD5", &report::hex_md5(&content)]);
    assert_eq!(error.kind(), FailureKind::Permanent);

    content.push(0);
    fs::write(&second, &content).unwrap();
    check_message(
        &read(root.path()).await.unwrap_err(),
        &["report/data/1.csv.gz", "bytes"],
    );

    fs::remove_file(root.path().join("report/manifest.json")).unwrap();
    check_message(&read(root.path()).await.unwrap_err(), &["report/manifest.json"]);
}

#[tokio::test]
async fn manifest_with_a_file_outside_its_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    report::write_entries(root.path(), "CSV", &[entry("a")], 1);
    let path = root.path().join("report/manifest.json");
    let manifest = fs::read_to_string(&path)
        .unwrap()
        .replace("report/data/0.csv.gz", "../secret");
    fs::write(&path, manifest).unwrap();
    let error = read(root.path()).await.unwrap_err();
    assert!(matches!(&error, InventoryError::Fetch { source, .. } if source.code.as_str() == "KeyNotBelowDirectory"));
}

#[tokio::test]
async fn missing_column_or_wrong_type_error_contains_the_column() {
    let rows = batch(&[entry("a")]);
    for (format, write) in [("ORC", orc as fn(&_) -> Vec<u8>), ("Parquet", parquet)] {
        let root = tempfile::tempdir().unwrap();
        let cases: [(Vec<u8>, &[&str]); 5] = [
            (write(&without(&rows, "size")), &["no column Size"]),
            (write(&without(&rows, "is_latest")), &["no column IsLatest"]),
            (write(&without(&rows, "e_tag")), &["no column ETag"]),
            (
                write(&with_text(&rows, "size", "big")),
                &["column Size", "Utf8", "Int64"],
            ),
            (b"not a file of this kind".to_vec(), &["decode", "row 0"]),
        ];
        for (file, parts) in cases {
            report::write(root.path(), format, "", &[file]);
            let error = read(root.path()).await.unwrap_err();
            check_message(&error, parts);
            check_message(&error, &["report/data/0."]);
        }
    }
}

#[tokio::test]
async fn invalid_row_error_contains_row_and_column() {
    for format in FORMATS {
        let cases = [
            (
                Entry {
                    bucket: "other-bucket".to_owned(),
                    ..entry("b")
                },
                "Bucket",
            ),
            (
                Entry {
                    size: None,
                    ..entry("b")
                },
                "Size",
            ),
            (
                Entry {
                    size: Some(-1),
                    ..entry("b")
                },
                "Size",
            ),
            (
                Entry {
                    etag: String::new(),
                    ..entry("b")
                },
                "ETag",
            ),
            (entry(&"k".repeat(1025)), "Key"),
            (entry(""), "Key"),
        ];
        for (bad, column) in cases {
            let root = tempfile::tempdir().unwrap();
            report::write_entries(root.path(), format, &[entry("a"), bad], 10);
            let error = read(root.path()).await.unwrap_err();
            check_message(&error, &["report/data/0.", "row 2", &format!("column {column}")]);
        }
    }
}

#[tokio::test]
async fn invalid_csv_line_error_contains_row_and_column() {
    let good = "listed-bucket,a,1,tag,true,false,2026-11-23T01:02:03.000Z\n";
    let schema = "Bucket, Key, Size, ETag, IsLatest, IsDeleteMarker, LastModifiedDate";
    let cases: [(&[u8], &[&str]); 9] = [
        (
            b"listed-bucket,a,1,tag,true,false\n",
            &["row 2", "6 values", "expected 7"],
        ),
        (
            b"listed-bucket,a,one,tag,true,false,\n",
            &["row 2", "column Size", "`one`"],
        ),
        (
            b"listed-bucket,a,1,tag,yes,false,\n",
            &["row 2", "column IsLatest", "`yes`"],
        ),
        (
            b"listed-bucket,a,1,tag,,false,\n",
            &["row 2", "column IsLatest", "empty"],
        ),
        (
            b"listed-bucket,a,1,tag,true,false,today\n",
            &["row 2", "column LastModifiedDate", "`today`"],
        ),
        (
            b"listed-bucket,100%,1,tag,true,false,\n",
            &["row 2", "column Key", "`100%`"],
        ),
        (
            b"listed-bucket,%FF,1,tag,true,false,\n",
            &["row 2", "column Key", "UTF-8"],
        ),
        (
            b"listed-bucket,\xff,1,tag,true,false,\n",
            &["row 2", "column Key", "UTF-8"],
        ),
        (
            b"Bucket,Key,Size,ETag,IsLatest,IsDeleteMarker,LastModifiedDate\n",
            &["row 2", "column"],
        ),
    ];
    for (line, parts) in cases {
        let root = tempfile::tempdir().unwrap();
        let content = [good.as_bytes(), line].concat();
        report::write(root.path(), "CSV", schema, &[gzip(&content)]);
        let error = read(root.path()).await.unwrap_err();
        check_message(&error, parts);
        check_message(&error, &["report/data/0.csv.gz"]);
    }
}

#[tokio::test]
async fn corrupt_compression_with_a_matching_manifest_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let mut content = csv(&[entry("a"), entry("b")]);
    content.truncate(content.len() - 12);
    report::write(root.path(), "CSV", CSV_SCHEMA, &[content]);
    check_message(
        &read(root.path()).await.unwrap_err(),
        &["decode", "report/data/0.csv.gz"],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_keys_are_returned_once_in_order_in_every_format(
        sizes in proptest::collection::btree_map("\\PC{1,40}", 0_i64.., 0..40),
        per_file in 1_usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // Reversed, so that the order differs from that of the map.
        let entries: Vec<Entry> = sizes.iter().rev().map(|(key, size)| Entry { size: Some(*size), ..entry(key) }).collect();
        let expected: BTreeMap<&str, u64> = sizes.iter().map(|(key, size)| (key.as_str(), size.unsigned_abs())).collect();
        for format in FORMATS {
            let root = tempfile::tempdir().unwrap();
            report::write_entries(root.path(), format, &entries, per_file);
            let (rows, _) = runtime.block_on(read(root.path())).unwrap();
            let found: Vec<(&str, u64)> = rows.iter().map(|row| (row.key.as_str(), row.size_bytes)).collect();
            prop_assert_eq!(&found, &expected.iter().map(|(key, size)| (*key, *size)).collect::<Vec<_>>());
        }
    }
}
