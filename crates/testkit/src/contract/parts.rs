//! Contract of multipart uploads and of attribute updates.

use std::collections::{BTreeMap, BTreeSet};

use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts};
use s3ferry_core::names::{ETag, ObjectKey, VersionId};
use s3ferry_core::order::{
    AttributeUpdate, CopiedMetadata, CopyMethod, CopyOrder, ExplicitAttributes, SourcePin, UploadParameters,
    WriteCondition,
};
use s3ferry_core::plan::{CopyPlan, PartLayout, SMALLEST_PART_BYTES, plan};
use s3ferry_core::upload::UploadId;
use s3ferry_engine::ports::{
    CopiedPart, DestinationObjects as _, MultipartUploads as _, SourceBucket, UploadCompletion, WriteError,
    WrittenObject,
};

use super::{ContractFixture, Deviation, SampleObject, destination_facts, destination_state, key, order, source_facts};

pub(super) async fn run(fixture: &impl ContractFixture) {
    multipart_copy_carries_content_metadata_and_tags(fixture).await;
    completion_onto_a_changed_object_writes_nothing(fixture).await;
    completion_onto_an_existing_object_writes_nothing(fixture).await;
    completion_with_unexpected_size_writes_nothing(fixture).await;
    part_of_a_changed_source_is_not_copied(fixture).await;
    aborted_upload_does_not_exist(fixture).await;
    only_uploads_of_the_key_are_listed(fixture).await;
    tags_are_updated_on_the_given_version(fixture).await;
    attributes_are_read_of_the_same_object_version(fixture).await;
    object_without_multipart_upload_has_no_layout(fixture).await;
}

/// Creates an object that needs two parts.
fn large(key: &str, letter: &str) -> SampleObject {
    let size = usize::try_from(SMALLEST_PART_BYTES).expect("part size fits into usize") + 3;
    SampleObject {
        user_metadata: BTreeMap::from([("owner".to_owned(), "team a".to_owned())]),
        tags: BTreeMap::from([("stage".to_owned(), "a b+c".to_owned())]),
        ..SampleObject::plain(key, &letter.repeat(size))
    }
}

fn multipart_order(facts: &ObjectFacts, condition: WriteCondition) -> CopyOrder {
    let single = order(facts, condition);
    CopyOrder {
        in_place: None,
        method: CopyMethod::Multipart,
        explicit: ExplicitAttributes {
            metadata: Some(CopiedMetadata {
                headers: facts.headers.clone(),
                user: facts.user_metadata.clone(),
            }),
            tags: facts.tags.clone(),
            ..single.explicit.clone()
        },
        ..single
    }
}

struct Begun {
    order: CopyOrder,
    plan: CopyPlan,
    id: UploadId,
}

/// Writes `sample` to the source and creates the upload that copies it.
async fn begin(fixture: &impl ContractFixture, sample: &SampleObject, condition: WriteCondition) -> Begun {
    fixture.put_source(sample).await;
    let facts = source_facts(fixture, &sample.key).await;
    let order = multipart_order(&facts, condition);
    let plan = plan(facts.size_bytes, &PartLayout::NotMultipart, SMALLEST_PART_BYTES).expect("valid part plan");
    let terms = UploadParameters::new(&order, &plan);
    let id = fixture.destination().create_upload(&sample.key, &terms).await;
    Begun {
        order,
        plan,
        id: id.expect("upload is created"),
    }
}

async fn copy_parts(fixture: &impl ContractFixture, key: &ObjectKey, begun: &Begun) -> Vec<CopiedPart> {
    let mut copied = Vec::new();
    for part in begun.plan.parts() {
        let part = fixture.destination().copy_part(key, &begun.id, &begun.order.pin, &part);
        copied.push(part.await.expect("part is copied"));
    }
    copied
}

fn completion(begun: &Begun, parts: &[CopiedPart]) -> UploadCompletion {
    UploadCompletion {
        parts: parts.to_vec(),
        condition: begun.order.condition.clone(),
        size_bytes: begun.order.size_bytes,
        checksum: UploadParameters::new(&begun.order, &begun.plan).explicit.checksum,
    }
}

async fn complete(
    fixture: &impl ContractFixture,
    key: &ObjectKey,
    begun: &Begun,
    completion: &UploadCompletion,
) -> Result<WrittenObject, WriteError> {
    fixture.destination().complete_upload(key, &begun.id, completion).await
}

async fn abort(fixture: &impl ContractFixture, key: &ObjectKey, begun: &Begun) {
    let aborted = fixture.destination().abort_upload(key, &begun.id).await;
    aborted.expect("abort succeeds, also for an upload that does not exist");
}

async fn multipart_copy_carries_content_metadata_and_tags(fixture: &impl ContractFixture) {
    let sample = large("contract/parts", "x");
    let begun = begin(fixture, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(fixture, &sample.key, &begun).await;
    let listed = fixture.destination().list_parts(&sample.key, &begun.id).await;
    let listed = if Deviation::ListPartsIsUnreadable.is_known(fixture, listed.is_err()) {
        parts.clone()
    } else {
        listed.expect("parts are listed").expect("upload exists")
    };
    let described = |parts: &[CopiedPart]| -> Vec<(u32, u64, ETag)> {
        let describe = |part: &CopiedPart| (part.number, part.size_bytes, part.etag.clone());
        parts.iter().map(describe).collect()
    };
    assert_eq!(described(&listed), described(&parts));
    assert_eq!(
        listed.iter().map(|part| part.size_bytes).collect::<Vec<_>>(),
        [SMALLEST_PART_BYTES, 3]
    );
    let written = complete(fixture, &sample.key, &begun, &completion(&begun, &listed)).await;
    let written = written.expect("listed parts can be completed");
    let content = fixture.destination_content(&sample.key).await;
    assert!(
        content == Some(sample.content.clone()),
        "the object differs from the source content"
    );
    let facts = destination_facts(fixture, &sample.key).await;
    assert_eq!((facts.version_id, facts.etag), (written.version_id, written.etag));
    assert_eq!(facts.user_metadata, sample.user_metadata);
    let drops = Deviation::UploadDropsTags.is_known(fixture, facts.tags == Some(BTreeMap::new()));
    let differs = facts.tags.as_ref() != Some(&sample.tags);
    if !drops && !Deviation::UploadDecodesTagsTwice.is_known(fixture, differs) {
        assert_eq!(facts.tags, Some(sample.tags));
    }
}

async fn completion_onto_a_changed_object_writes_nothing(fixture: &impl ContractFixture) {
    let sample = large("contract/parts-moved", "x");
    fixture
        .put_destination(&SampleObject::plain("contract/parts-moved", "seen"))
        .await;
    let seen = destination_facts(fixture, &sample.key).await.etag;
    let begun = begin(fixture, &sample, WriteCondition::Matches(seen)).await;
    let parts = copy_parts(fixture, &sample.key, &begun).await;
    fixture
        .put_destination(&SampleObject::plain("contract/parts-moved", "newer"))
        .await;
    let completed = complete(fixture, &sample.key, &begun, &completion(&begun, &parts)).await;
    if !Deviation::CompletionIgnoresIfMatch.is_known(fixture, completed.is_ok()) {
        assert_eq!(completed, Err(WriteError::PreconditionFailed));
        assert_eq!(fixture.destination_content(&sample.key).await.as_deref(), Some("newer"));
    }
    abort(fixture, &sample.key, &begun).await;
}

async fn completion_onto_an_existing_object_writes_nothing(fixture: &impl ContractFixture) {
    let sample = large("contract/parts-there", "x");
    let begun = begin(fixture, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(fixture, &sample.key, &begun).await;
    fixture
        .put_destination(&SampleObject::plain("contract/parts-there", "there"))
        .await;
    let completed = complete(fixture, &sample.key, &begun, &completion(&begun, &parts)).await;
    assert_eq!(completed, Err(WriteError::PreconditionFailed));
    assert_eq!(fixture.destination_content(&sample.key).await.as_deref(), Some("there"));
    abort(fixture, &sample.key, &begun).await;
}

async fn completion_with_unexpected_size_writes_nothing(fixture: &impl ContractFixture) {
    let sample = large("contract/parts-torn", "x");
    let begun = begin(fixture, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(fixture, &sample.key, &begun).await;
    let first = parts.get(..1).expect("two parts");
    let completed = complete(fixture, &sample.key, &begun, &completion(&begun, first)).await;
    if !Deviation::CompletionIgnoresSize.is_known(fixture, completed.is_ok()) {
        assert!(matches!(completed, Err(WriteError::Failed(_))), "{completed:?}");
        assert_eq!(fixture.destination_content(&sample.key).await, None);
    }
    abort(fixture, &sample.key, &begun).await;
}

async fn part_of_a_changed_source_is_not_copied(fixture: &impl ContractFixture) {
    let sample = large("contract/parts-pinned", "x");
    let begun = begin(fixture, &sample, WriteCondition::Absent).await;
    let other = SourcePin {
        etag: ETag::new("0123456789abcdef0123456789abcdef").expect("valid ETag"),
        ..begun.order.pin.clone()
    };
    let first = begun.plan.parts().next().expect("plan has a part");
    let copied = fixture
        .destination()
        .copy_part(&sample.key, &begun.id, &other, &first)
        .await;
    if !Deviation::PartIgnoresSourceEtag.is_known(fixture, copied.is_ok()) {
        assert_eq!(copied, Err(WriteError::PreconditionFailed));
    }
    abort(fixture, &sample.key, &begun).await;
}

async fn aborted_upload_does_not_exist(fixture: &impl ContractFixture) {
    let sample = large("contract/parts-aborted", "x");
    let begun = begin(fixture, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(fixture, &sample.key, &begun).await;
    abort(fixture, &sample.key, &begun).await;
    abort(fixture, &sample.key, &begun).await;
    let listed = fixture.destination().list_parts(&sample.key, &begun.id).await;
    assert_eq!(listed.expect("destination answers"), None);
    let first = begun.plan.parts().next().expect("plan has a part");
    let copied = fixture
        .destination()
        .copy_part(&sample.key, &begun.id, &begun.order.pin, &first)
        .await;
    let fails = matches!(copied, Err(WriteError::Failed(_)));
    if !Deviation::MissingUploadIsServerError.is_known(fixture, fails) {
        assert_eq!(copied, Err(WriteError::PreconditionFailed));
    }
    let completed = complete(fixture, &sample.key, &begun, &completion(&begun, &parts)).await;
    let fails = matches!(completed, Err(WriteError::Failed(_)));
    if !Deviation::MissingUploadIsServerError.is_known(fixture, fails) {
        assert_eq!(completed, Err(WriteError::PreconditionFailed));
    }
    assert_eq!(fixture.destination_content(&sample.key).await, None);
}

async fn only_uploads_of_the_key_are_listed(fixture: &impl ContractFixture) {
    let destination = fixture.destination();
    let listed = key("contract/parts-listed +&%C3%BC");
    assert_eq!(destination.list_uploads(&listed).await, Ok(vec![]));
    let longer = key(&format!("{listed}-longer"));
    let mut begun = Vec::new();
    for of in [&listed, &longer, &listed] {
        let id = destination.create_upload(of, &UploadParameters::plain(None)).await;
        begun.push((of, id.expect("upload is created")));
    }
    let uploads = destination.list_uploads(&listed).await.expect("uploads are listed");
    let ids: BTreeSet<&UploadId> = uploads.iter().map(|upload| &upload.id).collect();
    let expected = begun.iter().filter(|(of, _)| *of == &listed).map(|(_, id)| id);
    assert_eq!(ids, expected.collect());
    // All uploads have one initiator.
    let initiators: BTreeSet<_> = uploads.iter().map(|upload| &upload.initiator).collect();
    assert_eq!(initiators.len(), 1, "{uploads:?}");
    assert!(uploads.iter().all(|upload| upload.initiator.is_some()), "{uploads:?}");
    for (of, id) in &begun {
        let aborted = destination.abort_upload(of, id).await;
        aborted.expect("upload is aborted");
    }
    assert_eq!(destination.list_uploads(&listed).await, Ok(vec![]));
}

fn retagged(version_id: VersionId, pin: SourcePin, value: &str) -> AttributeUpdate {
    AttributeUpdate {
        version_id: Some(version_id),
        // With a version id, the update ignores the ETag.
        etag: pin.etag.clone(),
        pin,
        tags: Some(BTreeMap::from([("stage".to_owned(), value.to_owned())])),
        lock: None,
        annotations: None,
        acl: None,
        encryption: None,
    }
}

async fn tags_are_updated_on_the_given_version(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/attribute-update", "same");
    fixture.put_source(&sample).await;
    fixture.put_destination(&sample).await;
    let pin = SourcePin::of(&source_facts(fixture, &sample.key).await);
    let Some(version_id) = destination_facts(fixture, &sample.key).await.version_id else {
        return;
    };
    let destination = fixture.destination();
    let attributes_updated = destination
        .update_attributes(&sample.key, &retagged(version_id, pin.clone(), "x/y z"))
        .await;
    attributes_updated.expect("tags are updated");
    let tags = destination_facts(fixture, &sample.key).await.tags;
    assert_eq!(tags, Some(BTreeMap::from([("stage".to_owned(), "x/y z".to_owned())])));
    // The version id of another key does not exist for this key.
    let other = SampleObject::plain("contract/attribute-update-other", "other");
    fixture.put_destination(&other).await;
    let foreign = destination_facts(fixture, &other.key).await.version_id;
    let foreign = foreign.expect("destination bucket has versioning");
    let attributes_updated = destination
        .update_attributes(&sample.key, &retagged(foreign, pin, "unwritten"))
        .await;
    if !Deviation::MissingVersionIsTagged.is_known(fixture, attributes_updated.is_ok()) {
        assert_eq!(attributes_updated, Err(WriteError::PreconditionFailed));
    }
}

async fn attributes_are_read_of_the_same_object_version(fixture: &impl ContractFixture) {
    let sample = SampleObject {
        tags: BTreeMap::from([("stage".to_owned(), "live".to_owned())]),
        ..SampleObject::plain("contract/read-more", "first")
    };
    fixture.put_source(&sample).await;
    let mut seen = source_facts(fixture, &sample.key).await;
    seen.tags = None;
    let attributes = AttributeSet::from([Attribute::Tags]);
    let source = fixture.source();
    let read = source.read_more(&sample.key, &seen, &attributes).await;
    let expected = ObjectFacts {
        tags: Some(sample.tags),
        ..seen.clone()
    };
    assert_eq!(read.expect("source answers"), Some(expected));
    // Attributes that were read before stay in the facts.
    let seen_with_tags = read_more(fixture, &sample.key, &seen, Attribute::Tags).await;
    let read = read_more(fixture, &sample.key, &seen_with_tags, Attribute::Annotations).await;
    assert_eq!(read.tags, seen_with_tags.tags);
    assert_eq!(read.annotations, Some(BTreeMap::new()));
    seen.version_id = source_facts(fixture, &super::key("contract/copied")).await.version_id;
    let read = source
        .read_more(&key("contract/never-written"), &seen, &attributes)
        .await;
    assert_eq!(read.expect("source answers"), None);
    assert!(destination_state(fixture, &sample.key).await.facts().is_none());
}

async fn read_more(
    fixture: &impl ContractFixture,
    key: &ObjectKey,
    seen: &ObjectFacts,
    attribute: Attribute,
) -> ObjectFacts {
    let read = fixture
        .source()
        .read_more(key, seen, &AttributeSet::from([attribute]))
        .await;
    read.expect("source answers").expect("object exists")
}

async fn object_without_multipart_upload_has_no_layout(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/layout", "content");
    fixture.put_source(&sample).await;
    let facts = source_facts(fixture, &sample.key).await;
    let layout = fixture.source().layout(&sample.key, &facts).await;
    assert_eq!(layout.expect("source answers"), PartLayout::NotMultipart);
}
