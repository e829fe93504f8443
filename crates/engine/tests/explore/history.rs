//! What both buckets held over time, key by key.

use std::collections::BTreeMap;

use s3ferry_testkit::memory::{MemoryBucket, ObjectSnapshot};

/// All states of one key on both sides, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    source: Vec<Option<ObjectSnapshot>>,
    destination: Vec<Option<ObjectSnapshot>>,
}

/// A moment in a key's history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    source: usize,
    destination: usize,
}

impl History {
    /// Writes down what both sides hold now.
    pub(crate) fn note(&mut self, key: &str, source: &MemoryBucket, destination: &MemoryBucket) {
        self.source.push(source.snapshot().remove(key));
        self.destination.push(destination.snapshot().remove(key));
    }

    pub(crate) fn now(&self) -> Moment {
        Moment {
            source: self.source.len() - 1,
            destination: self.destination.len() - 1,
        }
    }

    /// Tells whether the destination held, since a moment, what the source held since that moment.
    pub(crate) fn agreed_since(&self, moment: Moment) -> bool {
        let source = &self.source[moment.source..];
        let destination = &self.destination[moment.destination..];
        source.iter().any(|source| {
            destination
                .iter()
                .any(|destination| same_object(source.as_ref(), destination.as_ref()))
        })
    }

    /// Tells whether the source held nothing at some time since a moment.
    pub(crate) fn source_was_empty_since(&self, moment: Moment) -> bool {
        self.source[moment.source..].iter().any(Option::is_none)
    }
}

/// Tags are not read unless something says so; storage classes alone move no bytes.
fn same_object(source: Option<&ObjectSnapshot>, destination: Option<&ObjectSnapshot>) -> bool {
    let described =
        |snapshot: Option<&ObjectSnapshot>| snapshot.map(|it| (it.content.clone(), it.user_metadata.clone()));
    described(source) == described(destination)
}

/// Finds how the two sides of a key differ; without deletes, what is gone at the source may stay.
pub(crate) fn difference(
    key: &str,
    source: &BTreeMap<String, ObjectSnapshot>,
    destination: &BTreeMap<String, ObjectSnapshot>,
    deletes: bool,
) -> Option<String> {
    let (source, destination) = (source.get(key), destination.get(key));
    let equal = match (source, destination) {
        (None, Some(_)) => !deletes,
        (source, destination) => source == destination,
    };
    (!equal).then(|| format!("{key}: the source holds {source:?}, the destination {destination:?}"))
}
