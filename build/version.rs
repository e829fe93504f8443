//! Build script of the CLI and of the functions: which commit they are built from.
//!
//! Sets `S3FERRY_BUILD` to the commit and its date, such as `1a2b3c4d5e6f 2026-11-28`. They come from
//! `S3FERRY_BUILD_COMMIT` and `SOURCE_DATE_EPOCH` if these are set, else from git. Debug builds say `development build`
//! instead: they would otherwise be compiled again after every commit, or name a wrong one.

#![expect(clippy::print_stdout, reason = "cargo reads instructions from standard output")]

use std::env;
use std::process::Command;

/// Length of the commit in the version.
const COMMIT_LENGTH: usize = 12;

fn main() {
    for variable in ["S3FERRY_BUILD_COMMIT", "SOURCE_DATE_EPOCH"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=../../build/version.rs");
    println!("cargo::rustc-env=S3FERRY_BUILD={}", build());
}

/// Returns what the version says about the build.
fn build() -> String {
    let given = env::var("S3FERRY_BUILD_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if given.is_none() && !is_release {
        return "development build".to_owned();
    }
    let commit = given
        .or_else(head)
        .map(|commit| commit.chars().take(COMMIT_LENGTH).collect::<String>());
    let date = given_date().or_else(|| git(&["show", "--no-patch", "--format=%cs", "HEAD"]));
    match (commit, date) {
        (Some(commit), Some(date)) => format!("{commit} {date}"),
        (Some(commit), None) => commit,
        // An unpacked source archive has no history.
        (None, _) => "unknown commit".to_owned(),
    }
}

/// Returns the commit that git has checked out, and builds again once that changes.
fn head() -> Option<String> {
    let commit = git(&["rev-parse", "HEAD"])?;
    // Git writes a line into this file for every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    Some(commit)
}

/// Returns the output of a git command; `None` without git or outside of a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the date of `SOURCE_DATE_EPOCH`: <https://reproducible-builds.org/specs/source-date-epoch/>.
fn given_date() -> Option<String> {
    let seconds = env::var("SOURCE_DATE_EPOCH").ok()?.parse().ok()?;
    Some(date_of(seconds))
}

/// Returns the date of a time in seconds after 1 January 1970:
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
#[must_use]
pub(crate) fn date_of(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
