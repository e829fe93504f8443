//! The answer to each task: a code, and what an operator can act on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempts::FIRST_WAIT;
use super::{RequestFormatError, shortened};
use crate::facts::AttributeSet;
use crate::failure::{Failure, FailureKind};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason};

/// The longest result text that S3 Batch Operations takes, in characters.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>
pub const LONGEST_RESULT: usize = 1_024;

/// What becomes of a task, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResultCode {
    /// It is done, or durably on its way.
    Succeeded,
    /// It is run again.
    TemporaryFailure,
    /// It is reported as failed.
    PermanentFailure,
}

impl ResultCode {
    /// Reads S3's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Succeeded, Self::TemporaryFailure, Self::PermanentFailure];
        all.into_iter().find(|code| code.as_str() == word)
    }

    /// Returns S3's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::TemporaryFailure => "TemporaryFailure",
            Self::PermanentFailure => "PermanentFailure",
        }
    }
}

/// The result of a task or an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskResult {
    /// What becomes of it.
    pub code: ResultCode,
    /// How it ended, in one word or two: what a summary counts by.
    pub outcome: String,
    /// What an operator reads.
    pub text: String,
    /// How many bytes were copied.
    pub bytes_copied: u64,
    /// Whether anything was achieved on the way.
    pub progress: bool,
    /// Whether it was begun before the invocation's time was up.
    pub reached: bool,
    /// How long it must not be run again, where it is run again.
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

    /// The result of a task that cannot be read, or whose job cannot.
    #[must_use]
    pub fn unreadable(error: &RequestFormatError) -> Self {
        let text = format!("not done: {error}; next: mend the manifest or the job's arguments, then run it again");
        Self::new(ResultCode::PermanentFailure, format!("failed:{}", error.code()), text)
    }

    /// The result of a task of another bucket than the one that is copied.
    #[must_use]
    pub fn foreign(bucket: &BucketName, source_bucket: &BucketName) -> Self {
        let text = format!(
            "refused: the task is of bucket {bucket}, and this function copies {source_bucket} only; next: take the \
             row out of the manifest, or give it to the function of its bucket"
        );
        Self::new(ResultCode::PermanentFailure, "failed:ForeignBucket", text)
    }

    /// The result of a failure.
    #[must_use]
    pub fn failed(failure: &Failure) -> Self {
        let (code, next) = match failure.kind {
            FailureKind::Retry => (
                ResultCode::TemporaryFailure,
                "nothing; it is run again, and time may heal it",
            ),
            FailureKind::Deferred => (ResultCode::TemporaryFailure, "nothing; it is run again"),
            FailureKind::Permanent => (
                ResultCode::PermanentFailure,
                "mend what is named, then run the task again",
            ),
            FailureKind::Configuration => (
                ResultCode::PermanentFailure,
                "stop the job, repair the setting that is named, then run the failed tasks again",
            ),
            FailureKind::Bug => (
                ResultCode::PermanentFailure,
                "report this as a defect of s3ferry, with the function's log of this time",
            ),
        };
        let kind = failure.kind;
        let what = shortened(&failure.code, 100);
        let action = shortened(&failure.action, 100);
        // A key has 1,024 bytes at most; both of its ends stay readable, and so does what to do.
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

    /// The result of a task that is not done yet.
    #[must_use]
    pub fn unfinished(reason: DeferralReason) -> Self {
        let text = format!("not done yet ({}); next: nothing, it is run again", reason.as_str());
        Self {
            delay: reason.delay(),
            ..Self::new(ResultCode::TemporaryFailure, "unfinished", text)
        }
    }

    /// The result of a further row of a key: the rows share one reconcile, whose bytes count once.
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

    /// The result of an item that was run as often as items are, and is not done.
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

    /// The result of an item whose invocation failed as a whole.
    #[must_use]
    pub fn lost_item(error: &str) -> Self {
        let text = format!("not done: the function failed on the whole batch: {error}; next: see the function's log");
        Self::new(ResultCode::PermanentFailure, "failed:FunctionFailed", text)
    }

    /// Returns the text as S3 takes it: at most [`LONGEST_RESULT`] characters, none of them a control character.
    #[must_use]
    pub fn result_string(&self) -> String {
        let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
        shortened(&self.text.chars().map(printable).collect::<String>(), LONGEST_RESULT)
    }
}

/// Says how a reconcile ended; `acknowledged` is whether everything it has to do is durable: done, or handed over.
///
/// The one place where outcomes become results.
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
            "deleted at the destination: it is gone at the source",
        ),
        Outcome::Skipped(reason) => TaskResult::new(
            ResultCode::Succeeded,
            format!("skipped:{}", reason.as_str()),
            format!("skipped {}: {}", reason.as_str(), meaning(*reason)),
        ),
        Outcome::Deferred(reason) if acknowledged => TaskResult::new(
            ResultCode::Succeeded,
            "requeued",
            format!(
                "requeued ({}): the replicator's queue brings the key back",
                reason.as_str()
            ),
        ),
        Outcome::Deferred(reason) => TaskResult::unfinished(*reason),
        Outcome::Failed(failure) => TaskResult::failed(failure),
    };
    if !report.not_preserved.is_empty() {
        result.text = format!("{}; not carried over: {}", result.text, names(&report.not_preserved));
    }
    if result.code == ResultCode::Succeeded && !acknowledged {
        // An earlier write got no answer: until the key is looked at once more, nobody knows that this is its end.
        result.code = ResultCode::TemporaryFailure;
        result.text = format!("{}; an earlier write may still land, so it is run again", result.text);
    }
    if report.outcome_unknown {
        result.delay = result.delay.max(DeferralReason::OutcomeUnknown.delay());
    }
    result.progress = report.progress;
    result.reached = report.passes > 0;
    result
}

/// Finds out how a task ended from the text of its result, where a job's report has nothing else; `None` where the text is
/// not one of these.
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

/// How a result names a copy that was made again only because nothing stored can be compared.
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
            "the key is on neither side: deleted since the manifest was made, or not spelled as the manifest must \
             (URL-encoded)"
        }
        SkipReason::DeletesNotPropagated => {
            "it is gone at the source, and what the destination holds stays, for deletes are not propagated"
        }
        SkipReason::OutOfScope => "the key does not begin with the prefix that is copied",
        SkipReason::DestinationNewer => {
            "conflict: somebody else's object at the destination is as new or newer, so it stays"
        }
        SkipReason::SourceIsReplica => "the source's object was itself copied from the other side",
        SkipReason::ExternalWrite => {
            "it is gone at the source, and what the destination holds was written by somebody else, so it stays"
        }
    }
}

fn names(attributes: &AttributeSet) -> String {
    let names: Vec<&str> = attributes.iter().map(|attribute| attribute.as_str()).collect();
    names.join(", ")
}

/// Makes one result of those of a task's keys: the worst code, and what was said of each key.
///
/// `None` where there are none.
#[must_use]
pub fn merge(results: &[(&ObjectKey, TaskResult)]) -> Option<TaskResult> {
    let rank = |result: &TaskResult| (result.code, !result.outcome.starts_with("skipped:"));
    let (_, main) = results.iter().max_by_key(|(_, result)| rank(result))?;
    if results.len() == 1 {
        return Some(main.clone());
    }
    let share = LONGEST_RESULT / results.len() - 4;
    let said = |(key, result): &(&ObjectKey, TaskResult)| {
        let key = shortened(key.as_str(), share / 3);
        let text = shortened(&result.text, share - share / 3 - 4);
        format!("\"{key}\": {text}")
    };
    Some(TaskResult {
        text: results.iter().map(said).collect::<Vec<_>>().join(" | "),
        bytes_copied: results.iter().map(|(_, result)| result.bytes_copied).sum(),
        progress: results.iter().any(|(_, result)| result.progress),
        reached: results.iter().any(|(_, result)| result.reached),
        delay: results.iter().map(|(_, result)| result.delay).max().unwrap_or_default(),
        ..main.clone()
    })
}

/// The answer to an invocation by S3 Batch Operations.
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
    /// Makes the answer of the results of the tasks, in their order.
    ///
    /// A task that the answer left out would be a permanent failure; none is left out.
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
