use proptest::prelude::*;

use super::*;

fn read(text: &[u8]) -> Result<(Vec<ManifestRow>, u64), ManifestError> {
    let mut reader = ManifestReader::new("m.csv", Some(BucketName::new("source").unwrap()));
    let mut rows = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        rows.extend(reader.line(line)?);
    }
    Ok((rows, reader.duplicates))
}

#[track_caller]
fn check_keys(text: &str, expected: &[&str]) {
    let (rows, _) = read(text.as_bytes()).unwrap();
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, expected);
}

#[track_caller]
fn check_error(text: &[u8], row: u64, expected: &str) {
    let error = read(text).unwrap_err();
    assert_eq!((error.file.as_str(), error.row), ("m.csv", row), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn rows_are_parsed_leniently() {
    check_keys("source,a%20b%2Bc%2520.txt\n", &["a b+c%20.txt"]);
    check_keys("\u{feff}source,a\r\nsource,b\r\n", &["a", "b"]);
    check_keys("source,a\n\n  \nsource,b", &["a", "b"]);
    check_keys("\"source\",\"a,\"\"b\"\n\"source\",c\n", &["a,\"b", "c"]);
    check_keys("", &[]);
}

#[test]
fn duplicates_are_skipped_and_counted() {
    let (rows, duplicates) = read(b"source,a\nsource,b\nsource,%61\n").unwrap();
    assert_eq!((rows.len(), duplicates), (2, 1));
    let (rows, duplicates) = read(b"source,a,v1\nsource,a,v2\n").unwrap();
    assert_eq!((rows.len(), duplicates), (2, 0), "two versions are two objects");
}

#[test]
fn errors_contain_file_and_row() {
    check_error(b"source\n", 1, "the number of columns is 1");
    check_error(b"source,a\nsource,a,v,x\n", 2, "the number of columns is 4");
    check_error(b"source,a\n\nelsewhere,b\n", 3, "bucket `elsewhere`, expected `source`");
    check_error(b"source,a+b\n", 1, "write %20 for a space and %2B for a plus sign");
    check_error(b"source,100%\n", 1, "write %25 for a percent sign");
    check_error(b"source,%FF\n", 1, "not URL-encoded UTF-8");
    check_error(b"source,\xff\n", 1, "not UTF-8");
    check_error(b"source,\n", 1, "object key is empty");
    check_error(b"source,\"a\nb\"\n", 1, "a quote is not closed");
    check_error(b"source,a\"b\n", 1, "in the middle of a field");
    check_error(b"Bucket,Key\nsource,a\n", 1, "a header row");
    check_error(
        b"source,a,v1\nsource,b\n",
        2,
        "the row has no version ID, unlike the rows before",
    );
    check_error(
        b"source,a\nsource,b,v1\n",
        2,
        "the row has a version ID, unlike the rows before",
    );
}

#[test]
fn control_characters_are_accepted_only_encoded() {
    check_keys("source,a%0D%1B%00\n", &["a\r\u{1b}\0"]);
    check_error(b"source,a\rsource,b\r", 1, "a CR alone is not a line break");
    check_error(b"source,a\nsource,b\r\r\n", 2, "a carriage return within the row");
    check_error(b"source,\"a\rb\"\n", 1, "a carriage return within the row");
    check_error(
        b"source,a\x1b\n",
        1,
        "unencoded control character U+001B; write it URL-encoded, as in %1B",
    );
    check_error(b"source,a\tb\n", 1, "U+0009");
    check_error(b"source,a,v\x00\n", 1, "U+0000");
    check_error(b"\x01source,a\n", 1, "U+0001");
}

#[test]
fn first_row_determines_the_bucket_if_none_is_given() {
    let mut reader = ManifestReader::new("m.csv", None);
    assert!(reader.line(b"first,a").unwrap().is_some());
    assert!(reader.line(b"second,b").is_err());
}

proptest! {
    #[test]
    fn written_rows_are_read_unchanged(
        keys in prop::collection::btree_set("\\PC{1,40}|[ +%,\"\r\n\u{0}]{1,9}", 1..20), version in 0usize..3,
    ) {
        let bucket = BucketName::new("source").unwrap();
        let version = [None, VersionName::new("a.b+c"), VersionName::new("null")][version].clone();
        let rows: Vec<ManifestRow> = keys.iter()
            .map(|key| ManifestRow::new(bucket.clone(), ObjectKey::from_raw(key.as_str()).unwrap(), version.clone()))
            .collect();
        let text: String = rows.iter().map(|row| row.to_csv() + "\n").collect();
        prop_assert!(!text.contains(['+', '"', ' ', '\r']));
        prop_assert_eq!(read(text.as_bytes()).unwrap(), (rows, 0));
    }

    #[test]
    fn any_bytes_are_read_without_panic(text: Vec<u8>) {
        drop(read(&text));
    }
}
