//! Names and clients for the simulator.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use s3ferry_aws::client::Clients;
use s3ferry_core::names::{self, BucketName};
use s3ferry_tests::SOURCE_REGION;

pub(crate) fn region(name: &str) -> names::Region {
    names::Region::new(name).expect("a region")
}

pub(crate) fn bucket(name: &str) -> BucketName {
    BucketName::new(name).expect("a bucket name")
}

/// Creates clients with arbitrary credentials: the simulator reads only the region of a signature.
pub(crate) fn clients(endpoint: &str) -> Clients {
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let credentials = Credentials::new("any", "any", None, None, "simulator");
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .http_client(http_client)
        .region(Region::new(SOURCE_REGION))
        .build();
    Clients::from_config(shared)
}
