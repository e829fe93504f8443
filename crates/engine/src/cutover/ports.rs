//! The ports of a cutover: traits through which it reaches buckets, queues, applications and the operator.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use s3ferry_core::cutover::certificate::CutoverCertificate;
use s3ferry_core::cutover::{CutoverState, CutoverStep, Measurements, OperatorName, StepRecord};
use s3ferry_core::diff::SideName;
use s3ferry_core::failure::Failure;
use s3ferry_core::names::ETag;
use s3ferry_core::time::Timestamp;
use serde_json::{Value, json};

use super::CutoverRefusal;
use crate::ports::WriteError;

/// A state that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCutover {
    /// ETag, for a condition.
    pub etag: ETag,
    /// The stored JSON.
    pub body: Vec<u8>,
}

/// Result of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepOutcome {
    /// Why the gate is not met.
    pub blocked_by: Option<String>,
    /// What the step measured.
    pub measured: Measurements,
}

impl StepOutcome {
    /// Returns the outcome of a step whose gate is met.
    #[must_use]
    pub fn met() -> Self {
        Self::default()
    }

    /// Returns the outcome of a step whose gate is not met.
    pub fn not_met(by: impl Into<String>) -> Self {
        Self {
            blocked_by: Some(by.into()),
            measured: Measurements::new(),
        }
    }

    /// Adds a measurement.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.measured.insert(name.to_owned(), value.into());
        self
    }

    /// Adds measurements.
    #[must_use]
    pub fn with_all(mut self, measured: Measurements) -> Self {
        self.measured.extend(measured);
        self
    }
}

/// One probe of every kind of write, none of which changes an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeRound {
    /// Operations that were denied.
    pub denied: Vec<String>,
    /// Operations that were not denied.
    pub allowed: Vec<String>,
}

/// A multipart upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlightUpload {
    /// Key of the object.
    pub key: String,
    /// Id of the upload.
    pub upload_id: String,
}

/// Work that has not reached the destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutoverBacklog {
    /// Messages in the queue.
    pub queue: u64,
    /// Messages in the dead-letter queue.
    pub dead_letters: u64,
    /// Entries of the upload journal.
    pub journal: u64,
}

impl CutoverBacklog {
    /// Returns whether no work is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue + self.dead_letters + self.journal == 0
    }
}

/// Digest of all versions of a bucket below the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFingerprint {
    /// Digest.
    pub digest: String,
    /// Number of versions and delete markers.
    pub versions: u64,
}

/// What is left in the source at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResidualData {
    /// Current objects.
    pub objects: u64,
    /// Size of current objects.
    pub bytes: u64,
    /// Noncurrent versions.
    pub noncurrent_versions: u64,
    /// Size of noncurrent versions.
    pub noncurrent_bytes: u64,
    /// Delete markers.
    pub delete_markers: u64,
    /// Multipart uploads in progress.
    pub uploads: u64,
}

impl ResidualData {
    /// Returns the numbers by name.
    #[must_use]
    pub fn measurements(&self) -> Measurements {
        let rows = [
            ("left_objects", self.objects),
            ("left_bytes", self.bytes),
            ("left_noncurrent_versions", self.noncurrent_versions),
            ("left_noncurrent_bytes", self.noncurrent_bytes),
            ("left_delete_markers", self.delete_markers),
            ("left_uploads", self.uploads),
        ];
        rows.into_iter()
            .map(|(name, count)| (name.to_owned(), json!(count)))
            .collect()
    }
}

/// Everything that a cutover reaches.
pub trait CutoverPorts: Send + Sync {
    /// Error of a request or a refusal, which ends the command.
    type Error: From<Failure> + From<CutoverRefusal> + Send;

    /// Reads the state.
    fn load(&self) -> impl Future<Output = Result<Option<StoredCutover>, Self::Error>> + Send;

    /// Creates the state, or replaces it if its ETag is still `seen`.
    fn store(&self, body: Vec<u8>, seen: Option<&ETag>) -> impl Future<Output = Result<ETag, WriteError>> + Send;

    /// Returns whether the holder of a lease is known not to run any more. `seen` is the ETag of the state with its lease.
    fn is_abandoned(
        &self,
        holder: &OperatorName,
        seen: &ETag,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Composes the certificate of a cutover whose buckets were verified.
    fn certificate(&self, state: &CutoverState) -> Result<CutoverCertificate, Self::Error>;

    /// Stores a certificate, unless there is one of this name. Returns the text that is stored.
    fn store_certificate(&self, name: &str, text: &str) -> impl Future<Output = Result<String, Self::Error>> + Send;

    /// Reads the policy of a bucket.
    fn policy(&self, side: SideName) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send;

    /// Replaces the policy of a bucket, or deletes it.
    fn put_policy(&self, side: SideName, policy: Option<&str>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Probes which writes to a bucket are denied.
    fn probe(&self, side: SideName) -> impl Future<Output = Result<ProbeRound, Self::Error>> + Send;

    /// Lists the multipart uploads of the source.
    fn uploads(&self) -> impl Future<Output = Result<Vec<InFlightUpload>, Self::Error>> + Send;

    /// Aborts a multipart upload of the source.
    fn abort_upload(&self, upload: &InFlightUpload) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Counts the work that has not reached the destination.
    fn backlog(&self) -> impl Future<Output = Result<CutoverBacklog, Self::Error>> + Send;

    /// Lists all versions of a bucket.
    fn fingerprint(&self, side: SideName) -> impl Future<Output = Result<BucketFingerprint, Self::Error>> + Send;

    /// Checks that the migration can be cut over.
    fn ready(&self) -> impl Future<Output = Result<StepOutcome, Self::Error>> + Send;

    /// Copies what differs from the source to the destination.
    fn final_sync(&self) -> impl Future<Output = Result<StepOutcome, Self::Error>> + Send;

    /// Compares both buckets.
    fn verify(&self) -> impl Future<Output = Result<StepOutcome, Self::Error>> + Send;

    /// Returns the keys whose object or absence at the destination is not at the source.
    fn keys_ahead(&self) -> impl Future<Output = Result<BTreeSet<String>, Self::Error>> + Send;

    /// Reads s3ferry's notification of the source; `None` if there is none.
    fn notification(&self) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send;

    /// Removes s3ferry's notification of the source, if it exists.
    fn detach_notification(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Adds s3ferry's notification to the source, unless it exists.
    fn attach_notification(&self, notification: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Points applications to a bucket.
    fn switch_to(&self, side: SideName) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Reads which bucket applications are pointed to; `None` if it is neither.
    fn switched_to(&self) -> impl Future<Output = Result<Option<SideName>, Self::Error>> + Send;

    /// Counts what is left in the source.
    fn residual_data(&self) -> impl Future<Output = Result<ResidualData, Self::Error>> + Send;

    /// Shows what a step will do, and asks whether to do it.
    fn confirm(
        &self,
        step: CutoverStep,
        state: &CutoverState,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Reports the state of a step.
    fn report(&self, step: CutoverStep, record: &StepRecord) -> Result<(), Self::Error>;

    /// Returns the current time.
    fn now(&self) -> Timestamp;

    /// Waits for a duration.
    fn sleep(&self, duration: Duration) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Waits until the lease must be renewed.
    fn wait_for_renewal(&self, after: Duration) -> impl Future<Output = ()> + Send;
}
