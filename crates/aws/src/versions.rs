//! Lists the versions of a key in order, and removes versions of the destination.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{BucketVersioningStatus, DeleteMarkerEntry, EncodingType, ObjectVersion};
use s3ferry_core::facts::ObjectState;
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::time::Timestamp;
use s3ferry_core::versions::{ListedVersion, VersionKind, VersionListing, VersionName};
use s3ferry_engine::ports::DestinationVersions;

use crate::bucket_reader::BucketReader;
use crate::classify::ErrorAnswer;
use crate::destination::S3Destination;
use crate::listing::is_key;

/// Number of listed versions: more than are written in the half hour in which a marker identifies one.
const NEWEST: i32 = 250;

impl DestinationVersions for S3Destination {
    /// Returns whether the bucket has versioning enabled.
    ///
    /// Only `true` is cached, for a minute: versioning may be enabled or suspended during a run.
    async fn is_versioned(&self) -> Result<bool, Failure> {
        self.is_versioned.get(self.read_versioning(), |enabled| *enabled).await
    }

    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        self.reading.newest_versions(key).await
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        self.reading.version_state(key, version).await
    }

    /// Removes a version. A repeated request finds nothing to remove, so the SDK may retry it.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html>
    async fn delete_version(&self, key: &ObjectKey, version: &VersionName) -> Result<(), Failure> {
        let attempted = self.reading.attempted(key, "s3:DeleteObjectVersion");
        let reading = &self.reading;
        let answer = reading
            .client
            .delete_object()
            .bucket(reading.bucket.as_str())
            .key(key.as_str())
            .version_id(version.as_str())
            .send()
            .await;
        let Err(error) = answer else { return Ok(()) };
        let answer = ErrorAnswer::of(&error);
        if answer.code == Some(FailureCode::NoSuchVersion) {
            return Ok(());
        }
        Err(answer.into_failure(&attempted))
    }
}

impl S3Destination {
    async fn read_versioning(&self) -> Result<bool, Failure> {
        let reading = &self.reading;
        let answer = reading
            .client
            .get_bucket_versioning()
            .bucket(reading.bucket.as_str())
            .send()
            .await;
        let answer = answer.map_err(|error| {
            ErrorAnswer::of(&error).into_failure(&reading.bucket_attempted("s3:GetBucketVersioning"))
        })?;
        Ok(answer.status() == Some(&BucketVersioningStatus::Enabled))
    }
}

impl BucketReader {
    /// Lists the newest versions of exactly this key. S3 lists them before those of longer keys, newest first.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
    ///
    /// The time of the listing is its `Date` header, from the clock that also dates later writes.
    pub(crate) async fn newest_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        let details = ResponseDetails::default();
        let answer = self
            .client
            .list_object_versions()
            .bucket(self.bucket.as_str())
            .prefix(key.as_str())
            .max_keys(NEWEST)
            .set_expected_bucket_owner(self.owner())
            // XML cannot represent every key.
            .encoding_type(EncodingType::Url)
            .customize()
            .interceptor(details.clone())
            .send()
            .await;
        let listed = answer
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.bucket_attempted("s3:ListBucketVersions")))?;
        let incomplete = || self.unreadable(key, "a listed version lacks a required field");
        let (kinds, listed_at) = details.read();
        let versions = of_key(&listed, key, &kinds).ok_or_else(incomplete)?;
        let is_cut_off = listed.is_truncated() == Some(true) && versions.len() == kinds.len();
        Ok(VersionListing {
            versions,
            is_complete: !is_cut_off,
            listed: listed_at.ok_or_else(|| self.unreadable(key, "the listing has no Date header"))?,
        })
    }
}

/// Returns the listed versions of a key, in order. Returns `None` if an entry lacks a required field.
fn of_key(listed: &ListObjectVersionsOutput, key: &ObjectKey, kinds: &[Kind]) -> Option<Vec<ListedVersion>> {
    let is_encoded = listed.encoding_type() == Some(&EncodingType::Url);
    let mut objects = listed.versions().iter();
    let mut markers = listed.delete_markers().iter();
    let mut versions = Vec::new();
    let mut latest = None;
    for kind in kinds {
        let (of, is_latest, version) = match kind {
            Kind::Object => {
                let entry = objects.next()?;
                (entry.key(), entry.is_latest(), object(entry))
            }
            Kind::DeleteMarker => {
                let entry = markers.next()?;
                (entry.key(), entry.is_latest(), delete_marker(entry))
            }
        };
        if is_key(of, is_encoded, key) {
            latest = latest.or((is_latest == Some(true)).then_some(versions.len()));
            versions.push(version?);
        }
    }
    Some(in_order(versions, latest))
}

/// Sorts versions, newest first.
///
/// S3 lists them in order. Some other stores list all objects and then all delete markers, which only their times put
/// in order.
fn in_order(mut versions: Vec<ListedVersion>, latest: Option<usize>) -> Vec<ListedVersion> {
    let changes = versions.windows(2).filter(|pair| match pair {
        [one, other] => one.is_delete_marker() != other.is_delete_marker(),
        _ => false,
    });
    if changes.count() == 1 {
        let first = latest.map(|index| versions.remove(index));
        versions.sort_by_key(|version| std::cmp::Reverse(version.last_modified));
        versions.splice(0..0, first);
    }
    versions
}

fn object(entry: &ObjectVersion) -> Option<ListedVersion> {
    Some(ListedVersion {
        version: VersionName::new(entry.version_id()?)?,
        last_modified: timestamp(entry.last_modified()?),
        kind: VersionKind::Object {
            etag: ETag::new(entry.e_tag()?).ok()?,
            size_bytes: u64::try_from(entry.size()?).ok()?,
        },
    })
}

fn delete_marker(entry: &DeleteMarkerEntry) -> Option<ListedVersion> {
    Some(ListedVersion {
        version: VersionName::new(entry.version_id()?)?,
        last_modified: timestamp(entry.last_modified()?),
        kind: VersionKind::DeleteMarker,
    })
}

fn timestamp(time: &DateTime) -> Timestamp {
    Timestamp::from_seconds(time.secs())
}

/// Kind of a listing entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    DeleteMarker,
}

/// Parts of a response that the SDK does not preserve: the order of objects and delete markers in the body, which
/// become two lists, and the time of the response.
#[derive(Debug, Clone, Default)]
struct ResponseDetails(Arc<Mutex<(Vec<Kind>, Option<Timestamp>)>>);

impl ResponseDetails {
    fn read(&self) -> (Vec<Kind>, Option<Timestamp>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the kinds of all entries. No text of the body contains an XML tag: XML escapes the brackets.
fn kinds_in(body: &str) -> Vec<Kind> {
    let tags = body.split('<').skip(1);
    tags.filter_map(|tag| match tag.split('>').next() {
        Some("Version") => Some(Kind::Object),
        Some("DeleteMarker") => Some(Kind::DeleteMarker),
        _ => None,
    })
    .collect()
}

impl Intercept for ResponseDetails {
    fn name(&self) -> &'static str {
        "order and time of a listing"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        let kinds = kinds_in(&String::from_utf8_lossy(body));
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let details = (kinds, date.as_ref().map(timestamp));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = details;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a version whose name shows its kind: `m1` is a delete marker.
    fn at(name: &str, seconds: i64) -> ListedVersion {
        ListedVersion {
            version: VersionName::new(name).unwrap(),
            last_modified: Timestamp::from_seconds(seconds),
            kind: if name.starts_with('m') {
                VersionKind::DeleteMarker
            } else {
                VersionKind::Object {
                    etag: ETag::new("aa").unwrap(),
                    size_bytes: 1,
                }
            },
        }
    }

    #[track_caller]
    fn check_order(listed: &[(&str, i64)], latest: Option<usize>, expected: &[&str]) {
        let versions = listed.iter().map(|(name, seconds)| at(name, *seconds)).collect();
        let ordered = in_order(versions, latest);
        let names: Vec<&str> = ordered.iter().map(|version| version.version.as_str()).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn listed_order_is_preserved() {
        check_order(&[("v3", 5), ("v2", 5), ("v1", 6)], Some(0), &["v3", "v2", "v1"]);
        check_order(&[("v4", 5), ("m3", 5), ("v2", 5)], Some(0), &["v4", "m3", "v2"]);
        check_order(&[("m3", 5), ("v2", 5), ("v1", 5)], Some(0), &["m3", "v2", "v1"]);
        check_order(&[("v3", 5), ("m2", 5), ("m1", 5)], Some(0), &["v3", "m2", "m1"]);
    }

    #[test]
    fn separate_lists_are_merged_by_time_after_the_latest() {
        check_order(
            &[("v3", 3), ("v1", 1), ("m4", 4), ("m2", 2)],
            Some(2),
            &["m4", "v3", "m2", "v1"],
        );
        check_order(&[("v1", 5), ("m2", 5)], Some(1), &["m2", "v1"]);
    }

    #[test]
    fn kinds_are_read_in_the_order_of_the_body() {
        let body = "<?xml?><ListVersionsResult xmlns=\"x\"><Version><Key>&lt;DeleteMarker></Key><VersionId>1</VersionId>\
                    </Version><DeleteMarker><Key>a</Key></DeleteMarker><Version></Version></ListVersionsResult>";
        assert_eq!(kinds_in(body), [Kind::Object, Kind::DeleteMarker, Kind::Object]);
        assert_eq!(kinds_in(""), []);
    }
}
