//! Buckets and prefixes, as flags name them.

pub use s3ferry_core::location::{Location, LocationError};
