//! The S3 adapters keep the contract of the ports on the emulator, through the real SDK.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken expectation is a failed test"
)]

use std::collections::HashMap;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_aws::client::Clients;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::source::S3Source;
use s3ferry_core::names::{self, BucketName, ObjectKey};
use s3ferry_engine::ports::{DestinationBucket, SourceBucket};
use s3ferry_testkit::contract::{self, Deviation, Sample, World};
use s3ferry_tests::bucket::Bucket;
use s3ferry_tests::emulator::{Emulator, Options};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

/// What MiniStack 1.5.33 does otherwise than S3 documents; `crates/aws/tests/requests.rs` holds the adapters to the
/// documented answers instead.
const DEVIATIONS: &[Deviation] = &[Deviation::CopyIgnoresCondition];

struct OnEmulator {
    source: S3Source,
    destination: S3Destination,
    source_bucket: Bucket,
    destination_bucket: Bucket,
    _emulator: Emulator,
}

fn region(name: &str) -> names::Region {
    names::Region::new(name).expect("a region")
}

/// Makes the clients as the functions do, only with the emulator's endpoint and root user.
fn clients(emulator: &Emulator) -> Clients {
    let variables: HashMap<String, String> = emulator.exports(SOURCE_REGION).into_iter().collect();
    let root = Credentials::new(
        &variables["AWS_ACCESS_KEY_ID"],
        &variables["AWS_SECRET_ACCESS_KEY"],
        None,
        None,
        "emulator",
    );
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(root))
        .endpoint_url(emulator.endpoint())
        .http_client(http_client)
        .region(Region::new(SOURCE_REGION))
        .build();
    Clients::from_config(shared)
}

impl OnEmulator {
    async fn prepare() -> Self {
        let emulator = Emulator::start(Options::default()).await.expect("the emulator starts");
        let source_bucket = Bucket::at(&emulator, SOURCE_REGION, "contract-source");
        let destination_bucket = Bucket::at(&emulator, DESTINATION_REGION, "contract-destination");
        for bucket in [&source_bucket, &destination_bucket] {
            bucket.create().await.expect("the bucket is made");
            bucket.enable_versioning().await.expect("the bucket has versions");
        }
        let clients = clients(&emulator);
        let name = |bucket: &Bucket| BucketName::new(bucket.name.clone()).expect("a bucket name");
        Self {
            source: S3Source::new(
                clients.s3_for_reading(&region(SOURCE_REGION)),
                name(&source_bucket),
                region(SOURCE_REGION),
                None,
                name(&destination_bucket),
            ),
            destination: S3Destination::new(
                clients.s3_for_reading(&region(DESTINATION_REGION)),
                clients.s3_for_writing(&region(DESTINATION_REGION)),
                name(&destination_bucket),
                region(DESTINATION_REGION),
                name(&source_bucket),
                None,
            ),
            source_bucket,
            destination_bucket,
            _emulator: emulator,
        }
    }
}

async fn put(bucket: &Bucket, object: &Sample) {
    let tags: Vec<String> = object
        .tags
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    bucket
        .client
        .put_object()
        .bucket(&bucket.name)
        .key(object.key.as_str())
        .body(ByteStream::from(object.content.clone().into_bytes()))
        .set_metadata(Some(object.user_metadata.clone().into_iter().collect()))
        .set_tagging((!tags.is_empty()).then(|| tags.join("&")))
        .send()
        .await
        .expect("the object is written");
}

impl World for OnEmulator {
    fn source(&self) -> &impl SourceBucket {
        &self.source
    }

    fn destination(&self) -> &impl DestinationBucket {
        &self.destination
    }

    async fn put_source(&self, object: &Sample) {
        put(&self.source_bucket, object).await;
    }

    async fn put_destination(&self, object: &Sample) {
        put(&self.destination_bucket, object).await;
    }

    async fn delete_source(&self, key: &ObjectKey) {
        self.source_bucket
            .delete(key.as_str())
            .await
            .expect("the object is deleted");
    }

    async fn destination_content(&self, key: &ObjectKey) -> Option<String> {
        let object = self
            .destination_bucket
            .read(key.as_str())
            .await
            .expect("the bucket answers")?;
        Some(String::from_utf8(object.body).expect("samples are text"))
    }

    fn deviations(&self) -> &'static [Deviation] {
        DEVIATIONS
    }
}

#[tokio::test]
async fn s3_adapters_keep_the_contract_on_the_emulator() {
    contract::run(&OnEmulator::prepare().await).await;
}
