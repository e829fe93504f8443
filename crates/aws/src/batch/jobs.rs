//! Jobs of S3 Batch Operations.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3control::Client;
use aws_sdk_s3control::types::{
    ComputeObjectChecksumAlgorithm, ComputeObjectChecksumType, JobManifest, JobManifestFieldName, JobManifestFormat,
    JobManifestLocation, JobManifestSpec, JobOperation, JobReport, JobReportFormat, JobReportScope,
    LambdaInvokeOperation, RequestedJobStatus, S3ComputeObjectChecksumOperation, S3CopyObjectOperation,
    S3MetadataDirective, S3StorageClass,
};
use s3ferry_core::batch_report::{JobProgress, JobState, JobToken};
use s3ferry_core::failure::Failure;
use s3ferry_core::names::{AccountId, BucketName, ETag, ObjectKey, Region, VersionId};

use super::{count, failure_of, unreadable};
use crate::classify::{AttemptedOperation, ErrorAnswer};
use crate::client::Clients;

/// What a job does with each object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOperation {
    /// It invokes a function, with schema 2.0 and arguments.
    Invoke {
        /// The function.
        function_arn: String,
        /// What the job asks for by itself.
        user_arguments: BTreeMap<String, String>,
    },
    /// It copies the object with its metadata and tags.
    Copy {
        /// The bucket that is copied to.
        destination: BucketName,
        /// The storage class of the copies; without one they get `STANDARD`.
        storage_class: Option<String>,
    },
    /// It computes a checksum over the whole object and puts it into the report.
    ComputeChecksum {
        /// The algorithm, as S3 spells it.
        algorithm: String,
    },
}

/// The manifest of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The tag that it must have.
    pub etag: ETag,
    /// The version, where the bucket has versions.
    pub version: Option<VersionId>,
    /// Whether its rows name versions.
    pub has_versions: bool,
}

/// A job that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOrder {
    /// What it does.
    pub operation: TaskOperation,
    /// What it works through.
    pub manifest: ManifestObject,
    /// The bucket of its report.
    pub report_bucket: BucketName,
    /// The prefix of its report, without a slash at its end.
    pub report_prefix: String,
    /// The role that S3 takes.
    pub role_arn: String,
    /// Which job goes first; the larger number.
    pub priority: i32,
    /// Whether it waits until somebody confirms it.
    pub confirmation_required: bool,
    /// What it is called.
    pub description: String,
    /// What makes it the same job where it is asked for twice.
    pub token: JobToken,
}

/// A job as S3 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDescription {
    /// How far it is.
    pub progress: JobProgress,
    /// The bucket and the prefix of its report, where it has one.
    pub report: Option<(String, String)>,
}

/// The jobs of one account in one region.
#[derive(Debug, Clone)]
pub struct BatchJobs {
    client: Client,
    account: AccountId,
    region: Region,
}

impl BatchJobs {
    /// Takes the account and the region; `endpoint_url` is that of a double of S3 Control.
    #[must_use]
    pub fn new(clients: &Clients, account: AccountId, region: Region, endpoint_url: Option<&str>) -> Self {
        Self {
            client: clients.s3_control(&region, endpoint_url),
            account,
            region,
        }
    }

    /// Returns the ARN of a job.
    #[must_use]
    pub fn arn(&self, job_id: &str) -> String {
        let partition = self.region.partition();
        format!("arn:{partition}:s3:{}:{}:job/{job_id}", self.region, self.account)
    }

    /// Creates a job, or finds the one that was created of the same token, and returns its id.
    ///
    /// The client may repeat the request: the token makes it the same job.
    pub async fn create(&self, order: &JobOrder) -> Result<String, Failure> {
        let attempted = self.attempted("s3:CreateJob", "*", "and iam:PassRole on the job's role");
        let partition = self.region.partition();
        let manifest = manifest_of(&order.manifest, &self.region).map_err(|detail| unreadable(&attempted, &detail))?;
        let report = JobReport::builder()
            .bucket(format!("arn:{partition}:s3:::{}", order.report_bucket))
            .prefix(&order.report_prefix)
            .format(JobReportFormat::ReportCsv20180820)
            .enabled(true)
            .report_scope(JobReportScope::AllTasks)
            .build();
        let answer = self
            .client
            .create_job()
            .account_id(self.account.to_string())
            .operation(operation_of(&order.operation, partition))
            .manifest(manifest)
            .report(report)
            .role_arn(&order.role_arn)
            .priority(order.priority)
            .confirmation_required(order.confirmation_required)
            .description(&order.description)
            .client_request_token(order.token.as_str())
            .send()
            .await
            .map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
        answer.job_id.ok_or_else(|| unreadable(&attempted, "job id"))
    }

    /// Reads how far a job is, and where its report goes.
    pub async fn describe(&self, job_id: &str) -> Result<JobDescription, Failure> {
        let attempted = self.attempted("s3:DescribeJob", job_id, "on the job");
        let request = self
            .client
            .describe_job()
            .account_id(self.account.to_string())
            .job_id(job_id);
        let answer = request.send().await;
        let answer = answer.map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))?;
        let job = answer.job.ok_or_else(|| unreadable(&attempted, "job"))?;
        let state = job.status.as_ref().ok_or_else(|| unreadable(&attempted, "status"))?;
        let summary = job.progress_summary.as_ref();
        let total = count(summary.and_then(|summary| summary.total_number_of_tasks));
        let failures = job.failure_reasons.iter().flatten().map(|failure| {
            let code = failure.failure_code.as_deref().unwrap_or("no code");
            format!("{code}: {}", failure.failure_reason.as_deref().unwrap_or("no reason"))
        });
        let reasons: Vec<String> = failures
            .chain(job.status_update_reason.clone())
            .chain(job.suspended_cause.clone())
            .collect();
        let report = job.report.as_ref().filter(|report| report.enabled);
        Ok(JobDescription {
            progress: JobProgress {
                state: JobState::parse(state.as_str()),
                // The number is 0 until the manifest is read.
                total: Some(total).filter(|total| *total > 0),
                succeeded: count(summary.and_then(|summary| summary.number_of_tasks_succeeded)),
                failed: count(summary.and_then(|summary| summary.number_of_tasks_failed)),
                reason: Some(reasons.join("; ")).filter(|reason| !reason.is_empty()),
            },
            report: report.and_then(|report| {
                let bucket = report.bucket.as_deref()?.rsplit(':').next()?.to_owned();
                Some((bucket, report.prefix.clone().unwrap_or_default()))
            }),
        })
    }

    /// Lets a job run that waits for a confirmation.
    pub async fn confirm(&self, job_id: &str) -> Result<(), Failure> {
        let attempted = self.attempted("s3:UpdateJobStatus", job_id, "on the job");
        let request = self
            .client
            .update_job_status()
            .account_id(self.account.to_string())
            .job_id(job_id)
            .requested_job_status(RequestedJobStatus::Ready);
        let answer = request.send().await;
        answer
            .map(drop)
            .map_err(|error| failure_of(ErrorAnswer::of(&error), &attempted))
    }

    fn attempted(&self, action: &'static str, job_id: &str, on: &str) -> AttemptedOperation {
        AttemptedOperation {
            action,
            resource: self.arn(job_id),
            when_denied: format!("the credentials need {action} {on}"),
        }
    }
}

fn operation_of(operation: &TaskOperation, partition: &str) -> JobOperation {
    let builder = JobOperation::builder();
    let builder = match operation {
        TaskOperation::Invoke {
            function_arn,
            user_arguments,
        } => {
            let arguments: HashMap<String, String> = user_arguments.clone().into_iter().collect();
            builder.lambda_invoke(
                LambdaInvokeOperation::builder()
                    .function_arn(function_arn)
                    .invocation_schema_version("2.0")
                    .set_user_arguments(Some(arguments).filter(|arguments| !arguments.is_empty()))
                    .build(),
            )
        }
        TaskOperation::Copy {
            destination,
            storage_class,
        } => builder.s3_put_object_copy(
            S3CopyObjectOperation::builder()
                .target_resource(format!("arn:{partition}:s3:::{destination}"))
                .metadata_directive(S3MetadataDirective::Copy)
                .set_storage_class(storage_class.as_deref().map(S3StorageClass::from))
                .build(),
        ),
        TaskOperation::ComputeChecksum { algorithm } => builder.s3_compute_object_checksum(
            S3ComputeObjectChecksumOperation::builder()
                .checksum_algorithm(ComputeObjectChecksumAlgorithm::from(algorithm.as_str()))
                .checksum_type(ComputeObjectChecksumType::FullObject)
                .build(),
        ),
    };
    builder.build()
}

fn manifest_of(manifest: &ManifestObject, region: &Region) -> Result<JobManifest, String> {
    let mut fields = vec![JobManifestFieldName::Bucket, JobManifestFieldName::Key];
    if manifest.has_versions {
        fields.push(JobManifestFieldName::VersionId);
    }
    let spec = JobManifestSpec::builder()
        .format(JobManifestFormat::S3BatchOperationsCsv20180820)
        .set_fields(Some(fields))
        .build()
        .map_err(|error| error.to_string())?;
    let location = JobManifestLocation::builder()
        .object_arn(manifest.key.arn(&manifest.bucket, region))
        .set_object_version_id(manifest.version.as_ref().map(ToString::to_string))
        .e_tag(manifest.etag.as_str())
        .build()
        .map_err(|error| error.to_string())?;
    Ok(JobManifest::builder().spec(spec).location(location).build())
}
