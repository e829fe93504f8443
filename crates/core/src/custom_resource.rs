//! The two documents of a `CloudFormation` custom resource: what is asked, and what is answered.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use serde::Serialize;
use serde_json::{Map, Value};

use crate::names::BucketName;
use crate::wiring::OwnerId;

/// Says why a document is no request of `CloudFormation`, and so has nobody to be answered to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomResourceError {
    /// It is not a JSON object.
    #[error("the event is no CloudFormation custom resource request: it is not a JSON object")]
    NotAnObject,
    /// A field that the answer needs is missing, empty or no text.
    #[error("the event is no CloudFormation custom resource request: {field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
}

/// What is to happen to the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomResourceRequestType {
    /// The resource is new in its stack.
    Create,
    /// A property changed, or a change is rolled back.
    Update,
    /// The resource leaves its stack.
    Delete,
    /// It cannot be told what it is about: these fields are missing.
    Incomplete(String),
    /// Something that nobody knows yet.
    Unknown(String),
}

/// One request of `CloudFormation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomResourceRequest {
    /// What is to happen.
    pub request_type: CustomResourceRequestType,
    /// Where the answer goes. Whoever has it can answer: it must not be logged.
    pub response_url: String,
    /// The stack's ARN.
    pub stack_id: String,
    /// Names the request.
    pub request_id: String,
    /// The resource's name in its template.
    pub logical_resource_id: String,
    /// What was answered before; nothing on Create.
    pub physical_resource_id: Option<String>,
    /// The properties in force from now on; on Delete, those that were in force.
    pub properties: Map<String, Value>,
    /// On Update, the properties that were in force.
    pub old_properties: Map<String, Value>,
}

impl CustomResourceRequest {
    /// Takes a request apart. All that is needed to answer must be there; the rest is judged later, so that even a
    /// request that makes no sense is answered.
    pub fn parse(event: &Value) -> Result<Self, CustomResourceError> {
        let fields = event.as_object().ok_or(CustomResourceError::NotAnObject)?;
        let text = |field: &'static str| match fields.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            _ => Err(CustomResourceError::Missing { field }),
        };
        let object = |field: &str| {
            fields
                .get(field)
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let missing: Vec<&str> = ["StackId", "RequestId", "LogicalResourceId"]
            .into_iter()
            .filter(|field| text(field).is_err())
            .collect();
        let given = |field: &'static str| text(field).unwrap_or_default();
        Ok(Self {
            response_url: text("ResponseURL")?,
            stack_id: given("StackId"),
            request_id: given("RequestId"),
            logical_resource_id: given("LogicalResourceId"),
            request_type: match given("RequestType").as_str() {
                _ if !missing.is_empty() => CustomResourceRequestType::Incomplete(missing.join(", ")),
                "Create" => CustomResourceRequestType::Create,
                "Update" => CustomResourceRequestType::Update,
                "Delete" => CustomResourceRequestType::Delete,
                other => CustomResourceRequestType::Unknown(other.to_owned()),
            },
            physical_resource_id: text("PhysicalResourceId").ok(),
            properties: object("ResourceProperties"),
            old_properties: object("OldResourceProperties"),
        })
    }

    /// Names the entries of this resource.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        OwnerId::new(&self.stack_id, &self.logical_resource_id)
    }

    /// Names the resource as it was before this request; a new one by its bucket, as far as it names one.
    #[must_use]
    pub fn former_physical_id(&self) -> String {
        if let Some(id) = &self.physical_resource_id {
            return id.clone();
        }
        let bucket = self.properties.get("SourceBucketName").and_then(Value::as_str);
        match bucket.map(BucketName::new) {
            Some(Ok(bucket)) => physical_id(&bucket, &self.owner()),
            _ => unwired_id(&self.owner()),
        }
    }
}

/// Names a resource that has nothing on any bucket.
#[must_use]
pub fn unwired_id(owner: &OwnerId) -> String {
    format!("{UNWIRED}{owner}")
}

/// Tells whether a resource has nothing on any bucket. Bucket names have no capital letters.
#[must_use]
pub fn is_unwired(physical_id: &str) -> bool {
    physical_id.starts_with(UNWIRED)
}

const UNWIRED: &str = "Unwired/";

/// Names the wiring of a bucket by one stack.
#[must_use]
pub fn physical_id(bucket: &BucketName, owner: &OwnerId) -> String {
    format!("{bucket}/{owner}")
}

/// The longest answer that `CloudFormation` takes.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>
pub const RESPONSE_LIMIT_BYTES: usize = 4096;

/// Marks a reason that had to be cut.
const CUT: &str = " [...]";

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CustomResourceResponse {
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
}

impl CustomResourceResponse {
    /// Answers that everything is as it was asked for.
    #[must_use]
    pub fn success(request: &CustomResourceRequest, physical_id: String, data: Map<String, Value>) -> Self {
        Self::new(request, "SUCCESS", String::new(), physical_id, data)
    }

    /// Answers that it is not, and why. An empty reason would make an answer that `CloudFormation` does not take.
    #[must_use]
    pub fn failed(request: &CustomResourceRequest, physical_id: String, reason: &str) -> Self {
        let reason = if reason.is_empty() {
            "no reason is known"
        } else {
            reason
        };
        Self::new(request, "FAILED", reason.to_owned(), physical_id, Map::new())
    }

    fn new(
        request: &CustomResourceRequest,
        status: &'static str,
        reason: String,
        physical_resource_id: String,
        data: Map<String, Value>,
    ) -> Self {
        Self {
            status,
            reason,
            physical_resource_id,
            stack_id: request.stack_id.clone(),
            request_id: request.request_id.clone(),
            logical_resource_id: request.logical_resource_id.clone(),
            data,
        }
    }

    /// Tells whether the answer is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == "SUCCESS"
    }

    /// Returns why it failed; empty for a success.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the resource's name.
    #[must_use]
    pub fn physical_resource_id(&self) -> &str {
        &self.physical_resource_id
    }

    /// Returns what templates can read of the resource.
    #[must_use]
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }

    /// Spells the answer, with as much of the reason as there is room for.
    pub fn body(&self) -> Result<String, serde_json::Error> {
        let whole = serde_json::to_string(self)?;
        if whole.len() <= RESPONSE_LIMIT_BYTES {
            return Ok(whole);
        }
        let mut cut = self.clone();
        cut.reason.clear();
        // An empty reason is not spelled at all, hence the mark in the measure.
        cut.reason.push_str(CUT);
        let room = RESPONSE_LIMIT_BYTES.saturating_sub(serde_json::to_string(&cut)?.len());
        cut.reason = shortened(&self.reason, room)?;
        serde_json::to_string(&cut)
    }
}

/// Keeps the beginning of a text whose spelling in JSON takes at most `room` bytes.
fn shortened(text: &str, room: usize) -> Result<String, serde_json::Error> {
    let mut kept = String::new();
    let mut used = 0;
    for letter in text.chars() {
        // Escapes make some letters longer; the two quotes do not count.
        used += serde_json::to_string(&letter)?.len().saturating_sub(2);
        if used > room {
            break;
        }
        kept.push(letter);
    }
    kept.push_str(CUT);
    Ok(kept)
}

#[cfg(test)]
mod tests;
