use proptest::prelude::*;

use super::*;
use crate::manifest::ManifestReader;
use crate::names::BucketName;

fn read(text: &str) -> Result<Vec<TaskRow>, CompletionReportError> {
    rows("report.csv", text.as_bytes()).collect()
}

/// Writes a row as S3 does: the status before the code.
fn to_csv(row: &TaskRow) -> String {
    let status = row.http_status.map_or_else(String::new, |status| status.to_string());
    let end = match row.end {
        TaskOutcome::Succeeded => "succeeded",
        TaskOutcome::Failed => "failed",
    };
    let cells = &row.cells;
    let version = cells.version.as_deref().unwrap_or_default();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fields = [
        &cells.bucket,
        &cells.key,
        version,
        end,
        &status,
        &row.error_code,
        &row.message,
    ];
    writer.write_record(fields).unwrap();
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn one(text: &str) -> TaskRow {
    read(text).unwrap().remove(0)
}

#[test]
fn rows_are_parsed_as_s3_writes_them() {
    // The examples of the user guide have the status before the error code, unlike the index.
    let row =
        one("source,a%20b,,failed,200,PermanentFailure,\"failed (permanent) AccessDenied: s3:PutObject, and so on\"\n");
    assert_eq!((row.end, row.http_status), (TaskOutcome::Failed, Some(200)));
    assert_eq!(row.error_code, "PermanentFailure");
    assert_eq!(row.outcome(), "failed:AccessDenied");
    assert_eq!(row.cells.shown_key(), "a b");
    let row = one("source,a,v1,succeeded,200,,copied 5 bytes as version v9\n");
    assert_eq!((row.end, row.outcome().as_str()), (TaskOutcome::Succeeded, "copied"));
    assert_eq!(row.cells.version.as_deref(), Some("v1"));
    // The order in the index.
    let row = one("source,a,,failed,AccessDenied,403,denied\n");
    assert_eq!((row.error_code.as_str(), row.http_status), ("AccessDenied", Some(403)));
    assert_eq!(row.outcome(), "failed:AccessDenied");
    // Messages of several lines, and missing columns.
    let row = one("source,a,,failed,500,,\"first\nsecond\"\n");
    assert_eq!(
        (row.message.as_str(), row.outcome().as_str()),
        ("first\nsecond", "failed:Status500")
    );
    assert_eq!(one("source,a,,succeeded\n").outcome(), "succeeded");
    assert_eq!(
        read("Bucket,Key,VersionId,TaskStatus\nsource,a,,succeeded\n")
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn unreadable_rows_are_errors_with_row_numbers() {
    for (text, expected) in [
        ("source,a,\n", "report.csv, row 1: the number of columns is 3"),
        ("source,a,,succeeded\nsource,b,,done\n", "row 2: the status is `done`"),
        ("source,,,failed\n", "the bucket or the key is empty"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = rows("r", &b"source,\xff,,failed\n"[..]).next().unwrap().unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[test]
fn report_files_must_match_the_index() {
    let text = r#"{"Format":"Report_CSV_20180820","ReportCreationDate":"2026-11-23T04:05:29.725Z","Results":[
        {"TaskExecutionStatus":"succeeded","Bucket":"state","MD5Checksum":"83b1c4cbe93fc893f54053697e10fd6e",
         "Key":"final-sync/reports/job-1/results/6217b0.csv"}],
        "ReportSchema":"Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"}"#;
    let index = CompletionReportManifest::parse("manifest.json", text.as_bytes()).unwrap();
    let file = &index.results[0];
    assert_eq!(file.check_md5("83B1C4CBE93FC893F54053697E10FD6E"), Ok(()));
    let error = file.check_md5("00").unwrap_err().to_string();
    assert!(error.contains("6217b0.csv has the MD5 00"), "{error}");
    let again = serde_json::to_vec(&index).unwrap();
    assert_eq!(CompletionReportManifest::parse("manifest.json", &again), Ok(index));
    let error = CompletionReportManifest::parse("m", b"{}").unwrap_err().to_string();
    assert!(error.contains("m is not the index of a completion report"), "{error}");
    let other = text.replace("ResultMessage", "Message");
    let error = CompletionReportManifest::parse("m", other.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.contains("m names the columns `Bucket, Key"), "{error}");
    let other = text.replace("Report_CSV_20180820", "Report_Parquet");
    let error = CompletionReportManifest::parse("m", other.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.contains("format `Report_Parquet`"), "{error}");
}

#[test]
fn retry_manifest_lists_the_failed_tasks() {
    let mut retry_manifest = RetryManifest::default();
    let mut csv_row = |text: &str| retry_manifest.csv_row(&one(text)).unwrap();
    assert_eq!(csv_row("source,a%20b%2Bc,,failed,200,,x\n"), "source,a%20b%2Bc");
    // A report whose keys are not encoded.
    assert_eq!(csv_row("source,\"a b,c\",,failed,200,,x\n"), "source,a%20b%2Cc");
    assert_eq!(csv_row("source,100%,,failed,200,,x\n"), "source,100%25");
    assert_eq!(retry_manifest.rows, 3);
    let error = retry_manifest.csv_row(&one("source,a,v1,failed\n")).unwrap_err();
    assert!(
        matches!(error, CompletionReportError::MixedVersions { row: 1, .. }),
        "{error}"
    );
}

#[test]
fn totals_count_by_outcome() {
    let mut tally = JobReportTotals::default();
    for row in read(
        "s,a,,succeeded,200,,copied 5 bytes\ns,b,,succeeded,200,,skipped already-identical: both\n\
         s,c,,failed,200,PermanentFailure,failed (permanent) KmsDenied: x\ns,d,,failed,403,AccessDenied,\n",
    )
    .unwrap()
    {
        tally.add(&row);
    }
    assert_eq!((tally.tasks(), tally.succeeded, tally.failed), (4, 2, 2));
    let outcomes: Vec<&str> = tally.outcomes.keys().map(String::as_str).collect();
    assert_eq!(
        outcomes,
        [
            "copied",
            "failed:AccessDenied",
            "failed:KmsDenied",
            "skipped:already-identical"
        ]
    );
}

#[test]
fn token_is_equal_only_for_the_same_job() {
    let fields = || TokenFields::default().with("manifest", "m").with("argument", "a=b");
    let token = fields().token();
    assert_eq!(token, fields().token());
    assert_eq!((token.as_str().len(), token.short().len()), (64, 32));
    assert_ne!(token, fields().with("run", "2").token());
    let moved = TokenFields::default().with("manifest", "ma").with("argument", "=b");
    assert_ne!(token, moved.token());
}

#[test]
fn states_are_parsed_and_classified() {
    for state in JobState::KNOWN {
        assert_eq!(JobState::parse(state.as_str()), state);
    }
    assert_eq!(JobState::parse("Resting"), JobState::Unknown);
    assert!(JobState::Suspended.waits() && !JobState::Suspended.is_over());
    assert!(JobState::Failed.is_over() && !JobState::Unknown.is_over());
    assert_eq!(JobState::of_execution("TIMED_OUT"), JobState::Failed);
    let progress = |state, failed, total| JobProgress {
        state,
        total,
        succeeded: 3,
        failed,
        reason: None,
    };
    assert!(progress(JobState::Complete, 0, Some(3)).is_all_done());
    assert!(!progress(JobState::Complete, 1, Some(4)).is_all_done());
    assert!(
        !progress(JobState::Complete, 0, Some(4)).is_all_done(),
        "a task without a result is not done"
    );
    assert!(!progress(JobState::Failed, 0, Some(3)).is_all_done());
}

proptest! {
    #[test]
    fn any_row_survives_a_round_trip(
        key in "\\PC{1,40}", message in any::<String>(), code in "[A-Za-z]{0,20}", status in 100_u16..600,
        failed in any::<bool>(),
    ) {
        let row = TaskRow {
            file: "report.csv".to_owned(),
            row: 1,
            cells: TaskCells { bucket: "source".to_owned(), key, version: None },
            end: if failed { TaskOutcome::Failed } else { TaskOutcome::Succeeded },
            http_status: Some(status),
            error_code: code,
            message,
        };
        prop_assume!(row.cells.key != "Key");
        prop_assert_eq!(read(&to_csv(&row)).unwrap(), vec![row]);
    }

    #[test]
    fn retry_manifest_of_any_key_contains_the_key(key in "\\PC{1,40}") {
        let row = crate::manifest::ManifestRow::new(
            BucketName::new("source").unwrap(),
            crate::names::ObjectKey::from_raw(key.clone()).unwrap(),
            None,
        );
        let reported = one(&format!("{},,failed,200,PermanentFailure,x\n", row.to_csv()));
        prop_assert_eq!(reported.cells.shown_key(), key);
        let csv_row = RetryManifest::default().csv_row(&reported).unwrap();
        let read = ManifestReader::new("retry_manifest", None).line(csv_row.as_bytes()).unwrap();
        prop_assert_eq!(read, Some(row));
    }

    #[test]
    fn any_bytes_are_parsed_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for row in rows("report.csv", &bytes[..]).flatten() {
            prop_assert!(!row.outcome().is_empty());
        }
        let _read = CompletionReportManifest::parse("manifest.json", &bytes);
    }
}
