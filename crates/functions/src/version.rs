//! Version of this build.

/// Version of the release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Commit and date that the functions are built from, or `development build`.
pub const BUILD: &str = env!("S3FERRY_BUILD");

/// Both, as the CLI prints its own version.
pub const FULL_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("S3FERRY_BUILD"), ")");
