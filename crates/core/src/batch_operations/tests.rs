use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::facts::{Attribute, AttributeSet};
use crate::failure::{Failure, FailureKind};
use crate::names::{BucketName, ObjectKey, VersionId};
use crate::outcome::{DeferralReason, Outcome, ReconcileReport, SkipReason};
use crate::time::Timestamp;

fn job(payload: &Value) -> JobInvocation {
    match parse_request(payload) {
        Ok(FinalSyncRequest::Job(job)) => job,
        other => panic!("{other:?}"),
    }
}

fn map(payload: &Value) -> MapBatch {
    match parse_request(payload) {
        Ok(FinalSyncRequest::Map(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

fn invocation(tasks: &Value) -> Value {
    json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j"}, "tasks": tasks})
}

/// Returns the target of a task with these fields, or its error, as text.
fn read_task(fields: &Value) -> String {
    let mut task = json!({"taskId": "t", "s3Key": "a", "s3VersionId": null, "s3Bucket": "example"});
    for (name, value) in fields.as_object().unwrap() {
        task[name] = value.clone();
    }
    let job = job(&invocation(&json!([task])));
    match &job.tasks[0].target {
        Ok(target) => {
            let keys: Vec<&str> = target.keys.iter().map(ObjectKey::as_str).collect();
            format!("{} {}", target.bucket, keys.join("|"))
        }
        Err(error) => format!("{}: {error}", error.code()),
    }
}

#[track_caller]
fn check_task(fields: &Value, expected: &str) {
    let read = read_task(fields);
    assert!(read.contains(expected), "{fields}: {read}");
}

#[test]
fn tasks_of_both_schema_versions_are_parsed() {
    check_task(&json!({}), "example a");
    check_task(
        &json!({"s3Bucket": null, "s3BucketArn": "arn:aws:s3:::bucket-one"}),
        "bucket-one a",
    );
    // The example in AWS's documentation has a region and an account.
    check_task(
        &json!({"s3Bucket": null, "s3BucketArn": "arn:aws-cn:s3:cn-north-1:0123456788:bucket-one"}),
        "bucket-one a",
    );
    check_task(&json!({"aFieldOfTomorrow": [1]}), "example a");
}

#[test]
fn ambiguous_keys_are_decoded_in_both_ways() {
    check_task(
        &json!({"s3Key": "a%20b%2Bc%2520%C3%BC/%E6%97%A5"}),
        "example a b+c%20ü/日",
    );
    check_task(&json!({"s3Key": "a+b%2Bc"}), "example a b+c|a+b+c");
    check_task(
        &json!({"s3Key": "100%"}),
        "NameNotValid: `tasks[0].s3Key`: object key `100%` is not form-encoded",
    );
    check_task(&json!({"s3Key": "%FF"}), "not UTF-8");
}

#[test]
fn unreadable_task_has_its_own_error_with_the_field() {
    check_task(
        &json!({"s3Key": null}),
        "FieldMissing: `tasks[0].s3Key` is null, expected a non-empty string",
    );
    check_task(&json!({"s3Key": ""}), "`tasks[0].s3Key` is empty");
    check_task(&json!({"s3Key": 7}), "`tasks[0].s3Key` is 7");
    check_task(&json!({"s3Bucket": null}), "`tasks[0].s3Bucket` is null");
    check_task(
        &json!({"s3Bucket": "no/bucket"}),
        "NameNotValid: `tasks[0].s3Bucket`: bucket name `no/bucket`",
    );
    check_task(
        &json!({"s3Bucket": null, "s3BucketArn": "arn:aws:sqs:::name"}),
        "`tasks[0].s3BucketArn` is `arn:aws:sqs:::name`, expected the ARN of a bucket",
    );
}

#[track_caller]
fn check_refused(payload: &Value, expected: &str) {
    let error = parse_request(payload).unwrap_err();
    let text = format!("{}: {error}", error.code());
    assert!(text.contains(expected), "{payload}: {text}");
}

#[test]
fn payload_without_possible_results_is_refused() {
    check_refused(&json!({}), "NotABatch: the payload is not a batch");
    check_refused(&json!([1]), "found an array");
    check_refused(&json!({"Records": []}), "found an object with Records");
    check_refused(&json!({"tasks": []}), "`invocationSchemaVersion` is missing");
    check_refused(
        &json!({"tasks": [], "invocationSchemaVersion": "1.0"}),
        "`invocationId` is missing",
    );
    let mut payload = invocation(&json!([{"taskId": "a"}, {"s3Key": "b"}]));
    check_refused(&payload, "`tasks[1].taskId` is missing");
    payload["tasks"] = json!({});
    check_refused(&payload, "`tasks` is an empty object, expected an array of tasks");
    check_refused(&json!({"Items": 3}), "`Items` is 3");
    check_refused(&json!({"Items": [], "BatchInput": 3}), "`BatchInput` is 3");
    check_refused(&json!({"batch": {"Items": []}, "retries": "x"}), "`retries` is `x`");
    check_refused(&json!({"finalSync": "dance"}), "`finalSync` is `dance`");
}

#[test]
fn job_with_unsupported_arguments_has_a_result_for_each_task() {
    let refused = |change: fn(&mut Value)| {
        let mut payload = invocation(&json!([{"taskId": "t", "s3Key": "a", "s3Bucket": "example"}]));
        change(&mut payload);
        let job = job(&payload);
        assert_eq!(job.tasks.len(), 1);
        job.arguments.unwrap_err().to_string()
    };
    assert!(
        refused(|payload| payload["invocationSchemaVersion"] = json!("3.0"))
            .contains("`invocationSchemaVersion` is `3.0`, expected 1.0 or 2.0")
    );
    assert!(
        refused(|payload| payload["job"]["userArguments"] = json!({"speed": "high"})).contains(
            "user argument `speed` is not supported: allowed are ownership, propagate-deletes, storage-class, \
             compare-attributes"
        )
    );
    assert!(refused(|payload| payload["job"]["userArguments"] = json!({"attributes": 1})).contains("is 1, expected"));
    assert!(refused(|payload| payload["job"]["userArguments"] = json!("always")).contains("is `always`, expected an"));
    assert!(
        refused(|payload| payload["job"]["userArguments"] =
            json!({"attributes": "as-needed", "compare_attributes": "always"}))
        .contains("user argument `compare-attributes` is given more than once")
    );
}

#[test]
fn arguments_are_accepted_in_every_spelling() {
    for name in ["storage-class", "storageClass", "STORAGE_CLASS", "StorageClass"] {
        let mut payload = invocation(&json!([]));
        payload["job"]["userArguments"] = json!({name: "GLACIER_IR"});
        let arguments = job(&payload).arguments.unwrap();
        assert_eq!(
            arguments.get(JobArgumentName::StorageClass),
            Some("GLACIER_IR"),
            "{name}"
        );
        assert_eq!(arguments.get(JobArgumentName::Ownership), None);
    }
    for argument in ARGUMENTS {
        assert_eq!(argument.name.as_str(), argument.spelled);
    }
}

#[test]
fn invalid_compare_attributes_error_lists_the_allowed_values() {
    assert_eq!(
        (AttributeDepth::parse("as-needed"), AttributeDepth::parse("always")),
        (Ok(AttributeDepth::AsNeeded), Ok(AttributeDepth::Always))
    );
    let error = AttributeDepth::parse("checksum").unwrap_err().to_string();
    assert_eq!(
        error,
        "user argument `compare-attributes` is `checksum`: allowed: as-needed, always"
    );
    assert!(
        AttributeDepth::AsNeeded.attributes().is_empty()
            && AttributeDepth::Always.attributes().contains(&Attribute::Tags)
    );
}

#[test]
fn map_batch_and_single_item_are_parsed_equally() {
    let row = json!({"Bucket": "example", "Key": "a%20b", "VersionId": ""});
    let target = |batch: MapBatch| batch.items[0].target.clone().unwrap();
    let alone = map(&row);
    assert_eq!(
        (alone.run.clone(), alone.retries, alone.items[0].row.clone()),
        (None, 0, row.clone())
    );
    let expected = target(alone);
    assert_eq!(expected.keys[0].as_str(), "a b");
    assert_eq!(
        target(map(&json!({"Items": [row], "BatchInput": {"job": 1}}))),
        expected
    );
    let selected = json!({"row": row, "run": {"execution": "e-1", "userArguments": {"attributes": "always"}}});
    for payload in [selected.clone(), json!({"Items": [selected.clone(), selected]})] {
        let batch = map(&payload);
        assert_eq!(batch.run.as_ref().map(RunName::as_str), Some("e-1"));
        assert_eq!(
            batch
                .arguments
                .as_ref()
                .unwrap()
                .get(JobArgumentName::CompareAttributes),
            Some("always")
        );
        assert_eq!(batch.items[0].row, row);
        assert_eq!(target(batch), expected);
    }
    let again = json!({
        "Items": [{"row": row, "attempts": 3, "idle": 2, "due": 1_000}],
        "BatchInput": {"run": {"execution": "e-1"}, "userArguments": {}, "ended": {"items": 5, "failed": 1}},
    });
    let retried = map(&json!({"batch": again, "retries": 2}));
    assert_eq!(
        (retried.retries, retried.ended),
        (2, FinishedItems { items: 5, failed: 1 })
    );
    assert_eq!(target(retried.clone()), expected);
    let due = Some(Timestamp::from_seconds(1_000));
    let runs = ItemAttempts {
        attempts: 3,
        idle: 2,
        due,
    };
    assert_eq!(retried.items[0].runs, runs);
    assert_eq!(map(&again), MapBatch { retries: 0, ..retried });
    assert!(map(&json!({"Items": []})).items.is_empty());
}

#[test]
fn columns_are_found_in_every_spelling_of_the_header_row() {
    for (bucket, key) in [("Bucket", "Key"), ("bucket", "key"), ("\u{FEFF}BUCKET", " Key ")] {
        let batch = map(&json!({"Items": [{bucket: "example", key: "a", "VersionId": "v1", "Size": "5"}]}));
        let target = batch.items[0].target.clone().unwrap();
        assert_eq!((target.bucket.as_str(), target.keys[0].as_str()), ("example", "a"));
    }
    let odd = json!({"Items": [{"Key": "a"}, {"Bucket": "example", "Key": 7}, {"Bucket": "example", "Key": "%"}, 3]});
    let errors: Vec<String> = map(&odd)
        .items
        .into_iter()
        .map(|item| item.target.unwrap_err().to_string())
        .collect();
    for (error, expected) in errors.iter().zip([
        "`Items[0].Bucket` is missing",
        "`Items[1].Key` is 7",
        "`Items[2].Key`: object key `%`",
        "`Items[3].Bucket` is missing",
    ]) {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn byte_order_mark_and_carriage_return_are_removed_from_rows() {
    let batch = map(&json!({"Items": [
        {"Bucket": "\u{FEFF}example", "Key": "a%20b\r", "VersionId": ""},
        {"Bucket": "example", "Key": "\r"},
    ]}));
    let targets: Vec<_> = batch.items.into_iter().map(|item| item.target).collect();
    let read = |index: usize| targets[index].clone().unwrap();
    assert_eq!((read(0).bucket.as_str(), read(0).keys[0].as_str()), ("example", "a b"));
    assert!(targets[1].is_err());
}

#[test]
fn run_names_cannot_leave_their_folder() {
    assert_eq!(RunName::new("a-B_1.c").unwrap().folder(), "final-sync/a-B_1.c");
    for name in ["", ".", "..", "a/b", "a b", "ü", &"x".repeat(81)] {
        assert!(RunName::new(name).is_err(), "{name}");
    }
}

#[test]
fn commands_of_the_state_machine_are_parsed() {
    let begin = json!({"finalSync": "begin", "execution": "e", "input": {"manifestKey": "final-sync/m.csv"}});
    let Ok(FinalSyncRequest::Begin(read)) = parse_request(&begin) else {
        panic!("{begin}")
    };
    assert_eq!(read.manifest_key.as_str(), "final-sync/m.csv");
    check_refused(
        &json!({"finalSync": "begin", "execution": "e", "input": {}}),
        "`manifestKey` is missing",
    );
    check_refused(
        &json!({"finalSync": "begin", "execution": "e", "input": {"manifestKey": "m", "userArguments": {"x": "y"}}}),
        "user argument `x` is not supported",
    );
    check_refused(&json!({"finalSync": "begin", "execution": "a/b", "input": {}}), "run");
    let lost =
        json!({"finalSync": "lost", "input": {"Items": [{"Bucket": "example", "Key": "a"}], "error": {"Error": "E"}}});
    let Ok(FinalSyncRequest::Lost(lost)) = parse_request(&lost) else {
        panic!("{lost}")
    };
    assert!(lost.error.contains("\"E\"") && lost.batch.items.len() == 1);
    let conclude = json!({"finalSync": "conclude", "begun": {"run": {"execution": "e"}, "manifestKey": "m"}});
    assert!(matches!(
        parse_request(&conclude),
        Ok(FinalSyncRequest::Conclude(RunEnd {
            stopped: None,
            resume: false,
            ..
        }))
    ));
    let mut resumed = conclude.clone();
    for (finished, resume) in [(false, true), (true, false)] {
        resumed["begun"]["summary"] = json!({"finished": finished, "output": {}});
        let read = parse_request(&resumed);
        assert!(matches!(read, Ok(FinalSyncRequest::Conclude(end)) if end.resume == resume));
    }
}

fn report(outcome: Outcome) -> ReconcileReport {
    ReconcileReport {
        outcome,
        not_preserved: AttributeSet::new(),
        passes: 1,
        progress: false,
        outcome_unknown: false,
        upload_left: false,
        not_comparable: false,
        duration: Duration::ZERO,
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        code: "SomeCode".into(),
        action: "s3:PutObject".to_owned(),
        resource: "arn:aws:s3:::example/key".to_owned(),
        detail: "the service's message".to_owned(),
    }
}

#[track_caller]
fn check_result(outcome: Outcome, acknowledged: bool, code: ResultCode, name: &str, text: &str) {
    let result = conclude(&report(outcome), acknowledged);
    assert_eq!(outcome_of_text(&result.result_string()), Some(result.outcome.clone()));
    assert_eq!((result.code, result.outcome.as_str()), (code, name), "{}", result.text);
    assert!(result.text.contains(text), "{}", result.text);
}

#[test]
fn every_outcome_has_a_code_and_a_text() {
    use ResultCode::{PermanentFailure, Succeeded, TemporaryFailure};
    let copied = Outcome::Copied {
        version_id: VersionId::pinnable("v9"),
        size_bytes: 5,
    };
    check_result(
        copied.clone(),
        true,
        Succeeded,
        "copied",
        "copied 5 bytes as version v9",
    );
    check_result(
        copied,
        false,
        TemporaryFailure,
        "copied",
        "an earlier write may still land",
    );
    check_result(
        Outcome::Deleted,
        true,
        Succeeded,
        "deleted",
        "the source object is deleted",
    );
    for (reason, text) in [
        (SkipReason::AlreadyIdentical, "equal objects"),
        (SkipReason::BothAbsent, "does not exist on either side"),
        (SkipReason::DeletesNotPropagated, "deletes are not propagated"),
        (SkipReason::OutOfScope, "prefix"),
        (SkipReason::DestinationNewer, "conflict"),
        (SkipReason::SourceIsReplica, "itself a copy from the destination"),
        (SkipReason::ExternalWrite, "is an external write"),
    ] {
        check_result(
            Outcome::Skipped(reason),
            true,
            Succeeded,
            &format!("skipped:{}", reason.as_str()),
            text,
        );
    }
    let attributes_updated = Outcome::AttributesUpdated {
        attributes: AttributeSet::from([Attribute::Tags]),
    };
    check_result(attributes_updated, true, Succeeded, "attributes-updated", "tags");
    let again = Outcome::Deferred(DeferralReason::Deadline);
    check_result(
        again.clone(),
        false,
        TemporaryFailure,
        "unfinished",
        "not done yet (deadline)",
    );
    check_result(again, true, Succeeded, "requeued", "requeued (deadline)");
    for (kind, code, text) in [
        (FailureKind::Retry, TemporaryFailure, "may be transient"),
        (FailureKind::Permanent, PermanentFailure, "fix the reported problem"),
        (FailureKind::Configuration, PermanentFailure, "stop the job"),
        (FailureKind::Bug, PermanentFailure, "a bug of s3ferry"),
    ] {
        check_result(Outcome::Failed(failure(kind)), false, code, "failed:SomeCode", text);
        let text = format!("failed ({kind}) SomeCode: s3:PutObject on arn:aws:s3:::example/key: the service's message");
        check_result(Outcome::Failed(failure(kind)), false, code, "failed:SomeCode", &text);
    }
}

#[test]
fn copies_of_incomparable_objects_are_counted_separately() {
    let copied = Outcome::Copied {
        version_id: None,
        size_bytes: 5,
    };
    let mut report = report(copied);
    report.not_comparable = true;
    let result = conclude(&report, true);
    assert_eq!(
        (result.outcome.as_str(), result.bytes_copied),
        ("copied:not-comparable", 5)
    );
    assert_eq!(outcome_of_text(&result.text).as_deref(), Some("copied:not-comparable"));
}

#[test]
fn attributes_not_preserved_are_reported() {
    let mut report = report(Outcome::Deleted);
    report.not_preserved = AttributeSet::from([Attribute::Acl, Attribute::Tags]);
    assert!(conclude(&report, true).text.ends_with("; not preserved: tags, acl"));
}

#[test]
fn truncated_failure_preserves_its_beginning_and_the_next_step() {
    let result = TaskResult::failed(&Failure {
        resource: format!("arn:aws:s3:::example/{}", "ü".repeat(1_000)),
        detail: "d".repeat(5_000),
        code: "C".repeat(500).as_str().into(),
        action: "a".repeat(500),
        ..failure(FailureKind::Configuration)
    });
    let text = result.result_string();
    assert!(text.chars().count() <= LONGEST_RESULT, "{}", text.chars().count());
    assert!(text.starts_with("failed (configuration) CCC"), "{text}");
    assert!(text.ends_with("then run the failed tasks again"), "{text}");
    assert!(text.contains("arn:aws:s3:::example/"), "{text}");
}

#[test]
fn results_of_two_keys_merge_to_the_worse_one_with_both_texts() {
    let key = |key: &str| ObjectKey::from_raw(key).unwrap();
    let (form, literal) = (key("a b"), key("a+b"));
    let absent = conclude(&report(Outcome::Skipped(SkipReason::BothAbsent)), true);
    let copied = Outcome::Copied {
        version_id: None,
        size_bytes: 5,
    };
    let copied = conclude(&report(copied), true);
    let failed = conclude(&report(Outcome::Failed(failure(FailureKind::Permanent))), false);
    let merged = merge(&[(&form, absent.clone()), (&literal, copied)]).unwrap();
    assert_eq!(
        (merged.code, merged.outcome.as_str(), merged.bytes_copied),
        (ResultCode::Succeeded, "copied", 5)
    );
    assert!(merged.text.contains("\"a b\": skipped both-absent") && merged.text.contains("\"a+b\": copied 5 bytes"));
    let merged = merge(&[(&form, failed), (&literal, absent)]).unwrap();
    assert_eq!(
        (merged.code, merged.outcome.as_str()),
        (ResultCode::PermanentFailure, "failed:SomeCode")
    );
    assert_eq!(merge(&[]), None);
}

#[test]
fn response_has_the_schema_of_s3() {
    let result = TaskResult::foreign(&BucketName::new("other").unwrap(), &BucketName::new("example").unwrap());
    let answer = JobInvocationResponse::new("1.0", "i", [("t1", &result), ("t1", &result)]);
    let text = result.result_string();
    assert!(text.contains("bucket other") && text.contains("example only"), "{text}");
    let one = json!({"taskId": "t1", "resultCode": "PermanentFailure", "resultString": text});
    let expected = json!({
        "invocationSchemaVersion": "1.0", "treatMissingKeysAs": "PermanentFailure", "invocationId": "i",
        "results": [one, one],
    });
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
}

#[test]
fn summary_counts_by_outcome() {
    let row = json!({"Bucket": "example", "Key": "a"});
    let copied = conclude(
        &report(Outcome::Copied {
            version_id: None,
            size_bytes: 5,
        }),
        true,
    );
    let failed = TaskResult::failed(&failure(FailureKind::Permanent));
    let exhausted = conclude(&report(Outcome::Deferred(DeferralReason::HotKey)), false).exhausted(9);
    let line = |result: &TaskResult| serde_json::to_string(&ResultLine::new(&row, result)).unwrap();
    let mut summary = FinalSyncSummary::default();
    summary.add(&format!("{}\n{}\n\n", line(&copied), line(&copied)));
    summary.add(&format!("{}\n{}\nnot a line", line(&failed), line(&exhausted)));
    assert_eq!(
        (summary.items, summary.succeeded, summary.failed, summary.bytes_copied),
        (4, 2, 2, 10)
    );
    assert_eq!(summary.unreadable_lines, 1);
    assert_eq!(
        serde_json::to_value(&summary.outcomes).unwrap(),
        json!({"copied": 2, "failed:SomeCode": 1, "failed:Unfinished": 1})
    );
    assert!(
        summary.failures[1]
            .detail
            .starts_with("given up after 9 runs: not done yet (hot-key)")
    );
}

proptest! {
    #[test]
    fn results_never_exceed_the_length_limit(
        detail in "\\PC{0,3000}", resource in "\\PC{0,1500}", key in "\\PC{1,250}",
    ) {
        let failed = TaskResult::failed(&Failure { resource, detail, ..failure(FailureKind::Retry) });
        let text = failed.result_string();
        prop_assert!(text.chars().count() <= LONGEST_RESULT);
        prop_assert!(text.contains("; next: "));
        let key = ObjectKey::from_raw(key).unwrap();
        let merged = merge(&[(&key, failed.clone()), (&key, failed)]).unwrap();
        prop_assert!(merged.text.chars().count() <= LONGEST_RESULT);
    }

    #[test]
    fn shortened_text_never_exceeds_the_limit(text in "\\PC{0,300}", limit in 1usize..200) {
        let short = shortened(&text, limit);
        prop_assert!(short.chars().count() <= limit.max(1));
        prop_assert!(text.chars().count() > limit || short == text);
    }
}
