//! In-memory buckets as inputs of a verification.

use s3ferry_core::facts::{AttributeSet, Availability, ObjectFacts, ObjectState};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::order::SourcePin;
use s3ferry_core::plan::PartLayout;
use s3ferry_engine::ports::{Absence, SourceBucket};
use s3ferry_engine::verify::{ContentHash, VerifiedBucket};

use crate::memory::MemoryBucket;

impl VerifiedBucket for MemoryBucket {
    async fn read(&self, key: &ObjectKey, attributes: &AttributeSet) -> Result<ObjectState, Failure> {
        SourceBucket::read(self, key, attributes).await
    }

    async fn confirm_absence(&self, key: &ObjectKey) -> Result<Absence, Failure> {
        SourceBucket::confirm_absence(self, key).await
    }

    async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        SourceBucket::layout(self, key, facts).await
    }

    /// Returns a hash of the content: up to 32 bytes distinctly, longer contents folded into 32 bytes.
    async fn digest(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<Option<ContentHash>, Failure> {
        if facts.availability == Availability::Archived {
            return Err(Failure {
                kind: FailureKind::Permanent,
                code: "InvalidObjectState".into(),
                action: "s3:GetObject".to_owned(),
                resource: key.to_string(),
                detail: "archived".to_owned(),
            });
        }
        let content = self.pinned_content(key, &SourcePin::of(facts));
        Ok(content.map(|content| {
            let mut hash = [0u8; 32];
            for (index, byte) in content.bytes().enumerate() {
                if let Some(slot) = hash.get_mut(index % 32) {
                    *slot = slot.rotate_left(3) ^ byte;
                }
            }
            ContentHash(hash)
        }))
    }
}
