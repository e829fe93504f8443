//! Results of tasks and items: a code, and a text that an operator can act on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempts::FIRST_WAIT;
use super::{RequestFormatError, shortened};
use crate::facts::AttributeSet;
use crate::failure::{Failure, FailureKind};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason};

/// Maximum length of a result text that S3 Batch Operations accepts, in characters.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>
pub const LONGEST_RESULT: usize = 1_024;

/// Result code of a task, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResultCode {
    /// The task is done, or its rest is durably queued.
    Succeeded,
    /// The task is run again.
    TemporaryFailure,
    /// The task is reported as failed.
    PermanentFailure,
}

impl ResultCode {
    /// Parses a result code of S3 Batch Operations.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Succeeded, Self::TemporaryFailure, Self::PermanentFailure];
        all.into_iter().find(|code| code.as_str() == text)
    }

    /// Returns the result code as S3 Batch Operations names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::TemporaryFailure => "TemporaryFailure",
            Self::PermanentFailure => "PermanentFailure",
        }
    }
}

/// Result of a task or an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskResult {
    /// Result code.
    pub code: ResultCode,
    /// Short name of the outcome, by which summaries count.
    pub outcome: String,
    /// Result text for the operator.
    pub text: String,
    /// Number of bytes copied.
    pub bytes_copied: u64,
    /// Whether the run made progress, such as a copied part.
    pub progress: bool,
    /// Whether the task was started before the invocation ran out of time.
    pub reached: bool,
    /// Minimum wait before the next run, if there is one.
    pub delay: Duration,
}

impl TaskResult {
    fn new(code: ResultCode, outcome: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code,
            outcome: outcome.into(),
            text: text.into(),
            bytes_copied: 0,
            progress: false,
            reached: true,
            delay: Duration::ZERO,
        }
    }

    /// Returns the result of a task that is not readable, or whose job's arguments are not.
    #[must_use]
    pub fn unreadable(error: &RequestFormatError) -> Self {
        let text = format!("not done: {error}; next: fix the manifest or the job's arguments, then run the task again");
        Self::new(ResultCode::PermanentFailure, format!("failed:{}", error.code()), text)
    }

    /// Returns the result of a task whose bucket is not the source bucket.
    #[must_use]
    pub fn foreign(bucket: &BucketName, source_bucket: &BucketName) -> Self {
        let text = format!(
            "refused: the task is of bucket {bucket}, and this function copies {source_bucket} only; next: remove the \
             row from the manifest, or run it with the function of its bucket"
        );
        Self::new(ResultCode::PermanentFailure, "failed:ForeignBucket", text)
    }

    /// Returns the result of a failure.
    #[must_use]
    pub fn failed(failure: &Failure) -> Self {
        let (code, next) = match failure.kind {
            FailureKind::Retry => (
                ResultCode::TemporaryFailure,
                "nothing; the task is run again, and the failure may be transient",
            ),
            FailureKind::Permanent => (
                ResultCode::PermanentFailure,
                "fix the reported problem, then run the task again",
            ),
            FailureKind::Configuration => (
                ResultCode::PermanentFailure,
                "stop the job, fix the reported setting, then run the failed tasks again",
            ),
            FailureKind::Bug => (
                ResultCode::PermanentFailure,
                "report this as a bug of s3ferry, with the function's log of this time",
            ),
        };
        let kind = failure.kind;
        let what = shortened(failure.code.as_str(), 100);
        let action = shortened(&failure.action, 100);
        // A key has up to 1,024 bytes. Both of its ends stay readable, and so does the next step.
        let resource = shortened(&failure.resource, 350);
        let rest = [kind.as_str(), &what, &action, &resource, next];
        let used: usize = rest.iter().map(|part| part.chars().count()).sum::<usize>() + 40;
        let detail = shortened(&failure.detail, LONGEST_RESULT.saturating_sub(used));
        let text = format!("failed ({kind}) {what}: {action} on {resource}: {detail}; next: {next}");
        Self {
            delay: FIRST_WAIT,
            ..Self::new(code, format!("failed:{what}"), text)
        }
    }

    /// Returns the result of a task that is not done yet.
    #[must_use]
    pub fn unfinished(reason: DeferralReason) -> Self {
        let text = format!(
            "not done yet ({}); next: nothing, the task is run again",
            reason.as_str()
        );
        Self {
            delay: reason.delay(),
            ..Self::new(ResultCode::TemporaryFailure, "unfinished", text)
        }
    }

    /// Returns the result of a further row of the same key. The rows have one reconcile, whose bytes count once.
    #[must_use]
    pub fn counted_elsewhere(self) -> Self {
        if self.bytes_copied == 0 {
            return self;
        }
        Self {
            bytes_copied: 0,
            text: format!("{}; counted with another row of the same key", self.text),
            ..self
        }
    }

    /// Returns the result of an item that is not done and has reached the limit of runs.
    #[must_use]
    pub fn exhausted(&self, attempts: u32) -> Self {
        let outcome = if self.outcome.starts_with("failed:") {
            self.outcome.as_str()
        } else {
            "failed:Unfinished"
        };
        let text = format!("given up after {attempts} runs: {}", self.text);
        Self::new(ResultCode::PermanentFailure, outcome, text)
    }

    /// Returns the result of an item whose invocation failed as a whole.
    #[must_use]
    pub fn lost_item(error: &str) -> Self {
        let text = format!("not done: the function failed on the whole batch: {error}; next: see the function's log");
        Self::new(ResultCode::PermanentFailure, "failed:FunctionFailed", text)
    }

    /// Returns the text as S3 accepts it: at most [`LONGEST_RESULT`] characters, without control characters.
    #[must_use]
    pub fn result_string(&self) -> String {
        let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
        shortened(&self.text.chars().map(printable).collect::<String>(), LONGEST_RESULT)
    }
}

/// Returns the result of a reconcile. `acknowledged` is whether its work is durable: done or requeued.
///
/// This is the only function that maps outcomes to results.
#[must_use]
pub fn conclude(report: &ReconcileReport, acknowledged: bool) -> TaskResult {
    let mut result = match &report.outcome {
        Outcome::Copied { version_id, size_bytes } => TaskResult {
            bytes_copied: *size_bytes,
            ..copied(version_id.as_ref(), *size_bytes, report.not_comparable)
        },
        Outcome::AttributesUpdated { attributes } => TaskResult::new(
            ResultCode::Succeeded,
            "attributes-updated",
            format!("equal bytes; changed at the destination: {}", names(attributes)),
        ),
        Outcome::Deleted => TaskResult::new(
            ResultCode::Succeeded,
            "deleted",
            "deleted at the destination: the source object is deleted",
        ),
        Outcome::Skipped(reason) => TaskResult::new(
            ResultCode::Succeeded,
            format!("skipped:{}", reason.as_str()),
            format!("skipped {}: {}", reason.as_str(), meaning(*reason)),
        ),
        Outcome::Withheld(write) => TaskResult::new(ResultCode::Succeeded, "withheld", write.as_str()),
        Outcome::Deferred(reason) if acknowledged => TaskResult::new(
            ResultCode::Succeeded,
            "requeued",
            format!(
                "requeued ({}): the replicator reconciles the key again",
                reason.as_str()
            ),
        ),
        Outcome::Deferred(reason) => TaskResult::unfinished(*reason),
        Outcome::Failed(failure) => TaskResult::failed(failure),
    };
    if !report.not_preserved.is_empty() {
        result.text = format!("{}; not preserved: {}", result.text, names(&report.not_preserved));
    }
    if result.code == ResultCode::Succeeded && !acknowledged {
        // An earlier write has no response. Its outcome is known only after the key is read once more.
        result.code = ResultCode::TemporaryFailure;
        result.text = format!(
            "{}; an earlier write may still land, so the task is run again",
            result.text
        );
    }
    if report.outcome_unknown {
        result.delay = result.delay.max(DeferralReason::OutcomeUnknown.delay());
    }
    result.progress = report.progress;
    result.reached = report.passes > 0;
    result
}

/// Returns the outcome of a task from its result text, for reports of a job, which contain nothing else. Returns `None`
/// for a text of another program.
#[must_use]
pub fn outcome_of_text(text: &str) -> Option<String> {
    let begins = |beginning: &str| text.starts_with(beginning);
    let word_behind = |beginning: &str| {
        let (word, _) = text.strip_prefix(beginning)?.split_once(':')?;
        Some(word.rsplit(' ').next().unwrap_or_default()).filter(|word| !word.is_empty())
    };
    if begins("copied ") && text.contains(NOT_COMPARABLE) {
        return Some("copied:not-comparable".to_owned());
    }
    if begins("copied ") {
        return Some("copied".to_owned());
    }
    if begins("equal bytes; changed") {
        return Some("attributes-updated".to_owned());
    }
    if begins("deleted at the destination") {
        return Some("deleted".to_owned());
    }
    if begins("requeued (") {
        return Some("requeued".to_owned());
    }
    if begins("not done yet (") {
        return Some("unfinished".to_owned());
    }
    if begins("refused: the task is of bucket") {
        return Some("failed:ForeignBucket".to_owned());
    }
    if begins("not done: the function failed") {
        return Some("failed:FunctionFailed".to_owned());
    }
    if begins("not done: ") {
        return Some("failed:Unreadable".to_owned());
    }
    if begins("given up after ") {
        let (_, rest) = text.split_once(" runs: ")?;
        return outcome_of_text(rest)
            .filter(|outcome| outcome.starts_with("failed:"))
            .or_else(|| Some("failed:Unfinished".to_owned()));
    }
    if let Some(reason) = word_behind("skipped ") {
        return Some(format!("skipped:{reason}"));
    }
    word_behind("failed (").map(|code| format!("failed:{code}"))
}

/// Text in the result of a copy that was needed only because nothing that both sides store is comparable.
const NOT_COMPARABLE: &str = "; it was there, but nothing that both sides store can be compared";

fn copied(version_id: Option<&VersionId>, size_bytes: u64, not_comparable: bool) -> TaskResult {
    let version = version_id.map_or_else(String::new, |version| format!(" as version {version}"));
    let (outcome, why) = if not_comparable {
        ("copied:not-comparable", NOT_COMPARABLE)
    } else {
        ("copied", "")
    };
    TaskResult::new(
        ResultCode::Succeeded,
        outcome,
        format!("copied {size_bytes} bytes{version}{why}"),
    )
}

fn meaning(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::AlreadyIdentical => "both sides hold equal objects",
        SkipReason::BothAbsent => {
            "the key does not exist on either side: deleted since the manifest was made, or not URL-encoded in the \
              manifest"
        }
        SkipReason::DeletesNotPropagated => {
            "the source object is deleted, and the destination object stays because deletes are not propagated"
        }
        SkipReason::OutOfScope => "the key does not begin with the configured prefix",
        SkipReason::DestinationNewer => {
            "conflict: an external write at the destination is as new as the source object or newer, so it stays"
        }
        SkipReason::SourceIsReplica => "the source object is itself a copy from the destination",
        SkipReason::ExternalWrite => {
            "the source object is deleted, and the destination object is an external write, so it stays"
        }
    }
}

fn names(attributes: &AttributeSet) -> String {
    let names: Vec<&str> = attributes.iter().map(|attribute| attribute.as_str()).collect();
    names.join(", ")
}

/// Merges the results of a task's keys: the worst code, and the text of each key.
///
/// Returns `None` if there are no results.
#[must_use]
pub fn merge(results: &[(&ObjectKey, TaskResult)]) -> Option<TaskResult> {
    let rank = |result: &TaskResult| (result.code, !result.outcome.starts_with("skipped:"));
    let (_, main) = results.iter().max_by_key(|(_, result)| rank(result))?;
    if results.len() == 1 {
        return Some(main.clone());
    }
    let limit = LONGEST_RESULT / results.len() - 4;
    let quoted = |(key, result): &(&ObjectKey, TaskResult)| {
        let key = shortened(key.as_str(), limit / 3);
        let text = shortened(&result.text, limit - limit / 3 - 4);
        format!("\"{key}\": {text}")
    };
    Some(TaskResult {
        text: results.iter().map(quoted).collect::<Vec<_>>().join(" | "),
        bytes_copied: results.iter().map(|(_, result)| result.bytes_copied).sum(),
        progress: results.iter().any(|(_, result)| result.progress),
        reached: results.iter().any(|(_, result)| result.reached),
        delay: results.iter().map(|(_, result)| result.delay).max().unwrap_or_default(),
        ..main.clone()
    })
}

/// Response to an invocation by S3 Batch Operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobInvocationResponse {
    invocation_schema_version: String,
    treat_missing_keys_as: ResultCode,
    invocation_id: String,
    results: Vec<TaskAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskAnswer {
    task_id: String,
    result_code: ResultCode,
    result_string: String,
}

impl JobInvocationResponse {
    /// Builds the response from the results of the tasks, in their order.
    ///
    /// Every task has a result. S3 treats an omitted task as a permanent failure.
    #[must_use]
    pub fn new<'a>(
        schema_version: &str,
        invocation_id: &str,
        results: impl IntoIterator<Item = (&'a str, &'a TaskResult)>,
    ) -> Self {
        let answer = |(id, result): (&str, &TaskResult)| TaskAnswer {
            task_id: id.to_owned(),
            result_code: result.code,
            result_string: result.result_string(),
        };
        Self {
            invocation_schema_version: schema_version.to_owned(),
            treat_missing_keys_as: ResultCode::PermanentFailure,
            invocation_id: invocation_id.to_owned(),
            results: results.into_iter().map(answer).collect(),
        }
    }
}
