//! Shared ownership on the simulator, through the real SDK: the marker covers what a copy sets explicitly.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use s3ferry_aws::clock::SystemClock;
use s3ferry_aws::destination::S3Destination;
use s3ferry_aws::journal::S3Journal;
use s3ferry_aws::source::S3Source;
use s3ferry_aws::state::StateBucket;
use s3ferry_core::facts::{Attribute, AttributeSet};
use s3ferry_core::marker::MARKER_NAME;
use s3ferry_core::names::ObjectKey;
use s3ferry_core::outcome::{Outcome, SkipReason};
use s3ferry_core::policy::{Ownership, Policy};
use s3ferry_core::route::MigrationRoute;
use s3ferry_engine::ports::Clock as _;
use s3ferry_engine::reconcile::{Reconciler, UploadSupport};
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};

use crate::stage::{bucket, clients, region};

const SOURCE: &str = "shared-source";
const DESTINATION: &str = "shared-destination";
const STATE: &str = "shared-state";

struct Fixture {
    reconciler: Reconciler<S3Source, S3Destination, SystemClock, S3Journal>,
    source: Client,
    destination: Client,
    server: SimServer,
}

impl Fixture {
    async fn prepare() -> Self {
        let server = SimServer::start(ServerOptions::default())
            .await
            .expect("the simulator starts");
        server
            .make_versioned_buckets([
                (SOURCE, SOURCE_REGION),
                (DESTINATION, DESTINATION_REGION),
                (STATE, SOURCE_REGION),
            ])
            .expect("the buckets are created");
        let clients = clients(server.endpoint());
        let (near, far) = (region(SOURCE_REGION), region(DESTINATION_REGION));
        let (reading, writing) = (clients.s3_for_reading(&near), clients.s3_for_writing(&near));
        let source = S3Source::new(reading, bucket(SOURCE), near.clone(), None, bucket(DESTINATION));
        let route = MigrationRoute {
            source: bucket(SOURCE),
            destination: bucket(DESTINATION),
        };
        let state = StateBucket::new(&clients, bucket(STATE), near, None);
        Self {
            reconciler: Reconciler {
                destination: S3Destination::new(&clients, bucket(DESTINATION), far.clone(), None, &source),
                source,
                uploads: Some(UploadSupport {
                    journal: S3Journal::new(state, route.clone()),
                    route,
                }),
                concurrent_parts: 4,
                clock: SystemClock,
                policy: Policy {
                    ownership: Ownership::Shared,
                    propagate_deletes: true,
                    ..Policy::default()
                },
            },
            source: writing,
            destination: clients.s3_for_writing(&far),
            server,
        }
    }

    async fn reconcile(&self, key: &str) -> Outcome {
        self.reconcile_with(key, &AttributeSet::new()).await
    }

    async fn reconcile_with(&self, key: &str, attributes: &AttributeSet) -> Outcome {
        let deadline = SystemClock.now().plus(Duration::from_mins(1));
        let key = ObjectKey::from_raw(key).expect("a key");
        Box::pin(self.reconciler.reconcile(&key, attributes, deadline))
            .await
            .outcome
    }

    async fn put(&self, key: &str, content: &'static str) {
        let put = self.source.put_object().bucket(SOURCE).key(key);
        let put = put
            .metadata("owner", "team a")
            .body(ByteStream::from_static(content.as_bytes()));
        put.send().await.expect("the object is written");
    }

    async fn marker(&self, key: &str) -> Option<String> {
        let head = self.destination.head_object().bucket(DESTINATION).key(key);
        let head = head.send().await.expect("the copy exists");
        head.metadata()?.get(MARKER_NAME).cloned()
    }
}

#[track_caller]
fn assert_copied(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Copied { .. }), "{outcome:?}");
}

#[tokio::test]
async fn marker_covers_every_header_as_stored() {
    let fixture = Fixture::prepare().await;
    let put = fixture.source.put_object().bucket(SOURCE).key("a b+c/ü.txt");
    put.cache_control("no-cache")
        .content_disposition("attachment; filename=\"a; b.txt\"")
        .content_encoding("gzip")
        .content_language("de")
        .content_type("text/plain; charset=utf-8")
        .website_redirect_location("/elsewhere")
        .metadata("owner", "team a")
        .metadata("empty", "")
        .metadata("spaced", "a  b ; c")
        .tagging("stage=a%20b")
        .body(ByteStream::from_static(b"content"))
        .customize()
        .mutate_request(|request| {
            request.headers_mut().insert("expires", "whenever");
            request
                .headers_mut()
                .insert("x-amz-meta-greeting", "=?UTF-8?B?R3LDvMOfZQ==?=");
        })
        .send()
        .await
        .expect("the object is written");
    assert_copied(&fixture.reconcile("a b+c/ü.txt").await);
    assert!(fixture.marker("a b+c/ü.txt").await.is_some());
    let deep = AttributeSet::from([Attribute::Tags]);
    let again = fixture.reconcile_with("a b+c/ü.txt", &deep).await;
    assert_eq!(again, Outcome::Skipped(SkipReason::AlreadyIdentical));
}

#[tokio::test]
async fn multipart_object_is_copied_with_a_marker() {
    const PART: usize = 5 << 20;
    let fixture = Fixture::prepare().await;
    let begun = fixture.source.create_multipart_upload().bucket(SOURCE).key("large");
    let begun = begun.metadata("owner", "team a").send().await.expect("an upload");
    let id = begun.upload_id().expect("an upload id");
    let mut parts = Vec::new();
    for (number, size) in [(1, PART), (2, 3)] {
        let part = fixture.source.upload_part().bucket(SOURCE).key("large").upload_id(id);
        let part = part.part_number(number).body(ByteStream::from(vec![b'x'; size]));
        let etag = part.send().await.expect("a part").e_tag().map(str::to_owned);
        let part = aws_sdk_s3::types::CompletedPart::builder().part_number(number);
        parts.push(part.set_e_tag(etag).build());
    }
    let all = aws_sdk_s3::types::CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let completed = fixture.source.complete_multipart_upload().bucket(SOURCE).key("large");
    completed
        .upload_id(id)
        .multipart_upload(all)
        .send()
        .await
        .expect("the upload is completed");
    assert_copied(&fixture.reconcile("large").await);
    let again = fixture.reconcile("large").await;
    assert_eq!(again, Outcome::Skipped(SkipReason::AlreadyIdentical));
}

#[tokio::test]
async fn copy_sends_the_documented_requests() {
    let fixture = Fixture::prepare().await;
    // The first reconciles also read bucket settings, which are cached: the default encryption for an equal copy.
    fixture.put("first", "one").await;
    assert_copied(&fixture.reconcile("first").await);
    let again = fixture.reconcile("first").await;
    assert_eq!(again, Outcome::Skipped(SkipReason::AlreadyIdentical));
    fixture.put("key", "one").await;
    let requests = async || {
        fixture.server.forget_requests();
        let outcome = fixture.reconcile("key").await;
        (outcome, fixture.server.requests())
    };
    let (outcome, copied) = requests().await;
    assert_copied(&outcome);
    let expected = [
        ("CopyObject", 1),
        ("GetObjectTagging", 1),
        ("HeadObject", 4),
        ("ListObjectAnnotations", 1),
        ("ListObjectVersions", 2),
    ];
    assert_eq!(copied, expected.into());
    let (outcome, equal) = requests().await;
    assert_eq!(outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    assert_eq!(equal, [("HeadObject", 2), ("ListObjectVersions", 1)].into());
}

#[tokio::test]
async fn object_that_an_application_rewrites_is_an_external_write() {
    let fixture = Fixture::prepare().await;
    fixture.put("key", "one").await;
    assert_copied(&fixture.reconcile("key").await);
    let copy = fixture.destination.copy_object().bucket(DESTINATION).key("key");
    let restored = copy
        .copy_source(format!("{DESTINATION}/key"))
        .storage_class(aws_sdk_s3::types::StorageClass::StandardIa)
        .send()
        .await;
    restored.expect("an application copies the object onto itself");
    assert_eq!(
        fixture.reconcile("key").await,
        Outcome::Skipped(SkipReason::AlreadyIdentical)
    );
    let marker = fixture.marker("key").await.expect("the copy has the metadata");
    let delete = fixture.source.delete_object().bucket(SOURCE).key("key").send().await;
    delete.expect("the object is deleted");
    assert_eq!(
        fixture.reconcile("key").await,
        Outcome::Skipped(SkipReason::ExternalWrite)
    );
    let put = fixture.destination.put_object().bucket(DESTINATION).key("key");
    let edited = put.metadata(MARKER_NAME, marker).body(ByteStream::from_static(b"two"));
    edited.send().await.expect("an application edits the object");
    assert_eq!(
        fixture.reconcile("key").await,
        Outcome::Skipped(SkipReason::ExternalWrite)
    );
}

#[tokio::test]
async fn tags_of_the_source_are_copied_unless_an_application_changed_them() {
    let fixture = Fixture::prepare().await;
    let tagging = |value: &str| {
        let tag = aws_sdk_s3::types::Tag::builder().key("stage").value(value).build();
        aws_sdk_s3::types::Tagging::builder()
            .tag_set(tag.expect("a tag"))
            .build()
            .expect("tags")
    };
    let tags = AttributeSet::from([Attribute::Tags]);
    for key in ["key", "other"] {
        let put = fixture.source.put_object().bucket(SOURCE).key(key).tagging("stage=a");
        let put = put.body(ByteStream::from_static(b"one")).send().await;
        put.expect("the object is written");
        assert_copied(&fixture.reconcile(key).await);
        let arrived = fixture.source.put_object_tagging().bucket(SOURCE).key(key);
        let arrived = arrived.tagging(tagging("b")).send().await;
        arrived.expect("the source's tags change");
        assert_copied(&fixture.reconcile_with(key, &tags).await);
    }
    let changed = fixture.destination.put_object_tagging().bucket(DESTINATION).key("key");
    let changed = changed.tagging(tagging("application")).send().await;
    changed.expect("the destination's tags change");
    for _ in 0..2 {
        let outcome = fixture.reconcile_with("key", &tags).await;
        assert_eq!(outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
    }
    let read = fixture.destination.get_object_tagging().bucket(DESTINATION).key("key");
    let read = read.send().await.expect("the tags are read");
    assert_eq!(
        read.tag_set().first().map(aws_sdk_s3::types::Tag::value),
        Some("application")
    );
}

#[tokio::test]
async fn newer_external_write_is_not_replaced() {
    let fixture = Fixture::prepare().await;
    fixture.put("key", "one").await;
    let put = fixture.destination.put_object().bucket(DESTINATION).key("key");
    let written = put.body(ByteStream::from_static(b"application")).send().await;
    written.expect("the object is written");
    let outcome = fixture.reconcile("key").await;
    assert_eq!(outcome, Outcome::Skipped(SkipReason::DestinationNewer));
}

#[tokio::test]
async fn s3ferry_delete_does_not_block_the_next_write() {
    let fixture = Fixture::prepare().await;
    fixture.put("key", "one").await;
    assert_copied(&fixture.reconcile("key").await);
    let delete = fixture.source.delete_object().bucket(SOURCE).key("key").send().await;
    delete.expect("the object is deleted");
    assert_eq!(fixture.reconcile("key").await, Outcome::Deleted);
    let intents = fixture
        .source
        .list_objects_v2()
        .bucket(STATE)
        .prefix("intents/")
        .send()
        .await;
    assert_eq!(intents.expect("a listing").key_count(), Some(1));
    fixture.put("key", "two").await;
    assert_copied(&fixture.reconcile("key").await);
    assert!(fixture.marker("key").await.is_some());
    let delete = fixture
        .destination
        .delete_object()
        .bucket(DESTINATION)
        .key("key")
        .send()
        .await;
    delete.expect("an application deletes the copy");
    let outcome = fixture.reconcile("key").await;
    assert_eq!(outcome, Outcome::Skipped(SkipReason::DestinationNewer));
}
