//! The manifest that a job is started with, and the job's identity.

use std::collections::BTreeMap;

use s3ferry_aws::batch::jobs::ManifestObject;
use s3ferry_aws::client::Clients;
use s3ferry_core::batch_report::TokenFields;
use s3ferry_core::manifest::ManifestReader;
use s3ferry_core::names::{AccountId, BucketName, ObjectKey, Region};

use super::super::service::BatchService;
use super::super::stack::StackOutputs;
use super::args::CommonArgs;
use crate::exit::CliError;
use crate::files::{file_store, unusable_manifest};
use crate::location::Location;

/// Number of bytes of a manifest that are checked before a job is started.
const CHECKED_BYTES: u64 = 64 * 1024;

/// Checks that a manifest exists and that its first rows are valid.
pub(super) async fn manifest_object(
    clients: &Clients,
    region: &Region,
    manifest: &Location,
    outputs: &StackOutputs,
    account: Option<&AccountId>,
) -> Result<ManifestObject, CliError> {
    let key = ObjectKey::from_raw(manifest.prefix.clone());
    let key = key.map_err(|error| CliError::usage(error.to_string(), "pass another --manifest"))?;
    let owner = account.and_then(|account| outputs.owner_of(&manifest.bucket, account));
    let files = file_store(&clients.expecting(owner), &manifest.bucket, region).await?;
    let stored = files.head(&key).await?;
    let beginning = files.beginning(&key, CHECKED_BYTES).await?;
    let is_whole = u64::try_from(beginning.len()).is_ok_and(|read| read >= stored.size_bytes);
    let mut reader = ManifestReader::new(location_text(&manifest.bucket, &key), None);
    let mut has_versions = None;
    for line in beginning.split_inclusive(|byte| *byte == b'\n') {
        // The last line may be truncated.
        if !line.ends_with(b"\n") && !is_whole {
            break;
        }
        let row = reader
            .line(line)
            .map_err(|error| unusable_manifest(&error.to_string()))?;
        if let Some(row) = row {
            has_versions.get_or_insert(row.version.is_some());
        }
    }
    let has_versions = has_versions
        .ok_or_else(|| unusable_manifest(&format!("{} has no rows", location_text(&manifest.bucket, &key))))?;
    Ok(ManifestObject {
        bucket: manifest.bucket.clone(),
        key,
        etag: stored.etag,
        version: stored.version,
        has_versions,
    })
}

pub(super) fn location_text(bucket: &BucketName, key: &ObjectKey) -> String {
    format!("s3://{bucket}/{key}")
}

/// Returns the fields that make two jobs of one service the same job.
pub(super) fn token_fields(
    common: &CommonArgs,
    service: BatchService,
    operation: &str,
    manifest: &ManifestObject,
    arguments: &BTreeMap<String, String>,
) -> TokenFields {
    let version = manifest.version.as_ref().map(ToString::to_string);
    let fields = TokenFields::default()
        .with("service", service.as_str())
        .with("operation", operation)
        .with("manifest", location_text(&manifest.bucket, &manifest.key))
        .with("etag", manifest.etag.as_str())
        .with("version", version.unwrap_or_default())
        .with("run", &common.run);
    arguments.iter().fold(fields, |fields, (name, value)| {
        fields.with("argument", name).with("value", value)
    })
}
