//! Requests to S3 and SQS as sent, and their responses as read, with recorded responses.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test data is valid")]

mod annotations;
mod attribute_updates;
#[cfg(feature = "batch")]
mod batch_jobs;
mod contents;
mod copies;
mod files;
mod journal;
mod layouts;
mod owners;
mod queue;
mod reads;
mod recorded;
mod timeouts;
mod uploads;
mod versions;
