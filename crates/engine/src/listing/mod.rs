//! Listings of many keys, read concurrently and returned in key order.

mod segments;

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered};
use futures::{FutureExt as _, Stream, StreamExt as _};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::listing::ListedObject;

use self::segments::{PageRequest, Segments};

/// A listing of a bucket's current objects, page by page.
pub trait ObjectListing: Send + Sync {
    /// Lists the first keys with the prefix `prefix` after the key `after`, in the order of their UTF-8 bytes.
    fn page(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Result<ListingPage, Failure>> + Send;
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingPage {
    /// The objects of the page.
    pub objects: Vec<ListedObject>,
    /// Whether more objects follow.
    pub more: bool,
}

/// The limits of reading a listing ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefetchLimits {
    /// The maximum number of concurrent requests.
    pub concurrency: usize,
    /// The maximum number of pages in memory, requested pages included.
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

/// Lists every key with the prefix `prefix`, in the order of their UTF-8 bytes, page by page.
///
/// The key space is split into segments that are listed concurrently. The boundaries are estimated from the keys that
/// were read. Pages that arrive out of order are held in memory, up to the limits. A failure ends the listing.
pub fn in_order<L>(
    listing: Arc<L>,
    prefix: String,
    limits: PrefetchLimits,
) -> impl Stream<Item = Result<Vec<ListedObject>, Failure>> + Send
where
    L: ObjectListing + 'static,
{
    let reader = Reader {
        listing,
        prefix: prefix.into(),
        segments: Segments::new(limits),
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
                self.under_way.push(self.request_page(request));
            }
            if let Some(page) = self.segments.pop() {
                return Ok(Some(page));
            }
            if self.segments.is_done() {
                return Ok(None);
            }
            let Some((request, answer)) = self.under_way.next().await else {
                return Err(listing_stalled());
            };
            self.segments.take(&request, answer?);
        }
    }

    fn request_page(&self, request: PageRequest) -> BoxFuture<'static, (PageRequest, Result<ListingPage, Failure>)> {
        let (listing, prefix) = (Arc::clone(&self.listing), Arc::clone(&self.prefix));
        async move {
            let answer = listing.page(&prefix, request.after.as_deref()).await;
            (request, answer)
        }
        .boxed()
    }
}

fn listing_stalled() -> Failure {
    Failure {
        kind: FailureKind::Bug,
        code: "ListingStuck".into(),
        action: "s3:ListBucket".to_owned(),
        resource: "the listing".to_owned(),
        detail: "no request is in progress and the listing is incomplete".to_owned(),
    }
}
