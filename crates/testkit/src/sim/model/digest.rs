//! Digests of contents: the MD5 of ETags, and the checksums that S3 stores.
//!
//! The digest of a small content is computed from its bytes. The digest of a large synthetic content is a placeholder,
//! because generating its bytes would take too long: it is the digest of the content's description. Adjacent ranges of
//! a synthetic object merge in the description, so equal bytes of one synthetic object have equal digests, however they
//! were copied. Whether a digest is exact depends only on the content and its synthetic objects, so the parts of a copy
//! have the same digests as the parts of its source.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::content::{ContentPiece, SimContent, SyntheticRange};

/// Maximum size of a content with synthetic ranges that has exact digests.
pub const EXACT_DIGEST_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Maximum size of a synthetic object whose ranges have exact digests. Limits the cost of objects with many parts.
pub const EXACT_DIGEST_OBJECT_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// A checksum algorithm of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChecksumAlgorithm {
    /// CRC-32.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME, the default of S3.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All algorithms.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// Returns the name in headers and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Returns the header of the checksum value.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Parses a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// Cached digests of synthetic ranges by algorithm.
type CachedDigests = HashMap<(&'static str, SyntheticRange), Vec<u8>>;

static CACHED_DIGESTS: LazyLock<Mutex<CachedDigests>> = LazyLock::new(Mutex::default);

/// Number of cached digests at which the cache is cleared.
const CACHED_DIGESTS_LIMIT: usize = 100_000;

enum Hasher {
    Md5(Md5),
    Crc(crc_fast::Digest, ChecksumAlgorithm),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc32 => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc), algorithm),
            ChecksumAlgorithm::Crc32c => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi), algorithm),
            ChecksumAlgorithm::Crc64Nvme => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme), algorithm),
            ChecksumAlgorithm::Sha1 => Self::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc(hasher, _) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Crc(hasher, algorithm) => {
                let width = if algorithm == ChecksumAlgorithm::Crc64Nvme {
                    8
                } else {
                    4
                };
                let value = hasher.finalize().to_be_bytes();
                value.into_iter().skip(8 - width).collect()
            }
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
        }
    }

    /// Hashes a content. Digests of synthetic ranges are cached, because generating the bytes takes time.
    fn of(self, content: &SimContent) -> Vec<u8> {
        let [ContentPiece::Synthetic(range)] = content.pieces() else {
            return self.compute(content);
        };
        let key = (self.name(), *range);
        let known = |cached: &CachedDigests| cached.get(&key).cloned();
        if let Some(digest) = known(&CACHED_DIGESTS.lock().unwrap_or_else(PoisonError::into_inner)) {
            return digest;
        }
        let digest = self.compute(content);
        let mut cached = CACHED_DIGESTS.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= CACHED_DIGESTS_LIMIT {
            cached.clear();
        }
        cached.insert(key, digest.clone());
        digest
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Md5(_) => "MD5",
            Self::Crc(_, algorithm) => algorithm.name(),
            Self::Sha1(_) => ChecksumAlgorithm::Sha1.name(),
            Self::Sha256(_) => ChecksumAlgorithm::Sha256.name(),
        }
    }

    fn compute(mut self, content: &SimContent) -> Vec<u8> {
        if is_exact(content) {
            for chunk in content.chunks() {
                self.update(&chunk);
            }
        } else {
            for piece in content.pieces() {
                match piece {
                    ContentPiece::Real(bytes) => self.update(bytes),
                    ContentPiece::Synthetic(range) => {
                        for number in [range.seed, range.offset, range.size_bytes] {
                            self.update(&number.to_be_bytes());
                        }
                    }
                }
            }
        }
        self.finish()
    }
}

/// Returns whether the digests of a content are computed from its bytes.
pub fn is_exact(content: &SimContent) -> bool {
    let mut ranges = content.pieces().iter().filter_map(|piece| match piece {
        ContentPiece::Synthetic(range) => Some(range),
        ContentPiece::Real(_) => None,
    });
    let fits = content.size_bytes() <= EXACT_DIGEST_LIMIT_BYTES;
    ranges.all(|range| fits && range.object_bytes <= EXACT_DIGEST_OBJECT_LIMIT_BYTES)
}

/// Returns the MD5 of a content, or its placeholder.
pub fn md5(content: &SimContent) -> Vec<u8> {
    Hasher::Md5(Md5::new()).of(content)
}

/// Returns the MD5 of bytes.
pub fn md5_of_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::Md5(Md5::new());
    hasher.update(bytes);
    hasher.finish()
}

/// Returns a checksum of a content, or its placeholder, in base64 as in S3's headers.
pub fn checksum(algorithm: ChecksumAlgorithm, content: &SimContent) -> String {
    BASE64.encode(Hasher::new(algorithm).of(content))
}

/// Returns the composite checksum of parts: the checksum of their checksums, and their number.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
pub fn composite<'a>(algorithm: ChecksumAlgorithm, parts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut hasher = Hasher::new(algorithm);
    let mut count = 0_u32;
    for part in parts {
        hasher.update(&BASE64.decode(part).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", BASE64.encode(hasher.finish())))
}

/// Returns bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// Returns the ETag of a multipart upload: the MD5 of the parts' MD5s, and their number.
pub fn multipart_etag<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Hasher::Md5(Md5::new());
    let mut count = 0_u32;
    for part in parts {
        hasher.update(part);
        count += 1;
    }
    format!("{}-{count}", hex(&hasher.finish()))
}
