//! Contract of the bucket ports, which every implementation must fulfill: in memory, on emulators and on S3.

mod fixture;
mod parts;
mod versions;

use s3ferry_core::facts::{Attribute, AttributeSet, ObjectFacts, ObjectState};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::order::{CopyMethod, CopyOrder, ExplicitAttributes, SourcePin, WriteCondition};
use s3ferry_engine::ports::{Absence, DestinationObjects as _, SourceBucket, WriteError};

pub use self::fixture::{ContractFixture, Deviation, SampleObject};

tokio::task_local! {
    /// Prefix of every key of a run, if the run has one.
    static PREFIX: String;
}

/// Runs the suite with keys that begin with `prefix`, for buckets that also contain other objects.
pub async fn run_below(prefix: &str, fixture: &impl ContractFixture) {
    PREFIX.scope(prefix.to_owned(), run(fixture)).await;
}

/// Returns a key below the prefix of this run.
fn key(key: &str) -> ObjectKey {
    let prefix = PREFIX.try_with(Clone::clone).unwrap_or_default();
    ObjectKey::from_raw(format!("{prefix}{key}")).expect("a valid key")
}

/// Runs every test of the suite on one implementation. Panics at the first failure.
pub async fn run(fixture: &impl ContractFixture) {
    missing_key_is_not_found(fixture).await;
    written_object_is_read_with_its_facts(fixture).await;
    deleted_object_is_a_delete_marker(fixture).await;
    absence_is_confirmed_only_without_an_object(fixture).await;
    copy_carries_content_metadata_and_tags(fixture).await;
    copy_preserves_unusual_keys(fixture).await;
    copy_of_an_older_version_is_that_version(fixture).await;
    copy_of_a_changed_source_writes_nothing(fixture).await;
    copy_of_a_missing_version_writes_nothing(fixture).await;
    copy_onto_an_existing_object_writes_nothing(fixture).await;
    copy_onto_a_changed_object_writes_nothing(fixture).await;
    delete_removes_only_the_object_that_was_read(fixture).await;
    parts::run(fixture).await;
    versions::run(fixture).await;
}

async fn source_facts(fixture: &impl ContractFixture, key: &ObjectKey) -> ObjectFacts {
    let tags = AttributeSet::from([Attribute::Tags]);
    match fixture.source().read(key, &tags).await.expect("source answers") {
        ObjectState::Present(facts) => *facts,
        other => panic!("{key}: object must exist at the source, found {other:?}"),
    }
}

async fn destination_state(fixture: &impl ContractFixture, key: &ObjectKey) -> ObjectState {
    let tags = AttributeSet::from([Attribute::Tags]);
    fixture
        .destination()
        .read(key, &tags)
        .await
        .expect("destination answers")
}

async fn destination_facts(fixture: &impl ContractFixture, key: &ObjectKey) -> ObjectFacts {
    match destination_state(fixture, key).await {
        ObjectState::Present(facts) => *facts,
        other => panic!("{key}: object must exist at the destination, found {other:?}"),
    }
}

/// Orders a single-request copy that sets the attributes S3 would reset.
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

async fn missing_key_is_not_found(fixture: &impl ContractFixture) {
    let missing = key("contract/never-written");
    let state = fixture.source().read(&missing, &AttributeSet::new()).await;
    assert_eq!(state.expect("source answers"), ObjectState::NotFound);
    assert_eq!(destination_state(fixture, &missing).await, ObjectState::NotFound);
}

async fn written_object_is_read_with_its_facts(fixture: &impl ContractFixture) {
    let mut sample = SampleObject::plain("contract/facts", "twelve bytes");
    sample.user_metadata.insert("owner".to_owned(), "team a".to_owned());
    sample.tags.insert("stage".to_owned(), "test".to_owned());
    fixture.put_source(&sample).await;
    let facts = source_facts(fixture, &sample.key).await;
    assert_eq!(facts.size_bytes, 12);
    assert_eq!(facts.user_metadata, sample.user_metadata);
    assert_eq!(facts.tags, Some(sample.tags));
    assert_eq!(facts.storage_class, "STANDARD");
    assert!(facts.version_id.is_some(), "the source bucket has versioning");

    let untagged = fixture
        .source()
        .read(&sample.key, &AttributeSet::new())
        .await
        .expect("source answers");
    assert_eq!(
        untagged.facts().expect("an object").tags,
        None,
        "the read did not request tags"
    );
}

async fn deleted_object_is_a_delete_marker(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/deleted", "x");
    fixture.put_source(&sample).await;
    fixture.delete_source(&sample.key).await;
    let state = fixture.source().read(&sample.key, &AttributeSet::new()).await;
    assert_eq!(state.expect("source answers"), ObjectState::DeleteMarker);
}

async fn absence_is_confirmed_only_without_an_object(fixture: &impl ContractFixture) {
    let confirm = async |key: &ObjectKey| fixture.source().confirm_absence(key).await.expect("source answers");
    assert_eq!(confirm(&key("contract/absent")).await, Absence::Confirmed);
    let confirm_copy = async |key: &ObjectKey| {
        let confirmed = fixture.destination().confirm_absence(key).await;
        confirmed.expect("destination answers")
    };
    assert_eq!(confirm_copy(&key("contract/absent")).await, Absence::Confirmed);
    let copy = SampleObject::plain("contract/there-already +&%", "x");
    fixture.put_destination(&copy).await;
    assert_eq!(confirm_copy(&copy.key).await, Absence::ObjectFound);

    // A longer key with the same beginning is a different object.
    fixture
        .put_source(&SampleObject::plain("contract/absent-not", "x"))
        .await;
    assert_eq!(confirm(&key("contract/absent")).await, Absence::Confirmed);

    let sample = SampleObject::plain("contract/there", "x");
    fixture.put_source(&sample).await;
    assert_eq!(confirm(&sample.key).await, Absence::ObjectFound);
}

async fn copy_carries_content_metadata_and_tags(fixture: &impl ContractFixture) {
    let mut sample = SampleObject::plain("contract/copied", "content");
    sample.user_metadata.insert("owner".to_owned(), "team b".to_owned());
    sample.tags.insert("stage".to_owned(), "test".to_owned());
    fixture.put_source(&sample).await;
    let facts = source_facts(fixture, &sample.key).await;
    let copied = fixture
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    let written = copied.expect("copy succeeds without a destination object");
    let copy = destination_facts(fixture, &sample.key).await;
    assert_eq!(
        (&copy.version_id, &copy.etag),
        (&written.version_id, &written.etag),
        "the current object is the one in the response"
    );
    assert_eq!(copy.user_metadata, sample.user_metadata);
    assert_eq!(copy.tags, Some(sample.tags));
    assert_eq!(copy.etag, facts.etag);
    assert_eq!(
        fixture.destination_content(&sample.key).await.as_deref(),
        Some("content")
    );
}

async fn copy_preserves_unusual_keys(fixture: &impl ContractFixture) {
    let unusual = [
        "contract/with space",
        "contract/plus+and%2Bpercent%20",
        "contract/ünï/日本",
        "contract/quotes'\"&<>",
        "contract/?query=#fragment",
        "contract//double//slash/",
        "contract/../dots/.",
    ];
    for name in unusual {
        let sample = SampleObject::plain(name, name);
        fixture.put_source(&sample).await;
        let facts = source_facts(fixture, &sample.key).await;
        let copied = fixture
            .destination()
            .copy(&sample.key, &order(&facts, WriteCondition::Absent))
            .await;
        assert!(copied.is_ok(), "{name}: {copied:?}");
        assert_eq!(fixture.destination_content(&sample.key).await.as_deref(), Some(name));
    }
}

async fn copy_of_an_older_version_is_that_version(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/pinned", "first");
    fixture.put_source(&sample).await;
    let first = source_facts(fixture, &sample.key).await;
    fixture
        .put_source(&SampleObject::plain("contract/pinned", "second"))
        .await;
    let copied = fixture
        .destination()
        .copy(&sample.key, &order(&first, WriteCondition::Absent))
        .await;
    copied.expect("an overwritten version can be copied by its version id");
    assert_eq!(fixture.destination_content(&sample.key).await.as_deref(), Some("first"));
}

async fn copy_of_a_changed_source_writes_nothing(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/another-etag", "content");
    fixture.put_source(&sample).await;
    let mut facts = source_facts(fixture, &sample.key).await;
    facts.etag = ETag::new("00000000000000000000000000000000").expect("valid ETag");
    let copied = fixture
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    if Deviation::CopyIgnoresSourceEtag.is_known(fixture, copied.is_ok()) {
        return;
    }
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(fixture.destination_content(&sample.key).await, None);
}

async fn copy_of_a_missing_version_writes_nothing(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/no-such-version", "content");
    fixture.put_source(&sample).await;
    let mut facts = source_facts(fixture, &sample.key).await;
    fixture
        .put_source(&SampleObject::plain("contract/other", "content"))
        .await;
    // The version id of another key is valid, but does not exist for this key.
    facts.version_id = source_facts(fixture, &key("contract/other")).await.version_id;
    let copied = fixture
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(fixture.destination_content(&sample.key).await, None);
}

async fn copy_onto_an_existing_object_writes_nothing(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/occupied", "source");
    fixture.put_source(&sample).await;
    fixture
        .put_destination(&SampleObject::plain("contract/occupied", "destination"))
        .await;
    let facts = source_facts(fixture, &sample.key).await;
    let copied = fixture
        .destination()
        .copy(&sample.key, &order(&facts, WriteCondition::Absent))
        .await;
    if Deviation::CopyIgnoresCondition.is_known(fixture, copied.is_ok()) {
        return;
    }
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(
        fixture.destination_content(&sample.key).await.as_deref(),
        Some("destination")
    );
}

async fn copy_onto_a_changed_object_writes_nothing(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/moved", "source");
    fixture.put_source(&sample).await;
    fixture
        .put_destination(&SampleObject::plain("contract/moved", "seen"))
        .await;
    let seen = destination_facts(fixture, &sample.key).await.etag;
    fixture
        .put_destination(&SampleObject::plain("contract/moved", "newer"))
        .await;
    let facts = source_facts(fixture, &sample.key).await;
    let condition = WriteCondition::Matches(seen);
    let copied = fixture.destination().copy(&sample.key, &order(&facts, condition)).await;
    if Deviation::CopyIgnoresCondition.is_known(fixture, copied.is_ok()) {
        return;
    }
    assert_eq!(copied, Err(WriteError::PreconditionFailed));
    assert_eq!(fixture.destination_content(&sample.key).await.as_deref(), Some("newer"));

    let seen = destination_facts(fixture, &sample.key).await.etag;
    let condition = WriteCondition::Matches(seen);
    let copied = fixture.destination().copy(&sample.key, &order(&facts, condition)).await;
    copied.expect("the object that was read can be replaced");
    assert_eq!(
        fixture.destination_content(&sample.key).await.as_deref(),
        Some("source")
    );
}

async fn delete_removes_only_the_object_that_was_read(fixture: &impl ContractFixture) {
    let sample = SampleObject::plain("contract/to-delete", "first");
    fixture.put_destination(&sample).await;
    let seen = destination_facts(fixture, &sample.key).await.etag;
    fixture
        .put_destination(&SampleObject::plain("contract/to-delete", "second"))
        .await;
    let deleted = fixture.destination().delete(&sample.key, &seen).await;
    assert_eq!(deleted, Err(WriteError::PreconditionFailed));
    assert_eq!(
        fixture.destination_content(&sample.key).await.as_deref(),
        Some("second")
    );
    let seen = destination_facts(fixture, &sample.key).await.etag;
    fixture
        .destination()
        .delete(&sample.key, &seen)
        .await
        .expect("the object that was read can be deleted");
    assert_eq!(fixture.destination_content(&sample.key).await, None);
    let state = destination_state(fixture, &sample.key).await;
    assert!(state.facts().is_none(), "{state:?}");
}
