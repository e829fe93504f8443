//! Keys and objects that are hard to copy correctly, for the demonstration and the tests.

use aws_sdk_s3::types::StorageClass;

use crate::upload::{TestHeaders, TestUpload};

/// Maximum length of a key, in bytes of UTF-8.
const KEY_LIMIT_BYTES: usize = 1024;

/// Minimum size of a part, except for the last one.
const PART_SIZE_BYTES: usize = 5 * 1024 * 1024;

/// An object with a title.
#[derive(Clone, Debug)]
pub struct WorkloadCase {
    /// Property of the object that is hard to copy.
    pub title: &'static str,
    /// Object to write.
    pub upload: TestUpload,
}

/// Returns objects under `prefix` whose keys need encoding in notifications, copy sources and URLs.
#[must_use]
pub fn odd_keys(prefix: &str) -> Vec<WorkloadCase> {
    let long = format!("{prefix}{}", "k".repeat(KEY_LIMIT_BYTES.saturating_sub(prefix.len())));
    let keys = [
        ("key with spaces", format!("{prefix}with space and  two.txt")),
        ("key with plus signs", format!("{prefix}a+b + c.txt")),
        ("key with percent signs", format!("{prefix}100%/%41%2B%zz.txt")),
        (
            "key with ? & # = $ *",
            format!("{prefix}q?x=1&y=2#frag;a=b,c:d@e!$'()*[].txt"),
        ),
        (
            "key with quotes, < > \\",
            format!("{prefix}<\"quoted\" & 'single'>\\.txt"),
        ),
        (
            "key with non-ASCII",
            format!("{prefix}Größe/日本語/emoji-\u{1F6A2}.txt"),
        ),
        ("key with combining mark", format!("{prefix}u\u{308}ber.txt")),
        ("key with // in it", format!("{prefix}/leading//double.txt")),
        ("key with .. and .", format!("{prefix}a/../b/./c.txt")),
        ("key ending in /", format!("{prefix}folder/")),
        ("key of 1,024 bytes", long),
    ];
    keys.map(|(title, key)| WorkloadCase {
        title,
        upload: TestUpload::new(key.clone(), format!("body of {key}")),
    })
    .into()
}

/// Returns objects under `prefix` that have attributes of every kind, or several parts.
#[must_use]
pub fn rich_objects(prefix: &str) -> Vec<WorkloadCase> {
    let mut headers = TestUpload::new(format!("{prefix}rich/headers.txt"), "all system headers");
    headers.headers = TestHeaders::all();
    headers.metadata = [("owner", "team a"), ("checked-by", "q+a %41"), ("empty", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let mut tags = TestUpload::new(format!("{prefix}rich/tags.txt"), "ten tags");
    tags.tags = (0..10)
        .map(|number| (format!("tag {number}"), format!("v+{number}/=@ _.")))
        .collect();
    let mut storage_class = TestUpload::new(format!("{prefix}rich/infrequent.bin"), vec![7_u8; 200 * 1024]);
    storage_class.storage_class = Some(StorageClass::StandardIa);
    let mut redirect = TestUpload::new(format!("{prefix}rich/redirect.html"), "moved");
    redirect.website_redirect = Some("/elsewhere.html".to_owned());
    redirect.headers.content_type = Some("text/html".to_owned());
    let empty = TestUpload::new(format!("{prefix}rich/empty"), Vec::new());
    vec![
        WorkloadCase {
            title: "6 system headers, metadata",
            upload: headers,
        },
        WorkloadCase {
            title: "10 tags",
            upload: tags,
        },
        WorkloadCase {
            title: "storage class",
            upload: storage_class,
        },
        WorkloadCase {
            title: "website redirect",
            upload: redirect,
        },
        WorkloadCase {
            title: "empty object",
            upload: empty,
        },
        WorkloadCase {
            title: "multipart, 3 parts",
            upload: multipart(prefix),
        },
    ]
}

/// Returns small objects under `prefix` with different contents.
#[must_use]
pub fn small_objects(prefix: &str, count: usize) -> Vec<TestUpload> {
    (0..count)
        .map(|number| TestUpload::new(format!("{prefix}small/{number:05}.json"), format!("{{\"n\":{number}}}")))
        .collect()
}

fn multipart(prefix: &str) -> TestUpload {
    let pattern = (0_u8..=250).cycle().take(2 * PART_SIZE_BYTES + 12_345);
    let mut upload = TestUpload::new(format!("{prefix}rich/multipart.bin"), pattern.collect::<Vec<u8>>());
    upload.part_size_bytes = Some(PART_SIZE_BYTES);
    upload.headers.content_type = Some("application/x-pattern".to_owned());
    upload.metadata.insert("kind".to_owned(), "pattern".to_owned());
    upload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_key_has_the_maximum_length_of_s3() {
        let longest = odd_keys("live/").into_iter().map(|case| case.upload.key.len()).max();
        assert_eq!(longest, Some(KEY_LIMIT_BYTES));
    }
}
