//! Sample events, and payloads that are not events.
#![expect(clippy::disallowed_methods, reason = "the sample events are files")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Describes a parsed payload, one line per record.
fn describe(payload: &Result<Payload, EventError>) -> Vec<String> {
    let message = |prefix: &str, message: &Result<EventMessage, EventError>| match message {
        Err(error) => vec![format!("{prefix}{}", error.code())],
        Ok(EventMessage::TestEvent) => vec![format!("{prefix}test event")],
        Ok(EventMessage::Records(records)) => records
            .iter()
            .map(|record| match record {
                Err(error) => format!("{prefix}{}", error.code()),
                Ok(hint) => {
                    let attributes: Vec<&str> = hint.attributes.iter().map(|attribute| attribute.as_str()).collect();
                    let attributes = if attributes.is_empty() {
                        String::new()
                    } else {
                        format!(" +{}", attributes.join("+"))
                    };
                    format!("{prefix}{} {} {}{attributes}", hint.event_name, hint.bucket, hint.key)
                }
            })
            .collect(),
    };
    match payload {
        Err(error) => vec![error.code().to_owned()],
        Ok(Payload::Direct(messages)) => messages.iter().flat_map(|found| message("", found)).collect(),
        Ok(Payload::Queue(messages)) => messages
            .iter()
            .flat_map(|found| {
                let id: String = found.id.as_str().chars().take(4).collect();
                message(&format!("[{id}] "), &found.message)
            })
            .collect(),
    }
}

/// Every file of `events/` with its description.
const SAMPLES: &[(&str, &[&str])] = &[
    ("acl", &["ObjectAcl:Put example-source photos/2026/harbour.jpg +acl"]),
    (
        "continuation-in-sqs",
        &["[e1c3] s3ferry:Continuation example-source hot/counter+1.json +tags"],
    ),
    ("copy", &["ObjectCreated:Copy example-source archive/harbour-copy.jpg"]),
    (
        "crr-failure",
        &["Replication:OperationFailedReplication example-source bulk/part-0001.parquet"],
    ),
    (
        "delete-marker",
        &["ObjectRemoved:DeleteMarkerCreated example-source orders/41.json"],
    ),
    (
        "duplicate",
        &[
            "ObjectCreated:Put example-source orders/42.json",
            "ObjectCreated:Put example-source orders/42.json",
        ],
    ),
    (
        "eventbridge-created",
        &["Object Created example-source bridge/as it is+100%.txt"],
    ),
    (
        "eventbridge-deleted",
        &["Object Deleted example-source bridge/expired.txt"],
    ),
    (
        "eventbridge-in-sqs",
        &["[d0b2] Object Tags Added example-source bridge/tagged object.txt +tags"],
    ),
    (
        "foreign-bucket",
        &["ObjectCreated:Put other-teams-bucket somewhere/else.txt"],
    ),
    ("key-non-ascii", &["ObjectCreated:Put example-source 日本/Häfen 🚢.txt"]),
    ("key-not-utf8", &["NameNotValid"]),
    (
        "key-with-percent-signs",
        &["ObjectCreated:Put example-source growth/100% of%20plan.csv"],
    ),
    (
        "key-with-plus-signs",
        &["ObjectCreated:Put example-source math/1+1=2.txt"],
    ),
    (
        "key-with-spaces",
        &["ObjectCreated:Put example-source reports/annual report 2026.pdf"],
    ),
    (
        "lifecycle-expiration",
        &["LifecycleExpiration:DeleteMarkerCreated example-source logs/2025/11/20.log"],
    ),
    (
        "multipart-completed",
        &["ObjectCreated:CompleteMultipartUpload example-source videos/crossing.mp4"],
    ),
    ("no-records", &[]),
    (
        "overwrite-out-of-order",
        &[
            "ObjectCreated:Put example-source orders/43.json",
            "ObjectCreated:Put example-source orders/43.json",
        ],
    ),
    (
        "permanent-delete",
        &["ObjectRemoved:Delete example-source orders/40.json"],
    ),
    ("post", &["ObjectCreated:Post example-source uploads/form.pdf"]),
    ("put", &["ObjectCreated:Put example-source photos/2026/harbour.jpg"]),
    (
        "several-records",
        &[
            "ObjectCreated:Put example-source batch/a.txt",
            "ObjectCreated:Put example-source batch/b.txt",
            "ObjectRemoved:DeleteMarkerCreated example-source batch/c.txt",
        ],
    ),
    ("sns", &["ObjectCreated:Put example-source topic/direct.txt"]),
    (
        "sns-in-sqs",
        &["[c9a1] ObjectCreated:Put example-source topic/fan out.txt"],
    ),
    (
        "sqs-batch-with-one-bad-body",
        &[
            "[059f] ObjectCreated:Put example-source queue/first.txt",
            "[2e14] NotJson",
            "[7b3c] ObjectCreated:Put example-source queue/third one.txt",
        ],
    ),
    ("sqs-nested-too-deep", &["[f2d4] NestedTooDeep"]),
    (
        "tagging",
        &["ObjectTagging:Put example-source photos/2026/harbour.jpg +tags"],
    ),
    ("test-event", &["test event"]),
    (
        "unknown-event-name",
        &["ObjectReimagined:Put example-source future/object.bin"],
    ),
    (
        "unversioned",
        &["ObjectCreated:Put example-source plain/unversioned.txt"],
    ),
];

#[test]
fn every_sample_event_is_parsed_to_its_description() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let mut expected: BTreeMap<String, &[&str]> = SAMPLES
        .iter()
        .map(|(name, lines)| (format!("{name}.json"), *lines))
        .collect();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Requests of a final sync, which `batch_operations` parses.
        if name.starts_with("batch-operations") || name.starts_with("distributed-map") {
            continue;
        }
        let lines = expected
            .remove(&name)
            .unwrap_or_else(|| panic!("no sample for events/{name}; add it to SAMPLES"));
        let payload: Value = serde_json::from_str(&std::fs::read_to_string(entry.path()).unwrap()).unwrap();
        assert_eq!(describe(&parse_payload(&payload)), lines, "events/{name}");
    }
    assert!(expected.is_empty(), "files missing in events/: {expected:?}");
}

#[track_caller]
fn check(payload: &Value, expected: &[&str]) {
    assert_eq!(describe(&parse_payload(payload)), expected);
}

fn record() -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "example"}, "object": {"key": "a"}}
    })
}

fn queued(body: &Value) -> Value {
    json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs", "body": body.to_string()}]})
}

fn topic(message: &str) -> Value {
    json!({"Type": "Notification", "Message": message})
}

#[test]
fn payload_that_is_not_a_notification_is_an_error() {
    for payload in [
        json!(null),
        json!(7),
        json!("text"),
        json!([]),
        json!({}),
        json!({"hello": "world"}),
    ] {
        check(&payload, &["NotANotification"]);
    }
    check(
        &json!({"Type": "SubscriptionConfirmation", "Message": "confirm"}),
        &["NotANotification"],
    );
}

#[test]
fn refused_body_is_not_repeated_in_the_error() {
    let error = parse_payload(&json!({"password": "secret"})).unwrap_err().to_string();
    assert!(
        error.contains("an object with password") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn missing_fields_are_errors_of_their_record() {
    for pointer in [
        "/s3",
        "/s3/bucket/name",
        "/s3/object/key",
        "/eventName",
        "/eventVersion",
    ] {
        let mut broken = record();
        *broken.pointer_mut(pointer).unwrap() = Value::Null;
        check(
            &json!({"Records": [broken, record()]}),
            &["FieldMissing", "ObjectCreated:Put example a"],
        );
    }
}

#[test]
fn other_major_versions_and_other_sources_are_refused() {
    for (field, value, expected) in [
        ("eventVersion", "3.0", "EventVersionNotSupported"),
        ("eventVersion", "20.1", "EventVersionNotSupported"),
        ("eventSource", "aws:dynamodb", "SourceNotS3"),
    ] {
        let mut other = record();
        other[field] = json!(value);
        check(&json!({"Records": [other]}), &[expected]);
    }
    let bridge = json!({"detail-type": "Object Created", "source": "my.app", "detail": {}});
    check(&bridge, &["SourceNotS3"]);
}

#[test]
fn event_name_prefix_is_removed() {
    let mut prefixed = record();
    prefixed["eventName"] = json!("s3:ObjectTagging:Delete");
    check(
        &json!({"Records": [prefixed]}),
        &["ObjectTagging:Delete example a +tags"],
    );
}

#[test]
fn envelopes_that_aws_delivers_are_parsed() {
    let notification = json!({"Records": [record()]});
    let bridge = json!({
        "detail-type": "Object ACL Updated", "source": "aws.s3",
        "detail": {"bucket": {"name": "example"}, "object": {"key": "a+b"}}
    });
    check(
        &queued(&topic(&notification.to_string())),
        &["[m1] ObjectCreated:Put example a"],
    );
    check(
        &queued(&topic(&bridge.to_string())),
        &["[m1] Object ACL Updated example a+b +acl"],
    );
    check(&topic(&bridge.to_string()), &["Object ACL Updated example a+b +acl"]);
    check(&queued(&json!({"Event": "s3:TestEvent"})), &["[m1] test event"]);
    check(
        &queued(&topic(&json!({"Event": "s3:TestEvent"}).to_string())),
        &["[m1] test event"],
    );
}

#[test]
fn envelope_nesting_that_aws_does_not_deliver_is_an_error() {
    let notification = json!({"Records": [record()]}).to_string();
    check(&queued(&queued(&record())), &["[m1] NestedTooDeep"]);
    check(
        &queued(&topic(&topic(&notification).to_string())),
        &["[m1] NestedTooDeep"],
    );
    check(&queued(&topic(&queued(&record()).to_string())), &["[m1] NestedTooDeep"]);
}

#[test]
fn queue_message_without_an_id_fails_the_payload() {
    for id in [json!(null), json!(""), json!(7)] {
        let payload = json!({"Records": [{"messageId": id, "eventSource": "aws:sqs", "body": "{}"}]});
        check(&payload, &["FieldMissing"]);
    }
    let mixed = json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs", "body": "{}"}, record()]});
    check(&mixed, &["FieldMissing"]);
}

#[test]
fn redelivered_message_reads_attributes_that_an_interruption_may_have_left() {
    let body = json!({"Records": [record(), {"eventVersion": "2.1"}]}).to_string();
    for (count, expected) in [
        ("1", "ObjectCreated:Put example a"),
        ("2", "ObjectCreated:Put example a +tags+annotations+unfinished-upload"),
    ] {
        let payload = json!({"Records": [{
            "messageId": "m1", "eventSource": "aws:sqs", "body": body,
            "attributes": {"ApproximateReceiveCount": count},
        }]});
        check(&payload, &[&format!("[m1] {expected}"), "[m1] FieldMissing"]);
    }
}

#[test]
fn queue_message_without_a_body_fails_alone() {
    let good = json!({"messageId": "m2", "eventSource": "aws:sqs", "body": json!({"Records": [record()]}).to_string()});
    let payload = json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs"}, good]});
    check(&payload, &["[m1] FieldMissing", "[m2] ObjectCreated:Put example a"]);
}

#[test]
fn large_body_is_parsed() {
    let mut large = record();
    large["padding"] = json!("x".repeat(1_000_000));
    check(
        &queued(&json!({"Records": [large]})),
        &["[m1] ObjectCreated:Put example a"],
    );
    check(&queued(&json!("x".repeat(1_000_000))), &["[m1] NotANotification"]);
}

#[test]
fn deeply_nested_json_is_an_error() {
    let body = "[".repeat(100_000);
    let payload = json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs", "body": body}]});
    check(&payload, &["[m1] NotJson"]);
}

#[test]
fn continuation_survives_the_queue() {
    let bucket = BucketName::new("example").unwrap();
    let key = ObjectKey::from_raw("a+b %/ü\"").unwrap();
    let sent = Continuation::new(&bucket, &key, AttributeSet::from([Attribute::Tags]), "hot-key");
    let body: Value = serde_json::from_str(&sent.to_body().unwrap()).unwrap();
    check(&queued(&body), &["[m1] s3ferry:Continuation example a+b %/ü\" +tags"]);
    check(
        &queued(&json!({"s3ferry": {"bucket": "example"}})),
        &["[m1] FieldMissing"],
    );
    for hops in [ContinuationHops::default(), ContinuationHops { idle: 3, total: 7 }] {
        let body: Value = serde_json::from_str(&sent.clone().after(hops).to_body().unwrap()).unwrap();
        assert_eq!(continuation::parse_continuation(&body).unwrap().hops, hops);
    }
    let at = Timestamp::from_millis(1_795_393_230_125);
    let body: Value = serde_json::from_str(&sent.clone().since(Some(at)).to_body().unwrap()).unwrap();
    assert_eq!(continuation::parse_continuation(&body).unwrap().event_time, Some(at));
    // The body of an earlier version.
    let old = json!({"s3ferry": {"bucket": "example", "key": "a", "attributes": [], "reason": "deadline"}});
    assert_eq!(
        continuation::parse_continuation(&old).unwrap().hops,
        ContinuationHops::default()
    );
}

#[test]
fn chain_without_progress_ends_after_eight_continuations() {
    let mut hops = ContinuationHops::default();
    for idle in 1..=MAX_IDLE_HOPS {
        hops = hops.next(false).unwrap();
        assert_eq!((hops.idle, hops.total), (idle, idle));
    }
    assert_eq!(hops.next(false), None);
    assert_eq!(hops.next(true), Some(ContinuationHops { idle: 0, total: 9 }));
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "Records",
        "messageId",
        "body",
        "eventSource",
        "EventSource",
        "Sns",
        "Message",
        "Type",
        "detail-type",
        "detail",
        "source",
        "s3",
        "bucket",
        "object",
        "key",
        "name",
        "eventName",
        "eventVersion",
        "s3ferry",
        "Event",
    ]);
    let texts = prop::sample::select(vec![
        "aws:sqs",
        "aws:sns",
        "aws:s3",
        "aws.s3",
        "Notification",
        "2.1",
        "{}",
        "{\"Records\":[{}]}",
        "s3:TestEvent",
        "a%",
        "",
        "example",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        texts.prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..8).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_parsed_without_panic(payload in any_json()) {
        drop(parse_payload(&payload));
    }

    #[test]
    fn any_body_is_parsed_without_panic(body in ".{0,200}") {
        let payload = json!({"Records": [{"messageId": "m1", "eventSource": "aws:sqs", "body": body}]});
        prop_assert!(matches!(parse_payload(&payload), Ok(Payload::Queue(messages)) if messages.len() == 1));
    }
}
