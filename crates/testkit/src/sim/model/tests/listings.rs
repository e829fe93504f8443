use super::*;
use crate::sim::model::listing::{ListingMarker, ListingRequest};

fn fixture(keys: &[&'static str]) -> SimFixture {
    let mut fixture = SimFixture::new();
    for key in keys {
        fixture.put(WriteTarget { key, ..VERSIONED }, "x");
    }
    fixture
}

/// Lists all objects and common prefixes, page by page.
fn all(fixture: &SimFixture, prefix: &str, delimiter: Option<&str>, limit: usize) -> (Vec<String>, Vec<String>) {
    let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("a bucket");
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    let mut after = ListingMarker::Beginning;
    loop {
        let listing = ListingRequest {
            prefix: prefix.to_owned(),
            delimiter: delimiter.map(str::to_owned),
            after,
            limit,
        };
        let page = listing.objects(bucket);
        assert!(page.entries.len() + page.prefixes.len() <= limit);
        keys.extend(page.entries.iter().map(|listed| listed.key.to_owned()));
        prefixes.extend(page.prefixes);
        match page.next {
            Some(last) => after = ListingMarker::Key(last.key),
            None => return (keys, prefixes),
        }
    }
}

#[test]
fn keys_are_listed_in_byte_order_without_gaps_between_pages() {
    let keys = [
        "Z",
        "a",
        "a!",
        "a/1",
        "a/2",
        "a0",
        "b/",
        "b/x/y",
        "é",
        "\u{ffff}",
        "\u{10000}",
    ];
    let fixture = fixture(&keys);
    for limit in 1..12 {
        assert_eq!(
            all(&fixture, "", None, limit),
            (keys.map(str::to_owned).to_vec(), Vec::new())
        );
        let (found, prefixes) = all(&fixture, "", Some("/"), limit);
        assert_eq!(prefixes, ["a/", "b/"], "{limit}");
        assert_eq!(found.len(), 7, "{limit}");
        assert_eq!(
            all(&fixture, "b/", Some("/"), limit),
            (vec!["b/".to_owned()], vec!["b/x/".to_owned()])
        );
    }
}

#[test]
fn listing_of_versions_continues_within_a_key() {
    let mut fixture = fixture(&["a", "k", "z"]);
    fixture.put(VERSIONED, "two");
    fixture.delete(VERSIONED);
    let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("a bucket");
    let mut after = ListingMarker::Beginning;
    let mut seen = Vec::new();
    loop {
        let listing = ListingRequest {
            after,
            limit: 1,
            ..ListingRequest::default()
        };
        let page = listing.versions(bucket);
        seen.extend(page.entries.iter().map(|listed| (listed.key, listed.is_latest)));
        let Some(last) = page.next else { break };
        after = ListingMarker::Within(last.key, last.id.expect("versions have ids"));
    }
    assert_eq!(
        seen,
        [("a", true), ("k", true), ("k", false), ("k", false), ("z", true)]
    );
}
