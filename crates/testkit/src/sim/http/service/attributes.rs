//! `GetObjectAttributes`.

use s3s::dto;

use super::{Reply, set_checksum, signed, with_headers};
use crate::sim::http::call::SimRequest;
use crate::sim::http::outgoing::ResponseHeaders;
use crate::sim::model::clock::http_date;
use crate::sim::model::copy::{check_customer_key, shown_id};
use crate::sim::model::error::SimErrorCode;
use crate::sim::model::listing::PAGE_LIMIT;
use crate::sim::model::object::SimObject;
use crate::sim::model::simulator::Simulator;

/// Returns attributes of an object (`GetObjectAttributes`).
///
/// Parts are listed only if the object was uploaded with checksums. Otherwise the response has only their number.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html>
pub(super) fn get(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::GetObjectAttributesInput,
) -> Reply<dto::GetObjectAttributesOutput> {
    let bucket = model.bucket(call.target().bucket)?;
    let (version, object) = bucket.read(call.target().key, call.version_id())?;
    let key_md5 = call.customer_key_md5("x-amz-server-side-encryption-customer-key-md5");
    check_customer_key(object, key_md5.as_deref())?;
    let wanted: Vec<_> = call
        .headers
        .get_all("x-amz-object-attributes")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let known = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    if wanted.is_empty() || wanted.iter().any(|name| !known.contains(name)) {
        return Err(SimErrorCode::InvalidArgument.into());
    }
    let wants = |name: &str| wanted.contains(&name);
    let mut output = dto::GetObjectAttributesOutput::default();
    if wants("ETag") {
        // This response has the ETag without quotes: see `without_quotes`.
        output.e_tag = super::etag(&object.etag);
    }
    if wants("StorageClass") {
        output.storage_class = Some(object.storage_class().to_owned().into());
    }
    if wants("ObjectSize") {
        output.object_size = signed(object.content.size_bytes());
    }
    if wants("Checksum") {
        output.checksum = checksum(object);
    }
    if wants("ObjectParts") {
        output.object_parts = parts(call, object);
    }
    let mut headers = ResponseHeaders::default();
    headers
        .set("last-modified", http_date(version.last_modified))
        .set_some("x-amz-version-id", shown_id(bucket.versioning, version));
    Ok(with_headers(output, headers))
}

fn checksum(object: &SimObject) -> Option<dto::Checksum> {
    let checksum = object.checksum.as_ref()?;
    let mut shown = dto::Checksum::default();
    // This response has composite checksums without the number of parts.
    let value = checksum.value.split('-').next().unwrap_or_default();
    set_checksum!(shown, checksum.algorithm, value);
    shown.checksum_type = Some(checksum.kind.name().to_owned().into());
    Some(shown)
}

fn parts(call: &SimRequest, object: &SimObject) -> Option<dto::GetObjectAttributesParts> {
    if object.parts.is_empty() {
        return None;
    }
    let mut shown = dto::GetObjectAttributesParts {
        total_parts_count: i32::try_from(object.parts.len()).ok(),
        ..dto::GetObjectAttributesParts::default()
    };
    if !object.lists_parts {
        return Some(shown);
    }
    let number = |name: &str| call.header(name).and_then(|text| text.parse::<u32>().ok());
    let marker = number("x-amz-part-number-marker").unwrap_or(0);
    let limit = number("x-amz-max-parts")
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(PAGE_LIMIT, |limit| limit.min(PAGE_LIMIT));
    let mut rest = object.parts.iter().filter(|part| part.number > marker);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    shown.is_truncated = Some(rest.next().is_some());
    shown.max_parts = i32::try_from(limit).ok();
    shown.part_number_marker = i32::try_from(marker).ok();
    shown.next_part_number_marker = page.last().and_then(|part| i32::try_from(part.number).ok());
    let algorithm = object.checksum.as_ref().map(|checksum| checksum.algorithm);
    let entries = page.into_iter().map(|part| {
        let mut entry = dto::ObjectPart {
            part_number: i32::try_from(part.number).ok(),
            size: signed(part.size_bytes),
            ..dto::ObjectPart::default()
        };
        if let (Some(algorithm), Some(value)) = (algorithm, &part.checksum) {
            set_checksum!(entry, algorithm, value);
        }
        entry
    });
    shown.parts = Some(entries.collect());
    Some(shown)
}
