//! Multipart uploads.

use std::collections::BTreeMap;

use http::StatusCode;
use s3s::dto;

use super::objects::{done, written_headers};
use super::{Reply, etag, initiator, owner, reply, set_checksum, signed, timestamp, with_headers, with_status};
use crate::sim::http::call::SimRequest;
use crate::sim::http::incoming::unquoted;
use crate::sim::http::outgoing::ResponseHeaders;
use crate::sim::model::complete::{CompletedPart, SimCompletion};
use crate::sim::model::content::SimContent;
use crate::sim::model::digest::ChecksumAlgorithm;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::listing::PAGE_LIMIT;
use crate::sim::model::multipart::{PartTarget, UploadedPart, upload_checksum};
use crate::sim::model::object::{STANDARD, SimEncryption};
use crate::sim::model::simulator::Simulator;

/// Creates a multipart upload (`CreateMultipartUpload`).
pub(super) fn create(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::CreateMultipartUploadInput,
) -> Reply<dto::CreateMultipartUploadOutput> {
    let checksum = upload_checksum(call.algorithm()?, call.checksum_kind()?)?;
    let id = model.create_upload(call.target(), call.access_key.clone(), call.explicit()?, checksum)?;
    let upload = model.upload(call.target(), &id)?;
    let mut headers = ResponseHeaders::default();
    headers.encryption(upload.explicit.encryption.as_ref().unwrap_or(&SimEncryption::S3));
    if let Some((algorithm, kind)) = checksum {
        headers
            .set("x-amz-checksum-algorithm", algorithm.name())
            .set("x-amz-checksum-type", kind.name());
    }
    let output = dto::CreateMultipartUploadOutput {
        bucket: call.bucket.clone(),
        key: call.key.clone(),
        upload_id: Some(id),
        ..dto::CreateMultipartUploadOutput::default()
    };
    Ok(with_headers(output, headers))
}

fn part_target(call: &SimRequest) -> SimResult<PartTarget<'_>> {
    let number = call
        .query("partNumber")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            SimError::because(
                SimErrorCode::InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive",
            )
        })?;
    Ok(PartTarget {
        target: call.target(),
        upload_id: call.query("uploadId").unwrap_or_default(),
        number,
    })
}

/// Returns the headers that responses for parts have.
fn part_headers(model: &Simulator, call: &SimRequest) -> SimResult<ResponseHeaders> {
    let part = part_target(call)?;
    let upload = model.upload(part.target, part.upload_id)?;
    let mut headers = ResponseHeaders::default();
    headers.encryption(upload.explicit.encryption.as_ref().unwrap_or(&SimEncryption::S3));
    Ok(headers)
}

/// Uploads a part (`UploadPart`).
pub(super) fn upload_part(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::UploadPartInput,
) -> Reply<dto::UploadPartOutput> {
    let content = SimContent::from(call.body.clone());
    let part = model.upload_part(part_target(call)?, content, &call.declared()?)?;
    let mut headers = part_headers(model, call)?;
    headers.set("etag", format!("\"{}\"", part.etag()));
    if let Some((algorithm, value)) = &part.checksum {
        headers.set(algorithm.header(), value);
    }
    Ok(with_headers(dto::UploadPartOutput::default(), headers))
}

/// Copies a part (`UploadPartCopy`).
pub(super) fn upload_part_copy(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::UploadPartCopyInput,
) -> Reply<dto::UploadPartCopyOutput> {
    let copied = model.upload_part_copy(part_target(call)?, &call.source()?, call.copy_range()?)?;
    let mut result = dto::CopyPartResult {
        e_tag: etag(&copied.part.etag()),
        last_modified: timestamp(copied.part.last_modified),
        ..dto::CopyPartResult::default()
    };
    if let Some((algorithm, value)) = &copied.part.checksum {
        set_checksum!(result, algorithm, value);
    }
    let mut headers = part_headers(model, call)?;
    headers.set_some("x-amz-copy-source-version-id", copied.source_version_id);
    let output = dto::UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..dto::UploadPartCopyOutput::default()
    };
    Ok(with_headers(output, headers))
}

/// Completes a multipart upload (`CompleteMultipartUpload`).
pub(super) fn complete(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::CompleteMultipartUploadInput,
) -> Reply<dto::CompleteMultipartUploadOutput> {
    let parts = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let expected_size_bytes = match call.header("x-amz-mp-object-size") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            SimError::because(
                SimErrorCode::InvalidArgument,
                "x-amz-mp-object-size is not a number of bytes",
            )
        })?),
    };
    let completion = SimCompletion {
        parts: parts.into_iter().map(named_part).collect::<SimResult<_>>()?,
        conditions: call.conditions(""),
        expected_size_bytes,
        declared: call.declared_checksums(),
        declared_kind: call.checksum_kind()?,
    };
    let id = call.query("uploadId").unwrap_or_default();
    let written = model.complete_upload(call.target(), id, &completion)?;
    let mut output = dto::CompleteMultipartUploadOutput {
        bucket: call.bucket.clone(),
        key: call.key.clone(),
        location: Some(format!(
            "http://localhost/{}/{}",
            call.target().bucket,
            call.target().key
        )),
        e_tag: etag(&written.object.etag),
        ..dto::CompleteMultipartUploadOutput::default()
    };
    if let Some(checksum) = &written.object.checksum {
        set_checksum!(output, checksum.algorithm, checksum.value);
        output.checksum_type = Some(checksum.kind.name().to_owned().into());
    }
    Ok(with_headers(output, written_headers(&written)))
}

fn named_part(part: dto::CompletedPart) -> SimResult<CompletedPart> {
    let number = part.part_number.and_then(|number| u32::try_from(number).ok());
    let values = [
        (ChecksumAlgorithm::Crc32, part.checksum_crc32),
        (ChecksumAlgorithm::Crc32c, part.checksum_crc32c),
        (ChecksumAlgorithm::Crc64Nvme, part.checksum_crc64nvme),
        (ChecksumAlgorithm::Sha1, part.checksum_sha1),
        (ChecksumAlgorithm::Sha256, part.checksum_sha256),
    ];
    let checksums: BTreeMap<_, _> = values
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
        .collect();
    Ok(CompletedPart {
        number: number.ok_or(SimErrorCode::MalformedXml)?,
        etag: part.e_tag.map(|etag| unquoted(etag.value())).unwrap_or_default(),
        checksums,
    })
}

/// Aborts a multipart upload (`AbortMultipartUpload`).
pub(super) fn abort(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::AbortMultipartUploadInput,
) -> Reply<dto::AbortMultipartUploadOutput> {
    model.abort_upload(call.target(), call.query("uploadId").unwrap_or_default())?;
    Ok(with_status(done(), StatusCode::NO_CONTENT))
}

/// Lists the parts of an upload (`ListParts`).
pub(super) fn list(
    model: &mut Simulator,
    call: &SimRequest,
    input: dto::ListPartsInput,
) -> Reply<dto::ListPartsOutput> {
    let id = call.query("uploadId").unwrap_or_default();
    let upload = model.upload(call.target(), id)?;
    let marker = call
        .query("part-number-marker")
        .and_then(|text| text.parse::<u32>().ok());
    let limit = input
        .max_parts
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(PAGE_LIMIT, |limit| limit.min(PAGE_LIMIT));
    let mut rest = upload.parts.range(marker.map_or(0, |marker| marker + 1)..);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let is_truncated = limit > 0 && rest.next().is_some();
    let last = page.last().map(|(number, _)| number.to_string());
    let class = upload.explicit.storage_class.as_deref().unwrap_or(STANDARD);
    Ok(reply(dto::ListPartsOutput {
        bucket: call.bucket.clone(),
        key: call.key.clone(),
        upload_id: Some(id.to_owned()),
        checksum_algorithm: upload.checksum.map(|(algorithm, _)| algorithm.name().to_owned().into()),
        checksum_type: upload.checksum.map(|(_, kind)| kind.name().to_owned().into()),
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: Some(marker_field(marker.unwrap_or(0))),
        next_part_number_marker: last.and_then(|last| last.parse().ok()),
        parts: Some(page.into_iter().map(|(number, part)| listed(*number, part)).collect()),
        initiator: Some(initiator(upload)),
        owner: Some(owner()),
        storage_class: Some(class.to_owned().into()),
        ..dto::ListPartsOutput::default()
    }))
}

fn marker_field(marker: u32) -> i32 {
    i32::try_from(marker).unwrap_or(i32::MAX)
}

fn listed(number: u32, part: &UploadedPart) -> dto::Part {
    let mut listed = dto::Part {
        part_number: i32::try_from(number).ok(),
        size: signed(part.content.size_bytes()),
        e_tag: etag(&part.etag()),
        last_modified: timestamp(part.last_modified),
        ..dto::Part::default()
    };
    if let Some((algorithm, value)) = &part.checksum {
        set_checksum!(listed, algorithm, value);
    }
    listed
}
