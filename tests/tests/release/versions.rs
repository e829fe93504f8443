//! What a build says about itself.

use std::process::Command;

use s3ferry_tests::tools;

#[path = "../../../build/version.rs"]
#[allow(dead_code, reason = "only the conversion of dates is tested here")]
mod build;

#[test]
fn seconds_of_a_build_become_its_date() {
    for (seconds, date) in [
        (0, "1970-01-01"),
        (951_782_399, "2000-02-28"),
        (951_782_400, "2000-02-29"),
        (951_868_800, "2000-03-01"),
        (1_798_675_199, "2026-12-30"),
        (4_107_542_400, "2100-03-01"),
        (-1, "1969-12-31"),
    ] {
        assert_eq!(build::date_of(seconds), date);
    }
}

#[test]
fn version_of_the_cli_names_the_commit_or_a_development_build() {
    let output = Command::new(tools::cli().expect("the CLI"))
        .arg("--version")
        .output()
        .expect("the CLI runs");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let build = printed
        .trim_end()
        .strip_prefix(concat!("s3ferry ", env!("CARGO_PKG_VERSION"), " ("))
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or_else(|| panic!("{printed}"));
    let is_commit = build
        .split_once(' ')
        .is_some_and(|(commit, date)| commit.len() == 12 && date.len() == 10);
    assert!(is_commit || build == "development build", "{printed}");
}
