//! Both stacks, deployed with `sam deploy` to an emulator that enforces IAM. Each test has its own emulator.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, EventBridgeConfiguration, Tag, Tagging};
use s3ferry_tests::aws_call::aws_call;
use s3ferry_tests::bucket::TestBucket;
use s3ferry_tests::deployment::{DESTINATION_BUCKET, Deployment, PATIENCE, SOURCE_BUCKET, SourceStack, until_notified};
use s3ferry_tests::emulator::EmulatorOptions;
use s3ferry_tests::foreign::NOTIFICATION_ID;
use s3ferry_tests::upload::TestUpload;
use s3ferry_tests::waiting::{PollResult, until};
use s3ferry_tests::workload::{odd_keys, rich_objects, small_objects};
use s3ferry_tests::{HarnessError, SOURCE_REGION, event};
use serde_json::{Value, json};

/// Default key prefix of the stacks in these tests.
const PREFIX: &str = "live/";

async fn prepare() -> Deployment {
    let deployment = Deployment::prepare(EmulatorOptions::default()).await.expect("emulator");
    deployment.source.enable_versioning().await.expect("versioning");
    deployment.deploy_destination().await.expect("destination stack");
    deployment
}

async fn write(deployment: &Deployment, key: &str, body: &str) {
    TestUpload::new(key, body).write(&deployment.source).await.expect(key);
}

/// Writes `key` and waits until both sides are equal under `prefix`.
async fn write_and_wait(deployment: &Deployment, prefix: &str, key: &str) {
    write(deployment, key, &format!("body of {key}")).await;
    deployment.until_equal(prefix).await.expect(key);
}

#[tokio::test]
async fn every_write_and_delete_is_replicated_and_unreadable_messages_are_dead_letters() {
    let deployment = prepare().await;
    let foreign = deployment.foreign_consumer("archive/").await.expect("foreign queue");
    let parameters = [("KeyPrefix", PREFIX), ("PropagateDeletes", "true")];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");

    for case in odd_keys(PREFIX).into_iter().chain(rich_objects(PREFIX)) {
        case.upload.write(&deployment.source).await.expect(case.title);
    }
    for upload in small_objects(PREFIX, 100) {
        upload.write(&deployment.source).await.expect(&upload.key);
    }
    for version in ["first", "second", "third"] {
        write(&deployment, "live/overwritten.txt", version).await;
    }
    write(&deployment, "live/deleted at once.txt", "short-lived").await;
    deployment
        .source
        .delete("live/deleted at once.txt")
        .await
        .expect("delete");
    deployment.until_equal(PREFIX).await.expect("every object is copied");
    for case in odd_keys(PREFIX) {
        deployment.source.delete(&case.upload.key).await.expect(case.title);
    }
    deployment.until_equal(PREFIX).await.expect("deletes are propagated");

    write(&deployment, "archive/report.csv", "other team's object").await;
    until_notified(&foreign, &["archive/report.csv"])
        .await
        .expect("the other team's notification arrives");
    assert!(
        deployment
            .destination
            .list("archive/")
            .await
            .expect("listing")
            .is_empty()
    );

    stack.until_idle().await.expect("idle");
    assert_eq!(stack.dead_letters.count().await.expect("count"), 0);
    unreadable_messages_become_dead_letters(&stack).await;
}

async fn unreadable_messages_become_dead_letters(stack: &SourceStack<'_>) {
    let mut sent = [
        "this is no notification {".to_owned(),
        event::created("another-bucket", "live/x").to_string(),
    ];
    for body in &sent {
        stack.queue.send(body).await.expect("send");
    }
    sent.sort();
    assert_eq!(stack.until_dead_letters(sent.len()).await.expect("dead letters"), sent);
    assert_eq!(stack.queue.count().await.expect("count"), 0);
}

#[tokio::test]
async fn stack_update_delete_and_redeployment_restore_the_bucket_configuration() {
    let deployment = prepare().await;
    let foreign = deployment.foreign_consumer("archive/").await.expect("foreign queue");
    let before = deployment.source.notification().await.expect("notification");

    let stack = deployment
        .deploy_source("s3ferry", &[("KeyPrefix", PREFIX)])
        .await
        .expect("create");
    write_and_wait(&deployment, PREFIX, "live/one.txt").await;

    let stack_after_update = deployment
        .deploy_source("s3ferry", &[("KeyPrefix", "other/")])
        .await
        .expect("update");
    write(&deployment, "live/out of scope.txt", "x").await;
    write_and_wait(&deployment, "other/", "other/two.txt").await;
    stack_after_update.until_idle().await.expect("idle");
    assert!(
        deployment
            .destination
            .read("live/out of scope.txt")
            .await
            .expect("read")
            .is_none()
    );
    assert_eq!(
        deployment
            .source
            .notification()
            .await
            .expect("notification")
            .queue_configurations()
            .len(),
        2
    );

    stack.stack.delete().await.expect("delete");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);

    deployment
        .deploy_source("s3ferry", &[("KeyPrefix", "again/")])
        .await
        .expect("create again");
    write_and_wait(&deployment, "again/", "again/three.txt").await;
    stack.stack.delete().await.expect("delete again");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);

    write(&deployment, "archive/late.csv", "other team's object").await;
    until_notified(&foreign, &["archive/late.csv"])
        .await
        .expect("the other team's notification arrives after the delete");
}

#[tokio::test]
async fn overlapping_notification_is_refused_by_name_and_eventbridge_works() {
    let deployment = prepare().await;
    let foreign = deployment.foreign_consumer("").await.expect("foreign queue");
    let before = deployment.source.notification().await.expect("notification");

    let refused = deployment.deploy_source("s3ferry", &[]).await.expect_err("overlap");
    let HarnessError::StackFailed { reasons, .. } = &refused else {
        panic!("{refused}")
    };
    let is_named = |reason: &String| reason.contains(NOTIFICATION_ID) && reason.contains("EventSource=eventbridge");
    assert!(reasons.iter().any(is_named), "{reasons:?}");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);
    deployment
        .source_stack("s3ferry")
        .delete()
        .await
        .expect("the rolled-back stack is deleted");

    let parameters = [("EventSource", "eventbridge"), ("PropagateDeletes", "true")];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("the stack with EventBridge");
    let during = deployment.source.notification().await.expect("notification");
    assert_eq!(
        during.event_bridge_configuration(),
        Some(&EventBridgeConfiguration::builder().build())
    );
    assert_eq!(during.queue_configurations(), before.queue_configurations());
    for case in odd_keys("/") {
        case.upload.write(&deployment.source).await.expect(case.title);
    }
    write(&deployment, "deleted.txt", "short-lived").await;
    deployment.source.delete("deleted.txt").await.expect("delete");
    write_and_wait(&deployment, "", "plain.txt").await;
    until_notified(&foreign, &["plain.txt"])
        .await
        .expect("the other team's notification arrives");
    stack.until_idle().await.expect("idle");
    assert_eq!(stack.dead_letters.count().await.expect("count"), 0);

    stack.stack.delete().await.expect("delete");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);
}

#[tokio::test]
async fn missing_destination_fails_the_stack_before_the_bucket_is_wired() {
    let deployment = Deployment::prepare(EmulatorOptions::default()).await.expect("emulator");
    let before = deployment.source.notification().await.expect("notification");
    let refused = deployment.deploy_source("s3ferry", &[]).await;
    let refused = refused.expect_err("the destination does not exist");
    let HarnessError::StackFailed { reasons, .. } = &refused else {
        panic!("{refused}")
    };
    let is_named = |reason: &String| reason.contains(DESTINATION_BUCKET) && reason.contains("NoSuchBucket");
    assert!(reasons.iter().any(is_named), "{reasons:?}");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);
    let stack = deployment.source_stack("s3ferry");
    stack.delete().await.expect("the rolled-back stack is deleted");
}

#[tokio::test]
async fn event_source_of_a_stack_is_changed_and_changed_back() {
    let deployment = prepare().await;
    deployment.foreign_consumer("archive/").await.expect("foreign queue");
    let before = deployment.source.notification().await.expect("notification");
    for (number, event_source) in ["queue", "eventbridge", "queue"].into_iter().enumerate() {
        let parameters = [("KeyPrefix", PREFIX), ("EventSource", event_source)];
        deployment
            .deploy_source("s3ferry", &parameters)
            .await
            .expect(event_source);
        let now = deployment.source.notification().await.expect("notification");
        let has_event_bridge = now.event_bridge_configuration().is_some();
        assert_eq!(has_event_bridge, event_source == "eventbridge", "{now:?}");
        let queues = if has_event_bridge { 1 } else { 2 };
        assert_eq!(now.queue_configurations().len(), queues, "{now:?}");
        write_and_wait(&deployment, PREFIX, &format!("live/{number}.txt")).await;
    }
    deployment.source_stack("s3ferry").delete().await.expect("delete");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);
}

#[tokio::test]
async fn two_stacks_on_one_bucket_are_independent() {
    let deployment = prepare().await;
    deployment.foreign_consumer("archive/").await.expect("foreign queue");
    let before = deployment.source.notification().await.expect("notification");
    let first = deployment
        .deploy_source("s3ferry-first", &[("KeyPrefix", "first/")])
        .await
        .expect("first");
    let second = deployment
        .deploy_source("s3ferry-second", &[("KeyPrefix", "second/")])
        .await
        .expect("second");
    write_and_wait(&deployment, "first/", "first/a.txt").await;
    write_and_wait(&deployment, "second/", "second/a.txt").await;

    first.stack.delete().await.expect("delete the first");
    let left = deployment.source.notification().await.expect("notification");
    assert_eq!(left.queue_configurations().len(), 2, "{left:?}");
    write_and_wait(&deployment, "second/", "second/b.txt").await;

    second.stack.delete().await.expect("delete the second");
    assert_eq!(deployment.source.notification().await.expect("notification"), before);
}

#[tokio::test]
async fn engine_both_adds_a_replication_rule_that_is_removed_again() {
    // Versioning is not enabled; EnableVersioning enables it.
    let deployment = Deployment::prepare(EmulatorOptions::default()).await.expect("emulator");
    deployment.deploy_destination().await.expect("destination stack");
    let parameters = [
        ("ReplicationEngine", "both"),
        ("EnableVersioning", "true"),
        ("KeyPrefix", PREFIX),
    ];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");

    let versioning = deployment.source.client.get_bucket_versioning().bucket(SOURCE_BUCKET);
    let versioning = versioning.send().await.expect("versioning");
    assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled));
    let expected = Some(vec![format!("arn:aws:s3:::{DESTINATION_BUCKET}")]);
    assert_eq!(replication_destinations(&deployment).await, expected);
    write_and_wait(&deployment, PREFIX, "live/a.txt").await;
    stack.until_idle().await.expect("idle");
    assert_eq!(stack.dead_letters.count().await.expect("count"), 0);

    deployment
        .deploy_source("s3ferry", &[("ReplicationEngine", "lambda"), ("KeyPrefix", PREFIX)])
        .await
        .expect("lambda alone");
    assert_eq!(replication_destinations(&deployment).await, None);
    write_and_wait(&deployment, PREFIX, "live/b.txt").await;

    deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("both again");
    assert_eq!(replication_destinations(&deployment).await, expected);
    stack.stack.delete().await.expect("delete");
    assert_eq!(replication_destinations(&deployment).await, None);
}

/// Returns the destination ARNs of the source bucket's replication rules; `None` without a configuration.
async fn replication_destinations(deployment: &Deployment) -> Option<Vec<String>> {
    match deployment
        .source
        .client
        .get_bucket_replication()
        .bucket(SOURCE_BUCKET)
        .send()
        .await
    {
        Ok(answer) => {
            let configuration = answer.replication_configuration().expect("a configuration");
            let destinations = configuration.rules().iter().filter_map(|rule| rule.destination());
            Some(
                destinations
                    .map(|destination| destination.bucket().to_owned())
                    .collect(),
            )
        }
        Err(error) => {
            let code = error.as_service_error().and_then(|error| error.meta().code());
            assert_eq!(code, Some("ReplicationConfigurationNotFoundError"));
            None
        }
    }
}

#[tokio::test]
async fn denied_write_is_logged_with_action_and_arn_and_becomes_a_dead_letter() {
    let deployment = prepare().await;
    let parameters = [("KeyPrefix", PREFIX), ("MaxReceiveCount", "2")];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");
    deny_writes_of(&deployment, &role_of_replicator(&deployment, &stack).await).await;

    write(&deployment, "live/denied.txt", "x").await;
    let bodies = stack.until_dead_letters(1).await.expect("a dead letter");
    let body: Value = serde_json::from_str(bodies.first().expect("a body")).expect("JSON");
    assert_eq!(
        body.pointer("/Records/0/s3/object/key"),
        Some(&json!("live/denied.txt"))
    );
    assert!(deployment.destination.list("").await.expect("listing").is_empty());

    let arn = format!("arn:aws:s3:::{DESTINATION_BUCKET}/live/denied.txt");
    until("the denial in the function's log", PATIENCE, || async {
        let log = deployment.emulator.log();
        let is_named = |line: &str| {
            line.contains("\"error.kind\":\"permanent\"") && line.contains("s3:PutObject") && line.contains(&arn)
        };
        Ok(PollResult::when(log.lines().any(is_named), || {
            let related_lines = log.lines().filter(|line| line.contains("denied.txt"));
            related_lines.collect::<Vec<_>>().join("\n")
        }))
    })
    .await
    .expect("named");
}

/// The object has five parts, the last one smaller. The functions have only the permissions of the template.
#[tokio::test]
async fn large_object_is_copied_multipart_and_its_attributes_are_updated() {
    const MIB: usize = 1024 * 1024;
    let deployment = prepare().await;
    let (least, key) = ((5 * MIB).to_string(), "live/large.bin");
    let parameters = [
        ("KeyPrefix", PREFIX),
        ("MultipartThresholdBytes", least.as_str()),
        ("PartSizeBytes", least.as_str()),
        ("Acl", "copy"),
    ];
    let stack = deployment
        .deploy_source("s3ferry", &parameters)
        .await
        .expect("source stack");

    // CopyObject also copies annotations, so the object has them from the start.
    let draft = TestUpload {
        part_size_bytes: Some(5 * MIB),
        ..TestUpload::new("draft.bin", vec![b'x'; 21 * MIB])
    };
    draft.write(&deployment.source).await.expect("draft");
    let source = &deployment.source.client;
    annotate(source, SOURCE_BUCKET, "draft.bin", "origin", "a scanner").await;
    let copy = source.copy_object().bucket(SOURCE_BUCKET).key(key);
    let copied = copy.copy_source(format!("{SOURCE_BUCKET}/draft.bin")).send().await;
    copied.expect("the object is written");

    deployment.until_equal(PREFIX).await.expect("the object is copied");
    let destination = &deployment.destination.client;
    until_annotated(destination, key, &[("origin", "a scanner")]).await;
    let head = destination
        .head_object()
        .bucket(DESTINATION_BUCKET)
        .key(key)
        .send()
        .await;
    let etag = head.expect("the copy exists").e_tag().expect("an ETag").to_owned();
    assert!(etag.ends_with("-5\""), "not a multipart ETag of five parts: {etag}");

    // The emulator sends no events for tags and annotations, so the test sends them.
    annotate(source, SOURCE_BUCKET, key, "origin", "a person").await;
    annotate(source, SOURCE_BUCKET, key, "read", "yes").await;
    let tag = Tag::builder().key("stage").value("done").build().expect("a tag");
    let tagging = Tagging::builder().tag_set(tag).build().expect("tags");
    let tagged = source
        .put_object_tagging()
        .bucket(SOURCE_BUCKET)
        .key(key)
        .tagging(tagging);
    tagged.send().await.expect("the object is tagged");
    for name in ["ObjectTagging:Put", "ObjectAnnotation:Put", "ObjectAcl:Put"] {
        let changed = event::notification(&[event::record(name, SOURCE_BUCKET, key)]);
        stack.queue.send(&changed.to_string()).await.expect("send");
    }
    until_annotated(destination, key, &[("origin", "a person"), ("read", "yes")]).await;
    deployment.until_equal(PREFIX).await.expect("the tags are copied");

    stack.until_idle().await.expect("idle");
    assert_eq!(stack.dead_letters.count().await.expect("count"), 0);
    let versions = deployment.destination.versions(PREFIX).await.expect("versions");
    assert_eq!(versions.len(), 1, "nothing was copied twice: {versions:?}");
    assert!(deployment.destination.uploads("").await.expect("uploads").is_empty());
    let state = TestBucket::at(&deployment.emulator, SOURCE_REGION, &stack.outputs["StateBucketName"]);
    let journal = state.list("uploads/").await.expect("journal");
    assert!(journal.is_empty(), "the journal is empty");
}

async fn annotate(client: &Client, bucket: &str, key: &str, name: &str, text: &str) {
    let payload = ByteStream::from(text.as_bytes().to_vec());
    let annotation = client
        .put_object_annotation()
        .bucket(bucket)
        .key(key)
        .annotation_name(name);
    let put = annotation.annotation_payload(payload).send().await;
    put.expect("the object is annotated");
}

async fn until_annotated(destination: &Client, key: &str, expected: &[(&str, &str)]) {
    let read = async |name: &str| {
        let annotation = destination.get_object_annotation().bucket(DESTINATION_BUCKET).key(key);
        let answer = annotation.annotation_name(name).send().await.ok()?;
        let payload = answer.annotation_payload.collect().await.expect("a payload");
        Some(String::from_utf8(payload.to_vec()).expect("text"))
    };
    until("the annotations", PATIENCE, || async {
        let mut found = Vec::new();
        for (name, _) in expected {
            found.push(read(name).await);
        }
        let all = found
            .iter()
            .zip(expected)
            .all(|(found, (_, text))| found.as_deref() == Some(*text));
        Ok(PollResult::when(all, || format!("{found:?}")))
    })
    .await
    .expect("the annotations are copied");
}

/// Returns the name of the replicator's role.
async fn role_of_replicator(deployment: &Deployment, stack: &SourceStack<'_>) -> String {
    let parameters = json!({ "FunctionName": stack.outputs["ReplicatorFunctionName"] });
    let emulator = &deployment.emulator;
    let configuration = aws_call(
        emulator,
        SOURCE_REGION,
        "lambda",
        "get_function_configuration",
        &parameters,
    );
    let configuration = configuration.await.expect("configuration");
    let arn = configuration["Role"].as_str().expect("a role").to_owned();
    arn.rsplit('/').next().expect("a name").to_owned()
}

async fn deny_writes_of(deployment: &Deployment, role: &str) {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{DESTINATION_BUCKET}/*"),
            "Condition": { "ArnLike": { "aws:PrincipalArn": [
                format!("arn:aws:iam::*:role/{role}"),
                format!("arn:aws:sts::*:assumed-role/{role}/*"),
            ] } },
        }],
    });
    let client = &deployment.destination.client;
    client
        .put_bucket_policy()
        .bucket(DESTINATION_BUCKET)
        .policy(policy.to_string())
        .send()
        .await
        .expect("policy");
}
