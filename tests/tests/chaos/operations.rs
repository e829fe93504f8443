//! What applications do to the source bucket while it is migrated, by a seed.

use std::collections::BTreeSet;

use s3ferry_testkit::schedule::SeededChoices;
use s3ferry_tests::Result;
use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::upload::{TestHeaders, TestUpload};
use s3ferry_tests::workload::odd_keys;

/// Keys that are written again and again, so that several messages speak of one key at any time.
const HOT_KEYS: usize = 8;

/// Keys that are written now and then.
const COLD_KEYS: usize = 300;

/// The largest body.
const BODY_LIMIT_BYTES: usize = 8 * 1024;

/// The most tags that S3 takes.
const TAG_LIMIT: usize = 10;

/// One request of an application.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A write, over another object or not.
    Write(Box<TestUpload>),
    /// A delete, of an object or of nothing.
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

/// The operations of a seed, all below `prefix`.
///
/// No two writes have equal bytes. The emulator shows no number of tags in the answer to a HEAD, so that a write that
/// changed nothing but tags would look like the object that is there, when a crash has lost the reading of the tags.
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
            // A delete of nothing is legal, writes a delete marker and says nothing to anybody: rarely.
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
