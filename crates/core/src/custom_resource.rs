//! Requests and responses of a `CloudFormation` custom resource.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use serde::Serialize;
use serde_json::{Map, Value};

use crate::names::BucketName;
use crate::wiring::OwnerId;

/// Error in an event that is not a custom resource request, so that no response is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomResourceError {
    /// The event is not a JSON object.
    #[error("the event is not a CloudFormation custom resource request: it is not a JSON object")]
    NotAnObject,
    /// A field that the response needs is missing, empty or not a string.
    #[error("the event is not a CloudFormation custom resource request: {field} is missing")]
    Missing {
        /// Name of the field.
        field: &'static str,
    },
}

/// Request type of a custom resource request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomResourceRequestType {
    /// The resource is new in its stack.
    Create,
    /// A property changed, or a change is rolled back.
    Update,
    /// The resource is removed from its stack.
    Delete,
    /// The request does not identify its resource. Contains the missing fields.
    Incomplete(String),
    /// Request type that s3ferry does not know.
    Unknown(String),
}

/// Custom resource request of `CloudFormation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomResourceRequest {
    /// Request type.
    pub request_type: CustomResourceRequestType,
    /// Presigned URL for the response. It must not be logged: everyone who has it can send a response.
    pub response_url: String,
    /// ARN of the stack.
    pub stack_id: String,
    /// Request ID.
    pub request_id: String,
    /// Logical ID of the resource in its template.
    pub logical_resource_id: String,
    /// Physical ID of the last response. `None` on Create.
    pub physical_resource_id: Option<String>,
    /// Properties after the request. On Delete, the properties until now.
    pub properties: Map<String, Value>,
    /// Properties before an Update.
    pub old_properties: Map<String, Value>,
}

impl CustomResourceRequest {
    /// Parses a request. Only the fields that a response needs must exist. Other fields are validated later, so that
    /// even an invalid request receives a response.
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

    /// Returns the owner ID of the resource's configuration entries.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        OwnerId::new(&self.stack_id, &self.logical_resource_id)
    }

    /// Returns the physical ID before this request. The ID of a new resource consists of its bucket, if it names one.
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

/// Returns the physical ID of a resource without entries in any bucket.
#[must_use]
pub fn unwired_id(owner: &OwnerId) -> String {
    format!("{UNWIRED}{owner}")
}

/// Returns whether a physical ID is of a resource without entries. Bucket names contain no capital letters.
#[must_use]
pub fn is_unwired(physical_id: &str) -> bool {
    physical_id.starts_with(UNWIRED)
}

const UNWIRED: &str = "Unwired/";

/// Returns the physical ID of a bucket's wiring by one stack.
#[must_use]
pub fn physical_id(bucket: &BucketName, owner: &OwnerId) -> String {
    format!("{bucket}/{owner}")
}

/// Maximum size of a response that `CloudFormation` accepts, in bytes.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>
pub const RESPONSE_LIMIT_BYTES: usize = 4096;

/// Marker at the end of a truncated reason.
const CUT: &str = " [...]";

/// Response to a custom resource request.
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
    /// Returns a success response.
    #[must_use]
    pub fn success(request: &CustomResourceRequest, physical_id: String, data: Map<String, Value>) -> Self {
        Self::new(request, "SUCCESS", String::new(), physical_id, data)
    }

    /// Returns a failure response. The reason is never empty, because `CloudFormation` does not accept that.
    #[must_use]
    pub fn failed(request: &CustomResourceRequest, physical_id: String, reason: &str) -> Self {
        let reason = if reason.is_empty() { "unknown reason" } else { reason };
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

    /// Returns whether the response is a success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == "SUCCESS"
    }

    /// Returns the reason of the failure. Empty for a success.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the physical ID of the resource.
    #[must_use]
    pub fn physical_resource_id(&self) -> &str {
        &self.physical_resource_id
    }

    /// Returns the attributes that templates read with `Fn::GetAtt`.
    #[must_use]
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }

    /// Serializes the response. The reason is truncated if the response is too large.
    pub fn body(&self) -> Result<String, serde_json::Error> {
        let whole = serde_json::to_string(self)?;
        if whole.len() <= RESPONSE_LIMIT_BYTES {
            return Ok(whole);
        }
        let mut cut = self.clone();
        cut.reason.clear();
        // An empty reason is not serialized, so the size is measured with the marker.
        cut.reason.push_str(CUT);
        let room = RESPONSE_LIMIT_BYTES.saturating_sub(serde_json::to_string(&cut)?.len());
        cut.reason = shortened(&self.reason, room)?;
        serde_json::to_string(&cut)
    }
}

/// Truncates a text so that its JSON string has at most `room` bytes, and appends the marker.
fn shortened(text: &str, room: usize) -> Result<String, serde_json::Error> {
    let mut beginning = String::new();
    let mut used = 0;
    for letter in text.chars() {
        // Escapes make some characters longer. The two quotes do not count.
        used += serde_json::to_string(&letter)?.len().saturating_sub(2);
        if used > room {
            break;
        }
        beginning.push(letter);
    }
    beginning.push_str(CUT);
    Ok(beginning)
}

#[cfg(test)]
mod tests;
