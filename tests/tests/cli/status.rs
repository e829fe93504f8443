//! `s3ferry status` and `s3ferry dlq` on an emulator that other people wrote, and the canary in comparisons.

use std::path::Path;

use s3ferry_core::canary::CANARY_NAME;
use s3ferry_tests::SOURCE_REGION;
use s3ferry_tests::emulator::{Emulator, EmulatorOptions};
use s3ferry_tests::queue::Queue;
use s3ferry_tests::stack::DeployedStack;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{DESTINATION, Ran, SOURCE, Stage, ended, start};

/// The CLI beside an emulator with a queue and a dead-letter queue.
struct Letters {
    _emulator: Emulator,
    folder: TempDir,
    exports: Vec<(String, String)>,
    queue: Queue,
    dead: Queue,
}

fn event(bucket: &str, key: &str) -> String {
    let record = json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-28T12:00:00.000Z", "s3": {"bucket": {"name": bucket}, "object": {"key": key}}});
    json!({"Records": [record]}).to_string()
}

impl Letters {
    async fn new() -> Self {
        let emulator = Emulator::start(EmulatorOptions::default())
            .await
            .expect("the emulator starts");
        let queue = Queue::create(&emulator, "status-queue").await.expect("a queue");
        let dead = Queue::create(&emulator, "status-dead").await.expect("a queue");
        for body in [
            event(SOURCE, "images/a+b"),
            event(SOURCE, "logs/c"),
            event("another-bucket", "d"),
            "not json".to_owned(),
        ] {
            dead.send(&body).await.expect("the message is sent");
        }
        Self {
            exports: emulator.exports(SOURCE_REGION),
            folder: TempDir::new().expect("a folder"),
            _emulator: emulator,
            queue,
            dead,
        }
    }

    async fn run(&self, command: &str, more: &[&str]) -> Ran {
        run(self.folder.path(), &self.exports, command, more).await
    }

    async fn dlq(&self, command: &str, more: &[&str]) -> Ran {
        let mut arguments = vec![command, "--output", "json", "--dead-letter-queue-url", &self.dead.url];
        arguments.extend(["--queue-url", &self.queue.url, "--source-bucket", SOURCE]);
        arguments.extend(more);
        self.run("dlq", &arguments).await
    }
}

async fn run(folder: &Path, exports: &[(String, String)], command: &str, arguments: &[&str]) -> Ran {
    let environment: Vec<(&str, &str)> = exports
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    ended(start(folder, &environment, command, &arguments)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_redriven_and_dropped_by_filter() {
    let letters = Letters::new().await;
    let ran = letters.dlq("list", &[]).await.must_end_with(0);
    let mut found: Vec<(String, Vec<Value>)> = ran.json()[..4]
        .iter()
        .map(|letter| {
            let keys = letter["keys"].as_array().expect("keys").iter();
            (
                letter["reason"].to_string(),
                keys.map(|named| named["key"].clone()).collect(),
            )
        })
        .collect();
    found.sort_by_key(|(reason, keys)| (reason.clone(), keys.first().map(ToString::to_string)));
    let expected = [
        ("ForeignBucket", vec![json!("d")]),
        ("NotJson", vec![]),
        ("ReceivesExhausted", vec![json!("images/a b")]),
        ("ReceivesExhausted", vec![json!("logs/c")]),
    ];
    assert_eq!(found, expected.map(|(reason, keys)| (format!("\"{reason}\""), keys)));
    assert_eq!(ran.summary()["dead_letters"], 4);

    // Listing hides nothing: the next command reads the same messages.
    let ran = letters
        .dlq("redrive", &["--key-prefix", "images/"])
        .await
        .must_end_with(0);
    assert_eq!(
        (&ran.summary()["read"], &ran.summary()["redriven"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(
        letters.queue.bodies().await.expect("messages"),
        [event(SOURCE, "images/a+b")]
    );

    letters.dlq("drop", &[]).await.must_end_with(2);
    let ran = letters
        .dlq("drop", &["--reason", "NotJson", "--yes"])
        .await
        .must_end_with(0);
    assert_eq!(ran.summary()["dropped"], 1);
    assert_eq!(letters.dead.count().await.expect("a count"), 2);
    let ran = letters.dlq("redrive", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["redriven"], 2);
    assert_eq!(letters.dead.count().await.expect("a count"), 0);
}

/// What a status reads of a source stack, without its functions.
const STACK: &str = r#"
Parameters:
  SourceBucketName: { Type: String, Default: cli-source }
  DestinationBucketName: { Type: String, Default: cli-destination }
  DestinationRegion: { Type: String, Default: eu-central-1 }
Resources:
  Queue: { Type: "AWS::SQS::Queue" }
  DeadLetterQueue: { Type: "AWS::SQS::Queue" }
  StateBucket: { Type: "AWS::S3::Bucket" }
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: arn:aws:iam::000000000000:role/none
      DefinitionString: '{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}'
Outputs:
  ReplicationQueueUrl: { Value: !Ref Queue }
  ReplicationDeadLetterQueueUrl: { Value: !Ref DeadLetterQueue }
  ReplicatorFunctionName: { Value: replicator }
  StateBucketName: { Value: !Ref StateBucket }
  FinalSyncStateMachineArn: { Value: !Ref Machine }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn status_is_in_sync_only_while_everything_can_be_read_and_nothing_waits() {
    let emulator = Emulator::start(EmulatorOptions::default())
        .await
        .expect("the emulator starts");
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("source.yaml"), STACK).expect("the template is written");
    let stack = DeployedStack::source(&emulator, "status").with_templates(folder.path());
    let outputs = stack.deploy(&[]).await.expect("the stack is deployed");
    let exports = emulator.exports(SOURCE_REGION);
    let status = async |code: i32| -> Value {
        let ran = run(
            folder.path(),
            &exports,
            "status",
            &["--stack", "status", "--output", "json"],
        )
        .await;
        ran.must_end_with(code).json().pop().expect("a status")
    };
    let now = status(0).await;
    assert_eq!(
        (&now["verdict"], &now["lag_source"]),
        (&json!("in-sync"), &json!("empty-queue"))
    );
    assert_eq!((&now["failed_by_reason"], &now["unreadable"]), (&json!({}), &json!([])));
    assert_eq!(now["versions"]["same"], Value::Null, "no function has run");

    let queue = Queue::at(&emulator, &outputs["ReplicationQueueUrl"]);
    queue.send("waits").await.expect("the message is sent");
    let now = status(1).await;
    assert_eq!((&now["verdict"], &now["lag_s"]), (&json!("lagging"), &Value::Null));
    assert_eq!(now["queue"]["visible"], 1);

    let dead = Queue::at(&emulator, &outputs["ReplicationDeadLetterQueueUrl"]);
    dead.send("failed").await.expect("the message is sent");
    let now = status(1).await;
    assert_eq!(
        (&now["verdict"], &now["dead_letters"]["messages"]),
        (&json!("failing"), &json!(1))
    );

    let sqs = emulator.sqs(SOURCE_REGION);
    let deleted = sqs.delete_queue().queue_url(&queue.url).send().await;
    deleted.expect("the queue is deleted");
    let now = status(1).await;
    assert_eq!((&now["verdict"], &now["queue"]), (&json!("blind"), &Value::Null));
    assert_eq!(now["unreadable"][0]["reading"], "queue");
    let unknown = run(folder.path(), &exports, "status", &["--stack", "unknown"]).await;
    unknown.must_end_with(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_and_syncs_leave_the_canary_out() {
    let stage = Stage::new().await;
    stage.both("equal", "one");
    for (bucket, key) in [
        (SOURCE, CANARY_NAME.to_owned()),
        (DESTINATION, format!("images/{CANARY_NAME}")),
    ] {
        stage.put(bucket, &key, "");
    }
    let ran = stage.on_both("diff", &["--depth", "head"]).await.must_end_with(0);
    assert_eq!(ran.summary()["source_keys"], 1);
    let ran = stage.on_both("verify", &[]).await.must_end_with(0);
    assert_eq!(ran.summary()["verdict"], "verified");
    stage.on_both("sync", &["--delete", "--yes"]).await.must_end_with(0);
    assert_eq!((stage.objects(SOURCE), stage.objects(DESTINATION)), (2, 2));
}
