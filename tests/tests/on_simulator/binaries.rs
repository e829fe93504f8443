//! The functions' binaries on objects of every size that S3 supports, with all requests counted.

use std::collections::BTreeMap;
use std::time::Duration;

use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::model::bucket::{ACCOUNT, SimVersioning};
use s3ferry_testkit::sim::model::complete::{CompletedPart, SimCompletion};
use s3ferry_testkit::sim::model::content::SimContent;
use s3ferry_testkit::sim::model::digest::ChecksumAlgorithm;
use s3ferry_testkit::sim::model::multipart::PartTarget;
use s3ferry_testkit::sim::model::object::{ChecksumKind, SimEncryption, SimObject, SimSystemHeaders, WriteAttributes};
use s3ferry_testkit::sim::model::put::DeclaredChecksums;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::model::synthetic::{SyntheticChecksum, SyntheticObject};
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::runtime_api::{Function, InvocationReply};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION, event, replicator, tools};
use serde_json::{Value, json};

const SOURCE: &str = "binaries-source";
const DESTINATION: &str = "binaries-destination";
const STATE: &str = "binaries-state";
const KEY: &str = "large/object+1.bin";

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Maximum requests of a multipart copy in addition to one request per part.
const EXTRA_REQUESTS: u64 = 16;

/// Default timeout of an invocation.
const TIMEOUT: Duration = Duration::from_mins(3);

/// A simulator with the buckets of a migration.
struct Fixture {
    server: SimServer,
}

impl Fixture {
    async fn prepare() -> Self {
        Self::with_latency(SimLatency::default()).await
    }

    async fn with_latency(latency: SimLatency) -> Self {
        let options = ServerOptions {
            latency,
            ..ServerOptions::default()
        };
        let server = SimServer::start(options).await.expect("the simulator starts");
        server
            .make_versioned_buckets([
                (SOURCE, SOURCE_REGION),
                (DESTINATION, DESTINATION_REGION),
                (STATE, SOURCE_REGION),
            ])
            .expect("the buckets are created");
        Self { server }
    }

    async fn function(&self, name: &str, timeout: Duration, more: &[(&str, &str)]) -> Function {
        let addresses = [
            ("AWS_ENDPOINT_URL", self.server.endpoint()),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_REGION", SOURCE_REGION),
            ("STATE_BUCKET", STATE),
        ];
        let required = replicator::settings(SOURCE, DESTINATION);
        let environment: Vec<(String, String)> = addresses
            .iter()
            .chain(&required)
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let binary = tools::function(name).expect("built");
        Function::start(&binary, &environment, timeout).await.expect(name)
    }

    fn put(&self, object: &SyntheticObject) {
        let target = WriteTarget {
            bucket: SOURCE,
            key: KEY,
        };
        self.server
            .model()
            .put_synthetic(target, object)
            .expect("the object is created");
        self.server.forget_requests();
    }

    /// Sets source and destination to unversioned.
    fn remove_versioning(&self) {
        let mut model = self.server.model();
        for name in [SOURCE, DESTINATION] {
            model.bucket_mut(name).expect("the bucket").versioning = SimVersioning::Unversioned;
        }
    }

    /// Uploads an object with parts of these sizes, without checksums, so that S3 does not list its parts.
    fn put_multipart(&self, seed: u64, sizes: &[u64]) {
        let target = WriteTarget {
            bucket: SOURCE,
            key: KEY,
        };
        let whole = SimContent::synthetic(seed, sizes.iter().sum());
        let mut model = self.server.model();
        let upload_id = model
            .create_upload(target, None, WriteAttributes::default(), None)
            .expect("the upload is begun");
        let mut completion = SimCompletion::default();
        let mut offset = 0;
        for (number, size_bytes) in (1..).zip(sizes) {
            let part = PartTarget {
                target,
                upload_id: &upload_id,
                number,
            };
            let content = whole.slice(offset, *size_bytes);
            let uploaded = model.upload_part(part, content, &DeclaredChecksums::default());
            completion.parts.push(CompletedPart {
                number,
                etag: uploaded.expect("the part is uploaded").etag(),
                ..CompletedPart::default()
            });
            offset += size_bytes;
        }
        model
            .complete_upload(target, &upload_id, &completion)
            .expect("the object is created");
        drop(model);
        self.server.forget_requests();
    }

    fn object(&self, bucket: &str) -> Option<SimObject> {
        let model = self.server.model();
        model.bucket(bucket).expect("the bucket").current_object(KEY).cloned()
    }

    /// Asserts that the copy is equal and that no upload or journal entry remains. Returns the copy.
    #[track_caller]
    fn assert_copied(&self) -> SimObject {
        let copy = self.object(DESTINATION).expect("the copy");
        let source = self.object(SOURCE).expect("the source");
        assert_eq!(copy.content.size_bytes(), source.content.size_bytes());
        assert_eq!(copy.content.pieces(), source.content.pieces());
        assert_eq!(copy.explicit.metadata, source.explicit.metadata);
        assert_eq!(copy.explicit.tags, source.explicit.tags);
        let model = self.server.model();
        let uploads = |bucket: &str| model.bucket(bucket).expect("the bucket").uploads.len();
        assert_eq!(uploads(DESTINATION), 0, "uploads remain");
        let state = model.bucket(STATE).expect("the bucket");
        let entry = state.keys.keys().find(|key| state.current_object(key).is_some());
        assert_eq!(entry, None, "journal entries remain");
        copy
    }

    /// Returns the requests so far, without the read of the default encryption, which each process sends once.
    fn idle_requests(&self) -> BTreeMap<&'static str, u64> {
        let mut requests = self.server.requests();
        requests.remove("GetBucketEncryption");
        requests
    }

    fn requests(&self) -> (BTreeMap<&'static str, u64>, u64) {
        let requests = self.server.requests();
        let all = requests.values().sum();
        (requests, all)
    }
}

fn of_size(size_bytes: u64, part_size_bytes: Option<u64>) -> SyntheticObject {
    SyntheticObject {
        size_bytes,
        part_size_bytes,
        seed: 7,
        ..SyntheticObject::default()
    }
}

/// Runs a job with one task; returns the result code and the result text.
async fn task(final_sync: &mut Function) -> (String, String) {
    let payload = json!({
        "invocationSchemaVersion": "2.0", "invocationId": "an-invocation", "job": {"id": "a-job", "userArguments": {}},
        "tasks": [{"taskId": "one", "s3Key": KEY.replace('+', "%2B"), "s3VersionId": null, "s3Bucket": SOURCE}],
    });
    let InvocationReply::Response(text) = final_sync.invoke(payload.to_string()).await.expect("an answer") else {
        panic!("the function failed: {}", final_sync.log().unwrap_or_default())
    };
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let text = |name: &str| {
        let value = answer.pointer(&format!("/results/0/{name}"));
        value.and_then(Value::as_str).expect(name).to_owned()
    };
    (text("resultCode"), text("resultString"))
}

/// Sends one message; returns whether it was acknowledged.
async fn message(replicator: &mut Function) -> bool {
    let batch = event::queue_batch([("one", event::created(SOURCE, KEY).to_string())]);
    let InvocationReply::Response(text) = replicator.invoke(batch.to_string()).await.expect("an answer") else {
        panic!("the function failed: {}", replicator.log().unwrap_or_default())
    };
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    failures.expect("failures").is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_copy_needs_one_request_per_part_and_at_most_sixteen_more() {
    let fixture = Fixture::prepare().await;
    let mut replicator = fixture.function("replicator", TIMEOUT, &[]).await;
    // S3 lists the parts of an object with checksums per part; a composite checksum is preserved.
    let composite = SyntheticChecksum::Of(ChecksumAlgorithm::Sha256, Some(ChecksumKind::Composite));
    let full = SyntheticChecksum::Of(ChecksumAlgorithm::Crc32, Some(ChecksumKind::FullObject));
    let cases = [
        // The smallest size that needs a multipart copy.
        (
            "single part above the limit",
            5 * GIB + 1,
            None,
            SyntheticChecksum::Default,
            None,
        ),
        (
            "two parts",
            5 * GIB + 1,
            Some(5 * GIB),
            SyntheticChecksum::Default,
            Some(2),
        ),
        (
            "parts of 8 MiB",
            6 * GIB,
            Some(8 * MIB),
            SyntheticChecksum::Default,
            Some(768),
        ),
        ("checksums of parts", 6 * GIB, Some(64 * MIB), composite, Some(96)),
        ("full-object checksum", 6 * GIB, Some(64 * MIB), full, Some(96)),
        (
            "no checksum",
            6 * GIB,
            Some(100 * MIB),
            SyntheticChecksum::Missing,
            Some(62),
        ),
        (
            "ten thousand parts",
            10_000 * 6 * MIB,
            Some(6 * MIB),
            SyntheticChecksum::Default,
            Some(10_000),
        ),
    ];
    for (seed, (title, size_bytes, part_size_bytes, checksum, parts)) in (1..).zip(cases) {
        fixture.put(&SyntheticObject {
            seed,
            checksum,
            ..of_size(size_bytes, part_size_bytes)
        });
        assert!(message(&mut replicator).await, "{title}: {:?}", replicator.log());
        let copy = fixture.assert_copied();
        let (requests, all) = fixture.requests();
        let count = requests.get("UploadPartCopy").copied().unwrap_or_default();
        assert!(
            all <= count + EXTRA_REQUESTS,
            "{title}: {all} for {count} parts: {requests:?}"
        );
        if let Some(parts) = parts {
            assert_eq!(count, parts, "{title}: each part once");
            let source = fixture.object(SOURCE).expect("the source");
            assert_eq!(copy.etag, source.etag, "{title}");
            let of_parts = |object: &SimObject| {
                object
                    .checksum
                    .clone()
                    .filter(|sum| sum.kind == ChecksumKind::Composite)
            };
            assert_eq!(of_parts(&copy), of_parts(&source), "{title}");
        }
        fixture.server.forget_requests();
        assert!(message(&mut replicator).await);
        assert_eq!(fixture.idle_requests(), BTreeMap::from([("HeadObject", 2)]), "{title}");
    }
}

/// If S3 does not list the parts, different part sizes need a HEAD of every second part. That is within
/// [`EXTRA_REQUESTS`] for up to seven parts, and for up to five without versioning.
#[tokio::test(flavor = "multi_thread")]
async fn multipart_copy_of_unlisted_parts_needs_a_head_for_every_second_part() {
    for (has_versions, extra, most) in [(true, 13, 7), (false, 14, 5)] {
        let fixture = Fixture::prepare().await;
        if !has_versions {
            fixture.remove_versioning();
        }
        let mut replicator = fixture.function("replicator", TIMEOUT, &[]).await;
        for count in 2..=9 {
            let sizes: Vec<u64> = (1..=count).map(|number| 3 * GIB + number * 7 % 5 * MIB).collect();
            fixture.put_multipart(count, &sizes);
            assert!(message(&mut replicator).await, "{count}: {:?}", replicator.log());
            let copy = fixture.assert_copied();
            let source = fixture.object(SOURCE).expect("the source");
            assert_eq!(copy.etag, source.etag, "{count} parts");
            let (requests, all) = fixture.requests();
            assert_eq!(requests.get("UploadPartCopy"), Some(&count), "each part once");
            assert!(
                all <= count + extra + count / 2,
                "{all} for {count} parts: {requests:?}"
            );
            assert!(
                all <= count + EXTRA_REQUESTS || count > most,
                "{count} parts: {requests:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_copy_needs_four_requests_and_an_equal_object_two() {
    let fixture = Fixture::prepare().await;
    let mut replicator = fixture.function("replicator", TIMEOUT, &[]).await;
    // 5 GiB is the limit of CopyObject.
    for size_bytes in [0, 1, 5 * GIB] {
        fixture.put(&of_size(size_bytes, None));
        assert!(message(&mut replicator).await, "{:?}", replicator.log());
        fixture.assert_copied();
        let (requests, all) = fixture.requests();
        assert_eq!((requests.get("CopyObject"), all), (Some(&1), 4), "{requests:?}");
        fixture.server.forget_requests();
        assert!(message(&mut replicator).await);
        assert_eq!(fixture.idle_requests(), BTreeMap::from([("HeadObject", 2)]));
    }
}

/// Returns every attribute that a write can set, with non-ASCII text where S3 accepts it.
fn rich(storage_class: &str) -> WriteAttributes {
    let text = |text: &str| Some(text.to_owned());
    let metadata = [
        ("plain", "a  b ; c"),
        ("empty", ""),
        ("greeting", "grüße, 日本"),
        ("comma", "a,b,\"c\""),
    ];
    WriteAttributes {
        headers: SimSystemHeaders {
            content_type: text("text/plain; charset=utf-8"),
            cache_control: text("no-cache, max-age=3600"),
            content_disposition: text("attachment; filename=\"grüße.txt\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.txt"),
            content_encoding: text("gzip"),
            content_language: text("de-CH, en"),
            expires: text("not a date"),
        },
        website_redirect: text("/elsewhere?a=b+c"),
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        tags: (0..10)
            .map(|number| (format!("tag {number}+ü"), format!("a=b&c {number}")))
            .collect(),
        storage_class: text(storage_class),
        ..WriteAttributes::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_explicit_attribute_is_copied_by_single_request_and_multipart_copy() {
    let fixture = Fixture::prepare().await;
    let mut final_sync = fixture.function("final-sync", TIMEOUT, &[]).await;
    let classes = [
        "STANDARD",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
    ];
    for (seed, storage_class) in (1..).zip(classes) {
        for (size_bytes, part_size_bytes) in [(17, None), (6 * MIB, Some(5 * MIB)), (5 * GIB + 1, Some(GIB))] {
            let explicit = rich(storage_class);
            fixture.put(&SyntheticObject {
                seed,
                explicit: explicit.clone(),
                ..of_size(size_bytes, part_size_bytes)
            });
            let (code, text) = task(&mut final_sync).await;
            assert_eq!(code, "Succeeded", "{size_bytes} bytes as {storage_class}: {text}");
            let copy = fixture.assert_copied();
            assert_eq!(copy.storage_class(), storage_class, "{size_bytes} bytes");
            let copy = copy.explicit;
            assert_eq!(copy.headers, explicit.headers);
            assert_eq!(copy.website_redirect, explicit.website_redirect);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_terabytes_are_copied_over_many_invocations_with_few_repeated_parts() {
    const SIZE_BYTES: u64 = 50_000_000_000_000;
    let parts = SIZE_BYTES.div_ceil(5 * GIB);
    // Slow enough for several invocations on any machine: 16 concurrent parts, 20 milliseconds each.
    let latency = SimLatency {
        request: Duration::from_millis(20),
        ..SimLatency::default()
    };
    let fixture = Fixture::with_latency(latency).await;
    let mut final_sync = fixture.function("final-sync", Duration::from_secs(6), &[]).await;
    let mut explicit = WriteAttributes::default();
    explicit.metadata.insert("origin".to_owned(), "tape 7".to_owned());
    explicit.tags = (0..10)
        .map(|number| (format!("tag-{number}"), "x".to_owned()))
        .collect();
    fixture.put(&SyntheticObject {
        explicit,
        ..of_size(SIZE_BYTES, Some(5 * GIB))
    });
    let mut invocations = 1;
    loop {
        let (code, text) = task(&mut final_sync).await;
        if code == "Succeeded" {
            break;
        }
        assert_eq!(code, "TemporaryFailure", "{text}");
        assert!(text.contains("deadline"), "{text}");
        assert_eq!(fixture.object(DESTINATION).map(|object| object.etag), None);
        invocations += 1;
    }
    assert!(invocations > 2, "{invocations} invocations");
    let copy = fixture.assert_copied();
    assert_eq!(copy.etag, fixture.object(SOURCE).expect("the source").etag);
    let (requests, all) = fixture.requests();
    let of_parts = requests.get("UploadPartCopy").copied().unwrap_or_default();
    let in_flight = 16 * (invocations - 1);
    assert!(
        (parts..=parts + in_flight).contains(&of_parts),
        "{requests:?} in {invocations} invocations"
    );
    assert_eq!(requests.get("CreateMultipartUpload"), Some(&1));
    // Each invocation reads both sides and the journal, and lists the copied parts, a thousand per page.
    let resumed = (invocations - 1) * (4 + parts.div_ceil(1_000));
    assert!(
        all <= of_parts + EXTRA_REQUESTS + resumed,
        "{requests:?} in {invocations} invocations"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_during_a_multipart_copy_repeats_few_parts_and_leaves_no_upload() {
    let fixture = Fixture::prepare().await;
    let mut final_sync = fixture.function("final-sync", TIMEOUT, &[]).await;
    let faults = [
        json!([{"operation": "UploadPartCopy", "nth": 5, "fault": "ok-with-error", "times": 1}]),
        json!([{"operation": "UploadPartCopy", "nth": 5, "fault": "lost-response", "times": 1}]),
        json!([{"operation": "UploadPartCopy", "nth": 5, "fault": "throttle", "times": 3}]),
        json!([{"operation": "CreateMultipartUpload", "nth": 1, "fault": "internal-error", "times": 1}]),
        json!([{"operation": "CreateMultipartUpload", "nth": 1, "fault": "lost-response", "times": 1}]),
        json!([{"operation": "CreateMultipartUpload", "nth": 1, "fault": "late", "times": 1}]),
        json!([{"operation": "CompleteMultipartUpload", "nth": 1, "fault": "lost-response", "times": 1}]),
        json!([{"operation": "CompleteMultipartUpload", "nth": 1, "fault": "ok-with-error", "times": 1}]),
        json!([{"operation": "CompleteMultipartUpload", "nth": 1, "fault": "reset", "times": 1}]),
    ];
    for (seed, rules) in (1..).zip(&faults) {
        fixture.put(&SyntheticObject {
            seed,
            ..of_size(6 * GIB, Some(64 * MIB))
        });
        fixture.server.set_faults(rules).expect("rules");
        // After a lost response the write may still land, so the task runs again.
        let (code, text) = task(&mut final_sync).await;
        if code != "Succeeded" {
            assert!(text.contains("may still land"), "{rules}: {text}");
            let (code, text) = task(&mut final_sync).await;
            assert_eq!(code, "Succeeded", "{rules}: {text}");
        }
        fixture.assert_copied();
        let (requests, _) = fixture.requests();
        let parts = requests.get("UploadPartCopy").copied().unwrap_or_default();
        assert!(parts <= 96 + 3, "{rules}: {requests:?}");
    }
}

/// The functions send the expected owners and the encryption of their settings.
#[tokio::test(flavor = "multi_thread")]
async fn configured_owners_and_encryption_are_sent() {
    const OTHER_ACCOUNT: &str = "999999999999";
    let key = format!("arn:aws:kms:{DESTINATION_REGION}:{ACCOUNT}:key/12ab");
    let fixture = Fixture::prepare().await;
    fixture.put(&of_size(1, None));
    for (name, owner) in [
        ("DESTINATION_BUCKET_OWNER", OTHER_ACCOUNT),
        ("SOURCE_BUCKET_OWNER", OTHER_ACCOUNT),
    ] {
        let mut replicator = fixture.function("replicator", TIMEOUT, &[(name, owner)]).await;
        assert!(!message(&mut replicator).await, "{name}");
        assert!(fixture.object(DESTINATION).is_none(), "{name}");
    }
    let encryption = format!("aws:kms:{key}");
    let settings = [
        ("DESTINATION_BUCKET_OWNER", ACCOUNT),
        ("SOURCE_BUCKET_OWNER", ACCOUNT),
        ("DESTINATION_ENCRYPTION", encryption.as_str()),
    ];
    let mut replicator = fixture.function("replicator", TIMEOUT, &settings).await;
    for size_bytes in [1, 6 * GIB] {
        fixture.put(&of_size(size_bytes, None));
        assert!(message(&mut replicator).await, "{:?}", replicator.log());
        let copy = fixture.object(DESTINATION).expect("the copy");
        assert_eq!(copy.content.size_bytes(), size_bytes);
        let expected = SimEncryption::Kms {
            algorithm: "aws:kms".to_owned(),
            key: Some(key.clone()),
            bucket_key: true,
        };
        assert_eq!(copy.encryption(), &expected);
    }
    // Without access to the state bucket of another account, no multipart copy starts.
    {
        let mut model = fixture.server.model();
        OTHER_ACCOUNT.clone_into(&mut model.bucket_mut(STATE).expect("the bucket").owner);
    }
    fixture.put(&SyntheticObject {
        seed: 8,
        ..of_size(6 * GIB, None)
    });
    assert!(!message(&mut replicator).await);
}
