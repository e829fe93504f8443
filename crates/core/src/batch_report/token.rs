//! The name by which a job that is asked for twice is the same job.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What a job is asked for, field by field: a name and its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFields(Vec<(&'static str, String)>);

impl TokenFields {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Makes the token of the fields, in their order.
    #[must_use]
    pub fn token(&self) -> JobToken {
        let mut hash = Sha256::new();
        for (name, value) in &self.0 {
            // With their lengths, so that no two lists of fields spell the same.
            for text in [*name, value] {
                hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(text);
            }
        }
        let digits = hash.finalize().iter().fold(String::new(), |mut digits, byte| {
            // Writing to a string cannot fail.
            let _written = write!(digits, "{byte:02x}");
            digits
        });
        JobToken(digits)
    }
}

/// A token: 64 hexadecimal digits, which is the most that S3 takes.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobToken(String);

impl JobToken {
    /// Returns the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns half of the token, for names that people read.
    #[must_use]
    pub fn short(&self) -> String {
        self.0.chars().take(32).collect()
    }
}
