//! `s3ferry sync --adopt`: copies that were made before ownership became shared.

use s3ferry_core::marker::MARKER_NAME;

use crate::stage::{DESTINATION, SOURCE, STATE, Stage};

const SHARED: [&str; 4] = ["--ownership", "shared", "--state-bucket", STATE];

impl Stage {
    fn is_marked(&self, key: &str) -> bool {
        let model = self.server.model();
        let object = model.bucket(DESTINATION).expect("the bucket").current_object(key);
        object.expect("the object").explicit.metadata.contains_key(MARKER_NAME)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_copies_get_a_marker_within_their_region_and_others_stay() {
    let stage = Stage::new().await;
    for key in ["one", "two"] {
        stage.put(SOURCE, key, key);
    }
    stage.on_both("sync", &[]).await.must_end_with(0);
    stage.put(DESTINATION, "two", "external");
    stage.put(DESTINATION, "only external", "external");
    let adopt = [&SHARED[..], &["--adopt"]].concat();
    stage.server.forget_requests();
    let ran = stage.on_both("sync", &adopt).await.must_end_with(0);
    assert_eq!(
        (&ran.summary()["copied"], &ran.summary()["conflicts"]),
        (&1.into(), &1.into()),
        "{ran:?}"
    );
    assert!(stage.is_marked("one"));
    assert!(!stage.is_marked("two") && !stage.is_marked("only external"));
    let again = stage.on_both("sync", &adopt).await.must_end_with(0);
    assert_eq!(again.summary()["copied"], 0, "{again:?}");
    stage.on_both("sync", &SHARED).await.must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn adopting_without_shared_ownership_is_refused() {
    let stage = Stage::new().await;
    let ran = stage.on_both("sync", &["--adopt"]).await.must_end_with(2);
    assert!(ran.stderr.contains("--ownership shared"), "{ran:?}");
}
