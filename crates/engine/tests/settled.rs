//! What is copied once is not copied again: a second reconcile of an unchanged key writes nothing, for every combination of
//! what decides how an object is copied and by what its copy can be verified.

mod world;

use std::collections::BTreeMap;

use s3ferry_core::facts::{Aspects, ChecksumCoverage, Checksums, Encryption, KmsEncryption, ObjectFacts};
use s3ferry_core::outcome::{Outcome, SkipReason};
use s3ferry_core::plan::COPY_OBJECT_LIMIT_BYTES;
use s3ferry_core::policy::{KmsKeys, Policy, PreserveEtag};
use s3ferry_core::redelivery::aspects_after_interruption;
use s3ferry_testkit::faults::Call;
use s3ferry_testkit::memory::{MemoryBucket, checksum};
use world::{KEY, TestWorld};

const MIB: u64 = 1 << 20;
const SOURCE_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/source";
const CONTENT: &str = "x";

/// How the source's object is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Managed,
    Kms,
    /// Under a key that the policy maps to one of the destination.
    MappedKms,
}

/// What the source's object has besides bytes and metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attributes {
    None,
    TagsAndAnnotations,
    /// Tags that do not fit into the headers of a request.
    LongTags,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing that is so or not")]
struct Case {
    keys: Keys,
    checksum: Option<(&'static str, ChecksumCoverage)>,
    size_bytes: u64,
    /// The parts that the object was uploaded in; none if it was not.
    layout: &'static [u64],
    early_parts: bool,
    preserve_etag: PreserveEtag,
    destination_encrypts_with_kms: bool,
    source_versioned: bool,
    destination_versioned: bool,
    attributes: Attributes,
}

impl Case {
    /// Tells whether S3 can make such an object: a checksum of parts needs parts, and only some algorithms give one of the
    /// whole object from its parts.
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

    /// Tells whether any copy stores something that can be compared with what the source stores.
    fn is_verifiable(&self) -> bool {
        let is_small = self.size_bytes <= COPY_OBJECT_LIMIT_BYTES;
        let by_checksum = match self.checksum {
            None => false,
            Some((_, ChecksumCoverage::Composite)) => true,
            Some((algorithm, ChecksumCoverage::FullObject)) => is_small || algorithm.starts_with("CRC"),
        };
        // One request keeps the tag of a single part, the same parts keep that of a multipart object.
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
                Keys::MappedKms => KmsKeys::from([(SOURCE_KEY.to_owned(), "a key of the destination".to_owned())]),
                Keys::Managed | Keys::Kms => KmsKeys::new(),
            },
            ..world.policy
        };
        let change = |facts: &mut ObjectFacts| {
            facts.checksums = match self.checksum {
                Some((algorithm, coverage)) => checksum(algorithm, coverage, CONTENT, self.layout),
                None => Checksums::default(),
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

const WRITES: [Call; 5] = [
    Call::Copy,
    Call::Amend,
    Call::Delete,
    Call::CreateUpload,
    Call::CompleteUpload,
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
        for aspects in [Aspects::new(), aspects_after_interruption()] {
            let before = count();
            let again = world.reconcile_with(&aspects).await;
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
