//! `scripts/release_notes.py`, with the files of an invented repository.

use std::fs;
use std::process::Command;

const CARGO: &str = "[workspace.package]\nversion = \"1.2.0\"\n";

/// Returns whether the script succeeds for `tag`, and what it prints.
fn notes(tag: &str, changelog: &str) -> (bool, String) {
    let root = tempfile::tempdir().expect("a folder");
    let scripts = root.path().join("scripts");
    fs::create_dir(&scripts).expect("scripts");
    fs::copy(super::script("release_notes.py"), scripts.join("release_notes.py")).expect("the script");
    fs::write(root.path().join("Cargo.toml"), CARGO).expect("Cargo.toml");
    fs::write(root.path().join("CHANGELOG.md"), changelog).expect("CHANGELOG.md");
    let output = Command::new("python3")
        .arg(scripts.join("release_notes.py"))
        .arg(tag)
        .output()
        .expect("python3");
    let printed = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8(printed).expect("the script prints UTF-8"),
    )
}

#[test]
fn notes_are_the_section_of_the_released_version() {
    let changelog = "# Changelog\n\n## 1.2.0, 2026-11-28\n\n### Fixed\n\n- A.\n\n## 1.1.0, 2026-10-01\n\n- B.\n";
    assert_eq!(notes("v1.2.0", changelog), (true, "### Fixed\n\n- A.\n".to_owned()));
}

#[test]
fn tag_of_another_version_is_refused() {
    let (passed, printed) = notes("v1.3.0", "## 1.2.0, 2026-11-28\n\n- A.\n");
    assert!(!passed);
    assert!(printed.contains("v1.3.0 is not v1.2.0"), "{printed}");
}

#[test]
fn unreleased_missing_and_empty_sections_are_refused() {
    for (changelog, reason) in [
        ("## 1.2.0, unreleased\n\n- A.\n", "no date"),
        ("## 1.1.0, 2026-10-01\n\n- B.\n", "no section"),
        ("## 1.2.0, 2026-11-28\n\n## 1.1.0, 2026-10-01\n\n- B.\n", "says nothing"),
    ] {
        let (passed, printed) = notes("v1.2.0", changelog);
        assert!(!passed, "{changelog}");
        assert!(printed.contains(reason), "{printed}");
    }
}
