use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::completion::{ChecksumRow, ChecksumRowProblem, ComputedChecksum, ComputedChecksums, computed as read_row};
use super::*;
use crate::batch_report::{TaskCells, TaskOutcome, TaskRow};
use crate::compare::{BodyComparison as Compared, BodyDifference, compare_bodies};
use crate::diff::{DiffCounts, DifferenceKind, DifferentKey, KeyPair};
use crate::encryption::EncryptionRules;
use crate::facts::samples::object;
use crate::facts::{ChecksumCoverage, Encryption, KmsEncryption, ObjectFacts, StoredChecksums as Stored};
use crate::failure::{Failure, FailureKind};
use crate::listing::{ListedObject, StorageClassName};
use crate::names::{BucketName, ETag, ObjectKey, VersionId};
use crate::policy::Ownership;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_seconds(2_000);

const MD5_A: &str = "0cc175b9c0f1b6a831c399e269772661";

/// Object from a description: `etag:...`, `size:...`, stored checksums as `full:...` or `composite:...`, and `kms`.
fn described(description: &str) -> ObjectFacts {
    let mut facts = object(MD5_A);
    for attribute in description.split_whitespace() {
        match attribute.split_once(':') {
            Some(("etag", etag)) => facts.etag = ETag::new(etag).unwrap(),
            Some(("size", size)) => facts.size_bytes = size.parse().unwrap(),
            Some((coverage, value)) => {
                facts.checksums = Stored {
                    coverage: coverage_of(coverage),
                    values: BTreeMap::from([("SHA256", value.to_owned())]),
                };
            }
            None if attribute == "kms" => facts.encryption = Encryption::Kms(KmsEncryption::default()),
            None => panic!("unknown attribute {attribute}"),
        }
    }
    facts
}

fn coverage_of(name: &str) -> ChecksumCoverage {
    match name {
        "full" => ChecksumCoverage::FullObject,
        "composite" => ChecksumCoverage::Composite,
        _ => panic!("unknown coverage {name}"),
    }
}

fn scope(depth: VerificationDepth) -> ComparisonScope {
    ComparisonScope {
        depth,
        ignored: BTreeSet::new(),
        ownership: Ownership::Exclusive,
        encryption: EncryptionRules::default(),
    }
}

#[track_caller]
fn check(source: &str, destination: &str, at_head: ContentFinding, at_checksum: ContentFinding) {
    let (source, destination) = (described(source), described(destination));
    for (depth, expected) in [
        (VerificationDepth::Head, at_head),
        (VerificationDepth::Checksum, at_checksum),
    ] {
        for (one, other) in [(&source, &destination), (&destination, &source)] {
            let finding = compare_objects(one, other, &KnownEvidence::default(), &scope(depth), NOW);
            assert_eq!(finding.contents, expected, "{depth:?}");
        }
    }
}

#[test]
fn contents_are_verified_by_methods_sufficient_at_the_depth() {
    use ContentFinding::{Agree, AgreeIfPartsMatch, Differ, Unknown};
    use ProofMethod::{CompositeChecksum, Empty, Etag, FullChecksum, MultipartEtag};
    check("etag:aa", "etag:aa", Agree(Etag), Agree(Etag));
    check("etag:aa", "etag:bb", Differ, Differ);
    check("etag:aa-2", "etag:aa-2", Agree(MultipartEtag), Unknown);
    check("etag:aa-2", "etag:bb", Unknown, Unknown);
    check("etag:aa kms", "etag:bb", Unknown, Unknown);
    // Re-encrypted in place without a change of the ETag.
    check("etag:aa kms", "etag:aa", Agree(Etag), Agree(Etag));
    check(
        "etag:aa-2 full:x",
        "etag:bb full:x",
        Agree(FullChecksum),
        Agree(FullChecksum),
    );
    check("etag:aa kms full:x", "etag:bb full:y", Differ, Differ);
    check("etag:aa full:x", "etag:aa full:y", Differ, Differ);
    check(
        "etag:aa-2 kms composite:x-2",
        "etag:bb-2 kms composite:x-2",
        Agree(CompositeChecksum),
        AgreeIfPartsMatch(CompositeChecksum),
    );
    check("etag:aa-2 composite:x-2", "etag:bb-3 composite:y-3", Unknown, Unknown);
    check("etag:aa kms size:0", "etag:bb kms size:0", Agree(Empty), Agree(Empty));
    check("etag:aa size:1", "etag:aa size:2", Differ, Differ);
}

fn computed(etag: &str, version: Option<&str>, algorithm: &str, value: &str) -> ComputedChecksum {
    ComputedChecksum {
        etag: ETag::new(etag).unwrap(),
        version_id: version.and_then(VersionId::pinnable),
        algorithm: algorithm.to_owned(),
        coverage: ChecksumCoverage::FullObject,
        value: value.to_owned(),
    }
}

#[track_caller]
fn check_computed(
    source: &ComputedChecksum,
    destination: Option<&ComputedChecksum>,
    facts: [&str; 2],
    expected: ContentFinding,
) {
    let known = KnownEvidence {
        source: vec![source],
        destination: destination.into_iter().collect(),
        marker: None,
    };
    let [one, other] = facts.map(described);
    for depth in [VerificationDepth::Head, VerificationDepth::Checksum] {
        assert_eq!(
            compare_objects(&one, &other, &known, &scope(depth), NOW).contents,
            expected
        );
    }
}

#[test]
fn computed_checksum_applies_only_to_the_object_it_was_computed_of() {
    let agree = ContentFinding::Agree(ProofMethod::ComputedChecksum);
    let facts = ["etag:aa-2", "etag:bb-3"];
    let other = computed("bb-3", None, "SHA256", "x");
    check_computed(&computed("aa-2", None, "SHA256", "x"), Some(&other), facts, agree);
    check_computed(&computed("aa-2", Some("v1"), "SHA256", "x"), Some(&other), facts, agree);
    check_computed(
        &computed("aa-2", None, "SHA256", "y"),
        Some(&other),
        facts,
        ContentFinding::Differ,
    );
    let not_applicable = [
        computed("cc-2", None, "SHA256", "x"),
        computed("aa-2", Some("v0"), "SHA256", "x"),
        computed("aa-2", None, "CRC32", "x"),
    ];
    for source in not_applicable {
        check_computed(&source, Some(&other), facts, ContentFinding::Unknown);
    }
}

#[test]
fn computed_checksum_is_compared_with_stored_checksums_of_the_other_side() {
    let agree = ContentFinding::Agree(ProofMethod::ComputedChecksum);
    check_computed(
        &computed("aa-2", None, "SHA256", "x"),
        None,
        ["etag:aa-2", "etag:bb full:x"],
        agree,
    );
    // An ETag without parts is an MD5.
    check_computed(&computed("aa-2", None, "MD5", MD5_A), None, ["etag:aa-2", ""], agree);
    check_computed(
        &computed("aa-2", None, "MD5", "00"),
        None,
        ["etag:aa-2", ""],
        ContentFinding::Differ,
    );
    check_computed(
        &computed("aa-2", None, "MD5", MD5_A),
        None,
        ["etag:aa-2", "kms"],
        ContentFinding::Unknown,
    );
}

#[test]
fn all_kinds_are_reported_and_only_attributes_can_be_ignored() {
    let source = object("aa");
    let mut destination = object("bb");
    destination.headers.content_type = Some("a/b".into());
    destination.storage_class = "GLACIER_IR".into();
    let kinds = |depth, ignored: &[DifferenceKind]| {
        let scope = ComparisonScope {
            ignored: ignored.iter().copied().collect(),
            ..scope(depth)
        };
        compare_objects(&source, &destination, &KnownEvidence::default(), &scope, NOW).kinds
    };
    assert_eq!(
        kinds(VerificationDepth::Listing, &[]),
        [DifferenceKind::Content, DifferenceKind::Metadata]
    );
    assert_eq!(
        kinds(VerificationDepth::Head, &[]),
        [
            DifferenceKind::Content,
            DifferenceKind::Metadata,
            DifferenceKind::StorageClass
        ]
    );
    assert_eq!(
        kinds(
            VerificationDepth::Head,
            &[
                DifferenceKind::StorageClass,
                DifferenceKind::Content,
                DifferenceKind::Metadata
            ]
        ),
        [DifferenceKind::Content]
    );
}

const MESSAGE: &str = r#"{"checksum_base64":"bS9TOQ\u003d\u003d","etag":"3c3c","checksumAlgorithm":"CRC32","checksumType":"FULL_OBJECT","checksum_hex":"6D2F5339"}"#;

fn bucket() -> BucketName {
    BucketName::new("my-bucket").unwrap()
}

fn row_with(change: impl FnOnce(&mut TaskRow)) -> Result<ChecksumRow, ChecksumRowProblem> {
    let mut row = TaskRow {
        file: "1.csv".to_owned(),
        row: 1,
        cells: TaskCells {
            bucket: "my-bucket".to_owned(),
            key: "a%20b+c".to_owned(),
            version: None,
        },
        end: TaskOutcome::Succeeded,
        http_status: Some(200),
        error_code: String::new(),
        message: MESSAGE.to_owned(),
    };
    change(&mut row);
    read_row(&row, &bucket())
}

#[test]
fn report_row_is_parsed_as_documented_by_aws() {
    let Ok(ChecksumRow::Computed(keys, computed)) = row_with(|_| ()) else {
        panic!("{:?}", row_with(|_| ()));
    };
    let keys: Vec<&str> = keys.iter().map(ObjectKey::as_str).collect();
    assert_eq!(keys, ["a b c", "a b+c"], "a plus sign may be a space");
    assert_eq!(
        (computed.algorithm.as_str(), computed.value.as_str()),
        ("CRC32", "bS9TOQ==")
    );
    assert_eq!((computed.etag.as_str(), computed.version_id), ("3c3c", None));
    assert_eq!(row_with(|row| row.end = TaskOutcome::Failed), Ok(ChecksumRow::Failed));
    let md5 = r#"{"checksum_base64":"AA==","etag":"3c","checksumAlgorithm":"MD5","checksumType":"FULL_OBJECT","checksum_hex":"AB"}"#;
    let read = row_with(|row| md5.clone_into(&mut row.message));
    assert!(matches!(read, Ok(ChecksumRow::Computed(_, computed)) if computed.value == "ab"));
}

#[test]
fn invalid_report_row_is_an_error() {
    let unknown_type = r#"{"checksum_base64":"AA==","etag":"3c","checksumAlgorithm":"MD5","checksumType":"NEW"}"#;
    let refused = |expected: &str, change: &dyn Fn(&mut TaskRow)| {
        let error = row_with(change).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused("bucket `other-bucket`, expected `my-bucket`", &|row| {
        row.cells.bucket = "other-bucket".to_owned();
    });
    refused("key `a%2`", &|row| row.cells.key = "a%2".to_owned());
    refused("key ``", &|row| row.cells.key = String::new());
    refused("pass the report of a Compute checksum job", &|row| {
        row.message = "Successful".to_owned();
    });
    refused("no checksum", &|row| unknown_type.clone_into(&mut row.message));
}

#[test]
fn checksums_are_found_by_either_decoding_of_a_key() {
    let mut checksums = ComputedChecksums::default();
    checksums.take(row_with(|_| ()).unwrap());
    checksums.take(ChecksumRow::Failed);
    assert_eq!((checksums.computed, checksums.failed), (1, 1));
    for (key, found) in [("a b c", 1), ("a b+c", 1), ("a", 0)] {
        assert_eq!(checksums.of(&ObjectKey::from_raw(key).unwrap()).len(), found);
    }
}

fn pair(key: &str) -> KeyPair {
    let listed = ListedObject {
        key: ObjectKey::from_raw(key).unwrap(),
        size_bytes: 1,
        etag: None,
        last_modified: Timestamp::from_seconds(0),
        storage_class: StorageClassName::new(""),
    };
    KeyPair::Both(listed.clone(), listed)
}

fn sampled(seed: u64, size: usize, keys: impl Iterator<Item = usize>) -> Vec<String> {
    let mut sampler = KeySampler::new(size, seed);
    keys.for_each(|number| sampler.offer(pair(&number.to_string())));
    let pairs = sampler.drawn();
    pairs.iter().map(|pair| pair.key().to_string()).collect()
}

#[test]
fn sample_is_the_same_for_the_same_keys_and_seed() {
    let one = sampled(7, 20, 0..1_000);
    assert_eq!(one.len(), 20);
    assert!(one.is_sorted());
    assert_eq!(one, sampled(7, 20, (0..1_000).rev()));
    assert_ne!(one, sampled(8, 20, 0..1_000));
    assert_eq!(sampled(7, 20, 0..5).len(), 5);
    // The sample covers the whole key space.
    let middle = one
        .iter()
        .filter(|key| key.as_str() > "3" && key.as_str() < "7")
        .count();
    assert!((2..=18).contains(&middle), "{one:?}");
}

fn different(kinds: &[DifferenceKind]) -> DifferentKey {
    DifferentKey {
        key: ObjectKey::from_raw("key").unwrap(),
        differences: kinds.to_vec(),
        source: None,
        destination: None,
        reason: None,
    }
}

fn verified_keys(number: u8) -> KeyVerification {
    match number {
        0 => KeyVerification::Equal {
            means: ProofMethod::Etag,
            size_bytes: 3,
        },
        1 => KeyVerification::Gone,
        2 => KeyVerification::not_equal(different(&[DifferenceKind::Tags, DifferenceKind::Inconclusive]), true),
        3 => KeyVerification::not_equal(different(&[DifferenceKind::Inconclusive]), true),
        _ => KeyVerification::Unread {
            key: different(&[DifferenceKind::Inconclusive]),
            failure: Failure {
                kind: FailureKind::Permanent,
                code: "AccessDenied".into(),
                action: "s3:GetObject".to_owned(),
                resource: "key".to_owned(),
                detail: String::new(),
            },
        },
    }
}

fn tally(results: &[u8]) -> VerificationTotals {
    let mut total = VerificationTotals::default();
    for result in results {
        let mut one = VerificationTotals {
            keys: 1,
            ..VerificationTotals::default()
        };
        one.take(&verified_keys(*result));
        total.add(&one);
    }
    total
}

proptest! {
    #[test]
    fn buckets_are_verified_only_if_no_key_leaves_a_doubt(
        results in proptest::collection::vec(0u8..5, 0..20), missing in 0u64..2, is_cut: bool, is_sample: bool,
        left_out in 0u64..2,
    ) {
        let mut tally = tally(&results);
        // A listed key without a result.
        tally.keys += missing + left_out;
        tally.not_examined += left_out;
        let ending = if is_cut { VerificationEnd::Cut } else { VerificationEnd::Complete };
        let verdict = tally.verdict(ending, is_sample);
        let doubt = results.iter().any(|result| *result > 1);
        let is_complete = missing == 0 && !is_cut && !is_sample && left_out == 0;
        // Result 1 is a key that was deleted on both sides.
        let nothing = tally.keys == tally.gone;
        prop_assert_eq!(verdict == VerificationVerdict::Verified, is_complete && !doubt && !nothing);
        prop_assert_eq!(verdict == VerificationVerdict::NothingToCompare, nothing && !is_cut);
        if doubt || missing > 0 || is_cut {
            prop_assert!(!verdict.is_good());
        }
        if !is_cut && missing == 0 {
            prop_assert_eq!(verdict == VerificationVerdict::Different, results.contains(&2));
        }
    }

    #[test]
    fn verification_agrees_with_the_comparison_of_a_reconcile(
        etags in (("[ab]{1,2}(-2)?"), ("[ab]{1,2}(-2)?")), values in ("[xy]", "[xy]"),
        coverages in (0u8..3, 0u8..3), kms in (any::<bool>(), any::<bool>()),
    ) {
        let describe = |etag: &str, value: &str, coverage: u8, kms: bool| {
            let stored = ["", "full:", "composite:"][usize::from(coverage)];
            let stored = if stored.is_empty() { String::new() } else { format!("{stored}{value}") };
            described(&format!("etag:{etag} {stored} {}", if kms { "kms" } else { "" }))
        };
        let source = describe(&etags.0, &values.0, coverages.0, kms.0);
        let destination = describe(&etags.1, &values.1, coverages.1, kms.1);
        let known = KnownEvidence::default();
        let found = compare_objects(&source, &destination, &known, &scope(VerificationDepth::Head), NOW).contents;
        match compare_bodies(&source, &destination) {
            Compared::Identical => prop_assert!(matches!(found, ContentFinding::Agree(_))),
            Compared::Different(BodyDifference::Content) => prop_assert_eq!(found, ContentFinding::Differ),
            Compared::Different(other) => prop_assert!(false, "{:?}", other),
            Compared::Inconclusive => prop_assert_eq!(found, ContentFinding::Unknown),
        }
        let deeper = compare_objects(&source, &destination, &known, &scope(VerificationDepth::Checksum), NOW).contents;
        if let ContentFinding::Agree(means) = deeper {
            prop_assert!(means.suffices_at(VerificationDepth::Checksum));
            prop_assert!(matches!(found, ContentFinding::Agree(_)), "a proof at depth `checksum` is one at `head`");
        }
    }
}

fn report(tally: &VerificationTotals, verdict: VerificationVerdict) -> VerificationReport {
    let side = |bucket: &str| BucketTotals {
        bucket: bucket.to_owned(),
        prefix: String::new(),
        region: "us-east-1".to_owned(),
        amount: ObjectTotals::default(),
    };
    let header = ReportHeader {
        tool: ReportTool {
            name: "s3ferry",
            version: "0.0.0",
        },
        operator: "an operator".to_owned(),
        started_at: "2026-11-23T00:00:00Z".to_owned(),
        ended_at: "2026-11-23T00:00:01Z".to_owned(),
        sides: ReportSides {
            source: side("source"),
            destination: side("destination"),
        },
        comparison: ComparisonMethod {
            depth: VerificationDepth::Head,
            attributes: ComparedAttributes {
                compared: Vec::new(),
                not_compared: Vec::new(),
            },
            sample: Some(SampleDescription {
                asked: 2,
                drawn: 2,
                population: 9,
                seed: 0,
            }),
            reads_contents: true,
            max_read_bytes: 1,
            ownership: "exclusive",
        },
        stopped_by: None,
        job_reports: Vec::new(),
        differences_file: None,
        inconclusive_manifests: Vec::new(),
        messages: None,
    };
    let mut examples = DifferenceExamples::default();
    for _ in 0..3 {
        examples.take(&different(&[DifferenceKind::Tags]), 2);
    }
    VerificationReport::new(header, tally, verdict, examples)
}

#[test]
fn report_contains_verified_only_with_that_verdict() {
    for results in [&[][..], &[0], &[0, 2], &[0, 3], &[0, 4]] {
        for is_sample in [false, true] {
            for ending in [VerificationEnd::Complete, VerificationEnd::Cut] {
                let tally = tally(results);
                let verdict = tally.verdict(ending, is_sample);
                let value = serde_json::to_value(report(&tally, verdict)).unwrap();
                let text = value.to_string();
                let is_verified = verdict == VerificationVerdict::Verified;
                assert_eq!(text.contains("verified"), is_verified, "{text}");
                assert_eq!(value["verdict"] == "verified", is_verified);
            }
        }
    }
}

#[test]
fn report_has_the_fields_of_its_schema() {
    let tally = tally(&[0, 0, 2, 3]);
    let value = serde_json::to_value(report(&tally, tally.verdict(VerificationEnd::Complete, false))).unwrap();
    assert_eq!(value["schema"], SCHEMA);
    let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "ahead",
            "changed",
            "compared_by",
            "comparison",
            "consistency",
            "destination",
            "differences",
            "different",
            "ended_at",
            "equal",
            "examples",
            "gone",
            "inconclusive",
            "inconclusive_manifests",
            "job_reports",
            "keys",
            "not_examined",
            "operator",
            "read_bytes",
            "schema",
            "source",
            "started_at",
            "statement",
            "tool",
            "unread",
            "verdict",
        ]
    );
    assert_eq!(value["compared_by"][0]["by"], "etag");
    assert_eq!(value["compared_by"][0]["objects"], 2);
    assert_eq!(
        (&value["examples"]["left_out"], &value["different"]),
        (&1.into(), &1.into())
    );
    assert_eq!(value["source"]["objects"], 0);
}

#[test]
fn report_statement_omits_counts_of_zero() {
    let statement = |results: &[u8]| {
        let tally = tally(results);
        report(&tally, tally.verdict(VerificationEnd::Complete, false)).statement
    };
    assert_eq!(statement(&[0, 2]), "1 of 2 keys differ.");
    assert_eq!(statement(&[0, 2, 3]), "1 of 3 keys differ; inconclusive: 1.");
    assert_eq!(statement(&[2; 1_000]), "1,000 of 1,000 keys differ.");
}

#[test]
fn external_writes_are_ahead_only_with_shared_ownership() {
    let at = |seconds| ObjectFacts {
        last_modified: Timestamp::from_seconds(seconds),
        ..described("etag:aa")
    };
    let (shared, exclusive) = (Ownership::Shared, Ownership::Exclusive);
    let kinds = [DifferenceKind::Content];
    for (source, destination, kinds, ownership, expected) in [
        (Some(5), 6, &kinds[..], shared, Some(DifferenceKind::DestinationNewer)),
        // The destination takes precedence at equal times, as in a sync.
        (Some(6), 6, &kinds[..], shared, Some(DifferenceKind::DestinationNewer)),
        (Some(7), 6, &kinds[..], shared, None),
        (Some(5), 6, &kinds[..], exclusive, None),
        (
            Some(5),
            6,
            &[DifferenceKind::Tags, DifferenceKind::Inconclusive],
            shared,
            None,
        ),
        (None, 6, &[], shared, Some(DifferenceKind::ExternalAtDestination)),
        (None, 6, &[], exclusive, None),
    ] {
        let source = source.map(at);
        let found = external_write_kind(source.as_ref(), &at(destination), None, kinds, ownership);
        assert_eq!(found, expected, "{source:?}");
    }
}

#[test]
fn destination_ahead_has_its_own_verdict() {
    let ahead = |kinds: &[DifferenceKind]| KeyVerification::not_equal(different(kinds), false);
    let verdict = |verified_keys: &[KeyVerification]| {
        let mut tally = VerificationTotals::default();
        for verified_keys in verified_keys {
            tally.keys += 1;
            tally.take(verified_keys);
        }
        tally.verdict(VerificationEnd::Complete, false)
    };
    let newer = ahead(&[DifferenceKind::DestinationNewer, DifferenceKind::Content]);
    let external = ahead(&[DifferenceKind::ExternalAtDestination]);
    assert_eq!(
        verdict(&[verified_keys(0), newer.clone(), external]),
        VerificationVerdict::DestinationAhead
    );
    assert_eq!(
        verdict(&[newer.clone(), verified_keys(2)]),
        VerificationVerdict::Different
    );
    assert_eq!(verdict(&[newer, verified_keys(3)]), VerificationVerdict::Inconclusive);
}

#[test]
fn kind_and_method_lists_are_complete() {
    assert_eq!(DiffCounts::default().by_kind().count(), 0);
    assert_eq!(ProofMethod::ALL.len(), 10);
    assert!(ProofMethod::ALL.is_sorted(), "strongest first");
}
