//! Reads the part sizes of a multipart object with as few requests as possible.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use aws_sdk_s3::types::ObjectAttributes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3ferry_core::facts::{ChecksumCoverage, ObjectFacts};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::plan::{MOST_PARTS, PartLayout, PartSizes};
use s3ferry_core::versions::VersionName;

use crate::bucket_reader::BucketReader;
use crate::classify::ErrorAnswer;
use crate::part_spans::{PartSpan, PartSpans};

/// Parts per page of `GetObjectAttributes`.
const PAGE: u32 = 1_000;

/// Maximum number of parts for which one HEAD determines all sizes.
const MAX_PARTS_OF_ONE_HEAD: u32 = 3;

/// Number of additional HEADs that are preferred over a part list that S3 may not have.
const MAX_EXTRA_HEADS: usize = 2;

/// Concurrent HEADs of parts.
const CONCURRENT_HEADS: usize = 16;

impl BucketReader {
    /// Reads the part sizes of the object that `facts` describe. The number of parts is in the ETag.
    pub(crate) async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<PartLayout, Failure> {
        if !facts.etag.is_multipart() {
            return Ok(PartLayout::NotMultipart);
        }
        let sizes = match facts.etag.part_count() {
            Some(1) => Some(PartSizes::from_iter([facts.size_bytes])),
            Some(count @ 2..=MOST_PARTS) => self.part_sizes(key, facts, count).await?,
            _ => None,
        };
        Ok(sizes.map_or(PartLayout::Unknown, PartLayout::Multipart))
    }

    /// Reads the sizes of `count` parts, at least two. Returns `None` if the sizes cannot be determined.
    ///
    /// If all parts but the last are equal, as usual clients make them, two HEADs determine all sizes. HEADs of every
    /// second part determine any sizes. `GetObjectAttributes` lists any parts too, but only of objects that store a
    /// checksum of each part, as those with a composite checksum do.
    async fn part_sizes(&self, key: &ObjectKey, facts: &ObjectFacts, count: u32) -> Result<Option<PartSizes>, Failure> {
        let has_checksums = !facts.checksums.values.is_empty();
        let is_composite = has_checksums && facts.checksums.coverage == ChecksumCoverage::Composite;
        let is_listed = is_composite && count > MAX_PARTS_OF_ONE_HEAD && count <= PAGE;
        if is_listed && let Some(sizes) = self.listed_parts(key, facts, count).await? {
            return Ok(Some(sizes));
        }
        let mut spans = PartSpans::new(facts.size_bytes, count);
        let ends = spans.unread_ends();
        if !self.read_spans(ends, &mut spans, key, facts, count).await? {
            // The store ignores part numbers, or its number of parts differs from the ETag.
            return if is_listed {
                Ok(None)
            } else {
                self.listed_parts(key, facts, count).await
            };
        }
        // If the store omits the range of a part, more ends are unread now.
        let ends = spans.unread_ends();
        if !self.read_spans(ends, &mut spans, key, facts, count).await? {
            return Ok(None);
        }
        if let Some(sizes) = spans.sizes() {
            return Ok(Some(sizes));
        }
        let unread_parts = spans.unread_parts();
        let is_listing_preferred = has_checksums && !is_listed && unread_parts.len() > MAX_EXTRA_HEADS;
        if is_listing_preferred && let Some(sizes) = self.listed_parts(key, facts, count).await? {
            return Ok(Some(sizes));
        }
        let are_read = self.read_spans(unread_parts, &mut spans, key, facts, count).await?;
        Ok(spans.sizes().filter(|_| are_read))
    }

    /// Reads where some of `count` parts begin and end. Returns whether every response described a part of the object.
    async fn read_spans(
        &self,
        numbers: Vec<u32>,
        spans: &mut PartSpans,
        key: &ObjectKey,
        facts: &ObjectFacts,
        count: u32,
    ) -> Result<bool, Failure> {
        let requests = stream::iter(numbers).map(|number| self.part_span(key, facts, number, count));
        let found: Vec<Option<PartSpan>> = requests.buffered(CONCURRENT_HEADS).try_collect().await?;
        let are_of_the_object = found.iter().all(Option::is_some);
        spans.extend(found.into_iter().flatten());
        Ok(are_of_the_object)
    }

    /// Reads where one of `count` parts of exactly the object that `facts` describe begins and ends.
    ///
    /// The object is pinned by its version, or else by its ETag. The ETag is compared here and not by a condition,
    /// because a store may return the ETag of the part. Returns `None` if the response describes something else, for
    /// example from a store that ignores part numbers.
    async fn part_span(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        number: u32,
        count: u32,
    ) -> Result<Option<PartSpan>, Failure> {
        let answer = self
            .client
            .head_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .set_version_id(facts.version_id.as_ref().map(ToString::to_string))
            .set_part_number(i32::try_from(number).ok())
            .set_expected_bucket_owner(self.owner())
            .send()
            .await;
        let head = match answer.map_err(|error| ErrorAnswer::of(&error)) {
            Ok(head) => head,
            // The current object has no such part.
            Err(error) if error.status == Some(416) => return Ok(None),
            Err(error) => {
                let version = facts.version_id.clone().map(VersionName::Id);
                let action = version.as_ref().map_or("s3:GetObject", |_| "s3:GetObjectVersion");
                let error = Box::pin(self.refusal(key, version.as_ref(), error)).await;
                return Err(error.into_failure(&self.attempted(key, action)));
            }
        };
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| self.unreadable(key, "the response has no usable Content-Length"))?;
        let is_the_object = facts.version_id.is_some() || head.e_tag() == Some(facts.etag.quoted().as_str());
        let has_the_parts = head.parts_count().and_then(|count| u32::try_from(count).ok()) == Some(count);
        let span = PartSpan::new(number, size, head.content_range(), facts.size_bytes);
        Ok((is_the_object && has_the_parts).then_some(span))
    }

    /// Lists all parts. Returns `None` if S3 does not list all of them with their sizes.
    async fn listed_parts(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        count: u32,
    ) -> Result<Option<PartSizes>, Failure> {
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        let mut sizes: Vec<u64> = Vec::new();
        let mut marker = None;
        loop {
            let answer = self
                .client
                .get_object_attributes()
                .bucket(self.bucket.as_str())
                .key(key.as_str())
                .set_version_id(facts.version_id.as_ref().map(ToString::to_string))
                .object_attributes(ObjectAttributes::ObjectParts)
                .max_parts(1_000)
                .set_part_number_marker(marker)
                .set_expected_bucket_owner(self.owner())
                .send()
                .await;
            let page = answer.map_err(|error| {
                let version_id = facts.version_id.as_ref();
                let action = version_id.map_or("s3:GetObjectAttributes", |_| "s3:GetObjectVersionAttributes");
                ErrorAnswer::of(&error).into_failure(&self.attempted(key, action))
            })?;
            // The request takes no condition. Without a version, the response itself must identify the object.
            let is_same = page.last_modified().map(|time| time.secs() * 1000) == Some(facts.last_modified.millis());
            let is_pinned = facts.version_id.is_some() || is_same;
            let parts = page.object_parts().filter(|_| is_pinned);
            let Some(parts) = parts.filter(|parts| !parts.parts().is_empty()) else {
                return Ok(None);
            };
            for part in parts.parts() {
                let number = part.part_number().and_then(|number| usize::try_from(number).ok());
                let size = part.size().and_then(|size| u64::try_from(size).ok());
                match (number, size) {
                    (Some(number), Some(size)) if number == sizes.len() + 1 && number <= most => sizes.push(size),
                    _ => return Ok(None),
                }
            }
            marker = parts.next_part_number_marker().map(str::to_owned);
            if parts.is_truncated() != Some(true) || marker.is_none() {
                return Ok(checked(sizes, facts.size_bytes, count));
            }
        }
    }
}

/// Returns the sizes only if they cover all parts and add up to the object's size.
fn checked(sizes: Vec<u64>, size_bytes: u64, count: u32) -> Option<PartSizes> {
    let sizes: PartSizes = sizes.into_iter().collect();
    (sizes.count() == count && sizes.total_bytes() == size_bytes).then_some(sizes)
}
