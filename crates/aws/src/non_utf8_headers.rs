//! Headers that are not UTF-8, such as `Content-Disposition: attachment; filename="M\xfcller.pdf"` in ISO 8859-1.
//!
//! S3 stores the bytes that it receives. The SDK cannot represent such a value and refuses the whole response, unless
//! it is configured to drop the header.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::http::{Headers, NonUtf8HeaderHandling};

/// Configures the SDK to drop headers that are not UTF-8 from a response.
#[derive(Debug)]
pub(crate) struct DropNonUtf8Headers;

impl Intercept for DropNonUtf8Headers {
    fn name(&self) -> &'static str {
        "LeaveOutUnreadable"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(NonUtf8HeaderHandling::Skip);
        Ok(())
    }
}

/// Returns whether a header is stored with an object.
fn is_stored(name: &str) -> bool {
    const SYSTEM: [&str; 7] = [
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-website-redirect-location",
    ];
    SYSTEM.contains(&name) || name.starts_with("x-amz-meta-")
}

/// Internal header that carries an `Expires` that is not UTF-8, in hexadecimal digits.
const RAW_EXPIRES: &str = "x-s3ferry-raw-expires";

/// Moves an `Expires` that is not UTF-8 to an internal header before the SDK reads it.
///
/// The SDK's own interceptor takes every value of that header for text, and panics (aws-sdk-s3 1.157,
/// `s3_expires_interceptor.rs`).
pub(crate) fn put_aside_expires(headers: &mut Headers) {
    let raw = headers
        .get_bytes("expires")
        .filter(|value| std::str::from_utf8(value).is_err());
    if let Some(digits) = raw.map(hex::encode) {
        headers.remove("expires");
        headers.insert(RAW_EXPIRES, digits);
    }
}

/// Returns the value that [`put_aside_expires`] moved.
fn expires_put_aside(headers: &Headers) -> Option<Vec<u8>> {
    hex::decode(headers.get(RAW_EXPIRES)?).ok()
}

/// Collects the response headers that are not UTF-8.
#[derive(Debug, Clone, Default)]
pub(crate) struct NonUtf8Headers(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl NonUtf8Headers {
    /// Returns the headers of the last response, by lower-case name.
    pub(crate) fn take(&self) -> BTreeMap<String, Vec<u8>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for NonUtf8Headers {
    fn name(&self) -> &'static str {
        "UnreadableHeaders"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let of_object = headers
            .iter_bytes()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()));
        let unreadable = of_object.filter(|(name, value)| is_stored(name) && std::str::from_utf8(value).is_err());
        let expires = expires_put_aside(headers).map(|value| ("expires".to_owned(), value));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = unreadable.chain(expires).collect();
        Ok(())
    }
}
