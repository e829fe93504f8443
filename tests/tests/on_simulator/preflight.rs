//! Bucket checks of `bucket-wiring` on the simulator.

use s3ferry_aws::wiring::AwsWiring;
use s3ferry_core::names::AccountId;
use s3ferry_core::preflight::{BucketState, ExpectedBucket};
use s3ferry_core::wiring::Versioning;
use s3ferry_engine::wiring::WiringPorts as _;
use s3ferry_testkit::sim::model::bucket::ACCOUNT;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

use crate::stage::{bucket, clients, region};

#[tokio::test]
async fn buckets_are_checked_in_their_own_regions() {
    let server = SimServer::start(ServerOptions::default())
        .await
        .expect("the simulator starts");
    for (name, is_locked) in [("plain-bucket", false), ("locked-bucket", true)] {
        let mut model = server.model();
        model
            .create_bucket(name, DESTINATION_REGION, is_locked)
            .expect("the bucket is created");
    }
    // Clients of the source's region, as in the function.
    let wiring = AwsWiring::new(&clients(server.endpoint()), region(SOURCE_REGION));
    let check = async |name: &str, at: &str, owner: &str| {
        let expected = ExpectedBucket {
            name: bucket(name),
            region: region(at),
            owner: Some(AccountId::new(owner).expect("an account")),
        };
        wiring.examine(&expected).await.map_err(|error| error.to_string())
    };
    let state = |versioning, has_object_lock| {
        Ok(BucketState {
            versioning,
            has_object_lock,
        })
    };
    assert_eq!(
        check("plain-bucket", DESTINATION_REGION, ACCOUNT).await,
        state(Versioning::Off, false)
    );
    assert_eq!(
        check("locked-bucket", DESTINATION_REGION, ACCOUNT).await,
        state(Versioning::Enabled, true)
    );
    for (name, at, owner, expected) in [
        ("no-bucket", DESTINATION_REGION, ACCOUNT, "NoSuchBucket"),
        (
            "plain-bucket",
            "eu-west-1",
            ACCOUNT,
            "bucket plain-bucket is in region eu-central-1, not in eu-west-1",
        ),
        (
            "plain-bucket",
            DESTINATION_REGION,
            "999999999999",
            "must have the expected owner",
        ),
    ] {
        let refused = check(name, at, owner).await.expect_err(name);
        assert!(refused.contains(expected), "{refused}");
    }
}
