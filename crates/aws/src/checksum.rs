//! Checksums by algorithm, which the API spells as one field for each.

/// Lists the checksums that an answer of S3 holds: algorithm, as in `CRC64NVME`, and base64 value.
macro_rules! by_algorithm {
    ($answer:expr) => {{
        let answer = $answer;
        [
            ("CRC32", answer.checksum_crc32()),
            ("CRC32C", answer.checksum_crc32_c()),
            ("CRC64NVME", answer.checksum_crc64_nvme()),
            ("MD5", answer.checksum_md5()),
            ("SHA1", answer.checksum_sha1()),
            ("SHA256", answer.checksum_sha256()),
            ("SHA512", answer.checksum_sha512()),
            ("XXHASH128", answer.checksum_xxhash128()),
            ("XXHASH3", answer.checksum_xxhash3()),
            ("XXHASH64", answer.checksum_xxhash64()),
        ]
    }};
}

pub(crate) use by_algorithm;

use aws_sdk_s3::types::ChecksumType;
use aws_sdk_s3::types::builders::CompletedPartBuilder;
use s3ferry_core::facts::ChecksumCoverage;

/// Takes the checksum of a part, of which there is one at most.
pub(crate) fn only<'a>(
    checksums: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> Option<(&'static str, String)> {
    let mut stored = checksums
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?.to_owned())));
    stored.next()
}

/// Names what a checksum covers, as the API does.
pub(crate) fn type_of(coverage: ChecksumCoverage) -> ChecksumType {
    match coverage {
        ChecksumCoverage::FullObject => ChecksumType::FullObject,
        ChecksumCoverage::Composite => ChecksumType::Composite,
    }
}

/// Repeats the checksum of a part, which S3 then compares with what it stored.
pub(crate) fn completed(part: CompletedPartBuilder, checksum: Option<&(&'static str, String)>) -> CompletedPartBuilder {
    let Some((algorithm, value)) = checksum else {
        return part;
    };
    match *algorithm {
        "CRC32" => part.checksum_crc32(value),
        "CRC32C" => part.checksum_crc32_c(value),
        "CRC64NVME" => part.checksum_crc64_nvme(value),
        "MD5" => part.checksum_md5(value),
        "SHA1" => part.checksum_sha1(value),
        "SHA256" => part.checksum_sha256(value),
        "SHA512" => part.checksum_sha512(value),
        "XXHASH128" => part.checksum_xxhash128(value),
        "XXHASH3" => part.checksum_xxhash3(value),
        "XXHASH64" => part.checksum_xxhash64(value),
        // There are no others in `by_algorithm`; S3 compares nothing then.
        _ => part,
    }
}
