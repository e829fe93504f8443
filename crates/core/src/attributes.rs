//! Attributes that applications change on s3ferry's copy without writing the object again: tags, annotations, grants.
//!
//! The marker of a copy holds a hash of each as the source had it. With it three states are compared: what was copied,
//! what the source has now, and what the destination has now.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::facts::{Attribute, ObjectFacts};
use crate::upload::hexadecimal;

/// The attributes that a marker holds hashes of, in the order of its text.
const ATTRIBUTES: [Attribute; 3] = [Attribute::Tags, Attribute::Acl, Attribute::Annotations];

/// How many hexadecimal digits of a hash are kept: enough to tell apart what one object ever has.
const DIGITS: usize = 16;

/// Hashes of an object's attributes, of those that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeDigests(BTreeMap<Attribute, String>);

/// What has to be done about an attribute of s3ferry's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeChange {
    /// Nothing: the source's is the one that was copied, whatever an application made of it at the destination.
    None,
    /// The source's is another one, and the destination's is not an application's: the source's is copied.
    Source,
    /// Both are others than what was copied: the application's stays, and the conflict is reported.
    Conflict,
}

impl AttributeDigests {
    /// Hashes the attributes of an object as far as they are known.
    #[must_use]
    pub fn of(facts: &ObjectFacts) -> Self {
        let known = ATTRIBUTES
            .into_iter()
            .filter_map(|attribute| Some((attribute, digest(facts, attribute)?)));
        Self(known.collect())
    }

    /// Tells what has to be done about an attribute of a copy that was made with `self`; none where one side was not read.
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

    /// Tells whether the copy was made of an object that had some of an attribute.
    #[must_use]
    pub fn has(&self, attribute: Attribute) -> bool {
        let none = digest_of(&BTreeMap::<String, String>::new());
        self.0
            .get(&attribute)
            .is_some_and(|copied| Some(copied) != none.as_ref())
    }

    /// Takes over what `other` holds of an attribute.
    #[must_use]
    pub(crate) fn with(mut self, attribute: Attribute, other: &Self) -> Self {
        match other.0.get(&attribute) {
            Some(hash) => self.0.insert(attribute, hash.clone()),
            None => self.0.remove(&attribute),
        };
        self
    }

    /// Spells the hashes for a marker.
    pub(crate) fn to_text(&self) -> String {
        let spelled = ATTRIBUTES.iter().filter_map(|attribute| {
            let hash = self.0.get(attribute)?;
            Some(format!("{}.{hash}", attribute.as_str()))
        });
        spelled.collect::<Vec<_>>().join(",")
    }

    /// Reads what `to_text` spells.
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

/// Tells whether an object's tags are known: read, or none by its HEAD.
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
    let spelled = serde_json::to_vec(attribute).ok()?;
    let mut digest = hexadecimal(&Sha256::digest(spelled));
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
        // A HEAD that counts no tags says all of them.
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
    fn text_comes_back_as_it_was_written() {
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
