//! In which parts an object was uploaded, asked with as few requests as possible.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use aws_sdk_s3::types::ObjectAttributes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3ferry_core::facts::{ChecksumCoverage, ObjectFacts};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::plan::{MOST_PARTS, PartSizes, SourceLayout};

use crate::classify::ErrorAnswer;
use crate::reading::Reading;

/// How many parts one page of `GetObjectAttributes` lists.
const PAGE: u32 = 1_000;

/// Of how many parts at most it takes no more requests to ask for each than for a list that S3 may not have.
const FEW: u32 = 5;

/// How many parts are asked for at once.
const AT_ONCE: usize = 16;

impl Reading {
    /// Reads in which parts the object that `facts` describe was uploaded.
    ///
    /// The number of parts is in the `ETag`. One HEAD of the first and one of the last part tell the sizes of all where
    /// all but the last are equal, as every usual client makes them. `GetObjectAttributes` lists any parts, but only of
    /// objects that store a checksum of each, as those with a composite one do; else every part has to be asked for.
    pub(crate) async fn layout(&self, key: &ObjectKey, facts: &ObjectFacts) -> Result<SourceLayout, Failure> {
        if !facts.etag.is_multipart() {
            return Ok(SourceLayout::Whole);
        }
        let Some(count) = facts.etag.part_count().filter(|count| (1..=MOST_PARTS).contains(count)) else {
            return Ok(SourceLayout::Unknown);
        };
        if count == 1 {
            return Ok(SourceLayout::Parts(PartSizes::from_iter([facts.size_bytes])));
        }
        let has_checksums = !facts.checksums.values.is_empty();
        let is_listed = has_checksums && facts.checksums.coverage == ChecksumCoverage::Composite && count <= PAGE;
        if is_listed && let Some(sizes) = self.listed_parts(key, facts, count).await? {
            return Ok(SourceLayout::Parts(sizes));
        }
        let part = |number| self.part_bytes(key, facts, number, count);
        let Some(first_bytes) = part(1).await? else {
            // The store ignores the number of a part, or it counts otherwise than the tag.
            let listed = if is_listed {
                None
            } else {
                self.listed_parts(key, facts, count).await?
            };
            return Ok(listed.map_or(SourceLayout::Unknown, SourceLayout::Parts));
        };
        let Some(last_bytes) = part(count).await? else {
            return Ok(SourceLayout::Unknown);
        };
        if let Some(sizes) = uniform(facts.size_bytes, count, first_bytes, last_bytes) {
            return Ok(SourceLayout::Parts(sizes));
        }
        let is_worth_asking = has_checksums && !is_listed && count > FEW;
        if is_worth_asking && let Some(sizes) = self.listed_parts(key, facts, count).await? {
            return Ok(SourceLayout::Parts(sizes));
        }
        let between = stream::iter(2..count - 1).map(part).buffered(AT_ONCE);
        let between: Vec<Option<u64>> = between.try_collect().await?;
        let between: Option<Vec<u64>> = between.into_iter().collect();
        let sizes = between
            .and_then(|between| with_the_rest(first_bytes, between, last_bytes, facts.size_bytes))
            .and_then(|sizes| checked(sizes, facts.size_bytes, count));
        Ok(sizes.map_or(SourceLayout::Unknown, SourceLayout::Parts))
    }

    /// Asks for the size of one of `count` parts of exactly the object that `facts` describe: by its version or else its
    /// tag, which is compared here and not by a condition, because a store may answer with the tag of the part. `None` where
    /// the answer is of something else, as of a store that ignores the number of a part.
    async fn part_bytes(
        &self,
        key: &ObjectKey,
        facts: &ObjectFacts,
        number: u32,
        count: u32,
    ) -> Result<Option<u64>, Failure> {
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
        let head = answer.map_err(|error| {
            let action = facts
                .version_id
                .as_ref()
                .map_or("s3:GetObject", |_| "s3:GetObjectVersion");
            ErrorAnswer::of(&error).into_failure(&self.attempted(key, action))
        })?;
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| self.unreadable(key, "the answer has no usable Content-Length"))?;
        let is_the_object = facts.version_id.is_some() || head.e_tag() == Some(facts.etag.quoted().as_str());
        let has_the_parts = head.parts_count().and_then(|count| u32::try_from(count).ok()) == Some(count);
        Ok((is_the_object && has_the_parts).then_some(size))
    }

    /// Lists all parts; `None` where S3 does not list all of them with their sizes.
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
            // The request takes no condition, so without a version its answer must say which object it is of.
            let is_same = page.last_modified().map(|time| time.secs() * 1000) == Some(facts.last_modified.millis());
            let is_seen = facts.version_id.is_some() || is_same;
            let parts = page.object_parts().filter(|_| is_seen);
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

/// Concludes from the first and the last size that all parts but the last are equal, where the sum says so.
fn uniform(size_bytes: u64, count: u32, first_bytes: u64, last_bytes: u64) -> Option<PartSizes> {
    let is_uniform = count == 2 || last_bytes <= first_bytes;
    let all_but_last = u64::from(count.checked_sub(1)?);
    let sum = first_bytes.checked_mul(all_but_last)?.checked_add(last_bytes)?;
    let sizes = std::iter::repeat_n(first_bytes, usize::try_from(all_but_last).ok()?).chain([last_bytes]);
    (is_uniform && sum == size_bytes).then(|| sizes.collect())
}

/// Completes the sizes by that of the last part but one, which is what the others leave of the object.
fn with_the_rest(first_bytes: u64, between: Vec<u64>, last_bytes: u64, size_bytes: u64) -> Option<Vec<u64>> {
    let mut sizes = vec![first_bytes];
    sizes.extend(between);
    let known = sizes.iter().try_fold(last_bytes, |sum, size| sum.checked_add(*size))?;
    let rest = size_bytes.checked_sub(known).filter(|rest| *rest > 0)?;
    sizes.extend([rest, last_bytes]);
    Some(sizes)
}

/// Takes sizes only where they are of all parts and make the whole object.
fn checked(sizes: Vec<u64>, size_bytes: u64, count: u32) -> Option<PartSizes> {
    let sizes: PartSizes = sizes.into_iter().collect();
    (sizes.count() == count && sizes.total_bytes() == size_bytes).then_some(sizes)
}
