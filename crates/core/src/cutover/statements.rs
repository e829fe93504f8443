//! The statements that deny writes during a cutover.

use serde_json::{Map, Value, json};

use super::state::CutoverRoute;
use crate::names::{BucketName, Region};

/// Actions that change objects. Wildcards cover tags, grants, Object Lock, annotations and versions.
///
/// A completed multipart upload needs `s3:PutObject`, and an aborted one needs another action:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>
const WRITES: [&str; 3] = ["s3:PutObject*", "s3:DeleteObject*", "s3:Replicate*"];

/// Statement of s3ferry in a bucket policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenyStatement {
    /// Sid, which no other statement has.
    pub sid: String,
    /// The statement.
    pub statement: Value,
}

impl DenyStatement {
    /// Denies writes to the source, except by `excepted` roles.
    #[must_use]
    pub fn freeze(route: &CutoverRoute, region: &Region, excepted: &[String]) -> Self {
        Self::to_all(route.freeze_sid(), &route.source, region, &route.prefix, excepted)
    }

    /// Denies writes to the destination during a rollback, except by `excepted` roles.
    #[must_use]
    pub fn rollback(route: &CutoverRoute, region: &Region, excepted: &[String]) -> Self {
        Self::to_all(
            route.rollback_sid(),
            &route.destination,
            region,
            &route.prefix,
            excepted,
        )
    }

    /// Denies writes of s3ferry's roles to the destination. Without roles, there is nothing to deny.
    #[must_use]
    pub fn seal(route: &CutoverRoute, region: &Region, roles: &[String]) -> Option<Self> {
        if roles.is_empty() {
            return None;
        }
        let sid = route.seal_sid();
        let mut statement = deny(&sid, &route.destination, region, &route.prefix, "ArnLike", roles);
        statement.insert("Principal".to_owned(), json!("*"));
        let statement = Value::Object(statement);
        Some(Self { sid, statement })
    }

    fn to_all(sid: String, bucket: &BucketName, region: &Region, prefix: &str, excepted: &[String]) -> Self {
        let mut statement = deny(&sid, bucket, region, prefix, "ArnNotLike", excepted);
        statement.insert("Principal".to_owned(), json!("*"));
        let statement = Value::Object(statement);
        Self { sid, statement }
    }
}

/// Returns a service control policy that denies writes to the source, except by `excepted` roles.
#[must_use]
pub fn organization_policy(route: &CutoverRoute, region: &Region, excepted: &[String]) -> Value {
    let sid = route.freeze_sid();
    let statement = deny(&sid, &route.source, region, &route.prefix, "ArnNotLike", excepted);
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// Denies writes below a prefix, to principals that `operator` selects. Without principals, there is no condition.
fn deny(
    sid: &str,
    bucket: &BucketName,
    region: &Region,
    prefix: &str,
    operator: &str,
    principals: &[String],
) -> Map<String, Value> {
    let resource = format!("{}/{}*", bucket.arn(region), literal(prefix));
    let mut statement = Map::new();
    let fields = [
        ("Sid", json!(sid)),
        ("Effect", json!("Deny")),
        ("Action", json!(WRITES)),
        ("Resource", json!(resource)),
    ];
    statement.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    if !principals.is_empty() {
        let condition = json!({operator: {"aws:PrincipalArn": principal_forms(principals)}});
        statement.insert("Condition".to_owned(), condition);
    }
    statement
}

/// Returns a text without wildcards and variables of the policy language.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars>
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '*' | '?' | '$' => literal.extend(['$', '{', letter, '}']),
            _ => literal.push(letter),
        }
    }
    literal
}

/// Returns every form in which a request may name these principals: a role also as its sessions.
fn principal_forms(arns: &[String]) -> Vec<String> {
    let mut forms = Vec::new();
    for arn in arns {
        forms.push(arn.clone());
        if let Some((before, role)) = arn.split_once(":role/") {
            let name = role.rsplit('/').next().unwrap_or(role);
            let sessions = before.replacen(":iam:", ":sts:", 1);
            forms.push(format!("{sessions}:assumed-role/{name}/*"));
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(prefix: &str) -> CutoverRoute {
        CutoverRoute {
            source: BucketName::new("source-bucket").unwrap(),
            destination: BucketName::new("destination-bucket").unwrap(),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn freeze_denies_all_but_roles_in_both_forms() {
        let region = Region::new("us-east-1").unwrap();
        let roles = ["arn:aws:iam::123456789012:role/path/back".to_owned()];
        let freeze = DenyStatement::freeze(&route("a*/"), &region, &roles);
        assert_eq!(freeze.statement["Resource"], "arn:aws:s3:::source-bucket/a${*}/*");
        assert_eq!(
            freeze.statement["Condition"],
            json!({"ArnNotLike": {"aws:PrincipalArn": [
                "arn:aws:iam::123456789012:role/path/back",
                "arn:aws:sts::123456789012:assumed-role/back/*",
            ]}})
        );
        assert!(freeze.sid.chars().all(|letter| letter.is_ascii_alphanumeric()));
        let all = DenyStatement::freeze(&route(""), &region, &[]);
        assert_eq!(all.statement.get("Condition"), None);
        assert_ne!(all.sid, freeze.sid, "two migrations of one bucket have two statements");
    }

    #[test]
    fn seal_denies_only_the_roles_of_s3ferry() {
        let region = Region::new("eu-central-1").unwrap();
        assert_eq!(DenyStatement::seal(&route(""), &region, &[]), None);
        let seal = DenyStatement::seal(&route(""), &region, &["arn:aws:iam::1:user/u".to_owned()]).unwrap();
        assert_eq!(seal.statement["Resource"], "arn:aws:s3:::destination-bucket/*");
        assert_eq!(
            seal.statement["Condition"],
            json!({"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::1:user/u"]}})
        );
        let scp = organization_policy(&route(""), &region, &[]);
        assert_eq!(scp["Statement"][0].get("Principal"), None, "an SCP has no principal");
    }
}
