//! The location of manifests: files, or objects.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use s3ferry_aws::client::Clients;
use s3ferry_aws::file::FileStore;
use s3ferry_aws::listing::S3Listing;
use s3ferry_core::names::{ETag, ObjectKey, Region};
use s3ferry_core::object_class::ObjectClass;
use s3ferry_engine::listing::PrefetchLimits;
use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::files::{FileLocation, ensure_writable, find_region, folder_of, prepare_output};
use crate::rows::listed;

/// A location that manifests can be written to.
#[derive(Debug)]
pub(crate) enum ManifestLocation {
    Folder {
        folder: PathBuf,
        name: String,
    },
    Bucket {
        store: FileStore,
        listing: S3Listing,
        prefix: String,
    },
}

impl ManifestLocation {
    /// Checks that the location can be written.
    pub(crate) async fn open(at: &FileLocation, clients: &Clients, region: &Region) -> Result<Self, CliError> {
        match at {
            FileLocation::File(path) => {
                let folder = folder_of(path).to_owned();
                ensure_writable(&folder)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Self::Folder { folder, name })
            }
            FileLocation::Object(location) => {
                let bucket = &location.bucket;
                let region = find_region(clients, bucket, region).await?;
                let client = clients.s3_for_listing(&region);
                Ok(Self::Bucket {
                    store: FileStore::new(clients, bucket.clone(), region.clone()),
                    listing: S3Listing::new(client, bucket.clone(), region, None),
                    prefix: location.prefix.clone(),
                })
            }
        }
    }

    /// Lists the numbered files of this name, of any class.
    pub(crate) async fn numbered(&self) -> Result<BTreeSet<String>, CliError> {
        let mut found = BTreeSet::new();
        match self {
            Self::Folder { folder, name } => {
                let paths = numbered_in(folder, name)?;
                found.extend(paths.into_iter().map(|path| path.display().to_string()));
            }
            Self::Bucket { store, listing, prefix } => {
                let begin = format!("{}-", stem(prefix));
                let mut pages = std::pin::pin!(listed(listing.clone(), &begin, PrefetchLimits::default()));
                while let Some(page) = pages.next().await {
                    let keys = page?.into_iter().map(|row| row.key);
                    let keys = keys.filter(|key| is_numbered(prefix, key.as_str()));
                    found.extend(keys.map(|key| format!("s3://{}/{key}", store.bucket())));
                }
            }
        }
        Ok(found)
    }

    /// Creates a temporary file, which gets its name when it is complete.
    pub(crate) fn begin(&self) -> Result<NamedTempFile, CliError> {
        let file = match self {
            Self::Folder { folder, .. } => NamedTempFile::new_in(folder),
            Self::Bucket { .. } => NamedTempFile::new(),
        };
        file.map_err(CliError::file("create a temporary file"))
    }

    /// Renames a complete file to its name with `suffix`; returns its location, and the ETag of an object.
    pub(crate) async fn finish(
        &self,
        file: NamedTempFile,
        suffix: &str,
        extension: &str,
    ) -> Result<(String, Option<ETag>), CliError> {
        match self {
            Self::Folder { folder, name } => {
                let path = folder.join(numbered(name, suffix, extension));
                let persisted = file.persist(&path);
                persisted.map_err(|error| CliError::file(format!("write {}", path.display()))(error.error))?;
                Ok((path.display().to_string(), None))
            }
            Self::Bucket { store, prefix, .. } => {
                let key = ObjectKey::from_raw(numbered(prefix, suffix, extension));
                let key = key.map_err(|error| CliError::usage(error.to_string(), "give a shorter name with --to"))?;
                let etag = store.put(&key, file.path(), "text/csv").await?;
                Ok((format!("s3://{}/{key}", store.bucket()), Some(etag)))
            }
        }
    }
}

/// Ensures, before any work, that the numbered files of a manifest can be written on this machine. Removes those of an
/// earlier run, so that any files at the end are of this run. Objects remain; a failed run names them.
pub(crate) fn prepare_numbered_output(at: &FileLocation) -> Result<(), CliError> {
    let FileLocation::File(path) = at else { return Ok(()) };
    let folder = folder_of(path);
    ensure_writable(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    numbered_in(folder, &name)?
        .iter()
        .try_for_each(|path| prepare_output(path))
}

/// Does the same for the files with each of the `suffixes`.
pub(crate) fn prepare_output_with_suffixes(at: &FileLocation, suffixes: &[&str]) -> Result<(), CliError> {
    let FileLocation::File(path) = at else { return Ok(()) };
    suffixes
        .iter()
        .try_for_each(|suffix| prepare_output(&with_suffix(path, suffix)))
}

/// Returns the path of a manifest with a suffix, as in `run-source.csv`.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(numbered(&name, suffix, "csv"))
}

fn numbered_in(folder: &Path, name: &str) -> Result<Vec<PathBuf>, CliError> {
    let unreadable = || CliError::unreadable(format!("look through {}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable())? {
        let file = entry.map_err(unreadable())?.file_name();
        if is_numbered(name, &file.to_string_lossy()) {
            found.push(folder.join(file));
        }
    }
    Ok(found)
}

/// Inserts a suffix before the extension: `run.csv` and `-0001` are `run-0001.csv`.
fn numbered(name: &str, suffix: &str, extension: &str) -> String {
    format!("{}{suffix}.{extension}", stem(name))
}

/// Removes the extension, as in `folder/run.csv`.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') && !stem.is_empty() && !stem.ends_with('/') => stem,
        _ => name,
    }
}

/// Returns whether `file` is one of the numbered files of `name`, as in `run-0001.csv` or `run-plain-0001.csv`.
fn is_numbered(name: &str, file: &str) -> bool {
    let Some(rest) = file.strip_prefix(stem(name)).and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let of_class = ObjectClass::ALL
        .into_iter()
        .find_map(|class| rest.strip_prefix(class.as_str())?.strip_prefix('-'));
    let rest = of_class.unwrap_or(rest);
    let number = rest.strip_suffix(".csv").or_else(|| rest.strip_suffix(".jsonl"));
    number.is_some_and(|number| number.len() >= 4 && number.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_before_the_extension() {
        for (name, expected) in [
            ("run.csv", "run-0001.csv"),
            ("run", "run-0001.csv"),
            ("a.b/run", "a.b/run-0001.csv"),
            ("a/run.1.csv", "a/run.1-0001.csv"),
            ("/run.csv", "/run-0001.csv"),
        ] {
            assert_eq!(numbered(name, "-0001", "csv"), expected);
        }
    }

    #[test]
    fn numbered_files_of_a_name_are_recognized() {
        for file in [
            "a/run-0001.csv",
            "a/run-12345.csv",
            "a/run-large-or-rich-0002.csv",
            "a/run-not-copyable-0001.jsonl",
        ] {
            assert!(is_numbered("a/run.csv", file), "{file}");
        }
        for file in [
            "a/run.csv",
            "a/run-001.csv",
            "a/run-2-0001.csv",
            "a/run-0001.txt",
            "a/rune-0001.csv",
            "a/run-.csv",
        ] {
            assert!(!is_numbered("a/run.csv", file), "{file}");
        }
    }
}
