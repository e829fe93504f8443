//! The caller's side of the S3 Batch Operations protocol: invocations that S3 sends, and responses that it accepts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ResultCode;
use crate::manifest::{ManifestRow, encoded};
use crate::versions::VersionName;

/// Result of one task in a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskResponse {
    /// Task number: the row of the manifest, counted from 0.
    pub task: u64,
    /// Result code.
    pub code: ResultCode,
    /// Result text.
    pub text: String,
}

/// Returns an invocation of schema 2.0. Each task is a number and a row of the manifest.
///
/// `attempt` is the number of runs of these tasks, including this one. Invocations by S3 do not contain it.
#[must_use]
pub fn invocation(
    job_id: &str,
    invocation_id: &str,
    arguments: &BTreeMap<String, String>,
    tasks: &[(u64, &ManifestRow)],
    attempt: u32,
) -> Value {
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|(number, row)| {
            json!({
                "taskId": number.to_string(),
                "s3Key": encoded(row.key.as_str()),
                "s3VersionId": row.version.as_ref().map(VersionName::as_str),
                "s3Bucket": row.bucket.as_str(),
            })
        })
        .collect();
    json!({
        "invocationSchemaVersion": "2.0",
        "invocationId": invocation_id,
        "job": { "id": job_id, "userArguments": arguments },
        "attempt": attempt,
        "tasks": tasks,
    })
}

/// Reads the response to an invocation. Returns exactly one result for each of `tasks`, in their order.
///
/// The rules are those of S3: a response to another invocation, or none, fails all tasks. A task that the response
/// omits has the result `treatMissingKeysAs`. Of two results of one task the first applies.
#[must_use]
pub fn read_answer(answer: &Result<Value, String>, invocation_id: &str, tasks: &[u64]) -> Vec<TaskResponse> {
    let all = |text: &str| {
        let end = |task: &u64| TaskResponse {
            task: *task,
            code: ResultCode::PermanentFailure,
            text: text.to_owned(),
        };
        tasks.iter().map(end).collect()
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return all(&format!("not done: the function failed: {error}")),
    };
    if answer.get("invocationId").and_then(Value::as_str) != Some(invocation_id) {
        return all("not done: the function failed: it responded to another invocation");
    }
    let mut ends: BTreeMap<u64, (ResultCode, String)> = BTreeMap::new();
    for result in answer.get("results").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or_default();
        if let (Ok(task), Some(code)) = (text("taskId").parse(), ResultCode::parse(text("resultCode"))) {
            ends.entry(task)
                .or_insert_with(|| (code, text("resultString").to_owned()));
        }
    }
    let missing = answer.get("treatMissingKeysAs").and_then(Value::as_str);
    let missing = missing
        .and_then(ResultCode::parse)
        .unwrap_or(ResultCode::PermanentFailure);
    let end = |task: &u64| {
        let (code, text) = ends
            .get(task)
            .cloned()
            .unwrap_or_else(|| (missing, "the function's response omits this task".to_owned()));
        TaskResponse {
            task: *task,
            code,
            text,
        }
    };
    tasks.iter().map(end).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(results: &Value) -> Value {
        json!({"invocationId": "i", "treatMissingKeysAs": "TemporaryFailure", "results": results})
    }

    fn codes(answer: &Result<Value, String>) -> Vec<ResultCode> {
        read_answer(answer, "i", &[7, 8]).iter().map(|end| end.code).collect()
    }

    #[test]
    fn responses_are_read_as_s3_reads_them() {
        use ResultCode::{PermanentFailure, Succeeded, TemporaryFailure};
        let result = |task: &str, code: &str| json!({"taskId": task, "resultCode": code, "resultString": "said"});
        let whole = answer(&json!([result("8", "PermanentFailure"), result("7", "Succeeded")]));
        assert_eq!(codes(&Ok(whole.clone())), [Succeeded, PermanentFailure]);
        assert_eq!(read_answer(&Ok(whole), "i", &[7])[0].text, "said");
        let without = answer(&json!([result("7", "Succeeded"), result("9", "Succeeded")]));
        assert_eq!(codes(&Ok(without)), [Succeeded, TemporaryFailure]);
        let twice = answer(&json!([
            result("7", "Succeeded"),
            result("7", "PermanentFailure"),
            result("8", "Perfect")
        ]));
        assert_eq!(codes(&Ok(twice)), [Succeeded, TemporaryFailure]);
        assert_eq!(codes(&Err("out of memory".to_owned())), [PermanentFailure; 2]);
        assert_eq!(
            codes(&Ok(json!({"invocationId": "another", "results": []}))),
            [PermanentFailure; 2]
        );
    }

    proptest! {
        #[test]
        fn every_task_has_exactly_one_result_for_any_response(
            tasks in prop::collection::btree_set(0_u64..20, 0..10),
            ids in prop::collection::vec((0_u64..25, "Succeeded|TemporaryFailure|PermanentFailure|x"), 0..20),
        ) {
            let results: Vec<Value> =
                ids.iter().map(|(id, code)| json!({"taskId": id.to_string(), "resultCode": code})).collect();
            let tasks: Vec<u64> = tasks.into_iter().collect();
            let ends = read_answer(&Ok(answer(&json!(results))), "i", &tasks);
            prop_assert_eq!(ends.iter().map(|end| end.task).collect::<Vec<_>>(), tasks);
        }
    }
}
