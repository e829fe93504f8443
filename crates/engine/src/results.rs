//! The store for the results of a final sync.

use std::collections::VecDeque;
use std::future::Future;

use futures::{Stream, TryStreamExt as _, stream};
use s3ferry_core::failure::Failure;

/// The number of objects that are read concurrently.
const CONCURRENT_READS: usize = 32;

/// A store of texts by name. A text is durable once `write` returns. Writing a name again replaces its text.
pub trait ResultStore: Send + Sync {
    /// Writes a text under a name.
    fn write(&self, name: &str, text: String) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Lists one page of the names with the prefix `prefix` after `after`, in order.
    ///
    /// An empty page means that there are no more names.
    fn list(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;

    /// Reads the text of a name.
    fn read(&self, name: &str) -> impl Future<Output = Result<String, Failure>> + Send;
}

/// Reads all texts whose names have the prefix `prefix` and come after `after`, in order, with their names.
///
/// Memory use is bounded: one page of names and up to 32 texts.
pub fn texts<'a, R: ResultStore>(
    store: &'a R,
    prefix: &'a str,
    after: Option<String>,
) -> impl Stream<Item = Result<(String, String), Failure>> + use<'a, R> {
    let listed: (VecDeque<String>, Option<String>) = (VecDeque::new(), after);
    let names = stream::try_unfold(listed, move |(mut page, mut last)| async move {
        if page.is_empty() {
            page = store.list(prefix, last.as_deref()).await?.into();
        }
        let Some(name) = page.pop_front() else {
            return Ok(None);
        };
        last = Some(name.clone());
        Ok(Some((name, (page, last))))
    });
    names
        .map_ok(move |name| async move {
            let text = store.read(&name).await?;
            Ok((name, text))
        })
        .try_buffered(CONCURRENT_READS)
}
