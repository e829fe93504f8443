//! Complete comparison of two buckets; the answer is data, so that a caller can print it or assert on it.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::bucket::{Bucket, Object};
use crate::{Error, Result};

/// Objects read at the same time.
const READS_AT_ONCE: usize = 8;

/// One way in which the two sides differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The destination has no such object.
    MissingAtDestination {
        /// The object's key.
        key: String,
    },
    /// The source has no such object.
    MissingAtSource {
        /// The object's key.
        key: String,
    },
    /// Both have the object and disagree in one aspect.
    Aspect {
        /// The object's key.
        key: String,
        /// What differs: `bytes`, `system headers`, ...
        aspect: &'static str,
        /// The source's value.
        source: String,
        /// The destination's value.
        destination: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingAtDestination { key } => write!(formatter, "{key:?} is missing at the destination"),
            Self::MissingAtSource { key } => write!(formatter, "{key:?} is at the destination only"),
            Self::Aspect {
                key,
                aspect,
                source,
                destination,
            } => {
                write!(
                    formatter,
                    "{key:?}: {aspect} differ: {source} at the source, {destination} at the destination"
                )
            }
        }
    }
}

/// Compares the current objects of both buckets below `prefix`: bytes, system headers, user metadata, tags, storage
/// class and website redirect of every key that either side has.
pub async fn differences(source: &Bucket, destination: &Bucket, prefix: &str) -> Result<Vec<Difference>> {
    let (source_listing, destination_listing) = (source.list(prefix).await?, destination.list(prefix).await?);
    let keys: BTreeSet<String> = source_listing
        .into_keys()
        .chain(destination_listing.into_keys())
        .collect();
    differences_of(source, destination, keys).await
}

/// Compares the current objects of both buckets at these keys.
pub async fn differences_of(
    source: &Bucket,
    destination: &Bucket,
    keys: impl IntoIterator<Item = String>,
) -> Result<Vec<Difference>> {
    let found: Vec<Vec<Difference>> = stream::iter(keys)
        .map(|key| async move {
            let pair = futures::try_join!(source.read(&key), destination.read(&key))?;
            Ok::<_, Error>(differences_of_object(&key, pair.0.as_ref(), pair.1.as_ref()))
        })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Compares what the two listings say; a cheap condition to wait for before [`differences`] proves equality.
pub async fn listing_differences(source: &Bucket, destination: &Bucket, prefix: &str) -> Result<Vec<Difference>> {
    let (source_listing, destination_listing) = futures::try_join!(source.list(prefix), destination.list(prefix))?;
    let keys: BTreeSet<&String> = source_listing.keys().chain(destination_listing.keys()).collect();
    let difference = |key: &String| match (source_listing.get(key), destination_listing.get(key)) {
        (Some(ours), Some(theirs)) if ours == theirs => None,
        (Some(ours), Some(theirs)) => Some(aspect(key, "listings", ours, theirs)),
        (Some(_), None) => Some(Difference::MissingAtDestination { key: key.clone() }),
        (None, _) => Some(Difference::MissingAtSource { key: key.clone() }),
    };
    Ok(keys.into_iter().filter_map(difference).collect())
}

fn differences_of_object(key: &str, source: Option<&Object>, destination: Option<&Object>) -> Vec<Difference> {
    let (source, destination) = match (source, destination) {
        (Some(source), Some(destination)) => (source, destination),
        (Some(_), None) => return vec![Difference::MissingAtDestination { key: key.to_owned() }],
        (None, Some(_)) => return vec![Difference::MissingAtSource { key: key.to_owned() }],
        (None, None) => return Vec::new(),
    };
    let mut found = Vec::new();
    if source.body != destination.body {
        let size = |object: &Object| format!("{} bytes", object.body.len());
        found.push(Difference::Aspect {
            key: key.to_owned(),
            aspect: "bytes",
            source: size(source),
            destination: size(destination),
        });
    }
    found.extend(compared(key, "system headers", &source.headers, &destination.headers));
    found.extend(compared(key, "user metadata", &source.metadata, &destination.metadata));
    found.extend(compared(key, "tags", &source.tags, &destination.tags));
    found.extend(compared(
        key,
        "storage class",
        &source.storage_class,
        &destination.storage_class,
    ));
    found.extend(compared(
        key,
        "website redirect",
        &source.website_redirect,
        &destination.website_redirect,
    ));
    found
}

fn compared<T: PartialEq + Debug>(key: &str, name: &'static str, source: &T, destination: &T) -> Option<Difference> {
    (source != destination).then(|| aspect(key, name, source, destination))
}

fn aspect(key: &str, aspect: &'static str, source: &impl Debug, destination: &impl Debug) -> Difference {
    Difference::Aspect {
        key: key.to_owned(),
        aspect,
        source: format!("{source:?}"),
        destination: format!("{destination:?}"),
    }
}

/// The first differences as text, for a message.
#[must_use]
pub fn summary(differences: &[Difference]) -> String {
    let shown: Vec<String> = differences.iter().take(5).map(ToString::to_string).collect();
    match differences.len().checked_sub(shown.len()) {
        None | Some(0) => shown.join("; "),
        Some(more) => format!("{}; and {more} more", shown.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::upload::SystemHeaders;

    fn object() -> Object {
        Object {
            body: b"bytes".to_vec(),
            headers: SystemHeaders::default(),
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            storage_class: "STANDARD".to_owned(),
            website_redirect: None,
        }
    }

    fn aspects(change: impl FnOnce(&mut Object)) -> Vec<String> {
        let mut changed = object();
        change(&mut changed);
        let aspect = |difference| match difference {
            Difference::Aspect { aspect, .. } => aspect.to_owned(),
            other => panic!("{other}"),
        };
        differences_of_object("key", Some(&object()), Some(&changed))
            .into_iter()
            .map(aspect)
            .collect()
    }

    #[test]
    fn every_aspect_that_changes_is_a_difference() {
        assert!(aspects(|_| ()).is_empty());
        assert_eq!(aspects(|o| o.body = b"other".to_vec()), ["bytes"]);
        assert_eq!(aspects(|o| o.headers = SystemHeaders::all()), ["system headers"]);
        assert_eq!(
            aspects(|o| drop(o.metadata.insert("a".into(), "b".into()))),
            ["user metadata"]
        );
        assert_eq!(aspects(|o| drop(o.tags.insert("a".into(), "b".into()))), ["tags"]);
        assert_eq!(aspects(|o| o.storage_class = "GLACIER".into()), ["storage class"]);
        assert_eq!(aspects(|o| o.website_redirect = Some("/".into())), ["website redirect"]);
    }

    #[test]
    fn object_on_one_side_only_is_a_difference() {
        let missing = differences_of_object("key", Some(&object()), None);
        assert_eq!(missing, [Difference::MissingAtDestination { key: "key".to_owned() }]);
        let extra = differences_of_object("key", None, Some(&object()));
        assert_eq!(extra, [Difference::MissingAtSource { key: "key".to_owned() }]);
    }
}
