//! Parser for a template that resolves parameters, conditions and functions.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde_json::{Map, Value, json};

/// Returns the root folder of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Reads a file of the repository.
pub(crate) fn text(path: &str) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

/// A template as JSON, with functions in their long form (`!Ref` as `{"Ref": ..}`).
pub(crate) struct Template {
    root: Value,
}

impl Template {
    /// Reads `infra/<name>.yaml`.
    pub(crate) fn load(name: &str) -> Self {
        let source = text(&format!("infra/{name}.yaml"));
        let documents = YamlOwned::load_from_str(&source).unwrap_or_else(|error| panic!("{name}.yaml: {error}"));
        let [document] = documents.as_slice() else {
            panic!("{name}.yaml holds {} documents", documents.len())
        };
        Self {
            root: json_of(document),
        }
    }

    /// Returns a top-level section, empty if it is absent.
    pub(crate) fn section(&self, name: &str) -> Map<String, Value> {
        self.root[name].as_object().cloned().unwrap_or_default()
    }

    /// Returns the unresolved statements of a role's policies, each with the name of its condition.
    pub(crate) fn statements(&self, role: &str) -> Vec<(Option<String>, Value)> {
        let policies = &self.root["Resources"][role]["Properties"]["Policies"];
        let policies = policies.as_array().unwrap_or_else(|| panic!("{role} has no policies"));
        let statements = policies
            .iter()
            .flat_map(|policy| array(&policy["PolicyDocument"]["Statement"]));
        statements
            .map(|statement| match statement["Fn::If"].as_array().map(Vec::as_slice) {
                None => (None, statement),
                Some([condition, inner, otherwise]) => {
                    assert_eq!(otherwise, &json!({"Ref": "AWS::NoValue"}), "{role}");
                    (condition.as_str().map(str::to_owned), inner.clone())
                }
                Some(other) => panic!("Fn::If with {} arguments in {role}", other.len()),
            })
            .collect()
    }

    /// Returns the resources that exist with these parameters, with conditions, parameters and `Fn::If` resolved.
    ///
    /// Values that only AWS knows are their names: `!Ref Queue` is `Queue`, `!GetAtt Queue.Arn` is `Queue.Arn`.
    pub(crate) fn resources(&self, overrides: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let mut parameters: Map<String, Value> = Map::new();
        for (name, definition) in self.section("Parameters") {
            let default = definition
                .get("Default")
                .cloned()
                .unwrap_or_else(|| Value::from(format!("<{name}>")));
            parameters.insert(name, default);
        }
        for (name, value) in overrides {
            let known = parameters.insert((*name).to_owned(), Value::from(*value));
            assert!(known.is_some(), "the template has no parameter {name}");
        }
        let resolver = Resolver {
            parameters,
            conditions: self.section("Conditions"),
        };
        self.section("Resources")
            .into_iter()
            .filter(|(_, resource)| {
                resource["Condition"]
                    .as_str()
                    .is_none_or(|name| resolver.condition(name))
            })
            .filter_map(|(id, resource)| Some((id, resolver.resolve(&resource)?)))
            .collect()
    }
}

/// Returns the elements of an array, or a single value as the only element, as IAM reads it.
pub(crate) fn array(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(elements) => elements.clone(),
        Value::Null => Vec::new(),
        single => vec![single.clone()],
    }
}

/// Returns the strings of an array, or a single string as the only element.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    let string = |element: &Value| element.as_str().map(str::to_owned);
    array(value)
        .iter()
        .map(|e| string(e).unwrap_or_else(|| panic!("not a string: {e}")))
        .collect()
}

struct Resolver {
    parameters: Map<String, Value>,
    conditions: Map<String, Value>,
}

impl Resolver {
    fn condition(&self, name: &str) -> bool {
        self.holds(
            self.conditions
                .get(name)
                .unwrap_or_else(|| panic!("no condition {name}")),
        )
    }

    fn holds(&self, expression: &Value) -> bool {
        let (function, argument) = function(expression).unwrap_or_else(|| panic!("not a condition: {expression}"));
        let arguments = array(argument);
        match (function, arguments.as_slice()) {
            ("Condition", [Value::String(name)]) => self.condition(name),
            // CloudFormation compares strings, and a number as the string in the template.
            ("Fn::Equals", [left, right]) => self.text(left) == self.text(right),
            ("Fn::Not", [inner]) => !self.holds(inner),
            ("Fn::And", all) => all.iter().all(|inner| self.holds(inner)),
            ("Fn::Or", any) => any.iter().any(|inner| self.holds(inner)),
            _ => panic!("not supported: {expression}"),
        }
    }

    fn text(&self, value: &Value) -> Option<String> {
        self.resolve(value).map(|resolved| match resolved {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// Resolves a value; `None` is `AWS::NoValue`.
    fn resolve(&self, value: &Value) -> Option<Value> {
        if let Some((function, argument)) = function(value) {
            return self.call(function, argument);
        }
        Some(match value {
            Value::Array(elements) => elements.iter().filter_map(|element| self.resolve(element)).collect(),
            Value::Object(fields) => {
                let resolved = |(key, field): (&String, &Value)| Some((key.clone(), self.resolve(field)?));
                Value::Object(fields.iter().filter_map(resolved).collect())
            }
            scalar => scalar.clone(),
        })
    }

    fn call(&self, function: &str, argument: &Value) -> Option<Value> {
        match (function, argument) {
            ("Ref", Value::String(name)) if name == "AWS::NoValue" => None,
            ("Ref", Value::String(name)) => Some(
                self.parameters
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| Value::from(name.as_str())),
            ),
            ("Fn::GetAtt", Value::String(attribute)) => Some(Value::from(attribute.as_str())),
            ("Fn::Sub", Value::String(pattern)) => Some(Value::from(self.substitute(pattern))),
            ("Fn::Split", Value::Array(arguments)) => {
                let [Value::String(separator), joined] = arguments.as_slice() else {
                    panic!("not supported: Fn::Split {argument}")
                };
                let joined = self.resolve(joined)?;
                let text = joined.as_str().unwrap_or_else(|| panic!("not a text: {joined}"));
                Some(text.split(separator.as_str()).map(Value::from).collect())
            }
            ("Fn::If", Value::Array(arguments)) => {
                let [Value::String(condition), then, otherwise] = arguments.as_slice() else {
                    panic!("not supported: Fn::If {argument}")
                };
                self.resolve(if self.condition(condition) { then } else { otherwise })
            }
            _ => panic!("not supported: {function} {argument}"),
        }
    }

    fn substitute(&self, pattern: &str) -> String {
        let mut result = pattern.to_owned();
        for (name, value) in &self.parameters {
            let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            result = result.replace(&format!("${{{name}}}"), &plain);
        }
        result
    }
}

/// Returns the intrinsic function that a value calls, with its argument.
///
/// `Condition` is a function only as the single field of an object: a resource or a policy statement has other fields
/// too.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, argument) = fields.iter().next()?;
    (name == "Ref" || name == "Condition" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

fn json_of(node: &YamlOwned) -> Value {
    match node {
        YamlOwned::Value(ScalarOwned::Null) => Value::Null,
        YamlOwned::Value(ScalarOwned::Boolean(value)) => Value::from(*value),
        YamlOwned::Value(ScalarOwned::Integer(value)) => Value::from(*value),
        YamlOwned::Value(ScalarOwned::FloatingPoint(value)) => Value::from(value.into_inner()),
        YamlOwned::Value(ScalarOwned::String(value)) => Value::from(value.as_str()),
        YamlOwned::Sequence(elements) => elements.iter().map(json_of).collect(),
        YamlOwned::Mapping(fields) => {
            let key = |node: &YamlOwned| match json_of(node) {
                Value::String(key) => key,
                other => panic!("key is not a string: {other}"),
            };
            Value::Object(fields.iter().map(|(name, field)| (key(name), json_of(field))).collect())
        }
        YamlOwned::Tagged(tag, inner) => {
            let short = tag.suffix.as_str();
            let long = if matches!(short, "Ref" | "Condition") {
                short.to_owned()
            } else {
                format!("Fn::{short}")
            };
            json!({ long: json_of(inner) })
        }
        // CloudFormation supports no aliases: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
        other => panic!("not supported: {other:?}"),
    }
}
