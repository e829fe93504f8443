//! The contract of the ports on real buckets.
//!
//! | variable | meaning |
//! |---|---|
//! | `S3FERRY_TEST_BUCKET` | versioned source bucket; if unset, the test is skipped |
//! | `S3FERRY_TEST_DESTINATION_BUCKET` | destination bucket; if unset, the run creates one in the source's region |
//! | `S3FERRY_TEST_DEVIATIONS` | deviations of another store, separated by commas, such as `CopyIgnoresCondition` |
//!
//! The SDK reads credentials and `AWS_ENDPOINT_URL` as usual. Source and destination must be two buckets, because a
//! copy has the key of its source. All keys begin with a prefix of this run. After the run, failed or not, every
//! version and every upload under the prefix is deleted, and the bucket that the run created.
//!
//! The run needs the permissions of the replicator, and `s3:GetBucketVersioning` and `s3:PutObject` at the source. On
//! both sides it needs `s3:DeleteObject`, `s3:DeleteObjectVersion`, `s3:ListBucketVersions`,
//! `s3:ListBucketMultipartUploads` and `s3:AbortMultipartUpload`. To create the destination bucket it also needs
//! `s3:CreateBucket`, `s3:PutBucketVersioning` and `s3:DeleteBucket`.

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

/// Region that is asked for a bucket's region if the environment sets none. S3 responds from every region.
const FIRST_REGION: &str = "us-east-1";

/// Buckets of one run.
struct ContractRun {
    adapters: OnS3,
    prefix: String,
    /// Whether the run created the destination bucket.
    created: bool,
}

impl ContractRun {
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
        let created = destination.name == run;
        assert!(
            source.has_versioning().await.expect("the source's versioning"),
            "{} must have versioning",
            source.name
        );
        assert_ne!(
            source.name, destination.name,
            "source and destination must be two buckets"
        );
        if created {
            make_versioned([&destination]).await;
        }
        Self {
            adapters: OnS3::new(shared, source, destination, deviations),
            prefix: format!("{run}/"),
            created,
        }
    }

    async fn clean_up(&self) {
        for bucket in [&self.adapters.source_bucket, &self.adapters.destination_bucket] {
            bucket.abort_uploads(&self.prefix).await.expect("uploads are aborted");
            bucket
                .remove_versions(&self.prefix)
                .await
                .expect("versions are deleted");
        }
        if self.created {
            let created = &self.adapters.destination_bucket;
            created.remove().await.expect("the bucket is deleted");
        }
    }
}

/// Runs the contract, cleans up in any case, and returns the outcome.
async fn run(
    shared: &SdkConfig,
    source: &str,
    destination: Option<&str>,
    deviations: &'static [Deviation],
) -> std::thread::Result<()> {
    let contract_run = ContractRun::prepare(shared, source, destination, deviations).await;
    let outcome = AssertUnwindSafe(contract::run_below(&contract_run.prefix, &contract_run.adapters))
        .catch_unwind()
        .await;
    contract_run.clean_up().await;
    outcome
}

fn client(shared: &SdkConfig, region: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(shared)
        .region(Region::new(region.to_owned()))
        .force_path_style(shared.endpoint_url().is_some())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Returns a handle of an existing bucket, in the region that S3 reports.
async fn existing(shared: &SdkConfig, name: &str) -> TestBucket {
    let first = shared.region().map_or(FIRST_REGION, AsRef::as_ref);
    let answer = client(shared, first).head_bucket().bucket(name).send().await;
    let region = match &answer {
        Ok(answer) => answer.bucket_region().map(str::to_owned),
        // The response for a bucket in another region is a redirect, which contains the region too.
        Err(error) => {
            let header = |response: &aws_sdk_s3::config::http::HttpResponse| {
                response.headers().get("x-amz-bucket-region").map(str::to_owned)
            };
            error.raw_response().and_then(header)
        }
    };
    let Some(region) = region else {
        panic!("S3 does not report the region of {name}: {answer:?}")
    };
    TestBucket::new(client(shared, &region), &region, name)
}

/// Parses a list of deviations by their names in the code.
fn deviations(names: &str) -> &'static [Deviation] {
    let known = [DEVIATIONS_OF_MINISTACK, DEVIATIONS_OF_MOTO].concat();
    let deviation = |name: &str| {
        let found = known.iter().find(|known| format!("{known:?}") == name);
        *found.unwrap_or_else(|| panic!("S3FERRY_TEST_DEVIATIONS names {name:?}, allowed: {known:?}"))
    };
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(deviation).collect::<Vec<_>>().leak()
}

#[tokio::test]
async fn s3_adapters_keep_the_contract_on_real_buckets() {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(source) = variable("S3FERRY_TEST_BUCKET") else {
        eprintln!("skipped: S3FERRY_TEST_BUCKET is not set");
        return;
    };
    let destination = variable("S3FERRY_TEST_DESTINATION_BUCKET");
    let deviations = deviations(&variable("S3FERRY_TEST_DEVIATIONS").unwrap_or_default());
    let shared = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .load()
        .await;
    let outcome = run(&shared, &source, destination.as_deref(), deviations).await;
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[tokio::test]
async fn contract_run_on_real_buckets_leaves_them_unchanged() {
    let emulator = Emulator::start(EmulatorOptions::default())
        .await
        .expect("the emulator starts");
    let source = TestBucket::at(&emulator, SOURCE_REGION, "in-use-source");
    let destination = TestBucket::at(&emulator, DESTINATION_REGION, "in-use-destination");
    make_versioned([&source, &destination]).await;
    for bucket in [&source, &destination] {
        let existing_object = TestUpload::new("contract/facts", "existing object");
        existing_object.write(bucket).await.expect("the existing object");
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
        let outcome = run(&shared, "in-use-source", destination, DEVIATIONS_OF_MINISTACK).await;
        outcome.expect("the contract is kept");
        assert_eq!(all().await, before);
    }
    // With a wrong list of deviations the run fails, and cleans up too.
    for deviations in [&[], DEVIATIONS_OF_MOTO] {
        let outcome = run(&shared, "in-use-source", Some("in-use-destination"), deviations).await;
        outcome.expect_err("the list of deviations is wrong");
        assert_eq!(all().await, before);
    }

    // The contract completes or aborts its uploads, so the cleanup of an upload is tested separately.
    begin_upload(&destination, "cleanup/upload").await;
    assert_ne!(all().await, before);
    destination
        .abort_uploads("cleanup/")
        .await
        .expect("the upload is aborted");
    assert_eq!(all().await, before);
}

async fn begin_upload(bucket: &TestBucket, key: &str) {
    let upload = bucket.client.create_multipart_upload().bucket(&bucket.name).key(key);
    upload.send().await.expect("the upload begins");
}
