//! Object Lock: retentions and legal holds.

use super::clock::Millis;
use super::event::{Happening, Subject};
use super::object::{Object, Retention};
use super::put::no_object_lock;
use super::refusal::{Answer, Code, Refusal};
use super::simulator::{Simulator, Target};

/// Refuses to take out a version that is locked.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
pub(crate) fn check_unlocked(object: &Object, now: Millis, bypass_governance: bool) -> Answer<()> {
    let retained = object
        .stated
        .retention
        .as_ref()
        .is_some_and(|retention| retention.until > now && !(bypass_governance && retention.mode == "GOVERNANCE"));
    if retained || object.stated.legal_hold == Some(true) || object.stated.event_hold_days.is_some() {
        return Err(Refusal::because(
            Code::AccessDenied,
            "Access Denied because object protected by object lock.",
        ));
    }
    Ok(())
}

/// Refuses a retention that would protect nothing any more.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html>
pub(crate) fn check_retention(retention: Option<&Retention>, now: Millis) -> Answer<()> {
    if retention.is_some_and(|retention| retention.until <= now) {
        return Err(Refusal::because(
            Code::InvalidArgument,
            "The retain until date must be in the future!",
        ));
    }
    Ok(())
}

impl Simulator {
    /// `PutObjectRetention`: `None` removes it.
    pub fn put_retention(
        &mut self,
        target: Target<'_>,
        version_id: Option<&str>,
        retention: Option<Retention>,
        bypass_governance: bool,
    ) -> Answer<()> {
        let now = self.clock.now();
        let bucket = self.bucket_mut(target.bucket)?;
        if !bucket.object_lock {
            return Err(no_object_lock());
        }
        check_retention(retention.as_ref(), now)?;
        let version = bucket.change(target.key, version_id)?;
        let id = version.id.clone();
        let Some(object) = version.object_mut() else {
            return Err(Code::MethodNotAllowed.into());
        };
        if let Some(present) = &object.stated.retention
            && present.until > now
        {
            let extends = retention.as_ref().is_some_and(|new| {
                new.until >= present.until && (new.mode == present.mode || new.mode == "COMPLIANCE")
            });
            let may_bypass = bypass_governance && present.mode == "GOVERNANCE";
            if !extends && !may_bypass {
                return Err(Refusal::because(
                    Code::AccessDenied,
                    "Access Denied because object protected by object lock.",
                ));
            }
        }
        object.stated.retention = retention;
        let subject = Subject {
            version_id: Some(id),
            ..Subject::default()
        };
        self.notify(Happening::Retention, target, subject);
        Ok(())
    }

    /// `GetObjectRetention`.
    pub fn retention(&self, target: Target<'_>, version_id: Option<&str>) -> Answer<Retention> {
        self.locked(target, version_id)?
            .stated
            .retention
            .clone()
            .ok_or_else(|| Code::NoSuchObjectLockConfiguration.into())
    }

    /// `PutObjectLegalHold`.
    pub fn put_legal_hold(&mut self, target: Target<'_>, version_id: Option<&str>, on: bool) -> Answer<()> {
        let bucket = self.bucket_mut(target.bucket)?;
        if !bucket.object_lock {
            return Err(no_object_lock());
        }
        let version = bucket.change(target.key, version_id)?;
        if let Some(object) = version.object_mut() {
            object.stated.legal_hold = Some(on);
        }
        Ok(())
    }

    /// `GetObjectLegalHold`.
    pub fn legal_hold(&self, target: Target<'_>, version_id: Option<&str>) -> Answer<bool> {
        self.locked(target, version_id)?
            .stated
            .legal_hold
            .ok_or_else(|| Code::NoSuchObjectLockConfiguration.into())
    }

    fn locked(&self, target: Target<'_>, version_id: Option<&str>) -> Answer<&Object> {
        let bucket = self.bucket(target.bucket)?;
        if !bucket.object_lock {
            return Err(no_object_lock());
        }
        Ok(bucket.read(target.key, version_id)?.1)
    }
}
