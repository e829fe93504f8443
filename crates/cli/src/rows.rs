//! Listings that run ahead of whoever reads them, in tasks of their own behind bounded channels.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use s3ferry_core::failure::Failure;
use s3ferry_core::listing::Listed;
use s3ferry_engine::listing::{Listing, Reach, in_order};
use tokio::sync::mpsc;

/// How many pages wait between a listing and its reader.
const PAGES_BETWEEN: usize = 4;

/// One side's rows, wherever they come from.
pub type BoxRows = Pin<Box<dyn Stream<Item = Result<Vec<Listed>, Failure>> + Send>>;

/// Lists in a task of its own; it ends when nobody reads any more.
pub fn listed<L: Listing + 'static>(
    listing: L,
    prefix: &str,
    reach: Reach,
) -> impl Stream<Item = Result<Vec<Listed>, Failure>> + Send + use<L> {
    ahead(in_order(Arc::new(listing), prefix.to_owned(), reach))
}

/// Runs a stream of pages in a task of its own.
pub fn ahead<T: Send + 'static>(pages: impl Stream<Item = T> + Send + 'static) -> impl Stream<Item = T> + Send {
    let (sender, receiver) = mpsc::channel(PAGES_BETWEEN);
    tokio::spawn(async move {
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
    stream::unfold(receiver, |mut receiver| async move {
        let page = receiver.recv().await?;
        Some((page, receiver))
    })
}
