//! What holds for one job: the function's settings, and what the job asks for by itself.

use s3ferry_core::batch_operations::{AttributeDepth, JobArgumentName, JobArguments, RequestFormatError};
use s3ferry_core::policy::{Ownership, Policy, boolean};

/// What holds for one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTerms {
    /// What the team decided, or the job instead.
    pub policy: Policy,
    /// What is compared.
    pub depth: AttributeDepth,
    /// Whether keys that are not done yet are handed over to the queue.
    pub requeue: bool,
}

impl JobTerms {
    /// Takes the settings, with a job's arguments in their place where it has some.
    pub fn of_job(settings: &Policy, arguments: &JobArguments, requeue: bool) -> Result<Self, RequestFormatError> {
        let mut policy = settings.clone();
        if let Some(ownership) = given(arguments, JobArgumentName::Ownership, Ownership::parse)? {
            policy.ownership = ownership;
        }
        if let Some(deletes) = given(arguments, JobArgumentName::PropagateDeletes, boolean)? {
            policy.propagate_deletes = deletes;
        }
        if let Some(class) = given(arguments, JobArgumentName::StorageClass, str::parse)? {
            policy.storage_class = class;
        }
        let depth = arguments
            .get(JobArgumentName::CompareAttributes)
            .map(AttributeDepth::parse);
        Ok(Self {
            policy,
            depth: depth.transpose()?.unwrap_or_default(),
            requeue,
        })
    }
}

/// Reads an argument as its variable is read.
fn given<T, E: ToString>(
    arguments: &JobArguments,
    name: JobArgumentName,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, RequestFormatError> {
    let value = arguments.get(name);
    value
        .map(|value| parse(value).map_err(|problem| name.refused(value, problem.to_string())))
        .transpose()
}

#[cfg(test)]
mod tests {
    use s3ferry_core::batch_operations::{FinalSyncRequest, parse_request};
    use s3ferry_core::policy::StorageClassRule;
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> Policy {
        Policy {
            key_prefix: "data/".to_owned(),
            propagate_deletes: false,
            ..Policy::default()
        }
    }

    fn terms(arguments: &Value) -> Result<JobTerms, RequestFormatError> {
        let payload = json!({
            "invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [], "job": {"userArguments": arguments}
        });
        match parse_request(&payload) {
            Ok(FinalSyncRequest::Job(job)) => JobTerms::of_job(&settings(), &job.arguments?, true),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn job_without_arguments_has_the_settings() {
        let expected = JobTerms {
            policy: settings(),
            depth: AttributeDepth::AsNeeded,
            requeue: true,
        };
        assert_eq!(terms(&json!({})), Ok(expected));
    }

    #[test]
    fn every_argument_takes_the_place_of_its_setting() {
        let arguments = json!({
            "ownership": "exclusive", "PROPAGATE_DELETES": "true", "storageClass": "GLACIER_IR", "attributes": "always",
        });
        let terms = terms(&arguments).unwrap();
        assert!(terms.policy.propagate_deletes);
        assert_eq!(
            terms.policy.storage_class,
            StorageClassRule::Fixed("GLACIER_IR".to_owned())
        );
        assert_eq!(terms.policy.key_prefix, "data/", "no job leaves the prefix");
        assert_eq!(terms.depth, AttributeDepth::Always);
    }

    #[test]
    fn value_that_is_not_allowed_is_named_with_what_is() {
        for (arguments, expected) in [
            (
                json!({"ownership": "mine"}),
                "user argument `ownership` is `mine`: allowed:",
            ),
            (
                json!({"deletes": "yes"}),
                "user argument `propagate-deletes` is `yes`: allowed: true, false",
            ),
            (
                json!({"storage-class": "CHEAP"}),
                "`storage-class` is `CHEAP`: allowed: source, STANDARD",
            ),
            (
                json!({"attributes": "abyss"}),
                "`compare-attributes` is `abyss`: allowed: as-needed, always",
            ),
        ] {
            let error = terms(&arguments).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
