use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::facts::samples::object;
use crate::listing::StorageClassName;
use crate::names::ETag;
use crate::time::Timestamp;

fn listed(key: &str, size_bytes: u64, etag: &str) -> Listed {
    Listed {
        key: ObjectKey::from_raw(key).unwrap(),
        size_bytes,
        etag: Some(ETag::new(etag).unwrap()),
        last_modified: Timestamp::from_seconds(0),
        storage_class: StorageClassName::new("STANDARD"),
    }
}

#[track_caller]
fn check_looks(source: &str, destination: &str, expected: Option<Kind>) {
    assert_eq!(looks(&listed("k", 5, source), &listed("k", 5, destination)), expected);
    assert_eq!(looks(&listed("k", 5, destination), &listed("k", 5, source)), expected);
}

#[test]
fn listings_tell_equal_tags_and_nothing_more() {
    check_looks("aa", "aa", None);
    check_looks("aa-2", "aa-2", None);
    check_looks("aa", "bb", Some(Kind::Content));
    check_looks("aa-2", "bb-2", Some(Kind::CannotTell));
    check_looks("aa-2", "bb", Some(Kind::CannotTell));
    assert_eq!(looks(&listed("k", 5, "aa"), &listed("k", 6, "aa")), Some(Kind::Size));
    let without = Listed {
        etag: None,
        ..listed("k", 5, "aa")
    };
    assert_eq!(looks(&without, &without), Some(Kind::CannotTell));
}

fn settled(source: &ObjectState, destination: &ObjectState, depth: Depth) -> Vec<Kind> {
    let key = ObjectKey::from_raw("k").unwrap();
    let encryption = EncryptionRules::default();
    settle(
        &key,
        source,
        destination,
        depth,
        &encryption,
        Timestamp::from_seconds(2_000),
    )
    .map_or_else(Vec::new, |different| different.differences)
}

fn present(facts: ObjectFacts) -> ObjectState {
    ObjectState::Present(Box::new(facts))
}

#[test]
fn what_both_sides_say_now_settles_a_finding() {
    let here = present(object("aa"));
    for gone in [
        ObjectState::NotFound,
        ObjectState::DeleteMarker,
        ObjectState::ConfirmedAbsent,
    ] {
        assert_eq!(settled(&here, &gone, Depth::Listing), [Kind::MissingAtDestination]);
        assert_eq!(settled(&gone, &here, Depth::Listing), [Kind::ExtraAtDestination]);
        assert_eq!(settled(&gone, &gone, Depth::Listing), []);
    }
    assert_eq!(settled(&here, &here, Depth::Listing), []);
    assert_eq!(settled(&here, &present(object("bb")), Depth::Listing), [Kind::Content]);
    assert_eq!(
        settled(&here, &present(object("bb-2")), Depth::Listing),
        [Kind::CannotTell]
    );
}

#[test]
fn every_difference_of_a_key_is_named() {
    let mut source = object("aa");
    source.tags = Some(BTreeMap::from([("a".into(), "b".into())]));
    let mut destination = object("aa");
    destination.tags = Some(BTreeMap::new());
    destination.headers.content_type = Some("a/b".into());
    destination.storage_class = "GLACIER_IR".into();
    let (source, destination) = (present(source), present(destination));
    assert_eq!(
        settled(&source, &destination, Depth::Deep),
        [Kind::Metadata, Kind::Tags, Kind::StorageClass]
    );
    assert_eq!(
        settled(&source, &destination, Depth::Listing),
        [Kind::Metadata, Kind::Tags]
    );
}

#[test]
fn counts_name_each_kind_once_a_key() {
    let mut counts = Counts::default();
    let pair = Pair::Both(listed("a", 1, "aa"), listed("a", 2, "aa"));
    counts.pair(&pair);
    counts.different(&DifferentKey::listed(&pair, Kind::Size));
    counts.pair(&Pair::Source(listed("b", 4, "aa")));
    assert_eq!((counts.source_keys, counts.source_bytes), (2, 5));
    assert_eq!((counts.destination_keys, counts.destination_bytes), (1, 2));
    assert_eq!(counts.different_keys, 1);
    assert_eq!(counts.by_kind().collect::<Vec<_>>(), [(Kind::Size, 1)]);
}

#[test]
fn kinds_are_written_by_the_names_they_have() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
    }
}

/// Merges two listings whose pages have the given sizes.
fn merged(
    source: Vec<Listed>,
    destination: Vec<Listed>,
    page: usize,
) -> Result<Vec<Pair>, (SideName, crate::listing::OutOfOrder)> {
    let pages = |rows: Vec<Listed>| rows.chunks(page).map(<[Listed]>::to_vec).collect::<VecDeque<_>>();
    let (mut source, mut destination) = (pages(source), pages(destination));
    let (mut merge, mut pairs) = (Merge::default(), Vec::new());
    loop {
        match merge.step()? {
            Step::Needs(side) => {
                let pages = match side {
                    SideName::Source => &mut source,
                    SideName::Destination => &mut destination,
                };
                match pages.pop_front() {
                    Some(page) => merge.give(side, page),
                    None => merge.end(side),
                }
            }
            Step::Pair(pair) => pairs.push(pair),
            Step::End => return Ok(pairs),
        }
    }
}

#[test]
fn merge_refuses_a_listing_that_is_not_sorted() {
    let unsorted = vec![listed("b", 1, "aa"), listed("a", 1, "aa")];
    let (side, _) = merged(unsorted.clone(), Vec::new(), 10).unwrap_err();
    assert_eq!(side, SideName::Source);
    let (side, _) = merged(vec![listed("c", 1, "aa")], unsorted, 1).unwrap_err();
    assert_eq!(side, SideName::Destination);
}

proptest! {
    #[test]
    fn merge_finds_every_key_of_either_side_once_and_in_order(
        source in prop::collection::btree_map("[a-cé\u{ffff}\u{10000}]{1,3}", 0u64..3, 0..30),
        destination in prop::collection::btree_map("[a-cé\u{ffff}\u{10000}]{1,3}", 0u64..3, 0..30),
        page in 1usize..7,
    ) {
        let rows = |side: &BTreeMap<String, u64>| {
            side.iter().map(|(key, size)| listed(key, *size, "aa")).collect::<Vec<_>>()
        };
        let pairs = merged(rows(&source), rows(&destination), page).unwrap();
        let keys: Vec<&str> = pairs.iter().map(|pair| pair.key().as_str()).collect();
        let expected: Vec<&str> = source.keys().chain(destination.keys()).map(String::as_str)
            .collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        prop_assert_eq!(keys, expected);
        for pair in &pairs {
            let key = pair.key().as_str();
            prop_assert_eq!(pair.source().map(|row| row.size_bytes), source.get(key).copied());
            prop_assert_eq!(pair.destination().map(|row| row.size_bytes), destination.get(key).copied());
            let expected = match (source.get(key), destination.get(key)) {
                (Some(_), None) => Some(Kind::MissingAtDestination),
                (None, Some(_)) => Some(Kind::ExtraAtDestination),
                (one, other) => (one != other).then_some(Kind::Size),
            };
            prop_assert_eq!(pair.looks(), expected);
        }
    }
}
