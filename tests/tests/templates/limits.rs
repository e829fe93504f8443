//! AWS limits that depend on the rendered template: size of a role's policies and of a function's environment.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::cloudformation::{Template, array};
use super::{EVERYTHING, Resources, functions, number, of_type, string};

/// Maximum characters of all inline policies of a role, without white space.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const POLICIES_LIMIT: usize = 10_240;
/// Maximum bytes of all variables of a function, as the JSON object that Lambda stores.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const ENVIRONMENT_LIMIT: usize = 4_096;

/// Shortest ARN of a KMS key, with which a list has the most entries.
const SHORTEST_KEY: &str = "arn:aws:kms:a:123456789012:key/a";

/// Returns whether `CloudFormation` accepts a value of a parameter.
pub(crate) fn accepts(definition: &Value, value: &str) -> bool {
    let pattern = format!("^(?:{})$", string(&definition["AllowedPattern"]));
    let pattern = Regex::new(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let length = value.chars().count();
    let long_enough = definition["MinLength"].as_u64().unwrap_or_default() <= length as u64;
    long_enough && length as u64 <= number(&definition["MaxLength"]) && pattern.is_match(value)
}

/// Repeats a text, separated by commas, up to a length of `room`.
fn repeated(item: &str, room: usize) -> String {
    let times = (room + 1) / (item.len() + 1);
    vec![item; times].join(",")
}

/// Returns the longest value of a parameter; for a list, the one with the most entries.
fn longest_text(name: &str, definition: &Value) -> String {
    if definition["AllowedValues"].is_array() {
        let allowed = array(&definition["AllowedValues"]);
        let longest = allowed.iter().map(string).max_by_key(|value| value.len());
        return longest.unwrap_or_default().to_owned();
    }
    let room = usize::try_from(number(&definition["MaxLength"])).unwrap_or_else(|error| panic!("{name}: {error}"));
    let filled = |start: &str, end: &str| format!("{start}{}{end}", "a".repeat(room - start.len() - end.len()));
    let value = match name {
        "DestinationRegion" => filled("eu-", "-1"),
        "DestinationBucketOwner" => "9".repeat(room),
        "SourceKmsKeyArn" | "DestinationKmsKeyArn" => filled("arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/", ""),
        "KmsKeyMap" => format!(
            "{{{}}}",
            repeated(&format!("\"{SHORTEST_KEY}\":\"{SHORTEST_KEY}\""), room - 2)
        ),
        "KmsKeyMapSourceKeyArns" | "KmsKeyMapDestinationKeyArns" => repeated(SHORTEST_KEY, room),
        "ReplicationRoleArn" => filled("arn:aws-us-gov:iam::123456789012:role/", ""),
        "EndpointUrl" => filled("http://", ""),
        "AlarmEmail" => filled("a@", ".aa"),
        "FinalSyncScheduleExpression" => filled("rate(", ")"),
        "FinalSyncManifestKey" => filled("final-sync/", ""),
        _ => filled("", ""),
    };
    assert!(accepts(definition, &value), "{name} does not accept {value}");
    value
}

/// Resolves the template with every optional part and the largest value of each parameter.
fn largest() -> Resources {
    let template = Template::load("source");
    let switches: BTreeMap<&str, &str> = EVERYTHING.iter().copied().chain([("Ownership", "shared")]).collect();
    let values: Vec<(String, String)> = template
        .section("Parameters")
        .iter()
        .map(|(name, definition)| {
            let value = match (string(&definition["Type"]), switches.get(name.as_str())) {
                (_, Some(switch)) if definition["AllowedValues"].is_array() => (*switch).to_owned(),
                ("Number", _) if definition["MaxValue"].is_u64() => number(&definition["MaxValue"]).to_string(),
                ("Number", _) => array(&definition["AllowedValues"])
                    .iter()
                    .map(Value::to_string)
                    .max_by_key(String::len)
                    .unwrap_or_default(),
                _ => longest_text(name, definition),
            };
            (name.clone(), value)
        })
        .collect();
    let overrides: Vec<(&str, &str)> = values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    template.resources(&overrides)
}

/// Replaces values that only AWS knows by texts of their maximum length.
fn deployed(value: &Value, resources: &Resources) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(|element| deployed(element, resources)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            Value::Object(
                fields
                    .map(|(name, field)| (name.clone(), deployed(field, resources)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::String(text) => Value::from(deployed_text(text, resources)),
        other => Value::from(other.to_string()),
    }
}

fn deployed_text(text: &str, resources: &Resources) -> String {
    let bucket_arn = format!("arn:aws-us-gov:s3:::{}", "b".repeat(63));
    let attribute = text.strip_suffix(".Arn").map(|id| &resources[id]["Type"]);
    if let Some(kind) = attribute {
        // The ARN of a log group contains the stack name, which has at most 128 characters.
        return if kind == "AWS::S3::Bucket" {
            bucket_arn
        } else {
            "x".repeat(220)
        };
    }
    if resources.contains_key(text) {
        // Length of a queue URL; every other reference is shorter.
        return "x".repeat(140);
    }
    let mut text = text.to_owned();
    for (name, longest) in [
        ("AWS::Partition", "aws-us-gov".to_owned()),
        ("AWS::Region", "ap-southeast-1".to_owned()),
        ("AWS::AccountId", "123456789012".to_owned()),
        ("AWS::URLSuffix", "amazonaws.com.cn".to_owned()),
        ("AWS::StackName", "s".repeat(128)),
        ("StateBucket.Arn", bucket_arn),
    ] {
        text = text.replace(&format!("${{{name}}}"), &longest);
        if text == name {
            text = longest;
        }
    }
    assert!(!text.contains("${"), "cannot resolve {text}");
    text
}

#[test]
fn policies_of_every_role_are_within_iam_limits() {
    let resources = largest();
    let roles = of_type(&resources, "AWS::IAM::Role");
    assert!(roles.len() >= 6);
    for (id, role) in roles {
        let documents = array(&role["Policies"]).into_iter();
        let length: usize = documents
            .map(|policy| deployed(&policy["PolicyDocument"], &resources).to_string())
            .map(|document| document.chars().filter(|letter| !letter.is_whitespace()).count())
            .sum();
        assert!(length <= POLICIES_LIMIT, "{id} has {length} characters of policies");
    }
}

#[test]
fn environment_of_every_function_is_within_lambda_limits() {
    let resources = largest();
    for (id, function) in functions(&resources) {
        let length = deployed(&function["Environment"]["Variables"], &resources)
            .to_string()
            .len();
        assert!(length <= ENVIRONMENT_LIMIT, "{id} has {length} bytes of variables");
    }
}

#[test]
fn longest_real_values_are_accepted() {
    let parameters = Template::load("source").section("Parameters");
    let accepted = |name: &str, value: &str| accepts(&parameters[name], value);
    let key = |region: &str, number: usize| {
        format!("arn:aws:kms:{region}:123456789012:key/{number:08}-1234-1234-1234-123456789012")
    };
    let multi_region = format!(
        "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-{}",
        "0".repeat(32)
    );
    assert!(accepted("SourceKmsKeyArn", &multi_region));
    assert!(accepted("DestinationKmsKeyArn", &multi_region));
    let pairs: Vec<(String, String)> = (0..10)
        .map(|n| (key("ap-southeast-1", n), key("eu-central-1", n)))
        .collect();
    let map: Map<String, Value> = pairs
        .iter()
        .map(|(from, to)| (from.clone(), to.as_str().into()))
        .collect();
    let sources: Vec<&str> = pairs.iter().map(|(from, _)| from.as_str()).collect();
    assert!(accepted("KmsKeyMap", &Value::from(map.clone()).to_string()));
    assert!(accepted(
        "KmsKeyMap",
        &serde_json::to_string_pretty(&map).unwrap_or_default()
    ));
    assert!(accepted("KmsKeyMap", ""));
    assert!(accepted("KmsKeyMapSourceKeyArns", &sources[..9].join(",")));
    for wrong in ["{\"a\":\"b\"}", "{\"\"\"\"\"}", "arn:aws:kms:a:123456789012:key/a"] {
        assert!(!accepted("KmsKeyMap", wrong), "{wrong}");
    }
    for wrong in ["arn:aws:kms:,,,,", &format!("{SHORTEST_KEY},")] {
        assert!(!accepted("KmsKeyMapSourceKeyArns", wrong), "{wrong}");
    }
}

#[test]
fn regions_of_every_partition_are_accepted() {
    let region = &Template::load("source").section("Parameters")["DestinationRegion"];
    for name in [
        "eu-central-1",
        "eusc-de-east-1",
        "us-gov-west-1",
        "cn-northwest-1",
        "us-isob-east-1",
        "mx-central-1",
    ] {
        assert!(accepts(region, name), "{name}");
        assert!(s3ferry_core::names::Region::new(name).is_ok(), "{name}");
    }
    for name in ["", "eu-central", "EU-CENTRAL-1", "Frankfurt"] {
        assert!(!accepts(region, name), "{name}");
    }
}
