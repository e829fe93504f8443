//! Finding out in which parts an object was uploaded, with how many requests.

use std::fmt::Write as _;

use s3ferry_core::facts::{Aspects, ChecksumCoverage, ObjectFacts};
use s3ferry_core::failure::{Failure, FailureKind};
use s3ferry_core::plan::{PartSizes, SourceLayout};
use s3ferry_core::time::Timestamp;
use s3ferry_engine::ports::SourceBucket as _;

use crate::recorded::{Answer, HEAD_OK, Recorded, answer, assert_failure, error, etag, key, spoken};

/// Facts of an object with this tag and size, and with a checksum of its parts or without.
async fn object(tag: &str, size_bytes: u64, with_checksum: bool) -> ObjectFacts {
    let recorded = Recorded::new([HEAD_OK]);
    let state = recorded.source().read(&key(), &Aspects::new()).await.unwrap();
    let mut facts = state.facts().unwrap().clone();
    facts.etag = etag(tag);
    facts.size_bytes = size_bytes;
    if with_checksum {
        facts.checksums.coverage = ChecksumCoverage::Composite;
        facts.checksums.values.insert("CRC32", "x==".to_owned());
    }
    facts
}

/// The HEAD of one part of an object of so many, or of three where the store does not say it.
fn head(size_bytes: u64, count: Option<u32>) -> Answer {
    head_of(&format!("aa-{}", count.unwrap_or(3)), size_bytes, count)
}

/// The HEAD of one part of the object with a tag.
fn head_of(tag: &str, size_bytes: u64, count: Option<u32>) -> Answer {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let mut headers = vec![
        ("etag", leak(etag(tag).quoted())),
        ("last-modified", "Fri, 20 Nov 2026 10:15:30 GMT"),
        ("content-length", leak(size_bytes.to_string())),
    ];
    headers.extend(count.map(|count| ("x-amz-mp-parts-count", leak(count.to_string()))));
    answer(206, Box::leak(headers.into_boxed_slice()), "")
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

fn parts(sizes: impl IntoIterator<Item = u64>) -> SourceLayout {
    SourceLayout::Parts(sizes.into_iter().collect::<PartSizes>())
}

/// Asks for the layout, and returns it with the requests it took: `H1` for a HEAD of part 1, `A` for the attributes.
async fn ask(facts: &ObjectFacts, answers: Vec<Answer>) -> (Result<SourceLayout, Failure>, String) {
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

async fn check(facts: ObjectFacts, answers: Vec<Answer>, expected: SourceLayout, requests: &str) {
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
async fn tag_alone_tells_of_one_part_and_of_none() {
    check(object("aa", 50, true).await, vec![], SourceLayout::Whole, "").await;
    check(object("aa-1", 50, true).await, vec![], parts([50]), "").await;
    for tag in ["aa-0", "aa-10001", "aa-x"] {
        check(object(tag, 50, true).await, vec![], SourceLayout::Unknown, "").await;
    }
}

#[tokio::test]
async fn checksummed_parts_are_listed_with_one_request() {
    let page = listed(1, &[20, 10, 20], None);
    check(object("aa-3", 50, true).await, vec![page], parts([20, 10, 20]), "A").await;
}

#[tokio::test]
async fn parts_below_a_checksum_of_the_whole_are_not_listed() {
    let mut facts = object("aa-3", 50, true).await;
    facts.checksums.coverage = ChecksumCoverage::FullObject;
    let heads = vec![head(20, Some(3)), head(10, Some(3))];
    check(facts, heads, parts([20, 20, 10]), "H1 H3").await;
}

#[tokio::test]
async fn list_is_tried_where_it_may_save_requests() {
    let odd = async |sizes: &[u64]| {
        let mut facts = object(&format!("aa-{}", sizes.len()), sizes.iter().sum(), true).await;
        facts.checksums.coverage = ChecksumCoverage::FullObject;
        facts
    };
    let few = [10, 30, 20, 25, 15];
    let heads = [10, 15, 30, 20].map(|size| head(size, Some(5))).into();
    check(odd(&few).await, heads, parts(few), "H1 H5 H2 H3").await;
    let more = [10, 30, 20, 25, 35, 15];
    let mut answers: Vec<Answer> = [10, 15, 30, 20, 25].map(|size| head(size, Some(6))).into();
    answers.insert(2, unlisted());
    check(odd(&more).await, answers, parts(more), "H1 H6 A H2 H3 H4").await;
    let answers = vec![head(10, Some(6)), head(15, Some(6)), listed(1, &more, None)];
    check(odd(&more).await, answers, parts(more), "H1 H6 A").await;
}

#[tokio::test]
async fn answers_with_another_tag_are_believed_of_a_version_only() {
    let of_the_part = || head_of("bb", 20, Some(3));
    let mut facts = object("aa-3", 50, false).await;
    let answers = vec![of_the_part(), head_of("cc", 10, Some(3))];
    check(facts.clone(), answers, parts([20, 20, 10]), "H1 H3").await;
    facts.version_id = None;
    check(
        facts.clone(),
        vec![of_the_part(), unlisted()],
        SourceLayout::Unknown,
        "H1 A",
    )
    .await;
    // Overwritten in between.
    let answers = vec![head(20, Some(3)), of_the_part()];
    check(facts, answers, SourceLayout::Unknown, "H1 H3").await;
}

#[tokio::test]
async fn uniform_parts_take_two_heads_however_many_there_are() {
    let plain = object("aa-3", 50, false).await;
    check(
        plain,
        vec![head(20, Some(3)), head(10, Some(3))],
        parts([20, 20, 10]),
        "H1 H3",
    )
    .await;
    let many = object("aa-10000", 9_999 * 8 + 8, true).await;
    let sizes = parts(std::iter::repeat_n(8, 10_000));
    check(
        many,
        vec![head(8, Some(10_000)), head(8, Some(10_000))],
        sizes,
        "H1 H10000",
    )
    .await;
    // Two parts are the first and the last: whatever their sizes are.
    let two = object("aa-2", 50, false).await;
    check(
        two,
        vec![head(10, Some(2)), head(40, Some(2))],
        parts([10, 40]),
        "H1 H2",
    )
    .await;
}

#[tokio::test]
async fn incomplete_list_is_followed_by_heads() {
    for incomplete in [
        unlisted(),
        listed(1, &[20, 20], None),
        listed(1, &[20, 20, 11], None),
        listed(2, &[20, 20, 10], None),
        listed(1, &[20, 20, 10, 10], None),
    ] {
        let facts = object("aa-3", 50, true).await;
        let answers = vec![incomplete, head(20, Some(3)), head(10, Some(3))];
        check(facts, answers, parts([20, 20, 10]), "A H1 H3").await;
    }
}

#[tokio::test]
async fn odd_parts_without_checksums_are_asked_for_one_by_one() {
    let facts = object("aa-5", 100, false).await;
    let answers = [10, 30, 20, 25, 15].map(|size| head(size, Some(5)));
    let [first, second, third, _, fifth] = answers;
    let expected = parts([10, 30, 20, 25, 15]);
    check(facts, vec![first, fifth, second, third], expected, "H1 H5 H2 H3").await;
    // The sum fits, but the last is larger than the first: parts of one size do not end so.
    let facts = object("aa-3", 50, false).await;
    let answers = vec![head(10, Some(3)), head(30, Some(3))];
    check(facts, answers, parts([10, 10, 30]), "H1 H3").await;
}

#[tokio::test]
async fn odd_parts_with_checksums_are_listed_page_by_page() {
    let sizes: Vec<u64> = (0..1_500).map(|number| 10 + number % 7).collect();
    let total = sizes.iter().sum();
    let answers = vec![
        head(10, Some(1_500)),
        head(sizes[1_499], Some(1_500)),
        listed(1, &sizes[..1_000], Some(1_000)),
        listed(1_001, &sizes[1_000..], None),
    ];
    check(
        object("aa-1500", total, true).await,
        answers,
        parts(sizes),
        "H1 H1500 A A",
    )
    .await;
}

#[tokio::test]
async fn store_that_ignores_part_numbers_is_asked_for_the_list() {
    let whole = || head(50, None);
    let facts = object("aa-3", 50, false).await;
    let answers = vec![whole(), listed(1, &[20, 20, 10], None)];
    check(facts, answers, parts([20, 20, 10]), "H1 A").await;
    let facts = object("aa-3", 50, false).await;
    check(facts, vec![whole(), unlisted()], SourceLayout::Unknown, "H1 A").await;
    // Asked already: not once more.
    let facts = object("aa-3", 50, true).await;
    check(facts, vec![unlisted(), whole()], SourceLayout::Unknown, "A H1").await;
    // It counts otherwise than the tag.
    let facts = object("aa-3", 50, false).await;
    check(
        facts,
        vec![head(20, Some(4)), unlisted()],
        SourceLayout::Unknown,
        "H1 A",
    )
    .await;
}

#[tokio::test]
async fn sizes_that_do_not_make_the_object_are_unknown() {
    let facts = object("aa-3", 50, false).await;
    let answers = vec![head(20, Some(3)), head(40, Some(3))];
    check(facts, answers, SourceLayout::Unknown, "H1 H3").await;
    let facts = object("aa-4", 50, false).await;
    let answers = vec![head(20, Some(4)), head(20, Some(4)), head(10, Some(4))];
    check(facts, answers, SourceLayout::Unknown, "H1 H4 H2").await;
}

#[tokio::test(start_paused = true)]
async fn object_that_moved_on_has_everything_read_again() {
    let facts = object("aa-3", 50, false).await;
    let (layout, _) = ask(&facts, vec![answer(404, &[], "")]).await;
    assert_failure(&layout.unwrap_err(), FailureKind::Retry, &["s3:GetObjectVersion"]);
    let facts = object("aa-3", 50, true).await;
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
async fn list_of_an_object_without_a_version_is_told_by_its_time() {
    let mut facts = object("aa-3", 50, true).await;
    facts.version_id = None;
    let listed = || listed(1, &[20, 20, 10], None);
    check(facts.clone(), vec![listed()], parts([20, 20, 10]), "A").await;
    facts.last_modified = Timestamp::from_seconds(1_000);
    let heads = vec![listed(), head(25, Some(3)), head(0, Some(3))];
    check(facts, heads, parts([25, 25, 0]), "A H1 H3").await;
}
