//! Detection of `EventBridge` rules that depend on the events of a bucket.

use serde_json::Value;

/// Returns whether a rule with this event pattern may match an event that the bucket sends to `EventBridge`.
///
/// An undecidable pattern counts as a match: delivery that stays on does no harm, but delivery that is turned off may.
///
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
#[must_use]
pub fn listens_to_bucket(pattern: &str, bucket: &str) -> bool {
    let Ok(pattern) = serde_json::from_str::<Value>(pattern) else {
        return true;
    };
    let bucket_name = pattern.pointer("/detail/bucket/name");
    may_match(pattern.get("source"), |source| source == "aws.s3")
        && may_match(bucket_name, |name| name == bucket)
        && may_match(pattern.get("resources"), |arn| arn.split(":::").nth(1) == Some(bucket))
        // CloudTrail delivers its events independently of the bucket's EventBridge delivery.
        && may_match(pattern.get("detail-type"), |detail_type| !detail_type.starts_with("AWS "))
}

/// Returns whether a field of a pattern may match. Only a list of strings is decidable.
fn may_match(field: Option<&Value>, fits: impl Fn(&str) -> bool) -> bool {
    let Some(Value::Array(alternatives)) = field else {
        return true;
    };
    alternatives.iter().any(|alternative| match alternative {
        Value::String(text) => fits(text),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patterns_that_never_match_the_bucket_do_not_listen() {
        let rows = [
            (r#"{"source":["aws.s3"],"detail":{"bucket":{"name":["data"]}}}"#, true),
            (
                r#"{"source":["aws.s3"],"detail":{"bucket":{"name":["other","data"]}}}"#,
                true,
            ),
            (r#"{"source":["aws.s3"]}"#, true),
            (r#"{"detail-type":["Object Created"]}"#, true),
            (r#"{"detail-type":["Async Copy Completion"]}"#, true),
            (r#"{"source":[{"prefix":"aws."}]}"#, true),
            (
                r#"{"source":["aws.s3"],"detail":{"bucket":{"name":[{"prefix":"x"}]}}}"#,
                true,
            ),
            (r#"{"source":["aws.s3"],"resources":["arn:aws:s3:::data"]}"#, true),
            (r#"{"$or":[{"source":["aws.ec2"]},{"source":["aws.s3"]}]}"#, true),
            (r#"{"account":["123456789012"]}"#, true),
            ("not json", true),
            (r#"{"source":["aws.s3"],"detail":{"bucket":{"name":["other"]}}}"#, false),
            (r#"{"source":["aws.ec2"]}"#, false),
            (r#"{"source":["aws.s3"],"resources":["arn:aws:s3:::other"]}"#, false),
            (
                r#"{"source":["aws.s3"],"detail-type":["AWS API Call via CloudTrail"]}"#,
                false,
            ),
        ];
        for (pattern, expected) in rows {
            assert_eq!(listens_to_bucket(pattern, "data"), expected, "{pattern}");
        }
    }
}
