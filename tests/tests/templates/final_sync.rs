//! State machine, roles and schedule of the final sync.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cloudformation::{Template, array, strings};
use super::{EVERYTHING, all_statements, number, string};

/// Returns the definition of the state machine with these parameters.
fn final_sync_definition(overrides: &[(&str, &str)]) -> Value {
    let resources = Template::load("source").resources(overrides);
    let definition = &resources["FinalSyncStateMachine"]["Properties"]["DefinitionString"];
    serde_json::from_str(string(definition)).unwrap_or_else(|error| panic!("{error}: {definition}"))
}

/// Returns the states of a state machine with their names, including the states inside maps.
fn all_states(definition: &Value) -> Vec<(String, Value)> {
    let states = definition["States"].as_object().cloned().unwrap_or_default();
    states
        .into_iter()
        .flat_map(|(name, state)| {
            let inner = all_states(&state["ItemProcessor"]);
            std::iter::once((name, state)).chain(inner)
        })
        .collect()
}

#[test]
fn final_sync_reads_a_manifest_in_bounded_batches_and_ends_in_a_summary() {
    let overrides = [
        ("FinalSyncBatchSize", "7"),
        ("FinalSyncMaxConcurrency", "3"),
        ("FinalSyncToleratedFailurePercentage", "9"),
    ];
    let definition = final_sync_definition(&overrides);
    let map = &definition["States"]["SyncManifest"];
    assert_eq!(map["ItemBatcher"]["MaxItemsPerBatch"], 7);
    assert_eq!(map["MaxConcurrency"], 3);
    assert_eq!(map["ToleratedFailurePercentage"], 9);
    assert_eq!(
        map["ItemReader"]["ReaderConfig"]["CSVHeaders"],
        json!(["Bucket", "Key", "VersionId"])
    );
    assert_eq!(map["ItemReader"]["Parameters"]["Bucket"], "${StateBucket}");
    assert_eq!(map["ResultWriter"]["Parameters"]["Bucket"], "${StateBucket}");
    assert_eq!(map["ItemProcessor"]["ProcessorConfig"]["Mode"], "DISTRIBUTED");
    // The summary is written even if the run stops early.
    assert_eq!(
        (&map["Next"], &map["Catch"][0]["Next"]),
        (&json!("Conclude"), &json!("Conclude"))
    );
    // The output of a state has at most 256 KiB, and contains a batch twice: the input, and its unfinished items. The
    // unfinished items contain the common run only once, which leaves room for each item's counters.
    let run_bytes = r#","run":{"execution":"e","userArguments":{}}"#.len();
    let counter_bytes = r#","attempts":300,"idle":10,"due":1795813108"#.len();
    let largest =
        number(&map["ItemBatcher"]["MaxInputBytesPerBatch"]) + 1_000 * (counter_bytes.saturating_sub(run_bytes) as u64);
    assert!((largest + 1_024) * 2 < 256 * 1024);
}

#[test]
fn final_sync_retries_and_reports_every_lost_batch() {
    for (name, state) in all_states(&final_sync_definition(&[])) {
        let kind = string(&state["Type"]);
        if kind == "Task" {
            assert!(number(&state["Retry"][0]["MaxAttempts"]) >= 3, "{name}");
            assert_eq!(
                state["Resource"], "arn:${AWS::Partition}:states:::lambda:invoke",
                "{name}"
            );
            assert_eq!(
                state["Parameters"]["FunctionName"], "${FinalSyncFunction.Arn}",
                "{name}"
            );
        }
        let ends = state["Next"].is_string() || state["End"] == true || state["Default"].is_string();
        assert!(ends || ["Fail", "Succeed"].contains(&kind), "{name} has no next state");
    }
    let batch = final_sync_definition(&[])["States"]["SyncManifest"]["ItemProcessor"]["States"].clone();
    assert_eq!(batch["SyncBatch"]["Catch"][0]["Next"], "RecordLost");
    // The payload contains the number of retries.
    assert_eq!(
        batch["SyncBatch"]["Parameters"]["Payload"],
        json!({ "batch.$": "$", "retries.$": "$$.State.RetryCount" })
    );
    // Unfinished items run again: a wait, then the same state with these items.
    assert_eq!(batch["IsFinished"]["Choices"][0]["Next"], "WaitForAnotherRun");
    assert_eq!(batch["WaitForAnotherRun"]["Next"], "SelectUnfinishedItems");
    assert_eq!(
        (
            &batch["SelectUnfinishedItems"]["Next"],
            &batch["SelectUnfinishedItems"]["InputPath"]
        ),
        (&json!("SyncBatch"), &json!("$.answer.again"))
    );
}

#[test]
fn summary_of_a_run_is_resumed_until_it_is_finished() {
    let states = final_sync_definition(&[])["States"].clone();
    // The function resumes if `summary.finished` of its input is false.
    assert_eq!(states["Conclude"]["ResultPath"], "$.summary");
    assert_eq!(states["Conclude"]["ResultSelector"]["finished.$"], "$.Payload.finished");
    assert_eq!(
        states["Conclude"]["Parameters"]["Payload"],
        json!({ "finalSync": "conclude", "begun.$": "$" })
    );
    assert_eq!(states["Conclude"]["Next"], "IsSummaryFinished");
    assert_eq!(
        states["IsSummaryFinished"]["Choices"],
        json!([{ "Variable": "$.summary.finished", "BooleanEquals": false, "Next": "Conclude" }])
    );
    assert_eq!(states["IsSummaryFinished"]["Default"], "WasStopped");
}

#[test]
fn state_machine_may_access_only_itself_the_function_and_the_final_sync_prefix() {
    let resources = Template::load("source").resources(&[]);
    let name = &resources["FinalSyncStateMachine"]["Properties"]["StateMachineName"];
    assert_eq!(name, "${AWS::StackName}-final-sync");
    let permissions: BTreeMap<String, Vec<String>> = all_statements(&resources)
        .into_iter()
        .filter(|(id, statement)| id == "FinalSyncStateMachineRole" && !statement["Resource"].is_null())
        .flat_map(|(_, statement)| {
            let actions = strings(&statement["Action"]);
            strings(&statement["Resource"])
                .into_iter()
                .map(move |resource| (resource, actions.clone()))
        })
        .collect();
    let states = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}";
    let expected: BTreeSet<String> = [
        "FinalSyncFunction.Arn".to_owned(),
        "${StateBucket.Arn}/final-sync/*".to_owned(),
        format!("{states}:stateMachine:{}", string(name)),
        // Executions of a run and of its batches: https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        format!("{states}:execution:{}:*", string(name)),
        format!("{states}:execution:{}/*", string(name)),
    ]
    .into();
    for executions in [":*", "/*"] {
        let actions = &permissions[&format!("{states}:execution:{}{executions}", string(name))];
        assert!(actions.contains(&"states:DescribeExecution".to_owned()), "{executions}");
    }
    assert_eq!(permissions.keys().cloned().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn each_role_of_the_final_sync_trusts_only_its_service() {
    let resources = Template::load("source").resources(EVERYTHING);
    for (role, service) in [
        ("FinalSyncStateMachineRole", "states.amazonaws.com"),
        ("FinalSyncBatchRole", "batchoperations.s3.amazonaws.com"),
        ("FinalSyncScheduleRole", "scheduler.amazonaws.com"),
    ] {
        let trust = array(&resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]);
        let services: Vec<&Value> = trust
            .iter()
            .map(|statement| &statement["Principal"]["Service"])
            .collect();
        assert_eq!(services, [service], "{role}");
    }
    // The creator of a job passes its role. No role of the stack may.
    let passes = |statement: &Value| strings(&statement["Action"]).contains(&"iam:PassRole".to_owned());
    assert!(
        all_statements(&resources)
            .into_iter()
            .filter(|(_, statement)| passes(statement))
            .all(|(id, _)| id == "BucketWiringRole")
    );
}

#[test]
fn batch_role_may_write_reports_at_the_prefix_of_the_output() {
    let template = Template::load("source");
    let resources = template.resources(&[]);
    let statements = all_statements(&resources)
        .into_iter()
        .filter(|(id, _)| id == "FinalSyncBatchRole");
    let report = statements
        .map(|(_, statement)| statement)
        .find(|statement| statement["Sid"] == "WriteReport")
        .expect("a statement for the report");
    let prefix = template.section("Outputs")["FinalSyncReportPrefix"]["Value"].clone();
    assert_eq!(
        report["Resource"],
        format!("${{StateBucket.Arn}}/{}/*", string(&prefix))
    );
}

#[test]
fn final_sync_is_scheduled_only_if_a_schedule_is_set() {
    let template = Template::load("source");
    let default = template.resources(&[]);
    assert!(!default.contains_key("FinalSyncSchedule") && !default.contains_key("FinalSyncScheduleRole"));
    let overrides = [
        ("FinalSyncScheduleExpression", "rate(1 day)"),
        ("FinalSyncManifestKey", "final-sync/all.csv"),
    ];
    let schedule = template.resources(&overrides)["FinalSyncSchedule"]["Properties"].clone();
    assert_eq!(schedule["ScheduleExpression"], "rate(1 day)");
    let target = &schedule["Target"];
    assert_eq!(
        (&target["Arn"], &target["RoleArn"]),
        (&json!("FinalSyncStateMachine"), &json!("FinalSyncScheduleRole.Arn"))
    );
    assert_eq!(target["Input"], r#"{"manifestKey":"final-sync/all.csv"}"#);
}

/// Only reserved concurrency limits the concurrent invocations of an S3 Batch Operations job.
#[test]
fn concurrency_of_the_final_sync_is_reserved_only_if_set() {
    let template = Template::load("source");
    let reserved = |overrides: &[(&str, &str)]| {
        let function = template.resources(overrides)["FinalSyncFunction"].clone();
        function["Properties"]["ReservedConcurrentExecutions"].clone()
    };
    assert_eq!(reserved(&[]), Value::Null);
    assert_eq!(reserved(&[("FinalSyncReservedConcurrency", "0")]), Value::Null);
    assert_eq!(reserved(&[("FinalSyncReservedConcurrency", "50")]), "50");
}
