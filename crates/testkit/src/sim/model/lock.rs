//! Object Lock: retention and legal hold.

use super::clock::Millis;
use super::error::{SimError, SimErrorCode, SimResult};
use super::event::{EventSubject, EventType};
use super::object::{SimObject, SimRetention};
use super::put::no_object_lock;
use super::simulator::{Simulator, WriteTarget};

/// Rejects the deletion of a locked version.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
pub(crate) fn check_unlocked(object: &SimObject, now: Millis, bypass_governance: bool) -> SimResult<()> {
    let retained = object
        .explicit
        .retention
        .as_ref()
        .is_some_and(|retention| retention.until > now && !(bypass_governance && retention.mode == "GOVERNANCE"));
    if retained || object.explicit.legal_hold == Some(true) || object.explicit.event_hold_days.is_some() {
        return Err(SimError::because(
            SimErrorCode::AccessDenied,
            "Access Denied because object protected by object lock.",
        ));
    }
    Ok(())
}

/// Rejects a retention that ends in the past.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html>
pub(crate) fn check_retention(retention: Option<&SimRetention>, now: Millis) -> SimResult<()> {
    if retention.is_some_and(|retention| retention.until <= now) {
        return Err(SimError::because(
            SimErrorCode::InvalidArgument,
            "The retain until date must be in the future!",
        ));
    }
    Ok(())
}

impl Simulator {
    /// Sets a retention (`PutObjectRetention`). `None` removes it.
    pub fn put_retention(
        &mut self,
        target: WriteTarget<'_>,
        version_id: Option<&str>,
        retention: Option<SimRetention>,
        bypass_governance: bool,
    ) -> SimResult<()> {
        let now = self.clock.now();
        let bucket = self.bucket_mut(target.bucket)?;
        if !bucket.object_lock {
            return Err(no_object_lock());
        }
        check_retention(retention.as_ref(), now)?;
        let version = bucket.change(target.key, version_id)?;
        let id = version.id.clone();
        let Some(object) = version.object_mut() else {
            return Err(SimErrorCode::MethodNotAllowed.into());
        };
        if let Some(present) = &object.explicit.retention
            && present.until > now
        {
            let extends = retention.as_ref().is_some_and(|new| {
                new.until >= present.until && (new.mode == present.mode || new.mode == "COMPLIANCE")
            });
            let may_bypass = bypass_governance && present.mode == "GOVERNANCE";
            if !extends && !may_bypass {
                return Err(SimError::because(
                    SimErrorCode::AccessDenied,
                    "Access Denied because object protected by object lock.",
                ));
            }
        }
        object.explicit.retention = retention;
        let subject = EventSubject {
            version_id: Some(id),
            ..EventSubject::default()
        };
        self.notify(EventType::Retention, target, subject);
        Ok(())
    }

    /// Returns the retention (`GetObjectRetention`).
    pub fn retention(&self, target: WriteTarget<'_>, version_id: Option<&str>) -> SimResult<SimRetention> {
        self.locked(target, version_id)?
            .explicit
            .retention
            .clone()
            .ok_or_else(|| SimErrorCode::NoSuchObjectLockConfiguration.into())
    }

    /// Sets or releases the legal hold (`PutObjectLegalHold`).
    pub fn put_legal_hold(&mut self, target: WriteTarget<'_>, version_id: Option<&str>, on: bool) -> SimResult<()> {
        let bucket = self.bucket_mut(target.bucket)?;
        if !bucket.object_lock {
            return Err(no_object_lock());
        }
        let version = bucket.change(target.key, version_id)?;
        if let Some(object) = version.object_mut() {
            object.explicit.legal_hold = Some(on);
        }
        Ok(())
    }

    /// Returns the legal hold (`GetObjectLegalHold`).
    pub fn legal_hold(&self, target: WriteTarget<'_>, version_id: Option<&str>) -> SimResult<bool> {
        self.locked(target, version_id)?
            .explicit
            .legal_hold
            .ok_or_else(|| SimErrorCode::NoSuchObjectLockConfiguration.into())
    }

    fn locked(&self, target: WriteTarget<'_>, version_id: Option<&str>) -> SimResult<&SimObject> {
        let bucket = self.bucket(target.bucket)?;
        if !bucket.object_lock {
            return Err(no_object_lock());
        }
        Ok(bucket.read(target.key, version_id)?.1)
    }
}
