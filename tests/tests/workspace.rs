//! Rules of the workspace that no compiler checks.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::path::Path;
use std::process::Command;

fn cargo_tree(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[test]
fn what_ships_does_not_contain_the_testkit() {
    for package in [
        "s3ferry-core",
        "s3ferry-engine",
        "s3ferry-aws",
        "s3ferry-functions",
        "s3ferry-cli",
    ] {
        let tree = cargo_tree(package);
        assert!(!tree.contains("s3ferry-testkit"), "{package} ships the testkit");
        assert!(tree.contains(package));
    }
}

#[test]
fn engine_knows_neither_sdk_nor_runtime() {
    let tree = cargo_tree("s3ferry-engine");
    for forbidden in ["aws-", "tokio", "hyper", "lambda_runtime"] {
        let found: Vec<&str> = tree.lines().filter(|line| line.starts_with(forbidden)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
