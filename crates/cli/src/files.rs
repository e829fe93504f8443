//! Files that commands read and write: local files, or objects of any bucket.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use s3ferry_aws::client::Clients;
use s3ferry_aws::file::FileStore;
use s3ferry_aws::preflight::region_of;
use s3ferry_core::names::{BucketName, ObjectKey, Region};
use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::location::Location;

/// A file or an object, as a flag names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileLocation {
    /// A local file.
    File(PathBuf),
    /// An object.
    Object(Location),
}

impl FromStr for FileLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("s3://") {
            let path = PathBuf::from(text);
            return match path.file_name() {
                Some(_) => Ok(Self::File(path)),
                None => Err("must name a file, as in folder/name.csv, or an object".to_owned()),
            };
        }
        let location: Location = text.parse().map_err(|error| format!("{error}"))?;
        if location.prefix.is_empty() || location.prefix.ends_with('/') {
            return Err("must name an object, as in s3://my-bucket/folder/name.csv, or a file".to_owned());
        }
        Ok(Self::Object(location))
    }
}

impl fmt::Display for FileLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Object(location) => location.fmt(formatter),
        }
    }
}

impl FileLocation {
    /// Returns the path of a local file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Object(_) => None,
        }
    }
}

/// Returns the folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Checks that files can be created in a folder.
pub(crate) fn ensure_writable(folder: &Path) -> Result<(), CliError> {
    let made = NamedTempFile::new_in(folder);
    made.map(drop)
        .map_err(CliError::file(format!("write to the folder {}", folder.display())))
}

/// Checks that no two flags name one file: the second would overwrite the first, or the input of the command.
///
/// Paths are compared after links are resolved. Each entry has what it is called in the error.
pub(crate) fn ensure_distinct<'a>(files: impl IntoIterator<Item = (&'a str, PathBuf)>) -> Result<(), CliError> {
    let mut seen: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for (flag, path) in files {
        if let Some(other) = seen.insert(resolved(&path), flag) {
            return Err(CliError::usage(
                format!("{other} and {flag} name the same file {}", path.display()),
                format!("pass another file with {flag}"),
            ));
        }
    }
    Ok(())
}

/// Returns the path without links. A file that does not exist yet is resolved by its folder.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let folder = folder_of(path).canonicalize();
        let folder = folder.unwrap_or_else(|_| folder_of(path).to_owned());
        folder.join(path.file_name().unwrap_or_default())
    })
}

/// Ensures, before any work, that a file can be written. Removes the file of an earlier run, so that any file at the end
/// is of this run.
pub(crate) fn prepare_output(path: &Path) -> Result<(), CliError> {
    ensure_writable(folder_of(path))?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::file(format!("replace {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Finds the region of a bucket, with a request to `region`.
pub(crate) async fn find_region(clients: &Clients, bucket: &BucketName, region: &Region) -> Result<Region, CliError> {
    match region_of(&clients.s3_for_reading(region), bucket, region, None).await? {
        Some(found) => crate::args::region(&found).map_err(CliError::Bug),
        None => Ok(region.clone()),
    }
}

/// Opens a bucket in its own region, which is found with a request to `region`.
pub(crate) async fn file_store(clients: &Clients, bucket: &BucketName, region: &Region) -> Result<FileStore, CliError> {
    let region = find_region(clients, bucket, region).await?;
    Ok(FileStore::new(clients, bucket.clone(), region))
}

/// Fetches an object into a temporary file.
pub(crate) async fn fetch(files: &FileStore, key: &str) -> Result<NamedTempFile, CliError> {
    let file = NamedTempFile::new().map_err(CliError::file("create a temporary file"))?;
    let key = ObjectKey::from_raw(key).map_err(|error| CliError::setup(error.to_string(), "name another object"))?;
    files.fetch(&key, file.path()).await?;
    Ok(file)
}

/// Moves a temporary file to its file or object.
pub(crate) async fn put(
    file: NamedTempFile,
    to: &FileLocation,
    clients: &Clients,
    region: &Region,
) -> Result<(), CliError> {
    match to {
        FileLocation::File(path) => {
            let persisted = file.persist(path);
            persisted.map_err(|error| CliError::file(format!("write {}", path.display()))(error.error))?;
        }
        FileLocation::Object(location) => {
            let files = file_store(clients, &location.bucket, region).await?;
            let key = ObjectKey::from_raw(location.prefix.clone());
            let key = key.map_err(|error| CliError::usage(error.to_string(), "name another object"))?;
            files.put(&key, file.path(), "text/csv").await?;
        }
    }
    Ok(())
}

/// Returns the error of an unusable manifest.
pub(crate) fn unusable_manifest(problem: &str) -> CliError {
    CliError::setup(problem, "correct the manifest, or write one with `s3ferry manifest`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_file_are_the_same_through_links_and_dots() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "").unwrap();
        std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
        let check = |one: &str, other: &str| ensure_distinct([("--one", path(one)), ("--other", path(other))]);
        for (one, other) in [("a", "a"), ("a", "./a"), ("a", "link"), ("new", "./new")] {
            let error = check(one, other).unwrap_err();
            assert_eq!(error.code(), 2);
            assert!(
                error.to_string().contains("--one and --other name the same file"),
                "{error}"
            );
        }
        assert!(check("a", "new").is_ok());
    }

    #[test]
    fn location_is_a_file_or_an_object() {
        for text in ["run.csv", "a/manifest.json"] {
            assert_eq!(text.parse(), Ok(FileLocation::File(PathBuf::from(text))));
        }
        let object: FileLocation = "s3://bucket/a/run.csv".parse().unwrap();
        assert!(matches!(object, FileLocation::Object(_)));
        assert_eq!(object.to_string(), "s3://bucket/a/run.csv");
        for text in ["s3://bucket", "s3://bucket/folder/", "..", "", "s3://x/run.csv"] {
            assert!(text.parse::<FileLocation>().is_err(), "{text}");
        }
    }
}
