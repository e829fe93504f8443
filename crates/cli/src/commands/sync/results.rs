//! The results of a sync: counts, the failures file, and the summary.

mod summary;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use s3ferry_core::delete_limit::Deletes;
use s3ferry_core::diff::DiffCounts;
use s3ferry_core::facts::Attribute;
use s3ferry_core::failure::{Failure, FailureCode, FailureKind};
use s3ferry_core::names::ObjectKey;
use s3ferry_core::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason, WithheldWrite};
use serde_json::json;

use super::failures_file::{FailureLine, FailuresFile};
use super::manifest_keys::ManifestCounts;
use crate::denials::is_denial;
use crate::exit::{CliError, CommandOutcome};
use crate::failures::FailureCounts;
use crate::output::{Format, Output};
use crate::progress::print_message;
use crate::sides::BucketPair;
use crate::text::escaped_key;

/// The number of equal failures, without a success, that fails the command.
const MAX_EQUAL_FAILURES: u64 = 64;

/// The number of keys of a dry run that are shown; JSON names all.
const SHOWN: u64 = 20;

/// The number of failed preconditions that causes a warning.
const PRECONDITION_FAILURE_WARNING: u64 = 20;

/// The results of a sync so far.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct SyncResults {
    format: Format,
    is_dry: bool,
    /// Whether unfinished uploads are journaled, so that the next run resumes them.
    has_journal: bool,
    failures: FailuresFile,
    stdout: Output<std::io::Stdout>,
    compared: DiffCounts,
    /// The rows of `--manifest`.
    manifest: Option<ManifestCounts>,
    /// Objects of the destination alone, which were left as they are.
    extra: u64,
    copied: u64,
    copied_bytes: u64,
    /// Of the copied ones, those that were there and that nothing stored could be compared with.
    not_comparable: u64,
    attributes_updated: u64,
    deleted: u64,
    /// Reconciled, and found equal.
    equal: u64,
    /// Gone on both sides since they were listed.
    gone: u64,
    /// Gone at the source since they were listed, and left at the destination.
    gone_at_source: u64,
    /// Keys that no listing named and that s3ferry deleted earlier, with shared ownership.
    deleted_before: u64,
    conflicts: u64,
    not_preserved: u64,
    not_done: u64,
    /// Of those that are not done, multipart copies that were interrupted.
    interrupted: u64,
    failed: u64,
    failed_by: FailureCounts,
    asked_again: usize,
    /// Writes whose answer never came, although what is there was read and is right.
    unanswered: u64,
    /// Keys whose uploads may be left at the destination, with nothing that names them.
    uploads_left: u64,
    would: BTreeMap<WithheldWrite, u64>,
    /// Copies that were refused because a side had changed since it was read.
    precondition_failures: Arc<AtomicU64>,
    warned_of_precondition_failures: bool,
    first_failure: Option<Failure>,
    all_alike: bool,
}

impl SyncResults {
    pub(super) fn begin(format: Format, is_dry: bool, has_journal: bool, failures: &Path) -> Result<Self, CliError> {
        Ok(Self {
            format,
            is_dry,
            has_journal,
            failures: FailuresFile::begin(failures)?,
            stdout: Output::stdout(),
            compared: DiffCounts::default(),
            manifest: None,
            extra: 0,
            copied: 0,
            copied_bytes: 0,
            not_comparable: 0,
            attributes_updated: 0,
            deleted: 0,
            equal: 0,
            gone: 0,
            gone_at_source: 0,
            deleted_before: 0,
            conflicts: 0,
            not_preserved: 0,
            not_done: 0,
            interrupted: 0,
            failed: 0,
            failed_by: FailureCounts::default(),
            asked_again: 0,
            unanswered: 0,
            uploads_left: 0,
            would: BTreeMap::new(),
            precondition_failures: Arc::default(),
            warned_of_precondition_failures: false,
            first_failure: None,
            all_alike: true,
        })
    }

    /// Counts keys that were compared.
    pub(super) fn compared(&mut self, counts: &DiffCounts) {
        self.compared.add(counts);
    }

    /// Records the counts of the manifest's rows.
    pub(super) fn manifest(&mut self, counts: ManifestCounts) {
        self.manifest = Some(counts);
    }

    /// Counts objects of the destination alone that are left as they are.
    pub(super) fn extra(&mut self, keys: u64) {
        self.extra += keys;
    }

    /// Returns the deletes that the listings suggest.
    pub(super) fn deletes(&self, keys: u64) -> Deletes {
        Deletes {
            keys,
            source_keys: self.compared.source_keys,
            destination_keys: self.compared.destination_keys,
        }
    }

    /// Counts a key that is read again at the end, and returns how many there were before.
    pub(super) fn recheck(&mut self) -> usize {
        self.asked_again += 1;
        self.asked_again - 1
    }

    /// Returns the counter of copies that something else preceded.
    pub(super) fn precondition_failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.precondition_failures)
    }

    /// Warns once that another process writes the same keys, while one of the two can still be stopped.
    pub(super) fn warn_if_precondition_failures(&mut self) {
        if !self.warned_of_precondition_failures
            && self.precondition_failures.load(Ordering::Relaxed) >= PRECONDITION_FAILURE_WARNING
        {
            self.warned_of_precondition_failures = true;
            print_message(&format!(
                "warning: {PRECONDITION_FAILURE_WARNING} copies so far were refused because {OTHER_WRITER}"
            ));
        }
    }

    /// Returns the counts for the progress display.
    pub(super) fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("copied", self.copied + self.attributes_updated),
            ("deleted", self.deleted),
            ("not-done", self.not_done),
            ("failed", self.failed),
        ]
    }

    /// Records the result of one key.
    pub(super) fn record_result(&mut self, key: &ObjectKey, report: &ReconcileReport) -> Result<(), CliError> {
        match &report.outcome {
            Outcome::Copied { size_bytes, .. } => {
                self.copied += 1;
                self.not_comparable += u64::from(report.not_comparable);
                self.copied_bytes = self.copied_bytes.saturating_add(*size_bytes);
            }
            Outcome::AttributesUpdated { .. } => self.attributes_updated += 1,
            Outcome::Deleted => self.deleted += 1,
            Outcome::Skipped(SkipReason::DestinationNewer) => {
                self.conflicts += 1;
                self.write(
                    "conflict",
                    key,
                    None,
                    "DestinationNewer",
                    "the destination's object is as new or newer",
                )?;
            }
            Outcome::Skipped(SkipReason::BothAbsent) => self.gone += 1,
            // Also where its copy came to its end first.
            Outcome::Skipped(SkipReason::DeletesNotPropagated) => self.gone_at_source += 1,
            Outcome::Skipped(_) => self.equal += 1,
            Outcome::Withheld(write) => self.withheld(key, *write)?,
            Outcome::Deferred(reason) => {
                self.not_done += 1;
                self.write("not-done", key, Some(DEFERRED), reason.as_str(), not_done(*reason))?;
            }
            // Only an interrupt stops a copy of this process.
            Outcome::Failed(failure)
                if failure.code == FailureCode::StateBucketRequired && failure.action == "s3:UploadPartCopy" =>
            {
                self.not_done += 1;
                self.interrupted += 1;
                self.write("not-done", key, Some(DEFERRED), "Interrupted", INTERRUPTED)?;
            }
            Outcome::Failed(failure) => self.failed(key, failure)?,
        }
        if report.outcome_unknown && !matches!(report.outcome, Outcome::Failed(_) | Outcome::Deferred(_)) {
            self.unanswered += 1;
        }
        let is_unfinished = matches!(report.outcome, Outcome::Deferred(_) | Outcome::Failed(_));
        if report.upload_left && is_unfinished && !self.has_journal && !self.is_dry {
            self.uploads_left += 1;
            self.write("upload-left", key, None, "UploadLeft", UPLOAD_LEFT)?;
        }
        if !report.not_preserved.is_empty() {
            self.not_preserved += 1;
            let attributes: Vec<&str> = report.not_preserved.iter().copied().map(Attribute::as_str).collect();
            self.write("not-preserved", key, None, "NotPreserved", &attributes.join(", "))?;
        }
        Ok(())
    }

    /// Counts keys that no listing named and that s3ferry deleted earlier.
    pub(super) fn deleted_before(&mut self, keys: u64) {
        self.deleted_before += keys;
    }

    /// Records a delete intent that is unreadable, so that its key is unknown.
    pub(super) fn intent_unread(&mut self, name: &str, failure: &Failure) -> Result<(), CliError> {
        let name = ObjectKey::from_raw(name).map_err(|error| CliError::Bug(error.to_string()))?;
        self.fails("intent-unread", &name, failure)
    }

    fn failed(&mut self, key: &ObjectKey, failure: &Failure) -> Result<(), CliError> {
        self.fails("failed", key, failure)
    }

    fn fails(&mut self, r#type: &'static str, key: &ObjectKey, failure: &Failure) -> Result<(), CliError> {
        self.failed += 1;
        self.failed_by.count(failure);
        self.write(
            r#type,
            key,
            Some(failure.kind.as_str()),
            failure.code.as_str(),
            &failure.to_string(),
        )?;
        if failure.is_of_credentials() {
            // Every other key would fail too.
            return Err(CliError::Failed(failure.clone()));
        }
        match &self.first_failure {
            Some(first) => self.all_alike &= (first.kind, &first.code) == (failure.kind, &failure.code),
            None => self.first_failure = Some(failure.clone()),
        }
        if self.failed >= MAX_EQUAL_FAILURES {
            self.ensure_not_all_alike()?;
        }
        Ok(())
    }

    /// Ends the command if every key fails for one reason of the buckets or the credentials.
    fn ensure_not_all_alike(&self) -> Result<(), CliError> {
        let done = self.copied + self.attributes_updated + self.deleted + self.equal + self.gone + self.gone_at_source;
        match &self.first_failure {
            Some(first) if self.all_alike && done == 0 && is_environment_failure(first) => {
                Err(CliError::Failed(first.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Records a write that a dry run withheld.
    fn withheld(&mut self, key: &ObjectKey, write: WithheldWrite) -> Result<(), CliError> {
        let action = write.as_str();
        *self.would.entry(write).or_default() += 1;
        match self.format {
            Format::Human if self.would.values().sum::<u64>() > SHOWN => Ok(()),
            Format::Human => self.stdout.line(format!("{action:<14} {}", escaped_key(key.as_str()))),
            Format::Json => self
                .stdout
                .json(&json!({ "type": "would", "action": action, "key": key })),
        }
    }

    fn write(
        &mut self,
        r#type: &'static str,
        key: &ObjectKey,
        kind: Option<&'static str>,
        code: &str,
        detail: &str,
    ) -> Result<(), CliError> {
        self.failures.write(&FailureLine {
            r#type,
            key,
            kind,
            code,
            detail: detail.to_owned(),
        })
    }

    /// Writes the summary of a run that `ended` so; returns how the command ends.
    pub(super) fn end(mut self, sides: &BucketPair, ended: Result<(), CliError>) -> Result<CommandOutcome, CliError> {
        if matches!(ended, Err(CliError::OutputClosed)) {
            return Err(CliError::OutputClosed);
        }
        match self.format {
            Format::Human => {
                for line in self.lines(sides, ended.is_err()) {
                    self.stdout.line(line)?;
                }
            }
            Format::Json => {
                let stopped_by = ended.as_ref().err().map(ToString::to_string);
                let summary = self.summary(sides, stopped_by.as_deref());
                self.stdout.json(&summary)?;
            }
        }
        self.stdout.flush()?;
        ended?;
        match &self.manifest {
            Some(manifest) if manifest.keys == self.gone => print_message(&no_key_exists(manifest, sides)),
            None if self.compared.is_empty() => print_message(&nothing_compared(sides)),
            Some(_) | None => {}
        }
        self.ensure_not_all_alike()?;
        let is_done = self.failed + self.not_done == 0;
        Ok(if is_done {
            CommandOutcome::Done
        } else {
            CommandOutcome::NotAll
        })
    }
}

fn is_environment_failure(failure: &Failure) -> bool {
    failure.kind == FailureKind::Configuration || is_denial(failure)
}

/// Warns of a manifest whose keys exist in neither bucket.
fn no_key_exists(manifest: &ManifestCounts, sides: &BucketPair) -> String {
    format!(
        "warning: neither {} nor {} has an object of {}: check that the manifest belongs to this source and is up to date",
        sides.source.location, sides.destination.location, manifest.name
    )
}

/// Names both locations where neither has an object.
fn nothing_compared(sides: &BucketPair) -> String {
    format!(
        "warning: neither {} nor {} has an object: there is nothing to copy. Check the bucket and the prefix of --source",
        sides.source.location, sides.destination.location
    )
}

/// The kind of a key that is not done, without a failure.
const DEFERRED: &str = "deferred";

/// The other writer that a failed precondition may point to.
const OTHER_WRITER: &str = "another process wrote the same keys first. If another sync of these buckets runs, stop one of them: \
     no data is lost. The replicator causes single failures";

const INTERRUPTED: &str = "the multipart copy was interrupted: run the same command again; with --state-bucket an \
     interrupted copy is resumed, without it the copy starts over";

/// The detail of a failure that may leave an upload.
const UPLOAD_LEFT: &str = "an incomplete multipart upload of this key may remain at the destination: the next run \
     aborts it";

fn not_done(reason: DeferralReason) -> &'static str {
    match reason {
        DeferralReason::Deadline => "stopped before the copy was done: run the same command again",
        DeferralReason::HotKey => "changed on every read",
        DeferralReason::ReplicationPending { .. } => "S3 replication is expected to copy it",
        DeferralReason::OutcomeUnknown => "a write had no response",
    }
}
