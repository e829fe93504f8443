//! The names of jobs.
#![expect(clippy::doc_markdown, reason = "help texts are not Markdown")]

use clap::Args;
use s3ferry_core::names::{AccountId, Region};

use super::service::BatchService;
use crate::args::{account, region};
use crate::exit::CliError;

/// The arguments that name a job.
#[derive(Debug, Clone, Args)]
pub(super) struct JobArgs {
    /// Job, as `batch start` printed it: an ARN, or the id of an S3 Batch Operations job
    #[arg(value_name = "JOB")]
    pub(super) job: String,
    /// Service that runs the job [default: the service of JOB]
    #[arg(long, value_enum, value_name = "SERVICE")]
    service: Option<BatchService>,
    /// Account of a job that is named by its id
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account: Option<AccountId>,
    /// Account that must own the bucket of the job's report or results [default: the account in JOB]
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    state_bucket_owner: Option<AccountId>,
    /// Region of a job that is named by its id [default: AWS_REGION, then the profile's region]
    #[arg(long, value_name = "REGION", value_parser = region)]
    region: Option<Region>,
}

/// A job, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BatchJob {
    /// A job of S3 Batch Operations; without a region it is in the default one.
    S3 {
        account: AccountId,
        region: Option<Region>,
        id: String,
    },
    /// An execution of the state machine.
    Execution { arn: String, region: Region },
}

impl BatchJob {
    fn service(&self) -> BatchService {
        match self {
            Self::S3 { .. } => BatchService::S3BatchOperations,
            Self::Execution { .. } => BatchService::StepFunctions,
        }
    }
}

impl JobArgs {
    /// Returns the account that must own the bucket of the job's report or results: the given one, or the job's own.
    pub(super) fn state_owner(&self, job: &BatchJob) -> Option<AccountId> {
        let of_job = match job {
            BatchJob::S3 { account, .. } => Some(account.clone()),
            BatchJob::Execution { arn, .. } => arn.split(':').nth(4).and_then(|account| AccountId::new(account).ok()),
        };
        self.state_bucket_owner.clone().or(of_job)
    }

    /// Reads the name.
    pub(super) fn parse(&self) -> Result<BatchJob, CliError> {
        let job = self.read()?;
        match self.service {
            Some(service) if service != job.service() => Err(CliError::usage(
                format!(
                    "`{}` is a job of {}, and --service is {}",
                    self.job,
                    job.service().as_str(),
                    service.as_str()
                ),
                "omit --service, or name another job",
            )),
            _ => Ok(job),
        }
    }

    fn read(&self) -> Result<BatchJob, CliError> {
        let fields: Vec<&str> = self.job.splitn(6, ':').collect();
        match fields.as_slice() {
            ["arn", _, "s3", region, account, job] if job.starts_with("job/") => Ok(BatchJob::S3 {
                account: parsed(AccountId::new(*account), &self.job)?,
                region: Some(parsed(Region::new(*region), &self.job)?),
                id: job.trim_start_matches("job/").to_owned(),
            }),
            ["arn", _, "states", region, _, run] if run.starts_with("execution:") => Ok(BatchJob::Execution {
                arn: self.job.clone(),
                region: parsed(Region::new(*region), &self.job)?,
            }),
            _ if is_id(&self.job) => self.by_id(),
            _ => Err(self.unknown()),
        }
    }

    fn by_id(&self) -> Result<BatchJob, CliError> {
        let account = self.account.clone().ok_or_else(|| {
            CliError::usage(
                format!("unknown account of job {}", self.job),
                "pass --account, or the ARN of the job",
            )
        })?;
        Ok(BatchJob::S3 {
            account,
            region: self.region.clone(),
            id: self.job.clone(),
        })
    }

    fn unknown(&self) -> CliError {
        CliError::usage(
            format!(
                "`{}` is not a job: expected the ARN of an S3 Batch Operations job or of an execution, or the id of a job",
                self.job
            ),
            "pass the job as `s3ferry batch start` printed it",
        )
    }
}

fn parsed<T, E: std::fmt::Display>(parsed: Result<T, E>, job: &str) -> Result<T, CliError> {
    parsed.map_err(|error| {
        CliError::usage(
            format!("`{job}`: {error}"),
            "pass the job as `s3ferry batch start` printed it",
        )
    })
}

/// Returns whether a text is a UUID, as the ids of S3 are.
fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.chars().enumerate().all(|(index, letter)| match index {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:s3ferry-final-sync:batch-1";
    const JOB: &str = "arn:aws:s3:eu-central-1:123456789012:job/f8fb9d89-a3aa-461d-bddc-ea6a1b131955";

    fn args(job: &str) -> JobArgs {
        JobArgs {
            job: job.to_owned(),
            service: None,
            account: None,
            state_bucket_owner: None,
            region: None,
        }
    }

    #[test]
    fn jobs_are_recognized_by_their_names() {
        let id = "f8fb9d89-a3aa-461d-bddc-ea6a1b131955";
        assert!(
            matches!(args(JOB).parse(), Ok(BatchJob::S3 { region: Some(region), id: found, .. })
            if region.as_str() == "eu-central-1" && found == id)
        );
        assert!(matches!(args(EXECUTION).parse(), Ok(BatchJob::Execution { arn, .. }) if arn == EXECUTION));
        assert_eq!(args(id).parse().unwrap_err().code(), 2, "its account is not known");
    }

    #[test]
    fn report_bucket_belongs_to_the_account_of_the_job_unless_another_is_given() {
        for job in [JOB, EXECUTION] {
            for (given, expected) in [(None, "123456789012"), (Some("444455556666"), "444455556666")] {
                let args = JobArgs {
                    state_bucket_owner: given.map(|account| AccountId::new(account).unwrap()),
                    ..args(job)
                };
                let owner = args.state_owner(&args.parse().unwrap()).unwrap();
                assert_eq!(owner.as_str(), expected, "{job}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused_and_the_error_says_what_a_job_is() {
        for text in ["", "job-1", "arn:aws:iam::123456789012:role/a", "arn:aws:s3:x:1:job/a"] {
            let error = args(text).parse().unwrap_err();
            assert_eq!(error.code(), 2, "{text}");
            assert!(
                error.to_string().contains("as `s3ferry batch start` printed it"),
                "{error}"
            );
        }
        let args = JobArgs {
            service: Some(BatchService::S3BatchOperations),
            ..args(EXECUTION)
        };
        let error = args.parse().unwrap_err().to_string();
        assert!(
            error.contains("is a job of step-functions, and --service is s3-batch-operations"),
            "{error}"
        );
    }
}
