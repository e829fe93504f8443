//! Facts of the account: identity, quotas, KMS keys, and the queue of a stack.

use aws_sdk_s3control::types::JobStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use s3ferry_core::names::{AccountId, Region};
use s3ferry_core::preflight::facts::{KeyFacts, KeyState, LambdaLimits, StackFacts};
use s3ferry_core::preflight::{AccountFacts, Reading, UnknownReading, UnknownReason};

use super::configuration::parsed_policy;
use super::reading::required;
use crate::batch::stacks;
use crate::client::Clients;

/// States of jobs that are not finished.
const UNFINISHED: [JobStatus; 6] = [
    JobStatus::Active,
    JobStatus::New,
    JobStatus::Paused,
    JobStatus::Preparing,
    JobStatus::Ready,
    JobStatus::Suspended,
];

/// Reads the account of the credentials.
pub async fn caller(clients: &Clients, region: &Region) -> Reading<AccountId> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let answer = clients.sts(region).get_caller_identity().send().await;
    match required(answer, ACTION) {
        Reading::Known(answer) => match AccountId::new(answer.account().unwrap_or_default()) {
            Ok(account) => Reading::Known(account),
            Err(error) => failed(ACTION, error.to_string()),
        },
        Reading::Unknown(unknown) => Reading::Unknown(unknown),
    }
}

/// Reads the limits of the account in the source region.
pub async fn facts(clients: &Clients, region: &Region, caller: Reading<AccountId>) -> AccountFacts {
    let lambda = async {
        let answer = clients.lambda(region).get_account_settings().send().await;
        match required(answer, "lambda:GetAccountSettings") {
            Reading::Known(answer) => limits(answer.account_limit()),
            Reading::Unknown(unknown) => Reading::Unknown(unknown),
        }
    };
    let (lambda, batch_jobs) = futures::join!(lambda, unfinished_jobs(clients, region, &caller));
    AccountFacts {
        caller,
        lambda,
        batch_jobs,
    }
}

fn limits(limit: Option<&aws_sdk_lambda::types::AccountLimit>) -> Reading<LambdaLimits> {
    let count = |number: i32| u64::try_from(number).unwrap_or_default();
    match limit {
        Some(limit) => Reading::Known(LambdaLimits {
            concurrent: count(limit.concurrent_executions()),
            unreserved: count(
                limit
                    .unreserved_concurrent_executions()
                    .unwrap_or_else(|| limit.concurrent_executions()),
            ),
        }),
        None => failed(
            "lambda:GetAccountSettings",
            "the response has no AccountLimit".to_owned(),
        ),
    }
}

async fn unfinished_jobs(clients: &Clients, region: &Region, caller: &Reading<AccountId>) -> Reading<u64> {
    let account = match caller {
        Reading::Known(account) => account,
        Reading::Unknown(unknown) => return Reading::Unknown(unknown.clone()),
    };
    let request = clients
        .s3_control(region, None)
        .list_jobs()
        .account_id(account.as_str());
    let answer = request.set_job_statuses(Some(UNFINISHED.to_vec())).send().await;
    // More than a page of unfinished jobs does not change the advice.
    required(answer, "s3:ListJobs").map(|answer| answer.jobs().len() as u64)
}

/// Reads a KMS key of a bucket or object in `region`.
pub async fn key(clients: &Clients, key: &str, region: &Region, of_source: bool) -> KeyFacts {
    const GET_POLICY: &str = "kms:GetKeyPolicy";
    let own_region = key
        .strip_prefix("arn:")
        .and_then(|rest| Region::new(rest.split(':').nth(2)?).ok());
    let client = clients.kms(own_region.as_ref().unwrap_or(region));
    let described = client.describe_key().key_id(key).send().await;
    let metadata = required(described, "kms:DescribeKey").map(|answer| answer.key_metadata);
    let state = match &metadata {
        Reading::Known(Some(metadata)) => Reading::Known(KeyState {
            state: metadata
                .key_state()
                .map_or_else(|| "Unknown".to_owned(), |state| state.as_str().to_owned()),
            aws_managed: metadata.key_manager() == Some(&aws_sdk_kms::types::KeyManagerType::Aws),
        }),
        Reading::Known(None) => failed("kms:DescribeKey", "the response has no KeyMetadata".to_owned()),
        Reading::Unknown(unknown) => Reading::Unknown(unknown.clone()),
    };
    // An alias has no policy of its own.
    let id = match &metadata {
        Reading::Known(Some(metadata)) => metadata.key_id().to_owned(),
        _ => key.to_owned(),
    };
    let policy = client.get_key_policy().key_id(id).policy_name("default").send().await;
    let policy = match required(policy, GET_POLICY) {
        Reading::Known(answer) => parsed_policy(answer.policy().unwrap_or_default(), GET_POLICY),
        Reading::Unknown(unknown) => Reading::Unknown(unknown),
    };
    KeyFacts {
        key: key.to_owned(),
        region: region.clone(),
        of_source,
        state,
        policy,
    }
}

/// Reads the queue of a source stack.
pub async fn stack(clients: &Clients, region: &Region, name: &str) -> StackFacts {
    let outputs = stacks::outputs(clients, region, name).await;
    let output = |key: &str| match &outputs {
        Ok(outputs) => match outputs.get(key) {
            Some(value) => Reading::Known(value.clone()),
            None => failed(
                "cloudformation:DescribeStacks",
                format!("stack {name} has no output {key}"),
            ),
        },
        Err(failure) => Reading::Unknown(failure.clone().into()),
    };
    let queue_message_bytes = match output("ReplicationQueueUrl") {
        Reading::Known(url) => message_bytes(clients, region, &url).await,
        Reading::Unknown(unknown) => Reading::Unknown(unknown),
    };
    StackFacts {
        name: name.to_owned(),
        queue_arn: output("ReplicationQueueArn"),
        queue_message_bytes,
    }
}

async fn message_bytes(clients: &Clients, region: &Region, url: &str) -> Reading<u64> {
    const ACTION: &str = "sqs:GetQueueAttributes";
    let attribute = QueueAttributeName::MaximumMessageSize;
    let request = clients.sqs_in(region).get_queue_attributes().queue_url(url);
    let answer = request.attribute_names(attribute.clone()).send().await;
    match required(answer, ACTION) {
        Reading::Known(answer) => {
            let bytes = answer
                .attributes()
                .and_then(|attributes| attributes.get(&attribute)?.parse().ok());
            bytes.map_or_else(
                || failed(ACTION, "the response has no MaximumMessageSize".to_owned()),
                Reading::Known,
            )
        }
        Reading::Unknown(unknown) => Reading::Unknown(unknown),
    }
}

fn failed<T>(action: &str, detail: String) -> Reading<T> {
    Reading::Unknown(UnknownReading {
        reason: UnknownReason::Failed,
        action: action.to_owned(),
        detail,
    })
}
