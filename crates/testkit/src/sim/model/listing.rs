//! Listings of objects, versions and uploads, in the order of the keys' UTF-8 bytes.

use std::ops::Bound;

use super::bucket::SimBucket;
use super::multipart::SimUpload;
use super::object::{SimObject, SimVersion};

/// The most that one page holds.
pub const PAGE_LIMIT: usize = 1000;

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListingRequest {
    /// Only keys that start so.
    pub prefix: String,
    /// Keys that have it after the prefix are folded into one common prefix.
    pub delimiter: Option<String>,
    /// Where to go on.
    pub after: ListingMarker,
    /// The most entries, common prefixes among them.
    pub limit: usize,
}

/// Where a listing goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListingMarker {
    /// At the beginning.
    #[default]
    Beginning,
    /// After a key, or a common prefix as a whole.
    Key(String),
    /// After a key, within whose versions or uploads the named one was the last.
    Within(String, String),
    /// After a key; keys below a prefix of that name still count.
    StartAfter(String),
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct SimListingPage<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// The folded prefixes.
    pub prefixes: Vec<String>,
    /// The last entry or prefix, where there is more.
    pub next: Option<LastListed>,
}

/// The last entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastListed {
    /// Its key, or the common prefix.
    pub key: String,
    /// Its version or upload id.
    pub id: Option<String>,
}

/// A version in a listing.
#[derive(Debug, Clone, Copy)]
pub struct SimListedVersion<'a> {
    /// Its key.
    pub key: &'a str,
    /// The version.
    pub version: &'a SimVersion,
    /// Whether it is current.
    pub is_latest: bool,
}

/// An object in a listing.
#[derive(Debug, Clone, Copy)]
pub struct SimListedObject<'a> {
    /// Its key.
    pub key: &'a str,
    /// The version.
    pub version: &'a SimVersion,
    /// The object.
    pub object: &'a SimObject,
}

/// An upload in a listing.
#[derive(Debug, Clone, Copy)]
pub struct SimListedUpload<'a> {
    /// Its id.
    pub id: &'a str,
    /// The upload.
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

    /// Lists versions, the newest of a key first.
    pub fn versions<'a>(&self, bucket: &'a SimBucket) -> SimListingPage<SimListedVersion<'a>> {
        let all = self.keys(bucket).flat_map(|(key, versions)| {
            versions.iter().enumerate().map(move |(place, version)| {
                let listed = SimListedVersion {
                    key,
                    version,
                    is_latest: place == 0,
                };
                (key.as_str(), Some(version.id.as_str()), listed)
            })
        });
        self.page(all)
    }

    /// Lists uploads by key, then by start.
    pub fn uploads<'a>(&self, bucket: &'a SimBucket) -> SimListingPage<SimListedUpload<'a>> {
        let mut all: Vec<_> = bucket.uploads.iter().collect();
        all.sort_by_key(|(_, upload)| (upload.key.as_str(), upload.begun.order));
        let all = all
            .into_iter()
            .map(|(id, upload)| (upload.key.as_str(), Some(id.as_str()), SimListedUpload { id, upload }));
        self.page(all)
    }

    /// The keys of the prefix that can be on the page, from the marker on.
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
            if self.is_behind(key, id, folded.as_deref(), &mut passed_marker) {
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

    /// The common prefix that a key is folded into.
    fn folded(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let rest = key.strip_prefix(&self.prefix)?;
        let (head, _) = rest.split_once(delimiter)?;
        Some(format!("{}{head}{delimiter}", self.prefix))
    }

    /// Tells whether an entry was on an earlier page.
    fn is_behind(&self, key: &str, id: Option<&str>, folded: Option<&str>, passed_marker: &mut bool) -> bool {
        match &self.after {
            ListingMarker::Beginning => false,
            ListingMarker::StartAfter(after) => key <= after.as_str(),
            ListingMarker::Key(after) => key <= after.as_str() || folded.is_some_and(|prefix| prefix <= after.as_str()),
            ListingMarker::Within(after, last) => {
                if key != after {
                    return key < after.as_str();
                }
                let behind = !*passed_marker;
                *passed_marker |= id == Some(last.as_str());
                behind
            }
        }
    }
}
