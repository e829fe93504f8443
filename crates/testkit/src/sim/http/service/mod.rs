//! The s3s service: s3s routes requests and serializes documents, the model executes the operations.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every operation has one signature, and the fields of s3s's responses are optional"
)]

mod attributes;
mod buckets;
mod listings;
mod multipart;
mod names;
mod objects;
mod subresources;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue, StatusCode};
pub(crate) use listings::VersionOrder;
use s3s::dto::{self, ETag, Timestamp};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::call::SimRequest;
use super::outgoing::ResponseHeaders;
use crate::sim::model::clock::Millis;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::multipart::SimUpload;
use crate::sim::model::simulator::{Simulator, WriteTarget};

/// The s3s service of a model. One request at a time locks the model.
#[derive(Debug, Clone)]
pub(crate) struct SimService {
    pub(crate) simulator: Arc<Mutex<Simulator>>,
}

/// Response of an operation: its output and headers, or an error.
type Reply<T> = SimResult<S3Response<T>>;

impl SimService {
    /// Locks the model.
    pub(crate) fn model(&self) -> MutexGuard<'_, Simulator> {
        // After a panic in one request, tests can still inspect the model.
        self.simulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimRequest {
    /// Returns the bucket and key of the request.
    pub(crate) fn target(&self) -> WriteTarget<'_> {
        WriteTarget {
            bucket: self.bucket.as_deref().unwrap_or_default(),
            key: self.key.as_deref().unwrap_or_default(),
        }
    }
}

fn reply<T>(output: T) -> S3Response<T> {
    S3Response::new(output)
}

fn with_headers<T>(output: T, headers: ResponseHeaders) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.headers = headers.into_map();
    response
}

/// Sets a status other than the operation's usual one. s3s ignores it, so [`serve`] applies it.
///
/// [`serve`]: super::serve
fn with_status<T>(mut response: S3Response<T>, status: StatusCode) -> S3Response<T> {
    response.extensions.insert(status);
    response
}

fn etag(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

/// Returns a time in whole seconds, as in S3's responses.
fn timestamp(millis: Millis) -> Option<Timestamp> {
    let moment = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(millis / 1000);
    Some(Timestamp::from(moment))
}

fn signed(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

fn owner() -> dto::Owner {
    dto::Owner {
        display_name: Some("s3sim".to_owned()),
        id: Some("s3sim".to_owned()),
    }
}

/// Returns the initiator of an upload: an ARN with the access key, or the account id if there is none.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Initiator.html>
fn initiator(upload: &SimUpload) -> dto::Initiator {
    let user = upload.initiator.as_ref();
    dto::Initiator {
        display_name: None,
        id: user.map_or(owner().id, |user| {
            Some(format!("arn:aws:iam::000000000000:user/{user}"))
        }),
    }
}

/// Sets the field of a checksum's algorithm.
macro_rules! set_checksum {
    ($output:expr, $algorithm:expr, $value:expr) => {{
        use $crate::sim::model::digest::ChecksumAlgorithm;
        let field = match $algorithm {
            ChecksumAlgorithm::Crc32 => &mut $output.checksum_crc32,
            ChecksumAlgorithm::Crc32c => &mut $output.checksum_crc32c,
            ChecksumAlgorithm::Crc64Nvme => &mut $output.checksum_crc64nvme,
            ChecksumAlgorithm::Sha1 => &mut $output.checksum_sha1,
            ChecksumAlgorithm::Sha256 => &mut $output.checksum_sha256,
        };
        *field = Some($value.to_owned());
    }};
}
use set_checksum;

/// Converts an error to the type of s3s.
pub(crate) fn error(refusal: SimError) -> S3Error {
    let code = S3ErrorCode::from_bytes(refusal.code.name().as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, refusal.message);
    if let Ok(status) = StatusCode::from_u16(refusal.code.status()) {
        error.set_status_code(status);
    }
    let mut headers = ResponseHeaders::default();
    headers.set("content-type", "application/xml");
    for (name, value) in refusal.headers {
        headers.set(name, value);
    }
    error.set_headers(headers.into_map());
    error
}

pub(crate) fn call_of<T>(request: &S3Request<T>) -> SimResult<Arc<SimRequest>> {
    request
        .extensions
        .get::<Arc<SimRequest>>()
        .cloned()
        .ok_or_else(|| SimErrorCode::InternalError.into())
}

/// Implements each operation of s3s by calling its function.
macro_rules! operations {
    ($($name:ident: $input:ident => $output:ident, $answer:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for SimService {
            $(
                async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                    let call = call_of(&request).map_err(error)?;
                    $answer(&mut self.model(), &call, request.input).map_err(error)
                }
            )*
        }
    };
}

operations! {
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput, multipart::abort;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput, multipart::complete;
    copy_object: CopyObjectInput => CopyObjectOutput, objects::copy;
    create_bucket: CreateBucketInput => CreateBucketOutput, buckets::create;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput, multipart::create;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, buckets::delete;
    delete_object: DeleteObjectInput => DeleteObjectOutput, objects::delete;
    delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput, subresources::delete_tags;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput, objects::delete_many;
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput, buckets::acl;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput, buckets::location;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput, buckets::versioning;
    get_object: GetObjectInput => GetObjectOutput, objects::get;
    get_object_acl: GetObjectAclInput => GetObjectAclOutput, subresources::acl;
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput, attributes::get;
    get_object_legal_hold: GetObjectLegalHoldInput => GetObjectLegalHoldOutput, subresources::legal_hold;
    get_object_retention: GetObjectRetentionInput => GetObjectRetentionOutput, subresources::retention;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput, subresources::tags;
    head_bucket: HeadBucketInput => HeadBucketOutput, buckets::head;
    head_object: HeadObjectInput => HeadObjectOutput, objects::head;
    list_buckets: ListBucketsInput => ListBucketsOutput, buckets::list;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput, listings::uploads;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput, listings::versions;
    list_objects: ListObjectsInput => ListObjectsOutput, listings::objects;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output, listings::objects_v2;
    list_parts: ListPartsInput => ListPartsOutput, multipart::list;
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput, buckets::put_versioning;
    put_object: PutObjectInput => PutObjectOutput, objects::put;
    put_object_acl: PutObjectAclInput => PutObjectAclOutput, subresources::put_acl;
    put_object_legal_hold: PutObjectLegalHoldInput => PutObjectLegalHoldOutput, subresources::put_legal_hold;
    put_object_retention: PutObjectRetentionInput => PutObjectRetentionOutput, subresources::put_retention;
    put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput, subresources::put_tags;
    restore_object: RestoreObjectInput => RestoreObjectOutput, subresources::restore;
    upload_part: UploadPartInput => UploadPartOutput, multipart::upload_part;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput, multipart::upload_part_copy;
}

/// Returns an error document, for requests that s3s does not handle.
pub(crate) fn error_document(code: &str, message: &str, details: &[(&str, &str)]) -> String {
    let fields: Vec<_> = details
        .iter()
        .map(|(name, value)| format!("<{name}>{}</{name}>", escape(value)))
        .collect();
    let fields = fields.concat();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message>{fields}\
         <RequestId>S3SIM</RequestId><HostId>S3SIM</HostId></Error>",
        escape(message)
    )
}

/// Escapes text for XML.
pub(crate) fn escape(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    with_references(&text)
}

/// Replaces characters by references: those that XML does not allow, and the carriage return, which XML parsers read as
/// a line feed. S3 returns keys in this form without `encoding-type=url`.
///
/// <https://www.w3.org/TR/xml/#charsets>
pub(crate) fn with_references(document: &str) -> String {
    let mut written = String::with_capacity(document.len());
    for letter in document.chars() {
        match letter {
            '\t' | '\n' => written.push(letter),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => written.push_str(&reference(letter)),
            _ => written.push(letter),
        }
    }
    written
}

fn reference(letter: char) -> String {
    format!("&#x{:X};", u32::from(letter))
}

/// Returns the headers of an error response.
pub(crate) fn refusal_headers(refusal: &SimError) -> HeaderMap<HeaderValue> {
    let mut headers = ResponseHeaders::default();
    headers.set("content-type", "application/xml");
    for (name, value) in &refusal.headers {
        headers.set(name, value);
    }
    headers.into_map()
}
