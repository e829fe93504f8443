//! Listings of objects, versions and uploads, in the order of the keys' UTF-8 bytes.

use std::ops::Bound;

use super::bucket::SimBucket;
use super::multipart::SimUpload;
use super::object::{SimObject, SimVersion};

/// Maximum number of entries of a page.
pub const PAGE_LIMIT: usize = 1000;

/// A listing request.
#[derive(Debug, Clone, Default)]
pub struct ListingRequest {
    /// Prefix of the keys.
    pub prefix: String,
    /// Delimiter: keys that contain it after the prefix are grouped into a common prefix.
    pub delimiter: Option<String>,
    /// Marker after which the listing starts.
    pub after: ListingMarker,
    /// Maximum number of entries, including common prefixes.
    pub limit: usize,
}

/// Marker after which a listing starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListingMarker {
    /// The listing starts at the first key.
    #[default]
    Beginning,
    /// The listing starts after a key, or after all keys of a common prefix.
    Key(String),
    /// The listing starts within a key, after the version or upload with this id.
    Within(String, String),
    /// The listing starts after a key, and includes keys below a prefix of that name.
    StartAfter(String),
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct SimListingPage<T> {
    /// Entries.
    pub entries: Vec<T>,
    /// Common prefixes.
    pub prefixes: Vec<String>,
    /// Last entry or common prefix, if another page follows.
    pub next: Option<LastListed>,
}

/// Last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastListed {
    /// Key or common prefix.
    pub key: String,
    /// Version id or upload id.
    pub id: Option<String>,
}

/// A version in a listing.
#[derive(Debug, Clone, Copy)]
pub struct SimListedVersion<'a> {
    /// Object key.
    pub key: &'a str,
    /// The listed version.
    pub version: &'a SimVersion,
    /// Whether the version is current.
    pub is_latest: bool,
}

/// An object in a listing.
#[derive(Debug, Clone, Copy)]
pub struct SimListedObject<'a> {
    /// Object key.
    pub key: &'a str,
    /// The current version.
    pub version: &'a SimVersion,
    /// The object of the version.
    pub object: &'a SimObject,
}

/// An upload in a listing.
#[derive(Debug, Clone, Copy)]
pub struct SimListedUpload<'a> {
    /// Upload id.
    pub id: &'a str,
    /// The listed upload.
    pub upload: &'a SimUpload,
}

impl ListingRequest {
    /// Lists current objects.
    pub fn objects<'a>(&self, bucket: &'a SimBucket) -> SimListingPage<SimListedObject<'a>> {
        let all = self.keys(bucket).filter_map(|(key, versions)| {
            let version = versions.first()?;
            let object = version.object()?;
            Some((key.as_str(), None, SimListedObject { key, version, object }))
        });
        self.page(all)
    }

    /// Lists versions by key, newest first.
    pub fn versions<'a>(&self, bucket: &'a SimBucket) -> SimListingPage<SimListedVersion<'a>> {
        let all = self.keys(bucket).flat_map(|(key, versions)| {
            versions.iter().enumerate().map(move |(index, version)| {
                let listed = SimListedVersion {
                    key,
                    version,
                    is_latest: index == 0,
                };
                (key.as_str(), Some(version.id.as_str()), listed)
            })
        });
        self.page(all)
    }

    /// Lists uploads by key, in the order of their start.
    pub fn uploads<'a>(&self, bucket: &'a SimBucket) -> SimListingPage<SimListedUpload<'a>> {
        let mut all: Vec<_> = bucket.uploads.iter().collect();
        all.sort_by_key(|(_, upload)| (upload.key.as_str(), upload.begun.order));
        let all = all
            .into_iter()
            .map(|(id, upload)| (upload.key.as_str(), Some(id.as_str()), SimListedUpload { id, upload }));
        self.page(all)
    }

    /// Returns the keys with the prefix, from the marker.
    fn keys<'a>(&self, bucket: &'a SimBucket) -> impl Iterator<Item = (&'a String, &'a Vec<SimVersion>)> {
        let marker = match &self.after {
            ListingMarker::Beginning => "",
            ListingMarker::Key(key) | ListingMarker::Within(key, _) | ListingMarker::StartAfter(key) => key,
        };
        let start = marker.max(self.prefix.as_str());
        bucket
            .keys
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&self.prefix))
    }

    fn page<'a, T>(&self, all: impl Iterator<Item = (&'a str, Option<&'a str>, T)>) -> SimListingPage<T> {
        let mut page = SimListingPage {
            entries: Vec::new(),
            prefixes: Vec::new(),
            next: None,
        };
        if self.limit == 0 {
            return page;
        }
        let mut last: Option<LastListed> = None;
        let mut passed_marker = false;
        for (key, id, entry) in all.filter(|(key, ..)| key.starts_with(&self.prefix)) {
            let folded = self.folded(key);
            if self.is_before_marker(key, id, folded.as_deref(), &mut passed_marker) {
                continue;
            }
            if folded.is_some() && folded.as_ref() == page.prefixes.last() {
                continue;
            }
            if page.entries.len() + page.prefixes.len() == self.limit.min(PAGE_LIMIT) {
                page.next = last;
                return page;
            }
            last = Some(LastListed {
                key: folded.clone().unwrap_or_else(|| key.to_owned()),
                id: if folded.is_some() { None } else { id.map(str::to_owned) },
            });
            match folded {
                Some(prefix) => page.prefixes.push(prefix),
                None => page.entries.push(entry),
            }
        }
        page
    }

    /// Returns the common prefix of a key, if the delimiter groups it.
    fn folded(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let rest = key.strip_prefix(&self.prefix)?;
        let (head, _) = rest.split_once(delimiter)?;
        Some(format!("{}{head}{delimiter}", self.prefix))
    }

    /// Returns whether an entry was on an earlier page.
    fn is_before_marker(&self, key: &str, id: Option<&str>, folded: Option<&str>, passed_marker: &mut bool) -> bool {
        match &self.after {
            ListingMarker::Beginning => false,
            ListingMarker::StartAfter(after) => key <= after.as_str(),
            ListingMarker::Key(after) => key <= after.as_str() || folded.is_some_and(|prefix| prefix <= after.as_str()),
            ListingMarker::Within(after, last) => {
                if key != after {
                    return key < after.as_str();
                }
                let is_before = !*passed_marker;
                *passed_marker |= id == Some(last.as_str());
                is_before
            }
        }
    }
}
