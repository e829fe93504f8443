//! Bucket policies and key policies, as far as the checks need them.

use serde_json::Value;

/// Policy of a bucket or of a KMS key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyDocument {
    /// Statements.
    pub statements: Vec<PolicyStatement>,
}

/// Statement of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyStatement {
    /// ID of the statement.
    pub sid: Option<String>,
    /// Whether the effect is `Deny`.
    pub denies: bool,
    /// Principals: ARNs, account IDs, service names and `*`.
    pub principals: Vec<String>,
    /// Whether the statement has `NotPrincipal`.
    pub excludes_principals: bool,
    /// Actions, or actions that are excepted.
    pub actions: Vec<String>,
    /// Whether the statement has `NotAction`.
    pub excludes_actions: bool,
    /// Resources.
    pub resources: Vec<String>,
    /// Conditions.
    pub conditions: Vec<PolicyCondition>,
}

/// Condition of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyCondition {
    /// Operator, such as `StringNotEquals`.
    pub operator: String,
    /// Key, such as `aws:SourceVpce`.
    pub key: String,
    /// Values.
    pub values: Vec<String>,
}

/// Error in a policy document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyDocumentError {
    /// The document is not JSON.
    #[error("the policy is not JSON: {0}")]
    NotJson(String),
    /// The document has no statements.
    #[error("the policy has no Statement")]
    NoStatement,
}

impl PolicyDocument {
    /// Parses a policy.
    pub fn parse(text: &str) -> Result<Self, PolicyDocumentError> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| PolicyDocumentError::NotJson(error.to_string()))?;
        let statements = document.get("Statement").ok_or(PolicyDocumentError::NoStatement)?;
        let statements = match statements {
            Value::Array(statements) => statements.iter().map(statement).collect(),
            single => vec![statement(single)],
        };
        Ok(Self { statements })
    }
}

impl PolicyStatement {
    /// Returns the ID of the statement for messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.sid
            .as_ref()
            .map_or_else(|| "without a Sid".to_owned(), |sid| format!("`{sid}`"))
    }

    /// Returns the actions among `needed` that the statement covers.
    #[must_use]
    pub fn covered<'a>(&self, needed: &[&'a str]) -> Vec<&'a str> {
        let matches = |action: &&str| self.actions.iter().any(|pattern| is_match(pattern, action));
        let covered = needed.iter().filter(|action| matches(action) != self.excludes_actions);
        covered.copied().collect()
    }

    /// Returns whether the statement may apply to the bucket, or to keys with the prefix.
    #[must_use]
    pub fn concerns(&self, bucket: &str, prefix: &str) -> bool {
        self.resources.is_empty()
            || self.resources.iter().any(|resource| {
                let name = resource.splitn(6, ':').nth(5).unwrap_or(resource);
                let Some((of, key)) = name.split_once('/') else {
                    return is_match(name, bucket);
                };
                let stem = key.split(['*', '?', '$']).next().unwrap_or_default();
                is_match(of, bucket) && (stem.starts_with(prefix) || prefix.starts_with(stem))
            })
    }

    /// Returns whether the statement applies to every principal.
    #[must_use]
    pub fn is_for_everyone(&self) -> bool {
        self.excludes_principals || self.principals.iter().any(|principal| principal == "*")
    }

    /// Returns whether a condition has one of the keys. Condition keys are not case-sensitive.
    #[must_use]
    pub fn condition_on(&self, keys: &[&str]) -> Option<&PolicyCondition> {
        let is_one = |key: &str| keys.iter().any(|wanted| wanted.eq_ignore_ascii_case(key));
        self.conditions.iter().find(|condition| is_one(&condition.key))
    }
}

/// Returns whether `text` matches a pattern with the wildcards `*` and `?`, ignoring case as in action names.
fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| strip(&text, first)) else {
        return false;
    };
    let mut rest = rest.to_owned();
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let mut starts = rest.char_indices().map(|(index, _)| index).chain([rest.len()]);
        let found = starts.find_map(|index| strip(rest.get(index..)?, part));
        let Some(found) = found else { return false };
        rest = found.to_owned();
    }
    let skipped = rest.chars().count().checked_sub(last.chars().count());
    skipped.is_some_and(|skipped| {
        let tail: String = rest.chars().skip(skipped).collect();
        strip(&tail, last).is_some_and(str::is_empty)
    })
}

/// Removes `part` from the beginning of a text, where `?` stands for any character.
fn strip<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for wanted in part.chars() {
        let letter = rest.next()?;
        if wanted != '?' && wanted != letter {
            return None;
        }
    }
    Some(rest.as_str())
}

fn statement(document: &Value) -> PolicyStatement {
    let texts_of = |name: &str| document.get(name).map(texts).unwrap_or_default();
    let excludes_actions = document.get("NotAction").is_some();
    let excludes_principals = document.get("NotPrincipal").is_some();
    PolicyStatement {
        sid: document.get("Sid").and_then(Value::as_str).map(str::to_owned),
        denies: document.get("Effect").and_then(Value::as_str) == Some("Deny"),
        principals: texts_of(if excludes_principals {
            "NotPrincipal"
        } else {
            "Principal"
        }),
        excludes_principals,
        actions: texts_of(if excludes_actions { "NotAction" } else { "Action" }),
        excludes_actions,
        resources: texts_of("Resource"),
        conditions: conditions(document.get("Condition")),
    }
}

fn conditions(document: Option<&Value>) -> Vec<PolicyCondition> {
    let operators = document.and_then(Value::as_object).into_iter().flatten();
    operators
        .flat_map(|(operator, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(|(key, values)| PolicyCondition {
                operator: operator.clone(),
                key: key.clone(),
                values: texts(values),
            })
        })
        .collect()
}

/// Returns the texts of a value: a text, a list, or the values of an object such as `{"AWS": [..]}`.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_actions() {
        for (pattern, text, expected) in [
            ("*", "s3:GetObject", true),
            ("s3:*", "s3:GetObject", true),
            ("s3:Get*", "s3:GetObject", true),
            ("s3:get*tagging", "s3:GetObjectTagging", true),
            ("s3:*Object*ing", "s3:GetObjectTagging", true),
            ("s3:GetObject", "s3:GetObjectTagging", false),
            ("s3:?etObject", "s3:GetObject", true),
            ("s3:*Tagging", "s3:GetObject", false),
            ("kms:*", "s3:GetObject", false),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn statements_are_read_in_every_spelling() {
        let policy = PolicyDocument::parse(
            r#"{"Statement":{"Sid":"a","Effect":"Deny","Principal":{"AWS":["arn:1","2"]},"NotAction":"s3:Get*",
                "Resource":["arn:aws:s3:::data/images/*"],
                "Condition":{"StringNotEquals":{"aws:SourceVpce":["vpce-1"]}}}}"#,
        )
        .unwrap();
        let statement = &policy.statements[0];
        assert_eq!(statement.principals, ["arn:1", "2"]);
        assert_eq!(statement.covered(&["s3:GetObject", "s3:PutObject"]), ["s3:PutObject"]);
        assert!(statement.concerns("data", "images/a"));
        assert!(statement.concerns("data", ""));
        assert!(!statement.concerns("data", "logs/"));
        assert!(!statement.concerns("other", ""));
        assert_eq!(statement.condition_on(&["AWS:sourcevpce"]).unwrap().values, ["vpce-1"]);
        assert_eq!(PolicyDocument::parse("{}"), Err(PolicyDocumentError::NoStatement));
        assert!(matches!(
            PolicyDocument::parse("x"),
            Err(PolicyDocumentError::NotJson(_))
        ));
    }
}
