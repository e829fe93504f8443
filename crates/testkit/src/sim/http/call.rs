//! A request: target, headers, decoded body, and the region of its signature.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::chunked;
use super::operation::RequestShape;
use crate::sim::model::document::BucketDocument;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};

/// A parsed S3 request.
#[derive(Debug, Clone)]
pub(crate) struct SimRequest {
    pub(crate) operation: &'static str,
    pub(crate) method: String,
    pub(crate) bucket: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The region in the signature's scope; `None` for a request without a signature.
    pub(crate) region: Option<String>,
    /// The access key of the signature, which identifies the caller.
    pub(crate) access_key: Option<String>,
    pub(crate) document: Option<BucketDocument>,
    /// The encoded path, including the bucket.
    raw_path: String,
}

/// Host suffix of virtual-hosted URLs.
const VIRTUAL_HOST: &str = ".localhost";

impl SimRequest {
    /// Parses a request.
    pub(crate) fn read(parts: &Parts, body: Bytes) -> SimResult<Self> {
        let raw_path = path_with_bucket(parts);
        let (bucket, key) = target(&raw_path)?;
        let query = query(&parts.uri);
        let mut headers = parts.headers.clone();
        let body = decode_body(&mut headers, body)?;
        let (access_key, region) = signer(&headers, &query).unzip();
        let shape = RequestShape {
            method: parts.method.as_str(),
            has_bucket: bucket.is_some(),
            has_key: key.is_some(),
            has_copy_source: headers.contains_key("x-amz-copy-source"),
            query: &query,
        };
        Ok(Self {
            operation: shape.operation(),
            document: shape.document(),
            method: parts.method.as_str().to_owned(),
            bucket,
            key,
            query,
            headers,
            body,
            region,
            access_key,
            raw_path,
        })
    }

    /// Returns a header as text. Bytes that are not UTF-8 are read as ISO 8859-1.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(text)
    }

    /// Returns a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the version id in the query.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.query("versionId").filter(|id| !id.is_empty())
    }

    /// Returns the request for s3s, which routes it and parses its document. The request has no signature, no object
    /// content, and none of the headers that the simulator reads itself, because s3s would change or reject them.
    pub(crate) fn for_s3s(&self) -> SimResult<http::Request<s3s::Body>> {
        let body = if self.has_document() {
            self.body.clone()
        } else {
            Bytes::new()
        };
        let mut request = http::Request::builder()
            .method(self.method.as_str())
            .uri(self.s3s_uri())
            .header("host", "localhost")
            .header("content-length", body.len());
        for name in ["x-amz-object-attributes"] {
            for value in self.headers.get_all(name) {
                request = request.header(name, value);
            }
        }
        if self.headers.contains_key("x-amz-copy-source") {
            request = request.header("x-amz-copy-source", "bucket/key");
        }
        request
            .body(s3s::Body::from(body))
            .map_err(|error| SimError::because(SimErrorCode::InvalidArgument, error.to_string()))
    }

    /// Returns whether the body is a document, not the content of an object.
    fn has_document(&self) -> bool {
        !matches!(self.operation, "PutObject" | "UploadPart" | "PutObjectAnnotation")
    }

    fn s3s_uri(&self) -> String {
        let mut uri = self.raw_path.clone();
        let parameters = self
            .query
            .iter()
            .filter(|(name, _)| !is_signature(name) && !name.starts_with("response-"));
        for (index, (name, value)) in parameters.enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(&encode(name));
            uri.push('=');
            uri.push_str(&encode(value));
        }
        uri
    }
}

/// Returns whether a query parameter belongs to a presigned URL of Signature Version 2 or 4.
fn is_signature(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("x-amz-") || matches!(name, "AWSAccessKeyId" | "Signature" | "Expires")
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// First of the private-use characters that represent bytes from 0x80 of a header that is not UTF-8.
const RAW_BYTE: u32 = 0xF780;

/// Returns a header's bytes as text. [`bytes`] is the inverse.
pub(crate) fn text(value: &HeaderValue) -> String {
    let raw = |byte: &u8| match byte {
        0..0x80 => char::from(*byte),
        _ => char::from_u32(RAW_BYTE - 0x80 + u32::from(*byte)).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(raw).collect(),
    }
}

/// Returns the header bytes of a text. The inverse of [`text`].
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in text.chars() {
        match u32::from(character).checked_sub(RAW_BYTE).map(u8::try_from) {
            Some(Ok(raw @ 0..0x80)) => bytes.push(raw + 0x80),
            _ => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

fn path_with_bucket(parts: &Parts) -> String {
    let path = parts.uri.path();
    let host = parts
        .headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    let name = host.split(':').next().unwrap_or("");
    match name.strip_suffix(VIRTUAL_HOST) {
        Some(bucket) if !bucket.is_empty() => format!("/{bucket}{path}"),
        _ => path.to_owned(),
    }
}

fn target(path: &str) -> SimResult<(Option<String>, Option<String>)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| SimError::because(SimErrorCode::InvalidArgument, "Couldn't parse the specified URI."))
    };
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok((some(decode(bucket)?), some(decode(key)?)))
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    uri.query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Decodes an `aws-chunked` body. Its trailers become headers.
fn decode_body(headers: &mut HeaderMap, body: Bytes) -> SimResult<Bytes> {
    let encoding = headers.get("content-encoding").map(text).unwrap_or_default();
    let streams = headers
        .get("x-amz-content-sha256")
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    let left: Vec<_> = encoding
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && *coding != "aws-chunked")
        .collect();
    if !streams && !encoding.contains("aws-chunked") {
        return Ok(body);
    }
    // S3 stores the other codings of the header.
    headers.remove("content-encoding");
    if !left.is_empty() {
        headers.insert("content-encoding", header_value(&left.join(","))?);
    }
    let broken = || {
        SimError::because(
            SimErrorCode::InvalidRequest,
            "The body is not well-formed aws-chunked data",
        )
    };
    let decoded = chunked::decode(&body).ok_or_else(broken)?;
    for (name, value) in decoded.trailers {
        let name = HeaderName::try_from(name).map_err(|_| broken())?;
        headers.insert(name, header_value(&value)?);
    }
    Ok(decoded.data)
}

fn header_value(text: &str) -> SimResult<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|error| SimError::because(SimErrorCode::InvalidArgument, error.to_string()))
}

/// Returns access key and region of a Signature Version 4 credential: `key/date/region/s3/aws4_request`.
fn signer(headers: &HeaderMap, query: &[(String, String)]) -> Option<(String, String)> {
    let credential = match headers.get("authorization") {
        Some(value) => text(value).split_once("Credential=").map(|(_, rest)| rest.to_owned())?,
        None => query
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("x-amz-credential"))
            .map(|(_, value)| value.clone())?,
    };
    let scope = credential.split(',').next()?.trim();
    let fields: Vec<_> = scope.rsplit('/').collect();
    match fields.as_slice() {
        ["aws4_request", _service, region, _date, key @ ..] if !region.is_empty() => {
            let key: Vec<_> = key.iter().rev().copied().collect();
            Some((key.join("/"), (*region).to_owned()))
        }
        _ => None,
    }
}
