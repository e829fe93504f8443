//! The account that must own a bucket, sent with every request: a bucket of the same name that a stranger made answers
//! nothing and gets nothing.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use s3ferry_core::names::AccountId;

/// The header by which S3 compares the owner of the bucket that a request addresses.
const HEADER: &str = "x-amz-expected-bucket-owner";

/// Sets the owner on every request of a client, so that no call can leave it out.
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
