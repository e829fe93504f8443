//! Version of this build.

/// Version of the release, and the commit and date that it is built from.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("S3FERRY_BUILD"), ")");
