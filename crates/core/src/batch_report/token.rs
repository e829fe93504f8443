//! Idempotency token of a job: two requests for the same job have the same token.

use crate::digest::FieldDigest;

/// Fields that define a job, in order: names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFields(Vec<(&'static str, String)>);

impl TokenFields {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Returns the token of the fields, in their order.
    #[must_use]
    pub fn token(&self) -> JobToken {
        JobToken(FieldDigest::of(self.0.iter().flat_map(|(name, value)| [*name, value])))
    }
}

/// Token of 64 hexadecimal digits, the maximum length that S3 accepts.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobToken(String);

impl JobToken {
    /// Returns the token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first half of the token, for names that people read.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.chars().take(32).collect()
    }
}
