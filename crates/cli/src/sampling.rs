//! Objects of a bucket from its inventory, its listing, or the first keys of its listing.

use futures::StreamExt as _;
use s3ferry_aws::client::Clients;
use s3ferry_core::diff::SideName;
use s3ferry_core::failure::Failure;
use s3ferry_core::listing::ListedObject;
use s3ferry_engine::listing::{ObjectListing as _, PrefetchLimits};

use crate::bucket_side::BucketSide;
use crate::inventories::Inventories;
use crate::progress::ProgressReporter;
use crate::rows::listed;

/// Where sampled objects come from, and whether they are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleScope {
    /// Whether the objects are of an inventory.
    pub of_inventory: bool,
    /// Whether all objects were read.
    pub complete: bool,
}

/// Passes the objects of the source to `take`: those of its inventory, or those of its listing, `limit` at most.
pub async fn each_object(
    clients: &Clients,
    source: &BucketSide,
    inventories: &Inventories,
    limit: Option<u64>,
    mut take: impl FnMut(&ListedObject),
) -> Result<SampleScope, Failure> {
    let progress = ProgressReporter::start("reading the source", "objects", None);
    let prefix = &source.location.prefix;
    let rows = inventories.rows(SideName::Source);
    let of_inventory = rows.is_some();
    let rows = match (rows, limit) {
        (Some(rows), _) => rows,
        (None, None) => Box::pin(listed(source.listing(clients), prefix, PrefetchLimits::default())),
        (None, Some(limit)) => {
            let complete = first_objects(clients, source, limit, &mut |row| {
                take(row);
                progress.advance(1);
            })
            .await;
            progress.finish();
            let complete = complete?;
            return Ok(SampleScope { of_inventory, complete });
        }
    };
    let mut rows = std::pin::pin!(rows);
    while let Some(page) = rows.next().await {
        let page = page?;
        page.iter().for_each(&mut take);
        progress.advance(page.len() as u64);
    }
    progress.finish();
    Ok(SampleScope {
        of_inventory,
        complete: true,
    })
}

/// Lists the first objects page by page; returns whether they are all.
async fn first_objects(
    clients: &Clients,
    source: &BucketSide,
    limit: u64,
    take: &mut impl FnMut(&ListedObject),
) -> Result<bool, Failure> {
    let listing = source.listing(clients);
    let (mut after, mut left) = (None, limit);
    loop {
        let page = listing.page(&source.location.prefix, after.as_deref()).await?;
        for row in &page.objects {
            if left == 0 {
                return Ok(false);
            }
            take(row);
            left -= 1;
        }
        after = page.objects.last().map(|row| row.key.as_str().to_owned());
        if !page.more {
            return Ok(true);
        }
        if left == 0 {
            return Ok(false);
        }
    }
}
