//! Finding out in which parts an object was uploaded, with how many requests.

use std::fmt::Write as _;

use s3ferry_core::facts::{AttributeSet, ChecksumCoverage, ObjectFacts};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::plan::{PartLayout, PartSizes};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::SourceBucket as _;

use crate::recorded::{Answer, HEAD_OK, Recorded, answer, assert_failure, error, etag, key, spoken};

/// Facts of an object with this tag and size, and with a checksum of its parts or without.
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

/// A HEAD's answer of one part, which says the tag of an object and of how many parts that is.
fn answer_of(tag: &str, size_bytes: u64, count: Option<usize>, range: Option<String>) -> Answer {
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

/// The HEADs of some parts of an object in parts of these sizes, as S3 answers them.
fn heads(sizes: &[u64], numbers: impl IntoIterator<Item = usize>) -> Vec<Answer> {
    let tag = format!("aa-{}", sizes.len());
    let head = |number: usize| {
        let start: u64 = sizes[..number - 1].iter().sum();
        let size = sizes[number - 1];
        let range = format!("bytes {start}-{}/{}", start + size - 1, sizes.iter().sum::<u64>());
        answer_of(&tag, size, Some(sizes.len()), Some(range))
    };
    numbers.into_iter().map(head).collect()
}

/// The same of a store that leaves out at which byte a part begins.
fn bare_heads(sizes: &[u64], numbers: impl IntoIterator<Item = usize>) -> Vec<Answer> {
    let tag = format!("aa-{}", sizes.len());
    let head = |number: usize| answer_of(&tag, sizes[number - 1], Some(sizes.len()), None);
    numbers.into_iter().map(head).collect()
}

/// Facts of the object in parts of these sizes, without a checksum.
async fn object_of(sizes: &[u64]) -> ObjectFacts {
    object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), false).await
}

/// Such an object with a checksum of the whole: S3 may list its parts, and may not.
async fn object_with_checksum_of_all(sizes: &[u64]) -> ObjectFacts {
    let mut facts = object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), true).await;
    facts.checksums.coverage = ChecksumCoverage::FullObject;
    facts
}

/// A page of `GetObjectAttributes` that lists parts from `first` on.
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

/// What S3 answers of the parts of an object without checksums.
fn unlisted() -> Answer {
    spoken(200, "<GetObjectAttributesResponse></GetObjectAttributesResponse>")
}

fn parts(sizes: impl IntoIterator<Item = u64>) -> PartLayout {
    PartLayout::Multipart(sizes.into_iter().collect::<PartSizes>())
}

/// Asks for the layout, and returns it with the requests it took: `H1` for a HEAD of part 1, `A` for the attributes.
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
async fn etag_alone_identifies_single_part_and_plain_objects() {
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
async fn uniform_parts_take_two_heads_however_many_there_are() {
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
    // The last but one tells of the last, too.
    check(
        object_of(&sizes).await,
        heads(&sizes, [2, 9_998]),
        parts(sizes.clone()),
        "H2 H9998",
    )
    .await;
    // More than one page of a list has.
    let facts = object("aa-9999", sizes.iter().sum(), true).await;
    check(facts, heads(&sizes, [2, 9_998]), parts(sizes), "H2 H9998").await;
}

#[tokio::test]
async fn parts_below_a_checksum_of_the_whole_are_not_listed() {
    let sizes = [20, 20, 20, 20, 20, 20, 10];
    let facts = object_with_checksum_of_all(&sizes).await;
    check(facts, heads(&sizes, [2, 6]), parts(sizes), "H2 H6").await;
}

#[tokio::test]
async fn odd_parts_take_a_head_of_every_second_one() {
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
async fn sum_of_uniform_parts_is_not_taken_for_them() {
    let sizes = [10, 30, 20, 20, 20, 20, 20];
    check(
        object_of(&sizes).await,
        heads(&sizes, [2, 6, 4]),
        parts(sizes),
        "H2 H6 H4",
    )
    .await;
    // The last is larger than the others.
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
async fn list_is_tried_where_it_may_save_requests() {
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
async fn odd_parts_with_checksums_are_listed_page_by_page() {
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
async fn incomplete_list_is_followed_by_heads() {
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
async fn store_that_does_not_say_where_parts_begin_is_asked_for_every_size() {
    let uniform = [20, 20, 20, 20, 20, 20, 10];
    let answers = bare_heads(&uniform, [2, 6, 1, 7]);
    check(object_of(&uniform).await, answers, parts(uniform), "H2 H6 H1 H7").await;
    // The sum would fit: 30 bytes each, and 20 at last.
    let odd = [10, 30, 30, 40];
    let answers = bare_heads(&odd, [2, 4, 1, 3]);
    check(object_of(&odd).await, answers, parts(odd), "H2 H4 H1 H3").await;
    let two = [10, 40];
    check(object_of(&two).await, bare_heads(&two, [2, 1]), parts(two), "H2 H1").await;
    // A range of something else is none.
    let range = |text: &str| answer_of("aa-2", 40, Some(2), Some(text.to_owned()));
    for of_something_else in ["bytes 0-49/50", "bytes 10-49/60", "bytes */50"] {
        let mut answers = vec![range(of_something_else)];
        answers.extend(bare_heads(&two, [1]));
        check(object_of(&two).await, answers, parts(two), "H2 H1").await;
    }
}

#[tokio::test]
async fn answers_with_another_tag_are_believed_of_a_version_only() {
    let sizes = [20, 20, 20, 10];
    let of_the_part = |range: &str| answer_of("bb", 20, Some(4), Some(range.to_owned()));
    let mut facts = object_of(&sizes).await;
    let of_both = || {
        vec![
            of_the_part("bytes 20-39/70"),
            answer_of("cc", 10, Some(4), Some("bytes 60-69/70".to_owned())),
        ]
    };
    check(facts.clone(), of_both(), parts(sizes), "H2 H4").await;
    facts.version_id = None;
    let mut answers = of_both();
    answers.push(unlisted());
    check(facts.clone(), answers, PartLayout::Unknown, "H2 H4 A").await;
    // Overwritten in between.
    let mut answers = heads(&sizes, [2]);
    answers.extend([of_the_part("bytes 60-79/80"), unlisted()]);
    check(facts, answers, PartLayout::Unknown, "H2 H4 A").await;
    let odd = [10, 30, 20, 25, 15, 5];
    let mut facts = object_of(&odd).await;
    facts.version_id = None;
    let mut answers = heads(&odd, [2, 6]);
    answers.push(answer_of("bb", 25, Some(6), Some("bytes 60-84/105".to_owned())));
    check(facts, answers, PartLayout::Unknown, "H2 H6 H4").await;
}

#[tokio::test]
async fn store_that_ignores_part_numbers_is_asked_for_the_list() {
    let sizes = [20, 20, 20, 10];
    let whole = || answer_of("aa-4", 70, None, None);
    let facts = object_of(&sizes).await;
    let answers = vec![whole(), whole(), listed(1, &sizes, None)];
    check(facts.clone(), answers, parts(sizes), "H2 H4 A").await;
    let answers = vec![whole(), whole(), unlisted()];
    check(facts.clone(), answers, PartLayout::Unknown, "H2 H4 A").await;
    // Asked already: not once more.
    let answers = vec![unlisted(), whole(), whole()];
    check(object("aa-4", 70, true).await, answers, PartLayout::Unknown, "A H2 H4").await;
    // It counts otherwise than the tag, and may not have the part at all.
    for otherwise in [answer_of("aa-3", 20, Some(4), None), answer(416, &[], "")] {
        let facts = object("aa-3", 50, false).await;
        check(facts, vec![otherwise, unlisted()], PartLayout::Unknown, "H2 A").await;
    }
}

#[tokio::test]
async fn sizes_that_do_not_make_the_object_are_unknown() {
    let facts = object("aa-3", 50, false).await;
    let answers = bare_heads(&[20, 20, 40], [2, 1, 3]);
    check(facts, answers, PartLayout::Unknown, "H2 H1 H3").await;
    // Part 4 begins where part 2 ends.
    let facts = object("aa-4", 50, false).await;
    let range = |text: &str| Some(text.to_owned());
    let answers = vec![
        answer_of("aa-4", 20, Some(4), range("bytes 20-39/50")),
        answer_of("aa-4", 10, Some(4), range("bytes 40-49/50")),
    ];
    check(facts, answers, PartLayout::Unknown, "H2 H4").await;
}

#[tokio::test(start_paused = true)]
async fn object_that_moved_on_has_everything_read_again() {
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
