use proptest::prelude::*;

use super::*;
use crate::wiring::overlaps;

fn owner(name: &str) -> OwnerId {
    OwnerId::new(name, "BucketWiring")
}

fn desired(prefix: &str, events: &[&'static str]) -> DesiredConfiguration {
    DesiredConfiguration {
        subscription: Some(DesiredNotification {
            queue_arn: "arn:aws:sqs:us-east-1:123456789012:own".to_owned(),
            events: events.to_vec(),
            key_prefix: prefix.to_owned(),
        }),
        ..DesiredConfiguration::default()
    }
}

fn entry(id: &str, events: &[&str], rules: &[(&str, &str)]) -> NotificationEntry {
    let rule = |(name, value): &(&str, &str)| FilterRule {
        name: Some((*name).to_owned()),
        value: Some((*value).to_owned()),
    };
    NotificationEntry {
        id: Some(id.to_owned()),
        arn: format!("arn:aws:sqs:us-east-1:123456789012:{id}"),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        filter: if rules.is_empty() {
            KeyFilter::Absent
        } else {
            KeyFilter::Rules(rules.iter().map(rule).collect())
        },
    }
}

const CREATED: &[&str] = &["s3:ObjectCreated:*"];

#[test]
fn entry_is_added_after_existing_ones() {
    let current = NotificationConfiguration {
        queues: vec![entry("existing", CREATED, &[("Prefix", "logs/")])],
        event_bridge: true,
        ..NotificationConfiguration::default()
    };
    let merged = merge(&current, &owner("a"), &desired("data/", CREATED)).unwrap();
    assert_eq!(merged.queues[0], current.queues[0]);
    assert_eq!(merged.own(&owner("a")).unwrap(), &merged.queues[1]);
    assert!(merged.event_bridge);
    assert_eq!(remove_own(&merged, &owner("a")), current);
}

#[test]
fn overlap_with_any_destination_type_is_refused_and_all_are_listed() {
    let taken = |kind: NotificationKind| {
        let mut current = NotificationConfiguration::default();
        let foreign = entry("existing", &["s3:ObjectCreated:Put"], &[("suffix", ".jpg")]);
        match kind {
            NotificationKind::Queue => current.queues.push(foreign),
            NotificationKind::Topic => current.topics.push(foreign),
            NotificationKind::Function => current.functions.push(foreign),
        }
        merge(&current, &owner("a"), &desired("data/", CREATED)).unwrap_err()
    };
    for kind in [
        NotificationKind::Queue,
        NotificationKind::Topic,
        NotificationKind::Function,
    ] {
        let WiringRefusal::Overlapping { overlaps, .. } = taken(kind) else {
            panic!("{kind:?} has another refusal");
        };
        assert_eq!(overlaps.len(), 1);
        assert_eq!(overlaps[0].kind, kind);
        assert_eq!(overlaps[0].id.as_deref(), Some("existing"));
        assert_eq!(overlaps[0].suffix, ".jpg");
    }
    let current = NotificationConfiguration {
        queues: vec![entry("one", CREATED, &[]), entry("two", &["s3:ObjectRemoved:*"], &[])],
        topics: vec![entry("three", CREATED, &[("prefix", "da")])],
        ..NotificationConfiguration::default()
    };
    let message = merge(&current, &owner("a"), &desired("data/", CREATED))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`one`") && message.contains("`three`") && !message.contains("`two`"),
        "{message}"
    );
}

#[test]
fn without_required_events_nothing_overlaps_and_the_entry_is_removed() {
    let current = NotificationConfiguration {
        functions: vec![entry("existing", CREATED, &[])],
        ..NotificationConfiguration::default()
    };
    assert_eq!(
        merge(&current, &owner("a"), &DesiredConfiguration::default()).unwrap(),
        current
    );
    let mut before = current.clone();
    before.queues.push(entry(owner("a").as_str(), CREATED, &[]));
    assert_eq!(
        merge(&before, &owner("a"), &DesiredConfiguration::default()).unwrap(),
        current
    );
}

#[test]
fn changed_entry_is_replaced_in_position() {
    let own = |queue: &str| {
        let mut own = entry(owner("a").as_str(), CREATED, &[("Prefix", "data/")]);
        own.arn = format!("arn:aws:sqs:us-east-1:123456789012:{queue}");
        own
    };
    let current = NotificationConfiguration {
        queues: vec![own("old"), entry("existing", CREATED, &[("prefix", "logs/")])],
        ..NotificationConfiguration::default()
    };
    let merged = merge(&current, &owner("a"), &desired("data/", CREATED)).unwrap();
    assert_eq!(merged.queues[0].arn, "arn:aws:sqs:us-east-1:123456789012:own");
    assert_eq!(merged.queues[1], current.queues[1]);
}

#[test]
fn equivalent_entry_in_s3_spelling_is_unchanged() {
    let wanted = desired("data/", &["s3:ObjectCreated:*", "s3:ObjectTagging:*"]);
    let mut spelled = entry(
        owner("a").as_str(),
        &["s3:ObjectTagging:*", "s3:ObjectCreated:*"],
        &[("Prefix", "data/"), ("Suffix", "")],
    );
    spelled.arn = "arn:aws:sqs:us-east-1:123456789012:own".to_owned();
    let current = NotificationConfiguration {
        queues: vec![spelled],
        ..NotificationConfiguration::default()
    };
    assert_eq!(merge(&current, &owner("a"), &wanted).unwrap(), current);
}

#[test]
fn own_id_on_another_entry_is_refused() {
    let current = NotificationConfiguration {
        topics: vec![entry(owner("a").as_str(), &["s3:ObjectRemoved:*"], &[])],
        ..NotificationConfiguration::default()
    };
    let refusal = merge(&current, &owner("a"), &desired("", CREATED)).unwrap_err();
    assert!(matches!(
        refusal,
        WiringRefusal::IdTaken {
            kind: NotificationKind::Topic,
            ..
        }
    ));
    assert_eq!(remove_own(&current, &owner("a")), current);
}

#[test]
fn document_is_accepted_by_the_aws_cli() {
    let mut current = NotificationConfiguration {
        queues: vec![entry("q", CREATED, &[("Prefix", "a/")])],
        topics: vec![entry("t", CREATED, &[])],
        ..NotificationConfiguration::default()
    };
    current.topics[0].filter = KeyFilter::Empty;
    let plain = json!({
        "QueueConfigurations": [{
            "Id": "q", "QueueArn": "arn:aws:sqs:us-east-1:123456789012:q", "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "a/"}]}},
        }],
        "TopicConfigurations": [{
            "Id": "t", "TopicArn": "arn:aws:sqs:us-east-1:123456789012:t", "Events": ["s3:ObjectCreated:*"], "Filter": {},
        }],
        "LambdaFunctionConfigurations": [],
    });
    assert_eq!(current.document(), plain);
    current.event_bridge = true;
    assert_eq!(current.document()["EventBridgeConfiguration"], json!({}));
}

fn any_entry() -> impl Strategy<Value = NotificationEntry> {
    let events = prop::collection::vec(
        prop::sample::select(vec![
            "s3:ObjectCreated:*",
            "s3:ObjectCreated:Put",
            "s3:ObjectRemoved:*",
            "s3:ObjectTagging:Put",
            "s3:SomethingNew:*",
        ]),
        1..4,
    );
    let name = prop::sample::select(vec!["prefix", "Prefix", "suffix", "Suffix", "size"]);
    let rule = (prop::option::of(name), prop::option::of("[ab/+%]{0,3}"));
    let rules = prop::collection::vec(rule, 0..3).prop_map(|rules| {
        let rule = |(name, value): (Option<&str>, Option<String>)| FilterRule {
            name: name.map(str::to_owned),
            value,
        };
        KeyFilter::Rules(rules.into_iter().map(rule).collect())
    });
    let filter = prop_oneof![Just(KeyFilter::Absent), Just(KeyFilter::Empty), rules];
    (prop::option::of("[a-z]{1,6}"), "[a-z]{1,6}", events, filter).prop_map(|(id, arn, events, filter)| {
        NotificationEntry {
            id,
            arn,
            events: events.into_iter().map(str::to_owned).collect(),
            filter,
        }
    })
}

fn any_configuration() -> impl Strategy<Value = NotificationConfiguration> {
    let entries = || prop::collection::vec(any_entry(), 0..4);
    (entries(), entries(), entries(), any::<bool>()).prop_map(|(queues, topics, functions, event_bridge)| {
        NotificationConfiguration {
            queues,
            topics,
            functions,
            event_bridge,
        }
    })
}

fn any_desired() -> impl Strategy<Value = DesiredConfiguration> {
    let events = prop::sample::subsequence(
        vec!["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:Replication:*"],
        1..3,
    );
    ("[ab/]{0,3}", events).prop_map(|(prefix, events)| desired(&prefix, &events))
}

proptest! {
    #[test]
    fn removal_after_merge_restores_the_original(current in any_configuration(), wanted in any_desired()) {
        if let Ok(merged) = merge(&current, &owner("a"), &wanted) {
            prop_assert_eq!(remove_own(&merged, &owner("a")), current);
        }
    }

    #[test]
    fn second_merge_changes_nothing(current in any_configuration(), wanted in any_desired()) {
        if let Ok(merged) = merge(&current, &owner("a"), &wanted) {
            prop_assert_eq!(merge(&merged, &owner("a"), &wanted), Ok(merged));
        }
    }

    #[test]
    fn update_preserves_other_entries_and_their_order(
        current in any_configuration(), first in any_desired(), second in any_desired(),
    ) {
        if let Ok(once) = merge(&current, &owner("a"), &first)
            && let Ok(twice) = merge(&once, &owner("a"), &second)
        {
            prop_assert_eq!(remove_own(&twice, &owner("a")), current);
        }
    }

    #[test]
    fn two_owners_do_not_affect_each_other(
        current in any_configuration(), one_desired in any_desired(), other_desired in any_desired(),
        one_leaves_first: bool,
    ) {
        let (one, other) = (owner("a"), owner("b"));
        if let Ok(with_one) = merge(&current, &one, &one_desired)
            && let Ok(with_both) = merge(&with_one, &other, &other_desired)
        {
            prop_assert_eq!(with_both.own(&one), with_one.own(&one));
            let (first, second) = if one_leaves_first { (&one, &other) } else { (&other, &one) };
            let one_left = remove_own(&with_both, first);
            prop_assert_eq!(one_left.own(second), with_both.own(second));
            prop_assert_eq!(remove_own(&one_left, second), current);
        }
    }

    #[test]
    fn merged_configuration_has_no_overlap_with_s3ferrys_entry(current in any_configuration(), wanted in any_desired()) {
        let own = wanted.subscription.as_ref().unwrap().entry(&owner("a"));
        let is_overlapping = current.entries().any(|(_, entry)| overlaps(&own, entry));
        prop_assert_eq!(merge(&current, &owner("a"), &wanted).is_err(), is_overlapping);
    }
}
