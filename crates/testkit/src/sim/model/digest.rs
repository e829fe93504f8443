//! Digests of contents: the ETag's MD5 and the checksums that S3 stores.
//!
//! A digest is true when the content is small enough, and a stand-in when computing it would mean making the bytes of
//! a huge synthetic object: then it is the same digest of the content's description. Because the description merges
//! adjacent ranges of a synthetic object, equal bytes that come from one synthetic object have equal digests, however
//! they were copied. Whether a digest is true depends on nothing but the content and the synthetic objects it comes
//! from, so the parts of a copy agree with the parts of its source.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::content::{ContentPiece, SimContent, SyntheticRange};

/// The largest content with a synthetic range whose digests are true.
pub const TRUE_DIGEST_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// The largest synthetic object whose ranges have true digests: it bounds what an object in many small parts costs.
pub const TRUE_DIGEST_OBJECT_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// A checksum algorithm of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChecksumAlgorithm {
    /// CRC-32.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME, what S3 computes when nobody asks for anything.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in headers and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header that carries a value.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// Digests of synthetic ranges by algorithm.
type Remembered = HashMap<(&'static str, SyntheticRange), Vec<u8>>;

static REMEMBERED: LazyLock<Mutex<Remembered>> = LazyLock::new(Mutex::default);

/// How many digests are remembered before all are forgotten.
const REMEMBERED_LIMIT: usize = 100_000;

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

    /// Hashes a content; what synthetic bytes hash to is remembered, for making them anew takes a while.
    fn of(self, content: &SimContent) -> Vec<u8> {
        let [ContentPiece::Synthetic(range)] = content.pieces() else {
            return self.compute(content);
        };
        let key = (self.name(), *range);
        let known = |remembered: &Remembered| remembered.get(&key).cloned();
        if let Some(digest) = known(&REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)) {
            return digest;
        }
        let digest = self.compute(content);
        let mut remembered = REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_LIMIT {
            remembered.clear();
        }
        remembered.insert(key, digest.clone());
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
        if is_true(content) {
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

/// Tells whether the digests of a content are those of its bytes.
pub fn is_true(content: &SimContent) -> bool {
    let mut ranges = content.pieces().iter().filter_map(|piece| match piece {
        ContentPiece::Synthetic(range) => Some(range),
        ContentPiece::Real(_) => None,
    });
    let fits = content.size_bytes() <= TRUE_DIGEST_LIMIT_BYTES;
    ranges.all(|range| fits && range.object_bytes <= TRUE_DIGEST_OBJECT_LIMIT_BYTES)
}

/// Returns the MD5 of a content, or its stand-in.
pub fn md5(content: &SimContent) -> Vec<u8> {
    Hasher::Md5(Md5::new()).of(content)
}

/// Returns the MD5 of bytes.
pub fn md5_of_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::Md5(Md5::new());
    hasher.update(bytes);
    hasher.finish()
}

/// Returns a checksum of a content, or its stand-in, in base64 as S3 shows it.
pub fn checksum(algorithm: ChecksumAlgorithm, content: &SimContent) -> String {
    BASE64.encode(Hasher::new(algorithm).of(content))
}

/// Returns the composite checksum of parts: the checksum of their checksums and their number.
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

/// Writes bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
            text
        })
}

/// Returns the ETag of an object made of parts: the MD5 of their MD5s and their number.
pub fn multipart_etag<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Hasher::Md5(Md5::new());
    let mut count = 0_u32;
    for part in parts {
        hasher.update(part);
        count += 1;
    }
    format!("{}-{count}", hex(&hasher.finish()))
}
