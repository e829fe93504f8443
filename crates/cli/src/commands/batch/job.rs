//! The names of jobs.

use s3ferry_core::names::{AccountId, Region};

use super::place::Root;
use super::{BatchService, JobArgs};
use crate::exit::CliError;

/// A job, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BatchJob {
    /// A job of S3 Batch Operations; without a region it is in the default one.
    S3 {
        account: AccountId,
        region: Option<Region>,
        id: String,
    },
    /// A run of the state machine.
    Run { arn: String, region: Region },
    /// A job of this command line.
    Local { root: Root, id: String },
}

impl BatchJob {
    fn engine(&self) -> BatchService {
        match self {
            Self::S3 { .. } => BatchService::S3BatchOperations,
            Self::Run { .. } => BatchService::StepFunctions,
            Self::Local { .. } => BatchService::Local,
        }
    }
}

impl JobArgs {
    /// Returns the account that must own the bucket of the job's report or results: the one that runs the job, unless
    /// another is named. Of a local job none is known.
    pub(super) fn state_owner(&self, job: &BatchJob) -> Option<AccountId> {
        let of_job = match job {
            BatchJob::S3 { account, .. } => Some(account.clone()),
            BatchJob::Run { arn, .. } => arn.split(':').nth(4).and_then(|account| AccountId::new(account).ok()),
            BatchJob::Local { .. } => None,
        };
        self.state_bucket_owner.clone().or(of_job)
    }

    /// Reads the name.
    pub(super) fn parse(&self) -> Result<BatchJob, CliError> {
        let job = self.read()?;
        match self.engine {
            Some(engine) if engine != job.engine() => Err(CliError::usage(
                format!(
                    "`{}` is a job of the engine {}, and --engine is {}",
                    self.job,
                    job.engine().as_str(),
                    engine.as_str()
                ),
                "leave out --engine, or name another job",
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
            ["arn", _, "states", region, _, run] if run.starts_with("execution:") => Ok(BatchJob::Run {
                arn: self.job.clone(),
                region: parsed(Region::new(*region), &self.job)?,
            }),
            ["arn", ..] => Err(self.unknown()),
            _ if is_id(&self.job) => self.by_id(),
            _ => self.by_folder(),
        }
    }

    fn by_id(&self) -> Result<BatchJob, CliError> {
        let account = self.account.clone().ok_or_else(|| {
            CliError::usage(
                format!("job {} is named by its id, and its account is not known", self.job),
                "give --account, or the ARN of the job",
            )
        })?;
        Ok(BatchJob::S3 {
            account,
            region: self.region.clone(),
            id: self.job.clone(),
        })
    }

    fn by_folder(&self) -> Result<BatchJob, CliError> {
        let path = self.job.trim_end_matches('/');
        let (root, folder) = path.rsplit_once('/').unwrap_or((".", path));
        let id = folder.strip_prefix("job-").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| self.unknown())?.to_owned();
        let root = root.parse().map_err(|_| self.unknown())?;
        Ok(BatchJob::Local { root, id })
    }

    fn unknown(&self) -> CliError {
        CliError::usage(
            format!(
                "`{}` is no job: expected the ARN of a job of S3 Batch Operations or of an execution, the id of a job, or \
                 the folder of a local job, which ends in job-<id>",
                self.job
            ),
            "name the job as `s3ferry batch start` printed it",
        )
    }
}

fn parsed<T, E: std::fmt::Display>(parsed: Result<T, E>, job: &str) -> Result<T, CliError> {
    parsed.map_err(|error| {
        CliError::usage(
            format!("`{job}`: {error}"),
            "name the job as `s3ferry batch start` printed it",
        )
    })
}

/// The ids of S3 are UUIDs.
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

    fn job(text: &str) -> Result<BatchJob, CliError> {
        let args = JobArgs {
            job: text.to_owned(),
            engine: None,
            account: None,
            state_bucket_owner: None,
            region: None,
        };
        args.parse()
    }

    #[test]
    fn jobs_are_known_by_their_names() {
        let id = "f8fb9d89-a3aa-461d-bddc-ea6a1b131955";
        let arn = format!("arn:aws:s3:eu-central-1:123456789012:job/{id}");
        assert!(
            matches!(job(&arn), Ok(BatchJob::S3 { region: Some(region), id: found, .. })
            if region.as_str() == "eu-central-1" && found == id)
        );
        let run = "arn:aws:states:us-east-1:123456789012:execution:s3ferry-final-sync:batch-1";
        assert!(matches!(job(run), Ok(BatchJob::Run { arn, .. }) if arn == run));
        for (text, folder) in [
            ("job-1", "."),
            ("reports/job-1/", "reports"),
            ("s3://state/a/job-1", "s3://state/a/"),
        ] {
            match job(text) {
                Ok(BatchJob::Local { root, id }) => assert_eq!((root.to_string().as_str(), id.as_str()), (folder, "1")),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!(job(id).unwrap_err().code(), 2, "its account is not known");
    }

    #[test]
    fn bucket_of_a_job_belongs_to_the_account_that_runs_it_unless_another_is_named() {
        let owner = |text: &str, named: Option<&str>| {
            let args = JobArgs {
                job: text.to_owned(),
                engine: None,
                account: None,
                state_bucket_owner: named.map(|account| AccountId::new(account).unwrap()),
                region: None,
            };
            let owner = args.state_owner(&args.parse().unwrap());
            owner.map(|account| account.to_string())
        };
        let run = "arn:aws:states:us-east-1:123456789012:execution:s3ferry-final-sync:batch-1";
        let job = "arn:aws:s3:us-east-1:123456789012:job/f8fb9d89-a3aa-461d-bddc-ea6a1b131955";
        for (text, named, expected) in [
            (run, None, Some("123456789012")),
            (job, None, Some("123456789012")),
            (run, Some("444455556666"), Some("444455556666")),
            ("s3://state/job-1", Some("444455556666"), Some("444455556666")),
            ("s3://state/job-1", None, None),
        ] {
            assert_eq!(owner(text, named).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_job_says_what_does() {
        for text in [
            "",
            "reports",
            "arn:aws:iam::123456789012:role/a",
            "s3://state/reports/",
            "arn:aws:s3:x:1:job/a",
        ] {
            let error = job(text).unwrap_err();
            assert_eq!(error.code(), 2, "{text}");
            assert!(
                error.to_string().contains("as `s3ferry batch start` printed it"),
                "{error}"
            );
        }
        let args = JobArgs {
            job: "job-1".to_owned(),
            engine: Some(BatchService::StepFunctions),
            account: None,
            state_bucket_owner: None,
            region: None,
        };
        let error = args.parse().unwrap_err().to_string();
        assert!(
            error.contains("engine local, and --engine is step-functions"),
            "{error}"
        );
    }
}
