//! Headers for the explicit attributes of a write, used by `CopyObject` and `CreateMultipartUpload`.
//!
//! The headers are set by name rather than through the SDK's fields. Those fields accept neither non-ASCII text nor an
//! `Expires` that is not a date, although S3 stores both.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3ferry_core::acl::{Acl, Grantee};
use s3ferry_core::facts::{ExplicitEncryption, KmsEncryption};
use s3ferry_core::lock::{EventHold, ObjectLock};
use s3ferry_core::order::{CopiedMetadata, ExplicitAttributes};

/// Permissions that have a grant header.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>
const GRANTING: [(&str, &str); 4] = [
    ("FULL_CONTROL", "x-amz-grant-full-control"),
    ("READ", "x-amz-grant-read"),
    ("READ_ACP", "x-amz-grant-read-acp"),
    ("WRITE_ACP", "x-amz-grant-write-acp"),
];

/// Characters that are percent-encoded in a query: all but the unreserved ones of RFC 3986.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Request headers by unique name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestHeaders(BTreeMap<String, String>);

/// A value that a header cannot represent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid header value: {what}")]
pub(crate) struct InvalidHeaderValue {
    what: String,
}

impl RequestHeaders {
    /// Returns the headers for `explicit`. `owner` is the canonical id of the account that retains full control besides
    /// the grants.
    pub(crate) fn of(explicit: &ExplicitAttributes, owner: Option<&str>) -> Result<Self, InvalidHeaderValue> {
        let mut headers = Self::default();
        headers.set("x-amz-storage-class", &explicit.storage_class);
        headers.set_some("x-amz-website-redirect-location", explicit.website_redirect.as_ref());
        match &explicit.encryption {
            None => {}
            Some(ExplicitEncryption::Managed) => headers.set("x-amz-server-side-encryption", "AES256"),
            Some(ExplicitEncryption::Kms(kms)) => headers.encrypt(kms),
        }
        headers.lock(explicit.lock)?;
        if let Some(metadata) = &explicit.metadata {
            headers.describe(metadata);
        }
        if let Some(tags) = explicit.tags.as_ref().filter(|tags| !tags.is_empty()) {
            headers.set("x-amz-tagging", &tagging(tags));
        }
        if let Some(acl) = explicit.acl.as_ref().filter(|acl| !acl.grants.is_empty()) {
            headers.grant(acl, owner)?;
        }
        headers.checked()
    }

    /// Returns the headers for grants alone.
    pub(crate) fn of_acl(acl: &Acl, owner: Option<&str>) -> Result<Self, InvalidHeaderValue> {
        let mut headers = Self::default();
        headers.grant(acl, owner)?;
        headers.checked()
    }

    /// Adds the directives of a copy: which attributes of the source are replaced.
    pub(crate) fn with_directives(mut self, explicit: &ExplicitAttributes) -> Self {
        if explicit.metadata.is_some() {
            self.set("x-amz-metadata-directive", "REPLACE");
        }
        if explicit.tags.is_some() {
            self.set("x-amz-tagging-directive", "REPLACE");
        }
        self
    }

    /// Adds the headers to a request before it is signed.
    pub(crate) fn set_on(&self, mut request: HttpRequest) -> Result<HttpRequest, HeaderNotSet> {
        for (name, value) in &self.0 {
            let set = request.headers_mut().try_insert(name.clone(), value.clone());
            set.map_err(|error| HeaderNotSet(error.into()))?;
        }
        Ok(request)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    fn set_some(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    fn encrypt(&mut self, kms: &KmsEncryption) {
        let algorithm = if kms.dual_layer { "aws:kms:dsse" } else { "aws:kms" };
        self.set("x-amz-server-side-encryption", algorithm);
        self.set_some("x-amz-server-side-encryption-aws-kms-key-id", kms.key_arn.as_ref());
        // Dual-layer encryption does not support bucket keys.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingDSSEncryption.html
        if !kms.dual_layer {
            let enabled = kms.bucket_key.to_string();
            self.set("x-amz-server-side-encryption-bucket-key-enabled", &enabled);
        }
    }

    fn lock(&mut self, lock: ObjectLock) -> Result<(), InvalidHeaderValue> {
        if let Some(retention) = lock.retention {
            let until = DateTime::from_millis(retention.until.millis()).fmt(DateTimeFormat::DateTime);
            let until = until.map_err(|error| InvalidHeaderValue {
                what: format!("a retention until {} ({error})", retention.until.millis()),
            })?;
            self.set("x-amz-object-lock-mode", retention.mode.as_str());
            self.set("x-amz-object-lock-retain-until-date", &until);
        }
        let hold = match lock.event_hold {
            Some(EventHold::Days(days)) => Some(("days", days)),
            Some(EventHold::Years(years)) => Some(("years", years)),
            Some(EventHold::Unknown) | None => None,
        };
        if let Some((unit, number)) = hold {
            self.set("x-amz-object-lock-event-hold", "ON");
            self.set(
                &format!("x-amz-object-lock-event-hold-duration-{unit}"),
                &number.to_string(),
            );
        }
        if lock.legal_hold {
            self.set("x-amz-object-lock-legal-hold", "ON");
        }
        Ok(())
    }

    fn describe(&mut self, metadata: &CopiedMetadata) {
        let headers = &metadata.headers;
        self.set_some("cache-control", headers.cache_control.as_ref());
        self.set_some("content-disposition", headers.content_disposition.as_ref());
        self.set_some("content-encoding", headers.content_encoding.as_ref());
        self.set_some("content-language", headers.content_language.as_ref());
        self.set_some("content-type", headers.content_type.as_ref());
        self.set_some("expires", headers.expires.as_ref());
        for (name, value) in &metadata.user {
            self.set(&format!("x-amz-meta-{name}"), value);
        }
    }

    /// Adds grants. With explicit grants S3 adds none by itself, so the owner's full control is among them.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAcl.html>
    fn grant(&mut self, acl: &Acl, owner: Option<&str>) -> Result<(), InvalidHeaderValue> {
        let mut grantees: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        if let Some(owner) = owner {
            let header = "x-amz-grant-full-control";
            grantees.entry(header).or_default().insert(format!("id=\"{owner}\""));
        }
        for grant in &acl.grants {
            let header = GRANTING.iter().find(|(permission, _)| *permission == grant.permission);
            let (_, header) = header.ok_or_else(|| InvalidHeaderValue {
                what: format!("the grant of {}", grant.permission),
            })?;
            let grantee = match &grant.grantee {
                Grantee::Account(id) => format!("id=\"{id}\""),
                Grantee::Group(uri) => format!("uri=\"{uri}\""),
                Grantee::Email(address) => format!("emailAddress=\"{address}\""),
            };
            grantees.entry(header).or_default().insert(grantee);
        }
        for (header, grantees) in grantees {
            self.set(header, &grantees.into_iter().collect::<Vec<_>>().join(", "));
        }
        Ok(())
    }

    /// Checks that all headers are valid, because the request's own error would not name the invalid one.
    fn checked(self) -> Result<Self, InvalidHeaderValue> {
        let mut scratch = HttpRequest::empty();
        for (name, value) in &self.0 {
            let set = scratch.headers_mut().try_insert(name.clone(), value.clone());
            set.map_err(|_| InvalidHeaderValue { what: name.clone() })?;
        }
        Ok(self)
    }
}

/// The error of an invalid header, which [`RequestHeaders::of`] rules out.
#[derive(Debug, thiserror::Error)]
#[error("invalid header")]
pub(crate) struct HeaderNotSet(#[source] BoxError);

/// Encodes tags as a URL query.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
fn tagging(tags: &BTreeMap<String, String>) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, IN_QUERY).to_string();
    let pairs = tags
        .iter()
        .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}
