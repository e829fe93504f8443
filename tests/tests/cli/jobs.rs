//! `s3ferry batch` with S3 Batch Operations: no emulator has its jobs, so a double answers in the documented form.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::stage::{DESTINATION, Ran, STATE, Stage, ended, start};

const ID: &str = "f8fb9d89-a3aa-461d-bddc-ea6a1b131955";
const ARN: &str = "arn:aws:s3:us-east-1:123456789012:job/f8fb9d89-a3aa-461d-bddc-ea6a1b131955";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:s3ferry-final-sync";
const ROLE: &str = "arn:aws:iam::123456789012:role/batch";

/// What the double was asked, and how its job goes on.
#[derive(Debug, Default)]
struct Asked {
    /// Region of the signature, token and body of each request for a job.
    created: Vec<(String, String, String)>,
    is_confirmed: bool,
    described: usize,
    failed: u64,
}

/// A double of S3 Control.
struct Double {
    url: String,
    asked: Arc<Mutex<Asked>>,
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Double {
    async fn start(failed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Asked {
            failed,
            ..Asked::default()
        }));
        let shared = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // The connection ends with the command, so its error does not matter.
                    drop(connection.await);
                });
            }
        });
        Self { url, asked }
    }

    async fn run(&self, stage: &Stage, arguments: &[&str]) -> Ran {
        let endpoint: &str = stage.server.endpoint();
        let environment = [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ENDPOINT_URL_S3_CONTROL", &self.url),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        ended(start(stage.folder(), &environment, "batch", &arguments)).await
    }
}

async fn answer(request: Request<Incoming>, asked: Arc<Mutex<Asked>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (account, credential) = (header("x-amz-account-id"), header("authorization"));
    let region = credential.split('/').nth(2).unwrap_or_default().to_owned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = match request.into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => return Ok(reply(StatusCode::BAD_REQUEST, &error.to_string())),
    };
    let mut asked = lock(&asked);
    let job = format!("/v20180820/jobs/{ID}");
    Ok(match (method, path.as_str()) {
        _ if account != "123456789012" => reply(StatusCode::FORBIDDEN, &refusal("AccessDenied")),
        (Method::POST, "/v20180820/jobs") => {
            let token = between(&body, "ClientRequestToken").to_owned();
            asked.created.push((region, token, body));
            reply(
                StatusCode::OK,
                &format!("<CreateJobResult><JobId>{ID}</JobId></CreateJobResult>"),
            )
        }
        (Method::GET, path) if path == job => {
            asked.described += 1;
            reply(StatusCode::OK, &describe(&asked))
        }
        (Method::POST, path) if path == format!("{job}/status") && query.contains("requestedJobStatus=Ready") => {
            asked.is_confirmed = true;
            reply(StatusCode::OK, "<UpdateJobStatusResult/>")
        }
        _ => reply(StatusCode::NOT_FOUND, &refusal("NotFoundException")),
    })
}

fn describe(asked: &Asked) -> String {
    let waits = asked
        .created
        .iter()
        .any(|(_, _, body)| between(body, "ConfirmationRequired") == "true");
    let (state, done, failed) = match (waits && !asked.is_confirmed, asked.described) {
        (true, _) => ("Suspended", 0, 0),
        (_, 0..=2) => ("Active", 1, 0),
        _ => ("Complete", 2 - asked.failed, asked.failed),
    };
    format!(
        "<DescribeJobResult><Job><JobId>{ID}</JobId><Status>{state}</Status><ProgressSummary>\
         <TotalNumberOfTasks>2</TotalNumberOfTasks><NumberOfTasksSucceeded>{done}</NumberOfTasksSucceeded>\
         <NumberOfTasksFailed>{failed}</NumberOfTasksFailed></ProgressSummary><Report><Enabled>true</Enabled>\
         <Bucket>arn:aws:s3:::{STATE}</Bucket><Prefix>final-sync/reports</Prefix></Report></Job></DescribeJobResult>"
    )
}

fn refusal(code: &str) -> String {
    format!("<ErrorResponse><Error><Code>{code}</Code><Message>refused</Message></Error></ErrorResponse>")
}

fn reply(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}

/// The text of the first element of a name.
fn between<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split_once(&format!("</{name}>")).map_or("", |(text, _)| text)
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_job_is_not_advised_to_run_elsewhere() {
    let (stage, control) = (Stage::new().await, Double::start(0).await);
    let missing = ARN.replace("f8fb9d89", "00000000");
    for arguments in [
        &["status", &missing][..],
        &["status", &missing, "--confirm"],
        &["report", &missing],
    ] {
        let ran = control.run(&stage, arguments).await.must_end_with(3);
        assert!(!ran.stderr.contains("--service"), "{ran:?}");
        assert!(
            ran.stderr
                .contains("next: pass the job as `s3ferry batch start` printed it"),
            "{ran:?}"
        );
    }
}

async fn staged() -> Stage {
    let stage = Stage::new().await;
    stage.put(
        STATE,
        "final-sync/run.csv",
        "cli-source,fine\ncli-source,archived%20a%2Bb.txt\n",
    );
    stage
}

const START: [&str; 10] = [
    "start",
    "--manifest",
    "s3://cli-state/final-sync/run.csv",
    "--source-region",
    "us-east-1",
    "--report-prefix",
    "s3://cli-state/final-sync/reports",
    "--output",
    "json",
    "--role-arn",
];

fn starting<'a>(more: &[&'a str]) -> Vec<&'a str> {
    START
        .iter()
        .copied()
        .chain([ROLE])
        .chain(more.iter().copied())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_without_s3_control_is_named_with_the_ways_around_it() {
    let stage = staged().await;
    let status = ["status", ARN, "--output", "json"].map(str::to_owned);
    let ran = stage.run("batch", &status).await.must_end_with(3);
    let asked = format!("(S3 Control endpoint: {})", stage.server.endpoint());
    for expected in [asked.as_str(), "AWS_ENDPOINT_URL_S3_CONTROL"] {
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
    // A job that exists cannot be moved to another service.
    assert!(!ran.stderr.contains("--service"), "{ran:?}");
    let start: Vec<String> = starting(&["--function-arn", FUNCTION])
        .iter()
        .map(|word| (*word).to_owned())
        .collect();
    let ran = stage.run("batch", &start).await.must_end_with(3);
    assert!(ran.stderr.contains("service: s3-batch-operations"), "{ran:?}");
    for expected in [
        asked.as_str(),
        "--service step-functions",
        "s3ferry sync --manifest",
        "AWS_ENDPOINT_URL_S3_CONTROL",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_created_once_followed_and_its_failures_become_a_retry_manifest() {
    let (stage, double) = (staged().await, Double::start(1).await);
    let start = starting(&[
        "--function-arn",
        FUNCTION,
        "--user-argument",
        "compare-attributes=always",
    ]);
    for _ in 0..2 {
        let ran = double.run(&stage, &start).await.must_end_with(0);
        assert_eq!(
            ran.json(),
            [json!({ "type": "job", "service": "s3-batch-operations", "id": ID, "job": ARN })]
        );
    }
    let created = lock(&double.asked).created.clone();
    let (region, token, body) = &created[0];
    assert_eq!(
        (created[1].1.as_str(), token.len()),
        (token.as_str(), 64),
        "both are the same job"
    );
    assert_eq!(region, "us-east-1");
    for (name, text) in [
        ("FunctionArn", FUNCTION),
        ("InvocationSchemaVersion", "2.0"),
        ("key", "compare-attributes"),
        ("value", "always"),
        ("ObjectArn", "arn:aws:s3:::cli-state/final-sync/run.csv"),
        ("Format", "S3BatchOperations_CSV_20180820"),
        ("Bucket", "arn:aws:s3:::cli-state"),
        ("Prefix", "final-sync/reports"),
        ("ReportScope", "AllTasks"),
        ("RoleArn", ROLE),
        ("ConfirmationRequired", "false"),
    ] {
        assert!(body.contains(&format!("<{name}>{text}</{name}>")), "{name} in {body}");
    }
    assert!(
        body.contains("<Fields><member>Bucket</member><member>Key</member></Fields>"),
        "{body}"
    );
    assert_eq!(between(body, "ETag").len(), 32, "{body}");

    let other = starting(&["--function-arn", FUNCTION, "--run", "2"]);
    double.run(&stage, &other).await.must_end_with(0);
    assert_ne!(lock(&double.asked).created[2].1, *token, "another run is another job");

    let status = double
        .run(&stage, &["status", ARN, "--follow", "--every", "1", "--output", "json"])
        .await;
    let status = status.must_end_with(1).json();
    assert_eq!(
        (&status[0]["state"], &status[0]["failed"]),
        (&json!("Complete"), &json!(1))
    );

    put_report(&stage);
    let report = double
        .run(
            &stage,
            &["report", ARN, "--retry-manifest", "retry.csv", "--output", "json"],
        )
        .await;
    let report = report.must_end_with(1);
    assert_eq!(
        report.summary()["outcomes"],
        json!({ "copied": 1, "failed:ArchivedNotRestored": 1 }),
        "{report:?}"
    );
    let retry_manifest = std::fs::read_to_string(stage.folder().join("retry.csv")).expect("the retry manifest");
    assert_eq!(retry_manifest, "cli-source,archived%20a%2Bb.txt\n");
    let shown = double.run(&stage, &["report", ARN]).await.must_end_with(1);
    assert!(shown.stdout.contains("failed  archived a+b.txt\n"), "{shown:?}");
}

/// Writes a completion report as S3 does.
fn put_report(stage: &Stage) {
    let folder = format!("final-sync/reports/job-{ID}");
    stage.put(
        STATE,
        &format!("{folder}/results/1.csv"),
        "cli-source,fine,,succeeded,200,,copied 3 bytes as version v2\n",
    );
    stage.put(
        STATE,
        &format!("{folder}/results/2.csv"),
        "cli-source,archived%20a%2Bb.txt,,failed,200,PermanentFailure,\"failed (permanent) ArchivedNotRestored: \
         s3:GetObject on it, next: restore\"\n",
    );
    let file = |status: &str, md5: &str, name: &str| {
        json!({
            "TaskExecutionStatus": status, "Bucket": STATE, "MD5Checksum": md5, "Key": format!("{folder}/results/{name}"),
        })
    };
    let index = json!({
        "Format": "Report_CSV_20180820",
        "ReportCreationDate": "2026-11-23T05:48:39.725Z",
        "Results": [
            file("succeeded", "c546c7b1b2dea0dd57e666b94c7e4c80", "1.csv"),
            file("failed", "f53d57c344337469a6387cdfdcc3d789", "2.csv"),
        ],
        "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage",
    });
    stage.put(STATE, &format!("{folder}/manifest.json"), &index.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_needs_a_confirmation_waits_for_it() {
    let (stage, double) = (staged().await, Double::start(0).await);
    let start = starting(&["--function-arn", FUNCTION, "--confirmation-required"]);
    let ran = double.run(&stage, &start).await.must_end_with(0);
    assert!(ran.stderr.contains("--confirm\n"), "{ran:?}");
    // Following a job that waits for its operator would never end.
    let status = double.run(&stage, &["status", ARN, "--follow"]).await.must_end_with(1);
    assert!(status.stdout.starts_with("Suspended"), "{status:?}");
    let report = double.run(&stage, &["report", ARN]).await.must_end_with(3);
    assert!(report.stderr.contains("the job is Suspended"), "{report:?}");
    let confirmed = [
        "status",
        ID,
        "--account",
        "123456789012",
        "--region",
        "us-east-1",
        "--confirm",
        "--follow",
    ];
    double
        .run(&stage, &[&confirmed[..], &["--every", "1"]].concat())
        .await
        .must_end_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_made_in_the_destinations_region_and_checksums_in_the_sources() {
    let (stage, double) = (staged().await, Double::start(0).await);
    let to = format!("s3://{DESTINATION}");
    let copy = starting(&[
        "--operation",
        "copy",
        "--destination",
        &to,
        "--destination-region",
        "eu-central-1",
        "--storage-class",
        "STANDARD_IA",
    ]);
    let ran = double.run(&stage, &copy).await.must_end_with(0);
    assert_eq!(ran.json()[0]["job"], ARN.replace("us-east-1", "eu-central-1"));
    double
        .run(&stage, &starting(&["--operation", "compute-checksum"]))
        .await
        .must_end_with(0);
    let created = lock(&double.asked).created.clone();
    let (region, _, body) = &created[0];
    assert_eq!(region, "eu-central-1");
    assert_eq!(between(body, "TargetResource"), "arn:aws:s3:::cli-destination");
    assert_eq!(between(body, "StorageClass"), "STANDARD_IA");
    let (region, _, body) = &created[1];
    assert_eq!(region, "us-east-1");
    assert!(body.contains("<S3ComputeObjectChecksum>"), "{body}");
    assert_eq!(between(body, "ChecksumAlgorithm"), "CRC64NVME");
    assert_eq!(between(body, "ChecksumType"), "FULL_OBJECT");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_jobs_denials_and_bad_manifests_exit_with_3() {
    let (stage, double) = (staged().await, Double::start(0).await);
    let other = ARN.replace("f8fb", "0000");
    let ran = double.run(&stage, &["status", &other]).await.must_end_with(3);
    assert!(
        ran.stderr.contains("NotFoundException") && ran.stderr.contains("s3:DescribeJob"),
        "{ran:?}"
    );
    let denied = starting(&["--function-arn", FUNCTION, "--account", "210987654321"]);
    let ran = double.run(&stage, &denied).await.must_end_with(3);
    assert!(ran.stderr.contains("iam:PassRole on the job's role"), "{ran:?}");
    stage.put(STATE, "final-sync/run.csv", "Bucket,Key\n");
    let ran = double
        .run(&stage, &starting(&["--function-arn", FUNCTION]))
        .await
        .must_end_with(3);
    assert!(
        ran.stderr
            .contains("s3://cli-state/final-sync/run.csv, row 1: the manifest has a header row"),
        "{ran:?}"
    );
    stage.delete(STATE, "final-sync/run.csv");
    let ran = double
        .run(&stage, &starting(&["--function-arn", FUNCTION]))
        .await
        .must_end_with(3);
    assert!(ran.stderr.contains("NoSuchKey"), "{ran:?}");
    assert_eq!(lock(&double.asked).created.len(), 0, "no job was made of any of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_a_service_does_not_take_are_refused() {
    let stage = Stage::new().await;
    let object = "s3://state/final-sync/a.csv";
    for (arguments, expected) in [
        (&["--manifest", "a.csv"][..], "must be an object"),
        (
            &["--manifest", object, "--source", "s3://cli-source"],
            "unexpected argument '--source'",
        ),
        (&["--manifest", object, "--acl", "copy"], "unexpected argument '--acl'"),
        (
            &[
                "--service",
                "step-functions",
                "--operation",
                "copy",
                "--manifest",
                object,
                "--destination",
                "s3://cli-destination",
                "--destination-region",
                "eu-central-1",
            ],
            "requires --service s3-batch-operations",
        ),
        (&["--operation", "copy", "--manifest", object], "--destination <S3_URL>"),
        (
            &["--manifest", object, "--source-region", "us-east-1"],
            "pass --function-arn, or --stack",
        ),
        (
            &["--manifest", object, "--user-argument", "speed=high"],
            "user argument `speed` is not supported",
        ),
        (
            &["--manifest", object, "--user-argument", "compare-attributes=abyss"],
            "allowed: as-needed, always",
        ),
        (
            &["--manifest", object, "--user-argument", "attributes"],
            "must be NAME=VALUE",
        ),
    ] {
        let arguments: Vec<String> = ["start"]
            .iter()
            .chain(arguments)
            .map(|word| (*word).to_owned())
            .collect();
        let ran = stage.run("batch", &arguments).await.must_end_with(2);
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
    let status = ["status", "somewhere"].map(str::to_owned);
    let ran = stage.run("batch", &status).await.must_end_with(2);
    assert!(ran.stderr.contains("`somewhere` is not a job"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_report_is_refused_by_its_md5() {
    let (stage, double) = (staged().await, Double::start(1).await);
    for _ in 0..4 {
        double.run(&stage, &["status", ARN]).await;
    }
    put_report(&stage);
    stage.put(
        STATE,
        &format!("final-sync/reports/job-{ID}/results/1.csv"),
        "cli-source,fine,,succeeded,200,,copied nothing\n",
    );
    let report = double.run(&stage, &["report", ARN]).await.must_end_with(3);
    assert!(report.stderr.contains("has the MD5"), "{report:?}");
}
