//! What every implementation of the bucket ports has to do, in memory as on any S3.

mod parts;
mod versions;

use std::collections::BTreeMap;

use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::order::{CopyMethod, CopyOrder, ExplicitAttributes, SourcePin, WriteCondition};
use s3ferry_engine::ports::{Absence, DestinationBucket, DestinationObjects as _, SourceBucket, WriteError};

/// A source and a destination bucket with the ports under test, and ways past the ports to set them up.
///
/// The source bucket has versioning.
pub trait ContractFixture: Sync {
    /// The source's port.
    fn source(&self) -> &impl SourceBucket;
    /// The destination's port.
    fn destination(&self) -> &impl DestinationBucket;
    /// Writes an object into the source bucket.
    fn put_source(&self, object: &SampleObject) -> impl Future<Output = ()> + Send;
    /// Writes an object into the destination bucket.
    fn put_destination(&self, object: &SampleObject) -> impl Future<Output = ()> + Send;
    /// Deletes the current object of the source by a delete marker.
    fn delete_source(&self, key: &ObjectKey) -> impl Future<Output = ()> + Send;
    /// Returns the content of the destination's current object.
    fn destination_content(&self, key: &ObjectKey) -> impl Future<Output = Option<String>> + Send;
    /// What this implementation is known to do otherwise, and why that is accepted.
    fn deviations(&self) -> &'static [Deviation];
}

/// A rule of S3 that an emulator does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// `CopyObject` ignores If-Match and If-None-Match on the destination.
    CopyIgnoresCondition,
    /// `CopyObject` ignores If-Match on the source.
    CopyIgnoresSourceTag,
    /// `UploadPartCopy` ignores If-Match on the source.
    PartIgnoresSourceTag,
    /// `CreateMultipartUpload` drops tags.
    UploadDropsTags,
    /// `CreateMultipartUpload` decodes the values of tags twice, so that `+` becomes a space.
    UploadDecodesTagsTwice,
    /// `CompleteMultipartUpload` ignores If-Match.
    CompletionIgnoresIfMatch,
    /// `CompleteMultipartUpload` ignores the size that is expected of the object.
    CompletionIgnoresSize,
    /// The answer to `ListParts` is not what S3 documents, so that no client reads it.
    PartsCannotBeListed,
    /// What concerns an upload that is gone is answered as an error of the server.
    UploadThatIsGoneBreaksTheServer,
    /// The answer to `GetBucketVersioning` is not what S3 documents, so that no client reads it.
    VersioningCannotBeRead,
    /// Tags are put on a version that is not there.
    TagsOfNoVersion,
    /// `ListObjectVersions` lists all objects and then all delete markers, so that their order within a second is lost.
    VersionsListedApart,
}

impl Deviation {
    /// Tells whether a world is on record with this deviation; if so, `shown` says that it has just been seen, because
    /// an entry that is no longer true must leave the list.
    fn is_known(self, world: &impl ContractFixture, shown: bool) -> bool {
        let known = world.deviations().contains(&self);
        assert!(shown || !known, "{self:?} is gone, so it must leave the list");
        known
    }
}

/// An object to write.
#[derive(Debug, Clone)]
pub struct SampleObject {
    /// Its key.
    pub key: ObjectKey,
    /// Its content.
    pub content: String,
    /// Its user metadata.
    pub user_metadata: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl SampleObject {
    /// Makes an object without metadata and tags.
    pub fn plain(key: &str, content: &str) -> Self {
        Self {
            key: self::key(key),
            content: content.to_owned(),
            user_metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }
}

tokio::task_local! {
    /// What every key of a run begins with, where that is set.
    static PREFIX: String;
}

/// Runs the suite with keys that begin with `prefix`, for a world that is not the suite's alone.
pub async fn run_below(prefix: &str, world: &impl ContractFixture) {
    PREFIX.scope(prefix.to_owned(), run(world)).await;
}

/// Makes a key of this run.
fn key(key: &str) -> ObjectKey {
    let prefix = PREFIX.try_with(Clone::clone).unwrap_or_default();
    ObjectKey::from_raw(format!("{prefix}{key}")).expect("a valid key")
}

/// Runs every rule of the suite on one world; panics at the first that does not hold.
pub async fn run(world: &impl ContractFixture) {
    missing_key_is_not_found(world).await;
    written_object_is_read_with_its_facts(world).await;
    deleted_object_is_a_delete_marker(world).await;
    absence_is_confirmed_only_when_nothing_is_there(world).await;
    copy_carries_content_metadata_and_tags(world).await;
    copy_of_odd_keys_keeps_them(world).await;
    copy_of_an_older_version_is_that_version(world).await;
    copy_with_another_tag_moves_nothing(world).await;
    copy_of_a_missing_version_moves_nothing(world).await;
    copy_onto_an_object_that_should_be_absent_moves_nothing(world).await;
    copy_onto_another_object_than_seen_moves_nothing(world).await;
    delete_takes_only_what_was_seen(world).await;
    parts::run(world).await;
    versions::run(world).await;
}

async fn source_facts(world: &impl ContractFixture, key: &ObjectKey) -> ObjectFacts {
    let tags = AttributeSet::from([Attribute::Tags]);
    match world.source().read(key, &tags).await.expect("the source answers") {
        ObjectState::Present(facts) => *facts,
        other => panic!("{key} should be at the source, found {other:?}"),
    }
}

async fn destination_state(world: &impl ContractFixture, key: &ObjectKey) -> ObjectState {
    let tags = AttributeSet::from([Attribute::Tags]);
    world
        .destination()
        .read(key, &tags)
        .await
        .expect("the destination answers")
}

async fn destination_facts(world: &impl ContractFixture, key: &ObjectKey) -> ObjectFacts {
    match destination_state(world, key).await {
        ObjectState::Present(facts) => *facts,
        other => panic!("{key} should be at the destination, found {other:?}"),
    }
}

/// Orders a copy in one request that states what S3 would reset.
fn order(facts: &ObjectFacts, condition: WriteCondition) -> CopyOrder {
    CopyOrder {
        in_place: None,
        pin: SourcePin::of(facts),
        condition,
        method: CopyMethod::SingleRequest,
        explicit: ExplicitAttributes {
            storage_class: facts.storage_class.clone(),
            website_redirect: facts.website_redirect.clone(),
            ..ExplicitAttributes::plain()
        },
        source_checksum: None,
        size_bytes: facts.size_bytes,
        follow_up: AttributeSet::new(),
    }
}

async fn missing_key_is_not_found(world: &impl ContractFixture) {
    let missing = key("contract/never-written");
    let state = world.source().read(&missing, &AttributeSet::new()).await;
    assert_eq!(state.expect("the source answers"), ObjectState::NotFound);
    assert_eq!(destination_state(world, &missing).await, ObjectState::NotFound);
}

async fn written_object_is_read_with_its_facts(world: &impl ContractFixture) {
    let mut sample = SampleObject::plain("contract/facts", "twelve bytes");
    sample.user_metadata.insert("owner".to_owned(), "team a".to_owned());
    sample.tags.insert("stage".to_owned(), "test".to_owned());
    world.put_source(&sample).await;
    let facts = source_facts(world, &sample.key).await;
    assert_eq!(facts.size_bytes, 12);
    assert_eq!(facts.user_metadata, sample.user_metadata);
    assert_eq!(facts.tags, Some(sample.tags));
    assert_eq!(facts.storage_class, "STANDARD");
    assert!(facts.version_id.is_some(), "the source bucket has versioning");

    let untagged = world
        .source()
        .read(&sample.key, &AttributeSet::new())
        .await
        .expect("the source answers");
    assert_eq!(untagged.facts().expect("an object").tags, None, "nobody asked for tags");
}

async fn deleted_object_is_a_delete_marker(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/deleted", "x");
    world.put_source(&sample).await;
    world.delete_source(&sample.key).await;
    let state = world.source().read(&sample.key, &AttributeSet::new()).await;
    assert_eq!(state.expect("the source answers"), ObjectState::DeleteMarker);
}

async fn absence_is_confirmed_only_when_nothing_is_there(world: &impl ContractFixture) {
    let confirm = async |key: &ObjectKey| world.source().confirm_absence(key).await.expect("the source answers");
    assert_eq!(confirm(&key("contract/absent")).await, Absence::Confirmed);
    let confirm_copy = async |key: &ObjectKey| {
        let confirmed = world.destination().confirm_absence(key).await;
        confirmed.expect("the destination answers")
    };
    assert_eq!(confirm_copy(&key("contract/absent")).await, Absence::Confirmed);
    let copy = SampleObject::plain("contract/there-already +&%", "x");
    world.put_destination(&copy).await;
    assert_eq!(confirm_copy(&copy.key).await, Absence::ObjectFound);

    // A longer key with the same beginning is somebody else's object.
    world.put_source(&SampleObject::plain("contract/absent-not", "x")).await;
    assert_eq!(confirm(&key("contract/absent")).await, Absence::Confirmed);

    let sample = SampleObject::plain("contract/there", "x");
    world.put_source(&sample).await;
    assert_eq!(confirm(&sample.key).await, Absence::ObjectFound);
}

async fn copy_carries_content_metadata_and_tags(world: &impl ContractFixture) {
    let mut sample = SampleObject::plain("contract/copied", "content");
    sample.user_metadata.insert("owner".to_owned(), "team b".to_owned());
    sample.tags.insert("stage".to_owned(), "test".to_owned());
    world.put_source(&sample).await;
    let facts = source_facts(world, &sample.key).await;
    let copied = world
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    let written = copied.expect("a copy onto nothing succeeds");
    let copy = destination_facts(world, &sample.key).await;
    assert_eq!(
        (&copy.version_id, &copy.etag),
        (&written.version_id, &written.etag),
        "the copy is the one that was answered"
    );
    assert_eq!(copy.user_metadata, sample.user_metadata);
    assert_eq!(copy.tags, Some(sample.tags));
    assert_eq!(copy.etag, facts.etag);
    assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("content"));
}

async fn copy_of_odd_keys_keeps_them(world: &impl ContractFixture) {
    let odd = [
        "contract/with space",
        "contract/plus+and%2Bpercent%20",
        "contract/ünï/日本",
        "contract/quotes'\"&<>",
        "contract/?query=#fragment",
        "contract//double//slash/",
        "contract/../dots/.",
    ];
    for name in odd {
        let sample = SampleObject::plain(name, name);
        world.put_source(&sample).await;
        let facts = source_facts(world, &sample.key).await;
        let copied = world
            .destination()
            .copy(&sample.key, &order(&facts, WriteCondition::Absent))
            .await;
        assert!(copied.is_ok(), "{name}: {copied:?}");
        assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some(name));
    }
}

async fn copy_of_an_older_version_is_that_version(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/pinned", "first");
    world.put_source(&sample).await;
    let first = source_facts(world, &sample.key).await;
    world
        .put_source(&SampleObject::plain("contract/pinned", "second"))
        .await;
    let copied = world
        .destination()
        .copy(&sample.key, &order(&first, WriteCondition::Absent))
        .await;
    copied.expect("a pinned version can be copied after it was overwritten");
    assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("first"));
}

async fn copy_with_another_tag_moves_nothing(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/retagged", "content");
    world.put_source(&sample).await;
    let mut facts = source_facts(world, &sample.key).await;
    facts.etag = ETag::new("00000000000000000000000000000000").expect("a tag");
    let copied = world
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    if Deviation::CopyIgnoresSourceTag.is_known(world, copied.is_ok()) {
        return;
    }
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(world.destination_content(&sample.key).await, None);
}

async fn copy_of_a_missing_version_moves_nothing(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/no-such-version", "content");
    world.put_source(&sample).await;
    let mut facts = source_facts(world, &sample.key).await;
    world
        .put_source(&SampleObject::plain("contract/other", "content"))
        .await;
    // The id of another key's version is well formed and names nothing here.
    facts.version_id = source_facts(world, &key("contract/other")).await.version_id;
    let copied = world
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(world.destination_content(&sample.key).await, None);
}

async fn copy_onto_an_object_that_should_be_absent_moves_nothing(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/occupied", "source");
    world.put_source(&sample).await;
    world
        .put_destination(&SampleObject::plain("contract/occupied", "destination"))
        .await;
    let facts = source_facts(world, &sample.key).await;
    let copied = world
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    if Deviation::CopyIgnoresCondition.is_known(world, copied.is_ok()) {
        return;
    }
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(
        world.destination_content(&sample.key).await.as_deref(),
        Some("destination")
    );
}

async fn copy_onto_another_object_than_seen_moves_nothing(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/moved", "source");
    world.put_source(&sample).await;
    world
        .put_destination(&SampleObject::plain("contract/moved", "seen"))
        .await;
    let seen = destination_facts(world, &sample.key).await.etag;
    world
        .put_destination(&SampleObject::plain("contract/moved", "newer"))
        .await;
    let facts = source_facts(world, &sample.key).await;
    let condition = WriteCondition::Matches(seen);
    let copied = world.destination().copy(&sample.key, &order(&facts, condition)).await;
    if Deviation::CopyIgnoresCondition.is_known(world, copied.is_ok()) {
        return;
    }
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("newer"));

    let seen = destination_facts(world, &sample.key).await.etag;
    let condition = WriteCondition::Matches(seen);
    let copied = world.destination().copy(&sample.key, &order(&facts, condition)).await;
    copied.expect("what was seen can be replaced");
    assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("source"));
}

async fn delete_takes_only_what_was_seen(world: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/to-delete", "first");
    world.put_destination(&sample).await;
    let seen = destination_facts(world, &sample.key).await.etag;
    world
        .put_destination(&SampleObject::plain("contract/to-delete", "second"))
        .await;
    let deleted = world.destination().delete(&sample.key, &seen).await;
    assert_eq!(deleted, Err(WriteError::PreconditionFailed));
    assert_eq!(world.destination_content(&sample.key).await.as_deref(), Some("second"));
    let seen = destination_facts(world, &sample.key).await.etag;
    world
        .destination()
        .delete(&sample.key, &seen)
        .await
        .expect("what was seen can be deleted");
    assert_eq!(world.destination_content(&sample.key).await, None);
    let state = destination_state(world, &sample.key).await;
    assert!(state.facts().is_none(), "{state:?}");
}
