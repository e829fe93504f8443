//! The S3 adapters keep the contract of the ports, through the real SDK: on two emulators, and on real buckets if
//! configured.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

#[path = "contract/aws.rs"]
mod aws;

use std::collections::HashMap;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_aws::client::Clients;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::source::S3Source;
use s3ferry_core::names::{self, BucketName, ObjectKey};
use s3ferry_engine::ports::{DestinationBucket, SourceBucket};
use s3ferry_testkit::contract::{self, ContractFixture, Deviation, SampleObject};
use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::emulator::{Emulator, EmulatorOptions};
use s3ferry_tests::moto::Moto;
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

/// Deviations of MiniStack 1.5.33 from S3's documentation: it applies conditions on the destination to `PutObject` and
/// `CompleteMultipartUpload`, but not to CopyObject.
///
/// These deviations and those of moto are accepted: `crates/aws/tests/requests/copies.rs` shows that the adapters send
/// the documented conditions and read the documented responses. An outdated entry fails the suite.
const DEVIATIONS_OF_MINISTACK: &[Deviation] = &[Deviation::CopyIgnoresCondition, Deviation::UploadDropsTags];

/// Deviations of moto 5.2.5 from S3's documentation: copies ignore all conditions, completions ignore If-Match and the
/// size, and the response of `ListParts` has another root element.
const DEVIATIONS_OF_MOTO: &[Deviation] = &[
    Deviation::CopyIgnoresCondition,
    Deviation::CopyIgnoresSourceEtag,
    Deviation::CompletionIgnoresIfMatch,
    Deviation::CompletionIgnoresSize,
    Deviation::PartIgnoresSourceEtag,
    Deviation::MissingUploadIsServerError,
    Deviation::VersioningIsUnreadable,
    Deviation::ListPartsIsUnreadable,
    Deviation::UploadDecodesTagsTwice,
];

/// Two buckets of an S3 implementation, with the adapters.
struct OnS3 {
    source: S3Source,
    destination: S3Destination,
    source_bucket: TestBucket,
    destination_bucket: TestBucket,
    deviations: &'static [Deviation],
}

impl OnS3 {
    fn new(
        shared: &SdkConfig,
        source_bucket: TestBucket,
        destination_bucket: TestBucket,
        deviations: &'static [Deviation],
    ) -> Self {
        let clients = Clients::from_config(shared.clone());
        let name = |bucket: &TestBucket| BucketName::new(bucket.name.clone()).expect("a bucket name");
        let region = |bucket: &TestBucket| names::Region::new(bucket.region()).expect("a region");
        let (source_region, destination_region) = (region(&source_bucket), region(&destination_bucket));
        let source = S3Source::new(
            clients.s3_for_reading(&source_region),
            name(&source_bucket),
            source_region,
            None,
            name(&destination_bucket),
        );
        Self {
            destination: S3Destination::new(&clients, name(&destination_bucket), destination_region, None, &source),
            source,
            source_bucket,
            destination_bucket,
            deviations,
        }
    }
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

/// Configures clients as the functions do, but with the endpoint and the root user of `variables`.
fn configuration(variables: Vec<(String, String)>) -> SdkConfig {
    let variables: HashMap<String, String> = variables.into_iter().collect();
    let variable = |name: &str| variables.get(name).expect(name).clone();
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let root = Credentials::new(id, secret, None, None, "emulator");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(root))
        .endpoint_url(variable("AWS_ENDPOINT_URL"))
        .http_client(http_client())
        .region(Region::new(variable("AWS_REGION")))
        .build()
}

async fn make_versioned<const N: usize>(buckets: [&TestBucket; N]) {
    for bucket in buckets {
        bucket.create().await.expect("the bucket is created");
        bucket.enable_versioning().await.expect("versioning is enabled");
    }
}

async fn put(bucket: &TestBucket, object: &SampleObject) {
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

impl ContractFixture for OnS3 {
    fn source(&self) -> &impl SourceBucket {
        &self.source
    }

    fn destination(&self) -> &impl DestinationBucket {
        &self.destination
    }

    async fn put_source(&self, object: &SampleObject) {
        put(&self.source_bucket, object).await;
    }

    async fn put_destination(&self, object: &SampleObject) {
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
            .expect("the object is read")?;
        Some(String::from_utf8(object.body).expect("samples are text"))
    }

    fn deviations(&self) -> &'static [Deviation] {
        self.deviations
    }
}

#[tokio::test]
async fn s3_adapters_keep_the_contract_on_ministack() {
    let emulator = Emulator::start(EmulatorOptions::default())
        .await
        .expect("the emulator starts");
    let source = TestBucket::at(&emulator, SOURCE_REGION, "contract-source");
    let destination = TestBucket::at(&emulator, DESTINATION_REGION, "contract-destination");
    make_versioned([&source, &destination]).await;
    let shared = configuration(emulator.exports(SOURCE_REGION));
    contract::run(&OnS3::new(&shared, source, destination, DEVIATIONS_OF_MINISTACK)).await;
}

#[tokio::test]
async fn s3_adapters_keep_the_contract_on_moto() {
    let moto = Moto::start().await.expect("moto starts");
    let source = TestBucket::new(moto.s3(SOURCE_REGION), SOURCE_REGION, "contract-source");
    let destination = TestBucket::new(moto.s3(DESTINATION_REGION), DESTINATION_REGION, "contract-destination");
    make_versioned([&source, &destination]).await;
    let shared = configuration(moto.exports(SOURCE_REGION));
    contract::run(&OnS3::new(&shared, source, destination, DEVIATIONS_OF_MOTO)).await;
}
