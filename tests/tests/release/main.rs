//! What a release consists of: notes, archives and templates that deploy without the repository.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod archive;
mod notes;
mod versions;
mod workflows;

use std::path::PathBuf;

use s3ferry_tests::tools::repository;

/// Returns the path of a script.
fn script(name: &str) -> PathBuf {
    repository().join("scripts").join(name)
}
