//! The contract on real buckets.
//!
//! | variable | meaning |
//! |---|---|
//! | `S3FERRY_TEST_BUCKET` | source bucket, with versioning; without it nothing runs |
//! | `S3FERRY_TEST_DESTINATION_BUCKET` | destination bucket; without it one is made for the run, in the source's region |
//! | `S3FERRY_TEST_DEVIATIONS` | what a store that is not AWS does otherwise, as `CopyIgnoresCondition`, by commas |
//!
//! Credentials and `AWS_ENDPOINT_URL` are found where the SDK looks for them. A copy keeps its key, so that source and
//! destination cannot be one bucket. All keys begin with a prefix that no other run has; afterwards, failed or not,
//! every version and every upload below it is deleted, and the bucket that was made. The rights it takes are those of the
//! replicator, and for the preparations `s3:GetBucketVersioning` and `s3:PutObject` at the source, `s3:DeleteObject` and
//! `s3:DeleteObjectVersion`, `s3:ListBucketVersions`, `s3:ListBucketMultipartUploads` and `s3:AbortMultipartUpload` on
//! both sides; without a destination bucket also `s3:CreateBucket`, `s3:PutBucketVersioning` and `s3:DeleteBucket`.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use futures::FutureExt as _;
use s3ferry_testkit::contract::{self, Deviation};
use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::emulator::{Emulator, EmulatorOptions};
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

use crate::{DEVIATIONS_OF_MINISTACK, DEVIATIONS_OF_MOTO, OnS3, configuration, http_client, make_versioned};

/// The region that is asked for a bucket's region when the environment names none; S3 answers from any.
const FIRST_REGION: &str = "us-east-1";

/// The buckets of one run.
struct Ground {
    world: OnS3,
    prefix: String,
    /// Whether the destination bucket was made for the run.
    made: bool,
}

impl Ground {
    async fn prepare(
        shared: &SdkConfig,
        source: &str,
        destination: Option<&str>,
        deviations: &'static [Deviation],
    ) -> Self {
        let run = format!("s3ferry-contract-{:016x}", RandomState::new().hash_one("run"));
        let source = existing(shared, source).await;
        let destination = match destination {
            Some(name) => existing(shared, name).await,
            None => TestBucket::new(client(shared, source.region()), source.region(), &run),
        };
        let made = destination.name == run;
        assert!(
            source.has_versioning().await.expect("the source's versioning"),
            "{} must have versioning",
            source.name
        );
        assert_ne!(source.name, destination.name, "a copy keeps its key");
        if made {
            make_versioned([&destination]).await;
        }
        Self {
            world: OnS3::new(shared, source, destination, deviations),
            prefix: format!("{run}/"),
            made,
        }
    }

    async fn clean(&self) {
        for bucket in [&self.world.source_bucket, &self.world.destination_bucket] {
            bucket.abort_uploads(&self.prefix).await.expect("uploads are aborted");
            bucket
                .remove_versions(&self.prefix)
                .await
                .expect("versions are deleted");
        }
        if self.made {
            let made = &self.world.destination_bucket;
            made.remove().await.expect("the bucket is deleted");
        }
    }
}

/// Runs the contract, cleans up in any case, and says how it went.
async fn run(
    shared: &SdkConfig,
    source: &str,
    destination: Option<&str>,
    deviations: &'static [Deviation],
) -> std::thread::Result<()> {
    let ground = Ground::prepare(shared, source, destination, deviations).await;
    let went = AssertUnwindSafe(contract::run_below(&ground.prefix, &ground.world))
        .catch_unwind()
        .await;
    ground.clean().await;
    went
}

fn client(shared: &SdkConfig, region: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(shared)
        .region(Region::new(region.to_owned()))
        .force_path_style(shared.endpoint_url().is_some())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// A handle of a bucket that exists, in the region that S3 says.
async fn existing(shared: &SdkConfig, name: &str) -> TestBucket {
    let first = shared.region().map_or(FIRST_REGION, AsRef::as_ref);
    let answer = client(shared, first).head_bucket().bucket(name).send().await;
    let region = match &answer {
        Ok(answer) => answer.bucket_region().map(str::to_owned),
        // Another region's bucket is a redirection, which names the region all the same.
        Err(error) => {
            let header = |response: &aws_sdk_s3::config::http::HttpResponse| {
                response.headers().get("x-amz-bucket-region").map(str::to_owned)
            };
            error.raw_response().and_then(header)
        }
    };
    let Some(region) = region else {
        panic!("S3 does not say in which region {name} is: {answer:?}")
    };
    TestBucket::new(client(shared, &region), &region, name)
}

/// Finds a list of deviations by their names in the code.
fn deviations(names: &str) -> &'static [Deviation] {
    let known = [DEVIATIONS_OF_MINISTACK, DEVIATIONS_OF_MOTO].concat();
    let deviation = |name: &str| {
        let found = known.iter().find(|known| format!("{known:?}") == name);
        *found.unwrap_or_else(|| panic!("S3FERRY_TEST_DEVIATIONS names {name:?}, which is none of {known:?}"))
    };
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(deviation).collect::<Vec<_>>().leak()
}

#[tokio::test]
async fn s3_adapters_keep_the_contract_on_real_buckets() {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(source) = variable("S3FERRY_TEST_BUCKET") else {
        eprintln!("skipped: S3FERRY_TEST_BUCKET names no bucket to run the contract on");
        return;
    };
    let destination = variable("S3FERRY_TEST_DESTINATION_BUCKET");
    let deviations = deviations(&variable("S3FERRY_TEST_DEVIATIONS").unwrap_or_default());
    let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .load()
        .await;
    let went = run(&shared, &source, destination.as_deref(), deviations).await;
    went.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[tokio::test]
async fn run_on_real_buckets_leaves_them_as_they_were() {
    let emulator = Emulator::start(EmulatorOptions::default())
        .await
        .expect("the emulator starts");
    let source = TestBucket::at(&emulator, SOURCE_REGION, "in-use-source");
    let destination = TestBucket::at(&emulator, DESTINATION_REGION, "in-use-destination");
    make_versioned([&source, &destination]).await;
    for bucket in [&source, &destination] {
        let theirs = TestUpload::new("contract/facts", "somebody else's");
        theirs.write(bucket).await.expect("somebody else's object");
        begin_upload(bucket, "contract/upload").await;
    }
    let all = async || {
        let versions = futures::try_join!(source.versions(""), destination.versions("")).expect("versions");
        let uploads = futures::try_join!(source.uploads(""), destination.uploads("")).expect("uploads");
        let buckets = source.client.list_buckets().send().await.expect("buckets");
        (versions, uploads, buckets.buckets().len())
    };
    let before = all().await;

    let shared = configuration(emulator.exports(SOURCE_REGION));
    for destination in [Some("in-use-destination"), None] {
        let went = run(&shared, "in-use-source", destination, DEVIATIONS_OF_MINISTACK).await;
        went.expect("the contract is kept");
        assert_eq!(all().await, before);
    }
    // With too short or too long a list of deviations it fails, and cleans up all the same.
    for deviations in [&[], DEVIATIONS_OF_MOTO] {
        let went = run(&shared, "in-use-source", Some("in-use-destination"), deviations).await;
        went.expect_err("the list of deviations is wrong");
        assert_eq!(all().await, before);
    }

    // The suite leaves no upload as it is, so the cleaning of one is shown apart.
    begin_upload(&destination, "ours/upload").await;
    assert_ne!(all().await, before);
    destination.abort_uploads("ours/").await.expect("the upload is aborted");
    assert_eq!(all().await, before);
}

async fn begin_upload(bucket: &TestBucket, key: &str) {
    let upload = bucket.client.create_multipart_upload().bucket(&bucket.name).key(key);
    upload.send().await.expect("the upload begins");
}
