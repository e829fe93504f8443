//! Checksums by algorithm. The API has one field for each algorithm.

/// Lists the checksums of an S3 response: the algorithm, such as `CRC64NVME`, and the base64 value.
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

/// Returns the checksum of a part, which has at most one.
pub(crate) fn only<'a>(
    checksums: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> Option<(&'static str, String)> {
    let mut stored = checksums
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?.to_owned())));
    stored.next()
}

/// Converts the coverage of a checksum to the API's type.
pub(crate) fn type_of(coverage: ChecksumCoverage) -> ChecksumType {
    match coverage {
        ChecksumCoverage::FullObject => ChecksumType::FullObject,
        ChecksumCoverage::Composite => ChecksumType::Composite,
    }
}

/// Adds the checksum of a part to a completion, so that S3 compares it with the stored one.
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
        // `by_algorithm` has no other algorithms. Without a checksum, S3 compares nothing.
        _ => part,
    }
}
