use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_core::wiring::NotificationEntry;

use super::fakes::{FakeAccount, FakeConfiguration};
use super::{FakeStack, account, check_failed, check_success, foreign_entry, wired_by_others};

fn another_entry(number: usize) -> NotificationEntry {
    let mut entry = foreign_entry();
    entry.id = Some(format!("late-{number}"));
    entry.events = vec!["s3:ObjectAcl:Put".to_owned()];
    entry
}

/// Makes an external write after the calls with these numbers, among the calls named `call`.
fn write_after(account: &FakeAccount, call: &'static str, numbers: &'static [usize]) {
    let mut count = 0;
    account.state().hook = Some(Box::new(
        move |name: &str, buckets: &mut BTreeMap<String, FakeConfiguration>| {
            if name != call {
                return;
            }
            if numbers.contains(&count) {
                let source = buckets.get_mut("source").unwrap();
                source.notification.topics.push(another_entry(count));
            }
            count += 1;
        },
    ));
}

#[tokio::test]
async fn concurrent_change_between_read_and_write_is_preserved() {
    for numbers in [&[0], &[1]] as [&'static [usize]; 2] {
        let account = account(wired_by_others());
        write_after(&account, "save_once", numbers);
        let mut stack = FakeStack::new("ferry", &account);
        check_success(&stack.create(&[]).await);
        let notification = account.get("source").notification;
        let late = usize::from(account.state().calls.iter().filter(|call| *call == "save_once").count() > 1);
        assert_eq!(notification.topics.len(), late);
        assert!(notification.own(&stack.owner()).is_some());
        assert_eq!(notification.functions, [foreign_entry()]);
    }
}

#[tokio::test]
async fn reverted_entry_is_detected_and_written_again() {
    let account = account(wired_by_others());
    let mut count = 0;
    account.state().hook = Some(Box::new(
        move |name: &str, buckets: &mut BTreeMap<String, FakeConfiguration>| {
            // Directly after s3ferry's write, and again after it was read for the first time.
            if name == "put_notification" || (name == "notification" && count == 2) {
                let source = buckets.get_mut("source").unwrap();
                if count < 3 {
                    source.notification = wired_by_others().notification;
                    source.notification.topics.push(another_entry(count));
                }
                count += 1;
            }
        },
    ));
    let mut stack = FakeStack::new("ferry", &account);
    check_success(&stack.create(&[]).await);
    let notification = account.get("source").notification;
    assert!(notification.own(&stack.owner()).is_some());
    assert_eq!(notification.topics.len(), 1);
    assert!(account.writes().len() > 1);
}

#[tokio::test]
async fn constantly_changing_bucket_fails_with_its_name() {
    let account = account(wired_by_others());
    let mut count = 0;
    account.state().hook = Some(Box::new(
        move |name: &str, buckets: &mut BTreeMap<String, FakeConfiguration>| {
            if name == "save_once" {
                count += 1;
                let source = buckets.get_mut("source").unwrap();
                source.notification.topics = vec![another_entry(count)];
            }
        },
    ));
    let response = FakeStack::new("ferry", &account).create(&[]).await;
    check_failed(&response, &["bucket source", "20 attempts"]);
    assert!(account.writes().is_empty());
}

#[tokio::test]
async fn repeatedly_reverted_entry_fails_with_its_name_before_the_timeout() {
    for (changes, what) in [
        (&[][..], "the notification entry `"),
        (
            &[("ReplicationEngine", "crr"), ("EnableVersioning", "true")][..],
            "the replication rule `",
        ),
    ] {
        let account = account(wired_by_others());
        account.state().hook = Some(Box::new(
            move |name: &str, buckets: &mut BTreeMap<String, FakeConfiguration>| {
                let source = buckets.get_mut("source").unwrap();
                match name {
                    "put_notification" if what.contains("notification") => {
                        source.notification = wired_by_others().notification;
                    }
                    "put_replication" => source.replication = None,
                    _ => {}
                }
            },
        ));
        let mut stack = FakeStack::new("ferry", &account);
        let response = stack.create(changes).await;
        let named = format!("{what}{}`", stack.owner());
        check_failed(
            &response,
            &["of bucket source was written 5 times", &named, "Terraform"],
        );
        let waited = account.state().waited;
        assert!(waited < Duration::from_secs(200), "{waited:?} of the function's 300 s");
    }
}

#[tokio::test]
async fn change_is_polled_until_it_propagates() {
    let account = account(wired_by_others());
    account.state().lag = 12;
    let mut stack = FakeStack::new("ferry", &account);
    let both = &[("ReplicationEngine", "both"), ("EnableVersioning", "true")];
    check_success(&stack.create(both).await);
    assert_eq!(
        account.writes(),
        ["enable_versioning", "put_notification", "put_replication"]
    );
    assert!(account.state().waited >= Duration::from_secs(30));
    check_success(&stack.delete(both).await);
    assert_eq!(account.get("source").notification, wired_by_others().notification);
    assert_eq!(account.get("source").replication, None);
}
