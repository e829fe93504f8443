//! Reads what the checks depend on.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use s3ferry_aws::client::Clients;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::limits::RequestLimits;
use s3ferry_aws::preflight::account;
use s3ferry_aws::preflight::bucket::BucketFactsReader;
use s3ferry_aws::source::S3Source;
use s3ferry_core::facts::{Attribute, AttributeSet, ExplicitEncryption, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{ObjectKey, Region};
use s3ferry_core::preflight::facts::KeyFacts;
use s3ferry_core::preflight::{
    BucketFacts, HeadSample, KeySpread, ObjectSample, PreflightFacts, Reading, SampleOrigin, VersionSample,
};
use s3ferry_engine::ports::{Clock as _, SourceBucket as _};

use super::args::PreflightArgs;
use crate::args::SharedArgs;
use crate::bucket_side::{BucketSide, preflight_error, source_clients};
use crate::exit::CliError;
use crate::files::find_region;
use crate::inventories::Inventories;
use crate::sampling::each_object;

/// Largest number of objects that are read with a HEAD request.
const HEADS: usize = 100;

/// Largest number of objects whose annotations are listed.
const ANNOTATIONS: usize = 20;

/// Concurrent HEAD requests.
const CONCURRENT_HEADS: usize = 16;

/// What was read of the objects of the source.
struct SourceData {
    objects: Reading<ObjectSample>,
    heads: Reading<HeadSample>,
    versions: Reading<VersionSample>,
}

/// Reads all facts. Fails only if nothing can be read at all, or if an argument names something unusable.
pub(super) async fn read(shared: &SharedArgs, args: &PreflightArgs) -> Result<PreflightFacts, CliError> {
    let (clients, first) = source_clients(shared, &args.source, RequestLimits::default()).await?;
    let source = BucketSide {
        location: args.source.source.clone(),
        region: first.clone(),
        owner: args.source.source_bucket_owner.clone(),
    };
    let destination = BucketSide {
        location: args.destination.destination.clone(),
        region: first,
        owner: args.destination.destination_bucket_owner.clone(),
    };
    let (source, destination) = futures::join!(
        in_its_region(&clients, source, args.source.source_region.as_ref()),
        in_its_region(&clients, destination, args.destination.destination_region.as_ref())
    );
    let (source_reader, destination_reader) = futures::join!(
        open(&clients, &source, "--source-region"),
        open(&clients, &destination, "--destination-region")
    );
    let (source_reader, destination_reader) = (source_reader?, destination_reader?);
    let source = BucketSide {
        region: source_reader.region().clone(),
        ..source
    };
    let caller = account::caller(&clients, &source.region).await;
    let data = data(&clients, args, (&source, &source_reader), &destination).await?;
    let (source_facts, destination_facts) = futures::join!(
        source_reader.read(&clients, &caller),
        destination_reader.read(&clients, &caller)
    );
    let stack = async {
        match &args.stack {
            Some(stack) => Some(account::stack(&clients, &source.region, stack).await),
            None => None,
        }
    };
    let (account, stack, keys) = futures::join!(
        account::facts(&clients, &source.region, caller.clone()),
        stack,
        keys(&clients, [&source_facts, &destination_facts], &data.heads)
    );
    Ok(PreflightFacts {
        choices: args.choices(SystemClock.now()),
        source: source_facts,
        destination: destination_facts,
        objects: data.objects,
        versions: data.versions,
        heads: data.heads,
        account,
        keys,
        stack,
    })
}

/// Sets the region that was given or else found. A bucket that is not found fails its checks.
async fn in_its_region(clients: &Clients, side: BucketSide, given: Option<&Region>) -> BucketSide {
    let region = match given {
        Some(given) => given.clone(),
        None => find_region(
            &clients.expecting(side.owner.as_ref()),
            &side.location.bucket,
            &side.region,
        )
        .await
        .unwrap_or_else(|_| side.region.clone()),
    };
    BucketSide { region, ..side }
}

async fn open(clients: &Clients, side: &BucketSide, flag: &str) -> Result<BucketFactsReader, CliError> {
    let opened = BucketFactsReader::open(clients, side.expected()).await;
    opened.map_err(|failure| preflight_error(clients, failure.into(), flag))
}

/// Reads objects and versions of the source; a missing bucket has none that can be read.
async fn data(
    clients: &Clients,
    args: &PreflightArgs,
    (source, reader): (&BucketSide, &BucketFactsReader),
    destination: &BucketSide,
) -> Result<SourceData, CliError> {
    if !reader.exists() {
        let missing = "the source bucket could not be read";
        return Ok(SourceData {
            objects: Reading::not_read("s3:ListBucket", missing),
            heads: Reading::not_read("s3:GetObject", missing),
            versions: Reading::not_read("s3:ListBucketVersions", missing),
        });
    }
    let inventories = Inventories::open(&args.inventories, clients, source, Some(destination)).await?;
    let mut sample = ObjectSample::new(SampleOrigin::Listing);
    let mut spread = KeySpread::new(HEADS);
    let read = each_object(clients, source, &inventories, Some(args.sample_keys), |row| {
        sample.take(row);
        spread.take(&row.key);
    });
    let (objects, keys) = match read.await {
        Ok(scope) => {
            sample.complete = scope.complete;
            if scope.of_inventory {
                sample.origin = SampleOrigin::Inventory(inventories.lines().join("; "));
            }
            (Reading::Known(sample), spread.into_keys())
        }
        // An unreadable report is a mistake in the arguments, not a fact of the bucket.
        Err(failure) if failure.code.is_of_inventory() => return Err(failure.into()),
        Err(failure) => (unknown(failure), Vec::new()),
    };
    let heads = match &objects {
        Reading::Known(_) => heads(clients, source, destination, &keys).await,
        Reading::Unknown(unknown) => Reading::Unknown(unknown.clone()),
    };
    let versions = reader.versions(&source.location.prefix, args.sample_keys).await;
    Ok(SourceData {
        objects,
        heads,
        versions,
    })
}

/// Reads some objects with HEAD requests.
async fn heads(
    clients: &Clients,
    source: &BucketSide,
    destination: &BucketSide,
    keys: &[ObjectKey],
) -> Reading<HeadSample> {
    let bucket = S3Source::new(
        clients.s3_for_reading(&source.region),
        source.location.bucket.clone(),
        source.region.clone(),
        source.owner.clone(),
        destination.location.bucket.clone(),
    );
    let read = stream::iter(keys).map(|key| read_one(&bucket, key));
    let mut read = read.buffered(CONCURRENT_HEADS);
    let mut sample = HeadSample::default();
    let mut annotated = 0;
    let mut denied = None;
    while let Some((key, state)) = read.next().await {
        match state {
            Ok(ObjectState::Present(facts)) => {
                let facts = if annotated < ANNOTATIONS && sample.annotations_failed.is_none() {
                    annotated += 1;
                    with_annotations(&bucket, key, *facts, &mut sample).await
                } else {
                    *facts
                };
                sample.take(key, &facts);
            }
            Ok(_) => {}
            Err(failure) if failure.code == FailureCode::CustomerKeyEncrypted => {
                sample.read += 1;
                sample.customer_key.take(key);
            }
            // Whitespace-only keys are the subject of another check.
            Err(failure) if failure.code == FailureCode::RequestNotMade => {}
            Err(failure) => denied = Some(failure),
        }
    }
    match denied {
        Some(failure) if sample.read == 0 => unknown(failure),
        _ => Reading::Known(sample),
    }
}

async fn read_one<'a>(bucket: &S3Source, key: &'a ObjectKey) -> (&'a ObjectKey, Result<ObjectState, Failure>) {
    (key, bucket.read(key, &AttributeSet::new()).await)
}

async fn with_annotations(
    bucket: &S3Source,
    key: &ObjectKey,
    facts: ObjectFacts,
    sample: &mut HeadSample,
) -> ObjectFacts {
    let attributes = AttributeSet::from([Attribute::Annotations]);
    match bucket.read_more(key, &facts, &attributes).await {
        Ok(more) => more.unwrap_or(facts),
        Err(failure) => {
            sample.annotations_failed = Some(failure.into());
            facts
        }
    }
}

/// Reads the KMS keys that the buckets and the objects name.
async fn keys(clients: &Clients, sides: [&BucketFacts; 2], heads: &Reading<HeadSample>) -> Vec<KeyFacts> {
    let [source, destination] = sides;
    let default = |bucket: &BucketFacts| match &bucket.encryption {
        Reading::Known(encryption) => match &encryption.default {
            ExplicitEncryption::Kms(kms) => kms.key_arn.clone(),
            ExplicitEncryption::Managed => None,
        },
        Reading::Unknown(_) => None,
    };
    let mut of_source: BTreeSet<String> = default(source).into_iter().collect();
    if let Reading::Known(heads) = heads {
        of_source.extend(heads.kms_keys.iter().cloned());
    }
    let of_source = of_source
        .iter()
        .map(|key| account::key(clients, key, &source.region, true));
    let mut keys = futures::future::join_all(of_source).await;
    if let Some(key) = default(destination) {
        keys.push(account::key(clients, &key, &destination.region, false).await);
    }
    keys
}

fn unknown<T>(failure: Failure) -> Reading<T> {
    Reading::Unknown(failure.into())
}
