//! Requests of applications to the source bucket during the migration, generated from a seed.

use std::collections::BTreeSet;

use s3ferry_testkit::schedule::SeededChoices;
use s3ferry_tests::Result;
use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::upload::{TestHeaders, TestUpload};
use s3ferry_tests::workload::odd_keys;

/// Keys that are overwritten often, so that the queue has several messages for one key at any time.
const HOT_KEYS: usize = 8;

/// Keys that are written rarely.
const COLD_KEYS: usize = 300;

/// Maximum size of a body.
const BODY_LIMIT_BYTES: usize = 8 * 1024;

/// Maximum number of tags of an object.
const TAG_LIMIT: usize = 10;

/// A request of an application.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A write of a new or existing key.
    Write(Box<TestUpload>),
    /// A delete of an existing or absent key.
    Delete(String),
}

impl Operation {
    /// Sends the request.
    pub(crate) async fn send(&self, bucket: &TestBucket) -> Result<()> {
        match self {
            Self::Write(upload) => upload.write(bucket).await,
            Self::Delete(key) => bucket.delete(key).await,
        }
    }
}

/// Generates the operations of a seed, all under `prefix`.
///
/// No two writes have the same content. The emulator's HEAD response has no tag count, so after a crash a write that
/// changes only tags could not be distinguished from the existing object.
pub(crate) fn operations(seed: &mut SeededChoices, prefix: &str, count: usize) -> Vec<Operation> {
    let odd: Vec<String> = odd_keys(prefix).into_iter().map(|case| case.upload.key).collect();
    let mut present = BTreeSet::new();
    (0..count)
        .map(|number| {
            let key = match seed.below(5) {
                0 | 1 => format!("{prefix}hot/{}", seed.below(HOT_KEYS)),
                2 => seed.of(&odd),
                _ => format!("{prefix}cold/{:03}.bin", seed.below(COLD_KEYS)),
            };
            // Deletes of an absent key are rare: they write a delete marker and send no event.
            let deletes = if present.contains(&key) { 3 } else { 30 };
            if seed.once_in(deletes) {
                present.remove(&key);
                Operation::Delete(key)
            } else {
                present.insert(key.clone());
                Operation::Write(Box::new(write(seed, key, number)))
            }
        })
        .collect()
}

fn write(seed: &mut SeededChoices, key: String, number: usize) -> TestUpload {
    let mut body = format!("write {number}\n").into_bytes();
    body.resize(body.len() + seed.below(BODY_LIMIT_BYTES), b'.');
    let mut upload = TestUpload::new(key, body);
    if seed.once_in(3) {
        upload.headers = TestHeaders {
            cache_control: Some(format!("max-age={number}")),
            ..TestHeaders::all()
        };
    }
    let pairs = |count: usize| (0..count).map(move |pair| (format!("name-{pair}"), format!("v+{number} {pair}")));
    upload.metadata = pairs(seed.below(4)).collect();
    let tags = if seed.once_in(8) { TAG_LIMIT } else { seed.below(4) };
    upload.tags = pairs(tags).collect();
    upload
}
