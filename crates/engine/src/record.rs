//! Counts and logs the result of one record.

use std::collections::BTreeMap;

use s3ferry_core::event::KeyHint;
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::VersionId;
use s3ferry_core::outcome::{DeferralReason, Outcome, SkipReason};

use crate::batch::RecordResult;
use crate::invocation_counts::InvocationCounts;

/// The origin of a record, for its log line.
#[derive(Debug, Clone, Copy)]
pub enum RecordOrigin<'a> {
    /// An SQS message with its id, or an invocation without a message.
    Message(Option<&'a str>),
    /// A task of a job, or an item of a Distributed Map.
    Task(&'a str),
}

impl<'a> RecordOrigin<'a> {
    fn message_id(self) -> Option<&'a str> {
        match self {
            Self::Message(id) => id,
            Self::Task(_) => None,
        }
    }

    fn task_id(self) -> Option<&'a str> {
        match self {
            Self::Message(_) => None,
            Self::Task(id) => Some(id),
        }
    }
}

/// Adds a record's result to the counts. Each key is counted once, even if several records name it.
pub fn count(result: &RecordResult, counts: &mut InvocationCounts) {
    counts.superseded += u64::from(result.superseded);
    if !result.acknowledged {
        counts.failed += 1;
        *counts.failed_by_code.entry(reason_of(result).to_owned()).or_default() += 1;
    }
    counts.refused += u64::from(result.is_foreign());
    if !result.first_of_key {
        return;
    }
    counts
        .lags_ms
        .extend(result.lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)));
    counts.attributes_not_preserved += u64::try_from(result.report.not_preserved.len()).unwrap_or(u64::MAX);
    match &result.report.outcome {
        Outcome::Copied { size_bytes, .. } => {
            counts.copied += 1;
            counts.bytes_copied += size_bytes;
        }
        Outcome::AttributesUpdated { .. } => counts.attributes_updated += 1,
        Outcome::Deleted => counts.deleted += 1,
        Outcome::Skipped(reason) => {
            counts.skipped += 1;
            counts.conflicts += u64::from(*reason == SkipReason::DestinationNewer);
        }
        Outcome::Deferred(_) => counts.requeued += u64::from(result.acknowledged),
        Outcome::Failed(_) | Outcome::Withheld(_) => {}
    }
}

/// Returns why a record is not acknowledged: the code of its failure, or the reason why its key is unfinished.
fn reason_of(result: &RecordResult) -> &str {
    match &result.report.outcome {
        Outcome::Failed(failure) => failure.code.as_str(),
        Outcome::Deferred(reason) => reason.as_str(),
        _ => DeferralReason::OutcomeUnknown.as_str(),
    }
}

/// Logs the result of a record in one line.
///
/// The level is error if an operator must act, and warning if the result is degraded.
pub fn log(origin: RecordOrigin<'_>, hint: &KeyHint, result: &RecordResult) {
    let report = &result.report;
    let not_preserved_names = listed(&report.not_preserved);
    macro_rules! terminal {
        ($level:ident, $text:literal, $($field:tt)*) => {
            tracing::$level!(
                message.id = origin.message_id(),
                task.id = origin.task_id(),
                s3.bucket = %hint.bucket,
                s3.key = %hint.key,
                event.name = %hint.event_name,
                outcome = report.outcome.as_str(),
                passes = report.passes,
                duration_ms = u64::try_from(report.duration.as_millis()).unwrap_or(u64::MAX),
                superseded = result.superseded,
                not_preserved = %not_preserved_names,
                $($field)*
                $text
            )
        };
    }
    match &report.outcome {
        Outcome::Failed(failure) => {
            let (kind, code) = (failure.kind.as_str(), failure.code.as_str());
            match failure.kind {
                // `log_denials` logs one error for all denials.
                FailureKind::Permanent | FailureKind::Configuration if failure.code.is_denial() => {
                    terminal!(warn, "record failed", error.kind = kind, error.code = code, %failure,);
                }
                FailureKind::Retry => {
                    terminal!(warn, "record failed", error.kind = kind, error.code = code, %failure,);
                }
                FailureKind::Permanent | FailureKind::Configuration | FailureKind::Bug => {
                    terminal!(error, "record failed", error.kind = kind, error.code = code, %failure,);
                }
            }
        }
        Outcome::Deferred(reason) => terminal!(
            warn,
            "record not done",
            reason = reason.as_str(),
            requeued = result.acknowledged,
        ),
        Outcome::Skipped(reason @ SkipReason::DestinationNewer) => {
            terminal!(warn, "record done, with a conflict", reason = reason.as_str(),);
        }
        Outcome::Skipped(reason) if not_preserved_names.is_empty() => {
            terminal!(info, "record done", reason = reason.as_str(),);
        }
        Outcome::Skipped(reason) => terminal!(
            warn,
            "record done, with attributes not preserved",
            reason = reason.as_str(),
        ),
        Outcome::Copied { version_id, size_bytes } => {
            let version_id = version_id.as_ref().map(VersionId::as_str);
            if not_preserved_names.is_empty() {
                terminal!(
                    info,
                    "record done",
                    s3.version_id = version_id,
                    s3.size_bytes = size_bytes,
                );
            } else {
                terminal!(
                    warn,
                    "record done, with attributes not preserved",
                    s3.version_id = version_id,
                    s3.size_bytes = size_bytes,
                );
            }
        }
        Outcome::AttributesUpdated { attributes } => {
            let attributes_updated = listed(attributes);
            if not_preserved_names.is_empty() {
                terminal!(info, "record done", attributes_updated = %attributes_updated,);
            } else {
                terminal!(
                    warn,
                    "record done, with attributes not preserved",
                    attributes_updated = %attributes_updated,
                );
            }
        }
        Outcome::Deleted => terminal!(info, "record done",),
        Outcome::Withheld(write) => terminal!(info, "write withheld", write = write.as_str(),),
    }
}

/// Logs each denied action of an invocation once, with the number of records that failed because of it.
pub fn log_denials<'a>(results: impl IntoIterator<Item = &'a RecordResult>) {
    let mut denials: BTreeMap<(&str, &str), (u64, &Failure)> = BTreeMap::new();
    for result in results {
        if let Outcome::Failed(failure) = &result.report.outcome
            && failure.code.is_denial()
        {
            let denial = denials.entry((&failure.action, bucket_of(&failure.resource)));
            denial.or_insert((0, failure)).0 += 1;
        }
    }
    for ((action, bucket), (records, failure)) in denials {
        tracing::error!(
            error.kind = failure.kind.as_str(),
            error.code = failure.code.as_str(),
            action,
            resource = bucket,
            records,
            %failure,
            "access denied"
        );
    }
}

/// Returns the bucket of an object's ARN, or the resource unchanged.
fn bucket_of(resource: &str) -> &str {
    match resource.split_once('/') {
        Some((bucket, _)) if bucket.contains(":s3:") => bucket,
        _ => resource,
    }
}

/// Returns the names of attributes, separated by commas.
fn listed(attributes: &AttributeSet) -> String {
    let names: Vec<&str> = attributes.iter().map(|attribute| attribute.as_str()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use s3ferry_core::event::ContinuationHops;
    use s3ferry_core::facts::Attribute;
    use s3ferry_core::names::{BucketName, ObjectKey};
    use s3ferry_core::outcome::ReconcileReport;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    fn counted(outcome: Outcome) -> InvocationCounts {
        let result = RecordResult {
            report: ReconcileReport {
                outcome,
                not_preserved: AttributeSet::from([Attribute::Etag]),
                passes: 1,
                progress: false,
                outcome_unknown: false,
                upload_left: false,
                not_comparable: false,
                duration: Duration::ZERO,
            },
            acknowledged: true,
            superseded: false,
            first_of_key: true,
            lag: None,
        };
        let mut counts = InvocationCounts::default();
        count(&result, &mut counts);
        counts
    }

    /// A subscriber that collects level and fields of every log event.
    #[derive(Debug, Clone, Default)]
    struct Log(Arc<Mutex<Vec<Line>>>);

    type Line = (Level, BTreeMap<&'static str, String>);

    #[derive(Default)]
    struct Fields(BTreeMap<&'static str, String>);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.insert(field.name(), format!("{value:?}"));
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

        fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push((*event.metadata().level(), fields.0));
        }

        fn enter(&self, _span: &span::Id) {}

        fn exit(&self, _span: &span::Id) {}
    }

    #[test]
    fn equal_denials_are_logged_as_one_error_with_a_count_beside_the_line_of_each_record() {
        let denied = |bucket: &str, key: &str| RecordResult {
            report: ReconcileReport::failed(Failure {
                kind: FailureKind::Permanent,
                code: "AccessDenied".into(),
                action: "s3:GetObject".to_owned(),
                resource: format!("arn:aws:s3:::{bucket}/{key}"),
                detail: "response of S3".to_owned(),
            }),
            acknowledged: false,
            superseded: false,
            first_of_key: true,
            lag: None,
        };
        let results = [
            denied("one", "a"),
            denied("one", "b"),
            denied("two", "a"),
            denied("one", "c"),
        ];
        let hint = KeyHint {
            bucket: BucketName::new("one").unwrap(),
            key: ObjectKey::from_raw("a").unwrap(),
            event_name: "ObjectCreated:Put".to_owned(),
            attributes: AttributeSet::new(),
            sequencer: None,
            hops: ContinuationHops::default(),
            event_time: None,
        };
        let log_lines = Log::default();
        tracing::subscriber::with_default(log_lines.clone(), || {
            log_denials(&results);
            for result in &results {
                log(RecordOrigin::Message(None), &hint, result);
            }
        });
        let log_lines = log_lines.0.lock().unwrap();
        let of_level = |wanted: Level| log_lines.iter().filter(move |(level, _)| *level == wanted);
        let errors: Vec<(&str, &str)> = of_level(Level::ERROR)
            .map(|(_, fields)| (fields["resource"].as_str(), fields["records"].as_str()))
            .collect();
        assert_eq!(errors, [("\"arn:aws:s3:::one\"", "3"), ("\"arn:aws:s3:::two\"", "1")]);
        let ends = of_level(Level::WARN).filter(|(_, fields)| fields["message"] == "record failed");
        assert_eq!(ends.count(), 4, "one line for each record");
    }

    #[test]
    fn conflicts_are_also_counted_as_skipped() {
        let expected = InvocationCounts {
            skipped: 1,
            conflicts: 1,
            attributes_not_preserved: 1,
            ..InvocationCounts::default()
        };
        assert_eq!(counted(Outcome::Skipped(SkipReason::DestinationNewer)), expected);
        let equal = counted(Outcome::Skipped(SkipReason::AlreadyIdentical));
        assert_eq!((equal.skipped, equal.conflicts), (1, 0));
    }

    #[test]
    fn attribute_updates_are_not_counted_as_copies() {
        let attributes = AttributeSet::from([Attribute::Tags, Attribute::Lock]);
        assert_eq!(listed(&attributes), "tags,lock");
        let expected = InvocationCounts {
            attributes_updated: 1,
            attributes_not_preserved: 1,
            ..InvocationCounts::default()
        };
        assert_eq!(counted(Outcome::AttributesUpdated { attributes }), expected);
    }
}
