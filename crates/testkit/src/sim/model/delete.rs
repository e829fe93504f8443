//! `DeleteObject`: deletes objects and versions.

use super::bucket::SimVersioning;
use super::conditions::RequestConditions;
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::{EventSubject, EventType};
use super::object::{NULL_VERSION, SimVersion, VersionEntry};
use super::put::check_key;
use super::simulator::{Simulator, WriteTarget};

/// A `DeleteObject` request.
#[derive(Debug, Clone, Default)]
pub struct DeleteRequest {
    /// Version to remove permanently; `None` deletes the current object.
    pub version_id: Option<String>,
    /// Conditions of the delete.
    pub conditions: RequestConditions,
    /// Whether the request bypasses a GOVERNANCE retention.
    pub bypass_governance: bool,
}

/// Result of a delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteResult {
    /// Version id of the removed version or of the created delete marker.
    pub version_id: Option<String>,
    /// Whether the removed or created version is a delete marker.
    pub delete_marker: bool,
}

impl Simulator {
    /// Deletes a key's current object or one version (`DeleteObject`).
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html>
    pub fn delete_object(&mut self, target: WriteTarget<'_>, delete: &DeleteRequest) -> SimResult<DeleteResult> {
        check_key(target.key)?;
        let bucket = self.bucket(target.bucket)?;
        if let Some(id) = &delete.version_id {
            if delete.conditions.if_match.is_some() {
                return Err(SimError::because(
                    SimErrorCode::NotImplemented,
                    "If-Match on a delete of a version is not implemented",
                ));
            }
            return self.delete_version(target, id, delete.bypass_governance);
        }
        delete.conditions.check_delete(bucket.current(target.key))?;
        match bucket.versioning {
            SimVersioning::Unversioned => self.delete_for_good(target),
            SimVersioning::Enabled => self.write_marker(target, None),
            SimVersioning::Suspended => self.write_marker(target, Some(NULL_VERSION)),
        }
    }

    fn delete_for_good(&mut self, target: WriteTarget<'_>) -> SimResult<DeleteResult> {
        let begun = self.begin();
        let bucket = self.bucket_mut(target.bucket)?;
        bucket.removals.insert(target.key.to_owned(), begun.order);
        if bucket.remove(target.key, NULL_VERSION).is_some() {
            self.notify(EventType::Delete, target, EventSubject::default());
        }
        Ok(DeleteResult::default())
    }

    fn write_marker(&mut self, target: WriteTarget<'_>, replaced: Option<&str>) -> SimResult<DeleteResult> {
        let begun = self.begin();
        let id = replaced.map_or_else(|| self.identifier(32), str::to_owned);
        let bucket = self.bucket_mut(target.bucket)?;
        let marker = SimVersion {
            id: id.clone(),
            last_modified: begun.at,
            order: begun.order,
            entry: VersionEntry::DeleteMarker,
        };
        bucket.insert(target.key, marker);
        let subject = EventSubject {
            version_id: Some(id.clone()),
            ..EventSubject::default()
        };
        self.notify(EventType::DeleteMarker, target, subject);
        Ok(DeleteResult {
            version_id: Some(id),
            delete_marker: true,
        })
    }

    fn delete_version(
        &mut self,
        target: WriteTarget<'_>,
        id: &str,
        bypass_governance: bool,
    ) -> SimResult<DeleteResult> {
        super::bucket::check_version_id(id)?;
        let now = self.clock.now();
        let bucket = self.bucket_mut(target.bucket)?;
        let mut deleted = DeleteResult {
            version_id: Some(id.to_owned()),
            delete_marker: false,
        };
        // A delete of a version that does not exist succeeds.
        let Ok(version) = bucket.version(target.key, id) else {
            return Ok(deleted);
        };
        if let Some(object) = version.object() {
            super::lock::check_unlocked(object, now, bypass_governance)?;
        } else {
            deleted.delete_marker = true;
        }
        bucket.remove(target.key, id);
        let subject = EventSubject {
            version_id: Some(id.to_owned()),
            ..EventSubject::default()
        };
        self.notify(EventType::Delete, target, subject);
        Ok(deleted)
    }
}
