//! Local copies of a report's files, checked against the manifest.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use md5::{Digest, Md5};
use s3ferry_core::names::ObjectKey;
use tempfile::NamedTempFile;

use crate::bucket::InventoryBucket;
use crate::error::InventoryError;
use crate::manifest::InventoryFile;
use crate::md5sum::Md5Sum;

/// Fetches an object into a temporary file, which is deleted when it is dropped.
pub(crate) async fn fetch(
    bucket: &impl InventoryBucket,
    key: &ObjectKey,
    directory: &Path,
) -> Result<NamedTempFile, InventoryError> {
    let file = NamedTempFile::with_prefix_in("inventory-", directory).map_err(|error| spill(directory, error))?;
    bucket
        .fetch(key, file.path())
        .await
        .map_err(|failure| InventoryError::Fetch {
            file: key.to_string(),
            source: Box::new(failure),
        })?;
    Ok(file)
}

/// Checks size and MD5 against the manifest, and opens the file.
pub(crate) fn check(
    fetched: &NamedTempFile,
    expected: &InventoryFile,
    directory: &Path,
) -> Result<File, InventoryError> {
    let (found_bytes, found) = digest(fetched.path()).map_err(|error| spill(directory, error))?;
    if found_bytes != expected.size_bytes {
        return Err(InventoryError::Size {
            file: expected.key.to_string(),
            expected_bytes: expected.size_bytes,
            found_bytes,
        });
    }
    if found != expected.md5 {
        return Err(InventoryError::Checksum {
            file: expected.key.to_string(),
            expected: expected.md5,
            found,
        });
    }
    File::open(fetched.path()).map_err(|error| spill(directory, error))
}

pub(crate) fn spill(directory: &Path, source: io::Error) -> InventoryError {
    InventoryError::Spill {
        directory: directory.display().to_string(),
        source,
    }
}

fn digest(path: &Path) -> io::Result<(u64, Md5Sum)> {
    let mut file = File::open(path)?;
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size_bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or(&[]));
        size_bytes += count as u64;
    }
    Ok((size_bytes, Md5Sum::finish(hasher)))
}
