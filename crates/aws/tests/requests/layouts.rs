//! Part sizes of multipart objects, and how many requests they take.

use std::fmt::Write as _;

use s3ferry_core::facts::{AttributeSet, ChecksumCoverage, ObjectFacts};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::plan::{PartLayout, PartSizes};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::SourceBucket as _;

use crate::recorded::{Answer, HEAD_OK, Recorded, answer, answer_with, assert_failure, error, etag, key};

/// Returns the facts of an object with this ETag and size, with or without a checksum of its parts.
async fn object(tag: &str, size_bytes: u64, with_checksum: bool) -> ObjectFacts {
    let recorded = Recorded::new([HEAD_OK]);
    let state = recorded.source().read(&key(), &AttributeSet::new()).await.unwrap();
    let mut facts = state.facts().unwrap().clone();
    facts.etag = etag(tag);
    facts.size_bytes = size_bytes;
    if with_checksum {
        facts.checksums.coverage = ChecksumCoverage::Composite;
        facts.checksums.values.insert("CRC32", "x==".to_owned());
    }
    facts
}

/// Returns the response to the HEAD of one part, with the object's ETag and number of parts.
fn head_of_part(tag: &str, size_bytes: u64, count: Option<usize>, range: Option<String>) -> Answer {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let mut headers = vec![
        ("etag", leak(etag(tag).quoted())),
        ("last-modified", "Fri, 20 Nov 2026 10:15:30 GMT"),
        ("content-length", leak(size_bytes.to_string())),
    ];
    headers.extend(count.map(|count| ("x-amz-mp-parts-count", leak(count.to_string()))));
    headers.extend(range.map(|range| ("content-range", leak(range))));
    answer(206, Box::leak(headers.into_boxed_slice()), "")
}

/// Returns the responses to the HEADs of some parts of an object with these part sizes, as S3 returns them.
fn heads(sizes: &[u64], numbers: impl IntoIterator<Item = usize>) -> Vec<Answer> {
    let tag = format!("aa-{}", sizes.len());
    let head = |number: usize| {
        let start: u64 = sizes[..number - 1].iter().sum();
        let size = sizes[number - 1];
        let range = format!("bytes {start}-{}/{}", start + size - 1, sizes.iter().sum::<u64>());
        head_of_part(&tag, size, Some(sizes.len()), Some(range))
    };
    numbers.into_iter().map(head).collect()
}

/// Returns the same responses from a store that omits the range of a part.
fn bare_heads(sizes: &[u64], numbers: impl IntoIterator<Item = usize>) -> Vec<Answer> {
    let tag = format!("aa-{}", sizes.len());
    let head = |number: usize| head_of_part(&tag, sizes[number - 1], Some(sizes.len()), None);
    numbers.into_iter().map(head).collect()
}

/// Returns the facts of an object with these part sizes, without a checksum.
async fn object_of(sizes: &[u64]) -> ObjectFacts {
    object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), false).await
}

/// Returns the facts of such an object with a full-object checksum: S3 may or may not list its parts.
async fn object_with_checksum_of_all(sizes: &[u64]) -> ObjectFacts {
    let mut facts = object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), true).await;
    facts.checksums.coverage = ChecksumCoverage::FullObject;
    facts
}

/// Returns a page of `GetObjectAttributes` that lists parts from `first` on.
fn listed(first: u32, sizes: &[u64], next: Option<u32>) -> Answer {
    let parts = (first..).zip(sizes).fold(String::new(), |mut parts, (number, size)| {
        write!(
            parts,
            "<Part><PartNumber>{number}</PartNumber><Size>{size}</Size></Part>"
        )
        .unwrap();
        parts
    });
    let truncated = format!(
        "<IsTruncated>{}</IsTruncated><NextPartNumberMarker>{}</NextPartNumberMarker>",
        next.is_some(),
        next.unwrap_or(0)
    );
    let parts = format!("<ObjectParts>{truncated}{parts}</ObjectParts>");
    let body = format!("<GetObjectAttributesResponse>{parts}</GetObjectAttributesResponse>");
    let written = &[("last-modified", "Fri, 20 Nov 2026 10:15:30 GMT")];
    answer(200, written, Box::leak(body.into_boxed_str()))
}

/// Returns S3's response for an object without part checksums: no part list.
fn unlisted() -> Answer {
    answer_with(200, "<GetObjectAttributesResponse></GetObjectAttributesResponse>")
}

fn parts(sizes: impl IntoIterator<Item = u64>) -> PartLayout {
    PartLayout::Multipart(sizes.into_iter().collect::<PartSizes>())
}

/// Reads the layout and returns it with the requests: `H1` for a HEAD of part 1, `A` for the attributes.
async fn ask(facts: &ObjectFacts, answers: Vec<Answer>) -> (Result<PartLayout, Failure>, String) {
    let recorded = Recorded::new(answers);
    let layout = recorded.source().layout(&key(), facts).await;
    let requests = (0..recorded.sent()).map(|index| {
        let line = recorded.line(index);
        let pinned = facts.version_id.is_none() || line.contains("versionId=v1");
        assert!(pinned, "{line}");
        recorded.assert_headers(index, &[("x-amz-expected-bucket-owner", Some("123456789012"))]);
        let Some((_, rest)) = line.split_once("partNumber=") else {
            assert!(line.contains("?attributes"), "{line}");
            recorded.assert_headers(index, &[("x-amz-object-attributes", Some("ObjectParts"))]);
            return "A".to_owned();
        };
        format!("H{}", rest.split('&').next().unwrap_or_default())
    });
    let requests = requests.collect::<Vec<_>>().join(" ");
    (layout, requests)
}

async fn check(facts: ObjectFacts, answers: Vec<Answer>, expected: PartLayout, requests: &str) {
    let found = ask(&facts, answers).await;
    assert_eq!(
        found,
        (Ok(expected), requests.to_owned()),
        "{} {}",
        facts.etag,
        facts.size_bytes
    );
}

#[tokio::test]
async fn etag_alone_identifies_objects_with_at_most_one_part() {
    check(object("aa", 50, true).await, vec![], PartLayout::NotMultipart, "").await;
    check(object("aa-1", 50, true).await, vec![], parts([50]), "").await;
    for tag in ["aa-0", "aa-10001", "aa-x"] {
        check(object(tag, 50, true).await, vec![], PartLayout::Unknown, "").await;
    }
}

#[tokio::test]
async fn checksummed_parts_are_listed_with_one_request() {
    for sizes in [&[20, 10, 20, 5][..], &[10; 1_000]] {
        let facts = object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), true).await;
        let page = listed(1, sizes, None);
        check(facts, vec![page], parts(sizes.iter().copied()), "A").await;
    }
}

#[tokio::test]
async fn two_and_three_parts_of_any_sizes_take_one_head() {
    for sizes in [&[20, 10][..], &[10, 40], &[20, 20, 10], &[10, 10, 30], &[10, 30, 20]] {
        for with_checksum in [false, true] {
            let facts = object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), with_checksum).await;
            check(facts, heads(sizes, [2]), parts(sizes.iter().copied()), "H2").await;
        }
    }
}

#[tokio::test]
async fn uniform_parts_take_two_heads_for_any_count() {
    let mut sizes = vec![8; 10_000];
    check(
        object_of(&sizes).await,
        heads(&sizes, [2, 10_000]),
        parts(sizes.clone()),
        "H2 H10000",
    )
    .await;
    sizes.pop();
    sizes[9_998] = 3;
    // The second to last part determines the last, too.
    check(
        object_of(&sizes).await,
        heads(&sizes, [2, 9_998]),
        parts(sizes.clone()),
        "H2 H9998",
    )
    .await;
    // More parts than one page of a list has.
    let facts = object("aa-9999", sizes.iter().sum(), true).await;
    check(facts, heads(&sizes, [2, 9_998]), parts(sizes), "H2 H9998").await;
}

#[tokio::test]
async fn parts_under_a_full_object_checksum_are_not_listed() {
    let sizes = [20, 20, 20, 20, 20, 20, 10];
    let facts = object_with_checksum_of_all(&sizes).await;
    check(facts, heads(&sizes, [2, 6]), parts(sizes), "H2 H6").await;
}

#[tokio::test]
async fn irregular_parts_take_a_head_of_every_second_part() {
    let sizes = [10, 30, 20, 25, 15, 40, 5, 35, 45];
    for (count, numbers, requests) in [
        (4, &[2, 4][..], "H2 H4"),
        (5, &[2, 4], "H2 H4"),
        (6, &[2, 6, 4], "H2 H6 H4"),
        (7, &[2, 6, 4], "H2 H6 H4"),
        (8, &[2, 8, 4, 6], "H2 H8 H4 H6"),
        (9, &[2, 8, 4, 6], "H2 H8 H4 H6"),
    ] {
        let sizes = &sizes[..count];
        let answers = heads(sizes, numbers.iter().copied());
        check(object_of(sizes).await, answers, parts(sizes.iter().copied()), requests).await;
    }
}

#[tokio::test]
async fn total_of_uniform_parts_does_not_imply_uniform_parts() {
    let sizes = [10, 30, 20, 20, 20, 20, 20];
    check(
        object_of(&sizes).await,
        heads(&sizes, [2, 6, 4]),
        parts(sizes),
        "H2 H6 H4",
    )
    .await;
    // The last part is larger than the others.
    let sizes = [10, 10, 10, 10, 10, 10, 30];
    check(
        object_of(&sizes).await,
        heads(&sizes, [2, 6, 4]),
        parts(sizes),
        "H2 H6 H4",
    )
    .await;
}

#[tokio::test]
async fn part_list_is_requested_if_it_may_save_requests() {
    let sizes = [10, 30, 20, 25, 15, 40, 5, 35, 45, 50];
    let few = &sizes[..9];
    let facts = object_with_checksum_of_all(few).await;
    let expected = parts(few.iter().copied());
    check(facts, heads(few, [2, 8, 4, 6]), expected, "H2 H8 H4 H6").await;
    let facts = object_with_checksum_of_all(&sizes).await;
    let mut answers = heads(&sizes, [2, 10]);
    answers.push(listed(1, &sizes, None));
    check(facts.clone(), answers, parts(sizes), "H2 H10 A").await;
    let mut answers = heads(&sizes, [2, 10, 4, 6, 8]);
    answers.insert(2, unlisted());
    check(facts, answers, parts(sizes), "H2 H10 A H4 H6 H8").await;
}

#[tokio::test]
async fn irregular_parts_with_checksums_are_listed_page_by_page() {
    let sizes: Vec<u64> = (0..1_500).map(|number| 10 + number % 7).collect();
    let mut answers = heads(&sizes, [2, 1_500]);
    answers.extend([
        listed(1, &sizes[..1_000], Some(1_000)),
        listed(1_001, &sizes[1_000..], None),
    ]);
    let facts = object("aa-1500", sizes.iter().sum(), true).await;
    check(facts, answers, parts(sizes), "H2 H1500 A A").await;
}

#[tokio::test]
async fn incomplete_part_list_is_followed_by_heads() {
    for incomplete in [
        unlisted(),
        listed(1, &[20, 20, 20], None),
        listed(1, &[20, 20, 20, 11], None),
        listed(2, &[20, 20, 20, 10], None),
        listed(1, &[20, 20, 20, 10, 10], None),
    ] {
        let sizes = [20, 20, 20, 10];
        let mut answers = vec![incomplete];
        answers.extend(heads(&sizes, [2, 4]));
        check(object("aa-4", 70, true).await, answers, parts(sizes), "A H2 H4").await;
    }
}

#[tokio::test]
async fn store_without_part_ranges_needs_a_head_of_every_part() {
    let uniform = [20, 20, 20, 20, 20, 20, 10];
    let answers = bare_heads(&uniform, [2, 6, 1, 7]);
    check(object_of(&uniform).await, answers, parts(uniform), "H2 H6 H1 H7").await;
    // The total would fit: 30 bytes each, and 20 for the last.
    let irregular = [10, 30, 30, 40];
    let answers = bare_heads(&irregular, [2, 4, 1, 3]);
    check(object_of(&irregular).await, answers, parts(irregular), "H2 H4 H1 H3").await;
    let two = [10, 40];
    check(object_of(&two).await, bare_heads(&two, [2, 1]), parts(two), "H2 H1").await;
    // A range of something else is ignored.
    let range = |text: &str| head_of_part("aa-2", 40, Some(2), Some(text.to_owned()));
    for foreign_range in ["bytes 0-49/50", "bytes 10-49/60", "bytes */50"] {
        let mut answers = vec![range(foreign_range)];
        answers.extend(bare_heads(&two, [1]));
        check(object_of(&two).await, answers, parts(two), "H2 H1").await;
    }
}

#[tokio::test]
async fn response_with_another_etag_counts_only_for_a_pinned_version() {
    let sizes = [20, 20, 20, 10];
    let of_the_part = |range: &str| head_of_part("bb", 20, Some(4), Some(range.to_owned()));
    let mut facts = object_of(&sizes).await;
    let of_both = || {
        vec![
            of_the_part("bytes 20-39/70"),
            head_of_part("cc", 10, Some(4), Some("bytes 60-69/70".to_owned())),
        ]
    };
    check(facts.clone(), of_both(), parts(sizes), "H2 H4").await;
    facts.version_id = None;
    let mut answers = of_both();
    answers.push(unlisted());
    check(facts.clone(), answers, PartLayout::Unknown, "H2 H4 A").await;
    // The object was overwritten in between.
    let mut answers = heads(&sizes, [2]);
    answers.extend([of_the_part("bytes 60-79/80"), unlisted()]);
    check(facts, answers, PartLayout::Unknown, "H2 H4 A").await;
    let irregular = [10, 30, 20, 25, 15, 5];
    let mut facts = object_of(&irregular).await;
    facts.version_id = None;
    let mut answers = heads(&irregular, [2, 6]);
    answers.push(head_of_part("bb", 25, Some(6), Some("bytes 60-84/105".to_owned())));
    check(facts, answers, PartLayout::Unknown, "H2 H6 H4").await;
}

#[tokio::test]
async fn store_that_ignores_part_numbers_needs_the_part_list() {
    let sizes = [20, 20, 20, 10];
    let whole = || head_of_part("aa-4", 70, None, None);
    let facts = object_of(&sizes).await;
    let answers = vec![whole(), whole(), listed(1, &sizes, None)];
    check(facts.clone(), answers, parts(sizes), "H2 H4 A").await;
    let answers = vec![whole(), whole(), unlisted()];
    check(facts.clone(), answers, PartLayout::Unknown, "H2 H4 A").await;
    // The list was requested already and is not requested again.
    let answers = vec![unlisted(), whole(), whole()];
    check(object("aa-4", 70, true).await, answers, PartLayout::Unknown, "A H2 H4").await;
    // The number of parts differs from the ETag, or the store may not have the part at all.
    for other_count in [head_of_part("aa-3", 20, Some(4), None), answer(416, &[], "")] {
        let facts = object("aa-3", 50, false).await;
        check(facts, vec![other_count, unlisted()], PartLayout::Unknown, "H2 A").await;
    }
}

#[tokio::test]
async fn part_sizes_that_contradict_the_object_size_are_unknown() {
    let facts = object("aa-3", 50, false).await;
    let answers = bare_heads(&[20, 20, 40], [2, 1, 3]);
    check(facts, answers, PartLayout::Unknown, "H2 H1 H3").await;
    // Part 4 begins where part 2 ends.
    let facts = object("aa-4", 50, false).await;
    let range = |text: &str| Some(text.to_owned());
    let answers = vec![
        head_of_part("aa-4", 20, Some(4), range("bytes 20-39/50")),
        head_of_part("aa-4", 10, Some(4), range("bytes 40-49/50")),
    ];
    check(facts, answers, PartLayout::Unknown, "H2 H4").await;
}

#[tokio::test(start_paused = true)]
async fn changed_object_is_read_again() {
    let facts = object("aa-3", 50, false).await;
    let (layout, _) = ask(&facts, vec![answer(404, &[], "")]).await;
    assert_failure(&layout.unwrap_err(), FailureKind::Retry, &["s3:GetObjectVersion"]);
    let facts = object("aa-4", 50, true).await;
    let (layout, _) = ask(&facts, vec![error(404, "NoSuchVersion")]).await;
    assert_failure(
        &layout.unwrap_err(),
        FailureKind::Retry,
        &["s3:GetObjectVersionAttributes"],
    );
    let (layout, _) = ask(&facts, vec![error(403, "AccessDenied")]).await;
    assert_failure(
        &layout.unwrap_err(),
        FailureKind::Permanent,
        &["s3:GetObjectVersionAttributes"],
    );
}

#[tokio::test]
async fn unversioned_part_list_is_identified_by_time() {
    let sizes = [20, 20, 20, 10];
    let mut facts = object("aa-4", 70, true).await;
    facts.version_id = None;
    let listed = || listed(1, &[20, 20, 25, 5], None);
    check(facts.clone(), vec![listed()], parts([20, 20, 25, 5]), "A").await;
    facts.last_modified = Timestamp::from_seconds(1_000);
    let mut answers = vec![listed()];
    answers.extend(heads(&sizes, [2, 4]));
    check(facts, answers, parts(sizes), "A H2 H4").await;
}
