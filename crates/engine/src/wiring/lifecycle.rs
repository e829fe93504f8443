//! The handling of one request of `CloudFormation`, from its properties to the response.

use s3ferry_core::custom_resource::{
    CustomResourceRequest, CustomResourceRequestType, CustomResourceResponse, is_unwired, physical_id, unwired_id,
};
use s3ferry_core::wiring::{
    DesiredConfiguration, OwnerId, RemovalProperties, Versioning, WiringProperties, WiringRefusal,
};
use serde_json::{Map, Value, json};

use std::sync::atomic::{AtomicBool, Ordering};

use super::converge::{WiringJob, WiringResult, converge};
use super::error::WiringError;
use super::failures::bucket_is_missing;
use super::fitness::check_buckets;
use super::ports::WiringPorts;

/// Carries out a request and returns its response. There is a response in every case.
pub async fn carry_out<P: WiringPorts>(ports: &P, request: &CustomResourceRequest) -> CustomResourceResponse {
    let owner = request.owner();
    match &request.request_type {
        CustomResourceRequestType::Create | CustomResourceRequestType::Update => wire(ports, request, &owner).await,
        CustomResourceRequestType::Delete => match removed(ports, request, &owner).await {
            Ok(()) => CustomResourceResponse::success(request, request.former_physical_id(), Map::new()),
            Err(error) => failed(request, request.former_physical_id(), &error),
        },
        CustomResourceRequestType::Incomplete(fields) => {
            let error = WiringError::IncompleteRequest(fields.clone());
            failed(request, request.former_physical_id(), &error)
        }
        CustomResourceRequestType::Unknown(name) => {
            let error = WiringError::UnknownRequest(name.clone());
            failed(request, request.former_physical_id(), &error)
        }
    }
}

fn failed(request: &CustomResourceRequest, physical_id: String, error: &WiringError) -> CustomResourceResponse {
    CustomResourceResponse::failed(request, physical_id, &error.to_string())
}

async fn wire<P: WiringPorts>(ports: &P, request: &CustomResourceRequest, owner: &OwnerId) -> CustomResourceResponse {
    let properties = match WiringProperties::parse(&request.properties) {
        Ok(properties) => properties,
        Err(error) => return failed(request, request.former_physical_id(), &error.into()),
    };
    let id = physical_id(&properties.source, owner);
    if let Some(former) = request
        .physical_resource_id
        .as_ref()
        .filter(|former| **former != id && !is_unwired(former))
    {
        let refusal = WiringRefusal::AnotherBucket {
            former: former.clone(),
            wanted: properties.source,
        };
        return failed(request, former.clone(), &refusal.into());
    }
    let is_new = request.request_type == CustomResourceRequestType::Create;
    // An update that names the same buckets is not checked, so that a rollback succeeds even if a bucket has changed.
    let is_checked = is_new || WiringProperties::names_other_buckets(&request.properties, &request.old_properties);
    if is_checked && let Err(error) = check_buckets(ports, &properties).await {
        let id = if is_new { unwired_id(owner) } else { id };
        return failed(request, id, &error);
    }
    let former = RemovalProperties::parse(&request.old_properties);
    let mut job = wiring_job(ports, request, owner, &properties, former.as_ref());
    match converge(&mut job).await {
        Ok(wired) => CustomResourceResponse::success(request, id, data(&wired)),
        // Nothing was written, so there is nothing to undo, even if the bucket is not accessible.
        Err(error) if is_new && !job.touched.load(Ordering::Relaxed) => failed(request, unwired_id(owner), &error),
        Err(error) if is_new => undo_create(ports, request, owner, &properties, &error).await,
        Err(error) => failed(request, id, &error),
    }
}

/// Removes the entries of a resource whose creation failed.
///
/// If all are removed, the resource id records that. The Delete of the resource then succeeds even if the bucket is not
/// accessible.
async fn undo_create<P: WiringPorts>(
    ports: &P,
    request: &CustomResourceRequest,
    owner: &OwnerId,
    properties: &WiringProperties,
    error: &WiringError,
) -> CustomResourceResponse {
    match remove(ports, request, owner, &RemovalProperties::from(properties)).await {
        Ok(()) => failed(request, unwired_id(owner), error),
        Err(undoing) => {
            let reason = format!("{error}; and the changes made so far could not be undone: {undoing}");
            CustomResourceResponse::failed(request, request.former_physical_id(), &reason)
        }
    }
}

async fn removed<P: WiringPorts>(
    ports: &P,
    request: &CustomResourceRequest,
    owner: &OwnerId,
) -> Result<(), WiringError> {
    if request.physical_resource_id.as_deref().is_some_and(is_unwired) {
        tracing::info!("nothing to remove: the bucket was never wired");
        return Ok(());
    }
    let Some(properties) = RemovalProperties::parse(&request.properties) else {
        tracing::info!("nothing to remove: the properties name no valid bucket");
        return Ok(());
    };
    remove(ports, request, owner, &properties).await
}

/// Removes s3ferry's entries from a bucket. A bucket that does not exist has none.
async fn remove<P: WiringPorts>(
    ports: &P,
    request: &CustomResourceRequest,
    owner: &OwnerId,
    properties: &RemovalProperties,
) -> Result<(), WiringError> {
    let (source, account) = (&properties.source, &properties.account);
    let state = properties.state.as_ref();
    let mut job = WiringJob {
        ports,
        name: source,
        bucket: ports.bucket(source, account),
        backup: state.map(|state| ports.backup(state, account, source, owner)),
        owner,
        request_id: &request.request_id,
        desired: DesiredConfiguration::default(),
        removal: true,
        touched: AtomicBool::new(false),
        own_event_rules: properties.event_rule.iter().cloned().collect(),
        removed_role: properties.replication_role_arn.clone(),
    };
    match converge(&mut job).await {
        Ok(_) => Ok(()),
        Err(WiringError::Failed(failure)) if bucket_is_missing(&failure) => {
            tracing::info!(s3.bucket = %source, "nothing to remove: the bucket does not exist");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn wiring_job<'a, P: WiringPorts>(
    ports: &'a P,
    request: &'a CustomResourceRequest,
    owner: &'a OwnerId,
    properties: &'a WiringProperties,
    former: Option<&RemovalProperties>,
) -> WiringJob<'a, P> {
    let (source, account) = (&properties.source, &properties.account);
    let former_event_rule = former.and_then(|former| former.event_rule.clone());
    let role_before = former.and_then(|former| former.replication_role_arn.clone());
    WiringJob {
        ports,
        name: source,
        bucket: ports.bucket(source, account),
        backup: Some(ports.backup(&properties.state, account, source, owner)),
        owner,
        request_id: &request.request_id,
        desired: DesiredConfiguration::new(properties),
        removal: false,
        touched: AtomicBool::new(false),
        own_event_rules: properties
            .event_rule
            .clone()
            .into_iter()
            .chain(former_event_rule)
            .collect(),
        removed_role: role_before.filter(|role| properties.replication_role_arn.as_ref() != Some(role)),
    }
}

/// Returns the attributes of the resource for `Fn::GetAtt`. Each attribute is always present.
fn data(wired: &WiringResult) -> Map<String, Value> {
    let pairs = [
        (
            "NotificationId",
            json!(wired.notification_id.as_deref().unwrap_or_default()),
        ),
        ("OmittedEvents", json!(omitted(&wired.omitted_events))),
        ("EventBridge", json!(wired.event_bridge.to_string())),
        (
            "ReplicationRuleId",
            json!(wired.replication_rule_id.as_deref().unwrap_or_default()),
        ),
        (
            "Versioning",
            json!(wired.versioning.map(Versioning::as_str).unwrap_or_default()),
        ),
        ("VersioningEnabledNow", json!(wired.versioning_enabled_now.to_string())),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Returns the omitted event types as text for a stack output, which must not be empty.
fn omitted(events: &[&str]) -> String {
    if events.is_empty() {
        "none".to_owned()
    } else {
        events.join(", ")
    }
}
