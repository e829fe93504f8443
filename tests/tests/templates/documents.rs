//! Parameters, and the tables of the documents that list them.

use std::collections::{BTreeMap, BTreeSet};

use s3ferry_core::migration::keys::{KEYS, KeyKind, find_key};
use s3ferry_core::migration::parameters::{DESTINATION_PARAMETERS, SOURCE_PARAMETERS, StackParameter};
use serde_json::{Value, json};

use super::cloudformation::{Template, array, strings, text};
use super::tables::{self, CONFIGURATION, RUNBOOK};
use super::{of_type, string};

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
                "String" => {
                    let is_checked = has("AllowedPattern") && has("ConstraintDescription");
                    has("AllowedValues") || is_checked && has("MaxLength")
                }
                other => panic!("{parameter} is a {other}"),
            };
            assert!(bounded, "{parameter} has no bounds");
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

/// A migration file determines every parameter, by a key or by its name.
#[test]
fn migration_file_knows_every_parameter_with_its_default() {
    for (name, known) in [("source", SOURCE_PARAMETERS), ("destination", DESTINATION_PARAMETERS)] {
        let known: BTreeMap<String, Option<String>> = known
            .iter()
            .map(|parameter| (parameter.name.to_owned(), parameter.default.map(str::to_owned)))
            .collect();
        let default = |definition: &Value| match definition.get("Default")? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let declared: BTreeMap<String, Option<String>> = Template::load(name)
            .section("Parameters")
            .iter()
            .map(|(parameter, definition)| (parameter.clone(), default(definition)))
            .collect();
        assert_eq!(known, declared, "{name}.yaml");
    }
}

/// What the file allows, the template allows.
#[test]
fn keys_of_the_migration_file_allow_what_the_templates_allow() {
    for (name, known) in [("source", SOURCE_PARAMETERS), ("destination", DESTINATION_PARAMETERS)] {
        let parameters = Template::load(name).section("Parameters");
        for parameter in known {
            let Some(key) = parameter.key.and_then(find_key) else {
                continue;
            };
            let definition = &parameters[parameter.name];
            let allowed: Vec<&str> = definition["AllowedValues"]
                .as_array()
                .map(|values| values.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            match key.kind {
                KeyKind::OneOf(words) => assert_eq!(words, allowed, "{}", key.name),
                KeyKind::Boolean => assert_eq!(allowed, ["true", "false"], "{}", key.name),
                KeyKind::Integer(least, most) => {
                    let limits = (&definition["MinValue"], &definition["MaxValue"]);
                    assert_eq!(limits, (&json!(least), &json!(most)), "{}", key.name);
                }
                KeyKind::StorageClass => {
                    for class in allowed {
                        assert_eq!(key.kind.check(class), Ok(()), "{class}");
                    }
                }
                _ => assert!(
                    allowed.is_empty() || parameter.name == "DestinationEncryption",
                    "{}",
                    key.name
                ),
            }
        }
    }
}

#[test]
fn configuration_lists_every_key_of_the_migration_file() {
    let expected: Vec<Vec<String>> = KEYS
        .iter()
        .map(|key| {
            let parameters = |known: &[StackParameter]| {
                let names = known.iter().filter(|parameter| parameter.key == Some(key.name));
                names
                    .map(|parameter| format!("`{}`", parameter.name))
                    .collect::<Vec<_>>()
            };
            let mut names = [parameters(SOURCE_PARAMETERS), parameters(DESTINATION_PARAMETERS)].concat();
            // A parameter of both stacks.
            names.dedup();
            let default = if key.default.is_empty() {
                String::new()
            } else {
                format!("`{}`", key.default)
            };
            vec![
                format!("`{}`", key.name),
                default,
                names.join(", "),
                key.meaning.to_owned(),
            ]
        })
        .collect();
    assert_eq!(tables::table(CONFIGURATION, "## Migration file"), expected);
}

#[test]
fn configuration_lists_every_parameter_with_its_default() {
    for name in ["destination", "source"] {
        let documented: BTreeMap<String, String> =
            tables::table(CONFIGURATION, &format!("## Parameters of the {name} stack"))
                .into_iter()
                .map(|row| (tables::code(&row[0]).concat(), row[1].trim_matches('`').to_owned()))
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
fn documents_list_every_output_and_alarm() {
    let first_column = |document: &str, heading: &str| -> BTreeSet<String> {
        tables::table(document, heading)
            .iter()
            .flat_map(|row| tables::code(&row[0]))
            .collect()
    };
    for name in ["destination", "source"] {
        let outputs = Template::load(name).section("Outputs");
        assert!(
            outputs.values().all(|output| output["Description"].is_string()),
            "{name}"
        );
        let names: BTreeSet<String> = outputs.keys().cloned().collect();
        assert_eq!(
            first_column(CONFIGURATION, &format!("## Outputs of the {name} stack")),
            names
        );
    }
    let alarms = ["source", "destination"].map(|name| {
        let resources = Template::load(name).resources(&[("ReplicationEngine", "both")]);
        let alarms = of_type(&resources, "AWS::CloudWatch::Alarm").into_iter();
        alarms.map(|(id, _)| id.to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(
        first_column(RUNBOOK, "## Alarms"),
        alarms.concat().into_iter().collect()
    );
}

/// Statements of a role by `Sid`: their actions and the setting that they depend on.
type Statements = BTreeMap<String, (Vec<String>, String)>;

fn documented_statements(heading: &str, statements: &mut Statements) {
    for row in tables::table(CONFIGURATION, heading) {
        assert!(
            !row[2].is_empty() && !row[4].is_empty(),
            "{heading}: no resource or no reason in {row:?}"
        );
        let statement = (tables::code(&row[1]), row[3].clone());
        let earlier = statements.insert(tables::code(&row[0]).concat(), statement);
        assert!(earlier.is_none(), "{heading}: duplicate {row:?}");
    }
}

#[test]
fn configuration_lists_every_statement_with_its_actions_and_condition() {
    let template = Template::load("source");
    for role in [
        "ReplicatorRole",
        "FinalSyncRole",
        "FinalSyncStateMachineRole",
        "FinalSyncBatchRole",
        "FinalSyncScheduleRole",
        "CanaryScheduleRole",
        "BucketWiringRole",
        "ReplicationRole",
    ] {
        let mut documented = Statements::new();
        documented_statements(&format!("### {role}"), &mut documented);
        if ["ReplicatorRole", "FinalSyncRole"].contains(&role) {
            documented_statements("### ReplicatorRole and FinalSyncRole", &mut documented);
        }
        let statements = template.statements(role);
        let declared: Statements = statements
            .iter()
            .map(|(condition, statement)| {
                let setting = setting_of(condition.as_deref()).to_owned();
                (
                    string(&statement["Sid"]).to_owned(),
                    (strings(&statement["Action"]), setting),
                )
            })
            .collect();
        assert_eq!(declared.len(), statements.len(), "{role}: duplicate Sid");
        assert_eq!(documented, declared, "{role}");
    }
}

/// Returns CONFIGURATION.md's text for a condition of the template.
fn setting_of(condition: Option<&str>) -> &'static str {
    match condition {
        None => "always",
        Some("HasPropagateDeletes") => "`PropagateDeletes=true`",
        Some("HasEnableVersioning") => "`EnableVersioning=true`",
        Some("HasVersioningDemand") => "`EnableVersioning=true`, or `ReplicationEngine=crr` or `both`",
        Some("HasOwnReplicationRole") => "`ReplicationEngine=crr` or `both`, `ReplicationRoleArn` empty",
        Some("HasReplicationRoleArn") => "`ReplicationRoleArn` set",
        Some("HasEventBridge") => "`EventSource=eventbridge`, `ReplicationEngine=lambda` or `both`",
        Some("HasSourceKmsKey") => "`SourceKmsKeyArn` set",
        Some("HasAclCopies") => "`Acl=copy`",
        Some("HasSharedOwnership") => "`Ownership=shared`",
        Some("HasKmsKeyMapSourceKeys") => "`KmsKeyMapSourceKeyArns` set",
        Some("HasKmsKeyMapDestinationKeys") => "`KmsKeyMapDestinationKeyArns` set",
        Some("HasDestinationKmsKey") => "`DestinationKmsKeyArn` set",
        Some(other) => panic!("CONFIGURATION.md has no text for {other}"),
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
