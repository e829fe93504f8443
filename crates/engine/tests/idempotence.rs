//! A second reconcile of an unchanged key writes nothing.
//!
//! The tests cover every combination of what determines the copy method and the proof of the copy.

mod world;

use std::collections::BTreeMap;

use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::encryption::EncryptionRules;
use s3ferry_core::facts::{
    Attribute, AttributeSet, ChecksumCoverage, Encryption, ExplicitEncryption, KmsEncryption, ObjectFacts,
    StoredChecksums,
};
use s3ferry_core::outcome::{Outcome, SkipReason};
use s3ferry_core::plan::COPY_OBJECT_LIMIT_BYTES;
use s3ferry_core::policy::{KmsKeyMap, Ownership, Policy, PreserveEtag};
use s3ferry_core::redelivery::attributes_after_interruption;
use s3ferry_testkit::faults::PortCall;
use s3ferry_testkit::memory::{MemoryBucket, checksum};
use world::{KEY, TestWorld};

const MIB: u64 = 1 << 20;
const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const CONTENT: &str = "x";

/// The encryption of the source object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Managed,
    Kms,
    /// SSE-KMS with a key that the policy maps to a destination key.
    MappedKms,
}

/// The attributes of the source object besides metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attributes {
    None,
    TagsAndAnnotations,
    /// Tags that do not fit into the headers of a request.
    LongTags,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each field is an independent condition")]
struct Case {
    keys: Keys,
    checksum: Option<(&'static str, ChecksumCoverage)>,
    size_bytes: u64,
    /// The part sizes of the object; empty if it was not a multipart upload.
    layout: &'static [u64],
    early_parts: bool,
    preserve_etag: PreserveEtag,
    destination_encrypts_with_kms: bool,
    source_versioned: bool,
    destination_versioned: bool,
    attributes: Attributes,
}

impl Case {
    /// Returns whether S3 can store such an object.
    ///
    /// A composite checksum requires parts. A multipart upload has a full-object checksum with some algorithms only.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
    fn exists(&self) -> bool {
        let is_multipart = !self.layout.is_empty();
        let checksum_fits = match self.checksum {
            Some(("CRC64NVME", ChecksumCoverage::Composite)) => false,
            Some((_, ChecksumCoverage::Composite)) => is_multipart,
            Some(("SHA1" | "SHA256", ChecksumCoverage::FullObject)) => !is_multipart,
            None | Some(_) => true,
        };
        let layout_fits = if is_multipart {
            self.layout.iter().sum::<u64>() == self.size_bytes
        } else {
            self.size_bytes <= COPY_OBJECT_LIMIT_BYTES
        };
        checksum_fits && layout_fits
    }

    /// Returns whether any copy stores something that is comparable with the source object.
    fn is_verifiable(&self) -> bool {
        let is_small = self.size_bytes <= COPY_OBJECT_LIMIT_BYTES;
        let by_checksum = match self.checksum {
            None => false,
            Some((_, ChecksumCoverage::Composite)) => true,
            Some((algorithm, ChecksumCoverage::FullObject)) => is_small || algorithm.starts_with("CRC"),
        };
        // A single-request copy preserves the ETag of a single part, and equal part sizes that of a multipart object.
        let by_etag = self.keys == Keys::Managed && !self.destination_encrypts_with_kms;
        self.size_bytes == 0 || by_checksum || by_etag
    }

    fn world(&self) -> TestWorld {
        let bucket = |versioned| {
            if versioned {
                MemoryBucket::versioned()
            } else {
                MemoryBucket::unversioned()
            }
        };
        let mut world = TestWorld::of(bucket(self.source_versioned), bucket(self.destination_versioned));
        if self.destination_encrypts_with_kms {
            world.destination.encrypt_with_kms();
        }
        world.policy = Policy {
            multipart_threshold_bytes: if self.early_parts {
                5 * MIB
            } else {
                COPY_OBJECT_LIMIT_BYTES
            },
            preserve_etag: self.preserve_etag,
            kms_keys: match self.keys {
                Keys::MappedKms => KmsKeyMap::from([(SOURCE_KEY.to_owned(), "a key of the destination".to_owned())]),
                Keys::Managed | Keys::Kms => KmsKeyMap::new(),
            },
            ..world.policy
        };
        let change = |facts: &mut ObjectFacts| {
            facts.checksums = match self.checksum {
                Some((algorithm, coverage)) => checksum(algorithm, coverage, CONTENT, self.layout),
                None => StoredChecksums::default(),
            };
            if self.keys != Keys::Managed {
                facts.encryption = Encryption::Kms(KmsEncryption {
                    key_arn: Some(SOURCE_KEY.to_owned()),
                    ..KmsEncryption::default()
                });
            }
            let value_bytes = match self.attributes {
                Attributes::None => return,
                Attributes::TagsAndAnnotations => 1,
                Attributes::LongTags => 5_000,
            };
            facts.tags = Some(BTreeMap::from([("stage".to_owned(), "x".repeat(value_bytes))]));
            if self.attributes == Attributes::TagsAndAnnotations {
                facts.annotations = Some(BTreeMap::from([("note".to_owned(), "draft".to_owned())]));
            }
        };
        world
            .source
            .put_large_with(KEY, CONTENT, self.size_bytes, self.layout, change);
        world
    }
}

fn cases() -> Vec<Case> {
    use ChecksumCoverage::{Composite, FullObject};
    const LARGE: u64 = COPY_OBJECT_LIMIT_BYTES + 1;
    let mut checksums = vec![None];
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        checksums.extend([Some((algorithm, FullObject)), Some((algorithm, Composite))]);
    }
    let sizes_and_layouts: [(u64, &[u64]); 8] = [
        (0, &[]),
        (1, &[]),
        (1, &[1]),
        (12 * MIB, &[]),
        (12 * MIB, &[5 * MIB, 7 * MIB]),
        (12 * MIB, &[12 * MIB]),
        (LARGE, &[LARGE - MIB, MIB]),
        (LARGE, &[8 * MIB + 1, LARGE - 8 * MIB - 1]),
    ];
    let mut cases = Vec::new();
    for keys in [Keys::Managed, Keys::Kms, Keys::MappedKms] {
        for checksum in &checksums {
            for (size_bytes, layout) in sizes_and_layouts {
                for flags in 0..96_u32 {
                    let flag = |bit: u32| flags >> bit & 1 == 1;
                    cases.push(Case {
                        keys,
                        checksum: *checksum,
                        size_bytes,
                        layout,
                        early_parts: flag(0),
                        preserve_etag: if flag(1) {
                            PreserveEtag::Always
                        } else {
                            PreserveEtag::Large
                        },
                        destination_encrypts_with_kms: flag(2),
                        source_versioned: flag(3),
                        destination_versioned: flag(4),
                        attributes: match flags >> 5 {
                            0 => Attributes::None,
                            1 => Attributes::TagsAndAnnotations,
                            _ => Attributes::LongTags,
                        },
                    });
                }
            }
        }
    }
    cases.retain(Case::exists);
    cases
}

const WRITES: [PortCall; 5] = [
    PortCall::Copy,
    PortCall::UpdateAttributes,
    PortCall::Delete,
    PortCall::CreateUpload,
    PortCall::CompleteUpload,
];

#[tokio::test(start_paused = true)]
async fn second_reconcile_of_an_unchanged_key_writes_nothing() {
    let mut verifiable = 0;
    for case in cases() {
        let world = case.world();
        let first = world.reconcile().await;
        assert!(matches!(first.outcome, Outcome::Copied { .. }), "{case:?}: {first:?}");
        world.assert_equal();
        let count = || WRITES.map(|call| world.script.count(call));
        let [copies, _, _, _, completions] = count();
        assert_eq!(copies + completions, 1, "{case:?}: copied more than once");
        if !case.is_verifiable() {
            continue;
        }
        verifiable += 1;
        for attributes in [AttributeSet::new(), attributes_after_interruption()] {
            let before = count();
            let again = world.reconcile_with(&attributes).await;
            assert_eq!(
                again.outcome,
                Outcome::Skipped(SkipReason::AlreadyIdentical),
                "{case:?}"
            );
            assert_eq!(count(), before, "{case:?}: written again");
        }
    }
    assert!(verifiable > 3_000, "{verifiable} cases");
}

/// The encryption of a destination: the policy's encryption, and the bucket's default encryption.
#[derive(Debug, Clone)]
struct Regime {
    is_mapped: bool,
    asked_for: Option<ExplicitEncryption>,
    bucket_default: Option<KmsEncryption>,
    default_is_secret: bool,
}

fn kms(key: Option<&str>, dual_layer: bool) -> KmsEncryption {
    KmsEncryption {
        key_arn: key.map(str::to_owned),
        bucket_key: false,
        dual_layer,
    }
}

impl Regime {
    fn all() -> Vec<Self> {
        let asked_for = [
            None,
            Some(ExplicitEncryption::Managed),
            Some(ExplicitEncryption::Kms(kms(Some("explicit"), false))),
            Some(ExplicitEncryption::Kms(kms(Some("explicit"), true))),
        ];
        let defaults = [None, Some(kms(Some("default"), false)), Some(kms(None, false))];
        let mut all = Vec::new();
        for flags in 0..4_u32 {
            for asked_for in &asked_for {
                for bucket_default in &defaults {
                    all.push(Self {
                        is_mapped: flags & 1 == 1,
                        asked_for: asked_for.clone(),
                        bucket_default: bucket_default.clone(),
                        default_is_secret: flags & 2 == 2,
                    });
                }
            }
        }
        all
    }

    fn apply(&self, world: &mut TestWorld) {
        world
            .destination
            .encrypt_by_default(self.bucket_default.clone(), self.default_is_secret);
        world.policy.destination_encryption.clone_from(&self.asked_for);
        world.policy.kms_keys = if self.is_mapped {
            KmsKeyMap::from([(SOURCE_KEY.to_owned(), "mapped".to_owned())])
        } else {
            KmsKeyMap::new()
        };
    }

    /// Returns the expected encryption of copies, as far as it may be read.
    fn rules(&self, policy: &Policy) -> EncryptionRules {
        let default = self.bucket_default.clone();
        let default = default.map_or(ExplicitEncryption::Managed, ExplicitEncryption::Kms);
        EncryptionRules::of(policy, Some(default).filter(|_| !self.default_is_secret))
    }
}

/// The kind of an object, and the capabilities of the destination.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each field is an independent condition")]
struct Kind {
    source_has_key: bool,
    versioned: bool,
    refuses_updates: bool,
    shared: bool,
}

impl Kind {
    fn all() -> impl Iterator<Item = Self> {
        let all = (0..16_u32).map(|flags| Self {
            source_has_key: flags & 1 == 1,
            versioned: flags & 2 == 2,
            refuses_updates: flags & 4 == 4,
            shared: flags & 8 == 8,
        });
        all.filter(|kind| kind.versioned || !kind.shared)
    }

    fn world(self) -> TestWorld {
        let destination = if self.versioned {
            MemoryBucket::versioned()
        } else {
            MemoryBucket::unversioned()
        };
        if self.refuses_updates {
            destination.reject_encryption_updates();
        }
        let mut world = TestWorld::of(MemoryBucket::versioned(), destination);
        if self.shared {
            world.policy.ownership = Ownership::Shared;
        }
        let change = |facts: &mut ObjectFacts| {
            if self.source_has_key {
                facts.encryption = Encryption::Kms(kms(Some(SOURCE_KEY), false));
            }
        };
        // With a full-object checksum, which verifies any copy.
        world.source.put_large_with(KEY, CONTENT, 5, &[], change);
        world
    }
}

#[tokio::test(start_paused = true)]
async fn encryption_is_repaired_once_after_every_change_of_the_policy() {
    let mut repaired = 0;
    for kind in Kind::all() {
        for before in Regime::all() {
            for after in Regime::all() {
                let mut world = kind.world();
                before.apply(&mut world);
                let first = world.reconcile().await;
                assert!(matches!(first.outcome, Outcome::Copied { .. }), "{kind:?} {before:?}");
                after.apply(&mut world);
                let case = format!("{kind:?}\n{before:?}\n{after:?}");
                let second = world.reconcile().await;
                let facts = world.source.facts(KEY).zip(world.destination.facts(KEY));
                let (source, destination) = facts.expect("both are there");
                let rules = after.rules(&world.policy);
                let asked_for = world.policy.encryption_of(&source.encryption);
                let is_right = asked_for.is_none_or(|asked_for| asked_for.is_of(&destination.encryption));
                assert!(is_right, "{case}: {:?}", destination.encryption);
                let is_named = second.not_preserved.contains(&Attribute::Encryption);
                assert_eq!(is_named, !rules.agree(&source, &destination), "{case}");
                repaired += u32::from(second.progress);
                let count = || WRITES.map(|call| world.script.count(call));
                let counted = count();
                let third = world.reconcile().await;
                assert_eq!(third.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical), "{case}");
                assert_eq!(count(), counted, "{case}: written again");
                // With a marker, the metadata differs.
                if !kind.shared {
                    world.assert_equal();
                }
            }
        }
    }
    assert!(repaired > 5_000, "{repaired} repairs");
}

/// Without a checksum, only the ETag is comparable, and an update in place preserves it.
#[tokio::test(start_paused = true)]
async fn encryption_changed_in_place_leaves_a_comparable_copy() {
    for layout in [&[][..], &[6 * MIB, 6 * MIB]] {
        let mut world = TestWorld::new();
        world.policy.preserve_etag = PreserveEtag::Always;
        let size_bytes = layout.iter().sum::<u64>().max(5);
        world.source.put_large_with(KEY, CONTENT, size_bytes, layout, |facts| {
            facts.checksums = StoredChecksums::default();
        });
        assert!(matches!(world.reconcile().await.outcome, Outcome::Copied { .. }));
        world.policy.destination_encryption = Some(ExplicitEncryption::Kms(kms(Some("explicit"), false)));
        let attributes = AttributeSet::from([Attribute::Encryption]);
        assert_eq!(
            world.reconcile().await.outcome,
            Outcome::AttributesUpdated { attributes }
        );
        for _ in 0..2 {
            let again = world.reconcile_with(&attributes_after_interruption()).await;
            assert_eq!(again.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
        }
    }
}

/// A locked copy is replaced by one with another encryption, which must not have a weaker lock.
#[tokio::test(start_paused = true)]
async fn encryption_change_by_copy_preserves_a_stricter_lock() {
    let mut world = TestWorld::new();
    world.destination.enable_object_lock(BucketObjectLock::default());
    world.source.put_large(KEY, CONTENT, 5, &[]);
    assert!(matches!(world.reconcile().await.outcome, Outcome::Copied { .. }));
    world.destination.change(KEY, |facts| facts.lock.legal_hold = true);
    world.policy.destination_encryption = Some(ExplicitEncryption::Kms(kms(Some("explicit"), false)));
    assert!(matches!(world.reconcile().await.outcome, Outcome::Copied { .. }));
    assert!(world.destination.facts(KEY).expect("it is there").lock.legal_hold);
    let again = world.reconcile().await;
    assert_eq!(again.outcome, Outcome::Skipped(SkipReason::AlreadyIdentical));
}
