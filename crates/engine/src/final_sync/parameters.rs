//! The parameters of one job: the settings of the function, overridden by the job's arguments.

use s3ferry_core::batch_operations::{AttributeDepth, JobArgumentName, JobArguments, RequestFormatError};
use s3ferry_core::policy::{Ownership, Policy, boolean};

/// The parameters of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobTerms {
    /// The policy: the settings of the function, overridden by the job's arguments.
    pub policy: Policy,
    /// The attributes that are compared.
    pub depth: AttributeDepth,
    /// Whether unfinished keys are requeued.
    pub requeue: bool,
}

impl JobTerms {
    /// Returns the settings, overridden by a job's arguments.
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

/// Parses an argument like the environment variable of the same setting.
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
    fn job_without_arguments_uses_the_settings() {
        let expected = JobTerms {
            policy: settings(),
            depth: AttributeDepth::AsNeeded,
            requeue: true,
        };
        assert_eq!(terms(&json!({})), Ok(expected));
    }

    #[test]
    fn every_argument_overrides_its_setting() {
        let arguments = json!({
            "ownership": "exclusive", "PROPAGATE_DELETES": "true", "storageClass": "GLACIER_IR", "attributes": "always",
        });
        let terms = terms(&arguments).unwrap();
        assert!(terms.policy.propagate_deletes);
        assert_eq!(
            terms.policy.storage_class,
            StorageClassRule::Fixed("GLACIER_IR".to_owned())
        );
        assert_eq!(terms.policy.key_prefix, "data/", "a job cannot change the prefix");
        assert_eq!(terms.depth, AttributeDepth::Always);
    }

    #[test]
    fn invalid_argument_is_refused_with_the_allowed_values() {
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
