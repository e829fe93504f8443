//! Conditions of reads, writes, deletes and copies.

use super::clock::Millis;
use super::error::{SimError, SimErrorCode, SimResult};
use super::object::{SimObject, SimVersion};

/// The conditions of a request, as its headers say them; ETags come without quotes.
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
    /// Decides whether a read goes on: 412 or 304 where it does not.
    pub fn check_read(&self, version: &SimVersion, object: &SimObject) -> SimResult<()> {
        if self.broken(version, object) {
            return Err(failed("If-Match or If-Unmodified-Since"));
        }
        if self.unchanged(version, object) {
            return Err(SimError::new(SimErrorCode::NotModified)
                .with_header("etag", format!("\"{}\"", object.etag))
                .with_header("last-modified", super::clock::http_date(version.last_modified)));
        }
        Ok(())
    }

    /// Decides whether the source of a copy is the one that was meant: 412 for every condition that fails.
    pub fn check_copy_source(&self, version: &SimVersion, object: &SimObject) -> SimResult<()> {
        if self.broken(version, object) || self.unchanged(version, object) {
            return Err(failed("x-amz-copy-source-if"));
        }
        Ok(())
    }

    /// A match that holds outranks If-Unmodified-Since.
    fn broken(&self, version: &SimVersion, object: &SimObject) -> bool {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) => !matches(wanted, &object.etag),
            (None, Some(since)) => version.last_modified / 1000 > since / 1000,
            (None, None) => false,
        }
    }

    /// If-None-Match outranks If-Modified-Since.
    fn unchanged(&self, version: &SimVersion, object: &SimObject) -> bool {
        match (&self.if_none_match, self.if_modified_since) {
            (Some(unwanted), _) => matches(unwanted, &object.etag),
            (None, Some(since)) => version.last_modified / 1000 <= since / 1000,
            (None, None) => false,
        }
    }

    /// Decides whether a write may replace the current object; a delete marker counts as absence.
    ///
    /// If-None-Match takes `*` alone, If-Match an ETag.
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

    /// Decides whether a delete may take the current object; `*` asks only that there is one.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>
    pub fn check_delete(&self, current: Option<&SimVersion>) -> SimResult<()> {
        let Some(wanted) = &self.if_match else {
            return Ok(());
        };
        match current.map(SimVersion::object) {
            Some(Some(object)) if matches(wanted, &object.etag) => Ok(()),
            Some(Some(_)) => Err(failed("If-Match")),
            // A delete marker exists, but not as an object.
            Some(None) if wanted == ANY => Err(failed("If-Match")),
            Some(None) | None => Err(SimErrorCode::NoSuchKey.into()),
        }
    }

    /// Tells whether there is a condition for a write.
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
