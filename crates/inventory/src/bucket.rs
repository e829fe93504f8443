//! Sources of a report's files.

use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};

use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ObjectKey;

/// Bucket that contains a report.
pub trait InventoryBucket: Send + Sync + 'static {
    /// Writes the content of an object into the empty file at `path`.
    fn fetch(&self, key: &ObjectKey, path: &Path) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Report in a local directory. The path of each file is its key.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Creates the source for a directory that contains a copy of the bucket.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn failure(&self, key: &ObjectKey, code: &str, detail: String) -> Failure {
        Failure {
            kind: FailureKind::Permanent,
            code: code.into(),
            action: "read".to_owned(),
            resource: self.root.join(key.as_str()).display().to_string(),
            detail,
        }
    }
}

impl InventoryBucket for Directory {
    async fn fetch(&self, key: &ObjectKey, path: &Path) -> Result<(), Failure> {
        let relative = Path::new(key.as_str());
        // A manifest is untrusted input: it must not name files outside the report.
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            let detail = "the key is a path outside the directory".to_owned();
            return Err(self.failure(key, "KeyNotBelowDirectory", detail));
        }
        match tokio::fs::copy(self.root.join(relative), path).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(self.failure(key, "NoSuchKey", error.to_string()))
            }
            Err(error) => Err(self.failure(key, "ReadFailed", error.to_string())),
        }
    }
}
