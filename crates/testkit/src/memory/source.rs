//! The in-memory bucket as a source.

use s3ferry_core::bucket_settings::ReplicationCoverage;
use s3ferry_core::facts::{AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::SourcePin;
use s3ferry_core::plan::{PartLayout, PartSizes};
use s3ferry_core::versions::{VersionListing, VersionName};
use s3ferry_engine::ports::{Absence, SourceBucket};

use super::MemoryBucket;

impl SourceBucket for MemoryBucket {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        Ok(self.state(key, attributes))
    }

    async fn read_more(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        attributes: &AttributeSet,
    ) -> Result<Option<ObjectFacts>, Failure> {
        let object = self.pinned(key, &SourcePin::of(facts));
        let read = object.map(|object| object.facts_with(attributes));
        Ok(read.map(|read| read.with_earlier(facts)))
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        let object = self.pinned(key, &SourcePin::of(facts));
        Ok(match object.map(|object| object.layout) {
            Some(layout) if layout.is_empty() => PartLayout::NotMultipart,
            Some(layout) => PartLayout::Multipart(layout.into_iter().collect::<PartSizes>()),
            None => PartLayout::Unknown,
        })
    }

    async fn has_acl(&self) -> Result<bool, Failure> {
        Ok(self.lock().has_acl)
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        Ok(self.absence(key))
    }

    async fn list_versions(&self, key: &ObjectKey) -> Result<VersionListing, Failure> {
        Ok(self.listed_versions(key))
    }

    async fn read_version(&self, key: &ObjectKey, version: &VersionName) -> Result<ObjectState, Failure> {
        Ok(self.version_state(key, version))
    }

    async fn replication(&self, _key: &ObjectKey) -> Result<ReplicationCoverage, Failure> {
        Ok(self.lock().replication.unwrap_or(ReplicationCoverage::NotCovered))
    }
}
