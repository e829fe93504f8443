//! The workflows, beyond what `make check-workflows` reads.

use std::fs;

use s3ferry_tests::tools::repository;

/// Returns the text of each workflow, with its name.
fn workflows() -> Vec<(String, String)> {
    let folder = repository().join(".github/workflows");
    let mut found: Vec<(String, String)> = fs::read_dir(folder)
        .expect("workflows")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a workflow");
            (path.display().to_string(), text)
        })
        .collect();
    found.sort();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn every_action_is_pinned_by_a_commit_with_its_version() {
    let mut actions = 0;
    for (path, text) in workflows() {
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, action) = line.split_once("uses:").expect("an action");
            let (pinned, version) = action.split_once(" # v").unwrap_or_else(|| panic!("{path}: {line}"));
            let (_, commit) = pinned.split_once('@').unwrap_or_else(|| panic!("{path}: {line}"));
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && version.split('.').count() == 3, "{path}: {line}");
            actions += 1;
        }
    }
    assert!(actions > 5, "{actions}");
}

#[test]
fn every_job_runs_a_target_that_exists() {
    let makefile = fs::read_to_string(repository().join("Makefile")).expect("Makefile");
    let mut named = 0;
    for (path, text) in workflows() {
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("- run: make ")) {
            for target in line.split(' ').take_while(|word| !word.contains('=')) {
                assert!(makefile.contains(&format!("\n{target}:")), "{path}: make {target}");
                named += 1;
            }
        }
    }
    assert!(named >= 5, "{named}");
}

#[test]
fn no_workflow_has_permissions_by_default() {
    for (path, text) in workflows() {
        assert!(text.contains("\npermissions: {}\n"), "{path}");
        assert!(text.contains("\nconcurrency:\n"), "{path}");
    }
}
