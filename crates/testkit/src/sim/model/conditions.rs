//! Conditions of reads, writes, deletes and copies.

use super::clock::Millis;
use super::error::{SimError, SimErrorCode, SimResult};
use super::object::{SimObject, SimVersion};

/// Conditions from the headers of a request. ETags have no quotes.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestConditions {
    /// If-Match.
    pub if_match: Option<String>,
    /// If-None-Match.
    pub if_none_match: Option<String>,
    /// If-Modified-Since.
    pub if_modified_since: Option<Millis>,
    /// If-Unmodified-Since.
    pub if_unmodified_since: Option<Millis>,
}

const ANY: &str = "*";

fn matches(wanted: &str, etag: &str) -> bool {
    wanted == ANY || wanted == etag
}

fn failed(condition: &str) -> SimError {
    SimError::because(
        SimErrorCode::PreconditionFailed,
        format!("At least one of the pre-conditions you specified did not hold: {condition}"),
    )
}

impl RequestConditions {
    /// Checks the conditions of a read: 412 or 304 if they fail.
    pub fn check_read(&self, version: &SimVersion, object: &SimObject) -> SimResult<()> {
        if self.fails_match(version, object) {
            return Err(failed("If-Match or If-Unmodified-Since"));
        }
        if self.is_unmodified(version, object) {
            return Err(SimError::new(SimErrorCode::NotModified)
                .with_header("etag", format!("\"{}\"", object.etag))
                .with_header("last-modified", super::clock::http_date(version.last_modified)));
        }
        Ok(())
    }

    /// Checks the conditions of a copy source: 412 for each condition that fails.
    pub fn check_copy_source(&self, version: &SimVersion, object: &SimObject) -> SimResult<()> {
        if self.fails_match(version, object) || self.is_unmodified(version, object) {
            return Err(failed("x-amz-copy-source-if"));
        }
        Ok(())
    }

    /// Returns whether a match condition fails. If-Match takes precedence over If-Unmodified-Since.
    fn fails_match(&self, version: &SimVersion, object: &SimObject) -> bool {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) => !matches(wanted, &object.etag),
            (None, Some(since)) => version.last_modified / 1000 > since / 1000,
            (None, None) => false,
        }
    }

    /// Returns whether the object is unmodified. If-None-Match takes precedence over If-Modified-Since.
    fn is_unmodified(&self, version: &SimVersion, object: &SimObject) -> bool {
        match (&self.if_none_match, self.if_modified_since) {
            (Some(unwanted), _) => matches(unwanted, &object.etag),
            (None, Some(since)) => version.last_modified / 1000 <= since / 1000,
            (None, None) => false,
        }
    }

    /// Checks the conditions of a write. A delete marker counts as absence.
    ///
    /// If-None-Match accepts only `*`, If-Match only an ETag.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub fn check_write(&self, current: Option<&SimObject>) -> SimResult<()> {
        if let Some(unwanted) = &self.if_none_match {
            if unwanted != ANY {
                return Err(not_implemented("If-None-Match"));
            }
            if current.is_some() {
                return Err(failed("If-None-Match"));
            }
        }
        match (&self.if_match, current) {
            (None, _) => Ok(()),
            (Some(wanted), _) if wanted == ANY => Err(not_implemented("If-Match")),
            (Some(_), None) => Err(SimErrorCode::NoSuchKey.into()),
            (Some(wanted), Some(object)) if *wanted == object.etag => Ok(()),
            (Some(_), Some(_)) => Err(failed("If-Match")),
        }
    }

    /// Checks the condition of a delete. `*` requires only that an object exists.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>
    pub fn check_delete(&self, current: Option<&SimVersion>) -> SimResult<()> {
        let Some(wanted) = &self.if_match else {
            return Ok(());
        };
        match current.map(SimVersion::object) {
            Some(Some(object)) if matches(wanted, &object.etag) => Ok(()),
            Some(Some(_)) => Err(failed("If-Match")),
            // A delete marker is a version, but not an object.
            Some(None) if wanted == ANY => Err(failed("If-Match")),
            Some(None) | None => Err(SimErrorCode::NoSuchKey.into()),
        }
    }

    /// Returns whether the request has a condition for a write.
    pub fn guards_write(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }
}

fn not_implemented(header: &str) -> SimError {
    SimError::because(
        SimErrorCode::NotImplemented,
        format!("A header you provided implies functionality that is not implemented: {header}"),
    )
}
