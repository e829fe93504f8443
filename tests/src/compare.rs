//! Complete comparison of two buckets. It returns data, which a caller can print or assert on.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::bucket::{TestBucket, TestObject};
use crate::{HarnessError, Result};

/// Objects read concurrently.
const READS_AT_ONCE: usize = 8;

/// A difference between source and destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SideDifference {
    /// The object is absent at the destination.
    MissingAtDestination {
        /// Key of the object.
        key: String,
    },
    /// The object is absent at the source.
    MissingAtSource {
        /// Key of the object.
        key: String,
    },
    /// An attribute of the object differs.
    Attribute {
        /// Key of the object.
        key: String,
        /// Name of the attribute: `bytes`, `system headers`, ...
        attribute: &'static str,
        /// Value at the source.
        source: String,
        /// Value at the destination.
        destination: String,
    },
}

impl fmt::Display for SideDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingAtDestination { key } => write!(formatter, "{key:?} is missing at the destination"),
            Self::MissingAtSource { key } => write!(formatter, "{key:?} is at the destination only"),
            Self::Attribute {
                key,
                attribute,
                source,
                destination,
            } => {
                write!(
                    formatter,
                    "{key:?}: {attribute} differ: {source} at the source, {destination} at the destination"
                )
            }
        }
    }
}

/// Compares the current objects of both buckets under `prefix`: bytes, system headers, user metadata, tags, storage
/// class and website redirect.
pub async fn differences(source: &TestBucket, destination: &TestBucket, prefix: &str) -> Result<Vec<SideDifference>> {
    let (source_listing, destination_listing) = (source.list(prefix).await?, destination.list(prefix).await?);
    let keys: BTreeSet<String> = source_listing
        .into_keys()
        .chain(destination_listing.into_keys())
        .collect();
    differences_of(source, destination, keys).await
}

/// Compares the current objects of both buckets at these keys.
pub async fn differences_of(
    source: &TestBucket,
    destination: &TestBucket,
    keys: impl IntoIterator<Item = String>,
) -> Result<Vec<SideDifference>> {
    let found: Vec<Vec<SideDifference>> = stream::iter(keys)
        .map(|key| async move {
            let pair = futures::try_join!(source.read(&key), destination.read(&key))?;
            Ok::<_, HarnessError>(differences_of_object(&key, pair.0.as_ref(), pair.1.as_ref()))
        })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Compares the listings of both buckets, which needs fewer requests than [`differences`].
pub async fn listing_differences(
    source: &TestBucket,
    destination: &TestBucket,
    prefix: &str,
) -> Result<Vec<SideDifference>> {
    let (source_listing, destination_listing) = futures::try_join!(source.list(prefix), destination.list(prefix))?;
    let keys: BTreeSet<&String> = source_listing.keys().chain(destination_listing.keys()).collect();
    let difference = |key: &String| match (source_listing.get(key), destination_listing.get(key)) {
        (Some(at_source), Some(at_destination)) if at_source == at_destination => None,
        (Some(at_source), Some(at_destination)) => Some(attribute(key, "listings", at_source, at_destination)),
        (Some(_), None) => Some(SideDifference::MissingAtDestination { key: key.clone() }),
        (None, _) => Some(SideDifference::MissingAtSource { key: key.clone() }),
    };
    Ok(keys.into_iter().filter_map(difference).collect())
}

fn differences_of_object(
    key: &str,
    source: Option<&TestObject>,
    destination: Option<&TestObject>,
) -> Vec<SideDifference> {
    let (source, destination) = match (source, destination) {
        (Some(source), Some(destination)) => (source, destination),
        (Some(_), None) => return vec![SideDifference::MissingAtDestination { key: key.to_owned() }],
        (None, Some(_)) => return vec![SideDifference::MissingAtSource { key: key.to_owned() }],
        (None, None) => return Vec::new(),
    };
    let mut found = Vec::new();
    if source.body != destination.body {
        let size = |object: &TestObject| format!("{} bytes", object.body.len());
        found.push(SideDifference::Attribute {
            key: key.to_owned(),
            attribute: "bytes",
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

fn compared<T: PartialEq + Debug>(
    key: &str,
    name: &'static str,
    source: &T,
    destination: &T,
) -> Option<SideDifference> {
    (source != destination).then(|| attribute(key, name, source, destination))
}

fn attribute(key: &str, attribute: &'static str, source: &impl Debug, destination: &impl Debug) -> SideDifference {
    SideDifference::Attribute {
        key: key.to_owned(),
        attribute,
        source: format!("{source:?}"),
        destination: format!("{destination:?}"),
    }
}

/// Returns the first differences as text.
#[must_use]
pub fn summary(differences: &[SideDifference]) -> String {
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
    use crate::upload::TestHeaders;

    fn object() -> TestObject {
        TestObject {
            body: b"bytes".to_vec(),
            headers: TestHeaders::default(),
            metadata: BTreeMap::new(),
            tags: BTreeMap::new(),
            storage_class: "STANDARD".to_owned(),
            website_redirect: None,
        }
    }

    fn attributes(change: impl FnOnce(&mut TestObject)) -> Vec<String> {
        let mut changed = object();
        change(&mut changed);
        let attribute = |difference| match difference {
            SideDifference::Attribute { attribute, .. } => attribute.to_owned(),
            other => panic!("{other}"),
        };
        differences_of_object("key", Some(&object()), Some(&changed))
            .into_iter()
            .map(attribute)
            .collect()
    }

    #[test]
    fn every_changed_attribute_is_a_difference() {
        assert!(attributes(|_| ()).is_empty());
        assert_eq!(attributes(|o| o.body = b"other".to_vec()), ["bytes"]);
        assert_eq!(attributes(|o| o.headers = TestHeaders::all()), ["system headers"]);
        assert_eq!(
            attributes(|o| drop(o.metadata.insert("a".into(), "b".into()))),
            ["user metadata"]
        );
        assert_eq!(attributes(|o| drop(o.tags.insert("a".into(), "b".into()))), ["tags"]);
        assert_eq!(attributes(|o| o.storage_class = "GLACIER".into()), ["storage class"]);
        assert_eq!(
            attributes(|o| o.website_redirect = Some("/".into())),
            ["website redirect"]
        );
    }

    #[test]
    fn object_on_one_side_only_is_a_difference() {
        let missing = differences_of_object("key", Some(&object()), None);
        assert_eq!(
            missing,
            [SideDifference::MissingAtDestination { key: "key".to_owned() }]
        );
        let extra = differences_of_object("key", None, Some(&object()));
        assert_eq!(extra, [SideDifference::MissingAtSource { key: "key".to_owned() }]);
    }
}
