//! An object to write, with its attributes.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, StorageClass};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::bucket::TestBucket;
use crate::{HarnessError, Result};

/// System headers that S3 stores with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestHeaders {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, as sent.
    pub expires: Option<String>,
}

impl TestHeaders {
    /// Returns all headers, each with a value that no default has.
    #[must_use]
    pub fn all() -> Self {
        Self {
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            cache_control: Some("private, max-age=61".to_owned()),
            content_disposition: Some("attachment; filename=\"report.txt\"".to_owned()),
            content_encoding: Some("identity".to_owned()),
            content_language: Some("de-CH, en".to_owned()),
            expires: Some("Fri, 15 Jan 2027 08:00:00 GMT".to_owned()),
        }
    }
}

/// An object to write.
#[derive(Clone, Debug)]
pub struct TestUpload {
    /// Key, not encoded.
    pub key: String,
    /// Content.
    pub body: Vec<u8>,
    /// System headers.
    pub headers: TestHeaders,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Storage class; S3's default if absent.
    pub storage_class: Option<StorageClass>,
    /// `x-amz-website-redirect-location`.
    pub website_redirect: Option<String>,
    /// Part size of a multipart upload; a single PUT if absent.
    pub part_size_bytes: Option<usize>,
}

impl TestUpload {
    /// Returns an object without attributes.
    pub fn new(key: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            body: body.into(),
            headers: TestHeaders::default(),
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            storage_class: None,
            website_redirect: None,
            part_size_bytes: None,
        }
    }

    /// Writes the object.
    pub async fn write(&self, bucket: &TestBucket) -> Result<()> {
        match self.part_size_bytes {
            None => self.write_at_once(bucket).await,
            Some(size_bytes) => self.upload_multipart(bucket, size_bytes).await,
        }
    }

    async fn write_at_once(&self, bucket: &TestBucket) -> Result<()> {
        let expires = self.headers.expires.as_deref();
        let expires = expires
            .map(|text| DateTime::from_str(text, DateTimeFormat::HttpDate))
            .transpose()
            .map_err(HarnessError::aws(format!("the Expires header of {}", self.key)))?;
        bucket
            .client
            .put_object()
            .bucket(&bucket.name)
            .key(&self.key)
            .body(ByteStream::from(self.body.clone()))
            .set_content_type(self.headers.content_type.clone())
            .set_cache_control(self.headers.cache_control.clone())
            .set_content_disposition(self.headers.content_disposition.clone())
            .set_content_encoding(self.headers.content_encoding.clone())
            .set_content_language(self.headers.content_language.clone())
            .set_expires(expires)
            .set_metadata(Some(self.metadata.clone().into_iter().collect()))
            .set_tagging(self.tagging())
            .set_storage_class(self.storage_class.clone())
            .set_website_redirect_location(self.website_redirect.clone())
            .send()
            .await
            .map_err(HarnessError::aws(format!("PutObject {}", self.key)))?;
        Ok(())
    }

    async fn upload_multipart(&self, bucket: &TestBucket, part_size_bytes: usize) -> Result<()> {
        let client = &bucket.client;
        let created = client
            .create_multipart_upload()
            .bucket(&bucket.name)
            .key(&self.key)
            .set_content_type(self.headers.content_type.clone())
            .set_cache_control(self.headers.cache_control.clone())
            .set_metadata(Some(self.metadata.clone().into_iter().collect()))
            .set_storage_class(self.storage_class.clone())
            .send()
            .await
            .map_err(HarnessError::aws(format!("CreateMultipartUpload {}", self.key)))?;
        let upload_id = created.upload_id().unwrap_or_default();
        let mut parts = Vec::new();
        for (part_number, part) in (1..).zip(self.body.chunks(part_size_bytes)) {
            let uploaded = client
                .upload_part()
                .bucket(&bucket.name)
                .key(&self.key)
                .upload_id(upload_id)
                .part_number(part_number)
                .body(ByteStream::from(part.to_vec()))
                .send()
                .await
                .map_err(HarnessError::aws(format!("UploadPart {part_number} of {}", self.key)))?;
            parts.push(
                CompletedPart::builder()
                    .part_number(part_number)
                    .set_e_tag(uploaded.e_tag)
                    .build(),
            );
        }
        client
            .complete_multipart_upload()
            .bucket(&bucket.name)
            .key(&self.key)
            .upload_id(upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(HarnessError::aws(format!("CompleteMultipartUpload {}", self.key)))?;
        Ok(())
    }

    /// Returns the tags as a query string for `x-amz-tagging`.
    fn tagging(&self) -> Option<String> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> = self
            .tags
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}
