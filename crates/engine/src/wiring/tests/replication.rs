use s3ferry_core::wiring::{ReplicationRule, Versioning};

use super::fakes::{FakeConfiguration, FakeReplication};
use super::{FakeStack, account, check_failed, check_success, wired_by_others};

const S3FERRY_ROLE: &str = "arn:aws:iam::123456789012:role/s3ferry";
const EXTERNAL_ROLE: &str = "arn:aws:iam::123456789012:role/external";
const CRR: &[(&str, &str)] = &[("ReplicationEngine", "crr")];
const BOTH: &[(&str, &str)] = &[("ReplicationEngine", "both")];

fn foreign_rule(priority: Option<i32>) -> ReplicationRule<String> {
    ReplicationRule {
        id: Some("to-backup".to_owned()),
        priority,
        has_filter: priority.is_some(),
        terms: None,
        payload: "whatever S3 answered".to_owned(),
    }
}

fn replicated(role: &str, priority: Option<i32>) -> FakeConfiguration {
    FakeConfiguration {
        versioning: Versioning::Enabled,
        replication: Some(FakeReplication {
            role: role.to_owned(),
            rules: vec![foreign_rule(priority)],
        }),
        ..wired_by_others()
    }
}

fn versioned() -> FakeConfiguration {
    FakeConfiguration {
        versioning: Versioning::Enabled,
        ..wired_by_others()
    }
}

#[tokio::test]
async fn replication_rule_is_added_and_removed_with_its_configuration() {
    let account = account(versioned());
    let mut stack = FakeStack::new("ferry", &account);
    let response = stack.create(BOTH).await;
    check_success(&response);
    assert_eq!(response.data()["ReplicationRuleId"], stack.owner().as_str());
    let replication = account.get("source").replication.unwrap();
    assert_eq!(replication.role, S3FERRY_ROLE);
    assert_eq!(
        replication.rules[0].payload,
        format!("{} 1 arn:aws:s3:::destination", stack.owner())
    );
    check_success(&stack.delete(BOTH).await);
    assert_eq!(account.get("source"), versioned());
}

#[tokio::test]
async fn refused_rule_prevents_every_write() {
    let rows = [
        (wired_by_others(), "EnableVersioning=true"),
        (
            replicated(EXTERNAL_ROLE, Some(1)),
            "ReplicationRoleArn=arn:aws:iam::123456789012:role/external",
        ),
        (replicated(S3FERRY_ROLE, None), "`to-backup`"),
    ];
    for (there, part) in rows {
        let account = account(there.clone());
        let mut stack = FakeStack::new("ferry", &account);
        check_failed(&stack.create(BOTH).await, &[part]);
        assert!(account.writes().is_empty() && account.backups().is_empty());
        // The stack is rolled back: nothing was written, whichever role the foreign rules use.
        check_success(&stack.delete(BOTH).await);
        assert_eq!(account.get("source"), there);
    }
}

#[tokio::test]
async fn versioning_that_may_be_enabled_is_enabled_before_the_rule() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(
        &stack
            .create(&[("ReplicationEngine", "crr"), ("EnableVersioning", "true")])
            .await,
    );
    assert_eq!(
        account.writes(),
        ["enable_versioning", "put_notification", "put_replication"]
    );
}

#[tokio::test]
async fn existing_replication_role_is_used_and_stays() {
    let account = account(replicated(EXTERNAL_ROLE, Some(4)));
    let mut stack = FakeStack::new("ferry", &account);
    let shared = &[("ReplicationEngine", "crr"), ("ReplicationRoleArn", EXTERNAL_ROLE)];
    check_success(&stack.create(shared).await);
    let replication = account.get("source").replication.unwrap();
    assert_eq!(replication.rules[0], foreign_rule(Some(4)));
    assert_eq!(replication.rules[1].priority, Some(5));
    check_success(&stack.delete(shared).await);
    assert_eq!(account.get("source"), replicated(EXTERNAL_ROLE, Some(4)));
}

#[tokio::test]
async fn role_added_between_create_and_update_is_used_and_stays() {
    let account = account(versioned());
    let mut stack = FakeStack::new("ferry", &account);
    let lambda = &[("ReplicationEngine", "lambda"), ("ReplicationRoleArn", "")];
    check_success(&stack.create(lambda).await);
    let mut between = account.get("source");
    between.replication = replicated(EXTERNAL_ROLE, Some(4)).replication;
    account.set("source", between);
    let shared = &[("ReplicationEngine", "crr"), ("ReplicationRoleArn", EXTERNAL_ROLE)];
    check_success(&stack.update(shared, lambda).await);
    check_success(&stack.delete(shared).await);
    assert_eq!(account.get("source"), replicated(EXTERNAL_ROLE, Some(4)));
}

#[tokio::test]
async fn role_used_by_foreign_rules_is_not_removed() {
    let account = account(versioned());
    let (mut one, mut two) = (FakeStack::new("one", &account), FakeStack::new("two", &account));
    let ones = &[("ReplicationEngine", "crr"), ("KeyPrefix", "one/")];
    let twos = &[
        ("ReplicationEngine", "crr"),
        ("KeyPrefix", "two/"),
        ("ReplicationRoleArn", S3FERRY_ROLE),
    ];
    check_success(&one.create(ones).await);
    check_success(&two.create(twos).await);
    let both = account.get("source");
    let refused = [S3FERRY_ROLE, two.owner().as_str()].map(str::to_owned);
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    check_failed(&one.delete(ones).await, &refused);
    check_failed(
        &one.update(&[("ReplicationEngine", "lambda"), ("ReplicationRoleArn", "")], ones)
            .await,
        &refused,
    );
    assert_eq!(account.get("source"), both);
    // In the other order the removal succeeds: the role stays with the first stack.
    check_success(&two.delete(twos).await);
    check_success(&one.delete(ones).await);
    assert_eq!(account.get("source"), versioned());
}

#[tokio::test]
async fn engine_update_removes_obsolete_entries() {
    let account = account(versioned());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(BOTH).await);
    let lambda = &[("ReplicationEngine", "lambda"), ("ReplicationRoleArn", "")];
    check_success(&stack.update(lambda, BOTH).await);
    let now = account.get("source");
    assert_eq!(now.replication, None);
    assert!(
        now.notification.queues[0]
            .events
            .iter()
            .all(|event| !event.starts_with("s3:Replication:"))
    );
    check_success(&stack.update(CRR, lambda).await);
    let now = account.get("source");
    assert!(now.replication.is_some());
    assert!(
        now.notification.queues[0]
            .events
            .iter()
            .all(|event| event.starts_with("s3:Replication:"))
    );
}

#[tokio::test]
async fn role_of_only_s3ferry_rules_can_change() {
    let account = account(versioned());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(CRR).await);
    let after = &[("ReplicationEngine", "crr"), ("ReplicationRoleArn", EXTERNAL_ROLE)];
    check_success(&stack.update(after, CRR).await);
    assert_eq!(account.get("source").replication.unwrap().role, EXTERNAL_ROLE);
}
