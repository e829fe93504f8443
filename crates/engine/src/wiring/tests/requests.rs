use s3ferry_core::wiring::Versioning;
use serde_json::{Map, Value, json};

use super::fakes::{FakeAccount, FakeConfiguration};
use super::{FakeStack, account, check_failed, check_success, foreign_entry, properties, wired_by_others};

#[tokio::test]
async fn create_adds_an_entry_and_delete_restores_the_original() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    let response = stack.create(&[]).await;
    check_success(&response);
    assert_eq!(response.physical_resource_id(), format!("source/{}", stack.owner()));
    assert_eq!(response.data()["NotificationId"], stack.owner().as_str());
    assert_eq!(response.data()["ReplicationRuleId"], "");
    assert_eq!(response.data()["EventBridge"], "false");
    assert_eq!(response.data()["Versioning"], "");
    let wired = account.get("source").notification;
    assert_eq!(wired.functions, [foreign_entry()]);
    assert_eq!(wired.queues.len(), 1);
    assert_eq!(wired.queues[0].filter.prefix(), "data/");
    check_success(&stack.delete(&[]).await);
    assert_eq!(account.get("source"), wired_by_others());
}

#[tokio::test]
async fn requests_that_change_nothing_write_nothing() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    let (calls, backups) = (account.writes().len(), account.backups().clone());
    check_success(&stack.create(&[]).await);
    check_success(&stack.update(&[], &[]).await);
    assert_eq!(account.writes().len(), calls);
    assert_eq!(account.backups(), backups);
    check_success(&stack.delete(&[]).await);
    let calls = account.writes().len();
    check_success(&stack.delete(&[]).await);
    assert_eq!(account.writes().len(), calls);
}

#[tokio::test]
async fn overlapping_notification_is_refused_before_any_write() {
    let mut there = wired_by_others();
    there.notification.functions[0].filter = s3ferry_core::wiring::KeyFilter::Absent;
    let account = account(there.clone());
    let mut stack = FakeStack::new("ferry", &account);
    let versioned = &[("EnableVersioning", "true")];
    let response = stack.create(versioned).await;
    check_failed(
        &response,
        &["`thumbnails`", "function:thumbnails", "EventSource=eventbridge"],
    );
    assert!(account.writes().is_empty());
    assert!(account.backups().is_empty());
    check_success(&stack.delete(versioned).await);
    assert_eq!(account.get("source"), there);
    check_success(&stack.create(&[("EventSource", "eventbridge")]).await);
}

#[tokio::test]
async fn two_stacks_on_one_bucket_are_independent() {
    for first_leaves_first in [true, false] {
        let account = account(wired_by_others());
        let (mut one, mut two) = (FakeStack::new("one", &account), FakeStack::new("two", &account));
        let (ones, twos) = (
            &[("KeyPrefix", "one/")],
            &[("KeyPrefix", "two/"), ("EventRuleName", "r2")],
        );
        check_success(&one.create(ones).await);
        check_success(&two.create(twos).await);
        let both = account.get("source").notification;
        assert!(both.own(&one.owner()).is_some() && both.own(&two.owner()).is_some());
        check_failed(
            &FakeStack::new("three", &account).create(ones).await,
            &[one.owner().as_str()],
        );
        if first_leaves_first {
            check_success(&one.delete(ones).await);
            assert_eq!(
                account.get("source").notification.own(&two.owner()),
                both.own(&two.owner())
            );
            check_success(&two.delete(twos).await);
        } else {
            check_success(&two.delete(twos).await);
            assert_eq!(
                account.get("source").notification.own(&one.owner()),
                both.own(&one.owner())
            );
            check_success(&one.delete(ones).await);
        }
        assert_eq!(account.get("source"), wired_by_others());
    }
}

#[tokio::test]
async fn backup_has_the_original_configuration_in_aws_cli_format() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    check_success(&stack.update(&[("KeyPrefix", "more/")], &[]).await);
    let backups = account.backups();
    let prefix = format!("state/bucket-wiring/source/{}", stack.owner());
    let names: Vec<&String> = backups.keys().collect();
    let expected = ["ferry-1.json", "ferry-2.json", "original.json"].map(|name| format!("{prefix}/{name}"));
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    let read = |name: &str| serde_json::from_str::<Value>(&backups[&format!("{prefix}/{name}")]).unwrap();
    assert_eq!(
        read("original.json"),
        json!({
            "Versioning": null,
            "NotificationConfiguration": wired_by_others().notification.document(),
            "ReplicationConfiguration": null,
        })
    );
    let before_update = &read("ferry-2.json")["NotificationConfiguration"]["QueueConfigurations"];
    assert_eq!(before_update[0]["Id"], stack.owner().as_str());
}

#[tokio::test]
async fn versioning_is_enabled_if_configured_and_never_suspended() {
    for before in [Versioning::Off, Versioning::Suspended, Versioning::Enabled] {
        let mut there = wired_by_others();
        there.versioning = before;
        let account = account(there);
        let mut stack = FakeStack::new("ferry", &account);
        let response = stack.create(&[("EnableVersioning", "true")]).await;
        check_success(&response);
        assert_eq!(response.data()["Versioning"], "Enabled");
        let just_now = (before != Versioning::Enabled).to_string();
        assert_eq!(response.data()["VersioningEnabledNow"], json!(just_now));
        check_success(&stack.update(&[], &[("EnableVersioning", "true")]).await);
        check_success(&stack.delete(&[]).await);
        assert_eq!(account.get("source").versioning, Versioning::Enabled);
        assert_eq!(account.get("source").notification, wired_by_others().notification);
    }
    let account = account(FakeConfiguration::default());
    check_success(&FakeStack::new("ferry", &account).create(&[]).await);
    assert_eq!(account.get("source").versioning, Versioning::Off);
}

#[tokio::test]
async fn invalid_properties_are_all_reported_and_their_delete_succeeds() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    let wrong: &[(&str, &str)] = &[
        ("SourceBucketName", ""),
        ("ReplicationEngine", "ebs"),
        ("QueueArn", "x"),
    ];
    let response = stack.create(wrong).await;
    check_failed(
        &response,
        &[
            "SourceBucketName is ``",
            "ReplicationEngine is `ebs`",
            "QueueArn is `x`",
        ],
    );
    assert!(response.physical_resource_id().starts_with("Unwired/"));
    check_success(&stack.delete(wrong).await);
    let nothing = Value::Object(Map::new());
    check_success(&stack.send("Delete", &nothing, &nothing).await);
    assert!(account.state().calls.is_empty());
}

#[tokio::test]
async fn update_with_invalid_properties_keeps_resource_and_wiring() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    let (before, id) = (account.get("source"), stack.physical_id.clone());
    let response = stack.update(&[("EventSource", "sns")], &[]).await;
    check_failed(&response, &["EventSource is `sns`, expected: queue or eventbridge"]);
    assert_eq!(Some(response.physical_resource_id().to_owned()), id);
    assert_eq!(account.get("source"), before);
}

#[tokio::test]
async fn missing_bucket_fails_create_and_not_delete() {
    let account = FakeAccount::default();
    let mut stack = FakeStack::new("ferry", &account);
    check_failed(&stack.create(&[]).await, &["NoSuchBucket"]);
    check_success(&stack.delete(&[]).await);
}

#[tokio::test]
async fn delete_succeeds_without_the_state_bucket() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    account.state().state_is_gone = true;
    check_failed(&stack.create(&[]).await, &["NoSuchBucket"]);
    account.state().state_is_gone = false;
    check_success(&stack.create(&[]).await);
    account.state().state_is_gone = true;
    check_success(&stack.delete(&[]).await);
    assert_eq!(account.get("source"), wired_by_others());
}

#[tokio::test]
async fn unknown_request_type_is_answered() {
    let account = account(wired_by_others());
    let response = FakeStack::new("ferry", &account)
        .send("Import", &properties(&[]), &Value::Null)
        .await;
    check_failed(&response, &["`Import`", "Create, Update or Delete"]);
}

#[tokio::test]
async fn update_to_another_bucket_is_refused_and_its_rollback_succeeds() {
    let account = account(wired_by_others());
    account.set("other", FakeConfiguration::default());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    let id = stack.physical_id.clone();
    let (wired, other) = (account.get("source"), &[("SourceBucketName", "other")]);
    check_failed(
        &stack.update(other, &[]).await,
        &["does not move to bucket other", "another stack"],
    );
    assert_eq!(stack.physical_id, id, "the resource is unchanged");
    check_success(&stack.update(&[], other).await);
    assert_eq!(
        (account.get("source"), account.get("other")),
        (wired, FakeConfiguration::default())
    );
    check_success(&stack.delete(&[]).await);
    assert_eq!(account.get("source"), wired_by_others());
}
