//! `PutObject`, `GetObject`, `HeadObject`, `CopyObject`, `DeleteObject` and `DeleteObjects`.

use futures::stream;
use http::StatusCode;
use s3s::S3Response;
use s3s::dto::{self, StreamingBlob};

use super::{Reply, etag, reply, set_checksum, timestamp, with_headers, with_status};
use crate::sim::http::call::SimRequest;
use crate::sim::http::outgoing::ResponseHeaders;
use crate::sim::http::range;
use crate::sim::model::clock::iso_date;
use crate::sim::model::conditions::RequestConditions;
use crate::sim::model::content::SimContent;
use crate::sim::model::copy::{CopyRequest, check_customer_key, check_readable, shown_id};
use crate::sim::model::delete::DeleteRequest;
use crate::sim::model::digest;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::object::{SimObject, SimVersion};
use crate::sim::model::put::{DeclaredChecksums, PutRequest};
use crate::sim::model::simulator::{Simulator, WriteResult, WriteTarget};

const CUSTOMER_KEY: &str = "x-amz-server-side-encryption-customer-key-md5";

/// Writes an object (`PutObject`).
pub(super) fn put(model: &mut Simulator, call: &SimRequest, _: dto::PutObjectInput) -> Reply<dto::PutObjectOutput> {
    let put = PutRequest {
        explicit: call.explicit()?,
        content: SimContent::from(call.body.clone()),
        declared: call.declared()?,
        algorithm: call.algorithm()?,
        conditions: call.conditions(""),
    };
    let written = model.put_object(call.target(), put)?;
    let mut headers = written_headers(&written);
    headers.set("etag", format!("\"{}\"", written.object.etag));
    if let Some(checksum) = &written.object.checksum {
        headers.checksum(checksum);
    }
    Ok(with_headers(dto::PutObjectOutput::default(), headers))
}

/// Returns the headers that every response of a write has.
pub(super) fn written_headers(written: &WriteResult) -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    headers
        .set_some("x-amz-version-id", written.version_id.as_ref())
        .encryption(written.object.encryption());
    headers
}

/// Result of a read, without the content.
struct Read {
    status: StatusCode,
    headers: ResponseHeaders,
    content: SimContent,
}

fn read(model: &Simulator, call: &SimRequest) -> SimResult<Read> {
    let bucket = model.bucket(call.target().bucket)?;
    let (version, object) = bucket.read(call.target().key, call.version_id())?;
    check_customer_key(object, call.customer_key_md5(CUSTOMER_KEY).as_deref())?;
    call.conditions("").check_read(version, object)?;
    if call.method == "GET" {
        check_readable(object)?;
    }
    let mut headers = object_headers(call, version, object);
    if let Some(days) = object.explicit.event_hold_days {
        // While the event hold is on, the retain-until date moves with the current time.
        let until = model.clock.now() + days * 86_400_000;
        headers
            .set("x-amz-object-lock-mode", "GOVERNANCE")
            .set("x-amz-object-lock-retain-until-date", iso_date(until));
    }
    headers.set_some("x-amz-version-id", shown_id(bucket.versioning, version));
    let wanted = range::wanted(call, object)?;
    let size = object.content.size_bytes();
    let content = object.content.slice(wanted.first, wanted.size_bytes);
    headers.set("content-length", content.size_bytes().to_string());
    if wanted.is_partial {
        let last = wanted.first + content.size_bytes().max(1) - 1;
        headers.set("content-range", format!("bytes {}-{last}/{size}", wanted.first));
    }
    if let Some(count) = wanted.parts_count {
        headers.set("x-amz-mp-parts-count", count.to_string());
    }
    // A full-object checksum is not returned for a range.
    let shows_checksum = call
        .header("x-amz-checksum-mode")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"));
    if let Some(checksum) = &object.checksum
        && shows_checksum
        && (!wanted.is_partial || call.method == "HEAD")
        && call.query("partNumber").is_none()
        // Otherwise a client would compare the downloaded content with a placeholder.
        && (call.method == "HEAD" || digest::is_exact(&object.content))
    {
        headers.checksum(checksum);
    }
    let status = if wanted.is_partial {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    Ok(Read {
        status,
        headers,
        content,
    })
}

fn object_headers(call: &SimRequest, version: &SimVersion, object: &SimObject) -> ResponseHeaders {
    let mut headers = ResponseHeaders::default();
    headers.object(object, version.last_modified);
    let overrides = [
        ("response-content-type", "content-type"),
        ("response-cache-control", "cache-control"),
        ("response-content-disposition", "content-disposition"),
        ("response-content-encoding", "content-encoding"),
        ("response-content-language", "content-language"),
        ("response-expires", "expires"),
    ];
    for (query, header) in overrides {
        headers.set_some(header, call.query(query));
    }
    headers
}

/// Returns an object (`GetObject`).
pub(super) fn get(model: &mut Simulator, call: &SimRequest, _: dto::GetObjectInput) -> Reply<dto::GetObjectOutput> {
    let read = read(model, call)?;
    let chunks = read.content.chunks().map(Ok::<_, std::convert::Infallible>);
    let output = dto::GetObjectOutput {
        body: Some(StreamingBlob::wrap(stream::iter(chunks))),
        ..dto::GetObjectOutput::default()
    };
    Ok(with_status(with_headers(output, read.headers), read.status))
}

/// Returns the headers of an object (`HeadObject`).
pub(super) fn head(model: &mut Simulator, call: &SimRequest, _: dto::HeadObjectInput) -> Reply<dto::HeadObjectOutput> {
    let read = read(model, call)?;
    let response = with_headers(dto::HeadObjectOutput::default(), read.headers);
    Ok(with_status(response, read.status))
}

/// Returns whether a copy directive has the value `other` instead of `COPY`, the default.
fn has_directive(call: &SimRequest, what: &str, other: &str) -> SimResult<bool> {
    let directive = call.header(&format!("x-amz-{what}-directive"));
    match directive.map(|directive| directive.to_ascii_uppercase()).as_deref() {
        None | Some("COPY") => Ok(false),
        Some(directive) if directive == other => Ok(true),
        Some(_) => Err(SimError::because(
            SimErrorCode::InvalidArgument,
            format!("Unknown {what} directive."),
        )),
    }
}

/// Copies an object (`CopyObject`).
pub(super) fn copy(model: &mut Simulator, call: &SimRequest, _: dto::CopyObjectInput) -> Reply<dto::CopyObjectOutput> {
    let copy = CopyRequest {
        source: call.source()?,
        explicit: call.explicit()?,
        replaces_metadata: has_directive(call, "metadata", "REPLACE")?,
        replaces_tags: has_directive(call, "tagging", "REPLACE")?,
        excludes_annotations: has_directive(call, "object-annotation", "EXCLUDE")?,
        algorithm: call.algorithm()?,
        conditions: call.conditions(""),
    };
    let copied = model.copy_object(call.target(), &copy)?;
    let object = &copied.written.object;
    let mut result = dto::CopyObjectResult {
        e_tag: etag(&object.etag),
        last_modified: timestamp(copied.written.last_modified),
        ..dto::CopyObjectResult::default()
    };
    if let Some(checksum) = &object.checksum {
        set_checksum!(result, checksum.algorithm, checksum.value);
        result.checksum_type = Some(checksum.kind.name().to_owned().into());
    }
    let mut headers = written_headers(&copied.written);
    headers.set_some("x-amz-copy-source-version-id", copied.source_version_id);
    let output = dto::CopyObjectOutput {
        copy_object_result: Some(result),
        ..dto::CopyObjectOutput::default()
    };
    Ok(with_headers(output, headers))
}

fn bypasses_governance(call: &SimRequest) -> bool {
    call.header("x-amz-bypass-governance-retention")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Deletes an object or a version (`DeleteObject`).
pub(super) fn delete(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::DeleteObjectInput,
) -> Reply<dto::DeleteObjectOutput> {
    let delete = DeleteRequest {
        version_id: call.version_id().map(str::to_owned),
        conditions: call.conditions(""),
        bypass_governance: bypasses_governance(call),
    };
    let deleted = model.delete_object(call.target(), &delete)?;
    let mut headers = ResponseHeaders::default();
    headers.set_some("x-amz-version-id", deleted.version_id);
    if deleted.delete_marker {
        headers.set("x-amz-delete-marker", "true");
    }
    let response = with_headers(dto::DeleteObjectOutput::default(), headers);
    Ok(with_status(response, StatusCode::NO_CONTENT))
}

/// Maximum number of keys of one `DeleteObjects` request.
const DELETE_LIMIT: usize = 1000;

/// Rejects a body without a digest, or whose digest does not match.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
fn check_body_digest(call: &SimRequest) -> SimResult<()> {
    let declared = call.declared()?;
    if declared == DeclaredChecksums::default() {
        return Err(SimError::because(
            SimErrorCode::InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ));
    }
    declared.verify(&SimContent::from(call.body.clone()))?;
    Ok(())
}

/// Deletes objects and versions (`DeleteObjects`).
pub(super) fn delete_many(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::DeleteObjectsInput,
) -> Reply<dto::DeleteObjectsOutput> {
    let bucket = call.target().bucket;
    model.bucket(bucket)?;
    check_body_digest(call)?;
    if input.delete.objects.len() > DELETE_LIMIT || input.delete.objects.is_empty() {
        return Err(SimErrorCode::MalformedXml.into());
    }
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for object in input.delete.objects {
        let delete = DeleteRequest {
            version_id: object.version_id.clone().filter(|id| !id.is_empty()),
            conditions: RequestConditions {
                if_match: object.e_tag.as_ref().map(|etag| etag.value().to_owned()),
                ..RequestConditions::default()
            },
            bypass_governance: bypasses_governance(call),
        };
        let target = WriteTarget {
            bucket,
            key: &object.key,
        };
        match model.delete_object(target, &delete) {
            Ok(done) => deleted.push(dto::DeletedObject {
                delete_marker: done.delete_marker.then_some(true),
                delete_marker_version_id: done.version_id.filter(|_| done.delete_marker),
                version_id: object.version_id,
                key: Some(object.key),
            }),
            Err(refusal) => errors.push(dto::Error {
                code: Some(refusal.code.name().to_owned()),
                message: Some(refusal.message),
                key: Some(object.key),
                version_id: object.version_id,
            }),
        }
    }
    let quiet = input.delete.quiet == Some(true);
    Ok(reply(dto::DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        ..dto::DeleteObjectsOutput::default()
    }))
}

/// Returns an empty response.
pub(super) fn done<T: Default>() -> S3Response<T> {
    reply(T::default())
}
