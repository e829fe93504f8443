//! Real clients find S3's behaviour in the simulator: the Python tests in `tests/sim/` with boto3, and with the AWS
//! CLI, s5cmd and rclone.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::path::Path;

use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::tools;
use tokio::process::Command;

/// Runs one file of Python tests against a simulator of its own.
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
async fn objects_are_those_of_s3_to_boto3() {
    run("test_objects").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_locks_and_buckets_are_those_of_s3_to_boto3() {
    run("test_versions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_those_of_s3_to_boto3() {
    run("test_copies").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_in_parts_are_those_of_s3_to_boto3() {
    run("test_multipart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_those_of_s3_to_boto3() {
    run("test_listings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn side_door_and_faults_do_what_they_say() {
    run("test_side_door").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_s5cmd_and_rclone_work_unchanged() {
    run("test_clients").await;
}
