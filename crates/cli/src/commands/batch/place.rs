//! Where manifests and reports are: folders of this machine, or prefixes of buckets.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use s3ferry_aws::client::Clients;
use s3ferry_aws::file::FileStore;
use s3ferry_aws::results::S3Results;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::{ETag, ObjectKey, Region};
use s3ferry_engine::results::ResultStore;
use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::files::{FileLocation, fetch, file_store, found_region};
use crate::location::Location;

/// The place of jobs, as it is written on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// A folder.
    Folder(PathBuf),
    /// A prefix, which is empty or ends in a slash.
    Bucket(Location),
}

impl FromStr for Root {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("s3://") {
            return if text.is_empty() {
                Err("must name a folder, or a prefix as in s3://my-bucket/reports".to_owned())
            } else {
                Ok(Self::Folder(PathBuf::from(text)))
            };
        }
        let mut location: Location = text.parse().map_err(|error| format!("{error}"))?;
        if !location.prefix.is_empty() && !location.prefix.ends_with('/') {
            location.prefix.push('/');
        }
        Ok(Self::Bucket(location))
    }
}

impl fmt::Display for Root {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(formatter),
            Self::Bucket(location) => location.fmt(formatter),
        }
    }
}

/// The place of jobs, ready: what the engine writes down, and what is fetched of it.
#[derive(Debug)]
pub(super) enum Place {
    Folder(PathBuf),
    Bucket {
        files: FileStore,
        texts: S3Results,
        prefix: String,
    },
}

impl Root {
    /// Makes the place ready.
    pub(super) async fn open(&self, clients: &Clients, region: &Region) -> Result<Place, CliError> {
        match self {
            Self::Folder(path) => Ok(Place::Folder(path.clone())),
            Self::Bucket(location) => {
                let region = found_region(clients, &location.bucket, region).await?;
                let client = clients.s3_for_reading(&region);
                Ok(Place::Bucket {
                    files: FileStore::new(clients, location.bucket.clone(), region.clone()),
                    texts: S3Results::new(client, location.bucket.clone(), region, None),
                    prefix: location.prefix.clone(),
                })
            }
        }
    }
}

impl Place {
    /// Fetches a file of a report by the key that its index names; the index of a folder names it from there.
    pub(super) async fn fetch(&self, key: &str) -> Result<Fetched, CliError> {
        match self {
            Self::Folder(root) => {
                let path = root.join(key);
                let is_inside = !Path::new(key).is_absolute() && !key.split('/').any(|part| part == "..");
                if !is_inside {
                    return Err(CliError::setup(
                        format!(
                            "the report names the file {key}, which is outside of {}",
                            root.display()
                        ),
                        "read reports that s3ferry wrote, as they were written",
                    ));
                }
                Ok(Fetched::Own(path))
            }
            Self::Bucket { files, .. } => Ok(Fetched::Temporary(fetch(files, key).await?)),
        }
    }
}

/// A file of a report.
#[derive(Debug)]
pub(super) enum Fetched {
    /// It was here.
    Own(PathBuf),
    /// It was fetched.
    Temporary(NamedTempFile),
}

impl Fetched {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Temporary(file) => file.path(),
        }
    }
}

/// Puts a whole file where it is wanted.
pub(super) async fn put(
    file: NamedTempFile,
    to: &FileLocation,
    clients: &Clients,
    region: &Region,
) -> Result<Option<ETag>, CliError> {
    match to {
        FileLocation::File(path) => {
            let persisted = file.persist(path);
            persisted.map_err(|error| CliError::file(format!("write {}", path.display()))(error.error))?;
            Ok(None)
        }
        FileLocation::Object(location) => {
            let files = file_store(clients, &location.bucket, region).await?;
            let key = ObjectKey::from_raw(location.prefix.clone());
            let key = key.map_err(|error| CliError::usage(error.to_string(), "name another object"))?;
            Ok(Some(files.put(&key, file.path(), "text/csv").await?))
        }
    }
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        kind: FailureKind::Configuration,
        code: "FileNotUsable".to_owned(),
        action: action.to_owned(),
        resource: path.display().to_string(),
        detail: error.to_string(),
    }
}

impl ResultStore for Place {
    async fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                let folder = path.parent().unwrap_or(root);
                std::fs::create_dir_all(folder).map_err(|error| failed("make the folder", folder, &error))?;
                // Nobody sees it under its name before it is whole.
                let written = NamedTempFile::new_in(folder).and_then(|mut file| {
                    file.write_all(text.as_bytes())?;
                    file.as_file().sync_all()?;
                    file.persist(&path).map_err(|error| error.error)
                });
                written
                    .map(drop)
                    .map_err(|error| failed("write the file", &path, &error))
            }
            Self::Bucket { texts, prefix, .. } => texts.write(&format!("{prefix}{name}"), text).await,
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
        match self {
            Self::Folder(root) => {
                let mut names = names_in(root, prefix)?;
                names.retain(|name| after.is_none_or(|after| name.as_str() > after));
                Ok(names)
            }
            Self::Bucket {
                texts, prefix: root, ..
            } => {
                let after = after.map(|after| format!("{root}{after}"));
                let names = texts.list(&format!("{root}{prefix}"), after.as_deref()).await?;
                let below = names.iter().filter_map(|name| name.strip_prefix(root.as_str()));
                Ok(below.map(str::to_owned).collect())
            }
        }
    }

    async fn read(&self, name: &str) -> Result<String, Failure> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                std::fs::read_to_string(&path).map_err(|error| failed("read the file", &path, &error))
            }
            Self::Bucket { texts, prefix, .. } => texts.read(&format!("{prefix}{name}")).await,
        }
    }
}

/// Lists the files of the folder that a prefix is in; temporary ones, which begin with a dot, are none yet.
fn names_in(root: &Path, prefix: &str) -> Result<Vec<String>, Failure> {
    let (folder, _) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    let path = root.join(folder);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list the folder", &path, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("list the folder", &path, &error))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let whole = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        if whole.starts_with(prefix) && !name.starts_with('.') && entry.path().is_file() {
            names.push(whole);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_a_folder_or_a_prefix() {
        for (text, spelled) in [
            ("reports", "reports"),
            ("s3://state", "s3://state/"),
            ("s3://state/a", "s3://state/a/"),
            ("s3://state/a/", "s3://state/a/"),
        ] {
            assert_eq!(text.parse::<Root>().unwrap().to_string(), spelled);
        }
        assert!("".parse::<Root>().is_err() && "s3://".parse::<Root>().is_err());
    }

    #[tokio::test]
    async fn folder_keeps_texts_and_lists_them_by_prefix() {
        let folder = tempfile::TempDir::new().unwrap();
        let place = Place::Folder(folder.path().join("new"));
        assert_eq!(place.list("job-1/", None).await.unwrap(), Vec::<String>::new());
        for name in ["job-1/progress/2.jsonl", "job-1/progress/1.jsonl", "job-1/job.json"] {
            place.write(name, name.to_owned()).await.unwrap();
        }
        assert_eq!(
            place.list("job-1/progress/", None).await.unwrap(),
            ["job-1/progress/1.jsonl", "job-1/progress/2.jsonl"]
        );
        let after = place.list("job-1/progress/", Some("job-1/progress/1.jsonl")).await;
        assert_eq!(after.unwrap(), ["job-1/progress/2.jsonl"]);
        assert_eq!(place.list("job-1/job.json", None).await.unwrap(), ["job-1/job.json"]);
        assert_eq!(place.read("job-1/job.json").await.unwrap(), "job-1/job.json");
        assert!(place.read("job-2/job.json").await.is_err());
        assert_eq!(place.fetch("../secret").await.unwrap_err().code(), 3);
    }
}
