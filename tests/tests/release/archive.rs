//! `scripts/dist.py`, with the built functions and CLI.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use s3ferry_tests::deployment::Deployment;
use s3ferry_tests::emulator::EmulatorOptions;
use s3ferry_tests::tools;
use s3ferry_tests::upload::TestUpload;
use serde_json::Value;
use tempfile::TempDir;

/// Functions of the archive.
const FUNCTIONS: [&str; 3] = ["replicator", "final-sync", "bucket-wiring"];

/// Runs the script with the functions in `folder`; returns whether it succeeds, and its standard error.
fn run(folder: &Path, dist: &Path) -> (bool, String) {
    let output = Command::new("python3")
        .arg(super::script("dist.py"))
        .arg("--dist")
        .arg(dist)
        .arg("--functions")
        .arg(format!("x86_64={}", folder.display()))
        .arg("--cli")
        .arg(tools::cli().expect("the CLI"))
        .output()
        .expect("python3");
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Returns the folder of the built functions.
fn functions() -> PathBuf {
    let replicator = tools::function("replicator").expect("the functions");
    let folder = replicator.parent().and_then(Path::parent);
    folder.expect("a folder").to_owned()
}

/// Makes an archive in a new folder, outside of the repository.
fn dist() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (passed, printed) = run(&functions(), folder.path());
    assert!(passed, "{printed}");
    folder
}

/// Adds every file below `folder` to `found`, by its path below `root`.
fn contents(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            contents(root, &path, found);
        } else {
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            found.insert(name, fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn archives_of_the_same_programs_have_the_same_bytes() {
    let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
    for files in [&mut first, &mut second] {
        let dist = dist();
        contents(dist.path(), dist.path(), files);
    }
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>(),);
    for (name, bytes) in &first {
        assert!(second[name] == *bytes, "{name}");
    }
    for name in FUNCTIONS {
        assert!(first.contains_key(&format!("functions/x86_64/{name}.zip")), "{name}");
    }
    let sums = String::from_utf8(first["SHA256SUMS"].clone()).expect("UTF-8");
    let summed: BTreeSet<&str> = sums.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
    let expected: BTreeSet<&str> = first
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "SHA256SUMS")
        .collect();
    assert_eq!(summed, expected);
}

#[test]
fn archive_is_described_by_its_checksums_bills_of_materials_and_licences() {
    let dist = dist();
    let checked = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(dist.path())
        .output()
        .expect("sha256sum");
    assert!(checked.status.success(), "{checked:?}");
    let licences = fs::read_to_string(dist.path().join("THIRD-PARTY-LICENSES.txt")).expect("licences");
    for program in ["functions", "cli"] {
        let path = dist.path().join(format!("sbom/s3ferry-{program}.cdx.json"));
        let document: Value = serde_json::from_slice(&fs::read(path).expect("a document")).expect("JSON");
        let components = document["components"].as_array().expect("components");
        assert!(components.len() > 100, "{program}: {}", components.len());
        for component in components {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
            let (name, version) = (component["name"].as_str(), component["version"].as_str());
            let (name, version) = (name.expect("a name"), version.expect("a version"));
            let is_own = name.starts_with("s3ferry-");
            assert_eq!(component["hashes"][0]["alg"] == "SHA-256", !is_own, "{component}");
            assert_eq!(licences.contains(&format!("  {name} {version}: ")), !is_own, "{name}");
        }
        assert!(
            components
                .iter()
                .all(|component| component["name"] != "s3ferry-testkit")
        );
    }
}

#[test]
fn program_of_another_architecture_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in FUNCTIONS {
        let mut program = Vec::new();
        let built = fs::File::open(tools::function(name).expect("a function")).expect("a function");
        built.take(64).read_to_end(&mut program).expect("a header");
        // The machine in the header of an ELF file.
        program[18] = 183;
        fs::create_dir(folder.path().join(name)).expect("a folder");
        fs::write(folder.path().join(name).join("bootstrap"), program).expect("a program");
    }
    let (passed, printed) = run(folder.path(), &folder.path().join("dist"));
    assert!(!passed);
    assert!(printed.contains("bootstrap is no program for x86_64"), "{printed}");
}

#[test]
fn templates_of_the_archive_are_valid() {
    let dist = dist();
    for template in ["destination.yaml", "source.yaml"] {
        let output = Command::new(tools::sam().expect("the SAM CLI"))
            .env("SAM_CLI_TELEMETRY", "0")
            .args([
                "validate",
                "--lint",
                "--region",
                "us-east-1",
                "--template-file",
                template,
            ])
            .current_dir(dist.path())
            .output()
            .expect("sam");
        assert!(output.status.success(), "{output:?}");
    }
}

/// The folder has nothing but the archive's files, and `sam deploy` builds nothing.
#[tokio::test]
async fn stacks_deploy_from_an_unpacked_archive_and_replicate() {
    let dist = dist();
    let mut deployment = Deployment::prepare(EmulatorOptions::default()).await.expect("emulator");
    deployment.templates = dist.path().to_owned();
    deployment.source.enable_versioning().await.expect("versioning");
    deployment.deploy_destination().await.expect("destination stack");
    let stack = deployment.deploy_source("s3ferry", &[]).await.expect("source stack");
    TestUpload::new("one.txt", "one")
        .write(&deployment.source)
        .await
        .expect("write");
    deployment.until_equal("").await.expect("the object is copied");
    stack.until_idle().await.expect("idle");
}
