//! `s3ferry sync --ownership shared`: keys that neither side lists any more.

use std::time::{SystemTime, UNIX_EPOCH};

use s3ferry_core::delete_intent::DeleteIntent;
use s3ferry_core::names::{BucketName, ETag, ObjectKey};
use s3ferry_core::route::MigrationRoute;
use s3ferry_core::time::Timestamp;
use s3ferry_core::versions::VersionName;
use s3ferry_testkit::sim::model::object::WriteAttributes;
use serde_json::json;

use crate::proxy::{on_both, proxy, run};
use crate::stage::{DESTINATION, SOURCE, STATE, Stage};

const SHARED: [&str; 4] = ["--ownership", "shared", "--state-bucket", STATE];

fn external(explicit: &mut WriteAttributes) {
    explicit.metadata.insert("owner".to_owned(), "application".to_owned());
}

impl Stage {
    /// Writes the intent to delete the destination's current version of a key, and returns the name of its object.
    fn announce(&self, key: &str) -> String {
        let bucket = |name| BucketName::new(name).expect("a name");
        let route = MigrationRoute {
            source: bucket(SOURCE),
            destination: bucket(DESTINATION),
        };
        let (covered, etag) = {
            let model = self.server.model();
            let current = model.bucket(DESTINATION).expect("the bucket").current(key);
            let current = current.expect("the copy");
            (current.id.clone(), current.object().expect("an object").etag.clone())
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time");
        let intent = DeleteIntent {
            covered: VersionName::new(&covered).expect("a version"),
            etag: ETag::new(&etag).expect("a tag"),
            announced: Timestamp::from_seconds(i64::try_from(now.as_secs()).expect("a time")),
        };
        let key = ObjectKey::from_raw(key).expect("a key");
        let name = route.intent_name(&key, &intent.covered);
        let body = route.write_intent(&key, &intent).expect("an intent");
        self.put(STATE, &name, &String::from_utf8(body).expect("a text"));
        name
    }

    /// Leaves what a crash leaves between a delete of s3ferry and the read after it: an application wrote equal bytes just
    /// before, and neither side lists the key. The delete was announced for the copy.
    fn hide_a_write_below_a_delete(&self, key: &str) {
        self.announce(key);
        self.put_with(DESTINATION, key, "one", external);
        self.delete(DESTINATION, key);
        self.delete(SOURCE, key);
    }

    fn owner(&self, key: &str) -> Option<String> {
        let model = self.server.model();
        let object = model.bucket(DESTINATION).expect("the bucket").current_object(key)?;
        object.explicit.metadata.get("owner").cloned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_hidden_below_a_delete_is_found_though_neither_side_lists_its_key() {
    let stage = Stage::new().await;
    for key in ["a/hidden", "a/deleted", "a/listed", "b/hidden"] {
        stage.put(SOURCE, key, "one");
    }
    stage.on_both("sync", &SHARED).await.must_end_with(0);
    for key in ["a/hidden", "b/hidden"] {
        stage.hide_a_write_below_a_delete(key);
    }
    stage.announce("a/deleted");
    stage.delete(DESTINATION, "a/deleted");
    stage.delete(SOURCE, "a/deleted");
    stage.announce("a/listed");

    let arguments = |more: &[&str]| {
        let mut arguments = Stage::sides_below("a/");
        arguments.extend(
            ["--output", "json"]
                .iter()
                .chain(&SHARED)
                .chain(more)
                .map(|it| (*it).to_owned()),
        );
        arguments
    };
    let ran = stage.run("sync", &arguments(&["--dry-run"])).await.must_end_with(0);
    assert_eq!(ran.summary()["would"], json!({ "remove-version": 1 }), "{ran:?}");
    assert_eq!(stage.owner("a/hidden"), None);

    let ran = stage.run("sync", &arguments(&[])).await.must_end_with(0);
    let summary = ran.summary();
    assert_eq!(stage.owner("a/hidden").as_deref(), Some("application"), "{ran:?}");
    assert_eq!(stage.owner("b/hidden"), None, "it is beside the prefix");
    let counts = ["deleted_before", "extra_at_destination", "copied", "failed", "gone"].map(|name| &summary[name]);
    assert_eq!(
        counts,
        [2, 1, 0, 0, 0].map(serde_json::Value::from).each_ref(),
        "{ran:?}"
    );
    // What is listed by now is not read a second time.
    let again = stage.run("sync", &arguments(&[])).await.must_end_with(0);
    assert_eq!(again.summary()["deleted_before"], 1, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn intents_that_cannot_be_listed_or_read_are_named() {
    let stage = Stage::new().await;
    for key in ["hidden", "other"] {
        stage.put(SOURCE, key, "one");
    }
    stage.on_both("sync", &SHARED).await.must_end_with(0);
    stage.hide_a_write_below_a_delete("hidden");
    stage.put(STATE, "intents/broken.json", "{}");
    let ran = stage.on_both("sync", &SHARED).await.must_end_with(1);
    assert_eq!(ran.summary()["failed_by"][0]["code"], "UnreadableIntent", "{ran:?}");
    let named = std::fs::read_to_string(stage.folder().join("s3ferry-failures.jsonl")).expect("the failures");
    assert!(
        named.contains("\"intent-unread\"") && named.contains("intents/broken.json"),
        "{named}"
    );
    // One that cannot be read keeps no other from being read.
    assert_eq!(stage.owner("hidden").as_deref(), Some("application"), "{ran:?}");

    let endpoint = proxy(&stage, |head| {
        let is_of_intents = head.lists(STATE) && head.target().contains("intents");
        is_of_intents.then(|| head.refused(403, "AccessDenied"))
    })
    .await;
    stage.put(SOURCE, "new", "one");
    let arguments = on_both(&[&SHARED[..], &["--output", "json"]].concat());
    let ran = run(&stage, &endpoint, "sync", &arguments).await.must_end_with(3);
    assert!(
        ran.stderr.contains(STATE) && ran.stderr.contains("AccessDenied"),
        "{ran:?}"
    );
    assert_eq!(ran.summary()["copied"], 0, "{ran:?}");
}

/// An application's multipart upload counts from its start, so it can land below a copy of s3ferry.
#[tokio::test(flavor = "multi_thread")]
async fn write_hidden_below_a_copy_is_found_though_the_source_has_no_such_key() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "key", "one");
    stage.on_both("sync", &SHARED).await.must_end_with(0);
    stage.put_with(DESTINATION, "key", "application", external);
    {
        let mut model = stage.server.model();
        let bucket = model.bucket_mut(DESTINATION).expect("the bucket");
        bucket.keys.get_mut("key").expect("the key").reverse();
    }
    assert_eq!(stage.owner("key"), None, "the copy lies above");
    stage.delete(SOURCE, "key");
    let ran = stage.on_both("sync", &SHARED).await.must_end_with(0);
    assert_eq!(stage.owner("key").as_deref(), Some("application"), "{ran:?}");
    assert_eq!(ran.summary()["extra_at_destination"], 1, "{ran:?}");
}
