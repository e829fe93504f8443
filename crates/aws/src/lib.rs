#![doc = include_str!("../README.md")]

mod annotation_page;
mod attribute_update;
mod attributes;
#[cfg(feature = "batch")]
pub mod batch;
mod bucket_reader;
mod cached_settings;
mod checksum;
pub mod classify;
pub mod client;
pub mod clock;
pub mod concurrency;
pub mod content;
pub mod cutover;
pub mod destination;
mod facts;
pub mod file;
mod in_flight;
pub mod journal;
mod layout;
pub mod limits;
pub mod listing;
mod non_utf8_headers;
pub mod owner;
mod pace;
mod part_spans;
pub mod preflight;
mod profile;
pub mod queue;
mod refusal;
mod replication;
pub mod results;
pub mod settings;
pub mod source;
pub mod state;
mod timeouts;
mod upload;
mod versions;
pub mod wiring;
mod write_headers;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3ferry_core::names::{BucketName, ObjectKey, VersionId};

/// Characters that are percent-encoded in a key: all but the unreserved ones of RFC 3986 and the slash.
const KEY_IN_HEADER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Returns the value of the header `x-amz-copy-source`.
///
/// The SDK sends the value unchanged, so the key must be percent-encoded:
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html#API_CopyObject_RequestSyntax>
#[must_use]
pub fn copy_source(bucket: &BucketName, key: &ObjectKey, version_id: Option<&VersionId>) -> String {
    let key = utf8_percent_encode(key.as_str(), KEY_IN_HEADER);
    match version_id {
        Some(version_id) => {
            let version_id = utf8_percent_encode(version_id.as_str(), KEY_IN_HEADER);
            format!("{bucket}/{key}?versionId={version_id}")
        }
        None => format!("{bucket}/{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_source_encodes_everything_but_slashes() {
        let bucket = BucketName::new("my.bucket").unwrap();
        let key = ObjectKey::from_raw("pre/a b+c%20%ü?x=1#/日&\n~._-").unwrap();
        let version = VersionId::pinnable("a.b_c-d/e+f").unwrap();
        assert_eq!(
            copy_source(&bucket, &key, Some(&version)),
            "my.bucket/pre/a%20b%2Bc%2520%25%C3%BC%3Fx%3D1%23/%E6%97%A5%26%0A~._-?versionId=a.b_c-d/e%2Bf"
        );
    }
}
