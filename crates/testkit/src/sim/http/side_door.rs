//! The side door: a JSON API under `/_sim/` with which tests prepare and inspect the simulator.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::incoming::parse_iso_date;
use super::serve::{ResponseBody, full};
use super::server::ServerState;
use crate::sim::fault::FaultRule;
use crate::sim::model::digest::ChecksumAlgorithm;
use crate::sim::model::object::{ChecksumKind, SimEncryption, SimSystemHeaders, WriteAttributes};
use crate::sim::model::put::{KEY_LIMIT_BYTES, STORAGE_CLASSES};
use crate::sim::model::simulator::WriteTarget;
use crate::sim::model::synthetic::{SyntheticChecksum, SyntheticObject};

/// Path prefix of the side door.
pub(crate) const PREFIX: &str = "/_sim/";

/// Rejection of an invalid side-door request.
struct Refused {
    status: StatusCode,
    field: String,
    value: String,
    allowed: String,
}

impl Refused {
    fn new(field: &str, value: impl std::fmt::Display, allowed: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            field: field.to_owned(),
            value: value.to_string(),
            allowed: allowed.to_string(),
        }
    }
}

/// Returns the response of a side-door request.
pub(crate) fn answer(shared: &ServerState, method: &Method, path: &str, body: &Bytes) -> Response<ResponseBody> {
    let name = path.strip_prefix(PREFIX).unwrap_or_default();
    let answered = match (method.as_str(), name) {
        ("GET", "health") => Ok(json!({
            "status": "ok",
            "late_requests": shared.late_requests.load(Ordering::SeqCst),
        })),
        ("GET", "requests") => Ok(json!(shared.requests())),
        ("DELETE", "requests") => {
            shared.forget_requests();
            Ok(json!({}))
        }
        ("GET", "events") => Ok(json!({ "Records": shared.service.model().notifications.drain() })),
        ("PUT", "faults") => parse(body).and_then(|document| set_faults(shared, &document)),
        ("PUT", "owners") => parse(body).and_then(|document| set_owner(shared, &document)),
        ("PUT", "objects") => parse(body).and_then(|document| put_object(shared, &document)),
        _ => Err(Refused {
            status: StatusCode::NOT_FOUND,
            field: "request".to_owned(),
            value: format!("{method} {path}"),
            allowed: "GET health, GET or DELETE requests, GET events, PUT faults, PUT objects, PUT owners".to_owned(),
        }),
    };
    let (status, document) = match answered {
        Ok(document) => (StatusCode::OK, document),
        Err(refused) => (
            refused.status,
            json!({
                "error": format!("{} is {}: {}", refused.field, refused.value, refused.allowed),
                "field": refused.field,
                "value": refused.value,
                "allowed": refused.allowed,
            }),
        ),
    };
    let mut response = Response::new(full(document.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

fn parse(body: &Bytes) -> Result<Value, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::new("the body", "not JSON", error))
}

fn set_faults(shared: &ServerState, document: &Value) -> Result<Value, Refused> {
    let rules = FaultRule::read_all(document).map_err(|bad| Refused::new(&bad.field, &bad.value, &bad.allowed))?;
    let count = rules.len();
    shared.faults().set(rules);
    Ok(json!({ "rules": count }))
}

/// A bucket and its new owner.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOwner {
    bucket: String,
    account: String,
}

fn set_owner(shared: &ServerState, document: &Value) -> Result<Value, Refused> {
    let given = NewOwner::deserialize(document)
        .map_err(|error| Refused::new("the owner", document, format!("invalid: {error}")))?;
    let mut model = shared.service.model();
    let bucket = model
        .bucket_mut(&given.bucket)
        .map_err(|refusal| Refused::new("bucket", &given.bucket, refusal))?;
    bucket.owner.clone_from(&given.account);
    Ok(json!({ "account": given.account }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewObject {
    bucket: String,
    key: String,
    size_bytes: u64,
    seed: u64,
    part_size_bytes: Option<u64>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    storage_class: Option<String>,
    /// `false` for no checksum, or the name of an algorithm.
    checksum: Option<Value>,
    checksum_type: Option<String>,
    last_modified: Option<String>,
    /// `AES256`, `aws:kms`, or `aws:kms:` with a key.
    encryption: Option<String>,
    #[serde(default)]
    missing_metadata: u32,
}

fn put_object(shared: &ServerState, document: &Value) -> Result<Value, Refused> {
    let object = NewObject::deserialize(document)
        .map_err(|error| Refused::new("the object", document, format!("invalid: {error}")))?;
    if !(1..=KEY_LIMIT_BYTES).contains(&object.key.len()) {
        let allowed = format!("must be 1 to {KEY_LIMIT_BYTES} bytes long");
        return Err(Refused::new("key", format!("{:?}", object.key), allowed));
    }
    let synthetic = object.synthetic()?;
    let target = WriteTarget {
        bucket: &object.bucket,
        key: &object.key,
    };
    let written = shared
        .service
        .model()
        .put_synthetic(target, &synthetic)
        .map_err(|refusal| {
            let mut refused = Refused::new("the object", format!("{}/{}", object.bucket, object.key), &refusal);
            refused.status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
            refused
        })?;
    Ok(json!({
        "etag": written.object.etag,
        "version_id": written.version_id,
        "size_bytes": object.size_bytes,
    }))
}

impl NewObject {
    fn synthetic(&self) -> Result<SyntheticObject, Refused> {
        Ok(SyntheticObject {
            size_bytes: self.size_bytes,
            seed: self.seed,
            part_size_bytes: self.part_size_bytes,
            explicit: WriteAttributes {
                headers: self.headers()?,
                website_redirect: self.headers.get("website-redirect-location").cloned(),
                metadata: self.metadata.clone(),
                missing_metadata: self.missing_metadata,
                tags: self.tags.clone(),
                storage_class: self.storage_class()?,
                encryption: self.encryption()?,
                ..WriteAttributes::default()
            },
            checksum: self.checksum()?,
            last_modified: self.last_modified()?,
        })
    }

    fn headers(&self) -> Result<SimSystemHeaders, Refused> {
        let known = [
            "content-type",
            "cache-control",
            "content-disposition",
            "content-encoding",
            "content-language",
            "expires",
            "website-redirect-location",
        ];
        if let Some(name) = self.headers.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Refused::new(
                "headers",
                name,
                format!("must be one of {}", known.join(", ")),
            ));
        }
        let header = |name: &str| self.headers.get(name).cloned();
        Ok(SimSystemHeaders {
            content_type: header("content-type"),
            cache_control: header("cache-control"),
            content_disposition: header("content-disposition"),
            content_encoding: header("content-encoding"),
            content_language: header("content-language"),
            expires: header("expires"),
        })
    }

    fn storage_class(&self) -> Result<Option<String>, Refused> {
        match &self.storage_class {
            Some(class) if !STORAGE_CLASSES.contains(&class.as_str()) => Err(Refused::new(
                "storage_class",
                class,
                format!("must be one of {}", STORAGE_CLASSES.join(", ")),
            )),
            class => Ok(class.clone()),
        }
    }

    fn encryption(&self) -> Result<Option<SimEncryption>, Refused> {
        let Some(text) = &self.encryption else {
            return Ok(None);
        };
        match text.strip_prefix("aws:kms") {
            Some("") => Ok(Some(kms(None))),
            Some(key) if key.starts_with(':') => Ok(Some(kms(key.strip_prefix(':')))),
            _ if text == "AES256" => Ok(Some(SimEncryption::S3)),
            _ => Err(Refused::new(
                "encryption",
                text,
                "must be AES256, aws:kms or aws:kms:KEY",
            )),
        }
    }

    fn checksum(&self) -> Result<SyntheticChecksum, Refused> {
        let kind = match self.checksum_type.as_deref() {
            None => None,
            Some("FULL_OBJECT") => Some(ChecksumKind::FullObject),
            Some("COMPOSITE") => Some(ChecksumKind::Composite),
            Some(other) => {
                return Err(Refused::new("checksum_type", other, "must be FULL_OBJECT or COMPOSITE"));
            }
        };
        match &self.checksum {
            None | Some(Value::Null | Value::Bool(true)) => Ok(SyntheticChecksum::Default),
            Some(Value::Bool(false)) => Ok(SyntheticChecksum::Missing),
            Some(named) => named
                .as_str()
                .and_then(ChecksumAlgorithm::from_name)
                .map(|algorithm| SyntheticChecksum::Of(algorithm, kind))
                .ok_or_else(|| {
                    let known = ChecksumAlgorithm::ALL.map(ChecksumAlgorithm::name).join(", ");
                    Refused::new("checksum", named, format!("must be true, false or one of {known}"))
                }),
        }
    }

    fn last_modified(&self) -> Result<Option<u64>, Refused> {
        let Some(text) = &self.last_modified else {
            return Ok(None);
        };
        parse_iso_date(text)
            .map(Some)
            .ok_or_else(|| Refused::new("last_modified", text, "must be a time such as 2026-01-31T12:00:00Z"))
    }
}

fn kms(key: Option<&str>) -> SimEncryption {
    SimEncryption::Kms {
        algorithm: "aws:kms".to_owned(),
        key: key.map(str::to_owned),
        bucket_key: false,
    }
}
