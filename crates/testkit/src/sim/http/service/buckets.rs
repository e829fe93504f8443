//! Requests for buckets.

use s3s::dto;

use super::objects::done;
use super::{Reply, owner, reply, timestamp, with_headers, with_status};
use crate::sim::http::call::SimRequest;
use crate::sim::http::outgoing::ResponseHeaders;
use crate::sim::model::bucket::SimVersioning;
use crate::sim::model::document::BucketDocument;
use crate::sim::model::error::{SimError, SimErrorCode};
use crate::sim::model::simulator::Simulator;

/// Region that is represented by an empty location constraint.
const FIRST_REGION: &str = "us-east-1";

/// Creates a bucket (`CreateBucket`) in the region of the location constraint, or in us-east-1 if there is none.
///
/// A request signed for a region other than us-east-1 must name that region.
pub(super) fn create(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::CreateBucketInput,
) -> Reply<dto::CreateBucketOutput> {
    let signed = call.region.as_deref().unwrap_or(FIRST_REGION);
    let wanted = input
        .create_bucket_configuration
        .and_then(|configuration| configuration.location_constraint)
        .map(|constraint| constraint.as_str().to_owned())
        .filter(|constraint| !constraint.is_empty());
    let region = match wanted.as_deref() {
        Some("EU") => "eu-west-1",
        // The endpoint of us-east-1 creates buckets in all regions, other endpoints only in their own.
        Some(wanted) if signed == FIRST_REGION || wanted == signed => wanted,
        None if signed == FIRST_REGION || signed == "aws-global" => FIRST_REGION,
        other => {
            return Err(SimError::because(
                SimErrorCode::IllegalLocationConstraint,
                format!(
                    "The {} location constraint is incompatible for the region specific endpoint this request was \
                     sent to.",
                    other.unwrap_or("unspecified")
                ),
            ));
        }
    };
    let object_lock = call
        .header("x-amz-bucket-object-lock-enabled")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let name = call.target().bucket;
    model.create_bucket(name, region, object_lock)?;
    if let Some(ownership) = call.header("x-amz-object-ownership") {
        let document = format!(
            "<OwnershipControls><Rule><ObjectOwnership>{}</ObjectOwnership></Rule></OwnershipControls>",
            super::escape(&ownership)
        );
        let bucket = model.bucket_mut(name)?;
        bucket.documents.insert(BucketDocument::OwnershipControls, document);
    }
    let mut headers = ResponseHeaders::default();
    headers.set("location", format!("/{name}"));
    Ok(with_headers(dto::CreateBucketOutput::default(), headers))
}

/// Deletes an empty bucket (`DeleteBucket`).
pub(super) fn delete(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::DeleteBucketInput,
) -> Reply<dto::DeleteBucketOutput> {
    model.delete_bucket(call.target().bucket)?;
    Ok(with_status(done(), http::StatusCode::NO_CONTENT))
}

/// Returns the headers of a bucket (`HeadBucket`).
pub(super) fn head(model: &mut Simulator, call: &SimRequest, _: dto::HeadBucketInput) -> Reply<dto::HeadBucketOutput> {
    let region = model.bucket(call.target().bucket)?.region.clone();
    let mut headers = ResponseHeaders::default();
    headers
        .set("x-amz-bucket-region", region)
        .set("x-amz-access-point-alias", "false");
    Ok(with_headers(dto::HeadBucketOutput::default(), headers))
}

/// Lists buckets (`ListBuckets`).
pub(super) fn list(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::ListBucketsInput,
) -> Reply<dto::ListBucketsOutput> {
    let prefix = call.query("prefix").unwrap_or_default();
    let region = call.query("bucket-region");
    let buckets = model
        .buckets
        .iter()
        .filter(|(name, bucket)| name.starts_with(prefix) && region.is_none_or(|region| region == bucket.region))
        .map(|(name, bucket)| dto::Bucket {
            bucket_region: Some(bucket.region.clone()),
            creation_date: timestamp(bucket.created),
            name: Some(name.clone()),
        });
    Ok(reply(dto::ListBucketsOutput {
        buckets: Some(buckets.collect()),
        owner: Some(owner()),
        ..dto::ListBucketsOutput::default()
    }))
}

/// Returns the region of a bucket (`GetBucketLocation`). The location of us-east-1 is empty.
pub(super) fn location(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetBucketLocationInput,
) -> Reply<dto::GetBucketLocationOutput> {
    let region = model.bucket(call.target().bucket)?.region.clone();
    let named = if region == FIRST_REGION { String::new() } else { region };
    Ok(reply(dto::GetBucketLocationOutput {
        location_constraint: Some(named.into()),
    }))
}

/// Sets the versioning state (`PutBucketVersioning`).
pub(super) fn put_versioning(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::PutBucketVersioningInput,
) -> Reply<dto::PutBucketVersioningOutput> {
    let versioning = match input
        .versioning_configuration
        .status
        .as_ref()
        .map(dto::BucketVersioningStatus::as_str)
    {
        Some("Enabled") => SimVersioning::Enabled,
        Some("Suspended") => SimVersioning::Suspended,
        _ => return Err(SimErrorCode::MalformedXml.into()),
    };
    model.set_versioning(call.target().bucket, versioning)?;
    Ok(done())
}

/// Returns the versioning state (`GetBucketVersioning`).
pub(super) fn versioning(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetBucketVersioningInput,
) -> Reply<dto::GetBucketVersioningOutput> {
    let status = match model.bucket(call.target().bucket)?.versioning {
        SimVersioning::Unversioned => None,
        SimVersioning::Enabled => Some("Enabled"),
        SimVersioning::Suspended => Some("Suspended"),
    };
    Ok(reply(dto::GetBucketVersioningOutput {
        mfa_delete: None,
        status: status.map(|status| status.to_owned().into()),
    }))
}

/// Returns the owner's full control (`GetBucketAcl`).
pub(super) fn acl(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetBucketAclInput,
) -> Reply<dto::GetBucketAclOutput> {
    model.bucket(call.target().bucket)?;
    Ok(reply(dto::GetBucketAclOutput {
        grants: Some(super::subresources::shown_grants(&[])),
        owner: Some(owner()),
    }))
}
