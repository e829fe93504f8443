//! Requests that s3s does not support: bucket documents, which are returned unchanged, and annotations.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Uri};
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use super::call::SimRequest;
use super::outgoing::ResponseHeaders;
use super::service::{SimService, error_document, escape};
use crate::sim::model::bucket::SimVersioning;
use crate::sim::model::clock::{http_date, iso_date};
use crate::sim::model::digest::{hex, md5_of_bytes};
use crate::sim::model::document::{BucketDocument, UnsetDocument};
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::object::SimAnnotation;
use crate::sim::model::simulator::Simulator;

#[async_trait::async_trait]
impl S3Route for SimService {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, extensions: &mut http::Extensions) -> bool {
        extensions
            .get::<Arc<SimRequest>>()
            .is_some_and(|call| call.document.is_some() || call.operation.contains("Annotation"))
    }

    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let call = super::service::call_of(&request).map_err(super::service::error)?;
        let mut model = self.model();
        let answer = match call.document {
            Some(document) => documents(&mut model, &call, document),
            None => annotations(&mut model, &call),
        };
        answer.map_err(super::service::error)
    }
}

type Response = S3Response<Body>;

fn respond(status: u16, headers: ResponseHeaders, body: impl Into<bytes::Bytes>) -> Response {
    let mut response = S3Response::new(Body::from(body.into()));
    response.status = StatusCode::from_u16(status).ok();
    response.headers = headers.into_map();
    response
}

fn xml() -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    headers.set("content-type", "application/xml");
    headers
}

fn documents(model: &mut Simulator, call: &SimRequest, document: BucketDocument) -> SimResult<Response> {
    let bucket = model.bucket_mut(call.target().bucket)?;
    match call.method.as_str() {
        "GET" => match (bucket.documents.get(&document), document.unset()) {
            (Some(text), _) => Ok(respond(200, xml(), text.clone())),
            (None, UnsetDocument::Default(text)) => Ok(respond(200, xml(), text)),
            (None, UnsetDocument::Missing(code)) => Ok(respond(
                404,
                xml(),
                error_document(code, "The configuration does not exist", &[]),
            )),
        },
        "PUT" => {
            let text = String::from_utf8(call.body.to_vec()).map_err(|_| SimErrorCode::MalformedXml)?;
            document.check(&text)?;
            if document == BucketDocument::ObjectLock {
                if bucket.versioning != SimVersioning::Enabled {
                    return Err(SimError::because(
                        SimErrorCode::InvalidBucketState,
                        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
                    ));
                }
                bucket.object_lock = true;
            }
            bucket.documents.insert(document, text);
            Ok(respond(document.changed_status("PUT"), ResponseHeaders::default(), ""))
        }
        "DELETE" => {
            bucket.documents.remove(&document);
            Ok(respond(204, ResponseHeaders::default(), ""))
        }
        _ => Err(SimErrorCode::MethodNotAllowed.into()),
    }
}

fn annotations(model: &mut Simulator, call: &SimRequest) -> SimResult<Response> {
    let name = call.query("annotationName").unwrap_or_default();
    let (target, version_id) = (call.target(), call.version_id());
    let changed = |version: Option<String>| {
        let mut headers = xml();
        headers.set_some("x-amz-object-version-id", version);
        headers
    };
    match call.operation {
        "PutObjectAnnotation" => {
            // The condition applies to the object, not to the annotation.
            if let Some(wanted) = call.header("x-amz-object-if-match") {
                let (_, object) = model.bucket(target.bucket)?.read(target.key, version_id)?;
                if super::incoming::unquoted(&wanted) != object.etag {
                    return Err(SimErrorCode::PreconditionFailed.into());
                }
            }
            let etag = hex(&md5_of_bytes(&call.body));
            let version = model.put_annotation(target, version_id, name, call.body.clone())?;
            let mut headers = changed(version);
            headers.set("etag", format!("\"{etag}\""));
            let body = format!(
                "<PutObjectAnnotationOutput><AnnotationName>{}</AnnotationName><Key>{}</Key></PutObjectAnnotationOutput>",
                escape(name),
                escape(target.key)
            );
            Ok(respond(200, headers, body))
        }
        "DeleteObjectAnnotation" => {
            let version = model.delete_annotation(target, version_id, name)?;
            Ok(respond(204, changed(version), ""))
        }
        "GetObjectAnnotation" => {
            let annotation = model.annotation(target, version_id, name)?;
            let mut headers = ResponseHeaders::default();
            headers
                .set("content-type", "application/octet-stream")
                .set("content-length", annotation.payload.len().to_string())
                .set("etag", format!("\"{}\"", hex(&md5_of_bytes(&annotation.payload))))
                .set("last-modified", http_date(annotation.last_modified));
            Ok(respond(200, headers, annotation.payload.clone()))
        }
        _ => {
            let (_, object) = model.bucket(target.bucket)?.read(target.key, version_id)?;
            Ok(respond(200, xml(), annotation_list(call, &object.annotations)))
        }
    }
}

/// Maximum number of annotations of one page.
const PAGE: usize = 1000;

fn annotation_list(call: &SimRequest, annotations: &BTreeMap<String, SimAnnotation>) -> String {
    let prefix = call.query("annotation-prefix").unwrap_or_default();
    let after = call.query("continuation-token").unwrap_or_default();
    let limit = call
        .query("max-annotation-results")
        .and_then(|text| text.parse::<usize>().ok())
        .map_or(PAGE, |limit| limit.clamp(1, PAGE));
    let mut rest = annotations
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && name.as_str() > after);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let entries: Vec<_> = page
        .iter()
        .map(|(name, annotation)| {
            format!(
                "<AnnotationEntry><AnnotationName>{}</AnnotationName><ETag>&quot;{}&quot;</ETag>\
                 <LastModified>{}</LastModified><Size>{}</Size></AnnotationEntry>",
                escape(name),
                hex(&md5_of_bytes(&annotation.payload)),
                iso_date(annotation.last_modified / 1000 * 1000),
                annotation.payload.len()
            )
        })
        .collect();
    let next = match (rest.next(), page.last()) {
        (Some(_), Some((name, _))) => format!("<NextContinuationToken>{}</NextContinuationToken>", escape(name)),
        _ => String::new(),
    };
    format!(
        "<ListObjectAnnotationsOutput xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <AnnotationCount>{}</AnnotationCount><Annotations>{}</Annotations><Bucket>{}</Bucket><Key>{}</Key>\
         {next}</ListObjectAnnotationsOutput>",
        page.len(),
        entries.concat(),
        escape(call.target().bucket),
        escape(call.target().key)
    )
}
