//! A bucket's listing on S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, Object};
use percent_encoding::percent_decode_str;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::names::{AccountId, BucketName, ETag, ObjectKey, Region};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::listing::{ListingPage, ObjectListing};

use crate::classify::{AttemptedOperation, ErrorAnswer};

/// The current objects of a bucket, listed with `ListObjectsV2`.
#[derive(Debug, Clone)]
pub struct S3Listing {
    client: Client,
    bucket: BucketName,
    region: Region,
    owner: Option<AccountId>,
}

impl S3Listing {
    /// Returns the bucket, listed with a client of its region. `owner` is the account that must own the bucket.
    #[must_use]
    pub fn new(client: Client, bucket: BucketName, region: Region, owner: Option<AccountId>) -> Self {
        Self {
            client,
            bucket,
            region,
            owner,
        }
    }

    fn attempted(&self) -> AttemptedOperation {
        AttemptedOperation {
            action: "s3:ListBucket",
            resource: self.bucket.arn(&self.region),
            when_denied: "the credentials need s3:ListBucket on the bucket".to_owned(),
        }
    }

    fn unreadable(&self, detail: String) -> Failure {
        let attempted = self.attempted();
        Failure {
            kind: FailureKind::Permanent,
            code: "UnreadableListing".into(),
            action: attempted.action.to_owned(),
            resource: attempted.resource,
            detail,
        }
    }
}

impl ObjectListing for S3Listing {
    /// Requests keys in their encoded form: a key may contain characters that XML cannot represent.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html#API_ListObjectsV2_RequestParameters>
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<ListingPage, Failure> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(self.bucket.as_str())
            .set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
            .set_start_after(after.map(str::to_owned))
            .encoding_type(EncodingType::Url)
            .set_expected_bucket_owner(self.owner.as_ref().map(ToString::to_string))
            .send()
            .await
            .map_err(|error| ErrorAnswer::of(&error).into_failure(&self.attempted()))?;
        let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let rows = answer.contents().iter().map(|object| entry(object, is_encoded));
        let objects: Vec<ListedObject> = rows
            .collect::<Result<_, _>>()
            .map_err(|detail| self.unreadable(detail))?;
        // Without this field the end is not certain: keys that follow would count as missing.
        let Some(more) = answer.is_truncated() else {
            return Err(self.unreadable("the response lacks IsTruncated".to_owned()));
        };
        if answer
            .key_count()
            .is_some_and(|count| usize::try_from(count) != Ok(objects.len()))
        {
            return Err(self.unreadable("the number of keys in the response differs from its KeyCount".to_owned()));
        }
        if more && objects.is_empty() {
            return Err(self.unreadable("the response is truncated but contains no keys".to_owned()));
        }
        Ok(ListingPage { objects, more })
    }
}

fn entry(object: &Object, is_encoded: bool) -> Result<ListedObject, String> {
    let text = object.key().ok_or("an entry of the listing has no key")?;
    let key = if is_encoded { decoded(text)? } else { text.to_owned() };
    let named = |what: &str| format!("the entry of key `{key}` has no usable {what}");
    let size_bytes = object.size().and_then(|size| u64::try_from(size).ok());
    let last_modified = object.last_modified().and_then(|time| time.to_millis().ok());
    Ok(ListedObject {
        size_bytes: size_bytes.ok_or_else(|| named("Size"))?,
        etag: object.e_tag().and_then(|etag| ETag::new(etag).ok()),
        last_modified: Timestamp::from_millis(last_modified.ok_or_else(|| named("LastModified"))?),
        storage_class: StorageClassName::new(object.storage_class().map_or("", |class| class.as_str())),
        key: ObjectKey::from_raw(key).map_err(|error| error.to_string())?,
    })
}

/// Decodes a key. S3 encodes a space as `+` and a plus sign as `%2B`.
pub(crate) fn decoded(text: &str) -> Result<String, String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| format!("key `{text}` is not UTF-8 after decoding"))?;
    Ok(decoded.into_owned())
}

/// Returns whether a listing entry is of `key`, which is encoded or not as the response says.
pub(crate) fn is_key(listed: Option<&str>, is_encoded: bool, key: &ObjectKey) -> bool {
    match listed {
        Some(listed) if is_encoded => decoded(listed).is_ok_and(|listed| listed == key.as_str()),
        Some(listed) => listed == key.as_str(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_once() {
        for (encoded, key) in [
            ("a+b%2Bc%2520%25", "a b+c%20%"),
            ("%E6%97%A5/%01%0D%0A", "日/\u{1}\r\n"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(decoded(encoded).as_deref(), Ok(key));
        }
        assert!(decoded("%FF").unwrap_err().contains("key `%FF` is not UTF-8"));
    }

    #[test]
    fn entry_without_a_required_field_is_an_error() {
        let object = Object::builder().key("a%20b").build();
        let error = entry(&object, true).unwrap_err();
        assert_eq!(error, "the entry of key `a b` has no usable Size");
    }
}
