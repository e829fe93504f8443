//! The rules of uploads in parts, and of changes around the bytes.

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

pub(super) async fn run(world: &impl ContractFixture) {
    multipart_copy_carries_content_metadata_and_tags(world).await;
    completion_onto_another_object_than_seen_moves_nothing(world).await;
    completion_onto_an_object_that_should_be_absent_moves_nothing(world).await;
    completion_of_another_size_moves_nothing(world).await;
    part_of_another_content_is_not_copied(world).await;
    aborted_upload_is_gone(world).await;
    uploads_of_exactly_a_key_are_listed(world).await;
    tags_are_changed_on_the_version_named(world).await;
    more_is_read_of_exactly_the_object_seen(world).await;
    object_that_was_not_uploaded_in_parts_has_no_layout(world).await;
}

/// An object of two parts.
fn large(key: &str, letter: &str) -> SampleObject {
    let size = usize::try_from(SMALLEST_PART_BYTES).expect("a small number") + 3;
    SampleObject {
        user_metadata: BTreeMap::from([("owner".to_owned(), "team a".to_owned())]),
        tags: BTreeMap::from([("stage".to_owned(), "a b+c".to_owned())]),
        ..SampleObject::plain(key, &letter.repeat(size))
    }
}

fn multipart_order(facts: &ObjectFacts, condition: WriteCondition) -> CopyOrder {
    let whole = order(facts, condition);
    CopyOrder {
        in_place: None,
        method: CopyMethod::Multipart,
        explicit: ExplicitAttributes {
            metadata: Some(CopiedMetadata {
                headers: facts.headers.clone(),
                user: facts.user_metadata.clone(),
            }),
            tags: facts.tags.clone(),
            ..whole.explicit.clone()
        },
        ..whole
    }
}

struct Begun {
    order: CopyOrder,
    plan: CopyPlan,
    id: UploadId,
}

/// Puts `sample` at the source and begins to copy it.
async fn begin(world: &impl ContractFixture, sample: &SampleObject, condition: WriteCondition) -> Begun {
    world.put_source(sample).await;
    let facts = source_facts(world, &sample.key).await;
    let order = multipart_order(&facts, condition);
    let plan = plan(facts.size_bytes, &PartLayout::NotMultipart, SMALLEST_PART_BYTES).expect("a plan");
    let terms = UploadParameters::new(&order, &plan);
    let id = world.destination().create_upload(&sample.key, &terms).await;
    Begun {
        order,
        plan,
        id: id.expect("an upload begins"),
    }
}

async fn copy_parts(world: &impl ContractFixture, key: &ObjectKey, begun: &Begun) -> Vec<CopiedPart> {
    let mut copied = Vec::new();
    for part in begun.plan.parts() {
        let part = world.destination().copy_part(key, &begun.id, &begun.order.pin, &part);
        copied.push(part.await.expect("a part is copied"));
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
    world: &impl ContractFixture,
    key: &ObjectKey,
    begun: &Begun,
    completion: &UploadCompletion,
) -> Result<WrittenObject, WriteError> {
    world.destination().complete_upload(key, &begun.id, completion).await
}

async fn abort(world: &impl ContractFixture, key: &ObjectKey, begun: &Begun) {
    let aborted = world.destination().abort_upload(key, &begun.id).await;
    aborted.expect("an upload is aborted, or gone");
}

async fn multipart_copy_carries_content_metadata_and_tags(world: &impl ContractFixture) {
    let sample = large("contract/parts", "x");
    let begun = begin(world, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(world, &sample.key, &begun).await;
    let listed = world.destination().list_parts(&sample.key, &begun.id).await;
    let listed = if Deviation::PartsCannotBeListed.is_known(world, listed.is_err()) {
        parts.clone()
    } else {
        listed.expect("parts are listed").expect("the upload is there")
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
    let written = complete(world, &sample.key, &begun, &completion(&begun, &listed)).await;
    let written = written.expect("what is listed can be completed");
    let content = world.destination_content(&sample.key).await;
    assert!(
        content == Some(sample.content.clone()),
        "the parts make another content"
    );
    let facts = destination_facts(world, &sample.key).await;
    assert_eq!((facts.version_id, facts.etag), (written.version_id, written.etag));
    assert_eq!(facts.user_metadata, sample.user_metadata);
    let drops = Deviation::UploadDropsTags.is_known(world, facts.tags == Some(BTreeMap::new()));
    let differs = facts.tags.as_ref() != Some(&sample.tags);
    if !drops && !Deviation::UploadDecodesTagsTwice.is_known(world, differs) {
        assert_eq!(facts.tags, Some(sample.tags));
    }
}

async fn completion_onto_another_object_than_seen_moves_nothing(world: &impl ContractFixture) {
    let sample = large("contract/parts-moved", "x");
    world
        .put_destination(&SampleObject::plain("contract/parts-moved", "seen"))
        .await;
    let seen = destination_facts(world, &sample.key).await.etag;
    let begun = begin(world, &sample, WriteCondition::Matches(seen)).await;
    let parts = copy_parts(world, &sample.key, &begun).await;
    world
        .put_destination(&SampleObject::plain("contract/parts-moved", "newer"))
        .await;
    let completed = complete(world, &sample.key, &begun, &completion(&begun, &parts)).await;
    if !Deviation::CompletionIgnoresIfMatch.is_known(world, completed.is_ok()) {
        assert_eq!(completed, Err(WriteError::PreconditionFailed));
        assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("newer"));
    }
    abort(world, &sample.key, &begun).await;
}

async fn completion_onto_an_object_that_should_be_absent_moves_nothing(world: &impl ContractFixture) {
    let sample = large("contract/parts-there", "x");
    let begun = begin(world, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(world, &sample.key, &begun).await;
    world
        .put_destination(&SampleObject::plain("contract/parts-there", "there"))
        .await;
    let completed = complete(world, &sample.key, &begun, &completion(&begun, &parts)).await;
    assert_eq!(completed, Err(WriteError::PreconditionFailed));
    assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("there"));
    abort(world, &sample.key, &begun).await;
}

async fn completion_of_another_size_moves_nothing(world: &impl ContractFixture) {
    let sample = large("contract/parts-torn", "x");
    let begun = begin(world, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(world, &sample.key, &begun).await;
    let first = parts.get(..1).expect("two parts");
    let completed = complete(world, &sample.key, &begun, &completion(&begun, first)).await;
    if !Deviation::CompletionIgnoresSize.is_known(world, completed.is_ok()) {
        assert!(matches!(completed, Err(WriteError::Failed(_))), "{completed:?}");
        assert_eq!(world.destination_content(&sample.key).await, None);
    }
    abort(world, &sample.key, &begun).await;
}

async fn part_of_another_content_is_not_copied(world: &impl ContractFixture) {
    let sample = large("contract/parts-pinned", "x");
    let begun = begin(world, &sample, WriteCondition::Absent).await;
    let other = SourcePin {
        etag: ETag::new("0123456789abcdef0123456789abcdef").expect("a tag"),
        ..begun.order.pin.clone()
    };
    let first = begun.plan.parts().next().expect("a part");
    let copied = world
        .destination()
        .copy_part(&sample.key, &begun.id, &other, &first)
        .await;
    if !Deviation::PartIgnoresSourceTag.is_known(world, copied.is_ok()) {
        assert_eq!(copied, Err(WriteError::PreconditionFailed));
    }
    abort(world, &sample.key, &begun).await;
}

async fn aborted_upload_is_gone(world: &impl ContractFixture) {
    let sample = large("contract/parts-aborted", "x");
    let begun = begin(world, &sample, WriteCondition::Absent).await;
    let parts = copy_parts(world, &sample.key, &begun).await;
    abort(world, &sample.key, &begun).await;
    abort(world, &sample.key, &begun).await;
    let listed = world.destination().list_parts(&sample.key, &begun.id).await;
    assert_eq!(listed.expect("the destination answers"), None);
    let first = begun.plan.parts().next().expect("a part");
    let copied = world
        .destination()
        .copy_part(&sample.key, &begun.id, &begun.order.pin, &first)
        .await;
    let fails = matches!(copied, Err(WriteError::Failed(_)));
    if !Deviation::UploadThatIsGoneBreaksTheServer.is_known(world, fails) {
        assert_eq!(copied, Err(WriteError::PreconditionFailed));
    }
    let completed = complete(world, &sample.key, &begun, &completion(&begun, &parts)).await;
    let fails = matches!(completed, Err(WriteError::Failed(_)));
    if !Deviation::UploadThatIsGoneBreaksTheServer.is_known(world, fails) {
        assert_eq!(completed, Err(WriteError::PreconditionFailed));
    }
    assert_eq!(world.destination_content(&sample.key).await, None);
}

async fn uploads_of_exactly_a_key_are_listed(world: &impl ContractFixture) {
    let destination = world.destination();
    let listed = key("contract/parts-listed +&%C3%BC");
    assert_eq!(destination.list_uploads(&listed).await, Ok(vec![]));
    let longer = key(&format!("{listed}-longer"));
    let mut begun = Vec::new();
    for of in [&listed, &longer, &listed] {
        let id = destination.create_upload(of, &UploadParameters::plain(None)).await;
        begun.push((of, id.expect("an upload begins")));
    }
    let uploads = destination.list_uploads(&listed).await.expect("uploads are listed");
    let ids: BTreeSet<&UploadId> = uploads.iter().map(|upload| &upload.id).collect();
    let expected = begun.iter().filter(|(of, _)| *of == &listed).map(|(_, id)| id);
    assert_eq!(ids, expected.collect());
    // The same hand began them.
    let initiators: BTreeSet<_> = uploads.iter().map(|upload| &upload.initiator).collect();
    assert_eq!(initiators.len(), 1, "{uploads:?}");
    assert!(uploads.iter().all(|upload| upload.initiator.is_some()), "{uploads:?}");
    for (of, id) in &begun {
        let aborted = destination.abort_upload(of, id).await;
        aborted.expect("an upload is aborted");
    }
    assert_eq!(destination.list_uploads(&listed).await, Ok(vec![]));
}

fn retagged(version_id: VersionId, pin: SourcePin, value: &str) -> AttributeUpdate {
    AttributeUpdate {
        version_id: Some(version_id),
        // A version is named by its id alone.
        etag: pin.etag.clone(),
        pin,
        tags: Some(BTreeMap::from([("stage".to_owned(), value.to_owned())])),
        lock: None,
        annotations: None,
        acl: None,
        encryption: None,
    }
}

async fn tags_are_changed_on_the_version_named(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/amended", "same");
    world.put_source(&sample).await;
    world.put_destination(&sample).await;
    let pin = SourcePin::of(&source_facts(world, &sample.key).await);
    let Some(version_id) = destination_facts(world, &sample.key).await.version_id else {
        return;
    };
    let destination = world.destination();
    let attributes_updated = destination
        .update_attributes(&sample.key, &retagged(version_id, pin.clone(), "x/y z"))
        .await;
    attributes_updated.expect("tags are changed");
    let tags = destination_facts(world, &sample.key).await.tags;
    assert_eq!(tags, Some(BTreeMap::from([("stage".to_owned(), "x/y z".to_owned())])));
    // A version of another key is no version of this one.
    let other = SampleObject::plain("contract/amended-other", "other");
    world.put_destination(&other).await;
    let foreign = destination_facts(world, &other.key).await.version_id;
    let foreign = foreign.expect("the bucket has versions");
    let attributes_updated = destination
        .update_attributes(&sample.key, &retagged(foreign, pin, "lost"))
        .await;
    if !Deviation::TagsOfNoVersion.is_known(world, attributes_updated.is_ok()) {
        assert_eq!(attributes_updated, Err(WriteError::PreconditionFailed));
    }
}

async fn more_is_read_of_exactly_the_object_seen(world: &impl ContractFixture) {
    let sample = SampleObject {
        tags: BTreeMap::from([("stage".to_owned(), "live".to_owned())]),
        ..SampleObject::plain("contract/read-more", "first")
    };
    world.put_source(&sample).await;
    let mut seen = source_facts(world, &sample.key).await;
    seen.tags = None;
    let attributes = AttributeSet::from([Attribute::Tags]);
    let source = world.source();
    let read = source.read_more(&sample.key, &seen, &attributes).await;
    let expected = ObjectFacts {
        tags: Some(sample.tags),
        ..seen.clone()
    };
    assert_eq!(read.expect("the source answers"), Some(expected));
    // What was read before stays.
    let seen_with_tags = read_more(world, &sample.key, &seen, Attribute::Tags).await;
    let read = read_more(world, &sample.key, &seen_with_tags, Attribute::Annotations).await;
    assert_eq!(read.tags, seen_with_tags.tags);
    assert_eq!(read.annotations, Some(BTreeMap::new()));
    seen.version_id = source_facts(world, &super::key("contract/copied")).await.version_id;
    let read = source
        .read_more(&key("contract/never-written"), &seen, &attributes)
        .await;
    assert_eq!(read.expect("the source answers"), None);
    assert!(destination_state(world, &sample.key).await.facts().is_none());
}

async fn read_more(
    world: &impl ContractFixture,
    key: &ObjectKey,
    seen: &ObjectFacts,
    attribute: Attribute,
) -> ObjectFacts {
    let read = world
        .source()
        .read_more(key, seen, &AttributeSet::from([attribute]))
        .await;
    read.expect("the source answers").expect("the object is there")
}

async fn object_that_was_not_uploaded_in_parts_has_no_layout(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/layout", "content");
    world.put_source(&sample).await;
    let facts = source_facts(world, &sample.key).await;
    let layout = world.source().layout(&sample.key, &facts).await;
    assert_eq!(layout.expect("the source answers"), PartLayout::NotMultipart);
}
