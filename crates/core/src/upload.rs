//! The upload journal: what is known of a copy in parts that outlives the invocation that began it.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::marker::whenever_requested;
use crate::names::{BucketName, ObjectKey};
use crate::order::{CopyOrder, ExplicitAttributes, SourcePin, UploadParameters, WriteCondition};
use crate::plan::CopyPlan;
use crate::time::Timestamp;

/// How the names of all journal objects begin.
pub const UPLOADS: &str = "uploads/";

/// The version of the entry's form; an entry of another one is nothing that can be resumed.
const FORM: u32 = 1;

/// Names an upload in parts, as S3 does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(String);

impl UploadId {
    /// Takes an id as S3 answers it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.is_empty()).then_some(Self(id))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An upload of a key that is under way, as the bucket lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// The upload.
    pub id: UploadId,
    /// Who began it, in the bucket's own spelling, which is one for each user or role; `None` where it names no more than
    /// an account.
    pub initiator: Option<String>,
    /// When it was begun.
    pub begun: Timestamp,
}

/// After so long nobody is taken to go on with an upload that has parts and is not written down.
pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(48);

/// Finds the other uploads that whoever began `sample` began: none where that is nobody.
pub fn same_initiator<'l>(
    sample: &'l ListedUpload,
    listed: &'l [ListedUpload],
) -> impl Iterator<Item = &'l ListedUpload> {
    let is_alike = |upload: &&ListedUpload| sample.initiator.is_some() && upload.initiator == sample.initiator;
    listed.iter().filter(is_alike).filter(|upload| upload.id != sample.id)
}

/// The entry of a key in the upload journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadEntry {
    form: u32,
    source_bucket: String,
    destination_bucket: String,
    key: String,
    /// The upload at the destination.
    pub upload_id: UploadId,
    /// The parts it is made of.
    pub plan: CopyPlan,
    fingerprint: String,
}

/// The two buckets of a migration, which name its journal entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRoute {
    /// The bucket that is migrated.
    pub source: BucketName,
    /// The bucket that is migrated to.
    pub destination: BucketName,
}

/// Why a text is not the entry that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadEntryError {
    /// It is no entry of this form.
    #[error("not an entry of the upload journal in form {FORM}: {0}")]
    Unreadable(String),
    /// It is the entry of something else, which only a collision of hashes or a foreign hand can bring about.
    #[error("the entry is of {0}")]
    OfAnother(String),
}

impl MigrationRoute {
    /// Names the journal object of a key: a hash, because a key may be as long as a name can be.
    #[must_use]
    pub fn entry_name(&self, key: &ObjectKey) -> String {
        let mut hash = Sha256::new();
        for name in [self.source.as_str(), self.destination.as_str(), key.as_str()] {
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
        }
        format!("{UPLOADS}{}.json", hexadecimal(&hash.finalize()))
    }

    /// Reads the entry of a key.
    pub fn read_entry(&self, key: &ObjectKey, body: &[u8]) -> Result<UploadEntry, UploadEntryError> {
        let entry: UploadEntry =
            serde_json::from_slice(body).map_err(|error| UploadEntryError::Unreadable(error.to_string()))?;
        if entry.form != FORM {
            return Err(UploadEntryError::Unreadable(format!("form {}", entry.form)));
        }
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

    /// Finds the key that the journal object `name` is the entry of; `None` where it is no entry of this migration.
    #[must_use]
    pub fn key_of_entry(&self, name: &str, body: &[u8]) -> Option<ObjectKey> {
        let entry: UploadEntry = serde_json::from_slice(body).ok()?;
        let key = ObjectKey::from_raw(entry.key).ok()?;
        let is_of_route = self.read_entry(&key, body).is_ok() && self.entry_name(&key) == name;
        is_of_route.then_some(key)
    }

    /// Makes the entry of an upload that was just begun.
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
    /// Tells whether the upload does what `order` asks for: the same source, onto the same destination, with the same
    /// headers, tags and everything else that was stated when it began.
    #[must_use]
    pub fn fulfils(&self, order: &CopyOrder) -> bool {
        self.plan.fits(order.size_bytes) && fingerprint(order, &self.plan).as_ref() == Some(&self.fingerprint)
    }
}

/// Hashes everything that an upload was begun with; `None`, which is equal to nothing, if it cannot be spelled.
fn fingerprint(order: &CopyOrder, plan: &CopyPlan) -> Option<String> {
    #[derive(Serialize)]
    struct Begun<'a> {
        pin: &'a SourcePin,
        condition: &'a WriteCondition,
        size_bytes: u64,
        explicit: &'a ExplicitAttributes,
    }
    let terms = UploadParameters::new(order, plan);
    // Whoever resumes an upload decides later than whoever began it.
    let explicit = ExplicitAttributes {
        metadata: terms.explicit.metadata.as_ref().map(whenever_requested),
        ..terms.explicit
    };
    let begun = Begun {
        pin: &order.pin,
        condition: &order.condition,
        size_bytes: order.size_bytes,
        explicit: &explicit,
    };
    // Maps and sets are ordered, so equal terms are spelled the same.
    let spelled = serde_json::to_vec(&begun).ok()?;
    Some(hexadecimal(&Sha256::digest(spelled)))
}

/// Spells bytes in hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
