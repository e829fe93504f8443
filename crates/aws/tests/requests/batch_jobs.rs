//! S3 Batch Operations jobs and Step Functions executions.

use std::collections::BTreeMap;

use s3ferry_aws::batch::jobs::{BatchJobs, JobOrder, ManifestObject, TaskOperation};
use s3ferry_aws::batch::runs::{ExecutionStart, Executions};
use s3ferry_aws::batch::stacks;
use s3ferry_core::batch_report::{JobState, TokenFields};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::names::{AccountId, ETag, VersionId};
use serde_json::json;

use crate::recorded::{Recorded, SOURCE_REGION, answer, assert_failure, bucket, key, region};

const ID: &str = "f8fb9d89-a3aa-461d-bddc-ea6a1b131955";
const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:s3ferry-final-sync";
const RUN: &str = "arn:aws:states:us-east-1:123456789012:execution:s3ferry-final-sync:batch-1";

fn jobs(recorded: &Recorded) -> BatchJobs {
    let account = AccountId::new("123456789012").unwrap();
    BatchJobs::new(&recorded.clients, account, region(SOURCE_REGION), None)
}

fn order() -> JobOrder {
    JobOrder {
        operation: TaskOperation::Invoke {
            function_arn: "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
            user_arguments: BTreeMap::from([("attributes".to_owned(), "always".to_owned())]),
        },
        manifest: ManifestObject {
            bucket: bucket("state-bucket"),
            key: key(),
            etag: ETag::new("\"aa\"").unwrap(),
            version: VersionId::pinnable("v1"),
            has_versions: true,
        },
        report_bucket: bucket("state-bucket"),
        report_prefix: "final-sync/reports".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
        priority: 10,
        confirmation_required: true,
        description: "s3ferry".to_owned(),
        token: TokenFields::default().with("a", "b").token(),
    }
}

#[tokio::test]
async fn job_request_names_account_region_and_every_field() {
    let created = answer(
        200,
        &[],
        "<CreateJobResult><JobId>f8fb9d89-a3aa-461d-bddc-ea6a1b131955</JobId></CreateJobResult>",
    );
    let recorded = Recorded::new([created]);
    assert_eq!(jobs(&recorded).create(&order()).await.unwrap(), ID);
    let request = recorded.http.actual_requests().next().unwrap();
    assert_eq!(
        request.uri(),
        "https://123456789012.s3-control.us-east-1.amazonaws.com/v20180820/jobs"
    );
    assert_eq!(request.headers().get("x-amz-account-id"), Some("123456789012"));
    let body = recorded.body(0);
    for part in [
        "<InvocationSchemaVersion>2.0</InvocationSchemaVersion>",
        "<UserArguments><entry><key>attributes</key><value>always</value></entry></UserArguments>",
        "<Fields><member>Bucket</member><member>Key</member><member>VersionId</member></Fields>",
        "<ETag>aa</ETag>",
        "<ObjectVersionId>v1</ObjectVersionId>",
        "<Prefix>final-sync/reports</Prefix>",
        "<ConfirmationRequired>true</ConfirmationRequired>",
        "<Priority>10</Priority>",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    assert!(body.contains(order().token.as_str()), "{body}");
}

#[tokio::test]
async fn job_is_described_with_task_counts_report_and_failure_reasons() {
    let described = answer(
        200,
        &[],
        "<DescribeJobResult><Job><Status>Failed</Status><FailureReasons><member><FailureCode>ManifestNotFound\
         </FailureCode><FailureReason>the manifest is gone</FailureReason></member></FailureReasons><ProgressSummary>\
         <TotalNumberOfTasks>10</TotalNumberOfTasks><NumberOfTasksSucceeded>7</NumberOfTasksSucceeded>\
         <NumberOfTasksFailed>2</NumberOfTasksFailed></ProgressSummary><Report><Bucket>arn:aws:s3:::state-bucket\
         </Bucket><Enabled>true</Enabled><Prefix>p</Prefix></Report></Job></DescribeJobResult>",
    );
    let recorded = Recorded::new([described]);
    let job = jobs(&recorded).describe(ID).await.unwrap();
    let progress = job.progress;
    assert_eq!((progress.state, progress.total), (JobState::Failed, Some(10)));
    assert_eq!((progress.succeeded, progress.failed), (7, 2));
    assert_eq!(
        progress.reason.as_deref(),
        Some("ManifestNotFound: the manifest is gone")
    );
    assert_eq!(job.report, Some(("state-bucket".to_owned(), "p".to_owned())));
}

#[tokio::test]
async fn request_that_s3_control_refuses_is_a_permanent_failure() {
    let refused = || {
        answer(
            400,
            &[],
            "<ErrorResponse><Error><Code>IdempotencyException</Code><Message>another job</Message></Error></ErrorResponse>",
        )
    };
    let recorded = Recorded::new([refused()]);
    let failure = jobs(&recorded).create(&order()).await.unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Configuration,
        &["s3:CreateJob", "IdempotencyException"],
    );
}

#[tokio::test]
async fn execution_is_started_by_name_and_found_again() {
    let recorded = Recorded::new([
        answer(
            200,
            &[],
            "{\"executionArn\":\"arn:aws:states:us-east-1:123456789012:execution:s3ferry-final-sync:batch-1\",\"startDate\":1}",
        ),
        answer(
            400,
            &[],
            "{\"__type\":\"com.amazonaws.swf.service.v2.model#ExecutionAlreadyExists\",\"message\":\"it exists\"}",
        ),
    ]);
    let runs = Executions::new(&recorded.clients, &region(SOURCE_REGION));
    let input = json!({"manifestKey": "final-sync/m.csv"});
    let started = runs.start(MACHINE, "batch-1", &input).await;
    assert_eq!(started, Ok(ExecutionStart::Running(RUN.to_owned())));
    let again = runs.start(MACHINE, "batch-1", &input).await;
    assert_eq!(again, Ok(ExecutionStart::Ended(RUN.to_owned())));
    let body: serde_json::Value = serde_json::from_str(&recorded.body(0)).unwrap();
    assert_eq!(
        body,
        json!({"stateMachineArn": MACHINE, "name": "batch-1", "input": input.to_string()})
    );
}

#[tokio::test]
async fn running_execution_is_counted_by_its_map_run() {
    let recorded = Recorded::new([
        answer(
            200,
            &[],
            "{\"executionArn\":\"e\",\"stateMachineArn\":\"m\",\"name\":\"batch-1\",\"status\":\"RUNNING\",\"startDate\":1,\
             \"input\":\"{\\\"manifestKey\\\":\\\"final-sync/m.csv\\\"}\"}",
        ),
        answer(
            200,
            &[],
            "{\"mapRuns\":[{\"executionArn\":\"e\",\"mapRunArn\":\"r\",\"stateMachineArn\":\"m\",\"startDate\":1}]}",
        ),
        answer(
            200,
            &[],
            "{\"mapRunArn\":\"r\",\"executionArn\":\"e\",\"status\":\"RUNNING\",\"startDate\":1,\"maxConcurrency\":5,\
             \"toleratedFailurePercentage\":5.0,\"toleratedFailureCount\":0,\"itemCounts\":{\"pending\":5,\"running\":2,\
             \"succeeded\":90,\"failed\":2,\"timedOut\":1,\"aborted\":0,\"total\":100,\"resultsWritten\":0}}",
        ),
    ]);
    let run = Executions::new(&recorded.clients, &region(SOURCE_REGION))
        .describe(RUN)
        .await
        .unwrap();
    assert_eq!((run.progress.state, run.progress.total), (JobState::Active, Some(100)));
    assert_eq!((run.progress.succeeded, run.progress.failed), (90, 3));
    assert_eq!(run.manifest_key.as_deref(), Some("final-sync/m.csv"));
}

#[tokio::test]
async fn stack_outputs_are_read_by_name() {
    let recorded = Recorded::new([
        answer(
            200,
            &[],
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s3ferry</StackName>\
             <CreationTime>2026-11-23T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>\
             <member><OutputKey>StateBucketName</OutputKey><OutputValue>state</OutputValue></member></Outputs></member>\
             </Stacks></DescribeStacksResult></DescribeStacksResponse>",
        ),
        answer(
            400,
            &[],
            "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id x does not \
             exist</Message></Error></ErrorResponse>",
        ),
    ]);
    let outputs = stacks::outputs(&recorded.clients, &region(SOURCE_REGION), "s3ferry")
        .await
        .unwrap();
    assert_eq!(
        outputs,
        BTreeMap::from([("StateBucketName".to_owned(), "state".to_owned())])
    );
    let failure = stacks::outputs(&recorded.clients, &region(SOURCE_REGION), "x")
        .await
        .unwrap_err();
    assert_failure(
        &failure,
        FailureKind::Configuration,
        &["cloudformation:DescribeStacks", "does not exist"],
    );
}
