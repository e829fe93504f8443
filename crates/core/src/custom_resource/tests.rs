use proptest::prelude::*;
use serde_json::json;

use super::*;

fn event() -> Value {
    json!({
        "RequestType": "Create",
        "ResponseURL": "https://example.invalid/answer",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/ferry/1",
        "RequestId": "request",
        "ResourceType": "Custom::S3FerryBucketWiring",
        "LogicalResourceId": "BucketWiring",
        "ResourceProperties": {"SourceBucketName": "source"},
    })
}

fn request() -> CustomResourceRequest {
    CustomResourceRequest::parse(&event()).unwrap()
}

#[test]
fn request_fields_are_parsed() {
    let request = request();
    assert_eq!(request.request_type, CustomResourceRequestType::Create);
    assert_eq!(request.properties["SourceBucketName"], "source");
    assert!(request.old_properties.is_empty());
    assert_eq!(request.physical_resource_id, None);
    assert!(request.former_physical_id().starts_with("source/s3ferry-ferry-"));
    let unwired = CustomResourceRequest {
        properties: Map::new(),
        ..request
    };
    assert!(unwired.former_physical_id().starts_with("Unwired/s3ferry-ferry-"));
}

#[test]
fn event_without_possible_response_is_an_error() {
    for field in ["ResponseURL", "StackId", "RequestId", "LogicalResourceId"] {
        for value in [None, Some(json!("")), Some(json!(3))] {
            let mut event = event();
            let fields = event.as_object_mut().unwrap();
            fields.remove(field);
            fields.extend(value.map(|value| (field.to_owned(), value)));
            match CustomResourceRequest::parse(&event) {
                Err(error) => assert_eq!(error, CustomResourceError::Missing { field: "ResponseURL" }),
                Ok(request) => assert_eq!(
                    request.request_type,
                    CustomResourceRequestType::Incomplete(field.to_owned())
                ),
            }
        }
    }
    for event in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(
            CustomResourceRequest::parse(&event),
            Err(CustomResourceError::NotAnObject)
        );
    }
    let s3 = json!({"Records": []});
    assert!(
        CustomResourceRequest::parse(&s3)
            .unwrap_err()
            .to_string()
            .contains("not a CloudFormation custom resource request")
    );
}

#[test]
fn unknown_request_type_still_has_a_response() {
    let mut event = event();
    event["RequestType"] = json!("Import");
    assert_eq!(
        CustomResourceRequest::parse(&event).unwrap().request_type,
        CustomResourceRequestType::Unknown("Import".to_owned())
    );
}

#[test]
fn physical_id_is_stable_and_contains_bucket_and_owner() {
    let bucket = BucketName::new("source").unwrap();
    let id = physical_id(&bucket, &request().owner());
    assert_eq!(id, physical_id(&bucket, &request().owner()));
    assert!(id.starts_with("source/s3ferry-ferry-"));
    assert_ne!(id, physical_id(&BucketName::new("other").unwrap(), &request().owner()));
}

#[test]
fn responses_have_the_documented_fields() {
    let data = json!({"EventBridge": "true"}).as_object().cloned().unwrap();
    let success = CustomResourceResponse::success(&request(), "id".to_owned(), data)
        .body()
        .unwrap();
    let failed = CustomResourceResponse::failed(&request(), "id".to_owned(), "why")
        .body()
        .unwrap();
    let body = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        body(&success),
        json!({
            "Status": "SUCCESS", "PhysicalResourceId": "id", "RequestId": "request",
            "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/ferry/1",
            "LogicalResourceId": "BucketWiring", "Data": {"EventBridge": "true"},
        })
    );
    assert_eq!(body(&failed)["Status"], "FAILED");
    assert_eq!(body(&failed)["Reason"], "why");
    assert_eq!(
        CustomResourceResponse::failed(&request(), "id".to_owned(), "").reason(),
        "unknown reason"
    );
}

#[test]
fn short_reasons_are_complete_and_long_ones_are_truncated_to_the_limit() {
    let body = |reason: &str| {
        CustomResourceResponse::failed(&request(), "id".to_owned(), reason)
            .body()
            .unwrap()
    };
    assert!(!body(&"x".repeat(3000)).contains("[...]"));
    let cut = body(&"x".repeat(9000));
    assert_eq!(cut.len(), RESPONSE_LIMIT_BYTES);
    assert!(cut.contains("x [...]"));
}

proptest! {
    #[test]
    fn response_never_exceeds_the_limit(reason in "(\\PC|[\\x00-\\x1f\"\\\\é日🦀]){0,6000}") {
        let body = CustomResourceResponse::failed(&request(), "id".to_owned(), &reason).body().unwrap();
        prop_assert!(body.len() <= RESPONSE_LIMIT_BYTES);
        let value: Value = serde_json::from_str(&body).unwrap();
        let beginning = value["Reason"].as_str().unwrap().trim_end_matches(CUT).to_owned();
        prop_assert!(reason.is_empty() || reason.starts_with(&beginning));
    }
}
