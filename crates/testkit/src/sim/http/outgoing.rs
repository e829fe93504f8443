//! Response headers of objects.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::call::bytes;
use super::rfc2047;
use crate::sim::model::clock::{http_date, iso_date};
use crate::sim::model::object::{STANDARD, SimChecksum, SimEncryption, SimObject, WriteAttributes};

/// Headers of a response.
#[derive(Debug, Default)]
pub(crate) struct ResponseHeaders(HeaderMap);

impl ResponseHeaders {
    /// Sets a header. Values that are invalid in headers are omitted, as S3 omits such metadata.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<str>) -> &mut Self {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(&bytes(value.as_ref()));
        if let (Ok(name), Ok(value)) = (name, value) {
            self.0.insert(name, value);
        }
        self
    }

    /// Sets a header if it has a value.
    pub(crate) fn set_some(&mut self, name: &str, value: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(value) = value {
            self.set(name, value);
        }
        self
    }

    /// Sets the headers of an object's encryption.
    pub(crate) fn encryption(&mut self, encryption: &SimEncryption) -> &mut Self {
        const ALGORITHM: &str = "x-amz-server-side-encryption";
        match encryption {
            SimEncryption::S3 => self.set(ALGORITHM, "AES256"),
            SimEncryption::Kms {
                algorithm,
                key,
                bucket_key,
            } => {
                let default = "arn:aws:kms:us-east-1:000000000000:alias/aws/s3";
                self.set(ALGORITHM, algorithm).set(
                    "x-amz-server-side-encryption-aws-kms-key-id",
                    key.as_deref().unwrap_or(default),
                );
                if *bucket_key {
                    self.set("x-amz-server-side-encryption-bucket-key-enabled", "true");
                }
                self
            }
            SimEncryption::Customer { key_md5 } => self
                .set("x-amz-server-side-encryption-customer-algorithm", "AES256")
                .set("x-amz-server-side-encryption-customer-key-md5", key_md5),
        }
    }

    /// Sets the headers of a checksum.
    pub(crate) fn checksum(&mut self, checksum: &SimChecksum) -> &mut Self {
        self.set(checksum.algorithm.header(), &checksum.value)
            .set("x-amz-checksum-type", checksum.kind.name())
    }

    /// Sets the headers that every read of an object returns.
    pub(crate) fn object(&mut self, object: &SimObject, last_modified: u64) -> &mut Self {
        self.set("etag", format!("\"{}\"", object.etag))
            .set("last-modified", http_date(last_modified))
            .set("accept-ranges", "bytes")
            .encryption(object.encryption())
            .explicit(&object.explicit);
        if object.storage_class() != STANDARD {
            self.set("x-amz-storage-class", object.storage_class());
        }
        if object.restored {
            self.set(
                "x-amz-restore",
                "ongoing-request=\"false\", expiry-date=\"Fri, 31 Dec 2100 00:00:00 GMT\"",
            );
        }
        self
    }

    fn explicit(&mut self, explicit: &WriteAttributes) {
        let headers = &explicit.headers;
        self.set_some("content-type", headers.content_type.as_ref())
            .set_some("cache-control", headers.cache_control.as_ref())
            .set_some("content-disposition", headers.content_disposition.as_ref())
            .set_some("content-encoding", headers.content_encoding.as_ref())
            .set_some("content-language", headers.content_language.as_ref())
            .set_some("expires", headers.expires.as_ref())
            .set_some("x-amz-website-redirect-location", explicit.website_redirect.as_ref());
        for (name, value) in &explicit.metadata {
            self.set(&format!("x-amz-meta-{name}"), rfc2047::encode(value));
        }
        if explicit.missing_metadata > 0 {
            self.set("x-amz-missing-meta", explicit.missing_metadata.to_string());
        }
        if !explicit.tags.is_empty() {
            self.set("x-amz-tagging-count", explicit.tags.len().to_string());
        }
        if let Some(retention) = &explicit.retention {
            self.set("x-amz-object-lock-mode", &retention.mode)
                .set("x-amz-object-lock-retain-until-date", iso_date(retention.until));
        }
        if let Some(days) = explicit.event_hold_days {
            self.set("x-amz-object-lock-event-hold", "ON")
                .set("x-amz-object-lock-event-hold-duration-days", days.to_string());
        }
        if let Some(on) = explicit.legal_hold {
            self.set("x-amz-object-lock-legal-hold", if on { "ON" } else { "OFF" });
        }
    }

    /// Returns the headers as a map.
    pub(crate) fn into_map(self) -> HeaderMap {
        self.0
    }
}
