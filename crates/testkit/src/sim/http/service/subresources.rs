//! Tags, Object Lock, grants and restore.

use std::collections::BTreeMap;

use http::StatusCode;
use s3s::dto;

use super::objects::done;
use super::{Reply, owner, reply, timestamp, with_headers, with_status};
use crate::sim::http::call::SimRequest;
use crate::sim::http::incoming::time_of;
use crate::sim::http::outgoing::ResponseHeaders;
use crate::sim::model::copy::shown_id;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::object::{SimGrant, SimRetention};
use crate::sim::model::simulator::Simulator;

fn versioned<T: Default>(version_id: Option<String>) -> s3s::S3Response<T> {
    let mut headers = ResponseHeaders::default();
    headers.set_some("x-amz-version-id", version_id);
    with_headers(T::default(), headers)
}

/// Replaces the tags (`PutObjectTagging`).
pub(super) fn put_tags(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::PutObjectTaggingInput,
) -> Reply<dto::PutObjectTaggingOutput> {
    let mut tags = BTreeMap::new();
    for tag in input.tagging.tag_set {
        let name = tag.key.unwrap_or_default();
        if tags.insert(name, tag.value.unwrap_or_default()).is_some() {
            return Err(SimError::because(
                SimErrorCode::InvalidTag,
                "Cannot provide multiple Tags with the same key",
            ));
        }
    }
    Ok(versioned(model.put_tags(call.target(), call.version_id(), tags)?))
}

/// Returns the tags (`GetObjectTagging`).
pub(super) fn tags(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetObjectTaggingInput,
) -> Reply<dto::GetObjectTaggingOutput> {
    let bucket = model.bucket(call.target().bucket)?;
    let (version, object) = bucket.read(call.target().key, call.version_id())?;
    let tag = |(name, value): (&String, &String)| dto::Tag {
        key: Some(name.clone()),
        value: Some(value.clone()),
    };
    Ok(reply(dto::GetObjectTaggingOutput {
        tag_set: object.explicit.tags.iter().map(tag).collect(),
        version_id: shown_id(bucket.versioning, version),
    }))
}

/// Removes the tags (`DeleteObjectTagging`).
pub(super) fn delete_tags(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::DeleteObjectTaggingInput,
) -> Reply<dto::DeleteObjectTaggingOutput> {
    let response = versioned(model.delete_tags(call.target(), call.version_id())?);
    Ok(with_status(response, StatusCode::NO_CONTENT))
}

/// Sets the retention (`PutObjectRetention`).
pub(super) fn put_retention(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::PutObjectRetentionInput,
) -> Reply<dto::PutObjectRetentionOutput> {
    let retention = match input.retention {
        None => None,
        Some(given) => match (given.mode, given.retain_until_date) {
            (None, None) => None,
            (Some(mode), Some(date)) => Some(SimRetention {
                mode: mode.as_str().to_owned(),
                until: time_of(&date).ok_or(SimErrorCode::MalformedXml)?,
            }),
            _ => return Err(SimErrorCode::MalformedXml.into()),
        },
    };
    let bypass = call
        .header("x-amz-bypass-governance-retention")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    model.put_retention(call.target(), call.version_id(), retention, bypass)?;
    Ok(done())
}

/// Returns the retention (`GetObjectRetention`).
pub(super) fn retention(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetObjectRetentionInput,
) -> Reply<dto::GetObjectRetentionOutput> {
    let retention = model.retention(call.target(), call.version_id())?;
    Ok(reply(dto::GetObjectRetentionOutput {
        retention: Some(dto::ObjectLockRetention {
            mode: Some(retention.mode.into()),
            retain_until_date: timestamp(retention.until),
        }),
    }))
}

/// Sets the legal hold (`PutObjectLegalHold`).
pub(super) fn put_legal_hold(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::PutObjectLegalHoldInput,
) -> Reply<dto::PutObjectLegalHoldOutput> {
    let status = input
        .legal_hold
        .and_then(|hold| hold.status)
        .ok_or(SimErrorCode::MalformedXml)?;
    model.put_legal_hold(call.target(), call.version_id(), status.as_str() == "ON")?;
    Ok(done())
}

/// Returns the legal hold (`GetObjectLegalHold`).
pub(super) fn legal_hold(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetObjectLegalHoldInput,
) -> Reply<dto::GetObjectLegalHoldOutput> {
    let on = model.legal_hold(call.target(), call.version_id())?;
    let status = if on { "ON" } else { "OFF" };
    Ok(reply(dto::GetObjectLegalHoldOutput {
        legal_hold: Some(dto::ObjectLockLegalHold {
            status: Some(status.to_owned().into()),
        }),
    }))
}

/// Replaces the grants (`PutObjectAcl`): a canned ACL, headers, or a document.
pub(super) fn put_acl(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::PutObjectAclInput,
) -> Reply<dto::PutObjectAclOutput> {
    let grants = match input.access_control_policy.and_then(|policy| policy.grants) {
        Some(grants) => grants
            .into_iter()
            .filter_map(|grant| documented(grant).transpose())
            .collect::<SimResult<_>>()?,
        None => call.grants(),
    };
    Ok(versioned(model.put_grants(call.target(), call.version_id(), grants)?))
}

/// Parses a grant of a document. Returns `None` for the owner's own grant.
fn documented(grant: dto::Grant) -> SimResult<Option<SimGrant>> {
    let grantee = grant.grantee.ok_or(SimErrorCode::MalformedXml)?;
    let permission = grant.permission.ok_or(SimErrorCode::MalformedXml)?;
    let named = match (grantee.id, grantee.uri) {
        (Some(id), _) if Some(&id) == owner().id.as_ref() => return Ok(None),
        (Some(id), _) => format!("id={id}"),
        (None, Some(uri)) => format!("uri={uri}"),
        (None, None) => return Err(SimErrorCode::MalformedXml.into()),
    };
    Ok(Some(SimGrant {
        grantee: named,
        permission: permission.as_str().to_owned(),
    }))
}

/// Returns the owner's grant and the other grants.
pub(super) fn shown_grants(grants: &[SimGrant]) -> Vec<dto::Grant> {
    let grantee = |id: Option<String>, uri: Option<String>| dto::Grantee {
        type_: if uri.is_some() { "Group" } else { "CanonicalUser" }.to_owned().into(),
        display_name: None,
        email_address: None,
        id,
        uri,
    };
    let mut shown = vec![dto::Grant {
        grantee: Some(grantee(owner().id, None)),
        permission: Some("FULL_CONTROL".to_owned().into()),
    }];
    shown.extend(grants.iter().map(|grant| {
        let uri = grant.grantee.strip_prefix("uri=").map(str::to_owned);
        let id = grant.grantee.strip_prefix("id=").map(str::to_owned);
        dto::Grant {
            grantee: Some(grantee(id, uri)),
            permission: Some(grant.permission.clone().into()),
        }
    }));
    shown
}

/// Returns the grants (`GetObjectAcl`).
pub(super) fn acl(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetObjectAclInput,
) -> Reply<dto::GetObjectAclOutput> {
    let bucket = model.bucket(call.target().bucket)?;
    let (_, object) = bucket.read(call.target().key, call.version_id())?;
    Ok(reply(dto::GetObjectAclOutput {
        grants: Some(shown_grants(&object.explicit.grants)),
        owner: Some(owner()),
        request_charged: None,
    }))
}

/// Restores an archived object (`RestoreObject`).
pub(super) fn restore(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::RestoreObjectInput,
) -> Reply<dto::RestoreObjectOutput> {
    let was_restored = model.restore_object(call.target(), call.version_id())?;
    let status = if was_restored {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok(with_status(done(), status))
}
