//! What the templates promise, and that `infra/README.md` says the same.
//!
//! The emulator ignores much of this (permissions of event sources, encryption, lifecycle, bounds of timeouts), so
//! these tests are what proves it.
#![expect(
    clippy::indexing_slicing,
    reason = "a field that a JSON value does not have is null, not a panic"
)]

#[path = "templates/cloudformation.rs"]
mod cloudformation;
#[path = "templates/readme.rs"]
mod readme;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cloudformation::{Template, array, repository, strings, text};
use s3ferry_core::plan::{LARGEST_PART_BYTES, SMALLEST_PART_BYTES};
use s3ferry_functions::config::VARIABLES;
use serde_json::{Value, json};

/// Every optional part of the source template at once.
const EVERYTHING: &[(&str, &str)] = &[
    ("Engine", "both"),
    ("EventSource", "eventbridge"),
    ("PropagateDeletes", "true"),
    ("EnableVersioning", "true"),
    ("SourceKmsKeyArn", "arn:aws:kms:us-east-1:123456789012:key/source"),
    (
        "DestinationKmsKeyArn",
        "arn:aws:kms:eu-central-1:123456789012:key/destination",
    ),
    ("Acl", "copy"),
    ("KmsKeyMap", "{}"),
    (
        "KmsKeyMapSourceKeyArns",
        "arn:aws:kms:us-east-1:123456789012:key/one,arn:aws:kms:us-east-1:123456789012:key/two",
    ),
    (
        "KmsKeyMapDestinationKeyArns",
        "arn:aws:kms:eu-central-1:123456789012:key/one",
    ),
    ("AlarmEmail", "ops@example.com"),
    ("FinalSyncScheduleExpression", "rate(1 day)"),
    ("EndpointUrl", "http://127.0.0.1:4566"),
];

type Resources = BTreeMap<String, Value>;

fn of_type<'a>(resources: &'a Resources, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let wanted = resources.iter().filter(|(_, resource)| resource["Type"] == kind);
    wanted
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect()
}

fn functions(resources: &Resources) -> Vec<(&str, &Value)> {
    let functions = of_type(resources, "AWS::Serverless::Function");
    assert!(!functions.is_empty());
    functions
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// The queue an SQS event source of a function reads from, and the event source.
fn queue_events(function: &Value) -> Vec<(String, Value)> {
    let events = function["Events"].as_object().cloned().unwrap_or_default();
    let of_queues = events.into_values().filter(|event| event["Type"] == "SQS");
    of_queues
        .map(|event| {
            (
                string(&event["Properties"]["Queue"])
                    .trim_end_matches(".Arn")
                    .to_owned(),
                event["Properties"].clone(),
            )
        })
        .collect()
}

/// Every statement of every policy, trust policies included, with the logical id it belongs to.
fn all_statements(resources: &Resources) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (id, resource) in resources {
        let properties = &resource["Properties"];
        let mut documents = vec![&properties["AssumeRolePolicyDocument"], &properties["PolicyDocument"]];
        if let Some(policies) = properties["Policies"].as_array() {
            documents.extend(policies.iter().map(|policy| &policy["PolicyDocument"]));
        }
        for document in documents {
            found.extend(
                array(&document["Statement"])
                    .into_iter()
                    .map(|statement| (id.clone(), statement)),
            );
        }
    }
    assert!(!found.is_empty());
    found
}

fn role_actions(resources: &Resources, role: &str) -> BTreeSet<String> {
    let statements = all_statements(resources).into_iter().filter(|(id, _)| id == role);
    let actions: BTreeSet<String> = statements
        .flat_map(|(_, statement)| strings(&statement["Action"]))
        .collect();
    actions
        .into_iter()
        .filter(|action| action != "sts:AssumeRole")
        .collect()
}

// Queues and event sources -------------------------------------------------------------------------------------------

#[test]
fn queue_visibility_is_at_least_six_times_the_function_timeout() {
    let resources = Template::load("source").resources(&[]);
    let mut checked = 0;
    for (id, function) in functions(&resources) {
        for (queue, _) in queue_events(function) {
            let visibility = number(&resources[&queue]["Properties"]["VisibilityTimeout"]);
            assert!(
                visibility >= 6 * number(&function["Timeout"]),
                "{queue} hides messages {visibility} s from {id}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 1);
}

#[test]
fn every_queue_event_source_reports_batch_item_failures_and_is_bounded() {
    for (id, function) in functions(&Template::load("source").resources(&[])) {
        for (_, event) in queue_events(function) {
            assert_eq!(
                event["FunctionResponseTypes"],
                json!(["ReportBatchItemFailures"]),
                "{id}"
            );
            assert!(number(&event["ScalingConfig"]["MaximumConcurrency"]) >= 2, "{id}");
        }
        // See the template: an account with the initial limit has no concurrency to reserve.
        assert_eq!(function["ReservedConcurrentExecutions"], Value::Null, "{id}");
    }
}

/// Lambda refuses a batch of more than 10 without a window of at least a second.
#[test]
fn batch_larger_than_ten_always_has_a_window() {
    let parameters = Template::load("source").section("Parameters");
    assert!(number(&parameters["BatchSize"]["MaxValue"]) > 10);
    assert!(number(&parameters["BatchingWindowSeconds"]["MinValue"]) >= 1);
    assert!(number(&parameters["BatchingWindowSeconds"]["MaxValue"]) <= 300);
    let resources =
        Template::load("source").resources(&[("BatchSize", "<size>"), ("BatchingWindowSeconds", "<window>")]);
    let (_, event) = queue_events(&resources["ReplicatorFunction"]["Properties"]).remove(0);
    assert_eq!(
        (&event["BatchSize"], &event["MaximumBatchingWindowInSeconds"]),
        (&json!("<size>"), &json!("<window>"))
    );
}

#[test]
fn default_batch_is_copied_in_one_round() {
    let parameters = Template::load("source").section("Parameters");
    assert!(number(&parameters["BatchSize"]["Default"]) <= number(&parameters["MaxConcurrentCopies"]["Default"]));
}

#[test]
fn queues_keep_messages_for_fourteen_days_and_take_the_largest_event() {
    let resources = Template::load("source").resources(&[]);
    for (id, queue) in of_type(&resources, "AWS::SQS::Queue") {
        assert_eq!(number(&queue["MessageRetentionPeriod"]), 14 * 24 * 60 * 60, "{id}");
        // S3 sends up to 64 KB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        assert!(number(&queue["MaximumMessageSize"]) >= 65_536, "{id}");
        assert_eq!(queue["SqsManagedSseEnabled"], json!(true), "{id}");
    }
}

#[test]
fn dead_letters_fit_into_their_queue() {
    let resources = Template::load("source").resources(&[]);
    let size = |id: &str| number(&resources[id]["Properties"]["MaximumMessageSize"]);
    assert!(size("ReplicationDeadLetterQueue") >= size("ReplicationQueue"));
}

#[test]
fn queue_policy_admits_only_the_bucket_of_this_account_and_the_own_rule() {
    let template = Template::load("source");
    let statements = |overrides| {
        let resources = template.resources(overrides);
        array(&resources["ReplicationQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"])
    };
    let bucket = json!({
        "Sid": "SourceBucketSendsNotifications", "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" },
        "Action": ["sqs:SendMessage"], "Resource": "ReplicationQueue.Arn",
        "Condition": {
            "ArnEquals": { "aws:SourceArn": "arn:${AWS::Partition}:s3:::<SourceBucketName>" },
            "StringEquals": { "aws:SourceAccount": "AWS::AccountId" },
        },
    });
    let rule = json!({
        "Sid": "EventRuleSendsEvents", "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" },
        "Action": ["sqs:SendMessage"], "Resource": "ReplicationQueue.Arn",
        "Condition": { "ArnEquals": { "aws:SourceArn": "ReplicationEventRule.Arn" } },
    });
    assert_eq!(statements(&[]), std::slice::from_ref(&bucket));
    assert_eq!(statements(&[("EventSource", "eventbridge")]), [bucket.clone(), rule]);
    assert_eq!(
        statements(&[("EventSource", "eventbridge"), ("Engine", "crr")]),
        [bucket]
    );
}

#[test]
fn event_rule_names_bucket_prefix_and_detail_types() {
    let template = Template::load("source");
    // By these words the bucket-wiring function tells the rules of s3ferry's other stacks from foreign ones.
    let rule = &template.resources(&[("EventSource", "eventbridge")])["ReplicationEventRule"]["Properties"];
    assert!(
        string(&rule["Description"]).ends_with("for s3ferry's replication queue"),
        "{rule}"
    );
    let pattern = |overrides: &[(&str, &str)]| {
        let overrides = [&[("EventSource", "eventbridge")], overrides].concat();
        template.resources(&overrides)["ReplicationEventRule"]["Properties"]["EventPattern"].clone()
    };
    let types = [
        "Object Created",
        "Object Tags Added",
        "Object Tags Deleted",
        "Object ACL Updated",
        "Object Restore Completed",
    ];
    let bucket = json!({ "name": ["<SourceBucketName>"] });
    assert_eq!(
        pattern(&[]),
        json!({ "source": ["aws.s3"], "detail-type": types, "detail": { "bucket": bucket } })
    );
    let with_deletes = [types.as_slice(), &["Object Deleted"]].concat();
    assert_eq!(
        pattern(&[("PropagateDeletes", "true"), ("KeyPrefix", "in/")]),
        json!({
            "source": ["aws.s3"], "detail-type": with_deletes,
            "detail": { "bucket": bucket, "object": { "key": [{ "prefix": "in/" }] } },
        })
    );
}

// Functions ----------------------------------------------------------------------------------------------------------

#[test]
fn every_function_is_a_binary_that_exists() {
    for (id, function) in functions(&Template::load("source").resources(&[])) {
        let bin = string(&function["CodeUri"]).strip_prefix("../target/lambda/");
        let bin = bin.unwrap_or_else(|| panic!("{id} comes from {}", function["CodeUri"]));
        let source = repository().join("crates/functions/src/bin").join(format!("{bin}.rs"));
        assert!(source.is_file(), "{id} needs {}", source.display());
    }
}

#[test]
fn every_function_has_its_own_role_log_group_and_alarm() {
    let resources = Template::load("source").resources(&[]);
    let (mut roles, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for (id, function) in functions(&resources) {
        let role = string(&function["Role"]).trim_end_matches(".Arn");
        assert_eq!(resources[role]["Type"], "AWS::IAM::Role", "{id}");
        assert!(roles.insert(role), "{id} shares {role}");

        let group = string(&function["LoggingConfig"]["LogGroup"]);
        assert!(number(&resources[group]["Properties"]["RetentionInDays"]) > 0, "{id}");
        assert!(groups.insert(group), "{id} shares {group}");

        let watched = of_type(&resources, "AWS::CloudWatch::Alarm")
            .into_iter()
            .any(|(_, alarm)| {
                alarm["MetricName"] == "Errors"
                    && alarm["Dimensions"] == json!([{ "Name": "FunctionName", "Value": id }])
            });
        assert!(watched, "{id} has no alarm on its errors");
    }
}

/// Work that a function cannot do must end somewhere: a dead-letter queue, the deployment that asked for it, or the
/// record of the state machine that did.
#[test]
fn every_function_has_a_path_for_what_it_cannot_do() {
    let resources = Template::load("source").resources(&[]);
    for (id, function) in functions(&resources) {
        let events = queue_events(function);
        for (queue, _) in &events {
            let redrive = &resources[queue]["Properties"]["RedrivePolicy"];
            let target = string(&redrive["deadLetterTargetArn"]).trim_end_matches(".Arn");
            assert_eq!(resources[target]["Type"], "AWS::SQS::Queue", "{id}");
            assert!(number(&redrive["maxReceiveCount"]) >= 1, "{id}");
        }
        let serves = |resource: &Value| resource["Properties"]["ServiceToken"] == format!("{id}.Arn");
        let deployments: Vec<&Value> = resources.values().filter(|resource| serves(resource)).collect();
        for deployment in &deployments {
            let timeout = number(&deployment["Properties"]["ServiceTimeout"]);
            assert!(
                timeout > number(&function["Timeout"]),
                "{id} may still run when CloudFormation gives up"
            );
        }
        // A state machine tries again and puts on record what the function could not do.
        let machines = of_type(&resources, "AWS::StepFunctions::StateMachine");
        let in_a_machine = machines
            .iter()
            .any(|(_, machine)| string(&machine["DefinitionString"]).contains(&format!("${{{id}.Arn}}")));
        assert!(
            !events.is_empty() || !deployments.is_empty() || in_a_machine,
            "nothing notices when {id} fails"
        );
    }
}

#[test]
fn environment_has_only_variables_that_the_functions_read() {
    let environment = |resources: &Resources, id: &str| -> BTreeSet<String> {
        let variables = resources[id]["Properties"]["Environment"]["Variables"]
            .as_object()
            .cloned();
        variables
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    let all = Template::load("source").resources(EVERYTHING);
    assert_eq!(
        environment(&all, "ReplicatorFunction"),
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect()
    );
    // Both copy, so both are told the same.
    for resources in [&all, &Template::load("source").resources(&[])] {
        let variables = |id: &str| resources[id]["Properties"]["Environment"]["Variables"].clone();
        assert_eq!(variables("FinalSyncFunction"), variables("ReplicatorFunction"));
    }
    assert_eq!(
        environment(&all, "BucketWiringFunction"),
        ["AWS_ENDPOINT_URL", "LOG_LEVEL"].map(str::to_owned).into()
    );
    let default = Template::load("source").resources(&[]);
    for (id, _) in functions(&default) {
        assert!(
            !environment(&default, id).contains("AWS_ENDPOINT_URL"),
            "{id} must use AWS by default"
        );
    }
}

#[test]
fn every_alarm_ignores_silence_and_is_sent_when_an_address_is_given() {
    let template = Template::load("source");
    for (overrides, actions) in [(&[][..], Value::Null), (EVERYTHING, json!(["AlarmTopic"]))] {
        let resources = template.resources(overrides);
        assert_eq!(resources.contains_key("AlarmTopic"), !actions.is_null());
        for (id, alarm) in of_type(&resources, "AWS::CloudWatch::Alarm") {
            assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id}");
            assert_eq!(
                (&alarm["AlarmActions"], &alarm["OKActions"]),
                (&actions, &actions),
                "{id}"
            );
        }
    }
}

// Wiring -------------------------------------------------------------------------------------------------------------

#[test]
fn bucket_wiring_gets_all_it_needs_and_outlives_nothing_it_needs() {
    let wiring = Template::load("source").resources(EVERYTHING)["BucketWiring"].clone();
    assert_eq!(
        wiring["Properties"],
        json!({
            "ServiceToken": "BucketWiringFunction.Arn", "ServiceTimeout": 360,
            "SourceBucketName": "<SourceBucketName>", "DestinationBucketName": "<DestinationBucketName>",
            "DestinationRegion": "<DestinationRegion>", "StateBucketName": "StateBucket",
            "AccountId": "AWS::AccountId", "Engine": "both", "EventSource": "eventbridge",
            "QueueArn": "ReplicationQueue.Arn", "EventRuleName": "ReplicationEventRule", "PropagateDeletes": "true",
            "KeyPrefix": "", "EnableVersioning": "true", "ReplicationRoleArn": "ReplicationRole.Arn",
            "DestinationKmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/destination",
        })
    );
    assert!(strings(&wiring["DependsOn"]).contains(&"ReplicationQueuePolicy".to_owned()));
}

#[test]
fn replication_role_is_made_used_or_left_out() {
    let template = Template::load("source");
    let given = "arn:aws:iam::123456789012:role/given";
    let cases = [
        ("lambda", "", "", false),
        ("lambda", given, "", false),
        ("crr", "", "ReplicationRole.Arn", true),
        ("both", "", "ReplicationRole.Arn", true),
        ("crr", given, given, false),
    ];
    for (engine, role, wired, made) in cases {
        let resources = template.resources(&[("Engine", engine), ("ReplicationRoleArn", role)]);
        assert_eq!(
            resources["BucketWiring"]["Properties"]["ReplicationRoleArn"], wired,
            "{engine} {role}"
        );
        assert_eq!(resources.contains_key("ReplicationRole"), made, "{engine} {role}");
        let passed: Vec<Value> = all_statements(&resources)
            .into_iter()
            .filter(|(_, statement)| strings(&statement["Action"]).contains(&"iam:PassRole".to_owned()))
            .map(|(_, statement)| {
                assert_eq!(
                    statement["Condition"]["StringEquals"]["iam:PassedToService"],
                    "s3.amazonaws.com"
                );
                statement["Resource"].clone()
            })
            .collect();
        // A given role is handed over with every engine: leaving crr writes foreign rules back with it.
        let handed_over = if role.is_empty() { wired } else { role };
        let expected: Vec<Value> = Some(handed_over)
            .filter(|role| !role.is_empty())
            .map(Value::from)
            .into_iter()
            .collect();
        assert_eq!(passed, expected, "{engine} {role}");
    }
}

// Final sync ---------------------------------------------------------------------------------------------------------

/// The definition of the state machine with these parameters.
fn final_sync_definition(overrides: &[(&str, &str)]) -> Value {
    let resources = Template::load("source").resources(overrides);
    let definition = &resources["FinalSyncStateMachine"]["Properties"]["DefinitionString"];
    serde_json::from_str(string(definition)).unwrap_or_else(|error| panic!("{error}: {definition}"))
}

/// The states of a state machine, those inside of its maps too, with their names.
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
    // Stopped or not, the results are added up.
    assert_eq!(
        (&map["Next"], &map["Catch"][0]["Next"]),
        (&json!("Conclude"), &json!("Conclude"))
    );
    // A state hands on 256 KiB at most, and a batch is handed on twice: as input, and as what is left of it.
    assert!(number(&map["ItemBatcher"]["MaxInputBytesPerBatch"]) * 2 < 256 * 1024);
}

#[test]
fn final_sync_tries_again_and_loses_no_batch_in_silence() {
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
        assert!(ends || ["Fail", "Succeed"].contains(&kind), "{name} leads nowhere");
    }
    let batch = final_sync_definition(&[])["States"]["SyncManifest"]["ItemProcessor"]["States"].clone();
    assert_eq!(batch["SyncBatch"]["Catch"][0]["Next"], "RecordLost");
    // What is not done goes round: wait, then the same state with what is left.
    assert_eq!(batch["IsFinished"]["Choices"][0]["Next"], "WaitForAnotherRun");
    assert_eq!(batch["WaitForAnotherRun"]["Next"], "TakeWhatIsLeft");
    assert_eq!(
        (&batch["TakeWhatIsLeft"]["Next"], &batch["TakeWhatIsLeft"]["InputPath"]),
        (&json!("SyncBatch"), &json!("$.answer.again"))
    );
}

#[test]
fn state_machine_may_run_itself_the_function_and_the_folder_of_final_syncs() {
    let resources = Template::load("source").resources(&[]);
    let name = &resources["FinalSyncStateMachine"]["Properties"]["StateMachineName"];
    assert_eq!(name, "${AWS::StackName}-final-sync");
    let rights: BTreeMap<String, Vec<String>> = all_statements(&resources)
        .into_iter()
        .filter(|(id, statement)| id == "FinalSyncStateMachineRole" && !statement["Resource"].is_null())
        .map(|(_, statement)| (string(&statement["Resource"]).to_owned(), strings(&statement["Action"])))
        .collect();
    let states = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}";
    let expected: BTreeSet<String> = [
        "FinalSyncFunction.Arn".to_owned(),
        "${StateBucket.Arn}/final-sync/*".to_owned(),
        format!("{states}:stateMachine:{}", string(name)),
        format!("{states}:execution:{}/*", string(name)),
    ]
    .into();
    assert_eq!(rights.keys().cloned().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn only_the_service_of_this_account_takes_each_role_of_the_final_sync() {
    let resources = Template::load("source").resources(EVERYTHING);
    for (role, service) in [
        ("FinalSyncStateMachineRole", "states.amazonaws.com"),
        ("FinalSyncBatchRole", "batchoperations.s3.amazonaws.com"),
        ("FinalSyncScheduleRole", "scheduler.amazonaws.com"),
    ] {
        let trust = &resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
        assert_eq!(trust["Principal"]["Service"], service);
        assert_eq!(
            trust["Condition"]["StringEquals"]["aws:SourceAccount"], "AWS::AccountId",
            "{role}"
        );
    }
    // Passing the job's role is for whoever creates the job: no role of the stack may.
    let passes = |statement: &Value| strings(&statement["Action"]).contains(&"iam:PassRole".to_owned());
    assert!(
        all_statements(&resources)
            .into_iter()
            .filter(|(_, statement)| passes(statement))
            .all(|(id, _)| id == "BucketWiringRole")
    );
}

#[test]
fn batch_role_writes_its_report_where_the_output_says() {
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
fn final_sync_is_repeated_only_where_a_schedule_is_given() {
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

// Rights -------------------------------------------------------------------------------------------------------------

#[test]
fn no_statement_is_wider_than_it_says() {
    let template = Template::load("source");
    let given = [
        EVERYTHING,
        &[("ReplicationRoleArn", "arn:aws:iam::123456789012:role/given")],
    ]
    .concat();
    for resources in [template.resources(EVERYTHING), template.resources(&given)] {
        for (id, statement) in all_statements(&resources) {
            let sid = string(&statement["Sid"]);
            assert!(sid.chars().all(|c| c.is_ascii_alphanumeric()), "{id} {sid}");
            assert_eq!(statement["Effect"], "Allow", "{id} {sid}");
            for action in strings(&statement["Action"]) {
                assert!(!action.contains('*'), "{id} {sid}: {action}");
            }
            // Listing rules is of no single rule: IAM knows no resource for it.
            if strings(&statement["Action"]) == ["events:ListRules"] {
                assert_eq!(statement["Resource"], "*");
                continue;
            }
            for resource in strings(&statement["Resource"]) {
                // A wildcard stands only at the end, and behind the name of a bucket.
                let fixed = resource.strip_suffix('*').unwrap_or(&resource);
                assert!(
                    !fixed.is_empty() && !fixed.ends_with(':') && !fixed.contains('*'),
                    "{id} {sid}: {resource}"
                );
            }
            for forbidden in ["NotAction", "NotResource", "NotPrincipal"] {
                assert_eq!(statement[forbidden], Value::Null, "{id} {sid}");
            }
            let trust = strings(&statement["Action"]) == ["sts:AssumeRole"];
            assert_eq!(trust, statement["Resource"].is_null(), "{id} {sid}");
        }
    }
}

#[test]
fn object_rights_end_at_the_prefix() {
    let resources = Template::load("source").resources(&[&[("KeyPrefix", "in/")], EVERYTHING].concat());
    let mut checked = 0;
    for (id, statement) in all_statements(&resources) {
        for resource in strings(&statement["Resource"])
            .into_iter()
            .filter(|resource| resource.contains("BucketName>/"))
        {
            assert!(resource.ends_with("BucketName>/in/*"), "{id}: {resource}");
            checked += 1;
        }
    }
    assert!(checked >= 4);
}

#[test]
fn default_replicator_has_exactly_the_rights_of_a_copy() {
    let actions = role_actions(&Template::load("source").resources(&[]), "ReplicatorRole");
    let expected = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjectAnnotation",
        "s3:DeleteObjectVersionAnnotation",
        "s3:DeleteObjectVersionTagging",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetObject",
        "s3:GetObjectAnnotation",
        "s3:GetObjectAttributes",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAnnotation",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionTagging",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:ListObjectAnnotations",
        "s3:ListObjectVersionAnnotations",
        "s3:PutObject",
        "s3:PutObjectAnnotation",
        "s3:PutObjectLegalHold",
        "s3:PutObjectRetention",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAnnotation",
        "s3:PutObjectVersionTagging",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    ];
    assert_eq!(actions, expected.map(str::to_owned).into());
}

#[test]
fn final_sync_may_what_the_replicator_may_and_keep_results() {
    for overrides in [&[][..], EVERYTHING] {
        let resources = Template::load("source").resources(overrides);
        let of_objects = |role: &str| -> Vec<Value> {
            let statements = all_statements(&resources).into_iter().filter(|(id, _)| id == role);
            let statements = statements.map(|(_, statement)| statement).filter(|statement| {
                let resource = statement["Resource"].to_string();
                resource.contains("BucketName>") || resource.contains(":kms:")
            });
            statements.collect()
        };
        let rights = of_objects("FinalSyncRole");
        assert!(rights.len() >= 6);
        assert_eq!(rights, of_objects("ReplicatorRole"));
    }
    let actions = role_actions(&Template::load("source").resources(&[]), "FinalSyncRole");
    let replicator = role_actions(&Template::load("source").resources(&[]), "ReplicatorRole");
    let only_the_replicator: Vec<&String> = replicator.difference(&actions).collect();
    assert_eq!(
        only_the_replicator,
        [
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage"
        ]
    );
    assert!(actions.is_subset(&replicator), "{actions:?}");
}

#[test]
fn access_lists_are_touched_only_where_they_are_copied() {
    let template = Template::load("source");
    let rights = |overrides: &[(&str, &str)]| -> BTreeSet<String> {
        let actions = role_actions(&template.resources(overrides), "ReplicatorRole").into_iter();
        actions
            .filter(|action| action.ends_with("Acl") || action.contains("Ownership"))
            .collect()
    };
    assert_eq!(rights(&[]), BTreeSet::new());
    let expected = [
        "s3:GetBucketAcl",
        "s3:GetBucketOwnershipControls",
        "s3:GetObjectAcl",
        "s3:GetObjectVersionAcl",
        "s3:PutObjectAcl",
        "s3:PutObjectVersionAcl",
    ];
    assert_eq!(rights(&[("Acl", "copy")]), expected.map(str::to_owned).into());
}

#[test]
fn versions_are_removed_only_where_ownership_is_shared() {
    let template = Template::load("source");
    for role in ["ReplicatorRole", "FinalSyncRole"] {
        let rights = |overrides: &[(&str, &str)]| role_actions(&template.resources(overrides), role);
        let shared = rights(&[("Ownership", "shared")]);
        let exclusive = rights(&[]);
        let more: Vec<&String> = shared.difference(&exclusive).collect();
        assert_eq!(
            more,
            [
                "s3:DeleteObjectVersion",
                "s3:GetBucketVersioning",
                "s3:ListBucketVersions"
            ]
        );
    }
    let rule = template.section("Rules")["SharedOwnershipExcludesReplication"].clone();
    assert_eq!(
        rule["RuleCondition"],
        json!({ "Fn::Equals": [{ "Ref": "Ownership" }, "shared"] })
    );
    assert_eq!(
        rule["Assertions"][0]["Assert"],
        json!({ "Fn::Equals": [{ "Ref": "Engine" }, "lambda"] })
    );
}

#[test]
fn keys_of_the_map_are_used_through_s3_only() {
    let resources = Template::load("source").resources(EVERYTHING);
    let statement = |sid: &str| {
        let found = all_statements(&resources)
            .into_iter()
            .find(|(_, statement)| statement["Sid"] == sid);
        found.unwrap_or_else(|| panic!("no statement {sid}")).1
    };
    let key = |region: &str, name: &str| format!("arn:aws:kms:{region}:123456789012:key/{name}");
    let decrypting = statement("DecryptWithSourceKeysOfTheMap");
    assert_eq!(
        decrypting["Resource"],
        json!([key("us-east-1", "one"), key("us-east-1", "two")])
    );
    let encrypting = statement("EncryptWithDestinationKeysOfTheMap");
    assert_eq!(encrypting["Resource"], json!([key("eu-central-1", "one")]));
    for statement in [decrypting, encrypting] {
        let through = strings(&statement["Condition"]["StringEquals"]["kms:ViaService"]);
        assert!(
            through.iter().all(|service| service.starts_with("s3.")) && through.len() == 2,
            "{statement}"
        );
    }
}

#[test]
fn upload_journal_is_kept_where_nothing_expires() {
    let resources = Template::load("source").resources(&[]);
    let statements = all_statements(&resources);
    let journal = statements
        .iter()
        .find(|(_, statement)| statement["Sid"] == "KeepUploadJournal");
    let journal = journal.map(|(_, statement)| statement["Resource"].clone());
    assert_eq!(journal, Some(json!("${StateBucket.Arn}/uploads/*")));
    assert_eq!(
        resources["StateBucket"]["Properties"]["LifecycleConfiguration"],
        Value::Null
    );
}

#[test]
fn bounds_of_parts_are_those_of_the_code() {
    let parameters = Template::load("source").section("Parameters");
    for name in ["MultipartThresholdBytes", "PartSizeBytes"] {
        let bounds = (
            number(&parameters[name]["MinValue"]),
            number(&parameters[name]["MaxValue"]),
        );
        assert_eq!(bounds, (SMALLEST_PART_BYTES, LARGEST_PART_BYTES), "{name}");
    }
}

#[test]
fn default_bucket_wiring_has_exactly_the_rights_of_a_notification() {
    let actions = role_actions(&Template::load("source").resources(&[]), "BucketWiringRole");
    let expected = [
        "events:ListRules",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "s3:GetBucketNotification",
        "s3:GetObject",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:PutBucketNotification",
        "s3:PutObject",
        "s3:PutReplicationConfiguration",
    ];
    assert_eq!(actions, expected.map(str::to_owned).into());
}

#[test]
fn nothing_can_delete_unless_deletes_are_propagated() {
    // Tags and annotations go where the source's went; entries of the upload journal are ours.
    const AROUND: [&str; 3] = [
        "s3:DeleteObjectAnnotation",
        "s3:DeleteObjectVersionAnnotation",
        "s3:DeleteObjectVersionTagging",
    ];
    let template = Template::load("source");
    let deleting = |propagate: &str| -> BTreeSet<String> {
        let resources = template.resources(&[EVERYTHING, &[("PropagateDeletes", propagate)]].concat());
        let actions = all_statements(&resources)
            .into_iter()
            .filter(|(_, statement)| statement["Resource"] != "${StateBucket.Arn}/uploads/*")
            .flat_map(|(_, statement)| strings(&statement["Action"]));
        actions
            .filter(|action| {
                let deletes = action.starts_with("s3:") && action.contains("Delete");
                deletes && !AROUND.contains(&action.as_str()) || action == "s3:ListBucketVersions"
            })
            .collect()
    };
    assert_eq!(deleting("false"), BTreeSet::new());
    assert_eq!(
        deleting("true"),
        ["s3:DeleteObject", "s3:ListBucketVersions", "s3:ReplicateDelete"]
            .map(str::to_owned)
            .into()
    );
}

// Buckets ------------------------------------------------------------------------------------------------------------

#[test]
fn destination_bucket_is_versioned_encrypted_private_and_kept() {
    let template = Template::load("destination");
    let bucket = template.resources(&[])["DestinationBucket"].clone();
    assert_eq!(
        (&bucket["DeletionPolicy"], &bucket["UpdateReplacePolicy"]),
        (&json!("Retain"), &json!("Retain"))
    );
    let properties = &bucket["Properties"];
    assert_eq!(properties["VersioningConfiguration"], json!({ "Status": "Enabled" }));
    assert_eq!(
        properties["LifecycleConfiguration"]["Rules"],
        json!([{
            "Id": "abort-incomplete-uploads", "Status": "Enabled",
            "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 30 },
        }])
    );
    let encryption = |overrides| {
        let resources = template.resources(overrides);
        resources["DestinationBucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"].clone()
    };
    assert_eq!(
        encryption(&[]),
        json!([{ "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } }])
    );
    assert_eq!(
        encryption(&[("KmsKeyArn", "the-key")]),
        json!([{
            "ServerSideEncryptionByDefault": { "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "the-key" },
            "BucketKeyEnabled": true,
        }])
    );
}

#[test]
fn existing_destination_bucket_is_left_alone() {
    let resources = Template::load("destination").resources(&[("CreateBucket", "false")]);
    let kinds: Vec<&str> = resources.values().map(|resource| string(&resource["Type"])).collect();
    assert_eq!(kinds, ["AWS::CloudFormation::WaitConditionHandle"]);
}

#[test]
fn every_bucket_blocks_public_access_and_stays() {
    for resources in [
        Template::load("source").resources(&[]),
        Template::load("destination").resources(&[]),
    ] {
        let buckets = of_type(&resources, "AWS::S3::Bucket");
        assert_eq!(buckets.len(), 1);
        for (id, bucket) in buckets {
            let block = bucket["PublicAccessBlockConfiguration"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            assert!(
                block.len() == 4 && block.values().all(|blocked| blocked == true),
                "{id}"
            );
            assert_eq!(resources[id]["DeletionPolicy"], "Retain", "{id}");
            assert_ne!(bucket["BucketEncryption"], Value::Null, "{id}");
        }
    }
}

#[test]
fn lifecycle_spares_every_upload_that_may_still_be_retried() {
    let days = number(&Template::load("destination").section("Parameters")["AbortIncompleteUploadDays"]["Default"]);
    let retention =
        &Template::load("source").resources(&[])["ReplicationQueue"]["Properties"]["MessageRetentionPeriod"];
    // A copy in parts goes on as a message of its own, so twice the retention.
    assert!(days * 24 * 60 * 60 > 2 * number(retention));
}

// Parameters and documents -------------------------------------------------------------------------------------------

#[test]
fn every_parameter_is_grouped_labelled_described_and_bounded() {
    for name in ["source", "destination"] {
        let template = Template::load(name);
        let interface = &template.section("Metadata")["AWS::CloudFormation::Interface"];
        let groups = array(&interface["ParameterGroups"]);
        let mut grouped: Vec<String> = groups.iter().flat_map(|group| strings(&group["Parameters"])).collect();
        grouped.sort();
        let parameters = template.section("Parameters");
        let mut declared: Vec<String> = parameters.keys().cloned().collect();
        declared.sort();
        assert_eq!(grouped, declared, "{name}");
        for (parameter, definition) in &parameters {
            assert!(!string(&definition["Description"]).is_empty(), "{parameter}");
            assert!(
                interface["ParameterLabels"][parameter]["default"].is_string(),
                "{parameter}"
            );
            let has = |field: &str| definition.get(field).is_some();
            let bounded = match string(&definition["Type"]) {
                "Number" => has("AllowedValues") || has("MinValue") && has("MaxValue"),
                "String" => has("AllowedValues") || has("AllowedPattern") && has("ConstraintDescription"),
                other => panic!("{parameter} is a {other}"),
            };
            assert!(bounded, "{parameter} takes anything");
        }
    }
}

#[test]
fn source_and_destination_bucket_must_differ() {
    let rules = Template::load("source").section("Rules");
    assert_eq!(
        rules["BucketsDiffer"]["Assertions"][0]["Assert"],
        json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": "SourceBucketName" }, { "Ref": "DestinationBucketName" }] }] })
    );
}

#[test]
fn readme_lists_every_parameter_with_its_default() {
    for name in ["destination", "source"] {
        let documented: BTreeMap<String, String> = readme::table(&format!("## Parameters of the {name} stack"))
            .into_iter()
            .map(|row| (readme::code(&row[0]).concat(), row[1].trim_matches('`').to_owned()))
            .collect();
        let default = |definition: &Value| match definition.get("Default") {
            None => "required".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let declared: BTreeMap<String, String> = Template::load(name)
            .section("Parameters")
            .iter()
            .map(|(parameter, definition)| (parameter.clone(), default(definition)))
            .collect();
        assert_eq!(documented, declared, "{name}");
    }
}

#[test]
fn readme_lists_every_output_and_alarm() {
    let first_column = |heading: &str| -> BTreeSet<String> {
        readme::table(heading)
            .iter()
            .flat_map(|row| readme::code(&row[0]))
            .collect()
    };
    for name in ["destination", "source"] {
        let outputs = Template::load(name).section("Outputs");
        assert!(
            outputs.values().all(|output| output["Description"].is_string()),
            "{name}"
        );
        let names: BTreeSet<String> = outputs.keys().cloned().collect();
        assert_eq!(first_column(&format!("## Outputs of the {name} stack")), names);
    }
    let resources = Template::load("source").resources(&[]);
    let alarms = of_type(&resources, "AWS::CloudWatch::Alarm");
    assert_eq!(
        first_column("## Runbook"),
        alarms.iter().map(|(id, _)| (*id).to_owned()).collect()
    );
}

#[test]
fn readme_lists_every_statement_with_its_actions_and_condition() {
    let template = Template::load("source");
    for role in [
        "ReplicatorRole",
        "FinalSyncRole",
        "FinalSyncStateMachineRole",
        "FinalSyncBatchRole",
        "FinalSyncScheduleRole",
        "BucketWiringRole",
        "ReplicationRole",
    ] {
        let documented: Vec<(String, Vec<String>, String)> = readme::table(&format!("### {role}"))
            .into_iter()
            .map(|row| {
                assert!(
                    !row[2].is_empty() && !row[4].is_empty(),
                    "{role}: no resource or no reason in {row:?}"
                );
                (readme::code(&row[0]).concat(), readme::code(&row[1]), row[3].clone())
            })
            .collect();
        let declared: Vec<(String, Vec<String>, String)> = template
            .statements(role)
            .into_iter()
            .map(|(condition, statement)| {
                let setting = setting_of(condition.as_deref()).to_owned();
                (
                    string(&statement["Sid"]).to_owned(),
                    strings(&statement["Action"]),
                    setting,
                )
            })
            .collect();
        assert_eq!(documented, declared, "{role}");
    }
}

/// How `infra/README.md` says a condition of the template.
fn setting_of(condition: Option<&str>) -> &'static str {
    match condition {
        None => "always",
        Some("HasPropagateDeletes") => "`PropagateDeletes=true`",
        Some("HasEnableVersioning") => "`EnableVersioning=true`",
        Some("HasVersioningDemand") => "`EnableVersioning=true`, or `Engine=crr` or `both`",
        Some("HasOwnReplicationRole") => "`Engine=crr` or `both`, `ReplicationRoleArn` empty",
        Some("HasReplicationRoleArn") => "`ReplicationRoleArn` set",
        Some("HasEventBridge") => "`EventSource=eventbridge`, `Engine=lambda` or `both`",
        Some("HasSourceKmsKey") => "`SourceKmsKeyArn` set",
        Some("HasAclCopies") => "`Acl=copy`",
        Some("HasSharedOwnership") => "`Ownership=shared`",
        Some("HasKmsKeyMapSourceKeys") => "`KmsKeyMapSourceKeyArns` set",
        Some("HasKmsKeyMapDestinationKeys") => "`KmsKeyMapDestinationKeyArns` set",
        Some("HasDestinationKmsKey") => "`DestinationKmsKeyArn` set",
        Some(other) => panic!("infra/README.md has no words for {other}"),
    }
}

#[test]
fn samconfig_names_only_parameters_that_exist() {
    let config = text("infra/samconfig.toml");
    for name in ["destination", "source"] {
        let (_, section) = config
            .split_once(&format!("[{name}.deploy.parameters]"))
            .expect("a table for each stack");
        let (_, list) = section.split_once("parameter_overrides = [").expect("parameters");
        let (list, _) = list.split_once(']').expect("the end of the list");
        let given: BTreeSet<&str> = list
            .split('"')
            .skip(1)
            .step_by(2)
            .map(|pair| pair.split_once('=').expect("Name=Value").0)
            .collect();
        let parameters = Template::load(name).section("Parameters");
        for parameter in &given {
            assert!(parameters.contains_key(*parameter), "{name}: {parameter}");
        }
        for (parameter, _) in parameters
            .iter()
            .filter(|(_, definition)| definition.get("Default").is_none())
        {
            assert!(given.contains(parameter.as_str()), "{name}: {parameter} is required");
        }
    }
}

// Workspace ----------------------------------------------------------------------------------------------------------

#[test]
fn every_tool_is_pinned() {
    for name in ["build", "ministack", "moto", "sam"] {
        let requirements = text(&format!("tests/tools/{name}.txt"));
        for line in requirements
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            assert!(line.contains("=="), "{name}.txt: {line}");
        }
    }
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON of cargo metadata");
    let manifests: Vec<Value> = array(&metadata["packages"])
        .iter()
        .map(|p| p["manifest_path"].clone())
        .collect();
    assert!(manifests.len() >= 6, "{manifests:?}");
    for manifest in &manifests {
        let path = string(manifest);
        let content = std::fs::read_to_string(path).expect("a manifest that cargo names");
        assert!(content.contains("[lints]\nworkspace = true\n"), "{path}");
    }
}

/// What the pure core may use: no clock, no randomness, no runtime, no AWS, no files.
#[test]
fn core_depends_on_nothing_that_does_something() {
    const ALLOWED: &[&str] = &[
        // SHA-256, which names and binds what is written down.
        "block-buffer",
        "cfg-if",
        "cpufeatures",
        "crypto-common",
        "digest",
        "hybrid-array",
        "sha2",
        "typenum",
        // CSV, read from and written to memory.
        "csv",
        "csv-core",
        "ryu",
        // Everything else.
        "itoa",
        "memchr",
        "percent-encoding",
        "proc-macro2",
        "quote",
        "s3ferry-core",
        "serde",
        "serde_core",
        "serde_derive",
        "serde_json",
        "syn",
        "thiserror",
        "thiserror-impl",
        "unicode-ident",
        "zmij",
    ];
    let tree = cargo(&[
        "tree",
        "--package",
        "s3ferry-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("s3ferry-core"));
    let strangers: Vec<&&str> = names.iter().filter(|name| !ALLOWED.contains(name)).collect();
    assert!(strangers.is_empty(), "s3ferry-core depends on {strangers:?}");
}

/// The size of a function's binary is most of its cold start.
#[test]
fn functions_are_built_without_what_only_the_command_line_needs() {
    let tree = |package: &str| {
        let arguments = ["tree", "--package", package, "--edges", "normal", "--prefix", "none"];
        cargo(&arguments)
    };
    let (functions, command_line) = (tree("s3ferry-functions"), tree("s3ferry-cli"));
    for name in ["aws-sdk-cloudformation", "aws-sdk-s3control", "aws-sdk-sfn"] {
        let names = |tree: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
        assert!(names(&command_line) && !names(&functions), "{name}");
    }
    let runtime = |tree: &str| tree.lines().any(|line| line.starts_with("lambda_runtime "));
    assert!(runtime(&functions) && !runtime(&command_line));
}

fn cargo(arguments: &[&str]) -> String {
    // Cargo hands its own path to the tests it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--offline")
        .current_dir(repository())
        .output();
    let output = output.unwrap_or_else(|error| panic!("failed to run cargo: {error}"));
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("output of cargo: {error}"))
}
