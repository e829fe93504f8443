//! Where manifests go: files of this machine, or objects.

use std::path::{Path, PathBuf};

use s3ferry_aws::client::Clients;
use s3ferry_aws::file::FileStore;
use s3ferry_core::names::{ETag, ObjectKey, Region};
use tempfile::NamedTempFile;

use crate::exit::Error;
use crate::files::{FileAt, file_store};

/// Where manifests go, ready.
#[derive(Debug)]
pub(crate) enum Place {
    Folder { folder: PathBuf, name: String },
    Bucket { store: FileStore, prefix: String },
}

impl Place {
    /// Makes sure that the place can be written to.
    pub(crate) async fn open(at: &FileAt, clients: &Clients, region: &Region) -> Result<Self, Error> {
        match at {
            FileAt::File(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new(".")).to_owned();
                if !folder.is_dir() {
                    return Err(Error::setup(
                        format!("there is no folder {}", folder.display()),
                        "make it, or name another file with --to",
                    ));
                }
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Ok(Self::Folder { folder, name })
            }
            FileAt::Object(location) => Ok(Self::Bucket {
                store: file_store(clients, &location.bucket, region).await?,
                prefix: location.prefix.clone(),
            }),
        }
    }

    /// Makes a file that is written to; nobody sees it under its name before it is whole.
    pub(crate) fn begin(&self) -> Result<NamedTempFile, Error> {
        let file = match self {
            Self::Folder { folder, .. } => NamedTempFile::new_in(folder),
            Self::Bucket { .. } => NamedTempFile::new(),
        };
        file.map_err(Error::file("create a temporary file"))
    }

    /// Puts a whole file under the name with `suffix`; returns where it is, and its tag if it is an object.
    pub(crate) async fn finish(
        &self,
        file: NamedTempFile,
        suffix: &str,
        extension: &str,
    ) -> Result<(String, Option<ETag>), Error> {
        match self {
            Self::Folder { folder, name } => {
                let path = folder.join(numbered(name, suffix, extension));
                let persisted = file.persist(&path);
                persisted.map_err(|error| Error::file(format!("write {}", path.display()))(error.error))?;
                Ok((path.display().to_string(), None))
            }
            Self::Bucket { store, prefix } => {
                let key = ObjectKey::from_raw(numbered(prefix, suffix, extension));
                let key = key.map_err(|error| Error::usage(error.to_string(), "give a shorter name with --to"))?;
                let etag = store.put(&key, file.path(), "text/csv").await?;
                Ok((format!("s3://{}/{key}", store.bucket()), Some(etag)))
            }
        }
    }
}

/// Puts a suffix before the extension: `run.csv` and `-0001` are `run-0001.csv`.
fn numbered(name: &str, suffix: &str, extension: &str) -> String {
    let (folder, file) = name
        .rsplit_once('/')
        .map_or(("", name), |(folder, file)| (folder, file));
    let stem = file
        .rsplit_once('.')
        .map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
    let slash = if name.contains('/') { "/" } else { "" };
    format!("{folder}{slash}{stem}{suffix}.{extension}")
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
}
