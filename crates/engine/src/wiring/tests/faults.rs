//! Faults: every call of a request fails once, before or after it took effect.

use s3ferry_core::failure::FailureKind;
use s3ferry_core::wiring::Versioning;

use super::fakes::{FakeAccount, FakeConfiguration, FakeFault};
use super::{FakeStack, account, check_success, wired_by_others};

const EVERYTHING: &[(&str, &str)] = &[("ReplicationEngine", "both"), ("EnableVersioning", "true")];
const BRIDGED: &[(&str, &str)] = &[
    ("EventSource", "eventbridge"),
    ("ReplicationEngine", "both"),
    ("EnableVersioning", "true"),
];

fn inject(account: &FakeAccount, call: usize, after_effect: bool, kind: FailureKind) {
    let call = account.state().calls.len() + call;
    account.state().fault = Some(FakeFault {
        call,
        after_effect,
        kind,
    });
}

/// Asserts that the original configuration is restored, except for versioning, which stays enabled.
#[track_caller]
fn check_restored(account: &FakeAccount, context: &str) {
    let now = account.get("source");
    assert_eq!(now.notification, wired_by_others().notification, "{context}");
    assert_eq!(now.replication, None, "{context}");
}

fn before() -> FakeConfiguration {
    wired_by_others()
}

#[tokio::test]
async fn create_that_fails_anywhere_is_cleaned_up_by_delete_or_completed_by_a_retry() {
    for properties in [EVERYTHING, BRIDGED] {
        for after_effect in [false, true] {
            for call in 0.. {
                let context = format!("{properties:?} call {call} after_effect {after_effect}");
                let account = account(before());
                let mut stack = FakeStack::new("ferry", &account);
                inject(&account, call, after_effect, FailureKind::Permanent);
                let failed = !stack.create(properties).await.is_success();
                account.state().fault = None;
                check_success(&stack.delete(properties).await);
                check_restored(&account, &context);

                let account = super::account(before());
                let mut stack = FakeStack::new("ferry", &account);
                inject(&account, call, after_effect, FailureKind::Permanent);
                stack.create(properties).await;
                account.state().fault = None;
                check_success(&stack.create(properties).await);
                check_success(&stack.delete(properties).await);
                check_restored(&account, &context);
                if !failed {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn delete_that_fails_anywhere_is_completed_by_the_next() {
    for properties in [EVERYTHING, BRIDGED] {
        for after_effect in [false, true] {
            for call in 0.. {
                let account = account(before());
                let mut stack = FakeStack::new("ferry", &account);
                check_success(&stack.create(properties).await);
                inject(&account, call, after_effect, FailureKind::Permanent);
                if stack.delete(properties).await.is_success() {
                    break;
                }
                check_success(&stack.delete(properties).await);
                check_restored(
                    &account,
                    &format!("{properties:?} call {call} after_effect {after_effect}"),
                );
            }
        }
    }
}

#[tokio::test]
async fn transient_failure_of_any_request_is_retried() {
    for after_effect in [false, true] {
        for call in 0..60 {
            let account = account(before());
            let mut stack = FakeStack::new("ferry", &account);
            inject(&account, call, after_effect, FailureKind::Retry);
            check_success(&stack.create(EVERYTHING).await);
            let now = account.get("source");
            assert_eq!(now.versioning, Versioning::Enabled);
            assert_eq!(now.notification.queues.len(), 1);
            assert_eq!(now.replication.unwrap().rules.len(), 1);
        }
    }
}

#[tokio::test]
async fn permanent_failure_ends_the_request_at_once() {
    let account = account(before());
    let mut stack = FakeStack::new("ferry", &account);
    inject(&account, 0, false, FailureKind::Permanent);
    let response = stack.create(&[]).await;
    super::check_failed(
        &response,
        &[
            "notification failed on arn:aws:s3:::bucket",
            "Injected",
            "injected fault",
        ],
    );
    assert_eq!(account.state().calls.len(), 1);
}
