use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::facts::samples::object;
use crate::listing::StorageClassName;
use crate::names::ETag;
use crate::time::Timestamp;

fn listed(key: &str, size_bytes: u64, etag: &str) -> ListedObject {
    ListedObject {
        key: ObjectKey::from_raw(key).unwrap(),
        size_bytes,
        etag: Some(ETag::new(etag).unwrap()),
        last_modified: Timestamp::from_seconds(0),
        storage_class: StorageClassName::new("STANDARD"),
    }
}

#[track_caller]
fn check_listed(source: &str, destination: &str, expected: Option<DifferenceKind>) {
    assert_eq!(
        listed_difference(&listed("k", 5, source), &listed("k", 5, destination)),
        expected
    );
    assert_eq!(
        listed_difference(&listed("k", 5, destination), &listed("k", 5, source)),
        expected
    );
}

#[test]
fn listings_prove_equal_etags_only() {
    check_listed("aa", "aa", None);
    check_listed("aa-2", "aa-2", None);
    check_listed("aa", "bb", Some(DifferenceKind::Content));
    check_listed("aa-2", "bb-2", Some(DifferenceKind::Inconclusive));
    check_listed("aa-2", "bb", Some(DifferenceKind::Inconclusive));
    assert_eq!(
        listed_difference(&listed("k", 5, "aa"), &listed("k", 6, "aa")),
        Some(DifferenceKind::Size)
    );
    let without = ListedObject {
        etag: None,
        ..listed("k", 5, "aa")
    };
    assert_eq!(
        listed_difference(&without, &without),
        Some(DifferenceKind::Inconclusive)
    );
}

fn confirmed(source: &ObjectState, destination: &ObjectState, depth: DiffDepth) -> Vec<DifferenceKind> {
    let key = ObjectKey::from_raw("k").unwrap();
    let encryption = EncryptionRules::default();
    confirm_difference(
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
fn current_reads_of_both_sides_confirm_a_difference() {
    let existing = present(object("aa"));
    for absent in [
        ObjectState::NotFound,
        ObjectState::DeleteMarker,
        ObjectState::ConfirmedAbsent,
    ] {
        assert_eq!(
            confirmed(&existing, &absent, DiffDepth::Listing),
            [DifferenceKind::MissingAtDestination]
        );
        assert_eq!(
            confirmed(&absent, &existing, DiffDepth::Listing),
            [DifferenceKind::ExtraAtDestination]
        );
        assert_eq!(confirmed(&absent, &absent, DiffDepth::Listing), []);
    }
    assert_eq!(confirmed(&existing, &existing, DiffDepth::Listing), []);
    assert_eq!(
        confirmed(&existing, &present(object("bb")), DiffDepth::Listing),
        [DifferenceKind::Content]
    );
    assert_eq!(
        confirmed(&existing, &present(object("bb-2")), DiffDepth::Listing),
        [DifferenceKind::Inconclusive]
    );
}

#[test]
fn every_difference_of_a_key_is_reported() {
    let mut source = object("aa");
    source.tags = Some(BTreeMap::from([("a".into(), "b".into())]));
    let mut destination = object("aa");
    destination.tags = Some(BTreeMap::new());
    destination.headers.content_type = Some("a/b".into());
    destination.storage_class = "GLACIER_IR".into();
    let (source, destination) = (present(source), present(destination));
    assert_eq!(
        confirmed(&source, &destination, DiffDepth::Head),
        [
            DifferenceKind::Metadata,
            DifferenceKind::Tags,
            DifferenceKind::StorageClass
        ]
    );
    assert_eq!(
        confirmed(&source, &destination, DiffDepth::Listing),
        [DifferenceKind::Metadata, DifferenceKind::Tags]
    );
}

#[test]
fn counts_contain_each_kind_once_per_key() {
    let mut counts = DiffCounts::default();
    let pair = KeyPair::Both(listed("a", 1, "aa"), listed("a", 2, "aa"));
    counts.pair(&pair);
    counts.different(&DifferentKey::listed(&pair, DifferenceKind::Size));
    counts.pair(&KeyPair::Source(listed("b", 4, "aa")));
    assert_eq!((counts.source_keys, counts.source_bytes), (2, 5));
    assert_eq!((counts.destination_keys, counts.destination_bytes), (1, 2));
    assert_eq!(counts.different_keys, 1);
    assert_eq!(counts.by_kind().collect::<Vec<_>>(), [(DifferenceKind::Size, 1)]);
}

#[test]
fn kinds_serialize_to_their_names() {
    for kind in DifferenceKind::ALL {
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
    }
}

/// Merges two listings in pages of the given size.
fn merged(
    source: Vec<ListedObject>,
    destination: Vec<ListedObject>,
    page: usize,
) -> Result<Vec<KeyPair>, (SideName, crate::listing::KeysOutOfOrder)> {
    let pages = |rows: Vec<ListedObject>| rows.chunks(page).map(<[ListedObject]>::to_vec).collect::<VecDeque<_>>();
    let (mut source, mut destination) = (pages(source), pages(destination));
    let (mut merge, mut pairs) = (ListingMerge::default(), Vec::new());
    loop {
        match merge.step()? {
            MergeStep::Needs(side) => {
                let pages = match side {
                    SideName::Source => &mut source,
                    SideName::Destination => &mut destination,
                };
                match pages.pop_front() {
                    Some(page) => merge.give(side, page),
                    None => merge.end(side),
                }
            }
            MergeStep::Pair(pair) => pairs.push(pair),
            MergeStep::End => return Ok(pairs),
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
                (Some(_), None) => Some(DifferenceKind::MissingAtDestination),
                (None, Some(_)) => Some(DifferenceKind::ExtraAtDestination),
                (one, other) => (one != other).then_some(DifferenceKind::Size),
            };
            prop_assert_eq!(pair.listed_difference(), expected);
        }
    }
}
