//! Headers whose bytes are not UTF-8, as in `Content-Disposition: attachment; filename="M\xfcller.pdf"` in ISO 8859-1.
//!
//! S3 stores what it is sent. The SDK has no text for such a value and refuses the whole answer unless it is told to leave
//! the header out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::http::{Headers, NonUtf8HeaderHandling};
use s3ferry_core::upload::hexadecimal;

/// Has the SDK leave unreadable headers out of what it reads of an answer.
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

/// Tells whether a header is stored with an object.
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

/// What an unreadable `Expires` is renamed to, in hexadecimal digits.
const RAW_EXPIRES: &str = "x-s3ferry-raw-expires";

/// Puts an unreadable `Expires` aside before the SDK sees it: its own look at that header takes every value for text, and
/// panics (aws-sdk-s3 1.157, `s3_expires_interceptor.rs`).
pub(crate) fn put_aside_expires(headers: &mut Headers) {
    let raw = headers
        .get_bytes("expires")
        .filter(|value| std::str::from_utf8(value).is_err());
    if let Some(digits) = raw.map(hexadecimal) {
        headers.remove("expires");
        headers.insert(RAW_EXPIRES, digits);
    }
}

/// Returns what [`put_aside_expires`] put aside.
fn expires_put_aside(headers: &Headers) -> Option<Vec<u8>> {
    let digits = headers.get(RAW_EXPIRES)?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

/// Keeps the unreadable headers of a request's answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct NonUtf8Headers(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl NonUtf8Headers {
    /// Returns those of the last answer, by lower-case name.
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
