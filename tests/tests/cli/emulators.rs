//! The command line against two emulators that other people wrote.

use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::compare::differences;
use s3ferry_tests::emulator::{Emulator, EmulatorOptions};
use s3ferry_tests::moto::Moto;
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};
use tempfile::TempDir;

use crate::stage::{DESTINATION, Ran, SOURCE, Stage, ended, start};

const MIB: usize = 1024 * 1024;

/// Keys that emulators spell in different ways in their listings.
const KEYS: [&str; 5] = ["plain", "a b+c%20.txt", "日/本", "deep/er/still", "trailing "];

/// Copies an odd set of objects and finds both sides equal, by the CLI's word and by the harness's.
async fn ferry(source: TestBucket, destination: TestBucket, exports: &[(String, String)]) {
    let folder = TempDir::new().expect("a folder");
    let environment: Vec<(&str, &str)> = exports
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let run = async |command: &str, more: &[&str]| -> Ran {
        let mut arguments = Stage::sides();
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        ended(start(folder.path(), &environment, command, &arguments)).await
    };
    for bucket in [&source, &destination] {
        bucket.create().await.expect("the bucket is made");
        bucket.enable_versioning().await.expect("the bucket has versions");
    }
    for key in KEYS {
        let upload = TestUpload::new(key, key.as_bytes());
        upload.write(&source).await.expect("the object is written");
    }
    let mut upload = TestUpload::new("copied in parts", vec![b'x'; 11 * MIB]);
    upload.part_size_bytes = Some(5 * MIB);
    upload.write(&source).await.expect("the object is written");
    let ran = run("diff", &["--output", "json"]).await.must_end_with(1);
    assert_eq!(ran.differences().len(), KEYS.len() + 1, "{ran:?}");
    run("sync", &[]).await.must_end_with(0);
    run("diff", &["--depth", "head"]).await.must_end_with(0);
    let left = differences(&source, &destination, "")
        .await
        .expect("both sides can be read");
    assert_eq!(left, []);
    verified(&source, &destination, &run).await;
}

/// Proves both sides equal although one object was uploaded in other parts, and finds an equal-sized change.
async fn verified(source: &TestBucket, destination: &TestBucket, run: &impl AsyncFn(&str, &[&str]) -> Ran) {
    for (bucket, part_size_bytes) in [(source, 5 * MIB), (destination, 6 * MIB)] {
        let mut upload = TestUpload::new("in parts", vec![b'x'; 11 * MIB]);
        upload.part_size_bytes = Some(part_size_bytes);
        upload.write(bucket).await.expect("the object is written");
    }
    for depth in ["listing", "head", "checksum"] {
        let ran = run("verify", &["--depth", depth, "--output", "json"])
            .await
            .must_end_with(0);
        assert_eq!(ran.summary()["verdict"], "verified");
    }
    let upload = TestUpload::new("plain", b"PLAIN".as_slice());
    upload.write(destination).await.expect("the object is written");
    let ran = run("verify", &["--output", "json"]).await.must_end_with(1);
    assert_eq!(
        ran.differences(),
        [("plain".to_owned(), vec!["content".to_owned()])].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_and_diff_work_on_ministack() {
    let emulator = Emulator::start(EmulatorOptions::default())
        .await
        .expect("the emulator starts");
    let bucket = |region, name| TestBucket::at(&emulator, region, name);
    let exports = emulator.exports(SOURCE_REGION);
    ferry(
        bucket(SOURCE_REGION, SOURCE),
        bucket(DESTINATION_REGION, DESTINATION),
        &exports,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_and_diff_work_on_moto() {
    let moto = Moto::start().await.expect("moto starts");
    let bucket = |region, name| TestBucket::new(moto.s3(region), region, name);
    let exports = moto.exports(SOURCE_REGION);
    ferry(
        bucket(SOURCE_REGION, SOURCE),
        bucket(DESTINATION_REGION, DESTINATION),
        &exports,
    )
    .await;
}
