//! Where a run of a final sync keeps what became of its items.

use std::collections::VecDeque;
use std::future::Future;

use futures::{Stream, TryStreamExt as _, stream};
use s3ferry_core::failure::Failure;

/// How many texts are read at once.
const READ_AT_ONCE: usize = 32;

/// Texts by name. A text is durable once `write` returns; writing a name again replaces it.
pub trait ResultStore: Send + Sync {
    /// Writes a text.
    fn write(&self, name: &str, text: String) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Lists, in order, names that begin with `prefix` and come after `after`: as many as the store lists at once, and
    /// none only where there are no more.
    fn list(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;

    /// Reads a text.
    fn read(&self, name: &str) -> impl Future<Output = Result<String, Failure>> + Send;
}

/// Reads, in order, all texts whose names begin with `prefix` and come after `after`, with their names.
///
/// It holds one page of names and a few texts, however many there are.
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
        .try_buffered(READ_AT_ONCE)
}
