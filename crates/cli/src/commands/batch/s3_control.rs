//! The client of S3 Control, and its errors.

use s3ferry_aws::batch::jobs::{BatchJobs, JobDescription, JobOrder, TaskOperation};
use s3ferry_aws::client::Clients;
use s3ferry_aws::settings::endpoint_url;
use s3ferry_core::failure::{Failure, FailureCode};
use s3ferry_core::names::{AccountId, Region};

use crate::args::SharedArgs;
use crate::environment;
use crate::exit::CliError;

/// The endpoint of a double of S3 Control; the SDK reads it by itself only where no other endpoint is given.
const S3_CONTROL_ENDPOINT: &str = "AWS_ENDPOINT_URL_S3_CONTROL";

fn s3_control_endpoint() -> Option<String> {
    environment::non_empty(S3_CONTROL_ENDPOINT)
}

/// Returns whether S3 Control is available: an emulator does not have it.
pub(super) fn has_s3_control(shared: &SharedArgs) -> bool {
    let has_endpoint = shared.endpoint_url.is_some() || environment::variable("AWS_ENDPOINT_URL").is_some();
    !has_endpoint || s3_control_endpoint().is_some()
}

/// The jobs of one account, and where they are asked for.
#[derive(Debug)]
pub(super) struct S3ControlJobs {
    jobs: BatchJobs,
    /// The endpoint, where it is not AWS's own.
    endpoint: Option<String>,
}

impl S3ControlJobs {
    pub(super) fn arn(&self, id: &str) -> String {
        self.jobs.arn(id)
    }

    pub(super) async fn create(&self, order: &JobOrder) -> Result<String, CliError> {
        let alternative = match order.operation {
            TaskOperation::Invoke { .. } => {
                "pass --service step-functions, or run the keys with `s3ferry sync --manifest`; "
            }
            TaskOperation::Copy { .. } => "run the keys with `s3ferry sync --manifest`; ",
            TaskOperation::ComputeChecksum { .. } => "let `s3ferry verify` read the contents; ",
        };
        let created = self.jobs.create(order).await;
        created.map_err(|failure| self.failed(failure, alternative))
    }

    pub(super) async fn describe(&self, id: &str) -> Result<JobDescription, CliError> {
        self.jobs
            .describe(id)
            .await
            .map_err(|failure| self.failed_on_job(failure))
    }

    pub(super) async fn confirm(&self, id: &str) -> Result<(), CliError> {
        self.jobs
            .confirm(id)
            .await
            .map_err(|failure| self.failed_on_job(failure))
    }

    /// Adds the endpoint to the error of a job that does not exist.
    fn failed_on_job(&self, failure: Failure) -> CliError {
        if failure.code != FailureCode::NotFoundException {
            return self.failed(failure, "");
        }
        let asked = self
            .endpoint
            .as_ref()
            .map(|url| format!(" (S3 Control endpoint: {url})"));
        CliError::setup(
            format!("{failure}{}", asked.unwrap_or_default()),
            format!(
                "pass the job as `s3ferry batch start` printed it, or its id with its account and region; if it runs \
                 elsewhere, set the endpoint of its S3 Control with {S3_CONTROL_ENDPOINT}"
            ),
        )
    }

    /// Adds the endpoint of an emulator to an error, and the alternative to S3 Batch Operations. Most emulators have none.
    fn failed(&self, failure: Failure, alternative: &str) -> CliError {
        match &self.endpoint {
            Some(url) if !failure.is_of_credentials() => CliError::setup(
                format!("{failure} (S3 Control endpoint: {url})"),
                format!(
                    "{alternative}set {S3_CONTROL_ENDPOINT} to the endpoint of S3 Control; for AWS itself unset \
                     AWS_ENDPOINT_URL and omit --endpoint-url"
                ),
            ),
            _ => CliError::Failed(failure),
        }
    }
}

/// Returns the jobs of an account.
pub(super) fn jobs_of(clients: &Clients, account: AccountId, region: Region) -> Result<S3ControlJobs, CliError> {
    let endpoint = s3_control_endpoint();
    if let Some(url) = &endpoint {
        endpoint_url(url).map_err(|allowed| {
            CliError::setup(
                format!("{S3_CONTROL_ENDPOINT}=`{url}`: {allowed}"),
                format!("correct or unset {S3_CONTROL_ENDPOINT}"),
            )
        })?;
    }
    Ok(S3ControlJobs {
        jobs: BatchJobs::new(clients, account, region, endpoint.as_deref()),
        endpoint: endpoint.or_else(|| clients.endpoint_url().map(str::to_owned)),
    })
}
