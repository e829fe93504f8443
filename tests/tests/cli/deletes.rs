//! `s3ferry sync --delete`: what a wrong or partial listing of the source must not delete.

use crate::proxy::{on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, Stage};

const DELETE: [&str; 4] = ["--delete", "--yes", "--output", "json"];

fn delete(more: &[&str]) -> Vec<String> {
    on_both(&[&DELETE, more].concat())
}

fn left(stage: &Stage) -> usize {
    stage.objects(DESTINATION)
}

fn fill(stage: &Stage, keys: usize) {
    (0..keys).for_each(|number| stage.put(DESTINATION, &format!("{number:05}"), "one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_source_deletes_nothing_unless_that_is_allowed() {
    let stage = Stage::new().await;
    fill(&stage, 3);
    let ran = stage.run("sync", &delete(&[])).await.must_end_with(3);
    assert!(ran.stderr.contains("the source contains no objects"), "{ran:?}");
    assert!(
        ran.stderr.contains("every one of these objects is then deleted"),
        "{ran:?}"
    );
    let summary = ran.summary();
    assert_eq!(
        (&summary["deleted"], &summary["extra_at_destination"]),
        (&0.into(), &3.into())
    );
    assert_eq!(left(&stage), 3);
    let ran = stage
        .run("sync", &delete(&["--allow-empty-source"]))
        .await
        .must_end_with(0);
    assert_eq!((&ran.summary()["deleted"], left(&stage)), (&3.into(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_deletes_than_the_limit_are_refused_by_count_and_percentage() {
    let stage = Stage::new().await;
    fill(&stage, 1_100);
    // Something is copied all the same.
    stage.put(SOURCE, "new", "one");
    let ran = stage.run("sync", &delete(&[])).await.must_end_with(3);
    let named = "1,100 of the 1,100 objects (100.0 %) of s3://cli-destination/";
    assert!(
        ran.stderr.contains(named) && ran.stderr.contains("s3://cli-source/"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("--max-delete"), "{ran:?}");
    let summary = ran.summary();
    assert_eq!((&summary["copied"], &summary["deleted"]), (&1.into(), &0.into()));
    assert!(
        summary["stopped_by"]
            .as_str()
            .expect("a reason")
            .contains("nothing was deleted"),
        "{summary}"
    );
    assert_eq!(left(&stage), 1_101);
    for limit in ["1099", "99%"] {
        stage
            .run("sync", &delete(&["--max-delete", limit]))
            .await
            .must_end_with(3);
        assert_eq!(left(&stage), 1_101, "{limit}");
    }
    let ran = stage
        .run("sync", &delete(&["--max-delete", "1100"]))
        .await
        .must_end_with(0);
    assert_eq!((&ran.summary()["deleted"], left(&stage)), (&1_100.into(), 1));
    stage
        .run("sync", &delete(&["--max-delete", "half"]))
        .await
        .must_end_with(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_names_the_deletes_and_their_refusal() {
    let stage = Stage::new().await;
    fill(&stage, 4);
    stage.both("kept", "one");
    let dry = on_both(&["--delete", "--dry-run", "--max-delete", "3", "--output", "json"]);
    let ran = stage.run("sync", &dry).await.must_end_with(3);
    assert_eq!(ran.summary()["would"]["delete"], 4);
    assert!(ran.stderr.contains("--max-delete allows (3 keys)"), "{ran:?}");
    assert_eq!(left(&stage), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_that_fails_or_ends_early_deletes_nothing() {
    type Lie = fn(&crate::proxy::Head) -> Option<String>;
    let lies: [(Lie, &str); 4] = [
        // The second page is denied.
        (
            |head| {
                (head.lists(SOURCE) && head.target().contains("start-after")).then(|| head.refused(403, "AccessDenied"))
            },
            "AccessDenied",
        ),
        // An empty answer is no empty listing.
        (
            |head| head.lists(SOURCE).then(|| head.answered(200, "")),
            "no root element",
        ),
        (
            |head| {
                head.lists(SOURCE)
                    .then(|| head.answered(200, "<ListBucketResult></ListBucketResult>"))
            },
            "IsTruncated",
        ),
        (
            |head| {
                let body =
                    "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>7</KeyCount></ListBucketResult>";
                head.lists(SOURCE).then(|| head.answered(200, body))
            },
            "KeyCount",
        ),
    ];
    let stage = Stage::new().await;
    for number in 0..1_200 {
        stage.both(&format!("{number:05}"), "one");
    }
    stage.put(DESTINATION, "00000-extra", "one");
    for (lie, expected) in lies {
        let endpoint = proxy(&stage, lie).await;
        let ran = run(
            &stage,
            &endpoint,
            "sync",
            &delete(&["--allow-empty-source", "--max-delete", "100%"]),
        )
        .await;
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
        assert_eq!(left(&stage), 1_201, "{expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_source_has_after_all_are_not_deleted() {
    let stage = Stage::new().await;
    for number in 0..5 {
        stage.both(&format!("{number}"), "one");
    }
    // Complete, by its own word, and wrong.
    let endpoint = proxy(&stage, |head| {
        let body = "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>1</KeyCount><Contents><Key>0</Key>\
                    <LastModified>2026-11-20T00:00:00.000Z</LastModified><ETag>\"00\"</ETag><Size>3</Size></Contents>\
                    </ListBucketResult>";
        head.lists(SOURCE).then(|| head.answered(200, body))
    })
    .await;
    let ran = run(&stage, &endpoint, "sync", &delete(&[])).await.must_end_with(0);
    assert_eq!((&ran.summary()["deleted"], left(&stage)), (&0.into(), 5));
}
