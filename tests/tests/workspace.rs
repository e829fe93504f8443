//! Rules of the workspace that the compiler does not check.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn cargo_tree(package: &str) -> String {
    cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none"])
}

#[test]
fn every_tool_is_pinned() {
    for name in ["build", "ministack", "moto", "peers", "sam", "sim-clients", "workflows"] {
        let requirements = text(&repository().join(format!("tests/tools/{name}.txt")));
        for line in requirements
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            assert!(line.contains("=="), "{name}.txt: {line}");
        }
    }
}

#[test]
fn every_crate_inherits_the_workspace_lints() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON of cargo metadata");
    let packages = metadata.get("packages").and_then(Value::as_array).expect("packages");
    assert!(packages.len() >= 6, "{packages:?}");
    for package in packages {
        let path = package.get("manifest_path").and_then(Value::as_str).expect("a path");
        assert!(text(Path::new(path)).contains("[lints]\nworkspace = true\n"), "{path}");
    }
}

/// The core must not depend on a clock, randomness, a runtime, AWS or files.
#[test]
fn core_has_no_dependency_with_io() {
    const ALLOWED: &[&str] = &[
        // SHA-256, for names of journal entries and for origin markers.
        "block-buffer",
        "cfg-if",
        "cpufeatures",
        "crypto-common",
        "digest",
        "hybrid-array",
        "sha2",
        "typenum",
        // CSV, in memory.
        "csv",
        "csv-core",
        "ryu",
        // Dates.
        "deranged",
        "num-conv",
        "powerfmt",
        "time",
        "time-core",
        // TOML, in memory, and similar names.
        "serde_spanned",
        "strsim",
        "toml",
        "toml_datetime",
        "toml_parser",
        "winnow",
        // Unicode's normalization forms.
        "tinyvec",
        "tinyvec_macros",
        "unicode-normalization",
        // Other.
        "hex",
        "itoa",
        "memchr",
        "percent-encoding",
        "proc-macro2",
        "quote",
        "s3ferry-core",
        "serde",
        "serde_core",
        "serde_derive",
        "serde_json",
        "syn",
        "thiserror",
        "thiserror-impl",
        "unicode-ident",
        "zmij",
    ];
    let tree = cargo_tree("s3ferry-core");
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("s3ferry-core"));
    let unexpected: Vec<&&str> = names.iter().filter(|name| !ALLOWED.contains(name)).collect();
    assert!(unexpected.is_empty(), "s3ferry-core depends on {unexpected:?}");
}

/// The cold start of a function depends mostly on the size of its binary.
#[test]
fn functions_do_not_contain_sdks_of_the_cli() {
    let (functions, cli) = (cargo_tree("s3ferry-functions"), cargo_tree("s3ferry-cli"));
    for name in [
        "aws-sdk-cloudformation",
        "aws-sdk-cloudwatch",
        "aws-sdk-kms",
        "aws-sdk-lambda",
        "aws-sdk-s3control",
        "aws-sdk-sfn",
    ] {
        let names = |tree: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
        assert!(names(&cli) && !names(&functions), "{name}");
    }
    let runtime = |tree: &str| tree.lines().any(|line| line.starts_with("lambda_runtime "));
    assert!(runtime(&functions) && !runtime(&cli));
}

#[test]
fn shipped_crates_do_not_contain_the_testkit() {
    for package in [
        "s3ferry-core",
        "s3ferry-engine",
        "s3ferry-aws",
        "s3ferry-functions",
        "s3ferry-cli",
    ] {
        let tree = cargo_tree(package);
        assert!(!tree.contains("s3ferry-testkit"), "{package} contains the testkit");
        assert!(tree.contains(package));
    }
}

#[test]
fn engine_depends_on_neither_sdk_nor_runtime() {
    let tree = cargo_tree("s3ferry-engine");
    for forbidden in ["aws-", "tokio", "hyper", "lambda_runtime"] {
        let found: Vec<&str> = tree.lines().filter(|line| line.starts_with(forbidden)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
