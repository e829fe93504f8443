//! The buckets in memory fulfill the contract on which the engine's other tests rely.

use s3ferry_core::names::ObjectKey;
use s3ferry_engine::ports::{DestinationBucket, SourceBucket};
use s3ferry_testkit::contract::{self, ContractFixture, Deviation, SampleObject};
use s3ferry_testkit::memory::{MemoryBucket, MemoryDestination};

struct Memory {
    source: MemoryBucket,
    destination: MemoryDestination,
}

impl Memory {
    fn new(destination: MemoryBucket) -> Self {
        let source = MemoryBucket::versioned();
        Self {
            destination: MemoryDestination {
                source: source.clone(),
                bucket: destination,
            },
            source,
        }
    }
}

fn put(bucket: &MemoryBucket, object: &SampleObject) {
    bucket.put_with(object.key.as_str(), &object.content, |facts| {
        facts.user_metadata = object.user_metadata.clone();
        facts.tags = Some(object.tags.clone());
    });
}

impl ContractFixture for Memory {
    fn source(&self) -> &impl SourceBucket {
        &self.source
    }

    fn destination(&self) -> &impl DestinationBucket {
        &self.destination
    }

    async fn put_source(&self, object: &SampleObject) {
        put(&self.source, object);
    }

    async fn put_destination(&self, object: &SampleObject) {
        put(&self.destination.bucket, object);
    }

    async fn delete_source(&self, key: &ObjectKey) {
        self.source.delete(key.as_str());
    }

    async fn destination_content(&self, key: &ObjectKey) -> Option<String> {
        self.destination.bucket.content(key.as_str())
    }

    fn deviations(&self) -> &'static [Deviation] {
        &[]
    }
}

#[tokio::test]
async fn versioned_memory_bucket_fulfills_the_contract() {
    contract::run(&Memory::new(MemoryBucket::versioned())).await;
}

#[tokio::test]
async fn unversioned_memory_bucket_fulfills_the_contract() {
    contract::run(&Memory::new(MemoryBucket::unversioned())).await;
}
