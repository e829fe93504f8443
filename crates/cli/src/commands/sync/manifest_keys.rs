//! The keys of `sync --manifest`, read row by row.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use s3ferry_core::manifest::ManifestReader;
use s3ferry_core::names::ObjectKey;
use serde_json::{Value, json};

use crate::exit::CliError;
use crate::files::{FileLocation, fetch, file_store, unusable_manifest};
use crate::sides::BucketPair;

/// The keys of a manifest: an iterator over its rows that also counts them.
#[derive(Debug)]
pub(super) struct ManifestKeys {
    name: String,
    prefix: String,
    lines: BufReader<File>,
    reader: ManifestReader,
    counts: ManifestCounts,
}

/// The rows of a manifest that were read.
#[derive(Debug, Clone, Default)]
pub(super) struct ManifestCounts {
    pub(super) name: String,
    /// Keys to reconcile.
    pub(super) keys: u64,
    /// Rows of a key that an earlier row names.
    pub(super) duplicates: u64,
    /// Rows of keys outside the prefix of `--source`, which are skipped.
    pub(super) outside_prefix: u64,
}

impl ManifestCounts {
    pub(super) fn json(&self) -> Value {
        json!({
            "location": self.name,
            "keys": self.keys,
            "duplicates": self.duplicates,
            "outside_prefix": self.outside_prefix,
        })
    }
}

impl ManifestKeys {
    /// Opens a manifest. An object is downloaded first, from a bucket of the source bucket's owner.
    pub(super) async fn open(manifest: &FileLocation, sides: &BucketPair) -> Result<Self, CliError> {
        let name = manifest.to_string();
        let unreadable = || CliError::unreadable(format!("read the manifest {name}"));
        let file = match manifest {
            FileLocation::File(path) => File::open(path).map_err(unreadable())?,
            FileLocation::Object(location) => {
                let clients = sides.clients.expecting(sides.source.owner.as_ref());
                let files = file_store(&clients, &location.bucket, &sides.source.region).await?;
                fetch(&files, &location.prefix).await?.into_file()
            }
        };
        let bucket = sides.source.location.bucket.clone();
        Ok(Self {
            prefix: sides.prefix().to_owned(),
            lines: BufReader::new(file),
            reader: ManifestReader::new(&name, Some(bucket)).by_key(),
            counts: ManifestCounts {
                name: name.clone(),
                ..ManifestCounts::default()
            },
            name,
        })
    }

    /// Returns the counts of the rows that were read.
    pub(super) fn counts(&self) -> ManifestCounts {
        ManifestCounts {
            duplicates: self.reader.duplicates,
            ..self.counts.clone()
        }
    }

    fn next_key(&mut self) -> Result<Option<ObjectKey>, CliError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.lines.read_until(b'\n', &mut line);
            let unreadable = || CliError::unreadable(format!("read the manifest {}", self.name));
            if read.map_err(unreadable())? == 0 {
                let is_empty = self.counts.keys + self.counts.outside_prefix == 0;
                return if is_empty {
                    Err(unusable_manifest(&format!("{} has no rows", self.name)))
                } else {
                    Ok(None)
                };
            }
            let row = self.reader.line(&line);
            let row = row.map_err(|error| unusable_manifest(&error.to_string()))?;
            match row {
                None => {}
                Some(row) if !row.key.as_str().starts_with(&self.prefix) => self.counts.outside_prefix += 1,
                Some(row) => {
                    self.counts.keys += 1;
                    return Ok(Some(row.key));
                }
            }
        }
    }
}

impl Iterator for ManifestKeys {
    type Item = Result<ObjectKey, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_key().transpose()
    }
}
