//! Access control lists, Requester Pays and services that write.

use super::{CheckResult, joined};
use crate::acl::Grantee;
use crate::preflight::facts::{ObjectOwnership, PreflightFacts};
use crate::preflight::report::Finding;

pub(super) fn object_ownership(facts: &PreflightFacts) -> CheckResult {
    let source = *facts.source.ownership.known()?;
    let destination = *facts.destination.ownership.known()?;
    if source == ObjectOwnership::BucketOwnerEnforced {
        return Ok(Finding::pass(
            "access control lists are disabled at the source (BucketOwnerEnforced)",
        ));
    }
    let grants = facts.source.grants.known()?.len();
    let evidence = format!(
        "the source is {} with {grants} grants of the bucket besides the owner's; the destination is {}",
        source.as_str(),
        destination.as_str()
    );
    let fix = if destination == ObjectOwnership::BucketOwnerEnforced {
        "replace the grants by policies, or enable access control lists at the destination and deploy with Acl=copy"
    } else {
        "deploy with Acl=copy and pass --acl copy, if objects have grants"
    };
    Ok(Finding::warn(evidence, fix))
}

pub(super) fn requester_pays(facts: &PreflightFacts) -> CheckResult {
    let mut parts = Vec::new();
    for (side, bucket) in facts.sides() {
        if *bucket.requester_pays.known()? {
            parts.push(Finding::warn(
                format!("the {side} bucket is a Requester Pays bucket"),
                "run every command and deploy the stack with credentials of the bucket's account",
            ));
        }
    }
    Ok(joined(parts, "the owners pay"))
}

/// Services that write to buckets by a bucket policy, with what they write.
const SERVICES: [(&str, &str); 6] = [
    ("logging.s3.amazonaws.com", "S3 access logs"),
    ("s3.amazonaws.com", "S3 Inventory, Storage Lens or completion reports"),
    ("cloudtrail.amazonaws.com", "CloudTrail logs"),
    ("config.amazonaws.com", "AWS Config snapshots"),
    (
        "delivery.logs.amazonaws.com",
        "vended logs (VPC flow logs, load balancers, CloudFront)",
    ),
    ("logdelivery.elasticloadbalancing.amazonaws.com", "load balancer logs"),
];

/// Group that the delivery of access logs uses in buckets with access control lists.
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

pub(super) fn service_writers(facts: &PreflightFacts) -> CheckResult {
    let source = &facts.source;
    let mut writers = Vec::new();
    if let Some(policy) = source.policy.known()? {
        for statement in policy.statements.iter().filter(|statement| !statement.denies) {
            if !statement.covered(&["s3:PutObject"]).is_empty() {
                for (service, what) in SERVICES {
                    if statement.principals.iter().any(|principal| principal == service) {
                        writers.push(format!("{what} ({service}, statement {})", statement.name()));
                    }
                }
            }
            if !statement.covered(&["s3:ReplicateObject"]).is_empty() && !statement.is_for_everyone() {
                writers.push(format!("replication from {}", statement.principals.join(", ")));
            }
        }
    }
    let grants = source.grants.known()?;
    if grants
        .iter()
        .any(|grant| matches!(&grant.grantee, Grantee::Group(uri) if uri == LOG_DELIVERY))
    {
        writers.push("S3 access logs (grant of the LogDelivery group)".to_owned());
    }
    let replicas = &facts.heads.known()?.replicas;
    if replicas.keys > 0 {
        writers.push(format!(
            "replication from another bucket ({} replicas)",
            replicas.described()
        ));
    }
    if let Some(target) = source.logging_target.known()?
        && target == source.name.as_str()
    {
        writers.push("the bucket's own access logs".to_owned());
    }
    writers.dedup();
    if writers.is_empty() {
        return Ok(Finding::pass(
            "no policy, grant or object shows a service that writes to the source",
        ));
    }
    Ok(Finding::warn(
        writers.join("; "),
        "before the freeze, give each of them a bucket in the region that it requires; they do not follow the cutover",
    ))
}
