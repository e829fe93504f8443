//! Listings that run ahead of their reader, in tasks behind bounded channels.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::ListedObject;
use s3ferry_engine::listing::{ObjectListing, PrefetchLimits, in_order};
use tokio::sync::mpsc;
use tokio::task::JoinError;

/// The number of pages buffered between a listing and its reader.
const PAGES_BETWEEN: usize = 4;

/// One side's rows, wherever they come from.
pub type BoxedRowSource = Pin<Box<dyn Stream<Item = Result<Vec<ListedObject>, Failure>> + Send>>;

/// Lists in a task, which ends when the reader is dropped.
pub fn listed<L: ObjectListing + 'static>(
    listing: L,
    prefix: &str,
    reach: PrefetchLimits,
) -> impl Stream<Item = Result<Vec<ListedObject>, Failure>> + Send + use<L> {
    ahead(in_order(Arc::new(listing), prefix.to_owned(), reach))
}

/// Runs a stream of pages in its own task.
///
/// A task that ends early is a failure: keys that were not listed would look absent.
pub fn ahead<T: Send + 'static>(
    pages: impl Stream<Item = Result<T, Failure>> + Send + 'static,
) -> impl Stream<Item = Result<T, Failure>> + Send {
    let (sender, receiver) = mpsc::channel(PAGES_BETWEEN);
    let task = tokio::spawn(async move {
        let mut pages = std::pin::pin!(pages);
        loop {
            tokio::select! {
                () = sender.closed() => break,
                page = pages.next() => match page {
                    Some(page) => {
                        if sender.send(page).await.is_err() {
                            break;
                        }
                    }
                    None => break,
                },
            }
        }
    });
    stream::unfold((receiver, Some(task)), |(mut receiver, task)| async move {
        if let Some(page) = receiver.recv().await {
            return Some((page, (receiver, task)));
        }
        let cut_off = task?.await.err()?;
        Some((Err(incomplete(&cut_off)), (receiver, None)))
    })
}

fn incomplete(cut_off: &JoinError) -> Failure {
    Failure {
        kind: FailureKind::Bug,
        code: "ListingCutOff".into(),
        action: "s3:ListBucket".to_owned(),
        resource: "the listing".to_owned(),
        detail: format!("the listing ended early: {cut_off}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listing_that_is_cut_off_is_a_failure_and_no_end() {
        let pages = stream::iter([1, 2]).map(|page| {
            assert!(page == 1, "the listing panics");
            Ok(page)
        });
        let read: Vec<Result<i32, Failure>> = ahead(pages).collect().await;
        assert_eq!(read.first(), Some(&Ok(1)));
        let code = read
            .last()
            .and_then(|last| last.as_ref().err())
            .map(|failure| failure.code.as_str());
        assert_eq!((read.len(), code), (2, Some("ListingCutOff")));
        let whole: Vec<Result<i32, Failure>> = ahead(stream::iter([Ok(1)])).collect().await;
        assert_eq!(whole, [Ok(1)]);
    }
}
