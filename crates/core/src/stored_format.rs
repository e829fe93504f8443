//! Format versions of objects in the state bucket.

use serde::Deserialize;

/// An object of the state bucket has a format that this version of s3ferry does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("written in format {found} by another version of s3ferry; this version reads format {supported}")]
pub struct UnsupportedFormat {
    /// Format of the object.
    pub found: u64,
    /// Format that this version reads and writes.
    pub supported: u32,
}

#[derive(Deserialize)]
struct FormatField {
    form: u64,
}

/// Checks the format of a stored JSON object before its fields are parsed: another format may have other fields.
///
/// Returns `Ok` for a body without a format. The caller's parser then reports what is wrong with it.
pub(crate) fn check(body: &[u8], supported: u32) -> Result<(), UnsupportedFormat> {
    match serde_json::from_slice::<FormatField>(body) {
        Ok(FormatField { form: found }) if found != u64::from(supported) => Err(UnsupportedFormat { found, supported }),
        _ => Ok(()),
    }
}
