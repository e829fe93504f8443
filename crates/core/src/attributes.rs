//! Attributes that applications change on s3ferry's copy without writing the object again: tags, annotations, grants.
//!
//! The marker of a copy contains a hash of each attribute of the source object. With it three states are compared:
//! what was copied, what the source has now, and what the destination has now.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::facts::{Attribute, ObjectFacts};

/// Attributes that a marker contains hashes of, in the order of its text.
const ATTRIBUTES: [Attribute; 3] = [Attribute::Tags, Attribute::Acl, Attribute::Annotations];

/// Hexadecimal digits of a stored hash: enough to distinguish the values that one object ever has.
const DIGITS: usize = 16;

/// Hashes of those attributes of an object that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeDigests(BTreeMap<Attribute, String>);

/// Change that an attribute of s3ferry's copy needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeChange {
    /// None: the source still has the copied value. A change that an application made at the destination stays.
    None,
    /// The source's value is written: only the source's value has changed since the copy, or both are equal.
    Source,
    /// Both values have changed since the copy: the application's value stays, and the conflict is reported.
    Conflict,
}

impl AttributeDigests {
    /// Hashes those attributes of an object that are known.
    #[must_use]
    pub fn of(facts: &ObjectFacts) -> Self {
        let known = ATTRIBUTES
            .into_iter()
            .filter_map(|attribute| Some((attribute, digest(facts, attribute)?)));
        Self(known.collect())
    }

    /// Returns the change that an attribute of a copy made with `self` needs; `None` if one side was not read.
    #[must_use]
    pub fn change(
        &self,
        attribute: Attribute,
        source: &ObjectFacts,
        destination: &ObjectFacts,
    ) -> Option<AttributeChange> {
        let (source, destination) = (digest(source, attribute)?, digest(destination, attribute)?);
        let copied = self.0.get(&attribute);
        let is_equal = source == destination;
        Some(if copied == Some(&source) || (copied.is_none() && is_equal) {
            AttributeChange::None
        } else if copied == Some(&destination) || is_equal {
            AttributeChange::Source
        } else {
            AttributeChange::Conflict
        })
    }

    /// Returns whether the copied object had any values of an attribute.
    #[must_use]
    pub fn has(&self, attribute: Attribute) -> bool {
        let none = digest_of(&BTreeMap::<String, String>::new());
        self.0
            .get(&attribute)
            .is_some_and(|copied| Some(copied) != none.as_ref())
    }

    /// Replaces the hash of an attribute with the one in `other`.
    #[must_use]
    pub(crate) fn with(mut self, attribute: Attribute, other: &Self) -> Self {
        match other.0.get(&attribute) {
            Some(hash) => self.0.insert(attribute, hash.clone()),
            None => self.0.remove(&attribute),
        };
        self
    }

    /// Returns the hashes as text for a marker.
    pub(crate) fn to_text(&self) -> String {
        let serialized = ATTRIBUTES.iter().filter_map(|attribute| {
            let hash = self.0.get(attribute)?;
            Some(format!("{}.{hash}", attribute.as_str()))
        });
        serialized.collect::<Vec<_>>().join(",")
    }

    /// Parses the output of `to_text`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fields = text.split(',').filter(|field| !field.is_empty());
        let parsed = fields.map(|field| {
            let (name, hash) = field.split_once('.')?;
            let attribute = ATTRIBUTES.into_iter().find(|attribute| attribute.as_str() == name)?;
            Some((attribute, hash.to_owned()))
        });
        parsed.collect::<Option<_>>().map(Self)
    }
}

/// Returns whether an object's tags are known: they were read, or its HEAD shows none.
#[must_use]
pub(crate) fn tags_are_known(facts: &ObjectFacts) -> bool {
    facts.tags.is_some() || facts.tag_count.is_none()
}

fn digest(facts: &ObjectFacts, attribute: Attribute) -> Option<String> {
    match attribute {
        Attribute::Tags if tags_are_known(facts) => digest_of(facts.tags.as_ref().unwrap_or(&BTreeMap::new())),
        Attribute::Annotations => digest_of(facts.annotations.as_ref()?),
        Attribute::Acl => digest_of(facts.acl.as_ref()?),
        _ => None,
    }
}

fn digest_of(attribute: &impl Serialize) -> Option<String> {
    let serialized = serde_json::to_vec(attribute).ok()?;
    let mut digest = hex::encode(Sha256::digest(serialized));
    digest.truncate(DIGITS);
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::samples::object;

    fn tagged(value: Option<&str>) -> ObjectFacts {
        let tags: BTreeMap<String, String> = value
            .map(|value| ("stage".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        ObjectFacts {
            tag_count: u32::try_from(tags.len()).ok().filter(|count| *count > 0),
            tags: Some(tags),
            ..object("aa")
        }
    }

    #[test]
    fn three_way_comparison_shows_who_changed_an_attribute() {
        let rows = [
            (("a", "a", "a"), AttributeChange::None),
            (("a", "a", "b"), AttributeChange::None),
            (("a", "b", "a"), AttributeChange::Source),
            (("a", "b", "b"), AttributeChange::Source),
            (("a", "b", "c"), AttributeChange::Conflict),
        ];
        for ((copied, source, destination), expected) in rows {
            let copied = AttributeDigests::of(&tagged(Some(copied)));
            let change = copied.change(Attribute::Tags, &tagged(Some(source)), &tagged(Some(destination)));
            assert_eq!(change, Some(expected), "{copied:?} {source} {destination}");
        }
    }

    #[test]
    fn unread_attributes_are_inconclusive() {
        let none = AttributeDigests::default();
        let (one, other) = (tagged(Some("a")), tagged(Some("b")));
        assert_eq!(none.change(Attribute::Tags, &one, &one), Some(AttributeChange::None));
        assert_eq!(
            none.change(Attribute::Tags, &one, &other),
            Some(AttributeChange::Conflict)
        );
        let unread = ObjectFacts {
            tags: None,
            ..one.clone()
        };
        assert_eq!(
            AttributeDigests::of(&one).change(Attribute::Tags, &unread, &other),
            None
        );
        assert_eq!(
            AttributeDigests::of(&one).change(Attribute::Annotations, &one, &other),
            None
        );
        // A HEAD without a tag count shows that there are none.
        let untagged = ObjectFacts {
            tags: None,
            ..tagged(None)
        };
        assert_eq!(
            AttributeDigests::of(&one).change(Attribute::Tags, &untagged, &one),
            Some(AttributeChange::Source)
        );
    }

    #[test]
    fn text_is_parsed_as_it_was_written() {
        let mut facts = tagged(Some("a"));
        facts.annotations = Some(BTreeMap::new());
        facts.acl = Some(crate::acl::Acl::default());
        let attributes = AttributeDigests::of(&facts);
        assert_eq!(AttributeDigests::parse(&attributes.to_text()), Some(attributes.clone()));
        assert_eq!(AttributeDigests::parse(""), Some(AttributeDigests::default()));
        assert_eq!(AttributeDigests::parse("lock.00"), None);
        assert!(attributes.has(Attribute::Tags) && !attributes.has(Attribute::Annotations));
    }
}
