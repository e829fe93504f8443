//! Tests of the S3 simulator with real clients: the Python tests in `tests/sim/` with boto3, and with the AWS CLI,
//! s5cmd and rclone.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::path::Path;

use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::tools;
use tokio::process::Command;

/// Runs one file of Python tests against a new simulator.
async fn run(module: &str) {
    let server = SimServer::start(ServerOptions::default())
        .await
        .expect("the simulator starts");
    let output = Command::new(tools::sim_python().expect("the clients are installed"))
        .args(["-B", "-m", "unittest", "--verbose", module])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("sim"))
        .env_clear()
        .env("S3SIM_ENDPOINT", server.endpoint())
        .env("PATH", "/usr/bin:/bin")
        .kill_on_drop(true)
        .output()
        .await
        .expect("Python runs");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
    assert!(report.contains("\nOK\n"), "no test ran: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_reads_and_writes_objects_as_on_s3() {
    run("test_objects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_uses_versions_locks_and_buckets_as_on_s3() {
    run("test_versions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_copies_objects_as_on_s3() {
    run("test_copies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_uses_multipart_uploads_as_on_s3() {
    run("test_multipart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_lists_objects_as_on_s3() {
    run("test_listings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn side_door_changes_state_and_injects_faults() {
    run("test_side_door").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_s5cmd_and_rclone_work_unchanged() {
    run("test_clients").await;
}
