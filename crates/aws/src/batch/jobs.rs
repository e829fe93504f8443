//! S3 Batch Operations jobs.
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

/// Operation of a job on each object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOperation {
    /// Invokes a Lambda function, with invocation schema 2.0 and user arguments.
    Invoke {
        /// ARN of the function.
        function_arn: String,
        /// User arguments of the job.
        user_arguments: BTreeMap<String, String>,
    },
    /// Copies the object with its metadata and tags.
    Copy {
        /// Bucket that receives the copies.
        destination: BucketName,
        /// Storage class of the copies; `STANDARD` if unset.
        storage_class: Option<String>,
    },
    /// Computes a checksum of the whole object and adds it to the completion report.
    ComputeChecksum {
        /// Algorithm, as S3 spells it.
        algorithm: String,
    },
}

/// The manifest of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestObject {
    /// Bucket of the manifest.
    pub bucket: BucketName,
    /// Key of the manifest.
    pub key: ObjectKey,
    /// ETag that the manifest must have.
    pub etag: ETag,
    /// Version of the manifest, if the bucket has versioning.
    pub version: Option<VersionId>,
    /// Whether the rows contain version ids.
    pub has_versions: bool,
}

/// Parameters of a job to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOrder {
    /// Operation on each object.
    pub operation: TaskOperation,
    /// Manifest with the objects.
    pub manifest: ManifestObject,
    /// Bucket of the completion report.
    pub report_bucket: BucketName,
    /// Prefix of the completion report, without a trailing slash.
    pub report_prefix: String,
    /// Role that S3 assumes.
    pub role_arn: String,
    /// Priority. Jobs with a larger number run first.
    pub priority: i32,
    /// Whether the job waits for a confirmation.
    pub confirmation_required: bool,
    /// Description of the job.
    pub description: String,
    /// Idempotency token: a second request with the same token creates no second job.
    pub token: JobToken,
}

/// A job as S3 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDescription {
    /// Progress of the job.
    pub progress: JobProgress,
    /// Bucket and prefix of the completion report, if the job has one.
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
    /// Returns the jobs of an account in a region. `endpoint_url` is that of a stand-in for S3 Control.
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

    /// Creates a job and returns its id. If a job with the same token exists, its id is returned.
    ///
    /// The token makes the request idempotent, so the client may retry it.
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

    /// Reads the progress of a job, and where its completion report goes.
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
                // The number is 0 until S3 has read the manifest.
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

    /// Confirms a job that waits for a confirmation, so that it runs.
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
