//! `ListObjects`, `ListObjectsV2`, `ListObjectVersions` and `ListMultipartUploads`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use s3s::dto;

use super::names::NameEncoding;
use super::{Reply, etag, initiator, owner, reply, signed, timestamp};
use crate::sim::http::call::SimRequest;
use crate::sim::model::error::{SimError, SimErrorCode, SimResult};
use crate::sim::model::listing::{
    LastListed, ListingMarker, ListingRequest, PAGE_LIMIT, SimListedObject, SimListedVersion,
};
use crate::sim::model::object::{STANDARD, SimChecksum, SimObject};
use crate::sim::model::simulator::Simulator;

fn listing(call: &SimRequest, after: ListingMarker, limit_name: &str) -> SimResult<ListingRequest> {
    let limit = match call.query(limit_name) {
        None | Some("") => PAGE_LIMIT,
        Some(text) => {
            let bad = || {
                SimError::because(
                    SimErrorCode::InvalidArgument,
                    format!("{limit_name} is not a number from 0 on"),
                )
            };
            text.parse::<usize>().map_err(|_| bad())?.min(PAGE_LIMIT)
        }
    };
    Ok(ListingRequest {
        prefix: call.query("prefix").unwrap_or_default().to_owned(),
        delimiter: some(call, "delimiter"),
        after,
        limit,
    })
}

fn some(call: &SimRequest, name: &str) -> Option<String> {
    call.query(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn limit_field(listing: &ListingRequest) -> Option<i32> {
    i32::try_from(listing.limit).ok()
}

fn algorithms(checksum: Option<&SimChecksum>) -> Option<Vec<dto::ChecksumAlgorithm>> {
    checksum.map(|checksum| vec![checksum.algorithm.name().to_owned().into()])
}

fn kind(object: &SimObject) -> Option<dto::ChecksumType> {
    object
        .checksum
        .as_ref()
        .map(|checksum| checksum.kind.name().to_owned().into())
}

fn object(names: NameEncoding, listed: &SimListedObject<'_>, with_owner: bool) -> dto::Object {
    dto::Object {
        checksum_algorithm: algorithms(listed.object.checksum.as_ref()),
        checksum_type: kind(listed.object),
        e_tag: etag(&listed.object.etag),
        key: names.write(listed.key),
        last_modified: timestamp(listed.version.last_modified),
        owner: with_owner.then(owner),
        size: signed(listed.object.content.size_bytes()),
        storage_class: Some(listed.object.storage_class().to_owned().into()),
        ..dto::Object::default()
    }
}

/// Lists objects (`ListObjects`).
pub(super) fn objects(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::ListObjectsInput,
) -> Reply<dto::ListObjectsOutput> {
    let names = NameEncoding::of(call)?;
    let after = some(call, "marker").map_or(ListingMarker::Beginning, ListingMarker::Key);
    let listing = listing(call, after, "max-keys")?;
    let page = listing.objects(model.bucket(call.target().bucket)?);
    // NextMarker is returned only with a delimiter. Without it, clients continue after the last key.
    let is_truncated = page.next.is_some();
    let next = page.next.filter(|_| listing.delimiter.is_some());
    Ok(reply(dto::ListObjectsOutput {
        name: call.bucket.clone(),
        prefix: names.write(&listing.prefix),
        marker: names.write(call.query("marker").unwrap_or_default()),
        max_keys: limit_field(&listing),
        is_truncated: Some(is_truncated),
        contents: Some(page.entries.iter().map(|listed| object(names, listed, true)).collect()),
        common_prefixes: names.prefixes(page.prefixes),
        delimiter: listing
            .delimiter
            .as_deref()
            .and_then(|delimiter| names.write(delimiter)),
        next_marker: next.and_then(|last| names.write(&last.key)),
        encoding_type: names.encoding(),
        ..dto::ListObjectsOutput::default()
    }))
}

/// Returns an opaque continuation token for the key after which the listing continues.
fn token(last: &LastListed) -> String {
    BASE64.encode(&last.key)
}

fn after_token(token: &str) -> SimResult<ListingMarker> {
    let bad = || {
        SimError::because(
            SimErrorCode::InvalidArgument,
            "The continuation token provided is incorrect",
        )
    };
    let bytes = BASE64.decode(token).map_err(|_| bad())?;
    Ok(ListingMarker::Key(String::from_utf8(bytes).map_err(|_| bad())?))
}

/// Lists objects (`ListObjectsV2`).
pub(super) fn objects_v2(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::ListObjectsV2Input,
) -> Reply<dto::ListObjectsV2Output> {
    let names = NameEncoding::of(call)?;
    let after = match (call.query("continuation-token"), some(call, "start-after")) {
        (Some(token), _) => after_token(token)?,
        (None, Some(key)) => ListingMarker::StartAfter(key),
        (None, None) => ListingMarker::Beginning,
    };
    let listing = listing(call, after, "max-keys")?;
    let page = listing.objects(model.bucket(call.target().bucket)?);
    let with_owner = call.query("fetch-owner") == Some("true");
    let contents: Vec<_> = page
        .entries
        .iter()
        .map(|listed| object(names, listed, with_owner))
        .collect();
    Ok(reply(dto::ListObjectsV2Output {
        name: call.bucket.clone(),
        prefix: names.write(&listing.prefix),
        max_keys: limit_field(&listing),
        key_count: i32::try_from(contents.len() + page.prefixes.len()).ok(),
        continuation_token: some(call, "continuation-token"),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(token),
        contents: Some(contents),
        common_prefixes: names.prefixes(page.prefixes),
        delimiter: listing
            .delimiter
            .as_deref()
            .and_then(|delimiter| names.write(delimiter)),
        encoding_type: names.encoding(),
        start_after: some(call, "start-after").and_then(|key| names.write(&key)),
        ..dto::ListObjectsV2Output::default()
    }))
}

/// Returns where a listing of versions or uploads continues. An id requires a key marker.
fn after_marker(call: &SimRequest, id_name: &str) -> SimResult<ListingMarker> {
    match (some(call, "key-marker"), some(call, id_name)) {
        (None, None) => Ok(ListingMarker::Beginning),
        (Some(key), None) => Ok(ListingMarker::Key(key)),
        (Some(key), Some(id)) => Ok(ListingMarker::Within(key, id)),
        (None, Some(_)) => Err(SimError::because(
            SimErrorCode::InvalidArgument,
            format!("A {id_name} cannot be specified without a key marker"),
        )),
    }
}

/// Lists versions (`ListObjectVersions`).
pub(super) fn versions(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::ListObjectVersionsInput,
) -> Reply<dto::ListObjectVersionsOutput> {
    let names = NameEncoding::of(call)?;
    let listing = listing(call, after_marker(call, "version-id-marker")?, "max-keys")?;
    let page = listing.versions(model.bucket(call.target().bucket)?);
    let mut versions = Vec::new();
    let mut markers = Vec::new();
    let mut order = VersionOrder::default();
    for listed in &page.entries {
        order.0.push(listed.version.object().is_none());
        match listed.version.object() {
            Some(object) => versions.push(version(names, listed, object)),
            None => markers.push(dto::DeleteMarkerEntry {
                is_latest: Some(listed.is_latest),
                key: names.write(listed.key),
                last_modified: timestamp(listed.version.last_modified),
                owner: Some(owner()),
                version_id: Some(listed.version.id.clone()),
            }),
        }
    }
    let mut response = reply(dto::ListObjectVersionsOutput {
        name: call.bucket.clone(),
        prefix: names.write(&listing.prefix),
        key_marker: names.write(call.query("key-marker").unwrap_or_default()),
        version_id_marker: Some(call.query("version-id-marker").unwrap_or_default().to_owned()),
        max_keys: limit_field(&listing),
        is_truncated: Some(page.next.is_some()),
        next_key_marker: page.next.as_ref().and_then(|last| names.write(&last.key)),
        next_version_id_marker: page.next.and_then(|last| last.id),
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: names.prefixes(page.prefixes),
        delimiter: listing
            .delimiter
            .as_deref()
            .and_then(|delimiter| names.write(delimiter)),
        encoding_type: names.encoding(),
        ..dto::ListObjectVersionsOutput::default()
    });
    response.extensions.insert(order);
    Ok(response)
}

/// Order of the entries of a version listing: whether each entry is a delete marker.
///
/// s3s writes all objects before all delete markers, while S3 writes them in the order of the listing.
#[derive(Debug, Clone, Default)]
pub(crate) struct VersionOrder(Vec<bool>);

impl VersionOrder {
    /// Restores the order of the entries in a listing document.
    pub(crate) fn put(&self, document: &str) -> String {
        let (mut objects, mut markers) = (blocks(document, "Version"), blocks(document, "DeleteMarker"));
        if objects.is_empty() || markers.is_empty() {
            return document.to_owned();
        }
        let mut rest = document.to_owned();
        for block in objects.iter().chain(&markers) {
            rest = rest.replacen(block, "", 1);
        }
        objects.reverse();
        markers.reverse();
        let next = |is_marker: &bool| if *is_marker { markers.pop() } else { objects.pop() };
        let entries: String = self.0.iter().filter_map(next).collect();
        let end = "</ListVersionsResult>";
        rest.replacen(end, &format!("{entries}{end}"), 1)
    }
}

/// Returns the elements with a name. Elements must not be nested.
fn blocks<'d>(document: &'d str, name: &str) -> Vec<&'d str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut blocks = Vec::new();
    let mut rest = document;
    while let Some((_, after)) = rest.split_once(&begin) {
        let Some((inside, behind)) = after.split_once(&end) else {
            break;
        };
        let length = begin.len() + inside.len() + end.len();
        let at = document.len() - after.len() - begin.len();
        blocks.extend(document.get(at..at + length));
        rest = behind;
    }
    blocks
}

fn version(names: NameEncoding, listed: &SimListedVersion<'_>, object: &SimObject) -> dto::ObjectVersion {
    dto::ObjectVersion {
        checksum_algorithm: algorithms(object.checksum.as_ref()),
        checksum_type: kind(object),
        e_tag: etag(&object.etag),
        is_latest: Some(listed.is_latest),
        key: names.write(listed.key),
        last_modified: timestamp(listed.version.last_modified),
        owner: Some(owner()),
        size: signed(object.content.size_bytes()),
        storage_class: Some(object.storage_class().to_owned().into()),
        version_id: Some(listed.version.id.clone()),
        ..dto::ObjectVersion::default()
    }
}

/// Lists multipart uploads (`ListMultipartUploads`).
pub(super) fn uploads(
    model: &mut Simulator,
    call: &SimRequest,
    _: dto::ListMultipartUploadsInput,
) -> Reply<dto::ListMultipartUploadsOutput> {
    let names = NameEncoding::of(call)?;
    // An upload id without a key marker is ignored.
    let after = match some(call, "key-marker") {
        Some(_) => after_marker(call, "upload-id-marker")?,
        None => ListingMarker::Beginning,
    };
    let listing = listing(call, after, "max-uploads")?;
    let page = listing.uploads(model.bucket(call.target().bucket)?);
    let uploads = page.entries.iter().map(|listed| dto::MultipartUpload {
        checksum_algorithm: listed
            .upload
            .checksum
            .map(|(algorithm, _)| algorithm.name().to_owned().into()),
        checksum_type: listed.upload.checksum.map(|(_, kind)| kind.name().to_owned().into()),
        initiated: timestamp(listed.upload.begun.at),
        initiator: Some(initiator(listed.upload)),
        key: names.write(&listed.upload.key),
        owner: Some(owner()),
        storage_class: Some(
            listed
                .upload
                .explicit
                .storage_class
                .as_deref()
                .unwrap_or(STANDARD)
                .to_owned()
                .into(),
        ),
        upload_id: Some(listed.id.to_owned()),
    });
    Ok(reply(dto::ListMultipartUploadsOutput {
        bucket: call.bucket.clone(),
        prefix: names.write(&listing.prefix),
        key_marker: names.write(call.query("key-marker").unwrap_or_default()),
        upload_id_marker: Some(call.query("upload-id-marker").unwrap_or_default().to_owned()),
        max_uploads: limit_field(&listing),
        is_truncated: Some(page.next.is_some()),
        uploads: Some(uploads.collect()),
        next_key_marker: page.next.as_ref().and_then(|last| names.write(&last.key)),
        next_upload_id_marker: page.next.and_then(|last| last.id),
        common_prefixes: names.prefixes(page.prefixes),
        delimiter: listing
            .delimiter
            .as_deref()
            .and_then(|delimiter| names.write(delimiter)),
        encoding_type: names.encoding(),
        ..dto::ListMultipartUploadsOutput::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::VersionOrder;

    #[test]
    fn objects_and_delete_markers_are_listed_in_their_order() {
        let document = "<ListVersionsResult><Name>b</Name><DeleteMarker><Key>2</Key></DeleteMarker>\
                        <Version><Key>1</Key></Version><Version><Key>3</Key></Version><MaxKeys>9</MaxKeys></ListVersionsResult>";
        let expected = "<ListVersionsResult><Name>b</Name><MaxKeys>9</MaxKeys><Version><Key>1</Key></Version>\
                        <DeleteMarker><Key>2</Key></DeleteMarker><Version><Key>3</Key></Version></ListVersionsResult>";
        assert_eq!(VersionOrder(vec![false, true, false]).put(document), expected);
        let alike = "<ListVersionsResult><Version>1</Version></ListVersionsResult>";
        assert_eq!(VersionOrder(vec![false]).put(alike), alike);
    }
}
