use super::fakes::FakeConfiguration;
use super::{FakeStack, account, check_success, wired_by_others};

const BRIDGED: &[(&str, &str)] = &[("EventSource", "eventbridge")];
const LISTENING: &str = r#"{"source":["aws.s3"],"detail":{"bucket":{"name":["source"]}}}"#;

fn switched_on() -> FakeConfiguration {
    let mut there = wired_by_others();
    there.notification.event_bridge = true;
    there
}

#[tokio::test]
async fn eventbridge_delivery_enabled_by_the_stack_is_disabled_by_its_delete() {
    let account = account(wired_by_others());
    account
        .state()
        .rules
        .push(("our-rule".to_owned(), LISTENING.to_owned()));
    account
        .state()
        .rules
        .push(("elsewhere".to_owned(), LISTENING.replace("source\"]}", "other\"]}")));
    let mut stack = FakeStack::new("ferry", &account);
    let response = stack.create(BRIDGED).await;
    check_success(&response);
    assert_eq!(response.data()["EventBridge"], "true");
    assert_eq!(response.data()["NotificationId"], "");
    assert_eq!(account.get("source"), switched_on());
    check_success(&stack.delete(BRIDGED).await);
    assert_eq!(account.get("source"), wired_by_others());
}

#[tokio::test]
async fn eventbridge_delivery_enabled_before_the_stack_stays() {
    let account = account(switched_on());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(BRIDGED).await);
    check_success(&stack.delete(BRIDGED).await);
    assert_eq!(account.get("source"), switched_on());
    assert!(account.writes().is_empty());
}

#[tokio::test]
async fn eventbridge_delivery_stays_while_another_rule_listens() {
    for pattern in [LISTENING, r#"{"source":["aws.s3"]}"#, "not a pattern"] {
        let account = account(wired_by_others());
        let mut stack = FakeStack::new("ferry", &account);
        check_success(&stack.create(BRIDGED).await);
        account
            .state()
            .rules
            .push(("external-rule".to_owned(), pattern.to_owned()));
        check_success(&stack.delete(BRIDGED).await);
        assert_eq!(account.get("source"), switched_on(), "{pattern}");
    }
}

#[tokio::test]
async fn eventbridge_delivery_of_two_stacks_is_disabled_with_the_enabling_stack() {
    let account = account(wired_by_others());
    let (mut one, mut two) = (FakeStack::new("one", &account), FakeStack::new("two", &account));
    let twos = &[("EventSource", "eventbridge"), ("EventRuleName", "rule-of-two")];
    check_success(&one.create(BRIDGED).await);
    account
        .state()
        .rules
        .push(("our-rule".to_owned(), LISTENING.to_owned()));
    check_success(&two.create(twos).await);
    account
        .state()
        .rules
        .push(("rule-of-two".to_owned(), LISTENING.to_owned()));
    check_success(&two.delete(twos).await);
    assert_eq!(account.get("source"), switched_on());
    account.state().rules.retain(|rule| rule.0 != "rule-of-two");
    check_success(&one.delete(BRIDGED).await);
    assert_eq!(account.get("source"), wired_by_others());
}

#[tokio::test]
async fn update_from_queue_to_eventbridge_and_back_removes_obsolete_entries() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    let queue = account.get("source");
    check_success(&stack.update(BRIDGED, &[]).await);
    assert_eq!(account.get("source"), switched_on());
    // The stack's rule is removed after the update, so it still listens. The new properties do not name it.
    account
        .state()
        .rules
        .push(("our-rule".to_owned(), LISTENING.to_owned()));
    check_success(&stack.update(&[("EventRuleName", "")], BRIDGED).await);
    assert_eq!(account.get("source"), queue);
    // An external write enables the delivery from now on: s3ferry must not disable it.
    let mut external = queue.clone();
    external.notification.event_bridge = true;
    account.set("source", external);
    check_success(&stack.delete(&[]).await);
    assert_eq!(account.get("source"), switched_on());
}

#[tokio::test]
async fn eventbridge_delivery_of_two_stacks_is_disabled_with_the_last_stack() {
    let account = account(wired_by_others());
    let (mut one, mut two) = (FakeStack::new("one", &account), FakeStack::new("two", &account));
    let ones = &[("EventSource", "eventbridge"), ("EventRuleName", "rule-of-one")];
    let twos = &[("EventSource", "eventbridge"), ("EventRuleName", "rule-of-two")];
    let rule = |name: &str| (name.to_owned(), LISTENING.to_owned());
    account.state().rules.push(rule("rule-of-one"));
    check_success(&one.create(ones).await);
    account.state().rules.push(rule("rule-of-two"));
    check_success(&two.create(twos).await);
    check_success(&one.delete(ones).await);
    assert_eq!(account.get("source"), switched_on());
    account.state().rules.retain(|rule| rule.0 != "rule-of-one");
    check_success(&two.delete(twos).await);
    assert_eq!(account.get("source"), wired_by_others());
}
