//! Part plans: the division of an object into parts.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Largest object that one `CopyObject` request copies: 5 GiB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
pub const COPY_OBJECT_LIMIT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// Smallest size of a part that is not the last one: 5 MiB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const SMALLEST_PART_BYTES: u64 = 5 * MIB;

/// Largest size of a part: 5 GiB.
pub const LARGEST_PART_BYTES: u64 = 5 * 1024 * MIB;

/// Largest number of parts of an upload.
pub const MOST_PARTS: u32 = 10_000;

/// Largest object: 10,000 parts of 5 GiB, which AWS rounds to 50 TB and 48.8 TiB.
pub const LARGEST_OBJECT_BYTES: u64 = LARGEST_PART_BYTES * MOST_PARTS as u64;

/// Default size of parts: 128 MiB.
pub const DEFAULT_PART_BYTES: u64 = 128 * MIB;

const MIB: u64 = 1024 * 1024;

/// Part sizes of the source object, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartLayout {
    /// The object is not a multipart object.
    NotMultipart,
    /// Sizes of all parts, in order.
    Multipart(PartSizes),
    /// The object is a multipart object with unknown part sizes.
    Unknown,
}

/// Sizes of consecutive parts, stored as runs of equal sizes: sizes rarely differ, and an object may have 10,000
/// parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartSizes {
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    parts: NonZeroU32,
    size_bytes: u64,
}

impl FromIterator<u64> for PartSizes {
    fn from_iter<I: IntoIterator<Item = u64>>(sizes: I) -> Self {
        let mut all = Self::default();
        for size_bytes in sizes {
            all.push(size_bytes);
        }
        all
    }
}

impl PartSizes {
    /// Divides `total_bytes` into parts of `part_bytes`, with a smaller last one; zero bytes have no parts.
    #[must_use]
    pub fn uniform(total_bytes: u64, part_bytes: u64) -> Self {
        let part_bytes = part_bytes.max(1);
        let mut runs = Vec::new();
        let full_parts = u32::try_from(total_bytes / part_bytes).unwrap_or(u32::MAX);
        runs.extend(NonZeroU32::new(full_parts).map(|parts| Run {
            parts,
            size_bytes: part_bytes,
        }));
        let rest = total_bytes % part_bytes;
        runs.extend((rest > 0).then_some(Run {
            parts: NonZeroU32::MIN,
            size_bytes: rest,
        }));
        Self { runs }
    }

    fn push(&mut self, size_bytes: u64) {
        match self.runs.last_mut() {
            Some(run) if run.size_bytes == size_bytes => run.parts = run.parts.saturating_add(1),
            _ => self.runs.push(Run {
                parts: NonZeroU32::MIN,
                size_bytes,
            }),
        }
    }

    /// Returns the number of parts.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.runs
            .iter()
            .fold(0, |count, run| count.saturating_add(run.parts.get()))
    }

    /// Returns the total of all sizes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.runs.iter().fold(0, |total, run| {
            total.saturating_add(run.size_bytes.saturating_mul(u64::from(run.parts.get())))
        })
    }

    fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs
            .iter()
            .flat_map(|run| (0..run.parts.get()).map(|_| run.size_bytes))
    }

    /// Returns whether S3 accepts an upload with these parts.
    fn is_allowed(&self) -> bool {
        let last = self.count();
        let size_fits = |(size_bytes, number): (u64, u32)| {
            let smallest = if number == last { 1 } else { SMALLEST_PART_BYTES };
            (smallest..=LARGEST_PART_BYTES).contains(&size_bytes)
        };
        (1..=MOST_PARTS).contains(&last) && self.iter().zip(1..).all(size_fits)
    }
}

/// Plan of a multipart copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyPlan {
    sizes: PartSizes,
    replays: bool,
}

/// Part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedPart {
    /// Part number, from 1.
    pub number: u32,
    /// Offset of the part in the object.
    pub offset_bytes: u64,
    /// Size of the part, never zero.
    pub size_bytes: u64,
}

impl PlannedPart {
    /// Returns the positions of the part's first and last byte.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<u64> {
        self.offset_bytes..=self.offset_bytes + self.size_bytes.saturating_sub(1)
    }
}

/// Reasons why an object cannot be divided into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The object is empty.
    #[error("the object is empty and has no parts")]
    Empty,
    /// The object is larger than any upload.
    #[error("the object has {size_bytes} bytes, a multipart upload takes at most {LARGEST_OBJECT_BYTES}")]
    TooLarge {
        /// Size of the object.
        size_bytes: u64,
    },
}

impl CopyPlan {
    /// Returns whether the parts are those of the source, so that the copy gets the same `ETag` and composite
    /// checksum.
    #[must_use]
    pub fn replays(&self) -> bool {
        self.replays
    }

    /// Returns the number of parts.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.sizes.count()
    }

    /// Returns the size of the object.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.sizes.total_bytes()
    }

    /// Returns all parts in order.
    pub fn parts(&self) -> impl Iterator<Item = PlannedPart> + '_ {
        let mut offset_bytes = 0;
        self.sizes.iter().zip(1..).map(move |(size_bytes, number)| {
            let part = PlannedPart {
                number,
                offset_bytes,
                size_bytes,
            };
            offset_bytes += size_bytes;
            part
        })
    }

    /// Returns whether S3 accepts this plan for an object of `size_bytes`. A plan read from the journal may have any
    /// content.
    #[must_use]
    pub fn fits(&self, size_bytes: u64) -> bool {
        self.sizes.is_allowed() && self.size_bytes() == size_bytes
    }
}

/// Divides an object of `size_bytes` into parts.
///
/// The parts are those of the source if they are known and S3 accepts them again. Otherwise they have
/// `preferred_bytes`, or more if there would be too many parts.
pub fn plan(size_bytes: u64, layout: &PartLayout, preferred_bytes: u64) -> Result<CopyPlan, PlanError> {
    if size_bytes == 0 {
        return Err(PlanError::Empty);
    }
    if size_bytes > LARGEST_OBJECT_BYTES {
        return Err(PlanError::TooLarge { size_bytes });
    }
    if let PartLayout::Multipart(sizes) = layout {
        let replay = CopyPlan {
            sizes: sizes.clone(),
            replays: true,
        };
        if replay.fits(size_bytes) {
            return Ok(replay);
        }
    }
    let smallest_bytes = size_bytes.div_ceil(u64::from(MOST_PARTS));
    let in_whole_mib = smallest_bytes.div_ceil(MIB) * MIB;
    let part_bytes = preferred_bytes
        .max(in_whole_mib)
        .clamp(SMALLEST_PART_BYTES, LARGEST_PART_BYTES);
    Ok(CopyPlan {
        sizes: PartSizes::uniform(size_bytes, part_bytes),
        replays: false,
    })
}

#[cfg(test)]
mod tests;
