//! Bucket policies: statements that deny writes of objects.
//!
//! The principal of a request is a user whose name is the access key. Grants are not needed, and other statements have no
//! effect.

use serde_json::Value;

use super::call::SimRequest;
use crate::sim::model::bucket::ACCOUNT;
use crate::sim::model::document::BucketDocument;
use crate::sim::model::simulator::Simulator;

/// Returns whether the bucket's policy denies the request.
pub(crate) fn denies(model: &Simulator, call: &SimRequest) -> bool {
    let Some(action) = action(call.operation) else {
        return false;
    };
    let target = call.target();
    let Ok(bucket) = model.bucket(target.bucket) else {
        return false;
    };
    let policy = bucket.documents.get(&BucketDocument::Policy);
    let Some(policy) = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return false;
    };
    let resource = format!("arn:aws:s3:::{}/{}", target.bucket, target.key);
    let principal = format!(
        "arn:aws:iam::{ACCOUNT}:user/{}",
        call.access_key.as_deref().unwrap_or_default()
    );
    list(policy.get("Statement")).iter().any(|statement| {
        let applies = |field: &str, value: &str| texts(statement.get(field)).iter().any(|text| matches(text, value));
        statement.get("Effect").and_then(Value::as_str) == Some("Deny")
            && applies("Action", &format!("s3:{action}"))
            && applies("Resource", &resource)
            && holds(statement.get("Condition"), &principal)
    })
}

/// Returns the IAM action of a write.
fn action(operation: &str) -> Option<&str> {
    match operation {
        "PutObject"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => Some("PutObject"),
        "DeleteObject"
        | "PutObjectTagging"
        | "DeleteObjectTagging"
        | "PutObjectAcl"
        | "PutObjectRetention"
        | "PutObjectLegalHold"
        | "PutObjectAnnotation"
        | "DeleteObjectAnnotation" => Some(operation),
        _ => None,
    }
}

fn holds(condition: Option<&Value>, principal: &str) -> bool {
    let Some(condition) = condition.and_then(Value::as_object) else {
        return true;
    };
    condition.iter().all(|(operator, keys)| {
        let arns = texts(keys.get("aws:PrincipalArn"));
        let is_like = arns.iter().any(|arn| matches(arn, principal));
        match operator.as_str() {
            "ArnLike" | "ArnEquals" => is_like,
            "ArnNotLike" | "ArnNotEquals" => !is_like,
            _ => false,
        }
    })
}

fn list(value: Option<&Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items.clone(),
        Some(other) => vec![other.clone()],
        None => Vec::new(),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = list(value).into_iter();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Returns whether a value matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == value,
        Some((before, rest)) => value
            .strip_prefix(before)
            .is_some_and(|value| (0..=value.len()).any(|at| value.get(at..).is_some_and(|value| matches(rest, value)))),
    }
}
