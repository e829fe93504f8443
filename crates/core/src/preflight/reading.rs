//! Settings that were read, or why not.

use std::fmt;

use crate::failure::Failure;

/// Result of reading one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading<T> {
    /// The setting was read.
    Known(T),
    /// The setting could not be read.
    Unknown(UnknownReading),
}

/// Setting that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownReading {
    /// Reason.
    pub reason: UnknownReason,
    /// IAM action that reads the setting, such as `s3:GetBucketPolicy`.
    pub action: String,
    /// Answer of the service, or what is missing.
    pub detail: String,
}

/// Reason why a setting could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownReason {
    /// The credentials lack a permission.
    Denied,
    /// The endpoint does not support the request.
    Unsupported,
    /// The request failed.
    Failed,
    /// The setting was not requested, because something that it depends on is missing.
    NotRead,
}

impl fmt::Display for UnknownReading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, detail, .. } = self;
        match self.reason {
            UnknownReason::Denied => write!(formatter, "{action} was denied: {detail}"),
            UnknownReason::Unsupported => write!(formatter, "the endpoint does not support {action}: {detail}"),
            UnknownReason::Failed => write!(formatter, "{action} failed: {detail}"),
            UnknownReason::NotRead => write!(formatter, "not read: {detail}"),
        }
    }
}

impl From<Failure> for UnknownReading {
    fn from(failure: Failure) -> Self {
        let is_denied = failure.code.is_denial();
        Self {
            reason: if is_denied {
                UnknownReason::Denied
            } else {
                UnknownReason::Failed
            },
            action: failure.action,
            detail: failure.detail,
        }
    }
}

impl<T> Reading<T> {
    /// Returns the setting that depends on something that is missing.
    #[must_use]
    pub fn not_read(action: &str, detail: impl Into<String>) -> Self {
        Self::Unknown(UnknownReading {
            reason: UnknownReason::NotRead,
            action: action.to_owned(),
            detail: detail.into(),
        })
    }

    /// Returns the value, or why it is unknown.
    pub fn known(&self) -> Result<&T, UnknownReading> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown(unknown) => Err(unknown.clone()),
        }
    }

    /// Converts a known value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(convert(value)),
            Self::Unknown(unknown) => Reading::Unknown(unknown),
        }
    }
}
