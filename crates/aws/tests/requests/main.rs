//! What is sent to S3 and SQS, and how their answers are taken, with recorded answers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test data is what the test made it"
)]

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
