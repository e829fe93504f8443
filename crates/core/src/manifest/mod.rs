//! Manifests of S3 Batch Operations: the objects of a job, one per row, as CSV without a header.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest>

use std::collections::HashSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::names::{BucketName, ObjectKey};
use crate::versions::VersionName;

/// Characters that a manifest contains URL-encoded: all except the unreserved characters of RFC 3986 and the slash. The
/// encodings of a space, `%20`, and of a plus sign, `%2B`, are unambiguous for every reader.
const IN_MANIFEST: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Returns a text in the encoding of manifests.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_MANIFEST).to_string()
}

/// Row of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// Bucket name.
    pub bucket: BucketName,
    /// Object key, decoded.
    pub key: ObjectKey,
    /// Version, if the manifest has version IDs. `null` for an object that was written without versioning.
    pub version: Option<VersionName>,
}

impl ManifestRow {
    /// Creates a row.
    #[must_use]
    pub fn new(bucket: BucketName, key: ObjectKey, version: Option<VersionName>) -> Self {
        Self { bucket, key, version }
    }

    /// Returns the row as CSV, without a line break. No field needs quotes.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let key = utf8_percent_encode(self.key.as_str(), IN_MANIFEST);
        match &self.version {
            Some(version) => format!(
                "{},{key},{}",
                self.bucket,
                utf8_percent_encode(version.as_str(), IN_MANIFEST)
            ),
            None => format!("{},{key}", self.bucket),
        }
    }
}

/// Error in a manifest, with its location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, row {row}: {problem}")]
pub struct ManifestError {
    /// File name of the manifest.
    pub file: String,
    /// Row number, counted from 1, including empty rows.
    pub row: u64,
    /// Problem of the row.
    pub problem: ManifestProblem,
}

/// Problem of a manifest row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestProblem {
    /// The row is not UTF-8.
    #[error("not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// The row does not have two or three columns.
    #[error("the number of columns is {0}, expected 2 (Bucket,Key) or 3 (Bucket,Key,VersionId)")]
    Columns(usize),
    /// The row contains a carriage return other than at its end.
    #[error(
        "a carriage return within the row; rows end with LF or CR LF, and a CR alone is not a line break: write %0D if \
         it is part of a key"
    )]
    CarriageReturn,
    /// The row contains an unencoded control character.
    #[error(
        "unencoded control character U+{:04X}; write it URL-encoded, as in %{:02X}",
        u32::from(*.0),
        u32::from(*.0)
    )]
    ControlCharacter(char),
    /// A quote is not closed on its line, or occurs within a field.
    #[error("a quote is not closed or is in the middle of a field; keys are URL-encoded and need no quotes")]
    Quotes,
    /// The first row contains column names.
    #[error("the manifest has a header row; remove the first row")]
    Header,
    /// The bucket of the row is not the expected bucket.
    #[error("bucket `{found}`, expected `{expected}`; a manifest has one bucket")]
    ForeignBucket {
        /// Bucket of the row.
        found: String,
        /// Expected bucket.
        expected: BucketName,
    },
    /// A bucket name or key is not valid.
    #[error("{0}")]
    Name(String),
    /// The key contains an unencoded `+`, which some readers decode to a space.
    #[error("key `{0}` contains an unencoded `+`; write %20 for a space and %2B for a plus sign")]
    BarePlus(String),
    /// The key contains an incomplete escape, or its bytes are not UTF-8.
    #[error("key `{0}` is not URL-encoded UTF-8; write %25 for a percent sign")]
    NotEncoded(String),
    /// Only some rows have a version ID.
    #[error(
        "the row has {} version ID, unlike the rows before; either all rows have a version ID or none",
        if *.0 { "a" } else { "no" }
    )]
    MixedVersions(bool),
}

/// Line-by-line reader of a manifest.
///
/// Accepts a byte order mark at the beginning, both kinds of line breaks, quoted fields and empty lines. Duplicate rows
/// are skipped and counted.
#[derive(Debug)]
pub struct ManifestReader {
    file: String,
    bucket: Option<BucketName>,
    rows: u64,
    has_versions: Option<bool>,
    ignores_versions: bool,
    seen: HashSet<[u8; 16]>,
    /// Number of duplicate rows that were skipped.
    pub duplicates: u64,
}

impl ManifestReader {
    /// Creates a reader. Errors name the manifest `file`. All rows must have `bucket`, or the bucket of the first row.
    #[must_use]
    pub fn new(file: impl Into<String>, bucket: Option<BucketName>) -> Self {
        Self {
            file: file.into(),
            bucket,
            rows: 0,
            has_versions: None,
            ignores_versions: false,
            seen: HashSet::new(),
            duplicates: 0,
        }
    }

    /// Compares rows by their keys: rows have no version, and two rows of one key are duplicates.
    #[must_use]
    pub fn by_key(mut self) -> Self {
        self.ignores_versions = true;
        self
    }

    /// Reads the next line, with or without its line break. Returns `None` for an empty line and for a duplicate.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<ManifestRow>, ManifestError> {
        self.rows += 1;
        self.row(line).map_err(|problem| ManifestError {
            file: self.file.clone(),
            row: self.rows,
            problem,
        })
    }

    fn row(&mut self, line: &[u8]) -> Result<Option<ManifestRow>, ManifestProblem> {
        let line = std::str::from_utf8(line).map_err(|_| ManifestProblem::NotUtf8)?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = if self.rows == 1 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        if line.trim().is_empty() {
            return Ok(None);
        }
        // An unencoded control character is a mistake rather than a part of a key.
        match line.chars().find(|letter| *letter < ' ') {
            Some('\r') => return Err(ManifestProblem::CarriageReturn),
            Some(letter) => return Err(ManifestProblem::ControlCharacter(letter)),
            None => {}
        }
        let fields = fields(line)?;
        let (bucket, key, version) = match fields.as_slice() {
            [bucket, key] => (bucket, key, ""),
            [bucket, key, version] => (bucket, key, version.as_str()),
            other => return Err(ManifestProblem::Columns(other.len())),
        };
        if self.rows == 1 && bucket.eq_ignore_ascii_case("bucket") && key.eq_ignore_ascii_case("key") {
            return Err(ManifestProblem::Header);
        }
        let bucket = self.checked_bucket(bucket)?;
        let key = decoded(key)?;
        let version = VersionName::new(&decoded_text(version)?);
        let has_version = version.is_some();
        if *self.has_versions.get_or_insert(has_version) != has_version {
            return Err(ManifestProblem::MixedVersions(has_version));
        }
        let row = ManifestRow::new(bucket, key, version.filter(|_| !self.ignores_versions));
        if !self.seen.insert(fingerprint(&row)) {
            self.duplicates += 1;
            return Ok(None);
        }
        Ok(Some(row))
    }

    fn checked_bucket(&mut self, found: &str) -> Result<BucketName, ManifestProblem> {
        let bucket = BucketName::new(found).map_err(|error| ManifestProblem::Name(error.to_string()))?;
        let expected = self.bucket.get_or_insert(bucket.clone());
        if *expected == bucket {
            Ok(bucket)
        } else {
            Err(ManifestProblem::ForeignBucket {
                found: found.to_owned(),
                expected: expected.clone(),
            })
        }
    }
}

fn decoded(text: &str) -> Result<ObjectKey, ManifestProblem> {
    if text.contains('+') {
        return Err(ManifestProblem::BarePlus(text.to_owned()));
    }
    ObjectKey::from_raw(decoded_text(text)?).map_err(|error| ManifestProblem::Name(error.to_string()))
}

fn decoded_text(text: &str) -> Result<String, ManifestProblem> {
    let not_encoded = || ManifestProblem::NotEncoded(text.to_owned());
    let escapes_are_complete = text.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes().take(2);
        let mut is_hex = || digits.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        is_hex() && is_hex()
    });
    if !escapes_are_complete {
        return Err(not_encoded());
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| not_encoded())?;
    Ok(decoded.into_owned())
}

/// Splits a line into fields according to RFC 4180. A field never contains a line break, because in a URL-encoded key
/// it is escaped.
fn fields(line: &str) -> Result<Vec<String>, ManifestProblem> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => match rest.split_once(',') {
                Some((field, behind)) => (field.to_owned(), Some(behind)),
                None => (rest.to_owned(), None),
            },
        };
        if !rest.starts_with('"') && field.contains('"') {
            return Err(ManifestProblem::Quotes);
        }
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(fields),
        }
    }
}

/// Reads a field after its opening quote. Returns the field, and the rest of the line after its comma.
fn quoted_field(text: &str) -> Result<(String, Option<&str>), ManifestProblem> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or(ManifestProblem::Quotes)?;
        field.push_str(part);
        if let Some(behind) = behind.strip_prefix('"') {
            // A doubled quote is an escaped quote.
            field.push('"');
            rest = behind;
        } else if behind.is_empty() {
            return Ok((field, None));
        } else if let Some(behind) = behind.strip_prefix(',') {
            return Ok((field, Some(behind)));
        } else {
            return Err(ManifestProblem::Quotes);
        }
    }
}

/// Returns half of a SHA-256. In a billion rows the probability of a collision is below one in a quintillion.
fn fingerprint(row: &ManifestRow) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(row.key.as_str());
    hash.update([0xff]);
    hash.update(row.version.as_ref().map_or("", VersionName::as_str));
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    half
}

#[cfg(test)]
mod tests;
