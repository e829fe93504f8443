//! Manifests of S3 Batch Operations: which objects a job works on, one a row, as CSV without a header.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest>

use std::collections::HashSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::names::{BucketName, ObjectKey};
use crate::versions::VersionName;

/// Everything but the characters that RFC 3986 leaves unreserved, and the slash. A space becomes `%20` and a plus sign
/// `%2B`, which no reader can take for each other.
const IN_MANIFEST: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Encodes a text as a manifest has it.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_MANIFEST).to_string()
}

/// One object of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// The bucket.
    pub bucket: BucketName,
    /// The key, decoded.
    pub key: ObjectKey,
    /// The version, where the manifest names versions; `null` for an object that was written without versioning.
    pub version: Option<VersionName>,
}

impl ManifestRow {
    /// Makes a row.
    #[must_use]
    pub fn new(bucket: BucketName, key: ObjectKey, version: Option<VersionName>) -> Self {
        Self { bucket, key, version }
    }

    /// Spells the row, without the end of the line. Nothing in it needs quotes.
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

/// What is the matter with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, row {row}: {problem}")]
pub struct ManifestError {
    /// The file.
    pub file: String,
    /// The row, counted from 1 with empty ones.
    pub row: u64,
    /// What is the matter.
    pub problem: ManifestProblem,
}

/// What can be the matter with a row of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestProblem {
    /// It is not text.
    #[error("not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// It does not have two or three columns.
    #[error("{0} column(s); a row has two, Bucket,Key, or three, Bucket,Key,VersionId")]
    Columns(usize),
    /// A carriage return that is not part of the row's end.
    #[error(
        "a carriage return within the row; rows end with LF or CR LF, and a CR alone ends no line: write %0D where it \
             is part of a key"
    )]
    CarriageReturn,
    /// Another control character as it is.
    #[error("the control character U+{:04X} as it is; write it URL-encoded, as in %{:02X}", u32::from(*.0), u32::from(*.0))]
    ControlCharacter(char),
    /// A quote is opened and not closed on its line, or stands within a field.
    #[error("a quote is not closed, or stands in the middle of a field; keys are URL-encoded and need no quotes")]
    Quotes,
    /// The first row names the columns.
    #[error("a header; these manifests have none: remove the first row")]
    Header,
    /// The row is of another bucket.
    #[error("bucket `{found}`, expected `{expected}`; one manifest is of one bucket")]
    ForeignBucket {
        /// The bucket of the row.
        found: String,
        /// The bucket that is worked on.
        expected: BucketName,
    },
    /// A name that cannot be one.
    #[error("{0}")]
    Name(String),
    /// A `+`, which is a space to some readers and a plus sign to others.
    #[error("key `{0}` holds a bare `+`; write %20 for a space and %2B for a plus sign")]
    BarePlus(String),
    /// A `%` that begins no escape, or bytes that are no text.
    #[error("key `{0}` is not URL-encoded UTF-8; write %25 for a percent sign")]
    NotEncoded(String),
    /// Versions in some rows only.
    #[error("{}; either all rows name a version or none does", if *.0 { "a version where rows before have none" } else { "no version where rows before have one" })]
    MixedVersions(bool),
}

/// Reads a manifest line by line.
///
/// A byte order mark at its beginning, line ends of either kind, quotes around fields and empty lines are taken as they
/// are meant. A row that was there before is left out and counted.
#[derive(Debug)]
pub struct ManifestReader {
    file: String,
    bucket: Option<BucketName>,
    rows: u64,
    has_versions: Option<bool>,
    ignores_versions: bool,
    seen: HashSet<[u8; 16]>,
    /// How many rows were left out because they were there before.
    pub duplicates: u64,
}

impl ManifestReader {
    /// Begins a manifest that is called `file` in errors and must be of `bucket`; without one, of the first row's.
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

    /// Lets a row stand for its key: rows have no version, and two rows of one key are duplicates.
    #[must_use]
    pub fn by_key(mut self) -> Self {
        self.ignores_versions = true;
        self
    }

    /// Reads the next line, with or without its end; `None` for an empty one and for a duplicate.
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
        // Nobody writes these into a manifest who means them as a part of a key.
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
        let bucket = self.own_bucket(bucket)?;
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

    fn own_bucket(&mut self, found: &str) -> Result<BucketName, ManifestProblem> {
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
    let escapes_are_whole = text.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes().take(2);
        let mut is_hex = || digits.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        is_hex() && is_hex()
    });
    if !escapes_are_whole {
        return Err(not_encoded());
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| not_encoded())?;
    Ok(decoded.into_owned())
}

/// Takes a line apart at its commas, as RFC 4180 has it; a field cannot go on over the end of its line, for an encoded
/// key holds none.
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

/// Reads a field behind its opening quote; returns what is behind the comma after it.
fn quoted_field(text: &str) -> Result<(String, Option<&str>), ManifestProblem> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or(ManifestProblem::Quotes)?;
        field.push_str(part);
        if let Some(behind) = behind.strip_prefix('"') {
            // A doubled quote is one of the field's own.
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

/// Half of a hash: of a billion rows, the chance that two share it is below one in a quintillion.
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
