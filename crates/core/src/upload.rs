//! The upload journal: state of a multipart copy that outlives the invocation that started it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::digest::FieldDigest;
use crate::marker::without_request_times;
use crate::names::ObjectKey;
use crate::order::{CopyOrder, ExplicitAttributes, SourcePin, UploadParameters, WriteCondition};
use crate::plan::CopyPlan;
use crate::route::MigrationRoute;
use crate::stored_format::{self, UnsupportedFormat};
use crate::time::Timestamp;

/// Prefix of all journal entries in the state bucket.
pub const UPLOADS: &str = "uploads/";

/// Format version of an entry; an entry in another format is not resumed.
const FORM: u32 = 1;

/// Multipart upload id of S3.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(String);

impl UploadId {
    /// Creates an id from the one in S3's response. Returns `None` if it is empty.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Multipart upload in progress, as the bucket lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// Id of the upload.
    pub id: UploadId,
    /// User or role that created the upload, as the bucket names it; `None` if the bucket names only an account.
    pub initiator: Option<String>,
    /// Time of `CreateMultipartUpload`.
    pub begun: Timestamp,
}

/// Age from which an unjournaled upload with parts counts as abandoned.
pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(48);

/// Returns the other uploads by the initiator of `sample`; none if that initiator is unknown.
pub fn same_initiator<'l>(
    sample: &'l ListedUpload,
    listed: &'l [ListedUpload],
) -> impl Iterator<Item = &'l ListedUpload> {
    let has_same_initiator =
        |upload: &&ListedUpload| sample.initiator.is_some() && upload.initiator == sample.initiator;
    listed
        .iter()
        .filter(has_same_initiator)
        .filter(|upload| upload.id != sample.id)
}

/// Journal entry of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadEntry {
    form: u32,
    source_bucket: String,
    destination_bucket: String,
    key: String,
    /// Multipart upload at the destination.
    pub upload_id: UploadId,
    /// Parts of the upload.
    pub plan: CopyPlan,
    fingerprint: String,
}

/// Reasons why an object of the state bucket is not the expected journal entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadEntryError {
    /// The object is not an entry in this format.
    #[error("not an upload journal entry in format {FORM}: {0}")]
    Unreadable(String),
    /// The object is an entry in another format.
    #[error("upload journal entry {0}")]
    UnsupportedFormat(#[from] UnsupportedFormat),
    /// The object is the entry of another key or migration: a hash collision, or a manual change.
    #[error("the upload journal entry belongs to {0}")]
    OfAnother(String),
}

impl MigrationRoute {
    /// Returns the name of a key's journal entry. The name is a hash, because a key may be as long as a name can be.
    #[must_use]
    pub fn entry_name(&self, key: &ObjectKey) -> String {
        let names = [self.source.as_str(), self.destination.as_str(), key.as_str()];
        format!("{UPLOADS}{}.json", FieldDigest::of(names))
    }

    /// Parses the entry of a key.
    pub fn read_entry(&self, key: &ObjectKey, body: &[u8]) -> Result<UploadEntry, UploadEntryError> {
        stored_format::check(body, FORM)?;
        let entry: UploadEntry =
            serde_json::from_slice(body).map_err(|error| UploadEntryError::Unreadable(error.to_string()))?;
        let names = (
            entry.source_bucket.as_str(),
            entry.destination_bucket.as_str(),
            entry.key.as_str(),
        );
        if names == (self.source.as_str(), self.destination.as_str(), key.as_str()) {
            Ok(entry)
        } else {
            let (source, destination, key) = names;
            Err(UploadEntryError::OfAnother(format!("{source}/{key} to {destination}")))
        }
    }

    /// Returns the key of the journal entry `name`; `None` if the object is not an entry of this migration.
    #[must_use]
    pub fn key_of_entry(&self, name: &str, body: &[u8]) -> Option<ObjectKey> {
        let entry: UploadEntry = serde_json::from_slice(body).ok()?;
        let key = ObjectKey::from_raw(entry.key).ok()?;
        let is_of_route = self.read_entry(&key, body).is_ok() && self.entry_name(&key) == name;
        is_of_route.then_some(key)
    }

    /// Creates the entry of an upload that was just created.
    #[must_use]
    pub fn entry(&self, key: &ObjectKey, upload_id: UploadId, order: &CopyOrder, plan: CopyPlan) -> UploadEntry {
        UploadEntry {
            form: FORM,
            source_bucket: self.source.to_string(),
            destination_bucket: self.destination.to_string(),
            key: key.to_string(),
            upload_id,
            fingerprint: fingerprint(order, &plan).unwrap_or_default(),
            plan,
        }
    }
}

impl UploadEntry {
    /// Returns whether the upload makes the copy that `order` requests: the same source, destination, headers, tags
    /// and all other attributes that were set at its creation.
    #[must_use]
    pub fn fulfils(&self, order: &CopyOrder) -> bool {
        self.plan.fits(order.size_bytes) && fingerprint(order, &self.plan).as_ref() == Some(&self.fingerprint)
    }
}

/// Hashes all parameters that an upload was created with. Returns `None`, which equals nothing, if they cannot be
/// serialized.
fn fingerprint(order: &CopyOrder, plan: &CopyPlan) -> Option<String> {
    #[derive(Serialize)]
    struct UploadFingerprint<'a> {
        pin: &'a SourcePin,
        condition: &'a WriteCondition,
        size_bytes: u64,
        explicit: &'a ExplicitAttributes,
    }
    let parameters = UploadParameters::new(order, plan);
    // The decision to resume an upload is later than the one to create it.
    let explicit = ExplicitAttributes {
        metadata: parameters.explicit.metadata.as_ref().map(without_request_times),
        ..parameters.explicit
    };
    let created_with = UploadFingerprint {
        pin: &order.pin,
        condition: &order.condition,
        size_bytes: order.size_bytes,
        explicit: &explicit,
    };
    // Maps and sets are ordered, so equal parameters have the same text.
    let serialized = serde_json::to_vec(&created_with).ok()?;
    Some(hex::encode(Sha256::digest(serialized)))
}

#[cfg(test)]
mod tests;
