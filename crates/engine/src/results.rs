//! Where a run of a final sync keeps what became of its items.

use std::future::Future;

use s3ferry_core::failure::Failure;

/// Texts by name. A text is durable once `write` returns; writing a name again replaces it.
pub trait RunResults: Send + Sync {
    /// Writes a text.
    fn write(&self, name: &str, text: String) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Lists all names that begin with `prefix`.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;

    /// Reads a text.
    fn read(&self, name: &str) -> impl Future<Output = Result<String, Failure>> + Send;
}
