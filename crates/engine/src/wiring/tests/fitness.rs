use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::{BucketName, Region};
use s3ferry_core::preflight::{BucketState, PreflightError, UnfitBucket};
use s3ferry_core::wiring::Versioning;

use super::fakes::{FakeAccount, failure};
use super::{FakeStack, account, check_failed, check_success, wired_by_others};

type Examination = Result<BucketState, PreflightError>;

/// The responses of the buckets, the changed properties, and the expected failure.
type Case<'a> = (&'a [(&'a str, Examination)], &'a [(&'a str, &'a str)], &'a str);

#[expect(clippy::unnecessary_wraps, reason = "the type of a bucket's response")]
fn state(versioning: Versioning, has_object_lock: bool) -> Examination {
    Ok(BucketState {
        versioning,
        has_object_lock,
    })
}

fn seen(examinations: &[(&str, Examination)]) -> FakeAccount {
    let account = account(wired_by_others());
    for (bucket, examination) in examinations {
        let examinations = &mut account.state().examinations;
        examinations
            .entry((*bucket).to_owned())
            .or_default()
            .push(examination.clone());
    }
    account
}

#[tokio::test]
async fn both_buckets_are_checked_with_region_and_owner() {
    let account = seen(&[]);
    let owner = ("DestinationBucketOwner", "210987654321");
    check_success(&FakeStack::new("ferry", &account).create(&[owner]).await);
    let read_objects: Vec<String> = account
        .state()
        .read_objects
        .iter()
        .map(|bucket| format!("{} {} {}", bucket.name, bucket.region, bucket.owner.as_ref().unwrap()))
        .collect();
    assert_eq!(
        read_objects,
        ["source us-east-1 123456789012", "destination eu-central-1 210987654321"]
    );
}

#[tokio::test]
async fn unsuitable_buckets_fail_the_stack_before_any_write() {
    let elsewhere = Err(PreflightError::Unfit(UnfitBucket::Elsewhere {
        bucket: BucketName::new("destination").unwrap(),
        expected: Region::new("eu-central-1").unwrap(),
        found: "eu-west-1".to_owned(),
    }));
    let missing = Err(PreflightError::Failed(failure(
        FailureKind::Configuration,
        "NoSuchBucket",
        "s3:ListBucket",
    )));
    let off = state(Versioning::Off, false);
    let wrong_key = "arn:aws:kms:eu-west-1:123456789012:key/12ab";
    let cases: [Case<'_>; 7] = [
        (
            &[("destination", elsewhere)],
            &[],
            "bucket destination is in region eu-west-1, not in eu-central-1; if it is the destination \
             bucket, set DestinationRegion=eu-west-1",
        ),
        (&[("destination", missing.clone())], &[], "NoSuchBucket"),
        (&[("source", missing)], &[], "NoSuchBucket"),
        (
            &[("destination", off.clone())],
            &[("Ownership", "shared")],
            "shared ownership requires versioning at the destination",
        ),
        (
            &[("destination", off)],
            &[("ReplicationEngine", "both")],
            "S3's own replication requires versioning",
        ),
        (
            &[("source", state(Versioning::Enabled, true))],
            &[],
            "source bucket source has Object Lock and destination bucket destination does not",
        ),
        (
            &[],
            &[("DestinationKmsKeyArn", wrong_key)],
            "is not in eu-central-1, the region of the destination bucket",
        ),
    ];
    for (examinations, changes, expected) in cases {
        let account = seen(examinations);
        let mut stack = FakeStack::new("ferry", &account);
        let response = stack.create(changes).await;
        check_failed(&response, &[expected]);
        assert!(
            account.writes().is_empty() && account.backups().is_empty(),
            "{expected}"
        );
        // The rollback deletes the resource, regardless of the buckets.
        check_success(&stack.delete(changes).await);
    }
}

#[tokio::test]
async fn denial_is_retried_and_then_reported() {
    let denied = || {
        Err(PreflightError::Failed(failure(
            FailureKind::Permanent,
            "AccessDenied",
            "s3:ListBucket",
        )))
    };
    let account = seen(&[("destination", denied()), ("destination", denied())]);
    check_success(&FakeStack::new("ferry", &account).create(&[]).await);
    assert!(!account.state().waited.is_zero());
    let account = seen(&[]);
    account
        .state()
        .examinations
        .insert("destination".to_owned(), vec![denied(); 10]);
    check_failed(&FakeStack::new("ferry", &account).create(&[]).await, &["AccessDenied"]);
}

#[tokio::test]
async fn updates_check_only_newly_named_buckets_and_deletes_check_none() {
    let account = seen(&[]);
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    account.state().read_objects.clear();
    check_success(&stack.update(&[("KeyPrefix", "more/")], &[]).await);
    check_success(&stack.delete(&[("KeyPrefix", "more/")]).await);
    assert!(account.state().read_objects.is_empty());
    check_success(&stack.create(&[]).await);
    account.state().read_objects.clear();
    check_success(&stack.update(&[("Ownership", "shared")], &[]).await);
    assert_eq!(account.state().read_objects.len(), 2);
}
