//! The end of one record: counted, and put into the log in one line.

use std::collections::BTreeMap;

use s3ferry_core::event::KeyHint;
use s3ferry_core::facts::AttributeSet;
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::names::VersionId;
use s3ferry_core::outcome::{Outcome, SkipReason};

use crate::batch::RecordResult;
use crate::invocation_counts::InvocationCounts;

/// Where a record came from, for its line.
#[derive(Debug, Clone, Copy)]
pub enum RecordOrigin<'a> {
    /// A message of a queue, or an invocation without one.
    Message(Option<&'a str>),
    /// A task of a job, or an item of a map.
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

/// Counts records that failed, and keys once however many records named them.
pub fn count(settled: &RecordResult, counts: &mut InvocationCounts) {
    counts.stale += u64::from(settled.stale);
    if !settled.acknowledged {
        counts.failed += 1;
    }
    counts.refused += u64::from(settled.is_foreign());
    if !settled.first_of_key {
        return;
    }
    counts.attributes_not_preserved += u64::try_from(settled.report.not_preserved.len()).unwrap_or(u64::MAX);
    match &settled.report.outcome {
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
        Outcome::Deferred(_) => counts.requeued += u64::from(settled.acknowledged),
        Outcome::Failed(_) => {}
    }
}

/// Logs the terminal event of a record: an error where an operator must act, a warning where something is degraded.
pub fn log(origin: RecordOrigin<'_>, hint: &KeyHint, settled: &RecordResult) {
    let report = &settled.report;
    let lost = listed(&report.not_preserved);
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
                superseded = settled.stale,
                not_preserved = %lost,
                $($field)*
                $text
            )
        };
    }
    match &report.outcome {
        Outcome::Failed(failure) => {
            let (kind, code) = (failure.kind.as_str(), &failure.code);
            match failure.kind {
                // `log_denials` says once for all of them that an operator must act.
                FailureKind::Permanent | FailureKind::Configuration if is_denial(failure) => {
                    terminal!(warn, "record failed", error.kind = kind, error.code = code, %failure,);
                }
                FailureKind::Retry | FailureKind::Deferred => {
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
            requeued = settled.acknowledged,
        ),
        Outcome::Skipped(reason @ SkipReason::DestinationNewer) => {
            terminal!(warn, "record done, with a conflict", reason = reason.as_str(),);
        }
        Outcome::Skipped(reason) if lost.is_empty() => terminal!(info, "record done", reason = reason.as_str(),),
        Outcome::Skipped(reason) => terminal!(warn, "record done, with aspects not carried", reason = reason.as_str(),),
        Outcome::Copied { version_id, size_bytes } => {
            let version_id = version_id.as_ref().map(VersionId::as_str);
            if lost.is_empty() {
                terminal!(
                    info,
                    "record done",
                    s3.version_id = version_id,
                    s3.size_bytes = size_bytes,
                );
            } else {
                terminal!(
                    warn,
                    "record done, with aspects lost",
                    s3.version_id = version_id,
                    s3.size_bytes = size_bytes,
                );
            }
        }
        Outcome::AttributesUpdated { attributes } => {
            let attributes_updated = listed(attributes);
            if lost.is_empty() {
                terminal!(info, "record done", attributes_updated = %attributes_updated,);
            } else {
                terminal!(warn, "record done, with aspects lost", attributes_updated = %attributes_updated,);
            }
        }
        Outcome::Deleted => terminal!(info, "record done",),
    }
}

/// Logs each denial of an invocation once, with the number of records that it stopped.
pub fn log_denials<'a>(settled: impl IntoIterator<Item = &'a RecordResult>) {
    let mut denials: BTreeMap<(&str, &str), (u64, &Failure)> = BTreeMap::new();
    for settled in settled {
        if let Outcome::Failed(failure) = &settled.report.outcome
            && is_denial(failure)
        {
            let denial = denials.entry((&failure.action, bucket_of(&failure.resource)));
            denial.or_insert((0, failure)).0 += 1;
        }
    }
    for ((action, bucket), (records, failure)) in denials {
        tracing::error!(
            error.kind = failure.kind.as_str(),
            error.code = failure.code,
            action,
            resource = bucket,
            records,
            %failure,
            "access denied"
        );
    }
}

fn is_denial(failure: &Failure) -> bool {
    failure.code.starts_with("AccessDenied")
}

/// Returns the bucket of an object's ARN, or the resource as it is.
fn bucket_of(resource: &str) -> &str {
    match resource.split_once('/') {
        Some((bucket, _)) if bucket.contains(":s3:") => bucket,
        _ => resource,
    }
}

/// Names aspects in the log, with commas between them.
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
        let settled = RecordResult {
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
            stale: false,
            first_of_key: true,
        };
        let mut counts = InvocationCounts::default();
        count(&settled, &mut counts);
        counts
    }

    /// Keeps level and message of every event.
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
    fn denials_alike_are_one_error_with_a_count_beside_the_line_of_each_record() {
        let denied = |bucket: &str, key: &str| RecordResult {
            report: ReconcileReport::failed(Failure {
                kind: FailureKind::Permanent,
                code: "AccessDenied".to_owned(),
                action: "s3:GetObject".to_owned(),
                resource: format!("arn:aws:s3:::{bucket}/{key}"),
                detail: "said S3".to_owned(),
            }),
            acknowledged: false,
            stale: false,
            first_of_key: true,
        };
        let settled = [
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
        };
        let written = Log::default();
        tracing::subscriber::with_default(written.clone(), || {
            log_denials(&settled);
            for settled in &settled {
                log(RecordOrigin::Message(None), &hint, settled);
            }
        });
        let written = written.0.lock().unwrap();
        let of_level = |wanted: Level| written.iter().filter(move |(level, _)| *level == wanted);
        let errors: Vec<(&str, &str)> = of_level(Level::ERROR)
            .map(|(_, fields)| (fields["resource"].as_str(), fields["records"].as_str()))
            .collect();
        assert_eq!(errors, [("\"arn:aws:s3:::one\"", "3"), ("\"arn:aws:s3:::two\"", "1")]);
        let ends = of_level(Level::WARN).filter(|(_, fields)| fields["message"] == "record failed");
        assert_eq!(ends.count(), 4, "each record has its line");
    }

    #[test]
    fn conflicts_are_counted_among_what_was_skipped() {
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
