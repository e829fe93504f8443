//! Event types that not every region offers.

use super::{FakeStack, account, check_failed, check_success, foreign_entry, wired_by_others};

fn events(account: &super::FakeAccount) -> Vec<String> {
    account.get("source").notification.queues[0].events.clone()
}

#[tokio::test]
async fn rejected_event_types_are_omitted_and_reported() {
    for (unknown, omitted) in [
        (&[][..], "none"),
        (&["s3:ObjectAnnotation:*"], "s3:ObjectAnnotation:*"),
        (
            &["s3:ObjectAnnotation:*", "s3:ObjectRetention:Put"],
            "s3:ObjectAnnotation:*, s3:ObjectRetention:Put",
        ),
    ] {
        let account = account(wired_by_others());
        account.state().unknown_events = unknown.to_vec();
        let mut stack = FakeStack::new("ferry", &account);
        let response = stack.create(&[]).await;
        check_success(&response);
        assert_eq!(response.data()["OmittedEvents"], omitted);
        let wired = events(&account);
        assert!(wired.contains(&"s3:ObjectCreated:*".to_owned()), "{wired:?}");
        assert!(wired.iter().all(|event| !omitted.contains(event)), "{wired:?}");
        assert_eq!(account.get("source").notification.functions, [foreign_entry()]);

        // An update that changes nothing writes nothing, and returns the same attributes.
        let update = stack.update(&[], &[]).await;
        check_success(&update);
        assert_eq!(update.data()["OmittedEvents"], omitted);
        assert_eq!(events(&account), wired);
        check_success(&stack.delete(&[]).await);
        assert_eq!(account.get("source"), wired_by_others());
    }
}

#[tokio::test]
async fn update_adds_event_types_that_s3_now_offers() {
    let account = account(wired_by_others());
    account.state().unknown_events = vec!["s3:ObjectAnnotation:*"];
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    account.state().unknown_events.clear();
    let response = stack.update(&[], &[]).await;
    check_success(&response);
    assert_eq!(response.data()["OmittedEvents"], "none");
    assert!(events(&account).contains(&"s3:ObjectAnnotation:*".to_owned()));
}

/// A rejection for any other reason remains, whichever event types are omitted.
#[tokio::test]
async fn rejected_notification_fails_with_the_first_reason_and_leaves_nothing() {
    let account = account(wired_by_others());
    account.state().unknown_events = vec!["s3:ObjectCreated:*"];
    let mut stack = FakeStack::new("ferry", &account);
    let response = stack.create(&[]).await;
    check_failed(
        &response,
        &["s3:PutBucketNotification", "InvalidArgument", "not supported"],
    );
    assert_eq!(account.get("source"), wired_by_others());
}
