//! What must hold with shared ownership: the destination becomes equal or holds an external write that is as new.

use std::collections::{BTreeMap, BTreeSet};

use s3ferry_core::attributes::AttributeDigests;
use s3ferry_core::marker::{MARKER_NAME, Marker, MarkerRequest, ObjectLocation};
use s3ferry_core::names::{ETag, ObjectKey};
use s3ferry_core::order::CopyMethod;
use s3ferry_core::time::Timestamp;
use s3ferry_core::versions::{ListedVersion, VersionName};
use s3ferry_testkit::journal::route;
use s3ferry_testkit::memory::{MemoryBucket, ObjectSnapshot};
use s3ferry_testkit::schedule::{PortOperation, RequestSubject};

use super::simulation::{Simulation, Violation};

/// Who wrote a version of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    Application,
    /// An application, which deleted what s3ferry was about to delete: the delete marker does not say whose it is.
    Ambiguous,
    /// s3ferry, from a source version of that time; a delete marker has none.
    S3ferry(Option<Timestamp>),
}

/// What an application changes on an object without a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ChangedAttribute {
    Tags,
    Annotations,
}

#[derive(Debug, Clone)]
struct AttributeChange {
    version: VersionName,
    /// Whether no work of s3ferry was in flight: a copy decided before the change may carry the earlier value.
    is_certain: bool,
}

/// What applications set as attributes of copies; s3ferry never does.
const EXTERNAL: (&str, &str) = ("stage", "external");

/// Who wrote what.
#[derive(Debug, Default)]
pub(crate) struct Authorship {
    authors: BTreeMap<(ObjectKey, String), Author>,
    /// The last change of each attribute by an application.
    changes: BTreeMap<(ObjectKey, ChangedAttribute), AttributeChange>,
    /// The source versions that s3ferry copied there in the reverse direction.
    replicas: BTreeSet<(ObjectKey, VersionName)>,
}

impl Simulation {
    /// Lets an application write to the destination.
    pub(crate) fn write_destination(&mut self, key: &ObjectKey, write: impl FnOnce(&MemoryBucket)) {
        self.write_destination_as(Author::Application, key, write);
    }

    fn write_destination_as(&mut self, author: Author, key: &ObjectKey, write: impl FnOnce(&MemoryBucket)) {
        let before = self.destination.history(key.as_str());
        write(&self.destination);
        self.set_author(key, &before, author);
    }

    /// Lets an application delete the destination's object, if there is one.
    pub(crate) fn delete_at_destination(&mut self, key: &ObjectKey) {
        let history = self.destination.history(key.as_str());
        let Some(current) = history.first().filter(|version| !version.is_delete_marker()) else {
            return;
        };
        let author = if self.is_announced(key, current) {
            Author::Ambiguous
        } else {
            Author::Application
        };
        self.log(|| format!("destination: delete {key}, {author:?}"));
        self.write_destination_as(author, key, |bucket| bucket.delete(key.as_str()));
    }

    /// Lets an application change an attribute of the current version.
    pub(crate) fn change_attribute(
        &mut self,
        key: &ObjectKey,
        version: &VersionName,
        changed: ChangedAttribute,
        is_idle: bool,
    ) {
        self.log(|| format!("destination: change {changed:?} of {key}, {version}"));
        match changed {
            ChangedAttribute::Tags => self.destination.tag(key.as_str(), &[EXTERNAL]),
            ChangedAttribute::Annotations => self.destination.annotate(key.as_str(), &[EXTERNAL]),
        }
        let change = AttributeChange {
            version: version.clone(),
            is_certain: is_idle,
        };
        self.authorship.changes.insert((key.clone(), changed), change);
    }

    /// Writes to the source what s3ferry copies there in the reverse direction: the destination's object with a marker.
    pub(crate) fn replicate_back(&mut self, key: &ObjectKey, content: &str) {
        self.log(|| format!("source: replica of {key}: {content}"));
        let original = self.destination.facts(key.as_str()).unwrap();
        let route = route();
        let request = MarkerRequest {
            source_bucket: &route.destination,
            location: ObjectLocation {
                bucket: &route.source,
                key,
            },
            over: None,
            requested: self.now(),
            decided: self.now(),
            attributes: AttributeDigests::of(&original),
        };
        let (_, marker) = Marker::for_copy(&original, CopyMethod::SingleRequest, false, request).unwrap();
        self.source.put_with(key.as_str(), content, |facts| {
            facts.user_metadata.clone_from(&original.user_metadata);
            facts.user_metadata.insert(MARKER_NAME.to_owned(), marker.to_text());
            facts.tags.clone_from(&original.tags);
        });
        let replica = self.current_at_source(key).unwrap();
        self.authorship.replicas.insert((key.clone(), replica));
    }

    fn current_at_source(&self, key: &ObjectKey) -> Option<VersionName> {
        let facts = self.source.facts(key.as_str())?;
        Some(VersionName::of(facts.version_id.as_ref()))
    }

    /// Records who wrote the versions that were not there before.
    fn set_author(&mut self, key: &ObjectKey, before: &[ListedVersion], author: Author) {
        for written in self.destination.history(key.as_str()) {
            if !contains(before, &written) {
                let name = (key.clone(), written.version.to_string());
                self.authorship.authors.insert(name, author);
            }
        }
    }

    fn author(&self, key: &ObjectKey, version: &VersionName) -> Author {
        self.authorship.authors[&(key.clone(), version.to_string())]
    }

    /// Returns whether s3ferry announced the delete of a version, or of one with the same `ETag`.
    fn is_announced(&self, key: &ObjectKey, version: &ListedVersion) -> bool {
        let intents = self.journal.as_ref().map(|journal| journal.intents(key));
        let is_multipart = version.etag().is_some_and(ETag::is_multipart);
        let now = self.now();
        intents.into_iter().flatten().any(|intent| {
            let is_alike = is_multipart || Some(&intent.etag) == version.etag();
            intent.covered == version.version || (is_alike && intent.may_land_at(now))
        })
    }

    /// Marks applications' delete markers over what s3ferry announced to delete as ambiguous.
    fn find_ambiguous(&mut self, key: &ObjectKey) {
        let history = self.destination.history(key.as_str());
        for pair in history.windows(2) {
            let (upper, lower) = (&pair[0], &pair[1]);
            let is_announced = upper.is_delete_marker() && self.is_announced(key, lower);
            let name = (key.clone(), upper.version.to_string());
            let author = self.authorship.authors.get_mut(&name);
            if let Some(author) = author.filter(|author| is_announced && **author == Author::Application) {
                *author = Author::Ambiguous;
            }
        }
    }

    /// Checks that a request removed no version that an application wrote.
    pub(super) fn check_versions_kept(
        &mut self,
        about: &RequestSubject,
        before: &[ListedVersion],
    ) -> Result<(), Violation> {
        let key = &about.key;
        let source = about.seen.source.as_ref().and_then(|state| state.facts());
        let written = source.map(|facts| facts.last_modified);
        let of_version = written.filter(|_| about.operation != PortOperation::Delete);
        self.set_author(key, before, Author::S3ferry(of_version));
        self.find_ambiguous(key);
        let after = self.destination.history(key.as_str());
        let is_external = |version: &ListedVersion| self.author(key, &version.version) == Author::Application;
        let is_removed = |version: &&ListedVersion| !contains(&after, version) && is_external(version);
        before.iter().find(is_removed).map_or(Ok(()), |removed| {
            Err(format!(
                "lost: #{} removed {removed:?} of {key}, which an application wrote",
                about.invocation
            ))
        })
    }

    /// Checks that the last external write is below s3ferry's versions only if one of them is newer.
    pub(super) fn check_newer_writes_kept(&self, key: &ObjectKey) -> Result<(), Violation> {
        let mut above: Vec<(ListedVersion, Option<Timestamp>)> = Vec::new();
        for version in self.destination.history(key.as_str()) {
            match self.author(key, &version.version) {
                Author::S3ferry(written) => above.push((version, written)),
                Author::Application if !above.is_empty() => {
                    let is_newer = |written: Option<Timestamp>| {
                        written.is_some_and(|written| written.is_newer_than(version.last_modified))
                    };
                    let is_older = above.iter().any(|(_, written)| is_newer(*written));
                    let is_gone = version.is_delete_marker() && above.iter().all(|(above, _)| above.is_delete_marker());
                    if is_older || is_gone {
                        return Ok(());
                    }
                    return Err(format!("lost: {version:?} of {key} is below {above:?} of s3ferry"));
                }
                // Applications decided about everything below.
                Author::Application | Author::Ambiguous => return Ok(()),
            }
        }
        Ok(())
    }

    /// Checks that the destination holds what the source holds, or an external write that is as new.
    pub(super) fn check_converged(
        &self,
        key: &ObjectKey,
        (source, destination): (Option<&ObjectSnapshot>, Option<&ObjectSnapshot>),
    ) -> Result<(), Violation> {
        let history = self.destination.history(key.as_str());
        if let (Some(_), Some(destination)) = (source, destination.map(without_marker)) {
            self.check_attributes_kept(key, &destination, &history)?;
        }
        if self.is_equal(key, source, destination) {
            return Ok(());
        }
        let replica = self.current_at_source(key).map(|version| (key.clone(), version));
        if !history.is_empty() && replica.is_some_and(|replica| self.authorship.replicas.contains(&replica)) {
            return Ok(());
        }
        let current = history.first();
        let author = current.map(|version| self.author(key, &version.version));
        let written = self.source.facts(key.as_str()).map(|facts| facts.last_modified);
        let is_right = match (written, current, author) {
            // No event reports that an application restored an older copy.
            (None, _, Some(Author::Application)) | (Some(_), _, Some(Author::Ambiguous)) => true,
            (None, ..) => !self.deletes || destination.is_none(),
            (Some(written), Some(current), Some(Author::Application)) => !written.is_newer_than(current.last_modified),
            (Some(_), ..) => false,
        };
        if is_right {
            return Ok(());
        }
        Err(format!(
            "{key}: the source holds {source:?} of {written:?}, the destination {destination:?} by {author:?}"
        ))
    }

    /// Returns whether both buckets are equal except for attributes that an application changed at the destination.
    fn is_equal(&self, key: &ObjectKey, source: Option<&ObjectSnapshot>, destination: Option<&ObjectSnapshot>) -> bool {
        // A replica that an application restored at the source is copied with another marker.
        let (Some(mut expected), Some(destination)) = (source.map(without_marker), destination.map(without_marker))
        else {
            return source.is_none() && destination.is_none();
        };
        // A conflict over one attribute leaves the others unchanged and is reported. A copy that sets tags would set
        // annotations too, and so waits if an application changed those.
        let changes = &self.authorship.changes;
        let is_changed = |changed| changes.contains_key(&(key.clone(), changed));
        if is_changed(ChangedAttribute::Tags) || is_changed(ChangedAttribute::Annotations) {
            expected.tags.clone_from(&destination.tags);
            expected.annotations.clone_from(&destination.annotations);
        }
        expected == destination
    }

    /// Checks that tags which an application changed on a copy survive, also where the copy is replaced, and annotations
    /// as long as the object is the same.
    fn check_attributes_kept(
        &self,
        key: &ObjectKey,
        destination: &ObjectSnapshot,
        history: &[ListedVersion],
    ) -> Result<(), Violation> {
        let external = [(EXTERNAL.0.to_owned(), EXTERNAL.1.to_owned())].into();
        for changed in [ChangedAttribute::Tags, ChangedAttribute::Annotations] {
            let change = self.authorship.changes.get(&(key.clone(), changed));
            let Some(change) = change.filter(|change| change.is_certain) else {
                continue;
            };
            let Some(depth) = history.iter().position(|version| version.version == change.version) else {
                continue;
            };
            let is_copy =
                |version: &ListedVersion| matches!(self.author(key, &version.version), Author::S3ferry(Some(_)));
            let is_kept = match changed {
                ChangedAttribute::Tags => destination.tags == external,
                ChangedAttribute::Annotations => depth > 0 || destination.annotations == external,
            };
            if history.iter().take(depth + 1).all(is_copy) && !is_kept {
                return Err(format!(
                    "lost: an application's {changed:?} of {key}, {}: {destination:?}",
                    change.version
                ));
            }
        }
        Ok(())
    }
}

fn contains(versions: &[ListedVersion], version: &ListedVersion) -> bool {
    versions.iter().any(|other| other.version == version.version)
}

fn without_marker(snapshot: &ObjectSnapshot) -> ObjectSnapshot {
    let mut snapshot = snapshot.clone();
    snapshot.user_metadata.remove(MARKER_NAME);
    snapshot
}
