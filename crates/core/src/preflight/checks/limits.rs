//! Transfer Acceleration and quotas.

use super::{CheckResult, joined};
use crate::numerals::grouped;
use crate::preflight::facts::PreflightFacts;
use crate::preflight::report::Finding;

/// Concurrent invocations of both functions with the defaults of the template.
const DEFAULT_CONCURRENCY: u64 = 10;

/// Largest message that S3 sends.
const NOTIFICATION_BYTES: u64 = 64 * 1024;

/// Largest message of a queue, which the template sets.
const QUEUE_MAXIMUM_BYTES: u64 = 1024 * 1024;

pub(super) fn transfer_acceleration(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    if *facts.source.accelerated.known()? && !*facts.destination.accelerated.known()? {
        parts.push(Finding::warn(
            "enabled at the source, and not at the destination",
            format!(
                "if applications use the accelerated endpoint: `aws s3api put-bucket-accelerate-configuration --bucket {} \
                 --accelerate-configuration Status=Enabled`",
                facts.destination.name
            ),
        ));
    }
    Ok(joined(
        parts,
        "no application depends on it at the source alone; copies never use it",
    ))
}

pub(super) fn lambda_concurrency(facts: &PreflightFacts) -> CheckResult {
    let limits = facts.account.lambda.known()?;
    let evidence = format!(
        "{} concurrent executions in {}, {} of them unreserved",
        grouped(limits.concurrent),
        facts.source.region,
        grouped(limits.unreserved)
    );
    let fix = "request a higher quota (`aws service-quotas request-service-quota-increase --service-code lambda --quota-code \
               L-B99A9384 --desired-value 1000`), or lower MaxConcurrency and FinalSyncMaxConcurrency";
    Ok(match limits.unreserved {
        0..2 => Finding::fail(evidence, fix),
        2..=DEFAULT_CONCURRENCY => Finding::warn(evidence, fix),
        _ => Finding::pass(evidence),
    })
}

pub(super) fn queue_message_size(facts: &PreflightFacts) -> CheckResult {
    let Some(stack) = &facts.stack else {
        return Ok(Finding::pass(
            "no stack was named with --stack; the template sets the maximum of 1 MiB",
        ));
    };
    let bytes = *stack.queue_message_bytes.known()?;
    let evidence = format!(
        "the queue of stack {} takes messages of up to {} bytes",
        stack.name,
        grouped(bytes)
    );
    let fix = "aws sqs set-queue-attributes --attributes MaximumMessageSize=1048576 --queue-url URL";
    Ok(if bytes < NOTIFICATION_BYTES {
        Finding::fail(evidence, fix)
    } else if bytes < QUEUE_MAXIMUM_BYTES {
        Finding::warn(evidence, fix)
    } else {
        Finding::pass(evidence)
    })
}

pub(super) fn batch_jobs(facts: &PreflightFacts) -> CheckResult {
    let jobs = *facts.account.batch_jobs.known()?;
    Ok(if jobs == 0 {
        Finding::pass("no unfinished job")
    } else {
        Finding::warn(
            format!("{} unfinished jobs in {}", grouped(jobs), facts.source.region),
            "wait for them, or raise the priority of the final sync's job with `aws s3control update-job-priority`",
        )
    })
}
