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
async fn switch_that_we_turned_on_goes_off_with_us() {
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
async fn switch_that_was_on_before_us_stays_on() {
    let account = account(switched_on());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(BRIDGED).await);
    check_success(&stack.delete(BRIDGED).await);
    assert_eq!(account.get("source"), switched_on());
    assert!(account.writes().is_empty());
}

#[tokio::test]
async fn switch_stays_on_while_another_rule_listens() {
    for pattern in [LISTENING, r#"{"source":["aws.s3"]}"#, "cannot be told"] {
        let account = account(wired_by_others());
        let mut stack = FakeStack::new("ferry", &account);
        check_success(&stack.create(BRIDGED).await);
        account.state().rules.push(("theirs".to_owned(), pattern.to_owned()));
        check_success(&stack.delete(BRIDGED).await);
        assert_eq!(account.get("source"), switched_on(), "{pattern}");
    }
}

#[tokio::test]
async fn switch_of_two_stacks_goes_off_with_the_last_rule_of_the_one_that_turned_it_on() {
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
async fn update_from_queue_to_eventbridge_and_back_removes_what_is_no_longer_wanted() {
    let account = account(wired_by_others());
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    let queue = account.get("source");
    check_success(&stack.update(BRIDGED, &[]).await);
    assert_eq!(account.get("source"), switched_on());
    // Our rule is removed after the update, so it still listens; the new properties do not name it any more.
    account
        .state()
        .rules
        .push(("our-rule".to_owned(), LISTENING.to_owned()));
    check_success(&stack.update(&[("EventRuleName", "")], BRIDGED).await);
    assert_eq!(account.get("source"), queue);
    // Switched on by somebody else from now on: no longer ours to switch off.
    let mut theirs = queue.clone();
    theirs.notification.event_bridge = true;
    account.set("source", theirs);
    check_success(&stack.delete(&[]).await);
    assert_eq!(account.get("source"), switched_on());
}

#[tokio::test]
async fn switch_of_two_stacks_goes_off_with_the_last_when_the_first_leaves_first() {
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
