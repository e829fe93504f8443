//! What settings change, and which of them are refused.

use s3ferry_tests::deployment::SOURCE_BUCKET;
use s3ferry_tests::{DESTINATION_REGION, HarnessError, SOURCE_REGION, event};

use crate::{Ground, failed_ids, is_error, start};

#[tokio::test]
async fn delete_is_propagated_only_when_asked_for_and_the_object_is_gone() {
    let ground = Ground::prepare().await;
    for key in ["kept.txt", "removed.txt", "written again.txt"] {
        ground.write(key).await;
    }
    let mut keeping = ground.replicator(&[]).await;
    let mut propagating = ground.replicator(&[("PROPAGATE_DELETES", "true")]).await;
    for key in ["kept.txt", "removed.txt", "written again.txt"] {
        keeping
            .invoke(event::created(SOURCE_BUCKET, key).to_string())
            .await
            .expect("answers");
    }
    ground.source.delete("kept.txt").await.expect("delete");
    ground.source.delete("removed.txt").await.expect("delete");

    let answer = keeping
        .invoke(event::removed(SOURCE_BUCKET, "kept.txt").to_string())
        .await
        .expect("answers");
    assert!(!is_error(&answer), "{answer:?}");
    assert!(ground.is_at_destination("kept.txt").await);
    for key in ["removed.txt", "written again.txt", "never there.txt"] {
        let answer = propagating
            .invoke(event::removed(SOURCE_BUCKET, key).to_string())
            .await
            .expect("answers");
        assert!(!is_error(&answer), "{key}: {answer:?}");
    }
    assert!(!ground.is_at_destination("removed.txt").await);
    assert!(
        ground.is_at_destination("written again.txt").await,
        "its delete was followed by a write"
    );
}

#[tokio::test]
async fn keys_outside_of_the_prefix_are_left_alone() {
    let ground = Ground::prepare().await;
    let mut function = ground.replicator(&[("KEY_PREFIX", "live/")]).await;
    for key in ["live/in.txt", "out.txt"] {
        ground.write(key).await;
        let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, key).to_string())]);
        let answer = function.invoke(event.to_string()).await.expect("answers");
        assert!(failed_ids(&answer).is_empty(), "{answer:?}");
    }
    let copied: Vec<String> = ground
        .destination
        .list("")
        .await
        .expect("listing")
        .into_keys()
        .collect();
    assert_eq!(copied, ["live/in.txt"]);
}

/// Starts the replicator with these variables alone and returns what it wrote before it refused.
async fn refusal(environment: &[(&str, &str)]) -> String {
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    match start(&environment).await {
        Err(HarnessError::Ended { status, output, .. }) => {
            assert!(!status.success(), "{output}");
            output
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn missing_and_invalid_settings_are_all_named_at_once() {
    let output = refusal(&[
        ("AWS_REGION", SOURCE_REGION),
        ("OWNERSHIP", "both"),
        ("PROPAGATE_DELETES", "maybe"),
        ("MAX_CONCURRENT_COPIES", "0"),
        ("STORAGE_CLASS", "ICE"),
        ("LOG_LEVEL", "loud"),
    ])
    .await;
    let invalid = [
        "OWNERSHIP",
        "PROPAGATE_DELETES",
        "maybe",
        "MAX_CONCURRENT_COPIES",
        "STORAGE_CLASS",
        "LOG_LEVEL",
    ];
    for name in ["SOURCE_BUCKET", "DESTINATION_BUCKET", "DESTINATION_REGION"]
        .iter()
        .chain(&invalid)
    {
        assert!(output.contains(name), "{name} is not in {output}");
    }
}

#[tokio::test]
async fn source_that_is_the_destination_is_refused() {
    let output = refusal(&[
        ("AWS_REGION", SOURCE_REGION),
        ("SOURCE_BUCKET", "one-bucket"),
        ("DESTINATION_BUCKET", "one-bucket"),
        ("DESTINATION_REGION", DESTINATION_REGION),
    ])
    .await;
    assert!(output.contains("one-bucket"), "{output}");
}
