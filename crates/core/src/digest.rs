//! SHA-256 of lists of fields, in hexadecimal digits.

use sha2::{Digest, Sha256};

/// Hash of fields, each with its length, so that two different lists never have the same input.
#[derive(Debug, Default)]
pub(crate) struct FieldDigest(Sha256);

impl FieldDigest {
    /// Returns the digest of `fields`.
    pub(crate) fn of<'f>(fields: impl IntoIterator<Item = &'f str>) -> String {
        let mut digest = Self::default();
        fields.into_iter().for_each(|field| digest.add(field));
        digest.finish()
    }

    /// Adds a field.
    pub(crate) fn add(&mut self, field: &str) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    /// Adds a field that may be absent; an absent field differs from an empty one.
    pub(crate) fn add_optional(&mut self, field: Option<&str>) {
        self.add(if field.is_some() { "some" } else { "none" });
        self.add(field.unwrap_or_default());
    }

    /// Returns the digest in hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}
