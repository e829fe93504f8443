//! What the CLI refuses: exit code, error and next step.

use s3ferry_core::preflight::SHARED_NEEDS_VERSIONS;
use s3ferry_testkit::sim::model::bucket::{ACCOUNT, SimBucket, SimVersioning};
use s3ferry_testkit::sim::model::document::BucketDocument;
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::proxy::{proxy, run};
use crate::stage::{DESTINATION, Ran, SOURCE, STATE, Stage, ended, start};

fn arguments(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_command_lines_end_with_2() {
    let stage = Stage::new().await;
    let (source, destination) = (format!("s3://{SOURCE}/a/"), format!("s3://{DESTINATION}/b/"));
    for (wrong, expected) in [
        (vec!["--source", "cli-source"], "must begin with s3://"),
        (vec!["--source", &source], "--destination"),
        (
            vec![
                "--source",
                &source,
                "--destination",
                &destination,
                "--destination-region",
                "eu-central-1",
            ],
            "s3ferry never renames keys",
        ),
        (
            vec![
                "--source",
                &source,
                "--destination",
                &source,
                "--destination-region",
                "eu-central-1",
            ],
            "are the same bucket",
        ),
        (
            vec![
                "--source",
                &source,
                "--destination",
                &destination,
                "--destination-region",
                "Frankfurt",
            ],
            "region `Frankfurt` is not valid",
        ),
    ] {
        let ran = stage.run("diff", &arguments(&wrong)).await.must_end_with(2);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_regions_and_missing_buckets_end_with_3() {
    let stage = Stage::new().await;
    let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
    let sides = |source: &str, source_region: &str, destination_region: &str| {
        arguments(&[
            "--source",
            source,
            "--source-region",
            source_region,
            "--destination",
            &destination,
            "--destination-region",
            destination_region,
        ])
    };
    let ran = stage
        .run("diff", &sides(&source, SOURCE_REGION, "eu-west-1"))
        .await
        .must_end_with(3);
    assert!(
        ran.stderr.contains("is in region eu-central-1, not in eu-west-1"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("pass --destination-region eu-central-1"), "{ran:?}");
    let ran = stage
        .run("sync", &sides(&source, "us-west-2", DESTINATION_REGION))
        .await
        .must_end_with(3);
    assert!(ran.stderr.contains("pass --source-region us-east-1"), "{ran:?}");
    let ran = stage
        .run("diff", &sides("s3://no-such-bucket", SOURCE_REGION, DESTINATION_REGION))
        .await;
    let ran = ran.must_end_with(3);
    assert!(ran.stderr.contains("NoSuchBucket"), "{ran:?}");
    let ran = stage
        .run(
            "diff",
            &arguments(&[
                "--source",
                &source,
                "--destination",
                &destination,
                "--destination-region",
                "eu-central-1",
            ]),
        )
        .await;
    let ran = ran.must_end_with(1);
    assert!(
        ran.stdout.contains("nothing to compare"),
        "the source's region is found: {ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_of_another_account_than_the_expected_one_are_refused() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    let owned = |account| ["--destination-bucket-owner", account];
    stage.on_both("sync", &owned(ACCOUNT)).await.must_end_with(0);
    stage.on_both("verify", &owned(ACCOUNT)).await.must_end_with(0);
    let give = |bucket: &str| {
        let mut model = stage.server.model();
        STRANGER.clone_into(&mut model.bucket_mut(bucket).expect("the bucket").owner);
    };
    give(DESTINATION);
    for command in ["sync", "diff", "verify"] {
        let ran = stage.on_both(command, &owned(ACCOUNT)).await.must_end_with(3);
        assert!(ran.stderr.contains("must have the expected owner"), "{ran:?}");
        for part in [
            ACCOUNT,
            "--destination-bucket-owner",
            "next: correct the expected owner",
        ] {
            assert!(ran.stderr.contains(part), "{part}: {ran:?}");
        }
        stage.on_both(command, &owned(STRANGER)).await.must_end_with(0);
        // Without the flag any owner will do.
        stage.on_both(command, &[]).await.must_end_with(0);
    }
    give(STATE);
    let with_state = ["--state-bucket", STATE, "--source-bucket-owner", ACCOUNT];
    let ran = stage.on_both("sync", &with_state).await.must_end_with(3);
    assert!(ran.stderr.contains(STATE), "{ran:?}");
    let to = format!("s3://{STATE}/manifests/run.csv");
    for (owner, code) in [
        (&["--source-bucket-owner", ACCOUNT][..], 3),
        (&["--state-bucket-owner", ACCOUNT], 3),
        (&["--source-bucket-owner", ACCOUNT, "--state-bucket-owner", STRANGER], 0),
        // The destination's owner is not that of the state bucket.
        (&["--destination-bucket-owner", STRANGER], 0),
    ] {
        let ran = stage.on_both("manifest", &[&["--to", &to][..], owner].concat()).await;
        let ran = ran.must_end_with(code);
        assert_eq!(ran.stderr.contains("--state-bucket-owner"), code == 3, "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_that_answers_with_a_web_page_is_named() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    let endpoint = proxy(&stage, |head| {
        let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
        Some(
            head.answered(200, page)
                .replacen("application/xml", "text/html; charset=utf-8", 1),
        )
    })
    .await;
    for command in ["sync", "diff", "verify"] {
        let mut arguments = Stage::sides();
        arguments.extend(["--endpoint-url".to_owned(), endpoint.clone()]);
        let ran = stage.run(command, &arguments).await.must_end_with(3);
        assert!(
            ran.stderr
                .contains(&format!("the response of {endpoint} is not from S3")),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("next: pass an endpoint of S3"), "{ran:?}");
    }
}

/// The sentences are those that a stack fails with.
#[tokio::test(flavor = "multi_thread")]
async fn unfit_destination_is_reported_before_any_copy() {
    let stage = Stage::new().await;
    stage.put(SOURCE, "a", "one");
    let set = |bucket: &str, change: &dyn Fn(&mut SimBucket)| {
        change(stage.server.model().bucket_mut(bucket).expect("the bucket"));
    };
    set(DESTINATION, &|bucket| bucket.versioning = SimVersioning::Unversioned);
    let shared = ["--ownership", "shared", "--state-bucket", STATE];
    let ran = stage.on_both("sync", &shared).await.must_end_with(3);
    assert!(ran.stderr.contains(SHARED_NEEDS_VERSIONS), "{ran:?}");
    assert_eq!(stage.objects(DESTINATION), 0);
    let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    set(SOURCE, &|bucket| {
        bucket.documents.insert(BucketDocument::ObjectLock, lock.to_owned());
    });
    let ran = stage.on_both("sync", &[]).await.must_end_with(0);
    let warning =
        format!("warning: source bucket {SOURCE} has Object Lock and destination bucket {DESTINATION} does not");
    assert!(ran.stderr.contains(&warning), "{ran:?}");
    assert_eq!(stage.objects(DESTINATION), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_bucket_names_are_refused_with_the_rules() {
    let stage = Stage::new().await;
    let upper = ["--source", "s3://Cli-Source", "--source-region", SOURCE_REGION];
    let destination = format!("s3://{DESTINATION}");
    let both = [
        &upper[..],
        &[
            "--destination",
            &destination,
            "--destination-region",
            DESTINATION_REGION,
        ],
    ]
    .concat();
    let mut with_state = Stage::sides();
    with_state.extend(arguments(&["--state-bucket", "Cli-State"]));
    for (command, arguments) in [
        ("diff", arguments(&both)),
        ("sync", arguments(&both)),
        ("verify", arguments(&both)),
        ("manifest", arguments(&[&upper[..], &["--to", "run.csv"]].concat())),
        ("sync", with_state),
    ] {
        let ran = stage.run(command, &arguments).await.must_end_with(3);
        assert!(ran.stderr.contains("InvalidBucketName"), "{ran:?}");
        assert!(
            ran.stderr
                .contains("next: correct the bucket's name: 3 to 63 lower-case letters"),
            "{ran:?}"
        );
        for wrong in ["grant the action", "Error {", "unhandled"] {
            assert!(!ran.stderr.contains(wrong), "{wrong}: {ran:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_listings_name_the_bucket_and_no_permission() {
    let row = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-11-23T00:00:00.000Z</LastModified><ETag>\"aa\"</ETag>\
             <Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    };
    for (count, expected) in [
        (
            2,
            "s3:ListBucket failed on s3://cli-source/: ListingOutOfOrder: the listing is not in order: key `a` follows `b`",
        ),
        (
            3,
            "UnreadableListing: the number of keys in the response differs from its KeyCount",
        ),
    ] {
        let stage = Stage::new().await;
        let listing = format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>{SOURCE}</Name><KeyCount>{count}</KeyCount>\
             <IsTruncated>false</IsTruncated>{}{}</ListBucketResult>",
            row("b"),
            row("a")
        );
        let endpoint = proxy(&stage, move |head| {
            head.lists(SOURCE).then(|| head.answered(200, &listing))
        })
        .await;
        for command in ["diff", "sync", "verify"] {
            let ran = run(&stage, &endpoint, command, &Stage::sides()).await.must_end_with(3);
            assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
            assert!(ran.stderr.contains("next: run the same command again"), "{ran:?}");
            assert!(!ran.stderr.contains("grant the action"), "{ran:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_manual_and_completions_need_no_bucket() {
    let stage = Stage::new().await;
    for (command, more, expected) in [
        ("--help", "", "Exit codes: 0 equal or done"),
        ("diff", "--help", "Examples:"),
        ("sync", "--help", "--dry-run"),
        ("manifest", "--help", "run-1-large-or-rich-0001.csv"),
        ("man", "", ".TH s3ferry 1"),
        ("man", "sync", ".TH s3ferry-sync 1"),
        ("completions", "bash", "complete -F _s3ferry"),
    ] {
        let more: Vec<&str> = more.split_whitespace().collect();
        let ran = stage.run(command, &arguments(&more)).await.must_end_with(0);
        assert!(ran.stdout.contains(expected), "{command} {more:?}: {ran:?}");
    }
    stage.run("man", &arguments(&["nothing"])).await.must_end_with(2);
    stage.run("frobnicate", &[]).await.must_end_with(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_copies_are_read_as_the_functions_read_them() {
    let stage = Stage::new().await;
    let key = |region: &str| format!("arn:aws:kms:{region}:123456789012:key/1234abcd");
    let map = |copy: &str| format!("{{\"{}\":\"{copy}\"}}", key(SOURCE_REGION));
    for (flag, value, expected) in [
        ("--storage-class", "CHEAP".to_owned(), "allowed: source, STANDARD"),
        ("--kms-key-map", "[]".to_owned(), "must be a JSON object"),
        ("--kms-key-map", map("alias/a"), "`alias/a` is not the ARN of a KMS key"),
        (
            "--kms-key-map",
            map(&key(SOURCE_REGION)),
            "is not in eu-central-1, the region of the destination bucket",
        ),
    ] {
        let ran = stage.on_both("sync", &[flag, &value]).await.must_end_with(2);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
        assert!(stage.server.requests().is_empty(), "nothing was asked of S3");
    }
    let good = map(&key(DESTINATION_REGION));
    stage.on_both("sync", &["--kms-key-map", &good]).await.must_end_with(0);
}

/// Runs `diff` with both buckets named and nothing in the environment but what is given.
async fn diff_with(environment: &[(&str, &str)]) -> Ran {
    let folder = TempDir::new().expect("a folder");
    let environment = [&[("AWS_EC2_METADATA_DISABLED", "true")], environment].concat();
    ended(start(folder.path(), &environment, "diff", &Stage::sides())).await
}

/// The account of buckets that are not expected.
const STRANGER: &str = "999999999999";

const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")];

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_end_with_3_and_the_ways_to_give_them() {
    let stage = Stage::new().await;
    let ran = diff_with(&[("AWS_ENDPOINT_URL", stage.server.endpoint())])
        .await
        .must_end_with(3);
    assert!(ran.stderr.contains("CredentialsNotLoaded"), "{ran:?}");
    assert!(ran.stderr.contains("next: sign in (aws sso login)"), "{ran:?}");
    assert!(stage.server.requests().is_empty(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_end_with_3_and_are_named() {
    let endpoint = expired().await;
    let environment = [&[("AWS_ENDPOINT_URL", endpoint.as_str())], &CREDENTIALS[..]].concat();
    let ran = diff_with(&environment).await.must_end_with(3);
    assert!(
        ran.stderr.contains("ExpiredToken: The provided token has expired."),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("next: renew the credentials"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_variable_that_is_set_and_empty_is_named() {
    let environment = [&[("AWS_ENDPOINT_URL", "")], &CREDENTIALS[..]].concat();
    let ran = diff_with(&environment).await.must_end_with(3);
    assert!(
        ran.stderr.contains("next: correct or unset AWS_ENDPOINT_URL"),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_a_bucket_of_another_account_are_neither_read_nor_written() {
    let stage = Stage::new().await;
    stage.both("key", "content");
    stage.put(STATE, "manifest.json", "{}");
    stage.server.model().bucket_mut(STATE).expect("made").owner = STRANGER.to_owned();
    let owners = ["--source-bucket-owner", ACCOUNT, "--destination-bucket-owner", ACCOUNT];
    let file = format!("s3://{STATE}/manifest.json");
    for (command, flag) in [
        ("diff", "--source-inventory"),
        ("diff", "--destination-inventory"),
        ("verify", "--source-checksums"),
        ("verify", "--destination-checksums"),
        ("verify", "--inconclusive-manifest"),
        ("sync", "--manifest"),
    ] {
        let arguments = [&owners[..], &[flag, &file]].concat();
        let ran = stage.on_both(command, &arguments).await.must_end_with(3);
        assert!(
            ran.stderr.contains(&format!("owned by account {ACCOUNT}")),
            "{flag}: {ran:?}"
        );
    }
    assert_eq!(stage.objects(STATE), 1);
}

/// Answers as S3 does to credentials that have expired: a HEAD without a body, anything else with the reason.
async fn expired() -> String {
    const BODY: &str = "<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code>\
                        <Message>The provided token has expired.</Message></Error>";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(connection.read_u8().await.expect("a request"));
            }
            let body = if request.starts_with(b"HEAD") { "" } else { BODY };
            let answer = format!(
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            connection.write_all(answer.as_bytes()).await.expect("the client reads");
        }
    });
    endpoint
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_endpoints_are_named_and_exit_with_3() {
    // Bound, so that no other process takes the port, and closed.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    // Names below `invalid` are never resolved, by RFC 6761.
    for endpoint in [closed.as_str(), "http://s3.invalid:9000"] {
        let environment = [&[("AWS_ENDPOINT_URL", endpoint)], &CREDENTIALS[..]].concat();
        let ran = diff_with(&environment).await.must_end_with(3);
        let expected = format!("the endpoint {endpoint} does not respond: ");
        assert!(ran.stderr.contains(&expected), "{expected}: {ran:?}");
        assert!(ran.stderr.contains("correct --endpoint-url"), "{ran:?}");
    }
}
