//! Listings of many keys, read side by side and handed on in their order.

mod segments;

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered};
use futures::{FutureExt as _, Stream, StreamExt as _};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::ListedObject;

use self::segments::{PageRequest, Segments};

/// A bucket's current objects, page by page.
pub trait ObjectListing: Send + Sync {
    /// Lists the first keys that begin with `prefix` and come behind `after`, in the order of their UTF-8 bytes.
    fn page(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Result<ListingPage, Failure>> + Send;
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingPage {
    /// The rows.
    pub objects: Vec<ListedObject>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// How much of a listing is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefetchLimits {
    /// How many requests are under way at most.
    pub concurrency: usize,
    /// How many pages are held at most, those asked for included: what bounds the memory.
    pub pages: usize,
}

impl Default for PrefetchLimits {
    fn default() -> Self {
        Self {
            concurrency: 8,
            pages: 40,
        }
    }
}

/// Lists every key that begins with `prefix`, in the order of their UTF-8 bytes, page by page.
///
/// The key space is cut into pieces that are listed side by side: where to cut is guessed from the keys that were seen.
/// Pages that come before their turn wait, no more of them than `reach` allows. A failure ends the listing.
pub fn in_order<L>(
    listing: Arc<L>,
    prefix: String,
    reach: PrefetchLimits,
) -> impl Stream<Item = Result<Vec<ListedObject>, Failure>> + Send
where
    L: ObjectListing + 'static,
{
    let reader = Reader {
        listing,
        prefix: prefix.into(),
        segments: Segments::new(reach),
        under_way: FuturesUnordered::new(),
        ended: false,
    };
    stream::unfold(reader, |mut reader| async move {
        if reader.ended {
            return None;
        }
        let next = reader.next().await.transpose()?;
        reader.ended = next.is_err();
        Some((next, reader))
    })
}

struct Reader<L> {
    listing: Arc<L>,
    prefix: Arc<str>,
    segments: Segments,
    under_way: FuturesUnordered<BoxFuture<'static, (PageRequest, Result<ListingPage, Failure>)>>,
    ended: bool,
}

impl<L: ObjectListing + 'static> Reader<L> {
    async fn next(&mut self) -> Result<Option<Vec<ListedObject>>, Failure> {
        loop {
            for request in self.segments.requests() {
                self.under_way.push(self.ask(request));
            }
            if let Some(page) = self.segments.pop() {
                return Ok(Some(page));
            }
            if self.segments.is_done() {
                return Ok(None);
            }
            let Some((request, answer)) = self.under_way.next().await else {
                return Err(key_order_stalled());
            };
            self.segments.take(&request, answer?);
        }
    }

    fn ask(&self, request: PageRequest) -> BoxFuture<'static, (PageRequest, Result<ListingPage, Failure>)> {
        let (listing, prefix) = (Arc::clone(&self.listing), Arc::clone(&self.prefix));
        async move {
            let answer = listing.page(&prefix, request.after.as_deref()).await;
            (request, answer)
        }
        .boxed()
    }
}

fn key_order_stalled() -> Failure {
    Failure {
        kind: FailureKind::Bug,
        code: "ListingStuck".to_owned(),
        action: "s3:ListBucket".to_owned(),
        resource: "the listing".to_owned(),
        detail: "nothing is under way and not everything was listed".to_owned(),
    }
}
