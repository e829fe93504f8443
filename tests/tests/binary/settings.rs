//! Effects of settings, and invalid settings.

use s3ferry_tests::deployment::SOURCE_BUCKET;
use s3ferry_tests::{DESTINATION_REGION, HarnessError, SOURCE_REGION, event};

use crate::{Fixture, failed_ids, is_error, start};

#[tokio::test]
async fn delete_is_propagated_only_if_enabled_and_the_object_is_gone() {
    let fixture = Fixture::prepare().await;
    for key in ["kept.txt", "removed.txt", "written again.txt"] {
        fixture.write(key).await;
    }
    let mut without_deletes = fixture.replicator(&[]).await;
    let mut with_deletes = fixture.replicator(&[("PROPAGATE_DELETES", "true")]).await;
    for key in ["kept.txt", "removed.txt", "written again.txt"] {
        without_deletes
            .invoke(event::created(SOURCE_BUCKET, key).to_string())
            .await
            .expect("answers");
    }
    fixture.source.delete("kept.txt").await.expect("delete");
    fixture.source.delete("removed.txt").await.expect("delete");

    let answer = without_deletes
        .invoke(event::removed(SOURCE_BUCKET, "kept.txt").to_string())
        .await
        .expect("answers");
    assert!(!is_error(&answer), "{answer:?}");
    assert!(fixture.is_at_destination("kept.txt").await);
    for key in ["removed.txt", "written again.txt", "never written.txt"] {
        let answer = with_deletes
            .invoke(event::removed(SOURCE_BUCKET, key).to_string())
            .await
            .expect("answers");
        assert!(!is_error(&answer), "{key}: {answer:?}");
    }
    assert!(!fixture.is_at_destination("removed.txt").await);
    assert!(
        fixture.is_at_destination("written again.txt").await,
        "its delete was followed by a write"
    );
}

#[tokio::test]
async fn keys_outside_of_the_prefix_are_not_copied() {
    let fixture = Fixture::prepare().await;
    let mut function = fixture.replicator(&[("KEY_PREFIX", "live/")]).await;
    for key in ["live/in.txt", "out.txt"] {
        fixture.write(key).await;
        let event = event::queue_batch([("only", event::created(SOURCE_BUCKET, key).to_string())]);
        let answer = function.invoke(event.to_string()).await.expect("answers");
        assert!(failed_ids(&answer).is_empty(), "{answer:?}");
    }
    let copied: Vec<String> = fixture
        .destination
        .list("")
        .await
        .expect("listing")
        .into_keys()
        .collect();
    assert_eq!(copied, ["live/in.txt"]);
}

/// Starts the replicator with only these variables; returns its output after it failed.
async fn start_failure(environment: &[(&str, &str)]) -> String {
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
async fn missing_and_invalid_settings_are_reported_together() {
    let output = start_failure(&[
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
    let output = start_failure(&[
        ("AWS_REGION", SOURCE_REGION),
        ("SOURCE_BUCKET", "one-bucket"),
        ("DESTINATION_BUCKET", "one-bucket"),
        ("DESTINATION_REGION", DESTINATION_REGION),
    ])
    .await;
    assert!(output.contains("one-bucket"), "{output}");
}
