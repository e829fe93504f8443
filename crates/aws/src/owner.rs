//! The account that must own a bucket, sent with every request.
//!
//! If a bucket with the same name belongs to another account, S3 refuses the request. Nothing is read from that bucket
//! or written to it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use s3ferry_core::names::AccountId;

/// Header with the account that must own the bucket of a request.
pub(crate) const HEADER: &str = "x-amz-expected-bucket-owner";

/// Internal header with the owner that a refused request expected. S3 does not name this reason in its response.
const REFUSED_FOR: &str = "x-s3ferry-expected-bucket-owner";

/// Records in the response to a refused request which owner the request expected.
pub(crate) fn record_expected(answer: &mut HttpResponse, expected: Option<String>) {
    if let Some(expected) = expected.filter(|_| answer.status().as_u16() == 403) {
        // The value was valid as a request header.
        let _unrecorded = answer.headers_mut().try_insert(REFUSED_FOR, expected);
    }
}

/// Returns the owner that a refused request expected.
pub(crate) fn expected_by(answer: &HttpResponse) -> Option<&str> {
    answer.headers().get(REFUSED_FOR)
}

/// Sets the expected owner on every request of a client, so that no call can omit it.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedOwner(AccountId);

impl ExpectedOwner {
    pub(crate) fn new(owner: &AccountId) -> Self {
        Self(owner.clone())
    }
}

impl Intercept for ExpectedOwner {
    fn name(&self) -> &'static str {
        "ExpectedOwner"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        headers.try_insert(HEADER, self.0.to_string())?;
        Ok(())
    }
}
