use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;
use crate::sim::model::content::ContentPiece;
use crate::sim::model::digest::{self, ChecksumAlgorithm};

fn hex_of(base64: &str) -> String {
    digest::hex(&BASE64.decode(base64).expect("base64"))
}

#[test]
fn digests_match_the_published_check_values() {
    let content = SimContent::from("123456789");
    assert_eq!(digest::hex(&digest::md5(&content)), "25f9e794323b453885f5181f1b624d0b");
    // Check values of the catalogue of parametrised CRC algorithms, and of FIPS 180.
    let known = [
        (ChecksumAlgorithm::Crc32, "cbf43926"),
        (ChecksumAlgorithm::Crc32c, "e3069283"),
        (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
        (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (
            ChecksumAlgorithm::Sha256,
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        ),
    ];
    for (algorithm, expected) in known {
        assert_eq!(
            hex_of(&digest::checksum(algorithm, &content)),
            expected,
            "{algorithm:?}"
        );
    }
}

#[test]
fn multipart_etag_is_the_md5_of_md5s() {
    let parts = [digest::md5_of_bytes(b"a"), digest::md5_of_bytes(b"b")];
    let etag = digest::multipart_etag(parts.iter().map(Vec::as_slice));
    let expected = digest::hex(&digest::md5_of_bytes(&parts.concat()));
    assert_eq!(etag, format!("{expected}-2"));
}

#[test]
fn copied_ranges_merge_into_the_object_they_came_from() {
    let content = SimContent::synthetic(3, 50_000_000_000_000);
    let first = content.slice(0, 7_000_000_001);
    let second = content.slice(7_000_000_001, 49_992_999_999_999);
    let joined = SimContent::concat([&first, &second]);
    assert_eq!(joined, content);
    assert_eq!(digest::md5(&joined), digest::md5(&content));
    assert_ne!(
        digest::md5(&SimContent::concat([&second, &first])),
        digest::md5(&content)
    );
}

#[test]
fn small_synthetic_content_has_the_digests_of_its_bytes() {
    let range = SimContent::synthetic(3, 256 << 20).slice(12_345, 100_003);
    let bytes = SimContent::from(range.to_bytes());
    assert!(digest::is_exact(&range));
    assert_eq!(digest::md5(&range), digest::md5(&bytes));
    for algorithm in ChecksumAlgorithm::ALL {
        assert_eq!(digest::checksum(algorithm, &range), digest::checksum(algorithm, &bytes));
    }
}

#[test]
fn ranges_of_huge_objects_have_placeholder_digests() {
    let content = SimContent::synthetic(3, (256 << 20) + 1);
    assert!(!digest::is_exact(&content));
    assert!(!digest::is_exact(&content.slice(0, 5)));
    assert_ne!(digest::md5(&content.slice(0, 5)), digest::md5(&content.slice(5, 5)));
}

#[test]
fn slices_and_chunks_have_the_bytes_of_their_content() {
    let content = SimContent::concat([
        &SimContent::from("abc"),
        &SimContent::synthetic(1, 600_000),
        &SimContent::from("xyz"),
    ]);
    let bytes = content.to_bytes();
    assert_eq!(bytes.len() as u64, content.size_bytes());
    for (offset, size) in [(0, 3), (1, 10), (3, 7), (4, 9), (599_998, 8), (600_005, 99)] {
        let end = (offset + size).min(bytes.len());
        let slice = content.slice(offset as u64, size as u64).to_bytes();
        assert_eq!(slice, bytes.slice(offset..end), "{offset} {size}");
    }
    assert_eq!(content.slice(600_006, 5).size_bytes(), 0);
    assert!(matches!(
        content.pieces(),
        [ContentPiece::Real(_), ContentPiece::Synthetic(_), ContentPiece::Real(_)]
    ));
}
