//! Request headers: attributes, copy sources and conditions.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;

use super::call::SimRequest;
use super::rfc2047;
use crate::sim::model::clock::parse_http_date;
use crate::sim::model::conditions::RequestConditions;
use crate::sim::model::copy::{CopyRange, CopySource};
use crate::sim::model::digest::{self, ChecksumAlgorithm};
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::object::{
    ChecksumKind, SimEncryption, SimGrant, SimRetention, SimSystemHeaders, WriteAttributes,
};
use crate::sim::model::put::DeclaredChecksums;

fn invalid(message: impl Into<String>) -> SimError {
    SimError::because(SimErrorCode::InvalidArgument, message)
}

/// Returns an ETag without its quotes.
pub(crate) fn unquoted(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Parses an ISO 8601 time.
pub(crate) fn parse_iso_date(text: &str) -> Option<u64> {
    let timestamp = s3s::dto::Timestamp::parse(s3s::dto::TimestampFormat::DateTime, text).ok()?;
    let moment = time_of(&timestamp)?;
    Some(moment)
}

/// Returns a time that s3s parsed, in milliseconds.
pub(crate) fn time_of(timestamp: &s3s::dto::Timestamp) -> Option<u64> {
    let mut text = Vec::new();
    timestamp
        .format(s3s::dto::TimestampFormat::EpochSeconds, &mut text)
        .ok()?;
    let seconds: f64 = std::str::from_utf8(&text).ok()?.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a date of this millennium in milliseconds"
    )]
    let millis = (seconds * 1000.0).round() as u64;
    Some(millis)
}

impl SimRequest {
    /// Returns the attributes that the request sets.
    pub(crate) fn explicit(&self) -> SimResult<WriteAttributes> {
        Ok(WriteAttributes {
            headers: SimSystemHeaders {
                content_type: self.header("content-type").filter(|value| !value.is_empty()),
                cache_control: self.header("cache-control"),
                content_disposition: self.header("content-disposition"),
                content_encoding: self.header("content-encoding"),
                content_language: self.header("content-language"),
                expires: self.header("expires"),
            },
            website_redirect: self.header("x-amz-website-redirect-location"),
            metadata: self.metadata(),
            missing_metadata: 0,
            tags: self.tags()?,
            storage_class: self.header("x-amz-storage-class"),
            encryption: self.encryption()?,
            grants: self.grants(),
            retention: self.retention()?,
            legal_hold: self
                .header("x-amz-object-lock-legal-hold")
                .map(|value| value.eq_ignore_ascii_case("ON")),
            event_hold_days: self.event_hold_days()?,
        })
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::new();
        for name in self.headers.keys() {
            let Some(short) = name.as_str().strip_prefix("x-amz-meta-") else {
                continue;
            };
            // Repeated headers are joined to one value.
            let values: Vec<_> = self
                .headers
                .get_all(name)
                .iter()
                .map(|value| rfc2047::decode(value.as_bytes()))
                .collect();
            metadata.insert(short.to_owned(), values.join(","));
        }
        metadata
    }

    fn tags(&self) -> SimResult<BTreeMap<String, String>> {
        let mut tags = BTreeMap::new();
        for pair in self.header("x-amz-tagging").unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| {
                let spaced = text.replace('+', " ");
                percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
            };
            if tags.insert(decode(name), decode(value)).is_some() {
                return Err(invalid("Cannot provide multiple Tags with the same key"));
            }
        }
        Ok(tags)
    }

    fn encryption(&self) -> SimResult<Option<SimEncryption>> {
        if let Some(key_md5) = self.customer_key_md5("x-amz-server-side-encryption-customer-key-md5") {
            return Ok(Some(SimEncryption::Customer { key_md5 }));
        }
        let Some(algorithm) = self.header("x-amz-server-side-encryption") else {
            return Ok(None);
        };
        match algorithm.as_str() {
            "AES256" => Ok(Some(SimEncryption::S3)),
            "aws:kms" | "aws:kms:dsse" => Ok(Some(SimEncryption::Kms {
                algorithm,
                key: self.header("x-amz-server-side-encryption-aws-kms-key-id"),
                bucket_key: self
                    .header("x-amz-server-side-encryption-bucket-key-enabled")
                    .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            })),
            _ => Err(invalid("The encryption method specified is not supported")),
        }
    }

    /// Returns the MD5 of a customer-provided key: that of the header, or computed from the key.
    pub(crate) fn customer_key_md5(&self, header: &str) -> Option<String> {
        self.header(header).or_else(|| {
            let key = self.header(header.strip_suffix("-md5")?)?;
            Some(BASE64.encode(digest::md5_of_bytes(&BASE64.decode(key).ok()?)))
        })
    }

    fn retention(&self) -> SimResult<Option<SimRetention>> {
        let Some(mode) = self.header("x-amz-object-lock-mode") else {
            return Ok(None);
        };
        let until = self
            .header("x-amz-object-lock-retain-until-date")
            .and_then(|text| parse_iso_date(&text))
            .ok_or_else(|| invalid("x-amz-object-lock-retain-until-date is not a date"))?;
        Ok(Some(SimRetention { mode, until }))
    }

    /// Returns the days of an event hold that is on. A year is 365 days.
    fn event_hold_days(&self) -> SimResult<Option<u64>> {
        if self.header("x-amz-object-lock-event-hold").as_deref() != Some("ON") {
            return Ok(None);
        }
        let number = |unit: &str| {
            let value = self.header(&format!("x-amz-object-lock-event-hold-duration-{unit}"));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        match (number("days"), number("years")) {
            (Some(days), None) => Ok(Some(days)),
            (None, Some(years)) => Ok(Some(years * 365)),
            _ => Err(invalid("An event hold needs a duration in days or in years")),
        }
    }

    /// Returns canned and explicit grants, without the owner's own.
    pub(crate) fn grants(&self) -> Vec<SimGrant> {
        let grant = |group: &str, permission: &str| SimGrant {
            grantee: format!("uri=http://acs.amazonaws.com/groups/global/{group}"),
            permission: permission.to_owned(),
        };
        let mut grants = match self.header("x-amz-acl").as_deref() {
            Some("public-read") => vec![grant("AllUsers", "READ")],
            Some("public-read-write") => vec![grant("AllUsers", "READ"), grant("AllUsers", "WRITE")],
            Some("authenticated-read") => vec![grant("AuthenticatedUsers", "READ")],
            _ => Vec::new(),
        };
        let explicit = [
            ("x-amz-grant-full-control", "FULL_CONTROL"),
            ("x-amz-grant-read", "READ"),
            ("x-amz-grant-read-acp", "READ_ACP"),
            ("x-amz-grant-write-acp", "WRITE_ACP"),
        ];
        for (header, permission) in explicit {
            for grantee in self.header(header).unwrap_or_default().split(',') {
                let grantee = grantee.trim().replace('"', "");
                if !grantee.is_empty() {
                    grants.push(SimGrant {
                        grantee,
                        permission: permission.to_owned(),
                    });
                }
            }
        }
        grants
    }

    /// Returns the conditions of the request, or of a copy source, whose headers have a prefix.
    pub(crate) fn conditions(&self, prefix: &str) -> RequestConditions {
        let named = |name: &str| self.header(&format!("{prefix}{name}"));
        RequestConditions {
            if_match: named("if-match").map(|etag| unquoted(&etag)),
            if_none_match: named("if-none-match").map(|etag| unquoted(&etag)),
            if_modified_since: named("if-modified-since").and_then(|text| parse_http_date(&text)),
            if_unmodified_since: named("if-unmodified-since").and_then(|text| parse_http_date(&text)),
        }
    }

    /// Returns the source of a copy.
    pub(crate) fn source(&self) -> SimResult<CopySource> {
        let raw = self.header("x-amz-copy-source").unwrap_or_default();
        let bad = || invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
        let (path, version_id) = match raw.split_once("?versionId=") {
            Some((path, id)) => (path, Some(id.to_owned())),
            None => (raw.as_str(), None),
        };
        // S3 decodes this header as form-encoded, as some clients write it: a plus sign is a space.
        let path = path.replace('+', " ");
        let path = percent_decode_str(&path).decode_utf8().map_err(|_| bad())?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').ok_or_else(bad)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(bad());
        }
        Ok(CopySource {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id,
            conditions: self.conditions("x-amz-copy-source-"),
            customer_key_md5: self.customer_key_md5("x-amz-copy-source-server-side-encryption-customer-key-md5"),
        })
    }

    /// Returns the range of `UploadPartCopy`.
    pub(crate) fn copy_range(&self) -> SimResult<Option<CopyRange>> {
        let Some(text) = self.header("x-amz-copy-source-range") else {
            return Ok(None);
        };
        let bad = || invalid("The x-amz-copy-source-range value must be of the form bytes=first-last");
        let (first, last) = text
            .strip_prefix("bytes=")
            .and_then(|range| range.split_once('-'))
            .ok_or_else(bad)?;
        Ok(Some(CopyRange {
            first: first.parse().map_err(|_| bad())?,
            last: last.parse().map_err(|_| bad())?,
        }))
    }

    /// Returns the checksums that the request contains, including Content-MD5.
    pub(crate) fn declared(&self) -> SimResult<DeclaredChecksums> {
        let md5 = match self.header("content-md5") {
            None => None,
            Some(text) => {
                let bytes = BASE64.decode(text).map_err(|_| SimErrorCode::InvalidDigest)?;
                if bytes.len() != 16 {
                    return Err(SimErrorCode::InvalidDigest.into());
                }
                Some(digest::hex(&bytes))
            }
        };
        Ok(DeclaredChecksums {
            md5,
            checksums: self.declared_checksums(),
        })
    }

    /// Returns the values of checksum headers.
    pub(crate) fn declared_checksums(&self) -> BTreeMap<ChecksumAlgorithm, String> {
        ChecksumAlgorithm::ALL
            .into_iter()
            .filter_map(|algorithm| Some((algorithm, self.header(algorithm.header())?)))
            .collect()
    }

    /// Returns the checksum algorithm that the request names.
    pub(crate) fn algorithm(&self) -> SimResult<Option<ChecksumAlgorithm>> {
        let name = self
            .header("x-amz-checksum-algorithm")
            .or_else(|| self.header("x-amz-sdk-checksum-algorithm"));
        match name {
            None => Ok(None),
            Some(name) => ChecksumAlgorithm::from_name(&name).map(Some).ok_or_else(|| {
                SimError::because(
                    SimErrorCode::InvalidRequest,
                    format!("Checksum algorithm {name} is not known"),
                )
            }),
        }
    }

    /// Returns the checksum type that the request names.
    pub(crate) fn checksum_kind(&self) -> SimResult<Option<ChecksumKind>> {
        match self.header("x-amz-checksum-type").as_deref() {
            None => Ok(None),
            Some("FULL_OBJECT") => Ok(Some(ChecksumKind::FullObject)),
            Some("COMPOSITE") => Ok(Some(ChecksumKind::Composite)),
            Some(_) => Err(SimError::because(
                SimErrorCode::InvalidRequest,
                "Value for x-amz-checksum-type header is invalid.",
            )),
        }
    }
}
