//! Manifest of a report: its files, their format and their columns.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html>

use s3ferry_core::names::{BucketName, ObjectKey};
use s3ferry_core::time::Timestamp;
use serde::Deserialize;

use crate::columns::ColumnLayout;
use crate::error::InventoryError;
use crate::md5sum::Md5Sum;

/// Format of a report's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Compressed CSV. Keys are URL-encoded.
    Csv,
    /// Apache Parquet. Keys are not encoded.
    Parquet,
    /// Apache ORC. Keys are not encoded.
    Orc,
}

/// File of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryFile {
    /// Key of the file in the bucket of the report.
    pub key: ObjectKey,
    /// Size in bytes.
    pub size_bytes: u64,
    /// MD5 of the content.
    pub md5: Md5Sum,
}

/// Manifest of a report.
#[derive(Debug, Clone)]
pub struct InventoryManifest {
    /// Bucket that the report lists.
    pub source_bucket: BucketName,
    /// Time at which S3 started the listing, if the manifest contains it.
    pub created: Option<Timestamp>,
    /// Format of the files.
    pub format: FileFormat,
    /// Files, in no particular order.
    pub files: Vec<InventoryFile>,
    /// Columns of a CSV report. Files of other formats contain their own column names.
    pub(crate) csv_layout: Option<ColumnLayout>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    source_bucket: String,
    creation_timestamp: Option<String>,
    file_format: String,
    file_schema: String,
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
struct RawFile {
    key: String,
    size: u64,
    #[serde(rename = "MD5checksum")]
    md5: String,
}

impl InventoryManifest {
    /// Parses the manifest at `key`.
    pub fn parse(key: &ObjectKey, content: &[u8]) -> Result<Self, InventoryError> {
        let refused = |detail: String| InventoryError::Manifest {
            manifest: key.to_string(),
            detail,
        };
        let raw: RawManifest = serde_json::from_slice(content).map_err(|error| refused(error.to_string()))?;
        let format = match raw.file_format.as_str() {
            "CSV" => FileFormat::Csv,
            "Parquet" => FileFormat::Parquet,
            "ORC" => FileFormat::Orc,
            other => {
                let detail = format!("fileFormat is `{other}`, expected CSV, Parquet or ORC");
                return Err(refused(detail));
            }
        };
        let csv_layout = match format {
            FileFormat::Csv => {
                let names = raw.file_schema.split(',').map(str::trim);
                Some(ColumnLayout::of(names, key.as_str())?)
            }
            FileFormat::Parquet | FileFormat::Orc => None,
        };
        let created = match raw.creation_timestamp.as_deref() {
            None => None,
            Some(text) => {
                let millis = text
                    .parse()
                    .map_err(|_| refused(format!("creationTimestamp is `{text}`, expected milliseconds")))?;
                Some(Timestamp::from_millis(millis))
            }
        };
        let source_bucket = BucketName::new(raw.source_bucket).map_err(|error| refused(error.to_string()))?;
        let files = raw
            .files
            .into_iter()
            .map(|file| file.checked().map_err(&refused))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            source_bucket,
            created,
            format,
            files,
            csv_layout,
        })
    }

    /// Returns the total size of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

impl RawFile {
    fn checked(self) -> Result<InventoryFile, String> {
        let md5 = Md5Sum::parse(&self.md5).ok_or_else(|| {
            format!(
                "MD5checksum of file `{}` is `{}`, expected 32 hexadecimal digits",
                self.key, self.md5
            )
        })?;
        Ok(InventoryFile {
            key: ObjectKey::from_raw(self.key).map_err(|error| error.to_string())?,
            size_bytes: self.size,
            md5,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(content: &str) -> Result<InventoryManifest, InventoryError> {
        InventoryManifest::parse(
            &ObjectKey::from_raw("report/manifest.json").unwrap(),
            content.as_bytes(),
        )
    }

    fn manifest(format: &str, schema: &str, md5: &str) -> String {
        format!(
            r#"{{"sourceBucket":"src-bucket","destinationBucket":"arn:aws:s3:::reports","version":"2016-11-30",
            "creationTimestamp":"1514944800000","fileFormat":"{format}","fileSchema":"{schema}",
            "files":[{{"key":"data/a.csv.gz","size":12,"MD5checksum":"{md5}"}}]}}"#
        )
    }

    const MD5: &str = "F11166069F1990ABEB9C97ACE9CDFABC";

    #[test]
    fn manifest_of_csv_report_is_read() {
        let manifest = parse(&manifest("CSV", "Bucket, Key, Size, LastModifiedDate, ETag", MD5)).unwrap();
        assert_eq!(manifest.source_bucket.as_str(), "src-bucket");
        assert_eq!(manifest.created, Some(Timestamp::from_millis(1_514_944_800_000)));
        assert_eq!(manifest.format, FileFormat::Csv);
        assert_eq!(manifest.size_bytes(), 12);
        assert_eq!(manifest.files[0].md5.to_string(), "f11166069f1990abeb9c97ace9cdfabc");
    }

    #[test]
    fn invalid_manifests_are_refused_with_a_reason() {
        #[track_caller]
        fn check(content: &str, expected: &str) {
            let message = parse(content).unwrap_err().to_string();
            assert!(message.contains("report/manifest.json"), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        check("", "EOF");
        check("{}", "sourceBucket");
        check(&manifest("XLS", "", MD5), "`XLS`");
        check(&manifest("ORC", "", "0"), "MD5checksum");
        check(
            &manifest("CSV", "Bucket, Key, LastModifiedDate, ETag", MD5),
            "no column Size",
        );
        check(
            &manifest("CSV", "Bucket, Key, ETag, Size, Size", MD5),
            "column Size exists twice",
        );
        check(
            &manifest("CSV", "Bucket, Key, LastModifiedDate, ETag, Size, VersionId", MD5),
            "no column IsLatest",
        );
        check(&manifest("ORC", "", MD5).replace("1514944800000", "today"), "`today`");
        check(&manifest("ORC", "", MD5).replace("src-bucket", "a b"), "bucket name");
    }
}
