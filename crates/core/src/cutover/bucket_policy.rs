//! One statement of s3ferry in a bucket policy that others edit as well.
//!
//! Statements are identified by their Sid. All other parts of the policy are preserved as JSON values.

use serde_json::{Map, Value, json};

/// Maximum size of a bucket policy: 20 KB.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html>
pub const POLICY_LIMIT_BYTES: usize = 20 * 1024;

/// A bucket policy that s3ferry does not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketPolicyError {
    /// The policy has no readable list of statements.
    #[error("the bucket policy is not readable: {0}")]
    Unreadable(String),
    /// The policy would be too large with the statement.
    #[error(
        "the bucket policy would have {bytes} bytes with the statement {sid}, and S3 allows {POLICY_LIMIT_BYTES}: shorten \
         the policy by {excess} bytes", excess = bytes.saturating_sub(POLICY_LIMIT_BYTES)
    )]
    TooLarge {
        /// Sid of the statement.
        sid: String,
        /// Size with the statement.
        bytes: usize,
    },
}

/// Whether a policy has a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementPresence {
    /// No statement has the Sid.
    Absent,
    /// Exactly one statement has the Sid, and it is the expected one.
    Present,
    /// Statements with the Sid differ from the expected one.
    Different,
}

/// Returns whether a policy has the statement, which contains its Sid.
pub fn presence(policy: Option<&str>, statement: &Value) -> Result<StatementPresence, BucketPolicyError> {
    let document = parse(policy)?;
    let sid = sid_of(statement);
    let found: Vec<Value> = statements(&document)?
        .into_iter()
        .filter(|found| sid_of(found) == sid)
        .collect();
    Ok(match found.as_slice() {
        [] => StatementPresence::Absent,
        [only] if canonical(only) == canonical(statement) => StatementPresence::Present,
        _ => StatementPresence::Different,
    })
}

/// Returns the policy with the statement as its only one with this Sid. Returns `None` if it is so already.
pub fn with_statement(policy: Option<&str>, statement: &Value) -> Result<Option<String>, BucketPolicyError> {
    if presence(policy, statement)? == StatementPresence::Present {
        return Ok(None);
    }
    let mut document = parse(policy)?;
    let sid = sid_of(statement).unwrap_or_default().to_owned();
    let mut kept = statements(&document)?;
    kept.retain(|found| sid_of(found) != Some(&sid));
    kept.push(statement.clone());
    document.insert("Statement".to_owned(), Value::Array(kept));
    let text = Value::Object(document).to_string();
    if text.len() > POLICY_LIMIT_BYTES {
        return Err(BucketPolicyError::TooLarge { sid, bytes: text.len() });
    }
    Ok(Some(text))
}

/// What to do to remove a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementRemoval {
    /// The policy does not have the statement.
    Absent,
    /// The policy without the statement.
    Write(String),
    /// The policy has no other statement, and S3 allows no policy without statements.
    DeletePolicy,
}

/// Returns how to remove the statements with a Sid.
pub fn without_statement(policy: Option<&str>, sid: &str) -> Result<StatementRemoval, BucketPolicyError> {
    let mut document = parse(policy)?;
    let all = statements(&document)?;
    let mut kept = all.clone();
    kept.retain(|found| sid_of(found) != Some(sid));
    if kept.len() == all.len() {
        return Ok(StatementRemoval::Absent);
    }
    if kept.is_empty() {
        return Ok(StatementRemoval::DeletePolicy);
    }
    document.insert("Statement".to_owned(), Value::Array(kept));
    Ok(StatementRemoval::Write(Value::Object(document).to_string()))
}

/// Returns whether two policies are equal as JSON values; no policy equals only no policy.
#[must_use]
pub fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let read = |text: &str| serde_json::from_str::<Value>(text).ok().map(|value| canonical(&value));
            one == other || (read(one).is_some() && read(one) == read(other))
        }
        _ => false,
    }
}

fn parse(policy: Option<&str>) -> Result<Map<String, Value>, BucketPolicyError> {
    let Some(text) = policy else {
        let new = json!({"Version": "2012-10-17", "Statement": []});
        return Ok(new.as_object().cloned().unwrap_or_default());
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(BucketPolicyError::Unreadable("it is not a JSON object".to_owned())),
        Err(error) => Err(BucketPolicyError::Unreadable(error.to_string())),
    }
}

/// Returns the statements. A policy with one statement may have it without a list.
fn statements(document: &Map<String, Value>) -> Result<Vec<Value>, BucketPolicyError> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => Ok(statements.clone()),
        Some(statement @ Value::Object(_)) => Ok(vec![statement.clone()]),
        Some(_) => Err(BucketPolicyError::Unreadable(
            "`Statement` is neither a list nor an object".to_owned(),
        )),
        None => Err(BucketPolicyError::Unreadable("it has no `Statement`".to_owned())),
    }
}

fn sid_of(statement: &Value) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str)
}

/// Returns a value in which lists of texts are sorted and lists of one element are that element: S3 may return either.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            if let [only] = items.as_slice() {
                return canonical(only);
            }
            let mut items: Vec<Value> = items.iter().map(canonical).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
            }
            Value::Array(items)
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| (name.clone(), canonical(field)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Value {
        json!({"Sid": "Own", "Effect": "Deny", "Principal": "*", "Action": ["s3:PutObject*"], "Resource": "r"})
    }

    const FOREIGN: &str =
        r#"{"Id":"x","Version":"2008-10-17","Statement":{"Sid":"External","Effect":"Allow","Action":["b","a"]}}"#;

    #[test]
    fn foreign_parts_of_a_policy_survive_merge_and_removal() {
        let merged = with_statement(Some(FOREIGN), &own()).unwrap().unwrap();
        let document: Value = serde_json::from_str(&merged).unwrap();
        assert_eq!(document["Id"], "x");
        assert_eq!(document["Version"], "2008-10-17");
        assert_eq!(document["Statement"][0]["Action"], json!(["b", "a"]));
        assert_eq!(document["Statement"][1], own());
        assert_eq!(with_statement(Some(&merged), &own()).unwrap(), None, "one Sid");
        let StatementRemoval::Write(removed) = without_statement(Some(&merged), "Own").unwrap() else {
            panic!("the policy has another statement");
        };
        assert!(is_same(Some(FOREIGN), Some(&removed)), "{removed}");
        assert_eq!(
            without_statement(Some(FOREIGN), "Own").unwrap(),
            StatementRemoval::Absent
        );
    }

    #[test]
    fn policy_of_one_statement_is_deleted_with_it() {
        let merged = with_statement(None, &own()).unwrap().unwrap();
        assert_eq!(presence(Some(&merged), &own()).unwrap(), StatementPresence::Present);
        let removal = without_statement(Some(&merged), "Own").unwrap();
        assert_eq!(removal, StatementRemoval::DeletePolicy);
        assert_eq!(without_statement(None, "Own").unwrap(), StatementRemoval::Absent);
    }

    #[test]
    fn statement_that_was_weakened_is_replaced() {
        let mut weaker = own();
        weaker["Resource"] = json!("other");
        let policy = json!({"Version": "2012-10-17", "Statement": [weaker]}).to_string();
        assert_eq!(presence(Some(&policy), &own()).unwrap(), StatementPresence::Different);
        let merged = with_statement(Some(&policy), &own()).unwrap().unwrap();
        assert_eq!(presence(Some(&merged), &own()).unwrap(), StatementPresence::Present);
        let scalar = json!({"Statement": {"Sid": "Own", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject*",
            "Resource": ["r"]}});
        assert_eq!(
            presence(Some(&scalar.to_string()), &own()).unwrap(),
            StatementPresence::Present
        );
    }

    #[test]
    fn size_limit_counts_the_statement() {
        let rest = with_statement(None, &own()).unwrap().unwrap().len() + r#"{"Sid":""},"#.len();
        let of =
            |letters: usize| json!({"Version": "2012-10-17", "Statement": [{"Sid": "x".repeat(letters)}]}).to_string();
        assert!(with_statement(Some(&of(POLICY_LIMIT_BYTES - rest)), &own()).is_ok());
        let error = with_statement(Some(&of(POLICY_LIMIT_BYTES - rest + 1)), &own()).unwrap_err();
        assert!(error.to_string().contains("shorten the policy by 1 bytes"), "{error}");
    }

    #[test]
    fn policies_of_another_form_are_refused() {
        for text in ["", "[]", "{}", r#"{"Statement":3}"#] {
            assert!(with_statement(Some(text), &own()).is_err(), "{text}");
            assert!(without_statement(Some(text), "Own").is_err(), "{text}");
        }
    }
}
